"""The syntax of conditions: texts parsed, and what is allowed of them built as expressions."""

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlalchemy import (
    ColumnElement,
    Numeric,
    and_,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    true,
)
from sqlalchemy.sql.elements import Grouping
from sqlglot import exp

from checks.sql.functions import non_empty_array

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


def name(column: exp.Column) -> str:
    """A column as it is written: `column`, or `table.column`."""
    return f"{column.table}.{column.name}" if column.table else column.name


def parse(source: str) -> exp.Expr:
    """A text as what it is made of. Raises ValueError that says what is wrong and where."""
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


def build(node: exp.Expr, column: Callable[[str], Built]) -> Built:
    """What was parsed, on columns looked up by name. Raises ValueError at what is not allowed."""

    def inner(part: exp.Expr) -> Built:
        return build(part, column)

    if isinstance(node, exp.Column) and not node.args.get("db"):
        built = column(name(node))
    elif operator := _OPERATORS.get(type(node)):
        built = Grouping(operator(inner(node.this), inner(node.expression)))
    elif builder := _BUILDERS.get(type(node)):
        # The text's own precedence: SQLAlchemy would leave out parentheses that it needs.
        built = builder(node, inner)
        built = built if type(node) in _ATOMS else Grouping(built)
    else:
        raise ValueError(f"not allowed in a condition: {node.sql(dialect='mysql')}")
    if any(value and argument not in _ARGUMENTS for argument, value in node.args.items()):
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
    return build(node.this).is_(_IS[node.expression.args.get("this")])


# Not SQLAlchemy's true(): for SQLite it writes 1, and there 5 IS 1 is false.
_IS = {None: null(), True: literal_column("true"), False: literal_column("false")}
"""What can stand behind IS, by the value."""


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
