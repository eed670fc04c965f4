"""Tables and checks of most kinds, for tests that ask whether something else changes an answer."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from checks.contract import Check, CheckError
from tests.support.ledgers import configured
from tests.support.servers import Database
from worker.sources import Sources

TABLES = """
CREATE TABLE Purse (id bigint NOT NULL PRIMARY KEY, owner varchar(40) NOT NULL, total decimal(20,4)
  NOT NULL, spent bigint NOT NULL, rows_of int NOT NULL, flags bit(4), joined datetime);
INSERT INTO Purse VALUES (1, 'ann', 30.5, 3, 2, b'101', '2026-01-04 10:00:00'),
  (2, 'ANN', 20, -1, 1, b'0', '0000-00-00 00:00:00'), (3, 'ben ', 7777, 0, 1, NULL, NULL),
  (4, 'o''neil|\\\\x', 40, 0, 1, b'1', '2026-01-05 10:00:00'), (5, '', 5, 0, 0, b'1', NULL);
CREATE TABLE movement (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, purse bigint, amount
  decimal(20,4) NOT NULL, before_it decimal(20,4) NOT NULL, after_it decimal(20,4) NOT NULL,
  ref varchar(60) NOT NULL, why varchar(20), meta json, made_at datetime(6) NOT NULL, made_ms
  bigint, note varchar(1500), KEY (purse), KEY (ref));
INSERT INTO movement (purse, amount, before_it, after_it, ref, why, meta, made_at, made_ms, note)
VALUES
  (1, 10, 0, 10, 'pay:1', 'pay', '[1]', '2026-01-05 10:00:00.5', 1767607200500, ''),
  (1, 20.5, 10, 30.5, 'pay:2', 'pay', '[]', '2026-01-05 10:00:01', 1767607201000, NULL),
  (2, 20, 0, 20, 'pay:3', 'gift', NULL, '2026-01-06 10:00:00', 1767693600000, REPEAT('a', 1200)),
  (3, 30, 0, 30, 'PAY:3', 'gift', NULL, '2026-01-07 10:00:00', 0, CONCAT(REPEAT('a', 1200), 'b')),
  (4, 40, 0, 41, 'pay:4 ', 'pay', NULL, '2026-01-08 10:00:00', 1767866400000, 'x'),
  (9, 1, 0, 1, 'pay:5', 'pay', NULL, '2026-01-09 10:00:00', 1767952800000, '10'),
  (NULL, 1, 1, 2, 'loose', NULL, NULL, '2026-01-10 10:00:00', NULL, '9');
CREATE TABLE payment (id bigint NOT NULL PRIMARY KEY, purse bigint NOT NULL, state enum('open',
  'done') NOT NULL, amount decimal(20,4) NOT NULL, movement_id bigint, opened datetime NOT NULL);
INSERT INTO payment VALUES (1, 1, 'done', 10, 1, '2026-01-05 10:00:00'),
  (2, 1, 'done', 21, 2, '2026-01-05 10:00:01'), (3, 2, 'open', 20, 3, '2026-01-06 10:00:00'),
  (4, 4, 'done', 40, 77, '2026-01-08 10:00:00'), (6, 4, 'done', 3, NULL, '2026-01-09 10:00:00');
CREATE TABLE entry (id bigint NOT NULL PRIMARY KEY, voucher varchar(20) NOT NULL, side char(1) NOT
  NULL, cents bigint NOT NULL);
INSERT INTO entry VALUES (1, 'v1', 'd', 5), (2, 'v1', 'c', 5), (3, 'v2', 'd', 7), (4, 'V2', 'c', 6);
CREATE TABLE gone (id int PRIMARY KEY);
CREATE VIEW in_views AS SELECT id, amount / 3 AS third FROM movement WHERE purse IS NOT NULL
"""
"""Nine of ten rules are broken by a row of these."""

CHECKS = """
[tables.Purse]
primary_key = "id"
written_at = "joined"
since = 2026-01-04T12:00:00+08:00
columns = { owner = "varchar(40) not null", total = "decimal(20,4) not null", no = "int" }
keys = [{ columns = ["owner"] }]
non_negative = ["spent"]
rows = { at_least = 6 }

[tables.movement]
primary_key = "id"
cursor = "id"
written_at = { column = "made_ms", unit = "ms" }
columns = { ref = "varchar(60) not null", meta = "json" }
keys = [{ columns = ["ref"], index = "uk_ref" }, { columns = ["note"], index = false }]
rows = { at_least = 1 }

