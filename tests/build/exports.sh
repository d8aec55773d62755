#!/bin/bash
# SPDX-License-Identifier: MIT
#
# exports.sh - what the libraries export is exactly the golden list, versions included.
# The static archives define the same names, and besides them only arn_ ones.
. "$TOP_SRCDIR/tests/build/lib.sh"

for lib in $(libraries); do
	golden "$lib.symbols" >"$scratch/$lib.golden"
	$NM -D --defined-only --with-symbol-versions "$LIBDIR/$lib.so.0" |
		awk '$2 != "A" { print $3 }' >"$scratch/$lib.so"
	row "$lib.so exports the golden list" same "$scratch/$lib.golden" "$scratch/$lib.so"

	# dlopen is interposed where there is a loader (src/deepbind.c), not in static programs.
	sed 's/@.*//; /^dlopen$/d' "$scratch/$lib.golden" >"$scratch/$lib.names"
	$NM -g --defined-only "$LIBDIR/$lib.a" | awk 'NF == 3 { print $3 }' |
		grep -v '^arn_' >"$scratch/$lib.ar"
	row "$lib.a defines the golden list and arn_ names" \
		same "$scratch/$lib.names" "$scratch/$lib.ar"
done

# A versioned malloc never satisfies malloc@GLIBC_2.2.5: the preload would serve nothing.
if [ "$OVERRIDE" = yes ]; then
	row "no name of libc's carries a version" \
		test -z "$(sed -n 's/@@LIBARENA.*//p' "$scratch/libarena.so" | grep -v '^a')"
else
	skip "no name of libc's carries a version" "configured with --disable-override"
fi

# One object holds the whole family, or a static link that needs two of them breaks.
family_is_one_object()
{
	local objects
	objects=$($NM -A -g --defined-only "$LIBDIR/libarena.a" |
		awk '$NF ~ /^(malloc|free|calloc|realloc|memalign|mallinfo2|malloc_trim|cfree)$/ \
			{ sub(/:[^:]*$/, "", $1); print $1 }' | sort -u)
	echo "$objects"
	test "$(echo "$objects" | wc -l)" -eq 1
}
if [ "$OVERRIDE" = yes ]; then
	row "libarena.a holds the malloc family in one object" family_is_one_object
fi
done_testing
