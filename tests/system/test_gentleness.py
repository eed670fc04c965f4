"""The worker spares the ledger's server: few connections, back-off, and a switch to pause it."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pymysql
import pytest

from tests.support.ledgers import on_any_server
from tests.support.patience import join, wait_until
from tests.support.servers import Database, Server
from tests.support.workers import Worker
from worker.config import BackOff, DatabaseSettings
from worker.sources import Database as Audited

PASSWORD = "a-password"


def config(url: str, *more: str, database: str = "", schedule: str = "") -> str:
    """A worker that counts rows every second; the lines are those of its sections."""
    return "\n".join(
        (
            "http.port = 0",
            'log.format = "json"',
            *more,
            "[schedule]",
            'every = "1s"',
            schedule,
            "[databases.ledger]",
            f'url = "{url}"',
            database,
            "[tables.orders]",
            'primary_key = "id"',
            'columns = { id = "bigint not null" }',
            "rows = { at_least = 1 }",
        )
    )


@pytest.fixture
def orders(ledger_database: Database) -> Iterator[str]:
    """The URL of a ledger with a table, for an account of its own that may only read."""
    server, name = ledger_database.server, ledger_database.name
    user = name[:30]
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id bigint PRIMARY KEY)")
        cursor.execute("INSERT INTO orders VALUES (1)")
        cursor.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT SELECT ON {name}.* TO '{user}'@'%'")
    url = server.url(name, user=user, password=PASSWORD)
    yield url.set(drivername="mysql").render_as_string(hide_password=False).partition("?")[0]
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP USER '{user}'@'%'")


@contextmanager
def working(folder: Path, text: str) -> Iterator[Worker]:
    """A worker, which is ended."""
    worker = Worker(folder, text)
    try:
        yield worker
    finally:
        worker.process.kill()
        worker.process.wait()


@contextmanager
def sleeping(server: Server, number: int) -> Iterator[None]:
    """So many queries that run on the server until they are killed."""
    with ExitStack() as stack:
        connections = [stack.enter_context(closing(server.admin())) for _ in range(number)]
        threads = [threading.Thread(target=sleep_until_killed, args=[each]) for each in connections]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: running(server) > number, 10, "the queries run")
            yield
        finally:
            with closing(server.admin()) as admin:
                for each in connections:
                    admin.query(f"KILL QUERY {each.thread_id()}")
            for thread in threads:
                join(thread, 10)


def sleep_until_killed(connection: "pymysql.Connection[pymysql.cursors.Cursor]") -> None:
    """Run a query; on MariaDB killing it is an error."""
    with suppress(pymysql.OperationalError):
        connection.query("SELECT SLEEP(3600)")


def running(server: Server) -> int:
    """How many threads the server runs."""
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_running'")
        (row,) = cursor.fetchall()
        return int(row[1])


def runs(worker: Worker) -> float:
    """How many runs there were."""
    return sum(value for _, value in worker.samples("check_runs_total"))


def put_off(worker: Worker) -> float:
    """How many runs were put off because the server is busy."""
    counted = worker.samples("scheduler_missed_runs_total", reason="busy")
    return sum(value for _, value in counted)


def wait_until_it_stands(worker: Worker, seconds: float) -> None:
    """Wait until no run has ended for so long: longer than the interval, in which each would."""
    before, since = runs(worker), time.monotonic()

    def stands() -> bool:
        nonlocal before, since
        if (now := runs(worker)) != before:
            before, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_until(stands, 20, "no run begins")


# --- Connections ----------------------------------------------------------------------------------


@on_any_server
@pytest.mark.parametrize("connections", [1, 3])
def test_never_more_connections_than_allowed(
    tmp_path: Path, ledger_database: Database, orders: str, connections: int
) -> None:
    """Twenty slow checks at once never have more than the allowed connections and one."""
    slow = "\n".join(
        f'[[checks]]\nname = "slow{n}"\nkind = "condition"\ntable = "orders"\n'
        f'expression = "amount < {n}"'
        for n in range(20)
    )
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        # Reading the view lasts: each run of a check takes a while.
        cursor.execute("DROP TABLE orders")
        cursor.execute("CREATE VIEW orders AS SELECT 1 AS id, 1 + SLEEP(0.3) AS amount")
    text = config(orders, database=f"connections = {connections}") + f"\n{slow}"
    user, most = ledger_database.name[:30], 0
    with working(tmp_path, text) as worker, closing(ledger_database.connect()) as admin:

        def look() -> bool:
            nonlocal most
            with admin.cursor() as cursor:
                cursor.execute(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = %s", (user,)
                )
                ((number,),) = cursor.fetchall()
            most = max(most, number)
            return len(worker.events("check_run")) >= 3 + 2 * connections

        wait_until(look, 30, "slow runs, several at a time")
    assert connections <= most <= connections + 1


# --- Back-off -------------------------------------------------------------------------------------


@on_any_server
def test_a_busy_server_is_left_alone(
    tmp_path: Path, ledger_database: Database, orders: str
) -> None:
    """Runs are put off while many threads run, the age of answers grows, and they go on after."""
    server = ledger_database.server
    back_off = "back_off = { threads_running = 12, replication_lag = 0, history_list = 0 }"
    busy = {"database": "ledger", "reason": "threads_running"}
    with working(tmp_path, config(orders, database=back_off)) as worker:
        worker.wait_for(0, "database_busy", 15, **busy)
        wait_until(lambda: worker.get("/readyz").status_code == 200, 20, "it is ready")
        with sleeping(server, 16):
            worker.wait_for(1, "database_busy", 15, **busy)
            wait_until_it_stands(worker, 2.5)
            (said,) = worker.events("database_busy")
            assert (said["level"], said["limit"]) == ("warning", 12)
            assert said["value"] > 12
            completed = "check_last_completed_timestamp_seconds"
            ages = [time.time() - v for _, v in worker.samples(completed, scope="complete")]
            assert min(ages) > 2  # it goes on, until the alert on checks that are late
            wait_until(lambda: put_off(worker) >= 3, 10, "each check was put off")
            assert worker.get("/livez").status_code == 200
            assert "busy: runs are put off" in worker.get("/").text
            (database,) = worker.get("/api/v1/status").json()["databases"]
            assert database["busy"][0].startswith("threads_running")
        before = runs(worker)
        wait_until(lambda: runs(worker) >= before + 3, 15, "each check runs again")
        (calm,) = worker.events("database_calm")
        assert calm["seconds"] > 2
        assert len(worker.events("database_busy")) == 1
        worker.wait_for(0, "database_busy", 15, **busy)


def test_a_signal_that_cannot_be_seen_is_noted_once(
    tmp_path: Path, ledger_database: Database, orders: str
) -> None:
    """What the account may not see is one line of the log each, no series, and no error."""
    hidden = {"replication_lag"}
    if ledger_database.server.flavour == "mysql":
        hidden.add("history_list")
    with working(tmp_path, config(orders)) as worker:
        wait_until(lambda: runs(worker) >= 12, 30, "several runs and looks")
        unseen = worker.events("database_load_unseen")
        assert sorted(each["reason"] for each in unseen) == sorted(hidden)
        assert all("privilege" in each["error"] for each in unseen)
        seen = {labels["reason"] for labels, _ in worker.samples("database_busy")}
        assert seen == {"threads_running", "history_list", "replication_lag"} - hidden
        assert worker.samples("check_runs_total", outcome="error") != []
        assert {v for _, v in worker.samples("check_runs_total", outcome="error")} == {0}


def audited(server: Server, database: str) -> Audited:
    """A database as the worker sees it, all of its load looked at, as root."""
    url = server.url(database).set(drivername="mysql", query={})
    settings = DatabaseSettings(url=url.render_as_string(hide_password=False), back_off=BackOff())
    return Audited("ledger", settings)


def test_a_long_history_list_is_seen(ledger_database: Database) -> None:
    """Updates that an old snapshot keeps from being purged show as a longer history list."""
    with (
        closing(audited(ledger_database.server, ledger_database.name)) as database,
        ExitStack() as s,
    ):
        writer = s.enter_context(closing(ledger_database.connect()))
        old = s.enter_context(closing(ledger_database.connect()))
        writer.query("CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE = InnoDB")
        writer.query("INSERT INTO t VALUES (1, 0)")
        old.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        for number in range(300):
            writer.query(f"UPDATE t SET v = {number}")
        wait_until(lambda: database.load().values["history_list"] >= 200, 60, "it grows")
        old.query("ROLLBACK")


def test_the_lag_of_a_real_replica_is_seen(throwaway_server: Callable[..., Server]) -> None:
    """A replica of MariaDB that applies late tells its lag; a server without source tells none."""
    source = throwaway_server(
        "mariadb", "--log-bin=b", "--server-id=1", "--binlog-format=STATEMENT"
    )
    replica = throwaway_server("mariadb", "--server-id=2")
    name = source.create_database()
    with closing(audited(source, name)) as database:
        assert "replication_lag" not in database.load().values
    with closing(replica.admin()) as admin, admin.cursor() as cursor:
        cursor.execute(
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {source.port},"
            " MASTER_USER = 'root', MASTER_USE_GTID = slave_pos"
        )
        cursor.execute("START SLAVE")
        wait_until(lambda: has_database(replica, name), 20, "the replica follows")
        cursor.execute(f"CREATE TABLE {name}.t (id INT)")
        cursor.execute(f"LOCK TABLES {name}.t WRITE")  # the replica's thread waits for it
        with closing(source.admin(name)) as writer:
            writer.query("SET sql_log_bin = 0")
            writer.query("CREATE TABLE t (id INT)")
            writer.query("SET sql_log_bin = 1")
            writer.query("INSERT INTO t VALUES (1)")
        with closing(audited(replica, name)) as database:
            wait_until(lambda: database.load().values["replication_lag"] >= 2, 20, "it lags")
            cursor.execute("UNLOCK TABLES")
            wait_until(lambda: database.load().values["replication_lag"] == 0, 20, "it is there")


def has_database(server: Server, name: str) -> bool:
    """Whether a database is there."""
    with closing(server.admin()) as admin, admin.cursor() as cursor:
        cursor.execute("SHOW DATABASES LIKE %s", (name,))
        return bool(cursor.fetchall())


# --- The pause switch -----------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """The URL of a ledger that is a file; what pauses the worker does not depend on the server."""
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.executescript("CREATE TABLE orders (id bigint NOT NULL PRIMARY KEY);")
        connection.executescript("INSERT INTO orders VALUES (1);")
    return "sqlite:///ledger.db"


def test_a_file_and_signals_pause_a_worker(tmp_path: Path, ledger: str) -> None:
    """Each keeps every check from running for as long as it says, and SIGTERM is heard."""
    with working(tmp_path, config(ledger, schedule='pause_file = "pause"')) as worker:
        wait_until(lambda: bool(worker.events("worker_ready")), 20, "it is ready")
        the_file_pauses_and_each_check_runs_once_after(worker, tmp_path / "pause")
        signals_pause_and_go_on(worker)
        assert worker.end() == 0


def the_file_pauses_and_each_check_runs_once_after(worker: Worker, file: Path) -> None:
    """While the file is there nothing runs, the worker is well, and says why on page and API."""
    file.write_text("<b>migration</b> 42\nmore\n", encoding="utf-8")
    worker.wait_for(1, "paused", reason="file")
    wait_until_it_stands(worker, 1.6)
    missed = worker.samples("scheduler_missed_runs_total")  # by a run that took too long until then
    assert worker.get("/livez").text == "alive\n"
    assert worker.get("/readyz").text == "paused: file\n"
    assert worker.get("/readyz").status_code == 200
    assert "&lt;b&gt;migration&lt;/b&gt; 42" in worker.get("/").text
    (told,) = worker.get("/api/v1/status").json()["paused"]
    assert (told["reason"], told["why"]) == ("file", "<b>migration</b> 42")
    assert worker.samples("scheduler_missed_runs_total") == missed
    file.unlink()
    worker.wait_for(0, "paused", reason="file")
    before = runs(worker)
    wait_until(lambda: runs(worker) > before, 10, "it goes on")
    (resumed,) = worker.events("worker_resumed")
    assert resumed["seconds"] >= 1.6


def signals_pause_and_go_on(worker: Worker) -> None:
    """SIGUSR1 pauses, a reload does not end that, SIGUSR2 does; then it is paused again."""
    worker.process.send_signal(signal.SIGUSR1)
    worker.wait_for(1, "paused", reason="signal")
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(worker.events("config_reloaded")), 10, "it reloads")
    wait_until_it_stands(worker, 1.6)
    assert worker.value("paused", reason="signal") == 1
    before = runs(worker)
    worker.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: runs(worker) > before, 10, "it goes on")
    worker.process.send_signal(signal.SIGUSR1)
    worker.wait_for(1, "paused", reason="signal")


def test_a_worker_that_starts_in_maintenance_waits(tmp_path: Path, ledger: str) -> None:
    """In a maintenance window nothing runs, not even at the start, and the probes are content."""
    began = datetime.now(UTC) - timedelta(hours=1)
    window = f'cron = "{began.minute} {began.hour} * * *", lasts = "23h"'
    maintenance = f'maintenance = [{{ {window}, reason = "nightly backup" }}]'
    with working(tmp_path, config(ledger, 'timezone = "UTC"', maintenance)) as worker:
        worker.wait_for(1, "paused", reason="maintenance")
        wait_until_it_stands(worker, 1.6)
        assert runs(worker) == 0
        assert worker.get("/readyz").status_code == 200
        (said,) = worker.events("worker_paused")
        assert (said["reason"], said["why"]) == ("maintenance", "nightly backup")
