"""Cron lines mean what crontab means."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.config.cron import cron

SUNDAY = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 2 * * 0", "Sun"),
        ("0 2 * * 7", "Sun"),
        ("0 2 * * sun", "Sun"),
        ("0 2 * * 1", "Mon"),
        ("0 2 * * 1-5", "Mon Tue Wed Thu Fri"),
        ("0 2 * * 5-7", "Sun Fri Sat"),
        ("0 2 * * sat-sun", "Sun Sat"),
        ("0 2 * * */3", "Sun Wed Sat"),
        ("0 2 * * 1,MON,6", "Mon Sat"),
        ("0 2 * * *", "Sun Mon Tue Wed Thu Fri Sat"),
    ],
)
def test_days_of_the_week(line: str, days: str) -> None:
    """Sunday is 0 and 7; ranges, steps, lists and names count from it."""
    found, at = [], SUNDAY
    while (at := cron(line, UTC).get_next_fire_time(None, at)) < SUNDAY + timedelta(days=7):
        found.append(f"{at:%a}")
        at += timedelta(seconds=1)
    assert found == days.split()


@pytest.mark.parametrize(
    "line", ["0 2 * *", "0 2 * * 8", "0 2 * * -1", "0 2 * * 5-2", "0 2 * * 1/0", "x 2 * * 1", ""]
)
def test_what_is_none(line: str) -> None:
    """A line that names no time is a ValueError."""
    with pytest.raises(ValueError, match=r"field|day|[Uu]nrecognized|expression"):
        cron(line, UTC)
