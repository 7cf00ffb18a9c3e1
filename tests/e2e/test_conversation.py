"""Real conversations with the demo model that is shipped (models/shoal-demo.gguf), on a shoal of four nodes."""

import unittest

from shoal import ROOT, Shoal, ShoalTestCase, in_parallel

DEMO_MODEL = ROOT / "models" / "shoal-demo.gguf"
KNOWN = "What happens when a phone dies?"
STORY = "Tell me a story."


def user(text):
    return {"role": "user", "content": text}


class Conversation(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        cls.share(DEMO_MODEL, nodes=4, context=1024, serve_args=["--kv-tokens", 8192])

    def say(self, messages, **body):
        """The answer's text and why it ended."""
        messages = [user(messages)] if isinstance(messages, str) else messages
        choice = self.shared.chat(messages, **{"max_tokens": 256, **body})["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    def stream(self, messages, **body):
        messages = [user(messages)] if isinstance(messages, str) else messages
        stream = self.shared.stream("/v1/chat/completions",
                                    {"messages": messages, "temperature": 0, "max_tokens": 256, **body})
        return stream.finish(), stream.finish_reason

    def test_knows_shoal(self):
        """Key facts are in the answers, which end by themselves."""
        for question, facts in ((KNOWN, ("layers", "same words")), ("How do I add a phone?", ("shoal token create", "shoal join")),
                                ("Which port do the nodes connect to?", ("7420",))):
            with self.subTest(question):
                answer, reason = self.say(question)
                for fact in facts:
                    self.assertIn(fact, answer)
                self.assertEqual(reason, "stop")
                self.assertEqual(answer, answer.strip())

    def test_system_message(self):
        answer, _ = self.say([{"role": "system", "content": "You are a helpful assistant."}, user("How do I add a phone?")])
        self.assertIn("shoal join", answer)

    def test_tells_a_story(self):
        answer, reason = self.say(STORY)
        self.assertGreater(len(answer.split()), 40)
        self.assertTrue(answer.endswith("The end."), answer)
        self.assertEqual(reason, "stop")

    def test_stream_equals_whole(self):
        for text in (KNOWN, STORY, "hello"):
            with self.subTest(text):
                self.assertEqual(self.stream(text), self.say(text))

    def test_stop_strings(self):
        """An answer ends before a stop string, wherever the tokens' borders are, and streaming sends none of it."""
        for question in (KNOWN, STORY):
            whole, _ = self.say(question)
            for stop in ([whole[5:12]], [whole[31:40], "not in it"], ["not in it", whole[-9:]]):
                with self.subTest(question=question, stop=stop):
                    at = min(whole.find(text) for text in stop if text in whole)
                    self.assertEqual(self.say(question, stop=stop), (whole[:at], "stop"))
                    self.assertEqual(self.stream(question, stop=stop), (whole[:at], "stop"))

    def test_leans_on_what_was_said(self):
        """The same question gets another answer when something was said before."""
        first = [user("What is the capital of France?")]
        answer, _ = self.say(first)
        self.assertIn("small demo model", answer)
        why = [*first, {"role": "assistant", "content": answer}, user("Why not?")]
        self.assertIn("taught", self.say(why)[0])
        self.assertNotIn("taught", self.say("Why not?")[0])
        first = [user("Tell me a joke.")]
        joke, _ = self.say(first)
        another, _ = self.say([*first, {"role": "assistant", "content": joke}, user("Another joke, please.")])
        self.assertNotEqual(another, joke)

    def test_long_conversation(self):
        """Ten exchanges, each with all that was said before."""
        messages = []
        for question in [KNOWN, "How do I add a phone?"] * 5:
            messages.append(user(question))
            answer, reason = self.say(messages)
            self.assertEqual(reason, "stop")
            messages.append({"role": "assistant", "content": answer})
        self.assertIn("shoal join", messages[-1]["content"])
        self.assertIn("layers", messages[-3]["content"])

    def test_many_users_at_once(self):
        """Everybody gets the answer that they would get alone, streamed or not."""
        texts = [KNOWN, "How do I add a phone?", STORY, "hello", "What is the capital of France?", "Tell me a joke.",
                 "Which port do the nodes connect to?", "Good night!"]
        alone = [self.say(text) for text in texts]
        together = in_parallel([lambda i=i, text=text: (self.stream if i % 2 else self.say)(text)
                                for i, text in enumerate(texts * 2)])
        self.assertEqual(together, alone * 2)

    def test_same_on_one_node(self):
        texts = [KNOWN, STORY]
        with Shoal(DEMO_MODEL, nodes=1, context=1024) as one:
            for text in texts:
                answer = one.chat(text, max_tokens=256)["choices"][0]["message"]["content"]
                self.assertEqual(answer, self.say(text)[0])


if __name__ == "__main__":
    unittest.main()
