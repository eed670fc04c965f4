"""Modules that are imported when they are first used: what only some configurations need."""

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module until something of it is asked for, which imports it.

    The type checker is shown the module itself, `if TYPE_CHECKING`. An annotation that names
    something of it stands in quotes, and a base class or a constant cannot be of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """The module's. Raises ImportError and AttributeError."""
        return getattr(import_module(self._name), attribute)
