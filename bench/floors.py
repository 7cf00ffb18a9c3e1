"""What Shoal must reach (the floors), and whether the runs of a result reach it. Ratios are medians of the ratios of rounds."""
import statistics

from links import SHAPES

FLOOR_MODEL = "llama-1.1b"


def cell(result, system, nodes, link, model=FLOOR_MODEL):
    cells = result["models"].get(model, {}).get("cells", [])
    return next((c for c in cells if (c["system"], c["nodes"], c["link"]) == (system, nodes, link)), None)


def value(run, what):
    for key in what:
        run = run.get(key) if isinstance(run, dict) else None
    return run


def ratio(over, under, *what):
    """Of two cells, round by round; None where one was not measured."""
    if not over or not under:
        return None
    pairs = [(value(a, what), value(b, what)) for a, b in zip(over["runs"], under["runs"])]
    pairs = [a / b for a, b in pairs if a is not None and b is not None]
    return statistics.median(pairs) if pairs else None


def beyond_compute_and_hops(shoal):
    """Milliseconds a token of one stream takes, over what its stages compute and its links delay."""
    if not shoal:
        return None
    hops_ms = (shoal["nodes"] + 1) * (SHAPES[shoal["link"]] or (0, 0))[0]
    found = [1000 / run["decode"]["1"] / (run["compute_ms_a_token"] + hops_ms) for run in shoal["runs"] if "1" in run["decode"]]
    return statistics.median(found) if found else None


def accepted(row):
    return row["accepted"] / row["sent"] if row["sent"] else 0.0


def draft_rows(result, nodes, link, kinds=("lookup", "draft model")):
    return [row for row in (result.get("drafts") or {}).get("texts", [])
            if (row["nodes"], row["link"]) == (nodes, link) and row["kind"] in kinds]


def steadiest(rows):
    """The text that repeats itself most faithfully."""
    return max(rows, key=accepted, default=None)


def near(rows, share):
    """The text of which about `share` of the drafts came true; none within a tenth: nobody can say."""
    rows = [row for row in rows if abs(accepted(row) - share) <= 0.1]
    return min(rows, key=lambda row: abs(accepted(row) - share), default=None)


def floors(result):
    """Rows of (group, what, "at least" or "at most", floor, found or None, remark)."""
    loop, slow = "0 ms", "2 ms each way"
    whole, rpc, shoal = (cell(result, *key) for key in (("whole", 1, loop), ("rpc", 2, loop), ("shoal", 2, loop)))
    far_rpc, far_shoal = cell(result, "rpc", 4, slow), cell(result, "shoal", 4, slow)
    faithful, about70 = steadiest(draft_rows(result, 2, loop, ("lookup",))), near(draft_rows(result, 4, slow), 0.7)
    two, four = "two nodes, loopback", "four nodes, 2 ms each way"

    def drafts(row):
        return (row["ratio"], f"{row['kind']}, {100 * accepted(row):.0f} % of the drafts came true") if row else (None, "")

    return [
        (two, "decode of one stream / whole model", "at least", 0.90, ratio(shoal, whole, "decode", "1"), ""),
        (two, "decode of one stream / RPC", "at least", 1.7, ratio(shoal, rpc, "decode", "1"), ""),
        (two, "decode with lookup speculation of a text that repeats itself / without", "at least", 2.0, *drafts(faithful)),
        (two, "prefill of 512 / whole model", "at least", 1.5, ratio(shoal, whole, "prefill", "512"), ""),
        (two, "prefill of 512 / RPC", "at least", 2.1, ratio(shoal, rpc, "prefill", "512"), ""),
        (two, "eight streams / whole model", "at least", 1.7, ratio(shoal, whole, "decode", "8"), ""),
        (two, "eight streams / RPC", "at least", 2.0, ratio(shoal, rpc, "decode", "8"), ""),
        (four, "decode of one stream / RPC", "at least", 1.6, ratio(far_shoal, far_rpc, "decode", "1"), ""),
        (four, "time of a token / (compute + hops)", "at most", 1.10, beyond_compute_and_hops(far_shoal),
         "five hops of 2 ms; compute as the stages measure it"),
        (four, "decode with drafts of which about 70 % come true / without", "at least", 2.0, *drafts(about70)),
        (four, "first token of a prompt of 512: RPC's time / Shoal's", "at least", 2.0,
         ratio(far_rpc, far_shoal, "first_token_s", "512"), ""),
    ]


def verdict(kind, floor, found):
    """"reached" or "missed", and by how much."""
    if found is None:
        return "not measured"
    good = found >= floor if kind == "at least" else found <= floor
    return f"{'reached' if good else 'missed'}, {abs(found / floor - 1) * 100:.0f} % {'above' if found >= floor else 'below'}"
