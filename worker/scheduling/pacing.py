"""How soon a check runs again: the shorter its runs, the sooner, within what is configured."""

import math
import time
from datetime import timedelta

from checks.contract import Check
from checks.ports import SourceType
from checks.types import Severity

REST = 100
"""A check that runs sooner than it has to rests so many times as long as its run took: it takes up
a hundredth of a connection's time at most."""

_EARLY = 0.25
"""Part of a step by which a run may be early: timers are not exact."""


class Pace:
    """The pace of one check. Times are monotonic seconds."""

    def __init__(self, every: timedelta, soonest: timedelta) -> None:
        """It runs at least `every` so often, and at `soonest` where its runs are short."""
        steps = max(1, math.ceil(every / soonest)) if soonest < every else 1
        self.step = every / steps
        """The time between two opportunities to run; a whole number of them makes `every`."""
        self._every = every.total_seconds()
        self._early = _EARLY * self.step.total_seconds()
        self._began: float | None = None
        self._seconds = 0.0

    def is_time(self) -> bool:
        """Whether an opportunity to run is to be taken."""
        return self.seconds_left() <= self._early

    def seconds_left(self) -> float:
        """Seconds until the next run is wanted; negative afterwards."""
        step = self.step.total_seconds()
        if self._began is None or step >= self._every:
            return 0.0
        rest = min(self._every, max(step, REST * self._seconds))
        return self._began + rest - time.monotonic()

    def is_overdue(self) -> bool:
        """Whether the latest run began longer ago than runs may be apart."""
        longest = self._every - self._early
        return self._began is None or time.monotonic() - self._began >= longest

    def begin(self) -> None:
        """Note that a run begins."""
        self._began = time.monotonic()

    def end(self, seconds: float) -> None:
        """Note how long its source was busy with it."""
        self._seconds = seconds


def soonest(check: Check, every: timedelta, critical: timedelta) -> timedelta:
    """How soon a check may run again: what pages, and only reads a database, runs sooner."""
    pages = check.severity is Severity.CRITICAL and check.source_type is SourceType.DATABASE
    return min(every, critical) if pages else every
