"""How a finding of several rows lists them: `row_ids`, one value for each row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from checks.contract import Scalar
from checks.sql.values import Hexadecimal, scalar

NAME = "row_ids"
"""What the list is called in evidence."""

_BYTES = "bytes"
"""Beside this word bytes are listed: a text may be spelled alike."""


def row_id(names: Sequence[str], values: Sequence[object]) -> Scalar:
    """A primary key as one value: its only column's, or all of them as a JSON object."""
    if len(names) == 1:
        return scalar(values[0])
    return listed(dict(zip(names, map(scalar, values), strict=True)))


def listed(parts: Mapping[str, Scalar]) -> str:
    """The columns of a row as a JSON object."""
    plain = {n: {_BYTES: v} if isinstance(v, Hexadecimal) else v for n, v in parts.items()}
    return json.dumps(plain, ensure_ascii=False)


def row_keys(names: Sequence[str], evidence: Mapping[str, Any]) -> list[dict[str, Scalar]]:
    """The primary keys of the rows that an evidence lists; without names, of several columns."""
    rows = evidence.get(NAME, ())
    if len(names) == 1:
        return [{names[0]: each} for each in rows]
    found = (each for each in map(parts_of, rows) if each)
    return [each for each in found if not names or set(each) == set(names)]


def parts_of(row: object) -> dict[str, Scalar]:
    """The columns of a listed row by name; nothing for what `listed` did not make."""
    try:
        parts = json.loads(row) if isinstance(row, str) else None
    except ValueError:
        return {}
    if not isinstance(parts, dict):
        return {}
    return {n: Hexadecimal(v[_BYTES]) if isinstance(v, dict) else v for n, v in parts.items()}
