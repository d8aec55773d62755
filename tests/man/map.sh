#!/bin/bash
# SPDX-License-Identifier: MIT
#
# map.sh - the tests that doc/testing.md names in "Which test holds what" are there.
. "$TOP_SRCDIR/tests/build/lib.sh"

# A test is a file from the top, probe:ROW, unit/PROGRAM:TEST, model:SCENARIO or glibc:TEST.
sed -n '/^## Which test/,$p' "$TOP_SRCDIR/doc/testing.md" | grep '^|' |
	grep -oE '`[a-zA-Z0-9_/.:-]+`' | tr -d '`' | LC_ALL=C sort -u >"$scratch/tests"

is_there()
{
	local test=${1#*:}

	case $1 in
	probe:fail-*) grep -q 'row fail-\$c-once' "$TOP_SRCDIR/tests/compat/probes" ;;
	probe:*) grep -q "^row $test [qs] " "$TOP_SRCDIR/tests/compat/probes" ;;
	unit/*:*) grep -q "^START_TEST($test)" "$TOP_SRCDIR/tests/${1%%:*}.c" ;;
	model:*) grep -q "{\"$test\"," "$TOP_SRCDIR/tests/model/scenarios.c" ;;
	# glibc's sources are not here; an excluded test holds nothing.
	glibc:tst-*) ! grep -q "^$test|.*" <(sed -n "/^excluded='/,/^'/p" "$TOP_SRCDIR/tests/compat/glibc-malloc") ;;
	*/*) test -e "$TOP_SRCDIR/$1" ;;
	*) false ;;
	esac
}

row "there is a map" test "$(wc -l <"$scratch/tests")" -gt 60
while read -r test; do
	row "$test" is_there "$test"
done <"$scratch/tests"
done_testing
