#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The trial, the watchdog, the boot guard and the rescue mode of arena-preload.
plan=51
. "$(dirname "$0")/lib.sh"
make_root
cp "$PRELOAD_CHECK_MODULE" "$R/usr/lib/other.so"
OLD=/usr/lib/other.so
BOTH="$ENTRY
$OLD"

mounted() {
	grep -q " $F " /proc/self/mountinfo
}

# what a reboot would find
on_disk() {
	F=$F unshare -m --propagation private sh -c 'umount "$F" 2>/dev/null; cat "$F" 2>/dev/null'
}

trial() {
	in_root arena-preload enable "$@" > "$T/out" 2>&1 || { sed 's/^/# /' "$T/out"; return 1; }
}

# runs COUNT: how many runners are there, within 3 s
runners() {
	for i in 1 2 3 4 5 6; do
		got=0
		for p in /proc/[0-9]*; do
			[ "$(stat -Lc %d:%i "$p/root" 2>/dev/null)" = "$(stat -Lc %d:%i "$R")" ] && got=$((got + 1))
		done
		[ $got = "$1" ] && break
		sleep 0.5
	done
	[ $got = "$1" ]
}

echo "$OLD" > "$F"
trial
ok "enable: on trial"
is "programs see the new file" "$(cat "$F")" "$BOTH"
is "the disk has the old one" "$(on_disk)" "$OLD"
mounted
ok "it is a mount"
in_root arena-preload status > "$T/out"
is "status is 0" $? 0
grep -q 'on trial, ends in' "$T/out"
ok "and tells of the trial"
runners 1
ok "a watchdog runs"
in_root arena-preload enable > "$T/out" 2>&1
is "no second trial" $? 1
in_root arena-preload confirm > "$T/out" 2>&1
is "confirm" $? 0
is "the disk has the new file" "$(on_disk)" "$BOTH"
! mounted
ok "nothing is mounted any more"
is "backup has the old text" "$(cat "$F.arena-old")" "$OLD"
runners 0
ok "the watchdog is gone"
[ ! -e "$R/var/lib/arena/trial" ]
ok "no record is left"
in_root arena-preload confirm > "$T/out" 2>&1
is "nothing to confirm twice" $? 1
in_root arena-preload disable > "$T/out" 2>&1
is "disable" "$(cat "$F")" "$OLD"

trial --timeout=2s
ok "a trial of 2 s"
runners 0
ok "the watchdog ends it"
! mounted && [ "$(cat "$F")" = "$OLD" ]
ok "and everything is as before"
in_root arena-preload confirm > "$T/out" 2>&1
is "too late to confirm" $? 1
grep -q 'is over' "$T/out"
ok "and confirm says why"
in_root arena-preload status > "$T/out"
grep -q 'was not confirmed' "$T/out"
ok "status remembers"

trial
in_root arena-preload disable > "$T/out" 2>&1
is "disable ends a trial" "$(cat "$F")" "$OLD"
! mounted && runners 0
ok "without remains"

# a killed watchdog: the unit's ExecStopPost
trial
for p in /proc/[0-9]*; do
	[ "$(stat -Lc %d:%i "$p/root" 2>/dev/null)" = "$(stat -Lc %d:%i "$R")" ] && kill -9 "${p#/proc/}"
done
mounted
ok "a killed watchdog leaves the mount"
in_root arena-preload trial-end
! mounted && [ "$(cat "$F")" = "$OLD" ]
ok "trial-end takes it away"

# a reboot: /run and the mounts are gone, the record is not
trial
umount "$F"
rm -r "$R/run/arena-preload"
runners 0
ok "the watchdog sees it"
is "a reboot finds the old file" "$(cat "$F")" "$OLD"
in_root arena-preload status > "$T/out"
grep -q 'was not confirmed' "$T/out"
ok "and status tells of the trial"

rm "$F"
trial
is "no file before: an empty one is the mount point" "$(on_disk; stat -c %F "$F")" "regular file"
in_root arena-preload disable > "$T/out" 2>&1
[ ! -e "$F" ]
ok "which goes with the trial"

# boot guard
boot() {
	"$ARENA_PRELOAD" --root="$R" boot-count 2> "$T/out"
}
echo "$BOTH" > "$F"
boot
[ ! -e "$F.arena-boots" ]
ok "boots are not counted where nothing clears the count"
mkdir -p "$R/usr/lib/systemd/system/multi-user.target.wants"
ln -s ../lib/systemd/systemd "$R/usr/sbin/init"
ln -s ../arena-preload-booted.service "$R/usr/lib/systemd/system/multi-user.target.wants/"
boot
is "a boot is counted" "$(cat "$F.arena-boots")" 1
in_root arena-preload boot-good
[ ! -e "$F.arena-boots" ]
ok "reaching multi-user.target clears the count"
mount -o remount,ro "$R"	# as the initramfs has it
boot
grep -q " $R ro," /proc/self/mountinfo
ok "a read-only root is left read-only"
is "and the boot is counted" "$(cat "$F.arena-boots")" 1
mount -o remount,rw "$R"
boot
is "two failed boots" "$(cat "$F.arena-boots")" 2
is "and still preloaded" "$(cat "$F")" "$BOTH"
boot
is "the third boot is without us, with the other entry" "$(cat "$F")" "$OLD"
grep -q 'not preloaded any more' "$T/out"
ok "it says so"
[ ! -e "$F.arena-boots" ]
ok "and starts counting anew"
boot
[ ! -e "$F.arena-boots" ]
ok "without our entry nothing is counted"

# a program with a malloc in another library: which of the two serves it
cp "$T/standin.so" "$R/usr/lib/libjemalloc.so.2"
mkfifo "$T/end"
exec 9<> "$T/end"
for file in "$OLD" "$BOTH"; do
	echo "$file" > "$F"
	# not in_root: the shell keeps a copy of what a function's redirection closes
	chroot "$R" /bin/sh -c 'LD_PRELOAD=/usr/lib/libjemalloc.so.2 exec /bin/cat' < "$T/end" 9>&- > /dev/null &
	sleep 1
done
in_root arena-preload status > "$T/out"
grep -q ' beside another malloc: [0-9]* cat (/usr/lib/libjemalloc.so.2)' "$T/out"
ok "status: ours before another malloc"
grep -q '^  another malloc: [0-9]* cat (/usr/lib/libjemalloc.so.2)' "$T/out"
ok "status: another malloc alone"
exec 9>&-
echo "$OLD" > "$F"
rm "$R/usr/lib/libjemalloc.so.2"

# rescue: as PID 1, with a library that breaks every program
build_standin -DBROKEN=1 "$T/broken.so"
install -m 644 "$T/broken.so" "$R$LIBDIR/libarena.so.0"
echo "$BOTH" > "$F"
ln -sf ../bin/sh "$R/usr/sbin/init"
printf 'echo "init got $*"\n' > "$R/single"
in_root /bin/true 2> /dev/null
[ $? != 0 ]
ok "the root is broken"
in_root arena-preload status > "$T/out"
is "arena-preload itself is not" $? 0
unshare -p -f chroot "$R" /usr/sbin/arena-preload single > "$T/out" 2>&1
is "rescue mode" $? 0
is "takes the entry out" "$(cat "$F")" "$OLD"
grep -q 'taken out' "$T/out"
ok "says so"
grep -q 'init got' "$T/out"
ok "and starts init with the kernel's words"
unshare -p -f chroot "$R" /usr/sbin/arena-preload status > "$T/out" 2>&1
is "as a container's PID 1 it is the ordinary program" $? 1
finish
