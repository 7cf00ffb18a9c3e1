"""What lookup speculation brings to text that repeats itself: the same answers with drafts and without, in turns.

The model has random weights and its embedding as output (the 1.1B shape, tied): after a prompt that repeats a phrase, its
greedy answer repeats itself too, in some texts nearly always, in others with changes. Nothing about the answers is made
up: the share of drafts that came true is counted.
"""
import contextlib
import os
import statistics

from common import BIN, model, prompt, say
from links import SHAPES
from shoal_process import Shoal

# (tokens of the phrase, its number): chosen by how their answers go on; the page says what came out.
STEADY, VARIED = ((4, 10), (4, 13), (2, 14)), ((4, 11), (1, 11), (1, 14))
PROMPT_TOKENS = 64
DRAFTS_MAX = 15
SETTINGS = ((2, "0 ms"), (4, "2 ms each way"))


def repeating(tokens, length, seed):
    phrase = prompt(length, seed)
    return [phrase[i % length] for i in range(tokens)]


def measure(shoal, text, tokens):
    before = shoal.status()
    answer = shoal.complete(repeating(PROMPT_TOKENS, *text), tokens + 1)
    after = shoal.status()
    return {"text": answer["choices"][0]["text"],
            "speed": (answer["usage"]["completion_tokens"] - 1) / answer["timings"]["answer_ms"] * 1000,
            "sent": after["drafts_sent"] - before["drafts_sent"],
            "accepted": after["drafts_accepted"] - before["drafts_accepted"]}


def differ(on, off, shoals):
    same = len(os.path.commonprefix([on, off]))
    return (f"drafts changed an answer behind {same} characters: {on[same:same + 40]!r} instead of {off[same:same + 40]!r}; " +
            "; ".join(f"--draft-tokens {n}: {shoal.status()['exactness']}" for n, shoal in shoals.items()))


def measure_setting(nodes, link, texts, rounds, tokens):
    gguf = model("llama-1.1b-tied-q4_0", "--preset", "llama-1.1b", "--tied")
    arguments = ["--context", "1024", "--prefix-cache", "off", "--draft-tokens"]
    rows = {text: [] for text in texts}
    with contextlib.ExitStack() as stack:
        shoals = {on: stack.enter_context(Shoal(os.path.join(BIN, "shoal"), gguf, nodes, [*arguments, str(on)],
                                                shape=SHAPES[link])) for on in (DRAFTS_MAX, 0)}
        for shoal in shoals.values():
            shoal.complete(prompt(128, 999), 8)
        for i in range(rounds):
            for text in texts:
                found = {on: measure(shoal, text, tokens) for on, shoal in shoals.items()}
                on, off = found[DRAFTS_MAX], found[0]
                if on["text"] != off["text"]:
                    raise RuntimeError(differ(on["text"], off["text"], shoals))
                rows[text].append({"with": on["speed"], "without": off["speed"], "sent": on["sent"], "accepted": on["accepted"]})
                say(f"drafts, {nodes} nodes, {link}, round {i + 1}, text {text}: {on['speed']:.1f} with, {off['speed']:.1f} "
                    f"without, {on['accepted']} of {on['sent']} right")
    return [{"nodes": nodes, "link": link, "phrase": list(text), "runs": runs,
             "with": statistics.median(run["with"] for run in runs),
             "without": statistics.median(run["without"] for run in runs),
             "ratio": statistics.median(run["with"] / run["without"] for run in runs),
             "accepted": sum(run["accepted"] for run in runs), "sent": sum(run["sent"] for run in runs)}
            for text, runs in rows.items()]


def run(rounds, tokens, texts):
    """`texts`: how many of each kind."""
    chosen = (*STEADY[:texts], *VARIED[:texts])
    return {"model": "llama-1.1b with the embedding as output, Q4_0, random weights", "rounds": rounds, "tokens": tokens,
            "prompt_tokens": PROMPT_TOKENS, "drafts_max": DRAFTS_MAX,
            "texts": [row for nodes, link in SETTINGS for row in measure_setting(nodes, link, chosen, rounds, tokens)]}
