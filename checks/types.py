"""Named types of the configuration: what a value may be, said once, with its error message."""

import re
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


def _identifier(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]{0,63}", value):
        raise ValueError(
            "a name is 1 to 64 letters, digits, '_' or '$', and does not start with a digit"
        )
    return value


Identifier = Annotated[str, BeforeValidator(_identifier)]
"""A table, column or index name as the database spells it."""

Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200),
]
"""A name that is safe in a metric label, a log field, a URL and on a command line."""

Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""A span of time; see `parse_duration`."""

Ratio = Annotated[float, BeforeValidator(parse_ratio)]
"""A share of a whole; see `parse_ratio`."""

Columns = Annotated[tuple[Identifier, ...], Field(min_length=1)]
"""One or more column names."""


def _primary_key(value: object) -> object:
    if not isinstance(value, list | tuple):
        return _identifier(value)
    names = [_identifier(each) for each in value]
    if not names or len(set(names)) < len(names):
        raise ValueError("a primary key is a column, or a list of different columns")
    return names[0] if len(names) == 1 else tuple(names)


PrimaryKey = Annotated[str | tuple[str, ...], BeforeValidator(_primary_key)]
"""The column that names a row, or the columns that do so together; see `key_columns`."""


def key_columns(key: PrimaryKey) -> tuple[str, ...]:
    """The columns of a primary key, in their order."""
    return (key,) if isinstance(key, str) else key


class Severity(StrEnum):
    """How much a violation matters: `critical` pages, `warning` is a ticket, `info` is read."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
