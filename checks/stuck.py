"""`stuck`: no row stays in a passing state for longer than it may."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, TableClause, and_, func, or_, select

from checks import catalog, moments
from checks.base import (
    EVERYTHING,
    Check,
    CheckError,
    Finding,
    Result,
    Scalar,
    Sources,
    Window,
)
from checks.expression import Expression
from checks.looking import Keys, look_at_rows, spelled
from checks.sql import counted, rows_of, sample_rows
from checks.types import Duration, Identifier


@dataclass(frozen=True, slots=True)
class Clock:
    """When a run looks, by the database's own time, and how a column would write that."""

    at: datetime
    column: catalog.Column
    zone: tzinfo

    def seconds_since(self, value: object) -> int | None:
        """How long ago a value of the column was; none for NULL and for what is no time."""
        moment = moments.read(value, self.column, self.zone)
        return None if moment is None else int((self.at - moment).total_seconds())


class Stuck(Check):
    """Whether every row that is in a passing state has not been in it for too long."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    kind: Literal["stuck"] = "stuck"
    primary_key: Identifier
    when: Expression
    """The passing state, so put that an index serves it: `status = 'processing'`."""
    entered_at: Identifier
    """The column that says when the row entered that state."""
    longer_than: Duration

    @property
    def rule(self) -> str | None:
        """The passing state, and how long it may last."""
        return f"{self.when.source}: {self.longer_than.total_seconds():g} s at most"

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of the state and its time, and the primary key that findings name."""
        names = (self.primary_key, self.entered_at, *self.when.columns)
        return {self.table: tuple(dict.fromkeys(names))}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A column that holds no time, and a state that never is."""
        yield from self._complaints(catalog.columns(connection, self.table))
        yield from self.when.complaints(connection, self.table)

    def look(self, keys: Keys = ()) -> str | None:
        """The rows in the state, those first that are in it for longest."""
        passing = spelled(self.when)
        return look_at_rows(self.table, self.primary_key, keys, passing, order=self.entered_at)

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Look at every row in the state, whatever was read before: the old ones count."""
        names = self.needs[self.table]
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, names)
            if complaint := next(self._complaints(found), None):
                raise CheckError(complaint, permanent=True)
            clock = Clock(moments.now(connection), found[self.entered_at], window.zone)
            rows = rows_of(self.table, names)
            passing, late = self.when.on(rows), self._late(rows, clock)
            counts = (func.count(), counted(late, "late"), func.min(rows.c[self.entered_at]))
            examined, violations, oldest = connection.execute(select(*counts).where(passing)).one()
            findings = sample_rows(
                connection,
                rows,
                and_(passing, late),
                lambda seen: self._describe(seen, clock),
                violations=int(violations),
                found=found,
            )
        seconds = clock.seconds_since(oldest)
        measures = {"passing": int(examined)}
        if seconds is not None:
            measures["oldest_seconds"] = max(seconds, 0)
        return Result(
            int(examined), int(violations), tuple(map(self._with_limit, findings)), measures
        )

    def _complaints(self, found: Mapping[str, catalog.Column]) -> Iterator[str]:
        if not found[self.entered_at].is_moment:
            yield f"entered_at {self.entered_at} is {found[self.entered_at].type}, and no time"

    def _late(self, rows: TableClause, clock: Clock) -> ColumnElement[bool]:
        """Whether a row is in the state for too long, or nobody can tell since when.

        A time that lies further ahead than a row may wait tells nothing, and to wait until it has
        passed could take for ever.
        """
        column: ColumnElement[Any] = rows.c[self.entered_at]
        ahead = moments.written(clock.at + self.longer_than, clock.column, clock.zone)
        return or_(
            moments.longer_ago(column, clock.column, clock.zone, clock.at, self.longer_than),
            column > ahead,
        )

    def _describe(self, seen: Mapping[str, Scalar], clock: Clock) -> str:
        entered, limit = seen[self.entered_at], int(self.longer_than.total_seconds())
        seconds = clock.seconds_since(entered)
        how_long = f"over {limit} s" if seconds is None or seconds >= 0 else "in the future"
        since = "an unknown time" if entered is None else f"{entered} ({how_long})"
        return f"{self.table}: {self.when.source} since {since}"

    def _with_limit(self, finding: Finding) -> Finding:
        limit = int(self.longer_than.total_seconds())
        return replace(finding, evidence={**finding.evidence, "longer_than_seconds": limit})
