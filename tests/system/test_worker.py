"""The worker as a process, from its start to its end, on the demo and on real servers."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.support import SHIPPED
from tests.support.ledgers import on_any_server
from tests.support.patience import patience, slowness, wait_until
from tests.support.servers import Database, Flavour, Server
from tests.support.workers import RECONCILER, Worker

PASSWORD = "canary@pass:w/rd"
KEY = "canary-key"
EVENTS = {
    *("worker_started", "worker_ready", "worker_stopped", "config_reloaded", "config_refused"),
    *("check_run", "check_runs_missed", "findings_forgotten", "check_failed", "check_recovered"),
    *("finding_opened", "finding_confirmed", "finding_resolved", "lease_acquired"),
    *(
        "database_identified",
        "database_account_may_write",
        "database_unreachable",
        "database_reachable",
        "database_load_unseen",
    ),
}

Start = Callable[..., Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(config, …)` runs a worker that ends with the test, and looks into its log."""
    started: list[Worker] = []

    def make(config: str, *command: str) -> Worker:
        started.append(Worker(tmp_path, config, *command))
        return started[-1]

    yield make
    for each in started:
        each.process.kill()
        each.process.wait()
        assert [line for line in each.lines if line["event"] not in EVENTS] == []
        assert PASSWORD not in each.text


def config(tables: str = "", every: str = "1s", **databases: Database) -> str:
    """A configuration that audits table `t` of each of these databases as the auditor."""
    text = f'http.port = 0\nschedule.every = "{every}"\n'
    limit, connect = (ceil(seconds * slowness()) for seconds in (2, 1))
    for name, database in databases.items():
        url = database.url.set(username="auditor").render_as_string()
        text += f"""
            [databases.{name}]
            url = "{url}"
            password_file = "password"
            time_limit = "{limit}s"
            connect_timeout = "{connect}s"
            [[checks]]
            name = "{name}.rows"
            kind = "row_count"
            table = "t"
            database = "{name}"
            [[checks]]
            name = "{name}.keys"
            kind = "duplicates"
            table = "t"
            primary_key = "id"
            columns = ["k"]
            database = "{name}"
        """
    return text + tables


SLOW = """
    [[checks]]
    name = "slow"
    kind = "row_count"
    table = "slow"
"""


def prepare(database: Database, folder: Path) -> Database:
    """Make the table `t`, the endless view `slow`, and the account that may read them."""
    (folder / "password").write_text(PASSWORD)
    do(
        database,
        "DROP USER IF EXISTS auditor@'%'",
        f"CREATE USER auditor@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT, SHOW VIEW ON {database.name}.* TO auditor@'%'",
        "CREATE TABLE t (id int PRIMARY KEY, k varchar(100) NOT NULL)",
        f"INSERT INTO t VALUES (1, '{KEY}'), (2, 'another')",
        "CREATE TABLE numbers (n int)",
        f"INSERT INTO numbers VALUES {', '.join(f'({n})' for n in range(200))}",
        "CREATE VIEW slow AS SELECT a.n * b.n * c.n * d.n AS n"
        " FROM numbers a, numbers b, numbers c, numbers d WHERE a.n + b.n + c.n + d.n > 1",
    )
    return database


@pytest.fixture
def ledger(ledger_database: Database, tmp_path: Path) -> Database:
    """A database of the test's own on each of the shared servers in turn."""
    return prepare(ledger_database, tmp_path)


def do(database: Database, *statements: str) -> list[tuple[Any, ...]]:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


def queries(database: Database) -> int:
    """How many of the auditor's queries of the view `slow` run on the server."""
    ((number,),) = do(
        database,
        "SELECT COUNT(*) FROM information_schema.processlist"
        " WHERE user = 'auditor' AND command = 'Query' AND db = DATABASE()"
        " AND info LIKE 'SELECT%FROM%slow%'",
    )
    return int(number)


