"""`key_format`: every key is written as the standard says."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import model_validator
from sqlalchemy import ColumnElement, Connection, TableClause, and_, false, func, not_, or_, select

from checks import catalog, moments
from checks.base import (
    EVERYTHING,
    SAMPLE,
    Check,
    CheckError,
    Finding,
    Result,
    Scalar,
    Sources,
    Window,
)
from checks.expression import Expression
from checks.key_pattern import Patterns, is_blank, legible, longest, obeys
from checks.looking import Keys, begun, both, constant, look_at_rows, quoted, spelled
from checks.moments import Since
from checks.sql import among, row_estimate, rows_of, sample_rows
from checks.types import Identifier
from checks.window import Followed, Reading, cursor_complaints


class KeyFormat(Check):
    """Whether every value of a key column that is more than white space obeys one of the rules."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    kind: Literal["key_format"] = "key_format"
    primary_key: Identifier
    column: Identifier
    patterns: Patterns
    """Rules such as `lottery_draw_{int}_{int}_{int}`; see `checks.key_pattern`."""
    when: Expression | None = None
    """The rows that the rules are for; all, unless stated."""
    cursor: Identifier | None = None
    written_at: Identifier | None = None
    since: Since | None = None

    @model_validator(mode="after")
    def _knows_times(self) -> Self:
        if self.since and self.written_at is None:
            raise ValueError(
                f"written_at is missing: since needs the time at which a row of {self.table}"
                " was written"
            )
        return self

    @property
    def rule(self) -> str | None:
        """The column, and the rules."""
        return f"{self.column}: {' or '.join(each.source for each in self.patterns)}"

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The key column, the primary key by which findings name rows, and what chooses rows."""
        times = filter(None, (self.cursor, self.written_at))
        chosen = self.when.columns if self.when else ()
        return {self.table: tuple(dict.fromkeys((self.primary_key, self.column, *times, *chosen)))}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A cursor that cannot be followed, a condition that never holds, keys that do not fit."""
        if self.cursor:
            yield from cursor_complaints(connection, self.table, self.cursor)
        if self.when:
            yield from self.when.complaints(connection, self.table)
        found = catalog.columns(connection, self.table)
        yield from self._doubts(found)
        yield from self._too_long(found)

    def _doubts(self, found: Mapping[str, catalog.Column]) -> Iterator[str]:
        """What would make an answer wrong."""
        if self.since and self.written_at and not found[self.written_at].is_moment:
            yield f"{self.table}.{self.written_at} is {found[self.written_at].type}, and no time"

    def _too_long(self, found: Mapping[str, catalog.Column]) -> Iterator[str]:
        limit, most = found[self.column].longest, longest(self.patterns)
        if limit is not None and (most is None or most > limit):
            may = "of any length" if most is None else f"of {most} characters"
            yield f"the rule allows keys {may}, {self.table}.{self.column} holds {limit}"

    def look(self, keys: Keys = ()) -> str | None:
        """The rows whose key breaks the rules."""
        key = f"CONVERT({quoted(self.column)} USING utf8mb4) COLLATE utf8mb4_bin"
        wrong = [
            f"{key} NOT REGEXP {constant(legible(self.patterns))}",
            f"{key} NOT REGEXP '^[[:space:]]*$'",
            spelled(self.when) if self.when else "",
            begun(self.written_at, self.since),
        ]
        return look_at_rows(self.table, self.primary_key, keys, both(*wrong))

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Count and sample the rows that break the rules, of the new and of those known to."""
        names = self.needs[self.table]
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, names)
            if complaint := next(self._doubts(found), None):
                raise CheckError(complaint, permanent=True)
            key = (self.primary_key,)
            followed = Followed(self.table, self.cursor, self.written_at, key=key)
            reading = followed.read(connection, window, "near")
            rows = rows_of(self.table, names)
            read = self._read(rows, reading, window)
            wrong = and_(read, self._wrong(rows, found, window))
            counted = select(func.count()).select_from(rows).where(wrong)
            violations = int(connection.scalar(counted) or 0)
            findings = sample_rows(
                connection, rows, wrong, self._describe, violations=violations, found=found
            )
            examined = self._examined(connection, rows, reading)
        goes_on = reading.left is not None and violations <= SAMPLE
        return Result(
            examined,
            violations,
            tuple(map(self._with_key_only, findings)),
            notes=(*filter(None, (reading.note,)), *self._too_long(found)),
            complete=reading.begin is None,
            cursor={"near": reading.left} if goes_on else None,
        )

    def _read(self, rows: TableClause, reading: Reading, window: Window) -> ColumnElement[bool]:
        """The rows of the window, and those known to be wrong."""
        if reading.begin is None or self.cursor is None:
            return reading.covers(None)
        known = [(key[self.primary_key],) for key in window.known if self.primary_key in key]
        again = among([rows.c[self.primary_key]], known) if known else false()
        return or_(reading.covers(rows.c[self.cursor]), again)

    def _wrong(
        self, rows: TableClause, found: Mapping[str, catalog.Column], window: Window
    ) -> ColumnElement[bool]:
        key: ColumnElement[Any] = rows.c[self.column]
        wrong = [key.is_not(None), not_(obeys(key, self.patterns)), not_(is_blank(key))]
        if self.when:
            wrong.append(self.when.holds_for(rows))
        if self.since and self.written_at:
            described, time = found[self.written_at], rows.c[self.written_at]
            # A row without a time may be a new one.
            begun = time >= moments.written(self.since, described, window.zone)
            wrong.append(func.coalesce(begun, True))
        return and_(*wrong)

    def _examined(self, connection: Connection, rows: TableClause, reading: Reading) -> int:
        if reading.begin is None or self.cursor is None:
            return row_estimate(connection, self.table)
        covered = select(func.count()).where(reading.covers(rows.c[self.cursor]))
        return int(connection.scalar(covered) or 0)

    def _with_key_only(self, finding: Finding) -> Finding:
        shown = {self.column: finding.evidence.get(self.column)}
        return replace(finding, evidence=shown if self.column != self.primary_key else {})

    def _describe(self, _seen: dict[str, Scalar]) -> str:
        return f"{self.table}.{self.column} is not written as the rule says"
