"""Snapshots of real servers: consistent, read-only, bounded in time and number; their errors."""

import itertools
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Connection, text

from checks.contract import CheckError, RunStopped
from tests.conftest import _require
from tests.support.patience import no_hang, patience, stretched, wait_until
from tests.support.proxy import FETCHED, Fault, proxy
from tests.support.servers import Database as OwnDatabase
from tests.support.servers import Farm, Flavour, Server, kill_thread
from tests.support.statements import ATTEMPT
from worker.config import DatabaseSettings
from worker.sources import Database
from worker.sources.mysql import LOCK_WAIT, _without_values, writing_privileges

Audit = Callable[..., Database]

CANARY = "k3y'\"of a customer"
ENDLESS = "SELECT SUM(a.n * b.n * c.n * d.n) FROM numbers a, numbers b, numbers c, numbers d"
LONG_RESULT = "SELECT REPEAT('x', 1000) FROM numbers a, numbers b"
"""More than what the buffers of two connections hold."""

UNLIMITED = {
    "mariadb": "SET SESSION max_statement_time = 0",
    "mysql": "SET SESSION max_execution_time = 0",
}


@pytest.fixture
def audit() -> Iterator[Audit]:
    """`audit(url, …)` is a database as the worker knows it; closed after the test."""
    made: list[Database] = []

    def make(url: URL, **settings: Any) -> Database:
        fields = {"time_limit": timedelta(minutes=1), "connect_timeout": timedelta(minutes=1)}
        given = DatabaseSettings(
            url=url.render_as_string(hide_password=False), **{**fields, **settings}
        )
        made.append(Database("ledger", given))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def ledger(ledger_database: OwnDatabase) -> OwnDatabase:
    """A database with a table `numbers` of 200 rows and one `t` of one row."""
    fill(ledger_database)
    return ledger_database


@pytest.fixture(scope="module")
def victim(flavour: Flavour, server_farm: Farm) -> Iterator[OwnDatabase]:
    """A database on a server of this module alone, READ COMMITTED and UTC+8 by default."""
    _require(flavour)
    options = ("--transaction-isolation=READ-COMMITTED", "--default-time-zone=+08:00")
    server = server_farm.start(flavour, *options)
    database = OwnDatabase(server=server, name=server.create_database())
    fill(database)
    yield database
    server_farm.discard(server)


def fill(database: OwnDatabase) -> None:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE numbers (n bigint PRIMARY KEY)")
        cursor.executemany("INSERT INTO numbers VALUES (%s)", [(n,) for n in range(200)])
        cursor.execute("CREATE TABLE t (id int PRIMARY KEY, n bigint, k varchar(100))")
        cursor.execute("INSERT INTO t VALUES (1, 100, %s)", (CANARY,))


