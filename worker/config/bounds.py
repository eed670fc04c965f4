"""How large a configuration may be: looked at before anything of it is interpreted."""

from collections.abc import Iterator
from typing import Any

LARGEST_FILE = 4 << 20
"""Bytes of `config.toml`."""

DEEPEST = 20
"""Tables and lists inside of one another."""

MOST_VALUES = 100_000
"""Keys and values in all."""

LONGEST_KEY = 1000
"""Characters of a key."""

LONGEST_TEXT = 100_000
"""Characters of a text: a SELECT, a condition, a pattern."""

LARGEST_SECRET = 64 << 10
"""Bytes of a file with a password, a URL or a token."""

Place = tuple[str | int, ...]


def excesses(document: Any) -> Iterator[tuple[Place, str]]:
    """What is too large, each with its place, which is cut where it is too large itself.

    Goes no deeper than `DEEPEST` and uses no recursion: a document of any depth is safe here.
    """
    waiting: list[tuple[Place, Any]] = [((), document)]
    number = 0
    while waiting:
        place, value = waiting.pop()
        number += 1
        if number > MOST_VALUES:
            yield (), f"has more than {MOST_VALUES} values"
            return
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            yield place, f"longer than {LONGEST_TEXT} characters"
        elif isinstance(value, dict | list) and len(place) >= DEEPEST:
            yield place[:3], f"nested deeper than {DEEPEST} tables and lists"
        elif isinstance(value, dict):
            for key, below in value.items():
                if len(key) > LONGEST_KEY:
                    yield place, f"a key longer than {LONGEST_KEY} characters"
                else:
                    waiting.append(((*place, key), below))
        elif isinstance(value, list):
            waiting.extend(((*place, index), below) for index, below in enumerate(value))
