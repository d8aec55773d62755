#!/bin/sh
# SPDX-License-Identifier: MIT
#
# arena-preload enable refuses what is known to hurt, and whatever fails its
# self-tests; the file is then what it was.
plan=34
. "$(dirname "$0")/lib.sh"
make_root
OLD='# mine
/usr/lib/other.so'
cp "$PRELOAD_CHECK_MODULE" "$R/usr/lib/other.so"
cp "$PRELOAD_CHECK_MODULE" "$R/usr/lib/third.so"

# refused WHAT PATTERN [OPTION...]
refused() {
	what=$1
	pattern=$2
	shift 2
	in_root arena-preload enable --yes "$@" > "$T/out" 2>&1
	is "$what: refused" $? 1
	grep -q -- "$pattern" "$T/out"
	ok "$what: says why"
	grep -q -- "$pattern" "$T/out" || sed 's/^/# /' "$T/out"
}

echo "$OLD" > "$F"
umount "$R/proc"
refused "no /proc" '/proc is not mounted'
mount -t proc proc "$R/proc"

for d in etc usr; do
	mount --bind "$R/$d" "$R/$d"
	mount -o remount,bind,ro "$R/$d"
	refused "read-only /$d" "/$d is on a read-only file system"
	umount "$R/$d"
done

echo /opt/libjemalloc.so.2 >> "$F"
refused "jemalloc listed" 'lists another malloc, /opt/libjemalloc.so.2'
cp "$T/standin.so" "$R/usr/lib/nameless.so"
printf '%s\n/usr/lib/nameless.so\n' "$OLD" > "$F"
refused "a library that defines malloc" 'lists another malloc, /usr/lib/nameless.so'
echo "$OLD" > "$F"

refused "a bare name" 'not an absolute path' --library=libarena.so.0
refused "\$ORIGIN" 'only $LIB is the same' --library='/$ORIGIN/libarena.so.0'
refused "no malloc in it" 'does not define malloc' --library=/usr/lib/third.so
chmod 666 "$R$LIBDIR/libarena.so.0"
refused "writable by all" 'can be changed by others' --library="$ENTRY"
chmod 644 "$R$LIBDIR/libarena.so.0"

# libc of another architecture: the first 64 bytes of an i386 one are enough
mkdir "$R/usr/lib/other-linux-gnu"
{ printf '\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\3\0\3\0'; head -c 44 /dev/zero; } > "$R/usr/lib/other-linux-gnu/libc.so.6"
refused "foreign libc6 without the library" 'other-linux-gnu/libarena.so.0, for the programs of'
cp "$T/standin.so" "$R/usr/lib/other-linux-gnu/libarena.so.0"
refused "foreign libc6, library of the wrong class" 'of another architecture than'
rm -r "$R/usr/lib/other-linux-gnu"

mv "$F" "$F.real"
ln -s ld.so.preload.real "$F"
refused "a symbolic link" 'ld.so.preload'
rm "$F"
mv "$F.real" "$F"

for how in 1 2 3; do
	build_standin -DBROKEN=$how "$T/broken.so"
	install -m 644 "$T/broken.so" "$R$LIBDIR/libarena.so.0"
	case $how in
	1) where="(LD_PRELOAD): " ;;
	2) where="(private /etc): " ;;
	3) where="(in place): " ;;
	esac
	refused "broken library $how" "self-test $where"
done
is "the file is what it was" "$(cat "$F")" "$OLD"
in_root arena-preload enable > "$T/out" 2>&1
is "broken only in place, on trial: refused" $? 1
is "and the trial is over" "$(cat "$F")" "$OLD"
in_root arena-preload status > "$T/out"
is "status: not enabled" "$?" 1
finish
