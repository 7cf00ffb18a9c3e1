"""Random faults under several streams for minutes: every answer exact, no request lost; how processes
grow is told, and not judged."""
import collections
import os
import random
import signal
import statistics
import threading
import time

from client import EXACT
from scenarios import ANSWER_MAX_S

GAP_S = 6             # between faults, in the mean
OUT_MAX = 2           # nodes that are killed, stopped or cut off at once
SAMPLE_S = 5          # between looks at the processes' memory
WARM_SHARE = 0.1      # of the time, before which memory does not count
SPAN_MIN_S = 120      # the least time between two looks that say whether a process grows
FAULTS = {            # weight
    "kill": 4, "stop": 2, "cut control": 2, "cut data": 2, "cut off": 1, "close links": 2, "slow": 1}
LASTING_S = {"kill": (0.2, 4), "stop": (0.3, 6), "cut control": (0.5, 8), "cut data": (0.5, 8), "cut off": (0.5, 8),
             "close links": (0.1, 0.2), "slow": (1, 10)}
TAKES_OUT = ("kill", "stop", "cut control", "cut off")


class Storm:
    """Draws faults and mends them, one node at a time at most once. The first node is never killed, so that what grows in
    a process that lives through everything shows."""

    def __init__(self, rig, seed, say=lambda *_: None):
        self.rig, self.random, self.say = rig, random.Random(f"{seed} storm"), say
        self.broken = {}  # name: (kind, when it is mended)
        self.counts = collections.Counter()

    def strike(self):
        kind = self.random.choices(list(FAULTS), list(FAULTS.values()))[0]
        lasting = self.random.uniform(*LASTING_S[kind])
        ways = self.random.choice(("forth", "back", "both"))
        free = [node for node in self.rig.nodes[1 if kind == "kill" else 0:] if node.name not in self.broken]
        out = sum(other in TAKES_OUT for other, _ in self.broken.values())
        if not free or (kind in TAKES_OUT and out >= OUT_MAX):
            return
        node = self.random.choice(free)
        self._break(kind, node, ways)
        self.counts[kind] += 1
        self.broken[node.name] = (kind, time.monotonic() + lasting)
        self.say(f"{kind} {ways if kind.startswith('cut') else ''} {node.name} for {lasting:.1f} s")

    def _break(self, kind, node, ways):
        if kind == "kill":
            node.kill()
        elif kind == "stop":
            os.kill(node.pid, signal.SIGSTOP)
        elif kind == "cut control":
            self.rig.cut_control(node, ways)
        elif kind == "cut data":
            self.rig.cut_data(node, ways)
        elif kind == "cut off":
            self.rig.cut_off(node, None, ways)
        elif kind == "close links":
            for which in ("control", "data"):
                self.rig.close_links(node, which)
        else:
            self.rig.slow_down(node, self.random.uniform(5, 60), 20, self.random.uniform(4, 40))

    def mend_what_is_due(self):
        for name, (kind, due) in list(self.broken.items()):
            if due <= time.monotonic():
                self._mend(name, kind)

    def _mend(self, name, kind):
        del self.broken[name]
        node = self.rig.named(name)
        if kind == "stop":
            os.kill(node.pid, signal.SIGCONT)
        elif not node.running():
            self.rig.restart(node)
        self.rig.mend_links(node)

    def next_due(self):
        return min((due for _, due in self.broken.values()), default=float("inf"))


class Clients:
    """Streams that ask again and again until they are told to stop."""

    def __init__(self, rig, streams, seed):
        self.rig, self.seed = rig, seed
        self.names = [name for name in rig.expected if name.startswith("request-")]
        self.stopping = threading.Event()
        self.seen = []  # (outcome, why, name, pause_s)
        self.threads = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(streams)]
        for thread in self.threads:
            thread.start()

    def _ask(self, number):
        drawn = random.Random(f"{self.seed} client {number}")
        while not self.stopping.is_set():
            name = drawn.choice(self.names)
            answer = self.rig.ask(name).wait(ANSWER_MAX_S)
            self.seen.append((*answer.compared(self.rig.expected[name]), name, answer.pause_s()))
            if answer.outcome == "broken":
                self.stopping.wait(0.1)  # a coordinator that is gone is not asked thousands of times

    def stop(self):
        """Lets each end its answer."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(ANSWER_MAX_S + 20)
        if any(thread.is_alive() for thread in self.threads):
            raise AssertionError("a client does not end")


class Memory:
    """How much processes grow. Compared is only like with like: a process while it holds the same layers."""

    def __init__(self, rig, warm_at):
        self.rig, self.warm_at = rig, warm_at
        self.looks = collections.defaultdict(list)  # (name, pid, layers): (when, bytes, open files)

    def look(self):
        now = time.monotonic()
        if now >= self.warm_at:
            for key, (size, files) in self.rig.held().items():
                self.looks[key].append((now, size, files))

    def growth(self):
        """By process: the growth in per cent from its first three looks to its last three, and that of its open files.
        Of a process with several, of the layers that it held longest."""
        found = {}
        for (name, pid, _), looks in sorted(self.looks.items(), key=lambda item: item[1][-1][0] - item[1][0][0]):
            span = looks[-1][0] - looks[0][0]
            if span < SPAN_MIN_S or len(looks) < 6:
                continue
            (_, first, files_first), (_, last, files_last) = (
                [statistics.median(values) for values in zip(*part)] for part in (looks[:3], looks[-3:]))
            found[f"{name}, {pid}"] = {"name": name, "span_s": span, "bytes": last,
                                       "percent": 100 * (last - first) / first, "files": int(files_last - files_first)}
        return sorted(found.values(), key=lambda row: -row["span_s"])


def storm(rig, seed, seconds, streams=8, gap_s=GAP_S, say=lambda *_: None):
    """random faults under several streams"""
    begin = time.monotonic()
    faults, clients = Storm(rig, seed, say), Clients(rig, streams, seed)
    memory = Memory(rig, begin + WARM_SHARE * seconds)
    next_fault = next_look = begin
    try:
        while time.monotonic() < begin + seconds:
            rig.check()
            faults.mend_what_is_due()
            if time.monotonic() >= next_fault:
                faults.strike()
                next_fault = time.monotonic() + faults.random.expovariate(1 / gap_s)
            if time.monotonic() >= next_look:
                memory.look()
                next_look = time.monotonic() + SAMPLE_S
            due = min(next_fault, next_look, faults.next_due(), begin + seconds)
            time.sleep(max(0.0, due - time.monotonic()))
    finally:
        rig.mend()
        clients.stop()
    rig.settle()
    memory.look()
    lost = [f"{name}: {outcome}: {why}" for outcome, why, name, _ in clients.seen if outcome != EXACT]
    return {"ok": not lost and len(clients.seen) >= streams, "answers": len(clients.seen),
            "exact": len(clients.seen) - len(lost), "lost": lost, "faults": dict(faults.counts), "seconds": seconds, "streams": streams,
            "pauses_s": [pause for *_, pause in clients.seen if pause is not None], "memory": memory.growth()}
