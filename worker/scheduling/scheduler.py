"""When checks run: APScheduler 3 jobs, and a watchdog that sees when they stop."""

import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from checks.contract import Check
from worker.config import Config, Schedule
from worker.config.cron import cron
from worker.scheduling.admission import Gate, Held
from worker.scheduling.pacing import Pace, soonest

HEARTBEAT = 2.0
"""Seconds between two signs of life of the scheduler."""

CLOCK_JUMP = 2.0
"""Seconds by which the wall clock may depart from the monotonic one before jobs are re-planned."""

LOOK_AHEAD = timedelta(days=8)
"""How far a cron line is looked along for its longest gap: a week-end is no delay."""
LOOK_AHEAD_TIMES = 1000

_COMPLETE = "#complete"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Fires on a grid of wall-clock times, `interval` apart, at a phase of its own.

    The phase comes from the check's name, so that checks spread over the interval and stay spread
    over restarts. Counted from `now`: a pause or a clock set forward makes one run, not many.
    """

    def __init__(self, interval: timedelta, name: str) -> None:
        # Whole microseconds: a rounded float may be no later than `now`, and APScheduler would
        # count the runs up to now without end.
        self._interval = interval // _MICROSECOND
        self._phase = zlib.crc32(name.encode()) * self._interval >> 32

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """The first grid time after `now`."""
        passed = ((now - _EPOCH) // _MICROSECOND - self._phase) // self._interval
        return _EPOCH + ((passed + 1) * self._interval + self._phase) * _MICROSECOND


class Scheduler:
    """Runs each planned check when it is due, a few of each database at a time, none twice at once.

    Every source has threads of its own: one that hangs delays nobody else's checks.
    """

    def __init__(
        self,
        config: Config,
        run: Callable[[Check, bool], float],
        identify: Callable[[str], None],
        missed: Callable[[Check, str, int], None],
        *,
        all_ran: Callable[[], None] = lambda: None,
        gate: Gate | None = None,
    ) -> None:
        """`run` is told whether to read everything, and tells the seconds that it took.

        `gate` may put a run off.

        `all_ran` is called once, when every check with an interval has run.
        """
        self._run = run
        self._missed = missed
        self._all_ran = all_ran
        self._gate = gate or Gate()
        self._zone = ZoneInfo(config.settings.timezone)
        self._checks = {check.name: check for check in config.checks}
        self._running = {name: threading.Lock() for name in self._checks}
        self._owed_complete: set[str] = set()
        """Checks whose complete run fell due while another run of them was going on."""
        self._put_off: dict[str, str] = {}
        """Checks that wait for the gate to open, and what they read."""
        self._retried: set[str] = set()
        """Of these, checks of which a run is on its way that the schedule did not ask for."""
        self._first_run_due = set(self._checks)
        self._first_runs = threading.Lock()
        self._beat = time.monotonic()
        self._due: dict[str, float] = {}
        self._stop = threading.Event()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                **{
                    name: ThreadPoolExecutor(each.connections)
                    for name, each in config.settings.databases.items()
                },
                **{name: ThreadPoolExecutor(1) for name in _other_sources(config)},
                "default": ThreadPoolExecutor(1),
            },
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._plan(config, identify)
        self._scheduler.add_listener(self._on_submitted, EVENT_JOB_SUBMITTED)
        self._scheduler.add_listener(self._on_overlap, EVENT_JOB_MAX_INSTANCES)
        self._watchdog = threading.Thread(target=self._watch_clock, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin; every check with an interval runs once within a few seconds."""
        self._beat = time.monotonic()
        self._scheduler.start()
        self._watchdog.start()

    def stop(self) -> None:
        """Start no more runs; does not wait for those that are running."""
        self._stop.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @property
    def intervals(self) -> Mapping[str, timedelta]:
        """The time between two runs of each check; of a cron line, the longest such time."""
        return self._intervals

    @property
    def complete_gap(self) -> timedelta:
        """The longest time between two complete runs of a check, as configured."""
        return self._complete_gap

    def complaint(self) -> str | None:
        """Why the process should be restarted, or None. Does not depend on any database."""
        now = time.monotonic()
        if now - self._beat > 10 * HEARTBEAT:
            return f"the scheduler gave no sign of life for {now - self._beat:.0f} s"
        for name, due in list(self._due.items()):
            late = now - due
            if late > self._intervals[name].total_seconds() + 10 * HEARTBEAT:
                return f"check {name} is late: due {late:.0f} s ago and not started"
        return None

    def waiting_for_first_run(self) -> int:
        """How many checks with an interval have not run since the start."""
        return len(self._first_run_due)

    def next_run(self, name: str) -> datetime | None:
        """When a check is planned to run next; None while nobody knows."""
        jobs = [self._scheduler.get_job(job) for job in (name, name + _COMPLETE)]
        # One that waits for the start has no time yet.
        times = [getattr(job, "next_run_time", None) for job in jobs if job]
        rest = self._paces[name].seconds_left() if name in self._paces else 0.0
        planned = [each for each in times if each]
        return max(min(planned), datetime.now(UTC) + timedelta(seconds=rest)) if planned else None

    def _plan(self, config: Config, identify: Callable[[str], None]) -> None:
        now = datetime.now(UTC)
        complete = config.settings.schedule.complete
        self._complete_gap = self._interval(complete, now)
        self._intervals: dict[str, timedelta] = {}
        self._triggers: dict[str, BaseTrigger] = {}
        self._paces: dict[str, Pace] = {}
        self._scheduler.add_job(self._on_beat, Every(timedelta(seconds=HEARTBEAT), "heartbeat"))
        for database in _databases(config):
            self._scheduler.add_job(
                identify,
                Every(timedelta(minutes=1), database),
                args=[database],
                id=f"identify {database}",
                executor=database,
                next_run_time=now,
            )
        for planned in config.plan:
            check, every = planned.check, planned.timetable.every
            self._intervals[check.name] = self._interval(every, now)
            if isinstance(every, timedelta):
                critical = config.settings.schedule.critical
                pace = self._paces[check.name] = Pace(every, soonest(check, every, critical))
                every = pace.step
            self._triggers[check.name] = self._trigger(every, check.name)
            self._add(check, check.name, every, now)
            if not check.follows:
                self._add(check, check.name + _COMPLETE, complete, None)
            if not isinstance(every, timedelta):
                self._first_run_due.discard(check.name)

    def _add(self, check: Check, job: str, every: Schedule, first: datetime | None) -> None:
        options: dict[str, Any] = {}
        if first and isinstance(every, timedelta):
            options["next_run_time"] = first
        self._scheduler.add_job(
            self._run_once,
            self._trigger(every, job),
            args=[check, job.endswith(_COMPLETE)],
            id=job,
            executor=check.source_name,
            **options,
        )

    def _trigger(self, every: Schedule, name: str) -> BaseTrigger:
        if isinstance(every, timedelta):
            return Every(every, name)
        return cron(every, self._zone)

    def _interval(self, every: Schedule, now: datetime) -> timedelta:
        return every if isinstance(every, timedelta) else _longest_gap(every, self._zone, now)

    def _run_once(self, check: Check, complete: bool) -> None:  # noqa: FBT001 - APScheduler passes it
        lock, pace = self._running[check.name], self._paces.get(check.name)
        asked_for = check.name not in self._retried
        self._retried.discard(check.name)
        if not lock.acquire(blocking=False):
            if complete:  # the next run of the check makes up for it
                self._owed_complete.add(check.name)
            else:
                self._on_busy(check)
            return
        try:
            owed = check.name in self._owed_complete
            if pace and not (complete or owed or pace.is_time()):
                return
            if held := self._gate.holds(check):
                self._put_off[check.name] = check.source_name
                if complete:  # one run makes up for all that are put off
                    self._owed_complete.add(check.name)
                if held is Held.BUSY and asked_for:
                    self._missed(check, held, 1)
                return
            self._put_off.pop(check.name, None)
            self._owed_complete.discard(check.name)
            self._run_now(check, complete or owed, pace)
        finally:
            lock.release()

    def _run_now(self, check: Check, complete: bool, pace: Pace | None) -> None:  # noqa: FBT001
        try:
            if pace:
                pace.begin()
            seconds = self._run(check, complete)
            if pace:
                pace.end(seconds)
        finally:
            self._note_first_run(check)

    def _retry_put_off(self) -> None:
        """Let those run that were put off; of a busy database only one, which asks it again."""
        if self._gate.is_paused():
            return
        asked: set[str] = set()
        for name, source in list(self._put_off.items()):
            if source in asked:
                continue
            if self._gate.is_busy(source):
                asked.add(source)
            if name in self._retried:
                continue
            self._retried.add(name)
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def _note_first_run(self, check: Check) -> None:
        with self._first_runs:
            if self._stop.is_set() or check.name not in self._first_run_due:
                return
            self._first_run_due.remove(check.name)
            if self._first_run_due:
                return
        self._all_ran()

    def _on_beat(self) -> None:
        self._beat = time.monotonic()
        self._retry_put_off()

    def _on_submitted(self, event: JobSubmissionEvent) -> None:
        if (check := self._checks.get(event.job_id)) is None:
            return
        late = time.monotonic() - self._due.get(check.name, time.monotonic())
        self._note_due(check)
        # One run makes up for all that a pause left out.
        if left_out := int(max(0.0, late) / self._intervals[check.name].total_seconds()):
            self._missed(check, "pause", left_out)

    def _on_overlap(self, event: JobSubmissionEvent) -> None:
        if check := self._checks.get(event.job_id):
            self._retried.discard(check.name)
            self._note_due(check)
            self._on_busy(check)

    def _on_busy(self, check: Check) -> None:
        """A run is due and one is going on: a run is missed once it lasts longer than it may."""
        # At the start all checks queue up at once; that is no delay to tell of.
        pace = self._paces.get(check.name)
        if check.name not in self._first_run_due and (pace is None or pace.is_overdue()):
            self._missed(check, "overlap", 1)

    def _note_due(self, check: Check) -> None:
        """Remember, on a clock that nobody sets, when a check is to be started again."""
        now = datetime.now(UTC)
        if following := self._triggers[check.name].get_next_fire_time(None, now):
            self._due[check.name] = time.monotonic() + (following - now).total_seconds()

    def _watch_clock(self) -> None:
        """Plan all jobs anew when the wall clock was set: they would else wait for the old time."""
        departure = time.time() - time.monotonic()
        while not self._stop.wait(HEARTBEAT / 2):
            seen = time.time() - time.monotonic()
            if abs(seen - departure) > CLOCK_JUMP:
                departure = seen
                self._replan()

    def _replan(self) -> None:
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs():
            following = job.trigger.get_next_fire_time(None, now)
            # What is overdue stays so and runs at once: the clock went forward, or we slept.
            if following and job.next_run_time and following < job.next_run_time:
                job.modify(next_run_time=following)
        for check in self._checks.values():
            self._note_due(check)


@lru_cache(maxsize=64)
def _longest_gap(line: str, zone: ZoneInfo, now: datetime) -> timedelta:
    gaps = []
    for earlier, later in pairwise(islice(_fire_times(line, zone, now), LOOK_AHEAD_TIMES)):
        gaps.append(later - earlier)
        if later > now + LOOK_AHEAD:
            break
    return max(gaps, default=LOOK_AHEAD)


def _fire_times(line: str, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    trigger = cron(line, zone)
    following = trigger.get_next_fire_time(None, now)
    while following:
        yield following
        following = trigger.get_next_fire_time(following, following + timedelta(seconds=1))


def _databases(config: Config) -> Iterable[str]:
    return config.settings.databases


def _other_sources(config: Config) -> Iterable[str]:
    return {**config.settings.access_logs, **config.settings.prometheus}
