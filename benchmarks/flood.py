"""What strangers do to a worker: its descriptors, a scrape's time and its log, in a flood.

    .venv/bin/python -m benchmarks.flood --rate 1000 --seconds 15 --before FOLDER

With a folder of an earlier version (a checkout or `git archive`), that one is flooded in turn.
"""

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import CHECKOUT, asking
from tests.support.flood import flooding
from tests.support.patience import wait_until

DESCRIPTORS = 256
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


@dataclass(frozen=True)
class Seen:
    """What was seen of one worker."""

    descriptors: int
    scrapes: list[float]
    failed: int
    lines: float
    state_failures: int

    def row(self, name: str) -> str:
        """A line of the table."""
        times = sorted(self.scrapes) or [float("nan")]
        return (
            f"| {name} | {self.descriptors} | {statistics.median(times):.3f} s | {times[-1]:.3f} s"
            f" | {self.failed} of {self.failed + len(self.scrapes)} | {self.lines:,.0f}"
            f" | {self.state_failures} |"
        )


def look(folder: Path, rate: float, seconds: float) -> Seen:
    """Flood the worker of a version."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        with sqlite3.connect(here / "ledger.db") as ledger:
            ledger.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        (here / "config.toml").write_text(CONFIG)
        limited = f'ulimit -n {DESCRIPTORS}; exec "{sys.executable}" -m worker run'
        log = here / "log"
        with (
            log.open("wb") as file,
            subprocess.Popen(  # noqa: S603 - ours
                ["sh", "-c", limited],  # noqa: S607 - any shell
                cwd=here,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env={**os.environ, "PYTHONPATH": str(folder)},
            ) as process,
        ):
            try:
                wait_until(lambda: "worker_ready" in log.read_text(), 60, "it is ready")
                return _flooded(process.pid, log, rate, seconds)
            finally:
                process.kill()


def _flooded(pid: int, log: Path, rate: float, seconds: float) -> Seen:
    started = next(line for line in log.read_text().splitlines() if "worker_started" in line)
    address = started.partition('"address": "')[2].partition('"')[0]
    before, most, failed, scrapes = log.read_text().count("\n"), 0, 0, list[float]()
    with flooding(int(address.rpartition(":")[2]), int(rate), seconds + 60):
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            asked = time.monotonic()
            try:
                asking.get(f"{address}/metrics", timeout=5)
            except Exception:  # noqa: BLE001 - whatever it was, there was no answer
                failed += 1
            else:
                scrapes.append(time.monotonic() - asked)
            most = max(most, len(list(Path(f"/proc/{pid}/fd").iterdir())))
            time.sleep(0.2)
        lasted = time.monotonic() - begun
    text = log.read_text()
    lines = (text.count("\n") - before) / lasted
    return Seen(most, scrapes, failed, lines, text.count('"state_unavailable"'))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1000, help="connections a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--before", type=Path, help="a folder with an earlier version")
    given = parser.parse_args()
    versions = {"before": given.before, "now": CHECKOUT} if given.before else {"now": CHECKOUT}
    print("| | descriptors | scrape, median | longest | failed | log lines a second | state lost |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, folder in versions.items():
        print(look(folder.resolve(), given.rate, given.seconds).row(name), flush=True)


if __name__ == "__main__":
    main()
