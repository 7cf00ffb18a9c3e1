"""Starts real shoals for the end-to-end tests: processes, sockets and files as a user has them.

Every process is a child that ends with this one: it is started with --until-stdin-closes on a pipe that only we hold,
and stopped by its pid. Ports are chosen by the system (":0") and read from state/api.json. All waits have deadlines and
poll; there are no fixed sleeps. Standard library only.

Environment: SHOAL_BIN (directory with shoal and shoal-make-model), SHOAL_TEST_CACHE (where models are kept between runs;
default: a directory of this run), SHOAL_TEST_PATIENCE (deadlines times so much, for sanitizer builds).
"""

import atexit
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SHOAL_BIN", ROOT / "build" / "release" / "bin")).resolve()
SHOAL = str(BIN / "shoal")
MAKE_MODEL = str(BIN / "shoal-make-model")
PATIENCE = float(os.environ.get("SHOAL_TEST_PATIENCE", "1"))


def wait_until(condition, what, seconds=20, pause=0.01):
    """The first true value of condition(); AssertionError with `what` when the deadline passes."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(pause)


# --- models ---

_own_cache = None


def _cache():
    global _own_cache
    if os.environ.get("SHOAL_TEST_CACHE"):
        path = pathlib.Path(os.environ["SHOAL_TEST_CACHE"])
        path.mkdir(parents=True, exist_ok=True)
        return path
    if _own_cache is None:
        _own_cache = pathlib.Path(tempfile.mkdtemp(prefix="shoal-models."))
        atexit.register(shutil.rmtree, _own_cache, ignore_errors=True)
    return _own_cache


def model(arch="llama", **options):
    """A small model with random weights (options of shoal-make-model), made once and kept. The first file of a split."""
    arguments = {"arch": arch, "layers": 8, "embedding": 256, "ffn": 512, "type": "Q4_0", "context": 2048, "seed": 3}
    arguments.update(options)
    line = [MAKE_MODEL]
    for name, value in sorted(arguments.items()):
        line += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    maker = os.stat(MAKE_MODEL)  # another maker may make other models
    key = hashlib.sha256(repr((line[1:], maker.st_size, maker.st_mtime_ns)).encode()).hexdigest()[:12]
    folder = _cache() / f"{arch}-{arguments['type']}-{key}"
    if not folder.exists():
        # Another test may make the same one now: whoever renames first wins.
        with tempfile.TemporaryDirectory(prefix="making.", dir=_cache()) as making:
            inside = pathlib.Path(making) / "m"
            inside.mkdir()
            subprocess.run(line + ["--out", str(inside / "model.gguf")], check=True, stdout=subprocess.DEVNULL)
            with contextlib.suppress(OSError):
                inside.rename(folder)
    return str(sorted(folder.iterdir())[0])


# --- programs that end by themselves ---


def run(*arguments, seconds=60, stdin=None, environment=None):
    """`shoal ARGUMENTS` to its end; stdout and stderr as text."""
    return subprocess.run([SHOAL, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL if stdin is None else None, timeout=seconds * PATIENCE,
                          env={**os.environ, **(environment or {})})


def complete(model_path, prompt, nodes, *arguments, max_tokens=24):
    """What `shoal run` prints; raises with its stderr when it fails."""
    done = run("run", "--model", model_path, "--nodes", nodes, "--prompt", prompt, "--max-tokens", max_tokens, *arguments)
    if done.returncode != 0:
        raise AssertionError(f"shoal run on {nodes} nodes: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


# --- processes ---


class Process:
    """A shoal process that runs until it is stopped. stderr goes to `log`. `launcher`: a command that becomes it."""

    def __init__(self, arguments, log, launcher=()):
        self.log_path = pathlib.Path(log)
        self.arguments = [*launcher, SHOAL, *map(str, arguments), "--until-stdin-closes", "--log", "info"]
        self.stopped = False
        with open(self.log_path, "ab") as out:
            self.log_start = out.tell()
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=out, stderr=out)
        self.pid = self.process.pid

    def log(self):
        """What this process (not one before it with the same log) has said."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def running(self):
        return self.process.poll() is None

    def kill(self, sig=signal.SIGKILL):
        """As if the power were cut."""
        self.stopped = True
        if self.running():
            os.kill(self.pid, sig)
        self.process.wait(10 * PATIENCE)
        self.process.stdin.close()

    def stop(self):
        """Asked to end; the exit code."""
        self.stopped = True
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            return self.process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.log_path.stem} did not end when it was asked to:\n{self.log()}") from None

    def cpu_s(self):
        """User and system time that the process has used."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Node(Process):
    def __init__(self, name, state, arguments, log, launcher=()):
        super().__init__(arguments, log, launcher)
        self.name = name
        self.state = state

    def shard_files(self):
        return sorted(self.state.glob("shards/*/model.gguf"))


class HttpError(AssertionError):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.body = body

    @property
    def error(self):
        return self.body["error"]


class Stream:
    """A streamed completion. Iterating gives its JSON events; `text` is what has come so far."""

    def __init__(self, connection, response):
        self.connection = connection
        self.response = response
        self.text = ""
        self.finish_reason = None
        self.usage = None
        self.id = None       # of the answer
        self.last_id = None  # of the last event that had one
        self.done = False  # [DONE] was seen

    def __iter__(self):
        return self

    def __next__(self):
        event_id = None
        while True:
            line = self.response.readline()
            if not line:
                self.close()
                raise StopIteration
            if line.startswith(b"id: "):
                event_id = line[4:].decode().strip()
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                self.done = True
                continue
            event = json.loads(line[6:])
            if "error" in event:
                self.close()
                raise HttpError(self.response.status, event)
            for choice in event["choices"]:
                self.text += choice["text"] if "text" in choice else choice["delta"].get("content", "")
                self.finish_reason = choice["finish_reason"] or self.finish_reason
            self.usage = event.get("usage") or self.usage
            self.id = event["id"]
            self.last_id = event_id or self.last_id
            return event

    def break_off(self):
        """Reads until the connection breaks; whether it did before the stream's end. (http.client does not tell who reads
        line by line that HTTP's body broke off: what is missing then is [DONE].)"""
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            for _ in self:
                pass
        self.close()
        return not self.done

    def read_until(self, characters):
        """Reads until there is so much text; the stream must not have ended before."""
        while len(self.text) < characters:
            if next(self, None) is None:
                raise AssertionError(f"the stream ended after {len(self.text)} characters")
        return self

    def finish(self):
        """Reads to the end; the whole text."""
        for _ in self:
            pass
        if not self.done:
            raise AssertionError(f"the stream broke off after {self.text!r}")
        return self.text

    def close(self):
        """Goes away, whatever the server is doing."""
        self.response.close()
        self.connection.close()


