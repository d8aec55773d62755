#!/bin/bash
# SPDX-License-Identifier: MIT
#
# options.sh - the option table of libarena(7) is that of src/options.def: names, defaults, bounds,
# texts, and their order.
. "$TOP_SRCDIR/tests/build/lib.sh"

cat >"$scratch/print.c" <<'C'
#include <stdio.h>

int main(void)
{
#define OPTION(name, value, lowest, highest, what) \
	printf("%s %ld %ld %ld %s\n", #name, (long)(value), (long)(lowest), (long)(highest), what);
#include "options.def"
	return 0;
}
C

# .It Cm NAME Pq DEFAULT; LOWEST to HIGHEST, then the text with a full stop.
table()
{
	awk '/^\.Sh/ { inside = $2 == "OPTIONS" }
		inside && $1 == ".It" { sub(/;/, "", $5); name = $3 " " $5 " " $6 " " $8; text = ""; next }
		inside && $1 == ".El" { exit }
		inside && name != "" && !/^\./ {
			text = text (text == "" ? "" : " ") $0
			if (sub(/\.$/, "", text)) { print name " " text; name = "" }
		}' "$TOP_SRCDIR/man/libarena.7"
}

row "options.def compiles" \
	$CC -I"$TOP_SRCDIR/src" -o "$scratch/print" "$scratch/print.c"
"$scratch/print" >"$scratch/rows" || : >"$scratch/rows"
table >"$scratch/table"
row "options.def has rows" test -s "$scratch/rows"
row "libarena(7) has the same" diff -u "$scratch/rows" "$scratch/table"
done_testing
