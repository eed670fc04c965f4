"""How a server goes about a view: what no catalog says of it, `EXPLAIN` does."""

from collections.abc import Iterator
from typing import Any

from pymysql.constants import ER
from sqlalchemy import ClauseElement, Connection, Executable, Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from checks.sql.statements import rows_of

_HIDDEN = (ER.VIEW_NO_EXPLAIN, ER.TABLEACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR)

_WHOLE = ("ALL", "index")
FEW_ROWS = 2_000
"""Rows that a run reads again in any case: to read so many of a table is no matter."""


def last_of(view: str, column: str) -> Select[Any]:
    """The greatest value of a column of a view, so put that an index serves where there is one.

    For `MAX` a server reads every row of a view that leaves out some of its table's.
    """
    values = rows_of(view, (column,)).c[column]
    return select(values).order_by(values.desc()).limit(1)


def complaints(connection: Connection, view: str, cursor: str) -> Iterator[str]:
    """Why the last rows of a view along a column are not found by an index."""
    end = None if connection.dialect.name == "sqlite" else connection.scalar(last_of(view, cursor))
    if end is None:
        return
    try:
        read = _read_whole(connection, view, cursor, end)
    except DBAPIError as error:
        if getattr(error.orig, "args", (None,))[0] not in _HIDDEN:
            raise
        return  # how the server reads the view, this account may not see
    if read:
        yield f"cursor {cursor}: to find what is new the server reads {', '.join(read)}"


def _read_whole(connection: Connection, view: str, cursor: str, end: object) -> list[str]:
    """The tables of which the server reads every row to find the last rows of the view."""
    values = rows_of(view, (cursor,)).c[cursor]
    statement = select(values).where(values >= end)
    found: list[str] = []
    for row in connection.execute(_Explained(statement)).mappings():
        step = {str(name).lower(): value for name, value in row.items()}
        number = int(step["rows"] or 0)
        is_table = not str(step["table"] or "<").startswith("<")
        if is_table and step["type"] in _WHOLE and number > FEW_ROWS:
            found.append(f"all of {step['table']} (about {number} rows)")
    return list(dict.fromkeys(found))


class _Explained(Executable, ClauseElement):
    """What `EXPLAIN` answers of a statement."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explained)
def _explained(element: _Explained, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN FORMAT=TRADITIONAL {compiler.process(element.statement, **kw)}"
