#!/bin/bash
# SPDX-License-Identifier: MIT
#
# prefix.sh - installed below another prefix, the units, the boot guard's hook and the manual name
# what is there and not what a Debian package would have put below /usr.
. "$TOP_SRCDIR/tests/build/lib.sh"

prefix=/opt/arena-elsewhere
dest=$scratch/dest

if [ ! -x "$TOP_BUILDDIR/tools/arena-preload/arena-preload" ]; then
	skip "another prefix" "configured with --disable-tools"
	done_testing
fi

# configure refuses a second build directory when the first was the source tree.
src=$TOP_SRCDIR
if [ -e "$TOP_SRCDIR/config.status" ]; then
	src=$scratch/src
	cp -a "$TOP_SRCDIR" "$src"
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$src" distclean >/dev/null 2>&1
fi
build()
{
	mkdir "$scratch/build" && cd "$scratch/build" || return
	"$src/configure" -q --prefix=$prefix --disable-static CC="$CC" CFLAGS=-O0 CXX="$CXX" &&
		env -u MAKEFLAGS -u MAKELEVEL make -s -j2 install DESTDIR="$dest"
}
row "configure --prefix=$prefix && make install DESTDIR=..." build
cd "$dest" 2>/dev/null || done_testing

# Everything is below the prefix: nothing wrote to where Debian has it.
row "nothing is installed outside" test "$(ls -A .)" = opt -a "$(ls -A opt)" = "${prefix##*/}"

# all_there FILE SED-EXPRESSION: the expression prints paths, at least one; each is installed.
all_there()
{
	local path found=0
	while read -r path; do
		found=1
		[ -e "$dest$path" ] || { echo "$1: $path is not installed"; return 1; }
	done < <(sed -nE "$2" "$1")
	[ $found = 1 ] || { echo "$1 names no path"; return 1; }
}
for unit in ."$prefix"/lib/systemd/system/*.service; do
	row "${unit##*/}: its programs are installed" all_there "$unit" 's/^Exec[A-Za-z]*=[-@:+!]*([^ ]*).*/\1/p'
done
row "the unit that clears the count is wanted" \
	test -e ."$prefix/lib/systemd/system/multi-user.target.wants/arena-preload-booted.service"
row "the initramfs hook copies what is installed" \
	all_there ."$prefix/etc/initramfs-tools/hooks/arena-preload" 's/^copy_exec ([^ ]*).*/\1/p'
row "the manual's rescue line is right" \
	all_there ."$prefix/share/man/man8/arena-preload.8" 's/.* init=([^ ]*).*/\1/p'
row "the manual's check program is there" \
	all_there ."$prefix/share/man/man8/arena-preload.8" 's/^\.Pa (.*preload-check)$/\1/p'
row "arena-preload looks for what is installed" eval \
	'all_there ".$prefix/sbin/arena-preload" "s/.*(${prefix//\//\\/}[a-z\/-]*preload-check).*/\1/p"'
row "and names the library that is installed" eval \
	'all_there ".$prefix/sbin/arena-preload" "s/.*(${prefix//\//\\/}[a-z\/-]*libarena\.so\.0).*/\1/p"'

# In every file that a person or another program reads: no path of our own of some other installation.
elsewhere()
{
	! grep -rInE "(^|[^A-Za-z0-9_.-])/usr/(local/)?(s?bin|libexec|share|lib/systemd)/[^ ]*(arena|alloc-stats)" . |
		grep -v 'share/man/man3'
}
row "no file names another installation" elsewhere
row "no place-holder is left" eval '! grep -rInE "@(prefix|[a-z]+dir)@" .'
done_testing
