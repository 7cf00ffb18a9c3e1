"""Faults of every kind, each a few times: the short form of `make chaos` (tests/chaos), with the demo model and one seed."""

import json
import socket
import sys
import threading
import unittest

from shoal import PATIENCE, ROOT, ShoalTestCase

sys.path.insert(0, str(ROOT / "tests" / "chaos"))
from client import BROKEN, ERROR, EXACT, SILENT, WRONG, Answer  # noqa: E402
from rig import Rig, Skipped  # noqa: E402
from scenarios import CUTS, RIGS, SCENARIOS, Case  # noqa: E402
from storm import storm  # noqa: E402
from subjects import SUBJECTS  # noqa: E402

SEED = 5


class Disturbed(ShoalTestCase):
    rig = {}

    @classmethod
    def setUpClass(cls):
        subject = SUBJECTS["demo"]
        cls.shared = Rig(subject.file(), **cls.rig, **subject.settings(cls.rig.get("pipelines", 1)))
        cls.addClassCleanup(cls.shared.close)  # fails when a process is left
        cls.shared.learn(subject.requests())

    def disturb(self, name, *numbers, pause_max_s=None):
        """These cases of a scenario: exact answers, no longer a pause than that, and the shoal is as before."""
        for number in numbers:
            with self.subTest(name, number=number):
                seen = SCENARIOS[name][0](self.shared, Case(name, SEED, number, brief=True))
                self.shared.check()
                self.shared.settle()
                self.assertTrue(seen["ok"], f"{seen['outcome']}: {seen['why']}; this case of the whole form: "
                                f"scripts/bench.sh chaos --scenarios {name} --model demo --seed {SEED} --case {number}")
                if pause_max_s is not None:
                    self.assertLess(seen["pause_s"] or 0, pause_max_s * PATIENCE)


class Kills(Disturbed):
    def test_kill(self):
        """Each of four nodes at two moments."""
        self.disturb("kill", *range(8))

    def test_two_at_once(self):
        self.disturb("two", 1)

    def test_spare_in_the_recovery(self):
        self.disturb("spare", 2)


class BesideAReplica(Disturbed):
    rig = RIGS["replica"]

    def test_kill(self):
        self.disturb("replica", 1, 6)


class Faults(Disturbed):
    def test_doze(self):
        self.disturb("doze", 5)

    def test_one_way_cut(self):
        self.disturb("cuts", CUTS.index(("control", "back", "one way")))

    def test_cut_off(self):
        """3 s of silence, and at most 1 s until what waits for a direct link is relayed; 2 s more for a busy machine."""
        self.disturb("cuts", CUTS.index(("phone", "both", "both ways")), CUTS.index(("data", "forth", "one way")),
                     pause_max_s=6)

    def test_closed_connections(self):
        self.disturb("cuts", CUTS.index(("data", "closed", "connections closed")))

    def test_slow_links(self):
        self.disturb("slow", 1)

    def test_full_disk(self):
        try:
            self.disturb("disk", 3)
        except Skipped as reason:
            self.skipTest(str(reason))

    def test_coordinator(self):
        self.disturb("coordinator", 1)

    def test_random_faults(self):
        """No request lost, each answer exact, and something did break."""
        self.shared.learn(SUBJECTS["demo"].many_requests(4))
        seen = storm(self.shared, SEED, 6, streams=4, gap_s=0.7)
        self.assertEqual(seen["lost"], [])
        self.assertTrue(seen["ok"])
        self.assertGreater(sum(seen["faults"].values()), 2)


class ClientThatLooksClosely(unittest.TestCase):
    """The client of tests/chaos takes nothing for a whole answer that is none."""

    HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    END = b"0\r\n\r\n"

    @staticmethod
    def chunk(event):
        data = b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"
        return b"%x\r\n%s\r\n" % (len(data), data)

    def token(self, text, logprob=-1.0, finish=None):
        return self.chunk({"choices": [{"text": text, "finish_reason": finish,
                                        "logprobs": {"tokens": [text], "token_logprobs": [logprob]}}]})

    def answer(self, *parts):
        """What the client makes of a server that says this and closes."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"".join(parts))
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            answer = Answer(server.getsockname(), {"prompt": "x"}).wait(20)
            thread.join(20)
            return answer

    def test_endings(self):
        one, last, done = self.token("a"), self.token("b", finish="stop"), self.chunk(b"[DONE]")
        expected = self.answer(self.HEAD, one, last, done, self.END).expected()
        error = self.chunk({"error": {"code": "shutting_down", "message": "m"}})
        for outcome, parts in ((EXACT, (self.HEAD, one, last, done, self.END)),
                               (BROKEN, (self.HEAD, one)),
                               (BROKEN, (self.HEAD, one, last[:-4])),
                               (SILENT, (self.HEAD, one, self.END)),
                               (SILENT, (self.HEAD, one, last, self.END)),
                               (ERROR, (self.HEAD, one, error, self.END)),
                               (ERROR, (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\n{}",)),
                               (WRONG, (self.HEAD, one, one, last, done, self.END)),
                               (WRONG, (self.HEAD, last, done, self.END)),
                               (WRONG, (self.HEAD, self.token("c"), error, self.END)),
                               (WRONG, (self.HEAD, self.token("a", -1.5), last, done, self.END))):
            with self.subTest(outcome, parts=parts):
                self.assertEqual(self.answer(*parts).compared(expected)[0], outcome)

    def test_pause(self):
        """The longest gap that ended after the fault; from the fault on when no token had come."""
        answer = self.answer(self.HEAD, self.token("a", finish="stop"), self.chunk(b"[DONE]"), self.END)
        answer.asked_at, answer.arrivals = 10.0, [11.0, 15.0, 16.0, 19.0, 19.5]
        self.assertEqual(answer.pause_s(), 4.0)
        self.assertEqual(answer.pause_s(since=15.5), 3.0)
        self.assertEqual(answer.pause_s(since=10.5), 4.0)
        self.assertEqual(answer.pause_s(since=17.0), 3.0)
        self.assertIsNone(answer.pause_s(since=20.0))


if __name__ == "__main__":
    unittest.main()
