"""How a server goes about rows that are no table's, of a view or a relation: by `EXPLAIN`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymysql.constants import ER
from sqlalchemy import ClauseElement, ColumnElement, Connection, Executable, Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

_HIDDEN = (ER.VIEW_NO_EXPLAIN, ER.TABLEACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR)

_WHOLE = ("ALL", "index")
FEW_ROWS = 2_000
"""Rows that a run reads again in any case: to read so many of a table is no matter."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the last rows along a column are found, or all rows where none are followed."""

    is_merged: bool
    """Whether the server reads the tables as if the statement itself named them."""
    whole: tuple[str, ...]
    """The tables of which it reads every row, and about how many these are."""

    def __str__(self) -> str:
        if self.is_merged:
            how = "merged into each statement that reads it"
        elif self.whole:
            how = "worked out as a whole by each statement that reads it"
        else:
            how = "worked out from the rows that a statement asks for, no others"
        return f"{how}; reads {', '.join(self.whole)}" if self.whole else how


def last_of(values: ColumnElement[Any]) -> Select[Any]:
    """The greatest value of a column, so put that an index serves where there is one.

    For `MAX` a server reads every row of a view that leaves out some of its table's.
    """
    return select(values).order_by(values.desc()).limit(1)


def complaints(connection: Connection, values: ColumnElement[Any]) -> Iterator[str]:
    """Why the last rows along a column, the cursor, are not found by an index."""
    found = manner(connection, values)
    if found and found.whole:
        read = ", ".join(found.whole)
        yield f"cursor {values.key}: to find what is new the server reads {read}"


def manner(
    connection: Connection, values: ColumnElement[Any], *, follows: bool = True
) -> Manner | None:
    """How the last rows along a column are found; of one that none `follows`, how all are.

    None of SQLite, where there are no rows, and where the account may not see it.
    """
    if connection.dialect.name == "sqlite":
        return None
    statement = select(values)
    if follows:
        end = connection.scalar(last_of(values))
        if end is None:
            return None
        statement = statement.where(values >= end)
    try:
        found = connection.execute(_Explained(statement)).mappings()
        steps = [{str(name).lower(): value for name, value in row.items()} for row in found]
    except DBAPIError as error:
        if getattr(error.orig, "args", (None,))[0] not in _HIDDEN:
            raise
        return None
    is_merged = all(str(step["select_type"]) in ("SIMPLE", "PRIMARY") for step in steps)
    return Manner(is_merged, tuple(dict.fromkeys(_read_whole(steps))))


def _read_whole(steps: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        number = int(step["rows"] or 0)
        is_table = not str(step["table"] or "<").startswith("<")
        if is_table and step["type"] in _WHOLE and number > FEW_ROWS:
            yield f"all of {step['table']} (about {number} rows)"


class _Explained(Executable, ClauseElement):
    """What `EXPLAIN` answers of a statement."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explained)
def _explained(element: _Explained, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN FORMAT=TRADITIONAL {compiler.process(element.statement, **kw)}"
