#!/bin/bash
# SPDX-License-Identifier: MIT
#
# security.sh - SECURITY.md tells the truth.  Its table of crimes agrees with tests/death/crimes, whose
# rows death.sh proves; its table of attacks is tried here on libarena, with glibc's outcome as a
# note; its list of system calls is compared with a trace.
. "$TOP_SRCDIR/tests/build/lib.sh"

doc=$TOP_SRCDIR/SECURITY.md

# ---- crimes: | what | when | glibc | `program arguments`, ... |

agrees()
{
	local when=$1 call=$2 found
	found=$(awk -F'|' -v call="$call" '{ gsub(/^ +| +$/, "", $1); gsub(/^ +| +$/, "", $3) }
		$1 == call { print $3 }' "$TOP_SRCDIR/tests/death/crimes")
	echo "tests/death/crimes says \"$found\""
	case $when in
	'at once') test "$found" = now ;;
	'at flush') test "$found" = flush ;;
	never) test "$found" = never ;;
	*) false ;;
	esac
}

sed -n 's/^| \([^|]*\) | \([^|]*\) | [^|]* | \(`.*`\) |$/\2|\3/p' "$doc" >"$scratch/table"
row "the table of crimes has rows" test "$(wc -l <"$scratch/table")" -gt 10
while IFS='|' read -r when calls; do
	while read -r call; do
		row "$call: $when" agrees "$when" "$call"
	done < <(grep -oE '`[^`]+`' <<<"$calls" | tr -d '`')
done <"$scratch/table"

# ---- attacks: | `case` what | libarena | glibc |

ulimit -c 0
outcome()
{
	local text
	text=$(env "$@" 2>"$scratch/err")
	case $? in
	0) echo "$text" ;;
	134) echo aborted ;;
	139) echo crashed ;;
	*) echo "failed" ;;
	esac
}
attack()
{
	local found
	found=$(outcome LD_PRELOAD="$LIBDIR/libarena.so.0" "$scratch/attacks" "$1")
	echo "found $found, SECURITY.md says $2"
	cat "$scratch/err"
	test "$found" = "$2"
}

row "attacks.c compiles" $CC -O1 -w -o "$scratch/attacks" "$TOP_SRCDIR/tests/man/attacks.c"
sed -nE 's/^\| `([a-z_]+)` [^|]* \| ([a-z-]+) \| ([a-z-]+) \|.*$/\1 \2/p' "$doc" >"$scratch/attacks.table"
row "the table of attacks has rows" test "$(wc -l <"$scratch/attacks.table")" -gt 4
while read -r name expected; do
	row "$name: $expected" attack "$name" "$expected"
	echo "# glibc here: $(outcome "$scratch/attacks" "$name")"
done <"$scratch/attacks.table"

# ---- system calls: a list of - `name` lines

row "calls.c compiles" $CC -O1 -w -pthread -o "$scratch/calls" "$TOP_SRCDIR/tests/man/calls.c"
if strace -o /dev/null true 2>/dev/null; then
	sed -n 's/^- `\([a-z0-9_]*\)`.*/\1/p' "$doc" >"$scratch/listed"
	# What the program does without us is not ours.
	calls()
	{
		strace -f -o "$scratch/trace" -E "$1" "$scratch/calls" >/dev/null &&
			sed -n '/"begin/,/"end/p' "$scratch/trace" |
			sed -nE 's/^[0-9]+ +([a-z0-9_]+)\(.*/\1/p' | LC_ALL=C sort -u
	}
	none_unlisted()
	{
		calls LD_PRELOAD="$LIBDIR/libarena.so.0" >"$scratch/with" || return
		calls ARENA_NONE=1 >"$scratch/without" || return
		test -s "$scratch/with" || return
		LC_ALL=C comm -23 "$scratch/with" "$scratch/without" |
			grep -vxFf "$scratch/listed" && return 1
		return 0
	}
	row "no system call that SECURITY.md does not list" none_unlisted
else
	skip "no system call that SECURITY.md does not list" "strace does not work here"
fi
done_testing
