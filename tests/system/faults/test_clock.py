"""A clock that is set, the two days on which clocks change, and a process that is stopped.

libfaketime stands between the worker and its wall clock; the monotonic one stays true.
"""

import itertools
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.patience import wait_until
from tests.support.workers import Worker
from tests.system.faults.canaries import KEY, watched

LIBRARY = "libfaketimeMT.so.1"

CONFIG = """
http.port = 0
schedule.every = "1s"
timezone = "Europe/Berlin"
log.format = "json"
schedule.complete = "0 12 * * *"
state.url = "sqlite:///state.db"

[databases.ledger]
url = "sqlite:///ledger.db"
"""

CHECK = """
[[checks]]
name = "{name}"
kind = "row_count"
table = "t"
"""

KEYS = """
[[checks]]
name = "keys"
kind = "duplicates"
table = "t"
primary_key = "id"
columns = ["idempotency_key"]
"""

NIGHTLY = """
[[overrides]]
check = "nightly"
every = "30 2 * * *"
"""

NAMES = ("one", "two")

SOON = 12.0
"""Seconds within which each check runs again, whatever the clock does; they run every second."""


def _library() -> str:
    found = next(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"), None)
    if found is None:
        pytest.fail("libfaketime is not installed: run scripts/install-servers")
    return str(found)


class Clock:
    """The wall clock of a worker."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }
        """Of a process that is to have this clock."""
        self.set("+0")

    def set(self, to: str) -> None:
        """An offset as `+3600`, or a moment in UTC as `@2026-10-25 00:59:55`."""
        new = self._file.with_suffix(".new")
        new.write_text(to + "\n")
        new.replace(self._file)  # it is read all the time: never half of it


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    """The clock of the worker."""
    return Clock(tmp_path_factory.mktemp("clock") / "clock")


@pytest.fixture(scope="module")
def worker(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker with that clock, all checks of which have run: one for all that happens to it."""
    folder = tmp_path_factory.mktemp("worker")
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, idempotency_key TEXT)")
        ledger.execute(f"INSERT INTO t VALUES (1, '{KEY}'), (2, '{KEY}')")
    checks = "".join(CHECK.format(name=name) for name in (*NAMES, "nightly"))
    config = CONFIG + checks + KEYS + NIGHTLY
    with watched(Worker(folder, config, environment=clock.environment)) as made:
        wait_until(lambda: bool(made.events("worker_ready")), 20, "every check has run")
        yield made


def runs(worker: Worker) -> Counter[str]:
    """How often each check has run."""
    counted = Counter[str]()
    for labels, number in worker.samples(
        "check_runs_total"
    ):  # the log leaves out what passes again
        counted[labels["check"]] += int(number)
    return counted


def goes_on(worker: Worker, what: Callable[[], None]) -> None:
    """Each check runs on after `what`, at its pace and no faster, and the worker is alive."""
    before = runs(worker)
    what()
    began = time.monotonic()
    wait_until(
        lambda: all(runs(worker)[name] >= before[name] + 3 for name in NAMES), SOON, "all ran"
    )
    assert worker.get("/livez").status_code == 200
    after = runs(worker)
    lasted = time.monotonic() - began
    # One that was due, and what the seconds since then allow.
    assert [name for name in NAMES if after[name] - before[name] > lasted + 4] == []


def test_clock_is_set(worker: Worker, clock: Clock) -> None:
    """An hour forth and two hours back stop no check, and make none run in a burst."""
    for offset in ("+3600", "-3600"):
        goes_on(worker, lambda offset=offset: clock.set(offset))  # type: ignore[misc]
    assert worker.events("library_message") == []
    assert {each["outcome"] for each in worker.events("check_run")} == {"pass", "fail"}
    assert len(worker.events("finding_confirmed")) == 1


@pytest.mark.parametrize(
    ("before", "most"),
    [
        pytest.param(
            ("2026-03-29 00:59:57", "2026-03-29 01:29:57"),
            1,
            id="spring",
            marks=pytest.mark.long_form,
        ),
        pytest.param(("2026-10-25 00:29:57", "2026-10-25 01:29:57"), 2, id="autumn"),
    ],
)
def test_daylight_saving(worker: Worker, clock: Clock, before: tuple[str, str], most: int) -> None:
    """On the days with 23 and 25 hours no check stops, nor is the nightly run of one left out.

    In spring there is no 02:30, in autumn there are two.
    """
    # What is overdue after a step of months runs first; that is another test's subject.
    goes_on(worker, lambda: clock.set(f"@{before[0][:8]}{int(before[0][8:10]) - 1} 22:00:00"))
    nights = runs(worker)["nightly"]
    for moment in before:
        goes_on(worker, lambda moment=moment: clock.set(f"@{moment}"))  # type: ignore[misc]
    wait_until(lambda: runs(worker)["nightly"] > nights, SOON, "the nightly check has run")
    assert runs(worker)["nightly"] - nights <= most
    assert worker.events("library_message") == []


def test_process_is_stopped(worker: Worker) -> None:
    """Stopped for some seconds, the worker runs each check once when it goes on, not many times."""

    def pause() -> None:
        worker.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() > stopped + 5, 6, "it was stopped for 5 s")
        worker.process.send_signal(signal.SIGCONT)

    before = len(worker.events("check_run"))
    goes_on(worker, pause)
    new = worker.events("check_run")[before:]
    stamps = [each["timestamp"] for each in new if each["check"] == "one"]
    assert all(a < b for a, b in itertools.pairwise(stamps))
