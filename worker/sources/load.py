"""How busy a MySQL or MariaDB server is, as far as the account may see it."""

from collections.abc import Callable, Collection, Mapping

from pymysql.constants import ER
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker.model.server import Load

_MAY_NOT_SEE = {
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.PARSE_ERROR,  # a server that is older than the statement
    ER.UNKNOWN_TABLE,
}
_STATUS = "SHOW GLOBAL STATUS LIKE '{}'"
_HISTORY = "SELECT count FROM information_schema.INNODB_METRICS WHERE name = 'trx_rseg_history_len'"
_REPLICA = {True: "SHOW ALL SLAVES STATUS", False: "SHOW REPLICA STATUS"}
"""By whether it is MariaDB. Both list every channel."""
_BEHIND = ("Seconds_Behind_Master", "Seconds_Behind_Source")


def load(connection: Connection, wanted: Collection[str]) -> Load:
    """Look at what is wanted. Raises DBAPIError when it cannot, for another reason than rights."""
    values: dict[str, float] = {}
    unseen: dict[str, str] = {}
    for name in wanted:
        try:
            value = _SEEN[name](connection)
        except DBAPIError as error:
            code, words = (*getattr(error.orig, "args", ()), None, None)[:2]
            if code not in _MAY_NOT_SEE:
                raise
            unseen[name] = f"{words} ({code})"
            continue
        if value is not None:
            values[name] = value
    return Load(values, unseen)


def _threads_running(connection: Connection) -> float | None:
    return _status(connection, "Threads_running")


def _history_list(connection: Connection) -> float | None:
    if _is_mariadb(connection):
        return _status(connection, "Innodb_history_list_length")
    return connection.exec_driver_sql(_HISTORY).scalar()


def _replication_lag(connection: Connection) -> float | None:
    """Of the channel that is furthest behind; None where nothing is replicated, or it stands."""
    rows = connection.exec_driver_sql(_REPLICA[_is_mariadb(connection)]).mappings()
    told = [row.get(name) for row in rows for name in _BEHIND]
    return max((float(each) for each in told if each is not None), default=None)


def _status(connection: Connection, name: str) -> float | None:
    row = connection.exec_driver_sql(_STATUS.format(name)).one_or_none()
    return float(row[1]) if row else None


def _is_mariadb(connection: Connection) -> bool:
    return bool(connection.dialect.is_mariadb)  # type: ignore[attr-defined]  # of MySQL's dialect


_SEEN: Mapping[str, Callable[[Connection], float | None]] = {
    "threads_running": _threads_running,
    "history_list": _history_list,
    "replication_lag": _replication_lag,
}
