"""What keeps runs from beginning for a while: a pause, or a server that is busy."""

from collections.abc import Mapping
from enum import StrEnum

from checks.contract import Check
from worker.scheduling.backpressure import Backpressure
from worker.scheduling.pauses import Pauses


class Deferral(StrEnum):
    """Why a run is deferred."""

    PAUSED = "paused"
    BUSY = "busy"


class Admission:
    """Asked before each run; without pauses and servers to ask, it admits all."""

    def __init__(
        self, pauses: Pauses | None = None, servers: Mapping[str, Backpressure] | None = None
    ) -> None:
        self._pauses = pauses
        self._servers = servers or {}

    def deferral(self, check: Check) -> Deferral | None:
        """Why a run of a check must not begin now; may ask its database."""
        if self.is_paused():
            return Deferral.PAUSED
        server = self._servers.get(check.source_name)
        return None if server is None or server.is_calm() else Deferral.BUSY

    def is_paused(self) -> bool:
        """Whether no run may begin at all; asks no database."""
        return self._pauses is not None and self._pauses.refresh()

    def is_busy(self, source: str) -> bool:
        """Whether a database was busy when it was last asked."""
        return source in self._servers and bool(self._servers[source].busy)

    def busy(self, source: str) -> tuple[str, ...]:
        """What was over its limit then, in words."""
        return self._servers[source].busy if source in self._servers else ()
