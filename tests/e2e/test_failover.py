"""Nodes that die, links that cannot be had: the answer stays the same."""

import socket
import threading
import unittest

from shoal import HttpError, ShoalTestCase, model, run, wait_until

PROMPT = "Once upon a time there was a fisherman"


class Failover(ShoalTestCase):
    def test_node_dies_in_the_middle(self):
        """kill -9 of each of three nodes in turn, streams running: they pause and end with the text of an undisturbed run."""
        shoal = self.start(model(), nodes=3, context=1024, serve_args=["--kv-tokens", 4096])
        prompts = [PROMPT, "The quick brown fox", "1, 2, 3,"]
        expected = [shoal.complete(prompt, max_tokens=400) for prompt in prompts]
        for victim in list(shoal.nodes):
            with self.subTest(victim=victim.name):
                streams = [shoal.stream_completion(prompt, max_tokens=400) for prompt in prompts]
                for stream in streams:
                    stream.read_until(20)
                self.assertEqual(shoal.status()["sequences_live"], 3)
                victim.kill()
                self.assertEqual([stream.finish() for stream in streams], expected)
                shoal.wait_serving(stages=2)
                shoal.wait_idle()
                shoal.restart_node(victim)
                shoal.wait_status(lambda status: all(n["state"] == "connected" for n in status["nodes"]), "the node back")

    def resumed(self, shoal, before):
        """How many answers went on where they were, and how many were computed again, since that status."""
        status = shoal.status()
        return tuple(status[name] - before[name] for name in ("sequences_resumed", "sequences_restarted"))

    def test_a_spare_node_takes_its_place(self):
        """kill -9 of the host of each stage in turn, with a spare node: answers go on from what the others still have."""
        shoal = self.start(model(), nodes=3, context=1024, serve_args=["--kv-tokens", 4096])
        shoal.add_node()
        shoal.wait_status(lambda status: sum(n["state"] == "connected" for n in status["nodes"]) == 4, "the spare node")
        prompts = [PROMPT, "The quick brown fox", "1, 2, 3,"]
        expected = [shoal.complete(prompt, max_tokens=400) for prompt in prompts]
        for place in (0, 1, 2):
            with self.subTest(place=place):
                before = shoal.status()
                hosts = [stage["node_name"] for stage in before["plan"]["stages"]]
                victim = next(node for node in shoal.nodes if node.name == hosts[place])
                streams = [shoal.stream_completion(prompt, max_tokens=400) for prompt in prompts]
                for stream in streams:
                    stream.read_until(20)
                victim.kill()
                self.assertEqual([stream.finish() for stream in streams], expected)
                after = [stage["node_name"] for stage in shoal.status()["plan"]["stages"]]
                self.assertEqual([a == b for a, b in zip(hosts, after)], [i != place for i in range(3)])
                # Twice, where a neighbour has seen the broken link before the coordinator has.
                self.assertIn(self.resumed(shoal, before), [(3, 0), (6, 0)])
                shoal.wait_idle()
                shoal.restart_node(victim)
                shoal.wait_status(lambda status: all(n["state"] == "connected" for n in status["nodes"]), "the node back")

    def test_a_node_is_paused(self):
        """`shoal node pause`: the node serves until a spare one has its layers, answers go on there; it is spare when resumed."""
        shoal = self.start(model(), nodes=3, context=1024, serve_args=["--kv-tokens", 4096])
        shoal.add_node(name="the-spare")
        shoal.wait_status(lambda status: sum(n["state"] == "connected" for n in status["nodes"]) == 4, "the spare node")
        prompts = [PROMPT, "The quick brown fox", "1, 2, 3,"]
        expected = [shoal.complete(prompt, max_tokens=400) for prompt in prompts]
        hosts = [stage["node_name"] for stage in shoal.status()["plan"]["stages"]]
        before = shoal.status()
        streams = [shoal.stream_completion(prompt, max_tokens=400) for prompt in prompts]
        for stream in streams:
            stream.read_until(20)
        done = run("node", "pause", hosts[1], "--state", shoal.state)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, rf"\A{hosts[1]} \([0-9a-f]{{8}}\) is paused: it hosts nothing as soon as ")
        self.assertEqual([stream.finish() for stream in streams], expected)
        status = shoal.wait_status(lambda status: status["plan"]["stages"][1]["node_name"] == "the-spare", "its layers moved")
        self.assertEqual([stage["node_name"] for stage in status["plan"]["stages"]], [hosts[0], "the-spare", hosts[2]])
        self.assertEqual(self.resumed(shoal, before)[1], 0)
        self.assertRegex(run("node", "list", "--state", shoal.state).stdout, rf"(?m)^{hosts[1]} .* paused ")
        events = run("events", "--state", shoal.state).stdout
        self.assertRegex(events, rf"{hosts[1]} +paused; another is to take its layers? ")
        self.assertRegex(events, rf"the-spare takes layers? [-0-9]+ from {hosts[1]}, as {hosts[1]} is paused")
        # No spare node is left: the plan is cut anew over the other two.
        run("node", "pause", "the-spare", "--state", shoal.state)
        shoal.wait_serving(stages=2)
        self.assertEqual(shoal.complete(PROMPT, max_tokens=400), expected[0])
        for name in (hosts[1], "the-spare"):
            self.assertEqual(run("node", "resume", name, "--state", shoal.state).returncode, 0)
        self.assertRegex(run("events", "--state", shoal.state).stdout, rf"{hosts[1]} +resumed; it may host layers again")
        # One that hosts nothing, and then goes away.
        done = run("node", "pause", hosts[1], "--state", shoal.state)
        self.assertRegex(done.stdout, r" is paused: it hosts nothing, and is given nothing until it is resumed\n\Z")
        next(node for node in shoal.nodes if node.name == hosts[1]).kill()
        shoal.wait_status(lambda status: "away" in [node["state"] for node in status["nodes"]], "the node away")
        for verb in (("node", "list"), ("status",)):
            self.assertRegex(run(*verb, "--state", shoal.state).stdout, rf"(?m)^ *{hosts[1]} .* away, paused ")
        self.assertEqual(run("node", "resume", hosts[1], "--state", shoal.state).returncode, 0)
        self.assertEqual([node["paused"] for node in shoal.status()["nodes"]], [False] * 4)

    def test_beyond_the_journal(self):
        """A journal that holds less than an answer: it is computed again from its tokens, and is the same."""
        shoal = self.start(model(), nodes=0, nodes_min=2, context=1024)
        for _ in range(2):
            shoal.add_node("--journal", "8KiB")  # eight tokens of this model
        shoal.wait_serving(stages=2)
        shoal.add_node()
        shoal.wait_status(lambda status: sum(n["state"] == "connected" for n in status["nodes"]) == 3, "the spare node")
        expected = shoal.complete(PROMPT, max_tokens=400)
        before = shoal.status()
        last = before["plan"]["stages"][1]["node_name"]
        stream = shoal.stream_completion(PROMPT, max_tokens=400)
        stream.read_until(20)
        next(node for node in shoal.nodes if node.name == last).kill()
        self.assertEqual(stream.finish(), expected)
        self.assertEqual(self.resumed(shoal, before)[1], 1)

    def test_all_die_and_come_back(self):
        """With no node left a stream waits, and goes on when the nodes are back."""
        shoal = self.start(model(), nodes=2, context=1024)
        expected = shoal.complete(PROMPT, max_tokens=400)
        stream = shoal.stream_completion(PROMPT, max_tokens=400)
        stream.read_until(20)
        for node in list(shoal.nodes):
            node.kill()
        status = shoal.wait_status(lambda status: status["state"] == "no plan", "the plan gone")
        self.assertNotEqual(status["why_no_plan"], "")
        self.assertEqual(status["sequences_waiting"] + status["sequences_live"], 1)
        for node in list(shoal.nodes):
            shoal.restart_node(node)
        self.assertEqual(stream.finish(), expected)

    def gives_up(self, stream, message):
        """The stream must end with the typed error, its message as this pattern says."""
        with self.assertRaises(HttpError) as caught:
            stream.finish()
        error = caught.exception.error
        self.assertEqual((error["type"], error["code"]), ("service_unavailable_error", "no_feasible_plan"))
        self.assertRegex(error["message"], message)

    def test_the_only_node_stays_away(self):
        """With no node for --plan-wait, a stream ends with a typed error; the shoal answers again when the node is back."""
        shoal = self.start(model(), nodes=1, context=1024, serve_args=["--plan-wait", 1])
        expected = shoal.complete(PROMPT, max_tokens=400)
        stream = shoal.stream_completion(PROMPT, max_tokens=400)
        stream.read_until(20)
        node = shoal.nodes[0]
        node.kill()
        self.gives_up(stream, r"\Ano node is there, and the model needs \S+ MiB with 1024 tokens of KV; add one with `shoal join`\Z")
        self.assertEqual(stream.text, expected[:len(stream.text)])
        shoal.wait_idle()
        shoal.restart_node(node)
        shoal.wait_serving()
        self.assertEqual(shoal.complete(PROMPT, max_tokens=400), expected)

    def test_too_little_is_left(self):
        """When those that are left cannot hold the model for --plan-wait, the error says how much memory is missing."""
        shoal = self.start(model(layers=16, embedding=512, ffn=2048), nodes=2, memory="40MiB", serve_args=["--plan-wait", 1])
        stream = shoal.stream_completion(PROMPT, max_tokens=400)
        stream.read_until(20)
        shoal.nodes[0].kill()
        self.gives_up(stream, r"\Athe model needs \S+ MiB with 512 tokens of KV, 1 node offers .*: \S+ MiB missing; add a node")

    def test_coordinator_ends_while_a_request_waits(self):
        """A request that waits for nodes ends with a typed error, or a closed connection, when the coordinator stops."""
        shoal = self.start(model(), nodes=1)
        shoal.nodes[0].kill()
        shoal.wait_status(lambda status: status["state"] == "no plan", "the plan gone")
        outcome = []

        def ask():
            try:
                outcome.append(shoal.completion(PROMPT))
            except (HttpError, OSError) as error:  # http.client's exceptions on a closed connection are OSErrors
                outcome.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        shoal.wait_status(lambda status: status["sequences_waiting"] == 1, "the request waiting")
        self.assertEqual(shoal.coordinator.stop(), 0)
        asking.join(10)
        self.assertFalse(asking.is_alive())
        self.assertIsInstance(outcome[0], (HttpError, OSError))


