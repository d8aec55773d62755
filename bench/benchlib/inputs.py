# SPDX-License-Identifier: MIT
"""Inputs of the real programs: scripts, sources, data; generated, always the same."""
import random


def sqlite(n):
    """An in-memory database: inserts, indexes, joins, updates, text, deletes."""
    return f"""
CREATE TABLE t1(id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL);
CREATE TABLE t2(id INTEGER PRIMARY KEY, t1 INTEGER, tag TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < {n})
 INSERT INTO t1 SELECT i, (i * 7919) % 10007, 'name-' || hex(i * 104729 % 65537), i * 0.5 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < {n})
 INSERT INTO t2 SELECT i, (i * 31) % {n} + 1, 'tag-' || (i % 97) FROM n;
COMMIT;
CREATE INDEX i1 ON t1(a); CREATE INDEX i2 ON t1(b); CREATE INDEX i3 ON t2(t1);
SELECT count(*), sum(length(b)) FROM t1 WHERE a BETWEEN 100 AND 5000;
SELECT tag, count(*), avg(c), group_concat(substr(b, 1, 7), '') FROM t1 JOIN t2 ON t2.t1 = t1.id
 GROUP BY tag ORDER BY 2 DESC LIMIT 1;
UPDATE t1 SET b = b || '-' || a WHERE a % 3 = 0;
SELECT count(DISTINCT b) FROM t1;
SELECT sum(length(json_object('id', id, 'b', b))) FROM t1;
DELETE FROM t2 WHERE id % 4 = 0;
SELECT max(length(upper(b) || replace(b, 'name', 'n'))) FROM t1 ORDER BY b;
"""


PYTHON = '''
import ast, json, re, sys
n = int(sys.argv[1])
class Node:
    def __init__(self, key, kids):
        self.key, self.kids, self.tags = key, kids, {"k": key, "s": str(key)}
def objects():
    nodes = [Node(i, []) for i in range(4 * n)]
    for i, node in enumerate(nodes):
        nodes[i * 7919 % len(nodes)].kids.append(node)
    return sum(len(node.kids) for node in nodes if node.tags["s"][-1] == "7")
def text():
    words = [f"w{i * 31 % 5003}" for i in range(8 * n)]
    counts = {}
    for word in " ".join(words).split():
        counts[word] = counts.get(word, 0) + 1
    lines = re.sub(r"w(\\d)(\\d*)", lambda m: m[2] + m[1], " ".join(words[:4 * n]))
    return len(lines) + len(counts)
def documents():
    doc = [{"id": i, "tags": [f"t{j}" for j in range(5)], "pos": {"x": i / 3, "y": i / 7}}
           for i in range(n)]
    return sum(len(json.loads(json.dumps(doc))) for _ in range(3))
def trees():
    source = "\\n".join(f"def f{i}(a, b=[1, 2, {i}]):\\n    return [x * a + {i} for x in b if x]"
                       for i in range(n // 6))
    return len(list(ast.walk(ast.parse(source)))) + len(compile(source, "x", "exec").co_consts)
objects(); text(); documents(); trees()
'''

PERL = '''
use strict; my $n = shift; my (%count, @lines, %deep);
for my $i (1 .. $n) { push @lines, join(" ", map { "w" . ($i * $_ * 7919 % 9973) } 1 .. 8); }
for (@lines) { $count{$_}++ for split / /; }
my @sorted = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
for my $i (0 .. $n) { push @{$deep{$i % 997}{name}}, { id => $i, text => "item $i" x 3 }; }
my $text = join("\\n", @lines); $text =~ s/w(\\d)(\\d*)/$2$1/g;
my %copy = map { $_ => [ @{$deep{$_}{name}} ] } keys %deep;
my $sum = 0; for my $k (keys %copy) { $sum += length $_->{text} for @{$copy{$k}}; }
delete $deep{$_} for 0 .. 500; die unless $sum;
'''

