"""Texts where a number is meant: judged as the number that they spell, or refused, never as 0."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checks.contract import CheckError
from tests.support.ledgers import Ledger, check, keys, on_servers

_TYPES = (
    "varchar(40) COLLATE utf8mb4_unicode_ci",
    "varbinary(40)",
    "varchar(40) CHARACTER SET latin1",
    "mediumtext",
)
_MOST = Decimal("1e35")
"""With 30 digits behind the point, the first number that has too many before it."""


def _number(text: str) -> Decimal | None:
    """The number that a text spells with nothing but white space beside it, if a server has it."""
    try:
        found = Decimal(text.strip(" \t\n\r")) if "_" not in text else None
    except ArithmeticError:
        return None
    return found if found is not None and found.is_finite() and abs(found) < _MOST else None


@on_servers
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(
    _TYPES[0], ["abc", "", " ", "1a", "0x10", "-", ".", "1e", "e1", "1 2", "--1", "NaN", "Infinity"]
)
@example(
    _TYPES[1],
    ["-1", "+1", " 5 ", "5.", ".5", "-.5", "1e2", "-1E-2", "0", "-0", "0.0000001", "12\n"],
)
@example(_TYPES[2], ["1e64", "1e65", "1e999", "9" * 36])
@given(
    st.sampled_from(_TYPES),
    st.lists(st.text("0123456789+-.eE abx", max_size=12), min_size=1, max_size=20),
)
def test_a_text_is_compared_as_the_number_that_it_spells(
    ledger: Ledger, type_: str, texts: list[str]
) -> None:
    """One that spells none has not been shown to be more than a number, or the same."""
    ledger.clear()
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, v {type_})")
    ledger.insert("t", "id, v", enumerate(texts))
    numbers = [_number(each) for each in texts]
    rules: dict[str, Callable[[Decimal], bool]] = {
        "v >= 0": lambda n: n >= 0,
        "0 = v": lambda n: n == 0,
        "v + 1 > 0.5": lambda n: n + 1 > Decimal("0.5"),
        "v BETWEEN -1 AND 1": lambda n: -1 <= n <= 1,
        "v IN (0, 5)": lambda n: n in (0, 5),
    }
    for source, holds in rules.items():
        wrong = [n for n, value in enumerate(numbers) if value is None or not holds(value)]
        found = ledger.run("condition", "t", expression=source, primary_key="id")
        assert [key["id"] for key in keys(found)] == wrong, (source, texts)


def test_a_text_within_json_is_compared_as_the_number_that_it_spells(ledger: Ledger) -> None:
    """A number and the text of one are the same; a text that spells none is not shown to fit."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, j text)")
    amounts = ["5", '"5"', "-5", '"abc"', '""', "[]", "null", "10"]
    ledger.insert("t", "id, j", [(n, f'{{"a": {each}}}') for n, each in enumerate(amounts)])
    wrong = ledger.run("condition", "t", expression="j->>'$.a' >= 5", primary_key="id")
    assert [key["id"] for key in keys(wrong)] == [2, 3, 4, 5, 6]


@on_servers
def test_an_enum_is_compared_by_what_it_says(ledger: Ledger) -> None:
    """Not by its place among the values, which is the number that a server takes it for."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, e enum('7', '-1', 'none'))")
    ledger.insert("t", "id, e", [(1, "7"), (2, "-1"), (3, "none")])
    wrong = ledger.run("condition", "t", expression="e >= 0", primary_key="id")
    assert keys(wrong) == [{"id": 2}, {"id": 3}]


@on_servers
def test_null_is_told_from_a_text_that_spells_no_number(ledger: Ledger) -> None:
    """To ask for NULL is no comparison with a number."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, v varchar(9))")
    ledger.insert("t", "id, v", [(1, None), (2, "abc")])
    wrong = ledger.run("condition", "t", expression="v <=> NULL", primary_key="id")
    assert keys(wrong) == [{"id": 2}]


_KINDS: dict[str, dict[str, Any]] = {
    "non_negative": {"table": "t", "columns": ["v"]},
    "amounts": {"kind": "non_negative", "table": "t", "amounts": ["v + 1"]},
    "balance": {"table": "b", "ledger": "t", "by": ["g"], "sums": {"n": "v"}},
    "aggregate": {"table": "b", "by": ["g"], "details": "t", "sums": {"n": "v"}},
    "conservation": {"table": "t", "by": ["g"], "sum": "v", "settle": "0s"},
    "backing": {
        "table": "b",
        "amount": "n",
        "by": ["g"],
        "holders": [{"table": "t", "by": ["g"], "amount": "v", "when": "TRUE"}],
    },
    "posting": {
        "table": "b",
        "ledger": "t",
        "ledger_key": "{g}",
        "ledger_key_column": "k",
        "sum": {"n": "v"},
        "reverse": False,
        "settle": "0s",
        "primary_key": "id",
        "ledger_primary_key": "id",
    },
    "ledger_sum": {
        "kind": "posting",
        "table": "b",
        "ledger": "t",
        "ledger_key": "{g}",
        "ledger_key_column": "k",
        "ledger_sum": {"n": "v + 0"},
        "reverse": False,
        "settle": "0s",
        "primary_key": "id",
        "ledger_primary_key": "id",
    },
    "equal": {
        "kind": "reference",
        "table": "b",
        "columns": ["id"],
        "parent": "t",
        "parent_columns": ["id"],
        "equal": {"n": "v"},
        "settle": "0s",
        "primary_key": "id",
        "parent_primary_key": "id",
    },
}


@on_servers
@pytest.mark.parametrize("type_", ["varchar(9)", "enum('abc')", "varbinary(9)", "text"])
@pytest.mark.parametrize("name", _KINDS)
def test_no_kind_takes_a_text_for_an_amount(ledger: Ledger, name: str, type_: str) -> None:
    """The check is an error that names the column, before anything is counted as 0."""
    ledger.sql(
        f"CREATE TABLE t (id bigint PRIMARY KEY, g bigint, k varchar(9), v {type_})",
        "CREATE TABLE b (id bigint PRIMARY KEY, g bigint, n bigint)",
        "INSERT INTO t VALUES (1, 1, '1', 'abc')",
        "INSERT INTO b VALUES (1, 1, 0)",
    )
    fields = {"kind": name, **_KINDS[name]}
    with pytest.raises(CheckError, match=r"(?=.*\bv\b).*(amount|cannot be compared)") as caught:
        check(**fields).evaluate(ledger.sources)
    assert type_.partition("(")[0] in str(caught.value)
