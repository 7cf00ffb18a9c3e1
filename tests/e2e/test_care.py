"""Phones that run flat, or may work on a charger only: drained before they die, and back when they are well. Real processes,
devices with scenarios, the demo model."""

import json
import threading

from shoal import ROOT, ShoalTestCase, run

DEMO = str(ROOT / "models" / "shoal-demo.gguf")
PROMPTS = ["Question: What is a spare?\nAnswer:", "Once upon a time there was a phone", "What happens when a phone dies?"]


def node(status, name):
    """The node of this name; one that is away before it is paired."""
    return next((node for node in status["nodes"] if node["name"] == name), {"state": "away", "care": {"drained": False}})


def hosts(status):
    return [stage["node_name"] for stage in status["plan"]["stages"]] if status["plan"] else []


class Streams:
    """Streams of all prompts, one after another each, until stop(); every answer is kept."""

    def __init__(self, shoal):
        self.shoal = shoal
        self.stopping = False
        self.answers = {prompt: [] for prompt in PROMPTS}
        self.errors = []
        self.threads = [threading.Thread(target=self.ask, args=(prompt,), daemon=True) for prompt in PROMPTS]
        for thread in self.threads:
            thread.start()

    def ask(self, prompt):
        try:
            while not self.stopping:
                self.answers[prompt].append(self.shoal.stream_completion(prompt, max_tokens=200).finish())
        except BaseException as error:  # pylint: disable=broad-except
            self.errors.append(error)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(60)
        return self.answers


