"""A phone that becomes five times slower while a shoal works: how much of its throughput comes back, and when.

Two nodes of one thread each, four streams. The second node is stopped for four fifths of each 20 ms (SIGSTOP), as a phone
whose clock is lowered. `best`: what the two could do together then if layers could be divided as finely as one likes and
nothing else took time, as a share of what they did before: (1 + 1/5) / 2. Every answer is compared with the one before.

    scripts/bench.sh slower [--seconds 40]
"""
import argparse
import datetime
import os
import signal
import statistics
import threading
import time

from common import PLAIN, BIN, RESULTS, machine, model, prompt, say
from shoal_process import Shoal

SLOWNESS = 5
PERIOD_S = 0.02
STREAMS = 4
TOKENS = 64
ENOUGH = 0.8


class Slow:
    """Stops and continues a process until it ends."""

    def __init__(self, pid):
        self.pid, self.over = pid, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            os.kill(self.pid, signal.SIGSTOP)
            time.sleep(PERIOD_S * (1 - 1 / SLOWNESS))
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(PERIOD_S / SLOWNESS)

    def end(self):
        self.over.set()
        self.thread.join()


class Work:
    """Streams, one answer after another each, until end(); what came out otherwise than expected is kept."""

    def __init__(self, shoal, expected):
        self.shoal, self.expected, self.over = shoal, expected, threading.Event()
        self.answers, self.wrong = 0, []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(STREAMS)]
        for thread in self.threads:
            thread.start()

    def run(self, stream):
        try:
            while not self.over.is_set():
                text = self.shoal.complete(prompt(16, stream), TOKENS)["choices"][0]["text"]
                self.answers += 1
                if text != self.expected[stream]:
                    self.wrong.append(f"stream {stream}: another answer")
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(f"stream {stream}: {error}")

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def rates(shoal, seconds):
    """Tokens a second, second by second, with the state of the plan."""
    seen = []
    before, at = shoal.status()["tokens_generated"], time.monotonic()
    for _ in range(seconds):
        time.sleep(max(0.0, at + 1 - time.monotonic()))
        status, now = shoal.status(), time.monotonic()
        seen.append((status["tokens_generated"] - before) / (now - at))
        before, at = status["tokens_generated"], now
    return seen


def layers(shoal):
    return {stage["node_name"]: stage["layers"]["last"] - stage["layers"]["first"]
            for stage in shoal.status()["plan"]["stages"]}


def back_after(seen, enough):
    """Seconds until the first of three in a row that are enough; None: never."""
    for i in range(len(seen) - 2):
        if min(seen[i:i + 3]) >= enough:
            return i
    return None


def measure(options):
    path = model("llama-1.1b-q4_0", "--preset", "llama-1.1b")
    with Shoal(os.path.join(BIN, "shoal"), path, 2, PLAIN, keep_plan=False) as shoal:
        expected = [shoal.complete(prompt(16, stream), TOKENS)["choices"][0]["text"] for stream in range(STREAMS)]
        work = Work(shoal, expected)
        rates(shoal, 8)
        before, cut = statistics.median(rates(shoal, 10)), layers(shoal)
        slow = Slow(shoal.processes[2].pid)
        try:
            seen = rates(shoal, options.seconds)
        finally:
            slow.end()
            work.end()
        return before, cut, seen, layers(shoal), shoal.status(), work


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=40)
    options = parser.parse_args()
    before, cut, seen, cut_after, status, work = measure(options)
    best = before * (1 + 1 / SLOWNESS) / 2
    after = back_after(seen, ENOUGH * best)
    settled = statistics.median(seen[-10:])
    lines = [
        "# A phone that becomes five times slower",
        "",
        f"{datetime.date.today()}, {machine()}; `scripts/bench.sh slower`. 1.1B Llama shape, Q4_0, two nodes of one thread, {STREAMS} streams.",
        "",
        f"- before: {before:.1f} tokens/s, layers {cut}",
        f"- the best that the two can do then: {best:.1f} tokens/s",
        f"- second by second: {' '.join(f'{rate:.0f}' for rate in seen)}",
        f"- {ENOUGH:.0%} of the best: " + ("not reached" if after is None else f"from {after} s on"),
        f"- at the end: {settled:.1f} tokens/s, {settled / best:.0%} of the best, layers {cut_after}, {status['moves']} moves",
        f"- {work.answers} answers, {len(work.wrong)} other than before" + "".join(f"; {each}" for each in work.wrong[:3]),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, "slower.md"), "w") as file:
        file.write(text)
    say("written:", os.path.join(RESULTS, "slower.md"))
    return 1 if work.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
