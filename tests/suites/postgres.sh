#!/bin/bash
# SPDX-License-Identifier: MIT
#
# postgres.sh - PostgreSQL's regression tests (pg_regress, the parallel schedule) on a cluster that
# Debian's initdb and postgres make in a directory of ours, as the user postgres.

. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip_all "needs root, to become the user postgres"
packages postgresql-15 gcc make libc6-dev bison flex perl zlib1g-dev
version=$(version_of postgresql-15)
source_of postgresql-15 "$version"
# pg_regress and the C functions that its tests load.
built postgresql-15 "./configure -q --without-readline --without-icu CFLAGS=-O0 && \
	make -s -j2 -C src/backend generated-headers && make -s -j2 -C src/port && make -s -j2 -C src/common && \
	make -s -j2 -C src/interfaces/libpq && make -s -j2 -C src/test/regress all"
what="PostgreSQL ${version%%-*}"
how="initdb, server, and pg_regress with the parallel schedule"
least=150
ran="postgres initdb psql"
programs=/usr/lib/postgresql/15/bin

suite() {
	chown -R postgres "$kept/postgresql-15/src/test/regress" .
	setpriv --reuid=postgres --regid=postgres --clear-groups bash -c '
		programs=$0 regress=$1
		$programs/initdb -D data -A trust -N --no-instructions --locale=C -E UTF8 &&
		$programs/pg_ctl -w -D data -l server.log -o "-F -k $PWD -c listen_addresses= -c max_stack_depth=2MB" start ||
			exit 1
		mkdir out
		timeout 1200 $regress/pg_regress --inputdir=$regress --outputdir=out --dlpath=$regress \
			--bindir=$programs --host=$PWD --max-concurrent-tests=20 --schedule=$regress/parallel_schedule
		echo "pg_regress:exit-$? pass" >&3
		$programs/pg_ctl -w -D data -m fast stop && echo "stop pass" >&3
		cat server.log
		cat out/regression.diffs' "$programs" "$kept/postgresql-15/src/test/regress" >out.txt 2>&1
	cat out.txt
	sed -nE 's/^(test)? +([a-z_0-9]+) +\.\.\. ok.*/\2 pass/p; s/^(test)? +([a-z_0-9]+) +\.\.\. FAILED.*/\2 fail/p;
		s/^(test)? +([a-z_0-9]+) +\.\.\. failed.*/\2 fail/p' out.txt >&3
}

compare
