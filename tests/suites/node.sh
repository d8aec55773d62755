#!/bin/bash
# SPDX-License-Identifier: MIT
#
# node.sh - node's own test/parallel, from Debian's source, with Debian's node of that version (taken
# out of its packages when another is installed): buffers, streams, workers, zlib, crypto, HTTP.

. "$(dirname "$0")/lib.sh"
source_of nodejs
version=$(cat "$kept/nodejs/.unpacked")
if [ "$(version_of nodejs)" = "$version" ]; then
	node=/usr/bin/node
else
	libnode=$(sed -n 's/^Package: \(libnode[0-9]*\)$/\1/p' "$kept/nodejs/debian/control" | head -1)
	[ -x "$kept/node/usr/bin/node" ] || (
		mkdir -p "$kept/node.dl" && cd "$kept/node.dl" && rm -f ./*.deb &&
			apt-get -q -o APT::Sandbox::User=root download "nodejs=$version" "$libnode=$version" &&
			for deb in *.deb; do dpkg -x "$deb" "$kept/node"; done
	) >"$kept/node.log" 2>&1 || skip_all "Debian's nodejs $version is not to be had"
	node=$kept/node/usr/bin/node
	LD_LIBRARY_PATH=$kept/node/usr/lib/$(gcc -print-multiarch)
	export LD_LIBRARY_PATH
fi
packages libuv1 libc-ares2 libnghttp2-14 libicu72 libbrotli1
"$node" --version >/dev/null 2>"$scratch/err" || skip_all "node does not start: $(head -1 "$scratch/err")"
what="node $("$node" --version | tr -d v)"
groups="arraybuffer buffer string-decoder stringbytes worker zlib vm- v8 gc heap crypto-hash wasm fs-read"
how="files of its test/parallel whose names begin with one of $(wc -w <<<"$groups") words"
least=250
ran=node

suite() {
	cd "$kept/nodejs" || return
	export node scratch NODE_TEST_DIR=$scratch/run
	for g in $groups; do
		ls "test/parallel/test-$g"*.js "test/parallel/test-$g"*.mjs 2>/dev/null
	done | sort -u | grep -v -e v8-serialize-leak -e heapdump-async | xargs -P2 -I{} sh -c '
		f={}; n=$(basename $f); export TEST_THREAD_ID=$n
		flags=$(sed -n "s|^// Flags: ||p" $f | head -1)
		timeout 1800 "$node" $flags $f >"$scratch/run/$n.out" 2>&1; s=$?
		echo "== $f $s"
		if [ $s = 0 ]; then
			grep -q "^1\.\.0 # Skipped" "$scratch/run/$n.out" && echo "$n skip" >&3 || echo "$n pass" >&3
		else
			head -50 "$scratch/run/$n.out"; echo "$n fail" >&3
		fi
		rm -rf "$scratch/run/$n.out" "test/.tmp.$n"'
}

compare
