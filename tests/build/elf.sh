#!/bin/bash
# SPDX-License-Identifier: MIT
#
# elf.sh - the shape of the shared libraries: what they need, their TLS, their relocations.
. "$TOP_SRCDIR/tests/build/lib.sh"

# One pointer to the thread's heap, and one word beside it.  The loader's surplus under LD_AUDIT
# and dlopen is 1664 bytes for all libraries together.
MAX_TLS=16

# Each page that a relocation touches is a page fault and 4 KiB of private memory in every process:
# one page that becomes read-only, and one that we write to anyway (the heap of threads without one).
MAX_RELOCATED_PAGES=2

# Each relocation that names a symbol is a look-up through all libraries of the program, in every
# exec.  These are the names of undefined.allowed that are in use, and one for TLS.
MAX_LOOKUPS=20

file() { echo "$LIBDIR/$1.so.0"; }

needs_libc_only()
{
	local needed
	needed=$($READELF -d "$(file "$1")" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
	echo "NEEDED: $needed"
	# The loader itself is named on some machines (aarch64: __stack_chk_guard is in it).
	test "$(echo "$needed" | grep -v '^ld-linux')" = libc.so.6
}

tls_is_small()
{
	local size
	size=$(($($READELF -lW "$(file "$1")" | awk '$1 == "TLS" { print $6 }') + 0))
	echo "TLS: $size bytes"
	test "$size" -le $MAX_TLS
}

tls_is_static()
{
	! $READELF -rW "$(file "$1")" | grep -E 'DTPMOD|TLSDESC|DTPOFF'
}

# The relocations as "offset type symbol", a line each.
relocations()
{
	$READELF -rW "$(file "$1")" | awk '/^[0-9a-f]+ +[0-9a-f]+ +R_/ { print $1, $3, $5 }'
}

few_pages()
{
	local pages
	pages=$(relocations "$1" | sed 's/... .*//' | sort | uniq -c)
	echo "relocations in each page of 4 KiB:"
	echo "$pages"
	test "$(echo "$pages" | wc -l)" -le $MAX_RELOCATED_PAGES
}

few_lookups()
{
	local lookups
	lookups=$(relocations "$1" | grep -vc 'RELATIVE')
	echo "$lookups relocations name a symbol"
	test "$lookups" -le $MAX_LOOKUPS
}

has_flag()
{
	$READELF -dlW "$(file "$1")" >"$scratch/headers"
	grep -qE "$2" "$scratch/headers" || { cat "$scratch/headers"; false; }
}

lacks_flag()
{
	! has_flag "$@" >/dev/null
}

has_nodes()
{
	local nodes
	nodes=$($READELF -VW "$(file "$1")" | sed -n '/Version definition/,/^$/s/.*Name: //p' | xargs)
	echo "version nodes: $nodes"
	test "$nodes" = "$1.so.0 $2"
}

# ARN_LAST of compiler.h: what a process touches comes first, and lies on one or two OS pages.
tables_are_last()
{
	$NM -n "$(file "$1")" | awk '$2 ~ /^[bBdD]$/ {
			if ($3 ~ /^arn_(meta_boot|heap_table|heap_lost|live_rows)$/) tables++
			else if (tables) { print $3 " lies behind a table"; bad = 1 }
		} END { if (tables != 4) print tables + 0 " tables of 4"; exit bad || tables != 4 }'
}

# src/layout.ld: the kernel maps 64 KiB at the first touch of the file, and what every process runs lies there.
FIRST_MAPPED=65536

runs_first()
{
	local far
	far=$($NM "$(file "$1")" | awk -v most=$FIRST_MAPPED '
		function hex(s,   i, n) {
			for (i = 1; i <= length(s); i++)
				n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
			return n
		}
		$3 ~ /^(arn_(policy_read|fork_child|boot|(malloc|free|tcache_refill|thread_heap)_slow)|malloc|free)$/ ||
		$3 ~ /^arn_(starter_malloc|starter_free|pages_get|run_slot_get|run_new|heap_take|heap_new|realloc)$/ {
			found++
			if (hex($1) >= most)
				print $3, "0x" $1
		}
		END { if (found < 15) print found + 0, "functions found" }')
	echo "$far"
	test -z "$far"
}

# A function that got another name lies with the rest, and nobody would notice.
layout_is_fresh()
{
	local gone
	gone=$(grep -oE '\.text\.arn_[a-z_]+' "$TOP_SRCDIR/src/layout.ld" | sed 's/^\.text\.//' | LC_ALL=C sort -u |
		LC_ALL=C comm -23 - <($NM "$(file libarena-prefixed)" | awk '{ print $3 }' | LC_ALL=C sort -u))
	echo "no such function: $gone"
	test -z "$gone"
}

row "src/layout.ld names functions that exist" layout_is_fresh
for lib in $(libraries); do
	row "$lib: large tables lie behind the other variables" tables_are_last "$lib"
	if grep -q '^CORE_LDFLAGS.*/layout\.ld' "$TOP_BUILDDIR/Makefile"; then
		row "$lib: what every process runs lies in the first 64 KiB" runs_first "$lib"
	else
		skip "$lib: what every process runs lies in the first 64 KiB" "the linker takes no src/layout.ld"
	fi
	row "$lib: NEEDED is libc alone" needs_libc_only "$lib"
	row "$lib: soname" has_flag "$lib" "SONAME.*\[$lib\.so\.0\]"
	row "$lib: TLS of at most $MAX_TLS bytes" tls_is_small "$lib"
	row "$lib: TLS is initial-exec" tls_is_static "$lib"
	row "$lib: relocations in at most $MAX_RELOCATED_PAGES pages" few_pages "$lib"
	row "$lib: at most $MAX_LOOKUPS relocations by name" few_lookups "$lib"
	row "$lib: bound at start" has_flag "$lib" 'FLAGS.*(BIND_NOW|NOW)'
	row "$lib: never unloaded" has_flag "$lib" 'FLAGS.*NODELETE'
	row "$lib: read-only after relocation" has_flag "$lib" 'GNU_RELRO'
	row "$lib: calls stay inside" has_flag "$lib" 'SYMBOLIC'
	row "$lib: no text relocations" lacks_flag "$lib" 'TEXTREL'
	row "$lib: no executable stack" has_flag "$lib" 'GNU_STACK.* RW '
done
row "libarena-prefixed: one version node" has_nodes libarena-prefixed LIBARENA_PREFIXED_0.1
if [ "$OVERRIDE" = yes ]; then
	row "libarena: one version node" has_nodes libarena LIBARENA_0.1
fi
done_testing
