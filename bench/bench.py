#!/usr/bin/env python3
"""make bench, make bench-full: one model over several machines of one thread, beside llama.cpp, in one run.

Systems: the whole model in llama.cpp, llama.cpp's RPC, Shoal; links of several kinds. Prefill, decode of several streams,
first token, CPU seconds and peak memory of every process (cells.py); what lookup speculation brings (drafts.py); how the
scheduler's cost grows (scaling.py); the floors (floors.py). Writes bench/results/bench.md, .json and .svg (quick) or
bench-full.* after every round, so that a run that was broken off leaves what it has.
"""
import argparse
import datetime
import json
import os
import shutil
import sys
import time

import common
import drafts
import scaling
from cells import SHORT_PROMPT, Cell, Work, measure
from chart import chart
from common import CACHE, commit, machine, model, result_path, say, write
from links import SHAPES
from llama_cpp import llama_tools
from processes import unwind_on_signals
from report import page

FAR = "2 ms each way"
QUICK_CELLS = (Cell("whole"), Cell("rpc", 2), Cell("shoal", 2), Cell("rpc", 4, FAR), Cell("shoal", 4, FAR))
FULL_CELLS = (Cell("whole"), *(Cell(system, nodes, link) for link in SHAPES for nodes in (2, 4) for system in ("rpc", "shoal")))
MODELS = {  # name: (how to make it, what it is)
    "llama-1.1b": (("--preset", "llama-1.1b"), "1.1B Llama shape, Q4_0, random weights"),
    "llama2-7b": (("--preset", "llama2-7b"), "7B Llama-2 shape, Q4_0, random weights"),
    "tiny": (("--preset", "tiny"), "a tiny model"),
}
FORMS = {
    "quick": {"rounds": 3, "cells": QUICK_CELLS, "work": {"llama-1.1b": Work((128, 512), (1, 8), 32)},
              "drafts": {"rounds": 2, "tokens": 96, "texts": 1}, "scaling": {"repetitions": 1}},
    "full": {"rounds": 5, "cells": FULL_CELLS, "work": {"llama-1.1b": Work((128, 512), (1, 2, 4, 8, 16), 32),
                                                       "llama2-7b": Work((128, 512), (1, 2, 4, 8, 16), 8)},
             "drafts": {"rounds": 5, "tokens": 128, "texts": 3}, "scaling": {"repetitions": 5}},
    # All cells, to see that they work; its numbers mean nothing.
    "trial": {"rounds": 1, "cells": FULL_CELLS, "work": {"tiny": Work((128, 512), (1, 2, 8), 8)},
              "drafts": {"rounds": 1, "tokens": 16, "texts": 1}, "scaling": {"repetitions": 1}},
}
# The whole model in llama.cpp has the file mapped and its weights repacked.
MEMORY_OF_FILE = 2.3


def made(name):
    """The model's file; SystemExit when this machine has no room to measure it."""
    gguf = model(f"{name}-q4_0", *MODELS[name][0])
    needed = MEMORY_OF_FILE * os.path.getsize(gguf)
    with open("/proc/meminfo") as file:
        available = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    if available < needed:
        sys.exit(f"bench: {name} needs {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} are available: "
                 "free some, or leave it out with --models")
    if shutil.disk_usage(CACHE).free < 2 * os.path.getsize(gguf):
        sys.exit(f"bench: {name} needs room on disk for its shards, {2 * os.path.getsize(gguf) / 2**30:.1f} GiB")
    return gguf


def file_name(form):
    return "bench" if form == "quick" else f"bench-{form}"


def store(result):
    result = json.loads(json.dumps(result))  # as it reads from the file: keys are text
    name = file_name(result["form"])
    write(name, result, page, quiet=True)
    with open(result_path(name + ".svg"), "w") as file:
        file.write(chart(result))
    return name


def measured_before(form):
    """What an earlier run of this form left: models and drafts that this one does not measure stay, with their dates."""
    try:
        with open(result_path(file_name(form) + ".json")) as file:
            return json.load(file)
    except OSError:
        return {}


