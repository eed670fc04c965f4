"""Why no run begins."""

import time
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What keeps runs from beginning."""

    FILE = "file"
    SIGNAL = "signal"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Pause:
    """A reason why no run begins."""

    reason: Reason
    why: str
    """On one line, with everything in it to be seen; may be empty."""
    since: float
    """Monotonic seconds."""

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.since
