"""SQL for people, with which somebody looks at findings: what all kinds share.

Names come from the configuration only. Values come from the database and may be anything; see
`checks.sql.render`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, column, func, or_, select, table

from checks.contract import Scalar
from checks.sql.render import render
from checks.sql.values import (
    START_OF_LONG,
    START_OF_LONG_BYTES,
    Hexadecimal,
    exact,
    is_abridged,
)
from checks.types import split_name

Keys = Sequence[Mapping[str, Scalar]]

MOST_ROWS = 100
"""Rows that a statement returns."""

MOST_KEYS = 20
"""Findings that one statement asks for."""

LONGEST = 4000
"""Characters of a statement, beyond which it asks for fewer findings.

Half of them are the keys' in any case: the SELECT of a relation in it may be of any length.
"""

LONGEST_NAME = 64
"""Characters of a name that a server takes."""


def having(keys: Keys, names: Iterable[str]) -> Keys:
    """Those of the keys that are made of exactly these names, each once, not too many."""
    wanted = set(names)
    found = {tuple(sorted(key.items())): key for key in keys if set(key) == wanted}
    return list(found.values())[:MOST_KEYS]


def fitting(keys: Keys, build: Callable[[Keys], str]) -> str:
    """The statement for as many of the keys as make no overlong one; for one at least."""
    most = max(LONGEST, len(build(keys[:1])) + LONGEST // 2) if len(keys) > 1 else 0
    while len(keys) > 1 and len(build(keys)) > most:
        keys = keys[:-1]
    return build(keys)


def chosen(columns: Mapping[str, ColumnElement[Any]], keys: Keys) -> ColumnElement[bool]:
    """Whether the columns of these names hold one of the keys."""
    ((name, column), *more) = columns.items()
    values = [key[name] for key in keys]
    if len(values) > 1 and not more and all(map(_is_plain, values)):
        return column.in_([exact(value) for value in values])
    return or_(*(and_(*(_holds(c, key[n]) for n, c in columns.items())) for key in keys))


_FRACTION = re.compile(r"-?\d{1,65}\.\d{1,30}", re.ASCII)


def _is_plain(value: Scalar) -> bool:
    """Whether an equality finds the rows that hold it, and no others."""
    return value is not None and not is_abridged(value) and not _is_fraction(value)


def _is_fraction(value: Scalar) -> bool:
    return isinstance(value, str) and _FRACTION.fullmatch(value) is not None


def _holds(column: ColumnElement[Any], value: Scalar) -> Any:
    if value is None:
        return column.is_(None)
    if isinstance(value, Hexadecimal) and is_abridged(value):  # only its start is known
        start = Hexadecimal(value[:START_OF_LONG])
        return func.left(column, START_OF_LONG_BYTES) == exact(start)
    if isinstance(value, str) and is_abridged(value):
        return func.left(column, START_OF_LONG) == value[:START_OF_LONG]
    if _is_fraction(value):  # which a server compares as a DOUBLE if the column is a DECIMAL
        return and_(column == value, func.concat(column) == value)
    return column == exact(value)


def in_catalog(
    view: str,
    shown: Sequence[str],
    name: str,
    *,
    order: Sequence[str] = (),
    among: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What `information_schema` holds of a table.

    With `among` of some rows only: those that have one of these values in a column.
    """
    names = dict.fromkeys(("table_schema", "table_name", *shown, *order))
    schema, own_name = split_name(name)
    rows = table(view, *(column(each) for each in names), schema="information_schema")
    own = (
        rows.c.table_schema == (schema or func.database()),
        func.lower(rows.c.table_name) == own_name.lower(),
        *(rows.c[each].in_(values) for each, values in (among or {}).items()),
    )
    statement = select(*(rows.c[each] for each in shown)).where(*own)
    return render(statement.order_by(*(rows.c[each] for each in order)).limit(MOST_ROWS))
