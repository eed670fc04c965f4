"""One audited database: its few connections, its snapshots, and what becomes of its errors."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from checks.contract import CheckError, RunStopped
from checks.sql import catalog
from worker.config import DatabaseSettings
from worker.model.server import Identity, Load
from worker.sources.deadline import GRACE, Deadline
from worker.sources.driver import Explained, Server
from worker.sources.mysql import MySQL
from worker.sources.sqlite import SQLite

RETRY_AFTER = 5.0
"""Seconds in which a database that could not be reached is not tried again: runs fail at once."""

ASK_FOR_RIGHTS_AFTER = 60.0
"""Seconds in which the server is not asked again for what the account may not see: refusals are
counted there, and looked at."""

QUICKLY = 1.0
"""Seconds within which a connection that breaks while it is made was cut, not waited for."""

RENEWED_AFTER = 600
"""Seconds after which a connection is made anew: with the password and the certificate of then."""

_DEADLINE = "reconciler_deadline"


class Database:
    """Snapshots of one database, at most `connections` at a time; one more stops queries."""

    def __init__(self, name: str, settings: DatabaseSettings) -> None:
        self.name = name
        self._settings = settings
        self._limit = settings.time_limit.total_seconds()
        self._server = _server(settings)
        self._engine = _engine(self._server, settings.connections)
        self._active: set[Deadline] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._unreachable: tuple[float, Explained] | None = None
        self._was_cut = False
        """Whether the latest connection broke while it was made."""
        self._unseen: tuple[float, Mapping[str, str]] = (0.0, {})
        """What the account may not see of the load, and when the server last said so."""

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """See `checks.ports.Sources.snapshot`."""
        self._refuse_if_known_unreachable()
        began = time.monotonic()
        deadline: Deadline | None = None
        try:
            with self._engine.connect() as connection:
                self._unreachable, self._was_cut = None, False
                deadline = self._watch(connection)
                try:
                    catalog.remember(connection)
                    if why := self._server.begin(connection):
                        connection.invalidate()  # or the next snapshot would have it, too
                        raise self._error(Explained(why))
                    yield connection
                finally:
                    self._end(connection, deadline)
                # A run whose data was cut off must not pass for complete.
                deadline.refuse_if_ended()
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            if deadline and deadline.reason:
                raise deadline.reason from None
            # A connection that was lost, killed by a person perhaps, says nothing about the next
            # one; one that was not had in time does, and so does the second that is cut.
            lost = deadline is not None
            if not lost and time.monotonic() - began < QUICKLY:
                lost, self._was_cut = not self._was_cut, True
            raise self._explained(error, lost=lost) from None
        finally:
            if self._closing:  # nobody else will close what has just been given back
                self._engine.pool.dispose()

    def identify(self) -> Identity:
        """Ask the server who it is. Raises CheckError."""
        with self.snapshot() as connection:
            known = self._server.identity(connection)
        url = self._server.url
        identity = Identity(
            database=self.name,
            environment=self._settings.environment,
            host=url.host or "",
            port=url.port or 0,
            schema=url.database or "",
            user="",
            server="",
            version="",
            time_zone="",
            writable=(),
        )
        return replace(identity, **known)  # type: ignore[arg-type]  # its own fields

    def load(self) -> Load:
        """How busy the server is, as far as somebody asked for limits. Raises CheckError."""
        asked_at, unseen = self._unseen
        if time.monotonic() - asked_at > ASK_FOR_RIGHTS_AFTER:
            unseen = {}
        if not (wanted := self._settings.back_off.limits.keys() - unseen.keys()):
            return Load({}, unseen)
        with self.snapshot() as connection:
            load = self._server.load(connection, wanted)
        if load.unseen:
            self._unseen = (time.monotonic(), {**unseen, **load.unseen})
        return Load(load.values, {**unseen, **load.unseen})

    @property
    def unreachable(self) -> str | None:
        """Why the latest attempt to connect failed; None when it did not."""
        known = self._unreachable
        return known[1].message if known else None

    def close(self) -> None:
        """Stop what is running, on the server too, and take no more snapshots."""
        with self._lock:
            self._closing = True
            active = list(self._active)
        stopped = RunStopped("the worker is stopping")
        for each in active:
            threading.Thread(target=each.end, args=[stopped], name="stop", daemon=True).start()
        end = time.monotonic() + GRACE
        for each in active:
            each.wait(end - time.monotonic())
        # Whoever still waits, for an answer or for a connection, waits for a server that hangs.
        self._server.close()
        self._engine.pool.dispose()

    def _refuse_if_known_unreachable(self) -> None:
        if self._closing:
            raise RunStopped("the worker is stopping")
        known = self._unreachable
        if known and time.monotonic() < known[0]:
            raise self._error(known[1])

    def _watch(self, connection: Connection) -> Deadline:
        raw = connection.connection.driver_connection
        overrun = CheckError(
            f"stopped: time limit, a run may read for {self._limit:g} s at most", overrun=True
        )
        with self._lock:
            if self._closing:
                raise RunStopped("the worker is stopping")
            self._server.unbounded_reads(raw, allowed=True)
            deadline = Deadline(self._server, raw, self._limit, overrun)
            self._active.add(deadline)
        connection.info[_DEADLINE] = deadline
        return deadline

    def _end(self, connection: Connection, deadline: Deadline) -> None:
        deadline.cancel()
        with self._lock:
            self._active.discard(deadline)
        if deadline.was_cut:
            self._remember_unreachable(Explained("the server does not answer", unreachable=True))
        if deadline.reason or connection.invalidated or self._closing:
            # A late KILL QUERY could hit whatever this connection runs next.
            connection.invalidate()
            return
        self._server.unbounded_reads(deadline.raw, allowed=False)
        try:
            connection.rollback()
        except DBAPIError:
            connection.invalidate()
            raise

    def _explained(
        self, error: DBAPIError | PoolTimeoutError | OSError, *, lost: bool
    ) -> CheckError:
        if self._closing:
            return RunStopped("the worker is stopping")
        if isinstance(error, PoolTimeoutError):
            return self._error(Explained("its connections are all in use"))
        explained = self._server.explain(error.orig if isinstance(error, DBAPIError) else error)
        explained = replace(explained, passing=explained.passing and lost)
        if explained.unreachable and not explained.passing:
            self._remember_unreachable(explained)
        return self._error(explained)

    def _remember_unreachable(self, explained: Explained) -> None:
        self._unreachable = (time.monotonic() + RETRY_AFTER, explained)

    def _error(self, explained: Explained) -> CheckError:
        return CheckError(
            f"database {self.name}: {explained.message}",
            permanent=explained.permanent,
            retry=explained.passing,
            overrun=explained.overrun,
        )


def _server(settings: DatabaseSettings) -> Server:
    limit, connect = settings.time_limit, settings.connect_timeout
    if settings.parsed.get_backend_name() == "sqlite":
        return SQLite(settings.parsed, limit.total_seconds(), connect.total_seconds())
    return MySQL(settings)


def _engine(server: Server, connections: int) -> Engine:
    engine = create_engine(
        server.url,
        creator=server.connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=RETRY_AFTER,
        pool_pre_ping=True,
        pool_recycle=RENEWED_AFTER,
        # `Database._end` has rolled back; the pool would log a failure instead of raising it.
        pool_reset_on_return=None,
        # Exceptions would else repeat row data.
        hide_parameters=True,
    )

    @event.listens_for(engine, "before_cursor_execute")
    def _on_statement(connection: Connection, *_: Any) -> None:
        if deadline := connection.info.get(_DEADLINE):
            deadline.refuse_if_ended()

    @event.listens_for(engine, "checkin")
    def _on_checkin(raw: object | None, _entry: ConnectionPoolEntry) -> None:
        if raw is not None:
            server.unbounded_reads(raw, allowed=False)

    return engine
