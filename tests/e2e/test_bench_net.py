"""`shoal bench net`: every link's round trip and rate, against links that are as slow as the test made them."""

import http.client
import json
import threading
import unittest

from shoal import HttpError, ShoalTestCase, free_port, in_parallel, model, run, wait_until


def measured(bench, kind):
    return {(link["from"], link["to"]): link for link in bench["links"] if link["kind"] == kind}


class ShapedLink(ShoalTestCase):
    """Two nodes whose data link takes 5 ms each way and carries 20 Mbit/s; their control links are as they are."""

    DELAY_MS = 5
    RATE_MBIT = 20

    def setUp(self):
        super().setUp()
        self.shoal = self.start(model(), nodes=0, nodes_min=2, wait=False)
        self.add_shaped_nodes(self.shoal, 2, "--delay-ms", self.DELAY_MS, "--rate-mbit", self.RATE_MBIT)

    def bench(self):
        done = run("bench", "net", "--state", self.shoal.state, "--json")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def test_numbers_are_the_links(self):
        """Round trip and rate of the slow link are what the shaper lets through, and no other link is as slow; while
        an answer is computed too, which is the same as without."""
        alone = self.shoal.complete("Once upon a time", max_tokens=48)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(self.shoal.complete("Once upon a time", max_tokens=48)))
        asking.start()
        bench = self.bench()
        asking.join()
        self.assertEqual(answers, [alone])
        self.assertTrue(all(link["measured"] for link in bench["links"]), bench)
        names = [stage["node_name"] for stage in self.shoal.status()["plan"]["stages"]]
        control, data = measured(bench, "control"), measured(bench, "data")
        self.assertEqual(set(data), {(names[0], names[1])})
        self.assertEqual(set(control), {pair for name in names for pair in (("coordinator", name), (name, "coordinator"))})

        bench = self.bench()  # with nobody else on the link
        slow = measured(bench, "data")[names[0], names[1]]
        self.assertEqual(slow["path"], "direct")
        self.assertGreaterEqual(slow["rtt_ms"], 2 * self.DELAY_MS)
        limit = self.RATE_MBIT * 1e6 / 8
        self.assertLessEqual(slow["bytes_per_s"], 1.1 * limit)
        self.assertGreaterEqual(slow["bytes_per_s"], 0.3 * limit)  # a loaded machine may take longer to answer
        for link in measured(bench, "control").values():
            self.assertEqual(link["path"], "direct")
            self.assertLess(link["rtt_ms"], slow["rtt_ms"])
        self.assertEqual(bench["row_bytes"], 256 * 4)
        self.assertAlmostEqual(slow["row_ms"], slow["rtt_ms"] / 2 + bench["row_bytes"] / slow["bytes_per_s"] * 1e3, delta=0.01)
        self.assertGreater(slow["step_ms"], 63 * 256 * 4 / limit * 1e3 / 1.1)
        self.assertIn(f"from {names[0]} to {names[1]}", bench["slowest"])

    def test_the_table(self):
        """A line a link with its names and numbers, then the slowest in a sentence."""
        done = run("bench", "net", "--state", self.shoal.state)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 1 + 5 + 2, done.stdout)
        self.assertRegex(lines[0], r"\A  from +to +kind +path +RTT ms +rate +1 row ms +63 rows\Z")
        for line in lines[1:6]:
            self.assertRegex(line, r"\A  (coordinator|node-\d) +(coordinator|node-\d) +(control|data) +direct +[\d.]+ +[\d.]+ Mbit/s +[\d.]+ +[\d.]+\Z")
        self.assertRegex(lines[-1], r"\AThe slowest data link is from node-\d to node-\d: [\d.]+ ms for one row .*\.\Z")

    def test_one_at_a_time_and_for_the_admin(self):
        """Two clients do not measure each other; without the admin key nothing is measured."""
        with self.assertRaises(HttpError) as caught:
            self.shoal.post("/shoal/v1/bench/net", {})
        self.assertEqual(caught.exception.status, 401)

        def measure():
            try:
                return len(self.shoal.post("/shoal/v1/bench/net", {}, admin=True)["links"])
            except HttpError as error:
                return error.status, error.error["code"]

        # Two at once: the second is refused, unless this machine kept it from asking until the first was done.
        wait_until(lambda: set(in_parallel([measure, measure])) == {5, (409, "bench_running")}, "one of two is refused")
        # A client that leaves ends its measuring, and the next one may measure.
        connection = http.client.HTTPConnection(*self.shoal.api, timeout=30)
        connection.request("POST", "/shoal/v1/bench/net", "{}", {"Authorization": f"Bearer {self.shoal.admin_key}"})
        connection.close()
        wait_until(lambda: measure() == 5, "measured again")


class RelayedLink(ShoalTestCase):
    def test_it_is_measured_through_the_coordinator(self):
        """No node reaches another: the data link goes through the coordinator, and so does its measurement."""
        shoal = self.start(model(), nodes=0, nodes_min=2, wait=False)
        for _ in range(2):
            shoal.add_node("--announce", f"127.0.0.1:{free_port()}")  # nobody listens there
        shoal.wait_serving(stages=2)
        shoal.wait_status(lambda status: status["plan"]["stages"][0]["link_to_next"] == "relay", "a relayed link")
        before = shoal.status()["relayed_bytes"]
        bench = shoal.post("/shoal/v1/bench/net", {}, admin=True)
        [link] = measured(bench, "data").values()
        self.assertEqual((link["measured"], link["path"]), (True, "relay"))
        self.assertGreater(link["rtt_ms"], 0)
        self.assertGreater(link["bytes_per_s"], 0)
        self.assertGreater(shoal.status()["relayed_bytes"] - before, 64 << 10)
        self.assertIn("through the coordinator", bench["slowest"])


class NoNodes(ShoalTestCase):
    def test_it_says_so(self):
        shoal = self.start(model(), nodes=0, wait=False)
        done = run("bench", "net", "--state", shoal.state)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Ashoal: no node is connected[^\n]*\n\Z")


if __name__ == "__main__":
    unittest.main()
