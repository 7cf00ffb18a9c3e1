"""The page of what `make chaos` found, and its table for docs/reliability.md."""
import re
import statistics

import rig  # noqa: F401  (makes bench/ importable)
from common import ROOT

HOW = """How it is counted:

- Four nodes with a stage each and one spare (beside a replica: two pipelines of two nodes, and no spare), and a coordinator: processes of one thread on one machine, each link through a
  link shaper in user space. A case disturbs one streamed answer of {tokens} tokens (the demo model ends its longest, a
  story, after 120 to 130), greedy and sampled in turns, at a drawn moment (every tenth while the prompt is computed), once for each of the four stages; then all is mended.
- Exact: every token with its logprob, the text, and why it ended are those of the undisturbed answer, which was computed
  first; none twice, none missing, no error.
- Pause: the longest time between two streamed tokens that ended after the fault; the undisturbed answer's own longest is
  beside it. For a killed coordinator, whose clients ask again with their idempotency keys: from the kill to
  the next token that the client had not. For random faults: the longest of
  each answer.
- Random faults: {faults}.
- Memory: what a process holds for itself (RssAnon), the median of three looks when it had warmed up and of three at the
  end, while it held the same layers."""
MARKS = ("<!-- chaos: begin -->", "<!-- chaos: end -->")
HEAD = ["| fault | model | times | exact answers | pause: median | 95 of 100 | worst | repeat with |",
        "|---|---|---|---|---|---|---|---|"]


def seconds(value):
    return "" if value is None else f"{value:.2f} s"


def spread(pauses):
    """Median, 95th of 100 and worst."""
    if not pauses:
        return [None] * 3
    ordered = sorted(pauses)
    return [statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], ordered[-1]]


def kinds(row):
    """(what is added to the fault's name, cases) of each kind in a row."""
    found = {}
    for case in row["cases"].values():
        found.setdefault(case.get("kind", ""), []).append(case)
    return found.items()


def fault_lines(row):
    if row["scenario"] == "random":
        return [storm_line(row)]
    lines = []
    for kind, cases in kinds(row):
        exact = sum(case["ok"] for case in cases)
        pauses = spread([case["pause_s"] for case in cases if case.get("pause_s") is not None])
        name = row["about"] + (f", {kind}" if kind else "")
        lines.append([name, row["model"], str(len(cases)), f"{exact} of {len(cases)}", *map(seconds, pauses),
                      f"`{row['command']}`"])
    return lines


def storm_line(row):
    found = row["cases"]["0"]
    times = sum(found["faults"].values())
    return [f"random faults for {found['seconds'] / 60:g} minutes under {found['streams']} streams", row["model"], str(times),
            f"{found['exact']} of {found['answers']}", *map(seconds, spread(found["pauses_s"])), f"`{row['command']}`"]


def ordered(result):
    return sorted((row for row in result["rows"].values() if row["scenario"] != "rpc" and row["cases"]),
                  key=lambda row: (list(result["order"]).index(row["scenario"]), row["model"]))


def table(result):
    return HEAD + ["| " + " | ".join(line) + " |" for row in ordered(result) for line in fault_lines(row)]


def coordinator_lines(result):
    lines = []
    for row in ordered(result):
        if row["scenario"] == "coordinator":
            ends = [end for case in row["cases"].values() for end in case.get("running", [])]
            lines.append(f"Answers that ran when the coordinator was killed ({row['model']}): {ends.count('broken')} "
                         f"connections that broke in the middle, {ends.count('error')} typed errors, {ends.count('exact')} "
                         "were whole by then.")
    return lines + [""] if lines else []


def storm_lines(result):
    lines = []
    for row in (row for row in ordered(result) if row["scenario"] == "random"):
        found = row["cases"]["0"]
        counts = ", ".join(f"{count} x {kind}" for kind, count in sorted(found["faults"].items()))
        lines += [f"## Random faults, {row['model']}", "", f"{counts}; {len(found['lost'])} requests lost.", ""]
        if found["memory"]:
            lines += ["| process | looked at for | at the end | growth | open files |", "|---|---|---|---|---|"]
            lines += [f"| {m['name']} | {m['span_s'] / 60:.1f} minutes | {m['bytes'] / 2**20:.1f} MiB | "
                      f"{m['percent']:+.1f} % | {m['files']:+d} |" for m in found["memory"]] + [""]
    return lines


def rpc_lines(result):
    row = result["rows"].get("rpc/1.1b")
    if not row or not row["cases"]:
        return []
    found = row["cases"]["0"]
    share = 100 * found["bytes"] / found["bytes_whole"]
    return ["## llama.cpp RPC, one of four servers killed", "",
            f"Its client ({row['date']}) got {share:.0f} % of the answer; it {found['how']} {found['after_s']:.1f} s after "
            "the kill" + (f", with `{found['said']}`" if found["said"] else "") + f". Repeat with `{row['command']}`.", ""]


def failure_lines(result):
    lines = [f"- {row['scenario']}, {row['model']}, case {number}: {case['outcome']}: {case['why']}; `{case['repeat']}`"
             for row in ordered(result) for number, case in row["cases"].items() if not case["ok"] and "repeat" in case]
    lines += [f"- random, {row['model']}: {lost}" for row in ordered(result) if row["scenario"] == "random"
              for lost in row["cases"]["0"]["lost"]]
    return ["## What failed", "", *lines, ""] if lines else []


def measured_lines(result):
    """One line for what was measured together."""
    together = {}
    for row in ordered(result):
        key = (row["model"], row["date"], row["commit"], row["machine"])
        together.setdefault(key, []).append(row)
    return [f"- {model}, {date}, commit {made_of}, {where}: {', '.join(row['scenario'] for row in rows)}; undisturbed, the "
            f"longest time between two tokens was {max(row['undisturbed_gap_s'] for row in rows):.2f} s"
            for (model, date, made_of, where), rows in together.items()] + [""]


def page(result):
    return ["# Faults, and what clients saw", "", "`make chaos`: every fault kind with real processes. What each is for: "
            "[reliability.md](../../docs/reliability.md).", "", *table(result), "", *coordinator_lines(result),
            *failure_lines(result), *storm_lines(result), *rpc_lines(result),
            "## When, and on what", "", *measured_lines(result),
            HOW.format(tokens=result["tokens"], faults=result["storm_faults"])]


def publish(result):
    """Puts the table into docs/reliability.md, if there is anything in it."""
    if not ordered(result):
        return
    path = f"{ROOT}/docs/reliability.md"
    with open(path) as file:
        text = file.read()
    begin, end = map(re.escape, MARKS)
    inside = "\n".join([MARKS[0], *table(result), MARKS[1]])
    text, found = re.subn(f"{begin}.*{end}", lambda _: inside, text, flags=re.S)
    if found != 1:
        raise AssertionError(f"{path} has no place for the table: {MARKS[0]} ... {MARKS[1]}")
    with open(path, "w") as file:
        file.write(text)
