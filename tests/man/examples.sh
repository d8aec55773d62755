#!/bin/bash
# SPDX-License-Identifier: MIT
#
# examples.sh - every example of the manual pages compiles without a warning and runs, linked with
# the prefixed library.  An example is what stands between .Bd -literal and .Ed in EXAMPLES.
. "$TOP_SRCDIR/tests/build/lib.sh"

# extract PAGE: examples into $scratch/NAME-1.c, NAME-2.c ...
extract()
{
	awk -v out="$scratch/$(basename "$1" .3)" '
		/^\.Sh/ { inside = $2 == "EXAMPLES" }
		inside && /^\.Bd -literal/ { file = out "-" ++n ".c"; next }
		inside && /^\.Ed/ { file = "" }
		file != "" { gsub(/\\e/, "\\"); gsub(/\\-/, "-"); gsub(/\\&/, ""); print >file }' "$1"
}

compile()
{
	$CC -std=c11 -Wall -Wextra -Werror -O2 -I"$TOP_SRCDIR/include" "$1" -o "${1%.c}" \
		-L"$LIBDIR" -larena-prefixed -Wl,-rpath,"$LIBDIR"
}

is_libarena() { ldd "$1" | grep -F libarena-prefixed.so.0; }
has_one() { ls "$scratch/$1"-*.c; }

for page in "$TOP_SRCDIR"/man/*.3; do
	name=$(basename "$page" .3)
	extract "$page"
	row "$name has an example" has_one "$name"
	for example in "$scratch/$name"-*.c; do
		[ -e "$example" ] || continue
		row "$(basename "$example"): compiles" compile "$example"
		row "$(basename "$example"): is linked with libarena" is_libarena "${example%.c}"
		row "$(basename "$example"): runs" timeout 20 "${example%.c}"
	done
done
done_testing
