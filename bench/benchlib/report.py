# SPDX-License-Identifier: MIT
"""From records to tables: medians, minima, ratios within a round, geometric means, noise, and the
document that RESULTS.md is."""
import math
import os
import re
import statistics

METRICS = {  # unit, what a figure is divided by for print, smallest figure worth a ratio
    "cpu": ("s", 1, 0.002), "user": ("s", 1, 0.02), "sys": ("s", 1, 0.02),
    "wall": ("s", 1, 0.002), "rss": ("MiB", 1024, 1), "minflt": ("faults", 1, 50),
    "mean_rss": ("MiB", 1024, 1), "end_rss": ("MiB", 1024, 512),
    "instructions": ("M", 1e6, 1), "inside": ("M", 1e6, 1),
}
FROM_OUTPUT = {"mean_kib": "mean_rss", "end_kib": "end_rss"}  # the return group's samples
MODES = {"warm": "Times and memory, warm", "cold": "Times and memory, cold",
         "count": "Instructions (callgrind, reduced sizes)"}
FEW_TWINS = 4  # scenarios: a percentile of fewer is no percentile
JUDGED = ("cpu", "wall", "rss", "minflt", "mean_rss", "end_rss", "instructions")
# Without the same allocator listed twice: what shared machines are known to vary by.
DEFAULT_NOISE = {"cpu": 0.08, "user": 0.08, "sys": 0.3, "wall": 0.15, "rss": 0.02, "minflt": 0.03,
                 "mean_rss": 0.03, "end_rss": 0.03, "instructions": 0.002, "inside": 0.005}


class Table:
    """All records of one mode, as figure[metric][scenario][allocator][round]."""

    def __init__(self, records, scenarios, allocators, mode, base, ours=None):
        self.allocators = [a.name for a in allocators if not a.again]
        self.groups = {s.name: s.group for s in scenarios}
        self.base, self.ours, self.mode = base, ours, mode
        self.floors = {}
        self.figures, self.printed, self.samples = {}, {}, {}
        idents = {a.name: a.ident for a in allocators}
        self.twins = twins(allocators)
        commands = {s.name: s.identity() for s in scenarios}
        for r in records:
            name, who = r["scenario"], r["allocator"]
            if (r["mode"] != mode or idents.get(who) != r["ident"] or
                    commands.get(name) != r["command"]):
                continue
            for metric in METRICS:
                if metric in r:
                    self.put(self.figures, metric, name, who, r["round"], r[metric])
            for key, value in r.get("out", {}).items():
                if key in FROM_OUTPUT:
                    self.put(self.figures, FROM_OUTPUT[key], name, who, r["round"], value)
                    continue
                self.put(self.printed, f"{name}: {key}", name, who, r["round"], value)
            if "samples" in r:
                self.samples.setdefault(name, {})[who] = r["samples"]

    @staticmethod
    def put(tree, a, b, c, d, value):
        tree.setdefault(a, {}).setdefault(b, {}).setdefault(c, {})[d] = value

    def names(self, metric):
        have = self.figures.get(metric, {})
        return [name for name in self.groups if name in have]

    def values(self, metric, name, who):
        return list(self.figures.get(metric, {}).get(name, {}).get(who, {}).values())

    def ratio(self, metric, name, who, other):
        """Median over rounds of who/other in the same round; None if there is none."""
        tree = self.figures.get(metric, {}).get(name, {})
        mine, theirs = tree.get(who, {}), tree.get(other, {})
        least = METRICS[metric][2]
        pairs = [max(mine[r], least) / max(theirs[r], least) for r in mine if r in theirs]
        return statistics.median(pairs) if pairs else None

    def ratio_of_minima(self, metric, name, who, other):
        mine, theirs = self.values(metric, name, who), self.values(metric, name, other)
        least = METRICS[metric][2]
        return max(min(mine), least) / max(min(theirs), least) if mine and theirs else None

    def peers(self):
        """All but ours; of an allocator listed twice only the first."""
        return [a for i, a in enumerate(self.allocators)
                if a != self.ours and a not in self.twins.get(self.ours, ()) and
                not set(self.twins.get(a, ())) & set(self.allocators[:i])]

    def best_peer(self, metric, name):
        """The peer with the least median."""
        peers = [a for a in self.peers() if self.values(metric, name, a)]
        return min(peers, default=None,
                   key=lambda a: statistics.median(self.values(metric, name, a)))

    def noise(self, metric, group=None):
        """90th percentile of |ratio - 1| of the same allocator against itself, and whether it
        was measured here.  Of one group if it has enough scenarios for that: threads are noisier
        than loops."""
        key = metric, group
        if key not in self.floors:
            seen = sorted(abs(ratio - 1) for a, others in self.twins.items() for b in others
                          if a < b for name in self.names(metric)
                          if (not group or self.groups[name] == group) and
                          (ratio := self.ratio(metric, name, a, b)) is not None)
            if len(seen) >= FEW_TWINS:
                self.floors[key] = seen[int(0.9 * len(seen))], True
            elif group:
                self.floors[key] = self.noise(metric)
            else:
                self.floors[key] = DEFAULT_NOISE[metric], False
        return self.floors[key]

    def mark(self, metric, name):
        """win, loss or level of ours against the best peer, the ratio, and that peer."""
        best = self.best_peer(metric, name)
        if not self.ours or best is None:
            return None, None, None
        ratio = self.ratio(metric, name, self.ours, best)
        if ratio is None:
            return None, None, None
        noise, _ = self.noise(metric, self.groups[name])
        word = "WIN" if ratio < 1 - noise else "LOSS" if ratio > 1 + noise else "level"
        return word, ratio, best


