"""What `reference` and `posting` have in common: rows of one table, and the rows they answer to.

The near side is the table that is blamed, the far side the one it refers to. A near row, or a group
of them, is right when there is a far row with the right key that agrees in all that is compared.
"""

from checks.kinds.pairing.check import Pairing
from checks.kinds.pairing.plan import Built, Catalog, Direction, Far, Key, Moment, NearSide, Only

__all__ = ["Built", "Catalog", "Direction", "Far", "Key", "Moment", "NearSide", "Only", "Pairing"]
