#!/usr/bin/env python3
"""make bench-links: one model over several machines of one core, on links of several kinds, beside llama.cpp's RPC.

Both systems pay the same network: a link shaper before every server and every node (and before Shoal's coordinator).
Prefill of a prompt of 512 tokens, decode of one stream and of eight, in turns within a round; medians and ratios
(bench/results/links.md, .json). Without drafts and prefix cache, which the peer does not have.
"""
import argparse
import concurrent.futures
import datetime
import os
import statistics
import time

from common import BIN, PLAIN, headed, machine, model, prompt, say, write
from llama_cpp import RpcServers, batched_bench, llama_bench, llama_tools
from shoal_process import Shoal

LINKS = {"0 ms": [], "2 ms each way": ["--delay-ms", "2"]}
NODES = (2, 4)
PREFILL_TOKENS, DECODE_TOKENS, STREAMS, STREAM_TOKENS = 512, 48, 8, 32
WHAT = ("prefill", "decode", "streams")


def measure_llama(tools, gguf, *arguments):
    prefill, decode = llama_bench(tools, gguf, PREFILL_TOKENS, DECODE_TOKENS, *arguments)
    return {"prefill": prefill, "decode": decode, "streams": batched_bench(tools, gguf, STREAMS, STREAM_TOKENS, *arguments)}


def measure_shoal(shoal, seed):
    answer = shoal.complete(prompt(PREFILL_TOKENS, seed), 1)
    prefill = PREFILL_TOKENS / answer["timings"]["prompt_ms"] * 1000
    answer = shoal.complete(prompt(4, seed), DECODE_TOKENS)
    decode = (answer["usage"]["completion_tokens"] - 1) / answer["timings"]["answer_ms"] * 1000
    with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
        answers = list(pool.map(lambda i: shoal.complete(prompt(16, 100 * seed + i), STREAM_TOKENS), range(STREAMS)))
    # As llama-batched-bench: decode alone, from when all streams have their first token to the last token of all.
    seconds = max(answer["timings"]["answer_ms"] for answer in answers) / 1000
    tokens = sum(answer["usage"]["completion_tokens"] - 1 for answer in answers)
    return {"prefill": prefill, "decode": decode, "streams": tokens / seconds}


def run(tools, rounds):
    gguf = model("llama-1.1b-q4_0", "--preset", "llama-1.1b")
    found = {}
    for i in range(rounds):
        start = time.monotonic()
        found.setdefault("llama.cpp, whole model, 1 thread", []).append(measure_llama(tools, gguf))
        for link, shape in LINKS.items():
            for nodes in NODES:
                with RpcServers(tools, nodes, shape) as servers:
                    found.setdefault(f"llama.cpp RPC, {nodes} servers, {link}", []).append(
                        measure_llama(tools, gguf, "--rpc", servers, "-ngl", "99"))
                with Shoal(os.path.join(BIN, "shoal"), gguf, nodes, [*PLAIN, "--kv-tokens", "2048"], shape=shape) as shoal:
                    shoal.complete(prompt(64, 999), 8)  # what steps cost is measured by then
                    found.setdefault(f"Shoal, {nodes} nodes, {link}", []).append(measure_shoal(shoal, i))
        say(f"round {i + 1} of {rounds}: {time.monotonic() - start:.0f} s;",
            {name: [round(runs[-1][what], 1) for what in WHAT] for name, runs in found.items()})
    return {"model": "llama-1.1b, Q4_0, random weights",
            "systems": {name: {what: statistics.median(run[what] for run in runs) for what in WHAT} for name, runs in found.items()}}


def page(result):
    systems = result["systems"]
    whole = systems["llama.cpp, whole model, 1 thread"]
    lines = headed("Several machines and their links, beside llama.cpp RPC", result) + [
        f"{result['model']}; servers and nodes of one thread; a link shaper before each of them.", "",
        f"| | prefill of {PREFILL_TOKENS}, tokens/s | decode, one stream | decode, {STREAMS} streams | against whole | against RPC |",
        "|---|---|---|---|---|---|"]
    for name, speeds in systems.items():
        peer = systems.get(name.replace("Shoal", "llama.cpp RPC").replace("nodes", "servers")) if name.startswith("Shoal") else None
        against = " / ".join(f"{speeds[what] / whole[what]:.2f}" for what in WHAT)
        beside = " / ".join(f"{speeds[what] / peer[what]:.2f}" for what in WHAT) if peer else ""
        lines.append(f"| {name} | {speeds['prefill']:.1f} | {speeds['decode']:.1f} | {speeds['streams']:.1f} | {against} | {beside} |")
    return lines + ["", "Against: prefill / one stream / eight streams."]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    about = {"date": datetime.date.today().isoformat(), "machine": machine(), "rounds": options.rounds}
    write("links", about | run(llama_tools(), options.rounds), page)


if __name__ == "__main__":
    main()
