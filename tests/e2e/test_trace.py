"""`shoal trace`: where the steps of a window spent their time, against what is known of them otherwise."""

import http.client
import json
import threading
import unittest

from shoal import HttpError, ShoalTestCase, in_parallel, model, run


class Traced:
    """`shoal trace` in the background; on the way out of the block it has ended."""

    def __init__(self, shoal, *arguments):
        self.shoal = shoal
        self.arguments = arguments
        self.done = None
        self.thread = threading.Thread(target=self.trace, daemon=True)

    def trace(self):
        self.done = run("trace", "--state", self.shoal.state, *self.arguments, seconds=90)

    def __enter__(self):
        self.thread.start()
        self.shoal.wait_status(lambda status: status["tracing"], "a trace is recorded")
        return self

    def __exit__(self, *_):
        self.thread.join()


def spans(trace):
    return [event for event in trace["traceEvents"] if event["ph"] == "X"]


def quiet(status):
    return status["sequences_live"] == 0 and status["sequences_waiting"] == 0 and status["steps_in_flight"] == 0


class Trace(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        cls.share(model(), nodes=3)

    def setUp(self):
        super().setUp()
        self.shared.wait_status(quiet, "nothing runs")

    def test_a_window(self):
        """The file has every step of the window, its parts where they belong; its sums are the coordinator's own; the
        table names every stage, and the last lines say what is slow and where the file is."""
        shoal = self.shared
        out = self.temporary_directory() / "trace.json"
        with Traced(shoal, "--seconds", 4, "--out", out) as traced:
            before = shoal.wait_status(quiet, "nothing runs")["step_totals"]
            answers = in_parallel([lambda i=i: shoal.completion(f"Fish number {i}", max_tokens=16) for i in range(3)])
            status = shoal.wait_status(quiet, "all steps are back")
            self.assertTrue(status["tracing"], "the window was too short for this machine")
        status = shoal.wait_status(quiet, "nothing runs")
        done = traced.done
        self.assertEqual((done.returncode, done.stderr), (0, ""))

        trace = json.loads(out.read_text())
        summary = trace["otherData"]
        totals = {name: status["step_totals"][name] - before[name] for name in before}
        steps = {span["args"]["step"]: span for span in spans(trace) if span["name"] == "step"}
        self.assertEqual((len(steps), summary["steps"], summary["steps_left_out"]), (totals["steps"], totals["steps"], 0))
        # Stages measure in whole microseconds, and so does the trace: equal, not nearly.
        for part in ("queue", "compute"):
            self.assertEqual(sum(span["dur"] for span in spans(trace) if span["name"] == part), totals[f"{part}_us"], part)
        self.assertEqual(sum(step["dur"] for step in steps.values()), totals["way_us"])
        generated = sum(answer["usage"]["completion_tokens"] for answer in answers)
        self.assertGreaterEqual(summary["decode_rows"] + summary["draft_rows"], generated - 3)  # the first are the prompts'
        self.assertGreater(summary["prompt_rows"], 0)

        self.check_spans(trace, steps)
        self.assertTrue(summary["links_measured"])
        self.assertEqual([stage["layers"] for stage in summary["stages"]],
                         [stage["layers"] for stage in status["plan"]["stages"]])
        self.assertEqual([(link["from"], link["to"]) for link in summary["links"]],
                         [("coordinator", "stage 1"), ("stage 1", "stage 2"), ("stage 2", "stage 3"), ("stage 3", "coordinator")])
        self.assertAlmostEqual(sum(summary["shares"].values()), 1, places=6)
        self.assertAlmostEqual(sum(place["slowest"] for place in summary["stages"] + summary["links"]), 1, places=6)

        lines = done.stdout.splitlines()
        for number, stage in enumerate(summary["stages"], 1):
            row = next(line for line in lines if f"stage {number} {stage['node_name']}" in line)
            self.assertIn(f"{stage['compute_us'] / 1000:.2f}", row)
        for link in summary["links"]:
            self.assertTrue(any(f"{link['from']} -> {link['to']}" in line for line in lines), link)
        self.assertEqual(lines[-2], summary["bottleneck"])
        self.assertRegex(lines[-2], r"\A[A-Z][^.]*[\d.]+[^.]*\.\Z")
        self.assertTrue(lines[-1].startswith(str(out)), lines[-1])

    def check_spans(self, trace, steps):
        """Parts lie within their step and fill it; spans of a track never overlap; every track has a name."""
        named = {(event["pid"], event["tid"]) for event in trace["traceEvents"] if event["name"] == "thread_name"}
        tracks, filled = {}, dict.fromkeys(steps, 0)
        for span in spans(trace):
            begin, end, number = span["ts"], span["ts"] + span["dur"], span["args"]["step"]
            self.assertGreaterEqual(begin, 0)
            tracks.setdefault((span["pid"], span["tid"]), []).append((begin, end))
            if span["name"] != "step":
                self.assertGreaterEqual(begin, steps[number]["ts"])
                self.assertLessEqual(end, steps[number]["ts"] + steps[number]["dur"])
                filled[number] += span["dur"]
        self.assertEqual(filled, {number: step["dur"] for number, step in steps.items()})
        self.assertLessEqual(set(tracks), named)
        for track in tracks.values():
            track.sort()
            for (_, end), (begin, _) in zip(track, track[1:]):
                self.assertLessEqual(end, begin)
        processes = {event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "process_name"}
        self.assertEqual(processes, {"coordinator", "node node-1", "node node-2", "node node-3"})

    def test_json(self):
        out = self.temporary_directory() / "trace.json"
        with Traced(self.shared, "--seconds", 3, "--json", "--out", out) as traced:
            self.shared.completion("Once", max_tokens=4)
        self.assertEqual(traced.done.returncode, 0, traced.done.stderr)
        self.assertEqual(json.loads(traced.done.stdout), json.loads(out.read_text())["otherData"])

    def test_one_at_a_time_and_nothing_to_trace(self):
        """A second trace is refused in one line; one without steps says what to do, and leaves no file."""
        out = self.temporary_directory() / "trace.json"
        with Traced(self.shared, "--seconds", 2, "--out", out) as traced:
            done = run("trace", "--state", self.shared.state, "--out", out)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, r"\Ashoal: a trace is being recorded already[^\n]*\n\Z")
        self.assertEqual((traced.done.returncode, traced.done.stdout), (1, ""))
        self.assertRegex(traced.done.stderr, r"\Ashoal: no step came back within 2 s: send a request meanwhile[^\n]*\n\Z")
        self.assertFalse(out.exists())

    def test_places_that_cannot_be_written(self):
        """Said before the window, not after it."""
        folder = self.temporary_directory()
        for out, why in ((folder / "none" / "trace.json", "there is no directory"), (folder, "is a directory")):
            done = run("trace", "--state", self.shared.state, "--seconds", 60, "--out", out, seconds=20)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, rf"\Ashoal: [^\n]*{why}[^\n]*\n\Z")

    def test_api(self):
        """Parameters out of range are a 400 that names them; without the admin key nothing is told."""
        for seconds in ("0", "61", "-1", "1.5", "ten", "", "99999999999999999999"):
            with self.assertRaises(HttpError) as caught:
                self.shared.get(f"/shoal/v1/trace?seconds={seconds}", admin=True)
            self.assertEqual((caught.exception.status, caught.exception.error["param"]), (400, "seconds"), seconds)
        with self.assertRaises(HttpError) as caught:
            self.shared.get("/shoal/v1/trace?seconds=1")
        self.assertEqual(caught.exception.status, 401)
        self.assertEqual(self.shared.get("/shoal/v1/trace?seconds=1", admin=True)["otherData"]["steps"], 0)

    def test_a_client_that_leaves_ends_its_trace(self):
        connection = http.client.HTTPConnection(*self.shared.api, timeout=20)
        connection.request("GET", "/shoal/v1/trace?seconds=60",
                           headers={"Authorization": f"Bearer {self.shared.admin_key}"})
        self.shared.wait_status(lambda status: status["tracing"], "a trace is recorded")
        connection.close()
        self.shared.wait_status(lambda status: not status["tracing"], "the trace ended")


class SlowLink(ShoalTestCase):
    """Two nodes whose data link takes 30 ms each way: the trace says that it is this link, and how slow it is."""

    DELAY_MS = 30

    def test_it_is_named(self):
        shoal = self.start(model(), nodes=0, nodes_min=2, wait=False)
        self.add_shaped_nodes(shoal, 2, "--delay-ms", self.DELAY_MS)
        out = self.temporary_directory() / "trace.json"
        with Traced(shoal, "--seconds", 3, "--out", out) as traced:
            shoal.completion("Once upon a time", max_tokens=12)
        self.assertEqual(traced.done.returncode, 0, traced.done.stderr)
        summary = json.loads(out.read_text())["otherData"]
        slow = summary["links"][1]
        self.assertEqual((slow["from"], slow["to"]), ("stage 1", "stage 2"))
        self.assertGreater(slow["time_us"], 0.8 * self.DELAY_MS * 1000)
        self.assertEqual(max(summary["links"], key=lambda link: link["share"]), slow)
        self.assertGreater(slow["slowest"], 0.9)
        self.assertRegex(summary["bottleneck"], r"\ALinks take \d+ % of a step, the slowest is from stage 1 to stage 2 with \d+ %")


if __name__ == "__main__":
    unittest.main()
