"""Reading a table along its cursor: where a run begins, and what the next one needs to know.

Ids are handed out before commit, so a row can appear behind one that was already seen. A run
therefore begins at what was the end of the table `overlap` before the previous run: what had been
handed out by then was committed when that run looked, or never will be. It never begins behind a
row that may still change (`pending`), and always reads the last `overlap_rows` rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, not_, or_, select, true

from checks.ports import Cursor
from checks.snapshot import Snapshot
from checks.sql import catalog, derived
from checks.sql.expression import Expression
from checks.sql.names import same
from checks.sql.timestamps import Notation, TimeColumn
from checks.sql.values import scalar

MARKS = 10
"""Steps in which the overlap is remembered."""

Place = int | str
"""A cursor's value: a whole number, or a time as text."""


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
    cursor: TimeColumn | None
    written_at: TimeColumn | None = None
    pending: Expression | None = None
    """Rows for which it holds may still change."""
    changed_at: TimeColumn | None = None
    settle: timedelta = timedelta()
    """For how long a row is not judged that has changed: a run never moves past it meanwhile."""
    key: tuple[str, ...] = ()
    """The columns by which findings are looked at again."""

    def read(self, snapshot: Snapshot, role: str) -> Reading:
        """Find where a run begins, and how far it gets; `role` names its place in the cursor."""
        _ = snapshot.now  # is close to the snapshot's beginning, before anything takes long
        if self.cursor is None:
            return Reading(None, None)
        if complaint := next(self._complaints(snapshot.connection), None):
            return Reading(None, None, f"{self.table} is read as a whole: {complaint}")
        end = self._end(snapshot)
        before = (snapshot.window.cursor or {}).get(role)
        if not snapshot.finds_known:
            before = None
        # An end that went back is another copy of the table.
        if not before or end is None or not before["marks"] or _went_back(before, end):
            begin, marks = None, self._first_marks(snapshot)
        else:
            begin, marks = self._begin(snapshot, before), before["marks"]
        if end is not None:
            marks = _marked(marks, end, snapshot)
        left = {"marks": marks, "pending": self._first_pending(snapshot, begin)}
        return Reading(begin, left)

    def _complaints(self, connection: Connection) -> Iterator[str]:
        yield from cursor_complaints(connection, self.table, self.cursor or "")
        found = catalog.columns(connection, self.table)
        for name in self.key:
            if name in found and found[name].is_elusive:
                yield f"{name} is {found[name].type}, and no row is found again by how it is shown"

    def _end(self, snapshot: Snapshot) -> Place | None:
        name = self.cursor or ""
        tables = snapshot.followed(self.table, name)
        last = [select(func.max(rows.c[name])) for rows in tables]
        if catalog.is_view(snapshot.connection, self.table):
            last = [derived.last_of(snapshot.rows_of(self.table, (name,)).c[name])]
        ends = _places(snapshot, last)
        notation = self._cursor_notation(snapshot)
        if not ends or notation is None:
            return max(ends, default=None)
        # A row dated years ahead must not hide those that come; it is read in every run.
        return _least((max(ends), notation.written(snapshot.now)))

    def _cursor_notation(self, snapshot: Snapshot) -> Notation | None:
        """How the cursor writes a moment; None where it is a number that counts anything else."""
        if self.cursor is None:
            return None
        time = self.cursor
        if time.unit is None and time == self.written_at:
            time = self.written_at
        is_time = time.unit or not snapshot.described(self.table, time).is_integer
        return snapshot.notation(self.table, time) if is_time else None

    def _begin(self, snapshot: Snapshot, before: Cursor) -> Place | None:
        window, tables = snapshot.window, snapshot.followed(self.table, self.cursor or "")
        columns = [rows.c[self.cursor or ""] for rows in tables]
        last_rows = _places(
            snapshot,
            (select(c).order_by(c.desc()).limit(1).offset(window.overlap_rows) for c in columns),
        )
        previous_run = before["marks"][-1][0]
        settled = previous_run - window.overlap.total_seconds()
        old = [mark for mark in before["marks"] if mark[0] <= settled]
        if not old or len(last_rows) < len(tables):
            return None
        places = [*last_rows, old[-1][1], before["pending"]]
        if notation := self._cursor_notation(snapshot):
            # Clocks that were set back since show times that come before the mark's.
            marked = datetime.fromtimestamp(old[-1][0], UTC)
            places.append(notation.earliest(marked, snapshot.now))
        return _least(places)

    def _first_marks(self, snapshot: Snapshot) -> list[list[Any]]:
        """Where the table ended `overlap` ago, by what its rows say of themselves."""
        if self.written_at is None:
            return []
        long_ago = snapshot.now - snapshot.window.overlap
        cursor, time = self.cursor or "", self.written_at
        notation = snapshot.notation(self.table, time)
        tables = snapshot.followed(self.table, cursor, time)
        last = (
            select(rows.c[cursor])
            .where(
                notation.is_before(rows.c[time], long_ago, snapshot.now),
                not_(notation.is_timeless(rows.c[time])),
            )
            .order_by(rows.c[cursor].desc())
            for rows in tables
        )
        places = _places(snapshot, (each.limit(1) for each in last))
        return [[long_ago.timestamp(), _least(places)]] if len(places) == len(tables) else []

    def _first_pending(self, snapshot: Snapshot, begin: Place | None) -> Place | None:
        if self.cursor is None:
            return None
        more = self.pending.columns if self.pending else ()
        times = filter(None, (self.changed_at,))
        rows = snapshot.rows_of(self.table, (self.cursor, *more, *times))
        waiting = list(self._waiting(rows, snapshot))
        if not waiting:
            return None
        column = rows.c[self.cursor]
        read = true() if begin is None else column >= begin
        least = select(func.min(column)).where(read, or_(*waiting))
        return _place(snapshot.connection.scalar(least))

    def _waiting(self, rows: FromClause, snapshot: Snapshot) -> Iterator[ColumnElement[bool]]:
        """Whether a row may still change, or has just done so, and is to be read again."""
        if self.pending:
            yield self.pending.on(rows, snapshot.types(self.table))
        if self.changed_at and self.settle:
            yield snapshot.is_recent(rows, self.table, self.changed_at, self.settle)


