#!/bin/bash
# SPDX-License-Identifier: MIT
#
# walks.sh - the walk-throughs of src/README.md name functions that are where they say.
. "$TOP_SRCDIR/tests/build/lib.sh"

# A step names a place as `file.c:function`.
grep -oE '`[a-z_0-9]+\.[ch]:[a-z_0-9]+`' "$TOP_SRCDIR/src/README.md" | tr -d '`' |
	LC_ALL=C sort -u >"$scratch/places"

# A definition: the name and its parameters, at the left margin, and no semicolon after it.
is_there()
{
	grep -E "^[a-zA-Z_].*\<${1#*:}\(.*[^;]$" "$TOP_SRCDIR/src/${1%:*}"
}

row "there are walk-throughs" test "$(wc -l <"$scratch/places")" -gt 30
while read -r place; do
	row "$place" is_there "$place"
done <"$scratch/places"
done_testing
