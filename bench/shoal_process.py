"""A shoal of real processes on loopback, for benchmarks. Everything ends with the `with` block."""
import http.client
import json
import os
import subprocess
import tempfile
import time


class Shoal:
    def __init__(self, binary, model, nodes, serve_args=(), threads=1, memory="4GiB"):
        self.binary, self.model, self.nodes = binary, model, nodes
        self.serve_args, self.threads, self.memory = list(serve_args), threads, memory
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
        log = open(os.path.join(self.directory.name, name + ".log"), "w")
        process = subprocess.Popen([self.binary, *arguments, "--until-stdin-closes"], stdin=subprocess.PIPE,
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
            link = self.post("/shoal/v1/tokens", {"ttl_seconds": 600})["link"]
            self._spawn(f"node-{i + 1}", [
                "join", link, "--name", f"node-{i + 1}", "--memory", self.memory, "--threads", str(self.threads),
                "--listen", "127.0.0.1:0", "--state", os.path.join(self.directory.name, f"node-{i + 1}")])
        self._until(lambda: self.status()["state"] == "serving", 300)

    def _until(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError("a process of the shoal ended early: " + " ".join(process.args))
            if condition():
                return
            time.sleep(0.02)
        raise RuntimeError(f"the shoal was not ready within {seconds} s")

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
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.directory.cleanup()