class Care(ShoalTestCase):
    def scenario(self, *steps):
        path = self.temporary_directory() / "device.json"
        path.write_text(json.dumps(list(steps)))
        return path

    def events(self, shoal, kind, name):
        page = shoal.get("/shoal/v1/events?limit=1000", admin=True)
        return [event["text"] for event in page["events"] if event["kind"] == kind and event["node_name"] == name]

    def test_runs_flat_and_is_charged(self):
        """A phone below 20 % is drained under three streams: its stage moves to the spare node, the answers stay the same, and
        on a charger it comes back as a spare."""
        shoal = self.start(DEMO, nodes=0, nodes_min=2, context=1024, serve_args=["--kv-tokens", 4096])
        phone = self.scenario({"at_s": 0, "battery_percent": 84, "battery_state": "discharging"},
                              {"at_s": 8, "battery_percent": 14},
                              {"at_s": 17, "battery_percent": 31, "battery_state": "charging"})
        shoal.add_node("--device-scenario", phone, name="phone")
        shoal.add_node(name="other")
        before = hosts(shoal.wait_serving(stages=2))
        shoal.add_node(name="the-spare")
        shoal.wait_status(lambda status: node(status, "the-spare")["state"] == "connected", "the spare node")
        expected = {prompt: shoal.complete(prompt, max_tokens=200) for prompt in PROMPTS}
        self.assertEqual(node(shoal.status(), "phone")["care"], {"share_permille": 1000, "drained": False, "reason": ""})

        streams = Streams(shoal)
        drained = shoal.wait_status(lambda status: node(status, "phone")["care"]["drained"], "the phone drained", pause=0.05)
        self.assertEqual(node(drained, "phone")["care"],
                         {"share_permille": 0, "drained": True, "reason": "battery 14 %, below its 20 %"})
        self.assertFalse(node(drained, "phone")["paused"])
        moved = shoal.wait_status(lambda status: "the-spare" in hosts(status) and status["state"] == "serving",
                                  "its layers moved", pause=0.05)
        self.assertEqual(hosts(moved), ["the-spare" if name == "phone" else name for name in before])
        for verb in (["status"], ["node", "list"]):
            text = run(*verb, "--state", shoal.state).stdout
            self.assertRegex(text, r"(?m)^ *phone +[0-9a-f]{8} +drained ")
            self.assertRegex(text, r"(?m)^ *phone is drained: battery 14 %, below its 20 %$")
        listed = json.loads(run("node", "list", "--json", "--state", shoal.state).stdout)
        self.assertTrue(next(node["care"]["drained"] for node in listed if node["name"] == "phone"))
        answers = streams.stop()
        self.assertEqual(streams.errors, [])
        for prompt in PROMPTS:
            self.assertGreater(len(answers[prompt]), 1)
            self.assertEqual(set(answers[prompt]), {expected[prompt]})

        well = shoal.wait_status(lambda status: not node(status, "phone")["care"]["drained"], "the phone back", pause=0.05)
        self.assertEqual(node(well, "phone")["care"], {"share_permille": 1000, "drained": False, "reason": ""})
        self.assertEqual(hosts(well), hosts(moved))
        self.assertEqual(self.events(shoal, "node_drained", "phone"), ["drained: battery 14 %, below its 20 %"])
        self.assertEqual(self.events(shoal, "node_back", "phone"), ["comes back: battery 31 %, charging"])
        told = run("events", "--state", shoal.state).stdout
        self.assertRegex(told, r"(?s)phone +drained: battery 14 %.*the-spare +stage ready after .*plan \d+: the-spare takes layers "
                               r"\S+ from phone, as phone is drained; 1 of 2 stages stays; \d answers go on.*phone +comes back: ")
        # It is a spare like any other: it takes over for a node that dies.
        next(process for process in shoal.nodes if process.name == "other").kill()
        shoal.wait_status(lambda status: "phone" in hosts(status) and status["state"] == "serving", "the phone at work")
        self.assertEqual(shoal.complete(PROMPTS[0], max_tokens=200), expected[PROMPTS[0]])

    def test_only_while_charging(self):
        """A phone that may work on a charger only rests without one: where nobody can take over it serves on, and status says
        why. A device that cannot tell rests as well."""
        shoal = self.start(DEMO, nodes=0, nodes_min=1)
        phone = self.scenario({"at_s": 0, "battery_percent": 90, "battery_state": "charging"},
                              {"at_s": 5, "battery_state": "discharging"},
                              {"at_s": 12, "battery_state": "full"})
        shoal.add_node("--only-while-charging", "--device-scenario", phone, name="phone")
        shoal.wait_serving(stages=1)
        expected = shoal.complete(PROMPTS[0])
        reason = "not charging, and its owner gives it only then"
        shoal.wait_status(lambda status: f"(phone is drained: {reason})" in status["why_not_moved"], "why it serves on")
        self.assertEqual(shoal.complete(PROMPTS[0]), expected)
        self.assertRegex(run("status", "--state", shoal.state).stdout, rf"serves on: no other node has .*{reason}")

        shoal.add_node("--only-while-charging", "--device-scenario", self.scenario({"at_s": 0, "cpu_millicelsius": 40000}),
                       name="board")
        shoal.wait_status(lambda status: node(status, "board")["care"]["drained"], "the board drained")
        self.assertEqual(hosts(shoal.status()), ["phone"])
        shoal.add_node(name="other")
        shoal.wait_status(lambda status: hosts(status) == ["other"] and status["state"] == "serving", "its layers moved")
        self.assertEqual(shoal.status()["why_not_moved"], "")
        self.assertEqual(shoal.complete(PROMPTS[0]), expected)
        shoal.wait_status(lambda status: not node(status, "phone")["care"]["drained"], "the phone back")
        self.assertEqual(hosts(shoal.status()), ["other"])
        self.assertEqual(node(shoal.status(), "board")["care"]["reason"],
                         "cannot tell whether it is charging, and its owner gives it only then")

    def test_limits_are_checked(self):
        """A limit out of its range ends `join` with one line that names it."""
        for option, value in (("--battery-min", "91"), ("--battery-min", "-1"), ("--temperature-max", "29"),
                              ("--temperature-max", "warm"), ("--cpu-temperature-max", "111")):
            with self.subTest(option=option, value=value):
                done = run("join", option, value)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(option, done.stderr)


if __name__ == "__main__":
    import unittest

    unittest.main()
