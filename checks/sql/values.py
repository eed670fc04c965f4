"""Values of the database as findings keep them: exact numbers, bounded texts."""

import hashlib
import re
from datetime import date, datetime
from decimal import Decimal

from checks.contract import Scalar

LONGEST_TEXT = 200
"""Characters of a database value that a finding shows; a longer one is cut and fingerprinted."""

START_OF_LONG = 100
"""Characters that are left of a longer value, before its length and its fingerprint."""


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
