# SPDX-License-Identifier: MIT
"""From records to tables: medians, minima, ratios within a round, geometric means, noise."""
import math
import statistics

METRICS = {  # unit, what a figure is divided by for print, smallest figure worth a ratio
    "cpu": ("s", 1, 0.002), "user": ("s", 1, 0.02), "sys": ("s", 1, 0.02),
    "wall": ("s", 1, 0.002), "rss": ("MiB", 1024, 1), "minflt": ("faults", 1, 50),
    "mean_rss": ("MiB", 1024, 1), "end_rss": ("MiB", 1024, 512),
    "instructions": ("M", 1e6, 1), "inside": ("M", 1e6, 1),
}
FROM_OUTPUT = {"mean_kib": "mean_rss", "end_kib": "end_rss"}  # the return group's samples
JUDGED = ("cpu", "wall", "rss", "minflt", "mean_rss", "end_rss", "instructions")
# Without the same allocator listed twice: what shared machines are known to vary by.
DEFAULT_NOISE = {"cpu": 0.08, "user": 0.08, "sys": 0.3, "wall": 0.15, "rss": 0.02, "minflt": 0.03,
                 "mean_rss": 0.03, "end_rss": 0.03, "instructions": 0.002, "inside": 0.005}


class Table:
    """All records of one mode, as figure[metric][scenario][allocator][round]."""

    def __init__(self, records, scenarios, allocators, mode, base, ours=None):
        self.allocators = [a.name for a in allocators]
        self.groups = {s.name: s.group for s in scenarios}
        self.base, self.ours, self.mode = base, ours, mode
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

    def noise(self, metric):
        """90th percentile of |ratio - 1| of the same allocator against itself, and whether it
        was measured here."""
        seen = sorted(abs(ratio - 1) for a, others in self.twins.items() for b in others if a < b
                      for name in self.names(metric)
                      if (ratio := self.ratio(metric, name, a, b)) is not None)
        if not seen:
            return DEFAULT_NOISE[metric], False
        return seen[min(len(seen) - 1, int(0.9 * len(seen)))], True

    def mark(self, metric, name, noise):
        """win, loss or level of ours against the best peer, and the ratio."""
        if not self.ours or not self.values(metric, name, self.ours):
            return None, None, None
        best = self.best_peer(metric, name)
        if best is None:
            return None, None, None
        ratio = self.ratio(metric, name, self.ours, best)
        if ratio is None:
            return None, None, None
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


def ratio_text(x):
    return "-" if x is None else f"{x:.2f}" if x < 10 else f"{x:.0f}"


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
    noise, _ = table.noise(metric)
    head = [f"{metric} ({unit})"] + table.allocators + (["best peer", "ours"] if table.ours else [])
    rows = []
    for name in table.names(metric):
        row = [name]
        for who in table.allocators:
            values = table.values(metric, name, who)
            ratio = table.ratio(metric, name, who, table.base)
            row.append("-" if not values else
                       f"{number(statistics.median(values) / scale)}/"
                       f"{number(min(values) / scale)} x{ratio_text(ratio)}")
        if table.ours:
            word, ratio, best = table.mark(metric, name, noise)
            row += [best or "-", f"{word} {ratio_text(ratio)}" if word else "-"]
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
            row += [ratio_text(means[a]) for a in table.allocators]
            if table.ours:
                best = min(table.peers(), key=lambda a: means[a], default=None)
                row.append("-" if best is None else
                           f"{means[table.ours] / means[best]:.2f} of {best}")
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


def verdicts(table, metrics):
    """For ours: how often won and lost, and each loss by name."""
    out = []
    for metric in [m for m in metrics if m in JUDGED]:
        noise, _ = table.noise(metric)
        counts, losses = {"WIN": 0, "level": 0, "LOSS": 0}, []
        for name in table.names(metric):
            word, ratio, best = table.mark(metric, name, noise)
            if word:
                counts[word] += 1
            if word == "LOSS":
                losses.append((ratio, f"{name} {ratio_text(ratio)} of {best}"))
        if sum(counts.values()):
            out.append(f"{metric}: {counts['WIN']} won, {counts['level']} level within "
                       f"{100 * noise:.1f}%, {counts['LOSS']} lost")
            out += [f"  lost: {text}" for _, text in sorted(losses, reverse=True)]
    return "\n".join(out) + ("\n" if out else "")


def noise_lines(table, metrics):
    lines = []
    for metric in metrics:
        noise, measured = table.noise(metric)
        lines.append(f"{metric} {100 * noise:.1f}%" + ("" if measured else " (assumed)"))
    hint = "" if table.twins else "; list an allocator twice under two names to measure it"
    return "noise floor, 90th percentile of the same allocator against itself: " + \
        ", ".join(lines) + hint + "\n"


def render(table, metrics, markdown=False):
    """The whole report of one mode."""
    metrics = [m for m in metrics if table.names(m)]
    if not metrics:
        return ""
    title = {"warm": "Times and memory, warm", "cold": "Times and memory, cold",
             "count": "Instructions (callgrind, reduced sizes)"}[table.mode]
    parts = [f"{'## ' if markdown else ''}{title}\n",
             f"Cells: median/minimum xRATIO; the ratio is to {table.base}, median of the ratios "
             "within each round. Less is better.\n", noise_lines(table, metrics)]
    parts += [metric_table(table, metric, markdown) for metric in metrics]
    parts.append(printed_table(table, markdown))
    parts.append(geomean_table(table, metrics, markdown))
    if table.ours:
        text = verdicts(table, metrics)
        parts.append(f"```\n{text}```\n" if markdown else text)
    return "\n".join(part for part in parts if part)
