"""The check that `reference` and `posting` are kinds of: its fields, questions and statements."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    TableClause,
    and_,
    case,
    func,
    not_,
    select,
    true,
)

from checks.contract import EVERYTHING, SAMPLE, Check, CheckError, Result, Window
from checks.kinds.pairing.findings import far_findings, near_findings
from checks.kinds.pairing.inspection import look
from checks.kinds.pairing.plan import Built, Catalog, Direction, Far, Key, Moment, NearSide, Only
from checks.kinds.pairing.statements import all_paired, unmatched, unnamed
from checks.ports import Sources
from checks.snapshot import Snapshot
from checks.sql import catalog, joins, timestamps
from checks.sql.expression import Expression, FarExpression
from checks.sql.inspection import Keys
from checks.sql.joins import Through, needed, refuse_unjoined
from checks.sql.statements import among, labelled, row_estimate, rows_of
from checks.sql.timestamps import Settle, Since
from checks.types import Identifier, Severity, duration_text
from checks.watermark import Followed, Reading, cursor_complaints


class Pairing(Check):
    """A check of near rows against far rows, in one direction or both."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    primary_key: Identifier
    cursor: Identifier | None = None
    written_at: Identifier | None = None
    pending: Expression | None = None
    """Rows for which it holds may still change; an incremental run never moves past them."""
    settle: Settle = timedelta(seconds=10)
    since: Since | None = None
    equal: Mapping[Expression, FarExpression] = {}
    """What agrees: an expression of the near side, and one of the far side."""
    through: Through = Field(default_factory=dict)
    """Tables joined to the far side: `{ accounts = { account_id = "account_id" } }` joins each far
    row with the account whose `account_id` it holds."""
    reverse: bool = False
    """Whether every far row that may be named has to be."""

    @property
    @abstractmethod
    def far(self) -> Far:
        """The far side."""

    @property
    @abstractmethod
    def near_columns(self) -> tuple[str, ...]:
        """Columns of the near side that this kind needs, beyond those of the common fields."""

    @abstractmethod
    def expects(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether a near row has to have its far row."""

    @abstractmethod
    def keys(self, rows: FromClause) -> list[Built]:
        """What a near row's far row has in `far.key`."""

    def naming(self, far: FromClause, rows: FromClause) -> ColumnElement[bool]:
        """Whether a far row is named by a near row."""
        names = zip(self.far.key, self.keys(rows), strict=True)
        return and_(*(far.c[one] == other for one, other in names))

    def named_by(self, far: FromClause, rows: FromClause, found: Catalog) -> ColumnElement[bool]:
        """The same, so put that an index of the near side serves."""
        _ = found
        return self.naming(far, rows)

    @abstractmethod
    def problem(self, row: RowMapping, found: Catalog) -> tuple[str, str]:
        """What is wrong with a near row, in a word and in a sentence; see `_described`."""

    @abstractmethod
    def reverse_problem(self, *, is_named: bool) -> tuple[str, str]:
        """What is wrong with a far row that no near row names as it should."""

    def allows(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether a near row may be named by a far row; those that have to, unless stated."""
        return self.expects(rows)

    @property
    @abstractmethod
    def near_role(self) -> str:
        """What the near side is called in SQL for people."""

    def near_side(self) -> NearSide:
        """The near side as people look at it."""
        rows = self.near_rows().alias(self.near_role)
        conditions = (self.expects(rows), self.not_before(rows, self.written_at))
        ends = tuple((each.over(rows.c.__getitem__),) for each in self.equal)
        return NearSide(rows, conditions, ends)

    def not_before(self, rows: FromClause, column: str | None) -> ColumnElement[bool]:
        """Whether a row of either side is not older than `since` as it was written."""
        if column is None or self.since is None:
            return true()
        return timestamps.not_before(rows.c[column], self.since)

    def shared_names(self) -> dict[str, str]:
        """The names in the key of a finding of rows that share a far row, and their columns."""
        return {}

    def look(self, keys: Keys = ()) -> str | None:
        """Both sides of some findings; without keys, near and far rows without each other."""
        return look(self, keys)

    def directions(self, moment: Moment) -> Iterator[Direction]:
        """The questions of a run, less those that counting both sides has answered."""
        all_matched, all_named = (
            all_paired(self, moment) if self.reverse and moment.is_whole else (False, False)
        )
        yield Direction(
            self.key_names,
            lambda known: [] if all_matched else unmatched(self, moment, known),
            lambda keys: near_findings(self, moment, keys),
        )
        if self.reverse:
            yield Direction(
                (self.far_key_name,),
                lambda known: [] if all_named else unnamed(self, moment, known),
                lambda keys: far_findings(self, moment, keys),
            )

    def remarks(self, found: Catalog) -> Iterator[str]:
        """What is no violation and yet worth saying."""
        _ = found
        yield from ()

    @model_validator(mode="after")
    def _knows_times(self) -> Self:
        sides = [("written_at", self.table, self.written_at)]
        if self.reverse:
            far = self.far
            sides.append((f"{far.role}_written_at", far.table, far.written_at))
        for field, table, column in sides:
            if column is None and (self.settle or self.since):
                raise ValueError(
                    f"{field} is missing: settle and since need the time at which a row of {table}"
                    ' was written; settle = "0s" judges every row at once'
                )
        for each in self._of_far_side:
            refuse_unjoined(each, self.through)
        return self

    @property
    def _of_far_side(self) -> tuple[FarExpression, ...]:
        return (*self.far_values, *filter(None, (self.far.when,)))

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names in the key of a finding of the near side."""
        return (self.primary_key,)

    @property
    def near_key_columns(self) -> tuple[str, ...]:
        """The columns of the near side by which findings are looked at again."""
        return self.key_names

    @property
    def far_key_name(self) -> str:
        """The name in the key of a finding of the far side."""
        return f"{self.far.table}.{self.far.primary_key}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that are too young or too old, and the other side where it is not asked."""
        far, found = self.far, []
        if self.settle:
            found.append(
                f"rows written less than {duration_text(self.settle)} ago, until they are older"
            )
        if self.since:
            found.append(f"rows written before {self.since.isoformat(' ')}")
        if not self.reverse:
            found.append(f"rows of {far.table} that no row of {self.table} names")
        elif far.when:
            found.append(f"rows of {far.table} for which this is not true: {far.when.source}")
        return tuple(found)

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of both sides, and of the tables joined to the far side."""
        far = self.far
        expressions = (*self.equal, *filter(None, (self.pending,)))
        columns = [
            self.primary_key,
            *filter(None, (self.cursor, self.written_at)),
            *self.near_columns,
            *(name for each in expressions for name in each.columns),
        ]
        times = filter(None, (far.cursor, far.written_at) if self.reverse else ())
        found = needed(far.table, self.through, self._of_far_side)
        found[far.table] += (far.primary_key, *far.key, *times)
        found[self.table] = [*columns, *found.get(self.table, ())]
        return {table: tuple(dict.fromkeys(names)) for table, names in found.items()}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """Cursors that cannot be followed, conditions that never hold, unlike columns."""
        if self.cursor:
            yield from cursor_complaints(connection, self.table, self.cursor)
        if self.reverse and self.far.cursor:
            yield from cursor_complaints(connection, self.far.table, self.far.cursor)
        for _, value in self:
            if type(value) is Expression:
                yield from value.complaints(connection, self.table)
        if self.far.when:
            yield from self.far.when.complaints(connection, self.far.table)
        yield from self._doubts(connection)

    def _doubts(self, connection: Connection) -> Iterator[str]:
        """What would make an answer wrong."""
        sides = [(self.table, self.written_at)]
        if self.reverse:
            sides.append((self.far.table, self.far.written_at))
        for table, column in sides:
            found = catalog.columns(connection, table).get(column or "")
            if found and not found.is_moment and (self.settle or self.since):
                yield f"{table}.{column} is {found.type}, and tells no time"
        yield from joins.complaints(connection, self.far.table, self.through)
        yield from self._unlike_pairs(connection)
        yield from self.mismatches(connection)

    def _unlike_pairs(self, connection: Connection) -> Iterator[str]:
        mine = catalog.columns(connection, self.table)
        for one, other in self.equal.items():
            if not (one.is_column and other.is_column):
                continue
            table, _, column = other.source.rpartition(".")
            theirs = catalog.columns(connection, table or self.far.table)
            if one.source not in mine or column not in theirs:
                continue
            if why := catalog.unlike(mine[one.source], theirs[column]):
                yield f"equal: {one.source} cannot be compared with {other.source}: {why}"

    @abstractmethod
    def mismatches(self, connection: Connection) -> Iterator[str]:
        """Columns that cannot be compared with each other."""

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Look for near rows without their far row and, if asked, for far rows nobody names."""
        with sources.snapshot(self.database) as connection:
            snapshot = Snapshot.of(connection, self.needs, window)
            if complaint := next(self._doubts(connection), None):
                raise CheckError(complaint, permanent=True)
            near, far = self._readings(snapshot)
            found = snapshot.columns
            moment = Moment(connection, snapshot.now, window, found, near, far)
            seen = [each.look(moment) for each in self.directions(moment)]
            examined = self._examined(connection, near)
        findings = tuple(finding for some, _ in seen for finding in some)
        violations = sum(number for _, number in seen)
        left = {"near": near.left, "far": far.left}
        goes_on = len(findings) == violations <= SAMPLE and any(left.values())
        return Result(
            examined,
            violations,
            findings[:SAMPLE],
            notes=(*filter(None, (near.note, far.note)), *self.remarks(found)),
            complete=near.begin is None and (far.begin is None or not self.reverse),
            cursor=left if goes_on else None,
        )

    def near_rows(self) -> TableClause:
        """The near side's table."""
        return rows_of(self.table, self.needs[self.table])

    def near(self, moment: Moment, only: Only, *, marked: bool = False) -> FromClause:
        """Near rows that have to have a far row.

        Of their columns `key_n` identifies, `name_n` names the far row, `value_n` (and `also_n`,
        where rows are grouped) are the near ends of what is compared. With `marked` also the rows
        that may have a far row, or are too young; 1 in `judged` tells those that have to.
        """
        rows = self.near_rows()
        values = [each.on(rows) for each in self.equal]
        has_to = and_(self.expects(rows), self.judged(moment, rows))
        found = select(
            rows.c[self.primary_key].label("key_0"),
            *labelled("name", self.keys(rows)),
            *labelled("value", values),
        )
        if marked:
            judged = case((has_to, 1), else_=0).label("judged")
            found = found.add_columns(judged).where(self.allows(rows), self.begun(moment, rows))
        else:
            found = found.where(has_to)
        return found.where(only(rows)).subquery("near")

    def judged(self, moment: Moment, rows: FromClause) -> ColumnElement[bool]:
        """Whether a near row is old enough, and not too old, to be judged."""
        return self.in_scope(moment, self.table, rows, self.written_at)

    def begun(self, moment: Moment, rows: FromClause) -> ColumnElement[bool]:
        """Whether a near row is not too old to be judged; it may be too young."""
        return self.in_scope(moment, self.table, rows, self.written_at, settle=timedelta())

    def restricted(
        self, moment: Moment, reading: Reading, cursor: str | None, key: str, known: Sequence[Key]
    ) -> list[Only]:
        """What is read: all rows of the window, and of the known ones those that are outside."""
        _ = moment
        if reading.begin is None or cursor is None:
            return [lambda _: true()]
        parts: list[Only] = [lambda rows: reading.covers(rows.c[cursor])]
        if known:
            parts.append(
                lambda rows: and_(not_(reading.covers(rows.c[cursor])), among([rows.c[key]], known))
            )
        return parts

    def _readings(self, snapshot: Snapshot) -> tuple[Reading, Reading]:
        # A row is read until it has settled, which takes longest for one from the near future.
        longest = max(snapshot.window.overlap, 2 * self.settle)
        snapshot = replace(snapshot, window=replace(snapshot.window, overlap=longest))
        near = Followed(
            self.table, self.cursor, self.written_at, self.pending, key=self.near_key_columns
        )
        far = Followed(
            *(self.far.table, self.far.cursor, self.far.written_at), key=(self.far.primary_key,)
        )
        return (
            near.read(snapshot, "near"),
            far.read(snapshot, "far") if self.reverse else Reading(None, None),
        )

    def _examined(self, connection: Connection, reading: Reading) -> int:
        if reading.begin is None or self.cursor is None:
            return row_estimate(connection, self.table)
        rows = self.near_rows()
        covered = select(func.count()).where(reading.covers(rows.c[self.cursor]))
        return int(connection.scalar(covered) or 0)

    def in_scope(
        self,
        moment: Moment,
        table: str,
        rows: FromClause,
        column: str | None,
        *,
        settle: timedelta | None = None,
    ) -> ColumnElement[bool]:
        """Whether a row of either side is old enough, and not too old, to be judged."""
        settle = self.settle if settle is None else settle
        if column is None or not (settle or self.since):
            return true()
        return timestamps.in_scope(
            rows.c[column],
            moment.found[table][column],
            moment.window.zone,
            at=moment.at,
            settle=settle,
            since=self.since,
        )

    @property
    def far_values(self) -> tuple[FarExpression, ...]:
        """The far ends of what is compared."""
        return tuple(self.equal.values())

    @property
    def near_values(self) -> tuple[str, ...]:
        """The near ends of what is compared, as findings call them."""
        return tuple(each.source for each in self.equal)

    def key_columns(self, rows: FromClause) -> list[Built]:
        """The columns of `key_names`."""
        return [rows.c[name] for name in self.key_names]
