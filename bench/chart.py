"""A chart of a result: grouped bars as an SVG that needs nothing to be drawn but a browser."""
import statistics
from html import escape

from floors import value

COLOURS = {"whole": "#8a8f98", "rpc": "#d98c3f", "shoal": "#1f78a8"}
LEGEND = {"whole": "llama.cpp, whole model, one machine", "rpc": "llama.cpp RPC", "shoal": "Shoal"}
PANELS = ((("prefill", "512"), "prefill of 512, tokens/s"), (("decode", "1"), "decode, one stream, tokens/s"),
          (("decode", "8"), "decode, eight streams, tokens/s"))
WIDTH, PANEL_HEIGHT, LEFT, TOP, BOTTOM, BAR, GAP = 900, 230, 60, 34, 44, 30, 26
HEADER, PANEL_GAP = 58, 14


def median_of(cell, what):
    found = [value(run, what) for run in cell["runs"]]
    found = [v for v in found if v is not None]
    return statistics.median(found) if found else None


def text(x, y, words, size=12, anchor="middle", weight="normal", colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="{colour}" stroke="white" stroke-width="3" paint-order="stroke">{escape(words)}</text>')


def round_step(most):
    """A step of the scale, so that four or five of them reach `most`."""
    for step in (m * 10 ** e for e in range(-3, 6) for m in (1, 2, 5)):
        if most / step <= 5:
            return step
    return most


def panel(cells, what, title, top):
    """Bars of one measure: a group for each number of nodes and kind of link, and a line at the whole model's."""
    values = {(c["system"], c["nodes"], c["link"]): median_of(c, what) for c in cells}
    values = {key: v for key, v in values.items() if v}
    groups = list(dict.fromkeys((nodes, link) for system, nodes, link in values if system != "whole"))
    if not groups:
        return []
    step = round_step(max(values.values()))
    most = step * -(-max(values.values()) // step)
    floor, height = top + PANEL_HEIGHT - BOTTOM, PANEL_HEIGHT - BOTTOM - TOP

    def y(v):
        return floor - height * v / most

    out = [text(LEFT, top + 16, title, 13, "start", "bold")]
    for i in range(round(most / step) + 1):
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y(i * step):.1f}" y2="{y(i * step):.1f}" stroke="#e3e5e8"/>')
        out.append(text(LEFT - 8, y(i * step) + 4, f"{i * step:g}", 11, "end", colour="#666"))
    width = (WIDTH - 20 - LEFT) / len(groups)
    for i, (nodes, link) in enumerate(groups):
        middle = LEFT + width * (i + 0.5)
        shown = [system for system in ("rpc", "shoal") if (system, nodes, link) in values]
        for j, system in enumerate(shown):
            v = values[system, nodes, link]
            x = middle + (j - len(shown) / 2) * (BAR + 6) + 3
            out.append(f'<rect x="{x:.1f}" y="{y(v):.1f}" width="{BAR}" height="{floor - y(v):.1f}" fill="{COLOURS[system]}"/>')
            out.append(text(x + BAR / 2, y(v) - 4, f"{v:.1f}" if v < 100 else f"{v:.0f}", 11))
        out.append(text(middle, floor + 16, f"{nodes} machines"))
        out.append(text(middle, floor + 31, link, 11, colour="#666"))
    whole = next((v for (system, _, _), v in values.items() if system == "whole"), None)
    if whole:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{y(whole):.1f}" y2="{y(whole):.1f}" stroke="{COLOURS["whole"]}" '
                   'stroke-width="2" stroke-dasharray="6 4"/>')
        out.append(text(WIDTH - 22, y(whole) - 5, f"{whole:.1f}", 11, "end", colour="#555"))
    return out


def chart(result):
    parts, top = [], HEADER
    for name, model in result["models"].items():
        for what, title in PANELS:
            drawn = panel(model["cells"], what, f"{model['about']}: {title}", top)
            parts += drawn
            top += PANEL_HEIGHT + PANEL_GAP if drawn else 0
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
            'font-family="system-ui, sans-serif">', f'<rect width="{WIDTH}" height="{top}" fill="white"/>',
            text(20, 26, "Shoal beside llama.cpp, machines of one thread (higher is better)", 16, "start", "bold")]
    x = 20
    for system, words in LEGEND.items():
        y, height = (42, 3) if system == "whole" else (37, 12)  # a line is a line
        head.append(f'<rect x="{x}" y="{y}" width="14" height="{height}" fill="{COLOURS[system]}"/>')
        head.append(text(x + 20, 48, words, 12, "start"))
        x += 40 + 7 * len(words)
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
