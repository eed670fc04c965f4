"""`non_negative`: amounts are zero or more."""

from typing import Any

import pytest
from pydantic import ValidationError

from checks.contract import SAMPLE, CheckError
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, free bigint, frozen bigint)"
LOWEST, HIGHEST = -(2**63), 2**63 - 1


def test_amounts_of_zero_or_more_pass(ledger: Ledger) -> None:
    """Zero, NULL and the largest BIGINT are no violation."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, free, frozen", [(1, 0, 0), (2, None, None), (3, HIGHEST, 5)])
    result = ledger.run("non_negative", "t", columns=["free", "frozen"], primary_key="id")
    assert (result.examined, result.violations) == (3, 0)
    assert result.measures == {"free": 0, "frozen": 0}


def test_rows_are_violations_and_columns_are_measures(ledger: Ledger) -> None:
    """A row negative in two columns is one violation; each column is counted for itself."""
    ledger.sql(TABLE)
    rows = [(1, -1, 0), (2, 5, LOWEST), (3, -2, -3), (4, 7, 7), (5, None, -4)]
    ledger.insert("t", "id, free, frozen", rows)
    result = ledger.run("non_negative", "t", columns=["free", "frozen"], primary_key="id")
    assert (result.violations, result.measures) == (4, {"free": 2, "frozen": 3})
    assert keys(result) == [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 5}]
    assert messages(result) == [
        "t: negative free",
        "t: negative frozen",
        "t: negative free and frozen",
        "t: negative frozen",
    ]
    assert result.findings[1].evidence == {"free": 5, "frozen": LOWEST}


def test_only_the_declared_columns_count(ledger: Ledger) -> None:
    """A negative amount in a column that nobody named is no violation."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, free, frozen", [(1, 0, -1)])
    assert ledger.run("non_negative", "t", columns=["free"], primary_key="id").violations == 0


@on_any
def test_sample_is_bounded_and_the_count_is_exact(ledger: Ledger) -> None:
    """Of too many negative rows the first by id are shown and all are counted."""
    most = SAMPLE + 7
    ledger.sql(TABLE)
    ledger.insert("t", "id, free", [(2**53 + n, -n) for n in range(most, 0, -1)])
    result = ledger.run("non_negative", "t", columns=["free"], primary_key="id")
    assert (result.violations, result.measures) == (most, {"free": most})
    assert keys(result) == [{"id": 2**53 + n} for n in range(1, SAMPLE + 1)]
    assert [finding.magnitude for finding in result.findings[:3]] == [1, 2, 3]
    assert not result.sample_is_whole


def test_primary_key_itself_may_be_negative(ledger: Ledger) -> None:
    """A column may be both the amount looked at and what rows are named by."""
    ledger.sql(TABLE)
    ledger.insert("t", "id", [(-5,), (5,)])
    result = ledger.run("non_negative", "t", columns=["id"], primary_key="id")
    assert (keys(result), messages(result)) == ([{"id": -5}], ["t: negative id"])


@on_servers
def test_fractions_are_exact(ledger: Ledger) -> None:
    """The smallest negative fraction of a DECIMAL counts and is shown exactly."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, free decimal(30,10))")
    ledger.insert(
        "t", "id, free", [(1, "-0.0000000001"), (2, "-0.0"), (3, "-12345678901234567890")]
    )
    result = ledger.run("non_negative", "t", columns=["free"], primary_key="id")
    shown = [finding.evidence["free"] for finding in result.findings]
    assert shown == ["-0.0000000001", -12345678901234567890]


@on_any
@pytest.mark.parametrize(
    ("table", "column", "message"),
    [
        ("tt", "free", "table tt does not exist, or this account may not see it; the nearest"),
        ("t", "frozem", "table t has no column frozem; the nearest existing name is frozen"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, table: str, column: str, message: str
) -> None:
    """A missing table or column is a permanent error that names the nearest one."""
    ledger.sql(TABLE)
    with pytest.raises(CheckError) as caught:
        ledger.run("non_negative", table, columns=[column], primary_key="id")
    assert str(caught.value).startswith(message)
    assert caught.value.permanent


def test_what_is_worked_out_may_not_be_negative_either(ledger: Ledger) -> None:
    """An expression over columns is judged exactly, beside columns or alone."""
    unsigned = "bigint" if ledger.backend == "sqlite" else "bigint unsigned"
    ledger.sql(
        f"CREATE TABLE t (id int PRIMARY KEY, came {unsigned}, went {unsigned}, rest decimal(9,2))"
    )
    rows = [(1, 3, 4, 1), (2, 4, 3, "-0.5"), (3, None, 1, 1), (4, 0, 2, -2), (5, 1, 1, 0)]
    ledger.insert("t", "id, came, went, rest", rows)
    alone = ledger.run("non_negative", "t", primary_key="id", amounts=["came - went"])
    assert keys(alone) == [{"id": 1}, {"id": 4}]
    assert [each.message for each in alone.findings] == ["t: negative came - went"] * 2
    fields: dict[str, Any] = {"columns": ["rest"], "amounts": ["came - went", "rest + 0.5"]}
    both = ledger.run("non_negative", "t", primary_key="id", **fields)
    assert keys(both) == [{"id": 1}, {"id": 2}, {"id": 4}]
    assert both.measures == {"rest": 2, "came - went": 2, "rest + 0.5": 1}
    assert [each.magnitude for each in both.findings] == [1, 1, 2]
    if ledger.backend != "sqlite":
        shown = ledger.sql(str(check("non_negative", "t", primary_key="id", **fields).look()))
        assert [row[0] for row in shown] == [1, 2, 4]


def test_something_is_asked() -> None:
    """Neither columns nor amounts is a mistake."""
    with pytest.raises(ValidationError, match="columns, or amounts, are missing"):
        check("non_negative", "t", primary_key="id")
