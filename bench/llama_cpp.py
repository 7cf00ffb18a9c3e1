"""The peer: llama.cpp's own benchmarks, on the whole model and over its RPC."""
import json
import os
import socket
import subprocess
import threading
import time

import processes
from common import ROOT, free_port
from links import Link

CELL_PATIENCE_S = 3600  # a benchmark of the peer that takes longer is killed


def llama_source():
    return subprocess.run([os.path.join(ROOT, "scripts", "llama.sh"), "source-dir"], check=True, capture_output=True,
                          text=True).stdout.strip()


def llama_tools():
    directory = subprocess.run([os.path.join(ROOT, "scripts", "llama.sh"), "dir"], check=True, capture_output=True,
                               text=True).stdout.strip()
    return os.path.join(directory, "bin")


def batched_bench(tools, gguf, prompts, decode, streams, context, arguments=(), warm=None, row_done=None):
    """llama-batched-bench with one thread: its rows, one for each length in `prompts` and number in `streams`.

    The first row only warms up and is left out. `warm(process)` is called behind it, `row_done(process)` behind each.
    """
    process = processes.start(
        [os.path.join(tools, "llama-batched-bench"), "-m", gguf, "-t", "1", "-c", str(context),
         "-npp", ",".join(map(str, prompts)), "-ntg", str(decode), "-npl", ",".join(map(str, streams)),
         "--output-format", "jsonl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    alarm = threading.Timer(CELL_PATIENCE_S, process.kill)
    alarm.daemon = True
    alarm.start()
    rows = []
    try:
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            rows.append(json.loads(line))
            if len(rows) == 1:
                if warm:
                    warm(process)
            elif row_done:
                row_done(process)
        if process.wait() != 0 or len(rows) != len(prompts) * len(streams):
            raise RuntimeError(f"llama-batched-bench ended with {process.returncode} after {len(rows)} rows")
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    return rows[1:]


class RpcServers:
    """llama.cpp's RPC: servers of one thread, each a process, each behind a link when `shape` is given."""

    def __init__(self, tools, count, shape=None):
        self.tools, self.count, self.shape = tools, count, shape
        self.processes, self.links = [], []

    def __enter__(self):
        try:
            ports = [free_port() for _ in range(self.count)]
            for port in ports:
                self.processes.append(processes.start(
                    [os.path.join(self.tools, "ggml-rpc-server"), "-H", "127.0.0.1", "-p", str(port), "-t", "1"],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for port in ports:
                self._await(port)
            if self.shape:
                for port in ports:
                    self.links.append(Link(port))
            self.addresses = ",".join(f"127.0.0.1:{port}" for port in ([link.port for link in self.links] or ports))
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await(self, port):
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    @property
    def arguments(self):
        return ["--rpc", self.addresses, "-ngl", "99"]

    def slow_down(self, slow):
        """Gives the links their shape, or takes it away while weights are loaded."""
        for link in self.links:
            link.reshape(self.shape if slow else None)

    def __exit__(self, *_):
        for link in self.links:
            link.close()
        processes.end(self.processes)
