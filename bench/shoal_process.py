"""A shoal of real processes on loopback, for benchmarks. Everything ends with the `with` block."""
import http.client
import json
import os
import re
import subprocess
import tempfile
import time

import processes
from common import free_port
from links import Link

# What this machine's battery and heat are must not matter to a measurement.
CARELESS = ["--battery-min", "0", "--temperature-max", "0", "--cpu-temperature-max", "0"]


class Shoal:
    """Nodes cut their shards from the model's file. With `shape` (links.py) a Link stands before the coordinator and before
    each node; it gets its shape when all stages are loaded. `keep_plan`: what else the machine does does not change the cut."""

    def __init__(self, binary, model, nodes, serve_args=(), threads=1, memory="4GiB", shape=None, keep_plan=True):
        self.binary, self.model, self.nodes = binary, model, nodes
        self.serve_args, self.threads, self.memory = list(serve_args), threads, memory
        self.serve_args += ["--keep-plan"] if keep_plan else []
        self.shape, self.links = shape, []
        self.processes = []

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="shoal-bench-")
        self.state = os.path.join(self.directory.name, "coordinator")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _spawn(self, name, arguments):
        with open(os.path.join(self.directory.name, name + ".log"), "w") as log:
            process = processes.start([self.binary, *arguments, "--until-stdin-closes"], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, stderr=log)
        self.processes.append(process)
        return process

    def _start(self):
        self.coordinator = self._spawn("serve", [
            "serve", "--model", self.model, "--listen", "127.0.0.1:0", "--cluster", "127.0.0.1:0", "--state", self.state,
            "--no-mdns", "--nodes", str(self.nodes), *self.serve_args])
        self._until(lambda: os.path.exists(os.path.join(self.state, "api.json")), 120)
        with open(os.path.join(self.state, "api.json")) as file:
            self.api = json.load(file)
        for i in range(self.nodes):
            link, addresses = self._addresses(self.post("/shoal/v1/tokens", {"ttl_seconds": 600})["link"])
            self._spawn(f"node-{i + 1}", [
                "join", link, "--name", f"node-{i + 1}", "--memory", self.memory, "--threads", str(self.threads),
                "--model", self.model, *addresses, *CARELESS, "--state", os.path.join(self.directory.name, f"node-{i + 1}")])
        self._until(lambda: self.status()["state"] == "serving", 600)
        for link in self.links:
            link.reshape(self.shape)

    def _addresses(self, link):
        """The join link and the addresses of a node: as they are, or through links."""
        if not self.shape:
            return link, ["--listen", "127.0.0.1:0"]
        if not self.links:
            coordinator = int(re.search(r"//127\.0\.0\.1:(\d+)", link).group(1))
            self.links.append(Link(coordinator))
        port = free_port()
        self.links.append(Link(port))
        return (re.sub(r"//127\.0\.0\.1:\d+", f"//127.0.0.1:{self.links[0].port}", link),
                ["--listen", f"127.0.0.1:{port}", "--announce", f"127.0.0.1:{self.links[-1].port}"])

    def _until(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"a process of the shoal ended early: {' '.join(process.args)}{self._last_words()}")
            if condition():
                return
            time.sleep(0.02)
        raise RuntimeError(f"the shoal was not ready within {seconds} s")

    def _last_words(self):
        words = ""
        for name in sorted(os.listdir(self.directory.name)):
            if name.endswith(".log"):
                with open(os.path.join(self.directory.name, name)) as file:
                    words += "".join(f"\n{name}: {line}" for line in file.read().splitlines()[-3:])
        return words

    def named_processes(self):
        """The coordinator's, and the stages' in the order of the pipeline."""
        nodes = {f"node-{i + 1}": process for i, process in enumerate(self.processes[1:])}
        return {"coordinator": self.processes[0]} | {
            f"stage-{i + 1}": nodes[stage["node_name"]] for i, stage in enumerate(self.status()["plan"]["stages"])}

    def request(self, method, path, body=None):
        host, port = self.api["api"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=600)
        key = self.api["admin_key"] if path.startswith("/shoal/") else self.api["api_key"]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {content}")
        return content

    def post(self, path, body):
        return self.request("POST", path, body)

    def status(self):
        return self.request("GET", "/shoal/v1/status")

    def complete(self, prompt_tokens, max_tokens, **sampling):
        """One completion of a prompt given as tokens; greedy unless `sampling` says otherwise."""
        return self.post("/v1/completions", {"prompt": prompt_tokens, "max_tokens": max_tokens, "temperature": 0, **sampling})

    def __exit__(self, *_):
        try:
            processes.end(self.processes)
            for link in self.links:
                link.close()
        finally:
            self.directory.cleanup()