@contextmanager
def paused(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


def test_demo_passes_the_audit(start: Start) -> None:
    """On the demo every check of the audit says 0 violations, and the process ends in order."""
    text = (SHIPPED).read_text().replace("port = 9720", "port = 0")
    worker = start(text, "demo")
    wait_until(lambda: worker.get("/readyz").status_code == 200, 60, "every check has run")
    violations = worker.samples("check_violations")
    assert len(violations) == len(worker.samples("check_interval_seconds")) >= 70
    assert {value for _, value in violations} == {0}
    assert worker.value("table_rows", table="asset_transactions") == 252
    assert worker.get("/livez").status_code == 200
    (ready,) = worker.events("worker_ready")
    assert ready["outcomes"] == {"pass": len(violations)}
    runs = worker.events("check_run")
    assert {run["check"] for run in runs} == {labels["check"] for labels, _ in violations}
    assert worker.end() == 0
    assert worker.lines[-1]["event"] == "worker_stopped"


@on_any_server
def test_finding_appears_and_goes(start: Start, ledger: Database) -> None:
    """A duplicate shows in metrics and log; once it is mended, 0 is said again."""
    worker = start(config(ledger=ledger))
    worker.wait_for(0, "check_violations", check="ledger.keys")
    do(ledger, f"INSERT INTO t VALUES (3, '{KEY}')")
    worker.wait_for(1, "check_violations", check="ledger.keys")
    worker.wait_for(1, "findings", check="ledger.keys", state="confirmed")
    assert worker.value("check_outcome", check="ledger.keys", outcome="fail") == 1
    do(ledger, "DELETE FROM t WHERE id = 3")
    worker.wait_for(0, "check_violations", check="ledger.keys")
    worker.wait_for(0, "findings", check="ledger.keys", state="confirmed")
    assert len(worker.events("finding_confirmed")) == len(worker.events("finding_resolved")) == 1
    # One line a run: as many as were counted.
    worker.end()
    runs = [each for each in worker.events("check_run") if each["check"] == "ledger.keys"]
    assert {run["outcome"] for run in runs} <= {"pass", "fail", "skipped"}
    assert len({run["timestamp"] for run in runs}) == len(runs) >= 3


def test_nothing_secret(start: Start, ledger: Database) -> None:
    """No password is in log or metrics, whatever goes wrong, and no key is in the metrics."""
    worker = start(config(ledger=ledger))
    worker.wait_for(0, "check_violations", check="ledger.keys")
    do(ledger, f"INSERT INTO t VALUES (3, '{KEY}')")
    worker.wait_for(1, "check_violations", check="ledger.keys")
    do(ledger, "ALTER USER auditor@'%' IDENTIFIED BY 'changed'", "RENAME TABLE t TO gone")
    kill = "SELECT id FROM information_schema.processlist WHERE user = 'auditor'"
    for (thread,) in do(ledger, kill):
        with suppress(pymysql.OperationalError):  # it has gone by itself
            do(ledger, f"KILL {thread}")
    worker.wait_for(None, "check_violations", check="ledger.keys")
    wait_until(lambda: "Access denied for user 'auditor'@" in worker.text, 10, "it is said")
    metrics = worker.get("/metrics").text
    assert PASSWORD not in metrics + worker.text
    assert KEY not in metrics


def test_identity_is_said(start: Start, ledger: Database) -> None:
    """Log and metrics say which server it is, and warn of an account that may write."""
    do(ledger, f"GRANT DELETE ON {ledger.name}.t TO auditor@'%'")
    worker = start(config(ledger=ledger))
    worker.wait_for(1, "database_writable", database="ledger")
    ((labels, _),) = worker.samples("database_info")
    assert labels["server"] == {"mariadb": "MariaDB", "mysql": "MySQL"}[ledger.server.flavour]
    assert (labels["schema"], labels["port"]) == (ledger.name, str(ledger.server.port))
    wait_until(lambda: bool(worker.events("database_account_may_write")), 5, "it warns")
    assert worker.events("database_account_may_write")[0]["privileges"] == ["DELETE"]


def test_end_while_a_query_runs(start: Start, ledger: Database) -> None:
    """SIGTERM ends the process in seconds with exit code 0, and its query on the server."""
    worker = start(config(SLOW, ledger=ledger))
    wait_until(lambda: queries(ledger) > 0, 10, "the query runs")
    assert worker.end() == 0
    assert queries(ledger) == 0


def test_slow_query_is_an_error_in_time(start: Start, ledger: Database) -> None:
    """A check over its time limit says error while the others of its database go on."""
    worker = start(config(SLOW, ledger=ledger))
    worker.wait_for(1, "check_outcome", check="slow", outcome="error")
    assert worker.value("check_violations", check="slow") is None
    before = worker.value("check_last_completed_timestamp_seconds", check="ledger.rows") or 0
    name = "check_last_completed_timestamp_seconds"
    wait_until(
        lambda: (worker.value(name, check="ledger.rows") or 0) > before + 1, 5, "others go on"
    )
    (failed,) = [e for e in worker.events("check_failed") if e["check"] == "slow"]
    assert "time limit" in failed["error"]


@on_any_server
def test_reload(start: Start, ledger: Database) -> None:
    """SIGHUP takes a valid configuration whole and refuses an invalid one with every mistake."""
    worker = start(config(ledger=ledger))
    worker.wait_for(0, "check_violations", check="ledger.keys")
    following = config(ledger=ledger).replace("ledger.keys", "ledger.new")
    worker.config.write_text(following)
    worker.process.send_signal(signal.SIGHUP)
    worker.wait_for(0, "check_violations", check="ledger.new")
    assert '"ledger.keys"' not in worker.get("/metrics").text
    assert worker.value("config_last_reload_successful") == 1

    worker.config.write_text(following.replace("1s", "1 second").replace('"row_count"', '"rows"'))
    worker.process.send_signal(signal.SIGHUP)
    worker.wait_for(0, "config_last_reload_successful")
    (refused,) = worker.events("config_refused")
    assert len(refused["mistakes"]) >= 2
    name, now = "check_last_completed_timestamp_seconds", time.time()
    wait_until(lambda: (worker.value(name, check="ledger.new") or 0) > now, 5, "checks go on")
    worker.config.write_text(following)
    worker.process.send_signal(signal.SIGHUP)
    worker.wait_for(1, "config_last_reload_successful")
    assert worker.end() == 0


def test_reload_while_a_query_runs(start: Start, ledger: Database) -> None:
    """A reload ends what runs on the server, and the removed check leaves no trace."""
    worker = start(config(SLOW, ledger=ledger))
    wait_until(lambda: queries(ledger) > 0, 10, "the query runs")
    worker.config.write_text(config(ledger=ledger))
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(worker.events("config_reloaded")), 10, "it is taken")
    assert queries(ledger) == 0
    worker.wait_for(0, "check_violations", check="ledger.keys")
    assert 'check="slow"' not in worker.get("/metrics").text


