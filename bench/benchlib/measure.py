# SPDX-License-Identifier: MIT
"""Building, proving preloads, running one measurement, and the file of results."""
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("micro", "programs", "threads", "return", "start", "probe", "launch")
# The compiler knows malloc: without these it deletes pairs and merges malloc with memset.
CFLAGS = ("-std=gnu11 -O2 -Wall -Wextra -fno-builtin-malloc -fno-builtin-free "
          "-fno-builtin-calloc -fno-builtin-realloc -pthread").split()


class Failure(Exception):
    """Something that makes figures untrue or absent; the message is for the user."""


class Allocator:
    def __init__(self, name, path, version="", again=False):
        self.name, self.again = name, again  # again: measured only to know the noise
        self.path = os.path.abspath(path) if path else None
        self.version = version or ("" if path else platform.libc_ver()[1])
        if path and not os.path.isfile(path):
            raise Failure(f"{name}: no such file: {path}")
        self.ident = "libc"
        if path:
            with open(path, "rb") as f:
                self.ident = hashlib.sha256(f.read()).hexdigest()[:16]

    def serves(self, path):
        """Is this the file that should serve malloc?"""
        if self.path:
            return os.path.realpath(path) == os.path.realpath(self.path)
        return os.path.basename(path).startswith("libc.so")


def parse_allocators(words):
    """NAME=PATH.so, NAME=PATH.so,VERSION, NAME= or glibc."""
    out = []
    for word in words:
        name, eq, rest = word.partition("=")
        if not eq and name != "glibc":
            raise Failure(f"{word}: NAME=PATH.so or NAME=PATH.so,VERSION expected, or glibc")
        if any(a.name == name for a in out):
            raise Failure(f"{name}: named twice")
        path, _, version = rest.partition(",")
        out.append(Allocator(name, path, version))
    return out


def build(build_dir, compiler="cc"):
    os.makedirs(build_dir, exist_ok=True)
    common = os.path.getmtime(os.path.join(HERE, "common.h"))
    for program in PROGRAMS:
        source = os.path.join(HERE, program + ".c")
        target = os.path.join(build_dir, program)
        newest = max(common, os.path.getmtime(source))
        if os.path.exists(target) and os.path.getmtime(target) > newest:
            continue
        done = subprocess.run([compiler, *CFLAGS, "-o", target, source, "-lm"])
        if done.returncode:
            raise Failure(f"{program}.c does not compile")


def clean_env(extra=None):
    keep = ("PATH", "HOME", "USER", "TMPDIR", "SHELL")
    env = {k: v for k, v in os.environ.items() if k in keep}
    env["LC_ALL"] = "C.UTF-8"
    env.update(extra or {})
    return env


