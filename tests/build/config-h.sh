#!/bin/bash
# SPDX-License-Identifier: MIT
#
# config-h.sh - the macros that configure makes are the listed ones, each is 0 or 1 (so that plain
# C conditions can use it), and each is read somewhere: a probe that nobody reads shows here.
. "$TOP_SRCDIR/tests/build/lib.sh"

sed -nE 's/^#undef (ARN_[A-Z0-9_]+).*/\1/p' "$TOP_SRCDIR/config.h.in" >"$scratch/macros"
golden config-h.macros >"$scratch/expected"
row "config.h.in holds the listed macros" same "$scratch/expected" "$scratch/macros"

while read -r macro; do
	row "$macro is 0 or 1" grep -qE "^#define $macro [01]$" "$TOP_BUILDDIR/config.h"
	row "$macro is read by the sources" grep -rqw "$macro" "$TOP_SRCDIR/src"
done <"$scratch/expected"
done_testing
