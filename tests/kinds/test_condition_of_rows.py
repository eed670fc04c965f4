"""`when` of the kinds that ask something of each row: which rows the rule is about."""

from typing import Any

import pytest

from tests.support.ledgers import Ledger, check, keys

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(20), n bigint, s varchar(9))"
ROWS = [(1, "", -1, "live"), (2, "", -2, "gone"), (3, None, -3, None), (4, "x", 4, "live")]
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("blank", {"column": "k"}),
    ("non_negative", {"columns": ["n"]}),
    ("condition", {"expression": "n > 0", "tally": "s"}),
    ("key_format", {"column": "k", "patterns": ["{int}"]}),
]


@pytest.mark.parametrize(("kind", "fields"), ASKED[:3])
def test_rule_is_about_some_rows(ledger: Ledger, kind: str, fields: dict[str, Any]) -> None:
    """Rows for which the condition is false or unknown are neither violations nor examined."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k, n, s", ROWS)
    given = {**fields, "primary_key": "id", "when": "s = 'live'"}
    result = ledger.run(kind, "t", **given)
    assert (keys(result), result.violations, result.examined) == ([{"id": 1}], 1, 2)
    assert set(result.findings[0].evidence) <= {"k", "n", "s"}
    one = check(kind, "t", **given)
    assert one.excluded == ("rows for which this is not true: s = 'live'",)
    if ledger.backend != "sqlite":
        for asked in ((), keys(result)):
            statement = one.look(asked)
            assert statement is not None
            assert [row[0] for row in ledger.sql(statement)] == [1]


def test_tally_counts_the_rows_of_the_rule(ledger: Ledger) -> None:
    """Rows that the rule is not about are in no state."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k, n, s", ROWS)
    fields = {"primary_key": "id", "expression": "n > 0", "tally": "k"}
    assert ledger.run("condition", "t", **fields, when="s = 'live'").measures == {"": 1, "x": 1}


def test_evidence_of_a_blank_value_is_the_value(ledger: Ledger) -> None:
    """The columns of the condition are no evidence: a report would take them for blank ones."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k, n, s", ROWS)
    result = ledger.run("blank", "t", primary_key="id", column="k", when="s = 'live' AND n < 0")
    assert result.findings[0].evidence == {"k": ""}


@pytest.mark.parametrize(("kind", "fields"), ASKED)
def test_no_condition_leaves_a_check_as_it_was(kind: str, fields: dict[str, Any]) -> None:
    """The cursors of a configuration without a condition stay valid."""
    plain = check(kind, "t", **fields, primary_key="id")
    assert ("when" in plain.cursor_owner) == (kind == "key_format")
    some = check(kind, "t", **fields, primary_key="id", when="n > 0")
    assert some.cursor_owner != plain.cursor_owner
