"""A storm of retries is a finding within two intervals, and goes; a quiet night is none."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

import orjson
import pytest

from tests.support.access_logs import sampling
from tests.support.patience import wait_until
from tests.support.workers import Worker
from worker.demo import ledger

CHECK = "app.conflict_rate"
STORM = 5
"""Conflicts of one key that make a storm."""

# The windows are far shorter than usual, and so it takes fewer conflicts to make a storm.
CONFIG = sampling('short = "5s"', 'long = "20s"', f"storm = {STORM}")
DRAW, STORM_KEY, STORM_CLIENT = "/api/v4/lottery/draw", "key-that-storms", "phone-that-storms"
QUIET_RATE, STORM_RATE = 20, 15
"""Requests a second."""
ONE_CONFLICT_IN = 100
"""Requests of quiet traffic; the conflicts are those of one key each."""
PAST = 3600
"""Seconds of quiet traffic that are in the log before the worker starts, one request each."""
QUIET_RUNS = 8

pytestmark = pytest.mark.slow


def request(at: float, **more: Any) -> bytes:
    """The line of a request."""
    line = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(),
        "method": "POST",
        "path": DRAW,
        "status": 200,
        **more,
    }
    return orjson.dumps(line) + b"\n"


def quiet(at: float, number: int) -> bytes:
    """The line of a request as they mostly are."""
    conflicts = number % ONE_CONFLICT_IN == 0
    answer = {"status": 409, "code": "CONCURRENT_CONFLICT"} if conflicts else {}
    who = {"idempotency_key": f"key-{at}-{number}", "client": f"phone-{number % 97}"}
    return request(at, **answer, **who)


@dataclass
class Traffic:
    """Clients of the application, whose requests are logged as they come."""

    log: Path
    storm_began: float = 0.0
    """Just before so many of its lines were written that it is one; Unix time."""
    _storms_since: float = 0.0
    _storms: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    def write_past(self) -> None:
        """The quiet hour before."""
        now = time.time()
        self.log.write_bytes(b"".join(quiet(now - PAST + each, each) for each in range(PAST)))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Quiet requests come meanwhile."""
        thread = threading.Thread(target=self._write, name="traffic")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    @contextmanager
    def storming(self) -> Iterator[None]:
        """One client repeats one request meanwhile, beside all others."""
        self._storms.set()
        wait_until(lambda: self.storm_began > 0, 5, "the storm begins")
        yield
        self._storms.clear()

    def _write(self) -> None:
        start, quiet_ones, stormy_ones = time.time(), 0, 0
        with self.log.open("ab", buffering=0) as log:
            while not self._stop.wait(0.05):
                now = time.time()
                for _ in range(int((now - start) * QUIET_RATE) - quiet_ones):
                    quiet_ones += 1
                    log.write(quiet(now, quiet_ones))
                if self._storms.is_set():
                    stormy_ones = self._storm(log, now, stormy_ones)

    def _storm(self, log: IO[bytes], now: float, before: int) -> int:
        self._storms_since = self._storms_since or now
        due = 1 + int((now - self._storms_since) * STORM_RATE)
        if due >= STORM:
            self.storm_began = self.storm_began or time.time()
        who = {"idempotency_key": STORM_KEY, "client": STORM_CLIENT}
        for _ in range(due - before):
            log.write(request(now, status=409, code="REQUEST_PROCESSING", **who))
        return due


def runs_before(worker: Worker, event: str, after: float) -> list[dict[str, Any]]:
    """The runs that ended after a moment and were told before the first event of a name."""
    told = takewhile(lambda line: line["event"] != event, worker.lines)
    return [
        line
        for line in told
        if line["event"] == "check_run"
        and datetime.fromisoformat(line["timestamp"]).timestamp() > after
    ]


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    """Clients that are asking, after a quiet hour."""
    made = Traffic(tmp_path / "access.log")
    made.write_past()
    with made.running():
        yield made


@pytest.fixture
def worker(tmp_path: Path, traffic: Traffic) -> Iterator[Worker]:
    """A worker that follows the log of these clients."""
    ledger.build(tmp_path / "ledger.db")
    assert traffic.log.exists()
    made = Worker(tmp_path, CONFIG)
    yield made
    made.process.kill()
    made.process.wait()


def test_a_storm_is_told_soon_and_goes_and_a_quiet_night_is_not(
    worker: Worker, traffic: Traffic
) -> None:
    """Quiet traffic is no finding; a storm is one, is confirmed by the next run, and resolves."""
    wait_until(lambda: len(worker.events("check_run")) > QUIET_RUNS, 25, "a quiet night")
    nights = worker.events("check_run")
    assert nights[0]["examined"] >= PAST
    assert {(run["check"], run["outcome"], run["violations"]) for run in nights} == {
        (CHECK, "pass", 0)
    }
    with traffic.storming():
        wait_until(lambda: bool(worker.events("finding_confirmed")), 10, "the storm is confirmed")
    (opened,) = worker.events("finding_opened")
    (confirmed,) = worker.events("finding_confirmed")
    assert opened["finding"] == confirmed["finding"]
    key = opened["key"]
    assert (key["problem"], key["route"], key["method"]) == ("retry_storm", DRAW, "POST")
    until_opened = runs_before(worker, "finding_opened", traffic.storm_began)
    until_confirmed = runs_before(worker, "finding_confirmed", traffic.storm_began)
    assert 1 <= len(until_opened) <= 2
    assert len(until_confirmed) == len(until_opened) + 1
    wait_until(lambda: bool(worker.events("finding_resolved")), 20, "the storm is over")
    (resolved,) = worker.events("finding_resolved")
    assert resolved["finding"] == opened["finding"]
    after = len(worker.events("check_run"))
    wait_until(lambda: len(worker.events("check_run")) > after + 1, 10, "it is quiet again")
    assert worker.events("check_run")[-1]["violations"] == 0
    assert len(worker.events("finding_opened")) == 1
    assert STORM_KEY not in worker.text
    assert STORM_CLIENT not in worker.text
