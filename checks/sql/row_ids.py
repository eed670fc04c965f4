"""How a finding of several rows lists them: `row_ids`, one value for each row."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from checks.contract import Scalar
from checks.sql.values import scalar

NAME = "row_ids"
"""What the list is called in evidence."""


def row_id(names: Sequence[str], values: Sequence[object]) -> Scalar:
    """A primary key as one value: its only column's, or all of them as a JSON object."""
    plain = [scalar(each) for each in values]
    if len(plain) == 1:
        return plain[0]
    return json.dumps(dict(zip(names, plain, strict=True)), ensure_ascii=False)


def row_keys(names: Sequence[str], evidence: Mapping[str, Any]) -> list[dict[str, Scalar]]:
    """The primary keys of the rows that an evidence lists."""
    found = [parts_of(each, names) for each in evidence.get(NAME, ())]
    return [each for each in found if set(each) == set(names)]


def parts_of(listed: Scalar, names: Sequence[str] = ("", "")) -> dict[str, Scalar]:
    """The columns of a listed row by name; nothing for what `row_id` did not make."""
    if len(names) == 1:
        return {names[0]: listed}
    try:
        parts = json.loads(listed) if isinstance(listed, str) else None
    except ValueError:
        return {}
    return parts if isinstance(parts, dict) else {}
