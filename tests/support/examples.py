"""How many examples tests take that make up their own."""

import os

TIMES = int(os.environ.get("TIMES", "1"))
"""How many times as many as in `make test`; `make faults` takes more."""


def examples(usual: int) -> int:
    """So many in `make test`, and as many times more as the environment asks for."""
    return usual * TIMES
