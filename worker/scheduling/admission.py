"""What keeps runs from beginning for a while: a pause, or a server that is busy."""

from collections.abc import Mapping
from enum import StrEnum

from checks.contract import Check
from worker.scheduling.backpressure import Calm
from worker.scheduling.pauses import Pauses


class Held(StrEnum):
    """Why a run is put off."""

    PAUSED = "paused"
    BUSY = "busy"


class Gate:
    """Asked before each run. Without anything to ask, it is always open."""

    def __init__(
        self, pauses: Pauses | None = None, calm: Mapping[str, Calm] | None = None
    ) -> None:
        self._pauses = pauses
        self._calm = calm or {}

    def holds(self, check: Check) -> Held | None:
        """Why a run of a check must not begin now; may ask its database."""
        if self.is_paused():
            return Held.PAUSED
        calm = self._calm.get(check.source_name)
        return None if calm is None or calm.look() else Held.BUSY

    def is_paused(self) -> bool:
        """Whether no run may begin at all; asks no database."""
        return self._pauses is not None and self._pauses.look()

    def is_busy(self, source: str) -> bool:
        """Whether a database was busy when it was last asked."""
        return source in self._calm and bool(self._calm[source].busy)

    def busy(self, source: str) -> tuple[str, ...]:
        """What was too much then, in words."""
        return self._calm[source].busy if source in self._calm else ()
