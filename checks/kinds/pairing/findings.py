"""What findings of near rows and far rows show: the values of both sides that differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, RowMapping, and_, func, select

from checks.contract import Evidence, Finding, Scalar
from checks.kinds.pairing.far_rows import FarRows, far_rows
from checks.kinds.pairing.near_key import Built
from checks.kinds.pairing.near_rows import near_side
from checks.kinds.pairing.open_keys import beginnings_of, keyed_far_rows
from checks.kinds.pairing.plan import Id, Pair, Plan
from checks.kinds.pairing.statements import refers, same, ways_back
from checks.snapshot import Snapshot
from checks.sql.catalog import Column
from checks.sql.functions import abridged, shown
from checks.sql.statements import among, labelled, numbered
from checks.sql.values import scalar


class Problem(NamedTuple):
    """What is wrong."""

    word: str
    message: str
    """One sentence; holds names, no values."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair as it was read of a near row and its far row."""

    pair: Pair
    ours: Scalar
    """Of a group whose values differ one that is not the far one."""
    theirs: Scalar
    is_same: bool

    @property
    def difference(self) -> int:
        """By how much the two differ; an owner's number is no amount."""
        return 0 if self.pair.far.is_qualified else distance(self.ours, self.theirs)

    @property
    def aspect(self) -> str:
        """In which way the two differ."""
        return f"{self.pair.name} {relation(self.ours, self.theirs)} {self.pair.far.source}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A near row, or a group, without a right far row; and the far row that has its key."""

    id: Id
    key: Id
    key_fits: bool
    """Whether the columns of the far key could hold its key."""
    far_id: Id | None
    """None where no far row has its key."""
    is_wanted: bool
    """Whether `far.when` holds for the far row."""
    compared: tuple[Compared, ...]
    far_rows: int | None = None
    """How many far rows it has, where that matters."""
    is_open: bool = False
    """Whether other far rows may have its key, for which `far.when` does not hold."""

    @property
    def is_wrong(self) -> bool:
        """Whether it has a far row that it may not have."""
        may_be = self.is_wanted or self.is_open
        return self.far_id is not None and (bool(self.different) or not may_be)

    @property
    def closeness(self) -> int:
        """How near the far row comes to the right one: 0 where there is none."""
        return 0 if self.far_id is None else 1 + self.is_wanted

    @property
    def different(self) -> list[Compared]:
        """The pairs whose values are not the same."""
        return [each for each in self.compared if not each.is_same]


def near_findings(
    plan: Plan, snapshot: Snapshot, ids: Sequence[Id], problem: Callable[[Seen], Problem]
) -> list[Finding]:
    """A finding for each of these near rows or groups, which have no right far row."""
    return [near_finding(plan, each, problem(each)) for each in near_seen(plan, snapshot, ids)]


def near_seen(plan: Plan, snapshot: Snapshot, ids: Sequence[Id]) -> list[Seen]:
    """These near rows or groups, each with the far row that comes nearest to the right one.

    Of far rows that are looked at together with one that is wrong, if one is.
    """
    best: dict[Id, Seen] = {}
    for way in plan.ways:
        for seen in _seen_by_key(way, snapshot, ids):
            before = best.setdefault(seen.id, seen)
            if _rank(plan, seen) > _rank(plan, before):
                best[seen.id] = seen
    return [*best.values()]


def _rank(plan: Plan, seen: Seen) -> tuple[int, int]:
    if not plan.is_together:
        return seen.closeness, 0
    return int(seen.is_wrong), seen.closeness


