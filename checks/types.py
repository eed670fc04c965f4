"""Named types of the configuration: what a value may be, said once, with its error message."""

import hashlib
import re
import unicodedata
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])", re.ASCII)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%", re.ASCII)


def parse_duration(value: object) -> timedelta:
    """Read `30s`, `5m`, `1h` or `7d`.

    Raises ValueError for anything else, zero included.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError("a duration is a whole number above 0 and a unit: 30s, 5m, 1h, 7d")
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError("this duration is too long") from None


def parse_tolerance(value: object) -> timedelta:
    """Read a duration, or `0s`.

    Raises ValueError for anything else.
    """
    return timedelta() if value == "0s" else parse_duration(value)


def duration_text(value: timedelta) -> str:
    """A duration as the configuration writes it, in the largest unit that divides it: `5m`."""
    seconds = int(value.total_seconds())
    fitting = [f"{seconds // size}{unit}" for unit, size in _UNITS.items() if seconds % size == 0]
    return fitting[-1] if seconds else "0s"


def parse_ratio(value: object) -> float:
    """Read a share of a whole, `5%` or 0.05, as a number above 0 and up to 1.

    Raises ValueError for anything else, zero included.
    """
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    number = float(match[1]) / 100 if match else value
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 1:
        raise ValueError("a share is above 0 and at most all: 5%, 0.5%, 100% or 0.05")
    return float(number)


LONGEST_IDENTIFIER = 64
"""Characters of a name that a server takes."""


def identifier(value: object) -> str:
    """A table, column or index name as the database spells it: all that can be one is taken.

    Raises ValueError, with the name and why it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no name: a name is a text")  # noqa: TRY004 - for pydantic
    if reason := _why_no_identifier(value):
        raise ValueError(f"{value!r} is no name that a server takes: {reason}")
    return value


def _why_no_identifier(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > LONGEST_IDENTIFIER:
        return f"it has {len(name)} characters, {LONGEST_IDENTIFIER} is the most"
    if "\0" in name:
        return "it holds the character NUL"
    if name.endswith(" "):
        return "it ends with a space"
    strange = next((each for each in name if ord(each) > _LAST_OF_A_NAME), None)
    return f"it holds {strange}, which is beyond U+FFFF" if strange else None


_LAST_OF_A_NAME = 0xFFFF

Identifier = Annotated[str, BeforeValidator(identifier)]
"""A table, column or index name; see `identifier`."""


def table_name(value: object) -> str:
    """The name of a table or view, `schema.table` where it is of another schema of the server.

    Raises ValueError, with the name and why it is none.
    """
    if not isinstance(value, str) or value.count(".") > 1:
        raise ValueError(f"{value!r} is no name of a table: write table, or schema.table")
    return ".".join(map(identifier, value.split(".")))


def split_name(table: str) -> tuple[str | None, str]:
    """The schema of a table, None where it is that of the connection, and its own name."""
    schema, _, own = table.rpartition(".")
    return schema or None, own


TableName = Annotated[str, BeforeValidator(table_name)]
"""A table; see `table_name`."""

LONGEST_CHECK_NAME = 200
_DIGEST = 16
"""Hexadecimal digits in place of the end of a longer name."""


def check_name(*parts: str) -> str:
    """The name of a check that follows from facts: `orders.duplicates.code`.

    What a check's name cannot hold is written as its code point, `amount~20~left`. A name that is
    too long ends in a fingerprint. No two lists of parts have one name.
    """
    name = ".".join("".join(map(_spelled, part)) for part in parts)
    if len(name) <= LONGEST_CHECK_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: LONGEST_CHECK_NAME - _DIGEST - 1]}~{digest}"


def _spelled(character: str) -> str:
    return character if _is_word(character) else f"~{ord(character):x}~"


def _is_word(character: str) -> bool:
    """Whether it is a letter or digit of any script, a mark on one, or `_` or `-`."""
    return (
        character in "_-" or character.isalnum() or unicodedata.category(character).startswith("M")
    )


def _check_name(value: object) -> object:
    parts = value.split(".") if isinstance(value, str) and len(value) <= LONGEST_CHECK_NAME else ()
    if not parts or not all(part and all(c == "~" or _is_word(c) for c in part) for part in parts):
        raise ValueError(
            f"a check is named by letters, digits, '_' and '-', in parts with a dot between them,"
            f" {LONGEST_CHECK_NAME} characters at most, and not {value!r}"
        )
    return value


CheckName = Annotated[str, BeforeValidator(_check_name)]
"""A name that is safe in a metric label, a log field, a URL and on a command line."""

Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200),
]
"""The name of a source, which is also safe as a part of the name of an environment variable."""

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A span of time; see `parse_duration`."""

Tolerance = Annotated[timedelta, BeforeValidator(parse_tolerance)]
"""A span of time that may be none; see `parse_tolerance`."""

Ratio = Annotated[float, BeforeValidator(parse_ratio)]
"""A share of a whole; see `parse_ratio`."""

Columns = Annotated[tuple[Identifier, ...], Field(min_length=1)]
"""One or more column names."""


def _primary_key(value: object) -> object:
    if not isinstance(value, list | tuple):
        return identifier(value)
    names = [identifier(each) for each in value]
    if not names or len(set(names)) < len(names):
        raise ValueError("a primary key is a column, or a list of different columns")
    return names[0] if len(names) == 1 else tuple(names)


PrimaryKey = Annotated[str | tuple[str, ...], BeforeValidator(_primary_key)]
"""The column that names a row, or the columns that do so together; see `key_columns`."""


class EveryColumn(tuple[str, ...]):
    """All columns of a table in which nothing names a row: equal rows are not told apart."""

    __slots__ = ()


def key_columns(key: PrimaryKey | None) -> tuple[str, ...]:
    """The columns of a primary key, in their order; none where it is not stated."""
    return (key,) if isinstance(key, str) else key or ()


class Severity(StrEnum):
    """How much a violation matters: `critical` pages, `warning` is a ticket, `info` is read."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
