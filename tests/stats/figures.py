#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# figures.py - the figures of alloc-stats against the programs' own counts and the kernel's.

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import *

layout = compile_layout()


def parts_add_up(doc, pid, name):
    """RSS and the sum of the parts against the kernel's own figure."""
    rss = smaps(pid, "Rss")
    near(doc["kernel"]["rss"], rss, MIB // 4, f"{name}: RSS is the kernel's")
    near(sum(doc["resident"].values()), rss, MIB // 4, f"{name}: the parts add up to RSS")
    ok(abs(doc["resident"]["difference"]) <= MIB // 4, f"{name}: hardly anything is unexplained",
       doc["resident"])
    left, right = re.sub(r"\(worst.*?\)", "", doc["verdict"]).split("=")
    total = float(left.split()[1])
    shown = sum(float(w) for w in right.split() if w.replace(".", "").isdigit())
    near(shown, total, 0.051, f"{name}: the numbers of the verdict add up")


# ---- a known layout ---------------------------------------------------------------------------
p = Layout(layout, "known")
doc = heap(p.pid)
classes = {c["size"]: c for c in doc["classes"]}
for kind, *values in p.said:
    if kind == "live":
        size, count = map(int, values)
        near(classes[size]["live"], count, 0, f"known: live blocks of class {size}")
sizes = [int(v[0]) for k, *v in p.said if k == "large"]
near(doc["heap"]["large"], sum(sizes), 0, "known: large blocks")
near(doc["heap"]["large_blocks"], len(sizes), 0, "known: number of large blocks")
huge = [int(v[0]) for k, *v in p.said if k == "huge"]
near(doc["heap"]["huge"], sum(huge), 0, "known: huge blocks")
near(doc["heap"]["live_untouched"], 48 * MIB, MIB // 4, "known: what was never written")
near(doc["heap"]["heaps"], 5, 0, "known: thread heaps")
ok(all(c["live"] + c["cached"] + c["empty"] == c["regions"] for c in doc["classes"]),
   "live + cached + empty == regions, for every class")
ok(all((c["live"] + c["cached"] + c["empty"]) * c["size"] + c["tail_bytes"] == c["active_bytes"]
       for c in doc["classes"]), "live + cached + empty + tail == active, for every class")
near(doc["reading"]["torn"], 0, 0, "known: nothing torn")
parts_add_up(doc, p.pid, "known")
# On a busy machine it may not have gone to sleep yet since it said "ready", which counts as well.
for _ in range(200):
    if "State:\tS" in open(f"/proc/{p.pid}/status").read():
        break
    time.sleep(0.1)
ctxt = open(f"/proc/{p.pid}/status").read().split("voluntary_ctxt_switches:")[1].split()[0]
tool(p.pid)
ok(ctxt == open(f"/proc/{p.pid}/status").read().split("voluntary_ctxt_switches:")[1].split()[0],
   "the process was not woken by being read")
p.end()

# ---- the puzzle: 400 MB allocated, 200 MB measured ---------------------------------------------
p = Layout(layout, "puzzle")
doc = heap(p.pid)
near(doc["heap"]["live"], 400 * MIB, MIB // 2, "puzzle: 400 MiB are live")
near(doc["resident"]["live"], 200 * MIB, 2 * MIB, "puzzle: 200 MiB of them are resident")
ok("never written" in doc["advice"] and "200 MiB of the 400 MiB" in doc["advice"],
   "puzzle: the second line says why", doc["advice"])
# The worked example of the manual, word by word; numbers within 3.
manual = open(os.path.join(HERE, "../../man/alloc-stats.1")).read()
example = manual[manual.index(".Ss 400 MB allocated"):].split(".Bd")[1].split(".Ed")[0].splitlines()[1:]
shown = " ".join(tool(p.pid).stdout.splitlines()[1:3]).split()
words = " ".join(example).split()
alike = [a == b or (a.replace(".", "").isdigit() and b.replace(".", "").isdigit() and
                    abs(float(a) - float(b)) <= 3) for a, b in zip(words, shown)]
ok(len(words) == len(shown) and all(alike), "puzzle: the worked example of alloc-stats(1)",
   (" ".join(words), " ".join(shown)))
parts_add_up(doc, p.pid, "puzzle")
p.end()

# ---- fragmentation -----------------------------------------------------------------------------
p = Layout(layout, "sparse")
doc = heap(p.pid)
classes = {c["size"]: c for c in doc["classes"]}
near(classes[96]["live"], 125000, 0, "sparse: live blocks")
near(classes[96]["empty"] + classes[96]["cached"], classes[96]["regions"] - 125000, 0,
     "sparse: the others are free")
near(doc["resident"]["fragmentation"], classes[96]["empty"] * 96, 2 * MIB,
     "sparse: fragmentation is resident")
ok("worst: 96-byte class" in doc["verdict"] and "spread over" in doc["advice"],
   "sparse: the verdict names the class", doc["verdict"] + doc["advice"])
parts_add_up(doc, p.pid, "sparse")
p.end()

# ---- the same figures as in the process ------------------------------------------------------------
for stats in (0, 2):
    p = Layout(layout, "own", env=preloaded(ARENA_OPTIONS=f"stats:{stats}"))
    doc = heap(p.pid)
    said = dict(zip(p.said[0][1::2], map(int, p.said[0][2::2])))
    ok(len(said) == 15 and all(doc["heap"][k] == v for k, v in said.items()),
       f"stats:{stats}: amalloc_stats() in the process says the same, to the byte", (said, doc["heap"]))
    heaps = {int(h.get("nr")): h for h in xml.fromstring(p.text).findall("heap")}
    # Of a heap of malloc_info, (count, size) of what is cached and what is empty, and live bytes.
    seen = {}
    for nr, h in heaps.items():
        (nfast, fast), (nrest, rest) = ([int(e.get(k)) for k in ("count", "size")]
                                        for e in h.findall("total"))
        seen[nr] = nfast, nrest, int(h.find("system").get("size")) - fast - rest
    large = seen.pop(0)
    rows = sorted((k["cached"], k["empty"], k["live"] * k["size"]) for k in doc["classes"])
    ok(rows == sorted(seen.values()) and large[2] == doc["heap"]["large"],
       f"stats:{stats}: malloc_info says the same, for every class", (rows, seen, large))
    p.end()

# ---- starter runs ------------------------------------------------------------------------------------
p = Layout(layout, "starters")
docs, took = [heap(p.pid)], []
for i in range(2):
    p.line()
    took.append(int(p.process.stdout.readline().split()[1]))
    docs.append(heap(p.pid))
out = [d["starters"]["out_bytes"] for d in docs]
ok(took[0] > 0 and [b - a for a, b in zip(out, out[1:])] == took,
   "starters: bytes in use, less by what was freed, to the byte", (took, out))
# What classes without a run of their own have lies in starter runs, and these in pages of 16 KiB.
least = [sum(c["regions"] * c["size"] for c in d["classes"] if c["runs"] == 0) for d in docs]
ok(all(0 < n <= s["out_bytes"] < s["active_bytes"] == s["runs"] * 16384 for n, s in
       zip(least, (d["starters"] for d in docs))), "starters: between what must be in them and what they hold",
   (least, [d["starters"] for d in docs]))
text = re.findall(r"starter runs: (\d+), with (\d+) B in use of (\d+) KiB", tool(p.pid).stdout)
s = docs[-1]["starters"]
ok([list(map(int, t)) for t in text] == [[s["runs"], s["out_bytes"], s["active_bytes"] // 1024]],
   "starters: the same in a line of the page", (text, s))
p.end()

# ---- what was asked for ------------------------------------------------------------------------------
for stats in (2, 0):
    p = Layout(layout, "requests", env=preloaded(ARENA_OPTIONS=f"stats:{stats}"))
    doc = heap(p.pid)["heap"]
    said = {l[0]: dict(zip(l[1::2], map(int, l[2::2]))) for l in p.said}
    before, after, own, peak = (said[k] for k in ("before", "after", "own", "peak"))
    slack = 64 * 1024 * (peak["heaps"] + 1)
    if stats:
        near(after["live"] - after["internal"] - before["live"] + before["internal"], own["asked"], 0,
             "requests: live less internal is what the program asked for, to the byte")
        ok(doc["internal_max"] == 0 and doc["recorded"] == doc["live"] == after["live"] and
           doc["internal"] == after["internal"], "requests: alloc-stats says the same, of all blocks",
           (doc, after))
    else:
        near(doc["recorded"] + doc["internal"], 0, 0, "requests: without the option none is recorded")
    # realloc holds the old and the new block for a moment: 3 MB, and what growth adds.
    ok(own["most"] - slack <= peak["live"] <= own["most"] + slack + 5 * MIB + (0 if stats else doc["cached"] + MIB),
       f"stats:{stats}: the peak of live, within its bounds", (own, peak, doc))
    near(doc["peak_live"], peak["live"], 0, f"stats:{stats}: the peak from outside")
    p.end()

# ---- metadata ----------------------------------------------------------------------------------
# The rest of the anonymous memory is the libc's: its .bss, TLS, and the loader's first pages.
for name, least in (("sparse", 100 * 1024), ("far", 2 * 250 * 1024)):
    p = Layout(layout, name)
    doc = heap(p.pid)
    anonymous, part = anonymous_rss(p.pid), doc["resident"]
    heaped = sum(part[k] for k in ("live", "cached", "fragmentation", "dirty", "clean", "metadata"))
    ok(part["metadata"] > least, f"{name}: metadata is seen, in every window of the page map", part)
    ok(-16 * 1024 <= anonymous - heaped <= 160 * 1024,
       f"{name}: heap and metadata are the kernel's anonymous memory", (anonymous, heaped, part))
    parts_add_up(doc, p.pid, name)
    p.end()

# ---- a process that changes while it is read ------------------------------------------------------
p = Layout(layout, "busy")
time.sleep(0.2)
docs = [heap(p.pid) for _ in range(20)]
# On a loaded machine the reader may lose the CPU in the middle of it.
ok(sum(d["reading"]["torn"] <= 1 for d in docs) >= 18, "busy: hardly anything torn",
   [d["reading"] for d in docs])
ok(all(8 * MIB < d["heap"]["live"] < 40 * MIB for d in docs),
   "busy: every picture is a plausible one", [d["heap"]["live"] for d in docs])
p.end()

# ---- a program of others with a known leak -----------------------------------------------------------
leak = """
import sys
kept = []
for line in sys.stdin:
    kept += [bytes(417) for i in range(20000)]
    print("ready", flush=True)
"""
env = preloaded(PYTHONMALLOC="malloc")
q = subprocess.Popen([sys.executable, "-c", leak], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     text=True, env=env)
files = []
for name in "AB":
    q.stdin.write("\n")
    q.stdin.flush()
    q.stdout.readline()
    files.append(scratch(name + ".json"))
    tool("--json", "-o", files[-1], q.pid)
a, b = (json.load(open(f)) for f in files)
# bytes(417) has 33 bytes of header and a NUL behind: 450, in the class of 464.
live = [{c["size"]: c["live"] for c in d["classes"]}.get(464, 0) for d in (a, b)]
near(live[1] - live[0], 20000, 20, "python3: the leak of 20000 objects between two pictures")
r = tool("diff", *files)
first = r.stdout[r.stdout.index("live A"):].splitlines()[1].split()
ok(first[0] == "464", "diff: the leaking class comes first", r.stdout)
q.kill()
q.wait()

# ---- statically linked, stripped ----------------------------------------------------------------------
archive = os.path.join(os.path.dirname(LIBRARY), "libarena.a")
static = subprocess.run([*CC, "-std=gnu11", "-O1", "-fno-builtin", "-static", "-s", "-o",
                         scratch("static"), os.path.join(HERE, "layout.c"), "-Wl,-u,malloc",
                         "-Wl,--whole-archive", archive, "-Wl,--no-whole-archive", "-lpthread"],
                        capture_output=True, text=True)
if static.returncode != 0:
    ok(False, "a static program can be linked", static.stderr)
else:
    p = Layout(scratch("static"), "known", env=dict(os.environ))
    classes = {c["size"]: c["live"] for c in heap(p.pid)["classes"]}
    ok(all(classes[int(v[0])] == int(v[1]) for k, *v in p.said if k == "live"),
       "static and stripped: the same figures", classes)
    p.end()
    p = Layout(scratch("static"), "dirty", env=dict(os.environ))
    before = heap(p.pid)["heap"]
    r = tool("--trim", "--now", p.pid)
    after = heap(p.pid)["heap"]
    if os.uname().machine == "x86_64":
        ok(r.returncode == 0 and after["dirty"] + after["cached"] < before["dirty"] / 8,
           "static and stripped: trim --now", (r.stdout, r.stderr, before, after))
        p.line("quit")
        ok(p.process.wait(5) == 0, "static and stripped: the interrupted read goes on")
    p.end()

# ---- two libraries in one process, one of them opened late -------------------------------------------------
p = Layout(layout, "two", LIBRARY.replace("libarena.so", "libarena-prefixed.so"))
near({c["size"]: c["live"] for c in heap(p.pid)["classes"]}.get(1792, 0), 2000, 0,
     "libarena and libarena-prefixed in one process: both are counted")
p.end()
p = Layout(layout, "two", LIBRARY.replace("libarena.so", "libarena-prefixed.so"), env=dict(os.environ))
near({c["size"]: c["live"] for c in heap(p.pid)["classes"]}.get(1792, 0), 1000, 0,
     "libarena-prefixed alone, opened by dlopen")
p.end()

# ---- a library file that is no longer there -------------------------------------------------------------
copy = scratch("libcopy.so")
shutil.copy(LIBRARY, copy)
p = Layout(layout, "known", env=dict(os.environ, LD_PRELOAD=copy))
os.unlink(copy)
ok(tool(p.pid).returncode == 0, "the library's file was deleted: still read")
p.end()

done()
