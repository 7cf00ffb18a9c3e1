"""Joining: links that are wrong, used, expired or garbled; coming back without one; being revoked."""

import contextlib
import json
import re
import socket
import unittest

from shoal import ShoalTestCase, model, run, wait_until


@contextlib.contextmanager
def unused_port():
    """A port that is bound but not listened to: nobody else gets it, and connecting to it is refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class Pairing(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        cls.share(model(), nodes=1)

    def refused(self, link, pattern, state=None):
        """`shoal join LINK` must end with 1 and one line on stderr that matches."""
        state = state or self.temporary_directory() / "node"
        done = run("join", link, "--state", state, "--name", "stranger", "--listen", "127.0.0.1:0", "--memory", "1GiB", seconds=20)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Ashoal: [^\n]*" + pattern + r"[^\n]*\n\Z")
        self.assertNotIn("stranger", [node["name"] for node in self.shared.status()["nodes"]])

    def test_garbled_link(self):
        """What is no link, or one with a part missing or damaged, is told apart before anything is dialled."""
        link = self.shared.token()
        for garbled in ("hello", "shoal://", "shoal://127.0.0.1:1/join", link[:-3], link.replace("c=", "c=!"),
                        link.replace("shoal:", "http:"), link.split("&s=")[0], link.replace("/join", "/leave")):
            with self.subTest(link=garbled):
                self.refused(garbled, "shoal token create")

    def test_wrong_secret(self):
        link = self.shared.token()
        self.refused(re.sub(r"s=.*", "s=" + "A" * 22, link), "shoal token create")

    def test_used_link(self):
        """A link works once, even for the device that it let in."""
        link = self.shared.token()
        node = self.shared.add_node(link=link, name="once")
        self.shared.wait_status(lambda status: "once" in [n["name"] for n in status["nodes"] if n["state"] == "connected"],
                                "the node paired")
        self.refused(link, "shoal token create")
        node.stop()

    def test_expired_link(self):
        link = self.shared.token(ttl_seconds=1)
        secret_of_another = self.shared.token(ttl_seconds=1)
        state = self.temporary_directory() / "node"

        def expired():  # until then it would be taken: ask only once its second is over by the server's clock
            return self.shared.status()["uptime_s"] > born + 2.1

        born = self.shared.status()["uptime_s"]
        wait_until(expired, "two seconds over")
        self.refused(link, "expired.*shoal token create", state)
        self.refused(secret_of_another, "expired.*shoal token create")

    def test_wrong_coordinator(self):
        """A link whose fingerprint is not that of who answers is refused by the device itself."""
        link = self.shared.token()
        self.refused(re.sub(r"c=[^&]*", "c=" + "A" * 43, link), "")

    def test_nobody_there(self):
        """A link to a port where nobody listens."""
        link = self.shared.token()
        with unused_port() as port:
            self.refused(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", link), f"127.0.0.1:{port}")

    def test_no_link_and_no_membership(self):
        done = run("join", "--state", self.temporary_directory() / "node", seconds=20)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"\Ashoal: this device is in no shoal yet: [^\n]*shoal token create[^\n]*\n\Z")


class ComingBack(ShoalTestCase):
    def test_restarted_node(self):
        """A paired node that starts again without a link comes back as the same node, its shard still on flash."""
        shoal = self.start(model(), nodes=2)
        before = shoal.complete("Once upon a time")
        ids = {node["name"]: node["id"] for node in shoal.status()["nodes"]}
        victim = shoal.nodes[1]
        victim.stop()
        shoal.wait_status(lambda status: [n["state"] for n in status["nodes"]].count("away") == 1, "the node seen leaving")
        again = shoal.restart_node(victim)
        shoal.wait_status(lambda status: all(n["state"] == "connected" for n in status["nodes"]), "the node back")
        shoal.wait_serving()
        self.assertEqual({node["name"]: node["id"] for node in shoal.status()["nodes"]}, ids)
        self.assertNotIn("paired with", again.log())
        self.assertEqual(shoal.complete("Once upon a time"), before)

    def test_restarted_coordinator(self):
        """Nodes come back to a coordinator that restarts, by themselves, and serve without fetching anything."""
        shoal = self.start(model(), nodes=3)
        before = shoal.complete("Once upon a time")
        id_before = shoal.status()["coordinator_id"]
        stamps = [[path.stat().st_mtime_ns for path in node.shard_files()] for node in shoal.nodes]
        logs = [len(node.log()) for node in shoal.nodes]
        for how in ("stop", "kill"):
            getattr(shoal.coordinator, how)()
            shoal.start_coordinator()
            shoal.wait_serving(stages=3, seconds=30)
            self.assertEqual(shoal.status()["coordinator_id"], id_before)
            self.assertEqual(shoal.complete("Once upon a time"), before)
        self.assertTrue(all(node.running() for node in shoal.nodes))
        for node, stamp, length in zip(shoal.nodes, stamps, logs):
            later = node.log()[length:]
            self.assertNotIn("paired with", later)
            self.assertEqual(sorted(stamp), sorted(path.stat().st_mtime_ns for path in node.shard_files())[:len(stamp)])
            # "stage 4: layers 0:3, 2.53 MiB of 2.53 MiB on flash": for every stage that it was given again
            for have, total in re.findall(r"layers \S+, (.+) of (.+) on flash", later):
                self.assertEqual(have, total)
            self.assertIn("on flash", later)


class Revoking(ShoalTestCase):
    def revoke(self, shoal, node):
        return run("node", "revoke", node, "--state", shoal.state)

    def refused(self, node, pattern):
        """The node's process must end by itself, with 1 and a last line that matches."""
        wait_until(lambda: not node.running(), f"{node.name} ended")
        self.assertEqual(node.stop(), 1)
        self.assertRegex(node.log(), r"(?m)^shoal: [^\n]*" + pattern + r"[^\n]*\n\Z")

    def connected(self, shoal, name):
        shoal.wait_status(lambda status: (name, "connected") in [(n["name"], n["state"]) for n in status["nodes"]],
                          f"{name} connected")

    def test_in_the_middle_of_a_stream(self):
        """The answer goes on with the same text; the node ends with the reason, and its old key and link let it in no more."""
        shoal = self.start(model(), nodes=2, context=1024)
        link = shoal.token()
        victim = shoal.add_node(name="victim", link=link)
        self.connected(shoal, "victim")
        shoal.nodes[0].stop()  # the next plan takes the victim in
        shoal.wait_status(lambda status: status["state"] == "serving" and "victim" in
                          [stage["node_name"] for stage in status["plan"]["stages"]], "the victim serving")
        expected = shoal.complete("Once upon a time", max_tokens=400)
        stream = shoal.stream_completion("Once upon a time", max_tokens=400)
        stream.read_until(20)
        self.assertEqual(shoal.status()["sequences_live"], 1)
        done = self.revoke(shoal, "victim")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"\Avictim \([0-9a-f]{8}\) is revoked: [^\n]*\n\Z")
        self.assertEqual(stream.finish(), expected)
        self.refused(victim, "this coordinator revoked this device: pair again with a new join link")
        status = shoal.status()
        self.assertNotIn("victim", [node["name"] for node in status["nodes"]])
        self.assertEqual([stage["node_name"] for stage in status["plan"]["stages"]], [shoal.nodes[1].name])

        victim = shoal.restart_node(victim)
        self.refused(victim, "not paired here, or was revoked: [^\\n]*shoal token create")
        shoal.coordinator.kill()
        shoal.start_coordinator()
        victim = shoal.restart_node(victim)
        self.refused(victim, "not paired here, or was revoked: [^\\n]*shoal token create")
        again = shoal.add_node(name="victim", link=link)
        self.refused(again, "already used")
        shoal.add_node(name="victim")
        self.connected(shoal, "victim")

    def test_names_and_ids(self):
        """`shoal node list` and `revoke` with names that are unknown or not unique, ids, and beginnings of ids."""
        shoal = self.start(model(), nodes=1)
        away = shoal.add_node(name="twin")
        self.connected(shoal, "twin")
        self.assertEqual(away.stop(), 0)
        away.state.rename(shoal.directory / "first-twin")
        shoal.add_node(name="twin")
        self.connected(shoal, "twin")

        done = run("node", "list", "--json", "--state", shoal.state)
        self.assertEqual(done.returncode, 0, done.stderr)
        nodes = json.loads(done.stdout)
        self.assertEqual(sorted((n["name"], n["state"]) for n in nodes),
                         [("node-1", "connected"), ("twin", "away"), ("twin", "connected")])
        self.assertTrue(all(0 < n["paired_unix_seconds"] <= n["seen_unix_seconds"] for n in nodes))
        table = run("node", "list", "--state", shoal.state).stdout.splitlines()
        self.assertEqual(len(table), 4)
        for node in nodes:
            seen = "now" if node["state"] == "connected" else r"\d{4}-\d\d-\d\d \d\d:\d\d"
            self.assertRegex("\n".join(table), rf"(?m)^{node['name']} +{node['id'][:8]} +{node['state']} "
                             rf"+\d{{4}}-\d\d-\d\d \d\d:\d\d +{seen}$")

        done = self.revoke(shoal, "twin")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Ashoal: 2 paired nodes go by twin; name one by its id: [^\n]*\n\Z")
        for node in nodes:
            self.assertEqual(node["id"][:16] in done.stderr, node["name"] == "twin")
        for unknown in ("nobody", nodes[0]["id"][:4], "f" * 64):
            done = self.revoke(shoal, unknown)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, rf"\Ashoal: no paired node has the name or id {unknown}; [^\n]*\n\Z")
        self.assertEqual(self.revoke(shoal, next(n["id"][:8] for n in nodes if n["state"] == "away")).returncode, 0)
        self.assertEqual(self.revoke(shoal, "twin").returncode, 0)
        self.assertEqual([n["name"] for n in shoal.status()["nodes"]], ["node-1"])

    def test_the_coordinator_s_own_stage(self):
        """The stage on the coordinator's device can be revoked too: the coordinator goes on, and pairs it when it restarts."""
        shoal = self.start(model(), nodes=1, serve_args=["--host-memory", "1GiB", "--host-threads", 1])
        self.connected(shoal, "e2e (here)")
        self.assertEqual(self.revoke(shoal, "e2e (here)").returncode, 0)
        shoal.wait_serving(stages=1)
        self.assertEqual([n["name"] for n in shoal.status()["nodes"]], ["node-1"])
        self.assertNotEqual(shoal.complete("Once upon a time"), "")
        shoal.coordinator.stop()
        shoal.start_coordinator()
        self.connected(shoal, "e2e (here)")


if __name__ == "__main__":
    unittest.main()
