# SPDX-License-Identifier: MIT
"""The comparison as one HTML file: bar charts of ratios and RSS over time, inline SVG only."""
import html
import math

from . import report

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a7a00", "#666666",
           "#7a4fbf", "#222222")  # first eight: told apart with any colour vision
STYLE = """body{font:14px system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;
color:#222;background:#fff}svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;
fill:#333}table{border-collapse:collapse;font-size:12px}td,th{padding:2px 8px;border:1px solid #ddd;
text-align:right}td:first-child,th:first-child{text-align:left}details{margin:1em 0}
pre{overflow-x:auto;font-size:11px}"""


def colour(table, who):
    return COLOURS[table.allocators.index(who) % len(COLOURS)]


def legend(table):
    spans = [f'<span style="color:{colour(table, a)}">&#9632;</span> {html.escape(a)}'
             for a in table.allocators]
    return "<p>" + " &nbsp; ".join(spans) + "</p>"


def bars(table, title, rows):
    """rows: (label, {allocator: ratio}). A logarithmic axis, as ratios want: 0.25 to 4."""
    left, width, bar, gap = 210, 640, 9, 10
    each = bar * len(table.allocators) + gap
    height = each * len(rows) + 34
    low, high = math.log(0.25), math.log(4.0)

    def x(ratio):
        return left + width * (min(max(math.log(ratio), low), high) - low) / (high - low)

    out = [f"<h3>{html.escape(title)}</h3>",
           f'<svg viewBox="0 0 {left + width + 70} {height}" role="img">']
    for tick in (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4):
        shade = "#444" if tick == 1 else "#ddd"
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="18" y2="{height}" '
                   f'stroke="{shade}"/><text x="{x(tick):.1f}" y="12" '
                   f'text-anchor="middle">{tick}</text>')
    y = 24
    for label, ratios in rows:
        out.append(f'<text x="{left - 8}" y="{y + each / 2:.1f}" text-anchor="end">'
                   f"{html.escape(label)}</text>")
        for i, who in enumerate(table.allocators):
            ratio = ratios.get(who)
            if not ratio:
                continue
            a, b = sorted((x(1), x(ratio)))
            top = y + bar * i
            note = f"{who}: {ratio:.3f}"
            out.append(f'<rect x="{a:.1f}" y="{top}" width="{max(b - a, 1):.1f}" '
                       f'height="{bar - 1}" fill="{colour(table, who)}"><title>'
                       f"{html.escape(note)}</title></rect>")
            if abs(math.log(ratio)) > high:
                out.append(f'<text x="{b + 3 if ratio > 1 else a + 3:.1f}" y="{top + bar - 1}">'
                           f"{ratio:.2g}</text>")
        y += each
    return "\n".join(out) + "</svg>"


def lines(table, name, by_who):
    """RSS against the progress of the work; live bytes as a dashed line."""
    width, height, left, top = 900, 240, 60, 10
    peak = max(max(max(s[1], s[2]) for s in samples) for samples in by_who.values()) or 1

    def points(samples, column):
        last = max(len(samples) - 1, 1)
        return " ".join(f"{left + width * i / last:.1f},"
                        f"{top + height * (1 - s[column] / peak):.1f}"
                        for i, s in enumerate(samples))

    out = [f"<h3>{html.escape(name)}: RSS</h3>",
           f'<svg viewBox="0 0 {left + width + 10} {height + top + 24}" role="img">']
    for part in range(5):
        y = top + height * part / 4
        out.append(f'<line x1="{left}" x2="{left + width}" y1="{y}" y2="{y}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">'
                   f"{peak * (4 - part) / 4 / 1024:.0f} MiB</text>")
    some = next(iter(by_who.values()))
    out.append(f'<polyline points="{points(some, 1)}" fill="none" stroke="#999" '
               'stroke-dasharray="4 3"/>')
    for who in table.allocators:
        if who in by_who:
            out.append(f'<polyline points="{points(by_who[who], 2)}" fill="none" '
                       f'stroke="{colour(table, who)}" stroke-width="1.6"><title>'
                       f"{html.escape(who)}</title></polyline>")
    out.append(f'<text x="{left}" y="{top + height + 18}">progress of the work; dashed: live '
               "bytes</text></svg>")
    return "\n".join(out)


def mode_html(table, metrics):
    out = [f"<h2>{html.escape(table.mode)}</h2>", legend(table)]
    for metric in metrics:
        names = table.names(metric)
        groups = list(dict.fromkeys(table.groups[n] for n in names))
        means, unit = [], report.METRICS[metric][0]
        per_group = []
        for group in groups:
            rows = [(n, {a: table.ratio(metric, n, a, table.base) for a in table.allocators})
                    for n in names if table.groups[n] == group]
            means.append((group, {a: report.geomean([r.get(a) for _, r in rows])
                                  for a in table.allocators}))
            per_group.append((group, rows))
        if not means:
            continue
        out.append(bars(table, f"{metric} ({unit}), ratio to {table.base}: geometric means",
                        means))
        for group, rows in per_group:
            out.append(f"<details><summary>{metric}: {group}</summary>"
                       + bars(table, f"{metric}, {group}", rows) + "</details>")
    for name, by_who in table.samples.items():
        out.append(lines(table, name, by_who))
    return "\n".join(out)


def page(tables, metrics, head_text):
    body = "\n".join(mode_html(t, [m for m in metrics if t.names(m)]) for t in tables)
    text = "\n".join(report.render(t, metrics) for t in tables)
    return ("<!doctype html><html lang=en><meta charset=utf-8><title>Allocator comparison</title>"
            f"<style>{STYLE}</style><h1>Allocator comparison</h1><pre>{html.escape(head_text)}"
            f"</pre><p>Less is better.</p>{body}<details><summary>All figures</summary><pre>"
            f"{html.escape(text)}</pre></details></html>\n")
