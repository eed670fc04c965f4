"""The near side in statements: which rows are read, one by one or in groups, and by which names.

A run's statements call it `near`, with these columns, each numbered from 0:

| `key_n`   | the id: what names the row or group in findings                    |
| `name_n`  | the key: what its far row has in its key columns                   |
| `low_0`   | how that begins, if no more of it is known                         |
| `value_n` | the near values of the pairs; of groups the least value, or the sum|
| `also_n`  | of groups, the greatest of the values that are equal               |
| `whole_n` | what sums of several far rows are compared with                    |
| `judged`  | where rows are counted: 1 if the row must have a far row, else 0   |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    func,
    not_,
    or_,
    select,
    true,
    tuple_,
)

from checks.kinds.pairing.near_key import Built
from checks.kinds.pairing.plan import Id, Plan, Predicate, Side
from checks.snapshot import Context, Snapshot
from checks.sql.statements import among, labelled, numbered
from checks.watermark import Reading

Part = Callable[[FromClause], Predicate]
"""Which rows of a table are read."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The near side as an inspection query lists it."""

    rows: FromClause
    conditions: tuple[Predicate, ...]
    """Which of the rows must have a far row."""
    values: tuple[tuple[Built, ...], ...]
    """The near values of each pair; several where rows are grouped."""


def everything(_rows: FromClause) -> Predicate:
    """The part that is the whole table."""
    return true()


def parts_of(side: Side, reading: Reading, known: Sequence[Id]) -> list[Part]:
    """What is read of a side: the rows of the window, and the known ones that are outside of it."""
    cursor = side.cursor
    if reading.begin is None or cursor is None:
        return [everything]

    def new(rows: FromClause) -> Predicate:
        return reading.covers(rows.c[cursor])

    def known_and_old(rows: FromClause) -> Predicate:
        return and_(not_(new(rows)), among(side.own(rows), known))

    return [new, known_and_old] if known else [new]


@dataclass(frozen=True, slots=True)
class NearRows:
    """Near rows one by one."""

    plan: Plan

    def parts(self, reading: Reading, known: Sequence[Id]) -> list[Part]:
        """What a run reads: each part by a statement of its own."""
        return parts_of(self.plan.near, reading, known)

    def read(self, snapshot: Snapshot, part: Part) -> FromClause:
        """The judged rows of a part that must have a far row."""
        rows = self.plan.rows(self.plan.near)
        return self._read(rows).where(self._is_judged(snapshot, rows), part(rows)).subquery("near")

    def counted(self, snapshot: Snapshot) -> FromClause:
        """All rows that may have a far row, with `judged` and those that are too young."""
        near, scope = self.plan.near, self.plan.scope
        rows = self.plan.rows(near)
        judged = case((self._is_judged(snapshot, rows), 1), else_=0).label("judged")
        found = self._read(rows).add_columns(judged)
        allowed = found.where(near.allowed(rows), scope.begun(snapshot, near, rows)).subquery(
            "near"
        )
        return _distinct(allowed) if near.key_repeats else allowed

    def listed(self) -> Listed:
        """The rows for an inspection query."""
        near = self.plan.near
        rows = self.plan.rows(near).alias(near.role)
        conditions = (near.required(rows), self.plan.scope.judged(Context(), near, rows))
        values = tuple((pair.near.over(rows.c.__getitem__),) for pair in self.plan.equal)
        return Listed(rows, conditions, values)

    def _read(self, rows: FromClause) -> Select[tuple[object, ...]]:
        near = self.plan.near
        return select(
            *labelled("key", near.ids(rows)),
            *labelled("name", self.plan.names(rows)),
            *labelled("low", self.plan.beginnings(rows)),
            *labelled("value", [pair.near.over(rows.c.__getitem__) for pair in self.plan.equal]),
            *labelled("whole", self.plan.wholes(rows)),
        )

    def _is_judged(self, snapshot: Snapshot, rows: FromClause) -> Predicate:
        near = self.plan.near
        return and_(near.required(rows), self.plan.scope.judged(snapshot, near, rows))


def _distinct(rows: FromClause) -> FromClause:
    """One row for all that have the same key and values; judged if one of them is."""
    same = [*numbered(rows, "name"), *numbered(rows, "value")]
    judged = func.max(rows.c.judged).label("judged")
    return select(*same, judged).group_by(*same).subquery("near")


