"""The coordinator ends, by kill -9 or because it is asked to, and is started again: nothing has to be set up again, and who
asks again with the same idempotency key gets the same answer, or its rest."""

import contextlib
import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import unittest

from shoal import SHOAL, HttpError, ShoalTestCase, in_parallel, model, run, wait_until

TOKENS = 400
GREEDY = ("Once upon a time there was a fisherman", "The quick brown fox")
SAMPLED = ("1, 2, 3,", "It was a dark and stormy night")  # at the default temperature, with no seed


def key(name):
    return {"Idempotency-Key": name}


class RestartCase(ShoalTestCase):
    def begin(self, **options):
        return self.start(model(chat_template=True), context=1024, serve_args=["--kv-tokens", 8192], **options)

    def restart(self, shoal):
        """Started again at the same addresses, as a service manager does it."""
        shoal.listen = "%s:%d" % shoal.api
        shoal.start_coordinator()

    def ask(self, shoal, prompt, name, headers=None, **body):
        body = {"max_tokens": TOKENS} | ({"temperature": 0} if prompt in GREEDY else {"temperature": 0.8}) | body
        return shoal.stream_completion(prompt, headers={**key(name), **(headers or {})}, **body)


class Killed(RestartCase):
    def test_answers_go_on(self):
        """kill -9 in the middle of four streams: nodes come back by themselves, and each answer is there, or its rest."""
        shoal = self.begin(nodes=3)
        calm = [shoal.complete(prompt, max_tokens=TOKENS) for prompt in GREEDY]
        prompts = [*GREEDY, *SAMPLED]
        nodes = [(node["id"], node["name"]) for node in shoal.status()["nodes"]]
        pids = [node.pid for node in shoal.nodes]
        logs = [len(node.log()) for node in shoal.nodes]
        begun = [self.ask(shoal, prompt, f"answer-{i}") for i, prompt in enumerate(prompts)]
        for stream in begun:
            stream.read_until(40)
        shoal.coordinator.kill()
        self.assertEqual([stream.break_off() for stream in begun], [True] * 4, "a broken stream must not look whole")
        self.restart(shoal)
        shoal.wait_serving(stages=3)
        self.assertEqual([(node["id"], node["name"]) for node in shoal.status()["nodes"]], nodes)
        self.assertEqual([node.pid for node in shoal.nodes if node.running()], pids)
        for node, length in zip(shoal.nodes, logs):
            told = re.findall(r"layers \S+, (.+) of (.+) on flash", node.log()[length:])
            self.assertTrue(told and all(have == total for have, total in told), "its shard is still on flash")

        rests = in_parallel([
            lambda i=i, has=stream.last_id: self.ask(shoal, prompts[i], f"answer-{i}", {"Last-Event-ID": has}).finish()
            for i, stream in enumerate(begun)])
        streams = [self.ask(shoal, prompt, f"answer-{i}") for i, prompt in enumerate(prompts)]
        whole = [stream.finish() for stream in streams]
        self.assertEqual(whole[:2], calm)
        self.assertEqual([stream.id for stream in streams], [stream.id for stream in begun])
        self.assertEqual([stream.text + rest for stream, rest in zip(begun, rests)], whole)
        self.assertTrue(all(len(stream.text) < len(text) for stream, text in zip(begun, whole)))
        other = self.ask(shoal, SAMPLED[0], "another-key").finish()
        self.assertNotEqual(other, whole[2], "another key draws another answer")

    def test_whole_answers(self):
        """Not streamed: the same id, time and text after kill -9; a key keeps its request; timings may differ."""
        shoal = self.begin(nodes=1)
        body = {"prompt": SAMPLED[0], "max_tokens": 24}

        def answer():
            told = shoal.post("/v1/completions", body, headers=key("k"))
            return {name: value for name, value in told.items() if name not in ("timings", "usage")}

        first = answer()
        shoal.coordinator.kill()
        self.restart(shoal)
        shoal.wait_serving()
        self.assertEqual(answer(), first)
        with self.assertRaises(HttpError) as caught:
            shoal.post("/v1/completions", {**body, "max_tokens": 25}, headers=key("k"))
        self.assertEqual((caught.exception.status, caught.exception.error["code"]), (422, "idempotency_key_reused"))

    def test_another_model(self):
        """With another context the answer might be another one: a key of before is refused in words."""
        shoal = self.begin(nodes=1)
        body = {"prompt": SAMPLED[0], "max_tokens": 4}
        shoal.post("/v1/completions", body, headers=key("k"))
        shoal.coordinator.stop()
        shoal.serve_args[shoal.serve_args.index("--context") + 1] = "512"
        self.restart(shoal)
        with self.assertRaises(HttpError) as caught:
            shoal.post("/v1/completions", body, headers=key("k"))
        self.assertEqual((caught.exception.status, caught.exception.error["code"]), (422, "model_changed"))

    def test_what_is_desired_stays(self):
        """Pauses, revocations and join links survive kill -9, again and again, and the store stays whole."""
        shoal = self.begin(nodes=2)
        ids = {node["name"]: node["id"] for node in shoal.status()["nodes"]}
        paused, revoked = ids["node-1"], ids["node-2"]
        link = shoal.token()
        shoal.post(f"/shoal/v1/nodes/{paused}/pause", {}, admin=True)
        shoal.call("DELETE", f"/shoal/v1/nodes/{revoked}", admin=True)
        for round_ in range(8):

            written = []

            def write():  # commits, until the coordinator is gone
                with contextlib.suppress(OSError, http.client.HTTPException):
                    while True:
                        written.append(shoal.token())

            writer = threading.Thread(target=write, daemon=True)
            writer.start()
            wait_until(lambda: len(written) > 3 * round_, "some links", pause=0.001)
            shoal.coordinator.kill()
            writer.join(10)
            with contextlib.closing(sqlite3.connect(shoal.state / "shoal.db")) as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], round_)
            self.restart(shoal)
        self.assertEqual([(node["id"], node["paused"]) for node in shoal.status()["nodes"]], [(paused, True)])
        shoal.add_node(link=link, name="late")
        status = shoal.wait_serving()
        self.assertEqual({node["name"]: node["paused"] for node in status["nodes"]}, {"node-1": True, "late": False})
        self.assertEqual([stage["node_name"] for stage in status["plan"]["stages"]], ["late"])

    def test_clients_see_it(self):
        """kill -9 ends a stream in the middle of HTTP's body, which every client is told."""
        shoal = self.begin(nodes=1)
        body = json.dumps({"prompt": GREEDY[0], "temperature": 0, "max_tokens": 900, "stream": True})
        curl = subprocess.Popen(["curl", "-sN", "http://%s:%d/v1/completions" % shoal.api, "-d", body], stdout=subprocess.PIPE)
        self.addCleanup(curl.kill)
        self.assertIn(b"data: ", curl.stdout.readline())
        connection, response = shoal.request("POST", "/v1/completions", body)
        self.addCleanup(connection.close)
        self.assertIn(b"data: ", response.read(40))
        shoal.coordinator.kill()
        with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        rest, _ = curl.communicate(timeout=20)
        self.assertNotIn(b"[DONE]", rest)
        self.assertIn(curl.returncode, (18, 56), "a transfer that broke off")  # in the body, or by a reset


