"""Statements as people read them: values that mean the same in every SQL mode, a clause a line."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Select, and_, case, exists, func, literal_column, or_, select, union_all

from checks.sql.functions import only_white_space
from checks.sql.layout import literal
from checks.sql.render import render
from checks.sql.statements import rows_of
from tests.support.ledgers import check

T = rows_of("t", ["id", "a b", "k"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (-7, "-7"),
        (Decimal("1.50"), "1.50"),
        (b"\0\xff", "x'00ff'"),
        ("a b%_-", "'a b%_-'"),
        ("it's", "_utf8mb4 x'69742773'"),
        ("\\", "_utf8mb4 x'5c'"),
        ("\u00e9\n", "_utf8mb4 x'c3a90a'"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC).replace(tzinfo=None), "'2026-01-02 03:00:00'"),
    ],
)
def test_value(value: object, text: str) -> None:
    """A value is written so that no SQL mode, shell or character set changes it."""
    assert literal(value) == text


def test_clauses_and_conditions_have_lines() -> None:
    """Each clause begins a line, and each condition; what BETWEEN and CASE hold does not."""
    statement = (
        select(T.c.k, func.count().label("rows"))
        .where(T.c.id.between(1, 2), or_(T.c.k.is_(None), T.c["a b"].is_not_distinct_from("x")))
        .group_by(T.c.k)
        .having(func.sum(case((and_(T.c.id > 0, T.c.k == "y"), 1), else_=0)) > 1)
        .order_by(T.c.k)
    )
    assert render(statement.limit(100)).splitlines() == [
        "SELECT `k`, COUNT(*) AS `rows`",
        "FROM `t`",
        "WHERE `id` BETWEEN 1 AND 2",
        "  AND (`k` IS NULL OR `a b` <=> 'x')",
        "GROUP BY `k`",
        "HAVING SUM(CASE WHEN (`id` > 0 AND `k` = 'y') THEN 1 ELSE 0 END) > 1",
        "ORDER BY `k`",
        "LIMIT 100",
    ]


def test_alternatives_have_lines() -> None:
    """Where an OR binds a condition, its parts have the lines: an AND at the edge would mislead."""
    condition = or_(T.c.k == "x", and_(T.c.id > 1, T.c.id < 5))
    assert render(select(T.c.id).where(condition)).splitlines()[2:] == [
        "WHERE `k` = 'x'",
        "  OR `id` > 1 AND `id` < 5",
    ]


def test_statements_within_stand_further_in() -> None:
    """Of several tables each column is told with its own; a statement within is indented."""
    near = T.alias("near")
    inside = exists().where(T.c.id == near.c.id, T.c.k.is_(None))
    one: Select[Any] = select(literal_column("near.*")).select_from(near).where(~inside)
    assert render(union_all(one, one)).splitlines()[:8] == [
        "SELECT near.*",
        "FROM `t` AS `near`",
        "WHERE NOT (EXISTS (",
        "    SELECT *",
        "    FROM `t`",
        "    WHERE `t`.`id` = `near`.`id`",
        "      AND `t`.`k` IS NULL",
        "))",
    ]


def test_what_a_construct_writes_itself_is_plain() -> None:
    """A text that a construct of ours writes into the statement is spelled like any other."""
    text = render(select(T.c.id).where(only_white_space(T.c.k)))
    assert text.isascii()
    assert "`k` REGEXP _utf8mb4 x'5e5b090a0b" in text


@given(value=st.text(), name=st.text("a`'\"\\ (\n.", min_size=1))
def test_no_value_and_no_name_becomes_sql(value: str, name: str) -> None:
    """Whatever a value or a name holds, the statement is one SELECT with it inside."""
    rows = rows_of("t", [name])
    text = render(select(rows.c[name]).where(rows.c[name] == value).limit(1))
    (tree,) = sqlglot.parse(text, read="mysql")
    assert isinstance(tree, sqlglot.exp.Select)
    assert [each.name for each in tree.find_all(sqlglot.exp.Column)] == [name, name]


def test_statements_of_a_run() -> None:
    """A check of rows says what a run executes: the predicate of what people look with."""
    one = check("non_negative", "t", primary_key="id", columns=["amount"])
    counts, sample = one.statements(datetime.now(UTC), UTC)
    look = one.look()
    assert look is not None
    assert "CASE WHEN (`amount` < 0)" in counts
    assert "WHERE `amount` < 0\n" in sample
    assert "WHERE `amount` < 0\n" in look
