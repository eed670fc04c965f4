"""Whether runs may begin: the pause file, the signals, and maintenance windows."""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from worker.config import Maintenance, Settings
from worker.model.pause import Pause, Reason
from worker.text.printable import visible

MOST_READ = 1024
"""Bytes of the pause file that are looked at."""

LONGEST_REASON = 200
"""Characters of its first line that are shown."""

CHECK_AGAIN = 1.0
"""Seconds for which what is known of maintenance windows holds."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Pauses:
    """Every reason that holds at present; says when one begins and ends."""

    def __init__(self, report: Callable[[Reason, bool], None]) -> None:
        """`report` is given each reason, and whether it holds."""
        self._report = report
        self._lock = threading.Lock()
        self._file: Path | None = None
        self._windows: tuple[Window, ...] = ()
        self._signalled = False
        self._maintenance: tuple[float, str | None] = (0.0, None)
        self._now: Mapping[Reason, Pause] = {}
        for reason in Reason:
            report(reason, False)  # noqa: FBT003 - zero is said

    def adopt(self, settings: Settings) -> None:
        """Take over a configuration; what a signal paused stays so."""
        zone = ZoneInfo(settings.timezone)
        with self._lock:
            self._file = settings.schedule.pause_file
            self._windows = tuple(Window(each, zone) for each in settings.maintenance)
            self._maintenance = (0.0, None)
        self.refresh()

    def signal(self, *, pause: bool) -> None:
        """Pause, or go on, because somebody sent a signal."""
        self._signalled = pause
        self.refresh()

    @property
    def now(self) -> tuple[Pause, ...]:
        """What held at the latest refresh."""
        return tuple(self._now.values())

    def refresh(self) -> bool:
        """Whether no run may begin; logs what has changed since the latest refresh."""
        with self._lock:
            holding = dict(self._holding())
            before = self._now
            self._now = {
                reason: Pause(reason, why, before[reason].since)
                if reason in before
                else Pause(reason, why, time.monotonic())
                for reason, why in holding.items()
            }
            for reason in Reason:
                self._say(before.get(reason), self._now.get(reason))
            return bool(holding)

    def _say(self, before: Pause | None, now: Pause | None) -> None:
        if now and not before:
            self._report(now.reason, True)  # noqa: FBT003 - it holds
            _log.warning("worker_paused", reason=now.reason, why=now.why)
        elif before and not now:
            self._report(before.reason, False)  # noqa: FBT003 - it is over
            _log.info("worker_resumed", reason=before.reason, seconds=round(before.seconds, 3))

    def _holding(self) -> Iterator[tuple[Reason, str]]:
        if self._file and (why := first_line(self._file)) is not None:
            yield Reason.FILE, why
        if self._signalled:
            yield Reason.SIGNAL, "SIGUSR1"
        if (why := self._in_maintenance()) is not None:
            yield Reason.MAINTENANCE, why

    def _in_maintenance(self) -> str | None:
        known_at, why = self._maintenance
        if not known_at or time.monotonic() - known_at >= CHECK_AGAIN:
            now = datetime.now(UTC)
            why = next((each.why for each in self._windows if each.holds(now)), None)
            self._maintenance = (time.monotonic(), why)
        return why


class Window:
    """A maintenance window that comes again and again, and always lasts as long as it says."""

    def __init__(self, settings: Maintenance, zone: ZoneInfo) -> None:
        self.why = settings.shown
        self._line = settings.cron
        self._lasts = settings.lasts
        self._zone = zone

    def holds(self, now: datetime) -> bool:
        """Whether it is a time of maintenance."""
        begin = self._line.next(now - self._lasts, self._zone)
        return begin is not None and begin <= now


def first_line(path: Path) -> str | None:
    """The first line of a file, bounded and made harmless; None when there is no such file.

    A file that is there and cannot be read pauses all the same.
    """
    try:
        # Else a pipe would wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        start = os.read(descriptor, MOST_READ) if regular else b""
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
    line = start.decode("utf-8", "replace").lstrip("\ufeff").partition("\n")[0].strip()
    return visible(line[:LONGEST_REASON]) if line else ""