def twins(allocators):
    out = {}
    for a in allocators:
        for b in allocators:
            if a is not b and a.ident == b.ident:
                out.setdefault(a.name, []).append(b.name)
    return out


def geomean(values):
    values = [v for v in values if v]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(x):
    if x is None:
        return "-"
    if x == 0:
        return "0"
    digits = max(0, 2 - int(math.floor(math.log10(abs(x)))))
    return f"{x:.{min(digits, 4)}f}"


def ratio_text(x, metric=None):
    if x is None:
        return "-"
    digits = 4 if metric in ("instructions", "inside") else 2  # instructions repeat to 0.01%
    return f"{x:.{digits}f}" if x < 10 else f"{x:.0f}"


def grid(head, rows, markdown):
    """Rows of text as a Markdown table or aligned columns."""
    if markdown:
        lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join(lines) + "\n"
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    lines = []
    for row in [head] + rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def metric_table(table, metric, markdown):
    unit, scale, _ = METRICS[metric]
    head = [f"{metric} ({unit})"] + table.allocators + (["best peer", "ours"] if table.ours else [])
    rows = []
    for name in table.names(metric):
        row = [name]
        for who in table.allocators:
            values = table.values(metric, name, who)
            ratio = table.ratio(metric, name, who, table.base)
            row.append("-" if not values else
                       f"{number(statistics.median(values) / scale)}/"
                       f"{number(min(values) / scale)} x{ratio_text(ratio, metric)}")
        if table.ours:
            word, ratio, best = table.mark(metric, name)
            row += [best or "-", f"{word} {ratio_text(ratio, metric)}" if word else "-"]
        rows.append(row)
    return grid(head, rows, markdown)


def geomean_table(table, metrics, markdown):
    head = ["geometric mean of ratios"] + table.allocators
    if table.ours:
        head.append("ours/best peer")
    rows = []
    groups = list(dict.fromkeys(table.groups.values()))
    kinds = [(m, m, table.ratio) for m in metrics]
    if "cpu" in metrics:  # noise is one-sided: what was possible, beside what was usual
        kinds.append(("cpu", "cpu minima", table.ratio_of_minima))
    for metric, title, ratio in kinds:
        for group in groups + (["ALL"] if len(groups) > 1 else []):
            names = [n for n in table.names(metric) if group in ("ALL", table.groups[n])]
            # One set of scenarios for all, or a missing figure would flatter who lacks it.
            names = [n for n in names
                     if all(table.values(metric, n, a) for a in table.allocators)]
            if not names:
                continue
            means = {a: geomean([ratio(metric, n, a, table.base) for n in names])
                     for a in table.allocators}
            row = [f"{title}, {group} ({len(names)})"]
            row += [f"{means[a]:.3f}" for a in table.allocators]
            if table.ours:
                best = min(table.peers(), key=lambda a: means[a], default=None)
                row.append("-" if best is None else
                           f"{means[table.ours] / means[best]:.3f} of {best}")
            rows.append(row)
    return grid(head, rows, markdown)


def printed_table(table, markdown):
    head = ["what the programs print"] + table.allocators
    rows = []
    for key, by_name in table.printed.items():
        for name, by_who in by_name.items():
            row = [key]
            for who in table.allocators:
                values = list(by_who.get(who, {}).values())
                row.append(f"{number(statistics.median(values))}/{number(min(values))}"
                           if values else "-")
            rows.append(row)
    rows.sort(key=lambda row: list(table.groups).index(row[0].split(":")[0]))
    return grid(head, rows, markdown) if rows else ""


def judged(table, metric):
    """Counts of won, level and lost, and the losses, worst first: (ratio, scenario, peer)."""
    counts, losses = {"WIN": 0, "level": 0, "LOSS": 0}, []
    for name in table.names(metric):
        word, ratio, best = table.mark(metric, name)
        if word:
            counts[word] += 1
        if word == "LOSS":
            losses.append((ratio, name, best))
    return counts, sorted(losses, reverse=True)


