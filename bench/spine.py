#!/usr/bin/env python3
"""make bench-spine: what Shoal costs in itself, on one machine, with models of random weights.

What a hop costs, what a node's process takes beyond weights, KV and compute buffers, what an idle shoal of four takes of a
core (bench/results/overhead.md, .json), what exactness costs per quantisation (exactness.md), and what it brings to find a
prompt's beginning in the KV (prefixes.md). How fast Shoal is beside llama.cpp: bench.py.
"""
import argparse
import datetime
import os
import re
import statistics
import time

import processes
from common import BIN, PLAIN, headed, machine, model, prompt, say, write
from llama_cpp import llama_source
from processes import cpu_seconds
from shoal_process import Shoal

TYPES = ["Q4_0", "Q4_K_M", "Q5_K", "Q6_K", "Q8_0", "F16"]
DECODE_TOKENS = 64
PREFILL_TOKENS = 128


def measure_shoal(shoal, seed):
    """(prefill, decode) in tokens/s and the hop cost in ms of a decode of one stream."""
    answer = shoal.complete(prompt(PREFILL_TOKENS, seed), 1)
    prefill = PREFILL_TOKENS / answer["timings"]["prompt_ms"] * 1000
    before = shoal.status()["step_totals"]
    answer = shoal.complete(prompt(4, seed), DECODE_TOKENS)
    after = shoal.status()["step_totals"]
    tokens = answer["usage"]["completion_tokens"]
    decode = (tokens - 1) / answer["timings"]["answer_ms"] * 1000
    step = {key: after[key] - before[key] for key in after}
    hop_ms = (step["way_us"] - step["queue_us"] - step["compute_us"]) / step["hops"] / 1000
    return prefill, decode, hop_ms


def proportional_memory_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024


def measure_memory(shoal):
    """Bytes of each node's process beyond the weights, KV and compute buffers that its stage reports."""
    stages = {stage["node_name"]: stage["memory"]["total_bytes"] for stage in shoal.status()["plan"]["stages"]}
    return {f"node-{i}": proportional_memory_bytes(process.pid) - stages[f"node-{i}"]
            for i, process in enumerate(shoal.processes[1:], 1)}


def measure_idle(shoal, seconds=20):
    """Share of one core that all processes of a shoal take that has nothing to do."""
    time.sleep(3)  # until the links that carried the last steps doze
    start, used = time.monotonic(), sum(map(cpu_seconds, shoal.processes))
    time.sleep(seconds)
    return (sum(map(cpu_seconds, shoal.processes)) - used) / (time.monotonic() - start)


def prefixes(rounds):
    """The time to the first token of a prompt of 512, of which nothing, 256 or 480 tokens were there already."""
    gguf = model("llama-1.1b-q4_0", "--preset", "llama-1.1b")
    known = (0, 256, 480)
    waits = {count: [] for count in known}
    with Shoal(os.path.join(BIN, "shoal"), gguf, 2, ["--context", "1024", "--kv-tokens", "4096"]) as shoal:
        shoal.complete(prompt(8, 99), 8)
        for i in range(rounds):
            for count in known:
                beginning = prompt(512, 1000 + 10 * i + known.index(count))
                if count:
                    shoal.complete(beginning[:count], 1)
                answer = shoal.complete(beginning[:count] + prompt(512 - count, 5000 + i), 1)
                found = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
                if not count - 2 <= found <= count + 2:
                    raise RuntimeError(f"{found} tokens were found instead of {count}")
                waits[count].append(answer["timings"]["prompt_ms"])
            say(f"round {i + 1}: " + ", ".join(f"{count} known: {waits[count][-1]:.0f} ms" for count in known))
    return [{"known": count, "first_token_ms": statistics.median(waits[count])} for count in known]


