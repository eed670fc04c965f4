"""Where the command `reconciler` begins."""

import gc
from importlib import import_module


def main() -> None:
    """Import the command line and run it.

    A sixth of the start went into looking for garbage among what is imported: there is none.
    """
    gc.disable()
    command_line = import_module("worker.cli")
    gc.freeze()
    gc.enable()
    command_line.app()
