#!/bin/bash
# SPDX-License-Identifier: MIT
#
# header.sh - amalloc.h, the two version maps and the manual name the same functions, and the
# header is clean C and C++.
. "$TOP_SRCDIR/tests/build/lib.sh"

header_functions >"$scratch/header"
row "the header declares functions" test "$(wc -l <"$scratch/header")" -ge 25

for map in arena prefixed; do
	sed -n 's/^\t\([a-z0-9_]*\);$/\1/p' "$TOP_SRCDIR/src/$map.map" >"$scratch/$map"
	row "$map.map holds the header's functions" same "$scratch/header" "$scratch/$map"
done

echo '#include <arena/amalloc.h>' >"$scratch/use.c"
cp "$scratch/use.c" "$scratch/use.cc"
for std in c99 c11 gnu17; do
	row "amalloc.h is clean in $std" $CC -std=$std -Wall -Wextra -Wpedantic -Wundef -Werror \
		-I"$TOP_SRCDIR/include" -fsyntax-only "$scratch/use.c"
done
for std in c++11 c++17 c++20; do
	row "amalloc.h is clean in $std" $CXX -std=$std -Wall -Wextra -Wpedantic -Wundef -Werror \
		-I"$TOP_SRCDIR/include" -fsyntax-only "$scratch/use.cc"
done
done_testing
