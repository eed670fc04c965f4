"""How fast an access log is read: the whole way from the file to the counts, on one core.

    .venv/bin/python -m benchmarks.access_log --lines 10000000

Beside it, in turn, in the same process: reading the file alone, and parsing its lines by the
standard library without counting anything. Memory is that of this process, which does nothing else.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import islice
from pathlib import Path

from checks.contract import Window
from checks.ports import Cursor
from checks.registry import any_check
from tests.support.exported import traffic_of
from tests.support.traffic import day
from worker.config import AccessLogSettings
from worker.sources import Sources

GOAL = 150_000
"""Lines a second."""

TIME = b'{"time":"2026-01-05T%02d:%02d:%02d.%03d+08:00"'

LENGTH = len(TIME % (0, 0, 0, 0))

PART = 200_000
"""Lines that are made; the log repeats them."""


def write(path: Path, lines: int, *, incidents: bool = False) -> None:
    """A log of so many lines of a busy day: 10,000,000 requests, 115 a second.

    One in forty is a conflict or a refusal; with incidents, one in eight.
    """
    size = min(lines, PART)
    ordinary = (
        line.text[LENGTH:] + b"\n"
        for line in day(7, 2 * size, junk=0.0)
        if line.expected and (incidents or line.expected.incident is None)
    )
    part = list(islice(ordinary, size))
    with path.open("wb") as log:
        for first in range(0, lines, size):
            log.write(b"".join(_time(first + number) + rest for number, rest in enumerate(part)))


def _time(number: int) -> bytes:
    """How a line begins, the so-manieth of a day."""
    thousandths = number * 86_400_000 // 10_000_000
    minutes, rest = divmod(thousandths, 60_000)
    hours, minute = divmod(minutes, 60)
    second, fraction = divmod(rest, 1000)
    return TIME % (hours % 24, minute, second, fraction)


def ours(path: Path) -> int:
    """As the worker does: runs of ten seconds each, the cursor through JSON between them."""
    check = any_check.validate_python({"kind": "conflict_rate", "name": "b", "source": "app"})
    cursor: Cursor | None = None
    settings = AccessLogSettings(path=path, time_limit=timedelta(seconds=10))
    with closing(Sources({}, {"app": settings})) as sources:
        while True:
            result = check.run(sources, Window(cursor=cursor))
            cursor = json.loads(json.dumps(result.cursor))
            traffic = traffic_of(result)
            if not traffic.behind_bytes:
                return traffic.lines["read"]


def standard(path: Path) -> int:
    """The lines parsed by the standard library, and nothing done with them."""
    number = 0
    with path.open("rb") as log:
        for line in log:
            json.loads(line)
            number += 1
    return number


def plain(path: Path) -> int:
    """The file, read in blocks, and its lines counted."""
    number = 0
    with path.open("rb") as log:
        while block := log.read(1 << 18):
            number += block.count(b"\n")
    return number


def main() -> None:
    """Print lines a second of each way, and how memory grew."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--turns", type=int, default=3, help="of each way on a tenth of the lines")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "access.log")
        tenth = max(PART, options.lines // 10)
        write(path, tenth)
        ways = {"ours": ours, "json of the standard library": standard, "reading alone": plain}
        speeds = {
            name: [speed(way, path) for _ in range(options.turns)] for name, way in ways.items()
        }
        write(path, tenth, incidents=True)
        speeds["ours, incidents all day"] = [speed(ours, path) for _ in range(options.turns)]
        for name, each in speeds.items():
            print(
                f"{name}: {statistics.median(each):,.0f} lines/s, each {[round(s) for s in each]}"
            )
        ratio = statistics.median(speeds["ours"]) / statistics.median(speeds[list(ways)[1]])
        print(f"ours / standard library: {ratio:.2f}")
        before = peak()
        write(path, options.lines)
        size = path.stat().st_size
        whole = speed(ours, path)
        print(f"{options.lines:,} lines of {size / options.lines:.0f} bytes: {whole:,.0f} lines/s")
        print(f"peak memory {before:.1f} MB after {tenth:,} lines, {peak():.1f} MB after all")
        print(f"at least {GOAL:,} lines/s: {'yes' if whole >= GOAL else 'no'}")


def speed(way: Callable[[Path], int], path: Path) -> float:
    """Lines a second."""
    start = time.perf_counter()
    return way(path) / (time.perf_counter() - start)


def peak() -> float:
    """The most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
