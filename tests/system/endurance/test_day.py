"""A synthetic day of traffic, of which every request is counted once, whatever happens meanwhile.

The worker is killed DAY_KILLS times (3 by default), in the midst of DAY_LINES lines. By hand:

    DAY_KILLS=50 DAY_LINES=2000000 DAY_SEED=7 .venv/bin/pytest -s tests/system/endurance/test_day.py
"""

import gzip
import json
import os
import random
import shutil
import signal
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from checks.contract import Window
from checks.http_log.counts import Counts
from checks.kinds.conflict_rate.exported import Traffic
from checks.ports import Cursor
from checks.registry import any_check
from tests.support.access_logs import sampling
from tests.support.exported import traffic_of
from tests.support.patience import wait_until
from tests.support.traffic import READS, Truth, day, truth
from tests.support.traffic_lines import BEIJING, FORMATS, Line, Shape
from tests.support.workers import Worker
from worker.config import AccessLogSettings
from worker.demo import ledger
from worker.sources import Sources

KILLS = int(os.environ.get("DAY_KILLS", "3"))
LINES = int(os.environ.get("DAY_LINES", "40000"))
SEED = int(os.environ.get("DAY_SEED", random.SystemRandom().randrange(10**6)))

ROUTES = [route for _, route in READS]


@dataclass
class Log:
    """A log that is written in pieces and rotated at any time."""

    path: Path
    rng: random.Random
    rotations: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def write(self, lines: list[Line], pause: float = 0.0) -> None:
        """Write lines, cut anywhere, and rotate now and then."""
        text = b"".join(line[0] + b"\n" for line in lines)
        at = 0
        while at < len(text) and not self.stop.wait(pause):
            end, rotates = at + self.rng.randrange(1, 200_000), self.rng.random() < 0.1
            if rotates:  # nobody begins a line in one file and ends it in another
                end = text.find(b"\n", end) + 1 or len(text)
            with self.path.open("ab") as log:
                log.write(text[at:end])
            at = end
            if rotates:
                self.rotate()

    def rotate(self) -> None:
        """As logrotate does with `delaycompress`: .1 is the latest, and older ones are packed."""
        for number in range(self.rotations, 1, -1):
            self._named(f"{number}.gz").rename(self._named(f"{number + 1}.gz"))
        if self.rotations:
            before = self._named("1")
            with before.open("rb") as plain, gzip.open(self._named("2.gz"), "wb", 1) as packed:
                shutil.copyfileobj(plain, packed)
            shutil.copystat(before, self._named("2.gz"))
            before.unlink()
        self.path.rename(self._named("1"))
        self.path.touch()
        self.rotations += 1

    def _named(self, end: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{end}")


def of_counts(counts: Counts) -> Truth:
    """What was counted, as the truth counts."""
    told = Truth()
    for route, seen in counts.items():
        told.requests[route] = int(seen.requests)
        told.without_key[route] = int(seen.without_key)
        for code, number in seen.conflicts.items():
            told.conflicts[*route, code] = int(number)
        for status, number in seen.refusals.items():
            told.refusals[*route, status] = int(number)
    return told


def assert_same(told: Truth, expected: Truth) -> None:
    """Every count is that of the truth."""
    for name in ("requests", "conflicts", "refusals", "without_key"):
        assert +getattr(told, name) == +getattr(expected, name), name


@pytest.mark.parametrize("shape", FORMATS)
def test_a_day_is_counted_exactly_over_rotations_and_restarts(tmp_path: Path, shape: Shape) -> None:
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    lines = list(day(SEED, 20_000, shape))
    log = Log(tmp_path / "access.log", rng)
    log.path.touch()
    check = any_check.validate_python(
        {"kind": "conflict_rate", "name": "c", "source": "app", "routes": ROUTES}
    )
    settings = AccessLogSettings(path=log.path, line_format=FORMATS[shape])
    cursor: Cursor | None = None

    def run() -> Traffic:
        nonlocal cursor
        with closing(Sources({}, {"app": settings})) as sources:
            result = check.run(sources, Window(cursor=cursor, zone=BEIJING))
        cursor = json.loads(json.dumps(result.cursor))
        return traffic_of(result)

    run()  # what was rotated out before anybody looked is not read
    for first in range(0, len(lines), 2500):
        log.write(lines[first : first + 2500])
        run()
    # A rotated file is left some seconds after the last line was written to it.
    wait_until(lambda: run().behind_bytes == 0, 30, "everything is read")
    told = run()
    expected = truth(lines)
    assert_same(of_counts(told.totals), expected)
    faults = Counter(dict(told.lines))
    assert faults.pop("read") + faults["too_long"] == expected.lines
    assert +faults == +expected.faults


def metrics(worker: Worker) -> Truth:
    """What `/metrics` tells."""
    told = Truth()
    for counts, name, last in (
        (told.requests, "http_requests_sampled_total", None),
        (told.conflicts, "http_conflicts_total", "code"),
        (told.refusals, "http_key_refusals_total", "status"),
        (told.without_key, "http_requests_without_key_total", None),
    ):
        for labels, value in worker.samples(name):
            place = (labels["route"], labels["method"], *([labels[last]] if last else []))
            counts[place] += int(value)  # type: ignore[index]
    return told


@pytest.mark.slow
def test_a_day_is_counted_exactly_by_a_worker_that_is_killed_again_and_again(
    tmp_path: Path,
) -> None:
    print(f"\nDAY_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    ledger.build(tmp_path / "ledger.db")
    lines = list(day(SEED, LINES))
    expected = truth(lines)
    readable = expected.lines - expected.faults["too_long"]
    log = Log(tmp_path / "access.log", random.Random(-SEED))  # noqa: S311
    log.path.touch()
    config = sampling(f"routes = {ROUTES}")
    writer = threading.Thread(target=log.write, args=[lines, 0.05])
    try:
        counted = []
        for _ in range(KILLS):
            worker = Worker(tmp_path, config)
            wait_until(lambda: bool(worker.events("check_run")), 20, "a first run")  # noqa: B023
            if not writer.ident:  # what was rotated out before anybody looked is not read
                writer.start()
            log.stop.wait(rng.uniform(0, 2))
            counted.append(sum(metrics(worker).requests.values()))
            worker.process.send_signal(signal.SIGKILL)
            worker.process.wait()
        assert counted == sorted(counted)
        worker = Worker(tmp_path, config)
        writer.join()
        try:
            wait_until(
                lambda: (worker.value("access_log_lines_total", state="read") or 0) >= readable,
                120,
                "all lines are read",
            )
            assert_same(metrics(worker), expected)
            assert worker.value("access_log_lines_total", state="read") == readable
            for fault, number in expected.faults.items():
                assert worker.value("access_log_lines_total", state=fault) == number
            worker.wait_for(0, "access_log_behind_bytes")
        finally:
            worker.end()
    finally:
        log.stop.set()
        writer.join()
    print(f"{log.rotations} rotations; after each life {counted} of {readable}")  # noqa: T201
