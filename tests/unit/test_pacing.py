"""How soon checks run again: soon while runs are short, and never later than configured."""

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.row_count import RowCount
from checks.types import Severity
from worker.scheduling.pacing import REST, Pace, soonest

EVERY, SOONEST = timedelta(seconds=30), timedelta(seconds=4)

durations = st.timedeltas(min_value=timedelta(milliseconds=100), max_value=timedelta(days=1))


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """What `time.monotonic` tells."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that paces read."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def times(pace: Pace, clock: Clock, seconds: float) -> list[float]:
    """When a check begins, at a pace, whose runs take so long; in 100 s, by opportunities."""
    start, began = clock.now, []
    for number in range(int(100 / pace.step.total_seconds())):
        clock.now = max(clock.now, start + number * pace.step.total_seconds())
        if pace.is_time():
            began.append(clock.now - start)
            pace.begin()
            clock.now += seconds
            pace.end(seconds)
    return began


@given(durations, durations)
def test_a_whole_number_of_steps_makes_the_interval(every: timedelta, wanted: timedelta) -> None:
    """So that the longest wait is the configured one, and not a step more."""
    step = Pace(every, wanted).step
    number = round(every / step)
    assert abs(every - number * step) <= number * timedelta(microseconds=1)
    assert step <= max(wanted, every) + timedelta(microseconds=1)


def test_short_runs_come_at_every_step(clock: Clock) -> None:
    """A check whose runs take no time runs as soon as it may."""
    assert times(Pace(EVERY, SOONEST), clock, 0.001)[:4] == [0.0, 3.75, 7.5, 11.25]


def test_longer_runs_rest_longer(clock: Clock) -> None:
    """A check that takes 0.12 s rests for 12 s, to the next step."""
    began = times(Pace(EVERY, SOONEST), clock, 0.12)
    assert began[:4] == [0.0, 11.25, 22.5, 33.75]
    assert began[1] >= REST * 0.12 - 1


def test_long_runs_come_as_configured(clock: Clock) -> None:
    """However long they take: the interval of the configuration is kept."""
    assert times(Pace(EVERY, SOONEST), clock, 5.0) == [0.0, 30.0, 60.0, 90.0]


def test_an_interval_shorter_than_the_soonest_stays(clock: Clock) -> None:
    """Where everything runs each second, so do critical checks, and no opportunity is left out."""
    pace = Pace(timedelta(seconds=1), SOONEST)
    assert pace.step == timedelta(seconds=1)
    assert len(times(pace, clock, 0.9)) == 100


def test_a_run_that_takes_longer_than_the_interval_is_overdue(clock: Clock) -> None:
    """Between steps nothing is missed; after the whole interval something is."""
    pace = Pace(EVERY, SOONEST)
    pace.begin()
    clock.now += 20
    assert not pace.is_overdue()
    clock.now += 10
    assert pace.is_overdue()


@pytest.mark.parametrize(
    ("severity", "expected"),
    [(Severity.CRITICAL, SOONEST), (Severity.WARNING, EVERY), (Severity.INFO, EVERY)],
)
def test_what_pages_runs_sooner(severity: Severity, expected: timedelta) -> None:
    """A ticket can wait for half a minute."""
    check = RowCount(name="a", table="a", severity=severity)
    assert soonest(check, EVERY, SOONEST) == expected


def test_logs_are_read_as_configured() -> None:
    """A sample of a log is of a time, and not sooner to be had."""
    check = ConflictRate(name="a", source="app", severity=Severity.CRITICAL)
    assert soonest(check, EVERY, SOONEST) == EVERY
