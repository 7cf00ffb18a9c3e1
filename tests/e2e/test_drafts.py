"""Tokens that are guessed ahead (drafts) save trips through the pipeline and change no answer.

A shoal with drafts and one without answer the same requests. Random weights repeat themselves soon when decoding is
greedy, so lookup finds what to guess; sampled text makes most guesses wrong, so rows are dropped all the time.
"""

import unittest

from shoal import ShoalTestCase, in_parallel, model

REPEATS = "red green blue white red green blue white red green blue"
REQUESTS = [
    {"prompt": REPEATS, "temperature": 0},
    {"prompt": REPEATS, "temperature": 0.4, "seed": 7},
    {"prompt": REPEATS, "temperature": 1.2, "top_k": 40, "seed": 8, "logprobs": 3},
    {"prompt": "Once upon a time", "temperature": 0, "logprobs": 2},
    {"prompt": "1 2 3 1 2 3 1 2 3 1", "temperature": 0.2, "min_p": 0.1, "seed": 9},
]


class DraftsChangeNoAnswer(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        settings = ["--exact", "on", "--kv-tokens", 2048]
        cls.with_drafts = cls.share(model(), nodes=3, context=512, serve_args=[*settings, "--draft-tokens", 8])
        cls.without = cls.share(model(), nodes=2, context=512, serve_args=[*settings, "--draft-tokens", 0])

    def answer(self, shoal, request, **more):
        choice = shoal.completion(**{"max_tokens": 96, **request, **more})["choices"][0]
        return choice["text"], choice["finish_reason"], choice.get("logprobs")

    def test_one_after_the_other(self):
        for request in REQUESTS:
            with self.subTest(request=request):
                self.assertEqual(self.answer(self.with_drafts, request), self.answer(self.without, request))
        status = self.with_drafts.status()
        self.assertGreater(status["drafts_accepted"], 0)
        self.assertGreater(status["drafts_sent"], status["drafts_accepted"])  # some were wrong, and were dropped
        self.assertEqual(self.without.status()["drafts_sent"], 0)

    def test_in_company(self):
        expected = [self.answer(self.without, request) for request in REQUESTS]
        together = in_parallel([lambda request=request: self.answer(self.with_drafts, request) for request in REQUESTS])
        self.assertEqual(together, expected)

    def test_stop_strings_and_limits(self):
        """A stop string in the middle of several tokens of one step, and a limit there, end the answer where they should."""
        text, _, _ = self.answer(self.without, REQUESTS[0])
        for more in ({"stop": [text[40:44]]}, {"max_tokens": 1}, {"max_tokens": 37}):
            with self.subTest(more=more):
                self.assertEqual(self.answer(self.with_drafts, REQUESTS[0], **more),
                                 self.answer(self.without, REQUESTS[0], **more))

    def test_streamed(self):
        stream = self.with_drafts.stream_completion(REPEATS, max_tokens=96, temperature=0)
        stream.finish()
        self.assertEqual(stream.text, self.answer(self.without, REQUESTS[0])[0])

    def test_a_node_dies_among_drafts(self):
        expected = self.answer(self.without, REQUESTS[0], max_tokens=200)[0]
        shoal = self.start(model(), nodes=3, context=512, serve_args=["--exact", "on", "--draft-tokens", 8])
        stream = shoal.stream_completion(REPEATS, max_tokens=200, temperature=0)
        stream.read_until(60)
        shoal.node_of_stage(1).kill()
        stream.finish()
        self.assertEqual(stream.text, expected)


if __name__ == "__main__":
    unittest.main()
