"""Whether the ledger rows of a group follow on one another."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    Numeric,
    case,
    cast,
    func,
    literal_column,
    null,
    true,
)

from checks.kinds.balance.sides import Built, Side
from checks.types import Identifier

_EXACT = Numeric(65, 0)
"""BIGINT plus BIGINT can overflow (MySQL error 1690); a DECIMAL has up to 65 digits."""

_BOUNDS = tuple(
    literal_column(f"@@{variable}", Integer)
    for variable in ("group_concat_max_len", "max_allowed_packet")
)
"""What bounds a list on the server, in bytes."""

_LONGEST = 22
"""The most characters of a BIGINT in a list, with its sign and a comma."""

_LONGEST_DECIMAL = 70
"""The same of a DECIMAL, which has up to 65 digits."""


class Chain(BaseModel):
    """The columns by which each ledger row follows on the one before it in its group."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: Identifier
    change: Identifier
    after: Identifier

    @property
    def columns(self) -> tuple[str, str, str]:
        """All three."""
        return self.before, self.change, self.after

    def is_off(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether a row does not add up in itself; what is unknown does not."""
        before, change = cast(rows.c[self.before], _EXACT), cast(rows.c[self.change], _EXACT)
        return func.coalesce(rows.c[self.after] != before + change, true())

    def previous(self, rows: FromClause, groups: Sequence[Built], ids: Built) -> Built:
        """What the row before it in its group left; NULL for the first."""
        return func.lag(rows.c[self.after]).over(partition_by=groups, order_by=ids)

    def breaks(self, before: Built, previous: Built) -> ColumnElement[bool]:
        """Whether a row does not follow on the one before it; the first of all follows on 0."""
        return before != func.coalesce(previous, 0)

    def holds(self, rows: FromClause, side: Side) -> Built:
        """Whether the rows of a group chain, told by two lists in the order of their ids.

        0 and all that is `after` are the same list as all that was `before` and the sum of all
        changes. The server cuts longer lists than it allows: of a group with so many rows it is
        unknown.
        """
        ids, found = rows.c[side.order], side.found
        names = (self.before, self.after)
        befores, afters = (
            # Added to 0 an amount loses the zeros that ZEROFILL puts before it.
            func.group_concat((rows.c[name] + literal_column("0")).op("ORDER BY")(ids))
            for name in names
        )
        one = cast(func.concat("0,", afters), LargeBinary)
        other = cast(func.concat(befores, ",", func.sum(rows.c[self.change])), LargeBinary)
        longest = _LONGEST if all(found[name].is_integer for name in names) else _LONGEST_DECIMAL
        is_whole = func.count() * longest < func.least(*_BOUNDS)
        return case((is_whole, one == other), else_=null())
