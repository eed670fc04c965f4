"""The two sides of `aggregate`: rows that keep totals, and the totals of their details."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import add
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from checks.contract import SAMPLE, Scalar
from checks.snapshot import Context
from checks.sql.expression import Expression
from checks.sql.inspection import LONGEST_NAME, MOST_ROWS, Keys, chosen
from checks.sql.statements import among, counted, labelled, numbered
from checks.sql.timestamps import TimeColumn

Built = ColumnElement[Any]
Predicate = ColumnElement[bool]
Function = Literal["SUM", "MIN", "MAX", "COUNT"]

_NONE: Built = literal_column("0")


@dataclass(frozen=True, slots=True)
class Pair:
    """A value that a row keeps, and what it is of its details."""

    function: Function
    own: Expression
    of: Expression

    @property
    def name(self) -> str:
        """What findings call the value of the details."""
        return f"{self.function}({self.of.source})"

    @property
    def counts_from_zero(self) -> bool:
        """Whether no details make 0, and NULL is 0; else they make NULL."""
        return self.function in ("SUM", "COUNT")

    @property
    def is_unclear_by_null(self) -> bool:
        """Whether NULL in a detail hides what it adds: that of a column adds 0."""
        return self.function == "SUM" and not self.of.is_column

    def of_details(self, value: Built) -> Built:
        """The value of a group of details."""
        if self.function == "COUNT":
            return func.count(case((value, 1)))
        functions: Mapping[str, Callable[[Built], Built]]
        functions = {"SUM": func.sum, "MIN": func.min, "MAX": func.max}
        return functions[self.function](value)

    def differs(self, own: Built, other: Built) -> Predicate:
        """Whether the two are not the same."""
        if not self.counts_from_zero:
            return own.is_distinct_from(other)
        return func.coalesce(own, 0) != func.coalesce(other, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two tables."""

    rows: Callable[[], FromClause]
    table: str
    by: tuple[Expression, ...]
    """What a row has in common with its details."""
    when: Expression | None
    """Which rows count."""
    key: tuple[str, ...] = ()
    """The primary key of rows that keep totals."""
    written_at: TimeColumn | None = None


