#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# handback.py - a program that arena.conf hands back behaves as without libarena, whoever's malloc
# that is; what libarena handed out by name stays its own.

import os
import shutil
import subprocess

from patched import DIR, FAMILY, LIBRARY, compile, conf, config, done, environment, lib, ok, run, \
    skip

conf("enabled = no\n")
plain = subprocess.run([FAMILY], capture_output=True, text=True, timeout=60)
back = run(FAMILY, timeout=60)
ok(plain.returncode == 0 and back.returncode == 0 and back.stderr == "", "the whole family works",
   f"{plain.returncode} {back.returncode} {back.stderr}")
ok(back.stdout == plain.stdout, "... and says what it says without us",
   "\n".join(f"{a} | {b}" for a, b in zip(plain.stdout.splitlines(), back.stdout.splitlines())
             if a != b))
ok(run(FAMILY, options="enabled:1").stdout != plain.stdout, "ARENA_OPTIONS=enabled:1 keeps it")
ok(run(FAMILY, "block", options="enabled:1").stdout == "32\n", "... with our blocks")
first, rows, _, err = config()
ok("handed the program back" in first, "alloc-stats --config says so", first)
ok(rows["enabled"][0] == 0 and rows["enabled"][1].endswith("/c:1"), "... and why", rows)
ok(err == "", "no word on stderr", err)

conf()
first, rows, _, _ = config("enabled:no")
ok("handed the program back" in first and rows["enabled"] == (0, "ARENA_OPTIONS"),
   "by the environment alone", first)
ok(run(FAMILY, options="enabled:0,stats:1").stderr == "", "the option stats has nothing to say")
conf("enabled = no\n")

p = subprocess.Popen([FAMILY, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     env=environment())
p.stdout.readline()
r = lib.tool(p.pid)
p.communicate(b"\n")
ok(r.returncode == 0 and "handed back" in r.stderr, "alloc-stats PID says that it sees nothing",
   r.stderr)

# No heap of ours was made: one mapping less.
if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0:
    def maps(options):
        return subprocess.run(["strace", "-e", "trace=mmap", "-E", "LD_PRELOAD=" + LIBRARY, "-E",
                               "ARENA_OPTIONS=" + options, FAMILY, "block"],
                              capture_output=True, text=True).stderr.count("mmap(")
    ok(maps("enabled:1") == maps("enabled:0") + 1, "no mapping of ours is made",
       f"{maps('enabled:1')} {maps('enabled:0')}")
else:
    skip("no mapping of ours is made", "strace does not work here")

# ---- early and late callers -----------------------------------------------------------------------

audit = DIR + "/audit.so"
with open(DIR + "/audit.c", "w") as f:
    f.write("unsigned la_version(unsigned v) { return v; }\n")
subprocess.run([*lib.CC, "-shared", "-fPIC", "-o", audit, DIR + "/audit.c"], check=True)
r = subprocess.run([FAMILY, "block"], capture_output=True, text=True, timeout=20,
                   env=dict(environment(), LD_AUDIT=audit, LD_BIND_NOW="1"))
ok(r.stdout == "24\n", "under LD_AUDIT", r.stdout + r.stderr)

mixed = DIR + "/mixed"
with open(DIR + "/mixed.c", "w") as f:
    f.write(r"""
#include <arena/amalloc.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *give_back(void *p)
{
	free(p);
	return NULL;
}

int main(void)
{
	struct arena *a = arena_create();
	char *p = arena_malloc(a, 24), *q = amalloc(24), *r = arena_malloc(a, 300000);
	pthread_t t;

	printf("%zu %zu %d %d\n", malloc_usable_size(p), malloc_usable_size(q), arena_of(p) == a,
	       arena_of(q) == NULL);
	strcpy(p, "kept");
	p = realloc(p, 5000);
	printf("%s %d\n", p, arena_of(p) == a);
	pthread_create(&t, NULL, give_back, p);
	pthread_join(t, NULL);
	afree(q);
	free_sized(amalloc(40), 40);
	free(r);
	arena_destroy(a);
	return 0;
}
""")
subprocess.run([*lib.CC, "-std=gnu11", "-w", "-fno-builtin", "-I",
                os.path.join(os.environ.get("TOP_SRCDIR", lib.BUILD), "include"), "-o", mixed,
                DIR + "/mixed.c", LIBRARY, "-Wl,-rpath," + DIR, "-lpthread"], check=True)
r = run(mixed)
ok(r.stdout == "32 24 1 1\nkept 1\n" and r.returncode == 0,
   "arenas stay ours, also where others free their blocks", f"{r.returncode} {r.stdout}{r.stderr}")

# ---- a malloc that the program brings -------------------------------------------------------------

library = compile("libbrought.so", "brought.c", "-DLIBRARY", "-shared", "-fPIC")
program = compile("brought", "brought.c", "-DPROGRAM", library, "-Wl,-rpath," + DIR)
r = run(program)
ok(r.stdout == "1 1 210\n", "a library's malloc that was in front of libc's is back", r.stdout + r.stderr)
conf()
r = run(program)
ok(r.stdout == "0 0 224\n", "... and without arena.conf ours is in front of it", r.stdout + r.stderr)
own = compile("own", "brought.c", "-rdynamic")
for options in ("enabled:1", "enabled:0"):
    r = run(own, options=options)
    ok(r.stdout == "1 1 210\n", f"a malloc in the program itself, without reallocarray, {options}",
       f"{r.returncode} {r.stdout}{r.stderr}")

# ---- real programs --------------------------------------------------------------------------------

conf("enabled = no\n")
WORK = {
    "perl": ["-e", 'my %h; $h{$_ % 5000} .= "x$_" for 1..200000; print length(join "", values %h)'],
    "python3": ["-c", "import json; d = {str(i): [i] * 5 for i in range(20000)}; "
                "print(len(json.loads(json.dumps(d))))"],
    "bash": ["-c", 'a=(); for i in {1..5000}; do a+=("$i"); done; echo ${#a[*]} $(echo ${a[*]} | wc -c)'],
    "gdb": ["-batch", "-ex", "print sizeof(int)"],
}
for name, arguments in WORK.items():
    if shutil.which(name) is None:
        skip(name, "is not installed")
        continue
    want = subprocess.run([name, *arguments], capture_output=True, text=True)
    r = run(name, *arguments, timeout=60)
    ok((r.returncode, r.stdout, r.stderr) == (want.returncode, want.stdout, want.stderr),
       f"{name} works as ever", r.stderr)
done()
