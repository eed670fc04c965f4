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
from tests.support.servers import Database, Server
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
    """`start(config, …)` runs a worker that ends with the test, and looks into its log.

    Each has a folder of its own, with the password.
    """
    started: list[Worker] = []

    def make(config: str, *command: str) -> Worker:
        folder = tmp_path / f"worker-{len(started)}"
        folder.mkdir()
        (folder / "password").write_text(PASSWORD)
        started.append(Worker(folder, config, *command))
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


def prepare(database: Database) -> Database:
    """Make the table `t`, the endless view `slow`, and the account that may read them.

    Reading the view lasts, and leaves the processors to others.
    """
    do(
        database,
        "DROP USER IF EXISTS auditor@'%'",
        f"CREATE USER auditor@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT, SHOW VIEW ON {database.name}.* TO auditor@'%'",
        "CREATE TABLE t (id int PRIMARY KEY, k varchar(100) NOT NULL)",
        f"INSERT INTO t VALUES (1, '{KEY}'), (2, 'another')",
        "CREATE TABLE numbers (n int)",
        f"INSERT INTO numbers VALUES {', '.join(f'({n})' for n in range(200))}",
        "CREATE VIEW slow AS SELECT a.n FROM numbers a, numbers b"
        " WHERE a.n + b.n + SLEEP(0.05) >= 0",
    )
    return database


@pytest.fixture
def ledger(ledger_database: Database) -> Database:
    """A database of the test's own on each of the shared servers in turn."""
    return prepare(ledger_database)


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
def test_findings_reloads_and_a_second_worker(
    start: Start, ledger: Database, tmp_path: Path
) -> None:
    """What a worker says from a finding on, over reloads of its configuration, to its end."""
    worker = start(config(ledger=ledger))
    finding_appears_and_goes(worker, ledger)
    configuration_is_reloaded(worker, config(ledger=ledger))
    address_is_in_use(worker, tmp_path / "other.toml", config(ledger=ledger))
    assert worker.end() == 0
    # One line a run: as many as were counted.
    runs = [each for each in worker.events("check_run") if each["check"] == "ledger.keys"]
    assert {run["outcome"] for run in runs} <= {"pass", "fail", "skipped"}
    assert len({run["timestamp"] for run in runs}) == len(runs) >= 3


def finding_appears_and_goes(worker: Worker, ledger: Database) -> None:
    """A duplicate shows in metrics and log; once it is mended, 0 is said again."""
    worker.wait_for(0, "check_violations", check="ledger.keys")
    do(ledger, f"INSERT INTO t VALUES (3, '{KEY}')")
    worker.wait_for(1, "check_violations", check="ledger.keys")
    worker.wait_for(1, "findings", check="ledger.keys", state="confirmed")
    assert worker.value("check_outcome", check="ledger.keys", outcome="fail") == 1
    do(ledger, "DELETE FROM t WHERE id = 3")
    worker.wait_for(0, "check_violations", check="ledger.keys")
    worker.wait_for(0, "findings", check="ledger.keys", state="confirmed")
    assert len(worker.events("finding_confirmed")) == len(worker.events("finding_resolved")) == 1


def configuration_is_reloaded(worker: Worker, text: str) -> None:
    """SIGHUP takes a valid configuration whole and refuses an invalid one with every mistake."""
    following = text.replace("ledger.keys", "ledger.new")
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

    deep = "a = 1 AND (" * 300 + "a = 1" + ")" * 300
    condition = f'kind = "condition"\ntable = "t"\nprimary_key = "id"\nexpression = "{deep}"'
    condition = f'[[checks]]\nname = "deep"\n{condition}\n'
    worker.config.write_text(f"{following}\n{condition}")
    worker.process.send_signal(signal.SIGHUP)
    worker.wait_for(0, "config_last_reload_successful")
    (mistake,) = worker.events("config_refused")[-1]["mistakes"]
    assert re.fullmatch(r"checks\[\d+\]\.expression: not a condition: nested too deeply.*", mistake)
    now = time.time()
    wait_until(lambda: (worker.value(name, check="ledger.new") or 0) > now, 5, "checks go on")
    worker.config.write_text(following)
    worker.process.send_signal(signal.SIGHUP)
    worker.wait_for(1, "config_last_reload_successful")


def address_is_in_use(worker: Worker, file: Path, text: str) -> None:
    """A second worker on the same address says so and exits with code 2."""
    port = worker.address.rpartition(":")[2]
    file.write_text(text.replace("port = 0", f"port = {port}"))
    file.with_name("password").write_text(PASSWORD)
    done = subprocess.run(
        [RECONCILER, "run", "--config", file],
        capture_output=True,
        text=True,
        cwd=file.parent,
        timeout=patience(20),
        check=False,
    )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr


def test_identity_and_nothing_secret(start: Start, ledger: Database) -> None:
    """Log and metrics say which server it is, and nothing that nobody should read."""
    do(ledger, f"GRANT DELETE ON {ledger.name}.t TO auditor@'%'")
    worker = start(config(ledger=ledger))
    identity_is_said(worker, ledger)
    nothing_secret_is_said(worker, ledger)