class Stopped(RestartCase):
    def test_running_answers_end_with_a_typed_error(self):
        """SIGTERM, and the end of standard input: a stream ends with an error event, a waiting request with 503."""
        for end in (lambda coordinator: os.kill(coordinator.pid, signal.SIGTERM), lambda coordinator: coordinator.stop()):
            shoal = self.begin(nodes=1)
            outcome = []

            def wait_for_it():
                connection, response = shoal.request("POST", "/v1/completions", {"prompt": GREEDY[1], "temperature": 0,
                                                                                 "max_tokens": 900})
                outcome.append((response.status, response.headers["Retry-After"], json.loads(response.read())["error"]))
                connection.close()

            waiting = threading.Thread(target=wait_for_it, daemon=True)
            waiting.start()
            stream = shoal.stream_completion(GREEDY[0], max_tokens=900)
            stream.read_until(20)
            shoal.wait_status(lambda status: status["sequences_live"] == 2, "both running")
            end(shoal.coordinator)
            with self.assertRaises(HttpError) as caught:
                stream.finish()
            waiting.join(20)
            self.assertEqual(caught.exception.error["code"], "shutting_down")
            self.assertEqual([(status, after, error["code"]) for status, after, error in outcome], [(503, "5", "shutting_down")])
            self.assertEqual(shoal.coordinator.process.wait(20), 0)


class Chat(RestartCase):
    def chat_through(self, end):
        """`shoal chat` while the coordinator ends and comes back: the undisturbed answer, and its stderr."""
        shoal = self.begin(nodes=2)
        arguments = ["chat", "--state", shoal.state, "--temperature", 0, "--max-tokens", TOKENS, "Who are you?"]
        calm = run(*arguments)
        self.assertEqual((calm.returncode, calm.stderr), (0, ""))
        chat = subprocess.Popen([SHOAL, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
        self.addCleanup(chat.kill)
        begun = os.read(chat.stdout.fileno(), 20)
        end(shoal.coordinator)
        self.restart(shoal)
        rest, complaints = chat.communicate(timeout=60)
        self.assertEqual(chat.returncode, 0, complaints)
        self.assertEqual((begun + rest).decode(), calm.stdout)
        return complaints.decode()

    def test_survives_kill(self):
        self.assertRegex(self.chat_through(lambda coordinator: coordinator.kill()),
                         r"\Ashoal: the connection to the coordinator at \S+ broke \(.+\); asking again for up to 60 s\n\Z")

    def test_survives_a_stop(self):
        self.assertRegex(self.chat_through(lambda coordinator: coordinator.stop()),
                         r"\Ashoal: the coordinator is shutting down: .+; asking again for up to 60 s\n\Z")


if __name__ == "__main__":
    unittest.main()
