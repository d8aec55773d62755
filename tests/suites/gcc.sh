#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gcc.sh - the compiler and its tools build sqlite's amalgamation and the program of a Debian source,
# zstd, library included; a test's name carries the checksum of the object file, so every byte must be
# the same.  The zstd that was built then works.  Some three minutes of CPU for each of the two runs.

. "$(dirname "$0")/lib.sh"
packages gcc g++ libc6-dev make tcl
source_of libzstd
source_of sqlite3 "$(version_of libsqlite3-0)"
# Its one file is put together by tclsh; sqlite.sh, which shares the directory, builds the rest.
[ -e "$kept/sqlite3/sqlite3.c" ] ||
	(cd "$kept/sqlite3" && ./configure -q --disable-tcl && make sqlite3.c) >"$kept/$name.build.log" 2>&1 ||
	skip_all "the source of sqlite3 does not build here"
what="gcc $(gcc -dumpfullversion), as, ld, ar, make"
how="builds sqlite (one file of $(wc -l <"$kept/sqlite3/sqlite3.c") lines) with -O2 -g and the program zstd; each object file's checksum; what that zstd writes"
least=50
ran="cc1 as ld make zstd"

suite() {
	cp -r "$kept/libzstd" zstd
	cp "$kept/sqlite3/sqlite3.c" .
	# The same directory name in both runs, for -g names it.
	timeout 600 gcc -O2 -g -c sqlite3.c -o sqlite3.o && sum sqlite3.o
	timeout 600 make -C zstd/programs -j2 zstd
	echo "zstd-programs:exit-$? pass" >&3
	for f in $(find zstd -name '*.o' | sort); do
		sum "$f"
	done
	z=zstd/programs/zstd
	for level in 1 3 9; do
		$z -q -$level -T2 -k -f -o c.zst sqlite3.c && sum c.zst && $z -q -d -f -o d c.zst && cmp d sqlite3.c &&
			echo "zstd-$level-round-trip pass" >&3
	done
	$z -q --train -r zstd/lib/compress/*.c zstd/lib/*/*.h -o dict -f && sum dict
	$z -q -b1 -i1 sqlite3.c && echo "zstd-benchmark pass" >&3
}

sum() {
	# The directory's name is a hash of make's environment.
	echo "$(sed 's/conf_[0-9a-f]*/conf/' <<<"$1"):$(md5sum <"$1" | cut -c1-32) pass" >&3
}

compare
