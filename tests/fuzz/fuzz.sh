#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fuzz.sh - builds the fuzz targets and runs them, FUZZ_SECONDS (900) each, at low priority.
#   tests/fuzz/fuzz.sh libfuzzer|afl [api|options|core|json]...
# libfuzzer needs clang and its runtime (Debian: clang libclang-rt-14-dev), afl needs afl++ and that, the target
# core needs gdb's gcore.  What is learnt stays in FUZZ_DIR (./fuzz.work), crashes lie there too: minimise
# one, put it into tests/fuzz/found, and make check replays it from then on.
set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
kind=${1:?libfuzzer or afl}
shift
seconds=${FUZZ_SECONDS:-900}
work=${FUZZ_DIR:-$PWD/fuzz.work}
build=${TOP_BUILDDIR:-$top}
mkdir -p "$work"

if [ "$kind" = afl ]; then
	# A reader of what others wrote may read wrongly without a crash: with sanitizers, as above.
	cc=(env AFL_QUIET=1 AFL_USE_ASAN=1 AFL_USE_UBSAN=1 afl-clang-fast -fsanitize=fuzzer
	    -fno-sanitize=alignment)
else
	cc=(clang -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
	    -fno-sanitize=alignment)
fi
core=$(cd "$top/src" && ls ./*.c | grep -v -e override -e cxx -e deepbind | sed "s|^\.|$top/src|")
reader=$(ls "$top"/tools/alloc-stats/*.c | grep -v '/main\.c$')
readers=("-DALLOC_STATS_LIBDIR=\"/nowhere\"" "-DALLOC_STATS_LIBDIR_FROM_BINDIR=\"../lib\""
	-I"$top/tools/alloc-stats")
wraps=
for f in map map_aligned map_sparse unmap purge resize move; do
	wraps+=" -Wl,--wrap=arn_os_$f"
done

make_target()
{
	# shellcheck disable=SC2086 # words
	case $1 in
	api) set -- api $core $wraps -Wl,--wrap=pthread_key_create -lpthread ;;
	options) set -- options "$top/src/options.c" -Wl,--wrap=arn_warn ;;
	core) set -- core $reader "${readers[@]}" -Wl,--wrap=fatal -Wl,--wrap=warning \
		-ljson-c -lncursesw -ltinfo -lelf -lm ;;
	json) set -- json $reader "${readers[@]}" -ljson-c -lncursesw -ltinfo -lelf -lm ;;
	esac
	local name=$1
	shift
	"${cc[@]}" -g -O1 -std=gnu11 -w -fno-builtin-malloc -D_GNU_SOURCE '-DPACKAGE_VERSION="0"' \
		-DARN_DEBUG=1 -I"$top/src" -I"$top/include" "$here/$name.c" "$@" -o "$work/$name-$kind"
}

# What the reader is shown: a core of a small known heap, and two documents about it.
make_samples()
{
	[ ! -e "$work/base.core" ] || return 0
	gcc -O1 -w -D_GNU_SOURCE "$top/tests/stats/layout.c" -o "$work/layout" -ldl -lpthread || return
	sleep 20 | LD_PRELOAD=$LIBDIR/libarena.so.0 "$work/layout" small >/dev/null &
	local pid=$! stats=$build/tools/alloc-stats/alloc-stats
	sleep 2
	gcore -o "$work/core" "$pid" >/dev/null 2>&1 && mv "$work/core.$pid" "$work/base.core"
	"$stats" --json "$pid" >"$work/one.json"
	kill "$pid"
	mkdir -p "$work/corpus-json"
	{ cat "$work/one.json"; printf '\0'; sed 's/49/52/g' "$work/one.json"; } >"$work/corpus-json/a"
	# And a short one: of a long one most changes end in the parser.
	local small='{"schema":1,"process":{"pid":7},"heap":{"live":9},"classes":[{"size":16,"live":9,"empty":1}]}'
	printf '%s\0%s' "$small" "${small//9/800}" >"$work/corpus-json/b"
}

declare -A longest=([api]=600 [options]=200 [core]=320 [json]=40000)
bad=0
for target in ${*:-api options core json}; do
	make_target "$target" || exit 1
	case $target in core | json) make_samples ;; esac
	export FUZZ_CORE=$work/base.core
	mkdir -p "$work/corpus-$target"
	[ -n "$(ls "$work/corpus-$target")" ] || printf 'dirty_kib:12,thp:0' >"$work/corpus-$target/a"
	if [ "$kind" = afl ]; then
		AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_UI=1 \
			AFL_AUTORESUME=1 nice -n 10 \
			afl-fuzz -V "$seconds" -t 2000+ -i "$work/corpus-$target" -o "$work/afl-$target" \
			-- "$work/$target-afl" >"$work/$target-afl.log" 2>&1 ||
			bad=1
		grep -E '^(run_time|execs_done|saved_crashes|saved_hangs)' \
			"$work/afl-$target/default/fuzzer_stats" | sed "s/^/$target: /"
		grep -q 'saved_crashes *: 0' "$work/afl-$target/default/fuzzer_stats" || bad=1
	else
		# fatal() leaves by longjmp in the target core, which loses memory.
		nice -n 10 "$work/$target-libfuzzer" -max_len="${longest[$target]}" -timeout=20 \
			-rss_limit_mb=2000 -detect_leaks="$([ "$target" = core ] && echo 0 || echo 1)" \
			-max_total_time="$seconds" -print_final_stats=1 \
			-artifact_prefix="$work/$target-" "$work/corpus-$target" \
			>"$work/$target-libfuzzer.log" 2>&1 || bad=1
		grep -E 'number_of_executed|SUMMARY|Done' "$work/$target-libfuzzer.log" |
			sed "s/^/$target: /"
	fi
done
exit $bad
