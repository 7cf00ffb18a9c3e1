"""What speculation brings: the same answers with drafts and without, in turns.

Lookup: the model has random weights and its embedding as output (the 1.1B shape, tied): after a prompt that repeats a
phrase, its greedy answer repeats itself too, in some texts nearly always, in others with changes.
A draft model: random weights of which the layers from the third on add little (shoal-make-model --later-gain), so that
the model of the first two guesses what all 22 say; the prompts have nothing that repeats itself.
Nothing about the answers is made up: the share of drafts that came true is counted.
"""
import contextlib
import os
import statistics

from common import BIN, model, prompt, say
from links import SHAPES
from shoal_process import Shoal

# Phrases that repeat, (tokens, number): chosen by how their answers go on; the page says what came out.
STEADY, VARIED = ((4, 10), (4, 13), (2, 14)), ((4, 11), (1, 11), (1, 14))
PROMPT_TOKENS = 64
LATER_GAIN = "0.02"  # about three of four guesses of the first two layers come true then
DRAFTS_MAX = 15
SETTINGS = ((2, "0 ms"), (4, "2 ms each way"))


def repeating(tokens, length, seed):
    phrase = prompt(length, seed)
    return [phrase[i % length] for i in range(tokens)]


def measure(shoal, text, tokens):
    before = shoal.status()
    answer = shoal.complete(text, tokens + 1)
    after = shoal.status()
    return {"text": answer["choices"][0]["text"],
            "speed": (answer["usage"]["completion_tokens"] - 1) / answer["timings"]["answer_ms"] * 1000,
            "sent": after["drafts_sent"] - before["drafts_sent"],
            "accepted": after["drafts_accepted"] - before["drafts_accepted"]}


def differ(on, off, shoals):
    same = len(os.path.commonprefix([on, off]))
    return (f"drafts changed an answer behind {same} characters: {on[same:same + 40]!r} instead of {off[same:same + 40]!r}; " +
            "; ".join(f"--draft-tokens {n}: {shoal.status()['exactness']}" for n, shoal in shoals.items()))


def measure_setting(nodes, link, kind, gguf, extra, texts, rounds, tokens):
    """`texts`: {name: prompt}. `extra`: arguments of the shoal with drafts."""
    arguments = ["--context", "1024", "--prefix-cache", "off", "--draft-tokens"]
    rows = {text: [] for text in texts}
    with contextlib.ExitStack() as stack:
        shoals = {on: stack.enter_context(Shoal(os.path.join(BIN, "shoal"), gguf, nodes,
                                                [*arguments, str(on), *(extra if on else [])],
                                                shape=SHAPES[link])) for on in (DRAFTS_MAX, 0)}
        for shoal in shoals.values():
            shoal.complete(prompt(128, 999), 8)
        for i in range(rounds):
            for text in texts:
                found = {on: measure(shoal, texts[text], tokens) for on, shoal in shoals.items()}
                on, off = found[DRAFTS_MAX], found[0]
                if on["text"] != off["text"]:
                    raise RuntimeError(differ(on["text"], off["text"], shoals))
                rows[text].append({"with": on["speed"], "without": off["speed"], "sent": on["sent"], "accepted": on["accepted"]})
                say(f"{kind}, {nodes} nodes, {link}, round {i + 1}, {text}: {on['speed']:.1f} with, {off['speed']:.1f} "
                    f"without, {on['accepted']} of {on['sent']} right")
    return [{"kind": kind, "nodes": nodes, "link": link, "text": text, "runs": runs,
             "with": statistics.median(run["with"] for run in runs),
             "without": statistics.median(run["without"] for run in runs),
             "ratio": statistics.median(run["with"] / run["without"] for run in runs),
             "accepted": sum(run["accepted"] for run in runs), "sent": sum(run["sent"] for run in runs)}
            for text, runs in rows.items()]


def run(rounds, tokens, texts):
    """`texts`: how many of each kind."""
    repeats = {f"{length} tokens, {seed}": repeating(PROMPT_TOKENS, length, seed)
               for length, seed in (*STEADY[:texts], *VARIED[:texts])}
    others = {f"prompt {seed}": prompt(PROMPT_TOKENS, seed) for seed in range(1, texts + 1)}
    tied = model("llama-1.1b-tied-q4_0", "--preset", "llama-1.1b", "--tied")
    guessed = model(f"llama-1.1b-gain{LATER_GAIN}-q4_0", "--preset", "llama-1.1b", "--later-gain", LATER_GAIN)
    guesses = model("llama-1.1b-2layers-q4_0", "--preset", "llama-1.1b", "--layers", "2")
    rows = []
    for nodes, link in SETTINGS:
        rows += measure_setting(nodes, link, "lookup", tied, [], repeats, rounds, tokens)
        rows += measure_setting(nodes, link, "draft model", guessed, ["--draft-model", guesses], others, rounds, tokens)
    return {"model": "llama-1.1b, Q4_0, random weights", "rounds": rounds, "tokens": tokens, "prompt_tokens": PROMPT_TOKENS,
            "drafts_max": DRAFTS_MAX, "later_gain": LATER_GAIN, "texts": rows}
