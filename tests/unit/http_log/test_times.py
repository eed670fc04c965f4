"""Times as the loggers of this world write them, and what is no time."""

import time
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.times import Times

SHANGHAI = ZoneInfo("Asia/Shanghai")
BEGIN, END = 1_000_000_000, int(time.time())
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

SECONDS = st.integers(BEGIN, END)
OFFSETS = st.integers(-14 * 60, 14 * 60)


@given(SECONDS, st.sampled_from([1, 10**3, 10**6, 10**9]), st.floats(0, 0.999), st.data())
def test_the_unit_of_a_number_is_known_by_its_size(
    second: int, scale: int, part: float, data: st.DataObject
) -> None:
    """Seconds, milli-, micro- and nanoseconds, as a number or as text, whole or with a fraction."""
    number = second * scale + int(part * scale)
    written: list[object] = [number, str(number), [number], f" {number}"]
    written += [float(second * scale), f"{number}.25", f"[{number}]"] if scale < 10**9 else []
    assert Times(UTC).read(data.draw(st.sampled_from(written))) == second


@given(SECONDS, OFFSETS, st.text("0123456789", max_size=12), st.data())
def test_an_iso_time_is_read_in_all_its_shapes(
    second: int, minutes: int, fraction: str, data: st.DataObject
) -> None:
    """Any separator, number of fraction digits and way of writing the offset; letters of any case.

    Twice, since a minute that was read before is looked up.
    """
    moment = datetime.fromtimestamp(second, timezone(timedelta(minutes=minutes)))
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    zones = [f"{sign}{hours:02}:{rest:02}", f"{sign}{hours:02}{rest:02}"]
    zones += [f"{sign}{hours:02}"] if not rest else []
    zones += ["Z", "z", "UTC", " UTC"] if not minutes else []
    zones += [f" {zones[0]}", f" {zones[1]}"]
    separator, point = data.draw(st.sampled_from("T t_")), data.draw(st.sampled_from(".,"))
    date = moment.strftime(data.draw(st.sampled_from(["%Y-%m-%d", "%Y/%m/%d"])))
    clock = moment.strftime("%H:%M:%S") + (point + fraction if fraction else "")
    times = Times(SHANGHAI)
    for zone in (*zones, *zones):
        assert times.read(f"{date}{separator}{clock}{zone}") == second


@given(SECONDS, OFFSETS, st.sampled_from(["", ".123", ".123456"]))
def test_the_time_of_apache_is_read_whatever_the_language_is(
    second: int, minutes: int, fraction: str
) -> None:
    moment = datetime.fromtimestamp(second, timezone(timedelta(minutes=minutes)))
    month = MONTHS[moment.month - 1]
    text = moment.strftime(f"%d/{month}/%Y:%H:%M:%S{fraction} %z")
    times = Times(SHANGHAI)
    for written in (text, f"[{text}]", text):
        assert times.read(written) == second


@given(SECONDS)
def test_a_time_without_a_zone_is_one_of_the_stated_zone(second: int) -> None:
    local = datetime.fromtimestamp(second, SHANGHAI)
    month = MONTHS[local.month - 1]
    times = Times(SHANGHAI)
    for text in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.123", f"%d/{month}/%Y:%H:%M:%S.123"):
        assert times.read(local.strftime(text)) == second
    assert times.read(format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True)) == second


@pytest.mark.parametrize(
    "written",
    [
        *(0, 1, -5, 0.012, 12.5, 86_400, 100_000_000, "0.012", "123456789"),  # durations, counters
        *(1e30, 1e300, 10**18 * 9, 10**25, "9" * 50, "1e40", "nan", "inf", float("inf")),
        *(True, None, {}, [], [1, 2], "", "-", "yesterday", "12:00:00", "2026-01-05"),
        *("2026-13-05T12:00:00Z", "2026-01-05T25:00:00Z", "1970-01-01T00:00:00Z", "32/Jan/2026:"),
        *("0000-00-00 00:00:00", "9999-12-31T23:59:59Z", "05/Foo/2026:12:00:00 +0000"),
        *(
            f"2026-01-05T12:00:00{'0' * 70}Z",
            "2026-01-05T12:00:00+99:99",
            "\u0662026-01-05T12:00:00Z",
        ),
    ],
)
def test_what_is_no_time_of_a_request_is_none(written: object) -> None:
    times = Times(UTC)
    assert times.read(written) is times.read(written) is None


@pytest.mark.parametrize("ahead", [3, 30, 3000])
def test_a_time_far_ahead_is_no_time(ahead: int) -> None:
    """A clock may be a little fast; days ahead it is a date of something else."""
    later = datetime.now(UTC) + timedelta(days=ahead)
    times = Times(UTC)
    for written in (later.timestamp(), later.isoformat(), later.strftime("%d/%b/%Y:%H:%M:%S %z")):
        assert times.read(written) is None


def test_a_leap_second_is_the_second_before() -> None:
    times = Times(UTC)
    assert times.read("2016-12-31T23:59:60Z") == times.read("2016-12-31T23:59:59Z")
