"""SQL for people: statements for MySQL and MariaDB with which somebody looks at findings.

They are text, not SQLAlchemy, because they are read, copied and run by hand. Names come from the
configuration only. Values come from the database and may be anything: what is not plain becomes
hexadecimal, which means the same in every SQL mode, shell and chat.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlglot
from sqlalchemy import ColumnElement, and_, func, or_
from sqlglot import exp

from checks.base import Scalar
from checks.expression import Expression
from checks.sql import START_OF_LONG, is_abridged
from checks.template import Template

Keys = Sequence[Mapping[str, Scalar]]

MOST_ROWS = 100
"""Rows that a statement returns."""

MOST_KEYS = 20
"""Findings that one statement asks for."""

LONGEST = 4000
"""Characters of a statement, beyond which it asks for fewer findings."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:-]*", re.ASCII)
_PRINTABLE = re.compile(r"[ -&(-\[\]-~]*")
"""Printable ASCII without quote and backslash: what may stand between quotes in every SQL mode."""


def quoted(name: str) -> str:
    """A column or table, as `name` or `alias.name`, in backticks."""
    return ".".join(f"`{each.replace('`', '``')}`" for each in name.split("."))


def listed(names: Iterable[str]) -> str:
    """Columns, comma-separated."""
    return ", ".join(map(quoted, names))


def literal(value: Scalar) -> str:
    """A value from the database."""
    return _spelled_literal(value, _PLAIN)


def constant(text: str) -> str:
    """A text of the configuration."""
    return _spelled_literal(text, _PRINTABLE)


def _spelled_literal(value: Scalar, plain: re.Pattern[str]) -> str:
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, int):
        return str(value)
    if plain.fullmatch(value):
        return f"'{value}'"
    return f"_utf8mb4 x'{value.encode(errors='replace').hex()}'"


def statement(*parts: str, limit: int = MOST_ROWS) -> str:
    """The parts that are not empty, a line each, and the limit."""
    return "\n".join((*filter(None, parts), f"LIMIT {limit}"))


def both(*conditions: str) -> str:
    """All of the conditions that are not empty."""
    return "\n  AND ".join(filter(None, conditions))


def where(*conditions: str) -> str:
    """A WHERE clause of the conditions that are not empty."""
    return f"WHERE {both(*conditions)}" if any(conditions) else ""


def among(
    names: Mapping[str, str], keys: Keys, *, spell: Callable[[str], str] = lambda name: name
) -> str:
    """Whether columns hold one of these keys; `names` are the columns' SQL by the keys' names."""
    ((name, column), *more) = names.items()
    values = [key[name] for key in keys]
    if not more and not any(value is None or is_abridged(value) for value in values):
        if len(values) == 1:
            return f"{spell(column)} = {literal(values[0])}"
        return f"{spell(column)} IN ({', '.join(map(literal, values))})"
    rows = (
        " AND ".join(_equal(column, key[name], spell) for name, column in names.items())
        for key in keys
    )
    return "(" + "\n    OR ".join(f"({row})" for row in rows) + ")"


def _equal(column: str, value: Scalar, spell: Callable[[str], str]) -> str:
    if value is None:
        return f"{column} IS NULL"
    if isinstance(value, str) and is_abridged(value):  # only its start is known
        return f"LEFT({column}, {START_OF_LONG}) = {literal(value[:START_OF_LONG])}"
    return f"{spell(column)} = {literal(value)}"


def whatever_the_index(column: str) -> str:
    """A column as an expression that no index serves.

    Of duplicates under a unique index, MySQL returns one row to a look-up along that index.
    """
    return f"COALESCE({column})"


def having(keys: Keys, names: Iterable[str]) -> Keys:
    """Those of the keys that are made of exactly these names, each once, not too many."""
    wanted = set(names)
    found = {tuple(sorted(key.items())): key for key in keys if set(key) == wanted}
    return list(found.values())[:MOST_KEYS]


def fitting(keys: Keys, build: Callable[[Keys], str]) -> str:
    """The statement for as many of the keys as make no overlong one; for one at least."""
    while len(keys) > 1 and len(build(keys)) > LONGEST:
        keys = keys[:-1]
    return build(keys)


