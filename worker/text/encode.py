"""Values as JSON and as text of one line: what the log, the state, pages and alerts are made of."""

import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from checks.sql.values import Hexadecimal

_DECEPTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
"""Characters that begin a line, reverse it, hide or command a terminal: written as \\uNNNN."""


def dump(value: object, **_options: object) -> str:
    """Valid JSON on one line for anything: no bare NaN, and Decimal as an exact number's text."""
    return harmless(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def store(value: object) -> str:
    """JSON for the state, from which `restore` makes the same keys, evidence and cursors again."""
    return dump(_marked(value))


def restore(stored: str) -> Any:
    """What `store` was given."""
    return json.loads(stored, object_hook=_unmarked)


_BYTES = ""
"""In the state, the name of what stands for bytes; no column is called so."""


def _marked(value: object) -> object:
    if isinstance(value, Hexadecimal):
        return {_BYTES: str(value)}
    if isinstance(value, Mapping):
        return {key: _marked(each) for key, each in value.items()}
    return [_marked(each) for each in value] if isinstance(value, list | tuple) else value


def _unmarked(value: dict[str, Any]) -> object:
    return Hexadecimal(value[_BYTES]) if value.keys() == {_BYTES} else value


def harmless(text: str) -> str:
    """A text on one line that commands no terminal: its control characters are spelled out."""
    return _DECEPTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {encodable(str(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if value is None or isinstance(value, int) or _is_finite(value):
        return value
    return encodable(str(value))


def encodable(text: str) -> str:
    """A text without lone surrogates, which no UTF-8 can hold; they are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)
