"""What `reference` and `posting` have in common: rows of one table that refer to rows of another.

`plan.py` explains how such a check works.
"""

from checks.kinds.pairing.check import Pairing

__all__ = ["Pairing"]
