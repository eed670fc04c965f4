"""Whether an audited server is calm enough for a run to begin."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from checks.contract import CheckError
from worker.config import BackOff
from worker.model.server import Load

ASK_AGAIN = 3.0
"""Seconds for which an answer of a server holds."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Backpressure:
    """How busy one database is; says when it becomes too busy, and when that is over."""

    def __init__(
        self,
        database: str,
        limits: BackOff,
        load: Callable[[], Load],
        report: Callable[[str, str, bool | None], None],
    ) -> None:
        """`report` is given a database, a reason, and whether it is busy; None: nobody knows."""
        self._database = database
        self._limits = limits.limits
        self._load = load
        self._report = report
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._noted: set[str] = set()
        self._busy: Mapping[str, tuple[float, float]] = {}
        """By reason: since when (monotonic seconds), and the latest value."""

    @property
    def busy(self) -> tuple[str, ...]:
        """What was over its limit when the server was last asked, in words."""
        return tuple(
            f"{reason} {value:,.0f} is over {self._limits[reason]:,.0f}"
            for reason, (_, value) in self._busy.items()
        )

    def is_calm(self) -> bool:
        """Whether a run may begin. Asks the server, unless it was asked a moment ago.

        A server that does not answer is not busy: the run that begins says so.
        """
        if not self._limits:
            return True
        with self._lock:
            if self._asked_at is None or time.monotonic() - self._asked_at >= ASK_AGAIN:
                try:
                    self._see(self._load())
                except CheckError:
                    self._see(Load({}, {}))
                self._asked_at = time.monotonic()
            return not self._busy

    def _see(self, load: Load) -> None:
        over = {n: v for n, v in load.values.items() if v > self._limits[n]}
        before, now = self._busy, time.monotonic()
        self._busy = {n: (before[n][0] if n in before else now, v) for n, v in over.items()}
        for reason, limit in self._limits.items():
            known = reason in load.values
            self._report(self._database, reason, reason in over if known else None)
            if reason in over and reason not in before:
                self._say_busy(reason, over[reason], limit)
            elif reason in before and known and reason not in over:
                self._say_calm(reason, now - before[reason][0])
        for signal, error in load.unseen.items():
            self._note(signal, error)

    def _say_busy(self, reason: str, value: float, limit: float) -> None:
        _log.warning(
            "database_busy", database=self._database, reason=reason, value=value, limit=limit
        )

    def _say_calm(self, reason: str, seconds: float) -> None:
        _log.info(
            "database_calm", database=self._database, reason=reason, seconds=round(seconds, 3)
        )

    def _note(self, signal: str, error: str) -> None:
        if signal not in self._noted:
            self._noted.add(signal)
            _log.info("database_load_unseen", database=self._database, reason=signal, error=error)
