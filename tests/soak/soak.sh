#!/bin/bash
# SPDX-License-Identifier: MIT
#
# soak.sh - runs soak.c under the library, in its three modes, or in those that are named.
#   LIB=/path/lib.so [SOAK_CALLS=N] tests/soak/soak.sh [MODE...]     LIB empty: libc's malloc
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
LIB=${LIB-${LIBDIR+$LIBDIR/libarena.so.0}}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
${CC:-gcc} -O2 -std=gnu11 -I"$top/include" -o "$dir/soak" "$here/soak.c" -ldl -lpthread || exit 1
bad=0
for mode in ${*:-mixed churn fork}; do
	echo "# $mode, ${LIB:-libc}"
	LD_PRELOAD=$LIB "$dir/soak" "$mode" || bad=1
done
exit $bad
