"""`key_format`: every key is written as the standard says."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    false,
    func,
    not_,
    or_,
    select,
)

from checks.card import Card, Words
from checks.contract import EVERYTHING, SAMPLE, Finding, Result, Scalar, Window
from checks.coverage import Coverage, coverage
from checks.keys.pattern import Patterns, is_blank, longest, obeys
from checks.kinds.row_check import RowCheck
from checks.ports import Sources
from checks.snapshot import Context, Snapshot
from checks.sql import catalog
from checks.sql.expression import Expression
from checks.sql.statements import among
from checks.sql.timestamps import Since, TimeColumn
from checks.types import Identifier
from checks.watermark import Followed, Reading, cursor_complaints

Built = ColumnElement[Any]


class KeyFormat(RowCheck):
    """Whether every value of a key column that is more than white space obeys one of the rules."""

    card: ClassVar[Card] = Card(
        violation="a row whose key is not written as the standard says",
        title=Words(en="keys as the standard says", zh="键格式"),
    )

    names_by_all_columns: ClassVar[bool] = False
    kind: Literal["key_format"] = "key_format"
    column: Identifier
    patterns: Patterns
    """Rules such as `lottery_draw_{int}_{int}_{int}`; see `checks.keys.pattern`."""
    when: Expression | None = None
    """The rows that the rules are for; all, unless stated."""
    cursor: TimeColumn | None = None
    written_at: TimeColumn | None = None
    since: Since | None = None

    @model_validator(mode="after")
    def _knows_times(self) -> Self:
        self._refuse_contradictions()
        return self

    def contradictions(self) -> Iterator[str]:
        """That a time is needed, and there is none."""
        if self.primary_key and self.since and self.written_at is None:
            yield (
                f"written_at is missing: since needs the time at which a row of {self.table}"
                " was written"
            )

    @property
    def rule(self) -> str | None:
        """The column, and the rules."""
        return f"{self.column}: {' or '.join(each.source for each in self.patterns)}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Blank keys, rows for which the rules are not, and older ones."""
        found = ["keys that are NULL, empty or white space: `blank` reports them"]
        if self.when:
            found.append(f"rows for which this is not true: {self.when.source}")
        if self.since:
            found.append(f"rows with {self.written_at} before {self.since.isoformat(' ')}")
        return tuple(found)

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The key column, and what chooses rows."""
        times = filter(None, (self.cursor, self.written_at))
        return (self.column, *times, *(self.when.columns if self.when else ()))

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A cursor that cannot be followed, a condition that never holds, keys that do not fit."""
        if self.cursor:
            yield from cursor_complaints(connection, self.table, self.cursor)
        if self.when:
            yield from self.when.complaints(connection, self.table)
        yield from super().complaints(connection)
        yield from self._too_long(catalog.columns(connection, self.table)[self.column])

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """What would make an answer wrong."""
        if not (self.since and self.written_at):
            return
        if complaint := snapshot.time_complaint(self.table, self.written_at):
            yield complaint

    def _too_long(self, column: catalog.Column) -> Iterator[str]:
        limit, most = column.longest, longest(self.patterns)
        if limit is not None and (most is None or most > limit):
            may = "of any length" if most is None else f"of {most} characters"
            yield f"the rule allows keys {may}, {self.table}.{self.column} holds {limit}"

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Count and sample the rows that break the rules, of the new and of those known to."""
        with self.snapshot(sources, window) as snapshot:
            rows = self.rows()
            followed = Followed(self.table, self.cursor, self.written_at, key=self.key_columns)
            reading = followed.read(snapshot, "near")
            read = self._read(rows, reading, snapshot)
            violations = snapshot.number(self._number(rows, snapshot, *read))
            findings = self.findings(rows, snapshot, violations, *read)
            seen = self._covered(reading, snapshot)
        goes_on = reading.left is not None and violations <= SAMPLE
        too_long = self._too_long(snapshot.described(self.table, self.column))
        return Result(
            seen.judged,
            violations,
            tuple(map(self._with_key_only, findings)),
            notes=(*filter(None, (reading.note,)), *too_long),
            complete=reading.begin is None,
            cursor={"near": reading.left} if goes_on else None,
            excluded=seen.excluded,
            estimated=seen.estimated,
        )

    def counts(self, rows: FromClause, context: Context) -> Select[Any]:
        """The statement that counts them in a complete run."""
        return self._number(rows, context)

    def _number(
        self, rows: FromClause, context: Context, *read: ColumnElement[bool]
    ) -> Select[Any]:
        wrong = self.violates(rows, context)
        return select(func.count()).select_from(rows).where(*read, wrong)

    def _read(
        self, rows: FromClause, reading: Reading, snapshot: Snapshot
    ) -> tuple[ColumnElement[bool], ...]:
        """The rows of the window, and those known to be wrong."""
        if reading.begin is None or self.cursor is None:
            return ()
        known = snapshot.known(self.key_columns)
        own = [rows.c[name] for name in self.key_columns]
        again = among(own, known) if known else false()
        return (or_(reading.covers(rows.c[self.cursor]), again),)

    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """The key is more than white space and obeys none of the rules, and is to obey one."""
        key: Built = rows.c[self.column]
        wrong = [key.is_not(None), not_(obeys(key, self.patterns)), not_(is_blank(key))]
        if self.when:
            wrong.append(self.when.holds_for(rows, context.types(self.table)))
        if self.since:
            wrong.append(self._in_scope(rows, context))
        return and_(*wrong)

    def _in_scope(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        return context.in_scope(
            rows, self.table, self.written_at, settle=timedelta(), since=self.since
        )

    def _covered(self, reading: Reading, snapshot: Snapshot) -> Coverage:
        cursor, types = self.cursor, snapshot.types(self.table)

        def kept(rows: FromClause) -> Mapping[str, ColumnElement[bool]]:
            found = {"when": self.when.on(rows, types)} if self.when else {}
            if self.since:
                found["since"] = self._in_scope(rows, snapshot)
            key: Built = rows.c[self.column]
            return found | {"no_key": and_(key.is_not(None), not_(is_blank(key)))}

        def read(rows: FromClause) -> ColumnElement[bool]:
            return reading.covers(rows.c[cursor] if cursor else None)

        part = read if cursor and reading.begin is not None else None
        return coverage(snapshot, self.table, self.needs[self.table], kept, part)

    def _with_key_only(self, finding: Finding) -> Finding:
        shown = {self.column: finding.evidence.get(self.column)}
        return replace(finding, evidence=shown if self.column not in self.key_columns else {})

    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """The column."""
        _ = seen, snapshot
        return f"{self.table}.{self.column} is not written as the rule says"
