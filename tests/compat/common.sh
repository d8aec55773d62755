# SPDX-License-Identifier: MIT
#
# common.sh - sourced by the runners in this directory.
# LIB is the library to preload, empty for glibc's malloc.  under CMD... runs a command on it;
# prove_lib shows, by dladdr in a fresh process, that the preload really serves malloc.
LIB=${LIB:-}
[ -z "$LIB" ] || LIB=$(realpath "$LIB") || exit 2

# The preload is set for the command alone: the shell and its tools stay on glibc.
under()
{
	if [ -n "$LIB" ]; then
		PROBE_LIB=$LIB env LD_PRELOAD="$LIB" "$@"
	else
		PROBE_LIB= env "$@"
	fi
}

# Builds the smallest probe on its own, so that every runner can use this first.
prove_lib()
{
	local d=$(mktemp -d) rc
	gcc -O1 -D_GNU_SOURCE -o "$d/prove" "$here/prove.c" && under "$d/prove"
	rc=$?
	rm -rf "$d"
	return $rc
}
