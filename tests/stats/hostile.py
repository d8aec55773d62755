#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# hostile.py - what alloc-stats makes of lies and of what disappears: cores with flipped bytes, cut
# cores, processes that end or may not be read, and files that are no cores.  It must end soon,
# without a signal, and say something.

import os
import random
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import *

layout = compile_layout()
# The tool that dies of what C leaves undefined (local.mk).
UB_TOOL = os.path.join(BUILD, "tests/stats/alloc-stats-ub")
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "250"))
SECONDS = 10


class Core:
    """A core file in memory, with the places that matter to a reader."""

    def __init__(self, path):
        self.data = bytearray(open(path, "rb").read())
        phoff, = struct.unpack_from("<Q", self.data, 32)
        size, count = struct.unpack_from("<HH", self.data, 54)
        self.loads = []
        for i in range(count):
            kind, _, offset, address, _, filled, _, _ = struct.unpack_from("<IIQQQQQQ", self.data,
                                                                           phoff + i * size)
            if kind == 1:
                self.loads.append((address, offset, filled))
        # The magic, and a pointer where the page map's is: chance may bring either.
        magic = struct.pack("<Q", 0x616e6572616c6c61)
        self.root = self.data.find(magic)
        while self.offset(self.word(self.root + 88)) is None:
            self.root = self.data.find(magic, self.root + 1)
            assert self.root >= 0, "no root in the core"

    def offset(self, address):
        for start, offset, filled in self.loads:
            if start <= address < start + filled:
                return offset + address - start
        return None

    def word(self, offset):
        return struct.unpack_from("<Q", self.data, offset)[0]

    def runs(self, o):
        """(offset, regions, pages) of runs of small regions: where a descriptor's members fit together."""
        for _, start, filled in self.loads:
            for at in range(start, min(start + filled, len(self.data)) - 127, 64):
                cls, state, words = (self.data[at + o[m]] for m in ("run_cls", "run_state", "run_nwords"))
                if state != o["small"] or not 0 < cls < o["info_starter"]:
                    continue
                base = self.word(at + o["run_base"])
                regions, pages = (struct.unpack_from("<H", self.data, at + o[m])[0]
                                  for m in ("run_nregions", "run_npages"))
                if (words == (regions + 63) // 64 and 0 < regions and 0 < pages and
                        base % o["page"] == 0 and self.offset(base) is not None):
                    yield at, regions, pages

    def forged_run(self, o, at, state, info, words, regions):
        """A copy in which the run at AT, and what the page map says of it, are these."""
        copy = bytearray(self.data)
        infos = self.word(self.offset(self.word(self.root + o["root_pagemap"])))
        top = self.word(self.offset(infos - o["map_bytes"]) + o["map_top"])
        page = (top + 15 - self.word(at + o["run_base"])) // o["page"]
        copy[self.offset(infos + 4 * page)] = info
        copy[at + o["run_cls"]] = 1
        copy[at + o["run_state"]] = state
        copy[at + o["run_nwords"]] = words
        struct.pack_into("<H", copy, at + o["run_nregions"], regions)
        return copy

    def places(self):
        """(offset, length) of structures: ELF headers and notes, the root, and all that its words
        lead to, three steps far."""
        found = [(0, 4096), (self.root, 200)]
        edge = [(self.root + 56, 144)]
        for length in (64, 4096, 512):
            here = [(self.offset(self.word(at + i)), length)
                    for at, n in edge for i in range(0, n, 8)
                    if at + i + 8 <= len(self.data)]
            edge = [(at, n) for at, n in here if at is not None and at + n < len(self.data)]
            found += edge
        # The header of the page map's window lies before what the root leads to.
        infos = self.offset(self.word(self.offset(self.word(self.root + 88))))
        return found + [(infos - 64, 64)]


