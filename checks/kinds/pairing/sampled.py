"""Whether a rule, as it is written, fails or leaves out most rows: a look at the last of them.

A rule that nobody meant does: a condition in the wrong field, a template of another year.
"""

from collections.abc import Iterator

from sqlalchemy import func, select

from checks.kinds.pairing.near_rows import near_side
from checks.kinds.pairing.plan import Plan
from checks.kinds.pairing.statements import without_far
from checks.relations import Selected, followed
from checks.snapshot import Snapshot
from checks.sql.statements import among

ROWS = 200
"""How many of the last rows are looked at."""

FEWEST = 20
"""Of fewer nothing is said."""


def suspicions(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    """What is said of a rule that most of the last rows do not obey, or that is about few."""
    near = plan.near
    is_selected = isinstance(plan.relations.get(near.table), Selected)
    if is_selected or plan.sums or plan.is_together or not near.primary_key:
        return  # no index finds the last rows, or a row is not judged by itself
    (every,) = followed(plan.relations, near.table, near.primary_key)
    keys = near.own(every)
    # Of all rows: those that count may be few, and far from the end.
    last = select(*keys).order_by(*(each.desc() for each in keys)).limit(ROWS)
    ids = [tuple(row) for row in snapshot.connection.execute(last)]
    rows = plan.rows(near)
    counting = select(func.count()).select_from(rows).where(among(near.own(rows), ids))
    count = snapshot.number(counting) if ids else 0
    if count < FEWEST:
        return
    number = snapshot.number(counting.where(near.chosen(rows)))
    if number * 50 <= count and near.when:
        of = f"of the last {count} rows of {near.table}"
        yield f"when is true for {number} {of}: {near.when.source}"
    read = near_side(plan).read(snapshot, lambda rows: among(near.ids(rows), ids))
    judged = snapshot.number(select(func.count()).select_from(read))
    wrong = snapshot.number(select(func.count()).select_from(without_far(plan, read).subquery()))
    if judged >= FEWEST and wrong * 2 > judged:
        yield (
            f"{wrong} of the last {judged} rows of {near.table} that are judged break this rule:"
            " is it the rule that is meant?"
        )
