"""Tables joined to the rows of a check, so that it can name their columns: `accounts.user_id`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, FromClause, and_

from checks.sql import catalog
from checks.sql.names import folded
from checks.types import Identifier, TableName

Through = Mapping[TableName, Mapping[Identifier, Identifier]]
"""The joined tables, each by its columns and those of the rows that they equal:
`{ accounts = { account_id = "account_id" } }`."""


class Named(Protocol):
    """What names columns, some of them of joined tables."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""


class Lookup:
    """Columns of some rows and of the tables joined to them, by name."""

    def __init__(self, sides: Mapping[str, FromClause]) -> None:
        self._sides = sides

    def __call__(self, name: str) -> ColumnElement[Any]:
        """The column of that name, `table.column` if the table is a joined one."""
        table, _, column = name.rpartition(".")
        found: ColumnElement[Any] = self._sides[table].c[column]
        return found


def join(
    rows: FromClause,
    through: Through,
    rows_of: Callable[[str], FromClause],
    *,
    outer: bool,
    source: FromClause | None = None,
) -> tuple[FromClause, Lookup]:
    """Rows with the tables joined to them, and how to name the columns of all.

    `rows_of` gives the rows of a joined table, with the columns that are needed. `source` is what
    the tables are joined to where the rows are but a part of it.
    """
    source = rows if source is None else source
    sides: dict[str, FromClause] = {"": rows}
    for table, on in through.items():
        other = sides[table] = rows_of(table).alias(f"far_{table}")
        match = and_(*(other.c[one] == rows.c[two] for one, two in on.items()))
        source = source.join(other, match, isouter=outer)
    return source, Lookup(sides)


def refuse_unjoined(expression: Named, through: Through) -> None:
    """Raise ValueError for a column of a table that is not joined."""
    for name in expression.columns:
        table = name.rpartition(".")[0]
        if table and table not in through:
            raise ValueError(f"{name}: {table} is not joined; `through` says how")


def needed(table: str, through: Through, expressions: Iterable[Named]) -> dict[str, list[str]]:
    """The columns that the joins and the expressions need, of a table and of those joined to it."""
    found: dict[str, list[str]] = {table: []}
    for other, on in through.items():
        found.setdefault(other, []).extend(on)
        found[table].extend(on.values())
    for name in (name for each in expressions for name in each.columns):
        other, _, column = name.rpartition(".")
        found.setdefault(other or table, []).append(column)
    return found


def complaints(connection: Connection, table: str, through: Through) -> Iterator[str]:
    """What is wrong with the joins: keys that cannot be compared, or that meet several rows."""
    own = catalog.columns(connection, table)
    for other, on in through.items():
        found = catalog.columns(connection, other)
        for one, two in on.items():
            if reason := catalog.unlike(found[one], own[two]):
                yield f"{other}.{one} cannot be compared with {table}.{two}: {reason}"
        indexes = catalog.indexes(connection, other)
        if not any(i.unique and not i.partial and folded(i.columns) <= folded(on) for i in indexes):
            yield f"through {other}: no unique index proves that {', '.join(on)} names one row"
