"""The fault kinds. A scenario is a function of a rig and a case, and its first line says what happens; it disturbs answers
once and tells what a client saw. The shoal is settled before each case, and whoever calls settles it again."""
import os
import random
import signal
import time
from dataclasses import dataclass
from functools import cached_property

import rig  # noqa: F401  (makes tests/support/ importable)
from client import BROKEN, ERROR, EXACT
from shoal import wait_until

ANSWER_MAX_S = 240
DOZE_S, DOZE_BRIEF_S = 5, 3.5  # both above the 3 s after which a silent link is closed
SEEN_BY_S = 4  # after which a link that is silent has been given up
SLOW, SLOW_BRIEF = (60, 30, 8), (12, 6, 8)  # ms, ms of jitter, Mbit/s


@dataclass(frozen=True)
class Case:
    """All that is drawn for a case follows from scenario, seed and number. Four cases share a moment, one for each stage."""
    scenario: str
    seed: int
    number: int
    brief: bool = False  # as short as the fault still is one

    @cached_property
    def moment(self):
        """(share of the answer's tokens that have come, share of a token's time): when it happens. The first is while the
        prompt is computed."""
        drawn = random.Random(f"{self.seed} moment {self.number // 4}")
        share = 0.9 * drawn.random()
        return (0.0 if self.number // 4 % 10 == 9 else share), drawn.random()

    @cached_property
    def random(self):
        return random.Random(f"{self.seed} {self.scenario} {self.number}")

    @property
    def mode(self):
        return "sampled" if self.number // 4 % 2 else "greedy"

    def stage_of(self, hosts):
        return self.number % len(hosts)


def disturbed(rig, case, strike, lasting_s=0):
    """One answer; `strike(status)` breaks something at the case's moment. What the client saw, and its longest pause. The
    same is asked again and again until the fault has been there for `lasting_s`."""
    expected = rig.expected[case.mode]
    share, lag = case.moment
    for _ in range(3):
        status = rig.status()
        answer = rig.ask(case.mode)
        answer.wait_tokens(int(share * len(expected.tokens)))
        time.sleep(lag * expected.token_s)  # the moment is drawn
        if not answer.ended:
            break
    else:
        raise AssertionError(f"the answer ended before its moment: {answer.why}")
    token, struck_at = len(answer.tokens), time.monotonic()
    strike(status)
    struck_until = time.monotonic()
    answers = [answer.wait(ANSWER_MAX_S)]
    while time.monotonic() < struck_at + lasting_s and answers[-1].compared(expected)[0] == EXACT:
        answers.append(rig.ask(case.mode).wait(ANSWER_MAX_S))
    outcome, why = answers[-1].compared(expected)
    pauses = [pause for pause in (each.pause_s(struck_at) for each in answers) if pause is not None]
    return {"ok": outcome == EXACT, "outcome": outcome, "why": why, "mode": case.mode, "token": token,
            "pause_s": max(pauses, default=None), "paused": answer.paused(struck_at, struck_until)}


def host(rig, case, status):
    hosts = rig.hosts(status)
    return hosts[case.stage_of(hosts)]


def kill(rig, case):
    """a node killed (kill -9)"""
    return disturbed(rig, case, lambda status: host(rig, case, status).kill())


def replica(rig, case):
    """a node killed, beside a replica: two pipelines of two nodes"""
    def strike(status):
        busy = next(pipeline for pipeline in rig.status()["pipelines"] if pipeline["sequences_live"] > 0)
        stages = busy["plan"]["stages"]
        rig.named(stages[case.stage_of(stages)]["node_name"]).kill()
    return disturbed(rig, case, strike)


def two(rig, case):
    """two nodes killed at once"""
    def strike(status):
        hosts = rig.hosts(status)
        first = case.stage_of(hosts)
        second = (first + 1 + case.random.randrange(len(hosts) - 1)) % len(hosts)
        for node in (hosts[first], hosts[second]):
            os.kill(node.pid, signal.SIGKILL)
        for node in (hosts[first], hosts[second]):
            node.kill()
    return disturbed(rig, case, strike)


def spare(rig, case):
    """a node killed, and the spare too"""
    def strike(status):
        spares, epoch = rig.spare_nodes(status), status["plan"]["epoch"]
        host(rig, case, status).kill()

        def recovering():
            plan = rig.status()["plan"]
            return plan is None or plan["epoch"] > epoch
        wait_until(recovering, "the recovery", 10, pause=0.002)
        time.sleep(case.random.random() * 20 * rig.expected[case.mode].token_s)  # a drawn moment
        for node in spares:
            node.kill()
    seen = disturbed(rig, case, strike)
    return seen | {"kind": "during the recovery" if seen["paused"] else "just after the recovery"}


def doze(rig, case):
    """a node stopped (SIGSTOP) for 5 s, as a phone that dozes"""
    def strike(status):
        victim = host(rig, case, status)
        os.kill(victim.pid, signal.SIGSTOP)
        time.sleep(DOZE_BRIEF_S if case.brief else DOZE_S)  # what is tested
        os.kill(victim.pid, signal.SIGCONT)
    return disturbed(rig, case, strike)


# What is cut, which way, and how the page calls it.
CUTS = (("control", "forth", "one way"), ("control", "both", "both ways"), ("control", "back", "one way"),
        ("data", "forth", "one way"), ("data", "both", "both ways"), ("data", "back", "one way"),
        ("phone", "forth", "one way"), ("phone", "both", "both ways"), ("phone", "back", "one way"),
        ("control", "closed", "connections closed"), ("data", "closed", "connections closed"))


def cuts(rig, case):
    """a link, or all of a phone's links, cut"""
    what, ways, kind = CUTS[case.number % len(CUTS)]

    def strike(status):
        hosts = rig.hosts(status)
        at = case.number // len(CUTS) % len(hosts)
        if what == "data":
            at = max(at, 1)  # the link from the stage before it
        if ways == "closed":
            rig.close_links(hosts[at], what)
        elif what == "control":
            rig.cut_control(hosts[at], ways)
        elif what == "data":
            rig.cut_data(hosts[at], ways)
        else:
            rig.cut_off(hosts[at], hosts[at + 1] if at + 1 < len(hosts) else None, ways)
    return disturbed(rig, case, strike, SEEN_BY_S) | {"kind": kind, "cut": f"{what}, {ways}"}


def slow(rig, case):
    """a phone's links become slow (60 to 90 ms each way, 8 Mbit/s)"""
    shape = SLOW_BRIEF if case.brief else SLOW
    return disturbed(rig, case, lambda status: rig.slow_down(host(rig, case, status), *shape))


def disk(rig, case):
    """a node and the spare killed, and the disk of the only one that could help is full"""
    full = rig.add_with_full_disk()
    rig.wait_status(lambda s: any(n["name"] == full.name and n["state"] == "connected" for n in s["nodes"]),
                    "the node with the full disk connected")

    def strike(status):
        for node in (host(rig, case, status), *rig.spare_nodes(status)):
            if node is not full:
                node.kill()
    seen = disturbed(rig, case, strike)
    if seen["ok"] and "make room for" not in full.log() and "No space left" not in full.log():
        seen |= {"ok": False, "outcome": "not tried", "why": "the node with the full disk had nothing to store"}
    rig.remove(full)
    return seen


def coordinator(rig, case):
    """the coordinator killed (kill -9) and started again; clients ask again with their idempotency keys"""
    modes = ("greedy", "sampled")
    keys = {mode: f"{mode}-{case.seed}-{case.number}-{time.monotonic_ns()}" for mode in modes}
    answers = [rig.ask(mode, key=keys[mode]) for mode in modes]
    share, lag = case.moment
    expected = rig.expected["greedy"]
    answers[0].wait_tokens(int(share * len(expected.tokens)))
    time.sleep(lag * expected.token_s)
    struck_at, nodes = time.monotonic(), [node.pid for node in rig.nodes]
    rig.coordinator.kill()
    ended = [answer.wait(30).compared(rig.expected[mode]) for mode, answer in zip(modes, answers)]
    for outcome, why in ended:  # whatever came is right, and nobody takes it for the whole answer
        if outcome not in (EXACT, ERROR, BROKEN):
            return {"ok": False, "outcome": outcome, "why": why, "pause_s": None}
    rig.start_coordinator()
    # One asks for the rest of what it has, the other for all of it.
    rest = [rig.ask("greedy", key=keys["greedy"], after=answers[0] if answers[0].last_id else None),
            rig.ask("sampled", key=keys["sampled"])]
    seen = [answer.wait(ANSWER_MAX_S).compared(rig.expected[mode]) for mode, answer in zip(modes, rest)]
    outcome, why = next((each for each in seen if each[0] != EXACT), seen[0])
    fresh = rest[0]
    if [node.pid for node in rig.nodes if node.running()] != nodes:
        outcome, why = "node ended", "a node did not outlive the coordinator"
    return {"ok": outcome == EXACT, "outcome": outcome, "why": why, "token": len(answers[0].tokens),
            "running": [outcome for outcome, _ in ended],
            "pause_s": fresh.arrivals[0] - struck_at if fresh.arrivals else None}


# Name: (scenario, cases of the full form).
SCENARIOS = {"kill": (kill, 400), "replica": (replica, 100), "two": (two, 40), "spare": (spare, 40), "doze": (doze, 20), "cuts": (cuts, 44),
             "slow": (slow, 12), "disk": (disk, 8), "coordinator": (coordinator, 20)}
# Scenarios with a shoal of their own: what its rig takes.
RIGS = {"replica": {"spares": 0, "pipelines": 2}}
