"""Values of the database as findings keep them: exact numbers, bounded texts, bytes in hex."""

import hashlib
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import literal_column

from checks.contract import Scalar

LONGEST_TEXT = 200
"""Characters of a database value that a finding shows; a longer one is cut and fingerprinted."""

START_OF_LONG = 100
"""Characters that are left of a longer value, before its length and its fingerprint."""

LONGEST_BYTES = (LONGEST_TEXT - 2) // 2
"""Bytes of a value that a finding shows, two digits each after `0x`."""

START_OF_LONG_BYTES = (START_OF_LONG - 2) // 2
"""Bytes that are left of a longer value."""


class Hexadecimal(str):
    """Bytes as `0x` and two digits each: what shows it need not know that it is no text.

    What looks for the row has to know: a text may be spelled alike.
    """

    __slots__ = ()

    @classmethod
    def of(cls, value: bytes) -> "Hexadecimal":
        """The spelling of some bytes."""
        return cls(f"0x{value.hex()}")

    @property
    def digits(self) -> str:
        """What stands after `0x`."""
        return str(self)[2:]


def scalar(value: object) -> Scalar:
    """A database value as a finding keeps it: exact for numbers, bounded for texts.

    Bytes become `Hexadecimal`, TIME is spelled as the server does. A text over `LONGEST_TEXT`
    keeps its start, its length and a SHA-256 fingerprint, so that two long keys stay apart.
    """
    if value is None or isinstance(value, bool | int | Hexadecimal):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else f"{value:f}"
    if isinstance(value, datetime | date | timedelta):
        return _moment(value)
    return _hexadecimal(value) if isinstance(value, bytes) else _text(str(value))


def _moment(value: date | timedelta) -> str:
    if isinstance(value, timedelta):
        return _time(value)
    return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()


def _text(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
    return f"{text[:START_OF_LONG]}… [{len(text)} characters, sha256 {digest}]"


def _time(value: timedelta) -> str:
    """A TIME, up to 838 hours either way: `-10:00:00`, `08:30:00.500000`."""
    sign, whole = ("-", -value) if value < timedelta(0) else ("", value)
    minutes, seconds = divmod(whole.days * 86400 + whole.seconds, 60)
    fraction = f".{whole.microseconds:06}" if whole.microseconds else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


def _hexadecimal(value: bytes) -> str:
    if len(value) <= LONGEST_BYTES:
        return Hexadecimal.of(value)
    start = Hexadecimal.of(value[:START_OF_LONG_BYTES])
    digest = hashlib.sha256(value).hexdigest()[:16]
    return Hexadecimal(f"{start}… [{len(value)} bytes, sha256 {digest}]")


def exact(value: Scalar | timedelta) -> Any:
    """What a column is compared with to find again the row in which a value was seen."""
    if isinstance(value, timedelta):  # which SQLAlchemy would make a day of 1970 of
        return _time(value)
    # In SQL, as the server's modes decide what an escaped byte between quotes means.
    return literal_column(f"x'{value.digits}'") if isinstance(value, Hexadecimal) else value


_ABRIDGED = re.compile(r"… \[\d+ (?:characters|bytes), sha256 [0-9a-f]{16}\]$")


def is_abridged(value: object) -> bool:
    """Whether a value was cut by `scalar`, so that its row cannot be found by it."""
    return isinstance(value, str) and _ABRIDGED.search(value) is not None
