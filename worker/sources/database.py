"""One audited database: its few connections, its snapshots, and what becomes of its errors."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from checks.base import CheckError, RunStopped
from worker.settings import DatabaseSettings
from worker.sources.mysql import MySQL
from worker.sources.sqlite import SQLite

CONCURRENT_SNAPSHOTS = 2
"""Snapshots of one database at a time. With the connection that stops queries: 3 in all."""

RETRY_AFTER = 5.0
"""Seconds in which a database that could not be reached is not tried again: runs fail at once."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server a database's connections really speak to."""

    database: str
    environment: str
    host: str
    port: int
    schema: str
    user: str
    server: str
    """`MySQL`, `MariaDB` or `SQLite`."""
    version: str
    time_zone: str
    """The server's own zone; the worker's connections are pinned to UTC."""
    writable: tuple[str, ...]
    """Privileges of the account beyond reading; should be empty."""


class Server(Protocol):
    """What differs between servers. A driver connection (DBAPI) is passed as `raw`."""

    url: URL
    begin: str
    """The statement that opens a consistent, read-only snapshot."""

    def connect(self) -> object:
        """Open a driver connection, bounded in time, ready for snapshots."""

    def unbounded_reads(self, raw: object, *, allowed: bool) -> None:
        """Let a read last as long as a query may, or only as long as connecting may."""

    def stop_query(self, raw: object) -> None:
        """Stop what a connection is running on the server; called from another thread."""

    def abandon(self, raw: object) -> None:
        """Cut a connection that does not answer; called from another thread."""

    def identity(self, connection: Connection) -> Mapping[str, object]:
        """The fields of `Identity` that the server knows."""

    def explain(self, error: BaseException | None) -> tuple[str, bool, bool]:
        """What a driver error means: a message without row data, and two flags.

        The first tells whether it is permanent, the second whether the server is out of reach.
        """


class Database:
    """Snapshots of one database, at most `CONCURRENT_SNAPSHOTS` at a time."""

    def __init__(self, name: str, settings: DatabaseSettings) -> None:
        self.name = name
        self._settings = settings
        self._limit = settings.time_limit.total_seconds()
        self._server = _server(settings)
        self._engine = _engine(self._server)
        self._active: dict[int, _Deadline] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._unreachable: tuple[float, CheckError] | None = None

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """See `checks.base.Sources.snapshot`."""
        self._refuse_if_known_unreachable()
        deadline: _Deadline | None = None
        try:
            with self._engine.connect() as connection:
                self._unreachable = None
                deadline = self._watch(connection)
                try:
                    connection.exec_driver_sql(self._server.begin)
                    yield connection
                finally:
                    self._end(connection, deadline)
                # A run whose data was cut off must not pass for complete.
                if deadline.reason:
                    raise deadline.reason
        except (SQLAlchemyError, OSError) as error:
            if deadline and deadline.reason:
                raise deadline.reason from None
            raise self._explained(error) from None

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

    def close(self) -> None:
        """Stop what is running, on the server too, and take no more snapshots."""
        self._closing = True
        with self._lock:
            active = list(self._active.values())
        stopped = RunStopped("the worker is stopping")
        enders = [threading.Thread(target=each.end, args=[stopped], daemon=True) for each in active]
        for ender in enders:
            ender.start()
        for ender in enders:
            # A server that does not take the KILL QUERY either cannot be waited for.
            ender.join(_Deadline.GRACE)
        self._engine.dispose()

    def _refuse_if_known_unreachable(self) -> None:
        if self._closing:
            raise RunStopped("the worker is stopping")
        if self._unreachable and time.monotonic() < self._unreachable[0]:
            raise self._unreachable[1]

    def _watch(self, connection: Connection) -> "_Deadline":
        raw = connection.connection.driver_connection
        self._server.unbounded_reads(raw, allowed=True)
        reason = CheckError(f"stopped: a run may read for {self._limit:g} s at most")
        deadline = _Deadline(self._server, raw, self._limit, reason)
        with self._lock:
            self._active[id(deadline)] = deadline
        if self._closing:
            deadline.end(RunStopped("the worker is stopping"))
        return deadline

    def _end(self, connection: Connection, deadline: "_Deadline") -> None:
        deadline.cancel()
        with self._lock:
            self._active.pop(id(deadline), None)
        if deadline.reason or connection.invalidated:
            # A late KILL QUERY could hit whatever this connection runs next.
            connection.invalidate()
            return
        connection.rollback()

    def _explained(self, error: SQLAlchemyError | OSError) -> CheckError:
        if isinstance(error, PoolTimeoutError):
            return CheckError(f"database {self.name}: its connections are all in use")
        cause = error.orig if isinstance(error, DBAPIError) else error
        message, permanent, unreachable = self._server.explain(cause)
        explained = CheckError(f"database {self.name}: {message}", permanent=permanent)
        if unreachable:
            self._unreachable = (time.monotonic() + RETRY_AFTER, explained)
        return explained


class _Deadline:
    """Ends a snapshot that lasts too long: first the query on the server, then the connection."""

    GRACE = 3.0
    """Seconds between asking the server and cutting the connection."""

    def __init__(self, server: Server, raw: object, seconds: float, reason: CheckError) -> None:
        self.reason: CheckError | None = None
        self._server = server
        self._raw = raw
        self._over = threading.Event()
        # The server's own limit comes first; this is for when it does not keep it.
        self._timer = threading.Timer(seconds + 1.0, self.end, [reason])
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """The snapshot ended by itself."""
        self._over.set()
        self._timer.cancel()

    def end(self, reason: CheckError) -> None:
        """Stop the query now, and cut the connection if the snapshot does not end on that."""
        if self._over.is_set() or self.reason:
            return
        self.reason = reason
        threading.Thread(target=self._cut_if_stuck, daemon=True).start()
        self._server.stop_query(self._raw)

    def _cut_if_stuck(self) -> None:
        if not self._over.wait(self.GRACE):
            self._server.abandon(self._raw)


class Databases:
    """Every configured database by name; the `Sources` that checks are given."""

    def __init__(self, settings: Mapping[str, DatabaseSettings]) -> None:
        self._databases = {name: Database(name, each) for name, each in settings.items()}

    def __iter__(self) -> Iterator[Database]:
        return iter(self._databases.values())

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """See `checks.base.Sources.snapshot`."""
        with self._databases[database].snapshot() as connection:
            yield connection

    def close(self) -> None:
        """Stop every running query and close every connection."""
        closers = [threading.Thread(target=each.close) for each in self]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()


def _server(settings: DatabaseSettings) -> Server:
    server = SQLite if settings.parsed.get_backend_name() == "sqlite" else MySQL
    return server(
        settings.parsed,
        settings.time_limit.total_seconds(),
        settings.connect_timeout.total_seconds(),
    )


def _engine(server: Server) -> Engine:
    engine = create_engine(
        server.url,
        creator=server.connect,
        poolclass=QueuePool,
        pool_size=CONCURRENT_SNAPSHOTS,
        max_overflow=0,
        pool_timeout=RETRY_AFTER,
        pool_pre_ping=True,
        # Exceptions would else repeat row data.
        hide_parameters=True,
    )

    @event.listens_for(engine, "checkin")
    def _on_checkin(raw: object | None, _entry: ConnectionPoolEntry) -> None:
        if raw is not None:
            server.unbounded_reads(raw, allowed=False)

    return engine
