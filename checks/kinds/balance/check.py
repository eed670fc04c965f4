"""`balance`: the ledger and the balances tell the same story."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, Self, TypedDict

from pydantic import Field, model_validator
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    func,
    true,
)

from checks.card import Alert, Card, Words
from checks.contract import EVERYTHING, SAMPLE, TWO_TRANSACTIONS, Result, Window
from checks.coverage import excluded
from checks.kinds.balance import running_totals
from checks.kinds.balance.chain import Chain
from checks.kinds.balance.comparison import Comparison, Seen
from checks.kinds.balance.inspection import look
from checks.kinds.balance.sides import Part, Side, code, codes_are_unique, has_codes
from checks.kinds.balance.statements import Ledger
from checks.ports import Sources
from checks.snapshot import Catalog, Context, DatabaseCheck, Snapshot
from checks.sql import catalog, collations
from checks.sql.collations import Collation
from checks.sql.expression import Amount, Expression, amount, is_column
from checks.sql.inspection import Keys
from checks.sql.names import Names
from checks.sql.timestamps import TimeColumn, Written
from checks.types import Columns, PrimaryKey, Severity, TableName, key_columns
from checks.watermark import Followed, Place, Reading, cursor_complaints

Key = tuple[Any, ...]

PAGE_ROWS = 8_000_000
"""Ledger rows of one snapshot of a complete run: what a small server reads in 20 s."""


class Balance(DatabaseCheck):
    """Whether, in each group, the sums of the ledger rows are the amounts of the balance rows.

    And whether the ledger rows of a group that has one balance row chain, in the order of their
    ids, from 0 to the balance.
    """

    card: ClassVar[Card] = Card(
        violation="an account's asset whose ledger rows and balance do not agree",
        title=Words(en="ledger and balances", zh="流水与余额"),
        alert=Alert(
            name="ReconcilerBalanceMismatch",
            rank=30,
            meaning="ledger and balance apart",
            summary="Ledger and balance disagree for {count} accounts' assets in {table}"
            " ({check}).",
            advice="Is the number growing? Then some code changes one side without the other: stop"
            " it first.",
            explanation="ledger and balance do not agree. The number is that of accounts' assets.",
        ),
    )

    model_config = DatabaseCheck.model_config | {"arbitrary_types_allowed": True}

    kind: Literal["balance"] = "balance"
    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    beside: ClassVar[Mapping[str, str]] = {"ledger": "ledger_"}
    along_keys: ClassVar[frozenset[str]] = frozenset({"ledger_"})
    primary_key: PrimaryKey | None = None
    ledger: TableName
    ledger_primary_key: PrimaryKey | None = None
    ledger_cursor: TimeColumn | None = None
    ledger_written_at: TimeColumn | None = None
    by: Columns
    ledger_by: Columns | None = None
    """The ledger's columns for `by`, where they are named otherwise."""
    sums: Mapping[Amount, Amount] = Field(min_length=1)
    """Each amount of a balance, and the amount of the ledger whose sum it is."""
    chain: Chain | None = None
    empty_allowed: bool = False
    """Whether a balance of 0 may be without ledger rows."""
    collation: Collation | None = Field(default=None, repr=False)
    """How texts of `by` are compared, where both sides' own rules differ."""
    changed_at: TimeColumn | None = None
    """When a balance row was last changed: incremental runs look at what changed, too."""
    when: Expression | None = Field(default=None, repr=False)
    """Which balance rows count; all, unless stated."""
    ledger_when: Expression | None = Field(default=None, repr=False)
    """Which ledger rows count; all, unless stated."""
    chain_when: Expression | None = Field(default=None, repr=False)
    """Which ledger rows chain; all that count, unless stated."""
    never_negative: bool = Field(default=False, repr=False)
    """Whether no sum of a group may have been below zero after any of its ledger rows."""

    @property
    def takes_a_moment(self) -> timedelta:
        """What belongs together may be written in two transactions."""
        return TWO_TRANSACTIONS

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ledger_by and len(self.ledger_by) != len(self.by):
            raise ValueError(f"ledger_by names {len(self.ledger_by)} columns, by {len(self.by)}")
        if self.chain_when and not self.chain:
            raise ValueError("chain_when says which rows chain, and chain is missing: by what")
        self._refuse_contradictions()
        return self

    def contradictions(self) -> Iterator[str]:
        """That the ledger is not read in the order in which its rows chain."""
        ledger_key = key_columns(self.ledger_primary_key)
        if self.ledger_cursor and ledger_key and self.ledger_cursor not in ledger_key:
            yield (
                f"ledger_cursor is {self.ledger_cursor}, and a balance reads its ledger along the"
                f" primary key: state ledger_cursor as one of {', '.join(ledger_key)}"
            )
        if (self.chain or self.never_negative) and not ledger_key:
            yield (
                "ledger_primary_key is missing: the column in whose order rows chain, the one that"
                " grows with each row"
            )
        if (self.chain or self.never_negative) and len(ledger_key) > 1:
            yield (
                "rows chain in the order of one column, and the ledger's primary key is"
                f" {', '.join(ledger_key)}: state ledger_primary_key, the one that grows with each"
                " row"
            )

    @property
    def ledger_order(self) -> str:
        """The ledger's column in whose order rows chain, and new ones are found."""
        return self.ledger_cursor or (key_columns(self.ledger_primary_key) or self.postings_by)[0]

    @property
    def rule(self) -> str | None:
        """The sums that are equal."""
        return ", ".join(f"{amount} = SUM({posted})" for amount, posted in self.sums.items())

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """What is not compared, and what only a complete run compares."""
        found = []
        if self.empty_allowed:
            found.append("balances of 0 without ledger rows")
        if self.chain is None:
            found.append("whether ledger rows follow one on the other: no `chain` is declared")
        else:
            found.append("how rows chain in a group with several balance rows")
        conditions = (
            (self.table, "of", self.when),
            (self.ledger, "of", self.ledger_when),
            (self.ledger, "in the chains: those of", self.chain_when),
        )
        found += [
            f"rows {of} {table} for which this is not true: {when.source}"
            for table, of, when in conditions
            if when
        ]
        if self.ledger_cursor and (self.when or self.ledger_when):
            late = "rows that begin to count, or cease to, after they were written"
            found.append(f"in incremental runs, {late}: the next complete run sees them")
        if self.ledger_cursor and not self.changed_at:
            unseen = "balances changed without a ledger row: only the complete run sees them"
            found.append(f"in incremental runs of a large ledger, {unseen}")
        return tuple(found)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Keys and amounts of both sides."""
        chained = self.chain.columns if self.chain else ()
        times = filter(None, (self.ledger_written_at,))
        posted = _columns((*self.sums.values(), *chained), self.ledger_when, self.chain_when)
        theirs = (self.ledger_order, *times, *self.postings_by, *posted)
        held = (*_columns(self.sums, self.when), *filter(None, (self.changed_at,)))
        found: dict[str, list[str]] = {
            self.table: [*key_columns(self.primary_key), *self.by, *held]
        }
        found.setdefault(self.ledger, []).extend(theirs)
        return {table: tuple(dict.fromkeys(names)) for table, names in found.items()}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A cursor that cannot be followed, and columns that cannot be compared."""
        if self.ledger_cursor:
            yield from cursor_complaints(connection, self.ledger, self.ledger_cursor)
        yield from collations.complaints(connection, self.collation)
        if self.when:
            yield from self.when.complaints(connection, self.table)
        for when in filter(None, (self.ledger_when, self.chain_when)):
            yield from when.complaints(connection, self.ledger)
        yield from super().complaints(connection)

    def look(self, keys: Keys = ()) -> str | None:
        """The sums of both sides, and the first ledger row that does not follow on another."""
        return look(self._ledger(Context()), keys)

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Add up and compare every group, or those that have new ledger rows.

        A complete run of a large ledger reads it in several snapshots, each of some groups.
        """
        with self.snapshot(sources, window) as snapshot:
            comparison = self._comparison(snapshot)
            followed = Followed(
                *(self.ledger, self.ledger_cursor, self.ledger_written_at), key=self.postings_by
            )
            reading = followed.read(snapshot, "ledger")
            notes = tuple(filter(None, (reading.note, *snapshot.unsteady)))
            if reading.begin is not None:
                seen, kept = self._news(comparison, snapshot, reading.begin)
                return self._result(seen, reading, notes, kept)
            left_out = self._excluded(snapshot)
            pages = self._pages(comparison)
            seen = self._page(comparison, 0, pages)
        for page in range(1, pages):
            with self.snapshot(sources, window) as snapshot:
                seen.add(self._page(self._comparison(snapshot), page, pages))
        return replace(self._result(seen, reading, notes), excluded=left_out)

    def _excluded(self, snapshot: Snapshot) -> Mapping[str, int | None]:
        """Rows of either side that do not count."""

        def of(table: str, when: Expression | None) -> Mapping[str, int | None]:
            def kept(rows: FromClause) -> Mapping[str, ColumnElement[bool]]:
                return {"when": when.on(rows, snapshot.types(table))} if when else {}

            return excluded(snapshot, table, self.needs[table], kept)

        theirs = of(self.ledger, self.ledger_when)
        return {**of(self.table, self.when), **{f"ledger_{why}": n for why, n in theirs.items()}}

    @property
    def postings_by(self) -> tuple[str, ...]:
        """The ledger's columns for `by`."""
        return self.ledger_by or self.by

    def _comparison(self, snapshot: Snapshot) -> Comparison:
        return Comparison(snapshot.connection, self._ledger(snapshot))

    def _ledger(self, context: Context) -> Ledger:
        columns = context.columns or {}
        postings = Side(
            table=self.ledger,
            order=self.ledger_order,
            by=self.postings_by,
            amounts=tuple(self.sums.values()),
            types=context.types(self.ledger),
            relations=self.relations,
            when=self.ledger_when,
            **self._compared(columns, self.ledger, self.postings_by),
        )
        balances = Side(
            table=self.table,
            order=(key_columns(self.primary_key) or self.by)[0],
            by=self.by,
            amounts=tuple(self.sums),
            types=context.types(self.table),
            relations=self.relations,
            when=self.when,
            **self._compared(columns, self.table, self.by),
        )
        return Ledger(
            postings,
            balances,
            self.chain,
            self.empty_allowed,
            self.chain_when,
            self.never_negative,
        )

    def _compared(self, columns: Catalog, table: str, by: Columns) -> "_Compared":
        """The columns of a side, and how its groups are compared."""
        found = columns.get(table, {})
        if not found:
            return {"found": found, "rules": (self.collation,) * len(by)}
        pairs = zip(self.by, self.postings_by, strict=True)
        mine, theirs = columns[self.table], columns[self.ledger]
        agreed = [catalog.agreed(mine[one], theirs[other], self.collation) for one, other in pairs]
        own = [found[name] for name in by]
        rules = [
            how if each.collation != how else None for how, each in zip(agreed, own, strict=True)
        ]
        converted = {
            name: replace(found[name], collation=how, charset="utf8mb4")
            for name, how in zip(by, rules, strict=True)
            if how
        }
        return {"found": Names({**found, **converted}), "rules": tuple(rules)}

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """Columns that cannot be compared, added up or told apart."""
        mine, theirs = snapshot.columns[self.table], snapshot.columns[self.ledger]
        for one, other in zip(self.by, self.postings_by, strict=True):
            if why := catalog.unlike(mine[one], theirs[other], self.collation):
                yield f"{self.table}.{one} cannot be compared with {self.ledger}.{other}: {why}"
        chained = self.chain.columns if self.chain else ()
        yield from _unfit(self.table, mine, self.sums)
        yield from _unfit(self.ledger, theirs, (*self.sums.values(), *chained))
        yield from _elusive(self.table, mine, (*key_columns(self.primary_key), *self.by))
        yield from _elusive(self.ledger, theirs, (self.ledger_order, *self.postings_by))
        own = theirs[self.ledger_order]
        if self.ledger_cursor and own.is_moment:
            yield f"{self.ledger}.{self.ledger_order} is {own.type}: rows chain by number"
        if self.changed_at:
            yield from filter(None, (snapshot.time_complaint(self.table, self.changed_at),))

    def _pages(self, comparison: Comparison) -> int:
        sides = (comparison.ledger.postings, comparison.ledger.balances)
        one, other = (side.found[side.by[0]] for side in sides)
        strings = all(has_codes(each) for each in (one, other))
        if one.type != other.type and not strings and not (one.is_number and other.is_number):
            return 1  # equal values could come to different pages
        rows = catalog.estimated_rows(comparison.connection, self.ledger) or 0
        return max(1, math.ceil(rows / PAGE_ROWS))

    def _page(self, comparison: Comparison, page: int, pages: int) -> Seen:
        """Every group whose first column falls on this page."""
        narrow = codes_are_unique(
            comparison.connection, (comparison.ledger.postings, comparison.ledger.balances)
        )

        def part(side: Side) -> Part:
            if pages == 1:
                return lambda rows: (rows, true())
            first = side.found[side.by[0]]

            def on_page(rows: FromClause) -> tuple[FromClause, ColumnElement[bool]]:
                value = rows.c[side.by[0]]
                number = code(value) if first.is_text else func.crc32(value)
                # Of a number that is no whole one, too, and of the lowest, whose ABS overflows.
                rest = func.floor(func.abs(value % pages)) if first.is_number else number % pages
                return rows, func.coalesce(rest, 0) == page

            return on_page

        ledger = comparison.ledger
        return comparison.compare(part(ledger.postings), part(ledger.balances), narrow=narrow)

    def _news(
        self, comparison: Comparison, snapshot: Snapshot, begin: Place
    ) -> tuple[Seen, running_totals.Kept]:
        """Every group with new ledger rows, those known to be wrong, those whose sums are kept."""
        connection, ledger = comparison.connection, comparison.ledger
        before = running_totals.Kept.restored(snapshot.window.cursor, int(begin))
        kept = running_totals.advance(connection, ledger, before, int(begin))
        doubtful = dict.fromkeys(
            (*snapshot.known(self.by), *(key for key in before.groups if key not in kept.groups))
        )
        findings = comparison.judge(list(doubtful))
        seen = Seen(0, len(findings), findings)
        left_out = list(dict.fromkeys((*doubtful, *kept.groups)))
        new = ledger.touched(begin, left_out, self._changed(snapshot))
        seen.add(
            comparison.compare(
                ledger.in_groups(ledger.postings, new),
                ledger.in_groups(ledger.balances, new),
                narrow=False,
                may_be_alone=self.changed_at is not None,
            )
        )
        wrong = [tuple(finding.key.values()) for finding in seen.findings]
        if seen.largest > running_totals.MANY_POSTINGS:
            kept = running_totals.with_new(connection, ledger, kept, new, wrong)
        return seen, kept

    def _changed(self, snapshot: Snapshot) -> tuple[str, Written] | None:
        """Since when balances are looked at that changed, as their column writes it."""
        window = snapshot.window
        if self.changed_at is None or window.cursor is None:
            return None
        before = datetime.fromtimestamp(window.cursor["ledger"]["marks"][-1][0], UTC)
        notation = snapshot.notation(self.table, self.changed_at)
        return self.changed_at, notation.earliest(before - window.overlap, snapshot.now)

    def _result(
        self,
        seen: Seen,
        reading: Reading,
        notes: tuple[str, ...],
        kept: running_totals.Kept | None = None,
    ) -> Result:
        whole = len(seen.findings) == seen.violations <= SAMPLE
        left = {"ledger": reading.left, "kept": kept and kept.left()} if reading.left else None
        return Result(
            seen.examined,
            seen.violations,
            tuple(seen.findings[:SAMPLE]),
            notes=notes,
            complete=reading.begin is None,
            cursor=left if whole else None,
        )


class _Compared(TypedDict):
    """Two of the fields of a `Side`."""

    found: Mapping[str, catalog.Column]
    rules: tuple[str | None, ...]


def _columns(amounts: Iterable[str], *conditions: Expression | None) -> Iterator[str]:
    """The columns that amounts and conditions are of."""
    for each in (*map(amount, amounts), *filter(None, conditions)):
        yield from each.columns


def _unfit(table: str, found: Mapping[str, catalog.Column], names: Iterable[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if why := amount(name).unfit_amount(found.__getitem__):
            place = f"{table}.{name}" if is_column(name) else f"{table}: {name}"
            yield f"{place} {why}"


def _elusive(
    table: str, found: Mapping[str, catalog.Column], names: Iterable[str]
) -> Iterator[str]:
    for name in dict.fromkeys(names):
        if found[name].is_elusive:
            yield f"{table}.{name} is {found[name].type}: no value of it is found again"
