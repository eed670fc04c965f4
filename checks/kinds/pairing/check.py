"""The check that `reference` and `posting` are kinds of: its fields, its questions, its run."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from pydantic import Field, model_validator
from sqlalchemy import Connection, Select

from checks.contract import EVERYTHING, SAMPLE, TWO_TRANSACTIONS, Check, Result, Window
from checks.keys.template import Template
from checks.kinds.pairing import together
from checks.kinds.pairing.covered import covered
from checks.kinds.pairing.findings import Problem, Seen, far_findings, near_findings
from checks.kinds.pairing.inspection import inspection_query
from checks.kinds.pairing.plan import FarSum, Id, Pair, Plan, Side
from checks.kinds.pairing.question import Question
from checks.kinds.pairing.sampled import suspicions
from checks.kinds.pairing.shared import shared_question
from checks.kinds.pairing.statements import all_paired, unmatched, unreferenced
from checks.ports import Sources
from checks.snapshot import Catalog, DatabaseCheck, Snapshot, Types
from checks.sql import catalog, collations, joins
from checks.sql.collations import Collation
from checks.sql.expression import Expression, FarExpression
from checks.sql.inspection import Keys
from checks.sql.joins import Through
from checks.sql.timestamps import Settle, Since, TimeColumn
from checks.types import PrimaryKey, Severity, duration_text
from checks.watermark import Followed, Reading, cursor_complaints


class Pairing(DatabaseCheck):
    """A check of near rows against far rows, in one direction or both; see `plan.py`."""

    model_config = Check.model_config | {"arbitrary_types_allowed": True}

    severity: Severity = Severity.CRITICAL
    confirmations: int = Field(default=2, ge=1, le=100)
    primary_key: PrimaryKey | None = None
    cursor: TimeColumn | None = None
    written_at: TimeColumn | None = None
    changed_at: TimeColumn | None = Field(default=None, repr=False)
    pending: Expression | None = None
    """Rows for which it holds may still change; an incremental run never moves past them."""
    settle: Settle = TWO_TRANSACTIONS
    since: Since | None = None
    when: Expression | None = Field(default=None, repr=False)
    """Which rows the rule is about; all, unless stated."""
    equal: Mapping[Expression, FarExpression] = {}
    """What agrees: an expression of the near side, and one of the far side."""
    through: Through = Field(default_factory=dict)
    """Tables joined to the far side: `{ accounts = { account_id = "account_id" } }` joins each far
    row with the account whose `account_id` it holds."""
    reverse: bool = False
    """Whether every far row that may be referred to has to be."""
    collation: Collation | None = Field(default=None, repr=False)
    """How texts of keys and of `equal` are compared, where the columns' own rules differ."""

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """What the fields ask of the database."""

    @abstractmethod
    def near_problem(self, seen: Seen) -> Problem:
        """What is wrong with a near row or group."""

    @abstractmethod
    def far_problem(self, near_id: Id | None) -> Problem:
        """What is wrong with a far row to which no near row refers that may.

        `near_id` is the primary key of one that refers to it all the same, if there is one.
        """

    @abstractmethod
    def key_doubts(self, columns: Catalog) -> Iterator[str]:
        """Columns of the two keys that cannot be compared with each other."""

    def remarks(self, columns: Catalog) -> Iterator[str]:
        """What is no violation and yet worth saying."""
        _ = columns
        yield from ()

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Rows that are too young or too old, and the other side where it is not asked."""
        far, found = self.plan.far, []
        if self.settle:
            found.append(
                f"rows written{_or_changed(self.plan)} less than {duration_text(self.settle)} ago,"
                " until they are older"
            )
        if self.since:
            found.append(f"rows written before {self.since.isoformat(' ')}")
        if not self.reverse:
            found.append(f"rows of {far.table} that no row of {self.table} names")
        elif far.when:
            found.append(f"rows of {far.table} for which this is not true: {far.when.source}")
        return tuple(found)

    @property
    def takes_a_moment(self) -> timedelta:
        """As long as the two sides may be apart: an old row that changes has not to settle."""
        return self.settle

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of both sides, and of the tables joined to the far side."""
        return self.plan.needs

    def look(self, keys: Keys = ()) -> str | None:
        """Both sides of some findings; without keys, near and far rows without each other."""
        return inspection_query(self._named_by(keys).plan, keys)

    def _named_by(self, keys: Keys) -> Self:
        """The same check, with the primary key that the first key is of, where none is stated."""
        far, names = f"{self.plan.far.table}.", list(keys[0]) if keys else []
        if not names:
            return self
        if not all(name.startswith(far) for name in names):
            return self.named("primary_key", names)
        (prefix,) = self.beside.values()
        return self.named(f"{prefix}primary_key", [name.removeprefix(far) for name in names])

    @model_validator(mode="after")
    def _has_times_and_joins(self) -> Self:
        self._refuse_contradictions()
        plan = self.plan
        for each in plan.far_expressions:
            joins.refuse_unjoined(each, plan.joins)
        return self

    def contradictions(self) -> Iterator[str]:
        """That times are needed of a side, and it has none."""
        plan = self.plan
        for side in plan.sides:
            if side.primary_key and side.written_at is None and plan.scope.needs_times(side):
                yield (
                    f"{_field_of_time(side, plan)} is missing: settle and since need the time at"
                    f' which a row of {side.table} was written; settle = "0s" judges every row at'
                    " once"
                )

    def complaints(self, connection: Connection) -> Iterator[str]:
        """Cursors that cannot be followed, conditions that never hold, unlike columns."""
        plan = self.plan
        for side in plan.sides:
            if side.cursor:
                yield from cursor_complaints(connection, side.table, side.cursor)
        near, far = plan.near, plan.far
        conditions = (near.when, near.not_null_when, near.allowed_when)
        for each in filter(None, (near.pending, *conditions)):
            yield from each.complaints(connection, near.table)
        if far.when:
            yield from far.when.complaints(connection, far.table)
        yield from collations.complaints(connection, self.collation)
        yield from super().complaints(connection)

    def suspicions(self, connection: Connection) -> Iterator[str]:
        """That most of the last rows break the rule, it is about few, or no index serves it."""
        snapshot = Snapshot.of(connection, self.needs, relations=self.relations)
        plan = self.plan
        looked_up = {plan.far.table: plan.far.key}
        if self.reverse and plan.near.table != plan.far.table:
            looked_up[plan.near.table] = plan.near.key.columns
        for table, names in looked_up.items():
            yield from collations.unserved(connection, self.collation, table, names)
        if not any(self.doubts(snapshot)):
            yield from suspicions(replace(plan, described=snapshot.columns), snapshot)

    def doubts(self, snapshot: Snapshot) -> Iterator[str]:
        """Times that are none, joins that meet several rows, columns that cannot be compared."""
        plan, columns = self.plan, snapshot.columns
        for side in plan.sides:
            times = (side.written_at, side.changed_at) if plan.scope.uses_times else ()
            complaints = (snapshot.time_complaint(side.table, time) for time in times if time)
            yield from filter(None, complaints)
        yield from joins.complaints(snapshot.connection, plan.far.table, plan.joins)
        for pair in plan.equal:
            yield from _pair_doubts(plan, pair, columns)
        yield from _sum_doubts(plan, snapshot)
        yield from self._doubts_of_names(snapshot)
        yield from self.key_doubts(columns)

    def _doubts_of_names(self, snapshot: Snapshot) -> Iterator[str]:
        """Placeholders of templates that could be columns as well."""
        for field, template in self.templates:
            names = template.could_be_columns
            known = catalog.columns(snapshot.connection, self.table) if names else ()
            for name in names:
                if name in known:
                    yield (
                        f"{field}: {{{name}}} is a placeholder, and {self.table} has a column"
                        f" {name}: write {{`{name}`}} for the column, {{token:1..64}} or another"
                        " length for a text that no column holds"
                    )

    @property
    def templates(self) -> Sequence[tuple[str, Template]]:
        """The templates of keys, each with its field."""
        return ()

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Look for near rows without their far row and, if asked, for far rows nobody names."""
        with self.snapshot(sources, window) as snapshot:
            plan = self.plan.seeing(snapshot)
            near, far = _readings(plan, snapshot)
            questions = self._questions(plan, snapshot, near, far)
            answers = [each.answer(snapshot) for each in questions]
            seen = covered(plan, snapshot, near)
            notes = (near.note, far.note, *snapshot.unsteady)
        findings = tuple(finding for some, _ in answers for finding in some)
        violations = sum(number for _, number in answers)
        left = {"near": near.left, "far": far.left}
        goes_on = len(findings) == violations <= SAMPLE and any(left.values())
        return Result(
            seen.judged,
            violations,
            findings[:SAMPLE],
            notes=(*filter(None, notes), *self.remarks(snapshot.columns)),
            complete=near.begin is None and (far.begin is None or not plan.reverse),
            cursor=left if goes_on else None,
            excluded=seen.excluded,
            estimated=seen.estimated,
        )

    def _questions(
        self, plan: Plan, snapshot: Snapshot, near: Reading, far: Reading
    ) -> Iterator[Question]:
        """The questions of a run, less those that counting both sides has answered."""
        is_whole = near.begin is None and far.begin is None
        all_matched, all_referenced = (
            all_paired(plan, snapshot) if plan.is_paired_one_by_one and is_whole else (False, False)
        )
        describe = together.findings if plan.is_together else near_findings
        yield Question(
            plan.near.id,
            lambda known: [] if all_matched else _unmatched(plan, snapshot, near, far, known),
            lambda ids: describe(plan, snapshot, ids, self.near_problem),
        )
        if plan.reverse:
            yield Question(
                plan.far.id,
                lambda known: [] if all_referenced else unreferenced(plan, snapshot, far, known),
                lambda ids: far_findings(plan, snapshot, ids, self.far_problem),
            )
        if plan.one_to_one:
            yield shared_question(plan, snapshot, near)


def _or_changed(plan: Plan) -> str:
    tables = " and ".join(dict.fromkeys(side.table for side in plan.sides if side.changed_at))
    return f" or, of {tables}, changed" if tables else ""


def _unmatched(
    plan: Plan, snapshot: Snapshot, near: Reading, far: Reading, known: Sequence[Id]
) -> list[Select[Any]]:
    if plan.is_together:
        return together.not_adding_up(plan, snapshot, near, far, known)
    return unmatched(plan, snapshot, near, known)


def _field_of_time(side: Side, plan: Plan) -> str:
    return "written_at" if side is plan.near else f"{side.role}_written_at"


def _pair_doubts(plan: Plan, pair: Pair, columns: Catalog) -> Iterator[str]:
    """That the two columns of a pair cannot be compared."""
    if not (pair.near.is_column and pair.far.is_column):
        return
    near = columns[plan.near.table][pair.near.source]
    table, _, name = pair.far.source.rpartition(".")
    far = columns[table or plan.far.table][name]
    if why := catalog.unlike(near, far, plan.collation):
        yield f"equal: {pair.near.source} cannot be compared with {pair.far.source}: {why}"


def _sum_doubts(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    """Texts that are added up: those that spell no number would be left out."""
    if snapshot.is_sqlite:
        return
    columns = snapshot.columns
    near, far = columns[plan.near.table].__getitem__, plan.far_types(columns)
    pairs: list[Pair | FarSum] = [*plan.sums, *plan.far_sums]
    sides: list[tuple[str, Types, object]] = [(plan.near.table, near, each.near) for each in pairs]
    sides += [(plan.far.table, far, each.far) for each in pairs]
    for table, types, amount in sides:
        if isinstance(amount, Expression) and (why := amount.text_as_amount(types)):
            yield f"{table}: {amount.source} {why}"


def _readings(plan: Plan, snapshot: Snapshot) -> tuple[Reading, Reading]:
    """What is read of the near side, and of the far side."""
    # A row is read until it has settled, which takes longest for one from the near future.
    overlap = max(snapshot.window.overlap, 2 * plan.scope.settle)
    snapshot = replace(snapshot, window=replace(snapshot.window, overlap=overlap))
    near, far = plan.near, plan.far
    looked_up = (*near.id, *(near.key.columns if plan.one_to_one else ()))
    reading = _followed(plan, near, looked_up, near.pending).read(snapshot, "near")
    if not plan.follows_far:
        return reading, Reading(None, None)
    return reading, _followed(plan, far, far.primary_key).read(snapshot, "far")


def _followed(
    plan: Plan, side: Side, key: tuple[str, ...], pending: Expression | None = None
) -> Followed:
    return Followed(
        side.table,
        side.cursor,
        side.written_at,
        pending,
        key=key,
        changed_at=side.changed_at,
        settle=plan.scope.settle,
    )