def do(database: OwnDatabase, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements as root; the rows of the last."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


def one(connection: Connection, statement: str) -> Any:
    return connection.exec_driver_sql(statement).scalar()


def threads(database: OwnDatabase, *, condition: str = "TRUE") -> list[int]:
    """The ids of a database's connections of which a condition is true.

    Asked from outside of the database: a server shows a connection for a while after it has ended.
    """
    found = "SELECT id FROM information_schema.processlist WHERE db = %s AND " + condition
    with closing(database.server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute(found, (database.name,))
        return [row[0] for row in cursor.fetchall()]


def connections(database: OwnDatabase, *, running: bool = False) -> int:
    """How many connections there are to a database, or how many of them run a query."""
    return len(threads(database, condition="command = 'Query'" if running else "TRUE"))


def none_running(database: OwnDatabase) -> bool:
    return connections(database, running=True) == 0


def run_endless(database: Database, *before: str) -> None:
    with database.snapshot() as connection:
        for statement in before:
            connection.exec_driver_sql(statement)
        one(connection, ENDLESS)


def keep_asking(database: Database, statement: str) -> None:
    with database.snapshot() as connection:
        while True:
            one(connection, statement)


@contextmanager
def in_background(work: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Run `work` on a thread meanwhile; `.exception(seconds)` of what is given is its error."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work, *arguments)


class Clock:
    """The clock by which the worker leaves an unreachable database alone for ten minutes."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() + self._ahead

    def reaches(self, database: Database) -> bool:
        """Whether the worker reaches a database again, ten minutes later."""
        self._ahead += 600
        return works(database)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("worker.sources.database.time", made)
    monkeypatch.setattr("worker.sources.database.RETRY_AFTER", 600.0)
    return made


@contextmanager
def paused(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


# --- One moment, read-only ------------------------------------------------------------------------


def test_snapshot_is_one_moment(ledger: OwnDatabase, audit: Audit) -> None:
    """What a writer commits after the snapshot began is not seen, not even by its first read."""
    with audit(ledger.url).snapshot() as connection:
        do(ledger, "UPDATE t SET n = 101")
        assert one(connection, "SELECT n FROM t") == 100
        do(ledger, "INSERT INTO t VALUES (2, 1, 'x')")
        assert one(connection, "SELECT COUNT(*) FROM t") == 1


def test_snapshot_is_one_moment_where_read_committed_is_the_default(
    victim: OwnDatabase, audit: Audit
) -> None:
    """The isolation level is the snapshot's own, whatever the server's default."""
    with audit(victim.url).snapshot() as connection:
        do(victim, "UPDATE t SET n = 101")
        assert one(connection, "SELECT n FROM t") == 100
    do(victim, "UPDATE t SET n = 100")


def test_two_tables_never_disagree_under_writers(ledger: OwnDatabase, audit: Audit) -> None:
    """Sum and balance that change together agree in each of 150 snapshots or more."""
    do(ledger, "CREATE TABLE balance (n bigint)", "INSERT INTO balance VALUES (100)")
    stop, written = threading.Event(), list[int]()

    def write(first: int) -> None:
        with closing(ledger.connect()) as connection, connection.cursor() as cursor:
            for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count(first)):
                cursor.execute("BEGIN")
                cursor.execute(f"INSERT INTO t VALUES ({number}, 1, '')")
                cursor.execute("UPDATE balance SET n = n + 1")
                cursor.execute("COMMIT")
                written.append(number)

    database = audit(ledger.url)
    with in_background(write, 10) as one_writer, in_background(write, 10**6) as other_writer:
        try:
            apart = taken = 0
            while taken < 150 or len(written) < 100:
                assert not any(each.done() for each in (one_writer, other_writer))
                taken += 1
                with database.snapshot() as connection:
                    total = one(connection, "SELECT SUM(n) FROM t")
                    apart += total != one(connection, "SELECT n FROM balance")
        finally:
            stop.set()
    assert apart == 0


@pytest.mark.parametrize(
    "statement", ["INSERT INTO t VALUES (2, 1, '')", "DELETE FROM t", "CREATE TABLE u (id int)"]
)
def test_writes_are_refused(ledger: OwnDatabase, audit: Audit, statement: str) -> None:
    """Even with an account that may do everything, a snapshot changes nothing."""
    with pytest.raises(CheckError, match="READ ONLY"), audit(ledger.url).snapshot() as connection:
        connection.exec_driver_sql(f"{ATTEMPT} {statement}")
    assert do(ledger, "SELECT id FROM t") == [(1,)]


def test_session_is_pinned(victim: OwnDatabase, audit: Audit) -> None:
    """Times are UTC and locks waited for shortly, whatever the server's defaults."""
    with audit(victim.url).snapshot() as connection:
        row = connection.exec_driver_sql(
            "SELECT @@session.time_zone, @@session.lock_wait_timeout,"
            " TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())"
        ).one()
    assert tuple(row) == ("+00:00", LOCK_WAIT, 0)


def test_snapshot_leaves_no_transaction(ledger: OwnDatabase, audit: Audit) -> None:
    """No transaction stays open, whether the block ends well, fails in SQL or raises."""
    database = audit(ledger.url)

    def read(then: str | None = None) -> None:
        with database.snapshot() as connection:
            one(connection, "SELECT n FROM t")
            if then is None:
                raise KeyError
            one(connection, then)

    read("SELECT 1")
    with pytest.raises(CheckError):
        read("SELECT nothing FROM t")
    with pytest.raises(KeyError):
        read()
    wait_until(lambda: connections(ledger) == 1, 10, "the one connection is kept")
    open_ones = (
        "SELECT COUNT(*) FROM information_schema.innodb_trx x"
        " JOIN information_schema.processlist p ON p.id = x.trx_mysql_thread_id"
        " WHERE p.db = DATABASE()"
    )
    assert do(ledger, open_ones) == [(0,)]


# --- Bounded in time ------------------------------------------------------------------------------


def test_server_stops_a_long_query(ledger: OwnDatabase, audit: Audit) -> None:
    """The server's own limit ends a query, and the error says that it was the time limit."""
    database = audit(ledger.url, time_limit=timedelta(seconds=0.5))
    with pytest.raises(CheckError, match="time limit") as caught, no_hang(1.4):
        run_endless(database)
    assert not caught.value.permanent
    assert "max_" in str(caught.value)  # it was the server that stopped it
    wait_until(lambda: none_running(ledger), 10, "no query runs on the server")


def test_query_without_a_server_limit_is_killed(ledger: OwnDatabase, audit: Audit) -> None:
    """When the server does not keep its limit, KILL QUERY ends the query there, too."""
    database = audit(ledger.url, time_limit=timedelta(seconds=0.5))
    with pytest.raises(CheckError, match="time limit"), no_hang(4):
        run_endless(database, UNLIMITED[ledger.server.flavour])
    wait_until(lambda: none_running(ledger), 10, "no query runs on the server")
    with database.snapshot() as connection:
        assert one(connection, "SELECT 1") == 1


def test_many_short_queries_are_ended(ledger: OwnDatabase, audit: Audit) -> None:
    """A snapshot whose single queries are all short ends at the limit all the same."""
    database = audit(ledger.url, time_limit=timedelta(seconds=0.3))
    with pytest.raises(CheckError, match="time limit"), no_hang(3):
        keep_asking(database, "SELECT SUM(n) FROM numbers")
    wait_until(lambda: none_running(ledger), 10, "no query runs on the server")


def test_snapshot_that_outlives_its_limit_does_not_pass(ledger: OwnDatabase, audit: Audit) -> None:
    """A block that ends well after the deadline is an error: its data may have been cut off."""
    database = audit(ledger.url, time_limit=timedelta(seconds=0.1))
    over = threading.Event()
    with pytest.raises(CheckError, match="time limit"), database.snapshot():
        over.wait(1.5)


def test_kill_query_by_hand_is_an_error(ledger: OwnDatabase, audit: Audit) -> None:
    """A query that an administrator stops is said to have been stopped."""
    with in_background(run_endless, audit(ledger.url)) as run:
        runs = f"info = '{ENDLESS}'"
        wait_until(lambda: bool(threads(ledger, condition=runs)), 10, "the query runs")
        (thread,) = threads(ledger, condition=runs)
        do(ledger, f"KILL QUERY {thread}")
        error = run.exception(patience(10))
    assert isinstance(error, CheckError)
    assert "KILL QUERY" in str(error)


def test_lost_connection_costs_one_run(ledger: OwnDatabase, audit: Audit) -> None:
    """A connection that somebody kills is no reason to spare the server: the next read works."""
    database = audit(ledger.url)

    def read() -> None:
        with database.snapshot() as connection:
            thread = one(connection, "SELECT CONNECTION_ID()")
            do(ledger, f"KILL {thread}")
            one(connection, "SELECT COUNT(*) FROM t")

    with pytest.raises(CheckError) as caught:
        read()
    assert caught.value.retry
    assert database.unreachable is None
    assert works(database)


def test_connection_cut_while_it_is_made_costs_one_run(victim: OwnDatabase, audit: Audit) -> None:
    """A server that cuts a connection at once is not spared: the next attempt is made."""
    do(victim, "CREATE USER IF NOT EXISTS cut@'%'", f"GRANT SELECT ON {victim.name}.* TO cut@'%'")
    database = audit(victim.url.set(username="cut", password=None))
    do(victim, "SET GLOBAL init_connect = 'no statement'")  # the server then drops who connects
    try:
        with pytest.raises(CheckError) as caught:
            database.identify()
    finally:
        do(victim, "SET GLOBAL init_connect = ''")
    assert caught.value.retry
    assert works(database)


def test_ddl_before_the_first_read_of_a_snapshot(ledger: OwnDatabase, audit: Audit) -> None:
    """A table altered under a snapshot makes the run an error, not a wrong answer."""

    def read() -> None:
        with audit(ledger.url).snapshot() as connection:
            do(ledger, "ALTER TABLE t ADD COLUMN later int, FORCE")
            one(connection, "SELECT COUNT(*) FROM t")

    with pytest.raises(CheckError, match="definition changed") as caught:
        read()
    assert caught.value.retry


def test_table_locked_by_ddl_is_not_waited_for_long(ledger: OwnDatabase, audit: Audit) -> None:
    """Behind somebody's metadata lock a run gives up within seconds."""
    with closing(ledger.connect()) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLES t WRITE")
        with (
            pytest.raises(CheckError, match="Lock wait timeout"),
            no_hang(LOCK_WAIT + 2),
            audit(ledger.url).snapshot() as connection,
        ):
            one(connection, "SELECT COUNT(*) FROM t")


def test_close_ends_a_running_query(ledger: OwnDatabase, audit: Audit) -> None:
    """Closing stops what runs, on the server too, and takes no more snapshots."""
    database = audit(ledger.url)
    with in_background(run_endless, database) as run:
        wait_until(lambda: not none_running(ledger), 10, "the query runs")
        with no_hang(2):
            database.close()
        assert isinstance(run.exception(patience(2)), RunStopped)
    wait_until(lambda: connections(ledger) == 0, 5, "no connection is left")
    with pytest.raises(RunStopped), database.snapshot():
        pass


# --- Bounded in number ----------------------------------------------------------------------------


def test_never_more_than_three_connections(ledger: OwnDatabase, audit: Audit) -> None:
    """Ten threads, of which some overrun and are killed, share two connections and a third."""
    database = audit(ledger.url, time_limit=timedelta(seconds=0.5))
    most, stop = 0, threading.Event()

    def sample() -> None:
        nonlocal most
        while not stop.is_set():
            most = max(most, connections(ledger))

    def read(number: int) -> None:
        with suppress(CheckError):
            if number % 7:
                with database.snapshot() as connection:
                    one(connection, "SELECT SUM(a.n * b.n) FROM numbers a, numbers b")
            else:
                run_endless(database, UNLIMITED[ledger.server.flavour])

    with in_background(sample):
        try:
            with ThreadPoolExecutor(10) as pool:
                list(pool.map(read, range(20)))
        finally:
            stop.set()
    # root's own connections, of which one at a time samples, are left out by the query
    assert 2 <= most <= 3


# --- Out of reach ---------------------------------------------------------------------------------


def test_wrong_password_names_the_account(ledger: OwnDatabase, audit: Audit) -> None:
    """The error names user and host, is permanent, and does not hold the password."""
    url = ledger.url.set(username="auditor", password="s3cret-canary")
    with pytest.raises(CheckError, match=r"'auditor'@'127\.0\.0\.1'") as caught:
        audit(url).identify()
    assert caught.value.permanent
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_unknown_database_is_named(ledger: OwnDatabase, audit: Audit) -> None:
    """The error names the database that does not exist."""
    with pytest.raises(CheckError, match="Unknown database 'no_such'") as caught:
        audit(ledger.url.set(database="no_such")).identify()
    assert caught.value.permanent


def test_nothing_listens(audit: Audit, unused_port: int) -> None:
    """A refused connection is an error at once, and the same again without another try."""
    database = audit(URL.create("mysql", "u", "p", "127.0.0.1", unused_port, "ledger"))
    messages = set()
    for _ in range(2):
        with no_hang(1), pytest.raises(CheckError, match="Connection refused") as caught:
            database.identify()
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_server_that_cuts_every_connection(victim: OwnDatabase, audit: Audit, clock: Clock) -> None:
    """One that is cut while it is made may be chance; of the next it is said, and not tried on."""

    def cut() -> CheckError:
        """The error of a connection that is cut in the middle of the greeting."""
        way.break_with(Fault.SILENT, intact=10)
        with in_background(database.identify) as run:
            wait_until(lambda: way.spoilt > 0 or run.done(), 10, "the greeting has begun")
            way.break_with(Fault.CUT)
            error = run.exception(patience(10))
        assert isinstance(error, CheckError)
        assert "Lost connection" in str(error)
        return error

    with proxy(victim.server.port) as way:
        database = audit(victim.url.set(port=way.port))
        assert cut().retry
        assert database.unreachable is None
        assert not cut().retry
        assert "Lost connection" in str(database.unreachable)
        assert not cut().retry
        assert way.accepted == 2
        way.mend()
        wait_until(lambda: clock.reaches(database), 5, "it works again without a restart")
        assert database.unreachable is None


def test_frozen_server_at_connect(victim: OwnDatabase, audit: Audit, clock: Clock) -> None:
    """A server that accepts and says nothing is an error in seconds; others then fail at once."""
    with proxy(victim.server.port) as way:
        limit = timedelta(seconds=1)
        database = audit(victim.url.set(port=way.port), connect_timeout=limit)
        with paused(victim.server):
            for _ in range(3):
                with (
                    no_hang(3),
                    pytest.raises(CheckError, match=r"took longer than 1 s|Lost connection"),
                ):
                    database.identify()
            assert way.accepted == 1
        wait_until(lambda: clock.reaches(database), 5, "it works again without a restart")


def test_frozen_server_in_the_handshake(victim: OwnDatabase, audit: Audit, clock: Clock) -> None:
    """A server that greets and then freezes is an error as soon as one that never greets."""
    with proxy(victim.server.port) as way:
        database = audit(victim.url.set(port=way.port), connect_timeout=stretched(2))
        way.break_with(Fault.SILENT, intact=10)
        with in_background(database.identify) as run:
            wait_until(lambda: way.spoilt > 0, 2, "the greeting has begun")
            with paused(victim.server), no_hang(5):
                way.mend()  # the rest of it comes through, and no answer to the login
                error = run.exception(patience(10))
        assert isinstance(error, CheckError)
        assert re.search(r"connecting took longer than [0-9.]+ s|Lost connection", str(error))
        wait_until(lambda: clock.reaches(database), 5, "it works again without a restart")


def test_frozen_server_during_a_query(victim: OwnDatabase, audit: Audit, clock: Clock) -> None:
    """A server that freezes under a query ends the run within the limit and some seconds."""
    limit = stretched(1)
    database = audit(victim.url, time_limit=limit, connect_timeout=limit)
    wait_until(lambda: clock.reaches(database), 5, "it works")
    with in_background(run_endless, database, UNLIMITED[victim.server.flavour]) as run:
        wait_until(lambda: not none_running(victim), 10, "the query runs")
        with paused(victim.server):
            with no_hang(1 + 1 + 3 + 1):
                assert "time limit" in str(run.exception(patience(10)))
            assert not database._active
            # That is what is known of it: nobody asks the server again.
            with pytest.raises(CheckError, match="does not answer"):
                database.identify()
        wait_until(lambda: clock.reaches(database), 5, "it works again without a restart")
    kill_all(victim)


def test_frozen_server_in_the_middle_of_a_result(
    victim: OwnDatabase, audit: Audit, clock: Clock
) -> None:
    """A server that freezes while it sends rows ends the run within the limit and some seconds."""
    limit = stretched(1)
    with proxy(victim.server.port) as way:
        database = audit(victim.url.set(port=way.port), time_limit=limit, connect_timeout=limit)

        def read() -> None:
            with database.snapshot() as connection:
                way.break_with(Fault.SILENT, intact=FETCHED)
                connection.exec_driver_sql(LONG_RESULT).fetchall()

        with in_background(read) as run:
            wait_until(lambda: way.spoilt > 0, 10, "some of it has come")
            with paused(victim.server), no_hang(1 + 1 + 3 + 1):
                way.mend()  # what the server had sent comes through, and no more
                assert "time limit" in str(run.exception(patience(10)))
        wait_until(lambda: clock.reaches(database), 5, "it works again without a restart")
    wait_until(lambda: none_running(victim), 10, "no query runs on the server")


def test_frozen_server_between_queries(victim: OwnDatabase, audit: Audit) -> None:
    """Ending a snapshot waits no longer for a frozen server than connecting would."""
    database = audit(victim.url, connect_timeout=stretched(1))

    def read() -> None:
        with database.snapshot() as connection:
            one(connection, "SELECT 1")
            victim.server.pause()

    try:
        with pytest.raises(CheckError, match="timed out"), no_hang(3):
            read()
    finally:
        victim.server.resume()


def test_close_does_not_wait_for_a_frozen_server(victim: OwnDatabase, audit: Audit) -> None:
    """Neither one that runs a query nor one that is being connected to delays the end."""
    running, connecting = audit(victim.url), audit(victim.url)
    with (
        in_background(run_endless, running) as run,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: not none_running(victim), 10, "the query runs")
        with paused(victim.server):
            attempt = pool.submit(connecting.identify)
            wait_until(lambda: bool(connecting._server._connections), 5, "it connects")  # type: ignore[attr-defined]
            with no_hang(5):
                running.close()
                connecting.close()
                assert isinstance(run.exception(patience(1)), RunStopped)
                assert isinstance(attempt.exception(patience(1)), RunStopped)
    kill_all(victim)


def test_killed_and_restarted_server(victim: OwnDatabase, audit: Audit) -> None:
    """Connections that a crash broke are replaced: the next run just works."""
    database = audit(victim.url)
    assert works(database)
    victim.server.kill()
    victim.server.restart()
    database.identify()


def works(database: Database) -> bool:
    with suppress(CheckError):
        return bool(database.identify())
    return False


def kill_all(database: OwnDatabase) -> None:
    """End the queries that a frozen server could not be asked to stop."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for thread in threads(database, condition="command = 'Query'"):
            kill_thread(cursor, thread)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- Nothing secret -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM t WHERE AND k = :k",
        "SELECT * FROM t WHERE k = :k AND nothing = 1",
        "SELECT EXTRACTVALUE('<a/>', CONCAT('~', k)) FROM t WHERE k = :k",
        "SELECT 9223372036854775807 + n FROM t WHERE id = 1 AND k = :k",
        "SELECT JSON_EXTRACT('[]', k) FROM t WHERE k = :k",
        "SELECT k REGEXP CONCAT('(', k) FROM t WHERE k = :k",
    ],
)
def test_errors_hold_no_values(ledger: OwnDatabase, audit: Audit, statement: str) -> None:
    """Neither a parameter nor a value of a row is in what becomes of a server's error."""
    try:
        with audit(ledger.url).snapshot() as connection:
            connection.execute(text(statement), {"k": CANARY}).all()
    except CheckError as error:
        said = f"{error!r} {error.__cause__!r}"
        assert "k3y" not in said
        assert "customer" not in said
        assert "(1" in said or "(3" in said or "(4" in said  # the server's code stays
    else:
        assert "REGEXP" in statement or "JSON" in statement  # no error on every flavour


def test_words_are_cut_at_the_first_quote() -> None:
    """What a server quotes is left out to the end, for a quoted value may hold quotes."""
    assert _without_values(1064, "error near 'a'b\" x' at line 1") == "error near '…'"
    assert _without_values(1146, "Table 'a.b' doesn't exist") == "Table 'a.b' doesn't exist"


@pytest.mark.parametrize("password", ["p@ss:w/rd", "100%25", "'\"`\\", "späce and ünïcode 🔑"])
def test_password_file_takes_any_password(
    ledger: OwnDatabase, tmp_path: Path, password: str
) -> None:
    """A password in a file needs no escaping whatever it holds."""
    with closing(ledger.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS odd@'%%'", ())
        cursor.execute("CREATE USER odd@'%%' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT SELECT ON {ledger.name}.* TO odd@'%%'", ())
    file = tmp_path / "password"
    file.write_text(password + "\n")
    url = ledger.url.set(username="odd").render_as_string()
    database = Database("ledger", DatabaseSettings(url=url, password_file=file))
    try:
        assert database.identify().user == "odd@%"
    finally:
        database.close()
        do(ledger, "DROP USER odd@'%'")


# --- Identity -------------------------------------------------------------------------------------


def test_identity(ledger: OwnDatabase, audit: Audit) -> None:
    """A database says which server it is on, and with which account."""
    identity = audit(ledger.url, environment="staging").identify()
    ((version,),) = do(ledger, "SELECT VERSION()")
    assert identity.server == {"mariadb": "MariaDB", "mysql": "MySQL"}[ledger.server.flavour]
    assert (identity.version, identity.environment) == (version, "staging")
    assert (identity.host, identity.port) == (ledger.server.host, ledger.server.port)
    assert (identity.schema, identity.user.partition("@")[0]) == (ledger.name, "root")
    assert identity.time_zone == do(ledger, "SELECT @@system_time_zone")[0][0]
    assert identity.writable


def test_identity_tells_an_explicit_time_zone(victim: OwnDatabase, audit: Audit) -> None:
    """The zone is the server's setting, not that of the worker's own session."""
    assert audit(victim.url).identify().time_zone == "+08:00"


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (["SELECT ON {db}.*"], ()),
        (["SELECT, SHOW VIEW ON {db}.*", "PROCESS ON *.*"], ()),
        (["SELECT (id, n) ON {db}.t"], ()),
        (["SELECT ON {db}.*", "INSERT ON {db}.t"], ("INSERT",)),
        (["SELECT (id), UPDATE (n, k) ON {db}.t"], ("UPDATE",)),
        (["ALL PRIVILEGES ON {db}.*"], ("ALL PRIVILEGES",)),
        (["SELECT ON {db}.* WITH GRANT OPTION"], ("GRANT OPTION",)),
    ],
)
def test_writing_privileges_of_real_accounts(
    ledger: OwnDatabase, audit: Audit, grants: list[str], expected: tuple[str, ...]
) -> None:
    """An account's privileges beyond reading are told, and an account that only reads has none."""
    with account(ledger) as url:
        for grant in grants:
            on, _, option = grant.format(db=ledger.name).partition(" WITH ")
            do(ledger, f"GRANT {on} TO reader@'%'" + (f" WITH {option}" if option else ""))
        assert audit(url).identify().writable == expected


def test_writing_privileges_of_an_active_role(ledger: OwnDatabase, audit: Audit) -> None:
    """What a default role may write, the account may."""
    with account(ledger) as url:
        do(ledger, "CREATE ROLE clerk", f"GRANT SELECT, DELETE ON {ledger.name}.* TO clerk")
        try:
            default = {"mariadb": "clerk FOR", "mysql": "clerk TO"}[ledger.server.flavour]
            do(ledger, "GRANT clerk TO reader@'%'", f"SET DEFAULT ROLE {default} reader@'%'")
            assert audit(url).identify().writable == ("DELETE",)
        finally:
            do(ledger, "DROP ROLE clerk")


def test_grant_option_before_limits_of_the_account() -> None:
    """GRANT OPTION is seen where limits follow it, and not in the name of a table."""
    assert writing_privileges(
        ["GRANT SELECT ON `d`.* TO `u`@`%` WITH GRANT OPTION MAX_USER_CONNECTIONS 3"]
    ) == {"GRANT OPTION"}
    assert not writing_privileges(["GRANT SELECT ON `d`.`WITH GRANT OPTION` TO `u`@`%`"])


@contextmanager
def account(database: OwnDatabase) -> Iterator[URL]:
    do(database, "DROP USER IF EXISTS reader@'%'", "CREATE USER reader@'%' IDENTIFIED BY 'pw'")
    try:
        yield database.url.set(username="reader", password="pw")
    finally:
        do(database, "DROP USER reader@'%'")


# --- SQLite ---------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> URL:
    """A SQLite file whose name needs quoting, with a table `numbers` of 200 rows."""
    path = tmp_path / "demo ledger #1?.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (n int)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(200)])
    return URL.create("sqlite", database=str(path))


def write(file: URL, statement: str) -> None:
    with closing(sqlite3.connect(file.database or "")) as connection, connection:
        connection.execute(statement)


def test_sqlite_snapshot_is_one_moment(file: URL, audit: Audit) -> None:
    """From its first read on, a snapshot of a file sees no later commit."""
    with audit(file).snapshot() as connection:
        assert one(connection, "SELECT COUNT(*) FROM numbers") == 200
        write(file, "DELETE FROM numbers")
        assert one(connection, "SELECT COUNT(*) FROM numbers") == 200


def test_sqlite_is_read_only(file: URL, audit: Audit) -> None:
    """A file cannot be written to through a snapshot."""
    with pytest.raises(CheckError, match="readonly"), audit(file).snapshot() as connection:
        connection.exec_driver_sql("DELETE FROM numbers")


def test_sqlite_file_that_is_not_there(tmp_path: Path, audit: Audit) -> None:
    """A missing file is an error that names it, and is not created."""
    path = tmp_path / "none.db"
    with pytest.raises(CheckError, match=r"none\.db cannot be opened"):
        audit(URL.create("sqlite", database=str(path))).identify()
    assert not path.exists()


def test_sqlite_time_limit(file: URL, audit: Audit) -> None:
    """A long query ends at the limit, and the next snapshot is not affected."""
    database = audit(file, time_limit=timedelta(seconds=0.3))
    with pytest.raises(CheckError, match="time limit"), no_hang(2):
        run_endless(database)
    assert works(database)


def test_sqlite_many_short_queries_are_ended(file: URL, audit: Audit) -> None:
    """Many short queries of one snapshot end at the limit, too."""
    database = audit(file, time_limit=timedelta(seconds=0.2))
    with pytest.raises(CheckError, match="time limit"), no_hang(3):
        keep_asking(database, "SELECT 1")


def test_sqlite_close_ends_a_running_query(file: URL, audit: Audit) -> None:
    """Closing interrupts a query on a file at once."""
    database = audit(file)
    with in_background(run_endless, database) as run:
        wait_until(lambda: bool(database._active), 5, "the query runs")
        with no_hang(2):
            database.close()
        assert isinstance(run.exception(patience(2)), RunStopped)


def test_sqlite_identity(file: URL, audit: Audit) -> None:
    """A file is told by its name and the library's version, and has no account to warn of."""
    identity = audit(file).identify()
    assert (identity.server, identity.version) == ("SQLite", sqlite3.sqlite_version)
    assert (identity.schema, identity.writable) == ("demo ledger #1?.db", ())
