#!/bin/bash
# SPDX-License-Identifier: MIT
#
# redis.sh - redis' own Tcl suite against Debian's redis-server: data types, expiry, scripts, saving
# by a forked child while clients write, replication, memory efficiency.

. "$(dirname "$0")/lib.sh"
packages redis-server redis-tools tcl procps
source_of redis "$(version_of redis-server)"
what="redis $(redis-server --version | sed 's/.* v=\([0-9.]*\).*/\1/')"
units="unit/type/string unit/type/incr unit/type/set unit/type/hash unit/type/list unit/expire unit/scan
	unit/scripting unit/multi unit/protocol unit/bitops unit/pubsub unit/lazyfree unit/querybuf
	integration/rdb integration/aof"
how="its Tcl suite, $(wc -w <<<"$units") units, with Debian's server"
least=500
known="trim_on_SET_with_big_value"
because="asserts jemalloc's size class of 40 KiB for 33000 bytes by malloc_usable_size(); ours is 48 KiB"
ran="redis-check-rdb"	# what /usr/bin/redis-server points to

# The suite takes the programs from src/ of its tree.
for program in redis-server redis-cli redis-benchmark redis-check-aof redis-check-rdb; do
	ln -sf "/usr/bin/$program" "$kept/redis/src/$program"
done

# Names carry times and random numbers, which are taken away.
suite() {
	local u single=()

	for u in $units; do
		single+=(--single "$u")
	done
	cd "$kept/redis" || return
	timeout 3000 ./runtest --clients 2 --baseport 31000 --tags "-slow -needs:debug-not" --dont-clean \
		--timeout 300 "${single[@]}" >"$scratch/run/out" 2>&1
	# 1: a test failed, which its own line says.
	[ $? -le 1 ] && echo "runtest:ended pass" >&3
	cat "$scratch/run/out"
	sed -E 's/\x1b\[[0-9;]*m//g' "$scratch/run/out" |
		sed -nE 's/^\[ok\]: (.*)$/\1\tpass/p; s/^\[err\]: (.*) in tests.*$/\1\tfail/p;
			s/^\[skip\]: (.*)$/\1\tskip/p; s/^\[exception\]: (.*)$/exception \1\tfail/p' |
		sed -E 's/ \([0-9]+ ms\)//; s/[0-9]+\.[0-9]+|[0-9]+/N/g; s/ /_/g; s/\t/ /' >&3
}

compare
