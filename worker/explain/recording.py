"""A run whose statements are recorded as they are executed, each with the server's plan for it.

Each statement is explained before it is executed, so that one which the time limit stops has its
plan, too. Values that the run has read out of the database stand as `…` in what is recorded.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from checks.contract import Check, CheckError, Window
from checks.ports import AccessLog, Prometheus, Sources
from checks.sql import catalog
from checks.sql.executed import executed
from checks.sql.values import START_OF_LONG, scalar
from worker.explain import query_plan
from worker.explain.query_plan import Step
from worker.model.run import Run
from worker.scheduling.execute import execute

_ABOUT_NO_ROWS = ("information_schema", "sqlite_schema", "pragma_")
_SHOWN_IN_ANY_CASE = {"", "0", "1", "-1", "None", "True", "False"}


@dataclass(slots=True)
class Statement:
    """A statement that a run executed."""

    sql: str
    """With its values; `…` for those that come from rows."""
    reads_rows: bool
    """Whether it reads a table, and not only the catalog or the clock."""
    seconds: float | None = None
    """How long the server took; None where it was stopped or failed."""
    plan: Sequence[Step] = ()
    explained: Sequence[Mapping[str, Any]] = ()
    """The rows of the server's `EXPLAIN`."""
    refusal: str | None = None
    """Why there is no plan."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A table that a run reads in full: all of its rows, or all entries of an index."""

    table: str
    statements: int
    """How many of the run's statements do so."""
    rows: int
    """As the server estimates; 0 where it does not."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A run and what it executed."""

    run: Run
    follows_cursor: bool
    """Whether it was to read only what is new since the run before it."""
    statements: Sequence[Statement]
    rows: Mapping[str, int]
    """The size of each table as the catalog estimates it; nothing where it does not."""
    taken: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the check that are taken from the catalog."""

    @property
    def about_rows(self) -> list[Statement]:
        """The statements that read tables."""
        return [each for each in self.statements if each.reads_rows]

    @property
    def full_scans(self) -> list[Scan]:
        """The tables that are read in full, the largest first."""
        found: dict[str, list[int]] = {}
        for each in self.about_rows:
            for table, rows in _whole(each.plan, self.rows).items():
                found.setdefault(table, []).append(rows)
        scans = [Scan(table, len(rows), max(rows)) for table, rows in found.items()]
        return sorted(scans, key=lambda scan: -scan.rows)


def _whole(plan: Sequence[Step], sizes: Mapping[str, int]) -> dict[str, int]:
    """The tables that one statement reads in full: one that stops early reads a small part."""
    return {
        step.table: step.scanned_rows
        for step in plan
        if step.table is not None
        and step.scanned_rows is not None
        and 2 * step.scanned_rows >= sizes.get(step.table, 0)
    }


def record(check: Check, sources: Sources, window: Window) -> list[Recording]:
    """Run a check over everything, and once more along the cursor that this leaves, if any.

    Both as the worker would, each in a read-only snapshot with its limits.
    """
    seen = _Seen(repr(check))
    first = _record(check, sources, replace(window, cursor=None), seen)
    left = first.run.result and first.run.result.cursor
    if not left:
        return [first]
    return [first, _record(check, sources, replace(window, cursor=left), seen)]


def _record(check: Check, sources: Sources, window: Window, seen: "_Seen") -> Recording:
    recorder = _Recorder(sources, seen, check.tables)
    run = execute(check, recorder, window)
    return Recording(
        run, window.cursor is not None, recorder.statements, recorder.rows, _taken(check, sources)
    )


def _taken(check: Check, sources: Sources) -> Mapping[str, Any]:
    try:
        with sources.snapshot(check.source_name) as connection:
            return check.taken(connection)
    except CheckError:  # which the run tells, too
        return {}


@dataclass
class _Seen:
    """The values that were read, as texts."""

    configured: str
    """What the configuration says of the check: no secret."""
    values: set[str] = field(default_factory=set)

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        for row in rows:
            self.values.update(each for value in row for each in _spellings(value))

    def is_hidden(self, value: object) -> bool:
        """Whether a value comes from rows, as far as anybody can tell."""
        texts = _spellings(value) - _SHOWN_IN_ANY_CASE
        return any(each in self.values and each not in self.configured for each in texts)


def _spellings(value: object) -> set[str]:
    """A value as any check would hand it back to the database: whole, and the start of a text."""
    if value is None or isinstance(value, int | float | Decimal | datetime | date):
        return {str(scalar(value)), str(value)}
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    return {text, text[:START_OF_LONG], str(scalar(value))}


class _Recorder:
    """The sources of a check; statements of its snapshots are recorded."""

    def __init__(self, sources: Sources, seen: _Seen, tables: Iterable[str]) -> None:
        self._sources = sources
        self._seen = seen
        self._tables = tuple(tables)
        self.statements: list[Statement] = []
        self.rows: dict[str, int] = {}

    def access_log(self, name: str) -> AccessLog:
        return self._sources.access_log(name)

    def prometheus(self, name: str) -> Prometheus:
        return self._sources.prometheus(name)

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        with self._sources.snapshot(database) as connection:
            sizes = {each: catalog.estimated_rows(connection, each) for each in self._tables}
            self.rows |= {table: rows for table, rows in sizes.items() if rows is not None}
            watch = _Watch(connection, self._seen, self.statements)
            with watch.on():
                yield connection


class _Watch:
    """Listens to one connection."""

    def __init__(self, connection: Connection, seen: _Seen, statements: list[Statement]) -> None:
        self._connection = connection
        self._seen = seen
        self._statements = statements
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._is_ours = False
        """Whether the statement that is executed is an EXPLAIN of ours."""
        self._began = 0.0

    @contextmanager
    def on(self) -> Iterator[None]:
        """Listen as long as the block lasts."""
        listeners: dict[str, Callable[..., Any]] = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
        }
        for name, listener in listeners.items():
            event.listen(self._connection, name, listener)
        raw: Any = self._connection.connection.driver_connection
        if self._is_sqlite:  # whose cursors are read once only
            raw.row_factory = self._note_row
        try:
            yield
        finally:
            if self._is_sqlite:
                raw.row_factory = None
            for name, listener in listeners.items():
                event.remove(self._connection, name, listener)

    def _before(self, _c: object, _cursor: object, sql: str, values: Any, *_: object) -> None:
        if self._is_ours:
            return
        shown = executed(sql, values, self._seen.is_hidden)
        known = sql.lower()
        reads_rows = " from " in " ".join(known.split()) and not any(
            each in known for each in _ABOUT_NO_ROWS
        )
        self._statements.append(Statement(shown, reads_rows))
        if reads_rows:
            self._explain(self._statements[-1], sql, values)
        self._began = time.monotonic()

    def _after(self, _c: object, cursor: Any, *_: object) -> None:
        if self._is_ours:
            return
        statement = self._statements[-1]
        statement.seconds = time.monotonic() - self._began
        if statement.reads_rows and not self._is_sqlite and (rows := cursor.fetchall()):
            self._seen.add(rows)
            cursor.scroll(0, "absolute")  # it is the check that reads them

    def _note_row(self, _cursor: object, row: Sequence[object]) -> Sequence[object]:
        if not self._is_ours and self._statements[-1].reads_rows:
            self._seen.add([row])
        return row

    def _explain(self, statement: Statement, sql: str, values: Any) -> None:
        begin = query_plan.SQLITE if self._is_sqlite else query_plan.MYSQL
        read = query_plan.steps_of_sqlite if self._is_sqlite else query_plan.steps_of_mysql
        self._is_ours = True
        try:
            found = self._connection.exec_driver_sql(begin + sql, values).mappings().all()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            statement.refusal = f"error {(*error.orig.args, '')[0]}" if error.orig else "error"
        else:
            statement.explained = [dict(row) for row in found]
            statement.plan = read(sql, statement.explained)
        finally:
            self._is_ours = False
