#!/bin/bash
# SPDX-License-Identifier: MIT
#
# undefined.sh - what the libraries want from others is on a short list, and no symbol is newer
# than Debian 12's glibc.  The core makes raw system calls, so the list is meant to stay short.
. "$TOP_SRCDIR/tests/build/lib.sh"

NEWEST=2.36 # Debian 12's glibc

only_allowed()
{
	local extra
	extra=$($NM -D --undefined-only --without-symbol-versions "$LIBDIR/$1.so.0" |
		awk '{ print $NF }' | LC_ALL=C sort -u |
		LC_ALL=C comm -23 - <(golden undefined.allowed | awk '{ print $1 }' |
			LC_ALL=C sort -u))
	echo "not on the list: $extra"
	test -z "$extra"
}

not_too_new()
{
	local newest
	newest=$($NM -D --undefined-only --with-symbol-versions "$LIBDIR/$1.so.0" |
		sed -n 's/.*@GLIBC_//p' | sort -uV | tail -n 1)
	echo "wants GLIBC_$newest"
	test "$(printf '%s\n' "$newest" $NEWEST | sort -V | tail -n 1)" = $NEWEST
}

for lib in $(libraries); do
	row "$lib.so: undefined symbols are on the list" only_allowed "$lib"
	row "$lib.so: none is newer than glibc $NEWEST" not_too_new "$lib"
done
done_testing
