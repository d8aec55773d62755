#!/bin/bash
# SPDX-License-Identifier: MIT
#
# java.sh - javac compiles 300 classes, and a program that keeps the collectors busy runs with each
# of them: threads, large and small objects, direct buffers (which are malloc's), zip, class loading.

. "$(dirname "$0")/lib.sh"
packages openjdk-17-jdk-headless
java=$(ls -d /usr/lib/jvm/java-17-openjdk-*/bin | head -1)
what="OpenJDK $("$java/java" -version 2>&1 | sed -n '1s/.*"\(.*\)".*/\1/p')"
how="javac of 300 classes; threads, buffers, zip and class loading under 5 collectors; answers compared"
least=8
ran="java javac"

suite() {
	mkdir src
	for i in $(seq 300); do
		cat >"src/C$i.java" <<-END
			import java.util.*;
			import java.util.stream.*;
			public class C$i implements Comparable<C$i> {
				private final int key; private final List<String> names = new ArrayList<>();
				public C$i(int k) { key = k; for (int j = 0; j < k % 7; j++) names.add("n" + j * $i); }
				public int compareTo(C$i o) { return Integer.compare(key, o.key); }
				record Pair<A, B>(A a, B b) { }
				enum Colour { RED { int v() { return $i; } }, GREEN { int v() { return 2; } }; abstract int v(); }
				public Map<Integer, List<Pair<String, Integer>>> group() {
					return names.stream().map(s -> new Pair<>(s, s.length() + key))
						.collect(Collectors.groupingBy(Pair::b, TreeMap::new, Collectors.toList()));
				}
				public String toString() { return switch (key % 3) { case 0 -> "zero"; case 1 -> group().toString();
					default -> Colour.RED.v() + "/" + names; }; }
			}
		END
	done
	cp "$here/Busy.java" src/
	timeout 300 "$java/javac" -d classes src/*.java
	echo "javac:exit-$? pass" >&3
	find classes -name '*.class' | sort | xargs cat | md5sum | sed 's/^\([0-9a-f]*\).*/classes:\1 pass/' >&3
	for collector in Serial Parallel G1 Z Shenandoah; do
		timeout 300 "$java/java" -XX:+Use${collector}GC -Xmx256m -XX:MaxDirectMemorySize=256m -cp classes Busy >out
		echo "$collector:exit-$? pass" >&3
		sed "s/\(.*\)/$collector:\1 pass/; s/ \([a-z0-9]\)/-\1/g; s/-pass$/ pass/" out >&3
		cat out
	done
}

compare
