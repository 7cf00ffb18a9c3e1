"""`shoal events`: the story of a shoal, as real processes live it."""

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import threading
import unittest

from shoal import SHOAL, HttpError, ShoalTestCase, model, run, wait_until

PROMPT = "Once upon a time there was a fisherman"
DURATION = r"[\d.]+ m?s"


def lines_of(done):
    return [line for line in done.stdout.splitlines() if not is_date(line)]


def is_date(line):
    return re.fullmatch(r"\d{4}-\d\d-\d\d", line.rstrip("\n"))


class Followed:
    """`shoal events --follow` in the background, its lines as they come."""

    def __init__(self, test, shoal, *arguments):
        self.process = subprocess.Popen([SHOAL, "events", "--follow", "--state", str(shoal.state), *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.errors = []
        self.threads = [threading.Thread(target=self.read, args=of, daemon=True)
                        for of in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for thread in self.threads:
            thread.start()
        test.addCleanup(self.end)

    @staticmethod
    def read(pipe, into):
        for line in pipe:
            if not is_date(line):
                into.append(line.rstrip("\n"))

    def wait_line(self, pattern, start=0):
        """The index of the first such line from `start` on."""
        def found():
            return next((index + 1 for index, line in enumerate(self.lines) if index >= start and re.search(pattern, line)), 0)
        return wait_until(found, f"a line {pattern!r}") - 1

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        for thread in self.threads:
            thread.join(10)
        return self.process.returncode

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()


class Events(ShoalTestCase):
    def events(self, shoal, query=""):
        return shoal.get("/shoal/v1/events" + query, admin=True)

    def check_order(self, lines, patterns):
        """Each pattern is in a line behind that of the pattern before."""
        at = 0
        for pattern in patterns:
            found = next((index for index in range(at, len(lines)) if re.search(pattern, lines[index])), None)
            self.assertIsNotNone(found, "no line %r from %d on in\n%s" % (pattern, at, "\n".join(lines)))
            at = found + 1

    def test_the_story_of_a_death(self):
        """A node is killed in the middle of an answer: who, what followed and how long it took; and it is still there when
        the coordinator was killed too."""
        shoal = self.start(model(), nodes=3, context=1024)
        expected = shoal.complete(PROMPT, max_tokens=400)
        follower = Followed(self, shoal)
        follower.wait_line("serving after")
        known = self.events(shoal)["newest"]
        stream = shoal.stream_completion(PROMPT, max_tokens=400).read_until(20)
        victim = shoal.node_of_stage(1)
        victim.kill()
        self.assertEqual(stream.finish(), expected)
        shoal.wait_serving(stages=2)
        shoal.restart_node(victim)
        shoal.wait_status(lambda status: all(n["state"] == "connected" for n in status["nodes"]), "the node back")

        after = self.events(shoal, f"?after={known}")["events"]
        story = [(event["kind"], event["node_name"]) for event in after]
        lost = story.index(("node_lost", victim.name))
        # A neighbour may see the broken data link before the coordinator sees the control link.
        self.assertLessEqual({kind for kind, _ in story[:lost]}, {"step_failed", "plan_restarted"})
        kinds = " ".join(kind for kind, _ in story[lost:])
        self.assertRegex(kinds, r"\Anode_lost plan_made (stage_ready )+plan_serving node_connected\Z")
        plan, serving, back = after[lost + 1], after[-2], after[-1]
        self.assertEqual(plan["epoch"], shoal.status()["plan"]["epoch"])
        self.assertEqual(back["node"], next(n["id"] for n in shoal.status()["nodes"] if n["name"] == victim.name))
        # By the clock of the events themselves, to the millisecond that each is rounded by.
        self.assertAlmostEqual(serving["duration_ms"], serving["unix_ms"] - plan["unix_ms"], delta=5)

        # What a person sees.
        done = run("events", "--state", shoal.state)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = lines_of(done)
        self.check_order(lines, [
            r"^\d\d:\d\d:\d\d +coordinator started with ",
            r"^\d\d:\d\d:\d\d  node-1  paired from 127\.0\.0\.1, as node [0-9a-f]{8}$",
            r"node-1  connected from 127\.0\.0\.1; offers 1\.00 GiB$",
            r" {8}  plan 1: node-\d takes layers? [\d-]+, node-\d [\d-]+ and node-\d [\d-]+$",
            rf"node-\d  stage ready after {DURATION} \(layers? [\d-]+, [\d.]+ \w+ fetched\)$",
            rf" {{8}}  serving after {DURATION}$",
            rf"{victim.name}  lost: .*; it held layers? [\d-]+$",
            rf" {{8}}  plan \d+: node-\d takes layers? .*, as {victim.name} was lost; .* stays?; 1 answer waits$",
            rf" {{8}}  serving again after {DURATION}; 1 answer goes on$",
            rf"{victim.name}  connected again after {DURATION} from "])
        self.assertEqual(len(lines), self.events(shoal)["newest"])
        self.assertFalse([line for line in lines if "no plan" in line], "there were nodes all the time")
        self.assertEqual(lines[-5:], lines_of(run("events", "--state", shoal.state, "--last", 5)))
        as_json = [json.loads(line) for line in lines_of(run("events", "--state", shoal.state, "--json", "--since", "1h"))]
        self.assertEqual(as_json, self.events(shoal, "?after=0&limit=1000")["events"])

        # The log has the same sentences, each once.
        log = shoal.coordinator.log()
        for event in after:
            told = (event["node_name"] + ": " if event["node_name"] else "") + event["text"]
            self.assertEqual(log.count(told + "\n"), 1, told)

        # It goes on over kill -9 of the coordinator, and so does who follows.
        before = self.events(shoal, "?after=0&limit=1000")["events"]
        shown = follower.wait_line(f"{victim.name}  connected again")
        shoal.wait_idle()
        wait_until(lambda: self.on_disk(shoal) >= len(before), "all is written")
        shoal.coordinator.kill()
        shoal.start_coordinator()
        shoal.wait_serving(stages=3)
        self.assertEqual(self.events(shoal, f"?after=0&limit={len(before)}")["events"], before)
        follower.wait_line(r"coordinator started with .*; 3 nodes paired; the run before was cut off", shown)
        follower.wait_line(r"serving after", shown)
        self.assertEqual(follower.interrupt(), 0)
        self.assertEqual(len(follower.errors), 1, "one line while the coordinator was away")
        self.assertRegex(follower.errors[0], r"\Ashoal: .*; waiting for it\Z")

    def on_disk(self, shoal):
        """How many events a second reader of the database finds."""
        with contextlib.closing(sqlite3.connect(f"file:{shoal.state / 'shoal.db'}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM event").fetchone()[0]

    def test_follow_ends_cleanly(self):
        """SIGINT ends it with 0 and not a word, whether it waits or has just told something."""
        shoal = self.start(model(), nodes=1)
        follower = Followed(self, shoal, "--last", 1)
        shown = follower.wait_line("serving after")
        self.assertEqual(len(follower.lines), 1)
        shoal.nodes[0].kill()
        follower.wait_line(r"node-1  lost: .*; it held layers 0-7", shown)
        follower.wait_line(r"no plan: no node is there, and the model needs", shown)
        self.assertEqual(follower.interrupt(), 0)
        self.assertEqual(follower.errors, [])
        as_json = Followed(self, shoal, "--json", "--last", 2)
        wait_until(lambda: len(as_json.lines) == 2, "two events")
        self.assertEqual([json.loads(line)["kind"] for line in as_json.lines], ["node_lost", "plan_none"])
        self.assertEqual(as_json.interrupt(), 0)

    def test_api(self):
        """Pages, waiting, parameters out of range, and nothing without the admin key."""
        shoal = self.start(model(), nodes=1)
        newest = self.events(shoal)["newest"]
        self.assertEqual([event["number"] for event in self.events(shoal, "?after=0&limit=2")["events"]], [1, 2])
        self.assertEqual(self.events(shoal, f"?after={newest}"), {"events": [], "newest": newest})
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.events(shoal, f"?after={newest}&wait_s=30")), daemon=True)
        waiting.start()
        shoal.add_node()
        waiting.join(20)
        self.assertEqual(answers[0]["events"][0]["kind"], "node_paired")
        for query in ("after=-1", "limit=0", "limit=1001", "since_s=0", "after=1&wait_s=61", "wait_s=1", "after=x"):
            with self.assertRaises(HttpError) as caught:
                self.events(shoal, "?" + query)
            self.assertEqual(caught.exception.status, 400, query)
        with self.assertRaises(HttpError) as caught:
            shoal.get("/shoal/v1/events")
        self.assertEqual(caught.exception.status, 401)

    def test_nothing_to_tell(self):
        """A time in which nothing happened is said in one line."""
        shoal = self.start(model(), nodes=0)
        wait_until(lambda: run("events", "--state", shoal.state, "--since", "1s").stdout == "no events in the last 1s\n",
                   "a quiet second", pause=0.2)
        self.assertRegex(run("events", "--state", shoal.state).stdout, r"\A[\d:]{8}  coordinator started with [^\n]*\n\Z")


if __name__ == "__main__":
    unittest.main()
