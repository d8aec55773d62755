#!/bin/bash
# SPDX-License-Identifier: MIT
#
# sqlite.sh - sqlite3 under libarena: in memory and on disk, indexes, joins, recursion, JSON;
# its answers are the same as without.

. "$(dirname "$0")/lib.sh"
need sqlite3
cd "$scratch" || exit 99

cat >program.sql <<'END'
PRAGMA journal_mode=WAL;
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, amount REAL, blob BLOB);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO t SELECT i, 'name' || (i * 7919 % 10007), i * 1.25, zeroblob(i % 300) FROM n;
COMMIT;
CREATE INDEX t_name ON t(name, amount);
SELECT name, count(*), sum(amount), max(length(blob)) FROM t GROUP BY name ORDER BY 3 DESC LIMIT 50;
SELECT a.id, b.id FROM t a JOIN t b ON a.name = b.name AND a.id < b.id ORDER BY 1, 2 LIMIT 500;
UPDATE t SET name = upper(name) || hex(id), blob = NULL WHERE id % 3 = 0;
DELETE FROM t WHERE id % 5 = 0;
SELECT group_concat(name, '/') FROM (SELECT name FROM t ORDER BY name LIMIT 3000);
SELECT json_group_array(json_object('id', id, 'name', name)) FROM t WHERE id < 2000;
SELECT length(replace(printf('%.*c', 300000, 'x'), 'x', 'yy'));
VACUUM;
PRAGMA integrity_check;
END
for database in :memory: disk; do
	sqlite3 "$database" <program.sql >plain.out 2>err
	row $? "sqlite3 $database without libarena"
	rm -f disk disk-*
	ours sqlite3 "$database" <program.sql >ours.out 2>err
	row $? "sqlite3 $database under libarena"
	rm -f disk disk-*
	[ -s plain.out ] && cmp plain.out ours.out && tail -1 ours.out | grep -q '^ok$'
	row $? "the same answers, and the integrity check is ok"
done
proved sqlite3
done_testing
