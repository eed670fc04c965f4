"""Conditions of the configuration: a small part of SQL, parsed, and built anew for each database.

What is allowed: columns, whole numbers, texts, TRUE, FALSE, NULL, comparisons, `<=>`, AND, OR, NOT,
IS, IN with a list, BETWEEN, LIKE, `+ - *`, COALESCE, `non_empty_array(column)`. Everything else,
a sub-query or SLEEP() for example, is refused, so that a configuration cannot make the worker
write, wait or read elsewhere.
"""

from collections.abc import Callable
from typing import Any

import sqlglot
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import (
    ColumnElement,
    Numeric,
    TableClause,
    and_,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    true,
)
from sqlglot import exp

from checks.sql import non_empty_array

Built = ColumnElement[Any]

_EXACT = Numeric(38, 0)
"""BIGINT arithmetic overflows (MySQL error 1690); DECIMAL(38,0) does not for sums of two."""

_OPERATORS: dict[type[exp.Expr], Callable[[Built, Built], Built]] = {
    exp.EQ: lambda a, b: a.op("=", is_comparison=True)(b),
    exp.NEQ: lambda a, b: a.op("<>", is_comparison=True)(b),
    exp.NullSafeEQ: lambda a, b: a.is_not_distinct_from(b),
    exp.LT: lambda a, b: a < b,
    exp.LTE: lambda a, b: a <= b,
    exp.GT: lambda a, b: a > b,
    exp.GTE: lambda a, b: a >= b,
    exp.And: and_,
    exp.Or: or_,
    exp.Add: lambda a, b: cast(a, _EXACT) + cast(b, _EXACT),
    exp.Sub: lambda a, b: cast(a, _EXACT) - cast(b, _EXACT),
    exp.Mul: lambda a, b: cast(a, _EXACT) * cast(b, _EXACT),
    exp.Like: lambda a, b: a.like(b),
}


class Expression:
    """A condition over the columns of one table.

    Raises ValueError, saying what is wrong and where, when the text is not in the allowed part of
    SQL.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._tree = _parse(source)
        self.columns = tuple(
            dict.fromkeys(column.name for column in self._tree.find_all(exp.Column))
        )
        """The columns it names, each once."""
        names = {name: literal(None) for name in self.columns}
        _build(self._tree, names.__getitem__)  # finds what is not allowed, at once

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def on(self, table: TableClause) -> Built:
        """The condition on a table's columns; its value may be NULL."""
        return _build(self._tree, table.c.__getitem__)

    def holds_for(self, table: TableClause) -> Built:
        """Whether the condition is true; false where it is false or unknown, never NULL."""
        return func.coalesce(self.on(table), false())

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def _parse(source: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(source, read="mysql")
    except sqlglot.errors.ParseError as error:
        details = error.errors[0] if error.errors else {}
        raise ValueError(
            f"not a condition: {details.get('description', 'cannot be read')}"
            f" (column {details.get('col', 1)} of {source!r})"
        ) from None
    except RecursionError:
        raise ValueError("not a condition: nested too deeply") from None
    except sqlglot.errors.SqlglotError as error:
        raise ValueError(f"not a condition: {source!r} ({error})") from None


Build = Callable[[exp.Expr], Built]


def _build(node: exp.Expr, column: Callable[[str], Built]) -> Built:
    def build(part: exp.Expr) -> Built:
        return _build(part, column)

    if isinstance(node, exp.Column) and not node.table:
        return column(node.name)
    if operator := _OPERATORS.get(type(node)):
        return operator(build(node.this), build(node.expression)).self_group()
    if builder := _BUILDERS.get(type(node)):
        return builder(node, build)
    raise ValueError(f"not allowed in a condition: {node.sql(dialect='mysql')}")


def _literal(node: exp.Expr, _build: Build) -> Built:
    if node.is_string:
        return literal(node.this)
    if not node.is_int:
        raise ValueError(f"amounts are whole numbers: {node.this}")
    return literal(int(node.this))


def _in(node: exp.Expr, build: Build) -> Built:
    if not node.expressions:
        raise ValueError("IN takes a list of values")
    return build(node.this).in_([build(each) for each in node.expressions])


def _function(node: exp.Expr, build: Build) -> Built:
    if node.name.lower() != "non_empty_array":
        raise ValueError(f"not allowed in a condition: {node.sql(dialect='mysql')}")
    if len(node.expressions) != 1 or not isinstance(node.expressions[0], exp.Column):
        raise ValueError("non_empty_array takes one column")
    return non_empty_array(build(node.expressions[0]))


_BUILDERS: dict[type[exp.Expr], Callable[[exp.Expr, Build], Built]] = {
    exp.Paren: lambda node, build: build(node.this).self_group(),
    exp.Literal: _literal,
    exp.Boolean: lambda node, _: true() if node.this else false(),
    exp.Null: lambda _node, _build: null(),
    exp.Not: lambda node, build: not_(build(node.this)),
    exp.Neg: lambda node, build: -build(node.this),
    exp.Is: lambda node, build: build(node.this).is_(build(node.expression)),
    exp.In: _in,
    exp.Between: lambda node, build: build(node.this).between(
        build(node.args["low"]), build(node.args["high"])
    ),
    exp.Coalesce: lambda node, build: func.coalesce(
        build(node.this), *(build(each) for each in node.expressions)
    ),
    exp.Anonymous: _function,
}
