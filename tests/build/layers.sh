#!/bin/bash
# SPDX-License-Identifier: MIT
#
# layers.sh - the sources keep to src/LAYERS, and the checker finds each kind of fault.
. "$TOP_SRCDIR/tests/build/lib.sh"

check="$PYTHON3 $TOP_SRCDIR/build-aux/check-layers"
row "src/ keeps to src/LAYERS" $check "$TOP_SRCDIR/src"

# finds NAME PATTERN: the checker fails on the tree in $scratch/src and says PATTERN.
finds()
{
	! $check "$scratch/src" >"$scratch/said" && cat "$scratch/said" && grep -q "$1" "$scratch/said"
}

# A small sound tree to spoil.
fresh()
{
	rm -rf "$scratch/src"
	mkdir "$scratch/src"
	printf '# comment\nlow: a.c a.h\n b.h\nhigh: c.c c.h\n' >"$scratch/src/LAYERS"
	echo '#include "b.h"' >"$scratch/src/a.c"
	echo '#include "a.h"' >"$scratch/src/c.c"
	touch "$scratch"/src/{a,b,c}.h
}
fresh
row "a sound tree passes" $check "$scratch/src"
echo '#include "c.h"' >"$scratch/src/b.h"
row "an include upwards is found" finds 'b.h (low): includes "c.h" of the higher layer high'
fresh
touch "$scratch/src/d.c"
row "a file in no layer is found" finds 'd.c: in no layer'
fresh
rm "$scratch/src/c.c"
row "a name without a file is found" finds 'c.c does not exist'
fresh
echo 'top: a.c' >>"$scratch/src/LAYERS"
row "a file in two layers is found" finds 'a.c is in two layers'
done_testing
