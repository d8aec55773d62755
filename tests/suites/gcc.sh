#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gcc.sh - the compiler and its tools build sqlite's amalgamation and a whole Debian source, zstd;
# a test's name carries the checksum of the object file, so every byte must be the same.  zstd's own
# quick tests then run with the programs built here.

. "$(dirname "$0")/lib.sh"
packages gcc g++ libc6-dev make
source_of libzstd
source_of sqlite3 "$(version_of libsqlite3-0)"
built sqlite3 "./configure -q CFLAGS=-O0 && make -j2 testfixture sqlite3 && \
	gcc -O1 -o speedtest1 test/speedtest1.c sqlite3.c -I. -lpthread -ldl -lm"
what="gcc $(gcc -dumpfullversion), as, ld, ar, make"
how="builds sqlite (one file of $(wc -l <"$kept/sqlite3/sqlite3.c") lines) with -O2 -g and zstd; each object file's checksum; zstd tests itself"
least=80
ran="cc1 as ld make zstd"

suite() {
	cp -r "$kept/libzstd" zstd
	cp "$kept/sqlite3/sqlite3.c" .
	# The same directory name in both runs, for -g names it.
	timeout 3000 gcc -O2 -g -c sqlite3.c -o sqlite3.o && sum sqlite3.o
	timeout 3000 make -C zstd/lib -j2 V=1 lib-release
	echo "zstd-lib:exit-$? pass" >&3
	timeout 3000 make -C zstd/programs -j2 zstd
	echo "zstd-programs:exit-$? pass" >&3
	for f in $(find zstd -name '*.o' | sort); do
		sum "$f"
	done
	z=zstd/programs/zstd
	for level in 1 3 9 19; do
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
