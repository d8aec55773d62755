#!/bin/bash
# SPDX-License-Identifier: MIT
#
# chromium.sh - chromium headless opens a page (script, canvas, SVG, a worker) and paints it; the
# pictures and the documents are the same, byte for byte.  chromium brings a malloc of its own, which
# its executable defines before any preload: its processes are served by that, by design, and here
# must merely not mind ours.  What it starts besides itself is ours.

. "$(dirname "$0")/lib.sh"
packages chromium fonts-dejavu-core
what="chromium $(chromium --version --no-sandbox 2>/dev/null | sed 's/[^0-9]*\([0-9.]*\).*/\1/')"
how="headless: two screenshots and the document after its scripts; it keeps the malloc of its executable; ours serves what it starts"
least=6
exempt='^(chromium|chrome_crashpad_handler) (/.*/chrom[a-z_]*|/proc/self/exe) not-counted$'
served=10
ran=

suite() {
	export HOME=$PWD
	cat >page.html <<-'END'
		<!doctype html><meta charset=utf-8><style>body { font: 16px DejaVu Sans } td { border: 1px solid }</style>
		<h1>Page</h1><canvas id=c width=300 height=200></canvas>
		<svg width=100 height=100><circle cx=50 cy=50 r=40 fill=green /></svg><div id=d></div><table id=t></table>
		<script>
		const x = c.getContext('2d');
		for (let i = 0; i < 200; i++) { x.fillStyle = `hsl(${i * 7} 80% 50%)`; x.fillRect(i * 13 % 300, i * 29 % 200, 20, 9); }
		let m = new Map(), s = 0;
		for (let i = 0; i < 300000; i++) { m.set('k' + i % 7000, new Array(i % 30).fill(i)); }
		for (const v of m.values()) s += v.length;
		for (let r = 0; r < 300; r++) { const tr = t.insertRow(); for (let k = 0; k < 10; k++) tr.insertCell().textContent = r * k; }
		const b = new Blob(['let a=[];for(let i=0;i<1e5;i++)a.push({i});postMessage(a.length)']);
		const w = new Worker(URL.createObjectURL(b));
		w.onmessage = e => { d.textContent = s + ' ' + e.data; };
		</script>
	END
	chrome dom --dump-dom >dom.html
	grep -q '100000</div>' dom.html && echo "worker-answered pass" >&3
	md5sum <dom.html | sed 's/ .*//; s/.*/document:& pass/' >&3
	for size in 800,600 1200,3000; do
		chrome "screenshot-$size" --screenshot="$PWD/shot.png" --window-size=$size --hide-scrollbars
		md5sum <shot.png | sed "s/ .*//; s/.*/picture-$size:& pass/" >&3
	done
}

# chrome LABEL ARGUMENT...: one run of the browser with a profile of its own.
chrome() {
	local label=$1
	shift
	timeout 120 chromium --headless=new --no-sandbox --disable-gpu --no-first-run --user-data-dir="$PWD/profile" \
		--virtual-time-budget=8000 "$@" "file://$PWD/page.html" 2>>errors
	echo "$label:exit-$? pass" >&3
}

compare
