"""What changes around the worker: told in the metrics always, and in the log on the edges."""

import threading
import time
from collections import Counter

import structlog

from checks.contract import Check
from worker.model.server import Identity
from worker.telemetry.metrics import Metrics

MISSED_SAID_EVERY = 60.0
"""Seconds between two log lines about missed runs; the metric tells them apart by check."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class EdgeLog:
    """Databases, the state's place, and missed runs: what was last said of them."""

    def __init__(self, metrics: Metrics) -> None:
        self.identities: dict[str, Identity] = {}
        """Who each database said it is."""
        self._metrics = metrics
        self._unreachable: set[str] = set()
        self._missed_unsaid: Counter[str] = Counter()
        self._say_missed_at = 0.0
        self._state_failure: str | None = None
        self._telling_of_state = threading.Lock()

    def forget_databases(self) -> None:
        """Another configuration may mean others by the same names."""
        self.identities.clear()
        self._unreachable.clear()

    def database(self, name: str, error: str | None) -> None:
        """A database can be reached, or cannot, for a reason."""
        self._metrics.database_up.labels(name).set(error is None)
        if error and name not in self._unreachable:
            self._unreachable.add(name)
            _log.error("database_unreachable", database=name, error=error)
        elif not error and name in self._unreachable:
            self._unreachable.remove(name)
            _log.info("database_reachable", database=name)

    def identified(self, identity: Identity) -> None:
        """A database said who it is."""
        name = identity.database
        self._metrics.identify(identity)
        if self.identities.get(name) == identity:
            return
        self.identities[name] = identity
        fields = {field: getattr(identity, field) for field in identity.__slots__}
        _log.info("database_identified", **fields)
        if identity.writable:
            _log.warning(
                "database_account_may_write",
                database=name,
                user=identity.user,
                privileges=identity.writable,
                advice="give the worker an account with SELECT only",
            )

    def missed(self, check: Check, reason: str, number: int) -> None:
        """So many runs of a check did not start."""
        self._metrics.missed.labels(check.name, reason).inc(number)
        self._missed_unsaid[reason] += number
        if time.monotonic() >= self._say_missed_at:
            self._say_missed_at = time.monotonic() + MISSED_SAID_EVERY
            _log.warning("check_runs_missed", latest=check.name, **self._missed_unsaid)
            self._missed_unsaid.clear()

    def state(self, failure: str | None) -> None:
        """The state can be written, or cannot, for a reason."""
        with self._telling_of_state:
            if failure and not self._state_failure:
                _log.error("state_unavailable", error=failure, effect="kept in memory only")
            elif self._state_failure and not failure:
                _log.info("state_recovered")
            self._state_failure = failure
            # Last: who sees the metric change finds the line that tells why.
            self._metrics.state_up.set(failure is None)