class WaysOfHiddenStates(ShoalTestCase):
    def test_node_to_node(self):
        """With direct links nothing passes through the coordinator."""
        shoal = self.start(model(), nodes=4)
        shoal.complete(PROMPT)
        status = shoal.status()
        self.assertEqual([stage["link_to_next"] for stage in status["plan"]["stages"]], ["direct"] * 3 + ["none"])
        self.assertEqual(status["relayed_bytes"], 0)

    def test_through_the_coordinator(self):
        """Where direct links cannot be had (as with access-point isolation) the coordinator relays: same answer."""
        shoal = self.start(model(), nodes=0, nodes_min=3)
        # Peers are told a port that nobody listens on, and that nobody else can take.
        deaf = socket.socket()
        self.addCleanup(deaf.close)
        deaf.bind(("127.0.0.1", 0))
        for _ in range(3):
            shoal.add_node("--announce", "127.0.0.1:%d" % deaf.getsockname()[1])
        shoal.wait_serving()
        text = shoal.complete(PROMPT)
        status = shoal.wait_status(
            lambda status: [stage["link_to_next"] for stage in status["plan"]["stages"]] == ["relay", "relay", "none"],
            "both links relayed")
        # At least the hidden states of the answer's tokens, 256 f32 each, over two links.
        self.assertGreater(status["relayed_bytes"], 2 * 24 * 256 * 4)
        direct = self.start(model(), nodes=3)
        self.assertEqual(direct.complete(PROMPT), text)


class Idle(ShoalTestCase):
    def test_idle_shoal_rests(self):
        """Coordinator and four nodes, idle: under 2 % of a core together."""
        shoal = self.start(model(), nodes=4)
        shoal.complete(PROMPT)
        shoal.wait_idle()
        processes = [shoal.coordinator, *shoal.nodes]
        uptime = lambda: shoal.status()["uptime_s"]  # noqa: E731
        # Links stay warm for two seconds after a step: not idle yet.
        settled = uptime() + 2.5
        wait_until(lambda: uptime() > settled, "the links dozing", pause=0.25)
        before = sum(process.cpu_s() for process in processes)
        begin = uptime()
        wait_until(lambda: uptime() > begin + 6, "six seconds over", seconds=15, pause=1)
        used = sum(process.cpu_s() for process in processes) - before
        self.assertLess(used / (uptime() - begin), 0.02)

    def test_nothing_is_left_running(self):
        """After a coordinator and its nodes were asked to end, all have ended with 0."""
        shoal = self.start(model(), nodes=2)
        shoal.complete(PROMPT)
        self.assertEqual([process.stop() for process in [*shoal.nodes, shoal.coordinator]], [0, 0, 0])


if __name__ == "__main__":
    unittest.main()