LUA = '''
local n = tonumber(arg[1]); local list, index = {}, {}
for round = 1, 4 do
  for i = 1, n do
    local item = { id = i, name = "name-" .. (i * 7919 % 10007), tags = { i, i + 1, i + 2 } }
    list[i] = item; index[item.name] = item
  end
  local parts = {}
  for i = 1, n do parts[#parts + 1] = list[i].name:upper():gsub("E", "ee") end
  local text = table.concat(parts, ",")
  local count = 0
  for word in text:gmatch("[^,]+") do count = count + #word end
  for i = 1, n, 2 do list[i].next = function() return list[i] end end
  table.sort(list, function(a, b) return a.name < b.name end)
end
'''


def cxx(n):
    """Templates over the standard containers: what fills a C++ compiler's memory.  None: one small
    header and its instances, which callgrind gets through in half a minute."""
    if not n:
        return "#include <vector>\n" + "".join(
            f"struct V{i} {{ int a[{i + 1}]; }};\nint f{i}() {{ std::vector<V{i}> v(3); "
            f"v.push_back(V{i}()); v.insert(v.begin(), v[1]); return v.size(); }}\n"
            for i in range(6))
    out = ["#include <map>\n#include <string>\n#include <vector>\n#include <functional>\n"
           "#include <algorithm>\n#include <memory>\n"
           "template<int N> struct Fold { static constexpr long value = N + Fold<N - 1>::value; };\n"
           "template<> struct Fold<0> { static constexpr long value = 0; };\n"]
    for i in range(n):
        out.append(f"""
struct K{i} {{ int a; std::string b; bool operator<(const K{i} &o) const {{ return a < o.a; }} }};
long f{i}(const std::vector<int> &v) {{
    std::map<K{i}, std::vector<std::string>> m;
    for (int x : v) m[K{i}{{x, std::to_string(x)}}].push_back(std::to_string(x * {i}));
    std::vector<std::shared_ptr<K{i}>> s;
    for (auto &p : m) s.push_back(std::make_shared<K{i}>(p.first));
    std::sort(s.begin(), s.end(), [](auto &a, auto &b) {{ return b->a < a->a; }});
    std::function<long(long)> g = [&](long y) {{ return y + (long)m.size() + s[0]->a; }};
    return g(Fold<{50 + i}>::value);
}}
""")
    return "".join(out)


def smt(n, times):
    """A small pigeonhole with arithmetic and arrays, and a product of bit vectors: clauses,
    terms, backtracking, several times over."""
    out = ["(set-logic ALL)"]
    for i in range(times):
        out.append("(push)" + pigeons(n) + "(check-sat)(pop)")
        out.append(f"(push)(declare-const x{i} (_ BitVec 26))(declare-const y{i} (_ BitVec 26))"
                   f"(assert (and (bvugt x{i} #b{1:026b}) (bvult x{i} #b{2048:026b}) "
                   f"(bvult y{i} #b{4096:026b}) (= (bvmul x{i} y{i}) #b{1013 * 2003:026b})))"
                   "(check-sat)(pop)")
    return "\n".join(out) + "\n"


def pigeons(n):
    out = []
    for p in range(n + 1):
        out.append(f"(declare-const p{p} Int)(assert (and (<= 1 p{p}) (<= p{p} {n})))")
    for p in range(n + 1):
        for q in range(p):
            out.append(f"(assert (distinct p{p} p{q}))")
    out.append("(declare-const a (Array Int Int))")
    for p in range(n):
        out.append(f"(assert (> (select a p{p}) (select a p{p + 1})))")
    return "\n".join(out)


def postscript(pages):
    rng = random.Random(7)
    out = ["%!PS-Adobe-3.0\n/Helvetica findfont 9 scalefont setfont\n"]
    for page in range(pages):
        for i in range(250):
            x, y = rng.randrange(560), rng.randrange(780)
            out.append(f"{rng.random():.2f} {rng.random():.2f} {rng.random():.2f} setrgbcolor "
                       f"newpath {x} {y} moveto {rng.randrange(99)} {rng.randrange(99)} "
                       f"{rng.randrange(99)} {y} {rng.randrange(560)} {x} rcurveto "
                       f"{'fill' if i % 3 else 'stroke'}\n{y / 2} {x} moveto "
                       f"(page {page} line {i}) show\n")
        out.append("/d 200 dict def d begin 0 1 150 { dup 20 string cvs cvn exch "
                   "[ exch dup dup ] def } for end showpage\n")
    return "".join(out)


