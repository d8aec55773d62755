# SPDX-License-Identifier: MIT
#
# For the tests of arena-preload: TAP, and a small root of its own for each test, in
# a private mount namespace, so that the machine's own /etc/ld.so.preload is never
# touched.  Source it after setting "plan"; "$R" is the root, in_root runs in it.

: "${TOP_SRCDIR:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${TOP_BUILDDIR:=$TOP_SRCDIR}"
: "${ARENA_PRELOAD:=$TOP_BUILDDIR/tools/arena-preload/arena-preload}"
: "${PRELOAD_CHECK:=$TOP_BUILDDIR/tools/arena-preload/preload-check}"
: "${PRELOAD_CHECK_MODULE:=$TOP_BUILDDIR/tools/arena-preload/preload-check-module.so}"
: "${LIBEXECDIR:=/usr/libexec}"	# as configured: arena-preload looks there
: "${CC:=cc}"

skip_all() {
	echo "1..0 # SKIP $*"
	exit 77
}

if [ "$(id -u)" != 0 ]; then
	skip_all "needs root"
fi
if [ -z "$IN_PRIVATE_MOUNTS" ]; then
	unshare -m true 2>/dev/null || skip_all "needs a mount namespace"
	IN_PRIVATE_MOUNTS=1 exec unshare -m --propagation private ${BASH:-sh} "$0" "$@"
fi
for file in "$ARENA_PRELOAD" "$PRELOAD_CHECK" "$PRELOAD_CHECK_MODULE"; do
	[ -e "$file" ] || { echo "Bail out! $file is not built"; exit 99; }
done

T=$(mktemp -d)
R=$T/root
F=$R/etc/ld.so.preload
LIBDIR=$(dirname "$(ldd /bin/true | sed -n 's/.*=> \(.*libc\.so\.6\).*/\1/p')")
case $LIBDIR in
/usr/*) ;;
*) LIBDIR=/usr$LIBDIR ;;
esac
ENTRY='/usr/$LIB/libarena.so.0'
n=0
failed=0

cleanup() {
	umount -R -l "$T" 2>/dev/null
	rmdir "$T"
}
mkdir -p "$T" && mount -t tmpfs -o mode=755 tmpfs "$T" || skip_all "cannot mount a tmpfs"
trap cleanup EXIT
trap 'exit 1' INT TERM

echo "1..$plan"

# ok DESCRIPTION: by the status of the last command
ok() {
	rc=$?
	n=$((n + 1))
	if [ $rc = 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		failed=1
	fi
	return 0
}

is() {
	[ "$2" = "$3" ]
	ok "$1"
	[ "$2" = "$3" ] || printf '# got: %s\n# not: %s\n' "$2" "$3" | sed 's/^\([^#]\)/# \1/'
}

finish() {
	[ $n = "$plan" ] || { echo "# planned $plan, ran $n"; failed=1; }
	exit $failed
}

put_program() {
	for p; do
		[ -e "$p" ] || continue
		for f in "$p" $(ldd "$p" 2>/dev/null | sed -n 's/.*[[:space:]]\(\/[^ ]*\) (.*/\1/p'); do
			mkdir -p "$R$(dirname "$f")"
			[ -e "$R$f" ] || cp -Lp "$f" "$R$f"
		done
	done
}

# The standin is compiled once; $1 = extra flags, $2 = where to
build_standin() {
	$CC -std=gnu11 -O2 -D_GNU_SOURCE -fno-builtin -shared -fPIC $1 \
		-o "$2" "$TOP_SRCDIR/tests/system/standin.c"
}

# A fresh root at $R with "libarena" installed: a merged /usr, a shell, a few
# programs (su: setuid), /proc.
make_root() {
	umount -R -l "$R" 2>/dev/null
	rm -rf "$R"
	mkdir -p "$R"
	mount -t tmpfs -o mode=755 tmpfs "$R"
	mkdir -p "$R/usr/bin" "$R/usr/sbin" "$R/usr/lib" "$R/usr/lib64" "$R$LIBEXECDIR/arena" \
		"$R/etc" "$R/proc" "$R/dev" "$R/run" "$R/var/lib" "$R/tmp"
	for d in bin sbin lib lib64; do
		ln -s "usr/$d" "$R/$d"
	done
	chmod 1777 "$R/tmp"
	put_program /bin/true /bin/sh /bin/ls /bin/cat /bin/mount
	mkdir -p "$R$LIBDIR"
	cp "$PRELOAD_CHECK" "$PRELOAD_CHECK_MODULE" "$R$LIBEXECDIR/arena/"
	cp "$ARENA_PRELOAD" "$R/usr/sbin/arena-preload"
	[ -e "$T/standin.so" ] || build_standin "" "$T/standin.so"
	install -m 644 "$T/standin.so" "$R$LIBDIR/libarena.so.0"
	echo "root:x:0:0::/:/bin/sh" > "$R/etc/passwd"
	mount -t proc proc "$R/proc"
	mount --rbind /dev "$R/dev"
}

in_root() {
	chroot "$R" "$@"
}

# kill_at CALL NTH COMMAND: at the start of the NTH system call of that name
kill_at() {
	what=$1:signal=KILL:when=$2
	call=$1
	shift 2
	# the braces keep the shell's own "Killed" quiet too
	{ strace -o /dev/null -e trace="$call" -e inject="$what" "$ARENA_PRELOAD" --root="$R" "$@" \
		> "$T/out" 2>&1 < /dev/null; } 2> /dev/null
}