def prove(build_dir, allocator):
    """Refuses to measure an allocator that did not take the program over."""
    env = clean_env({"LD_PRELOAD": allocator.path} if allocator.path else None)
    done = subprocess.run([os.path.join(build_dir, "probe")], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    served = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    if done.returncode or set(served) != {"malloc", "free", "calloc", "realloc"}:
        raise Failure(f"{allocator.name}: the probe failed: {done.stderr.strip()}")
    for function, path in served.items():
        if not allocator.serves(path):
            raise Failure(f"{allocator.name}: {function} is served by {path}: "
                          "the preload did not take effect")


class Bench:
    """Where to build, how to warm; runs one command and returns one record."""

    def __init__(self, build_dir, warm=True):
        self.build_dir = os.path.abspath(build_dir)
        self.warm = warm

    def launch_argv(self, allocator, report, warm=0, user=None, libc=None):
        argv = [os.path.join(self.build_dir, "launch")]
        if warm and self.warm:
            argv += ["-w", str(warm)]
        if allocator.path or libc:
            argv += ["-p", allocator.path or libc]
        if user:
            argv += ["-u", user]
        return argv + [report]

    def timed(self, allocator, argv, warm=384, timeout=120, env=None, cwd=None, stdin=None,
              stdout=None, libc=None):
        """One run under the launcher: its report and what the program printed."""
        with tempfile.NamedTemporaryFile(prefix="bench-") as report, \
                open(stdin or os.devnull, "rb") as source:
            done = subprocess.run(
                self.launch_argv(allocator, report.name, warm, libc=libc) + argv,
                env=clean_env(env), cwd=cwd, stdin=source, timeout=timeout,
                stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE)
            record = read_report(report.name)
        if record["status"]:
            raise Failure(f"status {record['status']}: "
                          f"{done.stderr.decode(errors='replace').strip()[-300:]}")
        record["cpu"] = record["user"] + record["sys"]
        return record, (done.stdout or b"").decode(errors="replace")

    def counted(self, allocator, argv, timeout=900, env=None, cwd=None, stdin=None, libc=None):
        """Instructions under callgrind; the objects that ran are the proof of the preload."""
        costs = callgrind(allocator, argv, timeout, env, cwd, stdin, libc)
        return {"instructions": sum(costs.values()), "inside": inside(allocator, costs)}

    def own(self, scenario, allocator, count):
        """Runs one of our C programs."""
        program, *rest = scenario.argv(count)
        argv = [os.path.join(self.build_dir, program), *rest]
        if count:
            return self.counted(allocator, argv)
        record, text = self.timed(allocator, argv, scenario.warm, scenario.timeout)
        record["out"], record["samples"] = parse_output(text)
        if not record["samples"]:
            del record["samples"]
        return record


def read_report(path):
    with open(path) as f:
        text = f.read()
    if not text:
        raise Failure("the launcher made no report")
    return json.loads(text)


def parse_output(text):
    out, samples = {}, []
    for line in text.splitlines():
        if line.startswith("sample "):
            samples.append([int(word) for word in line.split()[1:]])
            continue
        for word in line.split():
            key, eq, value = word.partition("=")
            if eq:
                out[key] = float(value)
    return out, samples


def callgrind(allocator, argv, timeout=900, env=None, cwd=None, stdin=None, libc=None,
              options=()):
    """Self cost in instructions by object file."""
    valgrind = shutil.which("valgrind")
    if not valgrind:
        raise Failure("valgrind is not installed")
    preload = allocator.path or libc
    extra = {"LD_PRELOAD": preload} if preload else {}
    extra.update(env or {})
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, \
            open(stdin or os.devnull, "rb") as source:
        out = os.path.join(scratch, "out")
        done = subprocess.run(
            [valgrind, "--tool=callgrind", f"--callgrind-out-file={out}", "--compress-pos=no",
             "--compress-strings=no", "--combine-dumps=yes", *options, *argv],
            env=clean_env(extra), cwd=cwd, stdin=source, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout)
        if done.returncode or not os.path.exists(out):
            raise Failure(f"valgrind: status {done.returncode}: {done.stderr.strip()[-300:]}")
        costs = object_costs(out)
    if not any(allocator.serves(path) for path in costs):
        raise Failure(f"{allocator.name}: executed no instruction under valgrind")
    return costs


def inside(allocator, costs):
    """What the allocator's file executes.  Valgrind knows a file by its .text; code that a peer
    keeps in a section of its own (tcmalloc's malloc and free) appears under ???."""
    return sum(cost for path, cost in costs.items() if path == "???" or allocator.serves(path))


def object_costs(path):
    costs, current, skip = {}, None, False
    with open(path, errors="replace") as f:
        for line in f:
            if line[0].isdigit() or line[0] in "+-*":
                if skip:  # the inclusive cost of a call: counted where it was spent
                    skip = False
                elif current is not None:
                    words = line.split()
                    if len(words) > 1:
                        costs[current] = costs.get(current, 0) + int(words[1])
            elif line.startswith("ob="):
                current = line[3:].strip()
            elif line.startswith("calls="):
                skip = True
    return costs


# ---- proof for real programs: who does the loader bind malloc to? ----

BINDING = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: normal symbol `malloc'")


def prove_program(allocator, argv, env=None, cwd=None, stdin=None):
    """Returns the libc to preload, or None: the program may be linked with an allocator itself."""
    libc = None
    for attempt in range(2):
        bound = bindings(allocator.path or libc, argv, env, cwd, stdin)
        # A program at a fixed address has one PLT entry for everybody: libraries bind to the
        # program, the program to the allocator.
        through = {a for a, b in bound if allocator.serves(b)}
        strange = [(a, b) for a, b in bound if not allocator.serves(b) and b not in through]
        if bound and not strange:
            return libc
        if not allocator.path and not attempt and strange:
            libc = libc_path()  # put libc's malloc before that of the library it links with
            continue
        break
    if not bound:
        raise Failure(f"{argv[0]} binds malloc nowhere: static?")
    raise Failure(f"{strange[0][0]} binds malloc to {strange[0][1]}")


def bindings(preload, argv, env, cwd, stdin):
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, \
            open(stdin or os.devnull, "rb") as source:
        extra = {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": os.path.join(scratch, "ld")}
        if preload:
            extra["LD_PRELOAD"] = preload
        extra.update(env or {})
        subprocess.run(argv, env=clean_env(extra), cwd=cwd, stdin=source, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        bound = []
        for name in os.listdir(scratch):
            with open(os.path.join(scratch, name), errors="replace") as f:
                bound += BINDING.findall(f.read())
    # The loader's own malloc and the allocator's own calls are nobody's business.
    return [(a, b) for a, b in bound if "ld-linux" not in a and a != b]


def libc_path():
    with open("/proc/self/maps") as f:
        for line in f:
            if "/libc.so" in line or "/libc-" in line:
                return line.split()[-1]
    raise Failure("libc.so not found")


# ---- results ----

class Results:
    """JSON lines, one per run; what is there is not run again."""

    def __init__(self, path):
        self.path, self.records = path, []
        if path and os.path.exists(path):
            with open(path) as f:
                for line in f:
                    try:
                        self.records.append(json.loads(line))
                    except ValueError:
                        pass  # the last line of a run that was killed
        self.done = {self.key(r) for r in self.records}

    @staticmethod
    def key(r):
        return (r["scenario"], r["command"], r["allocator"], r["ident"], r["mode"], r["round"])

    def add(self, record):
        self.records.append(record)
        self.done.add(self.key(record))
        if self.path:
            with open(self.path, "a") as f:
                f.write(json.dumps(record) + "\n")
