"""Personal data of the audited rows: what of a finding may leave the state, and in which form."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from checks.sql.row_ids import NAME as ROW_IDS
from checks.sql.row_ids import listed, parts_of

PERSONAL = (
    *("*user_id*", "*mobile*", "*phone*", "*email*", "*nickname*", "*real_name*", "*openid*"),
    *("*address*", "*id_card*", "*idempotency_key*", "*order_no*", "*session_id*", "qr_code"),
    *("*code_hash", "meta", "*_params", "*_snapshot"),
)
"""Columns of which each value is taken for personal data; keys of requests name their users."""

DIGITS = 8
"""Hex digits of a mask: enough to tell thousands of values apart, far too few to be undone."""

SHORTEST_HIDDEN = 4
"""Characters of the shortest masked text that is also looked for inside messages."""

Fields = Mapping[str, Any]


class Mask:
    """Puts a keyed hash in the place of personal values: `~3f2a9c1e`.

    The same value has the same mask as long as the secret is the same, so that two findings about
    one person can be seen to be so. HMAC-SHA256 (RFC 2104): without the secret, trying out all
    users' numbers tells nothing.
    """

    def __init__(self, personal: Iterable[str] = PERSONAL, secret: bytes | None = None) -> None:
        """`personal` are patterns with `*` of column names.

        Without a secret a fresh one is taken, and no two processes show the same masks.
        """
        self._personal = tuple(personal)
        self._secret = secret or secrets.token_bytes(32)

    def value(self, value: object) -> str:
        """What stands for a value."""
        digest = hmac.new(
            self._secret, json.dumps(value, default=str).encode(), hashlib.sha256
        ).hexdigest()
        return f"~{digest[:DIGITS]}"

    def is_personal(self, name: str) -> bool:
        """Whether values of this name are masked."""
        return any(fnmatchcase(name.lower(), each) for each in self._personal)

    def fields(self, fields: Fields) -> dict[str, Any]:
        """A key or an evidence, with its personal values masked; NULL stays NULL."""
        return {name: self._shown(name, value) for name, value in fields.items()}

    def finding(
        self, key: Fields, evidence: Fields, message: str
    ) -> tuple[dict[str, Any], dict[str, Any], str]:
        """A finding as it may be shown: its key, its evidence and its message."""
        return self.fields(key), self.fields(evidence), self.message(message, key, evidence)

    def message(self, message: str, *fields: Fields) -> str:
        """A sentence without the personal texts of a finding that it repeats."""
        for name, value in ((n, v) for each in fields for n, v in each.items()):
            if not self.is_personal(name):
                continue
            for one in value if isinstance(value, list | tuple) else (value,):
                if one is not None:
                    message = self._without(message, name, one)
        return message

    def _without(self, message: str, name: str, value: object) -> str:
        shown = self.value(value)
        # A number, or a short text, may well stand there for something else.
        message = re.sub(
            rf"{re.escape(f'{name} {value}')}(?!\w)", lambda _: f"{name} {shown}", message
        )
        if isinstance(value, str) and len(value) >= SHORTEST_HIDDEN:
            message = message.replace(value, shown)
        return message

    def _shown(self, name: str, value: Any) -> Any:
        if name == ROW_IDS:
            return (
                [self._row_id(each) for each in value] if isinstance(value, list | tuple) else value
            )
        if value is None or not self.is_personal(name):
            return value
        if isinstance(value, list | tuple):
            return [None if each is None else self.value(each) for each in value]
        return self.value(value)

    def _row_id(self, row: Any) -> Any:
        """A row as `row_ids` lists it; of a key of several columns each has its name there."""
        parts = parts_of(row)
        if not any(self.is_personal(name) for name in parts):
            return row
        return listed(self.fields(parts))
