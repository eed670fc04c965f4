"""`stuck`: no row stays in a passing state for longer than it may."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, func, not_, select

from checks.card import Alert, Card, Words
from checks.contract import EVERYTHING, Finding, Result, Scalar, Window
from checks.kinds.row_check import RowCheck
from checks.ports import Sources
from checks.snapshot import Context, Snapshot
from checks.sql.expression import Expression
from checks.sql.statements import counted
from checks.sql.timestamps import TimeColumn
from checks.types import Duration, duration_text


class Stuck(RowCheck):
    """Whether every row that is in a passing state has not been in it for too long."""

    card: ClassVar[Card] = Card(
        violation="a row that is in a passing state for too long",
        title=Words(en="stuck in a passing state", zh="滞留状态"),
        alert=Alert(
            name="ReconcilerStuck",
            rank=90,
            meaning="rows that stay where they should only pass",
            summary="{count} rows of {table} stay in a passing state for too long ({check}).",
            advice="Does the process run that should move them on?",
            explanation="rows stay in a passing state for too long.",
        ),
    )

    names_by_all_columns: ClassVar[bool] = False
    kind: Literal["stuck"] = "stuck"
    when: Expression
    """The passing state, so put that an index serves it: `status = 'processing'`."""
    entered_at: TimeColumn
    """The column that says when the row entered that state."""
    due_at: TimeColumn | None = Field(default=None, repr=False)
    """In place of `entered_at`: the column that says until when the row may be in that state."""
    longer_than: Duration
    since_seen: bool = Field(default=False, repr=False)
    """Whether a row may come back to the state with the time of an earlier stay, so that only what
    runs have seen of it shows how long this one lasts."""

    @model_validator(mode="before")
    @classmethod
    def _by_one_time(cls, given: Any) -> Any:
        is_due = isinstance(given, dict) and given.get("due_at") is not None
        return {**given, "entered_at": given["due_at"]} if is_due else given

    @property
    def confirmation_time(self) -> timedelta:
        """As long as a row may stay, where its own time does not say since when it does."""
        if self.since_seen and self.confirm_after is None:
            return self.longer_than
        return super().confirmation_time

    @property
    def rule(self) -> str | None:
        """The passing state, and how long it may last."""
        after = f" after {self.due_at}" if self.due_at else ""
        return f"{self.when.source}: {self.longer_than.total_seconds():g} s{after} at most"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that are not in the state, or not for long."""
        limit = duration_text(self.longer_than)
        short = f"rows in that state for {limit} or less"
        if self.due_at:
            short = f"rows in that state until {limit} after {self.due_at}, or without that time"
        return (f"rows for which this is not true: {self.when.source}", short)

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The time of the state, and its columns."""
        return (self.entered_at, *self.when.columns)

    @property
    def first_shown(self) -> str | None:
        """Those first that are in the state for longest."""
        return self.entered_at

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A column that holds no time, and a state that never is."""
        yield from super().complaints(connection)
        yield from self.when.complaints(connection, self.table)

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """A column that holds no time."""
        if complaint := snapshot.time_complaint(self.table, self.entered_at):
            yield f"{'due_at' if self.due_at else 'entered_at'}: {complaint}"

    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """The row is in the state; where a database is asked, for too long."""
        passing = self.when.on(rows, context.types(self.table))
        return and_(passing, self._late(rows, context)) if context.columns else passing

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Look at every row in the state, whatever was read before: the old ones count."""
        with self.snapshot(sources, window) as snapshot:
            rows = self.rows()
            counts = self.counts(rows, snapshot)
            examined, violations, oldest = snapshot.connection.execute(counts).one()
            findings = self.findings(rows, snapshot, int(violations))
            seconds = snapshot.seconds_since(oldest, self.table, self.entered_at)
        measures = {"passing": int(examined)}
        if seconds is not None:
            measures["oldest_seconds"] = max(seconds, 0)
        told = tuple(map(self._with_limit, findings))
        return Result(int(examined), int(violations), told, measures)

    def counts(self, rows: FromClause, context: Context) -> Select[Any]:
        """The rows in the state, those of them that are late, and since when the oldest is."""
        oldest: ColumnElement[Any] = func.min(rows.c[self.entered_at])
        numbers = (func.count(), counted(self._late(rows, context), "late"), oldest)
        return select(*numbers).where(self.when.on(rows, context.types(self.table)))

    def _late(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """Whether a row is in the state for too long, or nobody can tell since when.

        A row that is due later, or at no time, is not late.
        """
        if self.due_at:
            return self._overdue(rows, context)
        # One that is in the state for just so long is not there for longer.
        span = self.longer_than + timedelta.resolution
        return context.is_settled(rows, self.table, self.entered_at, span)

    def _overdue(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        notation, due = context.notation(self.table, self.entered_at), rows.c[self.entered_at]
        before = notation.is_before(due, context.now - self.longer_than, context.now)
        return and_(before, not_(notation.is_timeless(due)))

    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """Since when, or until when it was to last."""
        entered, limit = seen[self.entered_at], int(self.longer_than.total_seconds())
        seconds = snapshot.seconds_since(entered, self.table, self.entered_at)
        if self.due_at:
            return f"{self.table}: {self.when.source} until {entered} (over {limit} s ago)"
        if seconds is None:
            since = "an unknown time"
        else:
            since = f"{entered} ({f'over {limit} s' if seconds >= 0 else 'in the future'})"
        if self.since_seen:
            since += " at the earliest"
        return f"{self.table}: {self.when.source} since {since}"

    def _with_limit(self, finding: Finding) -> Finding:
        limit = int(self.longer_than.total_seconds())
        return replace(finding, evidence={**finding.evidence, "longer_than_seconds": limit})
