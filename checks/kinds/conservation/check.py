"""`conservation`: the rows of each group add up to nought, or to what the group says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, Connection, FromClause

from checks.card import SUM_MISMATCH, Card, Words
from checks.contract import EVERYTHING, SAMPLE, Check, Finding, Result, Window
from checks.coverage import excluded
from checks.kinds.conservation.findings import findings_of, phrases
from checks.kinds.conservation.groups import Groups, Key, Part, Touching, everything
from checks.ports import Sources
from checks.snapshot import Context, DatabaseCheck, Snapshot
from checks.sql import catalog
from checks.sql.expression import Expression
from checks.sql.inspection import Keys, fitting, having
from checks.sql.render import render
from checks.sql.row_ids import row_keys
from checks.sql.timestamps import Settle, Since, TimeColumn, Written
from checks.types import PrimaryKey, Severity, duration_text, key_columns
from checks.watermark import Followed, Reading, cursor_complaints


class Conservation(DatabaseCheck):
    """Whether the sum over each group of rows is what it should be: nought, unless stated.

    NULL is a group like any other, and an amount that is NULL counts as 0.
    """

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    card: ClassVar[Card] = Card(
        violation="a group of rows whose sum is off",
        title=Words(en="sums that are conserved", zh="合计平衡"),
        phrases=phrases,
        alert=SUM_MISMATCH,
    )

    kind: Literal["conservation"] = "conservation"
    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    primary_key: PrimaryKey | None = None
    by: tuple[Expression, ...] = ()
    """What makes a group; nothing for the whole table."""
    sum: Expression
    """The amount of a row."""
    equals: Expression = Field(default_factory=lambda: Expression("0"))
    """What the sum must be: a constant, or what each row of the group says."""
    when: Expression | None = None
    """Which rows are summed."""
    cursor: TimeColumn | None = None
    written_at: TimeColumn | None = None
    changed_at: TimeColumn | None = Field(default=None, repr=False)
    """When a row last changed: incremental runs add up the groups of changed rows, too."""
    pending: Expression | None = None
    """Rows for which it holds may still change; an incremental run never moves past them."""
    settle: Settle = timedelta(seconds=10)
    since: Since | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._refuse_contradictions()
        names = [each.source for each in self.by]
        if twice := next((each for each in names if names.count(each) > 1), None):
            raise ValueError(f"by names {twice} twice")
        return self

    def contradictions(self) -> Iterator[str]:
        """That a time is needed, and there is none."""
        if self.primary_key and self.written_at is None and (self.settle or self.since):
            yield (
                "written_at is missing: settle and since need the time at which a row of"
                f' {self.table} was written; settle = "0s" judges every group at once'
            )

    @property
    def rule(self) -> str | None:
        """What the sum is, and of which rows."""
        by = ", ".join(each.source for each in self.by)
        return f"SUM({self.sum.source}) = {self.equals.source}{by and f' by {by}'}"

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that are not summed, and groups that have not come to rest."""
        left = []
        if self.when:
            left.append(f"rows for which this is not true: {self.when.source}")
        if self.since:
            left.append(f"rows written before {self.since.isoformat(' ')}")
        if self.settle:
            young = f"with a row written less than {duration_text(self.settle)} ago"
            left.append(f"groups that are off and {young}, until they have come to rest")
        if self.cursor and self.by:
            changed = (
                "deleted rows, and groups that a row left"
                if self.changed_at
                else ("changed or deleted rows")
            )
            or_changed = " or a changed" if self.changed_at else ""
            left.append(f"in incremental runs, groups without a new{or_changed} row: {changed}")
        return tuple(left)

    @property
    def takes_a_moment(self) -> timedelta:
        """As long as the rows of a group may be apart: an old row that changes does not settle."""
        return self.settle

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of all expressions, and those by which rows are named, followed and dated."""
        parts = (*self.by, self.sum, self.equals, self.when, self.pending)
        named = (name for part in parts if part for name in part.columns)
        times = (self.cursor, self.written_at, self.changed_at)
        own = (*key_columns(self.primary_key), *filter(None, times))
        return {self.table: tuple(dict.fromkeys((*own, *named)))}

    def complaints(self, connection: Connection) -> Iterator[str]:
        """A cursor that cannot be followed, conditions that never hold."""
        if self.cursor:
            yield from cursor_complaints(connection, self.table, self.cursor)
            yield from filter(None, (self._unfollowed_changes(connection),))
        for each in filter(None, (self.when, self.pending)):
            yield from each.complaints(connection, self.table)
        yield from super().complaints(connection)

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """Amounts that are none, or not exact, and times that are none."""
        types = snapshot.columns[self.table]
        for part in (self.sum, self.equals):
            if part.is_column and not types[part.source].is_number:
                yield f"{self.table}.{part.source} is {types[part.source].type}, and no amount"
            for name in part.columns:
                if types[name].type.lower().startswith(("float", "double", "real")):
                    yield f"{self.table}.{name} is {types[name].type}: such sums are not exact"
        for time in filter(None, (self.written_at, self.changed_at)):
            yield from filter(None, (snapshot.time_complaint(self.table, time),))

    def look(self, keys: Keys = ()) -> str | None:
        """The rows of some groups, or the sums of all that are off."""
        groups = self._groups(Context())
        chosen = having(keys, key_columns(self.primary_key)) or having(keys, self.key_names)
        if not chosen or not self.by:
            return render(groups.sums())
        return fitting(chosen, lambda some: render(groups.lines(some)))

    def row_keys(self, evidence: Mapping[str, Any]) -> Keys:
        """The rows of a group, as far as they are listed."""
        return row_keys(key_columns(self.primary_key), evidence)

    def statements(self, at: datetime, zone: tzinfo) -> Sequence[str]:
        """The statement that judges every group, and the one that reads the wrong ones."""
        groups = self._groups(Context.assumed(self.needs, at, zone))
        asked = (groups.judged(everything), groups.wrong(everything))
        return [render(each) for each in asked]

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Add up every group, or those that have new rows or are known to be off."""
        # A row is read until it has settled, which takes longest for one from the near future.
        window = replace(window, overlap=max(window.overlap, 2 * self.settle))
        with self.snapshot(sources, window) as snapshot:
            reading = self._reading(snapshot)
            unseen = self._unfollowed_changes(snapshot.connection) if reading.left else None
            notes = tuple(filter(None, (reading.note, unseen, *snapshot.unsteady)))
            groups = self._groups(snapshot, window, tuple(snapshot.known(self.key_names)))
            seen = Seen()
            changed = self._changed(snapshot) if not unseen else None
            for part in self._parts(groups, reading, changed):
                seen.add(self._seen(groups, snapshot, part))
            left_out = self._excluded(groups, snapshot, seen) if reading.begin is None else {}
        whole = len(seen.findings) == seen.violations <= SAMPLE
        return Result(
            seen.examined,
            seen.violations,
            tuple(seen.findings[:SAMPLE]),
            {"groups": seen.groups, "groups_waiting": seen.waiting},
            notes=notes,
            complete=reading.begin is None,
            cursor={"rows": reading.left} if whole and reading.left else None,
            excluded=left_out,
        )

    def _excluded(
        self, groups: Groups, snapshot: Snapshot, seen: "Seen"
    ) -> Mapping[str, int | None]:
        """The rows that are not summed, and those of groups that wait."""
        needs = self.needs[self.table]
        found = excluded(snapshot, self.table, needs, groups.kept)
        return {**found, "settle": seen.rows_waiting} if self.settle else found

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names in the keys of findings."""
        return tuple(each.source for each in self.by) or ("table",)

    def _groups(
        self, context: Context, window: Window = EVERYTHING, known: tuple[Key, ...] = ()
    ) -> Groups:
        return Groups(
            context=context,
            rows=self._rows,
            table=self.table,
            ids=key_columns(self.primary_key),
            by=self.by,
            amount=self.sum,
            equals=self.equals,
            when=self.when,
            written_at=self.written_at,
            settle=self.settle,
            patience=max(self.settle, window.overlap),
            since=self.since,
            known=known,
        )

    def _rows(self) -> FromClause:
        return self.rows_of(self.table, self.needs[self.table]).alias("lines")

    def _reading(self, snapshot: Snapshot) -> Reading:
        if not self.by:
            return Reading(None, None)  # the whole table is one group
        columns = tuple(dict.fromkeys(name for part in self.by for name in part.columns))
        followed = Followed(self.table, self.cursor, self.written_at, self.pending, key=columns)
        return followed.read(snapshot, "rows")

    def _unfollowed_changes(self, connection: Connection) -> str | None:
        """Why changed rows are seen by complete runs only."""
        name, table = self.changed_at, self.table
        if name is None or catalog.is_view(connection, table):
            return None
        found = catalog.indexes(connection, table)
        if any(each.columns[0] == name and not each.partial for each in found):
            return None
        return f"changed_at {name} starts no index: only complete runs see changed rows"

    def _changed(self, snapshot: Snapshot) -> Written | None:
        """Since when rows changed whose groups are added up, as their column writes it."""
        window = snapshot.window
        if self.changed_at is None or window.cursor is None:
            return None
        before = datetime.fromtimestamp(window.cursor["rows"]["marks"][-1][0], UTC)
        notation = snapshot.notation(self.table, self.changed_at)
        return notation.earliest(before - window.overlap, snapshot.now)

    def _parts(self, groups: Groups, reading: Reading, changed: Written | None) -> Iterator[Part]:
        cursor = self.cursor
        if reading.begin is None or cursor is None:
            yield everything
            return
        touching: Touching | None = None
        if changed is not None:
            touching = partial(_is_since, name=str(self.changed_at), begin=changed)
        yield groups.touched(lambda rows: reading.covers(rows.c[cursor]), touching)
        if groups.known:
            yield groups.is_known

    def _seen(self, groups: Groups, snapshot: Snapshot, part: Part) -> "Seen":
        counts = snapshot.connection.execute(groups.judged(part)).mappings().one()
        numbers = {name: int(value) for name, value in counts.items()}
        findings = findings_of(groups, snapshot, part) if numbers["violations"] else []
        return Seen(**numbers, findings=findings)


def _is_since(rows: FromClause, name: str, begin: Written) -> ColumnElement[bool]:
    return rows.c[name] >= begin


@dataclass(slots=True)
class Seen:
    """What a run, or a part of it, saw."""

    examined: int = 0
    """Rows of the groups that were judged."""
    groups: int = 0
    """Groups that were judged."""
    waiting: int = 0
    """Groups that are off and have not come to rest."""
    rows_waiting: int = 0
    violations: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Seen") -> None:
        """Add what another part saw."""
        self.examined += other.examined
        self.groups += other.groups
        self.waiting += other.waiting
        self.rows_waiting += other.rows_waiting
        self.violations += other.violations
        self.findings += other.findings
