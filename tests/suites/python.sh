#!/bin/bash
# SPDX-License-Identifier: MIT
#
# python.sh - CPython's own tests, the modules that press an allocator, as Debian ships them
# (libpython3.11-testsuite), twice: as it is, and with every object from malloc.

. "$(dirname "$0")/lib.sh"
packages python3 libpython3.11-testsuite
python=/usr/bin/python3.11
what="CPython $($python -V 2>&1 | cut -d' ' -f2)"
modules="test_gc test_json test_threading test_thread test_capi test_multiprocessing_fork
	test_multiprocessing_main_handling test_subprocess test_mmap test_io test_ctypes test_decimal
	test_re test_dict test_list test_set test_unicode test_bytes test_array test_struct
	test_memoryview test_pickle test_weakref test_zlib test_lzma test_bz2 test_hashlib test_ssl
	test_pyexpat test_xml_etree_c test_fork1 test_posix test_signal test_queue test_generators
	test_descr test_marshal test_itertools test_collections test_sort test_exceptions"
all_malloc="test_gc test_json test_dict test_list test_unicode test_thread test_capi test_pickle test_re"
how="its tests in $(wc -w <<<"$modules") modules; $(wc -w <<<"$all_malloc") of them again with PYTHONMALLOC=malloc"
least=2500
ran=python3.11

# -v names each test; one process for each module, so that a crash takes no other with it.
suite() {
	local m

	for m in $modules; do
		one "" "$m"
	done
	export PYTHONMALLOC=malloc
	for m in $all_malloc; do
		one "malloc:" "$m"
	done
}

one() {
	local status

	timeout 400 "$python" -m test -v -u none "$2" >out 2>&1
	status=$?
	cat out
	# A test that prints, or whose threads do, takes its verdict to a later line, where it is alone; one with
	# a docstring has it behind that, on the second line.
	awk -v prefix="$1" '
		/^test[A-Za-z0-9_]* \([^ ()]*\)/ { split($2, part, /[()]/); name = part[2] }
		name != "" && match($0, /(^|\.\.\. )(ok|FAIL|ERROR|skipped .*)$/) {
			verdict = substr($0, RSTART)
			sub(/^\.\.\. /, "", verdict)
			print prefix name, verdict == "ok" ? "pass" : verdict ~ /^skipped/ ? "skip" : "fail"
			name = ""
		}' out >&3
	# 0 passed, 2 failed, 4 nothing was run: a signal gives more.
	case $status in
	0) echo "$1$2 pass" >&3;;
	4) echo "$1$2 skip" >&3;;
	*) echo "$1$2:exit-$status fail" >&3;;
	esac
}

compare
