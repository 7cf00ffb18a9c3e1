"""The page of a result of bench.py: tables, floors, what the processes used, and how it was counted."""
import statistics

from common import rounds_of
from floors import accepted, floors, ratio, value, verdict

HOW = """How it is counted, the same for all:

- Every server and every node computes with one thread. A round measures every system once, one after the other; a value
  is the median over the rounds, a ratio the median of the rounds' ratios.
- Prefill: a prompt alone in the system, its tokens by the time until the logits of its last token are there
  (llama-batched-bench: the prompt's part with one sequence; Shoal: `timings.prompt_ms` of an answer of one token).
- First token: for llama.cpp the time of that prefill; for Shoal the client's own time from asking over HTTP until the whole
  answer of one token is there.
- Decode of n streams: prompts of {short} tokens, all different; from when all streams have their first token until each has
  {tokens} more, all tokens together (llama-batched-bench: the generation's part; Shoal: n clients at once, greedy).
- Slow links: a link shaper in user space before every server, every node, and Shoal's coordinator, which delays each way,
  or serves each way at a rate. Links get their shape when the weights are loaded, so no system waits for its weights.
- Drafts and prefix cache are off, as the peer has neither; drafts have a table of their own.
- llama.cpp runs with its defaults (flash attention, repacked weights, batches of 2048, micro-batches of 512).
- CPU seconds: for the same work (all prompts and streams of the row), without loading and warming up. Peak memory:
  VmHWM from the process's start to its end, which counts mapped pages of files; a context of 1024 tokens, or what the
  streams need. Link shapers are not in it."""


def median(found, *what):
    values = [value(run, what) for run in found["runs"]] if found else []
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def shown(number, digits=1):
    return "" if number is None else f"{number:.{digits}f}"


def columns(model):
    """(heading, path into a run) of what was measured."""
    work = model["work"]
    return [*((f"prefill of {n}", ("prefill", str(n))) for n in work["prompts"]),
            *(("decode, one stream" if n == 1 else f"{n} streams", ("decode", str(n))) for n in work["streams"])]


def row(cells):
    return "| " + " | ".join(cells) + " |"


def peer_of(found, cells):
    return next((c for c in cells if (c["system"], c["nodes"], c["link"]) == ("rpc", found["nodes"], found["link"])), None)


def speeds(model):
    what, longest = columns(model), str(max(model["work"]["prompts"]))
    lines = [row(["tokens/s", "links", *(heading for heading, _ in what), f"first token of {longest}, s"]),
             "|---|---|" + "---|" * (len(what) + 1)]
    for found in model["cells"]:
        lines.append(row([found["name"], "" if found["system"] == "whole" else found["link"],
                          *(shown(median(found, *path)) for _, path in what),
                          shown(median(found, "first_token_s", longest), 2)]))
    return lines


def ratios(model):
    """Shoal's speed over the peers', round by round."""
    what, longest = columns(model), str(max(model["work"]["prompts"]))
    whole = next((c for c in model["cells"] if c["system"] == "whole"), None)
    lines = [row(["Shoal's speed over", "links", *(heading for heading, _ in what), f"first token of {longest}"]),
             "|---|---|" + "---|" * (len(what) + 1)]
    for found in (c for c in model["cells"] if c["system"] == "shoal"):
        for peer in filter(None, (whole, peer_of(found, model["cells"]))):
            first = ratio(peer, found, "first_token_s", longest)
            lines.append(row([f"{found['nodes']} nodes / {peer['name']}", found["link"],
                              *(shown(ratio(found, peer, *path), 2) for _, path in what), shown(first, 2)]))
    return lines


def used(model):
    lines = [row(["", "links", "CPU seconds", "peak memory, MiB"]), "|---|---|---|---|"]
    for found in model["cells"]:
        names = list(found["runs"][0]["processes"])
        cpu = {name: median(found, "processes", name, "cpu_s") for name in names}
        peak = {name: median(found, "processes", name, "peak_bytes") / 2**20 for name in names}
        each = [", ".join(f"{name} {v:.1f}" for name, v in cpu.items()),
                ", ".join(f"{name} {v:.0f}" for name, v in peak.items())]
        if len(names) > 1:
            sums = (f"{sum(cpu.values()):.1f}", f"{sum(peak.values()):.0f}")
            each = [f"**{total}**: {words}" for total, words in zip(sums, each)]
        lines.append(row([found["name"], "" if found["system"] == "whole" else found["link"], *each]))
    return lines


def floor_lines(result):
    lines = ["## Floors", "", "Of the 1.1B model; ratios are medians of the ratios of rounds.", "", row(["where", "what", "floor", "found", ""]), "|---|---|---|---|---|"]
    for where, what, kind, floor, found, remark in floors(result):
        lines.append(row([where, what + (f" ({remark})" if remark else ""), f"{kind} {floor:.2f}", shown(found, 2),
                          verdict(kind, floor, found)]))
    return lines + ["", "How the cost of coordinator and scheduler grows: [scheduler.md](scheduler.md).", ""]


def draft_lines(drafts):
    lines = ["## Speculation", "",
             f"{drafts['model']}. `--draft-tokens {drafts['drafts_max']}` against `0` in turns, the same greedy answers of "
             f"{drafts['tokens']} tokens to prompts of {drafts['prompt_tokens']}, {rounds_of(drafts['rounds'])} "
             f"({drafts['date']}, commit {drafts['commit']}). Lookup: the prompt repeats a phrase, and the answer goes on as "
             "the weights have it, which with the embedding as output is often a repetition. Draft model: the first two of 22 "
             f"layers, on a thread of the coordinator; the others add little (`--later-gain {drafts['later_gain']}`).", "",
             row(["drafts by", "nodes", "links", "text", "came true", "with, tokens/s", "without", "ratio"]),
             "|---|---|---|---|---|---|---|---|"]
    for found in drafts["texts"]:
        lines.append(row([found["kind"], str(found["nodes"]), found["link"], found["text"],
                          f"{found['accepted']} of {found['sent']} ({100 * accepted(found):.0f} %)",
                          shown(found["with"]), shown(found["without"]), shown(found["ratio"], 2)]))
    return lines + [""]


def page(result):
    quick = result["form"] == "quick"
    name = "bench" if quick else f"bench-{result['form']}"
    lines = ["# Shoal beside llama.cpp", "",
             f"`make {name}`, {result['machine']}." +
             (" The quick form: part of the table and few rounds; `make bench-full` has all of it." if quick else ""), "",
             f"![chart]({name}.svg)", ""]
    lines += floor_lines(result)
    for model in result["models"].values():
        minutes = sum(run["cell_s"] for found in model["cells"] for run in found["runs"]) / 60
        lines += [f"## {model['about']}", "",
                  f"{model['date']}, commit {model['commit']}, {rounds_of(model['rounds'])}, {minutes:.0f} minutes.", ""]
        lines += [*speeds(model), "", *ratios(model), "", *used(model), ""]
        lines += [f"Measured again because it failed: {failed}." for failed in model.get("failures", [])]
    if result.get("drafts"):
        lines += draft_lines(result["drafts"])
    works = [model["work"] for model in result["models"].values()]
    tokens = " or ".join(dict.fromkeys(str(work["decode_tokens"]) for work in works))
    return lines + [HOW.format(short=works[0]["short_prompt"] if works else "", tokens=tokens)]
