"""Imports of the start, without looking for garbage meanwhile."""

import gc
import sys
from importlib import import_module
from types import ModuleType


def imported(name: str) -> ModuleType:
    """A module. Raises ImportError.

    A sixth of the start went into looking for garbage among what is imported: there is none.
    """
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
