"""One run after another, as the worker makes them, and a clock that a test sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from sqlalchemy import Connection, text

from checks.contract import Result, Scalar, Window
from checks.ports import AccessLog, Prometheus, Sources
from checks.sql import timestamps
from worker.text.encode import restore, store

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""When a `Clock` starts."""


def window_after(
    result: Result,
    *,
    overlap: timedelta = timedelta(),
    overlap_rows: int = 0,
    zone: tzinfo = UTC,
) -> Window:
    """What a run is given that follows another, by way of the JSON in which that is kept."""
    known = tuple(dict(finding.key) for finding in result.findings)
    cursor, kept = restore(store([result.cursor, known]))
    return Window(cursor, tuple(kept), zone, overlap, overlap_rows)


def seen(result: Result) -> list[tuple[dict[str, Scalar], object]]:
    """Key and problem of each finding."""
    return [(dict(each.key), each.evidence["problem"]) for each in result.findings]


@dataclass
class Clock:
    """What the audited database's clock shows."""

    at: datetime = NOON

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


@contextmanager
def set_clock() -> Iterator[Clock]:
    """Let runs take the time from a clock that stands still until it is moved."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timestamps, "now", lambda _connection: clock.at)
        yield clock


class DatabaseOnly:
    """Sources without logs and Prometheus servers, for checks that ask for none."""

    def access_log(self, name: str) -> AccessLog:
        """Not to be asked for."""
        raise AssertionError(name)

    def prometheus(self, name: str) -> Prometheus:
        """Not to be asked for."""
        raise AssertionError(name)


@dataclass
class Counting(DatabaseOnly):
    """The worker's sources, with what the server read for each snapshot."""

    sources: Sources
    reads: list[int] = field(default_factory=list)

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """Count the rows, and the entries of indexes, that are read in a snapshot."""
        with self.sources.snapshot(database) as connection:
            before = _handler_reads(connection)
            yield connection
            self.reads.append(_handler_reads(connection) - before)


def _handler_reads(connection: Connection) -> int:
    status = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
    return sum(int(value) for _, value in status)
