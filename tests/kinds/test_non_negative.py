"""`non_negative`: amounts are zero or more."""

import pytest

from checks.contract import SAMPLE, CheckError
from tests.support.ledgers import Ledger, keys, messages, on_any, on_servers

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
    assert shown == ["-1E-10", -12345678901234567890]


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
