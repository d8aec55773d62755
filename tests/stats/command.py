#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# command.py - alloc-stats -- COMMAND: what it reads at the end of a command, and how little the
# command and whoever waits for it notice.

import json
import os
import resource
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import *

layout = compile_layout()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
run = ["--library", LIBRARY, "--"]


def documents(text):
    decoder, at, found = json.JSONDecoder(), 0, []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        doc, at = decoder.raw_decode(text, at)
        found.append(doc)
    return found


r = tool(*run, layout, "known", input="quit\n")
ok(r.returncode == 0 and "ready" in r.stdout and "libarena" not in r.stdout,
   "the command's output is its own", r.stdout[:200])
ok("layout [" in r.stderr and "RSS " in r.stderr and "peak" in r.stderr, "the page is on stderr",
   r.stderr[:500])
r = tool("--json", "-o", scratch("end.json"), *run, layout, "known", input="quit\n")
doc = json.load(open(scratch("end.json")))
classes = {c["size"]: c["live"] for c in doc["classes"]}
said = [l.split() for l in r.stdout.splitlines()]
ok(all(classes[int(l[1])] == int(l[2]) for l in said if l[0] == "live" and int(l[1]) != 352),
   "at return from main: the exact figures", (classes, said))

ok(doc["run"]["peak_live"] >= doc["heap"]["live"] and len(doc["run"]["samples"]) > 0,
   "json: the peak and the samples", doc.get("run"))

r = tool("--json", "--exact", *run, layout, "known", input="quit\n", env=dict(os.environ, ARENA_OPTIONS="thp:0"))
exact = json.loads(r.stderr)["heap"]
ok(exact["recorded"] == exact["live"] and exact["internal"] > 0 and exact["internal_max"] == 0 and
   doc["heap"]["recorded"] == 0, "--exact: every request is recorded, and only then", exact)

for how, command, status in (
        ("exit status", ["sh", "-c", "exit 7"], 7),
        ("_exit", [layout, "exit", "9"], 9),
        ("a signal", ["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        ("SIGKILL", ["sh", "-c", "kill -KILL $$"], -signal.SIGKILL),
        ("abort", ["sh", "-c", "kill -ABRT $$"], -signal.SIGABRT)):
    r = tool("--json", *run, *command)
    try:
        docs = documents(r.stderr)
    except ValueError:
        docs = []
    ok(r.returncode == status and len(docs) == 1 and docs[0]["heap"]["live"] > 0,
       f"{how}: passed on, and the heap was read", (r.returncode, r.stderr[:300]))

ok(tool(*run, "/nowhere/x").returncode == 127, "a command that does not exist: 127")
ok(tool(*run, "/etc/passwd").returncode == 126, "a file that is no program: 126")
ok(tool("--library", "/nowhere.so", "--", "true").returncode == 1, "a library that does not exist")

# Signals: sent to alloc-stats, caught by the command.
w = subprocess.Popen([TOOL, *run, "sh", "-c", "trap 'echo caught; exit 5' USR1 TERM; echo up; "
                      "while :; do sleep 0.05; done"], stdout=subprocess.PIPE, text=True,
                     stderr=subprocess.DEVNULL)
w.stdout.readline()
w.send_signal(signal.SIGTERM)
ok("caught" in w.communicate(timeout=10)[0] and w.returncode == 5, "a signal is forwarded")

# A stop and its end.
w = subprocess.Popen([TOOL, *run, layout, "known"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE, text=True)
while w.stdout.readline() != "ready\n":
    pass
child = int(open(f"/proc/{w.pid}/task/{w.pid}/children").read().split()[0])
os.kill(child, signal.SIGSTOP)
time.sleep(0.2)
state = open(f"/proc/{child}/stat").read().rsplit(")", 1)[1].split()[0]
os.kill(child, signal.SIGCONT)
out = w.communicate("quit\n", timeout=10)
ok(state in "Tt" and w.returncode == 0, "the command can be stopped and goes on", (state, out[1][:200]))

# Threads that end before, and a main thread that ends first.
threads = """
import threading, os, time
def leak(): time.sleep(0.3); os._exit(4)
t = threading.Thread(target=leak); t.start()
for i in range(50): u = threading.Thread(target=lambda: bytearray(100000)); u.start(); u.join()
t.join()
"""
r = tool("--json", *run, sys.executable, "-c", threads)
docs = documents(r.stderr)
ok(r.returncode == 4 and docs[0]["heap"]["live"] > 100000, "_exit in another thread", r.stderr[:300])

# Children.
r = tool("--json", "--children", *run, "sh", "-c",
         f"{layout} exit 0; {sys.executable} -c 'pass'; true")
names = [d["process"]["command"] for d in documents(r.stderr)]
ok(names[:1] == ["sh"] and "layout" in names and any(n.startswith("python") for n in names),
   "--children: each child has a page", names)
r = tool("--json", *run, "sh", "-c", f"{layout} exit 0; true")
ok(len(documents(r.stderr)) == 1, "without --children: the command alone")

# exec replaces the program: the page is that of the last one.
r = tool("--json", *run, "sh", "-c", f"exec {layout} exit 3")
ok(r.returncode == 3 and documents(r.stderr)[0]["process"]["command"] == "layout", "after exec")

# Who was not served.
r = tool(*run, "env", "-u", "LD_PRELOAD", "sh", "-c", "exit 6")
ok(r.returncode == 6 and "does not use libarena" in r.stderr, "a command that drops the preload is told",
   r.stderr)

# The plot.
r = tool("--plot", scratch("plot.svg"), *run, sys.executable, "-c",
         "import time\nx = []\nfor i in range(30): x.append(bytearray(1000000)); time.sleep(0.01)")
ok("# live" in r.stderr and r.stderr.count("|") >= 8, "growth over time in the terminal", r.stderr)
points = [e for e in xml.parse(scratch("plot.svg")).getroot().iter() if e.tag.endswith("polyline")]
ok(len(points) == 2 and len(points[0].get("points").split()) > 5, "growth over time as SVG")
peak = [l for l in r.stderr.splitlines() if l.startswith("  live ")][-1].split()
ok(28.6 < float(peak[1]) < 40 and peak[2] == "MiB", "the peak of live", peak)

done()
