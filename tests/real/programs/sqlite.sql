-- What sqlite3 answers: types, dates, floats, full text, JSON, windows, recursion, and a file with an index.
.mode list
.headers off
SELECT 1.0 / 3, 0.1 + 0.2, 1e308 * 10, -1e308 * 10, 9223372036854775807 + 1, 7 / -2, 7 % -3, 1 << 62, ~5;
SELECT round(2.5), round(-2.675, 2), printf('%.17g|%e|%,d|%x', 0.1, 12345.678, 1234567, 255), typeof(1e3), abs(-5), hex('abc');
SELECT sqrt(2), exp(1), ln(10), sin(1), pow(2, 0.5), atan2(1, 2), pi(), degrees(1), ceil(-1.5), floor(-1.5);
SELECT date('2024-02-29', '+1 year'), strftime('%J %W %w', '2000-01-01 12:00:00'), unixepoch('2001-09-09 01:46:40');
SELECT upper('straße'), length('naïve €'), substr('abcdef', -3, 2), replace('aXbX', 'X', '--'), instr('hello', 'll'), quote(x'00ff'), unicode('€'), 'abc' LIKE 'A_C', 'abc' GLOB 'a*';
CREATE TABLE event (id INTEGER PRIMARY KEY, account INTEGER, amount REAL, note TEXT);
WITH RECURSIVE n(i, x) AS (SELECT 1, 12345 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) & 2147483647 FROM n WHERE i < 20000)
  INSERT INTO event SELECT i, (x >> 10) % 500, ((x >> 4) % 100000 - 50000) / 7.0, printf('note %d of %x', i, x) FROM n;
CREATE INDEX by_account ON event (account, amount);
SELECT count(*), sum(amount), avg(amount), min(note), max(note), total(id) FROM event;
SELECT account, count(*), sum(amount) AS total FROM event GROUP BY account ORDER BY total DESC LIMIT 5;
SELECT id, account, row_number() OVER w, sum(amount) OVER w, lag(id) OVER w FROM event WHERE id <= 6 WINDOW w AS (PARTITION BY account % 3 ORDER BY id);
SELECT count(*) FROM event AS a JOIN event AS b ON a.account = b.account AND a.id < b.id AND a.amount > b.amount;
EXPLAIN QUERY PLAN SELECT * FROM event WHERE account = 5 ORDER BY amount;
SELECT json_extract('{"a":[1,2.5,{"b":null}]}', '$.a[1]'), json_group_array(value) FROM json_each('[3,1,2]');
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words SELECT note FROM event WHERE id <= 500;
SELECT rowid, highlight(words, 0, '[', ']') FROM words WHERE words MATCH 'note AND 42*' ORDER BY rowid LIMIT 3;
BEGIN; UPDATE event SET amount = amount * 1.1 WHERE account < 10; SAVEPOINT s; DELETE FROM event; ROLLBACK TO s; COMMIT;
SELECT count(*), printf('%.6f', sum(amount)) FROM event;
PRAGMA journal_mode = WAL;
DELETE FROM event WHERE id % 2;
VACUUM;
PRAGMA integrity_check;
.mode csv
SELECT 'quoted "text"', 'a,b', NULL, 1.5;
.mode json
SELECT id, amount, note FROM event ORDER BY id LIMIT 2;
SELECT nosuch;
