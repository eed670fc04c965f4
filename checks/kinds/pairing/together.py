"""All far rows of one near row together: how many they are, and what they add up to.

A near row is wrong if one of the far rows under one of its keys is not one that it may have, if
they are too few or too many, or if the sums of those that are do not fit: what they add up to is,
or is at most, a value of the near row. Each is looked up by its key, so that an index serves.

Under an open key there may be others: only those for which `far.when` holds are its far rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import (
    FromClause,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
)

from checks.contract import Evidence, Finding
from checks.kinds.pairing.far_rows import FarRows
from checks.kinds.pairing.findings import (
    Problem,
    Seen,
    distance,
    near_finding,
    near_seen,
    relation,
)
from checks.kinds.pairing.near_key import Built
from checks.kinds.pairing.near_rows import Listed, Part, everything, near_side
from checks.kinds.pairing.open_keys import Beginnings, beginnings_of, keyed_far_rows
from checks.kinds.pairing.plan import FarSum, Id, Plan, Predicate
from checks.kinds.pairing.statements import near_of_way, near_values, refers_by_index
from checks.snapshot import Snapshot
from checks.sql.statements import among, labelled, numbered
from checks.sql.values import scalar
from checks.watermark import Reading


@dataclass(frozen=True, slots=True)
class Key:
    """One of the keys under which the far rows of near rows may stand."""

    way: Plan
    """The plan that has no other."""
    value: Built
    beginnings: Beginnings = None
    """How such keys begin, if it is open, and that is known."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What a statement knows of a near row, or of a group of them."""

    rows: FromClause
    ids: Sequence[Built]
    keys: Sequence[Key]
    values: Sequence[tuple[Built, ...]]
    """What each far row has in common with it; of groups the least and the greatest."""
    wholes: Sequence[Built]
    """What the sums are compared with."""


def ours(plan: Plan, near: FromClause, beginnings: Sequence[Beginnings]) -> Ours:
    """Of the near side as a run reads it."""
    names = zip(plan.ways, numbered(near, "name"), beginnings, strict=True)
    keys = [Key(*each) for each in names]
    values = near_values(plan, near)
    return Ours(near, numbered(near, "key"), keys, values, numbered(near, "whole"))


def listed(plan: Plan, near: Listed) -> Ours:
    """Of the near side as an inspection query lists it."""
    rows = near.rows
    keys = [Key(*each) for each in zip(plan.ways, plan.names(rows), strict=True)]
    return Ours(rows, plan.near.ids(rows), keys, near.values, plan.wholes(rows))


def does_not_add_up(plan: Plan, mine: Ours) -> Predicate:
    """Whether a near row is wrong."""
    numbers = range(len(mine.keys))
    wrong = (exists(_differing(plan, mine, each).correlate(mine.rows)) for each in numbers)
    return or_(*wrong, *(not_(each) for each in _fits(plan, mine)))


def _fits(plan: Plan, mine: Ours) -> list[Predicate]:
    found: list[Predicate] = []
    if plan.far_count:
        found.append(plan.far_count.holds(_number(plan, mine)))
    for pair, whole, total in zip(plan.far_sums, mine.wholes, _totals(plan, mine), strict=True):
        most = func.coalesce(whole, 0)
        found.append(total <= most if pair.at_most else whole.is_not_distinct_from(total))
    return found


def _number(plan: Plan, mine: Ours) -> Built:
    """How many far rows a near row has."""
    return _over_keys(plan, mine, lambda _: func.count())


def _totals(plan: Plan, mine: Ours) -> list[Built]:
    """The sums of the far rows of a near row, 0 where there is none."""
    return [_over_keys(plan, mine, partial(_sum, pair), only_wanted=True) for pair in plan.far_sums]


def _sum(pair: FarSum, far: FarRows) -> Built:
    return func.sum(pair.far.over(far.column))


def _over_keys(
    plan: Plan, mine: Ours, value: Callable[[FarRows], Built], *, only_wanted: bool = False
) -> Built:
    """A number of the far rows under each key, added up."""
    parts: list[Built] = []
    for number, key in enumerate(mine.keys):
        far = keyed_far_rows(key.way, key.beginnings)
        chosen = _under(plan, mine, number, far, select(value(far)))
        if only_wanted:
            chosen = chosen.where(plan.far.wanted(far.column))
        parts.append(func.coalesce(chosen.correlate(mine.rows).scalar_subquery(), 0))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _under(
    plan: Plan, mine: Ours, number: int, far: FarRows, statement: Select[Any]
) -> Select[Any]:
    """The far rows of a near row under one of its keys, and under none of those before."""
    key = mine.keys[number]
    before = [_has(each, far) for each in mine.keys[:number]]
    others = [not_(func.coalesce(each, False)) for each in before]
    wanted = [plan.far.wanted(far.column)] if key.way.near.key.is_open else []
    conditions = (far.has([key.value]), *others, *wanted, *plan.apart(mine.ids))
    return statement.select_from(far.source).where(*conditions)


def _has(key: Key, far: FarRows) -> Predicate:
    (found,) = key.way.far_key(far.rows)
    return found == key.value


