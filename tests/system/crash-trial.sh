#!/bin/sh
# SPDX-License-Identifier: MIT
#
# confirm, disable and the watchdog's trial-end, killed at every system call in turn:
# the disk has the old file or the new one; while confirm runs, every program that
# starts sees the new one, without a gap.
plan=9
. "$(dirname "$0")/lib.sh"
command -v strace > /dev/null || skip_all "needs strace"
strace -o /dev/null true 2> /dev/null || skip_all "strace is not permitted"
make_root
OLD=/usr/lib/other.so
NEW="$ENTRY
$OLD"
round=0
boot_id=$(cat /proc/sys/kernel/random/boot_id)
up=$(sed 's/\..*//' /proc/uptime)
mkdir -p "$R/run/arena-preload" "$R/var/lib/arena"

on_disk() {
	F=$F unshare -m --propagation private sh -c 'while umount "$F" 2>/dev/null; do :; done; cat "$F"'
}

# What enable leaves, without its self-tests.  Each trial has a deadline of its own, by
# which the watchdog of an earlier round knows that its trial is over.
begin() {
	while umount "$F" 2> /dev/null; do :; done
	rm -f "$F" "$F".arena-*
	echo "$OLD" > "$F"
	echo "$NEW" > "$R/run/arena-preload/ld.so.preload"
	round=$((round + 1))
	echo "$boot_id $((up + 3600 + round)) 0" > "$R/run/arena-preload/trial"
	echo "some day" > "$R/var/lib/arena/trial"
	"$ARENA_PRELOAD" --root="$R" trial-run &
	while ! grep -q " $F " /proc/self/mountinfo; do
		sleep 0.01
	done
}

# sweep COMMAND SEEN DISK: what a new program may see, and what the disk may have
sweep() {
	begin
	strace -o "$T/trace" "$ARENA_PRELOAD" --root="$R" "$1" > "$T/out" 2>&1
	is "$1 works" $? 0
	awk '/^[a-z_0-9]+\(/ { sub(/\(.*/, ""); print $1, ++count[$1] }' "$T/trace" > "$T/calls"
	killed=0
	wrong=0
	while read -r call nth; do
		begin
		kill_at "$call" "$nth" "$1"
		[ $? = 137 ] && killed=$((killed + 1))
		seen=$(cat "$F")
		disk=$(on_disk)
		case " $2 " in
		*" old "*) [ "$seen" = "$OLD" ] || [ "$seen" = "$NEW" ] ;;
		*) [ "$seen" = "$NEW" ] ;;
		esac && case " $3 " in
		*" new "*) [ "$disk" = "$OLD" ] || [ "$disk" = "$NEW" ] ;;
		*) [ "$disk" = "$OLD" ] ;;
		esac || { wrong=$((wrong + 1)); echo "# $call $nth: seen $seen, disk $disk" | tr '\n' ' '; echo; }
	done < "$T/calls"
	echo "# $1: killed at $killed of $(wc -l < "$T/calls") calls"
	[ $wrong = 0 ] && [ $killed -gt 20 ]
	ok "$1 killed at any call"
}

sweep confirm new "old new"
[ "$(cat "$F")" = "$NEW" ]
ok "confirm leaves the new file"
sweep disable "old new" old
[ "$(cat "$F")" = "$OLD" ]
ok "disable leaves the old file"
sweep trial-end "old new" old
[ "$(cat "$F")" = "$OLD" ]
ok "trial-end leaves the old file"
rm -f "$R/run/arena-preload/trial"
wait
finish
