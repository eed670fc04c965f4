"""What Pydantic finds wrong, in the words of a configuration file, and each mistake once."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

MISSING = "is missing"

_PLAIN = {
    "missing": MISSING,
    "union_tag_not_found": MISSING,
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "mapping_type"), "must be a table"),
    "model_attributes_type": "must be a table",
    "string_type": "must be a text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
}
_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match the pattern {pattern!r}",
}
_SIZES = {
    "too_short": ("at least", "min_length", "entry", "entries"),
    "too_long": ("at most", "max_length", "entry", "entries"),
    "string_too_short": ("at least", "min_length", "character", "characters"),
    "string_too_long": ("at most", "max_length", "character", "characters"),
}


def plain(error: ErrorDetails) -> str:
    """What is wrong, without the value."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind in _SIZES:
        return _size(kind, context)
    return error["msg"].removeprefix("Value error, ")


def _size(kind: str, context: Mapping[str, Any]) -> str:
    words, bound, one, several = _SIZES[kind]
    number = context[bound]
    return f"must have {words} {number} {one if number == 1 else several}"


def once(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without those that only follow: a list is too short where one of its entries is wrong."""
    places = [each["loc"] for each in errors]
    return [
        each
        for each in errors
        if each["type"] != "too_short" or not any(_is_within(p, each["loc"]) for p in places)
    ]


def _is_within(place: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other
