"""Cron lines mean what crontab means."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from worker.config.cron import CronLine

SUNDAY = datetime(2026, 11, 22, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("weekdays", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("sun", "Sun"),
        ("1", "Mon"),
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("5-7", "Sun Fri Sat"),
        ("sat-sun", "Sun Sat"),
        ("5-0,2", "Sun Tue Fri Sat"),
        ("0-0", "Sun"),
        ("*/3", "Sun Wed Sat"),
        ("1/2", "Mon Wed Fri"),
        ("1-5/2", "Mon Wed Fri"),
        ("mon/3", "Mon Thu"),
        ("1,MON,6", "Mon Sat"),
        ("*", "Sun Mon Tue Wed Thu Fri Sat"),
    ],
)
def test_days_of_the_week(weekdays: str, days: str) -> None:
    """Sunday is 0 and 7; ranges, steps, lists and names count from it."""
    times = islice(CronLine(f"0 2 * * {weekdays}").times(SUNDAY, UTC), 7)
    assert [f"{at:%a}" for at in times if at < SUNDAY + WEEK] == days.split()


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 3 1 * mon", "1 2 9 16 23 30 1"),  # either
        ("0 3 1-7 * sun", "1 2 3 4 5 6 7"),
        ("0 3 1-7 * */7", "1 6 3 7 7 4 2"),  # a field that begins with * narrows the other
        ("0 3 * * sun#1", "1 6 3 7 7 4 2"),
        ("0 3 */10 * mon", "21 11 1 1 31 21 11"),
        ("0 3 L * *", "30 31 31 28 31 30 31"),
        ("0 3 29 feb *", "29 29 29 29 29 29 29"),
        ("0 3 1-5/2,20 nov *", "1 3 5 20 1 3 5"),
    ],
)
def test_days_of_the_month(line: str, days: str) -> None:
    """A day of the month and one of the week: either will do, unless one begins with a star."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    assert [f"{at.day}" for at in islice(CronLine(line).times(begin, UTC), 7)] == days.split()


@pytest.mark.parametrize(
    ("zone", "before", "line", "expected"),
    [
        # 02:00 to 03:00 does not exist
        ("Europe/Berlin", "2026-03-29 00:00", "30 2 * * *", "29 03:00+0200, 30 02:30+0200"),
        ("Europe/Berlin", "2026-03-29 00:00", "0 2 * * *", "29 03:00+0200, 30 02:00+0200"),
        ("Europe/Berlin", "2026-03-29 01:01", "*/30 * * * *", "29 01:30+0100, 29 03:00+0200"),
        ("Europe/Berlin", "2026-03-29 01:01", "30 * * * *", "29 01:30+0100, 29 03:30+0200"),
        ("America/New_York", "2026-03-08 00:00", "30 2 * * *", "08 03:00-0400, 09 02:30-0400"),
        # 02:00 to 03:00, in New York 01:00 to 02:00, comes twice
        ("Europe/Berlin", "2026-10-25 00:00", "30 2 * * *", "25 02:30+0200, 26 02:30+0100"),
        ("Europe/Berlin", "2026-10-25 02:01", "30 * * * *", "25 02:30+0200, 25 02:30+0100"),
        ("America/New_York", "2026-11-01 00:00", "30 1 * * *", "01 01:30-0400, 02 01:30-0500"),
        # midnight does not exist
        ("Africa/Cairo", "2026-04-23 12:00", "0 0 * * *", "24 01:00+0300, 25 00:00+0300"),
    ],
)
def test_days_on_which_clocks_are_set(zone: str, before: str, line: str, expected: str) -> None:
    """What has an hour of its own runs once, at once after a skipped time; what repeats goes on."""
    local = ZoneInfo(zone)
    begin = datetime.strptime(before, "%Y-%m-%d %H:%M").replace(tzinfo=local)
    times = islice(CronLine(line).times(begin, local), 2)
    assert ", ".join(f"{at.astimezone(local):%d %H:%M%z}" for at in times) == expected


@pytest.mark.parametrize("minutes", range(0, 150, 10))
def test_the_next_time_is_never_past(minutes: int) -> None:
    """In the second of two equal hours, a time of the first is over."""
    zone = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 25, 0, tzinfo=UTC) + timedelta(minutes=minutes)
    for line in ("45 2 * * *", "*/15 * * * *", "0 3 * * *"):
        following = CronLine(line).next(now, zone)
        assert following
        assert following > now


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 2 * *", "five fields"),
        ("0 2 * * * *", "five fields"),
        ("", "five fields"),
        ("@daily", "five fields"),
        ("61 2 * * *", "bad minute in this cron line: 61"),
        ("٣ 2 * * *", "bad minute in this cron line"),
        (f"{'9' * 5000} 2 * * *", "bad minute in this cron line"),
        ("0 24 * * *", "bad hour in this cron line: 24"),
        ("0 2 0 * *", "bad day of month in this cron line: 0"),
        ("0 2 1,,2 * *", "bad day of month in this cron line: 1,,2"),
        ("0 2 * nov-feb *", "bad month in this cron line: nov-feb"),
        ("0 2 * * 8", "bad day of week in this cron line: 8"),
        ("0 2 * * 5-2", "bad day of week in this cron line: 5-2"),
        ("0 2 * * 1/0", "bad day of week in this cron line: 1/0"),
        ("*/90 * * * *", r"the minute of this cron line steps over its end: \*/90"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 */30 2 mon#5", "never comes"),
    ],
)
def test_what_is_none(line: str, message: str) -> None:
    """A line that names no time is a ValueError, which names the field."""
    with pytest.raises(ValueError, match=message):
        CronLine(line)
