"""SQL functions that mean the same on MySQL, MariaDB and SQLite, each written for its dialect."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Integer, String, TypeDecorator, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks.sql.catalog import Column
from checks.sql.values import (
    LONGEST_BYTES,
    LONGEST_TEXT,
    START_OF_LONG,
    START_OF_LONG_BYTES,
    Hexadecimal,
)

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""The characters with Unicode's White_Space property (https://www.unicode.org/reports/tr44/)."""


class as_bytes(FunctionElement[bytes]):  # noqa: N801 - reads as SQL
    """A text column's characters as UTF-8, so that equality is equality of what was written."""

    inherit_cache = True


@compiles(as_bytes, "mysql")
def _as_bytes_mysql(element: as_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST(CONVERT({compiler.process(element.clauses, **kw)} USING utf8mb4) AS BINARY)"


@compiles(as_bytes, "sqlite")
def _as_bytes_sqlite(element: as_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS BLOB)"


class as_text(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """What `as_bytes` made of a text, as a text again."""

    inherit_cache = True
    type = String()


@compiles(as_text, "mysql")
def _as_text_mysql(element: as_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CONVERT({compiler.process(element.clauses, **kw)} USING utf8mb4)"


@compiles(as_text, "sqlite")
def _as_text_sqlite(element: as_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS TEXT)"


def one_of(value: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
    """The least value of a group: always the same of texts that the collation takes for equal."""
    return as_text(func.min(as_bytes(value))) if column.is_text else func.min(value)


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


class _HexadecimalText(TypeDecorator[str]):
    """What the server has spelled in hexadecimal itself."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Bytes that were fetched as they are stay so."""
        _ = dialect
        return Hexadecimal(value) if isinstance(value, str) else value


class abridged_bytes(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """Long bytes cut on the server, in the form that `scalar` gives to long bytes."""

    inherit_cache = True
    type = _HexadecimalText()


@compiles(abridged_bytes, "mysql")
def _abridged_bytes_mysql(element: abridged_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    value = compiler.process(element.clauses, **kw)
    start = f"LOWER(HEX(LEFT({value}, {START_OF_LONG_BYTES})))"
    return (
        f"IF(LENGTH({value}) > {LONGEST_BYTES}, CONCAT('0x', {start}, '… [', LENGTH({value}),"
        f" ' bytes, sha256 ', LEFT(SHA2({value}, 256), 16), ']'),"
        f" CONCAT('0x', LOWER(HEX({value}))))"
    )


compiles(abridged_bytes, "sqlite")(_abridged_sqlite)


def shown(value: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
    """A column's value as a finding shows it: cut before it is fetched when it may be long."""
    if not column.is_long:
        return value
    return abridged_bytes(value) if column.is_binary else abridged(value)


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


class weights(FunctionElement[bytes]):  # noqa: N801 - reads as SQL
    """A text as bytes that are the same for all texts equal to it under the column's collation.

    The server's own sort weights. Those of trailing spaces go, as a padding collation ignores them
    (and whatever has the weight of a space); that more texts then share a value does no harm here.
    """

    inherit_cache = True


@compiles(weights, "mysql")
def _weights(element: weights, compiler: SQLCompiler, **kw: Any) -> str:
    text = compiler.process(element.clauses, **kw)
    space = f"WEIGHT_STRING(LEFT(CONCAT(' ', {text}), 1))"
    return f"TRIM(TRAILING {space} FROM WEIGHT_STRING({text}))"


class lower(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """A text in small letters, of every alphabet."""

    inherit_cache = True
    type = String()


class upper(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """A text in capital letters, of every alphabet."""

    inherit_cache = True
    type = String()


TEXT_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "text_lower": lambda value: None if value is None else str(value).lower(),
    "text_upper": lambda value: None if value is None else str(value).upper(),
}
"""Functions that a connection to SQLite has, whose own know English letters only."""


class concatenated(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """Texts joined; NULL if one of them is."""

    inherit_cache = True
    type = String()


class right(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """The last characters of a text, so many at most."""

    inherit_cache = True
    type = String()


class json_text(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """What is at a path of a JSON document, as a text without quotes.

    NULL for JSON `null`, for what is not there, and for a text that is no JSON.
    """

    inherit_cache = True
    type = String()


def _operands(element: FunctionElement[Any], compiler: SQLCompiler, kw: Any) -> list[str]:
    return [compiler.process(each, **kw) for each in element.clauses]


def _written(kind: type[FunctionElement[Any]], dialect: str, pattern: str) -> None:
    @compiles(kind, dialect)
    def _write(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
        return pattern.format(*_operands(element, compiler, kw))


_written(lower, "mysql", "LOWER({0})")
_written(lower, "sqlite", "text_lower({0})")
_written(upper, "mysql", "UPPER({0})")
_written(upper, "sqlite", "text_upper({0})")
_written(right, "mysql", "RIGHT({0}, {1})")
_written(right, "sqlite", "substr({0}, -{1})")
_written(
    json_text,
    "mysql",
    "CASE WHEN JSON_VALID({0}) THEN CASE WHEN JSON_TYPE(JSON_EXTRACT({0}, {1})) <> 'NULL'"
    " THEN JSON_UNQUOTE(JSON_EXTRACT({0}, {1})) END END",
)
_written(
    json_text,
    "sqlite",
    "CASE WHEN json_valid({0}) THEN CASE json_type({0}, {1}) WHEN 'true' THEN 'true'"
    " WHEN 'false' THEN 'false' ELSE CAST(json_extract({0}, {1}) AS TEXT) END END",
)


@compiles(concatenated, "mysql")
def _concatenated_mysql(element: concatenated, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CONCAT({', '.join(_operands(element, compiler, kw))})"


@compiles(concatenated, "sqlite")
def _concatenated_sqlite(element: concatenated, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({' || '.join(_operands(element, compiler, kw))})"


class number_of_different(FunctionElement[int]):  # noqa: N801 - reads as SQL
    """How many different rows there are by some values; one with a NULL does not count."""

    inherit_cache = True
    type = Integer()


@compiles(number_of_different, "mysql")
def _number_of_different_mysql(
    element: number_of_different, compiler: SQLCompiler, **kw: Any
) -> str:
    return f"COUNT(DISTINCT {compiler.process(element.clauses, **kw)})"


@compiles(number_of_different, "sqlite")
def _number_of_different_sqlite(
    element: number_of_different, compiler: SQLCompiler, **kw: Any
) -> str:
    values = [compiler.process(each, **kw) for each in element.clauses]
    if len(values) == 1:
        return f"COUNT(DISTINCT {values[0]})"
    written = " || ',' || ".join(f"quote({each})" for each in values)
    is_whole = " AND ".join(f"({each}) IS NOT NULL" for each in values)
    return f"COUNT(DISTINCT CASE WHEN {is_whole} THEN {written} END)"
