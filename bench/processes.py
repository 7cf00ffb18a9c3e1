"""The processes that a benchmark starts: what they use, and that none of them is left behind.

The kernel kills what `start` started when the benchmark itself is killed; Ctrl-C and SIGTERM unwind its `with` blocks.
"""
import os
import re
import signal
import subprocess
import sys


def start(arguments, **options):
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *arguments], **options)


def end(processes, patience_s=10):
    """Ends them; those whose standard input is a pipe end when it closes."""
    for process in processes:
        process.stdin.close() if process.stdin else process.terminate()
    for process in processes:
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def unwind_on_signals():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(process):
    """VmHWM: the most memory it had resident, pages of mapped files included. 0 once it has ended."""
    with open(f"/proc/{process.pid}/status") as file:
        found = re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M)
    return int(found.group(1)) * 1024 if found else 0


class Usage:
    """What processes used while they were watched, by name: CPU seconds between `begin` and `note`, and peak memory."""

    def __init__(self):
        self.found = {}
        self.begun = {}

    def begin(self, processes):
        self.begun = {name: cpu_seconds(process) for name, process in processes.items()}
        self.before = {name: dict(self.found.get(name, {"cpu_s": 0, "peak_bytes": 0})) for name in processes}

    def note(self, processes):
        for name, process in processes.items():
            before = self.before[name]
            self.found[name] = {
                "cpu_s": before["cpu_s"] + cpu_seconds(process) - self.begun[name],
                "peak_bytes": max(before["peak_bytes"], peak_bytes(process), self.found.get(name, before)["peak_bytes"])}
