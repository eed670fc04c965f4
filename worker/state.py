"""Runs and findings, kept so that a restart forgets nothing."""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from checks.base import Finding, Result
from worker.log import dump
from worker.run import Outcome, Run

T = TypeVar("T")

SCHEMA_VERSION = 1
"""Counted up whenever a table changes; a state of a later version is left alone."""

RUNS_KEPT = 100
"""Runs kept of each check."""

FINDINGS_KEPT = 1000
"""Unresolved findings kept of each check; the violation count is exact all the same."""

_metadata = MetaData()
_versions = Table("schema_version", _metadata, Column("version", Integer, primary_key=True))
_runs = Table(
    "runs",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("check_name", String(200), nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("scope", String(12), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("examined", Integer),
    Column("violations", Integer),
    Column("error", Text),
    Index("runs_of_check", "check_name", "id"),
)
_findings = Table(
    "findings",
    _metadata,
    Column("id", String(32), primary_key=True),
    Column("check_name", String(200), nullable=False),
    Column("state", String(12), nullable=False),
    Column("key", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("times_seen", Integer, nullable=False),
    Index("findings_of_check", "check_name", "state"),
)


class FindingState(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    RESOLVED = "resolved"


class Change(StrEnum):
    """What a transition is; also the name of its log event."""

    FINDING_OPENED = "finding_opened"
    FINDING_CONFIRMED = "finding_confirmed"
    FINDING_RESOLVED = "finding_resolved"
    CHECK_FAILED = "check_failed"
    CHECK_RECOVERED = "check_recovered"


_unresolved = _findings.c.state != FindingState.RESOLVED


@dataclass(frozen=True, slots=True)
class Transition:
    """A finding or a check changed state."""

    change: Change
    run: Run
    finding_id: str | None = None
    message: str | None = None
    key: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is remembered of a check's runs."""

    outcome: Outcome
    completed_at: datetime | None
    """When a run last answered the check's question."""


class StateError(Exception):
    """The state cannot be used at all: another version, or not to be reached."""


def finding_id(check: str, finding: Finding) -> str:
    """A finding's stable identity: 32 hex digits from its check's name and its key."""
    identity = dump([check, sorted(finding.key.items())])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


class State:
    """Runs and findings in a database, and a shadow of them in memory for when it does not work.

    Audit and metrics go on without the database: nothing here raises for its sake, except that a
    state of a later version is refused at start (StateError). `failure` says what is wrong.
    """

    def __init__(self, url: URL) -> None:
        self.failure: str | None = None
        """Why the database does not work at present; None while it does."""
        self.set_aside: Path | None = None
        """Where a corrupt state file was moved."""
        self._lock = threading.Lock()
        self._engine = _engine(url)
        self._memory = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        _metadata.create_all(self._memory)
        try:
            self.set_aside = _set_corrupt_file_aside(url, self._engine)
            with self._engine.begin() as connection, self._memory.begin() as memory:
                _prepare(connection)
                _copy(connection, memory)
        except (SQLAlchemyError, OSError) as error:
            self.failure = _reason(error)

    def record(self, run: Run) -> tuple[Transition, ...]:
        """Remember a run and its findings; tell what changed by it."""
        return self._do(lambda connection: _record(connection, run))

    def counts(self) -> dict[tuple[str, FindingState], int]:
        """How many unresolved findings each check has, by state."""
        return self._do(_counts)

    def last_runs(self) -> dict[str, LastRun]:
        """The latest run of each check."""
        return self._do(_last_runs)

    def forget_checks_except(self, names: Iterable[str]) -> None:
        """Resolve the findings of checks that are no longer configured."""
        statement = (
            update(_findings)
            .where(_unresolved, _findings.c.check_name.not_in(list(names)))
            .values(state=FindingState.RESOLVED)
        )
        self._do(lambda connection: connection.execute(statement))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        self._memory.dispose()

    def _do(self, work: Callable[[Connection], T]) -> T:
        """Work on the database and on its shadow; on the shadow alone while the database fails."""
        with self._lock:
            try:
                with self._engine.begin() as connection:
                    if self.failure:
                        self._restore(connection)
                    answer = work(connection)
            except (SQLAlchemyError, OSError) as error:
                self.failure = _reason(error)
                with self._memory.begin() as memory:
                    return work(memory)
            self.failure = None
            with self._memory.begin() as memory:
                work(memory)
            return answer

    def _restore(self, connection: Connection) -> None:
        _prepare(connection)
        with self._memory.begin() as memory:
            _copy(memory, connection)


def _engine(url: URL) -> Engine:
    # Without a pool every transaction opens the file anew: one that was deleted or replaced is
    # noticed, not written to in the void.
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _durable(raw: sqlite3.Connection, _record: object) -> None:
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute("PRAGMA busy_timeout = 2000")

    return engine


def _set_corrupt_file_aside(url: URL, engine: Engine) -> Path | None:
    """Rename a SQLite file that is damaged, so that nothing in it is lost and a new one can be."""
    path = Path(url.database or "")
    if engine.dialect.name != "sqlite" or not path.is_file():
        return None
    try:
        with engine.connect() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok":
                return None
    except DatabaseError as error:
        if isinstance(error, OperationalError):  # locked, unreadable: not damaged
            raise
    aside = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _prepare(connection: Connection) -> None:
    """Create the tables in an empty database. Raises StateError for a state of another version."""
    _metadata.create_all(connection)
    version = connection.scalar(select(_versions.c.version))
    if version is None:
        connection.execute(insert(_versions).values(version=SCHEMA_VERSION))
    elif version != SCHEMA_VERSION:
        raise StateError(
            f"the state has schema version {version}, this worker knows {SCHEMA_VERSION}"
        )


def _copy(source: Connection, target: Connection) -> None:
    """Make the target's runs and findings those of the source."""
    for table in (_runs, _findings):
        target.execute(delete(table))
        if rows := [dict(row) for row in source.execute(select(table)).mappings()]:
            target.execute(insert(table), rows)


def _record(connection: Connection, run: Run) -> tuple[Transition, ...]:
    name, result = run.check.name, run.result
    before = connection.scalar(
        select(_runs.c.outcome)
        .where(_runs.c.check_name == name)
        .order_by(_runs.c.id.desc())
        .limit(1)
    )
    connection.execute(
        insert(_runs).values(
            check_name=name,
            outcome=run.outcome,
            scope=run.scope,
            started_at=run.started_at.timestamp(),
            seconds=run.seconds,
            examined=result and result.examined,
            violations=result and result.violations,
            error=run.error,
        )
    )
    _prune_runs(connection, name)
    transitions = []
    if run.outcome is Outcome.ERROR and before != Outcome.ERROR:
        transitions.append(Transition(Change.CHECK_FAILED, run, message=run.error))
    if run.completed and before == Outcome.ERROR:
        transitions.append(Transition(Change.CHECK_RECOVERED, run))
    if result:
        transitions += _record_findings(connection, run, result)
    return tuple(transitions)


def _record_findings(connection: Connection, run: Run, result: Result) -> Iterator[Transition]:
    name, now = run.check.name, run.started_at.timestamp()
    known = {
        row.id: row
        for row in connection.execute(
            select(_findings).where(_findings.c.check_name == name, _unresolved)
        )
    }
    seen = {finding_id(name, finding): finding for finding in result.findings}
    for identity, finding in seen.items():
        row = known.get(identity)
        if row is None and len(known) + len(seen) > FINDINGS_KEPT:
            continue
        times = row.times_seen + 1 if row else 1
        confirmed = times >= run.check.confirmations
        values = {
            "state": FindingState.CONFIRMED if confirmed else FindingState.OPEN,
            "message": finding.message,
            "evidence": dump(finding.evidence),
            "last_seen": now,
            "times_seen": times,
        }
        if row:
            connection.execute(update(_findings).where(_findings.c.id == identity).values(values))
        else:
            _open_finding(connection, identity, run, finding, values)
            yield Transition(Change.FINDING_OPENED, run, identity, finding.message, finding.key)
        if confirmed and (row is None or row.state == FindingState.OPEN):
            yield Transition(Change.FINDING_CONFIRMED, run, identity, finding.message, finding.key)
    # What a sample leaves out may still be wrong.
    for identity in known.keys() - seen.keys() if result.sample_is_whole else ():
        row = known[identity]
        connection.execute(
            update(_findings)
            .where(_findings.c.id == identity)
            .values(state=FindingState.RESOLVED, last_seen=now)
        )
        yield Transition(Change.FINDING_RESOLVED, run, identity, row.message, json.loads(row.key))


def _open_finding(
    connection: Connection, identity: str, run: Run, finding: Finding, values: dict[str, Any]
) -> None:
    connection.execute(delete(_findings).where(_findings.c.id == identity))  # resolved before
    connection.execute(
        insert(_findings).values(
            id=identity,
            check_name=run.check.name,
            key=dump(finding.key),
            first_seen=run.started_at.timestamp(),
            **values,
        )
    )


def _prune_runs(connection: Connection, name: str) -> None:
    oldest_kept = (
        select(_runs.c.id)
        .where(_runs.c.check_name == name)
        .order_by(_runs.c.id.desc())
        .limit(1)
        .offset(RUNS_KEPT - 1)
    )
    if (oldest := connection.scalar(oldest_kept)) is not None:
        connection.execute(delete(_runs).where(_runs.c.check_name == name, _runs.c.id < oldest))


def _counts(connection: Connection) -> dict[tuple[str, FindingState], int]:
    statement = (
        select(_findings.c.check_name, _findings.c.state, func.count())
        .where(_unresolved)
        .group_by(_findings.c.check_name, _findings.c.state)
    )
    return {(name, FindingState(state)): n for name, state, n in connection.execute(statement)}


def _last_runs(connection: Connection) -> dict[str, LastRun]:
    latest = select(func.max(_runs.c.id)).group_by(_runs.c.check_name)
    completed = (
        select(_runs.c.check_name, func.max(_runs.c.started_at + _runs.c.seconds))
        .where(_runs.c.outcome.in_([Outcome.PASS, Outcome.FAIL]))
        .group_by(_runs.c.check_name)
    )
    times = {
        name: datetime.fromtimestamp(time, UTC) for name, time in connection.execute(completed)
    }
    rows = connection.execute(
        select(_runs.c.check_name, _runs.c.outcome).where(_runs.c.id.in_(latest))
    )
    return {name: LastRun(Outcome(outcome), times.get(name)) for name, outcome in rows}


def _reason(error: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
