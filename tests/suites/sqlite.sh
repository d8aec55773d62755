#!/bin/bash
# SPDX-License-Identifier: MIT
#
# sqlite.sh - sqlite's own tests: files of its Tcl suite in its test fixture, and speedtest1, both
# built from Debian's source against the amalgamation of the same.

. "$(dirname "$0")/lib.sh"
packages tcl tcl-dev make gcc libc6-dev zlib1g-dev libreadline-dev
source_of sqlite3 "$(version_of libsqlite3-0)"
built sqlite3 "./configure -q CFLAGS=-O0 && make -j2 testfixture sqlite3 && \
	gcc -O1 -o speedtest1 test/speedtest1.c sqlite3.c -I. -lpthread -ldl -lm"
what="sqlite $("$kept/sqlite3/sqlite3" -version | cut -d' ' -f1)"
files="alter select1 select2 select3 insert update delete trans join join2 where where2 index trigger1
	malloc3 mallocK memsubsys1 mem5 vacuum savepoint wal pager1 fts3aa fts4aa fuzz2 rtree1 json101 window1
	with1 func expr types blob corrupt thread001 softheap1 shared temptable"
how="$(wc -w <<<"$files") files of its Tcl suite (out-of-memory and I/O faults among them), speedtest1"
least=5000
ran="testfixture speedtest1"

suite() {
	local f

	for f in $files; do
		path=$kept/sqlite3/test/$f.test
		[ -e "$path" ] || path=$kept/sqlite3/ext/rtree/$f.test
		[ -e "$path" ] || continue
		timeout 1800 "$kept/sqlite3/testfixture" "$path" --verbose=1 >out 2>&1
		echo "$f:exit-$? pass" >&3
		cat out
		tr -cd ' -~\n' <out | sed -nE \
			's/^([a-zA-Z0-9._()-]+)\.\.\. Ok$/\1 pass/p; s/^! ([a-zA-Z0-9._()-]+) expected.*/\1 fail/p' >&3
	done
	timeout 1800 "$kept/sqlite3/speedtest1" --size 10 --memdb --verify >out 2>&1
	echo "speedtest1:exit-$? pass" >&3
	# The times are taken away: what remains is the answers' checksums.
	sed -E 's/ +[0-9.]+s$//; s/[0-9.]+s total//; /TOTAL/d' out | tr ' ' _ | sed 's/$/ pass/' | grep -v '^ pass' >&3
	cat out
}

compare
