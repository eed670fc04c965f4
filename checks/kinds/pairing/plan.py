"""How a check of pairs works, and the `Plan` that `reference` and `posting` make of their fields.

Rows of one table, the *near* side, refer to rows of another, the *far* side. The near side is the
one that is blamed.

|             | near row                             | far row                             |
|-------------|--------------------------------------|-------------------------------------|
| `reference` | a child                              | its parent                          |
| `posting`   | a business row, or a group of them   | its ledger row                      |
| its key     | columns, or a text derived of some   | the columns that hold the same      |
| its id      | primary key, or the group's columns  | primary key, as `table.column`      |

The *key* pairs the rows: a near row refers to the far row whose key equals its own. The *id* names
a row or a group in findings (`Finding.key`). A near row is right if it refers to a far row for
which `far.when` holds and both values of each of the `pairs` are the same, NULL being a value.

A run asks up to three questions (`question.py`). For each, some statements select the ids of what
is wrong, and one more reads both sides of the first thousand to describe them:

1. Which near rows have no right far row? (`statements.unmatched`, `findings.near_findings`)
2. With `reverse`: to which far rows does no near row refer that may? (`statements.unreferenced`,
   `findings.far_findings`)
3. With `one_to_one`: to which far rows do several near rows refer? (`shared.py`)

With `reverse` a complete run counts both sides first (`statements.all_paired`): mostly nothing is
wrong, and this one reading shows it. An incremental run reads the rows after each side's cursor,
and those of known findings (`near_rows.py`).

Statements, findings and the inspection query (`inspection.py`) take a `Plan`, and know nothing of
the check that it was made from.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import ColumnElement, FromClause, and_, not_, or_, select, true

from checks.contract import Scalar
from checks.keys.template import Template
from checks.kinds.pairing.near_key import Built, ByKey, NearKey
from checks.relations import Relations, rows_of
from checks.snapshot import Catalog, Context, Snapshot, Types
from checks.sql.catalog import Column, agreed
from checks.sql.collations import under
from checks.sql.expression import Expression, FarExpression
from checks.sql.joins import Lookup, Through, needed
from checks.sql.statements import among
from checks.sql.timestamps import TimeColumn

Predicate = ColumnElement[bool]
Id = tuple[Scalar, ...]
"""What names a row or a group in findings, without the names of the columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side(ABC):
    """One of the two tables: how its rows are named, followed and dated."""

    role: str
    """What a row of it is called in fields, findings and inspection queries."""
    table: str
    primary_key: tuple[str, ...]
    cursor: TimeColumn | None
    written_at: TimeColumn | None
    changed_at: TimeColumn | None = None
    """When a row last changed, where a column says so."""

    @property
    @abstractmethod
    def finding_key(self) -> Mapping[str, str]:
        """The names in the keys of findings of its rows, each with the column."""

    def own(self, rows: FromClause) -> list[Built]:
        """The columns of the primary key; none where it is known to the database only."""
        return [rows.c[name] for name in self.primary_key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near(Side):
    """The near side: rows, or groups of them, that have a far row."""

    id: tuple[str, ...]
    """The columns that name a row or a group in findings."""
    key: NearKey
    pending: Expression | None
    """Rows for which it holds may still change."""
    when: Expression | None = None
    """Which rows must have a far row; all, unless stated."""
    not_null_when: Expression | None = None
    """Which of them must have one even if their key names nothing, where `key_is_optional`."""
    allowed_when: Expression | None = None
    """Which rows may have a far row besides; none, unless stated."""
    key_is_optional: bool = False
    """Whether a row whose key names nothing need not have a far row."""
    key_repeats: bool = False
    """Whether many rows have the same key, so that it pays to pair equal ones once."""

    @property
    def finding_key(self) -> Mapping[str, str]:
        """Those of the id."""
        return {name: name for name in self.id}

    def required(self, rows: FromClause) -> Predicate:
        """Whether a row must have a far row."""
        return (
            and_(self.chosen(rows), self._names(rows))
            if self.key_is_optional
            else self.chosen(rows)
        )

    def chosen(self, rows: FromClause) -> Predicate:
        """Whether the rule is about a row."""
        return self.when.over(rows.c.__getitem__) if self.when else true()

    def _names(self, rows: FromClause) -> Predicate:
        """Whether the key of a row names something, or has to."""
        names = [self.key.given(rows)]
        if self.key.by_key:
            names.append(self.key.by_key.given(rows))
        if self.not_null_when:
            names.append(self.not_null_when.over(rows.c.__getitem__))
        return or_(*names)

    def allowed(self, rows: FromClause) -> Predicate:
        """Whether a row may have a far row."""
        required = self.required(rows)
        if not self.allowed_when or not self.when:
            return required
        return or_(required, self.allowed_when.over(rows.c.__getitem__))

    def ids(self, rows: FromClause) -> list[Built]:
        """The columns of the id."""
        return [rows.c[name] for name in self.id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Far(Side):
    """The far side: the rows that near rows refer to."""

    key: tuple[str, ...]
    """The columns that equal the near key."""
    when: FarExpression | None
    """Which rows may be referred to, and must be where the plan is `reverse`."""

    @property
    def id(self) -> tuple[str, ...]:
        """The names of the primary key's columns in findings; with their values they are the id."""
        return tuple(f"{self.table}.{name}" for name in self.primary_key)

    @property
    def finding_key(self) -> Mapping[str, str]:
        """That of the id."""
        return dict(zip(self.id, self.primary_key, strict=True))

    @property
    def is_chosen_by_joins(self) -> bool:
        """Whether `when` needs the joined tables."""
        return self.when is not None and self.when.is_qualified

    def wanted(self, column: Lookup) -> Predicate:
        """Whether a row may be referred to; not so where this is NULL."""
        return self.when.over(column) if self.when else true()


@dataclass(frozen=True, slots=True)
class FarKey:
    """A column of the far side that holds keys of a template, as an expression."""

    source: str
    """Its name."""
    template: Template
    is_column: ClassVar[bool] = True
    is_qualified: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.source,)

    def over(self, column: Callable[[str], Built]) -> Built:
        """The key, as that of the near row that it can be the key of."""
        return self.template.generalized(column(self.source))

    def may_be_long(self, column: Callable[[str], Column]) -> bool:
        """Whether it may be a text of any length."""
        return column(self.source).is_long


@dataclass(frozen=True, slots=True)
class Pair:
    """Two values that must be the same."""

    near: Expression | Template
    far: FarExpression | FarKey
    name: str
    """What findings call the near value."""

    def typed(self, ours: Types | None, theirs: Types | None) -> "Pair":
        """The same of columns of these types."""
        near = self.near.typed(ours) if isinstance(self.near, Expression) else self.near
        far = self.far.typed(theirs) if isinstance(self.far, Expression) else self.far
        return replace(self, near=near, far=far)


@dataclass(frozen=True, slots=True)
class FarSum:
    """A value of a near row, and what its far rows add up to."""

    near: Expression
    far: FarExpression
    at_most: bool = False
    """Whether the sum may be less."""

    def typed(self, ours: Types | None, theirs: Types | None) -> "FarSum":
        """The same of columns of these types."""
        return replace(self, near=self.near.typed(ours), far=self.far.typed(theirs))


@dataclass(frozen=True, slots=True)
class FarCount:
    """How many far rows a near row has."""

    least: int
    most: int | None
    """None where there may be any number."""

    def fits(self, number: int) -> bool:
        """Whether so many are right."""
        return number >= self.least and (self.most is None or number <= self.most)

    def holds(self, number: Built) -> Predicate:
        """The same in a statement."""
        if self.most is None:
            return number >= self.least
        return number.between(self.least, self.most)  # worked out but once


def equal_pairs(values: Mapping[Expression, FarExpression]) -> tuple[Pair, ...]:
    """Values of a near row."""
    return tuple(Pair(near, far, near.source) for near, far in values.items())


def sum_pairs(values: Mapping[Expression, FarExpression]) -> tuple[Pair, ...]:
    """Sums over the near rows of a group."""
    return tuple(Pair(near, far, f"SUM({near.source})") for near, far in values.items())


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rows of either side are judged, by when they were written and last changed."""

    settle: timedelta
    """How old a row must be; younger ones may still wait for the other side."""
    since: datetime | None
    """The cut-over; older rows follow older rules."""

    @property
    def uses_times(self) -> bool:
        """Whether it depends on when rows were written or changed."""
        return bool(self.settle or self.since)

    def needs_times(self, side: Side) -> bool:
        """Whether it depends on when the rows of a side were written, which must be known."""
        return bool(self.since or (self.settle and side.changed_at is None))

    def judged(self, context: Context, side: Side, rows: FromClause) -> Predicate:
        """Whether a row is old enough, and not too old, to be judged."""
        written = context.in_scope(
            rows, side.table, side.written_at, settle=self.settle, since=self.since
        )
        return and_(written, self._is_calm(context, side, rows))

    def _is_calm(self, context: Context, side: Side, rows: FromClause) -> Predicate:
        """Whether a row has not just changed, or is known to be wrong.

        What is known stays so whatever else is done to the row: it would be resolved, and found
        again, each time.
        """
        if not self.settle or side.changed_at is None or context.columns is None:
            return true()
        calm = context.is_settled(rows, side.table, side.changed_at, self.settle)
        known = context.known(tuple(side.finding_key))
        columns = [rows.c[name] for name in side.finding_key.values()]
        return or_(calm, among(columns, known)) if known else calm

    def begun(self, context: Context, side: Side, rows: FromClause) -> Predicate:
        """Whether a row is not too old to be judged; it may be too young."""
        return Scope(timedelta(), self.since).judged(context, side, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a check of pairs asks of its database."""

    near: Near
    far: Far
    equal: tuple[Pair, ...]
    """What each near row and its far row have in common."""
    sums: tuple[Pair, ...] = ()
    """What all near rows of one id have in common with one far row; none, if each has its own."""
    far_sums: tuple[FarSum, ...] = ()
    """What all far rows of one near row have in common with it; none, if it has but one."""
    far_count: FarCount | None = None
    """How many far rows a near row has, where that matters."""
    joins: Through
    """Tables joined to the far side."""
    scope: Scope
    reverse: bool
    """Whether every far row that may be referred to must be."""
    more_keys: tuple[NearKey, ...] = ()
    """Further keys under which the far row of a near row may stand."""
    one_to_one: bool = False
    """Whether no two near rows may refer to the same far row."""
    relations: Relations = field(default_factory=dict)
    """What names stand for that are not those of whole tables."""
    collation: str | None = None
    """How texts of keys and pairs are compared, where the columns' own rules differ."""
    described: Catalog | None = None
    """What the catalog says of the columns; None where no database is asked."""

    def seeing(self, snapshot: Snapshot) -> "Plan":
        """The same of columns that are known, so that amounts are exact whatever their types."""
        ours = snapshot.types(self.near.table)
        theirs = None if snapshot.is_sqlite else self.far_types(snapshot.columns)
        near = {
            name: each and each.typed(ours)
            for name in ("when", "not_null_when", "allowed_when", "pending")
            for each in (getattr(self.near, name),)
        }
        return replace(
            self,
            described=snapshot.columns,
            near=replace(self.near, **near),
            far=replace(self.far, when=self.far.when and self.far.when.typed(theirs)),
            equal=tuple(each.typed(ours, theirs) for each in self.equal),
            sums=tuple(each.typed(ours, theirs) for each in self.sums),
            far_sums=tuple(each.typed(ours, theirs) for each in self.far_sums),
        )

    def far_types(self, columns: Catalog) -> Types:
        """The columns of the far side, and of the tables joined to it, by name."""

        def described(name: str) -> Column:
            table, _, own = name.rpartition(".")
            return columns[table or self.far.table][own]

        return described

    @property
    def by_key(self) -> ByKey | None:
        """The far row of a near row whose columns name none; none, unless stated."""
        return self.near.key.by_key

    @property
    def ways(self) -> tuple["Plan", ...]:
        """A plan for each key under which a far row may stand; itself, if there is but one."""
        if not self.more_keys:
            return (self,)
        keys = (self.near.key, *self.more_keys)
        return tuple(replace(self, near=replace(self.near, key=k), more_keys=()) for k in keys)

    @property
    def is_paired_one_by_one(self) -> bool:
        """Whether counting both sides can show that nothing is wrong on either."""
        return self.reverse and not self.more_keys and not self.is_together

    @property
    def is_together(self) -> bool:
        """Whether all far rows of a near row are looked at together: see `together.py`."""
        return bool(self.far_sums) or self.far_count is not None

    @property
    def follows_far(self) -> bool:
        """Whether new far rows are read: they may be left over, or too many."""
        return self.reverse or self.is_together

    def wholes(self, near: FromClause) -> list[Built]:
        """What the sums of a near row's far rows are compared with."""
        return [each.near.over(near.c.__getitem__) for each in self.far_sums]

    def names(self, near: FromClause) -> list[Built]:
        """The keys of a near row, those of one way after those of the other."""
        return [value for way in self.ways for value in way.near.key.named(near)]

    def beginnings(self, near: FromClause) -> list[Built]:
        """How the far keys of a near row begin, where that is all that it knows of one."""
        begun = self.near.key.beginning(near) if not self.more_keys else None
        return [] if begun is None else [begun]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All that must be the same on both sides."""
        return self.equal + self.sums

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides whose rows are judged."""
        return (self.near, self.far) if self.reverse else (self.near,)

    @property
    def far_expressions(self) -> tuple[FarExpression | FarKey, ...]:
        """What is asked of the far side and the tables joined to it."""
        return (
            *(pair.far for pair in self.pairs),
            *(each.far for each in self.far_sums),
            *filter(None, (self.far.when,)),
        )

    @property
    def shared_id(self) -> dict[str, str]:
        """What names a far row that several near rows refer to, each with the near column."""
        names = zip(self.far.key, self.near.key.columns, strict=True) if self.one_to_one else ()
        return {f"{self.far.table}.{far}": near for far, near in names}

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """The tables that are read, each with the columns."""
        far = self.far
        found = needed(far.table, self.joins, self.far_expressions)
        times = (far.cursor, far.written_at, far.changed_at) if self.follows_far else ()
        by_key = (self.by_key.column,) if self.by_key else ()
        found[far.table] += (*far.primary_key, *far.key, *by_key, *filter(None, times))
        found[self.near.table] = [*self._near_columns(), *found.get(self.near.table, ())]
        return {table: tuple(dict.fromkeys(names)) for table, names in found.items()}

    def _near_columns(self) -> Iterable[str]:
        near = self.near
        times = (near.cursor, near.written_at, near.changed_at)
        yield from (*near.primary_key, *filter(None, times))
        for key in (near.key, *self.more_keys):
            yield from key.columns
        wholes = (each.near for each in self.far_sums)
        compared = (*(pair.near for pair in (*self.sums, *self.equal)), *wholes)
        conditions = (near.when, near.not_null_when, near.allowed_when)
        by_key = self.by_key.template if self.by_key else None
        for each in (*conditions, *compared, near.pending, by_key):
            yield from each.columns if each else ()

    def rows(self, side: Side) -> FromClause:
        """The rows of a side, with the columns that statements need."""
        return self.read(side.table)

    def read(self, table: str) -> FromClause:
        """The rows under a name, with the columns that statements need."""
        rows = rows_of(self.relations, table, self.needs[table])
        found = (self.described or {}).get(table, {})
        rules = self._rules(table)
        shown = {
            each.name: under(each, rules[each.name], found.get(each.name))
            for each in rows.c
            if each.name in rules
        }
        if all(value is rows.c[name] for name, value in shown.items()):
            return rows
        values = (shown.get(each.name, each).label(each.name) for each in rows.c)
        return select(*values).subquery(table.replace(".", "_"))

    def _rules(self, table: str) -> Mapping[str, str]:
        """How columns of a table are compared: as it is stated, or as ASCII is with Unicode."""
        if self.collation:
            return dict.fromkeys(self._compared(table), self.collation)
        near, far = ((self.described or {}).get(each.table, {}) for each in (self.near, self.far))
        if not (near and far):
            return {}
        columns = self.near.key.columns
        keys = self.far.key if len(self.far.key) == len(columns) else self.far.key * len(columns)
        found: dict[str, str] = {}
        for one, other in zip(columns, keys, strict=False):
            if rules := agreed(near[one], far[other]):
                found |= {one: rules} if table == self.near.table else {}
                found |= {other: rules} if table == self.far.table else {}
        return found

    def _compared(self, table: str) -> set[str]:
        """The columns of a table that are compared with those of another."""
        keys = (self.near.key, *self.more_keys)
        names: set[str] = set()
        if table == self.near.table:
            names.update(name for key in keys for name in key.columns)
            names.update(self.by_key.template.columns if self.by_key else ())
            texts = (p.near for p in self.pairs if p.near.is_column or isinstance(p.near, Template))
            names.update(name for each in texts for name in each.columns)
        if table == self.far.table:
            names.update(self.far.key, (self.by_key.column,) if self.by_key else ())
        for pair in self.pairs:
            of, _, name = pair.far.source.rpartition(".") if pair.far.is_column else ("", "", "")
            names.update((name,) if (of or self.far.table) == table else ())
        return names

    def refers(self, near: FromClause, far: FromClause) -> Predicate:
        """Whether a near row refers to a far row by its columns."""
        keys = zip(self.far_key(far), self.near.key.of(near), strict=True)
        return and_(*(one == other for one, other in keys), *self.near.key.names(near))

    def far_key(self, far: FromClause) -> list[Built]:
        """The far key of a row, as it is compared with that of a near row."""
        return self.near.key.of_far([far.c[name] for name in self.far.key])

    def refers_by_key(self, by_key: ByKey, near: FromClause, far: FromClause) -> Predicate:
        """Whether a near row refers to a far row by a derived key, as its columns name none."""
        return and_(not_(self.near.key.given(near)), by_key.refers(near, far))

    def apart(self, ids: Sequence[Built]) -> list[Predicate]:
        """What, in a sub-query about rows with these ids, lets each be asked about by itself.

        MariaDB keeps answers by the columns that were asked about, and takes texts for the same
        that their own collation takes for equal.
        """
        return [each.is_not(None) for each in ids] if self.collation else []

    def leads_to(self, near: FromClause, far: FromClause) -> Predicate:
        """Whether a near row refers to a far row, so put that an index of the far side serves."""
        if not self.by_key:
            return self.refers(near, far)
        (name,), (value,) = self.far.key, self.near.key.named(near)
        return far.c[name] == value
