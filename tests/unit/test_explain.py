"""`reconciler explain` without a database, and what it makes of the servers' answers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner, Result

from checks.registry import KINDS
from checks.sql.executed import executed
from checks.types import duration_text, parse_duration
from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.snapshots import Text
from worker import config
from worker.cli.main import app
from worker.explain import describe
from worker.explain.query_plan import rows_joined, steps_of_mysql, steps_of_sqlite


def reconciler(*arguments: str) -> Result:
    """Run the command line with these arguments on the shipped configuration."""
    return CliRunner().invoke(app, [*arguments, "--config", str(SHIPPED)], env=quiet())


@pytest.mark.parametrize(
    "name",
    [
        "account_asset_balances.non_negative",
        "lottery_draws.cost_posting",
        "lottery_draws.key_format.idempotency_key",
        "account_asset_balances.ledger_balance",
        "app.conflict_rate",
    ],
)
def test_a_check_is_explained_without_a_database(name: str, snapshot: SnapshotAssertion) -> None:
    """What it asks, leaves out and needs, when it runs, and its SQL, from the configuration."""
    result = reconciler("explain", name)
    assert result.exit_code == 0
    assert result.stdout == snapshot(extension_class=Text)


def test_every_kind_says_what_it_asks() -> None:
    """Each check of the shipped configuration is explained; together they are of all kinds."""
    current = config.load(SHIPPED, quiet())
    described = [describe(current, each) for each in current.checks]
    assert {each.kind for each in described} == {k.model_fields["kind"].default for k in KINDS}
    for each in described:
        assert each.asks.endswith("."), each.name
        assert all(each.leaves_out), each.name
        assert each.alert in each.runbook


def test_programs_read_the_same() -> None:
    """JSON has all of it; `runs` is null where no database was asked."""
    result = reconciler("explain", "lottery_draws.asset_transaction_id", "--format", "json")
    (check,) = json.loads(result.stdout)["checks"]
    assert check["runs"] is None
    assert check["needs"]["accounts"] == ["account_id", "user_id"]
    assert check["schedule"]["incremental"] == {"lottery_draws": "created_at"}
    assert (check["schedule"]["every"], check["schedule"]["soonest"]) == ("30s", "4s")
    assert "FROM `lottery_draws`" in check["inspection_query"]


def test_names_are_chosen_as_by_check() -> None:
    """Patterns choose checks; an unknown name is wrong usage and suggests the nearest."""
    result = reconciler("explain", "accounts.*")
    assert result.stdout.count("\n  asks ") == 7
    unknown = reconciler("explain", "accounts.rowcount")
    assert unknown.exit_code == 2
    assert "the nearest existing name is accounts.row_count" in unknown.stderr
    assert reconciler("explain").exit_code == 2


@pytest.mark.parametrize("text", ["0s", "90s", "10m", "1h", "7d"])
def test_durations_are_written_as_they_are_read(text: str) -> None:
    """A duration goes back to the largest unit that takes a whole number."""
    assert text == "0s" or duration_text(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("statement", "values", "text"),
    [
        ("SELECT a FROM t WHERE b = %(b)s", {"b": "x"}, "SELECT a\nFROM t\nWHERE b = 'x'"),
        ("SELECT %(a)s LIKE 'b%%'", {"a": None}, "SELECT NULL LIKE 'b%'"),
        ("SELECT %(a)s", {"a": "it's"}, "SELECT _utf8mb4 x'69742773'"),
        ("SELECT ? = '?' , \"?\"", ("it's",), "SELECT CAST(x'69742773' AS TEXT) = '?' , \"?\""),
        ("SELECT a IN (?, ?, ?)", (7, 7, 1), "SELECT a IN (…, 1)"),
    ],
)
def test_a_statement_as_it_was_executed(
    statement: str, values: Mapping[str, object] | tuple[object, ...], text: str
) -> None:
    """Values stand where the driver puts them, in a form that means the same anywhere."""
    assert executed(statement, values, lambda value: value == 7) == text


def row(**fields: Any) -> dict[str, Any]:
    """A line of `EXPLAIN` as MySQL gives it."""
    nothing = dict.fromkeys(("table", "type", "key", "ref", "rows", "Extra"))
    return {"id": 1, "select_type": "SIMPLE"} | nothing | fields


STATEMENT = "SELECT 1 FROM (ledger AS far JOIN accounts AS a ON a.id = far.a), x AS y"


@pytest.mark.parametrize(
    ("answer", "words", "scanned"),
    [
        (
            row(table="far", type="ALL", rows=200123),
            "ledger: FULL TABLE SCAN, about 200,123 rows",
            200123,
        ),
        (
            row(table="y", type="index", key="k", rows=1, Extra="Using where; Using index"),
            "x: index scan of k, about 1 row (covering)",
            1,
        ),
        (
            row(table="t", type="ref", key="k", ref="const,const", rows=5),
            "t: by index k, about 5 rows",
            None,
        ),
        (
            row(table="a", type="ref", key="k", ref="ledger.far.a", rows=5),
            "accounts: by index k, about 5 rows each time",
            None,
        ),
        (
            row(
                table="t",
                type="hash_ALL",
                rows=9,
                Extra="Using where; Using join buffer (flat, BNLH join)",
            ),
            "t: FULL TABLE SCAN, about 9 rows, joined without an index",
            9,
        ),
        (
            row(select_type="DEPENDENT SUBQUERY", table="t", type="range", key="k", rows=2),
            "for each row outside: t: a range of index k, about 2 rows",
            None,
        ),
        (
            row(table="<derived2>", type="ALL", rows=4, Extra="Using temporary; Using filesort"),
            "the result of inner statement 2: all about 4 rows, sorted, in a temporary table",
            None,
        ),
        (
            row(Extra="Impossible WHERE noticed after reading const tables"),
            "no row can meet the condition",
            None,
        ),
    ],
)
def test_the_answer_of_a_server_in_words(
    answer: dict[str, Any], words: str, scanned: int | None
) -> None:
    """Tables by their own names, which index, how many rows, and whether all of them are read."""
    (step,) = steps_of_mysql(STATEMENT, [answer])
    assert (step.words, step.scanned_rows) == (words, scanned)


def test_joined_rows_are_multiplied() -> None:
    """Rows that are looked up for each row before them count so many times; other ids do not."""
    near, far = row(table="near", rows=100), row(table="far", rows=30)
    assert rows_joined([near, far, row(id=2, table="t", rows=9)]) == 100 + 100 * 30
    assert rows_joined([near]) is None
    assert rows_joined([{"id": 1, "detail": "SCAN t"}]) is None


def test_what_has_no_table_says_nothing() -> None:
    """Neither a statement without tables nor the line that joins a union's parts is a step."""
    union = row(select_type="UNION RESULT", table="<union1,2>", type="ALL")
    assert steps_of_mysql("SELECT 1", [row(Extra="No tables used"), union]) == []


def test_the_answer_of_sqlite_in_words() -> None:
    """Inner results and the shape of the answer are left out; an ordered index may end early."""
    details = [
        "CO-ROUTINE e",
        "SCAN far",
        "USE TEMP B-TREE FOR GROUP BY",
        "SCAN e",
        "SCAN CONSTANT ROW",
    ]
    steps = steps_of_sqlite(STATEMENT, [{"detail": each} for each in details])
    assert [each.words for each in steps] == ["ledger: FULL TABLE SCAN", "sorted for GROUP BY"]
    ordered = "SELECT id FROM t ORDER BY t.id DESC LIMIT ? OFFSET ?"
    (step,) = steps_of_sqlite(ordered, [{"detail": "SCAN t USING COVERING INDEX k"}])
    assert (step.words, step.scanned_rows) == ("t: index scan of k, until there are enough", None)
