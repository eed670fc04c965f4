"""Runs that are put off: they are made up for once, and hold nobody else up."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from checks.contract import Check, CheckError
from checks.kinds.row_count import RowCount
from tests.support.patience import wait_until
from worker.config import BackOff, Config, Origin, PlannedCheck, Settings, Timetable
from worker.model.server import Load
from worker.scheduling import backpressure, scheduler
from worker.scheduling.admission import Admission, Deferral
from worker.scheduling.backpressure import Backpressure
from worker.scheduling.scheduler import Scheduler
from worker.scheduling.triggers import Intervals


class Switch(Admission):
    """A gate that a test opens and closes."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = False
        self.busy_source = ""
        self.asked: Counter[str] = Counter()

    def deferral(self, check: Check) -> Deferral | None:
        """See `Admission.deferral`."""
        self.asked[check.name] += 1
        if self.paused:
            return Deferral.PAUSED
        return Deferral.BUSY if check.source_name == self.busy_source else None

    def is_paused(self) -> bool:
        """See `Admission.is_paused`."""
        return self.paused

    def is_busy(self, source: str) -> bool:
        """See `Admission.is_busy`."""
        return source == self.busy_source


class Runs:
    """A scheduler of two hourly checks of each of two databases, and what it ran."""

    def __init__(self) -> None:
        self.gate = Switch()
        self.done: list[tuple[str, bool]] = []
        """Each run: its check, and whether it was to read everything."""
        self.missed: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        names = ("a.one", "a.two", "b.one", "b.two")
        every = Timetable(every=timedelta(hours=1))
        plan = tuple(
            PlannedCheck(
                RowCount(name=name, table="t", database=name[0]), every, Origin("tables", "t")
            )
            for name in names
        )
        databases = {name: {"url": f"sqlite:///{name}.db"} for name in "ab"}
        settings = Settings.model_validate({"databases": databases})
        config = Config(settings, plan)
        self.scheduler = Scheduler(
            *(config, Intervals.of(config), self._run, lambda _: None, self._miss),
            admission=self.gate,
        )

    def _run(self, check: Check, complete: bool) -> float:  # noqa: FBT001 - a callback
        with self._lock:
            self.done.append((check.name, complete))
        return 0.0

    def _miss(self, check: Check, reason: str, _number: int) -> None:
        self.missed.append((check.name, reason))

    def demand(self, job: str) -> None:
        """Have a job fall due now, and wait until it has asked whether it may run."""
        check = job.partition("#")[0]
        before = self.gate.asked[check]
        self.scheduler._scheduler.modify_job(job, next_run_time=datetime.now(UTC))
        wait_until(lambda: self.gate.asked[check] > before, 5, f"{job} asks")

    @property
    def counts(self) -> dict[str, int]:
        """How often each check ran."""
        return dict(Counter(name for name, _ in self.done))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setattr(scheduler, "HEARTBEAT", 0.2)
    made = Runs()
    yield made
    made.scheduler.stop()


EACH_ONCE = {"a.one": 1, "a.two": 1, "b.one": 1, "b.two": 1}


def test_after_a_pause_each_check_runs_once(runs: Runs) -> None:
    """However often a check fell due, one run makes up for it: a complete one, if one was due."""
    runs.gate.paused = True
    runs.scheduler.start()
    wait_until(lambda: len(runs.gate.asked) == len(EACH_ONCE), 5, "each has asked")
    for job in 3 * ("a.one", "a.one#complete"):
        runs.demand(job)
    assert runs.done == []
    assert runs.scheduler.complaint() is None
    assert runs.scheduler.waiting_for_first_run() == 4
    runs.gate.paused = False
    wait_until(lambda: len(runs.done) >= 4, 5, "each check runs")
    wait_until(lambda: not runs.scheduler.waiting_for_first_run(), 5, "nobody waits")
    for _ in range(3):
        before = runs.scheduler._beat
        wait_until(lambda: runs.scheduler._beat > before, 5, "another sign of life")  # noqa: B023
    assert runs.counts == EACH_ONCE
    assert ("a.one", True) in runs.done
    assert runs.missed == []


def test_a_busy_database_holds_up_no_other(runs: Runs) -> None:
    """Its checks are put off and counted, one of them asks again, and the others run."""
    runs.gate.busy_source = "a"
    runs.scheduler.start()
    wait_until(lambda: runs.counts == {"b.one": 1, "b.two": 1}, 5, "the others run")
    wait_until(lambda: max(runs.gate.asked.values()) >= 4, 5, "it is looked at again")
    assert min(runs.gate.asked["a.one"], runs.gate.asked["a.two"]) == 1
    assert Counter(runs.missed) == {("a.one", "busy"): 1, ("a.two", "busy"): 1}
    runs.gate.busy_source = ""
    wait_until(lambda: runs.counts == EACH_ONCE, 5, "each runs once")


def test_what_is_known_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value at its limit is calm, one over it is busy; a server that fails is not busy."""
    monkeypatch.setattr(backpressure, "ASK_AGAIN", 0.0)
    told: dict[str, bool | None] = {}
    answers = iter([64.0, 65.0, 66.0, None, 65.0, 3.0])

    def load() -> Load:
        value = next(answers)
        if value is None:
            raise CheckError("away")
        return Load({"threads_running": value}, {"history_list": "no privilege"})

    database = Backpressure(
        "ledger", BackOff(), load, lambda _, reason, busy: told.update({reason: busy})
    )
    with capture_logs() as lines:
        looked = [(database.is_calm(), told["threads_running"]) for _ in range(6)]
    assert looked == [
        *((True, False), (False, True), (False, True)),
        *((True, None), (False, True), (True, False)),
    ]
    assert told == {"threads_running": False, "replication_lag": None, "history_list": None}
    events = [each["event"] for each in lines]
    assert events == ["database_load_unseen", "database_busy", "database_busy", "database_calm"]


def test_a_server_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen deferral for some seconds, for all checks of the database."""
    monkeypatch.setattr(backpressure, "ASK_AGAIN", 3600.0)
    asked: list[None] = []

    def load() -> Load:
        asked.append(None)
        return Load({"threads_running": 1.0}, {})

    database = Backpressure("ledger", BackOff(), load, lambda *_: None)
    assert [database.is_calm() for _ in range(50)] == [True] * 50
    assert len(asked) == 1
