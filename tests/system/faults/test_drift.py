"""`make soak`: after hours, the worker holds no more memory, threads and files than before.

DRIFT_SECONDS says how long (8 in `make test`). Memory is only judged in the long form: in eight
seconds it has not settled.
"""

import os
import threading
import time
from pathlib import Path

import pytest

from tests.support import SHIPPED
from tests.support.patience import wait_until
from tests.support.workers import Worker
from tests.system.faults.canaries import watched
from tests.system.faults.processes import Usage, slope
from worker.state.runs import PASSES_APART, RUNS_KEPT

SECONDS = float(os.environ.get("DRIFT_SECONDS", "8"))
FULL = 1.5 * RUNS_KEPT * PASSES_APART
"""Seconds until the worker keeps as many runs of each check as it ever will, and a half more."""

WARM_UP = FULL if SECONDS > 1.5 * FULL else SECONDS / 4
"""Seconds that are not judged."""

LONG = 600.0
"""Seconds from which on memory is judged."""

MOST_GROWTH = 2.0 if WARM_UP == FULL else 6.0
"""MB in an hour, by the straight line that fits best; more while kept runs increase."""

LOOKS = 8
"""Looks at the least, whatever time they take."""

EVERY = 1.0 if SECONDS < LONG else 5.0
"""Seconds between two looks."""


@pytest.mark.slow
def test_nothing_grows(tmp_path: Path) -> None:
    """On the demo, scraped all the time, the worker's memory, threads and descriptors stay flat."""
    text = (SHIPPED).read_text(encoding="utf-8").replace("port = 9720", "port = 0")
    with watched(Worker(tmp_path, text, "demo")) as worker:
        wait_until(lambda: bool(worker.events("worker_ready")), 60, "every check has run")
        seen = _watch(worker)
        # A run, a connection or a scrape that is going on has some for a moment: the least counts.
        first = [each for _, each in seen[: len(seen) // 2]]
        most = min(e.threads for e in first) + 1, min(e.descriptors for e in first) + 1

        def rests() -> bool:
            now = Usage.of(worker.process.pid)
            return now.threads <= most[0] and now.descriptors <= most[1]

        wait_until(rests, 20, f"no more threads and descriptors than {most}")
    judged = [(at, each) for at, each in seen if at >= WARM_UP]
    per_hour = 3600 * slope([(at, each.resident_mb) for at, each in judged])
    threads = {each.threads for _, each in judged}
    descriptors = {each.descriptors for _, each in judged}
    print(  # noqa: T201 - what it is run for
        f"\n{SECONDS:g} s, of which {WARM_UP:g} s to warm up: {judged[0][1].resident_mb:.1f} MB at"
        f" first, {judged[-1][1].resident_mb:.1f} MB at last, {per_hour:+.2f} MB an hour, peak"
        f" {seen[-1][1].peak_mb:.1f} MB; threads {min(threads)} to {max(threads)}, descriptors"
        f" {min(descriptors)} to {max(descriptors)}"
    )
    assert max(threads) < 40
    assert max(descriptors) < 80
    if SECONDS >= LONG:
        assert per_hour < MOST_GROWTH


def _watch(worker: Worker) -> list[tuple[float, Usage]]:
    seen: list[tuple[float, Usage]] = []
    pause, began = threading.Event(), time.monotonic()
    while time.monotonic() < began + SECONDS or len(seen) < LOOKS:
        pause.wait(EVERY)  # the time between two looks is what this is about
        assert worker.get("/metrics").status_code == 200
        assert worker.get("/").status_code == 200
        seen.append((time.monotonic() - began, Usage.of(worker.process.pid)))
    return seen
