"""MySQL 8 or later and MariaDB, through PyMySQL."""

import re
import socket
import threading
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

import pymysql
from pymysql import converters
from pymysql.constants import CR, ER, FIELD_TYPE, SERVER_STATUS
from sqlalchemy import URL, Connection, text

from checks.contract import RunStopped
from worker.client import mysql, session_variables
from worker.client.authentication import Connection as GuardedConnection
from worker.client.error_words import without_values
from worker.config import DatabaseSettings
from worker.model.server import Load
from worker.sources import dialect
from worker.sources.deadline import Patience
from worker.sources.driver import Explained
from worker.sources.load import load

LOCK_WAIT = 3
"""Seconds to wait for a metadata lock: a queue behind the auditor is an outage."""

SPARE = 5
"""Seconds by which a server's patience with a session is to outlast a snapshot."""

_IDLENESS = (
    *("wait_timeout", "net_write_timeout", "net_read_timeout"),
    *("idle_transaction_timeout", "idle_readonly_transaction_timeout"),
)
"""What ends a session in the midst of a snapshot, in seconds."""

_BUFFERS = {"sort_buffer_size": 256 << 10, "range_optimizer_max_mem_size": 8 << 20}
"""Bytes without which a query may fail."""

_SOMEBODY_BETWEEN = "(does a proxy share sessions, or init_connect change them?)"

LISTS = 16
"""The part of a temporary table that one list may have (`GROUP_CONCAT`)."""

_READING = {
    "SELECT",
    "USAGE",
    "SHOW VIEW",
    "SHOW DATABASES",
    "SHOW_ROUTINE",
    "SHOW CREATE ROUTINE",
    "PROCESS",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
    "SLAVE MONITOR",
    "REPLICA MONITOR",
}
_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<object>.+?) TO ", re.DOTALL)

_EXPLAINED = {
    0: "the connection was closed",
    1317: "the query was stopped on the server (KILL QUERY)",
    1412: "a table's definition changed during the run",
    1969: "stopped by the server: time limit (max_statement_time)",
    3024: "stopped by the server: time limit (max_execution_time)",
}
_OVERRUN = {1969, 3024}
_PERMANENT = {
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.BAD_DB_ERROR,
    ER.NO_SUCH_TABLE,
    ER.BAD_FIELD_ERROR,
}
_UNREACHABLE = {
    CR.CR_CONNECTION_ERROR,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_MALFORMED_PACKET,
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.BAD_DB_ERROR,
    ER.CON_COUNT_ERROR,
    ER.TOO_MANY_USER_CONNECTIONS,
    ER.USER_LIMIT_REACHED,
    ER.HOST_IS_BLOCKED,
    ER.HOST_NOT_PRIVILEGED,
    ER.SERVER_SHUTDOWN,
    ER.NEW_ABORTING_CONNECTION,
}
_CONNECTION_KILLED = 1927
_PASSING = {
    1412,
    _CONNECTION_KILLED,
    ER.NEW_ABORTING_CONNECTION,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
}
_NAMES_ONLY = _PERMANENT | _UNREACHABLE
"""Errors whose words quote accounts, hosts, tables and columns, and never a value of a row."""

_CONVERSIONS: dict[Any, Any] = {**converters.conversions, FIELD_TYPE.BIT: int.from_bytes}
"""How values of the server become Python's: BIT is a number, as it is in SQL."""


