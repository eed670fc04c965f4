"""`explain --connect`: statements as they were executed, with plans, on each database."""

from checks.contract import EVERYTHING
from tests.support.ledgers import Ledger, check, on_mysql, on_servers
from worker.explain import Recording, record
from worker.model.run import Outcome, Scope

KEY = {"primary_key": "id", "columns": ["k"]}
MANY = 3_000


def fill(ledger: Ledger, *, index: str = "") -> None:
    """A table of some thousand rows with a text column `k`, each with another text."""
    ledger.sql(f"CREATE TABLE t (id integer PRIMARY KEY, k varchar(40) NOT NULL{index})")
    ledger.insert("t", "id, k", [(n, f"key-{n}") for n in range(1, MANY + 1)])
    ledger.sql("ANALYZE TABLE t" if ledger.backend != "sqlite" else "ANALYZE")


def recorded(ledger: Ledger, kind: str, **fields: object) -> list[Recording]:
    """What a check of the table executes."""
    return record(check(kind, "t", **fields), ledger.sources, EVERYTHING)


def test_a_statement_is_recorded_as_it_was_executed(ledger: Ledger) -> None:
    """What is shown of a run that finds nothing can be executed, and has the plan that is shown."""
    fill(ledger, index=", UNIQUE (k)")
    begin = "EXPLAIN QUERY PLAN " if ledger.backend == "sqlite" else "EXPLAIN FORMAT=TRADITIONAL "
    for kind, fields in (("duplicates", KEY), ("non_negative", KEY | {"columns": ["id"]})):
        (run,) = recorded(ledger, kind, **fields)
        assert run.run.outcome is Outcome.PASS
        assert run.about_rows
        for each in run.about_rows:
            ledger.sql(each.sql)
            again = ledger.sql(begin + each.sql)
            assert [row[-1] for row in again] == [[*row.values()][-1] for row in each.explained]
            assert each.seconds is not None
            assert each.plan


@on_servers
def test_a_table_that_is_read_in_full_is_told_with_its_rows(ledger: Ledger) -> None:
    """Without an index that serves, all rows are read, about as many as there are; by one, none."""
    fill(ledger)
    expression = {"primary_key": "id", "expression": "k <> 'x'"}
    (run,) = recorded(ledger, "condition", **expression)
    (scan,) = run.full_scans
    assert scan.table == "t"
    assert 0.8 * MANY < scan.rows < 1.2 * MANY
    assert 0.8 * MANY < run.rows["t"] < 1.2 * MANY
    assert any("t: FULL TABLE SCAN, about " in step.words for step in run.about_rows[0].plan)
    ledger.sql("ALTER TABLE t ADD COLUMN at datetime, ADD COLUMN state varchar(9) DEFAULT 'done'")
    ledger.sql("ALTER TABLE t ADD INDEX state_index (state)", "ANALYZE TABLE t")
    stuck = {"primary_key": "id", "when": "state = 'new'", "entered_at": "at", "longer_than": "1m"}
    (run,) = recorded(ledger, "stuck", **stuck)
    assert run.full_scans == []
    assert "t: by index state_index, about 1 row" in run.about_rows[0].plan[0].words


@on_servers
def test_an_incremental_run_is_shown_beside_the_complete_one(ledger: Ledger) -> None:
    """A check that follows a cursor runs twice: the second time it reads the end of the table."""
    fill(ledger)
    ledger.sql("ALTER TABLE t ADD COLUMN at datetime DEFAULT '2026-01-01 00:00:00'")
    fields = {"primary_key": "id", "column": "k", "patterns": ["key-{int}"]}
    complete, later = recorded(ledger, "key_format", **fields, cursor="id", written_at="at")
    assert (complete.follows_cursor, later.follows_cursor) == (False, True)
    assert (complete.run.scope, later.run.scope) == (Scope.COMPLETE, Scope.INCREMENTAL)
    assert [scan.table for scan in complete.full_scans] == ["t"]
    assert any("`id` >= …" in each.sql.replace("t.id", "`id`") for each in later.about_rows)


def test_values_of_rows_are_not_shown(ledger: Ledger) -> None:
    """Where a run asks for rows by what it has read of them, the values stand as `…`."""
    fill(ledger)
    ledger.sql("UPDATE t SET k = 'secret-of-somebody' WHERE id IN (1700, 2900)")
    (run,) = recorded(ledger, "duplicates", **KEY)
    assert run.run.outcome is Outcome.FAIL
    shown = " ".join(each.sql for each in run.statements)
    assert "…" in shown
    for value in ("secret", "1700", "2900", b"secret-of-somebody".hex()):
        assert value not in shown


def test_a_run_that_cannot_be_evaluated_says_why(ledger: Ledger) -> None:
    """Of a table that is not there nothing is executed; the error names it."""
    (run,) = recorded(ledger, "duplicates", **KEY)
    assert run.run.outcome is Outcome.ERROR
    assert run.run.error is not None
    assert "table t does not exist" in run.run.error
    assert run.about_rows == []


@on_mysql
def test_a_statement_that_fails_has_its_plan(ledger: Ledger) -> None:
    """A statement is explained before it is executed, as one that the time limit stops shows."""
    ledger.sql("CREATE TABLE t (id integer PRIMARY KEY, k longtext)")
    ledger.insert("t", "id, k", [(1, "[" * 200 + "]" * 200)])
    fields = {"primary_key": "id", "expression": "non_empty_array(k) = 1"}
    (run,) = recorded(ledger, "condition", **fields)
    assert run.run.outcome is Outcome.ERROR
    *_, last = run.about_rows
    assert last.seconds is None
    assert "FULL TABLE SCAN" in last.plan[0].words
