"""What `config check --connect` says of a rule from a look at some rows."""

from typing import Any

from checks.relations import Counted
from checks.sql.expression import Expression
from tests.support.ledgers import Ledger, check

FIELDS: dict[str, Any] = {
    "columns": ["p"],
    "parent": "p",
    "parent_primary_key": "id",
    "primary_key": "id",
    "settle": "0s",
}


def said(ledger: Ledger, *, counted: str | None = None, **fields: object) -> list[str]:
    """What is said of a reference of the rows of `t`, or of those that count, to those of `p`."""
    declared = check("reference", "t", **{**FIELDS, **fields})
    if counted:
        declared = declared.reading({"t": Counted("t", Expression(counted))})
    with ledger.sources.snapshot("ledger") as connection:
        return list(declared.suspicions(connection))


def test_a_rule_that_most_rows_break_or_that_is_about_few_is_told(ledger: Ledger) -> None:
    """Of the last rows only, and not of a handful."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, p int, sort varchar(9))",
    )
    ledger.insert("p", "id", [(1,)])
    ledger.insert("t", "id, p, sort", [(n, 404, "a") for n in range(10)])
    assert said(ledger) == []
    ledger.insert("t", "id, p, sort", [(n, n % 3, "a") for n in range(10, 300)])
    (most,) = said(ledger)
    assert most.startswith("133 of the last 200 rows of t that are judged break this rule")
    ledger.sql("UPDATE t SET p = 1 WHERE id > 100")
    assert said(ledger) == []
    assert said(ledger, when="sort = 'b'") == [
        "when is true for 0 of the last 200 rows of t: sort = 'b'"
    ]


def test_of_a_table_with_a_condition_the_rows_that_count_are_looked_at(ledger: Ledger) -> None:
    """A soft-deleting table is no other: its `when` is not that of the rule."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, p int, sort varchar(9), deleted int)",
    )
    ledger.insert("p", "id", [(1,)])
    ledger.insert("t", "id, p, sort, deleted", [(n, 1, "a", n % 2) for n in range(300)])
    assert said(ledger, counted="deleted = 0") == []
    assert said(ledger, counted="deleted = 0", when="sort = 'b'") == [
        "when is true for 0 of the last 100 rows of t: sort = 'b'"
    ]
