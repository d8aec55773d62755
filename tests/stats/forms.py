#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# forms.py - the forms in which alloc-stats shows a heap: text, JSON, OpenMetrics, --watch, top,
# diff, map, --trim.

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree as xml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import *

layout = compile_layout()
p = Layout(layout, "known")
q = Layout(layout, "sparse")

# ---- text and JSON ------------------------------------------------------------------------------
lines = tool(p.pid).stdout.splitlines()
ok(re.match(r"layout \[\d+\]: libarena \d", lines[0]) is not None, "text: who it is", lines[0])
ok(re.match(r"RSS [\d.]+ [KMG]iB = live [\d.]+ \+ thread caches [\d.]+ \+ fragmentation [\d.]+"
            r"( \(worst: \d+-byte class, \d+% empty\))? \+ dirty [\d.]+( \+ clean [\d.]+)? \+ metadata [\d.]+"
            r" \+ outside the heap [\d.]+", lines[1]) is not None, "text: the verdict", lines[1])
doc = heap(p.pid)
wanted = {"schema", "process", "verdict", "advice", "kernel", "heap", "resident", "classes", "starters",
          "heaps", "reading"}
ok(doc["schema"] == 1 and wanted <= set(doc), "json: the documented members", sorted(doc))
tool("--json", "-o", scratch("a.json"), p.pid)
ok(json.load(open(scratch("a.json")))["process"]["pid"] == p.pid, "-o: the document in a file")
ok(not os.path.exists(scratch("a.json.part")), "-o: no partial file stays")
tool("--json", "-o", "/dev/null", p.pid)
ok(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"), "-o /dev/null stays a device")

# ---- diff ---------------------------------------------------------------------------------------
tool("--json", "-o", scratch("b.json"), q.pid)
r = tool("diff", scratch("a.json"), scratch("b.json"))
ok(r.returncode == 0 and "two different processes" in r.stdout and "-4000" not in r.stderr,
   "diff: two processes are called so", r.stdout + r.stderr)
open(scratch("bad.json"), "w").write('{"schema": 1, "heap": 5, "classes": {}}')
r = tool("diff", scratch("a.json"), scratch("bad.json"))
ok(r.returncode == 1 and "not two documents" in r.stderr, "diff: another document is refused", r.stderr)

# ---- OpenMetrics ----------------------------------------------------------------------------------
r = tool("--openmetrics", p.pid)
parse = """
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {f.name: f for f in text_string_to_metric_families(sys.stdin.read())}
print(int(families["libarena_live_bytes"].samples[0].value))
"""
# Debian's module belongs to Debian's python3, which need not be the first.
parsed = [subprocess.run([python, "-c", parse], input=r.stdout, text=True, capture_output=True)
          for python in {sys.executable, "/usr/bin/python3"}]
parsed = [x for x in parsed if "ModuleNotFoundError: No module named 'prometheus_client'" not in x.stderr]
if parsed:
    near(int(parsed[0].stdout or -1), heap(p.pid)["heap"]["live"], 65536,
         "openmetrics: the reference parser takes it, and live is live")
else:
    skip("openmetrics: the reference parser", "python3-prometheus-client is not installed")
if shutil.which("promtool"):
    check = subprocess.run(["promtool", "check", "metrics"], input=r.stdout, text=True,
                           capture_output=True)
    # promtool reads the older text format, where a counter's family has the sample's full name.
    ok([l for l in check.stderr.splitlines() if l != "libarena_given_back_bytes_total no help text"]
       == [], "openmetrics: promtool", check.stderr)
else:
    skip("openmetrics: promtool", "promtool is not installed")
ok(r.stdout.endswith("# EOF\n"), "openmetrics: ends as it must")
every = tool("--openmetrics").stdout
ok(all(f'libarena_live_bytes{{pid="{x.pid}",' in every for x in (p, q)),
   "openmetrics: without a process, all of them")

# ---- watch ------------------------------------------------------------------------------------------
w = subprocess.Popen([TOOL, "--watch", "0.2", "--json", str(p.pid)], stdout=subprocess.PIPE, text=True)
docs = [json.loads(w.stdout.readline()) for _ in range(3)]
ok(all(d["process"]["pid"] == p.pid for d in docs), "watch: JSON, a document a line")
near(docs[2]["process"]["time"] - docs[0]["process"]["time"], 0.4, 0.25, "watch: the interval")
w.kill()
w.wait()
r = tool("--watch", "0.05", "-n", "4", p.pid)
ok(r.returncode == 0 and len(r.stdout.splitlines()) == 5, "watch: as many lines as asked", r.stdout)

# ---- top ----------------------------------------------------------------------------------------------
for key, first in (("resident", q), ("waste", q), ("live", p)):
    found = [int(l.split()[0]) for l in tool("top", "-b", "-s", key).stdout.splitlines()[1:]
             if l.split()[0].isdigit() and int(l.split()[0]) in (p.pid, q.pid)]
    ok(found[:1] == [first.pid] and len(found) == 2, f"top -b: sorted by {key}", found)
# A terminal of its own that is made smaller; keys; q.
ours, theirs = pty.openpty()
size = lambda rows, columns: fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
size(24, 100)
t = subprocess.Popen([TOOL, "top", "-d", "0.2"], stdin=theirs, stdout=theirs, stderr=theirs,
                     start_new_session=True, env=dict(os.environ, TERM="xterm"))
os.close(theirs)


def screen(keys=b"", until=None):
    """What is drawn in 0.6 seconds, or in 10 until a text appears."""
    os.write(ours, keys)
    text, shown, end = b"", "", time.monotonic() + (10 if until else 0.6)
    while time.monotonic() < end and not (until and until in shown):
        if select.select([ours], [], [], 0.1)[0]:
            try:
                text += os.read(ours, 65536)
            except OSError:
                break
        shown = re.sub(r"\x1b[\[(]?[0-9;?]*[a-zA-Z=>]", " ", text.decode(errors="replace"))
    return shown


ok("processes run libarena" in screen(until="processes run libarena") and
   "waste" in screen(b"w", until="by waste"), "top: a screen, and its keys")
size(10, 40)
t.send_signal(signal.SIGWINCH)
ok("COMMAND" not in screen(b"rgl") and t.poll() is None, "top: drawn anew in a smaller terminal")
screen(b"q")
ok(t.wait(5) == 0, "top: q")

# ---- map ----------------------------------------------------------------------------------------------
tool("map", "-o", scratch("m.svg"), q.pid)
tree = xml.parse(scratch("m.svg")).getroot()
paths = {e.get("stroke"): len(e.get("d") or "") for e in tree.iter("{http://www.w3.org/2000/svg}path")}
ok(max(paths, key=paths.get) == "#d94801", "map: SVG, mostly sparse runs", paths)
tool("map", "-o", scratch("m.html"), q.pid)
text = open(scratch("m.html")).read()
ok("http" not in text.replace("http://www.w3.org/2000/svg", ""), "map: HTML without network")
browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if browser:
    # A script at the end moves the mouse over the first page and leaves what the tip then says.
    probe = ("<script>const r=map.getBoundingClientRect();map.dispatchEvent(new MouseEvent('mousemove',"
             "{clientX:r.left+left+1,clientY:r.top+top_+1}));document.title='TIP '+tip.textContent"
             ".replace(/\\n/g,' / ');</script></body>")
    open(scratch("probe.html"), "w").write(text.replace("</body>", probe))
    r = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                        f"--user-data-dir={scratch('browser')}", "file://" + scratch("probe.html")],
                       capture_output=True, text=True, timeout=60)
    title = re.search("<title>(.*?)</title>", r.stdout)
    ok(title is not None and re.match(r"TIP 0x[0-9a-f]+ \(chunk .* / .* / resident: \d+%", title[1])
       is not None, "map: in a browser the details follow the mouse", title and title[1])
