# SPDX-License-Identifier: MIT
"""The comparison as pictures, inline SVG and no script: an overview of geometric means, one row of
marks for each scenario, RSS over the progress of the work.  One HTML page, or single files for
RESULTS.md.  Each picture says what it shows and which direction is good."""
import html
import math
import os

from . import report

OURS = "#d1495b"  # ours is the only red one, filled and large
PEERS = (("#0072b2", "circle"), ("#e69f00", "square"), ("#009e73", "up"), ("#8a5fbf", "diamond"),
         ("#56b4e9", "down"), ("#7a6a00", "circle"), ("#444444", "square"), ("#b06fa0", "up"),
         ("#2a8f8f", "diamond"))  # colours told apart with most colour visions, and a shape each
TEXT = ("svg text{font:12px system-ui,sans-serif;fill:#333}"
        "svg .t{font-size:15px;font-weight:600}svg .s{fill:#666}svg .b{font-weight:600}"
        "svg .good{fill:#1b7837;font-weight:600}svg .bad{fill:#b2182b;font-weight:600}")
STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:1040px;margin:2em auto;padding:0 1em;
color:#222;background:#fff}svg{max-width:100%;height:auto;display:block;margin:.6em 0 1.4em}
details{margin:.4em 0 1em}summary{cursor:pointer;font-weight:600}h2{margin-top:1.8em}
pre{overflow-x:auto;font-size:11px;line-height:1.35}""" + TEXT
TITLES = {"cpu": "CPU time", "rss": "Peak memory (RSS)", "minflt": "Page faults",
          "instructions": "Instructions executed", "mean_rss": "Mean memory over time",
          "end_rss": "Memory left at the end", "wall": "Elapsed time", "user": "User time",
          "sys": "System time", "inside": "Instructions inside the allocator"}
SHOWN = ("cpu", "rss", "minflt", "instructions", "mean_rss", "end_rss")
WIDTH = 1000


def esc(text):
    return html.escape(str(text))


class Svg:
    """A picture with its own style, so that it also stands alone as a file."""

    def __init__(self, height, label):
        self.height, self.label, self.parts = height, label, []

    def text(self, x, y, text, anchor="start", cls=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
                          + (f' class="{cls}"' if cls else "") + f">{esc(text)}</text>")

    def line(self, x1, y1, x2, y2, stroke="#ddd", more=""):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{stroke}" {more}/>')

    def rect(self, x, y, w, h, fill, note=""):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, .5):.1f}" '
                          f'height="{h:.1f}" fill="{fill}"><title>{esc(note)}</title></rect>')

    def mark(self, x, y, look, note, large=False):
        colour, shape = look
        r = 6.5 if large else 4.2
        points = {"up": (0, -1.2, 1.1, .9, -1.1, .9), "down": (0, 1.2, 1.1, -.9, -1.1, -.9),
                  "diamond": (0, -1.3, 1.3, 0, 0, 1.3, -1.3, 0),
                  "square": (-.9, -.9, .9, -.9, .9, .9, -.9, .9)}.get(shape)
        if points:
            at = " ".join(f"{x + points[i] * r:.1f},{y + points[i + 1] * r:.1f}"
                          for i in range(0, len(points), 2))
            body = f'<polygon points="{at}"'
        else:
            body = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"'
        paint = (f'fill="{colour}" stroke="#fff"' if large
                 else f'fill="{colour}" fill-opacity=".75" stroke="#fff" stroke-width=".8"')
        self.parts.append(f"{body} {paint}><title>{esc(note)}</title>"
                          + ("</polygon>" if points else "</circle>"))

    def done(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:.0f}" '
                f'role="img" aria-label="{esc(self.label)}"><style>{TEXT}</style>'
                f'<rect width="{WIDTH}" height="{self.height:.0f}" fill="#fff"/>'
                + "\n".join(self.parts) + "</svg>\n")


def look(table, who):
    if who == table.ours:
        return OURS, "circle"
    peers = [a for a in table.allocators if a != table.ours]
    return PEERS[peers.index(who) % len(PEERS)]


def legend(svg, table, y):
    x = 10
    for who in ([table.ours] if table.ours else []) + [a for a in table.allocators
                                                       if a != table.ours]:
        svg.mark(x + 6, y - 4, look(table, who), who, who == table.ours)
        svg.text(x + 17, y, who, cls="b" if who == table.ours else "")
        x += 34 + 7.4 * len(who)


# ---- overview: one panel per metric, one bar per allocator ----

def means(table, metric, group=None):
    """Geometric means of the ratios to the base; only scenarios that all have, but who has less
    than half of them (snmalloc does not run under callgrind) is left out."""
    names = [n for n in table.names(metric) if not group or table.groups[n] == group]
    who = [a for a in table.allocators
           if 2 * sum(bool(table.values(metric, n, a)) for n in names) > len(names)]
    names = [n for n in names if all(table.values(metric, n, a) for a in who)]
    return len(names), {a: report.geomean([table.ratio(metric, n, a, table.base) for n in names])
                        for a in who if names}


def overview(table, metrics, group=None):
    panels = [(m, *means(table, m, group)) for m in metrics]
    panels = [p for p in panels if p[1]]
    if not panels:
        return ""
    bar, top = 20, 52
    tall = 46 + bar * len(table.allocators)
    rows = (len(panels) + 1) // 2
    svg = Svg(top + rows * tall, "overview")
    svg.text(10, 18, f"{report.MODES[table.mode]}: {table.base} is 1, shorter is better", cls="t")
    svg.text(10, 36, "Geometric mean of the ratio in each scenario that all of them finished.",
             cls="s")
    for i, (metric, count, by) in enumerate(panels):
        x, y = 10 + i % 2 * 500, top + i // 2 * tall
        svg.text(x, y + 16, f"{TITLES[metric]}, {count} scenarios", cls="b")
        most = max(max(by.values()), 1.0)
        unit = 300 / most
        for k, who in enumerate(sorted(by, key=by.get)):
            at = y + 26 + bar * k
            svg.text(x + 82, at + 13, who, "end", "b" if who == table.ours else "")
            svg.rect(x + 88, at, by[who] * unit, bar - 5, OURS if who == table.ours else "#b8c4ce",
                     f"{who} {by[who]:.3f}")
            svg.text(x + 93 + by[who] * unit, at + 13, f"{by[who]:.3f}",
                     cls="b" if who == table.ours else "")
        svg.line(x + 88 + unit, y + 24, x + 88 + unit, y + 24 + bar * len(by), "#666",
                 'stroke-dasharray="3 3"')
    return svg.done()


# ---- one row per scenario ----

def ticks(low, high):
    return [t for t in (.01, .02, .05, .1, .2, .5, .7, .8, .9, 1, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20,
                        50, 100, 1000) if low <= t <= high]


def dots(table, metric, group):
    """Ratios to the base on a logarithmic axis: left is better; at the right ours against the
    best peer, coloured only beyond the noise."""
    names = [n for n in table.names(metric) if table.groups[n] == group]
    rows = [(n, {a: r for a in table.allocators
                 if (r := table.ratio(metric, n, a, table.base)) is not None}) for n in names]
    rows = [(n, r) for n, r in rows if r]
    if not rows:
        return ""
    every = [v for _, r in rows for v in r.values()]
    # what is far off stands at the edge with its figure, or it would squeeze all others
    low = max(min(every + [.9]) / 1.03, .02 if metric == "minflt" else .25)
    high = min(max(every + [1.1]) * 1.03, 4 if metric == "minflt" else 2.2)
    left, right, each, top = 190, 270, 22, 78
    span = WIDTH - left - right
    svg = Svg(top + each * len(rows) + 12, f"{metric} {group}")

    def x(ratio):
        part = math.log(min(max(ratio, low), high) / low) / math.log(high / low)
        return left + span * part

    svg.text(10, 18, f"{TITLES[metric]}: {group}", cls="t")
    svg.text(10, 36, f"Ratio to {table.base} (line at 1), further left is better; "
             "axis logarithmic.", cls="s")
    legend(svg, table, 56)
    bottom, last = svg.height - 8, -99
    for t in sorted(ticks(low, high), key=lambda t: t != 1):
        svg.line(x(t), top - 4, x(t), bottom, "#777" if t == 1 else "#e4e4e4")
    for t in ticks(low, high):
        if t == 1 or (x(t) - last > 26 and abs(x(t) - x(1)) > 26):
            svg.text(x(t), top - 8, f"{t:g}", "middle", "s")
            last = x(t)
    if table.ours:
        svg.text(WIDTH - 168, top - 8, f"{table.ours} / best peer", cls="s")
    for i, (name, ratios) in enumerate(rows):
        y = top + each * i + each / 2
        if i % 2 == 0:
            svg.rect(0, y - each / 2, WIDTH, each, "#f7f8fa")
            for t in ticks(low, high):
                svg.line(x(t), y - each / 2, x(t), y + each / 2, "#777" if t == 1 else "#e4e4e4")
        svg.text(left - 10, y + 4, name, "end")
        svg.line(x(min(ratios.values())), y, x(max(ratios.values())), y, "#c8ccd0")
        for who in sorted(ratios, key=lambda a: a == table.ours):  # ours is drawn last, on top
            svg.mark(x(ratios[who]), y, look(table, who), f"{name}, {who}: {ratios[who]:.3f}",
                     who == table.ours)
        beyond = [f"{ratios[a]:.2g}" for a in sorted(ratios, key=ratios.get) if ratios[a] > high]
        if beyond:
            svg.text(left + span + 6, y + 4, "→ " + ", ".join(beyond[:2])
                     + (" …" if len(beyond) > 2 else ""), cls="s")
        word, ratio, best = table.mark(metric, name)
        if word:
            svg.text(WIDTH - 168, y + 4, f"{report.ratio_text(ratio, metric)} of {best}",
                     cls={"WIN": "good", "LOSS": "bad"}.get(word, "s"))
    return svg.done()


# ---- RSS over the progress of the work ----

def apart(places, step, top, bottom):
    """Moves labels so that none covers another; keeps their order."""
    out, last = {}, top - step
    for who, y in sorted(places.items(), key=lambda item: item[1]):
        last = out[who] = max(y, last + step)
    last = bottom + step
    for who, y in sorted(out.items(), key=lambda item: -item[1]):
        last = out[who] = min(y, last - step)
    return out


def over_time(table, name):
    by_who = {a: table.samples[name][a] for a in table.allocators if a in table.samples[name]}
    some = next(iter(by_who.values()))
    left, right, top, tall = 70, 262, 52, 250
    span = WIDTH - left - right
    svg = Svg(top + tall + 34, name)
    peak = max(max(s[1], s[2] - s[3]) for samples in by_who.values() for s in samples) or 1

    def y(kib):
        return top + tall * (1 - kib / peak)

    def path(samples, value, colour, width, more=""):
        last = max(len(samples) - 1, 1)
        at = " ".join(f"{left + span * i / last:.1f},{y(value(s)):.1f}"
                      for i, s in enumerate(samples))
        svg.parts.append(f'<polyline points="{at}" fill="none" stroke="{colour}" '
                         f'stroke-width="{width}" stroke-linejoin="round" {more}/>')

    svg.text(10, 18, f"{name}: resident memory as the work goes on", cls="t")
    svg.text(10, 36, "Grey area: what the program holds. Whatever is above it is the allocator's. "
             "Lower is better.", cls="s")
    for part in range(5):
        at = top + tall * part / 4
        svg.line(left, at, left + span, at)
        svg.text(left - 8, at + 4, f"{peak * (4 - part) / 4 / 1024:.0f} MiB", "end", "s")
    last = max(len(some) - 1, 1)
    area = " ".join(f"{left + span * i / last:.1f},{y(s[1]):.1f}" for i, s in enumerate(some))
    svg.parts.append(f'<polygon points="{left},{y(0):.1f} {area} {left + span},{y(0):.1f}" '
                     'fill="#e3e6ea"/>')
    for who in sorted(by_who, key=lambda a: a == table.ours):
        ours = who == table.ours
        path(by_who[who], lambda s: max(s[2] - s[3], 0), look(table, who)[0], 3 if ours else 1.5)
    ends = {who: max(s[-1][2] - s[-1][3], 0) for who, s in by_who.items()}
    mean = {who: sum(max(s[2] - s[3], 0) for s in samples) / len(samples)
            for who, samples in by_who.items()}
    places = apart({who: y(kib) + 4 for who, kib in ends.items()}, 17, top + 6, top + tall + 4)
    for who, at in places.items():
        colour = look(table, who)[0]
        svg.line(left + span, y(ends[who]), left + span + 12, at - 4, colour)
        svg.parts.append(f'<text x="{left + span + 16}" y="{at:.1f}" style="fill:{colour}" '
                         f'class="{"b" if who == table.ours else ""}">{esc(who)}: end '
                         f"{ends[who] / 1024:.0f}, mean {mean[who] / 1024:.0f} MiB</text>")
    svg.text(left, top + tall + 22, "progress of the work: samples at fixed points of it, not of "
             "time", cls="s")
    return svg.done()


# ---- latency percentiles ----

PERCENTILES = ("p50", "p99", "p99.9", "p99.99", "p99.999")


def latency(table, name):
    """Least of the rounds for each percentile: what the machine adds is never less than nothing."""
    by_who = {}
    for who in table.allocators:
        tree = [table.printed.get(f"{name}: {p}_ns", {}).get(name, {}).get(who)
                for p in PERCENTILES]
        if all(tree):
            by_who[who] = [max(min(rounds.values()), 1) for rounds in tree]
    if not by_who:
        return ""
    left, right, top, tall = 70, 262, 52, 260
    span = WIDTH - left - right
    low = math.log10(min(min(v) for v in by_who.values()) / 1.2)
    high = math.log10(max(max(v) for v in by_who.values()) * 1.2)
    svg = Svg(top + tall + 34, name)
    svg.text(10, 18, f"{name}: time of one malloc and free, slowest calls to the right", cls="t")
    svg.text(10, 36, "Under a mixed load; least of the rounds; logarithmic. Lower is better.",
             cls="s")

    def y(ns):
        return top + tall * (high - math.log10(ns)) / (high - low)

    def x(i):
        return left + 20 + (span - 20) * i / (len(PERCENTILES) - 1)

    for power in range(math.ceil(low), math.floor(high) + 1):
        svg.line(left, y(10 ** power), left + span, y(10 ** power))
        svg.text(left - 8, y(10 ** power) + 4,
                 {0: "1 ns", 3: "1 µs", 6: "1 ms", 9: "1 s"}.get(power, f"{10 ** (power % 3)} "
                 + ("ns", "µs", "ms")[power // 3]), "end", "s")
    for i, p in enumerate(PERCENTILES):
        svg.text(x(i), top + tall + 20, p, "middle", "s")
    for who in sorted(by_who, key=lambda a: a == table.ours):
        ours = who == table.ours
        at = " ".join(f"{x(i):.1f},{y(ns):.1f}" for i, ns in enumerate(by_who[who]))
        svg.parts.append(f'<polyline points="{at}" fill="none" stroke="{look(table, who)[0]}" '
                         f'stroke-width="{3 if ours else 1.5}"/>')
        for i, ns in enumerate(by_who[who]):
            svg.mark(x(i), y(ns), look(table, who), f"{who} {PERCENTILES[i]}: {ns:.0f} ns", ours)
    places = apart({w: y(v[-1]) + 4 for w, v in by_who.items()}, 17, top + 6, top + tall + 4)
    for who, at in places.items():
        svg.line(x(4), y(by_who[who][-1]), x(4) + 12, at - 4, look(table, who)[0])
        svg.parts.append(f'<text x="{x(4) + 16:.1f}" y="{at:.1f}" '
                         f'style="fill:{look(table, who)[0]}" '
                         f'class="{"b" if who == table.ours else ""}">{esc(who)}: p99.99 '
                         f"{by_who[who][3] / 1000:.2f} µs</text>")
    return svg.done()


# ---- the page, and single files ----

def pictures(tables, metrics):
    """(file name, heading, svg) in the order of a page."""
    for table in tables:
        metrics_here = [m for m in SHOWN if m in metrics and table.names(m)]
        suffix = "" if table.mode == "warm" else "-" + table.mode
        yield "overview" + suffix, "", overview(table, metrics_here)
    for table in tables:
        suffix = "" if table.mode == "warm" else "-" + table.mode
        groups = list(dict.fromkeys(table.groups.values()))
        groups.sort(key=lambda g: g != "real")  # real programs are what counts
        for group in groups:
            for metric in [m for m in SHOWN if m in metrics and table.names(m)]:
                yield (f"{group}-{metric}{suffix}", f"{group}: {TITLES[metric]}",
                       dots(table, metric, group))
        for name in [n for n in table.groups if table.groups[n] == "latency"]:
            yield f"slow-{name}{suffix}", name, latency(table, name)
        for name in table.samples:
            yield f"time-{name}", f"{name}: memory over time", over_time(table, name)


def files(tables, metrics, folder):
    """Writes the pictures that RESULTS.md shows; returns (heading, file name)."""
    os.makedirs(folder, exist_ok=True)
    out = []
    for name, heading, svg in pictures(tables, metrics):
        keep = name.startswith(("overview", "real-", "time-", "slow-")) and not name.startswith(
            ("real-end", "real-mean"))
        if svg and keep:
            with open(os.path.join(folder, name + ".svg"), "w") as f:
                f.write(svg)
            out.append((heading or "Overview", name + ".svg"))
    return out


def page(tables, metrics, head_text):
    first, real, slowest, times, rest = [], [], [], [], []
    for name, heading, svg in pictures(tables, metrics):
        if not svg:
            continue
        if name.startswith("overview"):
            first.append(svg)
        elif name.startswith("real-"):
            real.append(svg)
        elif name.startswith("time-"):
            times.append(svg)
        elif name.startswith("slow-"):
            slowest.append(svg)
        else:
            rest.append(f"<details><summary>{esc(heading)}</summary>{svg}</details>")
    parts = ["<h2>At a glance</h2>", *first]
    for title, body in (("Real programs", real), ("Does memory go back?", times), ("How slow is the slowest call?", slowest),
                        ("Loops and small programs", rest)):
        if body:
            parts += [f"<h2>{title}</h2>", *body]
    text = "\n".join(report.render(t, metrics) for t in tables)
    return ("<!doctype html><html lang=en><meta charset=utf-8>"
            "<meta name=viewport content='width=device-width'><title>Allocator comparison</title>"
            f"<style>{STYLE}</style><h1>Memory allocators compared</h1><p>The same programs, "
            "run in turn on each allocator; everything is a ratio within one round. Red is ours. "
            "Figures at the right of a row are coloured only where the difference is larger than "
            "the noise measured in the same run.</p>" + "\n".join(parts)
            + f"<h2>How it was measured</h2><pre>{esc(head_text)}</pre>"
            f"<details><summary>All figures</summary><pre>{esc(text)}</pre></details></html>\n")