def _differing(plan: Plan, mine: Ours, number: int) -> Select[Any]:
    """The far rows under a key that a near row may not have."""
    key = mine.keys[number]
    far = keyed_far_rows(key.way, key.beginnings)
    same = (
        value.is_not_distinct_from(pair.far.over(far.column))
        for pair, values in zip(plan.pairs, mine.values, strict=True)
        for value in values
    )
    right = func.coalesce(and_(plan.far.wanted(far.column), *same), False)
    return _under(plan, mine, number, far, select(literal_column("1"))).where(not_(right))


def not_adding_up(
    plan: Plan, snapshot: Snapshot, near: Reading, far: Reading, known: Sequence[Id]
) -> list[Select[Any]]:
    """The ids of near rows whose far rows are not right."""
    side = near_side(plan)
    statements = []
    for part in _parts(plan, snapshot, near, far, known):
        rows = side.read(snapshot, part)
        beginnings = _beginnings(plan, snapshot, None if part is everything else part)
        wrong = does_not_add_up(plan, ours(plan, rows, beginnings))
        statements.append(select(*numbered(rows, "key")).select_from(rows).where(wrong))
    return statements


def _beginnings(plan: Plan, snapshot: Snapshot, part: Part | None) -> list[Beginnings]:
    """For each key how those of a part begin; not said of all rows."""
    if part is None:
        return [None for _ in plan.ways]
    ways = [near_side(way).read(snapshot, part) for way in plan.ways]
    return [beginnings_of(snapshot, each) for each in ways]


def _parts(
    plan: Plan, snapshot: Snapshot, near: Reading, far: Reading, known: Sequence[Id]
) -> list[Part]:
    """What a run reads of the near side: also the rows to which new far rows belong."""
    if near.begin is None or far.begin is None:
        return [everything]
    parts = near_side(plan).parts(near, known)
    for way in plan.ways:
        parts.append(_touched(way, snapshot, far, tuple(parts)))
    return parts


def _touched(plan: Plan, snapshot: Snapshot, far: Reading, others: Sequence[Part]) -> Part:
    """The near rows to which new far rows belong, without those that are read all the same."""

    def touched(rows: FromClause) -> Predicate:
        own = plan.near.ids(rows)
        one = own[0] if len(own) == 1 else tuple_(*own)
        is_touched = one.in_(_near_of_new(plan, snapshot, far))
        return and_(is_touched, *(not_(func.coalesce(part(rows), False)) for part in others))

    return touched


def _near_of_new(plan: Plan, snapshot: Snapshot, reading: Reading) -> Select[Any]:
    far, near = plan.rows(plan.far).alias("new_far"), near_of_way(plan, "of_new")
    cursor = far.c[plan.far.cursor] if plan.far.cursor else None
    pairs = far.join(near, refers_by_index(plan, snapshot, near, far))
    return select(*plan.near.ids(near)).select_from(pairs).where(reading.covers(cursor))


def findings(
    plan: Plan, snapshot: Snapshot, ids: Sequence[Id], problem: Callable[[Seen], Problem]
) -> list[Finding]:
    """A finding for each of these near rows, whose far rows are not right."""

    def these(rows: FromClause) -> Predicate:
        return among(plan.near.ids(rows), ids)

    near = near_side(plan).read(snapshot, these)
    mine = ours(plan, near, _beginnings(plan, snapshot, these))
    statement = select(
        *labelled("key", mine.ids),
        *labelled("whole", mine.wholes),
        *labelled("total", _totals(plan, mine)),
        _number(plan, mine).label("rows"),
    )
    numbers = {_id(plan, row): row for row in snapshot.connection.execute(statement).mappings()}
    seen = near_seen(plan, snapshot, ids)
    return [_finding(plan, each, numbers[each.id], problem) for each in seen]


def _id(plan: Plan, row: RowMapping) -> Id:
    return tuple(scalar(row[f"key_{number}"]) for number in range(len(plan.near.id)))


def _finding(
    plan: Plan, seen: Seen, row: RowMapping, problem: Callable[[Seen], Problem]
) -> Finding:
    far, rows = plan.far, int(row["rows"])
    compared = () if plan.far_sums and seen.far_id is None else seen.compared
    seen = replace(seen, compared=compared, far_rows=rows)
    found = near_finding(plan, seen, problem(seen))
    evidence: dict[str, Evidence] = {**found.evidence, f"{far.role} rows": rows}
    sizes, aspects = [each.difference for each in seen.different], [*found.aspects]
    for number, pair in enumerate(plan.far_sums):
        whole, total = scalar(row[f"whole_{number}"]), scalar(row[f"total_{number}"])
        evidence |= {pair.near.source: whole, f"{far.role} SUM({pair.far.source})": total}
        sizes.append(distance(whole, total))
        aspects.append(f"{pair.near.source} {relation(whole, total)} SUM({pair.far.source})")
    if plan.far_count and not plan.far_count.fits(rows):
        aspects.append(f"{rows} {far.role} rows")
    return replace(found, evidence=evidence, magnitude=max(1, sum(sizes)), aspects=tuple(aspects))
