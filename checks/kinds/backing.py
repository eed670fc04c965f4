"""`backing`: what holds a frozen amount explains it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import reduce
from math import ceil
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from checks.card import Alert, Card, Words
from checks.contract import EVERYTHING, TWO_TRANSACTIONS, Check, Finding, Result, Scalar, Window
from checks.ports import Sources
from checks.snapshot import Catalog, DatabaseCheck, Snapshot, Types
from checks.sql import catalog, collations, exact, joins
from checks.sql.collations import Collation, under
from checks.sql.expression import Amount, Expression, FarExpression, amount, is_column
from checks.sql.functions import one_of, shown
from checks.sql.inspection import LONGEST_NAME, MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.statements import labelled, numbered
from checks.sql.values import scalar
from checks.types import Identifier, Severity, TableName

Built = ColumnElement[Any]


class Holder(BaseModel):
    """Rows of one table that hold an amount: frozen orders, active listings."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    table: TableName
    by: Annotated[tuple[Amount, ...], Field(min_length=1)]
    """Whose amount it is: a column, or a value, for each part of the check's own `by`."""
    amount: Amount
    when: Expression
    """Which rows hold."""


class Backing(DatabaseCheck):
    """Whether, for each owner, an amount of one table is the sum of what other tables hold.

    NULL amounts count as 0. A part of `by` that is NULL names no owner: such an amount is explained
    by nothing, and such a holder explains nothing.
    """

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    card: ClassVar[Card] = Card(
        violation="an owner whose amount is not what is held",
        title=Words(en="backing of frozen amounts", zh="冻结金额依据"),
        alert=Alert(
            name="ReconcilerFrozenUnexplained",
            rank=60,
            meaning="a frozen amount that nothing holds",
            summary="The frozen amounts of {count} owners in {table} are not what is held"
            " ({check}).",
            advice="Points are frozen for nothing, or held by something that froze nothing.",
            explanation="what is frozen is more, or less, than what is held by listings and"
            " orders.",
        ),
    )

    kind: Literal["backing"] = "backing"
    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    amount: Amount
    by: Annotated[tuple[FarExpression, ...], Field(min_length=1)]
    """Whose amount it is; may name columns of the tables in `through`: `accounts.user_id`."""
    through: Mapping[TableName, Mapping[Identifier, Identifier]] = {}
    """See `joining.Through`."""
    holders: Annotated[tuple[Holder, ...], Field(min_length=1)]
    collation: Collation | None = Field(default=None, repr=False)
    """How texts of `by` are compared, where the tables' own rules differ."""

    @property
    def takes_a_moment(self) -> timedelta:
        """What belongs together may be written in two transactions."""
        return TWO_TRANSACTIONS

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for part in self.by:
            joins.refuse_unjoined(part, self.through)
        for holder in self.holders:
            if len(holder.by) != len(self.by):
                raise ValueError(
                    f"by of holder {holder.table} has {len(holder.by)} parts, that of the check has"
                    f" {len(self.by)}"
                )
        return self

    @property
    def rule(self) -> str | None:
        """The sums that are equal."""
        tables = " and ".join(dict.fromkeys(each.table for each in self.holders))
        return f"SUM({self.amount}) = what {tables} hold"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that hold nothing, and holders that nobody is known to be."""
        held = (
            f"rows of {each.table} for which this is not true: {each.when.source}"
            for each in self.holders
        )
        return (*held, "holders with NULL in their `by`: they explain no amount")

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of the amounts' table, of those joined to it, and of the holders."""
        needed = joins.needed(self.table, self.through, self.by)
        needed[self.table] += amount(self.amount).columns
        for each in self.holders:
            values = (amount(value) for value in (*each.by, each.amount))
            names = (name for value in (*values, each.when) for name in value.columns)
            needed.setdefault(each.table, []).extend(names)
        return {table: tuple(dict.fromkeys(names)) for table, names in needed.items()}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """Holders that never are, and what would make an answer wrong."""
        for holder in self.holders:
            yield from holder.when.complaints(connection, holder.table)
        yield from collations.complaints(connection, self.collation)
        yield from super().complaints(connection)

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """Columns that cannot be compared, and joins that could count an amount twice."""
        yield from joins.complaints(snapshot.connection, self.table, self.through)
        found = snapshot.columns
        amounts = ((self.table, self.amount), *((h.table, h.amount) for h in self.holders))
        yield from self._too_wide(found)
        for table, name in dict.fromkeys(amounts):
            if is_column(name) and not found[table][name].is_number:
                yield f"{table}.{name} is {found[table][name].type}, and no amount"
            elif not is_column(name) and (
                why := amount(name).unfit_amount(found[table].__getitem__)
            ):
                yield f"{table}: {name} {why}"
        for holder in self.holders:
            for part, name in zip(self.by, holder.by, strict=True):
                own, other = self._plain(part, found), found[holder.table].get(name)
                if own and other and (reason := catalog.unlike(own, other, self.collation)):
                    place = part.source if "." in part.source else f"{self.table}.{part.source}"
                    yield f"{place} cannot be compared with {holder.table}.{name}: {reason}"

    def _too_wide(self, found: Catalog) -> Iterator[str]:
        """That no column holds the amounts of all tables and their sums."""
        amounts = ((self.table, self.amount), *((h.table, h.amount) for h in self.holders))
        sizes = [amount(name).size(found[table].__getitem__) for table, name in amounts]
        known = [each for each in sizes if each]
        whole = max((each.whole for each in known), default=0)
        places = max((each.places for each in known), default=0)
        if not exact.Size(whole, places).fits_column:
            yield (
                f"amounts have up to {whole} digits before and {places} behind the point: more"
                f" than the {exact.MOST_DIGITS} that a server keeps"
            )

    def look(self, keys: Keys = ()) -> str | None:
        """The sums of both sides for each owner: of some, or of all for whom they differ."""
        owner = tuple(part.source for part in self.by)
        for names in (owner, (*owner, "held_in"), (*owner, *self.joined_by)):
            if found := having(keys, names):
                return fitting(found, lambda some: self._sums_of(names, some))  # noqa: B023
        return self._sums_of((), ())

    def _sums_of(self, names: Sequence[str], keys: Keys) -> str:
        """The sums of the owners of some keys of these names; without keys of all that are off."""
        entries = self._entries(keys)
        groups, sums, held_in = self._groups(entries), self._sums(entries), self._held_in(entries)
        sources = (*(part.source for part in self.by), *self.joined_by)
        columns = (*numbered(entries, "by"), *numbered(entries, "joined"))
        called = dict(zip(sources, columns, strict=True)) | {"held_in": held_in}
        if not keys:
            which = _differ(sums)
        elif "held_in" in names:
            which = chosen({name: called[name] for name in names}, keys)
        else:
            is_own = func.coalesce(entries.c.apart, 0) == 0
            which = and_(chosen({name: called[name] for name in names}, keys), is_own)
        amounts = (self.amount, *(f"in_{table}" for table in self.sides[1:]))
        shown = (
            *(called[part.source].label(part.source[:LONGEST_NAME]) for part in self.by),
            held_in.label("held_in"),
            *numbered(entries, "joined"),
            *(each.label(name[:LONGEST_NAME]) for each, name in zip(sums, amounts, strict=True)),
        )
        # Not WHERE: MySQL writes that into the statement within, in a way that not every SQL mode
        # takes back when there is a quote in a value.
        return render(select(*shown).group_by(*groups).having(which).limit(MOST_ROWS))

    def _held_in(self, entries: Subquery) -> Built:
        """The table of the amounts of no known owner."""
        return case(*((entries.c.apart == n, name) for n, name in enumerate(self.sides)))

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Sum both sides for each owner, in one statement, and compare."""
        with self.snapshot(sources) as snapshot:
            entries = self._entries((), snapshot.columns)
            examined = snapshot.number(select(func.count()).select_from(entries))
            groups, violations = snapshot.sampled(self._unequal(entries, snapshot.columns))
        return Result(examined, violations, tuple(self._finding(each._asdict()) for each in groups))

    @property
    def sides(self) -> tuple[str, ...]:
        """The tables of amounts, by their number in `side`: the check's own, and the holders'."""
        return ("", *dict.fromkeys(each.table for each in self.holders))

    @property
    def joined_by(self) -> tuple[str, ...]:
        """The columns that tell apart rows without an owner: those by which they are joined."""
        return tuple(dict.fromkeys(name for on in self.through.values() for name in on.values()))

    def _plain(self, part: FarExpression, found: Catalog) -> catalog.Column | None:
        """What the catalog says of a part of `by` that is just a column."""
        if part.columns != (part.source.replace("`", "").strip(),):
            return None
        table, _, column = part.columns[0].rpartition(".")
        return found[table or self.table].get(column)

    def _entries(self, keys: Keys = (), found: Catalog | None = None) -> Subquery:
        """Every amount that counts, with its owner (`by_n`) and the number of its table (`side`).

        Where the owner is not known, `apart` and `joined_n` keep amounts from being added up. With
        keys only those of some owners.
        """
        held = (self._held(each, keys, found) for each in self.holders)
        return union_all(self._own(keys, found), *held).subquery("e")

    def _among(self, owner: Sequence[Built], keys: Keys) -> tuple[ColumnElement[bool], ...]:
        names = (part.source for part in self.by)
        return (chosen(dict(zip(names, owner, strict=True)), keys),) if keys else ()

    def _read(self, table: str) -> FromClause:
        return self.rows_of(table, self.needs[table])

    def _own(self, keys: Keys, found: Catalog | None) -> Select[Any]:
        rows = self._read(self.table).alias("own")
        source, column = joins.join(rows, self.through, self._read, outer=True)
        owner = [
            under(part.over(column), self.collation, self._plain(part, found) if found else None)
            for part in self.by
        ]
        value, names = _value(rows, self.amount, self._types(self.table, found)), self.joined_by
        return (
            self._entry(owner, 0, value, [rows.c[name] for name in names])
            .select_from(source)
            .where(exact.comparable(value) != exact.NOUGHT, *self._among(owner, keys))
        )

    def _held(self, holder: Holder, keys: Keys, found: Catalog | None) -> Select[Any]:
        rows = self._read(holder.table)
        side = self.sides.index(holder.table)
        types = self._types(holder.table, found)
        owner = [
            under(
                _value(rows, name, types),
                self.collation,
                found[holder.table].get(name) if found else None,
            )
            for name in holder.by
        ]
        joined = [null() for _ in self.joined_by]
        entry = self._entry(owner, side, _value(rows, holder.amount, types), joined)
        return entry.where(holder.when.on(rows, types), *self._among(owner, keys))

    def _types(self, table: str, found: Catalog | None) -> Types | None:
        return found[table].__getitem__ if found else None

    def _entry(
        self, owner: Sequence[Built], side: int, amount: Built, joined: Sequence[Built]
    ) -> Select[Any]:
        unknown = or_(*(part.is_(None) for part in owner))
        return select(
            *labelled("by", owner),
            literal(side).label("side"),
            amount.label("amount"),
            case((unknown, side)).label("apart"),
            *labelled("joined", [case((unknown, each)) for each in joined]),
        )

    def _unequal(self, entries: Subquery, found: Catalog) -> Select[Any]:
        """The owners whose two sides differ, each with the sum of each table's amounts."""
        owner, groups = numbered(entries, "by"), self._groups(entries)
        sums = self._sums(entries, self._total(found))
        spelled = [
            self._spelled(each, part, found) for each, part in zip(owner, self.by, strict=True)
        ]
        return (
            select(*labelled("key", spelled), *groups[len(owner) :], *labelled("sum", sums))
            .group_by(*groups)
            .having(_differ(sums))
            .order_by(*groups)
        )

    def _groups(self, entries: Subquery) -> tuple[Built, ...]:
        """What makes two owners different."""
        return (*numbered(entries, "by"), entries.c.apart, *numbered(entries, "joined"))

    def _total(self, found: Catalog) -> Callable[[Built], Built]:
        """What sums: what the database has for that, if the amounts are integers."""
        amounts = ((self.table, self.amount), *((h.table, h.amount) for h in self.holders))
        integers = all(is_column(name) and found[table][name].is_integer for table, name in amounts)
        return func.sum if integers else exact.total

    def _sums(
        self, entries: Subquery, total: Callable[[Built], Built] = exact.total
    ) -> list[Built]:
        """The sum of each table's amounts."""
        return [
            total(case((entries.c.side == side, entries.c.amount), else_=0))
            for side in range(len(self.sides))
        ]

    def _spelled(self, column: Built, part: FarExpression, found: Catalog) -> Built:
        """One of the spellings that the collation takes for equal, always the same."""
        described = self._plain(part, found)
        if described is None:
            return func.min(column)
        return shown(one_of(column, described), described)

    def _finding(self, group: Mapping[str, Any]) -> Finding:
        own, *held = (exact.read(group[f"sum_{side}"]) for side in range(len(self.sides)))
        off = exact.plus(own, *(each.copy_negate() for each in held))
        key = self._key(group)
        owner = ", ".join(f"{name} {value}" for name, value in key.items())
        sums = dict(zip(self.sides[1:], map(scalar, held), strict=True))
        holders = ", ".join(f"{table} {amount}" for table, amount in sums.items())
        problem, verb = (
            ("unexplained", "is not explained by") if off > 0 else ("overheld", "does not cover")
        )
        return Finding(
            key,
            f"{self.table}: {self.amount} {scalar(own)} of {owner} {verb} {holders}",
            {"problem": problem, self.amount: scalar(own), **sums},
            magnitude=ceil(off.copy_abs()),
        )

    def _key(self, group: Mapping[str, Any]) -> dict[str, Scalar]:
        key = {part.source: scalar(group[f"key_{n}"]) for n, part in enumerate(self.by)}
        if group["apart"]:
            key["held_in"] = self.sides[group["apart"]]
        elif group["apart"] == 0:
            key |= {name: scalar(group[f"joined_{n}"]) for n, name in enumerate(self.joined_by)}
        return key


def _differ(sums: Sequence[Built]) -> ColumnElement[bool]:
    """Whether an amount is not what is held."""
    held = reduce(exact.added, sums[1:])
    return exact.comparable(sums[0]) != exact.comparable(held)


def _value(rows: FromClause, name: str, types: Types | None) -> Built:
    """A column of some rows, or what is worked out of several."""
    return rows.c[name] if is_column(name) else amount(name).on(rows, types)
