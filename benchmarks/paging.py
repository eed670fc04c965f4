"""How long a corruption takes from its COMMIT to the notification, all programs real.

    .venv/bin/python -m benchmarks.paging --corruptions 20

The shipped configuration with its default schedule, on the demo's ledger in MariaDB, and an
Alertmanager that waits for no group. Each corruption is a balance that is there twice: `duplicates`
sees it in one run, `balance` in two, as its question spans transactions. By rules, what Prometheus
adds depends on how often it scrapes and evaluates: once for each `--scrape`.
"""

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from tests.support import SHIPPED
from tests.support.paging import Way, World, world
from tests.support.servers import Database, Farm, Server, load_schema
from worker.demo import ledger

ALERTS = {"duplicates": "ReconcilerDuplicates", "balance": "ReconcilerBalanceMismatch"}

SPOIL = """
    INSERT INTO account_asset_balances (account_id, asset_code, available_amount)
    VALUES (101, 'POINTS', 5)
"""
MEND = "DELETE FROM account_asset_balances WHERE account_id = 101 AND available_amount = 5"

LONGEST_PHASE = 8.0
"""Seconds of a random wait before each corruption, so that it meets every phase of the timers."""


@dataclass(frozen=True)
class Times:
    """The seconds of each corruption of one way, by kind of check."""

    way: str
    seconds: dict[str, Sequence[float]]

    def __str__(self) -> str:
        """A line of the table for each kind."""
        return "\n".join(
            f"{self.way:24} {kind:12} p50 {statistics.median(each):5.1f} s   "
            f"max {max(each):5.1f} s   of {len(each)}"
            for kind, each in self.seconds.items()
        )


def configuration() -> str:
    """The shipped configuration, on a database and a port that are still to be named."""
    text = (SHIPPED).read_text(encoding="utf-8")
    for shipped, ours in (
        ('"sqlite:///demo-ledger.db"', '"{ledger}"'),
        ("port = 9720", "port = {port}"),
    ):
        assert text.count(shipped) == 1  # noqa: S101 - the file is ours
        text = text.replace(shipped, ours)
    return text + "{alerts}"


def measure(
    server: Server, corruptions: int, scrapes: Sequence[str], phase: float = LONGEST_PHASE
) -> Iterator[Times]:
    """Each way in turn: by push, and by rules with each interval of Prometheus.

    `phase` is the longest random wait before each corruption, in seconds.
    """
    # Scrapes have no part in a push; what is rarely scraped may take long to answer.
    ways: list[tuple[Way, str, str]] = [("push", "5s", "push")]
    ways += [("rules", scrape, f"rules, scraped each {scrape}") for scrape in scrapes]
    for way, scrape, said in ways:
        with world(way, server, scrape, configuration(), fill) as made:
            seen: list[dict[str, float]] = []
            for _ in range(corruptions):
                if seen:
                    _mend(made)
                seen.append(_seconds(made, phase))
        yield Times(said, {kind: [each[kind] for each in seen] for kind in ALERTS})


def fill(database: Database) -> None:
    """Make it the demo's ledger."""
    load_schema(database.server, database.name)
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET foreign_key_checks = 0")
        for table, found in ledger.rows().items():
            if found:
                names, marks = ", ".join(found[0]), ", ".join(["%s"] * len(found[0]))
                values = [tuple(row.values()) for row in found]
                cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


def _seconds(made: World, phase: float) -> dict[str, float]:
    made.person.forget()
    time.sleep(random.uniform(0, phase))  # noqa: S311 - no secret
    made.do(SPOIL)
    committed = time.time()
    told = {kind: made.person.wait(name, "firing", seconds=180) for kind, name in ALERTS.items()}
    return {kind: _after(each.at, committed) for kind, each in told.items()}


def _mend(made: World) -> None:
    made.do(MEND)
    for name in ALERTS.values():
        made.person.wait(name, "resolved", seconds=180)


def _after(at: datetime, committed: float) -> float:
    return at.timestamp() - committed


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
