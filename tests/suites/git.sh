#!/bin/bash
# SPDX-License-Identifier: MIT
#
# git.sh - git's own t/ with Debian's git (GIT_TEST_INSTALLED): the scripts of Debian's source.

. "$(dirname "$0")/lib.sh"
packages git make gcc libc6-dev zlib1g-dev perl
source_of git "$(version_of git)"
built git "make -j2 CFLAGS=-O0 NO_CURL=1 NO_EXPAT=1 NO_GETTEXT=1 NO_TCLTK=1 NO_OPENSSL=1 NO_PYTHON=1 \
	t/helper/test-tool GIT-BUILD-OPTIONS && make -C templates"
what="git $(git --version | cut -d' ' -f3)"
scripts="t0001 t0003 t1006 t1300 t1400 t3200 t4013 t4202 t5300 t5310 t6300 t7004 t7810 t9300"
how="$(wc -w <<<"$scripts") scripts of its t/, by test"
least=1500
ran=git
served=5000

suite() {
	local s root=$scratch/run

	cd "$kept/git/t" || return
	# Without this, git's test-lib preloads glibc's malloc checker in our place.
	export TEST_NO_MALLOC_CHECK=1
	export GIT_TEST_INSTALLED=/usr/bin GIT_TEST_CMP='diff -u' root
	# shellcheck disable=SC2086 # words
	for s in $scripts; do
		ls $s-*.sh
	done | xargs -P2 -I{} sh -c '
		f={}; n=${f%%-*}
		timeout 1800 bash ./$f --root="$root/$n" >"$root/$n.out" 2>&1; s=$?
		echo "== $f $s"; cat "$root/$n.out"
		echo "$n:exit-$s pass" >&3
		sed -nE "s/^ok ([0-9]+) # skip.*/$n.\1 skip/p; t; s/^ok ([0-9]+).*/$n.\1 pass/p;
			s/^not ok ([0-9]+).*# TODO.*/$n.\1 skip/p; t; s/^not ok ([0-9]+).*/$n.\1 fail/p" "$root/$n.out" >"$root/$n.results"
		rm -rf "$root/$n"'
	# Two that write at once would tear each other's lines.
	cat "$root"/*.results >&3
}

compare
