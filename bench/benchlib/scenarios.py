# SPDX-License-Identifier: MIT
"""The table of scenarios that are our own C programs; real.py has the others.

One row: name, group, command (program, scenario, key=value...), and what --count changes so that
callgrind, fifty times slower, ends in seconds (None: instructions say nothing about it).
"""
from dataclasses import dataclass


# Seconds of one run on an idle machine, warming included; for estimates before there are figures.
SECONDS = {"pairs": .45, "bulk": .5, "mix": .5, "large": .7, "programs": 1, "big": 12,
           "threads": .6, "latency": .9, "start": .6, "return": 1.3, "real": 1.5}
COUNT_SECONDS = {"pairs": 1, "bulk": 2, "mix": 2, "large": 1, "programs": 2, "threads": 2,
                 "start": 1, "real": 8, "cc1plus": 45, "clang": 60}


@dataclass
class Scenario:
    name: str
    group: str
    command: list
    count: dict = None
    warm: int = 192  # MiB touched before the run: what it will use, and some more
    timeout: int = 120

    def argv(self, count):
        program, scenario, *rest = self.command
        keys = dict(word.split("=", 1) for word in rest)
        if count:
            keys.update(self.count)
        return [program, scenario] + [f"{key}={value}" for key, value in keys.items()]

    def identity(self):
        return " ".join(self.command)


