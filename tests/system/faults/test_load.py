"""Hung checks, clients that never end a request, very long lines, very many findings: bounded.

MEGABYTES is the length of the line in the log, FINDINGS the number of wrong rows; the long form
times the scrape, too.
"""

import json
import os
import resource
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.support.access_logs import sampling
from tests.support.patience import slowness, wait_until
from tests.support.servers import HOST, Server
from tests.support.workers import Worker
from tests.system.faults.ledgers import HEAD, LONG, do, locked, patient, prepare, running, section
from tests.system.faults.processes import Usage

CLIENTS = 1000
HUNG = 10
MEGABYTES = int(os.environ.get("MEGABYTES", "64"))
FINDINGS = int(os.environ.get("FINDINGS", "100000"))
LONG_ROWS = 10 if LONG else 2
"""Rows with a key of 16 MB in a file."""
MOST_MEMORY = 200.0
"""MB."""

SCRAPE = 1.0 if LONG else 5.0
"""Seconds."""

HANGS = """
[[checks]]
name = "hung{number}"
kind = "row_count"
table = "{table}"
database = "victim"
"""


def scrape(worker: Worker) -> float:
    """Seconds that a scrape takes, of an idle machine: the middle of five."""

    def once() -> float:
        began = time.monotonic()
        assert worker.get("/metrics").status_code == 200
        return (time.monotonic() - began) / slowness()

    return sorted(once() for _ in range(5))[2]


@contextmanager
def half_open(address: str, number: int) -> Iterator[None]:
    """So many clients that have sent half a request and wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, number + 500)), hard))
    port = int(address.rpartition(":")[2])
    with ExitStack() as held:
        for _ in range(number):
            client = held.enter_context(closing(socket.create_connection((HOST, port))))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a")
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_hung_checks_and_clients(mariadb: Server, tmp_path: Path) -> None:
    """Ten checks that hang and a thousand clients that do: others are served and audited.

    Half of the checks ask for too much, half wait for a table that another client has locked.
    """
    victim, healthy = prepare(mariadb, tmp_path), prepare(mariadb, tmp_path)
    numbers = ", ".join(f"({n})" for n in range(200))
    do(
        victim,
        "CREATE TABLE numbers (n int)",
        f"INSERT INTO numbers VALUES {numbers}",
        "CREATE TABLE locked (n int)",
        # It lasts, and leaves the processors to others.
        "CREATE VIEW slow AS SELECT a.n FROM numbers a, numbers b"
        " WHERE a.n + b.n + SLEEP(0.05) >= 0",
    )
    config = HEAD + patient(section(healthy, "healthy")) + section(victim, "victim")
    tables = ("slow", "locked") * (HUNG // 2)
    config += "".join(HANGS.format(number=n, table=table) for n, table in enumerate(tables))
    with locked(victim, "locked"), running(tmp_path, config) as worker:
        for number in range(HUNG):
            worker.wait_for(1, "check_outcome", 40, check=f"hung{number}", outcome="error")
        before = worker.value("check_runs_total", check="healthy.rows", outcome="pass") or 0
        with half_open(worker.address, CLIENTS):
            assert scrape(worker) < SCRAPE
            assert worker.get("/livez").status_code == 200
            wait_until(
                lambda: (
                    (worker.value("check_runs_total", check="healthy.rows", outcome="pass") or 0)
                    >= before + 3
                ),
                20,
                "the healthy database is audited",
            )
        usage = Usage.of(worker.process.pid)
    assert usage.peak_mb < MOST_MEMORY
    assert usage.threads < 60
    for each in (victim, healthy):
        mariadb.drop_database(each.name)


def test_a_line_without_end(tmp_path: Path) -> None:
    """A line of very many megabytes is counted and left out, in bounded memory."""
    line = json.dumps({"time": "2026-11-22T12:00:00Z", "method": "POST", "path": "/a"})
    with (tmp_path / "access.log").open("wb") as log:
        for _ in range(MEGABYTES):
            log.write(b"x" * (1 << 20))
        log.write(b"\n" + line.encode() + b"\n")
    sqlite3.connect(tmp_path / "ledger.db").close()
    with running(tmp_path, sampling()) as worker:
        name = "access_log_lines_total"
        worker.wait_for(1, name, 60 + MEGABYTES / 4, source="app", state="too_long")
        worker.wait_for(0, "access_log_behind_bytes", 20, source="app")
        assert scrape(worker) < SCRAPE
        assert Usage.of(worker.process.pid).peak_mb < MOST_MEMORY


LARGE = """
http.port = 0
schedule.every = "2s"
log.format = "json"
privacy.personal = []
state.url = "sqlite:///state.db"
[databases.ledger]
url = "sqlite:///ledger.db"
time_limit = "60s"
[[checks]]
name = "t.keys"
kind = "duplicates"
table = "t"
primary_key = "id"
columns = ["k"]
"""


@contextmanager
def auditing(folder: Path, rows: Iterator[tuple[str]]) -> Iterator[Worker]:
    """A worker on a ledger with these keys."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT)")
        ledger.executemany("INSERT INTO t (k) VALUES (?)", rows)
    with running(folder, LARGE) as worker:
        yield worker