else:
    skip("map: in a browser", "chromium is not installed")

# ---- trim -------------------------------------------------------------------------------------------------
def amount(text):
    value, unit = text.split()[-2:]
    return float(value) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]


t = Layout(layout, "dirty")
before = heap(t.pid)
r = tool("--trim", t.pid)
ok(r.returncode == 5 and "pending" in r.stdout, "trim: a sleeping process has it pending", r.stdout)
t.line()
time.sleep(0.3)
after = heap(t.pid)
# What that line of input itself frees is more than may stay, and goes back too; a run that it begins takes a
# resident page first.
ok(after["heap"]["purged"] - before["heap"]["purged"] + after["heap"]["active"] - before["heap"]["active"]
   >= before["heap"]["dirty"] > after["heap"]["active"] - before["heap"]["active"],
   "trim: at the next slow path what was dirty goes back", (before["heap"], after["heap"]))
t.end()
if os.uname().machine == "x86_64":
    t = Layout(layout, "dirty")
    before = heap(t.pid)
    r = tool("--trim", "--now", t.pid)
    after = heap(t.pid)
    ok(r.returncode == 0 and "gave back" in r.stdout and
       after["heap"]["dirty"] + after["heap"]["cached"] < before["heap"]["dirty"] / 8,
       "trim --now: a sleeping process gives back at once", r.stdout + r.stderr)
    near(amount(r.stdout), after["heap"]["purged"] - before["heap"]["purged"], MIB / 16,
         "trim --now: and says how much")
    t.line("quit")
    ok(t.process.wait(5) == 0, "trim --now: the interrupted read goes on")
    t = Layout(layout, "busy")
    told = [tool("--trim", "--now", t.pid) for _ in range(20)]
    ok(all(r.returncode == 0 for r in told) and t.process.poll() is None,
       "trim --now: a busy process answers, 20 times", [(r.stdout, r.stderr) for r in told])
    t.end()
else:
    skip("trim --now", "exists for x86-64 only")
t = Layout(layout, "busy")
r = tool("--trim", t.pid)
ok(r.returncode == 0 and "gave back" in r.stdout, "trim: a busy process answers at once",
   r.stdout + r.stderr)
t.end()

# ---- the command line ---------------------------------------------------------------------------------------
bad = [a for a in (["--frob"], [], ["x"], ["0"], ["1", "2"], ["map", str(p.pid)], ["--watch", "x", "1"],
                   ["top", "-s", "colour"], ["diff", "a"], ["--watch", "nan", "1"])
       if tool(*a).returncode != 2]
ok(not bad, "what is not understood: usage, and status 2", bad)
ok("usage:" in tool("--help").stdout and tool("--version").stdout.startswith("alloc-stats "),
   "--help, --version")
p.end()
q.end()
done()
