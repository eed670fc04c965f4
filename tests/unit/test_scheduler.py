"""When checks run: the grid, no overlap, no check held up by another, and the watchdog."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.triggers.base import BaseTrigger

from checks.contract import Check
from checks.kinds.row_count import RowCount
from tests.support.patience import patience, stretched, wait_until
from worker.config import Config, Origin, PlannedCheck, Settings, Timetable
from worker.scheduling import scheduler as scheduling
from worker.scheduling.scheduler import Scheduler
from worker.scheduling.triggers import Intervals

SECOND = timedelta(seconds=1)
FAST = timedelta(seconds=0.2)


class Runs:
    """What a scheduler of these tests runs, and where it says so."""

    def __init__(self) -> None:
        self.started: list[tuple[str, float]] = []
        self.complete: list[bool] = []
        """Of each run, whether it was to read everything."""
        self.missed: list[tuple[str, str, int]] = []
        self.slow: dict[str, threading.Event] = {}
        """A run of such a check lasts until its event is set."""
        self.at_once = 0
        self.most_at_once: dict[str, int] = {}
        self._now: dict[str, int] = {}
        self._lock = threading.Lock()

    def run(self, check: Check, complete: bool) -> float:  # noqa: FBT001 - a callback
        """Be the run of a check."""
        start = time.monotonic()
        with self._lock:
            self.complete.append(complete)
            self.started.append((check.name, time.monotonic()))
            self._now[check.name] = self._now.get(check.name, 0) + 1
            most = max(self.most_at_once.get(check.name, 0), self._now[check.name])
            self.most_at_once[check.name] = most
        if event := self.slow.get(check.name):
            event.wait(patience(60))
        with self._lock:
            self._now[check.name] -= 1
        return time.monotonic() - start

    def note_missed(self, check: Check, reason: str, number: int) -> None:
        """Be told of runs that were not."""
        self.missed.append((check.name, reason, number))

    def count(self, name: str) -> int:
        """How many runs of a check have started."""
        return sum(each == name for each, _ in self.started)


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def scheduler(runs: Runs) -> Iterator[Callable[..., Scheduler]]:
    """`scheduler(a=…, b=…)` plans checks of those names; each value is an interval or cron line.

    A name `other_…` is a check of another database than the rest.
    """
    made: list[Scheduler] = []

    def make(zone: str = "UTC", complete: str = "0 3 * * *", **plan: Any) -> Scheduler:
        planned = tuple(
            PlannedCheck(
                RowCount(name=name, table="t", database="other" if "other" in name else "ledger"),
                Timetable.model_validate({"every": every}),
                Origin("tables", "t"),
            )
            for name, every in plan.items()
        )
        databases = {name: {"url": f"sqlite:///{name}.db"} for name in ("ledger", "other")}
        settings = Settings.model_validate(
            {"timezone": zone, "databases": databases, "schedule": {"complete": complete}}
        )
        config = Config(settings, planned)
        made.append(
            Scheduler(config, Intervals.of(config), runs.run, lambda _: None, runs.note_missed)
        )
        return made[-1]

    yield make
    for event in runs.slow.values():
        event.set()
    for each in made:
        each.stop()


Plan = Callable[..., Scheduler]


def test_first_runs_are_at_once(scheduler: Plan, runs: Runs) -> None:
    """A check with an interval runs at the start; one with a cron line waits, and nobody for it."""
    planned = scheduler(hourly=timedelta(hours=1), nightly="0 3 * * *")
    assert planned.waiting_for_first_run() == 1
    planned.start()
    wait_until(lambda: planned.waiting_for_first_run() == 0, 5, "the first run is over")
    assert [name for name, _ in runs.started] == ["hourly"]


def test_runs_keep_their_interval(scheduler: Plan, runs: Runs) -> None:
    """Each time of the grid starts a run, meets one, or is counted as missed: none is lost."""
    planned = scheduler(a=FAST)
    times: list[datetime] = []
    counted: list[int] = []

    def note(event: JobSubmissionEvent) -> None:
        if event.job_id == "a":
            times.extend(event.scheduled_run_times)
            counted.append(sum(number for _, why, number in runs.missed if why == "pause"))

    both = EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES
    planned._scheduler.add_listener(note, both)  # after the scheduler's own
    planned.start()
    wait_until(lambda: len(times) >= 7, 10, "seven runs")
    grid = times[1:7]  # the first is off the grid
    steps = [(later - earlier) / FAST for earlier, later in pairwise(grid)]
    assert [step for step in steps if step != round(step)] == []
    left_out = sum(round(step) - 1 for step in steps)  # a busy machine leaves some out
    # One that falls due between the look and the count is counted, and runs all the same.
    assert left_out <= counted[6] - counted[1] <= left_out + 1


def overlaps(runs: Runs) -> list[tuple[str, str, int]]:
    """The runs that were missed because one was going on."""
    return [missed for missed in runs.missed if missed[1] == "overlap"]


def test_check_does_not_overlap_itself(scheduler: Plan, runs: Runs) -> None:
    """While a run lasts, those that fall due are counted as missed and do not pile up."""
    planned = scheduler(a=FAST)
    planned.start()
    wait_until(lambda: planned.waiting_for_first_run() == 0, 5, "the first run is over")
    runs.slow["a"] = threading.Event()
    wait_until(lambda: len(overlaps(runs)) >= 3, 10, "three runs are missed")
    count, missed = runs.count("a"), len(overlaps(runs))
    wait_until(lambda: len(overlaps(runs)) > missed, 10, "another run is missed")
    assert runs.count("a") == count
    assert set(overlaps(runs)) == {("a", "overlap", 1)}
    runs.slow.pop("a").set()
    wait_until(lambda: runs.count("a") >= count + 2, 10, "it goes on")
    assert runs.most_at_once == {"a": 1}
    assert planned.complaint() is None


def test_long_first_run_misses_nothing(scheduler: Plan, runs: Runs) -> None:
    """That all checks queue up at the start is not counted as runs missed."""
    runs.slow["a"] = threading.Event()
    scheduler(a=FAST, b=FAST).start()
    wait_until(lambda: runs.count("b") >= 4, 10, "three intervals are over")
    assert [missed for missed in runs.missed if missed[0] == "a"] == []


def test_slow_database_delays_no_other(scheduler: Plan, runs: Runs) -> None:
    """Checks that hang on one database leave the checks of another to run again and again."""
    hanging = [f"a{number}" for number in range(5)]
    runs.slow = dict.fromkeys(hanging, threading.Event())
    scheduler(**dict.fromkeys(hanging, FAST), other=FAST).start()
    wait_until(lambda: runs.count("other") >= 6, 10, "the other runs")
    assert sum(runs.count(name) for name in hanging) <= 2  # its connections


def test_slow_check_leaves_a_thread_of_its_database(scheduler: Plan, runs: Runs) -> None:
    """One hanging check does not stop the others of its database."""
    runs.slow["slow"] = threading.Event()
    scheduler(slow=FAST, quick=FAST).start()
    wait_until(lambda: runs.count("quick") >= 4, 10, "the quick one runs")
    assert runs.count("slow") == 1


def test_a_complete_run_is_asked_for(scheduler: Plan, runs: Runs) -> None:
    """The runs of the complete schedule are told to read everything, the others are not."""
    planned = scheduler(a=FAST)
    planned.start()
    wait_until(lambda: runs.count("a") >= 2, 5, "regular runs")
    planned._scheduler.modify_job("a#complete", next_run_time=datetime.now(UTC))
    wait_until(lambda: True in runs.complete, 5, "the complete run")
    before = runs.count("a")
    wait_until(lambda: runs.count("a") >= before + 2, 5, "regular runs again")
    assert runs.complete.count(True) == 1


def test_a_complete_run_is_not_lost_over_an_overlap(scheduler: Plan, runs: Runs) -> None:
    """A complete run that falls due while its check runs is made up for by the next run."""
    runs.slow["a"] = threading.Event()
    planned = scheduler(a=FAST)
    planned.start()
    wait_until(lambda: runs.count("a") == 1, 5, "the slow run")
    planned._scheduler.modify_job("a#complete", next_run_time=datetime.now(UTC))
    wait_until(lambda: "a" in planned._owed_complete, 5, "it is remembered")
    runs.slow["a"].set()
    wait_until(lambda: runs.count("a") >= 3, 5, "the next runs")
    assert runs.complete[:3] == [False, True, False]


def test_pause_is_one_run_and_counted(scheduler: Plan, runs: Runs) -> None:
    """After a pause a check runs once, and the runs that were left out are counted."""
    planned = scheduler(a=FAST)
    planned.start()
    wait_until(lambda: runs.count("a") >= 2, 10, "it runs")
    planned._scheduler.pause()
    wait_until(lambda: time.monotonic() - runs.started[-1][1] > 1.1, 5, "five runs are left out")
    before, missed = runs.count("a"), len(runs.missed)
    planned._scheduler.resume()
    wait_until(lambda: len(runs.missed) > missed, 5, "they are counted")
    wait_until(lambda: runs.count("a") >= before + 2, 5, "it goes on")
    name, reason, number = runs.missed[missed]
    (_, last), (_, first) = runs.started[before - 1 : before + 1]
    assert (name, reason) == ("a", "pause")
    assert 4 <= number <= (first - last) / FAST.total_seconds() + 1


class Faulty(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """A trigger with a bug, which ends APScheduler's thread."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Now, and then never."""
        if previous:
            raise RuntimeError
        return now


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_complaint_when_the_scheduler_thread_dies(
    scheduler: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead scheduler thread is noticed although APScheduler says that it runs."""
    monkeypatch.setattr(scheduling, "HEARTBEAT", stretched(0.05).total_seconds())
    planned = scheduler(a=timedelta(hours=1))
    planned.start()
    assert planned.complaint() is None
    planned._scheduler.add_job(lambda: None, Faulty())
    wait_until(lambda: planned.complaint() is not None, 10, "it complains")
    assert planned._scheduler.running
    assert "no sign of life" in str(planned.complaint())


def test_complaint_when_a_job_is_lost(scheduler: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that is not started any more is named, though the scheduler lives."""
    monkeypatch.setattr(scheduling, "HEARTBEAT", stretched(0.05).total_seconds())
    planned = scheduler(a=FAST, b=FAST)
    planned.start()
    wait_until(lambda: len(planned._due) == 2, 5, "both have run")
    planned._scheduler.remove_job("a")
    wait_until(lambda: "check a is late" in str(planned.complaint()), 10, "it complains")


def test_cron_is_meant_in_the_configured_zone(scheduler: Plan) -> None:
    """Three o'clock is three o'clock where the ledger is."""
    planned = scheduler(zone="Asia/Shanghai", a="0 3 * * *")
    following = planned._triggers["a"].after(datetime.now(UTC))
    assert following is not None
    assert following.hour == 19


def test_clock_set_back_is_planned_anew(
    scheduler: Plan, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that was planned by a clock which is then set back an hour does not wait for it."""
    planned = scheduler(a=FAST)
    planned.start()
    wait_until(lambda: runs.count("a") >= 2, 5, "it runs")
    for job in planned._scheduler.get_jobs():
        job.modify(next_run_time=datetime.now(UTC) + timedelta(hours=1))
    before = runs.count("a")
    # The watchdog sees the wall clock depart from the monotonic one.
    monkeypatch.setattr(scheduling, "CLOCK_JUMP", -1.0)
    wait_until(lambda: runs.count("a") >= before + 2, 5, "it runs again")


def test_overdue_run_is_not_planned_away(scheduler: Plan, runs: Runs) -> None:
    """After the clock jumped over the time of a nightly run, that run is made up for at once."""
    planned = scheduler(a="0 3 * * *")
    planned._scheduler.start(paused=True)
    planned._scheduler.modify_job("a", next_run_time=datetime.now(UTC) - timedelta(hours=2))
    planned._replan()
    planned._scheduler.resume()
    wait_until(lambda: runs.count("a") == 1, 5, "it runs")


def test_stop_before_start(scheduler: Plan) -> None:
    """A scheduler that never started can be stopped."""
    scheduler(a=SECOND).stop()