def verdicts(table, metrics):
    """For ours: how often won and lost, and each loss by name."""
    out = []
    for metric in [m for m in metrics if m in JUDGED]:
        counts, losses = judged(table, metric)
        if sum(counts.values()):
            out.append(f"{metric}: {counts['WIN']} won, {counts['level']} level within the noise, "
                       f"{counts['LOSS']} lost")
            out += [f"  lost: {name} {ratio_text(ratio, metric)} of {best}"
                    for ratio, name, best in losses]
    return "\n".join(out) + ("\n" if out else "")


def noise_table(table, metrics, markdown):
    """The same allocator against itself: nothing smaller is called a win or a loss."""
    groups = list(dict.fromkeys(table.groups[n] for m in metrics for n in table.names(m)))
    rows = []
    for metric in metrics:
        row = [metric]
        for group in [None] + groups:
            if group and not any(table.groups[n] == group for n in table.names(metric)):
                row.append("-")
                continue
            noise, measured = table.noise(metric, group)
            row.append(f"{100 * noise:.1f}%" + ("" if measured else " assumed"))
        rows.append(row)
    return ("Noise: the same allocator against itself in the same rounds, 90th percentile of the "
            "difference; nothing below it is called won or lost.\n\n"
            + grid(["noise", "all"] + groups, rows, markdown))


def render(table, metrics, markdown=False):
    """The whole report of one mode."""
    metrics = [m for m in metrics if table.names(m)]
    if not metrics:
        return ""
    parts = [f"{'## ' if markdown else ''}{MODES[table.mode]}\n",
             f"Cells: median/minimum xRATIO; the ratio is to {table.base}, median of the ratios "
             "within each round. Less is better.\n", noise_table(table, metrics, markdown)]
    parts += [metric_table(table, metric, markdown) for metric in metrics]
    parts.append(printed_table(table, markdown))
    parts.append(geomean_table(table, metrics, markdown))
    if table.ours:
        text = verdicts(table, metrics)
        parts.append(f"```\n{text}```\n" if markdown else text)
    return "\n".join(part for part in parts if part)


# ---- RESULTS.md ----

MECHANISMS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "mechanisms")
BEFORE = """<!-- SPDX-License-Identifier: MIT -->
<!-- Written by bench/results; the mechanisms come from bench/mechanisms. Do not edit. -->
# libarena beside its peers

"""


def mechanisms():
    """Lines `METRIC SCENARIOS: why`, both regular expressions; the first that matches holds."""
    out = []
    with open(MECHANISMS) as f:
        for line in f:
            if line.strip() and line[0] != "#":
                which, _, why = line.strip().partition(": ")
                metric, _, names = which.partition(" ")
                out.append((re.compile(metric), re.compile(names), why))
    return out


def lost_table(table, metrics):
    rows, known = [], mechanisms()
    for metric in [m for m in metrics if m in JUDGED]:
        for ratio, name, best in judged(table, metric)[1]:
            why = next((text for m, n, text in known if m.fullmatch(metric) and n.fullmatch(name)),
                       "not known yet")
            rows.append([name, metric, f"{ratio_text(ratio, metric)} of {best}", why])
    rows.sort(key=lambda row: list(table.groups).index(row[0]))
    if not rows:
        return "Nothing is lost beyond the noise.\n"
    return grid(["lost", "figure", "ratio", "mechanism"], rows, True)


def document(tables, metrics, head, pictures):
    parts = [BEFORE + "Ratios within interleaved, shuffled rounds, memory warmed before each run; "
             "a figure is lost or won only beyond the noise that the same run measured. One "
             "command makes this file again; the allocators are libraries that the user has "
             "built:\n\n```\n" + head + "```\n"]
    parts += [f"![{text}]({name})\n" for text, name in pictures]
    for table in tables:
        here = [m for m in metrics if table.names(m)]
        title = MODES[table.mode]
        parts += [f"## {title}: all together\n", geomean_table(table, here, True)]
        if table.ours:
            counts = [[m] + [str(judged(table, m)[0][word]) for word in ("WIN", "level", "LOSS")]
                      for m in here if m in JUDGED]
            parts += [grid(["scenarios", "won", "level", "lost"], counts, True),
                      f"### What {table.ours} loses\n", lost_table(table, here)]
        parts.append(noise_table(table, here, True))
    for table in tables:
        parts.append(f"<details><summary>{MODES[table.mode]}: every figure</summary>\n\n"
                     + render(table, metrics, True) + "\n</details>\n")
    return "\n".join(parts)