def text(size, seed=11):
    """Bytes that compress about as prose does."""
    rng = random.Random(seed)
    words = ["".join(rng.choice("etaoinshrdlucm") for _ in range(rng.randrange(2, 9)))
             for _ in range(3000)]
    out, length = [], 0
    while length < size:
        line = " ".join(words[int(len(words) * rng.random() ** 2)] for _ in range(12)) + "\n"
        out.append(line)
        length += len(line)
    return "".join(out)


def git_stream(commits, files):
    """A history for git fast-import: files of prose, a few changed in each commit."""
    rng = random.Random(13)
    tree = {f"dir{i % 20}/file{i}.txt": text(3000, i).splitlines(True) for i in range(files)}
    out = []
    for c in range(commits):
        changed = list(tree) if c == 0 else rng.sample(sorted(tree), 6)
        out.append(f"commit refs/heads/main\ncommitter a <a@example.org> {1000000000 + c} +0000\n"
                   f"data 9\nchange {c % 10}\n\n")
        for name in changed:
            lines = tree[name]
            for _ in range(5):
                lines[rng.randrange(len(lines))] = f"changed in {c} by {rng.random()}\n"
            data = "".join(lines)
            out.append(f"M 100644 inline {name}\ndata {len(data)}\n{data}\n")
    return "".join(out)


# What a configure script does: hundreds of tiny processes, and a compiler now and then.
CONFIGURE = '''
set -e
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
n=$1; i=0; cache=
while [ "$i" -lt "$n" ]; do
  i=$(expr "$i" + 1)
  name=$(echo "have_func_$i" | sed 's/_/-/g' | tr a-z A-Z)
  case $(uname -s) in Linux) cache="$cache $name" ;; esac
  echo "#define $name 1" >>config.h
  if test $(expr "$i" % 25) = 0; then
    printf 'int f%d(void) { return %d; }\\n' "$i" "$i" >conftest.c
    cc -c -o conftest.o conftest.c
    grep -c define config.h >count
  fi
done
sort config.h | uniq | awk '{ n++ } END { exit n == 0 }'
'''

# A page as a shop has it: records, sorting, grouping, JSON, patterns, a template.
PHP = r'''<?php
$items = [];
for ($i = 0; $i < 1500; $i++)
    $items[] = ['id' => $i, 'name' => 'item-' . ($i * 7919 % 1009), 'price' => $i * 31 % 977 / 7,
                'tags' => ["t" . $i % 7, "t" . $i % 11]];
usort($items, fn($a, $b) => [$a['price'], $a['name']] <=> [$b['price'], $b['name']]);
$groups = [];
foreach ($items as $item)
    foreach ($item['tags'] as $tag)
        $groups[$tag][] = $item;
$copy = json_decode(json_encode($groups), true);
$html = '';
foreach ($copy as $tag => $list)
    foreach (array_slice($list, 0, 40) as $item)
        $html .= sprintf("<li class=%s>%s: %.2f</li>\n", $tag, htmlspecialchars($item['name']),
                         $item['price']);
echo "<ul>", preg_replace_callback('/item-(\d)(\d*)/', fn($m) => "[$m[2]$m[1]]", $html), "</ul>";
'''

PHP_CONF = '''[global]
pid = DIR/php.pid
error_log = DIR/php.err
[www]
listen = DIR/php.sock
pm = static
pm.max_children = 2
'''

NGINX_CONF = '''daemon off;
pid DIR/nginx.pid;
worker_processes 1;
events { worker_connections 64; }
http {
    access_log off; default_type text/html; gzip on; gzip_http_version 1.0;
    client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
    server {
        listen 127.0.0.1:PORT; root DIR; keepalive_requests 100000;
        location ~ [.]php$ {
            fastcgi_pass unix:DIR/php.sock;
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param QUERY_STRING $query_string;
        }
    }
}
'''
