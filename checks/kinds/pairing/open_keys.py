"""Look-ups of far rows by keys of which near rows know but the beginning.

No index finds such a row for each of many near rows in one statement. So an incremental run asks
for the beginnings first, and reads what an index of the far key has under these; where they are
many, and in a complete run, it reads all keys of that form, once.
"""

from collections.abc import Collection

from sqlalchemy import FromClause, and_, false, or_, select, true

from checks.kinds.pairing.far_rows import FarRows, far_rows, joined_rows
from checks.kinds.pairing.near_key import KEY, Built, DerivedKey, with_key
from checks.kinds.pairing.plan import Plan, Predicate
from checks.snapshot import Snapshot

MOST_BEGINNINGS = 200
"""Beginnings that one statement asks for."""

_LAST = ("~", *(each * (40 // len(each)) for each in ("z", "y", "aa", "zs")))
"""Texts of which one comes after every text of a placeholder, whatever the collation.

`~` is the last character where they are ordered by their codes; elsewhere it is a letter, which
in Estonian is y, in Danish aa, and in Hungarian zs.
"""

Beginnings = Collection[str] | None
"""How keys begin that are looked for; None for all."""


def begins(key: Built, beginnings: Beginnings) -> Predicate:
    """Whether a key, after one of these beginnings, goes on with what a placeholder may be.

    Also true of some others.
    """
    if beginnings is None:
        return true()
    ends = {each: or_(*(key <= each + last for last in _LAST)) for each in beginnings}
    return or_(false(), *(and_(key >= each, before) for each, before in ends.items()))


def beginnings_of(snapshot: Snapshot, near: FromClause) -> Beginnings:
    """How the keys of near rows begin, as a run reads these; None where they are many."""
    if "low_0" not in near.c:
        return None
    low = near.c.low_0
    found = select(low).where(low.is_not(None)).distinct().limit(MOST_BEGINNINGS + 1)
    values = [value for (value,) in snapshot.connection.execute(found)]
    is_short = len(values) <= MOST_BEGINNINGS and all(isinstance(each, str) for each in values)
    return values if is_short else None


def keyed_far_rows(plan: Plan, beginnings: Beginnings) -> FarRows:
    """The far side with all that is joined to it, for looking up rows by their keys."""
    key = plan.near.key
    if not (isinstance(key, DerivedKey) and key.is_open):
        return far_rows(plan, outer=True)
    (name,) = plan.far.key
    found = plan.rows(plan.far).alias("of_key")
    some = with_key(found, key.template.generalized(found.c[name]))
    rows = some.where(begins(found.c[name], beginnings)).subquery("far")
    return joined_rows(plan, rows, [rows.c[KEY]], outer=True)
