#!/usr/bin/env python3
"""make chaos: faults of every kind, with real processes, and what a client of the API sees of them.

Four nodes and a spare answer; at a drawn moment something breaks, and the answer must be the undisturbed one, token by token.
Scenarios: scenarios.py (one answer, one fault), storm.py (random faults under several streams), rpc.py (llama.cpp's RPC beside
it). Writes bench/results/chaos.md and .json as it goes: a part that was run before stays until it is run again, and --resume
goes on with the cases that are missing. Ends with 1 when a case failed; each prints the command that repeats it.
"""
import argparse
import datetime
import http.client
import json
import os
import shutil
import sys
import tempfile
import time

from rig import Rig, Skipped
import common
from common import commit, machine, result_path, say, write
from page import page, publish
from processes import unwind_on_signals
from rpc import rpc
from shoal import wait_until
from scenarios import RIGS, SCENARIOS, Case
from storm import FAULTS, GAP_S, storm
from subjects import SUBJECTS, TOKENS

ORDER = [*SCENARIOS, "random", "rpc"]
SAVE_EVERY = 10
TROUBLE = (AssertionError, OSError, http.client.HTTPException, ValueError)  # of a shoal that does not answer as it should


def options_from(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench.sh chaos", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", nargs="*", choices=ORDER, default=ORDER, metavar="NAME",
                        help=f"default: all of {', '.join(ORDER)}; none: the results are written again as they are")
    parser.add_argument("--model", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="default: all")
    parser.add_argument("--kills", type=int, help="cases of `kill`: four for each moment (default: 400)")
    parser.add_argument("--cases", type=int, help="cases of the other scenarios (default: " +
                        ", ".join(f"{name} {count}" for name, (_, count) in SCENARIOS.items() if name != "kill") + ")")
    parser.add_argument("--minutes", type=float, default=30, help="of `random` (default: 30)")
    parser.add_argument("--streams", type=int, default=8, help="of `random` (default: 8)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="only this case of each scenario; nothing is written")
    parser.add_argument("--resume", action="store_true", help="keep the cases that the results have, with this seed")
    parser.add_argument("--publish", action="store_true", help="put the table into docs/reliability.md as well")
    parser.add_argument("--out", default=common.RESULTS, help="where the results go (default: bench/results)")
    return parser.parse_args(arguments)


class Results:
    """What has been found, by scenario and model; written as it grows."""

    def __init__(self, options):
        self.options = options
        self.failed = 0
        self.found = {"rows": {}}
        try:
            with open(result_path("chaos.json")) as file:
                self.found = json.load(file)
        except OSError:
            pass
        self.found |= {"tokens": TOKENS, "order": ORDER,
                       "storm_faults": f"one every {GAP_S} s in the mean: " + ", ".join(FAULTS)}

    def row(self, scenario, model, about, command, gap_s):
        """The row that is to be filled: a fresh one, or with --resume the one that is there."""
        key = f"{scenario}/{model}"
        row = self.found["rows"].get(key)
        if not (self.options.resume and row and row["seed"] == self.options.seed):
            row = {"cases": {}}
        row |= {"scenario": scenario, "model": model, "about": about, "seed": self.options.seed, "command": command,
                "date": datetime.date.today().isoformat(), "commit": commit(), "machine": machine(),
                "undisturbed_gap_s": gap_s}
        if self.options.case is None:
            self.found["rows"][key] = row
        return row

    def add(self, row, number, seen, repeat):
        row["cases"][str(number)] = seen if seen["ok"] else seen | {"repeat": repeat}
        if not seen["ok"]:
            self.failed += 1
            say(f"FAILED: {seen.get('outcome', '')}: {seen.get('why') or seen.get('lost')}\n  repeat with: {repeat}")
        if len(row["cases"]) % SAVE_EVERY == 0:
            self.save()

    def save(self):
        if self.options.case is None:
            write("chaos", json.loads(json.dumps(self.found)), page, quiet=True)


def command(options, scenario, model, case=None):
    words = f"scripts/bench.sh chaos --scenarios {scenario}" + (f" --model {model}" if scenario != "rpc" else "")
    if scenario == "random":
        return words + f" --minutes {options.minutes:g} --streams {options.streams} --seed {options.seed}"
    if scenario == "rpc":
        return words
    if case is not None:
        return words + f" --seed {options.seed} --case {case}"
    return words + f" --{'kills' if scenario == 'kill' else 'cases'} {cases_of(options, scenario)} --seed {options.seed}"


def cases_of(options, scenario):
    return (options.kills if scenario == "kill" else options.cases) or SCENARIOS[scenario][1]


class Ground:
    """A rig that is there when it is needed, and made anew when a case has ruined it. `settings`: what it takes besides."""

    def __init__(self, name, settings=None):
        self.subject, self.rig, self.settings = SUBJECTS[name], None, settings or {}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.rig is not None:
            self.leave(kept=kind is not None)

    def ready(self):
        if self.rig is None:
            say(f"starting a shoal with {self.subject.about}")
            self.rig = Rig(self.subject.file(), **self.settings,
                           **self.subject.settings(self.settings.get("pipelines", 1)))
            self.rig.learn(self.subject.requests())
            exactness = self.rig.status()["exactness"]
            if not exactness.startswith("exact"):
                raise AssertionError(f"answers of this shoal are {exactness}")
        return self.rig

    def leave(self, kept):
        """Ends the shoal. `kept`: its logs stay, and it is said where."""
        rig, self.rig = self.rig, None
        if kept:
            where = tempfile.mkdtemp(prefix="shoal-chaos-logs.")
            for log in rig.directory.glob("*.log"):
                shutil.copy(log, where)
            say(f"the logs are in {where}")
        rig.close()


def told(scenario, model, number, seen):
    pause = f", pause {seen['pause_s']:.2f} s" if seen.get("pause_s") is not None else ""
    what = ", ".join(str(seen[key]) for key in ("cut", "mode") if key in seen)
    return f"{scenario} {model} {number}: {what} at token {seen.get('token')}: {seen['outcome']}{pause}"


def why(rig, error):
    """One line; that a process has ended says more than what came of it."""
    try:
        wait_until(lambda: rig.check(), "", 0.5)  # a process that dies needs a moment
    except AssertionError as ended:
        error = ended if str(ended) and "not within" not in str(ended) else error
    return str(error).split("; the status was")[0]


def run_case(ground, name, case):
    """What was seen; a shoal that does not get over it is a failure too, and is ended."""
    rig = ground.ready()
    try:
        seen = SCENARIOS[name][0](rig, case)
        rig.check()
        rig.settle()
    except TROUBLE as error:
        seen = {"ok": False, "outcome": "not settled", "why": why(rig, error), "pause_s": None}
    if not seen["ok"]:
        ground.leave(kept=True)
    return seen


def run_cases(ground, results, options, name, model):
    rig = ground.ready()
    row = results.row(name, model, SCENARIOS[name][0].__doc__, command(options, name, model),
                      max(expected.longest_gap_s for expected in rig.expected.values()))
    numbers = range(cases_of(options, name)) if options.case is None else [options.case]
    try:
        for number in numbers:
            if str(number) in row["cases"]:
                continue
            seen = run_case(ground, name, Case(name, options.seed, number))
            say(told(name, model, number, seen))
            results.add(row, number, seen, command(options, name, model, number))
    except Skipped as reason:
        say(f"{name}: left out: {reason}")


def run_storm(ground, results, options, model):
    rig = ground.ready()
    row = results.row("random", model, "random faults", command(options, "random", model),
                      max(expected.longest_gap_s for expected in rig.expected.values()))
    if "0" in row["cases"]:
        return
    rig.learn(ground.subject.many_requests())
    try:
        seen = storm(rig, options.seed, 60 * options.minutes, options.streams, say=say)
    except TROUBLE as error:
        said = why(rig, error)
        seen = {"ok": False, "outcome": "not settled", "why": said, "answers": 0, "exact": 0, "lost": [said],
                "faults": {}, "seconds": 60 * options.minutes, "streams": options.streams, "pauses_s": [], "memory": []}
    results.add(row, 0, seen, command(options, "random", model))
    say(f"random {model}: {seen['exact']} of {seen['answers']} answers exact, faults: {seen['faults']}")
    ground.leave(kept=not seen["ok"])  # nothing must be left of it


def run_rpc(results, options):
    row = results.row("rpc", "1.1b", rpc.__doc__, command(options, "rpc", ""), 0)
    if "0" not in row["cases"]:
        seen = rpc(SUBJECTS["1.1b"].file())
        say(f"llama.cpp RPC: {seen}")
        results.add(row, 0, seen, command(options, "rpc", ""))


def main():
    options = options_from(sys.argv[1:])
    unwind_on_signals()
    common.RESULTS = os.path.abspath(options.out)
    begin, results = time.monotonic(), Results(options)
    try:
        for model in options.model:
            with Ground(model) as ground:
                for name in (name for name in options.scenarios if name in SCENARIOS and name not in RIGS):
                    run_cases(ground, results, options, name, model)
                if "random" in options.scenarios:
                    run_storm(ground, results, options, model)
            for name in (name for name in options.scenarios if name in RIGS):
                with Ground(model, RIGS[name]) as ground:
                    run_cases(ground, results, options, name, model)
        if "rpc" in options.scenarios:
            run_rpc(results, options)
    finally:
        results.save()
    if options.publish:
        publish(results.found)
    say(f"{(time.monotonic() - begin) / 60:.1f} minutes, {results.failed} cases failed" +
        ("" if options.case is not None else f"; {result_path('chaos.md')}, .json"))
    sys.exit(1 if results.failed else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
