"""Where checks read: what the worker gives them of databases, access logs and Prometheus."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import Connection

Cursor = Mapping[str, Any]
"""How far a check has read: a JSON object that only the check itself understands."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a log."""

    text: bytes
    """Whole lines, each with its line feed; undecoded, and whatever bytes somebody wrote."""
    place: Cursor
    """From where to go on after these lines."""
    behind: int
    """Bytes that are written and come after these lines."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Lines left out before the end of this block, by reason: `too_long`."""
    note: str | None = None
    """What a person should know: that some part of the log could not be had any more."""
    origin: str = ""
    """Which of the files of a log these lines are of, where it has several: what a line goes on
    with is in the same one."""
    missing: float = 0.0
    """The part of these files that cannot be read, in the last block of a run."""


class LineReader(Protocol):
    """What reads the lines of a log, block after block."""

    def __call__(self, text: bytes) -> Any:
        """What some whole lines tell."""

    def left(self) -> Mapping[str, Any]:
        """What the next run has to know to go on, as JSON takes it."""


class Lines(Protocol):
    """How the lines of a log tell of what it is about."""

    def reader(self, zone: tzinfo, left: Mapping[str, Any] | None = None) -> LineReader:
        """What reads whole lines; times without an offset are in this zone.

        `left` is what `LineReader.left` of the run before gave.
        """


class AccessLog(Protocol):
    """A log that grows."""

    @property
    def format(self) -> Lines:
        """How its lines are read."""

    def blocks(self, place: Cursor | None) -> Iterator[Block]:
        """What was written after a place, in order, to the end or until a run's time is up.

        None is the beginning, or the end where the settings say so. Raises CheckError.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a Prometheus server answered to an instant query."""

    series: tuple[tuple[Mapping[str, str], float], ...]
    """Each series by its labels. None of them is NaN or infinite."""
    notes: tuple[str, ...] = ()
    """The server's warnings, and what was left out."""


class Prometheus(Protocol):
    """A Prometheus server, or what speaks its HTTP API."""

    def query(self, promql: str, at: datetime | None = None) -> Answer:
        """The value of an expression, at present or at another time.

        Raises CheckError; an answer without series says that there are none.
        """


class SourceType(StrEnum):
    """The sorts of sources, each by the section of the configuration that declares them."""

    DATABASE = "databases"
    ACCESS_LOG = "access_logs"
    PROMETHEUS = "prometheus"


class Sources(Protocol):
    """Where checks read."""

    def access_log(self, name: str) -> AccessLog:
        """A log of `[access_logs]`."""

    def prometheus(self, name: str) -> Prometheus:
        """A server of `[prometheus]`."""

    def snapshot(self, database: str) -> AbstractContextManager[Connection]:
        """Open one consistent, read-only view of a database, bounded in time.

        Raises CheckError when the database cannot be read, also for errors inside the block.
        """
