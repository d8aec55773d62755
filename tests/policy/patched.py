# SPDX-License-Identifier: MIT
#
# patched.py - what the tests of arena.conf share.  The library has no way to be told another file
# than the one it was built with, since no environment may choose it.  So they run a copy of
# it in which the file's name, an array in its data, is that of a scratch file.

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "stats"))
import lib  # noqa: E402
from lib import ok, skip, done  # noqa: E402,F401

# "/tmp/" + 8 + "/c" is as long as "/etc/arena.conf", the shortest name that is built.
DIR = tempfile.mkdtemp(prefix="", dir="/tmp")
atexit.register(shutil.rmtree, DIR, True)
os.chmod(DIR, 0o755)  # programs of other users read it
CONF = DIR + "/c"
CONF_D = CONF + ".d"
REAL = os.path.realpath


def patch(source, name):
    """A copy of a library or static program that reads CONF."""
    with open(source, "rb") as f:
        data = f.read()
    path = DIR + "/" + name
    for suffix in (b"\0", b".d\0"):
        found = re.findall(rb"/[ -~]*/arena\.conf" + re.escape(suffix), data)
        if len(set(found)) != 1:
            raise AssertionError(f"{source} has {found}")
        new = CONF.encode() + suffix
        if len(new) > len(found[0]):
            lib.skip_all("this build's arena.conf has too short a name to be changed")
        data = data.replace(found[0], new.ljust(len(found[0]), b"\0"))
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, 0o755)
    return path


LIBRARY = patch(lib.LIBRARY, "libarena.so.0")
os.symlink("libarena.so.0", DIR + "/libarena.so")


def conf(text=None, **files):
    """Writes arena.conf (None: there is none) and arena.conf.d/NAME.conf."""
    for path in (CONF, CONF_D):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
    if text is not None:
        write(CONF, text)
    if files:
        os.mkdir(CONF_D)
        os.chmod(CONF_D, 0o755)
    for name, content in files.items():
        write(f"{CONF_D}/{name}.conf", content)


def write(path, content):
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, 0o644)


def environment(options=None):
    env = dict(os.environ, LD_PRELOAD=LIBRARY)
    env.pop("ARENA_OPTIONS", None)
    if options is not None:
        env["ARENA_OPTIONS"] = options
    return env


def run(*command, options=None, timeout=30, **more):
    return subprocess.run(command, capture_output=True, text=True, errors="replace",
                          timeout=timeout, env=environment(options), **more)


def compile(name, source, *flags):
    path = f"{DIR}/{name}"
    subprocess.run([*lib.CC, "-std=gnu11", "-O1", "-w", "-fno-builtin", "-o", path,
                    f"{HERE}/{source}", *flags, "-lpthread"], check=True)
    return path


FAMILY = compile("family", "family.c")


def config(options=None, program=FAMILY, **more):
    """What alloc-stats --config says of a process: (first line, {option: (value, source)}, rest,
    what the process itself said on stderr)."""
    p = subprocess.Popen([program, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env=environment(options), **more)
    p.stdout.readline()
    said = lib.tool("--config", p.pid)
    _, err = p.communicate("\n", timeout=20)
    lines = said.stdout.splitlines() or [said.stderr]
    rows = {}
    for line in lines[1:-1]:
        name, value, source = line.split(None, 2)
        rows[name] = (int(value), source)
    return lines[0], rows, lines[-1], err
