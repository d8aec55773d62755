#!/bin/bash
# SPDX-License-Identifier: MIT
#
# lint.sh - mandoc has no complaint about any manual page, and each can be read at 80 columns.
. "$TOP_SRCDIR/tests/build/lib.sh"

if ! command -v mandoc >/dev/null; then
	skip "manual pages" "mandoc is not installed"
	done_testing
fi

is_clean() { mandoc -Tlint -W warning "$1"; }

# Lines that a terminal would wrap: examples, tables and synopses are not filled.  A line of a single
# word is a path, as long as whoever chose the installation's directories made it.
fits()
{
	mandoc -Tutf8 -O width=78 "$1" | col -bx >"$scratch/text" && [ -s "$scratch/text" ] &&
		! grep -nE '^.{81}' "$scratch/text" | grep -v '^[0-9]*: *[^ ]*$'
}

# Those that name the installation's directories are made by the build.
made=
[ "$TOP_BUILDDIR" -ef "$TOP_SRCDIR" ] || made=$(find "$TOP_BUILDDIR/man" -maxdepth 1 -name '*.[1-8]')
for page in "$TOP_SRCDIR"/man/*.[1-8] $made; do
	row "$(basename "$page"): no warning" is_clean "$page"
	row "$(basename "$page"): fits a terminal" fits "$page"
done
done_testing
