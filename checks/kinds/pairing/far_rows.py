"""The far side in statements: its rows, called `far`, and the tables joined to them."""

from dataclasses import dataclass

from sqlalchemy import FromClause

from checks.kinds.pairing.near_key import Built
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

    @property
    def is_absent(self) -> Predicate:
        """Whether an outer join found none."""
        return self.ids[0].is_(None)


def far_rows(plan: Plan, *, outer: bool) -> FarRows:
    """The far side, with all that is joined to it."""
    rows = plan.rows(plan.far).alias("far")
    source, column = join(rows, plan.joins, plan.read, outer=outer)
    return FarRows(rows, source, column, plan.far.own(rows))


def far_rows_to_count(plan: Plan) -> FarRows:
    """The far side, with joined tables only if they decide which rows are wanted."""
    far = far_rows(plan, outer=True)
    source = far.source if plan.far.is_chosen_by_joins else far.rows
    return FarRows(far.rows, source, far.column, far.ids)
