"""When jobs fire: the grid of an interval, and the longest gap of a cron line."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.kinds.row_count import RowCount
from worker.config import Config, Origin, PlannedCheck, Settings, Timetable
from worker.config.cron import CronLine
from worker.scheduling.triggers import Cron, Every, Intervals

intervals = st.timedeltas(min_value=timedelta(milliseconds=10), max_value=timedelta(days=7))
moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
names = st.text(max_size=20)


@given(intervals, names, moments)
def test_grid_is_after_now_and_within_one_interval(
    interval: timedelta, name: str, now: datetime
) -> None:
    """The next time is strictly later, by one interval at most, whenever it is asked for."""
    following = Every(interval, name).after(now)
    assert now < following <= now + interval


@given(intervals, names, moments)
def test_grid_is_even(interval: timedelta, name: str, now: datetime) -> None:
    """Two successive times are exactly one interval apart, over restarts as well."""
    first = Every(interval, name).after(now)
    second = Every(interval, name).after(first)
    assert second - first == interval


def test_checks_spread_over_the_interval() -> None:
    """Sixty checks with one interval start all over it."""
    now, interval = datetime(2026, 1, 5, tzinfo=UTC), timedelta(seconds=30)
    starts = [
        Every(interval, f"table_{number}.duplicates").after(now) - now for number in range(60)
    ]
    assert len({int(start / interval * 10) for start in starts}) >= 8


@pytest.mark.parametrize(
    ("line", "gap"),
    [
        ("*/5 * * * *", timedelta(minutes=5)),
        ("0 3 * * *", timedelta(days=1)),
        ("*/10 9-17 * * *", timedelta(hours=15, minutes=10)),
        ("0 3 1 * *", timedelta(days=28)),
        ("0 0 29 2 *", timedelta(days=1461)),
    ],
)
def test_interval_of_a_cron_line(line: str, gap: timedelta) -> None:
    """The interval of a cron line is the longest time between two of its runs in sight."""
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert Cron(CronLine(line), ZoneInfo("UTC")).longest_gap(now) == gap


@pytest.mark.parametrize(
    ("complete", "gap"), [("6h", timedelta(hours=6)), ("0 3 * * mon-fri", timedelta(days=3))]
)
def test_intervals_of_a_configuration(complete: str, gap: timedelta) -> None:
    """Of each check and of complete runs, the longest time between two: a week-end is no delay."""
    settings = Settings.model_validate(
        {
            "databases": {"ledger": {"url": "sqlite:///ledger.db"}},
            "schedule": {"complete": complete},
        }
    )
    check = RowCount(name="a", table="t", database="ledger")
    every = Timetable.model_validate({"every": "0 9 * * mon-fri"})
    intervals = Intervals.of(Config(settings, (PlannedCheck(check, every, Origin("tables", "t")),)))
    assert (intervals.checks, intervals.complete) == ({"a": timedelta(days=3)}, gap)
