"""Statements, and parts of them, that several kinds need; the same for every database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    TableClause,
    and_,
    case,
    column,
    func,
    or_,
    select,
    table,
    type_coerce,
)
from sqlalchemy.sql.elements import Grouping

from checks.contract import Scalar
from checks.sql.values import exact
from checks.types import split_name

ALL_ROWS = 2**63 - 1
"""A limit that limits nothing, and keeps a server from merging a statement into the one around."""

COUNTED_ROWS = 100_000
"""Estimated rows up to which a table is counted by checks that themselves read less than it."""

ALTERNATIVES = 100
"""Alternatives of one OR: SQLite takes a tree of depth 1000 at most."""


def labelled(name: str, values: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """Columns `name_0`, `name_1`, …."""
    return [value.label(f"{name}_{number}") for number, value in enumerate(values)]


def among(
    columns: Sequence[ColumnElement[Any]], keys: Sequence[tuple[Scalar, ...]]
) -> ColumnElement[bool]:
    """Whether columns hold one of these keys; NULL is a value."""
    if len(columns) == 1 and all(value is not None for (value,) in keys):
        return columns[0].in_([exact(value) for (value,) in keys])
    matches = [
        and_(*(c.is_not_distinct_from(exact(v)) for c, v in zip(columns, key, strict=True)))
        for key in keys
    ]
    blocks = [matches[n : n + ALTERNATIVES] for n in range(0, len(matches), ALTERNATIVES)]
    # SQLAlchemy would see through a Grouping alone, and make one long OR of them all.
    return or_(*(type_coerce(Grouping(or_(*block)), Boolean) for block in blocks))


def numbered(rows: FromClause, name: str) -> list[ColumnElement[Any]]:
    """The columns that `labelled` named so."""
    return [column for column in rows.c if str(column.key).startswith(f"{name}_")]


def rows_of(name: str, columns: Iterable[str]) -> TableClause:
    """A table with just the columns that a statement needs."""
    schema, own = split_name(name)
    return table(own, *(column(each) for each in dict.fromkeys(columns)), schema=schema)


def as_a_whole(statement: Select[Any]) -> Select[Any]:
    """A statement whose limit does not change how the server looks for the rows.

    To stop early MariaDB walks along an index instead of reading the table, which takes longer
    where there is nothing to find, and that is the rule.
    """
    return select(statement.limit(ALL_ROWS).subquery("whole"))


def counted(condition: ColumnElement[bool], label: str) -> ColumnElement[int]:
    """The number of rows for which a condition is true; 0 for an empty table."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0).label(label)


@dataclass(frozen=True, slots=True)
class Ends:
    """Rows to be grouped, and the first and the last of each group by their primary key."""

    rows: FromClause
    """With the columns that they were given with."""
    first: Sequence[ColumnElement[Any]]
    last: Sequence[ColumnElement[Any]]

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """Columns `first_n` and `last_n`."""
        return [*labelled("first", self.first), *labelled("last", self.last)]


def first_and_last(rows: FromClause, groups: Iterable[str], ids: Sequence[str]) -> Ends:
    """How to find them: of one column the least and the greatest value, of several by a window."""
    if len(ids) == 1:
        own = rows.c[ids[0]]
        return Ends(rows, [func.min(own)], [func.max(own)])
    group, key = [rows.c[name] for name in groups], [rows.c[name] for name in ids]
    places = {
        "from_first": func.row_number().over(partition_by=group, order_by=key),
        "from_last": func.row_number().over(
            partition_by=group, order_by=[each.desc() for each in key]
        ),
    }
    placed = select(*rows.c, *(place.label(name) for name, place in places.items())).subquery()
    first, last = (
        [func.max(case((placed.c[place] == 1, placed.c[name]))) for name in ids] for place in places
    )
    return Ends(placed, first, last)


def number_of(rows: FromClause) -> Select[Any]:
    """The statement that counts rows."""
    return select(func.count().label("number")).select_from(rows)