class _Connection(GuardedConnection):  # the stubs leave out what is protected
    """A driver connection whose read time-out can be changed while it lives.

    PyMySQL has one time-out for the handshake, a ping and a query; those differ by a factor of ten.
    """

    settings: session_variables.Settings
    """Its session, once it is set up."""

    @property
    def is_in_transaction(self) -> bool:
        """Whether the server said so at the end of the latest statement without a result."""
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)  # type: ignore[attr-defined]

    def let_reads_last(self, seconds: float) -> None:
        self._read_timeout = seconds

    def _read_query_result(self, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002
        with self._lost_at_garbage():
            return cast("int", super()._read_query_result(unbuffered))  # type: ignore[misc]

    def _read_ok_packet(self) -> object:
        with self._lost_at_garbage():
            return super()._read_ok_packet()  # type: ignore[misc]

    @contextmanager
    def _lost_at_garbage(self) -> Iterator[None]:
        """Whoever does not speak the protocol any more is not listened to any further."""
        try:
            yield
        except mysql.NO_PROTOCOL:
            self._force_close()  # type: ignore[attr-defined]
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, "an answer was garbled") from None

    def cut(self) -> None:
        """Make a read that hangs in another thread return, with an error."""
        # Closing would wait for that read to end: it holds the buffer's lock.
        if sock := self._sock:  # type: ignore[attr-defined]
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it, also when PyMySQL has done so itself after an error."""
        if self.open:
            super().close()


class MySQL:
    """Connections to a MySQL or MariaDB server, and how their queries are bounded and stopped."""

    def __init__(self, settings: DatabaseSettings) -> None:
        url = settings.parsed
        self.url = url.set(drivername=dialect.DRIVER, port=url.port or 3306)
        self._settings = settings
        self._limit = settings.time_limit.total_seconds()
        self._temporary_table = settings.temporary_table_mb << 20
        self._connect_timeout = settings.connect_timeout.total_seconds()
        self._one_stop = threading.Lock()
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._closed = False

    def connect(self) -> _Connection:
        """Connect and set the session up: time limit, isolation level, UTC, lock waits."""
        with self._opened() as raw:
            try:
                self._set_up(raw)
            except BaseException:
                raw.close()
                raise
            return raw

    def begin(self, connection: Connection) -> str | None:
        """See `Server.begin`.

        The session is read back in each snapshot: a proxy may have put another in its place.
        """
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        raw = cast("_Connection", connection.connection.driver_connection)
        if not raw.is_in_transaction:
            return f"no transaction has begun {_SOMEBODY_BETWEEN}"
        *settings, database = connection.exec_driver_sql(raw.settings.question).one()
        found = raw.settings.differences(settings)
        if not self._is_ours(database, raw.settings):
            found.append(f"the session's database is {database}, not {self.url.database}")
        return f"{found[0]} {_SOMEBODY_BETWEEN}" if found else None

    def _is_ours(self, database: object, settings: session_variables.Settings) -> bool:
        folds = settings.found.get("lower_case_table_names") != "0"
        one, other = str(database), self.url.database or ""
        return one == other or (folds and one.lower() == other.lower())

    def unbounded_reads(self, raw: object, *, allowed: bool) -> None:
        """Reads may outlast the server's limit by 5 s: the server is to be the first to stop."""
        seconds = self._limit + 5 if allowed else self._connect_timeout
        cast("_Connection", raw).let_reads_last(seconds)

    def stop_query(self, raw: object) -> None:
        """KILL QUERY from a connection of its own; one's own threads need no privilege for it."""
        thread = cast("_Connection", raw).thread_id()
        failures = (pymysql.MySQLError, OSError, RunStopped)
        with self._one_stop, suppress(*failures), self._opened() as killer:
            try:
                killer.query(f"KILL QUERY {int(thread)}")
            finally:
                killer.close()

    def abandon(self, raw: object) -> None:
        """Shut the socket down; its own thread closes it."""
        cast("_Connection", raw).cut()

    def close(self) -> None:
        """See `Server.close`."""
        with self._lock:
            self._closed = True
            connections = list(self._connections)
        for each in connections:
            each.cut()

    def identity(self, connection: Connection) -> Mapping[str, object]:
        """Version, zone, account and its privileges, as the server tells them."""
        row = connection.execute(
            text(
                "SELECT CURRENT_USER() AS user,"
                " @@system_time_zone AS system_zone, @@global.time_zone AS zone"
            )
        ).one()
        raw = cast("_Connection", connection.connection.driver_connection)
        protocol, cipher = mysql.cipher_of(raw)
        grants = [grant for (grant,) in connection.exec_driver_sql("SHOW GRANTS")]
        return {
            "server": "MariaDB" if raw.settings.is_mariadb else "MySQL",
            "version": raw.settings.version,
            "user": row.user,
            "time_zone": row.system_zone if row.zone == "SYSTEM" else row.zone,
            "writable": tuple(sorted(writing_privileges(grants))),
            "tls": protocol,
            "cipher": cipher,
        }

    def load(self, connection: Connection, wanted: Collection[str]) -> Load:
        """See `Server.load`."""
        return load(connection, wanted)

    def explain(self, error: BaseException | None) -> Explained:
        """See `Server.explain`."""
        if known := mysql.explained(error):
            passing = not known.permanent
            return Explained(str(known), known.permanent, unreachable=True, passing=passing)
        code = error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else None
        if not isinstance(code, int):
            lost = isinstance(error, ConnectionError)
            message = f"connection failed: {type(error).__name__}"
            return Explained(message, unreachable=True, passing=lost)
        words = str(error.args[1]) if error is not None and len(error.args) > 1 else ""
        message = _EXPLAINED.get(code) or f"{_without_values(code, words)} ({code})"
        return Explained(
            message,
            code in _PERMANENT,
            code in _UNREACHABLE,
            overrun=code in _OVERRUN,
            passing=code in _PASSING,
        )

    @contextmanager
    def _opened(self) -> Iterator[_Connection]:
        """A connection that the block makes ready; it is cut when that takes too long.

        Each single answer is waited for shortly, but a slow network may make many of these.
        """
        tried: list[_Connection] = []

        def connect(url: URL, tls: Mapping[str, Any]) -> _Connection:
            tried.append(self._unconnected(url, tls))
            tried[-1].connect()
            return tried[-1]

        patience = Patience(self._connect_timeout, lambda: tried[-1].cut() if tried else None)
        try:
            yield mysql.connect(self._settings, connect)
        except (pymysql.MySQLError, OSError):
            if patience.end():
                raise self._too_slow() from None
            raise
        finally:
            too_late = patience.end()
        if too_late:
            raise self._too_slow()

    def _too_slow(self) -> pymysql.OperationalError:
        return pymysql.OperationalError(
            CR.CR_SERVER_LOST, f"connecting took longer than {self._connect_timeout:g} s"
        )

    def _unconnected(self, url: URL, tls: Mapping[str, Any]) -> _Connection:
        raw = _Connection(
            host=url.host,
            port=url.port or 3306,
            user=url.username,
            password=(url.password or "").encode(),  # PyMySQL would take Latin-1
            database=url.database,
            charset="utf8mb4",
            connect_timeout=self._connect_timeout,
            read_timeout=self._connect_timeout,
            write_timeout=self._connect_timeout,
            program_name="reconciler",
            defer_connect=True,
            conv=_CONVERSIONS,
            **tls,
        )
        with self._lock:
            if self._closed:
                raise RunStopped("the worker is stopping")
            self._connections.add(raw)
        return raw

    def _set_up(self, raw: _Connection) -> None:
        found = session_variables.list_variables(raw)
        has_limit = "max_execution_time" in found
        transaction = "transaction" if "transaction_isolation" in found else "tx"
        settings: dict[str, session_variables.Value] = {
            # Under another level WITH CONSISTENT SNAPSHOT is silently no snapshot.
            f"{transaction}_isolation": "REPEATABLE-READ",
            # On MariaDB a CREATE or DROP commits a read-only snapshot and goes ahead.
            f"{transaction}_read_only": 1,
            "time_zone": "+00:00",
            # The server's own may change what SQL means; MariaDB's ONLY_FULL_GROUP_BY refuses ours.
            "sql_mode": "",
            "lock_wait_timeout": LOCK_WAIT,
            # What does not fit is sorted on disk, several times as long.
            "tmp_table_size": self._temporary_table,
            "max_heap_table_size": self._temporary_table,
            # Or MySQL cuts lists after 1024 bytes.
            "group_concat_max_len": self._temporary_table // LISTS,
            "max_execution_time" if has_limit else "max_statement_time": (
                int(self._limit * 1000) if has_limit else self._limit
            ),
        }
        seconds = int(self._limit) + SPARE
        needed = dict.fromkeys(_IDLENESS, seconds) | _BUFFERS
        needed["tmp_disk_table_size"] = self._temporary_table
        lasting = session_variables.at_least(found, needed)
        raw.settings = session_variables.pin(raw, found, settings | lasting)


def _without_values(code: int, words: str) -> str:
    """A server's words, less what may be a value of a row."""
    return words if code in _NAMES_ONLY else without_values(code, words)


def writing_privileges(grants: Iterable[str]) -> set[str]:
    """Privileges beyond reading in the lines of SHOW GRANTS (active roles are in them)."""
    found: set[str] = set()
    for grant in grants:
        if match := _GRANT.match(grant):
            # Column lists in parentheses: SELECT (`a`, `b`), INSERT (`a`)
            names = re.sub(r"\([^)]*\)", "", match["privileges"]).split(",")
            found |= {name.strip().upper() for name in names} - _READING - {"PROXY"}
            # Limits of an account may follow: WITH GRANT OPTION MAX_USER_CONNECTIONS 3
            if match["privileges"] != "PROXY" and "WITH GRANT OPTION" in grant[match.end() :]:
                found.add("GRANT OPTION")
    return found
