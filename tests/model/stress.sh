#!/bin/bash
# SPDX-License-Identifier: MIT
#
# stress.sh - builds the library with yields at its atomic operations, and runs stress.c on it.
#   [YIELD_SEED=N] tests/model/stress.sh [SECONDS]
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
CC=${MODEL_CC:-gcc}
if ! command -v "$CC" >/dev/null || "$CC" --version 2>/dev/null | grep -q clang; then
	echo "1..0 # SKIP needs gcc"
	exit 0
fi
flags=(-std=gnu11 -O1 -w -fno-builtin-malloc '-DPACKAGE_VERSION="0"' -DARN_DEBUG=1
	-I"$top/src" -I"$top/include" -I"$here")
objects=()
for f in $("$here/core-files"); do
	"$CC" "${flags[@]}" -include "$here/points.h" -c "$top/src/$f.c" -o "$dir/$f.o" &
	objects+=("$dir/$f.o")
	[ $((${#objects[@]} % 2)) -ne 0 ] || wait
done
wait
if ! "$CC" "${flags[@]}" -o "$dir/stress" "$here/stress.c" "$here/yield.c" "${objects[@]}" -lpthread; then
	echo "Bail out! the stress test does not build"
	exit 1
fi
"$dir/stress" "${1:-10}"
rc=$?
[ $rc = 0 ] || echo "not ok 1 - stress ended with $rc (seed ${YIELD_SEED-1})"
exit $rc
