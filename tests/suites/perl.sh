#!/bin/bash
# SPDX-License-Identifier: MIT
#
# perl.sh - perl's own t/ with Debian's perl: the tests of Debian's source, the interpreter and the
# modules that are installed.  What needs the build tree fails, without libarena too.

. "$(dirname "$0")/lib.sh"
packages perl libperl5.36
source_of perl "$(version_of perl)"
what="perl $(perl -e 'printf "%vd", $^V')"
directories="base cmd comp op re uni mro lib io"
how="its t/ ($directories), by test"
least=30000
ran=perl
tree=$kept/perl

# t/test.pl wants ./perl, and lib/ beside it: the installed ones.
prepare() {
	[ -x "$tree/perl" ] && return
	ln -s /usr/bin/perl "$tree/perl"
	ln -s ../perl "$tree/t/perl"
	mv "$tree/lib" "$tree/lib.source"
	mkdir "$tree/lib"
	cp -a /usr/share/perl/5.36/. "$tree/lib/"
	cp -a "/usr/lib/$(gcc -print-multiarch)/perl/5.36/." "$tree/lib/"
	cp -a "/usr/lib/$(gcc -print-multiarch)/perl-base/." "$tree/lib/" 2>/dev/null
	cp -an "$tree/lib.source/." "$tree/lib/" 2>/dev/null
	cp -a "$tree/lib.source/unicore" "$tree/lib/" 2>/dev/null
	:
}

# TAP is judged here: each planned row must be there and ok (or TODO), and the status 0.
suite() {
	local f

	cd "$tree/t" || return
	export PERL_CORE=1 PERL_TEST_NO_TAINT_SKIP=1
	for d in $directories; do
		ls "$d"/*.t
	done | grep -v -e op/alarm.t -e re/speed -e re/uniprops -e fold_grind -e bigfuzzy |
		xargs -P2 -I{} sh -c '
			f={}; out=$0/$(echo $f | tr / _)
			timeout 300 ./perl -I../lib $f >$out 2>$out.err; s=$?
			echo "== $f $s"; cat $out.err
			awk -v s=$s -v f=$f "
			/^1\.\.0/ { skip = 1 }
			/^1\.\.[0-9]/ { split(\$1, p, /\.\./); plan = p[2] }
			/^(not )?ok [0-9]/ { n++ }
			/^ok [0-9]/ { print f \".\" \$2, \"pass\" }
			/^not ok [0-9]/ { todo = /# *TODO/; bad += !todo; print f \".\" \$3, todo ? \"skip\" : \"fail\" }
			END { print f, skip ? \"skip\" : !s && !bad && n == plan && n ? \"pass\" : \"fail\" }" $out >$out.results
		' "$scratch/run"
	# Two that write at once would tear each other's lines.
	cat "$scratch/run"/*.results >&3
}

prepare
compare