@dataclass(frozen=True, slots=True)
class Sides:
    """Rows next to the totals of their details, in statements."""

    own: Side
    details: Side
    pairs: tuple[Pair, ...]
    keeps_empty: bool
    """Whether rows without details are judged."""
    settle: timedelta
    context: Context
    known: tuple[tuple[Scalar, ...], ...] = ()
    """Rows that are known to be off: they need not rest first."""

    def numbers(self) -> Select[Any]:
        """How many rows are judged, are off, and are off and wait."""
        rows, totals = self._rows(), self._totals()
        off, settled = self._off(rows, totals), self._settled(rows, totals)
        numbers: list[Built] = [counted(and_(off, *settled), "violations")]
        if settled:
            waits = and_(off, not_(*settled))
            numbers += (counted(not_(waits), "examined"), counted(waits, "waiting"))
        else:
            numbers += (func.count().label("examined"), literal_column("0").label("waiting"))
        source, judged = self._joined(rows, totals), self._judged(rows, totals)
        return select(*numbers).select_from(source).where(*judged)

    def kept(self, rows: FromClause) -> Mapping[str, Predicate]:
        """What is true of the rows that are judged, by the field that says so."""
        when = self.own.when
        return {"when": self._built(when, rows, self.own.table)} if when else {}

    def wrong(self) -> Select[Any]:
        """The first of the rows that are off, with both sides."""
        rows, totals = self._rows(), self._totals()
        own = self._ids(rows)
        columns = (
            *labelled("id", own),
            *labelled("by", self._by(rows)),
            *labelled("own", self._own(rows)),
            *labelled("other", numbered(totals, "other")),
            *labelled("differs", self._differs(rows, totals)),
            totals.c.unknown,
            totals.c.number,
        )
        wrong = (self._off(rows, totals), *self._settled(rows, totals))
        return (
            select(*columns)
            .select_from(self._joined(rows, totals))
            .where(*self._judged(rows, totals), *wrong)
            .order_by(*own)
            .limit(SAMPLE)
        )

    def compared(self, keys: Keys) -> Select[Any]:
        """For people: both sides of some rows, or of all that are off."""
        rows = self._rows()
        own = dict(zip(self.own.key, self._ids(rows), strict=True))
        totals = self._totals()
        off = (*self._judged(rows, totals), self._off(rows, totals))
        which = (chosen(own, keys),) if keys else off
        columns: dict[str, Built] = {**own}
        columns |= {p.source: b for p, b in zip(self.own.by, self._by(rows), strict=True)}
        sides = zip(self._own(rows), numbered(totals, "other"), self.pairs, strict=True)
        for mine, theirs, pair in sides:
            columns |= {pair.own.source: mine, pair.name: theirs}
        columns["details"] = totals.c.number
        shown = (built.label(name[:LONGEST_NAME]) for name, built in columns.items())
        found = select(*shown).select_from(self._joined(rows, totals)).where(*which)
        return found.order_by(*own.values()).limit(MOST_ROWS)

    def _rows(self) -> FromClause:
        return self.own.rows().alias("kept")

    def _ids(self, rows: FromClause) -> list[Built]:
        return [rows.c[name] for name in self.own.key]

    def _totals(self) -> Subquery:
        """By group of details: totals (`other_n`), how many details there are, and are young."""
        rows = self.details.rows().alias("lines")
        by = [self._built(part, rows, self.details.table) for part in self.details.by]
        values = [self._built(pair.of, rows, self.details.table) for pair in self.pairs]
        valued = list(zip(self.pairs, values, strict=True))
        unknown = [_nulls(value) for pair, value in valued if pair.is_unclear_by_null]
        columns = [
            *labelled("by", by),
            *labelled("other", [pair.of_details(value) for pair, value in valued]),
            reduce(add, unknown, _NONE).label("unknown"),
            func.count().label("number"),
        ]
        if self.settle:
            columns.append(func.count(case((not_(self._rests(rows)), 1))).label("young"))
        found = select(*columns).select_from(rows).where(*self._counts(self.details, rows))
        return found.group_by(*by).subquery("totals")

    def _rests(self, rows: FromClause) -> Predicate:
        return self.context.in_scope(
            *(rows, self.details.table, self.details.written_at), settle=self.settle, since=None
        )

    def _counts(self, side: Side, rows: FromClause) -> list[Predicate]:
        return [self._built(side.when, rows, side.table)] if side.when else []

    def _joined(self, rows: FromClause, totals: Subquery) -> FromClause:
        pairs = zip(self._by(rows), numbered(totals, "by"), strict=True)
        return rows.join(totals, and_(*(own == other for own, other in pairs)), isouter=True)

    def _judged(self, rows: FromClause, totals: Subquery) -> list[Predicate]:
        has_details = [] if self.keeps_empty else [totals.c.number.is_not(None)]
        return [*self._counts(self.own, rows), *has_details]

    def _settled(self, rows: FromClause, totals: Subquery) -> list[Predicate]:
        if not self.settle:
            return []
        rests = func.coalesce(totals.c.young, 0) == 0
        return [or_(rests, among(self._ids(rows), self.known)) if self.known else rests]

    def _off(self, rows: FromClause, totals: Subquery) -> Predicate:
        differs = self._differs(rows, totals)
        if any(pair.is_unclear_by_null for pair in self.pairs):
            differs.append(func.coalesce(totals.c.unknown, 0) > 0)
        return or_(*differs)

    def _differs(self, rows: FromClause, totals: Subquery) -> list[Predicate]:
        sides = zip(self.pairs, self._own(rows), numbered(totals, "other"), strict=True)
        return [pair.differs(own, other) for pair, own, other in sides]

    def _own(self, rows: FromClause) -> list[Built]:
        return [self._built(pair.own, rows, self.own.table) for pair in self.pairs]

    def _by(self, rows: FromClause) -> list[Built]:
        return [self._built(part, rows, self.own.table) for part in self.own.by]

    def _built(self, expression: Expression, rows: FromClause, table: str) -> Built:
        return expression.over(rows.c.__getitem__, self.context.types(table))


def _nulls(value: Built) -> Built:
    return func.count() - func.count(value)
