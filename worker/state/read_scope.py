"""How much each run reads: what is new, or everything."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from zoneinfo import ZoneInfo

from checks.contract import Check, Window
from worker.config import Settings
from worker.model.run import Scope
from worker.model.steady_clock import STEADY
from worker.state import State

TRY_COMPLETE_AFTER = 3600.0
"""Seconds between two tries to make up for a complete run: one that always runs into the time
limit leaves room for the incremental ones."""


def everything(settings: Settings) -> Window:
    """The window of a run that reads everything and knows of no run before it."""
    schedule = settings.schedule
    return Window(
        zone=ZoneInfo(settings.timezone),
        overlap=schedule.overlap,
        overlap_rows=schedule.overlap_rows,
    )


class ReadScope:
    """The window of each run of the worker."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        intervals: Mapping[str, timedelta],
        complete_gap: timedelta,
    ) -> None:
        """`complete_gap` is the longest time between two complete runs, as configured."""
        self._everything = everything(settings)
        self._state = state
        self._intervals = intervals
        self._complete_gap = complete_gap
        self._tried: dict[str, float] = {}

    def of(self, check: Check, *, complete: bool) -> Window:
        """What the next run of a check is to read, and what it is to look at again.

        Everything if that is asked for, or when the last time that everything was read is longer
        ago than it should be: the worker was down then, or that run failed.
        """
        window = self._state.window(check, self._everything)
        if check.follows or window.cursor is None or not (complete or self._may_make_up(check)):
            return window
        return replace(window, cursor=None)

    def _may_make_up(self, check: Check) -> bool:
        now = monotonic()
        tried = self._tried.get(check.name, -math.inf)  # the clock begins at 0 when a machine boots
        if not self._is_overdue(check) or now < tried + TRY_COMPLETE_AFTER:
            return False
        self._tried[check.name] = now
        return True

    def _is_overdue(self, check: Check) -> bool:
        remembered = self._state.last_runs().get(check.name)
        last = remembered.completed.get(Scope.COMPLETE) if remembered else None
        allowed = self._complete_gap + self._intervals[check.name]
        # What is yet to come was noted by a clock that was ahead: nobody knows how old it is.
        return last is None or not -allowed <= STEADY.now() - last <= allowed
