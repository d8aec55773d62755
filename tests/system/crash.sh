#!/bin/sh
# SPDX-License-Identifier: MIT
#
# arena-preload killed at every system call in turn leaves ld.so.preload as it was or
# as it was to be, never anything else; and the order write, fsync, rename, fsync of
# the directory, read from a trace.
#
# The self-tests of enable take most of the time and their calls cannot touch the
# file: of those before the first write and after the last only one in 150 is tried
# (ALL=1: every one).
plan=14
. "$(dirname "$0")/lib.sh"
command -v strace > /dev/null || skip_all "needs strace"
strace -o /dev/null true 2> /dev/null || skip_all "strace is not permitted"
make_root
rm "$R/usr/bin/sh" "$R/usr/bin/ls" "$R/usr/bin/mount"	# shorter self-tests
cp "$PRELOAD_CHECK_MODULE" "$R/usr/lib/other.so"
OLD='# mine
/usr/lib/other.so'
NEW="# mine
$ENTRY
/usr/lib/other.so"
STRIDE=150
[ "$ALL" = 1 ] && STRIDE=1

tool() {
	"$ARENA_PRELOAD" --root="$R" "$@"
}

state() {
	if [ -e "$F" ]; then stat -c '%a %u' "$F"; cat "$F"; else echo absent; fi
}

# file TEXT: start from here; "absent" for none
file() {
	rm -f "$F" "$F".arena-*
	[ "$1" = absent ] || printf '%s\n' "$1" > "$F"
}

# sweep NAME BEFORE COMMAND...: kill it at call 1, 2, 3, ... until it lives
sweep() {
	name=$1
	from=$2
	shift 2
	file "$from"
	old=$(state)
	strace -o "$T/trace" "$ARENA_PRELOAD" --root="$R" "$@" > "$T/out" 2>&1
	is "$name works" $? 0
	new=$(state)
	[ "$old" != "$new" ]
	ok "$name changes the file"
	# one line a call: its name, which of that name it is, and whether it is in the
	# part that writes (strace counts each name by itself)
	awk '/^[a-z_0-9]+\(/ {
		sub(/\(.*/, "", $1); name[++n] = $1; nth[n] = ++count[$1]
		if (!first && /arena-new/) first = n
		if (/^(rename|unlink)/ && /ld.so.preload/) last = n
	} END {
		for (i = 1; i <= n; i++)
			if ((i >= first - 1 && i <= last + 6) || i % stride == 0)
				print name[i], nth[i]
	}' stride="$STRIDE" "$T/trace" > "$T/calls"
	total=$(grep -c '^[a-z_0-9]*(' "$T/trace")
	killed=0
	saw_old=0
	saw_new=0
	wrong=0
	while read -r call nth; do
		file "$from"
		kill_at "$call" "$nth" "$@"
		[ $? = 137 ] && killed=$((killed + 1))
		now=$(state)
		case $now in
		"$old") saw_old=$((saw_old + 1)) ;;
		"$new") saw_new=$((saw_new + 1)) ;;
		*) wrong=$((wrong + 1)); echo "# $call $nth: $now" | head -5 ;;
		esac
	done < "$T/calls"
	tried=$(wc -l < "$T/calls")
	echo "# $name: $total calls, tried $tried, killed at $killed, old file $saw_old times, new $saw_new"
	[ $wrong = 0 ] && [ $((killed * 10)) -gt $((tried * 9)) ] && [ $saw_old -gt 0 ] && [ $saw_new -gt 0 ]
	ok "$name killed at any call leaves the old or the new file"
}

sweep enable "$OLD" enable
sweep "enable from nothing" absent enable
STRIDE=1
sweep disable "$NEW" disable
sweep "disable to nothing" "$ENTRY" disable

# The calls on the file and its directory, as letters
order() {
	strace -y -e trace=openat,write,fchmod,fsync,rename,unlink,close -o "$T/trace" \
		"$ARENA_PRELOAD" --root="$R" "$@" > "$T/out" 2>&1
	sed -n -e 's/^openat.*ld.so.preload.arena-new".*O_CREAT.*O_EXCL.*/create/p' \
		-e 's/^write([0-9]*<[^>]*preload.arena-new>.*/write/p' \
		-e 's/^fchmod([0-9]*<[^>]*preload.arena-new>, 0644.*/chmod/p' \
		-e 's/^fsync([0-9]*<[^>]*preload.arena-new>.*/fsync/p' \
		-e 's/^rename(".*ld.so.preload.arena-new", ".*\/ld.so.preload").*/rename/p' \
		-e 's/^unlink(".*\/etc\/ld.so.preload").*/unlink/p' \
		-e 's/^fsync([0-9]*<[^>]*\/etc>.*/fsync-dir/p' "$T/trace" | tr '\n' ' '
}
file "$NEW"
got=$(order disable)
# one fsync-dir before: the backup
is "order of disable" "${got#fsync-dir }" "create write chmod fsync rename fsync-dir "
file "$ENTRY"
got=$(order disable)
is "order where nothing is left" "${got#fsync-dir }" "unlink fsync-dir "
finish
