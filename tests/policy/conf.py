#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# conf.py - what arena.conf says is in force, for whom it says it, and a file that is broken, or no
# file at all, stops nobody.  The setuid rows need root.

import os
import re
import shutil
import socket
import subprocess

from patched import CONF, CONF_D, DIR, FAMILY, LIBRARY, conf, config, done, environment, lib, ok, \
    patch, run, skip, write

# ---- precedence -----------------------------------------------------------------------------------

conf()
first, rows, last, err = config()
ok("serves malloc" in first, "no file: serves", first)
ok(all(s == "default" for _, s in rows.values()), "no file: defaults", rows)
ok("was not read (No such file" in last, "no file: it is said", last)
ok(err == "", "no file: no word on stderr", err)

conf("# a comment\ndirty_kib = 10\nthp=no # off\n", **{
    "20-b": "dirty_kib=30\nstats = 0", "10-a": "\n\ndirty_kib=20\n  thp = yes\n"})
write(CONF_D + "/99-c.conf.dpkg-old", "dirty_kib = 99\n")
write(CONF_D + "/.hidden.conf", "dirty_kib = 98\n")
_, rows, last, err = config()
ok(rows["dirty_kib"] == (30, f"{CONF_D}/20-b.conf:1"), "files in the order of their names", rows)
ok(rows["thp"] == (1, f"{CONF_D}/10-a.conf:4"), "a later file replaces, with its line", rows)
ok(rows["stats"] == (0, f"{CONF_D}/20-b.conf:2"), "a last line without its end counts", rows)
ok("and 2 files of" in last, "only *.conf is read, no dot files", last)
ok(err == "", "no warning for these", err)
_, rows, _, _ = config("dirty_kib:40")
ok(rows["dirty_kib"] == (40, "ARENA_OPTIONS"), "the environment replaces the files", rows)
ok(rows["thp"][1].endswith("10-a.conf:4"), "... where it says something", rows)

conf(None, **{"10-a": "dirty_kib = 20\n"})
_, rows, _, _ = config()
ok(rows["dirty_kib"] == (256, "default"), "without arena.conf the directory is not read", rows)

# ---- conditions -----------------------------------------------------------------------------------


def applies(header, name):
    conf(f"{header}\ndirty_kib = 7\n")
    _, rows, _, err = config()
    ok(rows["dirty_kib"][0] == 7 and err == "", f"applies: {name}", f"{header}\n{rows}\n{err}")


def not_here(header, name):
    conf(f"{header}\ndirty_kib = 7\n")
    _, rows, _, err = config()
    ok(rows["dirty_kib"][0] == 256 and err == "", f"does not: {name}", f"{header}\n{rows}\n{err}")


uid = os.getuid()
cgroup = ""
for line in open("/proc/self/cgroup"):
    number, controllers, path = line.rstrip("\n").split(":", 2)
    if controllers == "name=systemd" or (number == "0" and cgroup == ""):
        cgroup = path
units = [part for part in cgroup.split("/") if part]

applies(f"[exe={FAMILY}]", "exe=PATH")
applies(f"[exe={DIR}/*]", "exe=DIR/*")
applies('[exe="/*/family"]', "a quoted pattern, * matches slashes")
not_here("[exe=family]", "exe= without its directory")
applies("[name=famil?]", "name= with ?")
applies("[name=*m*l*]", "several *")
not_here("[name=famil]", "a prefix of the name")
not_here("[name=amily]", "a suffix of the name")
applies(f"[uid={uid}]", "the user's uid")
applies(f"[ uid=0-{uid}\tname=family ]", "two conditions that hold, a range")
not_here(f"[uid={uid + 1}]", "another uid")
not_here(f"[name=family uid={uid + 1}-4294967295]", "two, one of which does not hold")
not_here("[secure=yes]", "secure=yes")
applies("[secure=no]", "secure=no")
applies(f'[cgroup="{cgroup}"]', "the cgroup's path")
not_here("[cgroup=/no/such]", "another cgroup")
not_here("[unit=no-such.service]", "another unit")
if units:
    applies(f'[unit="{units[0]}"]', "a unit: the first directory of the cgroup")
    applies(f'[unit="{units[-1]}"]', "a unit: the last one")
else:
    not_here("[unit=*]", "a unit in the root cgroup")
not_here("[name=other]\n[name=also-other]", "the last of two headers counts")
applies("[name=other]\nstats=1\n[]", "[] is for all again")

# ---- broken files ---------------------------------------------------------------------------------



