"""The statements of `conservation`: rows summed by group, and the groups whose sum is off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    case,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union,
)

from checks.contract import SAMPLE
from checks.snapshot import Context
from checks.sql.expression import Expression
from checks.sql.functions import one_of, shown
from checks.sql.inspection import LONGEST_NAME, MOST_ROWS, Keys, chosen
from checks.sql.statements import among, counted, labelled, numbered
from checks.sql.timestamps import TimeColumn

Built = ColumnElement[Any]
Predicate = ColumnElement[bool]
Part = Callable[[FromClause], tuple[FromClause, tuple[Predicate, ...]]]
"""A part of the rows: where to select from, and under which conditions."""

Touching = Callable[[FromClause], Predicate]
"""Whether a row is a reason to add up its group."""

Key = tuple[Any, ...]

_ENDS = ("least_expected", "most_expected")
_NONE: Built = literal_column("0")


def everything(rows: FromClause) -> tuple[FromClause, tuple[Predicate, ...]]:
    """The part that is all of them."""
    return rows, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Rows by group, what is summed of them, and what the sum should be."""

    context: Context
    rows: Callable[[], FromClause]
    table: str
    ids: tuple[str, ...]
    """The primary key."""
    by: tuple[Expression, ...]
    amount: Expression
    equals: Expression
    when: Expression | None
    written_at: TimeColumn | None
    settle: timedelta
    """How long a group must have rested to be judged."""
    patience: timedelta
    """How old its rows must be of a group that never rests."""
    since: datetime | None
    known: tuple[Key, ...] = ()
    """Groups that are known to be off, and so need not come to rest first."""

    def keys(self, rows: FromClause) -> list[Built]:
        """What rows are grouped by."""
        return [self._built(each, rows) for each in self.by]

    def counts(self, rows: FromClause) -> list[Predicate]:
        """What is true of the rows that are summed."""
        return [*self.kept(rows).values()]

    def kept(self, rows: FromClause) -> Mapping[str, Predicate]:
        """The same, by the field that says so."""
        stated = {"when": self._built(self.when, rows)} if self.when else {}
        begun = {"since": self._in_scope(rows, timedelta(), self.since)} if self.since else {}
        return {**stated, **begun}

    def judged(self, part: Part) -> Select[Any]:
        """How many groups of a part are judged and how many wait, with rows, and the wrong ones."""
        rows = self.rows()
        off = case((self._off(rows, self._sum(rows)), 1), else_=0).label("off")
        settled = case((self._settled(rows), 1), else_=0).label("settled")
        groups = self._grouped(rows, part, func.count().label("number"), off, settled)
        found = groups.subquery("sums")
        waits = and_(found.c.off == 1, found.c.settled == 0)
        return select(
            func.coalesce(func.sum(case((waits, 0), else_=found.c.number)), 0).label("examined"),
            counted(not_(waits), "groups"),
            counted(waits, "waiting"),
            func.coalesce(func.sum(case((waits, found.c.number), else_=0)), 0).label(
                "rows_waiting"
            ),
            counted(and_(found.c.off == 1, found.c.settled == 1), "violations"),
        )

    def wrong(self, part: Part) -> Select[Any]:
        """The first of the wrong groups of a part, each with its key (`key_n`) and sums."""
        rows, ends = self.rows(), []
        if len(self.ids) == 1:
            own = rows.c[self.ids[0]]
            ends = [func.min(own).label("first_id"), func.max(own).label("last_id")]
        columns = (
            *labelled("key", self._spelled(rows)),
            self._sum(rows).label("total"),
            *labelled("expected", self._expected(rows)),
            self._unsaid(rows).label("unsaid"),
            self._unknown(rows).label("unknown"),
            func.count().label("number"),
            *ends,
        )
        off = and_(self._off(rows, self._sum(rows)), self._settled(rows))
        found = self._grouped(rows, part, *columns).having(off)
        return found.order_by(*self.keys(rows)).limit(SAMPLE)

    def members(self, keys: Sequence[Key], most: int) -> Select[Any]:
        """The first rows of each of some groups: the group's number, and the primary key."""
        rows = self.rows()
        matches = [among(self.keys(rows), [key]) if self.by else true() for key in keys]
        number = case(*((match, n) for n, match in enumerate(matches))).label("number")
        own = labelled("id", [rows.c[name] for name in self.ids])
        found = select(number, *own).where(or_(*matches), *self.counts(rows)).subquery("found")
        order = numbered(found, "id")
        place = func.row_number().over(partition_by=found.c.number, order_by=order).label("place")
        placed = select(found, place).subquery("placed")
        return (
            select(placed.c.number, *numbered(placed, "id"))
            .where(placed.c.place <= most)
            .order_by(placed.c.number, placed.c.place)
        )

    def sums(self) -> Select[Any]:
        """For people: the groups whose sum is off."""
        rows = self.rows()
        names = (each.source.replace("`", "")[:LONGEST_NAME] for each in self.by)
        keys = [key.label(name) for key, name in zip(self.keys(rows), names, strict=True)]
        ends = [each.label(name) for each, name in zip(self._expected(rows), _ENDS, strict=False)]
        columns = (
            *keys,
            self._sum(rows).label("sum"),
            *(ends if self.equals.columns else ()),
            func.count().label("rows"),
            *(func.min(rows.c[name]).label("first_row") for name in self.ids if len(self.ids) == 1),
        )
        found = self._grouped(rows, everything, *columns)
        return found.having(self._off(rows, self._sum(rows))).limit(MOST_ROWS)

    def lines(self, keys: Keys) -> Select[Any]:
        """For people: the rows of some groups, or some rows by their primary key."""
        rows = self.rows()
        own = {name: rows.c[name] for name in self.ids}
        groups = dict(zip((each.source for each in self.by), self.keys(rows), strict=True))
        names, ids = (own, []) if set(keys[0]) == set(own) else (groups, [*own.values()])
        which = and_(chosen(names, keys), *self.counts(rows))
        shown: Select[Any] = select(literal_column("*")).select_from(rows).where(which)
        return shown.order_by(*names.values(), *ids).limit(MOST_ROWS)

    def is_known(self, rows: FromClause) -> tuple[FromClause, tuple[Predicate, ...]]:
        """The part that is the rows of the groups that are known to be off."""
        return rows, (among(self.keys(rows), self.known),)  # in a form that an index serves

    def touched(self, new: Touching, changed: Touching | None) -> Part:
        """All rows of the groups that have a new row, or a changed one, and are not known."""
        some = [self._touched(lambda rows: and_(new(rows), *self.counts(rows)))]
        # A row that has ceased to count changed the sum of its group, too. By a statement of its
        # own, so that an index serves each.
        some += [self._touched(changed)] if changed else []
        groups = union(*some).subquery("touched")

        def joined(rows: FromClause) -> tuple[FromClause, tuple[Predicate, ...]]:
            pairs = zip(numbered(groups, "by"), self.keys(rows), self.by, strict=True)
            same = (self._same(one, other, part) for one, other, part in pairs)
            return groups.join(rows, and_(*same)), ()

        return joined

    def _touched(self, touching: Touching) -> Select[Any]:
        recent = self.rows()
        keys = self.keys(recent)
        where = (touching(recent), not_(self._is_known(keys)))
        return select(*labelled("by", keys)).where(*where).distinct()

    def _is_known(self, keys: Sequence[Built]) -> Predicate:
        if not self.known or not self.by:
            return true() if self.known else false()
        # Coalesced: beside a group that is NULL, another is neither among them nor not.
        return func.coalesce(among(keys, self.known), false())

    def _built(self, expression: Expression, rows: FromClause) -> Built:
        return expression.over(rows.c.__getitem__, self.context.types(self.table))

    def _same(self, one: Built, other: Built, part: Expression) -> Predicate:
        is_filled = part.is_column and not self.context.described(self.table, part.source).nullable
        return one == other if is_filled else one.is_not_distinct_from(other)

    def _grouped(self, rows: FromClause, part: Part, *columns: Built) -> Select[Any]:
        source, conditions = part(rows)
        where = (*conditions, *self.counts(rows))
        return select(*columns).select_from(source).where(*where).group_by(*self.keys(rows))

    def _sum(self, rows: FromClause, condition: Predicate | None = None) -> Built:
        amount = self._built(self.amount, rows)
        if condition is not None:
            amount = case((condition, amount))
        return func.coalesce(func.sum(amount), 0)

    def _expected(self, rows: FromClause) -> list[Built]:
        """The constant, or the least and the greatest of what the rows of a group say."""
        value = self._built(self.equals, rows)
        return [func.min(value), func.max(value)] if self.equals.columns else [value]

    def _off(self, rows: FromClause, total: Built) -> Predicate:
        """Whether a sum is not what each row of its group says."""
        differs = [total != each for each in self._expected(rows)]
        more = (self._unsaid(rows), self._unknown(rows))
        return or_(*differs, *(each > 0 for each in more if each is not _NONE))

    def _unsaid(self, rows: FromClause) -> Built:
        """How many rows of a group do not say what the sum must be."""
        return _nulls(self._built(self.equals, rows)) if self.equals.columns else _NONE

    def _unknown(self, rows: FromClause) -> Built:
        """How many rows of a group have an amount that is not known.

        A column without one counts as 0. But of two columns of which one is NULL, the other is
        an amount that would be lost.
        """
        return _NONE if self.amount.is_column else _nulls(self._built(self.amount, rows))

    def _settled(self, rows: FromClause) -> Predicate:
        """Whether a group whose sum is off has rested, or was off before it went on.

        A group that gets rows all the time never rests: of that the rows count that have had their
        time.
        """
        if self.written_at is None or not self.settle or self.context.columns is None:
            return true()
        is_old = self._in_scope(rows, self.settle, None)
        rests = func.count(case((is_old, 1))) == func.count()
        is_past = self._in_scope(rows, self.patience, None)
        past = func.count(case((is_past, 1)))
        was_off = and_(past > 0, self._off(rows, self._sum(rows, is_past)))
        keys = [func.min(key) for key in self.keys(rows)]  # HAVING takes no other expression
        return or_(rests, was_off, self._is_known(keys))

    def _in_scope(self, rows: FromClause, settle: timedelta, since: datetime | None) -> Predicate:
        return self.context.in_scope(rows, self.table, self.written_at, settle=settle, since=since)

    def _spelled(self, rows: FromClause) -> list[Built]:
        """What each group is called: of several spellings of a text always the same."""
        return [self._one(key, part) for key, part in zip(self.keys(rows), self.by, strict=True)]

    def _one(self, key: Built, part: Expression) -> Built:
        if not part.is_column:
            return func.min(key)
        described = self.context.described(self.table, part.source)
        return shown(one_of(key, described), described)


def _nulls(value: Built) -> Built:
    return func.count() - func.count(value)
