#!/bin/bash
# SPDX-License-Identifier: MIT
#
# functions.sh - every function of amalloc.h has a manual page, by its own name or by a link, and
# the page shows the prototype that the header declares.
. "$TOP_SRCDIR/tests/build/lib.sh"

# The page that NAME.3 leads to, as man(1) would find it once installed.
page_of()
{
	local page=$TOP_SRCDIR/man/$1.3 link=$TOP_BUILDDIR/man/links/$1.3
	if [ ! -e "$page" ] && [ -e "$link" ]; then
		page=$TOP_SRCDIR/man/$(sed -n 's,^\.so man3/,,p' "$link")
	fi
	[ -f "$page" ] && echo "$page"
}

# RETURN-TYPE NAME(PARAMETERS), one a line, without attributes and spaces that mean nothing.
squeeze() { sed -E 's/ *([*(),;]) */\1/g; s/^ +| +$//g; s/ +/ /g'; }

printf '#include <arena/amalloc.h>\n' |
	$CC -E -P -D'__attribute__(x)=' -I"$TOP_SRCDIR/include" -xc - | tr -s '\n\t ' ' ' |
	sed 's/;/;\n/g' | squeeze | tr -d ';' >"$scratch/declared"

# From .Ft and .Fn of the SYNOPSIS.
prototypes()
{
	awk '/^\.Sh/ { inside = $2 == "SYNOPSIS" }
		inside && $1 == ".Ft" { sub(/^\.Ft /, ""); type = $0 }
		inside && $1 == ".Fn" {
			sub(/^\.Fn /, "")
			name = $1
			sub(/^[^ ]+ /, "")
			gsub(/" "/, ",")
			gsub(/"/, "")
			print type " " name "(" $0 ")"
		}' "$1" | squeeze
}

is_described()
{
	local page prototype
	page=$(page_of "$1") || { echo "no page"; return 1; }
	grep -qE "^\.Nm $1( ,)?$" "$page" || { echo "$page: not in NAME"; return 1; }
	prototype=$(prototypes "$page" | grep -E "[ *]$1\(") || { echo "not in SYNOPSIS"; return 1; }
	echo "the page says $prototype"
	grep -qxF "$prototype" "$scratch/declared"
}

header_functions >"$scratch/names"
while read -r name; do
	row "$name" is_described "$name"
done <"$scratch/names"

only_known()
{
	for page in "$TOP_SRCDIR"/man/*.3; do
		prototypes "$page"
	done | sed -E 's/\(.*//; s/.*[ *]//' >"$scratch/described"
	same "$scratch/names" "$scratch/described"
}
row "no page describes what does not exist" only_known
done_testing
