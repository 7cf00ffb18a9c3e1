"""A draft model beside the coordinator guesses ahead and changes no answer, whether it guesses well or badly.

The model of the shoal as its own draft model is nearly always right when decoding is greedy; one of other weights is
nearly always wrong.
"""

import re
import unittest

from shoal import ShoalTestCase, in_parallel, model, run
from test_drafts import REQUESTS

SETTINGS = ["--exact", "on", "--kv-tokens", 2048]
# Text that does not repeat itself: lookup has nothing to say.
PLAIN = {"prompt": "The quick brown fox jumps over the lazy dog, and then", "temperature": 1.0, "seed": 3}


class ADraftModelChangesNoAnswer(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        cls.without = cls.share(model(), nodes=2, context=512, serve_args=[*SETTINGS, "--draft-tokens", 0])
        cls.right = cls.share(model(), nodes=3, context=512, serve_args=[*SETTINGS, "--draft-model", model()])
        cls.wrong = cls.share(model(), nodes=2, context=512,
                              serve_args=[*SETTINGS, "--draft-model", model(layers=2, seed=5)])

    def answer(self, shoal, request, **more):
        choice = shoal.completion(**{"max_tokens": 64, **request, **more})["choices"][0]
        return choice["text"], choice["finish_reason"], choice.get("logprobs")

    def test_one_after_the_other(self):
        for request in [*REQUESTS, PLAIN]:
            expected = self.answer(self.without, request)
            for shoal in (self.right, self.wrong):
                with self.subTest(request=request, shoal=shoal.status()["draft_model"]):
                    self.assertEqual(self.answer(shoal, request), expected)

    def test_good_drafts_come_true_and_bad_ones_do_not(self):
        for shoal in (self.right, self.wrong):
            for i in range(8):  # where it does not pay now, it is asked again after 256 steps
                if shoal.status()["model_drafts_sent"] > 0:
                    break
                self.answer(shoal, {"prompt": f"One two three {i}", "temperature": 0})
        right, wrong = self.right.status(), self.wrong.status()
        self.assertGreater(right["model_drafts_sent"], 0)
        self.assertGreater(right["model_drafts_accepted"], 0.5 * right["model_drafts_sent"])
        self.assertGreater(wrong["model_drafts_sent"], 0)
        self.assertLess(wrong["model_drafts_accepted"], 0.2 * wrong["model_drafts_sent"])
        self.assertEqual(self.without.status()["draft_model"], "")

    def test_in_company(self):
        expected = [self.answer(self.without, request) for request in REQUESTS]
        for shoal in (self.right, self.wrong):
            together = in_parallel([lambda request=request: self.answer(shoal, request) for request in REQUESTS])
            self.assertEqual(together, expected)

    def test_a_long_prompt_is_read_while_the_pipeline_computes_it(self):
        request = {"prompt": " ".join(f"word{i}" for i in range(90)), "temperature": 0, "max_tokens": 40}
        self.assertEqual(self.answer(self.right, request), self.answer(self.without, request))

    def test_a_node_dies_among_drafts(self):
        request = {"prompt": "Once upon a time", "temperature": 0, "max_tokens": 160}
        expected = self.answer(self.without, request)[0]
        shoal = self.start(model(), nodes=3, context=512, serve_args=[*SETTINGS, "--draft-model", model()])
        stream = shoal.stream_completion(request["prompt"], max_tokens=160, temperature=0)
        stream.read_until(60)
        shoal.node_of_stage(1).kill()
        stream.finish()
        self.assertEqual(stream.text, expected)

    def test_another_vocabulary_is_refused_in_a_line(self):
        other = model("qwen3")
        result = run("serve", "--model", model(), "--draft-model", other, "--state", self.temporary_directory(),
                     "--listen", "127.0.0.1:0", "--cluster", "127.0.0.1:0")
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, re.compile(r"^shoal: .*draft model has another vocabulary.*$", re.MULTILINE))


if __name__ == "__main__":
    unittest.main()