def _seen_by_key(plan: Plan, snapshot: Snapshot, ids: Sequence[Id]) -> list[Seen]:
    """These near rows or groups, each with the far row that has its key, if one has."""
    near = near_side(plan).read(snapshot, lambda rows: among(plan.near.ids(rows), ids))
    far = keyed_far_rows(plan, beginnings_of(snapshot, near))
    is_wanted = func.coalesce(plan.far.wanted(far.column), False)
    equal = same(plan, near, far.column)
    order: list[ColumnElement[Any]] = [is_wanted.desc()]
    if plan.is_together:
        is_right = func.coalesce(and_(is_wanted, *equal), False)
        order = [is_wanted.desc(), is_right] if plan.near.key.is_open else [is_right]
    statement = (
        select(
            *_near_columns(plan, snapshot, near),
            *labelled("far_key", far.ids),
            is_wanted.label("wanted"),
            *labelled("far", _far_values(plan, snapshot, far)),
            *labelled("found", _far_key(plan, snapshot, far) if plan.near.key.is_open else []),
            *labelled("same", equal),
        )
        .select_from(near.join(far.source, refers(near, far), isouter=True))
        .order_by(*numbered(near, "key"), *order, *far.ids)
    )
    rows = _first_of_each_id(snapshot.connection.execute(statement).mappings())
    return [_seen(plan, snapshot, row) for row in rows]


def far_findings(
    plan: Plan, snapshot: Snapshot, ids: Sequence[Id], problem: Callable[[Id | None], Problem]
) -> list[Finding]:
    """A finding for each of these far rows, to which no near row refers that may.

    `problem` takes the primary key of a near row that refers to it though it may not, or None.
    """
    far = far_rows(plan, outer=True)
    source, ways = far.source, []
    for near, way in ways_back(plan, snapshot, far.rows):
        source = source.join(near, way, isouter=True)
        ways.append(plan.near.own(near))
    near_id = [
        func.coalesce(*each) if len(each) > 1 else each[0] for each in zip(*ways, strict=True)
    ]
    statement = (
        select(
            *labelled("key", far.ids),
            *labelled("near_key", near_id),
            *labelled("name", _far_key(plan, snapshot, far)),
            *labelled("far", _far_values(plan, snapshot, far)),
        )
        .select_from(source)
        .where(among(far.ids, ids))
        .order_by(*far.ids, *near_id)
    )
    rows = _first_of_each_id(snapshot.connection.execute(statement).mappings())
    return [_far_finding(plan, row, problem(_id_of(row, "near_key"))) for row in rows]


def _near_columns(plan: Plan, snapshot: Snapshot, near: FromClause) -> list[Built]:
    """The near columns, long texts cut, and how long a key is as a whole."""
    types = snapshot.columns[plan.near.table]
    keys = numbered(near, "name")
    is_long = [pair.near.may_be_long(types.__getitem__) for pair in plan.equal]
    return [
        *numbered(near, "key"),
        *labelled("name", _cut(keys, plan.near.key.may_be_long(types))),
        *labelled("length", plan.near.key.lengths(keys)),
        *labelled("value", _cut(numbered(near, "value"), [*is_long, *(False for _ in plan.sums)])),
        *labelled("also", _cut(numbered(near, "also"), is_long)),
    ]


def _cut(values: Iterable[Built], may_be_long: Iterable[bool]) -> list[Built]:
    pairs = zip(values, may_be_long, strict=False)
    return [abridged(value) if is_long else value for value, is_long in pairs]


def _far_values(plan: Plan, snapshot: Snapshot, far: FarRows) -> list[Built]:
    """The far values of the pairs, long texts cut."""

    def described(name: str) -> Column:
        table, _, own = name.rpartition(".")
        return snapshot.columns[table or plan.far.table][own]

    values = [pair.far.over(far.column) for pair in plan.pairs]
    return _cut(values, [pair.far.may_be_long(described) for pair in plan.pairs])


def _far_key(plan: Plan, snapshot: Snapshot, far: FarRows) -> list[Built]:
    """The far key, long texts cut."""
    types = snapshot.columns[plan.far.table]
    return [shown(far.column(name), types[name]) for name in plan.far.key]


def _seen(plan: Plan, snapshot: Snapshot, row: RowMapping) -> Seen:
    types = snapshot.columns[plan.far.table]
    limits = [types[name].longest for name in plan.far.key]
    far_id = _id_of(row, "far_key")
    is_found = far_id is not None and plan.near.key.is_open
    return Seen(
        id=_plain(row, "key"),
        key=_plain(row, "found" if is_found else "name"),
        key_fits=all(
            limit is None or (length or 0) <= limit
            for length, limit in zip(_numbered(row, "length"), limits, strict=True)
        ),
        far_id=far_id,
        is_wanted=bool(row["wanted"]),
        is_open=plan.near.key.is_open,
        compared=tuple(_compared(pair, row, number) for number, pair in enumerate(plan.pairs)),
    )


