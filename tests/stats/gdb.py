#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# gdb.py - the commands of tools/gdb/libarena-gdb.py, on a process and on its core, against
# alloc-stats and what the program says.

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import *

SCRIPT = os.path.join(HERE, "../../tools/gdb/libarena-gdb.py")
if not shutil.which("gdb") or not shutil.which("gcore"):
    skip_all("gdb is not installed")
layout = compile_layout("layout", "-g", "-O0")


def gdb(*arguments):
    commands = [c for a in arguments[1:] for c in ("-ex", a)]
    return subprocess.run(["gdb", "-q", "-batch", "-nx", layout, *arguments[0],
                           "-iex", "set debuginfod enabled off", "-ex", f"source {SCRIPT}", *commands],
                          capture_output=True, text=True, errors="replace", timeout=60).stdout


p = Layout(layout, "small")
pointers = {name: int(value, 16) for kind, name, value in (l for l in p.said if l[0] == "pointer")}
if "debug information" in gdb(["-p", str(p.pid)], "arena stats"):
    p.end()
    skip_all("the library was built without debug information")
doc = heap(p.pid)
subprocess.run(["gcore", "-o", scratch("core"), str(p.pid)], capture_output=True)
wanted = {c["size"]: [c["runs"], c["regions"], c["live"], c["cached"], c["empty"]] for c in doc["classes"]}
for target, name in ((["-p", str(p.pid)], "process"), ([scratch(f"core.{p.pid}")], "core")):
    out = gdb(target, "arena stats", *[f"arena ptr {v:#x}" for v in pointers.values()], "arena chunk",
              f"arena chunk {pointers['live']:#x}", "arena find-leaks-of 1500 3", "print *arn_heap",
              "arena ptr 16", "arena ptr main")
    rows = {int(m[1]): [int(x) for x in m[2].split()[:5]]
            for m in re.finditer(r"^ +(\d+)((?: +\d+){5}) +\d+%$", out, re.M)}
    totals = {m[1]: int(m[2]) for m in re.finditer(r"^ *([a-z ]+?) +(\d+) +[\d.]+ [KMG]?i?B$", out, re.M)}
    known = {k.replace("_", " "): v for k, v in doc["heap"].items()}
    ok(len(totals) == 14 and all(known.get(k) == v or k == "small" and v == known["live small"] or
                                 k == "empty" and v == known["empty"] for k, v in totals.items()),
       f"{name}: arena stats agrees with alloc-stats, in every total", (totals, known))
    ok(rows == wanted, f"{name}: arena stats agrees with alloc-stats, for every class", (rows, wanted))
    said = dict(re.findall(r"^(0x[0-9a-f]+): (.*)", out, re.M))
    for which, text in (("live", "bytes, live, its start"), ("inner", "live, 7 bytes in"),
                        ("freed", "free (in the thread cache of heap 1)"), ("large", "large block"),
                        ("huge", "huge block")):
        ok(text in said.get(f"{pointers[which]:#x}", ""), f"{name}: arena ptr: {which}", said)
    ok("owner: thread heap 1" in out, f"{name}: arena ptr: the owner")
    ok(said.get("0x10") == "not memory of libarena", f"{name}: arena ptr: an address of others")
    ok(re.search(r"page +\d+ 0x[0-9a-f]+: .*-byte regions", out) is not None, f"{name}: arena chunk")
    leaks = re.search(r"1536-byte class: (\d+) live blocks, (\d+) of them", out)
    # The program holds 50 and lost 50, and 5 of other sizes of that class; two may still be in a register or on the stack.
    ok(leaks is not None and int(leaks[1]) == 105 and 53 <= int(leaks[2]) <= 55,
       f"{name}: arena find-leaks-of", leaks and leaks[0])
    ok("lost block" in out, f"{name}: arena find-leaks-of shows what is in them")
    ok("thread heap 1" in out.split("$1 = ")[-1], f"{name}: the pretty-printers", out[-200:])
p.end()

q = subprocess.Popen([layout, "small"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
q.stdout.readline()
r = subprocess.run(["gdb", "-q", "-batch", "-nx", "-p", str(q.pid), "-ex", f"source {SCRIPT}",
                    "-ex", "arena stats"], capture_output=True, text=True)
ok("does not use libarena" in r.stderr, "a program without libarena", r.stderr)
q.kill()
q.wait()
done()