def offsets():
    """Where the library's structs have what is forged here."""
    wanted = dict(root_heaps="offsetof(struct arn_root, heaps)",
                  root_pagemap="offsetof(struct arn_root, pagemap)",
                  root_mismatches="offsetof(struct arn_root, delete_mismatches)",
                  map_bytes="sizeof(struct pagemap)", map_top="offsetof(struct pagemap, top)",
                  page="PAGE_BYTES", info_starter="INFO_STARTER",
                  small="RUN_SMALL", starter="RUN_STARTER",
                  bin_base="offsetof(struct heap, bins) + sizeof(struct bin) + offsetof(struct bin, base)",
                  **{f"run_{m}": f"offsetof(struct run, {m})"
                     for m in ("base", "cls", "state", "nwords", "nregions", "npages")})
    with open(scratch("offsets.c"), "w") as f:
        f.write('#include <stdio.h>\n#include "root.h"\nint main(void)\n{\n')
        f.writelines(f'\tprintf("{n} %zu\\n", (size_t)({what}));\n' for n, what in wanted.items())
        f.write("}\n")
    subprocess.run([*CC, "-w", "-std=gnu11", "-D_GNU_SOURCE", "-I", os.path.join(HERE, "../../src"),
                    "-o", scratch("offsets"), scratch("offsets.c")], check=True)
    lines = subprocess.run([scratch("offsets")], capture_output=True, text=True).stdout.splitlines()
    return {n: int(value) for n, value in (line.split() for line in lines)}


def run_core(path, program=TOOL):
    started = time.monotonic()
    try:
        r = tool("core", path, timeout=SECONDS, program=program)
    except subprocess.TimeoutExpired:
        return "hangs"
    if r.returncode < 0 or "AddressSanitizer" in r.stderr:
        return f"dies of {r.returncode} {r.stderr[:500]}"
    if r.returncode != 0 and not r.stderr.startswith("alloc-stats: "):
        return f"fails without a word ({r.returncode})"
    return None if time.monotonic() - started < SECONDS else "is slow"


def make_core():
    """A core that the kernel or gdb wrote; None when neither can be had."""
    p = Layout(layout, "small")
    try:
        r = subprocess.run(["gcore", "-o", scratch("core"), str(p.pid)], capture_output=True)
    except FileNotFoundError:
        return None
    finally:
        p.end()
    path = scratch(f"core.{p.pid}")
    return path if r.returncode == 0 and os.path.exists(path) else None


core = make_core()
if core is None:
    skip("cores", "gcore (of gdb) is not installed or may not trace")
