#!/bin/bash
# SPDX-License-Identifier: MIT
#
# python.sh - CPython's own tests under libarena, with every object from malloc (PYTHONMALLOC=malloc
# turns its private allocator off): garbage collection, JSON, threads, fork and subprocess.

. "$(dirname "$0")/lib.sh"

# The first python that has its test suite (Debian: libpython3.11-testsuite).
python=
for candidate in python3 /usr/bin/python3; do
	command -v $candidate >/dev/null || continue
	$candidate -c 'import test.test_gc, test.test_json, test.test_thread' 2>/dev/null || continue
	python=$($candidate -c 'import sys; print(sys.executable)')
	break
done
[ -n "$python" ] || skip_all "no python3 with its test suite is installed"

cd "$scratch" || exit 99
for tests in "test_gc test_json" "test_thread test_dict"; do
	ours env PYTHONMALLOC=malloc "$python" -m test -q $tests >out 2>err
	row $? "python3 -m test $tests, all objects from malloc"
	grep -E '^(test .* failed|ERROR|FAIL)' out err | sed 's/^/# /'
	proved python
done
ours "$python" - >out 2>err <<'END'
import multiprocessing, subprocess, threading, os
def work(n):
    return sum(len(str(i) * 10) for i in range(n))
if __name__ == '__main__':
    stop = False
    def noise():
        while not stop:
            b = [bytearray(n * 37 % 70000) for n in range(50)]
    threads = [threading.Thread(target=noise) for _ in range(4)]
    for t in threads: t.start()
    for _ in range(10):
        pid = os.fork()
        if pid == 0:
            x = [bytearray(n) for n in range(5000)]
            os._exit(len(x) % 256)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5000 % 256
        assert subprocess.run(['/bin/echo', 'x'], capture_output=True).stdout == b'x\n'
    stop = True
    for t in threads: t.join()
    print(work(1000))
END
row $? "python3 forks and spawns while four threads allocate"
[ "$(cat out)" = 28900 ]
row $? "and computes the right sum"
proved python echo
done_testing