def identity_is_said(worker: Worker, ledger: Database) -> None:
    """Log and metrics say which server it is, and warn of an account that may write."""
    worker.wait_for(1, "database_writable", database="ledger")
    ((labels, _),) = worker.samples("database_info")
    assert labels["server"] == {"mariadb": "MariaDB", "mysql": "MySQL"}[ledger.server.flavour]
    assert (labels["schema"], labels["port"]) == (ledger.name, str(ledger.server.port))
    wait_until(lambda: bool(worker.events("database_account_may_write")), 5, "it warns")
    assert worker.events("database_account_may_write")[0]["privileges"] == ["DELETE"]


def nothing_secret_is_said(worker: Worker, ledger: Database) -> None:
    """No password is in log or metrics, whatever goes wrong, and no key is in the metrics."""
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


def test_a_slow_query(start: Start, ledger: Database) -> None:
    """It is an error in time, and ends on the server with its check, and with the process."""
    worker = start(config(SLOW, ledger=ledger))
    slow_query_is_an_error_in_time(worker)
    reload_while_a_query_runs(worker, ledger)
    worker.config.write_text(config(SLOW, ledger=ledger))
    worker.process.send_signal(signal.SIGHUP)
    end_while_a_query_runs(worker, ledger)


def slow_query_is_an_error_in_time(worker: Worker) -> None:
    """A check over its time limit says error while the others of its database go on."""
    worker.wait_for(1, "check_outcome", check="slow", outcome="error")
    assert worker.value("check_violations", check="slow") is None
    before = worker.value("check_last_completed_timestamp_seconds", check="ledger.rows") or 0
    name = "check_last_completed_timestamp_seconds"
    wait_until(
        lambda: (worker.value(name, check="ledger.rows") or 0) > before + 1, 5, "others go on"
    )
    (failed,) = [e for e in worker.events("check_failed") if e["check"] == "slow"]
    assert "time limit" in failed["error"]


def reload_while_a_query_runs(worker: Worker, ledger: Database) -> None:
    """A reload ends what runs on the server, and the removed check leaves no trace."""
    wait_until(lambda: queries(ledger) > 0, 10, "the query runs")
    worker.config.write_text(config(ledger=ledger))
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(worker.events("config_reloaded")), 10, "it is taken")
    assert queries(ledger) == 0
    worker.wait_for(0, "check_violations", check="ledger.keys")
    assert 'check="slow"' not in worker.get("/metrics").text


def end_while_a_query_runs(worker: Worker, ledger: Database) -> None:
    """SIGTERM ends the process in seconds with exit code 0, and its query on the server."""
    wait_until(lambda: queries(ledger) > 0, 10, "the query runs")
    assert worker.end() == 0
    assert queries(ledger) == 0


def test_a_server_freezes_and_crashes(
    start: Start, mariadb: Server, throwaway_server: Callable[..., Server]
) -> None:
    """Through all of it its checks say so in time, the others stay on time, and the worker ends."""
    server = throwaway_server("mariadb")
    victim = prepare(Database(server=server, name=server.create_database()))
    healthy = prepare(Database(server=mariadb, name=mariadb.create_database()))
    worker = start(config(healthy=healthy, victim=victim))
    frozen_server_recovers(worker, server)
    crashed_server_is_audited_again(worker, server)
    with paused(server):
        assert worker.end(9) == 0
    assert worker.lines[-1]["event"] == "worker_stopped"
    mariadb.drop_database(healthy.name)

    # Whatever limits would have it wait for.
    patient = re.sub(
        r'(time_limit|connect_timeout) = "\d+s"', r'\1 = "60s"', config(SLOW, ledger=victim)
    )
    holds_a_query = start(patient)
    wait_until(lambda: queries(victim) > 0, 10, "the query runs")
    with paused(server):
        assert holds_a_query.end(9) == 0
        connects = start(patient)
        assert connects.end(9) == 0


def frozen_server_recovers(worker: Worker, frozen: Server) -> None:
    """A frozen server's checks say error in time, the others stay on time, and it recovers."""
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
        assert worker.get("/livez").status_code == 200
    worker.wait_for(0, "check_violations", 15, check="victim.keys")
    worker.wait_for(0, "check_violations", 15, check="victim.rows")
    assert [e["database"] for e in worker.events("database_unreachable")] == ["victim"]
    assert [e["database"] for e in worker.events("database_reachable")] == ["victim"]
    assert worker.value("database_up", database="victim") == 1


def crashed_server_is_audited_again(worker: Worker, server: Server) -> None:
    """A server that crashes and comes back is audited again by the same process."""
    server.kill()
    worker.wait_for(None, "check_violations", check="victim.keys")
    server.restart()
    worker.wait_for(0, "check_violations", 15, check="victim.keys")
