"""Any value as JSON of one line that commands no terminal."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.sql.values import Hexadecimal
from worker.text.encode import dump, restore, store


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Decimal(12345678901234567890123), 12345678901234567890123),
        (Decimal("1.5"), "1.5"),
        (2**80, 2**80),
        ((1, {"a": {2}}), [1, {"a": [2]}]),
        ("\ud800", "\\ud800"),
        ("a\u202eb\x85\x9b\u2028", "a\u202eb\x85\x9b\u2028"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
    ],
)
def test_dump_is_valid_and_exact(value: object, expected: object) -> None:
    """Values that JSON lacks are written as text, and numbers keep all their digits."""
    assert json.loads(dump(value), parse_constant=_refuse) == expected


def test_deceptive_characters_are_escaped() -> None:
    """What would begin a line, reverse it or command a terminal is written as an escape."""
    assert dump("a\u202eb\x85\x9b\u2028\x7f") == r'"a\u202eb\u0085\u009b\u2028\u007f"'


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    )
)
def test_dump_takes_anything_on_one_line(value: object) -> None:
    """Any value gives one line of valid JSON in valid UTF-8."""
    text = dump(value)
    assert "\n" not in text
    json.loads(text.encode(), parse_constant=_refuse)


def test_bytes_are_known_from_texts_in_the_state() -> None:
    """What names bytes does so after it was stored; a text that reads alike stays a text."""
    key = {"id": Hexadecimal("0x00ff"), "k": "0x00ff", "n": [Hexadecimal("0x"), None, 1]}
    restored = restore(store(key))
    assert restored == key
    kinds = (type(each) for each in (restored["id"], restored["k"], restored["n"][0]))
    assert list(kinds) == [Hexadecimal, str, Hexadecimal]