def cursor_complaints(connection: Connection, table: str, cursor: str) -> Iterator[str]:
    """Why new rows of a table cannot be read along a column."""
    described = catalog.columns(connection, table).get(cursor)
    if described is None:
        return  # a missing column is told elsewhere
    if reason := catalog.unfollowed(connection, table):
        yield f"cursor {cursor}: {reason}"
    elif not (described.is_integer or described.is_moment or described.is_date):
        yield f"cursor {cursor} is {described.type}: only a whole number or a time grows"
    elif described.nullable:
        yield f"cursor {cursor} may be NULL: such rows would never be read"
    elif not (
        catalog.is_view(connection, table)  # of which no catalog says how it is read
        or any(
            same(index.columns[0], cursor) and not index.partial
            for index in catalog.indexes(connection, table)
        )
    ):
        yield f"cursor {cursor} leads no index: to find what is new would read every row"


def _went_back(before: Cursor, end: Place) -> bool:
    last = before["marks"][-1][1]
    return type(end) is not type(last) or _least((end, last)) != last


def _least(places: Iterable[Place | None]) -> Place:
    """The lowest of some places, which are all numbers or all texts."""
    found: Any = [place for place in places if place is not None]
    least: Place = min(found)
    return least


def _marked(marks: list[list[Any]], end: Place, snapshot: Snapshot) -> list[list[Any]]:
    """The marks with the present end, thinned, and without those that are no longer needed."""
    marks, overlap = list(marks), snapshot.window.overlap
    if len(marks) > 1 and marks[-1][0] - marks[-2][0] < overlap.total_seconds() / MARKS:
        marks.pop()
    marks.append([snapshot.now.timestamp(), end])
    old_enough = (snapshot.now - overlap).timestamp()
    old = [mark for mark in marks if mark[0] <= old_enough]
    return old[-1:] + [mark for mark in marks if mark[0] > old_enough]


def _places(snapshot: Snapshot, statements: Iterable[Select[Any]]) -> list[Any]:
    """What statements give that give a value."""
    found = (_place(snapshot.connection.scalar(each)) for each in statements)
    return [each for each in found if each is not None]


def _place(value: object) -> Place | None:
    plain = scalar(value)
    return plain if plain is None or isinstance(plain, int) else str(plain)
