"""The peer: llama.cpp's own benchmarks, on the whole model and over its RPC."""
import json
import os
import socket
import subprocess
import time

from common import ROOT, free_port
from shoal_process import Link


def llama_source():
    return subprocess.run([os.path.join(ROOT, "scripts", "llama.sh"), "source-dir"], check=True, capture_output=True,
                          text=True).stdout.strip()


def llama_tools():
    directory = subprocess.run([os.path.join(ROOT, "scripts", "llama.sh"), "dir"], check=True, capture_output=True,
                               text=True).stdout.strip()
    return os.path.join(directory, "bin")


def llama_bench(tools, gguf, prefill, decode, *arguments):
    """(prefill, decode) of so many tokens, in tokens/s."""
    output = subprocess.run([os.path.join(tools, "llama-bench"), "-m", gguf, "-t", "1", "-p", str(prefill), "-n",
                             str(decode), "-r", "1", "-o", "json", *arguments], check=True, capture_output=True,
                            text=True).stdout
    rows = json.loads(output[output.index("["):])
    return (next(r["avg_ts"] for r in rows if r["n_prompt"]), next(r["avg_ts"] for r in rows if r["n_gen"]))


def batched_bench(tools, gguf, streams, decode, *arguments):
    """Decode of several streams at once, all together, in tokens/s."""
    output = subprocess.run([os.path.join(tools, "llama-batched-bench"), "-m", gguf, "-t", "1", "-c", "2048", "-npp", "16",
                             "-ntg", str(decode), "-npl", str(streams), "--output-format", "jsonl", *arguments],
                            check=True, capture_output=True, text=True).stdout
    row = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    return row["speed_tg"]


class RpcServers:
    """llama.cpp's RPC: servers of one thread, each a process, behind links of a shape (Link's arguments)."""

    def __init__(self, tools, count, shape=()):
        self.tools, self.count, self.shape, self.links = tools, count, shape, []

    def __enter__(self):
        self.ports = [free_port() for _ in range(self.count)]
        self.processes = [subprocess.Popen([os.path.join(self.tools, "ggml-rpc-server"), "-H", "127.0.0.1", "-p", str(port),
                                            "-t", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                          for port in self.ports]
        deadline = time.monotonic() + 10
        for port in self.ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        self.__exit__()
                        raise
                    time.sleep(0.02)
        if self.shape:
            self.links = [Link(port, self.shape) for port in self.ports]
        return ",".join(f"127.0.0.1:{port}" for port in ([link.port for link in self.links] or self.ports))

    def __exit__(self, *_):
        for link in self.links:
            link.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
