"""What the kinds have in common that ask one thing of every row: the predicate is stated once.

The statements that a run executes and the one that people get are built of the same expression.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, ClassVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TableClause,
    literal_column,
    select,
)

from checks.contract import EVERYTHING, Check, CheckError, Finding, Result, Scalar, Sources, Window
from checks.sql import catalog, timestamps
from checks.sql.inspection import MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.statements import counted, row_total, rows_of, sample_of, scalar
from checks.types import Identifier

Built = ColumnElement[Any]

_UNKNOWN = catalog.Column("", nullable=True)
_SHORT_TEXT = catalog.Column("varchar(1)", nullable=True)


@dataclass(frozen=True, slots=True)
class View:
    """A table as a run sees it or, where no database is asked, as anybody with a client does."""

    rows: TableClause
    found: Mapping[str, catalog.Column] | None = None
    """What the catalog says of the columns; None where nobody asked."""
    zone: tzinfo | None = None
    """In which DATETIME columns are written; None where it is not known."""
    at: datetime | None = None
    """When this is; None where it is not known."""
    connection: Connection | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is one of SQLite."""
        return self.connection is not None and self.connection.dialect.name == "sqlite"

    def described(self, name: str) -> catalog.Column:
        """A column; one that may be anything where nobody asked."""
        return self.found[name] if self.found else _UNKNOWN

    @property
    def now(self) -> datetime:
        """When this is; by this machine's clock where it is not known."""
        return self.at or datetime.now(UTC)

    def written(self, moment: datetime, name: str) -> str:
        """A moment as a column writes it; where no zone is known, as the configuration does."""
        return timestamps.written(moment, self.described(name), self.zone or moment.tzinfo or UTC)

    def seconds_since(self, value: object, name: str) -> int | None:
        """How long ago a value of a column was; None for NULL and for what is no time."""
        moment = timestamps.read(value, self.described(name), self.zone or UTC)
        return None if moment is None else int((self.now - moment).total_seconds())


class RowCheck(Check):
    """Whether there is no row of a table for which a predicate is true."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    primary_key: Identifier
    adds_up: ClassVar[bool] = False
    """Whether each violation is counted by one of `counted_apart`, and by one only."""

    @property
    @abstractmethod
    def reads_columns(self) -> tuple[str, ...]:
        """The columns that the predicate and the findings need beside the primary key."""

    @abstractmethod
    def violates(self, view: View) -> ColumnElement[bool]:
        """Whether a row is a violation; NULL means no.

        Without the catalog, in a form that is right for whatever type the columns may have.
        """

    @abstractmethod
    def describe(self, seen: dict[str, Scalar], view: View) -> str:
        """What is wrong with a row, in one sentence."""

    def magnitude(self, seen: dict[str, Scalar]) -> int:
        """How wrong a row is."""
        _ = seen
        return 1

    def candidates(self, view: View) -> tuple[ColumnElement[bool], ...]:
        """What is true for every violation, and so put that an index serves."""
        _ = view
        return ()

    def counted_apart(self, view: View) -> Mapping[str, ColumnElement[bool]]:
        """Sorts of violations that are counted, by the name of the measure."""
        _ = view
        return {}

    def measures(self, view: View) -> Mapping[str, int]:
        """Further counts, each by a statement of its own."""
        _ = view
        return {}

    def doubts(self, found: Mapping[str, catalog.Column]) -> Iterator[str]:
        """What in the schema would make an answer wrong."""
        _ = found
        yield from ()

    def examined(self, connection: Connection) -> int:
        """The rows that the answer covers."""
        return row_total(connection, self.table)

    @property
    def first_shown(self) -> str | None:
        """The column by which rows are ordered that are looked at without keys."""
        return None

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The primary key by which findings name rows, and what the predicate reads."""
        return {self.table: tuple(dict.fromkeys((self.primary_key, *self.reads_columns)))}

    def view(self, connection: Connection, window: Window) -> View:
        """The table as a run sees it. Raises CheckError when it cannot be judged."""
        names = self.needs[self.table]
        found = catalog.require(connection, self.table, names)
        if doubt := next(self.doubts(found), None):
            raise CheckError(doubt, permanent=True)
        return View(rows_of(self.table, names), found, window.zone, connection=connection)

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Count the violations, and sample them in the order of the primary key."""
        with sources.snapshot(self.database) as connection:
            view = self.view(connection, window)
            numbers = [int(each) for each in connection.execute(self.counts(view)).one()]
            violations = sum(numbers) if self.adds_up else numbers.pop(0)
            findings = self.findings(connection, view, violations)
            measures = dict(zip(self.counted_apart(view), numbers, strict=True))
            measures |= self.measures(view)
            examined = self.examined(connection)
        return Result(examined, violations, findings, measures)

    def counts(self, view: View) -> Select[Any]:
        """The statement that counts the violations, unless their sorts add up, and each sort."""
        apart = self.counted_apart(view)
        numbers: list[Built] = [counted(each, f"in_{name}") for name, each in apart.items()]
        if not self.adds_up:
            numbers.insert(0, counted(self.violates(view), "violations"))
        return select(*numbers).select_from(view.rows).where(*self.candidates(view))

    def sample(self, view: View, *read: ColumnElement[bool]) -> Select[Any]:
        """The statement that reads the first of the violations, of the rows that are read."""
        where = (*read, *self.candidates(view), self.violates(view))
        return sample_of(view.rows, where, view.found)

    def findings(
        self, connection: Connection, view: View, violations: int, *read: ColumnElement[bool]
    ) -> tuple[Finding, ...]:
        """The findings of so many violations: those in the sample."""
        if violations == 0:
            return ()
        found = []
        for row in connection.execute(self.sample(view, *read)).mappings():
            seen = {name: scalar(value) for name, value in row.items()}
            message, size = self.describe(seen, view), self.magnitude(seen)
            key = {self.primary_key: seen.pop(self.primary_key)}
            found.append(Finding(key, message, seen, size))
        return tuple(found)

    def statements(self, at: datetime, zone: tzinfo) -> Sequence[str]:
        """The statement that counts, and the one that samples."""
        names = self.needs[self.table]
        view = View(rows_of(self.table, names), dict.fromkeys(names, _SHORT_TEXT), zone, at)
        return [render(self.counts(view)), render(self.sample(view))]

    def look(self, keys: Keys = ()) -> str | None:
        """The rows of some findings, or all violations."""
        rows = rows_of(self.table, self.needs[self.table])
        own = rows.c[self.primary_key]

        def build(some: Keys) -> str:
            which = chosen({self.primary_key: own}, some) if some else self.violates(View(rows))
            shown: Select[Any] = (
                select(literal_column("*")).select_from(rows).where(which).limit(MOST_ROWS)
            )
            first = self.first_shown or (self.primary_key if some else None)
            return render(shown.order_by(rows.c[first]) if first else shown)

        return fitting(having(keys, (self.primary_key,)), build)
