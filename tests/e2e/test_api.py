"""OpenAI's API against a real shoal of three nodes."""

import http.client
import json
import math
import unittest

from shoal import HttpError, ShoalTestCase, in_parallel, model

CONTEXT = 512


class Api(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        cls.share(model(chat_template=True), nodes=3, context=CONTEXT, serve_args=["--kv-tokens", 4096])

    def refused(self, status, body, path="/v1/completions"):
        """The error object of a request that must be refused with this HTTP status."""
        with self.assertRaises(HttpError) as caught:
            self.shared.post(path, body)
        self.assertEqual(caught.exception.status, status, caught.exception.body)
        self.assertEqual(set(caught.exception.body), {"error"})
        error = caught.exception.error
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertNotEqual(error["message"], "")
        return error

    def test_models(self):
        """/v1/models lists the one model, /v1/models/ID describes it, another is a 404."""
        listed = self.shared.get("/v1/models")
        self.assertEqual((listed["object"], len(listed["data"])), ("list", 1))
        name = listed["data"][0]["id"]
        self.assertEqual(listed["data"][0]["object"], "model")
        self.assertEqual(listed["data"][0]["context_tokens_max"], CONTEXT)
        self.assertEqual(self.shared.get("/v1/models/" + name.replace(" ", "%20"))["id"], name)
        with self.assertRaises(HttpError) as caught:
            self.shared.get("/v1/models/none")
        self.assertEqual(caught.exception.status, 404)
        self.assertIn("text", self.shared.post("/v1/completions", {"model": name, "prompt": "a", "max_tokens": 1})["choices"][0])

    def test_completion(self):
        """The shape of an answer, its token counts, and finish_reason "length" at max_tokens."""
        answer = self.shared.completion("Once upon a time", max_tokens=7)
        self.assertEqual(answer["object"], "text_completion")
        choice = answer["choices"][0]
        self.assertEqual((choice["index"], choice["finish_reason"], choice["logprobs"]), (0, "length", None))
        usage = answer["usage"]
        self.assertEqual(usage["completion_tokens"], 7)
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + 7)
        longer = self.shared.completion("Once upon a time there was", max_tokens=7)["usage"]
        self.assertGreater(longer["prompt_tokens"], usage["prompt_tokens"])

    def test_tokens_as_prompt(self):
        """A prompt as token ids works; one beyond the vocabulary is refused by its place."""
        self.assertEqual(self.shared.completion([1, 1000, 2000, 3000], max_tokens=4)["usage"]["prompt_tokens"], 4)
        self.assertEqual(self.refused(400, {"prompt": [1, 99999999]})["param"], "prompt[1]")

    def test_chat(self):
        """A chat goes through the model's template: the same as the text written out."""
        answer = self.shared.chat("Hello", max_tokens=12)
        self.assertEqual(answer["object"], "chat.completion")
        message = answer["choices"][0]["message"]
        self.assertEqual(message["role"], "assistant")
        written = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        self.assertEqual(self.shared.complete(written, max_tokens=12), message["content"])

    def test_chat_of_several_turns(self):
        """Earlier turns matter: the last question alone gets another answer."""
        turns = [{"role": "system", "content": "You are a fish."}, {"role": "user", "content": "Hello"},
                 {"role": "assistant", "content": "Blub."}, {"role": "user", "content": "And?"}]
        answers = [self.shared.chat(turns, max_tokens=16), self.shared.chat(turns, max_tokens=16),
                   self.shared.chat(turns[-1:], max_tokens=16)]
        texts = [answer["choices"][0]["message"]["content"] for answer in answers]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])
        self.assertGreater(answers[0]["usage"]["prompt_tokens"], answers[2]["usage"]["prompt_tokens"])

    def test_streaming_is_the_same_text(self):
        """Streamed pieces put together are the text of the whole answer, for chat and for text, with usage on request."""
        whole = self.shared.completion("The quick brown fox", max_tokens=32)
        stream = self.shared.stream_completion("The quick brown fox", max_tokens=32, stream_options={"include_usage": True})
        self.assertEqual(stream.finish(), whole["choices"][0]["text"])
        self.assertEqual(stream.finish_reason, whole["choices"][0]["finish_reason"])
        self.assertEqual(stream.usage, whole["usage"])

        messages = [{"role": "user", "content": "Who are you?"}]
        chat = self.shared.chat(messages, max_tokens=32)["choices"][0]
        body = {"messages": messages, "temperature": 0, "max_tokens": 32}
        stream = self.shared.stream("/v1/chat/completions", body)
        first = next(stream)
        self.assertEqual((first["object"], first["choices"][0]["delta"]["role"]), ("chat.completion.chunk", "assistant"))
        self.assertEqual(stream.finish(), chat["message"]["content"])
        self.assertEqual(stream.finish_reason, chat["finish_reason"])
        self.assertIsNone(stream.usage)

    def test_stop_strings(self):
        """The text ends before the stop string, which is never seen, streamed or not; finish_reason is "stop"."""
        whole = self.shared.complete("Once upon a time", max_tokens=40)
        stop = whole[len(whole) // 2:len(whole) // 2 + 3]  # usually across the border of two tokens
        expected = whole[:whole.index(stop)]
        for stops in (stop, ["never seen here", stop]):
            answer = self.shared.completion("Once upon a time", max_tokens=40, stop=stops)["choices"][0]
            self.assertEqual((answer["text"], answer["finish_reason"]), (expected, "stop"))
            stream = self.shared.stream_completion("Once upon a time", max_tokens=40, stop=stops)
            self.assertEqual((stream.finish(), stream.finish_reason), (expected, "stop"))
        self.assertEqual(self.shared.complete("Once upon a time", max_tokens=40, stop="never seen here"), whole)

    def test_logprobs_of_chat(self):
        """Greedy: the chosen token is the first of its list; logprobs descend, probabilities sum to at most 1."""
        body = {"max_tokens": 8, "logprobs": True, "top_logprobs": 5}
        choice = self.shared.chat("Hello", **body)["choices"][0]
        content = choice["logprobs"]["content"]
        self.assertEqual(len(content), 8)
        for token in content:
            best = token["top_logprobs"]
            self.assertEqual(len(best), 5)
            self.assertEqual({k: token[k] for k in ("token", "logprob", "bytes")}, best[0])
            values = [entry["logprob"] for entry in best]
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertLessEqual(sum(map(math.exp, values)), 1 + 1e-6)
            self.assertLess(values[0], 0)
        text = bytes(byte for token in content for byte in token["bytes"]).decode(errors="replace")
        self.assertEqual(text, choice["message"]["content"])

    def test_logprobs_of_text(self):
        """/v1/completions has the older form: parallel lists with offsets into the text."""
        choice = self.shared.completion("Once", max_tokens=6, logprobs=3)["choices"][0]
        lists = choice["logprobs"]
        self.assertEqual({name: len(values) for name, values in lists.items()},
                         {"tokens": 6, "token_logprobs": 6, "top_logprobs": 6, "text_offset": 6})
        for token, logprob, best in zip(lists["tokens"], lists["token_logprobs"], lists["top_logprobs"]):
            self.assertEqual(max(best.values()), logprob)
            self.assertIn(token, best)
            self.assertLessEqual(sum(map(math.exp, best.values())), 1 + 1e-6)
        self.assertEqual(lists["text_offset"][0], 0)

    def test_sampling(self):
        """A seed gives the same text again, whatever the sampling; other seeds other texts."""
        for parameters in ({"temperature": 1}, {"temperature": 1, "top_k": 20}, {"temperature": 1, "top_p": 0.8},
                           {"temperature": 1, "min_p": 0.1}, {"temperature": 0.7, "top_k": 50, "top_p": 0.9, "min_p": 0.02}):
            with self.subTest(**parameters):
                texts = [self.shared.complete("Once upon", **parameters, seed=seed) for seed in (7, 7, 8, 9)]
                self.assertEqual(texts[0], texts[1])
                self.assertGreater(len(set(texts)), 1)
        greedy = self.shared.complete("Once upon")
        self.assertEqual(self.shared.complete("Once upon", temperature=1, top_k=1, seed=5), greedy)

    def test_eight_users_at_once(self):
        """Eight clients at once, streaming and not, get what each gets alone."""
        prompts = [f"Story number {i}: once upon a time" for i in range(8)]
        alone = [self.shared.complete(prompt, max_tokens=20) for prompt in prompts]
        ask = [lambda p=prompt: self.shared.complete(p, max_tokens=20) if len(p) % 2 else
               self.shared.stream_completion(p, max_tokens=20).finish() for prompt in prompts]
        self.assertEqual(in_parallel(ask + ask), alone + alone)

    def test_one_connection_many_requests(self):
        """HTTP keep-alive: several requests on one connection."""
        connection = http.client.HTTPConnection(*self.shared.api, timeout=30)
        self.addCleanup(connection.close)
        texts = set()
        for _ in range(3):
            connection.request("POST", "/v1/completions", json.dumps({"prompt": "One", "max_tokens": 4, "temperature": 0}),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            texts.add(json.loads(response.read())["choices"][0]["text"])
        self.assertEqual(len(texts), 1)

    # --- bad input ---

    def test_unknown_model(self):
        error = self.refused(404, {"model": "gpt-17", "prompt": "a"})
        self.assertEqual((error["code"], error["param"], error["type"]), ("model_not_found", "model", "invalid_request_error"))
        self.assertIn("gpt-17", error["message"])

    def test_wrong_types(self):
        """Each field with a value of the wrong kind is a 400 that names the field."""
        wrong = {"temperature": "hot", "max_tokens": -1, "top_p": 2, "top_k": 1.5, "min_p": [], "seed": "x", "stop": 3,
                 "stream": "yes", "logprobs": "all", "n": 2}
        for field, value in wrong.items():
            with self.subTest(field=field):
                error = self.refused(400, {"prompt": "a", field: value})
                self.assertEqual((error["param"], error["type"]), (field, "invalid_request_error"))
        for body, param in (({"messages": "hi"}, "messages"), ({"messages": []}, "messages"), ({}, "messages"),
                            ({"messages": [{"role": "fish", "content": "a"}]}, "messages[0].role"),
                            ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content")):
            with self.subTest(param=param, body=body):
                self.assertEqual(self.refused(400, body, "/v1/chat/completions")["param"], param)

    def test_no_json(self):
        for body in (b"", b"not json", b"[1]", b'{"prompt": ', b"\xff\xfe"):
            with self.subTest(body=body):
                self.refused(400, body)

    def test_prompt_longer_than_the_context(self):
        """A 400 that says both numbers; one that just fits is answered and ends with "length"."""
        error = self.refused(400, {"prompt": [5] * 600})
        self.assertEqual((error["code"], error["param"]), ("context_length_exceeded", "prompt"))
        self.assertIn("600", error["message"])
        self.assertIn(str(CONTEXT), error["message"])
        answer = self.shared.completion([5] * (CONTEXT - 3), max_tokens=100)
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        self.assertEqual(answer["usage"]["completion_tokens"], 3)

    def test_paths_and_keys(self):
        """Unknown paths are 404, wrong methods 405, admin endpoints want the key."""
        for method, path, status in (("GET", "/nothing", 404), ("GET", "/v1/completions", 405), ("POST", "/v1/models", 405),
                                     ("GET", "/shoal/v1/status", 401), ("POST", "/shoal/v1/tokens", 401)):
            with self.subTest(path=path):
                with self.assertRaises(HttpError) as caught:
                    self.shared.call(method, path)
                self.assertEqual(caught.exception.status, status)
        with self.assertRaises(HttpError) as caught:
            self.shared.call("GET", "/shoal/v1/status", key="wrong")
        self.assertEqual(caught.exception.status, 401)


class Disconnect(ShoalTestCase):
    """A client that goes away frees its sequence at once and disturbs nobody."""

    PROMPT = "Tell me everything about herring"

    @classmethod
    def setUpClass(cls):
        cls.share(model(), nodes=2, context=2048, serve_args=["--kv-tokens", 8192])

    def test_in_the_middle_of_a_stream(self):
        """2 s after a client is gone its sequence and its KV are free; the stream beside it ends as it would alone."""
        other = "Once upon a time"
        expected = self.shared.complete(other, max_tokens=600)
        beside = self.shared.stream_completion(other, max_tokens=600)
        beside.read_until(5)
        leaving = self.shared.stream_completion(self.PROMPT, max_tokens=1900)
        leaving.read_until(5)
        self.assertEqual(self.shared.status()["sequences_live"], 2)
        leaving.close()
        self.shared.wait_status(lambda status: status["sequences_live"] <= 1, "the sequence freed", 2)
        self.assertEqual(beside.finish(), expected)
        self.shared.wait_idle()

    def test_while_waiting_for_the_whole_answer(self):
        """A client that does not stream and goes away is noticed too."""
        connection = http.client.HTTPConnection(*self.shared.api, timeout=30)
        connection.request("POST", "/v1/completions", json.dumps({"prompt": self.PROMPT, "max_tokens": 1900}),
                           {"Content-Type": "application/json"})
        self.shared.wait_status(lambda status: status["sequences_live"] == 1, "the sequence begun")
        connection.close()
        self.shared.wait_idle()

    def test_many_times(self):
        """Forty clients that leave at any moment leak nothing: the KV takes a full load afterwards."""
        for i in range(10):
            streams = [self.shared.stream_completion(f"{self.PROMPT} {i}", max_tokens=1500, temperature=1) for _ in range(4)]
            for characters, stream in enumerate(streams):
                stream.read_until(characters * 10)
            for stream in streams:
                stream.close()
        self.shared.wait_idle()
        texts = in_parallel([lambda: self.shared.complete(self.PROMPT, max_tokens=8) for _ in range(8)])
        self.assertEqual(len(set(texts)), 1)
        self.shared.wait_idle()


if __name__ == "__main__":
    unittest.main()
