"""A brake on what libraries log: strangers can make some of them speak as often as they like."""

import logging
import threading
import time
from dataclasses import dataclass

import structlog

MOST = 20
"""Messages of one logger and level in one window; the others are counted."""

WINDOW = 60.0
"""Seconds."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass
class _Window:
    began: float
    seen: int = 0


class LibraryBrake(logging.Filter):
    """Lets everything of our own pass, and so many messages a minute of each library's logger.

    How many were left out is logged when the next window begins, with the next message.
    """

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[tuple[str, int], _Window] = {}
        self._turn = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is logged."""
        if isinstance(record.msg, dict):  # one of our events
            return True
        passes, left_out = self._count(record)
        if left_out:
            _log.warning(
                "library_messages_left_out",
                logger=record.name,
                level_of_messages=record.levelname.lower(),
                number=left_out,
            )
        return passes

    def _count(self, record: logging.LogRecord) -> tuple[bool, int]:
        now = time.monotonic()
        with self._turn:
            window = self._windows.setdefault((record.name, record.levelno), _Window(now))
            left_out = 0
            if now - window.began >= WINDOW:
                left_out = max(0, window.seen - MOST)
                window.began, window.seen = now, 0
            window.seen += 1
            return window.seen <= MOST, left_out
