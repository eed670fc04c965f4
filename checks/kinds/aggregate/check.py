"""`aggregate`: a total that is kept in a row agrees with the rows that it is kept of."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy import Connection

from checks.card import SUM_MISMATCH, Card, Words
from checks.contract import EVERYTHING, Check, Result, Scalar, Window
from checks.coverage import coverage, excluded
from checks.kinds.aggregate.findings import finding, phrases
from checks.kinds.aggregate.sides import Function, Pair, Side, Sides
from checks.ports import Sources
from checks.snapshot import Context, DatabaseCheck, Snapshot
from checks.sql import catalog
from checks.sql.expression import Expression
from checks.sql.inspection import Keys, fitting, having
from checks.sql.render import render
from checks.sql.timestamps import Settle, TimeColumn
from checks.types import Columns, Identifier, PrimaryKey, Severity, duration_text, key_columns

Kept = Mapping[Expression, Expression]
"""What a row keeps, each with what it is kept of."""


class Aggregate(DatabaseCheck):
    """Whether sums, minimums, maximums and counts that rows keep of their details are right.

    A row without details keeps a sum and a count of 0, and a minimum and maximum of NULL.
    """

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    card: ClassVar[Card] = Card(
        violation="a row whose totals are not those of its details",
        title=Words(en="kept totals", zh="汇总值与明细"),
        phrases=phrases,
        alert=SUM_MISMATCH,
    )

    kind: Literal["aggregate"] = "aggregate"
    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    beside: ClassVar[Mapping[str, str]] = {"details": "details_"}
    primary_key: PrimaryKey | None = None
    by: Annotated[tuple[Expression, ...], Field(min_length=1)]
    """What a row has in common with its details."""
    details: Identifier
    """The table of the details."""
    details_by: Columns | None = None
    """The columns of the details for `by`, where they are named otherwise."""
    sums: Kept = Field(default_factory=dict)
    minimums: Kept = Field(default_factory=dict)
    maximums: Kept = Field(default_factory=dict)
    counts: Kept = Field(default_factory=dict)
    """Each with the condition of the details that are counted."""
    when: Expression | None = None
    """Which rows are judged."""
    details_when: Expression | None = None
    """Which details count."""
    empty: Literal["compared", "ignored"] = "compared"
    """What becomes of rows without details."""
    details_written_at: TimeColumn | None = None
    settle: Settle = timedelta(0)
    """How long the details of a row must have rested for it to be judged."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.pairs:
            raise ValueError("states no total: sums, minimums, maximums or counts")
        if self.details_by is None and not all(part.is_column for part in self.by):
            raise ValueError("details_by is missing: by names more than columns")
        if len(self.of_details) != len(self.by):
            raise ValueError(f"details_by names {len(self.of_details)} columns, by {len(self.by)}")
        if self.settle and self.details_written_at is None:
            raise ValueError(
                f"details_written_at is missing: settle needs the time at which a row of"
                f" {self.details} was written"
            )
        return self

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All that is compared."""
        kept: dict[Function, Kept] = {
            "SUM": self.sums,
            "MIN": self.minimums,
            "MAX": self.maximums,
            "COUNT": self.counts,
        }
        return tuple(Pair(f, own, of) for f, some in kept.items() for own, of in some.items())

    @property
    def of_details(self) -> tuple[str, ...]:
        """The columns of the details for `by`."""
        return self.details_by or tuple(part.source for part in self.by)

    @property
    def rule(self) -> str | None:
        """What is equal."""
        return ", ".join(f"{pair.own.source} = {pair.name}" for pair in self.pairs)

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows and details that do not count, and details without a row."""
        left = [
            f"rows of {table} for which this is not true: {condition.source}"
            for table, condition in ((self.table, self.when), (self.details, self.details_when))
            if condition
        ]
        if self.empty == "ignored":
            left.append("rows without details")
        if self.settle:
            young = f"a row of {self.details} written less than {duration_text(self.settle)} ago"
            left.append(f"rows that are off and have {young}, until it is older")
        return (*left, f"rows of {self.details} that belong to no row: `reference` asks for them")

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of both tables."""
        own = [*key_columns(self.primary_key)]
        for part in (*self.by, *(pair.own for pair in self.pairs), self.when):
            own += part.columns if part else ()
        other = [*self.of_details]
        for part in (*(pair.of for pair in self.pairs), self.details_when):
            other += part.columns if part else ()
        if self.settle and self.details_written_at:
            other.append(self.details_written_at)
        found = {self.table: own}
        found[self.details] = [*found.get(self.details, ()), *other]
        return {table: tuple(dict.fromkeys(names)) for table, names in found.items()}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """Conditions that never hold, and what would make an answer wrong."""
        for table, condition in ((self.table, self.when), (self.details, self.details_when)):
            if condition:
                yield from condition.complaints(connection, table)
        yield from super().complaints(connection)

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """Columns that cannot be compared, sums that are not exact, times that are none."""
        own, other = snapshot.columns[self.table], snapshot.columns[self.details]
        for part, name in zip(self.by, self.of_details, strict=True):
            if part.is_column and (why := catalog.unlike(own[part.source], other[name])):
                place = f"{self.table}.{part.source}"
                yield f"{place} cannot be compared with {self.details}.{name}: {why}"
        for pair in self.pairs:
            yield from _pair_doubts(self.details, pair, other)
        if self.settle and self.details_written_at:
            why = snapshot.time_complaint(self.details, self.details_written_at)
            yield from (why,) if why else ()

    def look(self, keys: Keys = ()) -> str | None:
        """Both sides of some rows, or of all that are off."""
        if keys and self.primary_key is None:
            return self.named("primary_key", keys[0]).look(keys)
        return fitting(having(keys, key_columns(self.primary_key)), self._look)

    def statements(self, at: datetime, zone: tzinfo) -> Sequence[str]:
        """The statement that counts what is off, and the one that reads it."""
        sides = self._sides(Context.assumed(self.needs, at, zone))
        return [render(sides.numbers()), render(sides.wrong())]

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Work out every total anew, and compare."""
        with self.snapshot(sources, window) as snapshot:
            sides = self._sides(snapshot, tuple(snapshot.known(key_columns(self.primary_key))))
            numbers = snapshot.connection.execute(sides.numbers()).mappings().one()
            violations = int(numbers["violations"])
            found = snapshot.connection.execute(sides.wrong()).mappings() if violations else ()
            findings = tuple(finding(sides, row) for row in found)
            left_out = self._excluded(sides, snapshot, dict(numbers))
        measures = {"waiting": int(numbers["waiting"])} if self.settle else {}
        examined = int(numbers["examined"])
        return Result(examined, violations, findings, measures, excluded=left_out)

    def _excluded(
        self, sides: Sides, snapshot: Snapshot, numbers: Mapping[str, int]
    ) -> Mapping[str, int | None]:
        """The rows that are not compared."""
        asked = (snapshot, self.table, self.needs[self.table], sides.kept)
        waiting = {"settle": int(numbers["waiting"])} if self.settle else {}
        if self.empty == "compared":
            return {**excluded(*asked), **waiting}
        seen, compared = coverage(*asked), int(numbers["examined"]) + int(numbers["waiting"])
        empty = None if seen.estimated else seen.judged - compared
        return {**seen.excluded, "no_details": empty, **waiting}

    def _sides(self, context: Context, known: tuple[tuple[Scalar, ...], ...] = ()) -> Sides:
        own, details = self.table, self.details
        return Sides(
            own=Side(
                rows=lambda: self.rows_of(own, self.needs[own]),
                table=own,
                by=self.by,
                when=self.when,
                key=key_columns(self.primary_key),
            ),
            details=Side(
                rows=lambda: self.rows_of(details, self.needs[details]),
                table=details,
                by=tuple(Expression(f"`{name}`") for name in self.of_details),
                when=self.details_when,
                written_at=self.details_written_at,
            ),
            pairs=self.pairs,
            keeps_empty=self.empty == "compared",
            settle=self.settle,
            context=context,
            known=known,
        )

    def _look(self, keys: Keys) -> str:
        return render(self._sides(Context()).compared(keys))


def _pair_doubts(details: str, pair: Pair, found: Mapping[str, catalog.Column]) -> Iterator[str]:
    if pair.function != "SUM":
        return
    if pair.of.is_column and not found[pair.of.source].is_number:
        yield f"{details}.{pair.of.source} is {found[pair.of.source].type}, and no amount"
    for name in pair.of.columns:
        if found[name].type.lower().startswith(("float", "double", "real")):
            yield f"{details}.{name} is {found[name].type}: such sums are not exact"
