#!/usr/bin/env python3
"""How the cost of scheduler and coordinator grows: with live sequences, with nodes, and with sequences that do not move.

The scheduler alone over simulated pipelines (sched_bench), and the CPU time of a real coordinator's process with a tiny
model, as many clients as sequences, over HTTP. Writes bench/results/scheduler.md and .json; part of make bench.
"""
import argparse
import datetime
import json
import os
import subprocess

import processes
from common import BIN, PLAIN, at_once, headed, machine, model, prompt, say, write
from processes import cpu_seconds
from shoal_process import Shoal

SEQUENCES, NODES = (1, 64, 256), (4, 32, 200)
COMPUTED_AT_ONCE = 64  # what `serve --sequences` allows; more wait
ANSWER_TOKENS, TOKENS_MIN = 64, 4096  # of one answer; of all answers of a measurement
NOISE = 1.5


def sched_bench(repetitions):
    """Nanoseconds a token by benchmark and arguments, medians of the repetitions."""
    output = subprocess.run([os.path.join(BIN, "sched_bench"), "--benchmark_format=json", "--benchmark_min_time=0.2",
                             f"--benchmark_repetitions={repetitions}"], check=True, capture_output=True, text=True).stdout
    found = {}
    for row in json.loads(output)["benchmarks"]:
        if row.get("error_occurred"):
            raise RuntimeError(f"{row['name']}: {row['error_message']}")
        if row["run_type"] == "iteration":
            unit = {"ns": 1, "us": 1e3, "ms": 1e6}[row["time_unit"]]
            found.setdefault(row["run_name"], []).append({"token_ns": row.get("per_token", 0) * 1e9, "time_ns": row["cpu_time"] * unit,
                                                          "rows_a_step": row.get("rows_per_step", 0)})
    return {name: sorted(runs, key=lambda run: run["time_ns"])[len(runs) // 2] for name, runs in found.items()}


def coordinator_cost(repetitions):
    """CPU microseconds of the coordinator's process a token, by the number of clients that ask at once."""
    gguf = model("tiny", "--preset", "tiny")
    room = COMPUTED_AT_ONCE * (ANSWER_TOKENS + 8)
    arguments = [*PLAIN, "--sequences", str(COMPUTED_AT_ONCE), "--kv-tokens", str(room)]
    costs = {clients: [] for clients in SEQUENCES}
    with Shoal(os.path.join(BIN, "shoal"), gguf, 4, arguments) as shoal:
        shoal.complete(prompt(64, 999), 8)
        coordinator = shoal.named_processes()["coordinator"]
        for repetition in range(repetitions):
            for clients in SEQUENCES:
                def client(number):
                    """Asks again and again until enough was asked."""
                    first, answers = 1000 * repetition, max(clients, TOKENS_MIN // ANSWER_TOKENS)
                    seeds = range(first + number, first + answers, clients)
                    return sum(shoal.complete(prompt(4, seed), ANSWER_TOKENS)["usage"]["completion_tokens"] for seed in seeds)

                before = cpu_seconds(coordinator)
                made = sum(at_once(client, range(clients)))
                costs[clients].append((cpu_seconds(coordinator) - before) / made * 1e6)
                say(f"coordinator, {clients} clients: {costs[clients][-1]:.0f} us of CPU a token, {made} tokens")
    return {clients: sorted(runs)[len(runs) // 2] for clients, runs in costs.items()}


def page(result):
    s, found = result["scheduler"], result["coordinator_us"]

    def token_ns(name):
        return s[name]["token_ns"]

    lines = headed("How the cost of scheduler and coordinator grows", result) + [
        "## The scheduler alone", "",
        "Nanoseconds of one core for a token: its share of StepDone and of the step formed, and its TokenSampled. Simulated",
        "pipelines that answer at once, every sequence decoding; in brackets the decode rows of a step.", "",
        "| | " + " | ".join(f"{n} nodes" for n in NODES) + " |", "|---|" + "---|" * len(NODES)]
    for sequences in SEQUENCES:
        cells = [s[f"decode/nodes:{nodes}/sequences:{sequences}"] for nodes in NODES]
        lines.append(f"| {sequences} live | " + " | ".join(f"{c['token_ns']:.0f} ({c['rows_a_step']:.1f})" for c in cells) + " |")
    most = max(s[f"decode/nodes:{n}/sequences:{q}"]["token_ns"] for n in NODES for q in SEQUENCES)
    base = token_ns(f"decode/nodes:{NODES[0]}/sequences:1")
    lines += ["", f"A row costs at most {most / base:.2f} times what it costs with one sequence over {NODES[0]} nodes"
              f" ({'no worse than' if most / base < NOISE else 'worse than'} linear in rows, {NOISE} allowed for noise).", "",
              "Beside sequences that do not move, one that does; nanoseconds a token:", "",
              "| live sequences | the others in steps that do not come back (256 nodes) | the others wait for a place (4 nodes) |",
              "|---|---|---|"]
    for sequences in SEQUENCES:
        still, waiting = (token_ns(f"decode_beside_{kind}_ones/sequences:{sequences}") for kind in ("still", "waiting"))
        lines.append(f"| {sequences} | {still:.0f} | {waiting:.0f} |")
    ratios = [token_ns(f"decode_beside_{kind}_ones/sequences:{SEQUENCES[-1]}") / token_ns(f"decode_beside_{kind}_ones/sequences:1")
              for kind in ("still", "waiting")]
    lines += ["", f"{SEQUENCES[-1]} against 1: {ratios[0]:.2f} and {ratios[1]:.2f} (flat is 1).", "",
              "Making a plan, which happens when nodes come or go:", "", "| nodes, layers | ms |", "|---|---|"]
    for name, row in s.items():
        if name.startswith("make_plan/"):
            nodes, layers = (part.split(":")[1] for part in name.split("/")[1:])
            lines.append(f"| {nodes}, {layers} | {row['time_ns'] / 1e6:.2f} |")
    lines += ["", "## A real coordinator", "",
              f"CPU microseconds of its process a token (HTTP, tokens to text, TLS, scheduler, sampling), the tiny model on four "
              f"nodes, answers of {ANSWER_TOKENS} tokens. At most {COMPUTED_AT_ONCE} sequences are computed at once (`serve "
              f"--sequences`), so of 256 clients 192 wait.", "",
              "| clients at once | us a token |", "|---|---|"]
    return lines + [f"| {clients} | {cost:.0f} |" for clients, cost in found.items()]


def run(repetitions):
    result = {"date": datetime.date.today().isoformat(), "machine": machine(), "rounds": repetitions,
              "scheduler": sched_bench(repetitions), "coordinator_us": coordinator_cost(repetitions)}
    write("scheduler", result, page, quiet=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    processes.unwind_on_signals()
    run(parser.parse_args().repetitions)
