"""SQLite: the embedded demo ledger, and whatever else is a file."""

import sqlite3
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import URL, Connection

from checks.sql import exact
from checks.sql.functions import TEXT_FUNCTIONS
from checks.sql.values import scalar
from worker.model.server import Load
from worker.sources.driver import Explained

_STEPS_BETWEEN_LOOKS = 10_000


class SQLite:
    """Connections that can only read the file, and how their queries are bounded and stopped."""

    def __init__(self, url: URL, limit: float, connect_timeout: float) -> None:
        """`limit` and `connect_timeout` are seconds."""
        self.url = url.set(drivername="sqlite+pysqlite")
        self._path = Path(url.database or "")
        self._limit = limit
        self._connect_timeout = connect_timeout

    def connect(self) -> sqlite3.Connection:
        """Open the file read-only: a file that is not there is an error, not a new database."""
        raw = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=self._connect_timeout,
        )
        raw.execute("PRAGMA query_only = ON")
        raw.create_function("abridged", 1, scalar, deterministic=True)  # see `checks.sql.functions`
        for name, (arguments, function) in exact.FUNCTIONS.items():
            raw.create_function(name, arguments, function, deterministic=True)
        for name, aggregate in exact.AGGREGATES.items():
            raw.create_window_function(name, 1, aggregate)
        for name, change in TEXT_FUNCTIONS.items():
            raw.create_function(name, 1, change, deterministic=True)
        return raw

    def begin(self, connection: Connection) -> None:
        """See `Server.begin`."""
        connection.exec_driver_sql("BEGIN")

    def unbounded_reads(self, raw: object, *, allowed: bool) -> None:
        """Give the snapshot that begins its time limit; one that ended has none."""
        end = time.monotonic() + self._limit
        look = (lambda: time.monotonic() > end) if allowed else None
        cast("sqlite3.Connection", raw).set_progress_handler(look, _STEPS_BETWEEN_LOOKS)

    def stop_query(self, raw: object) -> None:
        """Interrupt it, unless it has ended meanwhile."""
        with suppress(sqlite3.ProgrammingError):
            cast("sqlite3.Connection", raw).interrupt()

    def abandon(self, raw: object) -> None:
        """Interrupt it once more: a file does not hang as a socket does."""
        self.stop_query(raw)

    def close(self) -> None:
        """Nothing waits for a file for long."""

    def identity(self, _connection: Connection) -> Mapping[str, object]:
        """The library's version; a file opened read-only has no account that could write."""
        return {
            "server": "SQLite",
            "version": sqlite3.sqlite_version,
            "host": "localhost",
            "time_zone": "UTC",
            "schema": self._path.name,
        }

    def load(self, _connection: Connection, _wanted: Collection[str]) -> Load:
        """A file has no server that could be busy."""
        return Load({}, {})

    def explain(self, error: BaseException | None) -> Explained:
        """See `Server.explain`."""
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_INTERRUPT:
            return Explained(f"stopped: time limit of {self._limit:g} s", overrun=True)
        if code == sqlite3.SQLITE_CANTOPEN:
            return Explained(
                f"file {self._path} cannot be opened (`reconciler demo` builds the demo)",
                unreachable=True,
            )
        return Explained(str(error))
