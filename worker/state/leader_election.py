"""Leader election: whether this worker acts on the state or is a standby."""

import threading
from collections.abc import Callable

import structlog

from worker.state import State, host_of
from worker.state.lease import Claim

LONGEST_PATIENCE = 1.0
"""Seconds after which a standby tries again at the latest: an orderly end is noticed so soon."""

STANDBY = 0
UNNUMBERED = -1
"""Terms beside the tokens of the lease, which begin at 1: of a worker that does not lead, and of
one that leads although it could not read its state file yet, which nobody else can reach either."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class LeaderElection:
    """Keeps the lease of the state on a thread; `term` is the one answer to who leads."""

    def __init__(self, state: State, seconds: float, follow: Callable[[], None]) -> None:
        """`follow` is called on the thread after each try to get or renew the lease.

        It must not wait: the lease, which lasts `seconds`, is not renewed meanwhile.
        """
        self._state = state
        self._renewal = seconds / 3
        self._follow = follow
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._logged_term = STANDBY
        self._logged_leader: str | None = None
        self._thread = threading.Thread(target=self._work, name="lease", daemon=True)

    @property
    def term(self) -> int:
        """The fencing token of the lease while we hold it, and so lead; else `STANDBY`.

        Each change of the leader makes a higher one. Asks no database.
        """
        if not self._state.is_ours:
            return STANDBY
        return (self._state.lease.token if self._state.lease else 0) or UNNUMBERED

    def is_current(self, term: int) -> bool:
        """Whether we lead, and have done so without a break since we were given this term."""
        return term != STANDBY and term == self.term

    @property
    def latest(self) -> Claim | None:
        """What was last seen of the lease, whoever held it."""
        return self._state.lease.latest if self._state.lease else None

    @property
    def other(self) -> Claim | None:
        """The lease of another worker that leads, as far as it is known."""
        latest = self.latest
        return latest if latest and latest.holder and not latest.ours else None

    @property
    def is_alive(self) -> bool:
        """Whether the lease is being renewed; true before the start."""
        return self._thread.is_alive() or self._thread.ident is None

    def start(self) -> None:
        """Keep the lease until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Renew it no longer; it is not given back."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident:
            self._thread.join(2)

    def renew_now(self) -> None:
        """Try at once, because something says that the lease is lost; returns at once."""
        self._wake.set()

    def announce(self) -> int:
        """Log what has changed since the last call, and return the term."""
        term, before = self.term, self._logged_term
        self._logged_term = term
        if before not in (term, STANDBY) and (before, term > 0) != (UNNUMBERED, True):
            _log.warning("lease_lost", why=self._why_lost())
        if term > 0 and term != before:
            self._logged_leader = None
            _log.info("lease_acquired", holder=host_of(self._holder), token=term)
        if term == STANDBY:
            self._announce_leader()
        return term

    @property
    def _holder(self) -> str:
        return self._state.lease.holder if self._state.lease else ""

    def _why_lost(self) -> str:
        if self.latest and self.latest.ours:
            return f"it ran out: {self._state.failure or 'it was not renewed in time'}"
        return f"{host_of(self.other.holder if self.other else '')} holds it"

    def _announce_leader(self) -> None:
        """Log the leader that a standby waits for, once for each."""
        leader = self.other.holder if self.other else ""
        if leader != self._logged_leader:
            self._logged_leader = leader
            _log.info("lease_waiting", holder=host_of(leader) if leader else "unknown")

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._renewal if self.term else self._patience)
            self._wake.clear()
            if not self._stopping.is_set():
                self._state.keep_lease()
                self._follow()

    @property
    def _patience(self) -> float:
        return min(self._renewal, LONGEST_PATIENCE)
