"""By what rules texts of two columns are compared: those of both, or those that are stated."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator
from sqlalchemy import ColumnElement, Connection, String, and_, literal_column, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks.sql import catalog
from checks.sql.catalog import BYTES, Column, agreed, nearest
from checks.sql.derived import FEW_ROWS

Built = ColumnElement[Any]

_NAME = re.compile(r"utf8mb4_[a-z0-9_]+", re.ASCII)


def _collation(value: object) -> str:
    if value == BYTES or (isinstance(value, str) and _NAME.fullmatch(value)):
        return str(value)
    raise ValueError(
        f'{value!r} is no way to compare texts: "bytes", or a collation of utf8mb4 such as'
        ' "utf8mb4_bin"'
    )


Collation = Annotated[str, BeforeValidator(_collation)]
"""A collation of utf8mb4, in which no character is lost, or `bytes`: texts as they are written."""


class collated(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """A text, in Unicode and under a collation; SQLite knows but two."""

    inherit_cache = True
    type = String()


@compiles(collated, "mysql")
def _collated_mysql(element: collated, compiler: SQLCompiler, **kw: Any) -> str:
    value, name = (compiler.process(each, **kw) for each in element.clauses)
    return f"CONVERT({value} USING utf8mb4) COLLATE {name}"


@compiles(collated, "sqlite")
def _collated_sqlite(element: collated, compiler: SQLCompiler, **kw: Any) -> str:
    value, name = (compiler.process(each, **kw) for each in element.clauses)
    return f"({value} COLLATE {'NOCASE' if '_ci' in name else 'BINARY'})"


class as_written(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """A text that is the same as another only where both are written alike, final spaces too."""

    inherit_cache = True
    type = String()


@compiles(as_written, "mysql")
def _as_written_mysql(element: as_written, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    server: Any = compiler.dialect
    if server.server_version_info is None:  # for people, and whatever server they ask
        return f"CAST(CONVERT({value} USING utf8mb4) AS BINARY)"
    rules = "utf8mb4_nopad_bin" if server.is_mariadb else "utf8mb4_0900_bin"
    return f"CONVERT({value} USING utf8mb4) COLLATE {rules}"


@compiles(as_written, "sqlite")
def _as_written_sqlite(element: as_written, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)} COLLATE BINARY)"


def under(value: Built, how: str | None, column: Column | None = None) -> Built:
    """A column's value as it is compared; as it is, where that is how the column compares it.

    Without a description of the column, in a form that is right whatever it is.
    """
    if how is None or (column and (not column.is_text or column.collation == how)):
        return value
    return as_written(value) if how == BYTES else collated(value, literal_column(how))


def compared(
    one: Built,
    other: Built,
    how: str | None = None,
    columns: tuple[Column, Column] | None = None,
) -> ColumnElement[bool]:
    """Whether two columns hold the same, by stated rules or else by those that both have.

    `columns` describes them, in their order. Under a collation that one of them has, an index
    on that one serves; as bytes, one on either that the columns' own rules can use.
    """
    if columns is None:
        return under(one, how) == under(other, how)
    rules = agreed(*columns, how)
    if rules == BYTES and agreed(*columns) is None and columns[0].collation == columns[1].collation:
        return and_(one == other, under(one, BYTES) == under(other, BYTES))
    return under(one, rules, columns[0]) == under(other, rules, columns[1])


def complaints(connection: Connection, how: str | None) -> Iterator[str]:
    """That the server has no such collation."""
    if how in (None, BYTES) or connection.dialect.name == "sqlite":
        return
    names = [str(name) for (name,) in connection.execute(text(_KNOWN))]
    # MariaDB lists newer ones without the character set.
    known = [name if name.startswith("utf8mb4_") else f"utf8mb4_{name}" for name in names]
    if how not in known:
        yield f"the server has no collation {how}{nearest(str(how), known)}"


def unserved(
    connection: Connection, how: str | None, table: str, names: Iterable[str]
) -> Iterator[str]:
    """That no index serves a look-up of rows of a large table, as the column is converted."""
    rows = catalog.estimated_rows(connection, table) or 0
    if how is None or connection.dialect.name == "sqlite" or rows <= FEW_ROWS:
        return
    known = catalog.columns(connection, table)
    for name in names:
        own = known.get(name)
        if own is None or not own.is_text or own.collation == how:
            continue
        for index in catalog.indexes(connection, table):
            if index.columns[0] == name and not index.partial:
                yield (
                    f"collation {how}: {table}.{name} has {own.collation}, so index {index.name} is"
                    f" not used and each run reads all of {table} (about {rows} rows); it is used"
                    f" under {own.collation}"
                )
                break


_KNOWN = "SELECT collation_name FROM information_schema.collations"
