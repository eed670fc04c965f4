"""Patterns: they mean what the standard library's mean, and leave nothing behind."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.text.wildcards import matches

PARTS = st.sampled_from(["a", "b", "c", ".", "_", "*", "?", "[ab]", "[!b]", "[a-c]", "[", "]", "!"])


@given(st.text("abc._[]!", max_size=8), st.lists(PARTS, max_size=8).map("".join))
def test_patterns_mean_what_they_usually_do(name: str, pattern: str) -> None:
    """The same names fit as by `fnmatch`."""
    assert matches(name, pattern) is fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("name", "pattern"), [("a", "[b-]a"), ("-", "[a-]"), ("]", "[]]"), ("x", "[!]]"), ("b", "[!]")]
)
def test_sets_at_their_edges(name: str, pattern: str) -> None:
    """A dash or a bracket at the edge of a set is one of it."""
    assert matches(name, pattern) is fnmatch.fnmatchcase(name, pattern)


def test_the_worst_pattern_takes_no_time() -> None:
    """Stars without number and a name that almost fits."""
    assert not matches("a" * 200, "*a" * 120 + "b")
