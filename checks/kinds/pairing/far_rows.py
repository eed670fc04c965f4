"""The far side in statements: its rows, called `far`, and the tables joined to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import FromClause, and_

from checks.kinds.pairing.near_key import KEY, Built, has_key
from checks.kinds.pairing.plan import Plan, Predicate
from checks.sql.joins import Lookup, join


@dataclass(frozen=True, slots=True)
class FarRows:
    """Far rows as a statement reads them."""

    rows: FromClause
    """Those of the table alone."""
    source: FromClause
    """The same with the tables joined to them."""
    column: Lookup
    """The columns of both, by name."""
    ids: list[Built]
    """The columns of the primary key."""
    key: list[Built]
    """The key, as it is compared with that of a near row."""

    def has(self, key: Sequence[Built]) -> Predicate:
        """Whether a row is the one that is referred to by a key."""
        if KEY in self.rows.c:
            return has_key(self.rows, key[0])
        return and_(*(one == other for one, other in zip(self.key, key, strict=True)))

    @property
    def is_absent(self) -> Predicate:
        """Whether an outer join found none."""
        return self.ids[0].is_(None)


def far_rows(plan: Plan, *, outer: bool) -> FarRows:
    """The far side, with all that is joined to it."""
    rows = plan.rows(plan.far).alias("far")
    return joined_rows(plan, rows, plan.far_key(rows), outer=outer)


def joined_rows(plan: Plan, rows: FromClause, key: list[Built], *, outer: bool) -> FarRows:
    """Some far rows, which have this key, with all that is joined to them."""
    source, column = join(rows, plan.joins, plan.read, outer=outer)
    return FarRows(rows, source, column, plan.far.own(rows), key)


def far_rows_to_count(plan: Plan) -> FarRows:
    """The far side, with joined tables only if they decide which rows are wanted."""
    far = far_rows(plan, outer=True)
    source = far.source if plan.far.is_chosen_by_joins else far.rows
    return replace(far, source=source)