class Shoal:
    """A coordinator and its nodes on loopback.

    with Shoal(model(), nodes=3) as shoal:
        print(shoal.complete("Once"))

    `nodes` are started, paired and serving when the block begins (wait=False: only started). On the way out everything
    ends and the directory goes; when an exception passes, the logs are shown first. `keep_plan`: nodes that join are
    spare, and a machine with other things to do does not change the plan.
    """

    def __init__(self, model_path, nodes=2, context=512, serve_args=(), node_args=(), memory="1GiB", nodes_min=None,
                 keep_plan=True, wait=True, cluster="127.0.0.1:0", launcher=()):
        self.model = model_path
        self.launcher = launcher
        self.nodes = []
        self.node_args = list(node_args)
        self.memory = memory
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="shoal-e2e."))
        self.state = self.directory / "coordinator"
        self.serve_args = ["--context", str(context), "--nodes", str(nodes_min or max(nodes, 1)), *map(str, serve_args)]
        if keep_plan:
            self.serve_args.append("--keep-plan")
        self.cluster = cluster
        self.listen = "127.0.0.1:0"
        self.coordinator = None
        try:
            self.start_coordinator()
            for _ in range(nodes):
                self.add_node()
            if wait and nodes:
                self.wait_serving()
        except BaseException:
            self.show_logs()
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.show_logs()
        self.close()

    def close(self):
        """Ends every process, then removes the directory."""
        trouble = None
        for process in [self.coordinator, *self.nodes]:
            if process is None:
                continue
            try:
                if not process.stopped:
                    process.stop()
            except AssertionError as error:
                trouble = error
        shutil.rmtree(self.directory, ignore_errors=True)
        if trouble:
            raise trouble

    def show_logs(self):
        for path in sorted(self.directory.glob("*.log")):
            with open(path, "rb") as file:
                lines = file.read()[-6000:].decode(errors="replace").splitlines()[-40:]
            print(f"--- {path.name}", *lines, sep="\n", file=sys.stderr)

    # --- processes ---

    def start_coordinator(self):
        """Starts it, with the same port for nodes as before if it has run before."""
        (self.state / "api.json").unlink(missing_ok=True)
        self.coordinator = Process(["serve", "--model", self.model, "--listen", self.listen, "--cluster", self.cluster,
                                    "--state", self.state, "--name", "e2e", "--no-mdns", *self.serve_args],
                                   self.directory / "coordinator.log", self.launcher)
        wait_until(lambda: (self.state / "api.json").exists() or not self.coordinator.running(), "the API's address")
        if not self.coordinator.running():
            raise AssertionError(f"the coordinator ended:\n{self.coordinator.log()}")
        api = json.loads((self.state / "api.json").read_text())
        host, _, port = api["api"].rpartition(":")
        self.api = (host, int(port))
        self.admin_key = api["admin_key"]
        self.cluster = self.token().split("//")[1].split("/")[0]
        host, _, port = self.cluster.rpartition(":")
        self.cluster_address = (host, int(port))

    def token(self, ttl_seconds=600):
        """A fresh join link."""
        return self.post("/shoal/v1/tokens", {"ttl_seconds": ttl_seconds}, admin=True)["link"]

    def add_node(self, *arguments, name=None, link=None, memory=None, listen="127.0.0.1:0"):
        """Starts and pairs one more node."""
        name = name or f"node-{len(self.nodes) + 1}"
        node = self._start_node(name, [link or self.token()], memory, listen, [*self.node_args, *arguments])
        self.nodes.append(node)
        return node

    def restart_node(self, node, *arguments, memory=None, listen="127.0.0.1:0"):
        """Starts a stopped node again on its state directory, without a link."""
        again = self._start_node(node.name, [], memory, listen, [*self.node_args, *arguments])
        self.nodes[self.nodes.index(node)] = again
        return again

    def _start_node(self, name, link, memory, listen, arguments):
        state = self.directory / name
        # What this machine's battery and heat are must not matter to a test.
        limits = [] if "--device-scenario" in arguments else [
            argument for limit in ("battery-min", "temperature-max", "cpu-temperature-max") for argument in (f"--{limit}", "0")]
        return Node(name, state, ["join", *link, "--name", name, "--memory", memory or self.memory, "--threads", "1",
                                  "--listen", listen, "--state", state, *limits, *arguments], self.directory / f"{name}.log",
                    self.launcher)

    # --- the API ---

    def request(self, method, path, body=None, admin=False, seconds=60, key=None, headers=None):
        """The connection and the response, its body not yet read."""
        connection = http.client.HTTPConnection(*self.api, timeout=seconds * PATIENCE)
        headers = {"Content-Type": "application/json", **(headers or {})}
        key = key or (self.admin_key if admin else None)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method, path, data, headers)
        return connection, connection.getresponse()

    def call(self, method, path, body=None, **options):
        connection, response = self.request(method, path, body, **options)
        with contextlib.closing(connection):
            text = response.read()
        answer = json.loads(text)
        if response.status != 200:
            raise HttpError(response.status, answer)
        return answer

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body, **options):
        return self.call("POST", path, body, **options)

    def stream(self, path, body, **options):
        connection, response = self.request("POST", path, {**body, "stream": True}, **options)
        if response.status != 200:
            with contextlib.closing(connection):
                raise HttpError(response.status, json.loads(response.read()))
        return Stream(connection, response)

    def complete(self, prompt, **body):
        """The text of a greedy completion."""
        return self.completion(prompt, **body)["choices"][0]["text"]

    def completion(self, prompt, seconds=60, **body):
        return self.post("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 24, **body}, seconds=seconds)

    def stream_completion(self, prompt, seconds=60, headers=None, **body):
        return self.stream("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 24, **body},
                           seconds=seconds, headers=headers)

    def chat(self, messages, **body):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return self.post("/v1/chat/completions", {"messages": messages, "temperature": 0, "max_tokens": 24, **body})

    def status(self):
        return self.get("/shoal/v1/status", admin=True)

    def wait_status(self, condition, what, seconds=20, pause=0.01):
        """Polls the status until condition(status) is true; that status."""
        last = {}

        def reached():
            last["status"] = self.status()
            return last["status"] if condition(last["status"]) else None

        try:
            return wait_until(reached, what, seconds, pause)
        except AssertionError as error:
            raise AssertionError(f"{error}; the status was {json.dumps(last['status'], indent=1)}") from None

    def wait_serving(self, stages=None, seconds=30):
        """Until the plan serves (with so many stages)."""
        return self.wait_status(
            lambda status: status["state"] == "serving" and (stages is None or len(status["plan"]["stages"]) == stages),
            "serving" if stages is None else f"serving with {stages} stages", seconds)

    def wait_idle(self, seconds=2):
        """Until no sequence holds anything."""
        return self.wait_status(
            lambda status: status["sequences_live"] == 0 and status["sequences_waiting"] == 0 and
            status["kv_tokens_reserved"] == 0, "all sequences freed", seconds)

    def node_of_stage(self, index):
        """The node process that hosts the stage of this place in the pipeline."""
        name = self.status()["plan"]["stages"][index]["node_name"]
        return next(node for node in self.nodes if node.name == name)


# --- test cases ---


def in_parallel(calls):
    """Runs the calls at once, each on its own thread; their results in order. The first exception is raised."""
    results = [None] * len(calls)

    def work(index):
        try:
            results[index] = (True, calls[index]())
        except BaseException as error:  # pylint: disable=broad-except
            results[index] = (False, error)

    threads = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for good, value in results:
        if not good:
            raise value
    return [value for _, value in results]


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class ShoalTestCase(unittest.TestCase):
    """Ends what a test has started, and shows the logs of a test that fails."""

    maxDiff = 2000
    shared = None  # a Shoal that all tests of a class use: made by setUpClass

    @classmethod
    def share(cls, *arguments, **options):
        cls.shared = Shoal(*arguments, **options)
        cls.addClassCleanup(cls.shared.close)
        return cls.shared

    def start(self, *arguments, **options):
        shoal = Shoal(*arguments, **options)
        self._started.append(shoal)
        self.addCleanup(shoal.close)
        return shoal

    def run(self, result=None):
        result = result if result is not None else self.defaultTestResult()
        self._started = []
        troubles = len(result.failures) + len(result.errors)

        def show_logs_of_a_failure():  # added last, so called first: the logs are still there
            if len(result.failures) + len(result.errors) > troubles or not self._outcome.success:
                for shoal in [*self._started, *([self.shared] if self.shared else [])]:
                    shoal.show_logs()

        self._show_logs = show_logs_of_a_failure
        return super().run(result)

    def tearDown(self):
        self._show_logs()

    def shaper(self, port, *arguments):
        """A way to this port of 127.0.0.1 that is as slow as the arguments say; its own port."""
        process = subprocess.Popen([str(BIN / "shoal-link-shaper"), "--to", f"127.0.0.1:{port}", *map(str, arguments)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def end():
            process.stdin.close()
            process.wait(10)
            process.stdout.close()

        self.addCleanup(end)
        return int(process.stdout.readline())

    def add_shaped_nodes(self, shoal, count, *arguments):
        """Nodes whose neighbours reach them over links as slow as the arguments say; a direct link is waited for."""
        for _ in range(count):
            port = free_port()
            shoal.add_node("--announce", f"127.0.0.1:{self.shaper(port, *arguments)}", listen=f"127.0.0.1:{port}")
        shoal.wait_serving(stages=count)
        shoal.wait_status(lambda status: all(stage["link_to_next"] == "direct" for stage in status["plan"]["stages"][:-1]),
                          "direct links")

    def temporary_directory(self):
        path = tempfile.mkdtemp(prefix="shoal-e2e.")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return pathlib.Path(path)
