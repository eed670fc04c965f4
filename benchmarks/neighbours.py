"""How much later the checks of one database run while another database does not answer.

    .venv/bin/python -m benchmarks.neighbours --seconds 60

One worker audits a database with checks each second, and a neighbour on a server of its own. It is
watched with both well, then with the neighbour's server frozen: connections stay open and nothing
answers. Then both workers, this one and one with both well, are asked to end.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from tests.support.patience import wait_until
from tests.support.servers import Farm, Flavour, Server
from tests.support.workers import Worker

HEAD = """
http.port = 0
schedule.every = "1s"
log.format = "json"
state.url = "sqlite:///state.db"
"""
DATABASE = """
[databases.{name}]
url = "{url}"
time_limit = "2s"
connect_timeout = "1s"
"""
CHECK = """
[[checks]]
name = "{name}{number}"
kind = "row_count"
table = "t"
database = "{name}"
"""
WATCHED = "watched0"
NEIGHBOURS = 6
"""Checks of the neighbour, three times as many as it has connections."""


@dataclass(frozen=True)
class Phase:
    """What the worker did for a while."""

    gaps: Sequence[float]
    """Seconds between the ends of two runs of the watched database's check."""
    end: float
    """Seconds from SIGTERM until the worker had ended."""

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.gaps)


@dataclass(frozen=True)
class Outcome:
    """A worker with both databases well, and with the neighbour frozen."""

    well: Phase
    frozen: Phase

    def __str__(self) -> str:
        """The table, a line for each question; the last column is frozen by well."""
        pairs = (
            ("median gap", self.well.median, self.frozen.median),
            ("longest gap", max(self.well.gaps), max(self.frozen.gaps)),
            ("end after SIGTERM", self.well.end, self.frozen.end),
        )
        return "\n".join(
            f"{name:18} well {well:6.3f} s   frozen {frozen:6.3f} s   {frozen / well:5.2f} times"
            for name, well, frozen in pairs
        )


def measure(farm: Farm, flavour: Flavour, seconds: int) -> Outcome:
    """Watch a worker for so many runs of a check each second, in each of the two states."""
    watched, neighbour = farm.start(flavour), farm.start(flavour)
    with _worker(watched, neighbour) as worker:
        well = Phase(_gaps(worker, seconds), _end(worker))
    with _worker(watched, neighbour) as worker:
        _gaps(worker, 2)
        neighbour.pause()
        failed = "error"
        wait_until(lambda: failed in _outcomes(worker), 60, "the neighbour's checks fail")
        frozen = Phase(_gaps(worker, seconds), _end(worker))
    for server in (watched, neighbour):
        farm.discard(server)
    return Outcome(well, frozen)


@contextmanager
def _worker(watched: Server, neighbour: Server) -> Iterator[Worker]:
    config, made = HEAD, []
    for name, server, checks in (("watched", watched, 1), ("neighbour", neighbour, NEIGHBOURS)):
        database = server.create_database()
        with closing(server.admin(database)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (id int PRIMARY KEY)")
        url = server.url(database).render_as_string(hide_password=False)
        config += DATABASE.format(name=name, url=url)
        made += [CHECK.format(name=name, number=number) for number in range(checks)]
    with tempfile.TemporaryDirectory(prefix="reconciler-neighbours-") as folder:
        worker = Worker(Path(folder), config + "".join(made))
        try:
            yield worker
        finally:
            worker.process.kill()
            worker.process.wait()


def _outcomes(worker: Worker) -> set[str]:
    runs = worker.events("check_run")
    return {run["outcome"] for run in runs if run["check"].startswith("neighbour")}


def _gaps(worker: Worker, number: int) -> list[float]:
    def times() -> list[datetime]:
        runs = (run for run in worker.events("check_run")[began:] if run["check"] == WATCHED)
        return [datetime.fromisoformat(run["timestamp"]) for run in runs]

    began = len(worker.events("check_run"))
    wait_until(lambda: len(times()) > number, 3 * number + 30, f"{number} runs")
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times())]


def _end(worker: Worker) -> float:
    began = time.monotonic()
    worker.end(60)
    return time.monotonic() - began


def main() -> None:
    """Print what changes when the neighbour does not answer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=60, help="for each of the two states")
    parser.add_argument("--flavour", choices=("mariadb", "mysql"), default="mariadb")
    options = parser.parse_args()
    with closing(Farm()) as farm:
        print(measure(farm, options.flavour, options.seconds))


if __name__ == "__main__":
    main()