def test_very_many_findings(tmp_path: Path) -> None:
    """All violations are counted, a thousand are kept, and neither memory nor scrape grows."""
    rows = ((f"key-{number // 2}",) for number in range(2 * FINDINGS))
    with auditing(tmp_path, rows) as worker:
        worker.wait_for(FINDINGS, "check_violations", 60, check="t.keys")
        worker.wait_for(FINDINGS, "findings", 20, check="t.keys", state="confirmed")
        assert scrape(worker) < SCRAPE
        assert worker.get("/checks/t.keys").status_code == 200
        assert Usage.of(worker.process.pid).peak_mb < MOST_MEMORY


OTHER_KINDS = """
[[checks]]
name = "filled"
kind = "blank"
table = "t"
primary_key = "id"
column = "{key}"
database = "ledger"
[[checks]]
name = "written"
kind = "key_format"
table = "t"
primary_key = "id"
column = "{key}"
patterns = ["draw_{{int}}"]
database = "ledger"
[[checks]]
name = "known"
kind = "condition"
table = "t"
primary_key = "id"
expression = "{key} = 'a'"
tally = "{key}"
database = "ledger"
[[checks]]
name = "named"
kind = "reference"
table = "t"
primary_key = "id"
columns = ["id"]
parent = "far"
parent_primary_key = "id"
settle = "0s"
equal = {{ {key} = "k" }}
database = "ledger"
"""
"""What else reads a key: two rows of `t`, whose far rows hold another long text."""


def judges_long_keys(worker: Worker, wrong: Mapping[str, int]) -> None:
    """Each check tells how much is wrong with keys of 16 MB, in bounded memory."""
    for check, number in wrong.items():
        worker.wait_for(number, "check_violations", 120, check=check)
        assert worker.get(f"/checks/{check}").status_code == 200
    assert scrape(worker) < SCRAPE
    assert Usage.of(worker.process.pid).peak_mb < MOST_MEMORY
    assert len(worker.text) < 100_000


@pytest.mark.long_form
@pytest.mark.parametrize("name", ["mariadb", "mysql"])
def test_very_long_keys(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A key of 16 MB that stands twice is found and told, in bounded memory."""
    server: Server = request.getfixturevalue(name)
    database = prepare(server, tmp_path)
    do(
        database,
        "ALTER TABLE t MODIFY idempotency_key longtext",
        "UPDATE t SET idempotency_key = REPEAT('x', 16000000)",
        "CREATE TABLE far (id int PRIMARY KEY, k longtext)",
        "INSERT INTO far SELECT id, CONCAT(idempotency_key, 'y') FROM t",
    )
    assert do(database, "SELECT MIN(LENGTH(idempotency_key)) FROM t") == [(16_000_000,)]
    ledger = patient(section(database, "ledger"))
    with running(tmp_path, HEAD + ledger + OTHER_KINDS.format(key="idempotency_key")) as worker:
        wrong = {"ledger.keys": 1, "filled": 0, "written": 3, "known": 3, "named": 3}
        judges_long_keys(worker, wrong)
    server.drop_database(database.name)


def test_very_long_keys_in_a_file(tmp_path: Path) -> None:
    """The same on SQLite, whose sorter would hold many such keys at once."""
    with auditing(tmp_path, iter([("x" * 16_000_000,)] * LONG_ROWS)) as worker:
        judges_long_keys(worker, {"t.keys": 1})
