"""A wall clock that does not follow a step at once: what it decides cannot be taken back.

An acknowledgement that expires pages somebody, and what is pruned is gone: neither may follow from
one look at a clock that is ahead for a few seconds. So a step of the wall clock is measured against
the monotonic one, and believed once it has lasted.
"""

import threading
import time
from datetime import UTC, datetime, timedelta

FOLLOWED = 2.0
"""Seconds by which the wall clock may depart from the monotonic one and be followed at once."""

BELIEVED_AFTER = 3600.0
"""Seconds that a larger step has to last. Time in which the machine was suspended is such a step,
too."""


class SteadyClock:
    """One clock of a process; threads may share it."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._doubted = self._offset
        """By how much the wall clock was ahead when its latest step was seen."""
        self._doubted_since: float | None = None
        """When that was, in monotonic seconds; None while there is no doubt."""
        self._lock = threading.Lock()

    def read(self) -> tuple[datetime, timedelta]:
        """The time by the wall clock, and what has to be added to it."""
        with self._lock:
            wall, elapsed = time.time(), time.monotonic()
            offset = wall - elapsed
            if abs(offset - self._offset) <= FOLLOWED:
                self._offset, self._doubted_since = offset, None
            elif self._doubted_since is None or abs(offset - self._doubted) > FOLLOWED:
                self._doubted, self._doubted_since = offset, elapsed
            elif elapsed - self._doubted_since >= BELIEVED_AFTER:
                self._offset, self._doubted_since = offset, None
            return datetime.fromtimestamp(wall, UTC), timedelta(seconds=self._offset - offset)

    def now(self) -> datetime:
        """The time, in UTC."""
        wall, correction = self.read()
        return wall + correction

    def seconds(self) -> float:
        """The time, as seconds since 1970."""
        return self.now().timestamp()


STEADY = SteadyClock()
"""That of this process."""
