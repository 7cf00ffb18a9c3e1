"""The shoal that is disturbed: a coordinator, nodes and spares as processes, with a link shaper before each node's own port
and one before the coordinator for each node. Everything that is broken can be mended again, and `settle` waits until the
shoal has got over it.

Processes are started from the main thread only: the kernel ends them when the thread that started them ends.
"""
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "support")]

from client import EXACT, Answer  # noqa: E402
from links import Link  # noqa: E402
from shoal import Shoal, wait_until  # noqa: E402

LAUNCHER = ("setpriv", "--pdeathsig", "KILL")  # also a stopped process ends with us
TINY_DISK_BYTES = 256 << 10
WAYS = {"forth": ("forth",), "back": ("back",), "both": ("forth", "back")}


class Skipped(Exception):
    """What cannot be made on this machine, with the reason."""


def fixed_port():
    """A free port which no outgoing connection is given: a process that was killed can have it again."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])
    for _ in range(1000):
        port = random.SystemRandom().randrange(10000, max(first, 20000))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise AssertionError("no free port below the range of outgoing connections")


@dataclass
class Wiring:
    """A node's links: to the coordinator, and from its neighbours to its own port. They outlive its process."""
    port: int
    control: Link
    data: Link
    arguments: tuple = ()
    launcher: tuple = LAUNCHER

    def links(self):
        return (self.control, self.data)

    def announced(self):
        return ("--announce", f"127.0.0.1:{self.data.port}", *self.arguments)