else:
    r = tool("core", core)
    ok(r.returncode == 0 and "layout (core file): libarena" in r.stdout, "a core is read",
       r.stdout + r.stderr)
    whole = Core(core)
    places = whole.places()
    bad = []
    random.seed(20240)
    for k in range(ROUNDS):
        copy = bytearray(whole.data)
        for _ in range(random.choice((1, 1, 3, 20))):
            at, n = random.choice(places[:2] if k % 5 == 0 else places)
            i = at + random.randrange(n)
            if k % 3 == 0:
                i -= i % 8
                values = (0, 2**64 - 1, 1, random.getrandbits(64), random.getrandbits(47) & ~15,
                          whole.word(at + random.randrange(0, n - 8, 8)))
                copy[i:i + 8] = struct.pack("<Q", random.choice(values))
            else:
                copy[i] ^= 1 << random.randrange(8)
        open(scratch("bad"), "wb").write(copy)
        for program in (TOOL, UB_TOOL):
            fault = run_core(scratch("bad"), program)
            if fault:
                bad.append(f"round {k} {os.path.basename(program)} {fault}")
    ok(not bad, f"{ROUNDS} damaged cores: no crash, no hang, always a word", "\n".join(bad))

    bad = []
    for part in (0, 1, 63, 64, 500, 4096, 20000, len(whole.data) // 3, len(whole.data) * 9 // 10):
        open(scratch("cut"), "wb").write(whole.data[:part])
        fault = run_core(scratch("cut"))
        if fault:
            bad.append(f"{part} bytes: {fault}")
    ok(not bad, "cut cores: no crash, no hang, always a word", "\n".join(bad))
    open(scratch("cut"), "wb").write(whole.data[:len(whole.data) * 9 // 10])
    ok("truncated" in tool("core", scratch("cut")).stderr, "a cut core is called truncated")

# A list that leads into itself, in a root that is otherwise whole: the process is ours to damage.
if core is not None:
    loop = bytearray(whole.data)
    heaps = whole.offset(whole.word(whole.root + 56))
    first = whole.word(heaps)
    place = whole.offset(first)
    for i in range(place, place + 2048, 8):
        loop[i:i + 8] = struct.pack("<Q", first)
    open(scratch("loop"), "wb").write(loop)
    ok(run_core(scratch("loop")) is None, "a heap that is its own neighbour")
    version = bytearray(whole.data)
    version[whole.root + 8] += 1
    open(scratch("version"), "wb").write(version)
    r = tool("core", scratch("version"))
    ok(r.returncode == 3 and "root descriptor of version" in r.stderr,
       "another version: a clear message", r.stderr)
    for at, text in ((152, "another layout"), (20, "another layout"), (36, "word size")):
        other = bytearray(whole.data)
        other[whole.root + at] ^= 4
        open(scratch("other"), "wb").write(other)
        r = tool("core", scratch("other"))
        ok(r.returncode == 3 and text in r.stderr, f"{text} (byte {at}): a clear message", r.stderr)


def document(path, program):
    """What --json says of a core; without a document, what became of the tool."""
    try:
        r = tool("--json", "core", path, timeout=SECONDS, program=program)
        return json.loads(r.stdout) if r.returncode == 0 else {"status": r.returncode}
    except (ValueError, subprocess.TimeoutExpired) as e:
        return {"error": e}


def regions(doc):
    return {c["size"]: c["regions"] for c in doc.get("classes", [])}


def forged_rows(copy, name, passes):
    """A row for each tool: whether what it says of the core COPY passes."""
    open(scratch("forged"), "wb").write(copy)
    for program in (TOOL, UB_TOOL):
        doc = document(scratch("forged"), program)
        ok("heap" in doc and passes(doc), f"{name} ({os.path.basename(program)})",
           [doc.get(k) for k in ("status", "error", "reading", "heap")])


if core is not None:
    o = offsets()
    before = document(core, TOOL)
    # Records of runs with more than a run can have, as no chance makes them.  The first one fits together,
    # and its bitmap of 32 words was once written over the reader's own of 16.  Such a run is torn, page by
    # page, and nothing else is missing.
    at, n, pages = next(r for r in whole.runs(o) if r[2] == 2)
    for kind, info, words, count in (("small", 1, 32, 2048), ("small", 1, 255, 1024),
                                     ("starter", o["info_starter"], 32, 1024),
                                     ("starter", o["info_starter"], 255, 1024)):
        def torn(doc):
            lost = [k - regions(doc).get(size, 0) for size, k in regions(before).items()]
            return doc["reading"]["torn"] == pages and [k for k in lost if k] == [n]
        forged_rows(whole.forged_run(o, at, o[kind], info, words, count),
                    f"a {kind} run of {words} words and {count} regions is torn", torn)
    # Seen by fuzzing: a counter that fits no signed integer, and a cache that begins at address 4, so that
    # the word before it is at -4.
    forged = bytearray(whole.data)
    counter = whole.offset(whole.word(whole.root + o["root_mismatches"]))
    struct.pack_into("<Q", forged, counter, 2**64 - 1)
    forged_rows(forged, "a counter of 2^64 - 1 is the largest number there is",
                lambda doc: doc["heap"]["sized_delete_mismatches"] == 2**63 - 1 and
                regions(doc) == regions(before))
    forged = bytearray(whole.data)
    first = whole.word(whole.offset(whole.word(whole.root + o["root_heaps"])))
    struct.pack_into("<Q", forged, whole.offset(first) + o["bin_base"], 4)
    forged_rows(forged, "a thread cache at address 4 is torn",
                lambda doc: doc["reading"]["torn"] == 1 and regions(doc) == regions(before))

# Figures that do not fit: seen by fuzzing.  The largest change stands first, whatever it wraps to.
documents = []
for live in (0, 2**63 - 1):
    documents.append(scratch(f"huge-{live}"))
    json.dump({"schema": 1, "heap": {"live": live}, "process": {}, "kernel": {}, "resident": {},
               "classes": [{"size": 32, "live": live and 5, "empty": 0},
                           {"size": 1024, "live": live, "empty": 0}]}, open(documents[-1], "w"))
r = tool("diff", *documents)
first = [line.split()[0] for line in r.stdout.split("class", 1)[-1].splitlines()[1:2]]
ok(r.returncode == 0 and first == ["1024"], "documents with figures that overflow", r.stdout + r.stderr)

for path, name in (("/dev/null", "an empty file"), ("/bin/sh", "a program"), ("/nowhere", "no file"),
                   (os.path.abspath(__file__), "a text"), ("/", "a directory")):
    r = tool("core", path)
    ok(r.returncode == 1 and len(r.stderr.splitlines()) == 1, f"{name} instead of a core", r.stderr)

# ---- processes ------------------------------------------------------------------------------------
bad = []
for i in range(40):
    p = Layout(layout, "known" if i % 2 else "busy")
    os.kill(p.pid, signal.SIGKILL if i % 4 < 2 else signal.SIGTERM)
    time.sleep(0.0005 * (i // 2))
    r = tool("--json", p.pid)
    if r.returncode not in (0, 1, 3) or (r.returncode != 0 and not r.stderr):
        bad.append(f"{r.returncode} {r.stderr}")
    p.end()
ok(not bad, "processes that are dying: read, or said to have ended", "\n".join(bad))
r = tool(p.pid)
ok(r.returncode == 1 and "no process" in r.stderr, "a process that has ended", r.stderr)

p = Layout(layout, "known")
os.kill(p.pid, signal.SIGSTOP)
ok(tool(p.pid).returncode == 0, "a stopped process is read")
p.end()

# A running process whose root descriptor is damaged; nothing in it reads that, so it lives on.
p = Layout(layout, "small")
memory = os.open(f"/proc/{p.pid}/mem", os.O_RDWR)
place, code, magic = None, None, struct.pack("<Q", 0x616e6572616c6c61)
for line in open(f"/proc/{p.pid}/maps"):
    if "libarena" in line:
        start, end = (int(x, 16) for x in line.split()[0].split("-"))
        at = os.pread(memory, end - start, start).find(magic) if line.split()[1][0] == "r" else -1
        place = start + at if at >= 0 and at % 8 == 0 else place
        code = end - 16 if line.split()[1][2] == "x" else code
root, bad = os.pread(memory, 256, place), []
try:
    os.pwrite(memory, root, place)
except OSError:
    skip("damaged roots of a running process", "the kernel refuses to write")
else:
    random.seed(7)
    for k in range(60):
        copy = bytearray(root)
        for _ in range(random.choice((1, 1, 4))):
            i = random.randrange(56, 248, 8)
            values = (0, 2**64 - 1, 1, random.getrandbits(64), struct.unpack_from("<Q", root, i)[0] + 8,
                      struct.unpack_from("<Q", root, random.randrange(56, 200, 8))[0], place)
            copy[i:i + 8] = struct.pack("<Q", random.choice(values))
        os.pwrite(memory, copy, place)
        for arguments in (["--json"], ["--watch", "0.01", "-n", "1"]):
            r = tool(*arguments, p.pid, timeout=SECONDS)
            if r.returncode not in (0, 1, 3) or (r.returncode != 0 and
                                                 not r.stderr.startswith("alloc-stats: ")):
                bad.append(f"round {k} {arguments} {r.returncode} {r.stderr[:300]}")
    ok(not bad, "60 damaged roots of a running process: no crash, no hang, always a word", "\n".join(bad))
    # The control word and what serves it (their offsets in struct arn_root): read-only, nowhere,
    # data, and the middle of the zeros that fill the library's last page of code.
    for at, value in ((144, place & ~4095), (144, 16), (192, place), (192, code)):
        copy = bytearray(root)
        copy[at:at + 8] = struct.pack("<Q", value)
        os.pwrite(memory, copy, place)
        r = tool("--trim", "--now", p.pid)
        if r.returncode not in (1, 5) or p.process.poll() is not None:
            bad.append(f"trim {at} {value:#x}: {r.returncode} {r.stdout} {r.stderr}")
    os.pwrite(memory, root, place)
    p.line("quit")
    ok(not bad and p.process.wait(5) == 0, "--trim writes and calls nothing that a damaged root names",
       "\n".join(bad))
os.close(memory)
p.end()

q = subprocess.Popen(["sleep", "30"])
time.sleep(0.1)
r = tool(q.pid)
ok(r.returncode == 3 and "does not use libarena" in r.stderr and "RSS" in r.stderr,
   "a process without libarena: said, with what the kernel knows", r.stderr)
q.kill()
q.wait()

p = Layout(layout, "known")
if os.getuid() != 0:
    skip("a missing permission is named", "needs root to become somebody else")
else:
    os.chmod(SCRATCH, 0o755)
    shutil.copy(TOOL, scratch("alloc-stats"))
    os.chmod(scratch("alloc-stats"), 0o755)
    r = subprocess.run([scratch("alloc-stats"), str(p.pid)], user=65534, group=65534,
                       extra_groups=[], capture_output=True, text=True)
    ok(r.returncode == 4 and len(r.stderr.splitlines()) == 1 and "CAP_SYS_PTRACE" in r.stderr,
       "a missing permission is named in one line", r.stderr)
p.end()

# ---- a process in namespaces of its own -----------------------------------------------------------
r = subprocess.run(["unshare", "-mpf", "true"], capture_output=True)
if r.returncode != 0:
    skip("a container", "namespaces cannot be made here")
else:
    p = Layout("/usr/bin/unshare", "-mpf", "--mount-proc", layout, "known")
    inside = int(open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()[0])
    classes = {c["size"]: c["live"] for c in heap(inside)["classes"]}
    ok(all(classes[int(v[0])] == int(v[1]) for k, *v in p.said if k == "live"),
       "in other mount and pid namespaces: the same figures", classes)
    p.end()
    os.kill(inside, signal.SIGKILL) if os.path.exists(f"/proc/{inside}") else None
    # A number that is given to another process between two looks of --watch.
    again = f"""
LD_PRELOAD={LIBRARY} {layout} small </dev/zero >/dev/null & first=$!
sleep 0.3
{TOOL} --watch 0.4 $first >{scratch('watched')} 2>&1 & watcher=$!
sleep 0.6
kill -9 $first; wait $first
echo $((first - 1)) >/proc/sys/kernel/ns_last_pid
LD_PRELOAD={LIBRARY} {layout} puzzle </dev/zero >/dev/null & second=$!
echo $first $second
wait $watcher
kill -9 $second
"""
    r = subprocess.run(["unshare", "-mpf", "--mount-proc", "bash", "-c", again],
                       capture_output=True, text=True, timeout=20)
    pids = r.stdout.split()
    watched = open(scratch("watched")).read()
    if len(set(pids)) != 1:
        skip("a number used again", "the kernel gave another number")
    else:
        ok("has ended" in watched and "400." not in watched,
           "a number used again: the first process has ended", watched)

done()