def _compared(pair: Pair, row: RowMapping, number: int) -> Compared:
    theirs, least = row[f"far_{number}"], row[f"value_{number}"]
    greatest = row.get(f"also_{number}", least)
    ours = greatest if least == theirs else least
    return Compared(pair, scalar(ours), scalar(theirs), bool(row[f"same_{number}"]))


def near_finding(plan: Plan, seen: Seen, problem: Problem) -> Finding:
    """What is told of a near row or group, and of the far row that was seen with it."""
    far = plan.far
    evidence: dict[str, Evidence] = {"problem": problem.word, **_named_key(plan, seen.key)}
    far_id = dict(zip(far.id, seen.far_id or (), strict=bool(seen.far_id)))
    is_there = seen.far_id is not None
    if is_there:
        evidence |= far_id
        if not seen.is_wanted and far.when:
            evidence[f"{far.role} not true"] = far.when.source
    for each in seen.different:
        evidence[each.pair.name] = each.ours
        if is_there:
            evidence[f"{far.role} {each.pair.far.source}"] = each.theirs
    id_ = dict(zip(plan.near.id, seen.id, strict=True))
    size = max(1, sum(each.difference for each in seen.different))
    named = ", ".join(f"{name} {far_id.get(name)}" for name in far.id)
    aspects = (named, *(each.aspect for each in seen.different))
    return Finding(id_, problem.message, evidence, size, aspects)


def _far_finding(plan: Plan, row: RowMapping, problem: Problem) -> Finding:
    far = plan.far
    key, values = _plain(row, "name"), _plain(row, "far")
    evidence: dict[str, Evidence] = {"problem": problem.word, **_named_key(plan, key)}
    if near_id := _id_of(row, "near_key"):
        evidence |= dict(zip(plan.near.primary_key, near_id, strict=True))
    size = 0
    for pair, value in zip(plan.pairs, values, strict=True):
        evidence[f"{far.role} {pair.far.source}"] = value
        size += 0 if pair.far.is_qualified else distance(value, None)
    id_ = dict(zip(far.id, _plain(row, "key"), strict=True))
    return Finding(id_, problem.message, evidence, max(1, size))


def _named_key(plan: Plan, key: Id) -> dict[str, Scalar]:
    names = (f"{plan.far.role} {name}" for name in plan.far.key)
    return dict(zip(names, key, strict=True))


def _first_of_each_id(rows: Iterable[RowMapping]) -> list[RowMapping]:
    """Of the several far rows that a key may have, the first, which is as wanted if one is."""
    first: dict[tuple[object, ...], RowMapping] = {}
    for row in rows:
        first.setdefault(tuple(_numbered(row, "key")), row)
    return list(first.values())


def _numbered(row: RowMapping, name: str) -> list[Any]:
    """The values that `labelled` named so."""
    return [value for label, value in row.items() if label.removeprefix(f"{name}_").isdigit()]


def _id_of(row: RowMapping, name: str) -> Id | None:
    """A primary key; None where an outer join found no row."""
    id_ = _plain(row, name)
    return None if id_[0] is None else id_


def _plain(row: RowMapping, name: str) -> Id:
    return tuple(scalar(value) for value in _numbered(row, name))


def relation(one: Scalar, other: Scalar) -> str:
    """How two values that differ compare: in which way two amounts do."""
    if isinstance(one, int) and isinstance(other, int):
        return "<" if one < other else ">"
    return "<>"


def distance(one: Scalar, other: Scalar) -> int:
    """By how much two amounts differ; an amount alone is off by itself, anything else by 0."""
    whole = [value for value in (one, other) if isinstance(value, int)]
    return abs(whole[0] - sum(whole[1:])) if whole else 0
