"""Reading a table along its cursor: where a run begins, and what the next one needs to know.

Ids are handed out before commit, so a row can appear behind one that was already seen. A run
therefore begins at what was the end of the table `overlap` before the previous run: what had been
handed out by then was committed when that run looked, or never will be. It never begins behind a
row that may still change (`pending`), and always reads the last `overlap_rows` rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, TableClause, func, select, true

from checks.contract import Cursor, Window
from checks.sql import catalog, timestamps
from checks.sql.expression import Expression
from checks.sql.statements import is_abridged, rows_of, scalar

MARKS = 10
"""Steps in which the overlap is remembered."""

Place = int | str
"""A cursor's value: an integer, or a time as text."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one run reads of one table."""

    begin: Place | None
    """The lowest cursor value that is read; None reads everything."""
    left: Cursor | None
    """What the next run needs to know; None when it has to read everything, too."""
    note: str | None = None
    """Why the table cannot be read along its cursor."""

    def covers(self, cursor: ColumnElement[Any] | None) -> ColumnElement[bool]:
        """Whether a row is read."""
        return true() if self.begin is None or cursor is None else cursor >= self.begin


@dataclass(frozen=True, slots=True)
class Followed:
    """A table and the column along which its new rows are read."""

    table: str
    cursor: str | None
    written_at: str | None = None
    pending: Expression | None = None
    """Rows for which it holds may still change."""
    key: tuple[str, ...] = ()
    """The columns by which findings are looked at again."""

    def read(
        self, connection: Connection, window: Window, role: str, at: datetime | None = None
    ) -> Reading:
        """Find where this run begins, and how far it gets, within its snapshot begun `at`."""
        at = at or timestamps.now(connection)
        if self.cursor is None:
            return Reading(None, None)
        if complaint := next(self._complaints(connection), None):
            return Reading(None, None, f"{self.table} is read as a whole: {complaint}")
        more = self.pending.columns if self.pending else ()
        rows = rows_of(self.table, (self.cursor, *filter(None, (self.written_at,)), *more))
        end = self._end(connection, rows, window, at)
        before = (window.cursor or {}).get(role)
        if any(is_abridged(value) for key in window.known for value in key.values()):
            before = None  # such a finding cannot be looked at again by its key alone
        # An end that went back is another copy of the table.
        if not before or end is None or not before["marks"] or end < before["marks"][-1][1]:
            begin, marks = None, self._first_marks(connection, rows, window, at)
        else:
            begin, marks = self._begin(connection, rows, window, before), before["marks"]
        if end is not None:
            marks = _marked(marks, at, end, window)
        left = {"marks": marks, "pending": self._first_pending(connection, rows, begin)}
        return Reading(begin, left)

    def _complaints(self, connection: Connection) -> Iterator[str]:
        yield from cursor_complaints(connection, self.table, self.cursor or "")
        found = catalog.columns(connection, self.table)
        for name in self.key:
            if name in found and (found[name].is_binary or found[name].is_elusive):
                yield f"{name} is {found[name].type}, and no row is found again by how it is shown"

    def _end(
        self, connection: Connection, rows: TableClause, window: Window, at: datetime
    ) -> Place | None:
        end = _place(connection.scalar(select(func.max(rows.c[self.cursor or ""]))))
        if not isinstance(end, str):
            return end
        # A row dated years ahead must not hide those that come; it is read in every run.
        described = catalog.columns(connection, self.table)[self.cursor or ""]
        return min(end, timestamps.written(at, described, window.zone))

    def _begin(
        self, connection: Connection, rows: TableClause, window: Window, before: Cursor
    ) -> Place | None:
        column = rows.c[self.cursor or ""]
        last_rows = select(column).order_by(column.desc()).limit(1).offset(window.overlap_rows)
        previous_run = before["marks"][-1][0]
        settled = previous_run - window.overlap.total_seconds()
        old = [place for moment, place in before["marks"] if moment <= settled]
        places = [_place(connection.scalar(last_rows)), old[-1] if old else None]
        if before["pending"] is not None:
            places.append(before["pending"])
        return None if None in places else min(each for each in places if each is not None)

    def _first_marks(
        self, connection: Connection, rows: TableClause, window: Window, at: datetime
    ) -> list[list[Any]]:
        """Where the table ended `overlap` ago, by what its rows say of themselves."""
        if self.written_at is None:
            return []
        described = catalog.columns(connection, self.table)[self.written_at]
        column, time = rows.c[self.cursor or ""], rows.c[self.written_at]
        old = time <= timestamps.written(at - window.overlap, described, window.zone)
        place = _place(
            connection.scalar(select(column).where(old).order_by(column.desc()).limit(1))
        )
        return [] if place is None else [[_old_enough(at, window), place]]

    def _first_pending(
        self, connection: Connection, rows: TableClause, begin: Place | None
    ) -> Place | None:
        if self.pending is None:
            return None
        column = rows.c[self.cursor or ""]
        read = true() if begin is None else column >= begin
        least = select(func.min(column)).where(read, self.pending.on(rows))
        return _place(connection.scalar(least))


def cursor_complaints(connection: Connection, table: str, cursor: str) -> Iterator[str]:
    """Why new rows of a table cannot be read along a column."""
    described = catalog.columns(connection, table).get(cursor)
    if described is None:
        return  # a missing column is told elsewhere
    if not (described.is_integer or described.is_moment):
        yield f"cursor {cursor} is {described.type}: only a whole number or a time grows"
    elif described.nullable:
        yield f"cursor {cursor} may be NULL: such rows would never be read"
    elif not any(
        index.columns[0] == cursor and not index.partial
        for index in catalog.indexes(connection, table)
    ):
        yield f"cursor {cursor} leads no index: to find what is new would read every row"


def _marked(marks: list[list[Any]], at: datetime, end: Place, window: Window) -> list[list[Any]]:
    """The marks with the present end, thinned, and without those that are no longer needed."""
    marks = list(marks)
    step = window.overlap.total_seconds() / MARKS
    if len(marks) > 1 and marks[-1][0] - marks[-2][0] < step:
        marks.pop()
    marks.append([at.timestamp(), end])
    old = [mark for mark in marks if mark[0] <= _old_enough(at, window)]
    return old[-1:] + [mark for mark in marks if mark[0] > _old_enough(at, window)]


def _old_enough(at: datetime, window: Window) -> float:
    return (at - window.overlap).timestamp()


def _place(value: object) -> Place | None:
    plain = scalar(value)
    return plain if plain is None or isinstance(plain, int) else str(plain)
