"""How long a corruption takes from its COMMIT to the notification, all programs real.

    .venv/bin/python -m benchmarks.paging --corruptions 20

With the default schedule of the worker, and an Alertmanager that waits for no group. By rules, what
Prometheus adds depends on how often it scrapes and evaluates: once for each `--scrape`.
"""

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from tests.paging import CONFIG, DUPLICATES, Way, World, world
from tests.servers import Farm, Server

DEFAULT_SCHEDULE = CONFIG.replace('schedule.every = "1s"\n', "")

LONGEST_PHASE = 5.0
"""Seconds of a random wait before each corruption, so that it meets every phase of the timers."""


@dataclass(frozen=True)
class Times:
    """The seconds of each corruption of one way."""

    way: str
    seconds: Sequence[float]

    def __str__(self) -> str:
        """One line of the table."""
        median, most = statistics.median(self.seconds), max(self.seconds)
        return f"{self.way:24} p50 {median:5.1f} s   max {most:5.1f} s   of {len(self.seconds)}"


def measure(
    server: Server, corruptions: int, scrapes: Sequence[str], config: str = DEFAULT_SCHEDULE
) -> Iterator[Times]:
    """Each way in turn: by push, and by rules with each interval of Prometheus."""
    ways: list[tuple[Way, str, str]] = [("push", "15s", "push")]
    ways += [("rules", scrape, f"rules, scraped each {scrape}") for scrape in scrapes]
    for way, scrape, said in ways:
        with world(way, server, every=scrape, config=config) as made:
            yield Times(said, [_seconds(made) for _ in range(corruptions)])


def _seconds(made: World) -> float:
    made.person.forget()
    time.sleep(random.uniform(0, LONGEST_PHASE))  # noqa: S311 - no secret
    made.spoil()
    committed = time.time()
    told = made.person.wait(DUPLICATES, "firing", seconds=120)
    made.mend()
    made.person.wait(DUPLICATES, "resolved", seconds=180)
    return told.at.timestamp() - committed


def main() -> None:
    """Print the median and the longest of each way."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--corruptions", type=int, default=20, help="of each way")
    parser.add_argument("--scrape", nargs="*", default=["1s", "15s"])
    options = parser.parse_args()
    farm = Farm()
    with closing(farm):
        for times in measure(farm.start("mariadb"), options.corruptions, options.scrape):
            print(times, flush=True)


if __name__ == "__main__":
    main()