[tables.payment]
primary_key = "id"
written_at = "opened"
when = "amount > 1.5"

[tables.in_views]
primary_key = "id"

[tables.gone]
retired = true

[relations.by_purse]
select = '''SELECT purse, SUM(amount) AS total, COUNT(DISTINCT ref) AS refs, MIN(why) AS why
            FROM movement WHERE purse IS NOT NULL GROUP BY purse'''
primary_key = ["purse"]

[[checks]]
name = "movement.sound"
kind = "condition"
table = "movement"
expression = "(why = 'pay') = non_empty_array(meta) AND (NOT why = 'gift' OR amount * 3 > 70.5)"
tally = "why"

[[checks]]
name = "movement.texts"
kind = "condition"
table = "movement"
expression = "ref LIKE 'pay:%' AND COALESCE(note, '') <= '5'"

[[checks]]
name = "purse.total"
kind = "balance"
table = "Purse"
ledger = "movement"
by = ["id"]
ledger_by = ["purse"]
sums = { total = "amount" }
chain = { before = "before_it", change = "amount", after = "after_it" }

[[checks]]
name = "purse.rows"
kind = "aggregate"
table = "Purse"
by = ["id"]
details = "movement"
details_by = ["purse"]
counts = { rows_of = "amount > 1" }

[[checks]]
name = "payment.movement"
kind = "reference"
table = "payment"
columns = ["movement_id"]
parent = "movement"
equal = { amount = "amount" }
one_to_one = true

[[checks]]
name = "payment.posting"
kind = "posting"
table = "payment"
ledger = "movement"
ledger_key = "pay:{id}"
ledger_key_column = "ref"
ledger_when = "why = 'pay'"
when = "state = 'done'"
equal = { amount = "amount", purse = "purse" }

[[checks]]
name = "payment.stuck"
kind = "stuck"
table = "payment"
when = "state = 'open'"
longer_than = "1h"

[[checks]]
name = "purse.blank"
kind = "blank"
table = "Purse"
column = "owner"

[[checks]]
name = "entry.even"
kind = "conservation"
table = "entry"
by = ["voucher"]
settle = "0s"
sum = "IF(side = 'd', cents, -cents)"

[[checks]]
name = "by_purse.whole"
kind = "condition"
table = "by_purse"
expression = "total > 20 AND refs = 1"

[[checks]]
name = "in_views.whole"
kind = "condition"
table = "in_views"
expression = "third > 4"

[[checks]]
name = "said"
kind = "query"
table = "movement"
select = '''SELECT m.id, m.ref || '' AS joined_text, NOT 1 BETWEEN -5 AND 5 AS precedence,
       7 / 3 AS ratio, AVG(m.amount) OVER () AS mean, WEEK('2026-01-02') AS week,
       DATE_FORMAT('2026-01-05', '%M %W') AS named, GREATEST('a', 'B') AS greatest,
       GROUP_CONCAT(p.owner ORDER BY p.id) AS owners, CAST('x ' AS CHAR) = 'x' AS padded,
       STD(m.amount) AS deviation, CAST(7 AS UNSIGNED) - 5 AS unsigned_difference,
       REGEXP_REPLACE(m.ref, 'A.*Y', '-') AS replaced, DATE_FORMAT(m.made_at, '%a %b') AS day
FROM movement m JOIN Purse p ON p.id <= 5 WHERE m.note IS NULL OR m.id IS NULL OR m.purse > 2
GROUP BY m.id, m.ref, m.amount, m.made_at'''
key = ["id"]
message = "row {id}"
"""


def fill(database: Database) -> None:
    """Create the tables, with their rows."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        for statement in TABLES.split(";\n"):
            cursor.execute(statement)


def checks_in(folder: Path) -> dict[str, Check]:
    """The checks, by name; the folder is for a file."""
    return configured(CHECKS, folder)


def outcomes(checks: Iterable[Check], sources: Sources) -> dict[str, Any]:
    """What each check says, less what changes with the time; of an error its words."""
    return {each.name: _outcome(each, sources) for each in checks}


def _outcome(check: Check, sources: Sources) -> Any:
    try:
        result = check.evaluate(sources)
    except CheckError as error:
        return str(error)
    told = check.kind != "stuck"  # which says for how long
    findings = [
        (dict(each.key), each.message if told else "", dict(each.evidence) if told else "")
        for each in result.findings
    ]
    measures = {n: v for n, v in result.measures.items() if not n.endswith("seconds")}
    return result.violations, result.examined, findings, result.notes, measures