@dataclass(frozen=True, slots=True)
class NearGroups(NearRows):
    """Near rows of one id together, with their sums: they have one far row between them."""

    def parts(self, reading: Reading, known: Sequence[Id]) -> list[Part]:
        """Whole groups: those with a row in the window, and the known ones besides."""
        near, cursor = self.plan.near, self.plan.near.cursor
        if reading.begin is None or cursor is None:
            return [everything]
        window = self.plan.rows(near).alias("new")
        new = select(*near.ids(window)).where(reading.covers(window.c[cursor]))
        # IN is never true of a group with a NULL in its id.
        whole = [each for each in known if None not in each]
        with_null = [each for each in known if None in each]

        def is_new(rows: FromClause) -> Predicate:
            return tuple_(*near.ids(rows)).in_(new)

        def is_new_with_null(rows: FromClause) -> Predicate:
            has_null = or_(*(column.is_(None) for column in near.ids(rows)))
            is_new = and_(has_null, reading.covers(rows.c[cursor]))
            return or_(is_new, among(near.ids(rows), with_null)) if with_null else is_new

        def known_and_old(rows: FromClause) -> Predicate:
            return and_(among(near.ids(rows), whole), not_(is_new(rows)))

        return [is_new, is_new_with_null, *([known_and_old] if whole else [])]

    def read(self, snapshot: Snapshot, part: Part) -> FromClause:
        """The groups of a part all of whose rows are judged."""
        near = self.plan.near
        rows = self.plan.rows(near)
        judged = _holds_for_all(self.plan.scope.judged(snapshot, near, rows))
        return self._groups(rows, part).having(judged == 1).subquery("near")

    def counted(self, snapshot: Snapshot) -> FromClause:
        """All groups, with `judged` and those with rows that are too young."""
        near, scope = self.plan.near, self.plan.scope
        rows = self.plan.rows(near)
        judged = _holds_for_all(scope.judged(snapshot, near, rows)).label("judged")
        begun = _holds_for_all(scope.begun(snapshot, near, rows))
        return (
            self._groups(rows, everything).add_columns(judged).having(begun == 1).subquery("near")
        )

    def listed(self) -> Listed:
        """The groups for an inspection query."""
        near, scope = self.plan.near, self.plan.scope
        rows = self.plan.rows(near).alias(near.role)
        least, greatest, sums = self._values(rows)
        shown = (
            *near.ids(rows),
            func.count().label("rows"),
            *labelled("least", least),
            *labelled("most", greatest),
            *labelled("sum", sums),
        )
        of_id = select(*shown).where(near.required(rows)).group_by(*near.ids(rows))
        if scope.since and near.written_at:
            of_id = of_id.having(_holds_for_all(scope.judged(Context(), near, rows)) == 1)
        groups = of_id.subquery(near.role)
        ends = zip(numbered(groups, "least"), numbered(groups, "most"), strict=True)
        # A constant stands for itself: as a column, a text would have the session's collation.
        equal = (
            found if pair.near.columns else (pair.near.over(rows.c.__getitem__),)
            for pair, found in zip(self.plan.equal, ends, strict=True)
        )
        return Listed(groups, (), (*equal, *((each,) for each in numbered(groups, "sum"))))

    def _groups(self, rows: FromClause, part: Part) -> Select[tuple[object, ...]]:
        near = self.plan.near
        least, greatest, sums = self._values(rows)
        shown = (
            *labelled("key", near.ids(rows)),
            *labelled("name", self.plan.names(rows)),
            *labelled("low", self.plan.beginnings(rows)),
            *labelled("value", [*least, *sums]),
            *labelled("also", greatest),
        )
        return select(*shown).where(near.required(rows), part(rows)).group_by(*near.ids(rows))

    def _values(self, rows: FromClause) -> tuple[list[Built], list[Built], list[Built]]:
        """The least and the greatest of what is equal, and the sums."""
        equal = [pair.near.over(rows.c.__getitem__) for pair in self.plan.equal]
        sums: list[Built] = [
            func.sum(pair.near.over(rows.c.__getitem__)) for pair in self.plan.sums
        ]
        least: list[Built] = [func.min(each) for each in equal]
        # NULL, and so unlike the least, when only some of the rows have a value.
        greatest: list[Built] = [
            case((func.count(each) == func.count(), func.max(each))) for each in equal
        ]
        return least, greatest, sums


def _holds_for_all(condition: Predicate) -> ColumnElement[int]:
    """1 where a condition holds for every row of a group, else 0."""
    return func.min(case((condition, 1), else_=0))


def near_side(plan: Plan) -> NearRows:
    """The near side of a plan, in groups if sums are compared."""
    return NearGroups(plan) if plan.sums else NearRows(plan)
