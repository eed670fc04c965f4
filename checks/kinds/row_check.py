"""What the kinds have in common that ask one thing of every row: the predicate is stated once.

The statements that a run executes and the one that people get are built of the same expression.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, ClassVar

from pydantic import Field
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    func,
    literal_column,
    select,
)

from checks.contract import EVERYTHING, SAMPLE, Check, Finding, Result, Scalar, Window
from checks.coverage import Coverage, coverage
from checks.ports import Sources
from checks.snapshot import Context, DatabaseCheck, Snapshot
from checks.sql.expression import Expression
from checks.sql.functions import as_bytes, shown
from checks.sql.inspection import MOST_ROWS, Keys, chosen, fitting, having
from checks.sql.render import render
from checks.sql.statements import counted, number_of
from checks.sql.values import scalar
from checks.types import EveryColumn, PrimaryKey, key_columns

Built = ColumnElement[Any]

EQUAL_ROWS = "equal rows"
"""In evidence, how many rows one finding stands for, where nothing tells them apart."""


class RowCheck(DatabaseCheck):
    """Whether there is no row of a table for which a predicate is true."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    primary_key: PrimaryKey | None = None
    names_by_all_columns: ClassVar[bool] = True
    adds_up: ClassVar[bool] = False
    """Whether each violation is counted by one of `counted_apart`, and by one only."""

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns by which findings name rows."""
        return key_columns(self.primary_key)

    @property
    def _repeats(self) -> bool:
        """Whether equal rows are one finding: nothing tells them apart."""
        return isinstance(self.primary_key, EveryColumn)

    @property
    @abstractmethod
    def reads_columns(self) -> tuple[str, ...]:
        """The columns that the predicate and the findings need beside the primary key."""

    @abstractmethod
    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """Whether a row is a violation; NULL means no.

        Where no database is asked, in a form that is right for whatever type the columns may have.
        """

    @abstractmethod
    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """What is wrong with a row, in one sentence."""

    def magnitude(self, seen: dict[str, Scalar]) -> int:
        """How wrong a row is."""
        _ = seen
        return 1

    def concerned(self, rows: FromClause, context: Context) -> tuple[ColumnElement[bool], ...]:
        """Which rows the rule is about, where that is not all."""
        _ = rows, context
        return ()

    def candidates(self, rows: FromClause, context: Context) -> tuple[ColumnElement[bool], ...]:
        """What is true for every violation, and so put that an index serves."""
        _ = rows, context
        return ()

    def counted_apart(
        self, rows: FromClause, context: Context
    ) -> Mapping[str, ColumnElement[bool]]:
        """Sorts of violations that are counted, by the name of the measure."""
        _ = rows, context
        return {}

    def measures(self, rows: FromClause, snapshot: Snapshot) -> Mapping[str, int]:
        """Further counts, each by a statement of its own."""
        _ = rows, snapshot
        return {}

    def excluding(self, rows: FromClause, context: Context) -> Mapping[str, ColumnElement[bool]]:
        """What is true of the rows that are judged, by the reason why others are not."""
        _ = rows, context
        return {}

    def covered(self, snapshot: Snapshot) -> Coverage:
        """The rows that the answer covers."""
        return self._coverage(snapshot, exact=True)

    def _coverage(self, snapshot: Snapshot, *, exact: bool) -> Coverage:
        def kept(rows: FromClause) -> Mapping[str, ColumnElement[bool]]:
            return self.excluding(rows, snapshot)

        return coverage(snapshot, self.table, self.needs[self.table], kept, exact=exact)

    @property
    def first_shown(self) -> str | None:
        """The column by which rows are ordered that are looked at without keys."""
        return None

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The primary key by which findings name rows, and what the predicate reads."""
        return {self.table: tuple(dict.fromkeys((*self.key_columns, *self.reads_columns)))}

    def rows(self) -> FromClause:
        """The table's rows, with the columns that are needed."""
        return self.rows_of(self.table, self.needs[self.table])

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Count the violations, and sample them in the order of the primary key."""
        with self.snapshot(sources, window) as snapshot:
            rows = self.rows()
            numbers = self._numbers(rows, snapshot)
            violations = sum(numbers) if self.adds_up else numbers.pop(0)
            if violations and self._repeats:
                different = self.sample(rows, snapshot).order_by(None).limit(None)
                violations = snapshot.number(number_of(different.subquery("different")))
            findings = self.findings(rows, snapshot, violations)
            measures = dict(zip(self.counted_apart(rows, snapshot), numbers, strict=True))
            measures |= self.measures(rows, snapshot)
            seen = self.covered(snapshot)
        return Result(
            seen.judged,
            violations,
            findings,
            measures,
            excluded=seen.excluded,
            estimated=seen.estimated,
        )

    def _numbers(self, rows: FromClause, snapshot: Snapshot) -> list[int]:
        found = snapshot.connection.execute(self.counts(rows, snapshot)).one()
        return [int(each) for each in found]

    def counts(self, rows: FromClause, context: Context) -> Select[Any]:
        """The statement that counts the violations, unless their sorts add up, and each sort."""
        apart = self.counted_apart(rows, context)
        numbers: list[Built] = [counted(each, f"in_{name}") for name, each in apart.items()]
        if not self.adds_up:
            numbers.insert(0, counted(self.violates(rows, context), "violations"))
        which = (*self.concerned(rows, context), *self.candidates(rows, context))
        return select(*numbers).select_from(rows).where(*which)

    def sample(self, rows: FromClause, context: Context, *read: ColumnElement[bool]) -> Select[Any]:
        """The statement that reads the first of the violations, of the rows that are read."""
        which = (*self.concerned(rows, context), *self.candidates(rows, context))
        where = (*read, *which, self.violates(rows, context))
        # Values that may be long are cut before they are fetched.
        names = (*self.key_columns, *self.reads_columns)
        values = (
            shown(c, context.described(self.table, c.name)).label(c.name)
            for c in rows.c
            if c.name in names
        )
        statement = select(*values).where(*where).limit(SAMPLE)
        own = [rows.c[name] for name in self.key_columns]
        if not self._repeats:
            return statement.order_by(*own)
        spelled = [as_bytes(c) for c in own if context.described(self.table, c.name).is_text]
        number = func.count().label(EQUAL_ROWS)
        return statement.add_columns(number).group_by(*own, *spelled).order_by(*own, *spelled)

    def findings(
        self, rows: FromClause, snapshot: Snapshot, violations: int, *read: ColumnElement[bool]
    ) -> tuple[Finding, ...]:
        """The findings of so many violations: those in the sample."""
        if violations == 0:
            return ()
        found = snapshot.connection.execute(self.sample(rows, snapshot, *read)).mappings()
        return tuple(
            self._finding({name: scalar(value) for name, value in row.items()}, snapshot)
            for row in found
        )

    def _finding(self, seen: dict[str, Scalar], snapshot: Snapshot) -> Finding:
        number = int(seen.pop(EQUAL_ROWS, 1) or 1)
        message, size = self.describe(seen, snapshot), self.magnitude(seen)
        key = {name: seen.pop(name) for name in self.key_columns}
        if number > 1:
            seen[EQUAL_ROWS], message = number, f"{message}; {number} equal rows"
        return Finding(key, message, seen, size * number)

    def statements(self, at: datetime, zone: tzinfo) -> Sequence[str]:
        """The statement that counts, and the one that samples."""
        rows, context = self.rows(), Context.assumed(self.needs, at, zone)
        return [render(self.counts(rows, context)), render(self.sample(rows, context))]

    def look(self, keys: Keys = ()) -> str | None:
        """The rows of some findings, or all violations."""
        if keys and self.primary_key is None:
            return self.named("primary_key", keys[0]).look(keys)
        rows = self.rows()
        own, context = {name: rows.c[name] for name in self.key_columns}, Context()
        everything = and_(*self.concerned(rows, context), self.violates(rows, context))

        def build(some: Keys) -> str:
            which = chosen(own, some) if some else everything
            shown: Select[Any] = (
                select(literal_column("*")).select_from(rows).where(which).limit(MOST_ROWS)
            )
            if self.first_shown:
                shown = shown.order_by(rows.c[self.first_shown])
            elif some:
                shown = shown.order_by(*own.values())
            return render(shown)

        return fitting(having(keys, own), build)


class RowCheckOfSome(RowCheck):
    """A question of every row, or of those for which a condition holds."""

    when: Expression | None = Field(default=None, repr=False)
    """The rows that the rule is about; all, unless stated."""

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Also the columns of the condition."""
        names = (*super().needs[self.table], *(self.when.columns if self.when else ()))
        return {self.table: tuple(dict.fromkeys(names))}

    @property
    def excluded(self) -> tuple[str, ...]:
        """Also the rows that the rule is not about."""
        found = super().excluded
        return (
            (*found, f"rows for which this is not true: {self.when.source}") if self.when else found
        )

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A condition that never holds."""
        yield from super().complaints(connection)
        if self.when:
            yield from self.when.complaints(connection, self.table)

    def concerned(self, rows: FromClause, context: Context) -> tuple[ColumnElement[bool], ...]:
        """Those for which the condition is true: unknown (NULL) is not."""
        return (self.when.holds_for(rows, context.types(self.table)),) if self.when else ()

    def excluding(self, rows: FromClause, context: Context) -> Mapping[str, ColumnElement[bool]]:
        """The rule is about the row."""
        concerned = self.concerned(rows, context)
        return {"when": and_(*concerned)} if concerned else {}
