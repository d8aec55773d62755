#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pkg-config.sh - what `make install DESTDIR=...` leaves is complete: programs compile, link and run
# with the flags of the .pc files alone, dynamically and with --static; and a program linked with
# libarena-prefixed keeps it under a preloaded libarena.
. "$TOP_SRCDIR/tests/build/lib.sh"

here=$TOP_SRCDIR/tests/build
dest=$scratch/dest

# MAKEFLAGS: this make is not a child of the one that runs the tests.
row "make install DESTDIR=..." \
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$TOP_BUILDDIR" install DESTDIR="$dest"

pcdir=$(dirname "$(find "$dest" -name arena-prefixed.pc)")
libdir=$(dirname "$(find "$dest" -name libarena-prefixed.so.0)")

# The installed tree under its DESTDIR stands for a sysroot.
pc()
{
	PKG_CONFIG_LIBDIR=$pcdir PKG_CONFIG_SYSROOT_DIR=$dest PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 $PKG_CONFIG "$@"
}

# build OUTPUT COMPILER SOURCE PACKAGE [FLAG...]: FLAG --static is pkg-config's, others the compiler's.
build()
{
	local output=$1 compiler=$2 source=$3 package=$4 static= flags
	shift 4
	[ "${1-}" = --static ] && { static=--static; shift; set -- -static -DSTATIC "$@"; }
	flags=$(pc --cflags --libs $static "$package") || return 1
	# shellcheck disable=SC2086 # flags are words
	$compiler -Wall -Wextra -Werror -DEXPECTED_VERSION="\"$VERSION\"" \
		-o "$scratch/$output" "$here/$source" "$@" $flags
}

with_lib() { env LD_LIBRARY_PATH="$libdir" "$@"; }

row "version" test "$(pc --modversion arena-prefixed)" = "$VERSION"
row "prefixed: compiles and links" build prefixed "$CC" prefixed.c arena-prefixed
row "prefixed: runs beside libc's malloc" with_lib "$scratch/prefixed" libc
row "prefixed: links with --static" build prefixed-static "$CC" prefixed.c arena-prefixed --static
row "prefixed: the static program runs" "$scratch/prefixed-static" libc

if [ "$OVERRIDE" = no ]; then
	skip "arena" "configured with --disable-override"
	done_testing
fi
row "prefixed: keeps its own amalloc under a preloaded libarena" \
	with_lib LD_PRELOAD="$libdir/libarena.so.0" "$scratch/prefixed" libarena.so
row "arena: compiles and links" build family "$CC" family.c arena
row "arena: serves every name" with_lib "$scratch/family"
row "arena: links with --static" build family-static "$CC" family.c arena --static
row "arena: the static program runs" "$scratch/family-static"
# _int_malloc is the heart of libc's malloc: an own one makes it superfluous.
row "arena: libc's malloc is not in the static program" \
	test -z "$($NM "$scratch/family-static" | grep -w _int_malloc)"
row "arena: C++ compiles and links" build operators "$CXX -std=c++17 -fsized-deallocation" operators.cc arena
row "arena: all forms of new and delete" with_lib "$scratch/operators"
row "arena: C++ links with --static" \
	build operators-static "$CXX -std=c++17 -fsized-deallocation" operators.cc arena --static
row "arena: the static C++ program runs" "$scratch/operators-static"

# A program that calls no malloc itself: only -u malloc makes libc's parts use ours.
echo '#include <stdio.h>
int main(void) { char *line = 0; size_t n = 0; return getline(&line, &n, stdin) != -1; }' \
	>"$scratch/stdio.c"
here=$scratch
row "arena: a static program whose only malloc is libc's links" build stdio "$CC" stdio.c arena --static
row "arena: and uses ours" test -z "$($NM "$scratch/stdio" | grep -w _int_malloc)"
done_testing
