# SPDX-License-Identifier: MIT
#
# lib.sh - what the tests of real programs share: TAP rows, a scratch directory, and running a
# command under libarena with a witness (../lib/witness.c) that proves ours served it.
#
# ARENA_BUILD	the build directory, which has .libs/libarena.so.0 (default: $TOP_BUILDDIR, or .)
# ARENA_LIB	another library to run under, to see these tests fail
# CC		compiles the witness

here=$(cd "$(dirname "$0")" && pwd)
build=${ARENA_BUILD:-${TOP_BUILDDIR:-.}}
library=${ARENA_LIB:-$build/.libs/libarena.so.0}
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
ulimit -c 0
rows=0
failures=0

# row STATUS NAME: one row, ok when STATUS is 0.
row() {
	rows=$((rows + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $rows - $2"
	else
		echo "not ok $rows - $2"
		failures=$((failures + 1))
		[ ! -s "$scratch/err" ] || sed -n '1,8s/^/# stderr: /p' "$scratch/err"
	fi
}

done_testing() {
	echo "1..$rows"
	[ $failures -eq 0 ]
	exit
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# need PROGRAM...: the whole test is skipped, aloud, when one is missing.
need() {
	for program in "$@"; do
		command -v "$program" >/dev/null || skip_all "$program is not installed"
	done
}

[ "$OVERRIDE" != no ] || skip_all "built with --disable-override"
[ -e "$library" ] || { echo "Bail out! $library is not there"; exit 99; }
library=$(realpath "$library")
# What the witness says of a process that was served.  Ours has a counter, which saw the block: where
# malloc lies by dladdr says less, for a program without PIE gives the address of its own PLT.
case $library in */libarena*) testimony=" counted$";; *) testimony=" $library not-counted$";; esac
${CC:-cc} -O1 -shared -fPIC -I"$here/../../include" -o "$scratch/witness.so" \
	"$here/../lib/witness.c" || { echo "Bail out! the witness does not compile"; exit 99; }

# ours COMMAND...: under libarena; 100 s: five times what the slowest takes.
ours() {
	timeout 100 env ARENA_WITNESS="$scratch/witness.log" \
		LD_PRELOAD="$library $scratch/witness.so" "$@"
}

# proved PROGRAM...: a row for each: it ran since the last call, and every process that started got
# malloc from libarena, which counted its block, and accused nobody in $scratch/err.
proved() {
	for program in "$@"; do
		# With its prefixes and suffixes: python3.11, x86_64-linux-gnu-ld.bfd.
		count=$(grep -Ec "^([^ ]*-)?$program[^ ]* " "$scratch/witness.log")
		[ "$count" -gt 0 ]
		row $? "$program ran under libarena ($count processes)"
	done
	! grep -v "$testimony" "$scratch/witness.log" | sed 's/^/# /' | grep .
	row $? "$(basename "$library" | sed 's/\.so.*//') served each of $(wc -l <"$scratch/witness.log") processes"
	! grep -s '^libarena: ' "$scratch/err"
	row $? "and accused none"
	rm -f "$scratch/witness.log"
}
