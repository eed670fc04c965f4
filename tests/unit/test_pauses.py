"""Pauses: the file, the signal, and windows that survive the days on which clocks are set."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from worker.config import BackOff, Maintenance, Settings
from worker.model.pause import Reason
from worker.scheduling.pauses import LONGEST_REASON, Pauses, Window, first_line

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def window(cron: str, lasts: str, zone: ZoneInfo = BERLIN) -> Window:
    """A maintenance window of the configuration."""
    return Window(Maintenance.model_validate({"cron": cron, "lasts": lasts, "reason": "x"}), zone)


def spans(window: Window, day: datetime) -> list[tuple[str, float]]:
    """When it begins (UTC) around a day, and how many hours each lasts."""
    found: list[tuple[str, float]] = []
    step, before = timedelta(minutes=15), False
    for number in range(-12 * 4, 36 * 4):
        at = day + number * step
        now = window.holds(at)
        if now and not before:
            found.append((f"{at:%d %H:%M}", 0.0))
        if now:
            found[-1] = (found[-1][0], found[-1][1] + step / HOUR)
        before = now
    return found


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ((2026, 1, 4), [("04 01:30", 2.0)]),
        ((2026, 3, 29), [("29 01:00", 2.0)]),  # 02:30 does not exist: 03:00 summer time
        ((2026, 10, 25), [("25 00:30", 2.0)]),  # 02:30 comes twice: the first of them
        ((2026, 6, 7), [("07 00:30", 2.0)]),
    ],
)
def test_a_window_begins_once_and_lasts_as_long_as_it_says(
    day: tuple[int, int, int], expected: list[tuple[str, float]]
) -> None:
    """On every Sunday there is one window of two hours, whether clocks are set in it or not."""
    assert spans(window("30 2 * * 0", "2h"), datetime(*day, tzinfo=UTC)) == expected


def test_a_window_over_midnight() -> None:
    """A window that begins on one day holds on the next."""
    night = window("0 23 * * 6", "3h", ZoneInfo("Asia/Shanghai"))
    assert spans(night, datetime(2026, 11, 22, tzinfo=UTC)) == [("21 15:00", 3.0)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cron": "2h", "lasts": "1h"}, "not a cron line"),
        ({"cron": "0 2 30 2 *", "lasts": "1h"}, "never comes"),
        ({"cron": "0 * * * *", "lasts": "1h"}, "never ends"),
        ({"cron": "0 2 1 * *", "lasts": "8d"}, "over 7d"),
        ({"cron": "0 2 * * 0", "lasts": "0s"}, "above 0"),
    ],
)
def test_a_window_that_cannot_be(given: dict[str, str], message: str) -> None:
    """A window without a time, without an end or without a length is a mistake that says so."""
    with pytest.raises(ValidationError, match=message):
        Maintenance.model_validate({**given, "reason": "x"})


def test_limits_are_switched_off_one_by_one() -> None:
    """0 and false switch a limit off, also as texts; true and -1 are mistakes."""
    off = {"threads_running": False, "replication_lag": "0", "history_list": 0}
    assert BackOff.model_validate(off).limits == {}
    assert set(BackOff.model_validate({"replication_lag": "false"}).limits) == {
        "threads_running",
        "history_list",
    }
    for bad in ({"threads_running": True}, {"history_list": -1}, {"replication_lag": 5}):
        with pytest.raises(ValidationError):
            BackOff.model_validate(bad)


def test_the_first_line_is_bounded_and_harmless(tmp_path: Path) -> None:
    """Control characters show by name, and only the beginning of the first line is read."""
    path = tmp_path / "pause"
    assert first_line(path) is None
    assert first_line(path / "below") is None
    for content, shown in (
        (b"", ""),
        (b"migration 42\nsecret", "migration 42"),
        ("\x1b[2J\u202egpj.exe\r\n".encode(), "«U+001B»[2J«U+202E»gpj.exe"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"x" * 10_000_000, "x" * LONGEST_REASON),
    ):
        path.write_bytes(content)
        assert first_line(path) == shown


def test_what_is_no_file_pauses_too(tmp_path: Path) -> None:
    """A folder or a pipe of that name pauses without a reason, and nobody waits for the pipe."""
    os.mkfifo(tmp_path / "pipe")
    assert first_line(tmp_path / "pipe") == ""
    assert first_line(tmp_path) == ""


def test_each_reason_is_told_when_it_begins_and_ends(tmp_path: Path) -> None:
    """A pause holds while any reason does; the log has one line at each begin and end."""
    path = tmp_path / "pause"
    told: dict[Reason, bool] = {}
    pauses = Pauses(told.__setitem__)
    settings = {
        "databases": {"ledger": {"url": "sqlite:///l.db"}},
        "schedule": {"pause_file": str(path)},
        "maintenance": [{"cron": "* * 1 1 *", "lasts": "30s", "reason": "never tested"}],
    }
    pauses.adopt(Settings.model_validate(settings))
    assert told == dict.fromkeys(Reason, False)
    with capture_logs() as lines:
        path.write_text("upgrade\n", encoding="utf-8")
        assert pauses.refresh()
        assert pauses.refresh()
        pauses.signal(pause=True)
        path.unlink()
        assert pauses.refresh()
        assert told == {Reason.FILE: False, Reason.SIGNAL: True, Reason.MAINTENANCE: False}
        pauses.signal(pause=False)
        assert not pauses.refresh()
    assert [(each["event"], each["reason"]) for each in lines] == [
        ("worker_paused", "file"),
        ("worker_paused", "signal"),
        ("worker_resumed", "file"),
        ("worker_resumed", "signal"),
    ]
    assert lines[0]["why"] == "upgrade"
