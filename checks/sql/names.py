"""Names as databases compare them: columns, indexes and, on some servers, tables, by any case.

A catalog spells a name as whoever created the thing did, a configuration as whoever wrote that.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

T = TypeVar("T")


def folded(names: Iterable[str]) -> set[str]:
    """Names as they are compared."""
    return {name.lower() for name in names}


def same(one: str, other: str) -> bool:
    """Whether two names are one."""
    return one.lower() == other.lower()


class Names(dict[str, T]):
    """What is known under names, found by each spelling; it lists them as they were spelled."""

    def __init__(self, known: Mapping[str, T] = MappingProxyType({})) -> None:
        super().__init__(known)
        self._spellings = {name.lower(): name for name in self}

    def __contains__(self, name: object) -> bool:
        """Whether there is such a name."""
        return isinstance(name, str) and name.lower() in self._spellings

    def __getitem__(self, name: str) -> T:
        """Raises KeyError where there is no such name."""
        return super().__getitem__(self._spellings.get(name.lower(), name))

    def get(self, name: str, default: Any = None) -> Any:
        """What is known, or else the default."""
        return super().get(self._spellings.get(name.lower(), name), default)
