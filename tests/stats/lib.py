# SPDX-License-Identifier: MIT
#
# lib.py - what the tests of alloc-stats share: TAP rows, running the tool, and programs under
# libarena whose heap is known (layout.c).

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("TOP_BUILDDIR", os.path.join(HERE, "..", ".."))
TOOL = os.environ.get("ALLOC_STATS", os.path.join(BUILD, "tools/alloc-stats/alloc-stats"))
LIBRARY = os.environ.get("ARENA_LIB", os.path.join(BUILD, ".libs/libarena.so.0"))
CC = os.environ.get("CC", "cc").split()
MIB = 1 << 20

SCRATCH = tempfile.mkdtemp()
atexit.register(shutil.rmtree, SCRATCH, True)
rows = failures = 0


def ok(passed, name, note=""):
    global rows, failures
    rows += 1
    print(f"{'ok' if passed else 'not ok'} {rows} - {name}", flush=True)
    if not passed:
        failures += 1
        for line in str(note).splitlines()[:12]:
            print("#  ", line)
    return passed


def near(value, wanted, slack, name):
    return ok(abs(value - wanted) <= slack, name, f"is {value}, wanted {wanted} within {slack}")


def skip(name, reason):
    global rows
    rows += 1
    print(f"ok {rows} - {name} # SKIP {reason}")


def skip_all(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def done():
    print(f"1..{rows}")
    sys.exit(1 if failures else 0)


def scratch(name):
    return os.path.join(SCRATCH, name)


def tool(*arguments, timeout=20, program=TOOL, **more):
    """Runs alloc-stats; the CompletedProcess with text."""
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True,
                          errors="replace", timeout=timeout, **more)


def heap(pid, *more):
    """The JSON document of a process."""
    r = tool("--json", *more, pid)
    if r.returncode != 0:
        raise AssertionError(f"alloc-stats: {r.returncode}: {r.stderr}")
    return json.loads(r.stdout)


def preloaded(**more):
    return dict(os.environ, LD_PRELOAD=LIBRARY, **more)


def compile_layout(name="layout", *flags):
    path = scratch(name)
    subprocess.run([*CC, "-std=gnu11", "-O1", "-fno-builtin", "-o", path,
                    os.path.join(HERE, "layout.c"), *flags, "-lpthread"], check=True)
    return path


class Layout:
    """A running layout program; .said are its lines before "ready"."""

    def __init__(self, program, *arguments, env=None):
        self.process = subprocess.Popen([program, *map(str, arguments)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env or preloaded())
        self.pid = self.process.pid
        self.said = []
        self.text = ""  # of these, the XML
        for line in self.process.stdout:
            if line == "ready\n":
                break
            if line.lstrip().startswith("<"):
                self.text += line
            else:
                self.said.append(line.split())

    def line(self, text=""):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()


def smaps(pid, field):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def anonymous_rss(pid):
    """Resident bytes of mappings without a file or a name of the kernel's."""
    total, counted = 0, False
    for line in open(f"/proc/{pid}/smaps"):
        words = line.split()
        if "-" in words[0]:
            counted = len(words) == 5 or words[5].startswith("[anon")
        elif counted and words[0] == "Rss:":
            total += int(words[1]) * 1024
    return total


if os.environ.get("OVERRIDE") == "no":
    skip_all("built with --disable-override")
if not os.path.exists(TOOL):
    skip_all("alloc-stats is not built")
