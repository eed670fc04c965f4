"""Strangers that flood the port: the worker goes on, on a small limit of open files.

FLOOD is for how many seconds they do; the long form takes a minute.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import connect

import pytest

from tests.support import asking
from tests.support.flood import flooding
from tests.support.patience import patience, slowness, wait_until
from tests.support.workers import RECONCILER, Worker

DESCRIPTORS = 256
SECONDS = float(os.environ.get("FLOOD", "8"))
CONFIG = """
http.port = 0
log.format = "json"
schedule.every = "1s"
[databases.ledger]
url = "sqlite:///ledger.db"
[state]
url = "sqlite:///state.db"
[tables.orders]
primary_key = "id"
columns = { id = "integer" }
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker that may open few files."""
    with connect(tmp_path / "ledger.db") as ledger:
        ledger.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec "{RECONCILER}" "$@"\n')
    limited.chmod(0o755)
    started = Worker(tmp_path, CONFIG, program=limited)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def opened(worker: Worker) -> int:
    """How many descriptors it has."""
    return len(list(Path(f"/proc/{worker.process.pid}/fd").iterdir()))


def test_the_worker_goes_on_in_a_flood(worker: Worker) -> None:
    """A thousand strangers a second take neither its files, its checks, its log nor a scrape.

    On a slow machine they are fewer, as each of them takes it longer.
    """
    port = int(worker.address.rpartition(":")[2])
    wait_until(lambda: bool(worker.events("worker_ready")), 20, "it is ready")
    lines, runs = (
        len(worker.lines),
        worker.value("check_runs_total", check="orders.tables", outcome="pass"),
    )
    descriptors, scrapes = list[int](), list[float]()
    with flooding(port, 1000 / slowness(), SECONDS + patience(60)):
        begun = time.monotonic()
        wait_until(lambda: opened(worker) > 100, 20, "it is on")
        while time.monotonic() - begun < SECONDS or len(scrapes) < 10:
            asked = time.monotonic()
            text = asking.get(f"{worker.address}/metrics", timeout=patience(10)).text
            scrapes.append(time.monotonic() - asked)
            assert [each.value for each in asking.samples(text, "reconciler_state_up")] == [1]
            descriptors.append(opened(worker))
        outcome = worker.value("check_outcome", check="orders.tables", outcome="error")
    assert max(scrapes) < patience(10)
    assert max(descriptors) < DESCRIPTORS * 3 / 4
    assert outcome == 0
    wait_until(
        lambda: (
            (worker.value("check_runs_total", check="orders.tables", outcome="pass") or 0)
            > (runs or 0) + 2
        ),
        20,
        "its checks went on",
    )
    others = [each for each in worker.lines[lines:] if not each["event"].startswith("check_")]
    assert len(others) <= 3 + SECONDS / 60
    assert {each["event"] for each in others} <= {"http_crowded", "library_message"}
    assert worker.value("http_connections_closed_total")
    assert worker.end() == 0
    (last,) = worker.events("worker_stopped")
    assert last
