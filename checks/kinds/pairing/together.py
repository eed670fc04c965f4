"""Several far rows of one near row: what they add up to is, or is at most, a value of the near row.

Such a row is wrong if a far row under one of its keys is not one that it may have, or if the sums
of those that are do not fit. Each is looked up by its key, so that an index serves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from checks.kinds.pairing.far_rows import FarRows, far_rows
from checks.kinds.pairing.findings import Problem, Seen, distance, relation
from checks.kinds.pairing.near_key import Built
from checks.kinds.pairing.near_rows import Part, everything, near_side
from checks.kinds.pairing.plan import FarSum, Id, Plan, Predicate
from checks.kinds.pairing.statements import refers_by_index
from checks.snapshot import Snapshot
from checks.sql.statements import among, labelled, numbered
from checks.sql.values import scalar
from checks.watermark import Reading


@dataclass(frozen=True, slots=True)
class Ours:
    """What a statement knows of a near row."""

    rows: FromClause
    ids: Sequence[Built]
    keys: Sequence[Built]
    """The keys under which its far rows may stand."""
    equal: Sequence[Built]
    """What each far row has in common with it."""
    wholes: Sequence[Built]
    """What the sums are compared with."""


def ours(near: FromClause) -> Ours:
    """Of the near side as a run reads it."""
    names = ("key", "name", "value", "whole")
    return Ours(near, *(numbered(near, name) for name in names))


def listed(plan: Plan, rows: FromClause) -> Ours:
    """Of the rows of the near table."""
    equal = [pair.near.over(rows.c.__getitem__) for pair in plan.equal]
    return Ours(rows, plan.near.ids(rows), plan.names(rows), equal, plan.wholes(rows))


def does_not_add_up(plan: Plan, mine: Ours) -> Predicate:
    """Whether a near row is wrong."""
    wrong = (exists(_differing(plan, mine, key).correlate(mine.rows)) for key in mine.keys)
    return or_(*wrong, *(not_(each) for each in _fits(plan, mine)))


def _fits(plan: Plan, mine: Ours) -> list[Predicate]:
    found: list[Predicate] = []
    for pair, whole, total in zip(plan.far_sums, mine.wholes, _totals(plan, mine), strict=True):
        most = func.coalesce(whole, 0)
        found.append(total <= most if pair.at_most else whole.is_not_distinct_from(total))
    return found


def _totals(plan: Plan, mine: Ours) -> list[Built]:
    """The sums of the far rows of a near row, 0 where there is none."""
    return [_over_keys(plan, mine, partial(_sum, pair)) for pair in plan.far_sums]


def _sum(pair: FarSum, far: FarRows) -> Built:
    return func.sum(pair.far.over(far.column))


def _over_keys(plan: Plan, mine: Ours, value: Callable[[FarRows], Built]) -> Built:
    """A number of the far rows under each key, added up."""
    parts: list[Built] = []
    for key in mine.keys:
        far = far_rows(plan, outer=True)
        chosen = _under(plan, mine, key, far, select(value(far))).where(plan.far.wanted(far.column))
        parts.append(func.coalesce(chosen.correlate(mine.rows).scalar_subquery(), 0))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _under(plan: Plan, mine: Ours, key: Built, far: FarRows, statement: Select[Any]) -> Select[Any]:
    (name,) = plan.far.key
    return statement.select_from(far.source).where(far.column(name) == key, *plan.apart(mine.ids))


def _differing(plan: Plan, mine: Ours, key: Built) -> Select[Any]:
    """The far rows under a key that a near row may not have."""
    far = far_rows(plan, outer=True)
    same = (
        value.is_not_distinct_from(pair.far.over(far.column))
        for pair, value in zip(plan.equal, mine.equal, strict=True)
    )
    right = func.coalesce(and_(plan.far.wanted(far.column), *same), False)
    return _under(plan, mine, key, far, select(literal_column("1"))).where(not_(right))


def not_adding_up(
    plan: Plan, snapshot: Snapshot, near: Reading, far: Reading, known: Sequence[Id]
) -> list[Select[Any]]:
    """The ids of near rows whose far rows do not add up."""
    side = near_side(plan)
    statements = []
    for part in _parts(plan, snapshot, near, far, known):
        rows = side.read(snapshot, part)
        wrong = does_not_add_up(plan, ours(rows))
        statements.append(select(*numbered(rows, "key")).select_from(rows).where(wrong))
    return statements


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
        own = plan.near.own(rows)
        one = own[0] if len(own) == 1 else tuple_(*own)
        is_touched = one.in_(_near_of_new(plan, snapshot, far))
        return and_(is_touched, *(not_(part(rows)) for part in others))

    return touched


def _near_of_new(plan: Plan, snapshot: Snapshot, reading: Reading) -> Select[Any]:
    far, near = plan.rows(plan.far).alias("new_far"), plan.rows(plan.near).alias("of_new")
    cursor = far.c[plan.far.cursor] if plan.far.cursor else None
    pairs = far.join(near, refers_by_index(plan, snapshot, near, far))
    return select(*plan.near.own(near)).select_from(pairs).where(reading.covers(cursor))


def findings(
    plan: Plan, snapshot: Snapshot, ids: Sequence[Id], problem: Callable[[Seen], Problem]
) -> list[Finding]:
    """A finding for each of these near rows, whose far rows do not add up."""
    near = near_side(plan).read(snapshot, lambda rows: among(plan.near.ids(rows), ids))
    mine = ours(near)
    statement = select(
        *labelled("key", numbered(near, "key")),
        *labelled("name", mine.keys),
        *labelled("whole", mine.wholes),
        *labelled("total", _totals(plan, mine)),
        *labelled("first", [each for key in mine.keys for each in _first(plan, mine, key)]),
        _over_keys(plan, mine, lambda _: func.count()).label("rows"),
    ).order_by(*numbered(near, "key"))
    rows = snapshot.connection.execute(statement).mappings()
    return [_finding(plan, snapshot, row, problem) for row in rows]


def _first(plan: Plan, mine: Ours, key: Built) -> list[Built]:
    """The columns of the primary key of the first far row under a key."""
    found: list[Built] = []
    for number in range(len(plan.far.primary_key)):
        far = far_rows(plan, outer=True)
        first = _under(plan, mine, key, far, select(far.ids[number])).order_by(*far.ids).limit(1)
        found.append(first.correlate(mine.rows).scalar_subquery())
    return found


def _finding(
    plan: Plan, snapshot: Snapshot, row: RowMapping, problem: Callable[[Seen], Problem]
) -> Finding:
    far, count = plan.far, len(plan.ways)
    id_ = tuple(scalar(row[f"key_{number}"]) for number in range(len(plan.near.id)))
    width = len(far.id)
    flat = [scalar(row[f"first_{number}"]) for number in range(count * width)]
    firsts = [tuple(flat[n * width : (n + 1) * width]) for n in range(count)]
    place = next((number for number, each in enumerate(firsts) if each[0] is not None), 0)
    first = dict(zip(far.id, firsts[place], strict=True))
    is_there = firsts[place][0] is not None
    longest = snapshot.columns[far.table][far.key[0]].longest
    key = scalar(row[f"name_{place}"])
    fits = longest is None or len(str(row[f"name_{place}"] or "")) <= longest
    far_id = firsts[place] if is_there else None
    seen = Seen(id_, (key,), fits, far_id, is_wanted=True, compared=())
    found, size = problem(seen), 0
    aspects = [", ".join(f"{name} {value}" for name, value in first.items())]
    evidence: dict[str, Evidence] = {"problem": found.word, f"{far.role} {far.key[0]}": key}
    if is_there:
        evidence |= first
    evidence[f"{far.role} rows"] = int(row["rows"])
    for number, pair in enumerate(plan.far_sums):
        whole, total = scalar(row[f"whole_{number}"]), scalar(row[f"total_{number}"])
        evidence |= {pair.near.source: whole, f"{far.role} SUM({pair.far.source})": total}
        size += distance(whole, total)
        aspects.append(f"{pair.near.source} {relation(whole, total)} SUM({pair.far.source})")
    named = dict(zip(plan.near.id, id_, strict=True))
    return Finding(named, found.message, evidence, max(1, size), tuple(aspects))
