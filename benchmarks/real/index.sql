-- A table of wanted.size rows (the issue's suite has 100,000), two indices, and questions that need them.
PRAGMA cache_size = 4000;
CREATE TABLE event (id INTEGER PRIMARY KEY, kind TEXT, account INTEGER, amount INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i, x) AS (
  SELECT 1, 12345
  UNION ALL
  SELECT i + 1, (x * 1103515245 + 12345) & 2147483647 FROM n WHERE i < (SELECT size FROM wanted)
)
INSERT INTO event
SELECT i, substr('buysellholdmove', 1 + (x >> 8) % 4 * 4, 4), (x >> 10) % 5000, (x >> 4) % 100000 - 50000,
       printf('note %d of %x', i, x)
FROM n;
COMMIT;
CREATE INDEX by_account ON event (account, amount);
CREATE INDEX by_note ON event (note);
SELECT count(*), sum(amount), min(note), max(note) FROM event;
SELECT kind, count(*), sum(amount), avg(amount) FROM event GROUP BY kind ORDER BY kind;
SELECT account, count(*), sum(amount) AS total FROM event GROUP BY account ORDER BY total DESC, account LIMIT 5;
SELECT count(*) FROM event AS a JOIN event AS b ON a.account = b.account AND a.amount = b.amount AND a.id < b.id;
SELECT count(*), sum(length(note)) FROM event WHERE note LIKE '%7 of 1%';
UPDATE event SET amount = amount + 1 WHERE account % 10 = 3;
DELETE FROM event WHERE id % 7 = 0;
SELECT count(*), sum(amount), sum(id % 1009) FROM event;
PRAGMA integrity_check;
