"""How much grouping by hash wins where no index serves the key; the reason of checks/grouping.py.

    PYTHONPATH=. .venv/bin/python benchmarks/duplicates.py [ROWS]

Runs the `duplicates` check both ways, three times in turn, on a private server of each flavour,
and once more with an index. 1,000,000 rows take about five minutes.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from checks import grouping
from checks.base import Result
from checks.duplicates import Duplicates
from tests.servers import Database, Farm, Flavour
from worker.settings import DatabaseSettings
from worker.sources import Databases

TURNS = 3
CHECK = Duplicates(name="t", table="t", columns=("k",), primary_key="id")


def main() -> None:
    """Measure both flavours; every server and file is gone at the end."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    flavours: tuple[Flavour, ...] = ("mariadb", "mysql")
    with closing(Farm()) as farm:
        for flavour in flavours:
            server = farm.start(flavour)
            database = Database(server=server, name=server.create_database())
            fill(database, rows)
            url = database.url.render_as_string(hide_password=False)
            settings = DatabaseSettings(url=url, time_limit=timedelta(seconds=60))
            with closing(Databases({"ledger": settings})) as sources:
                compare(flavour, rows, lambda: CHECK.run(sources))
                execute(database, "CREATE UNIQUE INDEX uk ON t (k)")
                with_index = timed(lambda: CHECK.run(sources))[0]
                print(f"{flavour}: with a unique index {with_index:.2f} s", flush=True)


def compare(flavour: Flavour, rows: int, run: Callable[[], Result]) -> None:
    """Run the check both ways in turn and print the medians and their ratio."""
    plain, hashed = [], []
    usual = grouping.MANY_ROWS
    for _ in range(TURNS):
        grouping.MANY_ROWS = sys.maxsize
        seconds, expected = timed(run)
        plain.append(seconds)
        grouping.MANY_ROWS = usual
        seconds, found = timed(run)
        hashed.append(seconds)
        if found != expected:
            sys.exit(f"{flavour}: the two ways differ: {expected} {found}")
        print(f"{flavour}: plain {plain[-1]:.2f} s, by hash {hashed[-1]:.2f} s", flush=True)
    one, other = statistics.median(plain), statistics.median(hashed)
    medians = f"{one:.2f} s and {other:.2f} s, ratio {one / other:.1f}"
    print(f"{flavour}: {rows} rows without index: {medians}", flush=True)


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds and result of one run."""
    start = time.monotonic()
    result = run()
    return time.monotonic() - start, result


def fill(database: Database, rows: int) -> None:
    """A table of so many rows, each with a key of its own of about 65 characters."""
    execute(
        database,
        "CREATE TABLE n (n int PRIMARY KEY)",
        f"INSERT INTO n VALUES {', '.join(f'({number})' for number in range(1000))}",
        "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100) NOT NULL)",
        "INSERT INTO t SELECT a.n * 1000 + b.n, CONCAT('consumption_reward:approve:',"
        " LEFT(SHA2(a.n * 1000 + b.n, 256), 32), ':', b.n)"
        f" FROM n AS a JOIN n AS b WHERE a.n * 1000 + b.n < {rows}",
        "ANALYZE TABLE t",
    )


def execute(database: Database, *statements: str) -> None:
    """Run statements as root."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


if __name__ == "__main__":
    main()
