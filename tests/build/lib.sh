# SPDX-License-Identifier: MIT
#
# lib.sh - sourced by the scripts here: TAP rows, and a scratch directory that goes away.
# The variables in capitals come from `make check` (AM_TESTS_ENVIRONMENT in tests/local.mk).

set -u
rows=0
failures=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# row NAME COMMAND...: one row; what the command says is shown when it fails.
row()
{
	local name=$1
	shift
	rows=$((rows + 1))
	if "$@" >"$scratch/row.out" 2>&1; then
		echo "ok $rows - $name"
	else
		echo "not ok $rows - $name"
		sed 's/^/# /' "$scratch/row.out"
		failures=$((failures + 1))
	fi
}

skip()
{
	rows=$((rows + 1))
	echo "ok $rows - $1 # SKIP $2"
}

done_testing()
{
	echo "1..$rows"
	exit $((failures > 0))
}

# same EXPECTED-FILE FILE: both hold the same lines, whatever their order.
same()
{
	diff -u --label expected <(LC_ALL=C sort "$1") --label found <(LC_ALL=C sort "$2")
}

# The libraries that this build makes, by base name.
libraries()
{
	[ "$OVERRIDE" = no ] || echo libarena
	echo libarena-prefixed
}

is_32_bit()
{
	$READELF -h "$LIBDIR/libarena-prefixed.so.0" | grep -q 'Class:.*ELF32'
}

# A golden list without its comments; size_t is `m` in 64-bit mangled names and `j` in 32-bit.
golden()
{
	sed -e 's/[[:space:]]*#.*//' -e '/^$/d' "$TOP_SRCDIR/tests/build/$1" |
	if is_32_bit; then
		sed -E -e '/^_Zn[wa]m/s/m/j/' -e '/^_Zd[la]Pvm/s/Pvm/Pvj/'
	else
		cat
	fi
}

# The functions that amalloc.h declares, as the preprocessor sees them.
header_functions()
{
	printf '#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n' >"$scratch/std.c"
	cp "$scratch/std.c" "$scratch/api.c"
	echo '#include <arena/amalloc.h>' >>"$scratch/api.c"
	for f in std api; do
		$CC -E -P -I"$TOP_SRCDIR/include" "$scratch/$f.c" | tr '\n;' ' \n' |
		grep -oE '\<a[a-z0-9_]+ ?\(' | tr -d ' (' |
		grep -vE '^(alloc_size|alloc_align)$' | LC_ALL=C sort -u >"$scratch/$f.names"
	done
	LC_ALL=C comm -13 "$scratch/std.names" "$scratch/api.names"
}
