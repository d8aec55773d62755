#!/bin/bash
# SPDX-License-Identifier: MIT
#
# node.sh - files of node's own test/parallel, from Debian's source, with the node that is installed:
# buffers, workers, zlib.  Tests of another version than node's fail, without libarena too.

. "$(dirname "$0")/lib.sh"
command -v /usr/bin/node >/dev/null || packages nodejs
source_of nodejs "$(version_of nodejs)"
node=/usr/bin/node
what="node $("$node" --version | tr -d v)"
groups="buffer- string-decoder zlib- worker-message worker-ref worker-m"
how="test/parallel of node $(sed 's/[+-].*//' "$kept/nodejs/.unpacked"): buffers, string decoder, zlib, worker threads, by file"
least=100
ran=node

suite() {
	cd "$kept/nodejs" || return
	export node scratch NODE_TEST_DIR=$scratch/run
	for g in $groups; do
		ls "test/parallel/test-$g"*.js
	done | sort -u | xargs -P2 -I{} sh -c '
		f={}; n=$(basename $f); export TEST_THREAD_ID=$n
		flags=$(sed -n "s|^// Flags: ||p" $f | head -1)
		timeout 600 "$node" $flags $f >"$scratch/run/$n.out" 2>&1; s=$?
		echo "== $f $s"
		if [ $s = 0 ]; then
			grep -q "^1\.\.0 # Skipped" "$scratch/run/$n.out" && echo "$n skip" >&3 || echo "$n pass" >&3
		else
			head -50 "$scratch/run/$n.out"; echo "$n fail" >&3
		fi
		rm -rf "$scratch/run/$n.out" "test/.tmp.$n"'
}

compare