class Rig(Shoal):
    """The first plan has `nodes` nodes; `spares` come later. With `pipelines`, the nodes are divided into so many.
    `settings`: what Shoal takes besides."""

    def __init__(self, model_path, nodes=4, spares=1, pipelines=1, **settings):
        self.pipelines = pipelines
        if pipelines > 1:
            settings["serve_args"] = [*settings.get("serve_args", ()), "--replicas", pipelines]
        self.wiring = {}   # by node's name
        self.started = []  # every process there ever was
        self.requests, self.expected = {}, {}  # by name: what is asked, and the undisturbed answers
        super().__init__(model_path, nodes=0, nodes_min=nodes, cluster=f"127.0.0.1:{fixed_port()}", launcher=LAUNCHER,
                         **settings)
        try:
            for _ in range(nodes):
                self.add()
            self.stages = len(self.wait_serving(seconds=600)["plan"]["stages"])
            for _ in range(spares):
                self.add()
            self.settle()
        except BaseException:
            self.show_logs()
            self.close()
            raise

    def close(self):
        """Ends every process; AssertionError when one is left."""
        for process in [self.coordinator, *self.nodes]:
            if process is not None and process.running():
                os.kill(process.pid, signal.SIGCONT)
        try:
            super().close()
        finally:
            for wired in self.wiring.values():
                for link in wired.links():
                    link.close()
        orphans = self.orphans()
        if orphans:
            raise AssertionError(f"processes are left: {orphans}")

    def orphans(self):
        """Command lines of processes that work on our directory, or that we started and that run; none once closed."""
        found = [process.log_path.stem for process in self.started if process.running()]
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended
            if str(self.directory) in line:
                found.append(line)
        return found

    # --- processes ---

    def start_coordinator(self):
        super().start_coordinator()
        self.started.append(self.coordinator)

    def restart_coordinator(self):
        self.coordinator.kill()
        self.start_coordinator()

    def add(self, name=None, arguments=(), launcher=LAUNCHER):
        """One more node behind links of its own. In the plan only if there is none yet."""
        port = fixed_port()
        wired = Wiring(port, Link(self.cluster_address[1]), Link(port), tuple(arguments), launcher)
        name = name or f"node-{len(self.nodes) + 1}"
        self.wiring[name] = wired
        link = re.sub(r"//127\.0\.0\.1:\d+", f"//127.0.0.1:{wired.control.port}", self.token())
        return self.add_node(*wired.announced(), name=name, link=link, listen=f"127.0.0.1:{port}")

    def _start_node(self, name, *arguments):
        self.launcher, usual = self.wiring[name].launcher, self.launcher
        try:
            node = super()._start_node(name, *arguments)
        finally:
            self.launcher = usual
        self.started.append(node)
        return node

    def restart(self, node):
        wired = self.wiring[node.name]
        return self.restart_node(node, *wired.announced(), listen=f"127.0.0.1:{wired.port}")

    def remove(self, node):
        """Kills the node and takes its pairing back."""
        node.kill()
        known = next((n for n in self.status()["nodes"] if n["name"] == node.name), None)
        if known:
            self.call("DELETE", f"/shoal/v1/nodes/{known['id']}", admin=True)
        self.nodes.remove(node)
        for link in self.wiring.pop(node.name).links():
            link.close()

    def add_with_full_disk(self, name="full-disk"):
        """A node whose state directory is a file system of its own, too small for a shard. It vanishes with the node."""
        state = self.directory / name
        state.mkdir(exist_ok=True)
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        mount = ("unshare", *user, "--mount", "sh", "-c",
                 f'mount -t tmpfs -o size={TINY_DISK_BYTES} tmpfs "$0" && exec {" ".join(LAUNCHER)} "$@"', str(state))
        tried = subprocess.run([*mount, "true"], capture_output=True, text=True, check=False)
        if tried.returncode != 0:
            raise Skipped("no full disk can be made here (it takes root or user namespaces): "
                          + (tried.stderr.strip().splitlines() or ["mount failed"])[-1])
        return self.add(name, launcher=mount)

    # --- links ---

    def cut_control(self, node, ways):
        """Nothing moves between node and coordinator: forth is from the node. Nobody is told."""
        for way in WAYS[ways]:
            self.wiring[node.name].control.tell(f"stall {way}")

    def cut_data(self, node, ways):
        """The same of what its neighbours have dialled: forth is towards the node."""
        for way in WAYS[ways]:
            self.wiring[node.name].data.tell(f"stall {way}")

    def cut_off(self, node, successor, ways):
        """The whole phone: forth is all that it sends, back all that it receives."""
        self.cut_control(node, ways)
        self.cut_data(node, {"forth": "back", "back": "forth", "both": "both"}[ways])
        if successor is not None:
            self.cut_data(successor, ways)

    def close_links(self, node, which):
        """Its connections end, as when an access point restarts; it may dial again at once."""
        for command in ("cut", "resume"):
            getattr(self.wiring[node.name], which).tell(command)

    def slow_down(self, node, delay_ms, jitter_ms, rate_mbit):
        for link in self.wiring[node.name].links():
            link.tell(f"shape {delay_ms} {jitter_ms} {rate_mbit}")

    def mend_links(self, node):
        for link in self.wiring[node.name].links():
            link.tell("resume")
            link.reshape(None)

    # --- the state of the shoal ---

    def named(self, name):
        return {node.name: node for node in self.nodes}[name]

    @staticmethod
    def stages_of(status):
        return status["plan"]["stages"] if status["plan"] else []

    def hosts(self, status=None):
        """Who hosts the stages, in pipeline order."""
        return [self.named(stage["node_name"]) for stage in self.stages_of(status or self.status())]

    def spare_nodes(self, status=None):
        hosts = self.hosts(status)
        return [node for node in self.nodes if node not in hosts and node.running()]

    def check(self):
        """AssertionError when a process has ended that nobody ended."""
        for process in [self.coordinator, *self.nodes]:
            if not process.running() and not process.stopped:
                last = " / ".join(process.log().splitlines()[-3:])
                raise AssertionError(f"{process.log_path.stem} ended by itself with {process.process.returncode}: {last}")

    def mend(self):
        """Links work, stopped nodes go on, nodes that were killed are started again."""
        self.check()
        for node in list(self.nodes):
            self.mend_links(node)
            if node.running():
                os.kill(node.pid, signal.SIGCONT)
            else:
                self.restart(node)

    def wait_up(self, seconds=90):
        """Until the plan serves and every node is connected; that status."""
        def up(status):
            return status["state"] == "serving" and all(node["state"] == "connected" for node in status["nodes"])
        return self.wait_status(up, "serving, with every node connected", seconds, pause=0.03)

    def settle(self):
        """Until the shoal is as it was at first: all nodes there, as many stages and spares, direct links, no sequence.

        A plan stays until a node of it is lost, so one that has too few or too many stages is got rid of by killing one."""
        self.mend()
        for attempt in range(4):
            self.wait_up()
            if self._as_at_first():
                self.wait_idle(10)
                return
            self._shake(with_coordinator=attempt > 0)
        raise AssertionError(f"the shoal does not come back to {self.stages} stages with direct links: "
                             f"{self.status()['plan']}")

    def _as_at_first(self):
        def links():
            return [stage["link_to_next"] for pipeline in self.status()["pipelines"] if pipeline["plan"]
                    for stage in pipeline["plan"]["stages"][:-1]]
        if self.pipelines > 1:  # one that is missing comes when its nodes are back, or when nobody has asked for a while
            self.wait_status(lambda s: [p["state"] for p in s["pipelines"]] == ["serving"] * self.pipelines,
                             "all pipelines serving", 30, pause=0.03)
        elif len(links()) != self.stages - 1:
            return False
        try:  # nodes dial again, at last every 10 s, where the coordinator relays
            wait_until(lambda: set(links()) == {"direct"}, "direct links between the stages", 15, pause=0.03)
        except AssertionError:
            return False
        return True

    def _shake(self, with_coordinator):
        """Makes a plan with as many nodes as at first: everybody but one."""
        status = self.wait_up()
        left_out, before = self.hosts(status)[-1], status["plan"]["epoch"]
        left_out.kill()
        if with_coordinator:
            self.restart_coordinator()
        self.wait_status(lambda s: s["state"] == "serving" and (with_coordinator or s["plan"]["epoch"] > before),
                         "a new plan", 90, pause=0.03)
        self.restart(left_out)

    # --- answers ---

    def ask(self, name, **options):
        return Answer(self.api, self.requests[name], **options)

    def learn(self, requests):
        """Computes the undisturbed answers, one after the other, and each once more."""
        self.requests.update(requests)
        for name in requests:
            self.expected[name] = self.ask(name).wait(300).expected()
            outcome, why = self.ask(name).wait(300).compared(self.expected[name])
            if outcome != EXACT:
                raise AssertionError(f"{name}: two undisturbed answers differ: {why}")

    # --- what processes hold ---

    def held(self):
        """Of every process: (name, pid, layers), its memory that is nobody else's (RssAnon) and its open files."""
        layers = {stage["node_name"]: (stage["layers"]["first"], stage["layers"]["last"])
                  for stage in self.stages_of(self.status())}
        found = {}
        for process in [self.coordinator, *self.nodes]:
            try:
                with open(f"/proc/{process.pid}/status") as file:
                    kib = int(re.search(r"^RssAnon:\s+(\d+) kB", file.read(), re.M).group(1))
                files = len(os.listdir(f"/proc/{process.pid}/fd"))
            except (OSError, AttributeError):
                continue  # it has ended
            name = process.log_path.stem
            found[(name, process.pid, layers.get(name))] = (kib * 1024, files)
        return found
