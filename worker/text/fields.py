"""The fields of a check as the configuration states them, in plain values."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from checks.contract import Check
from checks.types import duration_text

_LEFT_OUT = {
    "name",
    "kind",
    "database",
    "table",
    "severity",
    "confirmations",
    "confirm_after",
    "interfaces",
}


def fields(check: Check) -> Iterator[tuple[str, Any]]:
    """What the configuration says of a check, beyond what every check has and what is default."""
    for name in sorted(check.model_fields_set - _LEFT_OUT - {check.reads}):
        value = getattr(check, name)
        if value != type(check).model_fields[name].default:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in sorted(value.model_fields_set)}
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, timedelta):
        return duration_text(value)
    if value is None or isinstance(value, int | float):
        return value
    return str(getattr(value, "source", value))  # conditions and templates as they are written
