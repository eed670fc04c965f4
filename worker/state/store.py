"""Where the state lives, and what happens when that place does not work."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, update
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from worker.run import Run
from worker.state import record, tables
from worker.state.record import LastRun, Transition
from worker.state.tables import FindingState, StateError

T = TypeVar("T")

RETRY_AFTER = 5.0
"""Seconds for which a database that failed is not tried again: no run waits for it meanwhile."""


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
        self._url = url
        self._engine = _engine(url)
        self._retry_at = 0.0
        self._memory = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        tables.metadata.create_all(self._memory)
        try:
            self.set_aside = _set_corrupt_file_aside(url, self._engine)
            with self._engine.begin() as connection, self._memory.begin() as memory:
                tables.prepare(connection)
                tables.copy(connection, memory)
        except (SQLAlchemyError, OSError) as error:
            self._fail(error)
        except StateError:
            self.close()
            raise

    def record(self, run: Run) -> tuple[Transition, ...]:
        """Remember a run and its findings; tell what changed by it."""
        return self._do(lambda connection: record.record(connection, run))

    def counts(self) -> dict[tuple[str, FindingState], int]:
        """How many unresolved findings each check has, by state."""
        return self._do(record.counts)

    def last_runs(self) -> dict[str, LastRun]:
        """The latest run of each check."""
        return self._do(record.last_runs)

    def forget_checks_except(self, names: Iterable[str]) -> int:
        """Resolve the findings of checks that are no longer configured; tells how many."""
        statement = (
            update(tables.findings)
            .where(tables.unresolved, tables.findings.c.check_name.not_in(list(names)))
            .values(state=FindingState.RESOLVED)
        )
        return self._do(lambda connection: connection.execute(statement).rowcount)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        self._memory.dispose()

    def _do(self, work: Callable[[Connection], T]) -> T:
        """Work on the database and on its shadow; on the shadow alone while the database fails."""
        with self._lock:
            if self.failure:
                self._try_to_recover()
            if not self.failure:
                try:
                    with self._engine.begin() as connection:
                        answer = work(connection)
                except (SQLAlchemyError, OSError) as error:
                    self._fail(error)
                else:
                    with self._memory.begin() as memory:
                        work(memory)
                    return answer
            with self._memory.begin() as memory:
                return work(memory)

    def _fail(self, error: Exception) -> None:
        self.failure = _reason(error)
        self._retry_at = time.monotonic() + RETRY_AFTER

    def _try_to_recover(self) -> None:
        """Bring the database up to what the shadow knows."""
        if time.monotonic() < self._retry_at:
            return
        try:
            self.set_aside = _set_corrupt_file_aside(self._url, self._engine) or self.set_aside
            with self._engine.begin() as connection, self._memory.begin() as memory:
                tables.prepare(connection)
                tables.copy(memory, connection)
        except (SQLAlchemyError, OSError, StateError) as error:
            self._fail(error)
        else:
            self.failure = None


def _engine(url: URL) -> Engine:
    # Without a pool every transaction opens the file anew: one that was deleted or replaced is
    # noticed, not written to in the void.
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _durable(raw: sqlite3.Connection, _record: object) -> None:
            try:
                raw.execute("PRAGMA busy_timeout = 2000")
                raw.execute("PRAGMA journal_mode = WAL")
                raw.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error:
                raw.close()  # the pool never saw it
                raise

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


def _reason(error: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]
