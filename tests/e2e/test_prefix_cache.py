"""Prompts that begin as an earlier text did are computed from where they differ, and every answer stays the same.

A shoal with the prefix cache and one without answer the same requests; the first says in `usage` what it found.
"""

import unittest

from shoal import ShoalTestCase, in_parallel, model

SYSTEM = "You answer in short and friendly sentences, you never guess, and you say so when you do not know a thing. "


class PrefixesChangeNoAnswer(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        settings = ["--exact", "on", "--kv-tokens", 2048, "--sequences", 6]
        cls.cached = cls.share(model(), nodes=3, context=512, serve_args=settings)
        cls.without = cls.share(model(), nodes=2, context=512, serve_args=[*settings, "--prefix-cache", "off"])

    def ask(self, shoal, prompt, **more):
        """The text, and (prompt tokens, of them cached)."""
        body = shoal.completion(prompt, **{"max_tokens": 24, "temperature": 0, **more})
        usage = body["usage"]
        return body["choices"][0]["text"], (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"])

    def check(self, prompt, **more):
        """The answer of both, and how much of the prompt was cached."""
        text, usage = self.ask(self.cached, prompt, **more)
        expected, used_without = self.ask(self.without, prompt, **more)
        self.assertEqual(text, expected)
        self.assertEqual(usage[0], used_without[0])
        self.assertEqual(used_without[1], 0)
        self.assertLess(usage[1], usage[0])
        return text, usage

    def test_a_conversation(self):
        """Each turn finds the one before."""
        text = "The first turn of a conversation about ships, sails and the wind at sea."
        for turn in range(4):
            answer, (prompt, cached) = self.check(text)
            if turn > 0:
                self.assertGreaterEqual(cached, before - 2)  # where texts meet, tokens may be others
            before = prompt
            text += answer + f" And turn {turn} of it goes on."

    def test_the_same_again(self):
        prompt = "Say the same again, word for word, as often as you are asked to."
        for more in ({}, {"temperature": 0.9, "seed": 5}, {"logprobs": 2}):
            self.check(prompt, **more)
            _, (size, cached) = self.check(prompt, **more)
            self.assertEqual(cached, size - 1)

    def test_a_system_prompt(self):
        """Users who share it find it, one after the other and at once, and do not disturb each other."""
        self.check(SYSTEM + "What is a harbor?")
        prompts = [SYSTEM + f"Question {i}: what is {thing}?" for i, thing in enumerate(("a reef", "a tide", "a gull", "a mast"))]
        for prompt in prompts[:2]:
            _, (_, cached) = self.check(prompt)
            self.assertGreater(cached, 16)
        expected = [self.ask(self.without, prompt)[0] for prompt in prompts * 2]
        together = in_parallel([lambda prompt=prompt: self.ask(self.cached, prompt) for prompt in prompts * 2])
        self.assertEqual([text for text, _ in together], expected)
        self.assertTrue(all(cached > 16 for _, (_, cached) in together), together)

    def test_more_than_fits(self):
        """Texts that together are far more than the KV holds: the oldest go, and nothing fails."""
        prompts = [f"Text number {i} is about {'many ' * (30 + 10 * (i % 5))}things." for i in range(12)]
        for prompt in prompts:
            self.check(prompt)
        self.check(prompts[0])
        _, (size, cached) = self.check(prompts[0])
        self.assertEqual(cached, size - 1)

    def test_a_node_dies(self):
        """What was kept is gone with the plan; the answers go on, and the next turn finds the new KV."""
        shoal = self.start(model(), nodes=3, context=512, serve_args=["--exact", "on", "--kv-tokens", 1024])
        prompt = SYSTEM + "Tell of the sea."
        self.ask(shoal, prompt)
        expected = self.ask(self.without, prompt, max_tokens=150)[0]
        stream = shoal.stream_completion(prompt, max_tokens=150, temperature=0)
        stream.read_until(60)
        shoal.node_of_stage(1).kill()
        stream.finish()
        self.assertEqual(stream.text, expected)
        _, (size, cached) = self.ask(shoal, prompt)
        self.assertEqual(cached, size - 1)

    def test_cancelled_answers_are_kept_rightly(self):
        """A client leaves in the middle: what its rows left in the KV serves the next one."""
        prompt = SYSTEM + "Tell a long tale."
        stream = self.cached.stream_completion(prompt, max_tokens=200, temperature=0)
        stream.read_until(40)
        stream.close()
        self.cached.wait_idle()
        self.check(prompt, max_tokens=60)


if __name__ == "__main__":
    unittest.main()
