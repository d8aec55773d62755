#!/bin/sh
# SPDX-License-Identifier: MIT
#
# arena-preload edits one line of ld.so.preload: idempotent, in the order asked for,
# with mode 0644, and every other entry and comment stays byte for byte.
plan=46
. "$(dirname "$0")/lib.sh"
make_root
# a harmless other library, so that "keeps the other entry" is about a real one
cp "$PRELOAD_CHECK_MODULE" "$R/usr/lib/other.so"
OTHER=/usr/lib/other.so

enable() {
	in_root arena-preload enable --yes "$@" > "$T/out" 2>&1 || { rc=$?; sed 's/^/# /' "$T/out"; return $rc; }
}

disable() {
	in_root arena-preload disable "$@" > "$T/out" 2>&1
}

# written TEXT: the whole file, with a mark that keeps trailing newlines visible
content() {
	if [ -e "$F" ]; then cat "$F"; echo .; else echo absent; fi
}

in_root arena-preload status > "$T/out"
is "status of a plain system is 1" $? 1

enable
ok "enable"
is "absent file becomes our line" "$(content)" "$(printf '%s\n.' "$ENTRY")"
is "mode 0644" "$(stat -c %a "$F")" 644
is "owner root" "$(stat -c %u:%g "$F")" 0:0
in_root arena-preload status > "$T/out"
is "status is 0" $? 0
in_root /bin/cat /proc/self/maps | grep -q /libarena.so.0
ok "programs have the library"
before=$(stat -c %i "$F")
enable
ok "enable again"
is "does not touch the file" "$(stat -c %i "$F")" "$before"
disable
ok "disable"
is "file is absent again" "$(content)" absent
disable
ok "disable again"

(umask 077; enable)
is "umask does not matter" "$(stat -c %a "$F")" 644
disable

printf '# first comment\n# second\n\n%s' "$OTHER" > "$F"
old=$(content)
enable
ok "enable beside another entry"
is "ours before the other, the rest as it was" "$(content)" \
	"$(printf '# first comment\n# second\n\n%s\n%s.' "$ENTRY" "$OTHER")"
is "backup has the old text" "$(cat "$F.arena-old"; echo .)" "$old"
disable
is "disable gives the old text back" "$(content)" "$old"
enable --last
is "--last: at the end" "$(content)" "$(printf '%s\n%s\n.' "${old%.}" "$ENTRY")"
enable
is "enable moves it to the front" "$(sed -n 4p "$F")" "$ENTRY"
is "and lists it once" "$(grep -c libarena "$F")" 1

printf '%s\n# one\n# two\n' "$OTHER" > "$F"
old=$(content)
in_root arena-preload enable --yes 2> "$T/out"
is "refused where ld.so would misread a comment" $? 1
grep -q 'fault of glibc' "$T/out"
ok "and says so"
is "nothing changed" "$(content)" "$old"

printf '%s:%s\t/usr/lib/libarena.so.0 # both\n' "$OTHER" "$ENTRY" > "$F"
disable
is "cut out of a shared line" "$(content)" "$(printf '%s # both\n.' "$OTHER")"
printf '# /usr/lib/libarena.so.0 is only talked about\n' > "$F"
old=$(content)
disable
is "a comment is no entry" "$(content)" "$old"
printf '%s' "$ENTRY" > "$F"
disable
is "our line without a newline" "$(content)" absent
printf '  %s  \n%s\n' "$ENTRY" "$OTHER" > "$F"
disable
is "our line with blanks" "$(content)" "$(printf '%s\n.' "$OTHER")"
: > "$F"
disable
is "an empty file stays" "$(content)" .
rm -f "$F"

enable --root-only
is "--root-only: mode 0600" "$(stat -c %a "$F")" 600
disable

# from outside, by --root
"$ARENA_PRELOAD" --root="$R" enable > "$T/out" 2>&1
ok "enable --root"
is "writes below the root" "$(content)" "$(printf '%s\n.' "$ENTRY")"
"$ARENA_PRELOAD" --root="$R" clean "$(basename "$LIBDIR")" > "$T/out"
ok "clean, for prerm"
is "clean takes the \$LIB entry" "$(content)" absent
printf '/usr/lib/elsewhere-linux-gnu/libarena.so.0\n' > "$F"
old=$(content)
"$ARENA_PRELOAD" --root="$R" clean "$(basename "$LIBDIR")" > "$T/out"
is "clean leaves another architecture's own path" "$(content)" "$old"
is "clean is silent then" "$(cat "$T/out")" ""
rm -f "$F"

# run-without
enable
in_root arena-preload run-without /bin/cat /proc/self/maps > "$T/maps"
ok "run-without runs"
! grep -q libarena "$T/maps"
ok "without the library"
# the kernel gives no user namespace in a chroot: make the root a real one
put_program /usr/sbin/chroot /bin/umount
R=$R unshare -m --propagation private sh -c 'cd "$R" && pivot_root . tmp && umount -l /tmp &&
	exec chroot --userspec=65534:65534 / /usr/sbin/arena-preload run-without /bin/cat /proc/self/maps' \
	> "$T/maps" 2> "$T/out"
rc=$?
if [ -s "$T/maps" ]; then
	[ $rc = 0 ] && ! grep -q libarena "$T/maps"
	ok "run-without for an ordinary user"
else
	n=$((n + 1))
	echo "ok $n # SKIP no user namespaces here: $(cat "$T/out")"
fi
in_root arena-preload run-without /bin/sh -c 'exit 7'
is "exit status is the command's" $? 7
in_root arena-preload run-without /nonexistent 2> /dev/null
is "127 for an absent command" $? 127

# scopes
in_root arena-preload unit foo on > "$T/out"
is "unit on" "$(grep ^Env "$R/etc/systemd/system/foo.service.d/50-arena-preload.conf")" \
	"Environment=\"LD_PRELOAD=$ENTRY\""
in_root arena-preload unit foo default > "$T/out"
[ ! -e "$R/etc/systemd/system/foo.service.d" ]
ok "unit default leaves nothing"
in_root arena-preload unit foo on > "$T/out"
in_root arena-preload unit bar.service off > "$T/out"
in_root arena-preload clean "$(basename "$LIBDIR")" > "$T/out"
[ ! -e "$R/etc/systemd/system/foo.service.d/50-arena-preload.conf" ]
ok "clean takes a unit's LD_PRELOAD away"
grep -q 'BindReadOnlyPaths=/dev/null:/etc/ld.so.preload' "$R/etc/systemd/system/bar.service.d/50-arena-preload.conf"
ok "and leaves an exception, which does no harm"
user=$R/tmp/h/.config/environment.d/50-arena-preload.conf
unset XDG_CONFIG_HOME
HOME=/tmp/h in_root arena-preload user on > "$T/out"
# environment.d(5) expands $LIB; "$$LIB" stays "$LIB"
is "user on" "$(cat "$user")" 'LD_PRELOAD=/usr/$$LIB/libarena.so.0${LD_PRELOAD:+:$LD_PRELOAD}'
HOME=/tmp/h in_root arena-preload user off > "$T/out"
[ ! -e "$user" ]
ok "user off"
finish
