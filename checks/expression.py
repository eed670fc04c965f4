"""Conditions of the configuration: a small part of SQL, parsed, and built anew for each database.

What is allowed: columns, whole numbers, texts, TRUE, FALSE, NULL, comparisons, `<=>`, AND, OR, NOT,
IS, IN with a list, BETWEEN, LIKE, `+ - *`, COALESCE, `non_empty_array(column)`. Everything else,
a sub-query or SLEEP() for example, is refused, so that a configuration cannot make the worker
write, wait or read elsewhere.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import sqlglot
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import (
    ColumnElement,
    Connection,
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
from sqlalchemy.sql.elements import Grouping
from sqlglot import exp

from checks import catalog
from checks.sql import non_empty_array

Built = ColumnElement[Any]

_EXACT = Numeric(50, 10)
"""BIGINT arithmetic overflows (MySQL error 1690); this holds products of two, and fractions."""


def _comparison(operator: str) -> Callable[[Built, Built], Built]:
    # SQLAlchemy's own operators refuse NULL, TRUE and FALSE, or read them in another way.
    return lambda a, b: a.op(operator, is_comparison=True)(b)


_OPERATORS: dict[type[exp.Expr], Callable[[Built, Built], Built]] = {
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.NullSafeEQ: lambda a, b: a.is_not_distinct_from(b),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.And: and_,
    exp.Or: or_,
    exp.Add: lambda a, b: cast(a, _EXACT) + cast(b, _EXACT),
    exp.Sub: lambda a, b: cast(a, _EXACT) - cast(b, _EXACT),
    exp.Mul: lambda a, b: cast(a, _EXACT) * cast(b, _EXACT),
}


class Expression:
    """A condition, or a value, over the columns of one table.

    Raises ValueError, saying what is wrong and where, when the text is not in the allowed part of
    SQL.
    """

    qualified: ClassVar[bool] = False
    """Whether a column may be one of another table: `accounts.user_id`."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._tree = _parse(source)
        found = list(self._tree.find_all(exp.Column))
        if not self.qualified and (foreign := next((c for c in found if c.table), None)):
            raise ValueError(f"not allowed in a condition: {foreign.sql(dialect='mysql')}")
        self.columns = tuple(dict.fromkeys(_name(column) for column in found))
        """The columns it names, each once."""
        names = {name: literal(None) for name in self.columns}
        _build(self._tree, names.__getitem__)  # finds what is not allowed, at once

    @property
    def is_column(self) -> bool:
        """Whether it is a column and nothing else."""
        return isinstance(self._tree, exp.Column) and self.source in self.columns

    def may_be_long(self, column: Callable[[str], catalog.Column]) -> bool:
        """Whether its value may be a text of any length: that of a column which may hold such."""
        takes_over = isinstance(self._tree, exp.Column | exp.Coalesce)
        return takes_over and any(column(name).is_long for name in self.columns)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def on(self, table: TableClause) -> Built:
        """The condition on a table's columns; its value may be NULL."""
        return _build(self._tree, table.c.__getitem__)

    def over(self, column: Callable[[str], Built]) -> Built:
        """The same, with each column looked up by its name, `table.column` if it is qualified."""
        return _build(self._tree, column)

    def holds_for(self, table: TableClause) -> Built:
        """Whether the condition is true; false where it is false or unknown, never NULL."""
        return func.coalesce(self.on(table), false())

    def complaints(self, connection: Connection, table: str) -> Iterator[str]:
        """What it compares an ENUM with, on rows of a table, that the ENUM never is."""
        for node in self._tree.find_all(exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.In):
            sides = [node.this, *node.expressions, *filter(None, (node.args.get("expression"),))]
            texts = [each.this for each in sides if each.is_string]
            for column in [each for each in sides if isinstance(each, exp.Column)]:
                found = catalog.columns(connection, column.table or table).get(column.name)
                if found is None or found.members is None:
                    continue
                for text in [each for each in texts if not found.may_be(each)]:
                    what = f"{_name(column)} is {found.type}, never {text!r}"
                    yield f"{self.source!r}: {what}{catalog.nearest(text, found.members)}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class FarExpression(Expression):
    """An expression that may also name columns of joined tables: `accounts.user_id`."""

    qualified = True

    @property
    def is_qualified(self) -> bool:
        """Whether it does."""
        return any("." in name for name in self.columns)


def _name(column: exp.Column) -> str:
    return f"{column.table}.{column.name}" if column.table else column.name


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

    if isinstance(node, exp.Column) and not node.args.get("db"):
        built = column(_name(node))
    elif operator := _OPERATORS.get(type(node)):
        built = Grouping(operator(build(node.this), build(node.expression)))
    elif builder := _BUILDERS.get(type(node)):
        # The text's own precedence: SQLAlchemy would leave out parentheses that it needs.
        built = builder(node, build)
        built = built if type(node) in _ATOMS else Grouping(built)
    else:
        raise ValueError(f"not allowed in a condition: {node.sql(dialect='mysql')}")
    if any(value and name not in _ARGUMENTS for name, value in node.args.items()):
        raise ValueError(f"not allowed in a condition: {node.sql(dialect='mysql')}")
    return built


def _literal(node: exp.Expr, _build: Build) -> Built:
    if node.is_string:
        return literal(node.this)
    if not node.is_int:
        raise ValueError(f"amounts are whole numbers: {node.this}")
    return literal(int(node.this))


def _is(node: exp.Expr, build: Build) -> Built:
    if not isinstance(node.expression, exp.Null | exp.Boolean):
        raise ValueError("IS takes NULL, TRUE or FALSE")  # noqa: TRY004 - what pydantic catches
    return build(node.this).is_(build(node.expression))


def _in(node: exp.Expr, build: Build) -> Built:
    if not node.expressions:
        raise ValueError("IN takes a list of values")
    return build(node.this).in_([build(each) for each in node.expressions])


def _like(node: exp.Expr, build: Build) -> Built:
    like = build(node.this).like(build(node.expression))
    return not_(Grouping(like)) if node.args.get("negate") else like


def _function(node: exp.Expr, build: Build) -> Built:
    if node.name.lower() != "non_empty_array":
        raise ValueError(f"not allowed in a condition: {node.sql(dialect='mysql')}")
    if len(node.expressions) != 1 or not isinstance(node.expressions[0], exp.Column):
        raise ValueError("non_empty_array takes one column")
    return non_empty_array(build(node.expressions[0]))


_ARGUMENTS = frozenset(
    {"this", "expression", "expressions", "low", "high", "negate", "table", "db", "is_string"}
)
"""What the builders read of a parsed node. A parser that learns more must not go unnoticed."""

_ATOMS = (exp.Literal, exp.Boolean, exp.Null, exp.Coalesce, exp.Anonymous)
"""What needs no parentheses around it."""

_BUILDERS: dict[type[exp.Expr], Callable[[exp.Expr, Build], Built]] = {
    exp.Paren: lambda node, build: build(node.this),
    exp.Literal: _literal,
    exp.Boolean: lambda node, _: true() if node.this else false(),
    exp.Null: lambda _node, _build: null(),
    exp.Not: lambda node, build: not_(build(node.this)),
    exp.Neg: lambda node, build: -cast(build(node.this), _EXACT),
    exp.Is: _is,
    exp.In: _in,
    exp.Like: _like,
    exp.Between: lambda node, build: build(node.this).between(
        build(node.args["low"]), build(node.args["high"])
    ),
    exp.Coalesce: lambda node, build: func.coalesce(
        build(node.this), *(build(each) for each in node.expressions)
    ),
    exp.Anonymous: _function,
}
