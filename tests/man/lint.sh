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

# Lines that a terminal would wrap: examples, tables and synopses are not filled.
fits()
{
	mandoc -Tutf8 -O width=78 "$1" | col -bx >"$scratch/text" && [ -s "$scratch/text" ] &&
		! grep -nE '^.{81}' "$scratch/text"
}

# Pages that name the installation's directories are read with the usual ones: others may be as long
# as distcheck's.
for page in "$TOP_SRCDIR"/man/*.[1-8] "$TOP_SRCDIR"/man/*.[1-8].in; do
	[ ! -e "$page.in" ] || continue
	name=$(basename "$page" .in)
	sed 's|@sbindir@|/usr/sbin|; s|@libexecdir@|/usr/libexec|' "$page" >"$scratch/$name"
	row "$name: no warning" is_clean "$scratch/$name"
	row "$name: fits a terminal" fits "$scratch/$name"
done
done_testing