def survives(name, message, value=256):
    """The program runs, with one line that has MESSAGE (None: none), quickly."""
    _, rows, last, err = config()
    good = rows["dirty_kib"][0] == value and str(value) or ""
    lines = err.splitlines()
    if message is None:
        good = good and not lines
    else:
        good = good and len(lines) == 1 and lines[0].startswith("libarena: ") and message in err
        good = good and "fault" in last
    ok(good, name, f"{rows}\n{last}\n{err}")


def broken(name, text, message, value=256):
    conf(text)
    survives(name, message, value)


broken("unknown option", "dirty_kib = 5\nno_such = 1\n", CONF + ":2: not an option", 5)
broken("value out of range", "dirty_kib = 1048577\n", ':1: not an option, or out of range')
broken("value is no number", "dirty_kib = 5k\n", ":1: not an option")
broken("yes for a number", "dirty_kib = yes\n", ":1: not an option")
broken("no value", "dirty_kib\n", ":1: not an option")
broken("unknown condition", "[colour=red]\ndirty_kib = 5\n", ":1: not a condition")
broken("header without its end", "[name=*\ndirty_kib = 5\n", ":1: not a condition")
broken("nothing but [", "[\ndirty_kib = 5\n", ":1: not a condition")
broken("open quote", '[name="family]\ndirty_kib = 5\n', ":1: not a condition")
broken("uid that is none", "[uid=12x]\ndirty_kib = 5\n", ":1: not a condition")
broken("two mistakes, one line", "x\ny\ndirty_kib = 5\n", CONF + ":1: ", 5)
broken("a line of 5000 bytes", "#" + "x" * 5000 + "\ndirty_kib = 5\n", ":1: the line is too long", 5)
broken("lines across the buffer's end", "# 23456789012345678\n" * 300 + "dirty_kib = 5\n", None, 5)
broken("NUL bytes", b"\0\0\0\ndirty_kib = 5\n", ":1: not an option", 5)
broken("NUL bytes behind a value", b"thp = no\0\0\0\0\ndirty_kib = 5\n", ":1: not an option", 5)
broken("an ELF file", open("/bin/true", "rb").read()[:60000], "c:")
broken("1 MiB of comments", "# comment\n" * 100000, "longer than 64 KiB")
broken("control characters are not shown", b"\x1b[31m\n", "\"?[31m\"")
broken("empty file", "", None)
broken("CRLF", "dirty_kib = 5\r\n", None, 5)

conf("dirty_kib = 5\n")
os.chmod(CONF, 0o666)
survives("writable by all", "writable by others than its owner")
conf()
os.mkdir(CONF)
survives("a directory", "not a regular file")
conf()
os.mkfifo(CONF)
survives("a FIFO", "not a regular file")
conf()
os.symlink("/dev/zero", CONF)
survives("/dev/zero", "not a regular file")
conf()
os.symlink(CONF, CONF)
survives("a link to itself", None)
conf()
with socket.socket(socket.AF_UNIX) as s:
    s.bind(CONF)
    survives("a socket", None)
conf("dirty_kib = 5\n", a="x\n")
shutil.rmtree(CONF_D)
write(CONF_D, "dirty_kib = 6\n")
survives("arena.conf.d is a file", None, 5)
conf("\n", **{f"{i:02}": f"dirty_kib = {i}\n" for i in range(40, 0, -1)})
survives("40 files: the first 32, and a warning", "more than 32 files", 32)
conf("\n", **{"a" * 50: "dirty_kib = 5\n", "b" * 51: "dirty_kib = 6\n"})
survives("a name of 56 bytes", "name is too long", 5)
conf("\n", a="dirty_kib = 5\n", b="dirty_kib = 6\n")
os.chmod(CONF_D + "/b.conf", 0o622)
survives("one file is not trusted, the other is", "writable by others", 5)
if uid == 0:
    conf("dirty_kib = 5\n")
    os.chown(CONF, 12345, 0)
    survives("not root's, nor the user's own", "not owned by root")
    conf("dirty_kib = 5\n")
    os.chown(CONF, 65534, 65534)
    survives("root's, seen from a user namespace", None, 5)

# ---- what it costs --------------------------------------------------------------------------------


def our_calls():
    r = subprocess.run(["strace", "-E", "LD_PRELOAD=" + LIBRARY, "/bin/true"], capture_output=True,
                       text=True)
    calls = re.findall(r"^(\w+)\(", r.stderr, re.M)
    plain = re.findall(r"^(\w+)\(", subprocess.run(
        ["strace", "-E", "LD_PRELOAD=" + DIR + "/empty.so", "/bin/true"], capture_output=True,
        text=True).stderr, re.M)
    return len(calls) - len(plain), r.stderr


