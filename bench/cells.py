"""One cell of the table: one system, with one kind of links, measured once.

The same is counted for all systems. Prefill: a prompt alone in the system, its tokens by the time until the logits of its
last one are there. Decode of n streams: each has a short prompt; from when all of them have their first token until the
last of all has so many more. What came before (loading, warming up) counts for nothing, CPU seconds included.
"""
import math
import os
import time
from dataclasses import dataclass

from common import BIN, PLAIN, at_once, prompt
from links import SHAPES
from llama_cpp import RpcServers, batched_bench
from processes import Usage
from shoal_process import Shoal

SHORT_PROMPT, WARM_PROMPT = 4, 128
CONTEXT = 1024
TRIES_MAX = 4


@dataclass(frozen=True)
class Cell:
    system: str  # "whole", "rpc", "shoal"
    nodes: int = 1
    link: str = "0 ms"

    def name(self):
        kind = {"whole": "llama.cpp, whole model", "rpc": f"llama.cpp RPC, {self.nodes} servers",
                "shoal": f"Shoal, {self.nodes} nodes"}
        return kind[self.system]


@dataclass(frozen=True)
class Work:
    """What is measured in every cell: prompts and streams, and how many tokens a stream decodes."""
    prompts: tuple
    streams: tuple
    decode_tokens: int


def measure(cell, tools, gguf, work, seed):
    start = time.monotonic()
    found = measure_shoal(cell, gguf, work, seed) if cell.system == "shoal" else measure_llama(cell, tools, gguf, work)
    return found | {"cell_s": time.monotonic() - start}


def measure_llama(cell, tools, gguf, work):
    """Twice llama-batched-bench, since it gives each of n sequences an n-th of the context."""
    servers = RpcServers(tools, cell.nodes if cell.system == "rpc" else 0, SHAPES[cell.link])
    usage = Usage()
    with servers:
        def everybody(client):
            return {"client": client} | {f"server-{i + 1}": process for i, process in enumerate(servers.processes)}

        def bench(prompts, tokens, streams, context):
            def warm(client):
                servers.slow_down(True)
                usage.begin(everybody(client))

            servers.slow_down(False)
            return batched_bench(tools, gguf, prompts, tokens, streams, context, servers.arguments if servers.count else (),
                                 warm, lambda client: usage.note(everybody(client)))

        prefill = bench((SHORT_PROMPT, *work.prompts), 1, (1,), CONTEXT)
        decode = bench((SHORT_PROMPT,), work.decode_tokens, (1, *work.streams),
                       max(work.streams) * (SHORT_PROMPT + work.decode_tokens))
    return {"prefill": {row["pp"]: row["speed_pp"] for row in prefill},
            "first_token_s": {row["pp"]: row["t_pp"] for row in prefill},
            "decode": {row["pl"]: row["speed_tg"] for row in decode}, "processes": usage.found}


def measure_shoal(cell, gguf, work, seed):
    usage = Usage()
    room = max(CONTEXT, max(work.streams) * (SHORT_PROMPT + work.decode_tokens + 1))
    arguments = [*PLAIN, "--sequences", str(max(work.streams)), "--kv-tokens", str(room)]
    with Shoal(os.path.join(BIN, "shoal"), gguf, cell.nodes, arguments, shape=SHAPES[cell.link]) as shoal:
        shoal.complete(prompt(WARM_PROMPT, 999), 8)  # what steps cost is measured by then
        usage.begin(shoal.named_processes())
        found = {"prefill": {}, "first_token_s": {}, "decode": {}}
        for tokens in work.prompts:
            start = time.monotonic()
            answer = shoal.complete(prompt(tokens, 31 * seed + tokens), 1)
            found["first_token_s"][tokens] = time.monotonic() - start
            found["prefill"][tokens] = tokens / answer["timings"]["prompt_ms"] * 1000
        for streams in work.streams:
            found["decode"][streams] = decode_speed(shoal, streams, work.decode_tokens, 1000 * seed + 17 * streams)
        usage.note(shoal.named_processes())
        # Behind the rest, and not in its CPU seconds.
        found["compute_ms_a_token"] = compute_ms_a_token(shoal, work.decode_tokens, 1000 * seed)
    return found | {"processes": usage.found}


def decode_speed(shoal, streams, tokens, seed):
    """Tokens/s of all streams together, from the last stream's first token to the last token of all."""
    def answer_one(number):
        answer = shoal.complete(prompt(SHORT_PROMPT, number), tokens + 1)
        end = time.monotonic()
        return end - answer["timings"]["answer_ms"] / 1000, end, answer["usage"]["completion_tokens"]

    for attempt in range(TRIES_MAX):
        answers = at_once(answer_one, range(seed + 100 * attempt, seed + 100 * attempt + streams))
        if all(made == tokens + 1 for _, _, made in answers):
            break  # else a random model ended its answer
    else:
        raise RuntimeError(f"no {streams} prompts with answers of {tokens + 1} tokens were found")
    begin, end = max(first for first, _, _ in answers), max(last for _, last, _ in answers)
    early = sum(math.ceil(tokens * (begin - first) / (last - first)) for first, last, _ in answers)
    return (streams * tokens - early) / (end - begin)


def compute_ms_a_token(shoal, tokens, seed):
    """In all stages together, for one stream."""
    def compute_us(answer_tokens, number):
        before = shoal.status()["step_totals"]["compute_us"]
        answer = shoal.complete(prompt(SHORT_PROMPT, number), answer_tokens)
        return shoal.status()["step_totals"]["compute_us"] - before, answer["usage"]["completion_tokens"]

    (prompt_us, _), (all_us, made) = compute_us(1, seed), compute_us(tokens + 1, seed + 1)
    if made < 2:
        raise RuntimeError("the answer ended at once")
    return (all_us - prompt_us) / (made - 1) / 1000
