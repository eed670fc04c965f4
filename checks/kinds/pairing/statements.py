"""The statements that find near rows without a far row, and far rows without a near row."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import FromClause, Select, and_, case, exists, func, literal_column, select

from checks.kinds.pairing.far_rows import FarRows, far_rows, far_rows_to_count
from checks.kinds.pairing.near_key import KEY, Built, DerivedKey, has_key, parts_equal, with_key
from checks.kinds.pairing.near_rows import Part, near_side, parts_of
from checks.kinds.pairing.plan import Id, Plan, Predicate
from checks.snapshot import Snapshot
from checks.sql.functions import number_of_different
from checks.sql.joins import Lookup
from checks.sql.statements import labelled, numbered
from checks.watermark import Reading

# No ORDER BY in these two: with a LIMIT it makes the server read along the primary key, however
# large the table, instead of along the index that leads to the few rows that are asked for.


def unmatched(
    plan: Plan, snapshot: Snapshot, reading: Reading, known: Sequence[Id]
) -> list[Select[Any]]:
    """The ids of near rows without a far row that is right in everything."""
    near = near_side(plan)
    parts = near.parts(reading, known)
    return [without_far(plan, near.read(snapshot, part)) for part in parts]


def unreferenced(
    plan: Plan, snapshot: Snapshot, reading: Reading, known: Sequence[Id]
) -> list[Select[Any]]:
    """The ids of far rows to which no near row refers that may."""
    parts = parts_of(plan.far, reading, known)
    return [_without_near(plan, snapshot, part) for part in parts]


def all_paired(plan: Plan, snapshot: Snapshot) -> tuple[bool, bool]:
    """Whether every near row has its far row, and whether every far row surely has a near row.

    One reading of the near side answers both: when as many different far rows are reached from
    there as there are, every one has a near row. When fewer are reached, one may have a near row
    that differs from it, or that is out of scope; then only a look-up from the far side decides.
    """
    near, far = near_side(plan).counted(snapshot), far_rows(plan, outer=False)
    alone = case((and_(near.c.judged == 1, far.is_absent), 1))
    is_judged = plan.scope.judged(snapshot, plan.far, far.rows)
    reached = number_of_different(*(case((is_judged, each)) for each in far.ids))
    unpaired, found = snapshot.connection.execute(
        select(func.count(alone), reached).select_from(
            near.join(far.source, _is_right(plan, near, far), isouter=True)
        )
    ).one()
    return unpaired == 0, found == snapshot.number(_far_total(plan, snapshot))


def _far_total(plan: Plan, snapshot: Snapshot) -> Select[Any]:
    far = far_rows_to_count(plan)
    judged = plan.scope.judged(snapshot, plan.far, far.rows)
    wanted = plan.far.wanted(far.column)
    return select(func.count()).select_from(far.source).where(wanted, judged)


def without_far(plan: Plan, near: FromClause) -> Select[Any]:
    """The ids of near rows without a right far row."""
    if plan.more_keys:
        alone = (~_has_far(plan, near, way) for way in range(len(plan.ways)))
        return select(*numbered(near, "key")).select_from(near).where(*alone)
    far = far_rows(plan, outer=False)
    pairs = near.join(far.source, _is_right(plan, near, far), isouter=True)
    return select(*numbered(near, "key")).select_from(pairs).where(far.is_absent)


def _has_far(plan: Plan, near: FromClause, way: int) -> Predicate:
    """Whether a near row has a right far row under one of its keys."""
    far = far_rows(plan, outer=False)
    right = and_(_is_right(plan, near, far, way), *plan.apart(numbered(near, "key")))
    return exists(select(literal_column("1")).select_from(far.source).where(right).correlate(near))


def _without_near(plan: Plan, snapshot: Snapshot, part: Part) -> Select[Any]:
    far = far_rows_to_count(plan)
    source, alone = far.source, []
    for near, refers in ways_back(plan, snapshot, far.rows):
        source = source.join(near, and_(refers, plan.near.allowed(near)), isouter=True)
        alone.append(plan.near.own(near)[0].is_(None))
    return (
        select(*labelled("key", far.ids))
        .select_from(source)
        .where(
            plan.far.wanted(far.column),
            plan.scope.judged(snapshot, plan.far, far.rows),
            part(far.rows),
            *alone,
        )
    )


def _is_right(plan: Plan, near: FromClause, far: FarRows, way: int = 0) -> Predicate:
    """Whether a far row is the one that a near row must have."""
    right = (*same(plan, near, far.column), plan.far.wanted(far.column))
    return and_(refers(near, far, way), *right)


def refers(near: FromClause, far: FarRows, way: int = 0) -> Predicate:
    """Whether a row of `near` refers to a far row, in one of the ways."""
    width = len(far.key)
    names = numbered(near, "name")[way * width : (way + 1) * width]
    return far.has(names)


def ways_back(
    plan: Plan, snapshot: Snapshot, far: FromClause
) -> Iterator[tuple[FromClause, Predicate]]:
    """The near rows once for each way in which they refer to far rows, with the condition."""
    for number, way in enumerate(plan.ways):
        near = near_of_way(way, f"near_{number}" if number else "near")
        yield near, refers_by_index(way, snapshot, near, far)
    if by_key := plan.by_key:
        near, types = plan.rows(plan.near).alias("near_by_key"), snapshot.columns[plan.near.table]
        parts = parts_equal(by_key.template, far.c[by_key.column], near, types)
        yield near, and_(*parts, plan.refers_by_key(by_key, near, far))


def near_of_way(plan: Plan, name: str) -> FromClause:
    """The near rows; with their keys, of which a server makes an index, where none finds them."""
    rows, key = plan.rows(plan.near), plan.near.key
    if not isinstance(key, DerivedKey) or key.is_looked_up:
        return rows.alias(name)
    return with_key(rows, key.template.on(rows)).subquery(name)


def refers_by_index(plan: Plan, snapshot: Snapshot, near: FromClause, far: FromClause) -> Predicate:
    """Whether a row of the near table refers to a far row, so put that an index of it serves."""
    if KEY in near.c:
        return has_key(near, *plan.far_key(far))
    far_key = [far.c[name] for name in plan.far.key]
    parts = plan.near.key.read_out_of(far_key, near, snapshot.columns[plan.near.table])
    return and_(*parts, plan.refers(near, far))


def same(plan: Plan, near: FromClause, column: Lookup) -> list[Predicate]:
    """For each pair, whether its two values are the same, NULL being one value."""
    return [
        and_(*(each.is_not_distinct_from(pair.far.over(column)) for each in values))
        for pair, values in zip(plan.pairs, near_values(plan, near), strict=True)
    ]


def near_values(plan: Plan, near: FromClause) -> list[tuple[Built, ...]]:
    """For each pair the near values, of grouped rows the least and the greatest."""
    found: list[tuple[Built, ...]] = []
    for number, pair in enumerate(plan.pairs):
        if pair.near.columns:
            names = (f"value_{number}", f"also_{number}")
            found.append(tuple(near.c[name] for name in names if name in near.c))
        else:
            # As a column of grouped rows, a text would have the session's collation.
            found.append((pair.near.over(near.c.__getitem__),))
    return found