@on_any_server
def test_frozen_server(
    start: Start,
    flavour: Flavour,
    mariadb: Server,
    throwaway_server: Callable[..., Server],
    tmp_path: Path,
) -> None:
    """A frozen server's checks say error in time, the others stay on time, and it recovers."""
    frozen = throwaway_server(flavour)
    victim = prepare(Database(server=frozen, name=frozen.create_database()), tmp_path)
    healthy = prepare(Database(server=mariadb, name=mariadb.create_database()), tmp_path)
    worker = start(config(healthy=healthy, victim=victim))
    for check in ("healthy.keys", "victim.keys"):
        worker.wait_for(0, "check_violations", check=check)
    name = "check_last_completed_timestamp_seconds"
    with paused(frozen):
        worker.wait_for(1, "check_outcome", 8, check="victim.keys", outcome="error")
        worker.wait_for(1, "check_outcome", 1, check="victim.rows", outcome="error")
        assert worker.value("check_violations", check="victim.keys") is None
        completed: set[float] = set()

        def look() -> bool:
            completed.add(worker.value(name, check="healthy.keys") or 0)
            return len(completed) > 4

        wait_until(look, 8, "the others go on")
        missed = worker.samples("scheduler_missed_runs_total", reason="overlap")
        assert {labels["check"] for labels, number in missed if number} <= {
            "victim.keys",
            "victim.rows",
        }
        assert worker.get("/livez").status_code == 200
    worker.wait_for(0, "check_violations", 15, check="victim.keys")
    worker.wait_for(0, "check_violations", 15, check="victim.rows")
    assert [e["database"] for e in worker.events("database_unreachable")] == ["victim"]
    assert [e["database"] for e in worker.events("database_reachable")] == ["victim"]
    assert worker.value("database_up", database="victim") == 1

    frozen.pause()
    try:
        assert worker.end(9) == 0
    finally:
        frozen.resume()
    assert worker.lines[-1]["event"] == "worker_stopped"
    mariadb.drop_database(healthy.name)


@pytest.mark.parametrize("pause_first", [True, False])
def test_end_with_a_frozen_server(
    start: Start,
    throwaway_server: Callable[..., Server],
    tmp_path: Path,
    pause_first: bool,  # noqa: FBT001
) -> None:
    """SIGTERM is in time while connecting to a frozen server and while it holds a query."""
    server = throwaway_server("mariadb")
    database = prepare(Database(server=server, name=server.create_database()), tmp_path)
    patient = re.sub(
        r'(time_limit|connect_timeout) = "\d+s"', r'\1 = "60s"', config(SLOW, ledger=database)
    )
    if pause_first:
        server.pause()
    worker = start(patient)
    if not pause_first:
        wait_until(lambda: queries(database) > 0, 10, "the query runs")
        server.pause()
    try:
        assert worker.end(9) == 0
    finally:
        server.resume()


def test_restarted_server(
    start: Start, throwaway_server: Callable[..., Server], tmp_path: Path
) -> None:
    """A server that crashes and comes back is audited again by the same process."""
    server = throwaway_server("mariadb")
    database = prepare(Database(server=server, name=server.create_database()), tmp_path)
    worker = start(config(ledger=database))
    worker.wait_for(0, "check_violations", check="ledger.keys")
    server.kill()
    worker.wait_for(None, "check_violations", check="ledger.keys")
    server.restart()
    worker.wait_for(0, "check_violations", 15, check="ledger.keys")
    assert worker.end() == 0


@on_any_server
def test_address_in_use(start: Start, ledger: Database, tmp_path: Path) -> None:
    """A second worker on the same address says so and exits with code 2."""
    worker = start(config(ledger=ledger))
    port = worker.address.rpartition(":")[2]
    other = tmp_path / "other.toml"
    other.write_text(config(ledger=ledger).replace("port = 0", f"port = {port}"))
    done = subprocess.run(
        [RECONCILER, "run", "--config", other],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=patience(20),
        check=False,
    )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
