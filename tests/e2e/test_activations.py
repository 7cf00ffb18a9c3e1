"""`serve --activations`: hidden states in fewer bytes, only where exact answers are not asked for."""

import unittest

from shoal import ROOT, ShoalTestCase, complete, free_port, model, run, wait_until

DEMO = str(ROOT / "models" / "shoal-demo.gguf")
PROMPTS = ["Hello! Who are you?", "What is the capital of France?", "Tell me a story about a fish.", "What can you do?"]
LONG = "The sea is wide and the fish are many. " * 24


def best(answer):
    """The likeliest first tokens with their logprobs, likeliest first."""
    first = answer["choices"][0]["logprobs"]["content"][0]
    return [(each["token"], each["logprob"]) for each in first["top_logprobs"]]


class Types(ShoalTestCase):
    """The same prompts to shoals of two nodes that send f32, f16 and q8_0, all through the coordinator, which counts."""

    def ask(self, activations):
        shoal = self.start(DEMO, nodes=0, nodes_min=2, wait=False, context=768,
                           serve_args=["--exact", "off", "--activations", activations])
        for _ in range(2):
            shoal.add_node("--announce", f"127.0.0.1:{free_port()}")  # nobody listens there
        shoal.wait_serving(stages=2)
        shoal.wait_status(lambda status: status["plan"]["stages"][0]["link_to_next"] == "relay" and
                          status["plan"]["stages"][0]["sends"] == activations, f"{activations} through the coordinator")
        firsts = [best(shoal.chat(prompt, max_tokens=2, logprobs=True, top_logprobs=5)) for prompt in PROMPTS]
        before = shoal.status()["relayed_bytes"]
        shoal.completion(LONG, max_tokens=1)
        carried = shoal.wait_idle()["relayed_bytes"] - before
        table = run("status", "--state", shoal.state).stdout
        self.assertIn(f"relay, {activations}", table)
        shoal.close()
        return firsts, carried

    def test_answers_stay_close_and_bytes_shrink(self):
        """Logits move by no more than the formats' rounding explains; a clear choice of token stays the same."""
        firsts, carried = self.ask("f32")
        for activations, tolerance, least, most in (("f16", 0.05, 0.48, 0.60), ("q8_0", 0.2, 0.25, 0.38)):
            with self.subTest(activations):
                other_firsts, other_carried = self.ask(activations)
                for plain, packed in zip(firsts, other_firsts):
                    packed = dict(packed)
                    self.assertIn(plain[0][0], packed)
                    self.assertLess(abs(packed[plain[0][0]] - plain[0][1]), tolerance)
                    if plain[0][1] - plain[1][1] > 2 * tolerance:
                        self.assertEqual(max(packed, key=packed.get), plain[0][0])
                self.assertGreater(other_carried / carried, least)
                self.assertLess(other_carried / carried, most)


class SlowLink(ShoalTestCase):
    """A data link of 2 Mbit/s, on which a chunk of a prompt takes far longer than in a stage."""

    def start_slow(self, *arguments):
        shoal = self.start(model(), nodes=0, nodes_min=2, wait=False, serve_args=arguments)
        self.add_shaped_nodes(shoal, 2, "--rate-mbit", 2)
        return shoal

    def test_auto_sends_less(self):
        """With --exact off the link is measured, and after the first steps hidden states shrink; status tells it."""
        shoal = self.start_slow("--exact", "off")
        first = lambda status: status["plan"]["stages"][0]

        def asked():
            shoal.completion("Once upon a time", max_tokens=2)
            return first(shoal.status())["sends"] != "f32"

        wait_until(asked, "something smaller than f32")
        self.assertEqual(first(shoal.status())["sends"], "q8_0")
        self.assertIn("direct, q8_0", run("status", "--state", shoal.state).stdout)
        self.assertEqual(shoal.status()["plan"]["epoch"], 1)

    def test_an_exact_shoal_keeps_every_bit(self):
        """With --exact auto an exact shoal sends f32, whatever is asked for, and answers as one node does."""
        shoal = self.start_slow("--activations", "q8_0")
        self.assertEqual(shoal.complete("Once upon a time", max_tokens=8),
                         complete(model(), "Once upon a time", 1, "--context", 512, max_tokens=8).removesuffix("\n"))
        status = shoal.status()
        self.assertTrue(status["exact"], status["exactness"])
        self.assertEqual([stage["sends"] for stage in status["plan"]["stages"]], ["f32", "f32"])


class Contradiction(ShoalTestCase):
    def test_exact_on_forbids_it(self):
        for verb in (["serve", "--state", self.temporary_directory()], ["run", "--prompt", "x"]):
            done = run(*verb, "--model", model(), "--exact", "on", "--activations", "q8_0")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"\Ashoal: --activations q8_0 changes answers[^\n]*\n\Z")


if __name__ == "__main__":
    unittest.main()
