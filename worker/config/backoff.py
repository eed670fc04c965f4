"""The sections that say when the worker keeps away: back-off and maintenance windows."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from checks.types import Duration, parse_duration
from worker.config.types import Cron, Table
from worker.text.printable import visible

LONGEST_WINDOW = timedelta(days=7)

BEGINS_COMPARED = 100
"""How many windows in a row are looked at for two that touch."""

_OFF = (False, 0, "0", "false", "0s")


def _limit(value: object) -> object:
    """A whole number; 0 and false switch a limit off."""
    if isinstance(value, str | int) and value in _OFF:
        return None
    if value is True:
        raise ValueError("a number, or false: true says no limit")
    return value


def _lag(value: object) -> timedelta | None:
    return None if isinstance(value, str | int) and value in _OFF else parse_duration(value)


Limit = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_limit)]
"""The most of something; None where it is not looked at."""


class BackOff(Table):
    """`[databases.NAME.back_off]`: how busy a server may be for runs to begin."""

    threads_running: Limit = 64
    """`Threads_running` of the server; our own are among them."""
    replication_lag: Annotated[timedelta | None, BeforeValidator(_lag)] = timedelta(seconds=60)
    """How far behind its source a replica may be."""
    history_list: Limit = 1_000_000
    """The length of InnoDB's history list: old row versions that are not purged yet."""

    @property
    def limits(self) -> dict[str, float]:
        """What is looked at, by name: numbers, and seconds of lag."""
        lag = self.replication_lag.total_seconds() if self.replication_lag else None
        limits = {
            "threads_running": self.threads_running,
            "replication_lag": lag,
            "history_list": self.history_list,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}


class Maintenance(Table):
    """`[[maintenance]]`: a time in which no run begins."""

    cron: Cron
    """When it begins, in the configured zone."""
    lasts: Duration
    reason: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.lasts > LONGEST_WINDOW:
            raise ValueError(f"lasts is over {LONGEST_WINDOW.days}d")
        begins = islice(self.cron.times(datetime.now(UTC), UTC), BEGINS_COMPARED)
        if any(later - earlier <= self.lasts for earlier, later in pairwise(begins)):
            raise ValueError("lasts is no shorter than the time to the next window: it never ends")
        return self

    @property
    def shown(self) -> str:
        """The reason, on one line, with everything in it to be seen."""
        return visible(self.reason)
