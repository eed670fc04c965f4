"""What a run knows of the database that it reads, and what is assumed where none is read."""

from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    false,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.exc import DBAPIError

from checks.contract import (
    EVERYTHING,
    SAMPLE,
    Check,
    CheckError,
    Result,
    RunStopped,
    Scalar,
    Window,
)
from checks.ports import Sources
from checks.relations import Relation, Relations, followed, rows_of
from checks.sql import catalog, found_facts, statements, timestamps
from checks.sql.timestamps import TimeColumn
from checks.sql.values import Hexadecimal, is_abridged
from checks.types import EveryColumn, key_columns

Catalog = Mapping[str, Mapping[str, catalog.Column]]
"""Columns by table and name."""

Types = Callable[[str], catalog.Column]
"""What the catalog says of a column, by its name."""

WITHOUT_SNAPSHOT = "which knows no snapshot: reads of one run may see several moments of it"

_LOOKED_AT = 50
"""Rows by which the unit of a time is judged."""

_UNKNOWN = catalog.Column("", nullable=True)
_SHORT_TEXT = catalog.Column("varchar(1)", nullable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a statement is written for: the columns, the zone of their times, the present moment.

    `Context()` knows none of them. What is written for it is right for any database.
    """

    columns: Catalog | None = None
    """What the catalog says of the columns; None where no database is asked."""
    zone: tzinfo | None = None
    """In which DATETIME columns are written; None where it is not known."""
    at: datetime | None = None
    """The present moment; None for that of this machine."""

    @classmethod
    def assumed(cls, needs: Mapping[str, Iterable[str]], at: datetime, zone: tzinfo) -> "Context":
        """Of a database at a moment, in which every column is a short text in UTF-8."""
        columns = {table: dict.fromkeys(names, _SHORT_TEXT) for table, names in needs.items()}
        return Context(columns=columns, zone=zone, at=at)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one of SQLite."""
        return False

    @property
    def now(self) -> datetime:
        """The present moment, with its zone."""
        return self.at or datetime.now(UTC)

    def known(self, names: Sequence[str]) -> list[tuple[Scalar, ...]]:
        """The keys of the known findings whose keys have these names, in their order."""
        _ = names
        return []

    def described(self, table: str, name: str) -> catalog.Column:
        """A column; one that may be anything where no database is asked."""
        return self.columns[table][name] if self.columns else _UNKNOWN

    def notation(self, table: str, time: TimeColumn) -> timestamps.Notation:
        """How a column writes a moment."""
        described = self.described(table, time)
        zero_dates = not self.is_sqlite
        return timestamps.Notation(described, time.unit, self.zone or UTC, zero_dates)

    def types(self, table: str) -> Types | None:
        """The columns of a table by name; None where no database is asked that has types."""
        _ = table
        return None

    def time_complaint(self, table: str, time: TimeColumn) -> str | None:
        """Why a column tells no time, with its name; None where it does."""
        found = timestamps.complaint(self.described(table, time), time)
        return found and f"{table}.{time} {found}"

    def seconds_since(self, value: object, table: str, time: TimeColumn) -> int | None:
        """How long ago a value of a column was at least; None for what tells no time."""
        moment = self.notation(table, time).read(value, self.now)
        return None if moment is None else int((self.now - moment).total_seconds())

    def longer_ago(
        self, rows: FromClause, table: str, time: TimeColumn, span: timedelta
    ) -> ColumnElement[bool]:
        """Whether a row is surely more than a span old; true where it tells no time."""
        notation, column = self.notation(table, time), rows.c[time]
        before = notation.is_before(column, self.now - span, self.now)
        return or_(before, notation.is_timeless(column))

    def is_recent(
        self, rows: FromClause, table: str, time: TimeColumn, span: timedelta
    ) -> ColumnElement[bool]:
        """Whether a row may be of the last `span`, or of the next; NULL where it is NULL."""
        return self.notation(table, time).is_within(rows.c[time], self.now, span)

    def is_settled(
        self, rows: FromClause, table: str, time: TimeColumn, span: timedelta
    ) -> ColumnElement[bool]:
        """Whether a row cannot be of the last `span`, or of the next.

        True where it tells no time, and of one from further ahead: waiting for it could take for
        ever.
        """
        # Not asked where it cannot be: it would keep an index on the column from being used.
        null = rows.c[time].is_(None) if self.described(table, time).nullable else false()
        return or_(null, not_(self.is_recent(rows, table, time, span)))

    def in_scope(
        self,
        rows: FromClause,
        table: str,
        time: TimeColumn | None,
        *,
        settle: timedelta,
        since: datetime | None,
    ) -> ColumnElement[bool]:
        """Whether a row is old enough to be judged, and not older than the cut-over.

        By the column that says when it was written; without one every row is. Where no database is
        asked `settle` is left aside.
        """
        if time is None:
            return true()
        asked = settle and self.columns is not None
        settled = self.is_settled(rows, table, time, settle) if asked else true()
        return and_(settled, self._is_not_before(rows, table, time, since)) if since else settled

    def _is_not_before(
        self, rows: FromClause, table: str, time: TimeColumn, since: datetime
    ) -> ColumnElement[bool]:
        if self.columns is None:
            return timestamps.is_not_before_as_written(rows.c[time], time.unit, since)
        return self.notation(table, time).is_not_before(rows.c[time], since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Context):
    """One moment of a database as a run sees it, and what the run is to read of it."""

    connection: Connection
    columns: Catalog
    """What the catalog says of all columns of the tables that the check needs."""
    window: Window = EVERYTHING
    relations: Relations = field(default_factory=dict)
    """What names stand for that are not those of whole tables."""

    @classmethod
    def of(
        cls,
        connection: Connection,
        needs: Mapping[str, Iterable[str]],
        window: Window = EVERYTHING,
        relations: Relations | None = None,
    ) -> Self:
        """A snapshot with tables and columns of these names.

        Raises a permanent CheckError that says which of them is missing.
        """
        relations = relations or {}
        for name, relation in relations.items():
            _describe(relation, name, connection)
        return cls(
            connection=connection,
            columns={t: catalog.require(connection, t, names) for t, names in needs.items()},
            window=window,
            zone=window.zone,
            relations=relations,
        )

    def rows_of(self, name: str, columns: Iterable[str]) -> FromClause:
        """The rows that a name stands for, with the columns that a statement needs."""
        return rows_of(self.relations, name, columns)

    def followed(self, name: str, *columns: str) -> list[FromClause]:
        """The rows under a name among which new ones are looked for; see `Relation.followed`."""
        return followed(self.relations, name, columns)

    def total(self, name: str) -> int:
        """Exact rows under a name."""
        return self.number(statements.number_of(self.rows_of(name, ())))

    def estimate(self, name: str) -> int:
        """Rows under a name: of a large table the catalog's estimate, else exact.

        To count a large table takes longer than the questions that an index answers.
        """
        estimate = catalog.estimated_rows(self.connection, name)
        is_large = name not in self.relations and (estimate or 0) > statements.COUNTED_ROWS
        return estimate if estimate and is_large else self.total(name)

    @property
    def unsteady(self) -> Iterator[str]:
        """For each table whose engine knows no snapshot, that what is read of it may differ."""
        known = self.relations
        names = [(known[name].tables if name in known else (name,)) for name in self.columns]
        for table in dict.fromkeys(each for some in names for each in some):
            engine = catalog.engine(self.connection, table)
            if not catalog.keeps_snapshots(engine):
                yield f"{table} is of engine {engine}, {WITHOUT_SNAPSHOT}"

    def misread(self, table: str, time: TimeColumn) -> Iterator[str]:
        """That the numbers of a column are in another unit than the one stated: of a few rows."""
        rows = self.rows_of(table, (time,))
        found = self.connection.scalars(select(rows.c[time]).limit(_LOOKED_AT)).all()
        if time.unit and (unit := time.unit.misread(found)):
            yield (
                f"{table}.{time} holds numbers as of {unit}, and not of {time.unit}: write"
                f' {{ column = "{time}", unit = "{unit}" }}'
            )

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one of SQLite."""
        return self.connection.dialect.name == "sqlite"

    def types(self, table: str) -> Types | None:
        """See `Context.types`; None for SQLite, where a value has a type, and no column."""
        return None if self.is_sqlite else self.columns[table].__getitem__

    @property
    def now(self) -> datetime:
        """When the database was first asked for the time, which should be early; in UTC."""
        return timestamps.now(self.connection)

    def number(self, statement: Select[Any]) -> int:
        """The whole number that a statement gives; 0 for NULL and for no row."""
        return int(self.connection.scalar(statement) or 0)

    def sampled(self, statement: Select[Any]) -> tuple[Sequence[Row[Any]], int]:
        """The first rows that a statement gives, up to `SAMPLE`, and how many there are."""
        rows = self.connection.execute(statement.limit(SAMPLE + 1)).all()
        if len(rows) <= SAMPLE:
            return rows, len(rows)
        every = select(func.count()).select_from(statement.order_by(None).subquery())
        return rows[:SAMPLE], self.number(every)

    def known(self, names: Sequence[str]) -> list[tuple[Scalar, ...]]:
        """The keys of the known findings whose keys have these names, in their order."""
        keys = (key for key in self.window.known if set(key) == set(names))
        return [tuple(key[name] for name in names) for key in keys]

    @property
    def finds_known(self) -> bool:
        """Whether the row or group of each known finding is found by the finding's key alone."""
        return not any(
            is_abridged(value) or self._is_misspelled(name, value)
            for key in self.window.known
            for name, value in key.items()
        )

    def _is_misspelled(self, name: str, value: Scalar) -> bool:
        """Whether it names bytes, and in the way in which they were once named."""
        if not isinstance(value, str) or isinstance(value, Hexadecimal):
            return False
        same_name = [found[name] for found in self.columns.values() if name in found]
        return bool(same_name) and all(each.is_binary for each in same_name)


def _describe(relation: Relation, name: str, connection: Connection) -> None:
    """See `Relation.describe`; an error says of what it is."""
    try:
        relation.describe(connection)
    except CheckError as error:
        raise CheckError(f"{name}: {error}", permanent=error.permanent) from None


_TAKEN = "taken"
"""In a cursor, the fields that were taken from the catalog: with others it is of no use."""


def _of_the_same(window: Window, taken: Mapping[str, Any]) -> Window:
    """What is left of a window for a check with these fields taken from the catalog."""
    left = {**(window.cursor or {})}
    return replace(window, cursor=left if left.pop(_TAKEN, None) == taken else None)


def _listed(taken: Mapping[str, Any]) -> str:
    said = (f"{name} {', '.join(key_columns(value))}" for name, value in taken.items())
    return f"{', '.join(said)} (from the catalog)"


class DatabaseCheck(Check, ABC):
    """A check that reads a database."""

    names_by_all_columns: ClassVar[bool] = False
    """Whether it takes all columns for the name of a row, where a table has no key."""
    _relations: Relations = PrivateAttr(default_factory=dict)

    @property
    def relations(self) -> Relations:
        """What names stand for that are not those of whole tables."""
        return self._relations

    def reading(self, relations: Relations) -> Self:
        """The same check, of what these names stand for."""
        used = {name: relations[name] for name in self.needs if name in relations}
        if not used or not self.reads_rows:
            return self
        copy = self.model_copy()
        copy._relations = used  # noqa: SLF001 - our own
        return copy

    def evaluate(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Run, with the primary keys that are not stated, and what goes with them."""
        if not self._unstated:
            return self.run(sources, window)
        with sources.snapshot(self.database) as connection:
            taken = self.taken(connection)
            check = self._with(taken)
        own = {name: list(key_columns(value)) for name, value in taken.items()}
        result = check.run(sources, _of_the_same(window, own))
        cursor = None if result.cursor is None else {**result.cursor, _TAKEN: own}
        return replace(result, cursor=cursor)

    @property
    def _unstated(self) -> Mapping[str, str]:
        """The tables whose primary key is not stated, each by the prefix of its fields."""
        return {
            prefix: str(getattr(self, naming))
            for naming, prefix in {"table": "", **self.beside}.items()
            if getattr(self, f"{prefix}primary_key", "") is None
        }

    def _refuse_contradictions(self) -> None:
        """Raise ValueError for what can be known without a database."""
        if why := next(self.contradictions(), None):
            raise ValueError(why)

    def taken(self, connection: Connection) -> Mapping[str, Any]:
        """The primary keys that are not stated, and cursors and times beside them."""
        found: dict[str, Any] = {}
        for prefix, table in self._unstated.items():
            if table in self.relations:
                _describe(self.relations[table], table, connection)
            catalog.require(connection, table, ())
            facts = found_facts.facts_of(connection, table)
            if "primary_key" not in facts and self.names_by_all_columns:
                found["primary_key"] = EveryColumn(catalog.columns(connection, table))
            elif "primary_key" not in facts:
                raise CheckError(
                    f"{table} has no primary key and no unique index without NULL, and the"
                    " configuration states no primary_key: a column, or a list of columns, by"
                    " which findings are to name its rows",
                    permanent=True,
                )
            fields = {f"{prefix}{name}": value for name, value in facts.items()}
            found |= {n: v for n, v in fields.items() if getattr(self, n, "") is None}
        return found

    def named(self, field: str, names: Iterable[str]) -> Self:
        """The same check with a primary key of these names, where none is stated.

        So that without a database findings are found again by what their keys are made of.
        """
        known = getattr(self, field, "") is not None
        return self if known else self.model_copy(update={field: tuple(names)})

    def completed(self, connection: Connection) -> Self:
        """The same check with these fields."""
        return self._with(self.taken(connection)) if self._unstated else self

    def _with(self, taken: Mapping[str, Any]) -> Self:
        copy = self.model_copy(update=dict(taken))
        if why := next(copy.contradictions(), None):
            raise CheckError(f"{_listed(taken)}: {why}", permanent=True)
        return copy

    def contradictions(self) -> Iterator[str]:
        """What does not fit together of keys, cursors and times, once all of them are known."""
        yield from ()

    @property
    def cursor_owner(self) -> str:
        """Also what the names stand for: other rows are to be read anew."""
        return (
            f"{super().cursor_owner} {self._relations!r}"
            if self._relations
            else super().cursor_owner
        )

    def rows_of(self, name: str, columns: Iterable[str]) -> FromClause:
        """The rows that a name stands for, with the columns that a statement needs."""
        return rows_of(self.relations, name, columns)

    @property
    def definitions(self) -> Mapping[str, str]:
        """The relations, for MySQL and MariaDB."""
        return {name: each.text for name, each in self.relations.items()}

    @property
    def tables(self) -> tuple[str, ...]:
        """Also those that are read in the place of a name."""
        known = ((n, self.relations.get(n)) for n in super().tables)
        names = (each for n, one in known for each in (one.tables if one else (n,)))
        return tuple(dict.fromkeys(names))

    @property
    def excluded(self) -> tuple[str, ...]:
        """Rows that do not count."""
        return tuple(filter(None, (each.leaves_out for each in self.relations.values())))

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """What in the schema would make an answer wrong, so that a run cannot tell."""
        _ = snapshot
        yield from ()

    def complaints(self, connection: Connection) -> Iterator[str]:
        """What would make an answer wrong, and what else does not fit."""
        snapshot = Snapshot.of(connection, self.needs, relations=self.relations)
        found = [*self.doubts(snapshot)]
        yield from found or self._misread(snapshot)

    def _misread(self, snapshot: Snapshot) -> Iterator[str]:
        """The columns whose numbers are, by their size, no times in the unit that is stated."""
        for naming, prefix in {"table": "", **self.beside}.items():
            for name in ("written_at", "changed_at", "entered_at", "due_at", "cursor"):
                time = getattr(self, f"{prefix}{name}", None)
                if isinstance(time, TimeColumn) and time.unit:
                    yield from snapshot.misread(str(getattr(self, naming)), time)

    @contextmanager
    def snapshot(self, sources: Sources, window: Window = EVERYTHING) -> Iterator[Snapshot]:
        """Open a snapshot of the database that the check reads.

        Raises CheckError when it cannot be read, lacks what the check needs, or when there are
        doubts.
        """
        refused = False
        try:
            with sources.snapshot(self.database) as connection:
                try:
                    yield self._beyond_doubt(connection, window)
                except DBAPIError as error:
                    refused = not error.connection_invalidated
                    raise
        except RunStopped:
            raise
        except CheckError as error:
            if refused and self.relations and not error.overrun:
                error.args = (f"{error}, in a check that reads {', '.join(self.relations)}",)
            advice = [*filter(None, (each.advice for each in self.relations.values()))]
            if not (error.overrun and advice):
                raise
            advice.append(f"`reconciler explain {self.name} --connect` shows which part takes long")
            raise CheckError("; ".join((str(error), *advice)), overrun=True) from None

    def _beyond_doubt(self, connection: Connection, window: Window) -> Snapshot:
        snapshot = Snapshot.of(connection, self.needs, window, self.relations)
        if doubt := next(chain(self.doubts(snapshot), self._misread(snapshot)), None):
            raise CheckError(doubt, permanent=True)
        return snapshot
