"""Nodes that join a shoal that serves: the plan changes while answers go on."""

import unittest

from shoal import ShoalTestCase, model

PROMPTS = ["Once upon a time there was a fisherman", "The quick brown fox", "1, 2, 3,"]


class Moves(ShoalTestCase):
    def grow(self, shoal, **of_the_node):
        """Streams run while a node joins and gets layers: their texts are those of an undisturbed run."""
        expected = [shoal.complete(prompt, max_tokens=400) for prompt in PROMPTS]
        streams = [shoal.stream_completion(prompt, max_tokens=400) for prompt in PROMPTS]
        for stream in streams:
            stream.read_until(5)
        node = shoal.add_node(**of_the_node)
        texts = [stream.finish() for stream in streams]
        status = shoal.wait_status(lambda status: status["moves"] > 0 and status["state"] == "serving", "the new plan")
        self.assertEqual(texts, expected)
        self.assertEqual([shoal.complete(prompt, max_tokens=400) for prompt in PROMPTS], expected)
        self.assertIn(node.name, [stage["node_name"] for stage in status["plan"]["stages"]])
        self.assertIn("times as quick as the plan before", status["plan"]["explanation"])

    def test_a_node_that_joins_gets_layers(self):
        self.grow(self.start(model(), nodes=1, context=1024, serve_args=["--kv-tokens", 4096], keep_plan=False))

    def test_without_memory_for_both(self):
        """A node that cannot hold the old stage and the new one gets the shard first, and loads it when the plan changes."""
        shoal = self.start(model(layers=8, embedding=512, ffn=2048), nodes=1, context=1024,
                           serve_args=["--kv-tokens", 4096], memory="85MiB", keep_plan=False)
        self.grow(shoal, memory="800MiB")

    def test_spare_nodes_stay_spare(self):
        shoal = self.start(model(), nodes=2, serve_args=["--spares", 1], keep_plan=False)
        self.assertEqual(len(shoal.status()["plan"]["stages"]), 1)


if __name__ == "__main__":
    unittest.main()
