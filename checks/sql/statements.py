"""SQL that means the same on MySQL, MariaDB and SQLite, and the two reads that most kinds need."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    String,
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
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.functions import FunctionElement

from checks.contract import SAMPLE, Scalar
from checks.sql.catalog import Column, estimated_rows

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with Unicode's White_Space property (https://www.unicode.org/reports/tr44/)."""

ALL_ROWS = 2**63 - 1
"""A limit that limits nothing, and keeps a server from merging a statement into the one around."""

COUNTED_ROWS = 100_000
"""Estimated rows up to which a table is counted by checks that themselves read less than it."""

LONGEST_TEXT = 200
"""Characters of a database value that a finding shows; a longer one is cut and fingerprinted."""

START_OF_LONG = 100
"""Characters that are left of a longer value, before its length and its fingerprint."""


class as_bytes(FunctionElement[bytes]):  # noqa: N801 - reads as SQL
    """A text column's characters as UTF-8, so that equality is equality of what was written."""

    inherit_cache = True


@compiles(as_bytes, "mysql")
def _as_bytes_mysql(element: as_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(CONVERT({compiler.process(element.clauses, **kw)} USING utf8mb4) AS BINARY)"


@compiles(as_bytes, "sqlite")
def _as_bytes_sqlite(element: as_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS BLOB)"


class abridged(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """A long value cut on the server, in the form that `scalar` gives to long texts."""

    inherit_cache = True


@compiles(abridged, "mysql")
def _abridged_mysql(element: abridged, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    return (
        f"IF(CHAR_LENGTH({text}) > {LONGEST_TEXT}, CONCAT(LEFT({text}, {START_OF_LONG}), '… [',"
        f" CHAR_LENGTH({text}), ' characters, sha256 ', LEFT(SHA2({text}, 256), 16), ']'),"
        f" CONCAT({text}))"
    )


@compiles(abridged, "sqlite")
def _abridged_sqlite(element: abridged, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    # The function is `scalar`, which the connection has; `length` of a text ends at a NUL.
    is_long = f"length(CAST({value} AS BLOB)) > {LONGEST_TEXT}"
    return f"CASE WHEN {is_long} THEN abridged({value}) ELSE {value} END"


def shown(value: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
    """A column's value as a finding shows it: cut before it is fetched when it may be long."""
    return abridged(value) if column.is_long else value


class as_unicode(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """A text column of another character set, so that it can be compared with any character."""

    inherit_cache = True
    type = String()


@compiles(as_unicode, "mysql")
def _as_unicode_mysql(element: as_unicode, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CONVERT({compiler.process(element.clauses, **kw)} USING utf8mb4)"


class without_index(FunctionElement[Any]):  # noqa: N801 - reads as SQL
    """A column as an expression that no index serves, its type and collation kept.

    A unique index with duplicates in it answers `k = 'x'` with one row: MySQL stops at the first.
    """

    inherit_cache = True


@compiles(without_index, "mysql")
def _without_index_mysql(element: without_index, compiler: SQLCompiler, **kw: Any) -> str:
    return f"COALESCE({compiler.process(element.clauses, **kw)})"


@compiles(without_index, "sqlite")
def _without_index_sqlite(element: without_index, compiler: SQLCompiler, **kw: Any) -> str:
    return f"+{compiler.process(element.clauses, **kw)}"


class non_empty_array(FunctionElement[int]):  # noqa: N801 - reads as SQL
    """1 for a JSON array with an element, NULL for malformed JSON, 0 for all else.

    SQL NULL, JSON `null`, `[]`, objects and scalars give 0. The outer CASE keeps malformed text
    away from functions that raise an error on it.
    """

    inherit_cache = True
    type = Integer()


@compiles(non_empty_array, "mysql")
def _non_empty_array_mysql(element: non_empty_array, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    return (
        f"CASE WHEN {text} IS NULL THEN 0 WHEN JSON_VALID({text}) = 0 THEN NULL"
        f" WHEN JSON_TYPE({text}) = 'ARRAY' AND JSON_LENGTH({text}) > 0 THEN 1 ELSE 0 END"
    )


@compiles(non_empty_array, "sqlite")
def _non_empty_array_sqlite(element: non_empty_array, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    return (
        f"CASE WHEN {text} IS NULL THEN 0 WHEN json_valid({text}) = 0 THEN NULL"
        f" WHEN json_type({text}) = 'array' AND json_array_length({text}) > 0 THEN 1 ELSE 0 END"
    )


class only_white_space(FunctionElement[bool]):  # noqa: N801 - reads as SQL
    """Whether a text consists of nothing but `WHITE_SPACE`; true for the empty text too."""

    inherit_cache = True


@compiles(only_white_space, "mysql")
def _only_white_space_mysql(element: only_white_space, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    return f"{text} REGEXP '^[{WHITE_SPACE}]*$'"


@compiles(only_white_space, "sqlite")
def _only_white_space_sqlite(element: only_white_space, compiler: SQLCompiler, **kw: Any) -> str:
    return f"TRIM({compiler.process(element.clauses, **kw)}, '{WHITE_SPACE}') = ''"


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
        return columns[0].in_([value for (value,) in keys])
    matches = [
        and_(*(c.is_not_distinct_from(value) for c, value in zip(columns, key, strict=True)))
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
    return table(name, *(column(each) for each in dict.fromkeys(columns)))


def as_a_whole(statement: Select[Any]) -> Select[Any]:
    """A statement whose limit does not change how the server looks for the rows.

    To stop early MariaDB walks along an index instead of reading the table, which takes longer
    where there is nothing to find, and that is the rule.
    """
    return select(statement.limit(ALL_ROWS).subquery("whole"))


def scalar(value: object) -> Scalar:
    """A database value as a finding keeps it: exact for numbers, bounded for texts.

    Bytes become text, with what is no UTF-8 spelled in hexadecimal. A text over `LONGEST_TEXT`
    keeps its start, its length and a SHA-256 fingerprint, so that two long keys stay apart.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
    return f"{text[:START_OF_LONG]}… [{len(text)} characters, sha256 {digest}]"


_ABRIDGED = re.compile(r"… \[\d+ characters, sha256 [0-9a-f]{16}\]$")


def is_abridged(value: object) -> bool:
    """Whether a value was cut by `scalar`, so that its row cannot be found by it."""
    return isinstance(value, str) and _ABRIDGED.search(value) is not None


def counted(condition: ColumnElement[bool], label: str) -> ColumnElement[int]:
    """The number of rows for which a condition is true; 0 for an empty table."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0).label(label)


def row_total(connection: Connection, name: str) -> int:
    """Exact rows of a table."""
    return int(connection.scalar(rows_in(name)) or 0)


def rows_in(name: str) -> Select[Any]:
    """The statement that counts the rows of a table."""
    return select(func.count().label("number")).select_from(table(name))


def row_estimate(connection: Connection, name: str) -> int:
    """Rows of a table: exact up to `COUNTED_ROWS`, beyond that the catalog's estimate.

    To count a large table takes longer than the questions that an index answers.
    """
    estimate = estimated_rows(connection, name)
    return estimate if estimate and estimate > COUNTED_ROWS else row_total(connection, name)


def sample_of(
    rows: TableClause, where: Iterable[ColumnElement[bool]], described: Mapping[str, Column]
) -> Select[Any]:
    """Reads the first `SAMPLE` of some rows in the order of the first column, the primary key.

    Values that may be long are cut before they are fetched.
    """
    values = (shown(each, described[each.name]).label(each.name) for each in rows.c)
    return select(*values).where(*where).order_by(rows.c[0]).limit(SAMPLE)