if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0:
    # A library with a text and a data segment, as ours has.
    write(DIR + "/empty.c", "int data[2000] = {1}; int zero[2000]; int f(void) { return data[0]; }\n")
    subprocess.run([*lib.CC, "-shared", "-fPIC", "-Wl,-z,noseparate-code", "-o", DIR + "/empty.so",
                    DIR + "/empty.c"], check=True)
    conf()
    n, trace = our_calls()
    ok(n == 1, "no file: one system call more than an empty library's", f"{n}\n{trace}")
    conf("\n")
    n, trace = our_calls()
    ok(n == 5, "arena.conf alone: five", f"{n}\n{trace}")
    conf("\n", a="[name=x]\n")
    n, trace = our_calls()
    ok(n == 13, "and one file that asks for the executable: thirteen", f"{n}\n{trace}")
    conf("[unit=a]\n[cgroup=b]\n[unit=c]\n")
    n, trace = our_calls()
    ok(n in (9, 10), "the cgroup is asked for once, the executable is not", f"{n}\n{trace}")

    # ---- what a sandbox does (AppArmor, Landlock): the file is there and may not be opened ----------
    # No word on what may not be read; what may is read, as its fault shows.
    conf("\n", a="no_such = 1\n", b="no_such = 1\n")
    told = {CONF: None, CONF_D: None, "a.conf": CONF_D + "/b.conf:1: ", "none": CONF_D + "/a.conf:1: "}
    for path, fault in told.items():
        r = subprocess.run(["strace", "-o", DIR + "/denied", "-e", "trace=open,openat", "-e",
                            "inject=open,openat:error=EACCES", "-P", path, "-E", "LD_PRELOAD=" + LIBRARY,
                            "/bin/echo", "served"], capture_output=True, text=True)
        denied = open(DIR + "/denied").read().count("EACCES")
        ok(r.stdout == "served\n" and denied == (path != "none")
           and (r.stderr == "" if fault is None else fault in r.stderr),
           f"may not be opened: {os.path.basename(path)}", f"{r}\n{denied}")
else:
    skip("system calls at the start", "strace does not work here")
    skip("files that may not be opened", "strace does not work here")

# ---- programs that gain privileges ----------------------------------------------------------------

secure = DIR + "/secure"
subprocess.run([*lib.CC, "-O1", "-w", "-fno-builtin", "-o", secure,
                os.path.join(os.path.dirname(os.path.abspath(__file__)), "family.c"),
                "-Wl,--no-as-needed", LIBRARY, "-Wl,-rpath," + DIR, "-lpthread"], check=True)


def block(path, options, **more):
    env = dict(os.environ)
    env.pop("ARENA_OPTIONS", None)
    if options:
        env["ARENA_OPTIONS"] = options
    r = subprocess.run([path, "block"], capture_output=True, text=True, env=env, **more)
    return r.stdout.strip() + r.stderr


conf()
nosuid = os.statvfs(DIR).f_flag & os.ST_NOSUID
ok(block(secure, None) == "32", "a program that is linked is served", block(secure, None))
ok(block(secure, "enabled:0") == "24", "... and handed back by the environment")
if uid != 0 or nosuid:
    skip("setuid programs", "needs root, and a /tmp that allows them")
else:
    os.chown(secure, 65534, 65534)
    os.chmod(secure, 0o4755)
    ok(block(secure, "enabled:0") == "32", "setuid: the environment is ignored")
    conf("enabled = no\n")
    ok(block(secure, "enabled:1") == "24", "setuid: the file is not")
    conf("[secure=yes]\nenabled = no\n")
    ok(block(secure, None) == "24", "setuid: secure=yes")
    conf("[secure=no]\nenabled = no\n")
    ok(block(secure, None) == "32", "setuid: not secure=no")
    conf("[name=secure uid=0]\nenabled = no\n")
    ok(block(secure, None) == "24", "setuid: uid is the real user's")
    conf("enabled = no\n")
    os.chown(CONF, 65534, 65534)
    ok("not owned by root" in block(secure, None), "setuid: the file must be root's")

# ---- a static program -----------------------------------------------------------------------------

conf("enabled = no\n")
static = os.path.join(lib.BUILD, ".libs/libarena.a")
plain = DIR + "/static-plain"
r = subprocess.run([*lib.CC, "-O1", "-w", "-fno-builtin", "-static", "-o", plain,
                    os.path.join(os.path.dirname(os.path.abspath(__file__)), "family.c"),
                    "-Wl,-u,malloc", static, "-lpthread"], capture_output=True, text=True)
if r.returncode == 0 and os.path.exists(static):
    said = block(patch(plain, "static"), None)
    ok(said == "32libarena: enabled=no: there is no other malloc here\n",
       "a static program is not handed back, and says so", said)
else:
    skip("a static program", "cannot be linked here")
done()
