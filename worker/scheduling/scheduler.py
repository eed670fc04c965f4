"""When checks run: APScheduler 3 jobs, and a watchdog that sees when they stop."""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from checks.contract import Check
from worker.config import Config, PlannedCheck, ScheduleSettings
from worker.scheduling.admission import Admission, Deferral
from worker.scheduling.pacing import Pace, soonest
from worker.scheduling.triggers import Every, Intervals, Trigger, trigger

HEARTBEAT = 2.0
"""Seconds between two signs of life of the scheduler."""

CLOCK_JUMP = 2.0
"""Seconds by which the wall clock may depart from the monotonic one before jobs are re-planned."""

_COMPLETE = "#complete"


class Scheduler:
    """Runs each planned check when it is due, a few of each database at a time, none twice at once.

    Every source has threads of its own: one that hangs delays nobody else's checks.
    """

    def __init__(
        self,
        config: Config,
        intervals: Intervals,
        run: Callable[[Check, bool], float],
        identify: Callable[[str], None],
        missed: Callable[[Check, str, int], None],
        *,
        all_ran: Callable[[], None] = lambda: None,
        admission: Admission | None = None,
    ) -> None:
        """`run` is told whether to read everything, and tells the seconds that it took.

        `admission` may defer a run.

        `all_ran` is called once, when every check with an interval has run.
        """
        self._run = run
        self._missed = missed
        self._all_ran = all_ran
        self._admission = admission or Admission()
        self._intervals = intervals.checks
        self._zone = ZoneInfo(config.settings.timezone)
        self._checks = {check.name: check for check in config.checks}
        self._running = {name: threading.Lock() for name in self._checks}
        self._owed_complete: set[str] = set()
        """Checks whose complete run fell due while another run of them was going on."""
        self._deferred: dict[str, str] = {}
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
        now, schedule = datetime.now(UTC), config.settings.schedule
        self._triggers: dict[str, Trigger] = {}
        self._paces: dict[str, Pace] = {}
        self._scheduler.add_job(self._on_beat, Every(timedelta(seconds=HEARTBEAT), "heartbeat"))
        for database in _databases(config):
            self._plan_identifying(database, identify, now)
        for planned in config.plan:
            self._plan_check(planned, schedule, now)

    def _plan_identifying(
        self, database: str, identify: Callable[[str], None], now: datetime
    ) -> None:
        self._scheduler.add_job(
            identify,
            Every(timedelta(minutes=1), database),
            args=[database],
            id=f"identify {database}",
            executor=database,
            next_run_time=now,
        )

    def _plan_check(self, planned: PlannedCheck, schedule: ScheduleSettings, now: datetime) -> None:
        check, every = planned.check, planned.timetable.every
        fires = trigger(every, check.name, self._zone)
        if isinstance(every, timedelta):
            pace = Pace(every, soonest(check, every, schedule.critical))
            self._paces[check.name], fires = pace, Every(pace.step, check.name)
            self._add(check, check.name, fires, first=now)
        else:
            self._first_run_due.discard(check.name)
            self._add(check, check.name, fires)
        self._triggers[check.name] = fires
        if not check.follows:
            job = check.name + _COMPLETE
            self._add(check, job, trigger(schedule.complete, job, self._zone))

    def _add(self, check: Check, job: str, fires: Trigger, first: datetime | None = None) -> None:
        options = {"next_run_time": first} if first else {}
        self._scheduler.add_job(
            self._run_once,
            fires,
            args=[check, job.endswith(_COMPLETE)],
            id=job,
            executor=check.source_name,
            **options,
        )

    def _run_once(self, check: Check, complete: bool) -> None:  # noqa: FBT001 - APScheduler passes it
        lock, pace = self._running[check.name], self._paces.get(check.name)
        asked_for = check.name not in self._retried
        self._retried.discard(check.name)
        if not lock.acquire(blocking=False):
            if complete:  # the next run of the check is a complete one
                self._owed_complete.add(check.name)
            else:
                self._on_busy(check)
            return
        try:
            owed = check.name in self._owed_complete
            if pace and not (complete or owed or pace.is_time()):
                return
            if deferral := self._admission.deferral(check):
                self._deferred[check.name] = check.source_name
                if complete:  # one run stands for all that are deferred
                    self._owed_complete.add(check.name)
                if deferral is Deferral.BUSY and asked_for:
                    self._missed(check, deferral, 1)
                return
            self._deferred.pop(check.name, None)
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

    def _retry_deferred(self) -> None:
        """Let those run that were deferred; of a busy database only one, which asks it again."""
        if self._admission.is_paused():
            return
        asked: set[str] = set()
        for name, source in list(self._deferred.items()):
            if source in asked:
                continue
            if self._admission.is_busy(source):
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
        self._retry_deferred()

    def _on_submitted(self, event: JobSubmissionEvent) -> None:
        if (check := self._checks.get(event.job_id)) is None:
            return
        late = time.monotonic() - self._due.get(check.name, time.monotonic())
        self._note_due(check)
        # One run stands for all that a pause left out.
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


def _databases(config: Config) -> Iterable[str]:
    return config.settings.databases


def _other_sources(config: Config) -> Iterable[str]:
    return {**config.settings.access_logs, **config.settings.prometheus}
