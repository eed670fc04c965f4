"""Which SQL somebody is given to look at findings with: none that holds a personal value."""

from collections.abc import Iterable, Mapping
from itertools import chain, zip_longest
from typing import Any

from checks.contract import Check
from worker.text.redact import Mask

Fields = Mapping[str, Any]


def look(check: Check, mask: Mask, findings: Iterable[tuple[Fields, Fields]]) -> str | None:
    """The statement for findings, each a key and an evidence; None where no SQL can show them.

    By key where no key is personal, else by the rows that the evidence lists, the first ones of
    each finding first, where their keys are not; else for all violations of the check.
    """
    found = list(findings)
    keys = [key for key, _ in found]
    if _are_open(keys, mask):
        return check.look(keys)
    ranks = zip_longest(*(check.row_keys(evidence) for _, evidence in found))
    rows = [row for row in chain.from_iterable(ranks) if row is not None]
    return check.look(rows if _are_open(rows, mask) else ())


def _are_open(keys: Iterable[Fields], mask: Mask) -> bool:
    return not any(mask.is_personal(name) for key in keys for name in key)