def rows():
    out = []

    def add(group, name, command, count=None, **more):
        out.append(Scenario(name, group, command.split(), count, **more))

    few = {"n": 200000}

    for size in (16, 64, 512, 4096, 16384, 32768):
        add("pairs", f"pair-{size}", f"micro pair size={size} n=40000000", few)
    add("pairs", "pair-all", "micro pair-all n=1000000", {"n": 5000})
    for size in (16, 64, 256, 1024):
        add("pairs", f"window-{size}", f"micro window dist={size} n=60000000", few)
    add("pairs", "window-mixed", "micro window dist=larson n=20000000", few)

    for live in (1000, 10000, 100000, 1000000):
        for order in ("lifo", "fifo", "random"):
            for dist, tag in (("64", "same"), ("etc", "mixed")):
                n = 30000000 if live < 100000 else 10000000 if live < 1000000 else 4000000
                if dist == "etc":  # larger objects, more cache misses
                    n //= 2
                add("bulk", f"bulk-{live}-{order}-{tag}",
                    f"micro bulk live={live} order={order} dist={dist} n={n}",
                    {"n": max(200000, live)}, warm=768 if live == 1000000 else 192)

    for dist in ("small", "larson", "few", "etc", "fleet", "log"):
        live = 2000 if dist == "log" else 20000
        add("mix", f"mix-{dist}", f"micro mix dist={dist} live={live} n=25000000", few)
    add("mix", "mix-large-set", "micro mix dist=etc live=400000 n=4000000", {"n": 800000},
        warm=384)
    add("mix", "generations", "micro generations", few)
    add("mix", "calloc", "micro calloc n=8000000", few)
    add("mix", "aligned", "micro aligned n=8000000", few)
    add("mix", "realloc-many", "micro realloc-many n=2000000", few)

    add("large", "calloc-large-untouched", "micro calloc dist=300000 live=16 n=30000", {"n": 2000})
    add("large", "calloc-large-read", "micro calloc dist=300000 live=16 read=1 n=8000", {"n": 500})
    add("large", "calloc-huge", "micro calloc dist=8000000 live=4 read=1 n=300", {"n": 30})
    add("large", "calloc-table", "micro calloc dist=64000000 live=2 n=300", {"n": 30})
    add("large", "realloc-geometric-1g", "micro realloc to=1g", {"to": "64m"}, warm=1600)
    add("large", "realloc-geometric-64m", "micro realloc to=64m n=12", {"n": 1})
    add("large", "realloc-geometric-1m", "micro realloc to=1m n=10000", {"n": 20})
    add("large", "realloc-linear-64m", "micro realloc to=64m step=256k n=4", {"n": 1})
    add("large", "realloc-linear-1m", "micro realloc to=1m step=4k n=4000", {"n": 5})
    add("large", "buffers-touched", "micro buffers n=40000", {"n": 500})
    add("large", "buffers-untouched", "micro buffers touch=0 n=1000000", {"n": 20000})
    add("large", "buffers-32k-256k", "micro buffers to=256k n=400000", {"n": 5000})
    add("large", "buffers-1m", "micro buffers from=1m to=1m live=4 n=100000", {"n": 500})
    add("large", "loop-64m", "micro big-loop n=25", {"n": 3})
    add("large", "loop-2m", "micro big-loop size=2m n=20000", {"n": 50})

    add("programs", "tree", "programs tree n=10", {"n": 1, "live": 20000})
    add("programs", "tree-large", "programs tree live=500000 n=1", {"live": 40000})
    add("programs", "trees", "programs trees depth=19", {"depth": 12})
    add("programs", "graph", "programs graph n=30", {"n": 1, "live": 10000})
    add("programs", "strings", "programs strings n=5000000", few)
    add("programs", "documents", "programs documents n=6000", {"n": 300})
    add("programs", "heap-1m", "programs heap bytes=1m n=20000000", few)
    add("programs", "heap-32m", "programs heap bytes=32m n=8000000", few)
    add("programs", "heap-1g", "programs heap bytes=1g n=1000000", None, warm=1800)
    add("big", "heap-4g", "programs heap bytes=4g n=3000000", None, warm=6000)
    add("big", "heap-16g", "programs heap bytes=16g n=3000000", None, warm=0, timeout=600)
    add("big", "realloc-linear-1g", "micro realloc to=1g step=16m", None, warm=2500)

    for threads in (1, 2):
        add("threads", f"scale-{threads}", f"threads scale threads={threads} n=10000000", few)
    add("threads", "larson-2", "threads larson threads=2 n=16000000", {"n": 400000})
    add("threads", "larson-8", "threads larson threads=8 n=16000000 live=1000", {"n": 800000})
    add("threads", "burst-4", "threads burst threads=4 n=40", {"n": 1})
    add("threads", "burst-16", "threads burst threads=16 live=20000 n=30", {"n": 1})
    for pairs in (1, 2, 4, 8):
        add("threads", f"pipe-{pairs}", f"threads pipe pairs={pairs} n=10000000", few)
    add("threads", "pipe-slow", "threads pipe slow=100 n=2000000", few)
    add("threads", "pipe-leave", "threads pipe leave=50 n=8000000", few)
    add("threads", "pipe-large", "threads pipe dist=4000 n=4000000", few)
    add("threads", "exchange-2", "threads exchange threads=2", few)
    add("threads", "exchange-8", "threads exchange threads=8 n=1000000", {"n": 40000})
    add("threads", "sharing-active", "threads sharing n=30000")
    add("threads", "sharing-passive", "threads sharing passive=1 n=30000")
    add("threads", "churn", "threads churn", {"n": 200})
    add("big", "idle-10000", "threads idle n=1000000", None)
    add("big", "many-10000", "threads many threads=10000 n=1000000", None)
    add("threads", "many-1000", "threads many threads=1000 n=8000000",
        {"threads": 50, "n": 200000})
    add("threads", "idle-1000", "threads idle threads=1000 n=8000000", {"threads": 50, "n": 20000})
    add("latency", "latency-1", "threads latency", None)
    add("latency", "latency-2", "threads latency threads=2 n=2000000", None)

    add("start", "exec-true", "start exec n=300", None)
    add("start", "exec-sh", "start exec program=/bin/sh n=250", None)
    add("start", "hello", "start hello", {})

    add("return", "peak-idle", "return peak-idle", None, warm=512)
    add("return", "peak-tenth-stays", "return peak-idle percent=90", None, warm=512)
    add("return", "sawtooth", "return sawtooth", None, warm=384)
    add("return", "pool", "return pool", None, warm=384)
    add("return", "freer", "return freer", None, warm=512)
    add("return", "cache", "return cache", None, warm=384)
    add("return", "requests", "return requests", None)
    add("return", "plateau", "return plateau n=8000000", None, warm=384)
    return out
