#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gcc.sh - the C and C++ compilers compile real files under libarena; assembly and object files are
# the same, byte for byte, as without.

. "$(dirname "$0")/lib.sh"
need gcc awk
cd "$scratch" || exit 99

# 30 functions with loops, switches, structs and floats: enough for every optimiser pass.
awk 'BEGIN {
	print "#include <stdio.h>\n#include <string.h>\nstruct s { int a[8]; double d; char c[16]; };"
	for (i = 0; i < 30; i++) {
		printf "int f%d(struct s *p, int n)\n{\n\tint r = %d;\n", i, i
		printf "\tfor (int i = 0; i < n; i++) {\n\t\tp->a[i & 7] += r * %d;\n", i % 7 + 2
		printf "\t\tswitch (r %% 9) {\n"
		for (k = 0; k < 9; k++)
			printf "\t\tcase %d: r += p->a[%d] ^ %d; p->d *= %d.5; break;\n", k, (k + i) % 8, i * k, k
		printf "\t\t}\n\t\tp->c[i & 15] = (char)r;\n\t}\n"
		if (i > 0) printf "\tif (n > 3)\n\t\tr += f%d(p, n - 1);\n", i - 1
		printf "\treturn r + (int)strlen(p->c) + (int)p->d;\n}\n"
	}
	print "int main(void)\n{\n\tstruct s s = { { 1 }, 1.5, \"x\" };\n\treturn f29(&s, 3) == 0;\n}"
}' >real.c
for level in -O0 -O2; do
	gcc $level -g -c real.c -o plain.o 2>err && ours gcc $level -g -c real.c -o ours.o 2>err
	row $? "gcc $level -g -c of $(wc -l <real.c) lines"
	cmp plain.o ours.o
	row $? "the same object file"
done
ours gcc -O1 ours.o -o real.exe 2>err && ./real.exe
row $? "gcc links it, and it runs"
proved cc1 as ld

command -v g++ >/dev/null || { rows=$((rows + 1)); echo "ok $rows - g++ # SKIP not installed"
	done_testing; }
cat >real.cc <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>
int main()
{
	std::map<std::string, std::vector<std::function<int(int)>>> m;
	std::unordered_map<int, std::string> u{ { 1, "one" }, { 2, "two" } };
	for (auto &[k, v] : u)
		m[v].push_back([k = k](int x) { return x + k; });
	std::regex r("(o+)|(t.o)");
	int sum = 0;
	for (auto &[name, list] : m)
		if (std::regex_search(name, r))
			for (auto &f : list)
				sum += f(10);
	std::cout << sum << '\n';
}
END
g++ -std=c++17 -O1 -c real.cc -o plain2.o 2>err && ours g++ -std=c++17 -O1 -c real.cc -o ours2.o 2>err
row $? "g++ -O1 of templates, regex and streams"
cmp plain2.o ours2.o
row $? "the same object file"
proved cc1plus
g++ ours2.o -o real2.exe && [ "$(ours ./real2.exe 2>err)" = 23 ]
row $? "the C++ program itself runs under libarena"
proved real2.exe
done_testing
