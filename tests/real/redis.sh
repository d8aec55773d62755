#!/bin/bash
# SPDX-License-Identifier: MIT
#
# redis.sh - redis-server and redis-benchmark under libarena: threads, a forked child that saves
# while the parent writes, expiry, and a restart that loads what was saved.

. "$(dirname "$0")/lib.sh"
need redis-server redis-benchmark redis-cli
cd "$scratch" || exit 99
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$scratch"' EXIT

cli() {
	redis-cli -s "$scratch/socket" "$@"
}

start() {
	# exec: the process we may end is the server itself, not a wrapper.
	(exec env ARENA_WITNESS="$scratch/witness.log" LD_PRELOAD="$library $scratch/witness.so" \
		redis-server --port 0 --unixsocket "$scratch/socket" --dir "$scratch" --save '' \
		--io-threads 2 --daemonize no >server.log 2>err) &
	server=$!
	for _ in $(seq 100); do
		[ "$(cli ping 2>/dev/null)" = PONG ] && return 0
		sleep 0.1
	done
	return 1
}

start
row $? "redis-server answers"
grep -q "$library" "/proc/$server/maps"
row $? "libarena is in the server's maps"
ours redis-benchmark -s "$scratch/socket" -q -n 10000 -c 20 -P 8 -r 20000 --threads 2 \
	-t set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset >bench.out 2>err
row $? "redis-benchmark, ten commands, 10000 requests each"
[ "$(tr '\r' '\n' <bench.out | grep -c 'requests per second')" -ge 10 ]
row $? "all ten were measured"
cli bgsave >/dev/null
ours redis-benchmark -s "$scratch/socket" -q -n 40000 -c 20 -P 16 -r 50000 -d 700 -t set >out 2>err
row $? "writes while a forked child saves"
for _ in $(seq 200); do
	cli info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
	sleep 0.1
done
cli info persistence | grep -q 'rdb_last_bgsave_status:ok'
row $? "the child saved"
cli flushall >/dev/null && cli debug populate 50000 key 300 >/dev/null 2>&1
cli eval 'for i = 1, 30000 do redis.call("set", "lua" .. i, string.rep("v", i % 900)) end' 0 >/dev/null
cli eval 'for i = 1, 30000, 2 do redis.call("del", "lua" .. i) end' 0 >/dev/null
before=$(cli dbsize)
sample=$(cli get lua29998 | md5sum)
[ "$(cli save)" = OK ] && [ "$before" -ge 15000 ]
row $? "Lua writes and deletes, save ($before keys)"
cli shutdown nosave >/dev/null 2>&1
wait $server
row $? "the server ends with status 0"
server=
start
row $? "it starts again"
[ "$(cli dbsize)" = "$before" ] && [ "$(cli get lua29998 | md5sum)" = "$sample" ]
row $? "with the same $before keys"
cli shutdown nosave >/dev/null 2>&1
wait $server
server=
proved redis-check-rdb redis-benchmark
done_testing