def measured(cell, tools, gguf, work, seed, failures):
    """A cell that fails is measured once more, and the page tells: a run of hours should not end there."""
    try:
        return measure(cell, tools, gguf, work, seed)
    except (RuntimeError, OSError) as error:
        failures.append(f"{cell.name()}, {cell.link}, round {seed + 1}: {error}")
        say("again:", failures[-1])
        return measure(cell, tools, gguf, work, seed)


def since(first, last):
    """Two dates, or two commits, as one text."""
    return last if first in (None, last) else f"{first.split(' to ')[0]} to {last}"


def compare(result, name, form, rounds, more, tools):
    gguf, work = made(name), form["work"][name]
    cells = [{"system": c.system, "nodes": c.nodes, "link": c.link, "name": c.name(), "runs": []} for c in form["cells"]]
    about = {"about": MODELS[name][1], "date": datetime.date.today().isoformat(), "commit": commit(), "cells": cells, "failures": [],
             "work": {"prompts": list(work.prompts), "streams": list(work.streams), "decode_tokens": work.decode_tokens,
                      "short_prompt": SHORT_PROMPT}}
    before = result["models"].get(name)
    done = 0
    if more and before:
        if before["work"] != about["work"] or [c["name"] + c["link"] for c in before["cells"]] != [c["name"] + c["link"] for c in cells]:
            sys.exit(f"bench: what was measured of {name} is not what this form measures: leave out --more")
        about |= {"failures": before["failures"], "date": since(before["date"], about["date"]),
                  "commit": since(before["commit"], about["commit"])}
        for found, earlier in zip(cells, before["cells"]):
            found["runs"] = earlier["runs"]
        done = before["rounds"]
    for i in range(done, done + rounds):
        runs = []
        for cell in form["cells"]:
            runs.append(measured(cell, tools, gguf, work, i, about["failures"]))
            say(f"{name}, round {i + 1} of {done + rounds}, {cell.name()}, {cell.link}: {runs[-1]['cell_s']:.0f} s,",
                ", ".join(f"{what} {n}: {v:.1f}" for what in ("prefill", "decode") for n, v in runs[-1][what].items()))
        for found, run in zip(cells, runs):
            found["runs"].append(run)
        result["models"][name] = about | {"rounds": i + 1}
        store(result)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=FORMS, default="quick", help="full takes hours; trial only shows that all works")
    parser.add_argument("--rounds", type=int, help="default: 3, of the full form 5")
    parser.add_argument("--more", action="store_true", help="add rounds to those of the models' table that are there already")
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: all of the form")
    parser.add_argument("--out", default=common.RESULTS, help="where the pages go (default: bench/results)")
    parser.add_argument("--parts", nargs="+", choices=["table", "drafts", "scheduler"], default=["table", "drafts", "scheduler"],
                        help="default: all")
    options = parser.parse_args()
    unwind_on_signals()
    common.RESULTS = os.path.abspath(options.out)
    start, name = time.monotonic(), options.form
    form = FORMS[name]
    before = measured_before(name)
    result = {"form": name, "machine": machine(), "models": before.get("models", {}), "drafts": before.get("drafts")}
    if "scheduler" in options.parts:
        scaling.run(**form["scaling"])
    if "table" in options.parts:
        for chosen in options.models or form["work"]:
            if chosen not in form["work"]:
                sys.exit(f"bench: the {name} form does not measure {chosen}; it measures {', '.join(form['work'])}")
            compare(result, chosen, form, options.rounds or form["rounds"], options.more, llama_tools())
    if "drafts" in options.parts:
        result["drafts"] = {"date": datetime.date.today().isoformat(), "commit": commit()} | drafts.run(
            **form["drafts"] | ({"rounds": options.rounds} if options.rounds else {}))
    written = store(result)
    say(f"{(time.monotonic() - start) / 60:.1f} minutes; {result_path(written)}.md, .json, .svg")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