def chosen(columns: Mapping[str, ColumnElement[Any]], keys: Keys) -> ColumnElement[bool]:
    """Whether the columns of these names hold one of the keys."""
    ((name, column), *more) = columns.items()
    values = [key[name] for key in keys]
    if len(values) > 1 and not more and all(map(_is_plain, values)):
        return column.in_(values)
    return or_(*(and_(*(_holds(c, key[n]) for n, c in columns.items())) for key in keys))


_FRACTION = re.compile(r"-?\d{1,65}\.\d{1,30}", re.ASCII)


def _is_plain(value: Scalar) -> bool:
    """Whether equality tells whether a column holds it."""
    return value is not None and not is_abridged(value) and not _is_fraction(value)


def _is_fraction(value: Scalar) -> bool:
    return isinstance(value, str) and _FRACTION.fullmatch(value) is not None


def _holds(column: ColumnElement[Any], value: Scalar) -> ColumnElement[bool]:
    if value is None:
        return column.is_(None)
    if isinstance(value, str) and is_abridged(value):  # only its start is known
        return func.left(column, START_OF_LONG) == value[:START_OF_LONG]
    if _is_fraction(value):  # which a server compares as a DOUBLE if the column is a DECIMAL
        return and_(column == value, func.concat(column) == value)
    return column == value


def spelled(expression: Expression, side: str = "") -> str:
    """An expression of the configuration over the columns of an alias, safe among operators.

    Columns of joined tables are those of the alias `far_TABLE`.
    """

    def rewritten(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column):
            table = f"far_{node.table}" if node.table else side
            return exp.column(node.name, table=table or None, quoted=True)
        if isinstance(node, exp.Anonymous):  # the one function that is no SQL
            array = _NON_EMPTY_ARRAY.format(rewritten(node.expressions[0]).sql(dialect="mysql"))
            return sqlglot.parse_one(array, read="mysql")
        if isinstance(node, exp.Literal) and node.is_string:
            return sqlglot.parse_one(constant(node.this), read="mysql")
        return node

    text = expression.tree.transform(rewritten).sql(dialect="mysql")
    return text if expression.is_column else f"({text})"


_NON_EMPTY_ARRAY = (
    "(CASE WHEN {0} IS NULL THEN 0 WHEN JSON_VALID({0}) = 0 THEN NULL"
    " WHEN JSON_TYPE({0}) = 'ARRAY' AND JSON_LENGTH({0}) > 0 THEN 1 ELSE 0 END)"
)


def derived(template: Template, side: str) -> str:
    """The key that a template derives from the columns of an alias."""
    parts = [constant(template.texts[0])] if template.texts[0] else []
    for name, following in zip(template.columns, template.texts[1:], strict=True):
        parts += [quoted(f"{side}.{name}"), *([constant(following)] if following else [])]
    return f"CONCAT({', '.join(parts)})"


def joins(through: Mapping[str, Mapping[str, str]], side: str, join: str) -> Sequence[str]:
    """The tables joined to the rows of an alias, each as `far_TABLE`."""
    return [
        f"{join} {quoted(table)} AS {quoted(f'far_{table}')} ON "
        + " AND ".join(
            f"{quoted(f'far_{table}.{one}')} = {quoted(f'{side}.{two}')}" for one, two in on.items()
        )
        for table, on in through.items()
    ]


def begun(column: str | None, since: datetime | None, side: str = "") -> str:
    """Whether a row was written since a moment, which stands as the configuration writes it."""
    if column is None or since is None:
        return ""
    name = quoted(f"{side}.{column}" if side else column)
    return f"({name} IS NULL OR {name} >= '{since.replace(tzinfo=None).isoformat(' ')}')"


def sums(names: Iterable[str]) -> list[str]:
    """The sum of each column of `entries`, called like the column."""
    return [f"SUM(entries.{name}) AS {name}" for name in names]


def in_catalog(view: str, shown: str, table: str, order: str = "", chosen: str = "") -> str:
    """What `information_schema` holds of a table of the current database."""
    own = "LOWER(table_name) = " + literal(table.lower())
    return statement(
        f"SELECT {shown}",
        f"FROM information_schema.{view}",
        where("table_schema = DATABASE()", own, chosen),
        order,
    )
