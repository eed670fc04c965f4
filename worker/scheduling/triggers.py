"""When jobs fire: on a grid of times for an interval, at the times of a cron line."""

import zlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from worker.config import Config, Schedule
from worker.config.cron import CronLine

LOOK_AHEAD = timedelta(days=8)
"""How far a cron line is looked along for its longest gap: a week-end is no delay."""
LOOK_AHEAD_TIMES = 1000

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """When a job fires. A pause or a clock set forward makes one run, not many."""

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime | None:
        """As APScheduler asks for it."""
        return self.after(now)

    @abstractmethod
    def after(self, now: datetime) -> datetime | None:
        """The first time after `now`, in UTC; None when there is none."""

    @abstractmethod
    def longest_gap(self, now: datetime) -> timedelta:
        """The longest time between two runs, as far as can be seen from `now`."""


class Every(Trigger):
    """Fires on a grid of wall-clock times, `interval` apart, at a phase of its own.

    The phase comes from the check's name, so that checks spread over the interval and stay spread
    over restarts.
    """

    def __init__(self, interval: timedelta, name: str) -> None:
        # Whole microseconds: a rounded float may be no later than `now`, and APScheduler would
        # count the runs up to now without end.
        self._interval = interval // _MICROSECOND
        self._phase = zlib.crc32(name.encode()) * self._interval >> 32

    def after(self, now: datetime) -> datetime:
        """The first time of the grid."""
        passed = ((now - _EPOCH) // _MICROSECOND - self._phase) // self._interval
        return _EPOCH + ((passed + 1) * self._interval + self._phase) * _MICROSECOND

    def longest_gap(self, now: datetime) -> timedelta:  # noqa: ARG002 - the same at all times
        """The interval."""
        return self._interval * _MICROSECOND


class Cron(Trigger):
    """Fires at the times of a cron line, on the clocks of a zone."""

    def __init__(self, line: CronLine, zone: ZoneInfo) -> None:
        self._line = line
        self._zone = zone

    def after(self, now: datetime) -> datetime | None:
        """The next time that the line names."""
        return self._line.next(now, self._zone)

    def longest_gap(self, now: datetime) -> timedelta:
        """The longest between two times of the next eight days, or between the next two."""
        return _longest_gap(self._line, self._zone, now)


@lru_cache(maxsize=64)  # many checks have the same line
def _longest_gap(line: CronLine, zone: ZoneInfo, now: datetime) -> timedelta:
    gaps = []
    for earlier, later in pairwise(islice(line.times(now, zone), LOOK_AHEAD_TIMES)):
        gaps.append(later - earlier)
        if later > now + LOOK_AHEAD:
            break
    return max(gaps, default=LOOK_AHEAD)


@dataclass(frozen=True, slots=True)
class Intervals:
    """The longest time between two runs, as the configuration plans them."""

    checks: Mapping[str, timedelta]
    """Of each check, by its name."""
    complete: timedelta
    """Of complete runs of a check."""

    @classmethod
    def of(cls, config: Config) -> "Intervals":
        """Those of a configuration, looking ahead from now."""
        now, zone = datetime.now(UTC), ZoneInfo(config.settings.timezone)

        def longest(schedule: Schedule) -> timedelta:
            return trigger(schedule, "", zone).longest_gap(now)

        checks = {each.check.name: longest(each.timetable.every) for each in config.plan}
        return cls(checks, longest(config.settings.schedule.complete))


def trigger(schedule: Schedule, name: str, zone: ZoneInfo) -> Trigger:
    """What a schedule of the configuration means for a job of this name."""
    if isinstance(schedule, CronLine):
        return Cron(schedule, zone)
    return Every(schedule, name)
