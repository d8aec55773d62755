# SPDX-License-Identifier: MIT
#
# strace.sh - sourced by probes: the rows that put inject.c under strace, to list the system
# calls after its mark or to make some of them fail.
# LD_PRELOAD is given to the traced program only (strace -E), not to strace.

traced()
{
	local e=()
	command -v strace >/dev/null || return 77
	[ -z "$LIB" ] || e=(-E "LD_PRELOAD=$LIB" -E "PROBE_LIB=$LIB")
	timeout -k 1 $limit strace -qq -o "$dir/trace" "${e[@]}" "$@"
}

# What the workload's own threads need is allowed too; its brk, were there one, is not.
syscall_list()
{
	local allowed='mmap|munmap|mremap|mprotect|madvise|futex'
	local threads='clone3?|set_robust_list|rseq|rt_sigprocmask|exit|exit_group|write'

	traced -f "$dir/inject" threads || return
	grep -q COMPAT-MARK "$dir/trace" || { echo "no mark"; return 1; }
	sed -n '/COMPAT-MARK/,$p' "$dir/trace" | sed 's/^[0-9]* *//' | sed -n 's/^\([a-z_0-9]*\)(.*/\1/p' |
	    sort | uniq -c | grep -vwE "$allowed|$threads" >"$dir/others"
	[ ! -s "$dir/others" ] || { echo "also:" $(awk '{ print $2 " (" $1 ")" }' "$dir/others"); return 1; }
}

# How many calls more the start of a program makes than on libc; $1: at most.
start_calls()
{
	local with without conf=

	[ -n "$LIB" ] || { echo "nothing to compare"; return 77; }
	LIB= traced -f /bin/true || return
	without=$(wc -l <"$dir/trace")
	traced -f /bin/true || return
	with=$(wc -l <"$dir/trace")
	# A library that was installed with its files reads them: that is not what the row is about.
	grep -q 'arena\.conf".* = [0-9]' "$dir/trace" && conf="; an arena.conf was there and was read"
	echo "$((with - without)) more system calls$conf"
	[ $((with - without)) -le "$1" ]
}

# How many calls of $1 the main thread makes before the mark, and in all.
count_calls()
{
	traced -e trace="$1",write "$dir/inject" || return
	before=$(sed '/COMPAT-MARK/,$d' "$dir/trace" | grep "^$1(" | wc -l)
	total=$(grep "^$1(" "$dir/trace" | wc -l)
}

fail_once()
{
	local before total i step rc

	count_calls "$1" || return
	[ "$total" -gt "$before" ] || { echo "never called"; return 0; }
	step=$(((total - before + 24) / 25))
	for ((i = before + 1; i <= total; i += step)); do
		traced -e trace="$1" -e inject="$1:error=ENOMEM:when=$i" "$dir/inject"
		rc=$?
		[ $rc = 0 ] || { echo "call $i of $total: exit $rc"; return $rc; }
	done
}

# $1 may be a list; each has its own count of calls before the mark.
fail_ever()
{
	local before total c inject=()

	for c in ${1//,/ }; do
		count_calls "$c" || return
		inject+=(-e "inject=$c:error=ENOMEM:when=$((before + 1))+")
	done
	traced -e trace="$1" "${inject[@]}" "$dir/inject"
}
