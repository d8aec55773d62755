#!/bin/bash
# SPDX-License-Identifier: MIT
#
# versions.sh - one version everywhere: configure.ac (VERSION comes from there), the header, NEWS,
# the package, and a version node and soname that fit it.
. "$TOP_SRCDIR/tests/build/lib.sh"

cd "$TOP_SRCDIR" || exit 99

macro() { sed -n "s/^#define AMALLOC_VERSION_$1 //p" include/arena/amalloc.h; }
is() { echo "found \"$1\", expected \"$2\""; test "$1" = "$2"; }

row "configure.ac" is "$(sed -n 's/^AC_INIT(\[libarena\], \[\(.*\)\])$/\1/p' configure.ac)" "$VERSION"
row "amalloc.h" is "$(macro MAJOR).$(macro MINOR).$(macro PATCH)" "$VERSION"
row "NEWS begins with it" is "$(sed -n 's/^libarena \([0-9.]*\).*/\1/p' NEWS | head -n 1)" "$VERSION"
if [ -e debian ]; then
	row "debian/changelog" is \
		"$(sed -n '1s/^libarena (\([0-9.]*\)-.*/\1/p' debian/changelog)" "$VERSION"
else
	skip "debian/changelog" "the tarball has no packaging"
fi
row "arena-prefixed.pc" is \
	"$(sed -n 's/^Version: //p' "$TOP_BUILDDIR/arena-prefixed.pc")" "$VERSION"

# A node is named after the release that added it, so the newest is never newer than VERSION.
newest_node()
{
	local node
	node=$(sed -n 's/^LIBARENA_[A-Z_]*\([0-9.]*\) {$/\1/p' "src/$1" | sort -V | tail -n 1)
	echo "newest node $node"
	test -n "$node" && test "$(printf '%s\n' "$node" "$VERSION" | sort -V | tail -n 1)" = "$VERSION"
}
row "arena.map" newest_node arena.map
row "prefixed.map" newest_node prefixed.map
done_testing
