"""Keeps the lease of the state, and tells when this worker begins and ceases to act on it."""

import threading
from collections.abc import Callable

import structlog

from worker.state import State, host_of

MOST_PATIENT = 1.0
"""Seconds after which a standby looks again at the latest: an orderly end is noticed so soon."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Leading:
    """Which part this worker plays: it leads, or it is a standby."""

    def __init__(self, state: State, seconds: float, lead: Callable[[], None]) -> None:
        """`lead` is called, on a thread, whenever the worker is to look which part it plays."""
        self._state = state
        self._renewal = seconds / 3
        self._lead = lead
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._waiting_for: str | None = None
        self._thread = threading.Thread(target=self._work, name="lease", daemon=True)

    def start(self) -> None:
        """Keep the lease until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Keep it no longer; it is not given back."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident:
            self._thread.join(2)

    def look(self) -> None:
        """Look at once: something says that the lease is lost. Returns at once."""
        self._wake.set()

    @property
    def is_alive(self) -> bool:
        """Whether somebody keeps the lease."""
        return self._thread.is_alive() or self._thread.ident is None

    def acquired(self) -> None:
        """Say that we have it."""
        self._waiting_for = None
        if (lease := self._state.lease) and lease.latest:
            _log.info("lease_acquired", holder=host_of(lease.holder), token=lease.token)

    def lost(self) -> None:
        """Say that we have it no longer, and why."""
        latest = self._state.lease and self._state.lease.latest
        if latest and latest.ours:
            why = f"it ran out: {self._state.failure or 'it was not renewed in time'}"
        else:
            why = f"{host_of(latest.holder if latest else '')} holds it"
        _log.warning("lease_lost", why=why)

    def waiting(self) -> None:
        """Say, once for each, for whom we wait."""
        latest = self._state.lease and self._state.lease.latest
        holder = latest.holder if latest and not latest.ours else ""
        if holder != self._waiting_for:
            self._waiting_for = holder
            _log.info("lease_waiting", holder=host_of(holder) if holder else "unknown")

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._renewal if self._state.is_ours else self._patience)
            self._wake.clear()
            if not self._stopping.is_set():
                self._state.keep_lease()
                self._lead()

    @property
    def _patience(self) -> float:
        return min(self._renewal, MOST_PATIENT)
