"""The same bits whatever the shoal: equal text on 1, 2, 3, 4 and 8 node processes.

`shoal run` on one node is the reference here; that one node equals llama.cpp on the whole model is tested beside the
engine (src/engine/exactness_test.cc), bit by bit. Random weights make greedy text a sharp witness: the best two tokens
are close, so that a wrong rounding shows soon.
"""

import pathlib
import unittest

from shoal import Shoal, ShoalTestCase, complete, in_parallel, model, run

CPU = pathlib.Path("/proc/cpuinfo").read_text().replace("\n", " ")

SHORT = "The quick brown fox"
# Some 300 tokens: more than nine chunks of a prompt, more than four micro-batches of the largest size.
LONG = " ".join(f"On day {i} the fisherman counted {i * 37 % 101} herring and {i * 53 % 89} cod, then slept." for i in range(16))

KINDS = {
    "llama": {"arch": "llama", "type": "Q4_0"},
    "llama with K-quants": {"arch": "llama", "type": "Q4_K_M"},
    "llama, Q5_K": {"arch": "llama", "type": "Q5_K"},
    "llama, tied, factors": {"arch": "llama", "type": "Q8_0", "tied": True, "rotary_factors": True},
    "llama, F16": {"arch": "llama", "type": "F16"},
    "qwen3": {"arch": "qwen3", "type": "Q6_K"},
    "gemma3": {"arch": "gemma3", "type": "Q8_0", "layers": 24, "window": 64},
    "phi3": {"arch": "phi3", "type": "Q4_0"},
    "olmoe": {"arch": "olmoe", "type": "Q4_0", "kv_heads": 8},
    "qwen3moe": {"arch": "qwen3moe", "type": "Q4_K"},
}


class EqualOnAnyNumberOfNodes(ShoalTestCase):
    def check(self, kind, nodes, prompt=LONG, arguments=(), exact="on"):
        # Not "auto": what exact kernels cost is measured, and where that is near the limit the choice is a matter of
        # what else the machine does.
        path = model(**KINDS[kind])
        arguments = ["--context", "640", "--exact", exact, *arguments]
        alone = complete(path, prompt, 1, *arguments)
        self.assertGreater(len(alone.strip()), 10)
        for count in nodes:
            with self.subTest(nodes=count):
                self.assertEqual(complete(path, prompt, count, *arguments), alone)

    def test_llama_on_all_counts(self):
        self.check("llama", (2, 3, 4, 8))

    def test_llama_short_prompt(self):
        self.check("llama", (2, 8), SHORT)

    def test_llama_k_quants(self):
        self.check("llama with K-quants", (3,))

    def test_llama_q5_k(self):
        self.check("llama, Q5_K", (2,))

    def test_llama_tied_with_rotary_factors(self):
        self.check("llama, tied, factors", (4,))

    def test_qwen3(self):
        self.check("qwen3", (3,))

    def test_gemma3(self):
        self.check("gemma3", (2, 3, 4, 8))

    def test_phi3(self):
        self.check("phi3", (4,))

    def test_olmoe(self):
        self.check("olmoe", (3,))

    def test_qwen3moe(self):
        self.check("qwen3moe", (4,))

    def test_q8_0_kv(self):
        self.check("llama", (4,), arguments=("--kv-type", "q8_0"))

    def test_f16(self):
        """F16, whose fast kernels are not exact on every processor."""
        self.check("llama, F16", (4,))

    def test_sampling_with_a_seed(self):
        """A seed and a temperature give the same text on one and on four nodes, another seed another text."""
        sampling = ("--temperature", "1", "--seed")
        self.check("llama", (4,), SHORT, (*sampling, "42"))
        path = model(**KINDS["llama"])
        self.assertNotEqual(complete(path, SHORT, 1, *sampling, "42"), complete(path, SHORT, 1, *sampling, "43"))

    def test_split_set(self):
        """A model in three files answers like the same model in one."""
        arguments = ("--context", "640", "--exact", "on")
        parts = model(split=3)
        self.assertIn("-00001-of-00003", parts)
        self.assertEqual(complete(parts, LONG, 3, *arguments), complete(model(), LONG, 1, *arguments))


class EqualInCompany(ShoalTestCase):
    """Sequences that are computed together do not change each other."""

    PROMPTS = [SHORT, "Once upon a time", LONG[:400], "1, 2, 3, 4,"]

    def check(self, *settings, **options):
        settings = ["--exact", "on", *settings]
        path = model(**options)
        shoal = self.start(path, nodes=3, context=512, serve_args=["--kv-tokens", 2048, *settings])
        alone = [shoal.complete(prompt, max_tokens=48) for prompt in self.PROMPTS]
        together = in_parallel([lambda prompt=prompt: shoal.complete(prompt, max_tokens=48) for prompt in self.PROMPTS])
        self.assertEqual(together, alone)
        for prompt, text in zip(self.PROMPTS[:2], alone):
            self.assertEqual(complete(path, prompt, 1, "--context", "512", *settings, max_tokens=48), text + "\n")
        return shoal.status()

    def test_four_at_once(self):
        self.check()

    def test_four_at_once_with_q8_0_kv(self):
        self.check("--kv-type", "q8_0")

    def test_four_at_once_exact_on(self):
        """--exact on: four sequences together give what each gives alone, and the status says that it is exact."""
        status = self.check(type="F16")
        self.assertTrue(status["exact"], status["exactness"])
        self.assertTrue(status["exactness"].startswith("exact"), status["exactness"])

    @unittest.skipUnless(" avx2 " in CPU, "IQ4_XS has its own kernels for panels of rows on AVX2 only")
    def test_a_type_without_exact_kernels(self):
        """IQ4_XS: answers under auto, and the status says that it is not exact; under on no node loads it, and says why."""
        path = model(type="IQ4_XS")
        with Shoal(path, nodes=2, serve_args=["--exact", "auto"]) as shoal:
            status = shoal.status()
            self.assertFalse(status["exact"])
            self.assertRegex(status["exactness"], r"\Anot exact: node-\d: (?!not exact).+\Z")
            self.assertGreater(len(shoal.complete(SHORT)), 0)
        refused = run("run", "--model", path, "--nodes", 2, "--prompt", SHORT, "--exact", "on", "--log", "off")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertRegex(refused.stderr, r"\Ashoal: [^\n]*cannot be exact on this processor: [^\n]*--exact auto or off\n\Z")

    def test_the_status_says_why_not(self):
        """Every stage exact: the status says so. One that is not: it says which node's, and why."""
        for mode in ("auto", "off"):
            with self.subTest(mode=mode):
                with Shoal(model(type="F16"), nodes=2, serve_args=["--exact", mode]) as shoal:
                    status = shoal.status()
                    self.assertEqual(status["exact"], all(stage["exact"] for stage in status["plan"]["stages"]))
                    if status["exact"]:
                        self.assertRegex(status["exactness"], r"\Aexact: every stage proved it \(.+\)\Z")
                    else:
                        self.assertRegex(status["exactness"], r"\Anot exact: node-\d: (?!not exact).+\Z")
                    self.assertGreater(len(shoal.complete(SHORT)), 0)


if __name__ == "__main__":
    unittest.main()
