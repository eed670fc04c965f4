"""`row_count`: how many rows a table has, and whether that is within bounds."""

import pytest
from pydantic import ValidationError

from checks.contract import CheckError, Finding
from tests.support.ledgers import Ledger, check, on_any


@on_any
@pytest.mark.parametrize(
    ("bounds", "violations"),
    [
        ({}, 0),
        ({"at_least": 3}, 0),
        ({"at_most": 3}, 0),
        ({"at_least": 4}, 1),
        ({"at_most": 2}, 1),
        ({"at_least": 1, "at_most": 2}, 1),
    ],
)
def test_bounds_are_inclusive(ledger: Ledger, bounds: dict[str, int], violations: int) -> None:
    """A count equal to a bound is within it, one beyond is a violation."""
    ledger.sql("CREATE TABLE t (id int)", "INSERT INTO t VALUES (1), (2), (2)")
    result = ledger.run("row_count", "t", **bounds)
    assert (result.examined, result.violations) == (3, violations)
    assert result.measures == {"rows": 3}


@on_any
def test_finding_says_what_was_allowed(ledger: Ledger) -> None:
    """The finding is the table's, and tells both the count and the bounds."""
    ledger.sql("CREATE TABLE t (id int)")
    (finding,) = ledger.run("row_count", "t", at_least=1, at_most=9).findings
    message = "t has 0 rows, allowed are at least 1 and at most 9"
    assert finding == Finding({"table": "t"}, message, {"rows": 0})


def test_bounds_out_of_order_are_refused() -> None:
    """Bounds that no count can meet are a mistake of the configuration."""
    with pytest.raises(ValidationError, match=r"at_most \(1\) is below at_least \(2\)"):
        check("row_count", "t", at_least=2, at_most=1)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        check("row_count", "t", at_most=-1)


@on_any
def test_missing_table_cannot_be_answered(ledger: Ledger) -> None:
    """Without its table the check has no answer, not a count of zero."""
    with pytest.raises(CheckError, match="table t does not exist") as caught:
        ledger.run("row_count", "t", at_most=0)
    assert caught.value.permanent