def exactness_costs(rounds):
    rows = []
    for kind in TYPES:
        gguf = model(f"exact-{kind.lower()}", "--arch", "llama", "--layers", "8", "--embedding", "1024", "--heads", "16",
                     "--kv-heads", "4", "--ffn", "2816", "--type", kind, "--context", "2048", "--vocab",
                     os.path.join(llama_source(), "models", "ggml-vocab-llama-spm.gguf"))
        speeds = {}
        for exact in ("on", "off"):
            with Shoal(os.path.join(BIN, "shoal"), gguf, 1, ["--exact", exact, *PLAIN]) as shoal:
                runs = [measure_shoal(shoal, seed) for seed in range(rounds)]
                speeds[exact] = [statistics.median(column) for column in zip(*runs)]
                if exact == "off":
                    exact_anyway = "another cut" in shoal.status()["exactness"]  # the stage passed the proof
        rows.append({"type": kind, "prefill_on": speeds["on"][0], "prefill_off": speeds["off"][0],
                     "decode_on": speeds["on"][1], "decode_off": speeds["off"][1], "exact_when_off": exact_anyway})
        say(rows[-1])
    return rows


def overhead(rounds):
    """What a shoal costs beside computing: a hop, a node's memory, and doing nothing."""
    gguf = model("llama-1.1b-q4_0", "--preset", "llama-1.1b")
    with Shoal(os.path.join(BIN, "shoal"), gguf, 2, PLAIN) as shoal:
        shoal.complete(prompt(8, 99), 8)
        runs = [measure_shoal(shoal, i) for i in range(rounds)]
        exactness, memory = shoal.status()["exactness"], measure_memory(shoal)
    with Shoal(os.path.join(BIN, "shoal"), gguf, 4, PLAIN) as shoal:
        shoal.complete(prompt(8, 99), 8)
        idle = measure_idle(shoal)
    return {"model": "llama-1.1b, Q4_0, random weights", "exactness": exactness,
            "hop_ms": statistics.median(hop_ms for _, _, hop_ms in runs), "memory_beyond_bytes": memory, "idle_core_share": idle}


def overhead_page(result):
    return headed("What a shoal costs beside computing", result) + [
        f"{result['model']}, nodes of one thread; two for the hop and the memory, four for idling.", "",
        f"Shoal's answers in this run: {result['exactness']}.", "",
        f"- A hop (coordinator, wire, scheduler; TLS on loopback) costs {result['hop_ms']:.3f} ms a token.",
        "- A node's process beyond weights, KV and compute buffers (PSS): " +
        ", ".join(f"{v / 2**20:.1f} MiB" for v in result["memory_beyond_bytes"].values()) + ".",
        f"- An idle shoal of four nodes and a coordinator takes {result['idle_core_share'] * 100:.2f} % of a core."]


def exactness_page(result):
    lines = headed("What exactness costs", result) + [
        "One node of one thread, 8 layers of 1024, random weights, `--exact on` against `off`, tokens/s.", "",
        "| type | prefill on | off | on / off | decode on | off | on / off | proof passed even when off |",
        "|---|---|---|---|---|---|---|---|"]
    for r in result["types"]:
        lines.append(
            f"| {r['type']} | {r['prefill_on']:.0f} | {r['prefill_off']:.0f} | {r['prefill_on'] / r['prefill_off']:.2f} | "
            f"{r['decode_on']:.0f} | {r['decode_off']:.0f} | {r['decode_on'] / r['decode_off']:.2f} | "
            f"{'yes' if r['exact_when_off'] else 'no'} |")
    return lines


def prefixes_page(result):
    lines = headed("What it brings to find a prompt's beginning in the KV", result) + [
        "The 1.1B shape in Q4_0, random weights, two nodes of one thread; prompts of 512 tokens.", "",
        "| tokens found | first token after, ms | ratio |", "|---|---|---|"]
    for r in result["prompts"]:
        lines.append(f"| {r['known']} | {r['first_token_ms']:.0f} | {r['first_token_ms'] / result['prompts'][0]['first_token_ms']:.2f} |")
    return lines


TABLES = {
    "overhead": (overhead, overhead_page),
    "exactness": (lambda rounds: {"types": exactness_costs(rounds)}, exactness_page),
    "prefixes": (lambda rounds: {"prompts": prefixes(rounds)}, prefixes_page),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=TABLES, help="one of the tables")
    options = parser.parse_args()
    processes.unwind_on_signals()
    about = {"date": datetime.date.today().isoformat(), "machine": machine(), "rounds": options.rounds}
    for name in [options.only] if options.only else TABLES:
        measured, page = TABLES[name]
        write(name, about | measured(options.rounds), page)


if __name__ == "__main__":
    main()
