#!/bin/bash
# SPDX-License-Identifier: MIT
#
# model.sh - explores every scenario, then every mutant, which must fail.  Prints TAP.
#   tests/model/model.sh [SCENARIO...]
# MODEL_MUTANTS=0 leaves the mutants out; MODEL_SC=1 explores under sequential consistency too.
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# __SANITIZE_THREAD__: the fast path's steps in C instead of one instruction.
config=(-D__SANITIZE_THREAD__ "-DPACKAGE_VERSION=\"0\"" -DARN_DEBUG=1)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The core but its operating system, which is world.c.
files=$("$here/core-files" | grep -vx os_linux)
wraps="-Wl,--wrap=arn_lock_take_slow -Wl,--wrap=arn_lock_wake_slow -Wl,--wrap=arn_crime
	-Wl,--wrap=pthread_key_create -Wl,--wrap=pthread_setspecific"
n=0
bad=0

# points.h knows gcc's builtins.
CC=${MODEL_CC:-gcc}
if ! command -v "$CC" >/dev/null || "$CC" --version 2>/dev/null | grep -q clang; then
	echo "1..0 # SKIP needs gcc"
	exit 0
fi

row()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		bad=1
	fi
}

# compile SOURCE OBJECT INCLUDE-DIRECTORY...: as in the library, with points.
compile()
{
	local source=$1 object=$2
	shift 2
	# shellcheck disable=SC2086 # words
	"$CC" -std=gnu11 -O1 -w -fno-builtin-malloc "${config[@]}" "${@/#/-I}" \
		-include "$here/points.h" -include "$here/small.h" -c "$source" -o "$object"
}

# one_look SOURCE COPY: a hundred looks at a lock are one look, a hundred times.
one_look() { sed 's/^#define SPINS 100$/#define SPINS 1/' "$1" >"$2"; }

# link DIRECTORY: its objects before those of the whole.
link()
{
	local objects=() f
	for f in $files explore scenarios world; do
		if [ -e "$1/$f.o" ]; then objects+=("$1/$f.o"); else objects+=("$dir/$f.o"); fi
	done
	# shellcheck disable=SC2086 # words
	"$CC" -no-pie -o "$1/explore" "${objects[@]}" -lpthread $wraps
}

includes=("$top/src" "$top/include" "$here")
i=0
for f in $files scenarios world; do
	source=$top/src/$f.c
	[ -e "$source" ] || source=$here/$f.c
	one_look "$source" "$dir/$f.c"
	compile "$dir/$f.c" "$dir/$f.o" "${includes[@]}" &
	i=$((i + 1))
	[ $((i % 2)) -ne 0 ] || wait
done
wait
"$CC" -std=gnu11 -g -O2 -Wall -Wextra "${config[@]}" "${includes[@]/#/-I}" -include "$here/small.h" \
	-c "$here/explore.c" -o "$dir/explore.o"
if ! link "$dir"; then
	echo "Bail out! the model does not build"
	exit 1
fi

wanted=${*:-remote queue parts late slot sleep adopt chunk starter boot lock}
for s in $wanted; do
	"$dir/explore" "$s" >"$dir/out" 2>&1
	rc=$?
	row $rc "$(tail -n 1 "$dir/out")"
	[ "$rc" = 0 ] || sed 's/^/# /' "$dir/out"
	if [ "${MODEL_SC-0}" = 1 ]; then
		"$dir/explore" -s "$s" >"$dir/out" 2>&1
		row $? "sequential consistency: $(tail -n 1 "$dir/out")"
	fi
done

# mutant SCENARIO FILE PERL WHAT
mutant()
{
	local m=$dir/mutant rc
	rm -rf "$m"
	mkdir "$m" "$m/src"
	cp "$top"/src/*.h "$top/src/options.def" "$m/src"
	perl -0pe "$3" "$top/src/$2" >"$m/src/$2" || return
	if cmp -s "$top/src/$2" "$m/src/$2"; then
		row 1 "mutant: $4: the source has changed, the mutation fits no more"
		return
	fi
	for f in $files scenarios; do
		# A header's change matters in the scenario and in its own module.
		case $2 in
		"$f.c" | "$f.h") ;;
		*.h) [ "$f" = scenarios ] || continue ;;
		*) continue ;;
		esac
		[ -e "$m/src/$f.c" ] || cp "$dir/$f.c" "$m/src/$f.c"
		sed -i 's/^#define SPINS 100$/#define SPINS 1/' "$m/src/$f.c"
		compile "$m/src/$f.c" "$m/$f.o" "$m/src" "${includes[@]}"
	done
	link "$m"
	timeout 60 "$m/explore" "$1" >"$dir/out" 2>&1
	rc=$?
	[ $rc = 1 ] && grep -q '^violation' "$dir/out"
	row $? "mutant, $1: $4 ($(grep -m1 '^violation' "$dir/out" || echo "not found: exit $rc"))"
}

if [ "${MODEL_MUTANTS-1}" = 1 ]; then
	while IFS=$'\t' read -r scenario file change what; do
		case $scenario in
		'' | '#'*) continue ;;
		esac
		[[ " $wanted " != *" $scenario "* ]] || mutant "$scenario" "$file" "$change" "$what"
	done <"$here/mutants"
fi
echo "1..$n"
exit $bad
