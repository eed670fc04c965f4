"""Whether the ledger rows of a group follow on one another."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    LargeBinary,
    Numeric,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
    true,
)

from checks.kinds.balance.sides import FLAG, Built, Side, called, chains
from checks.sql import exact
from checks.sql.expression import Amount, amount

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

    before: Amount
    change: Amount
    after: Amount

    @property
    def columns(self) -> tuple[str, str, str]:
        """All three."""
        return self.before, self.change, self.after

    def is_off(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether a row does not add up in itself; what is unknown does not."""
        before, change, after = (rows.c[called(name)] for name in self.columns)
        sum_ = exact.comparable(exact.added(exact.decimal(before), change))
        off = func.coalesce(exact.comparable(after) != sum_, true())
        return and_(off, chains(rows))

    def previous(self, rows: FromClause, groups: Sequence[Built], ids: Built) -> Built:
        """What the row before it in its group left; NULL for the first."""
        own = [*groups, *([rows.c[FLAG]] if FLAG in rows.c else [])]
        return func.lag(rows.c[called(self.after)]).over(partition_by=own, order_by=ids)

    def breaks(self, before: Built, previous: Built) -> ColumnElement[bool]:
        """Whether a row does not follow on the one before it; the first of all follows on 0."""
        return before != func.coalesce(previous, 0)

    def holds(self, rows: FromClause, side: Side) -> Built:
        """Whether the rows of a group chain, told by two lists in the order of their ids.

        0 and all that is `after` are the same list as all that was `before` and the sum of all
        changes. The server cuts longer lists than it allows: of a group with so many rows it is
        unknown.
        """
        ids = rows.c[side.order]
        if (places := self._places(side)) is None:
            return null()

        def spelled(number: Built) -> Built:
            return cast(number, Numeric(exact.MOST_DIGITS, places)) if places else number

        def listed(name: str) -> Built:
            # Added to 0 an amount loses the zeros that ZEROFILL puts before it.
            value = rows.c[called(name)] + literal_column("0")
            own = case((chains(rows), spelled(value))) if FLAG in rows.c else spelled(value)
            return func.group_concat(own.op("ORDER BY")(ids))

        befores, afters = listed(self.before), listed(self.after)
        changes = rows.c[called(self.change)]
        own = case((chains(rows), changes)) if FLAG in rows.c else changes
        nought = func.concat(spelled(literal_column("0")), ",") if places else "0,"
        one = cast(func.concat(nought, afters), LargeBinary)
        other = cast(func.concat(befores, ",", spelled(func.sum(own))), LargeBinary)
        integers = all(n in side.found and side.found[n].is_integer for n in self.columns)
        longest = _LONGEST if integers else _LONGEST_DECIMAL
        is_whole = func.count() * longest < func.least(*_BOUNDS)
        found = case((is_whole, one == other), else_=null())
        if FLAG not in rows.c:
            return found
        number = func.sum(case((chains(rows), 1), else_=0))
        return case((number == 0, true()), else_=found)

    def _places(self, side: Side) -> int | None:
        """The places in which all of them are written alike; None where there are none such."""
        if side.types is None:
            return 0
        sizes = [amount(name).size(side.types) or exact.Size(0, 0) for name in self.columns]
        places = max(each.places for each in sizes)
        # The sum of all changes has to fit, too.
        fits = max(each.whole for each in sizes) + places <= exact.MOST_DIGITS
        return places if fits else None
