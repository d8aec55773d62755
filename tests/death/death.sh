#!/bin/bash
# SPDX-License-Identifier: MIT
#
# death.sh - every crime of the table `crimes` is named and ends the process, in two forms: plain
# programs under LD_PRELOAD, and programs linked with the prefixed library.  A row holds when the
# program dies by SIGABRT with exactly one line on stderr that names the crime and the address, no
# later than the table says.
#
# ARENA_BUILD	the build directory, which has .libs/ (default: $TOP_BUILDDIR, or the current one)
# ARENA_DEATH	where the programs are (default: $ARENA_BUILD/tests/death): NAME, NAME-prefixed
# ARENA_FORMS	which forms to run (default: "preload prefixed")
# Usage: death.sh [PATTERN]	only rows that contain PATTERN

here=$(dirname "$0")
build=${ARENA_BUILD:-${TOP_BUILDDIR:-.}}
programs=${ARENA_DEATH:-$build/tests/death}
forms=${ARENA_FORMS:-preload prefixed}
[ "$OVERRIDE" != no ] || forms=prefixed
pattern=$1
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
ulimit -c 0
row=0
failed=0

# run FORM PROGRAM ARGS...: leaves stdout, stderr and the status in the scratch directory.
run() {
	form=$1 program=$2
	shift 2
	# 20 s: hundred times what the slowest takes; a hang is a failed row, not a hung suite.
	if [ "$form" = preload ]; then
		timeout 20 env LD_PRELOAD="${ARENA_LIB:-$build/.libs/libarena.so.0}" \
			"$programs/$program" "$@" >"$scratch/out" 2>"$scratch/err"
	else
		timeout 20 env LD_LIBRARY_PATH="$build/.libs" \
			"$programs/$program-prefixed" "$@" >"$scratch/out" 2>"$scratch/err"
	fi
	status=$?
}

# The reason why the row does not hold, or nothing.
judge() {
	crime=$1 when=$2
	address=$(sed -n 's/^crime //p' "$scratch/out")
	lines=$(wc -l <"$scratch/err")
	names=$(printf '%s' "$crime" | sed 's,/,|,g')

	case $status in
	76) echo "the program is called wrongly"; return ;;
	124) echo "it hangs"; return ;;
	esac
	if [ "$when" = never ]; then
		[ $status -eq 0 ] || echo "the table says never, but it ended with status $status"
		return
	fi
	if [ $status -eq 0 ]; then
		echo "nobody noticed"
	elif [ $status -ne 134 ]; then	# 128 + SIGABRT
		echo "ended with status $status, not by SIGABRT"
	elif [ -z "$address" ]; then
		echo "died before the crime"
	elif [ "$lines" -ne 1 ]; then
		echo "$lines lines on stderr, not one"
	elif ! grep -Eq "^libarena: ($names)\b.*\b$address\b" "$scratch/err"; then
		echo "the message names not ($names) and $address"
	elif [ "$when" = now ] && grep -q '^survived' "$scratch/out"; then
		echo "caught too late: the call had returned"
	fi
}

report() {
	row=$((row + 1))
	if [ -z "$1" ]; then
		echo "ok $row - $2"
	else
		echo "not ok $row - $2"
		echo "# $1"
		sed -n '1,3s/^/# stderr: /p' "$scratch/err"
		failed=$((failed + 1))
	fi
}

for form in $forms; do
	run "$form" innocent
	if [ $status -eq 77 ]; then
		report "libarena does not serve in this form" "$form: innocent"
		continue
	fi
	reason=
	[ $status -eq 0 ] && [ ! -s "$scratch/err" ] || reason="an innocent program was accused"
	report "$reason" "$form: innocent"

	while IFS='|' read -r call crime when; do
		case $call in '' | \#*) continue ;; esac
		# Unquoted on purpose: splits arguments, drops the table's padding.
		call=$(echo $call) crime=$(echo $crime) when=$(echo $when)
		case $call in *"$pattern"*) ;; *) continue ;; esac
		run "$form" $call </dev/null
		report "$(judge "$crime" "$when")" "$form: $call: $crime, $when"
		if [ "$when" = flush ] && [ $status -eq 134 ] &&
		   ! grep -q '^survived' "$scratch/out"; then
			echo "# earlier than the table says: now"
		fi
	done <"$here/crimes"
done 2>"$scratch/shell"	# the shell's own "Aborted" lines
echo "1..$row"
[ $failed -eq 0 ]
