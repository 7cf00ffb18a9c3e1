"""Several pipelines beside each other: answers are spread over them, and outlive the loss of one."""

import unittest

from shoal import ShoalTestCase, model, run

PROMPTS = ["Once upon a time there was a fisherman", "The quick brown fox", "1, 2, 3,", "Say it again"]
SAMPLED = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}


class Replicas(ShoalTestCase):
    def start_two_pipelines(self):
        """Four nodes, any two of which hold the model, but none alone."""
        shoal = self.start(model(layers=8, embedding=512, ffn=2048), nodes=4, nodes_min=4, context=1024,
                           serve_args=["--kv-tokens", 4096, "--replicas", 2], memory="55MiB")
        shoal.wait_status(lambda status: [pipeline["state"] for pipeline in status["pipelines"]] == ["serving"] * 2,
                          "two pipelines")
        return shoal

    def texts_of(self, streams):
        return [stream.finish() for stream in streams]

    def test_answers_are_spread(self):
        shoal = self.start_two_pipelines()
        expected = [shoal.complete(prompt, max_tokens=60) for prompt in PROMPTS]
        streams = [shoal.stream_completion(prompt, max_tokens=300) for prompt in PROMPTS]
        for stream in streams:
            stream.read_until(3)
        status = shoal.status()
        live = [pipeline["sequences_live"] for pipeline in status["pipelines"]]
        self.assertEqual(sum(live), 4)
        self.assertGreaterEqual(min(live), 1, "each goes where it is done first")
        self.assertEqual(len({node["id"] for node in status["nodes"] if node["pipeline"] == 1}), 2)
        self.assertEqual(len({node["id"] for node in status["nodes"] if node["pipeline"] == 2}), 2)
        self.assertTrue(status["exact"], status["exactness"])
        for text, beginning in zip(self.texts_of(streams), expected):
            self.assertEqual(text[:len(beginning)], beginning)
        why = run("status", "--why", "--state", shoal.state).stdout
        self.assertIn("pipeline 2\n", why)
        self.assertIn("a row of a prompt", why)
        table = run("status", "--state", shoal.state).stdout
        self.assertIn("pipeline 1: serving, 0 live, 0 waiting", table)

    def test_a_node_dies_and_its_answers_go_on_in_the_other_pipeline(self):
        """Drawn at random with a seed: a token that was chosen twice would change all that follow."""
        shoal = self.start_two_pipelines()
        ask = [dict(SAMPLED, seed=seed, max_tokens=250, prompt=prompt) for seed, prompt in enumerate(PROMPTS)]
        expected = [shoal.complete(**each) for each in ask]
        streams = [shoal.stream_completion(**each) for each in ask]
        for stream in streams:
            stream.read_until(5)
        victim = shoal.status()["pipelines"][0]["plan"]["stages"][0]["node_name"]
        node = next(node for node in shoal.nodes if node.name == victim)
        node.kill()
        self.assertEqual(self.texts_of(streams), expected)
        status = shoal.status()
        self.assertGreaterEqual(status["sequences_moved"], 1)
        self.assertIn("went from pipeline 1 to 2: there is no plan here any more", " ".join(status["decisions"]))
        events = run("events", "--state", shoal.state).stdout
        self.assertRegex(events, "answers? goe?s? on in pipeline 2 instead of 1: there is no plan here any more")

        shoal.restart_node(node)
        shoal.wait_status(lambda status: [pipeline["state"] for pipeline in status["pipelines"]] == ["serving"] * 2,
                          "both pipelines again")
        self.assertEqual([shoal.complete(**each) for each in ask], expected)

    def test_where_no_pipeline_is_left_all_nodes_are_one(self):
        shoal = self.start_two_pipelines()
        expected = [shoal.complete(prompt, max_tokens=250) for prompt in PROMPTS]
        streams = [shoal.stream_completion(prompt, max_tokens=250) for prompt in PROMPTS]
        for stream in streams:
            stream.read_until(5)
        for pipeline in shoal.status()["pipelines"]:
            victim = pipeline["plan"]["stages"][-1]["node_name"]
            next(node for node in shoal.nodes if node.name == victim).kill()
        self.assertEqual(self.texts_of(streams), expected)
        status = shoal.wait_serving()
        self.assertEqual(sorted(pipeline["nodes"] for pipeline in status["pipelines"]), [0, 2])


if __name__ == "__main__":
    unittest.main()
