"""The end of a snapshot that lasts too long, whether the server helps or not."""

import threading
from collections.abc import Callable

from checks.contract import CheckError
from worker.sources.driver import Server

GRACE = 3.0
"""Seconds between asking the server to stop a query and cutting the connection."""

ASK_AGAIN = 0.5
"""Seconds between two attempts to have a query stopped."""

SERVER_FIRST = 1.0
"""Seconds that the server's own limit is given to stop a query before it is asked to."""


class Deadline:
    """Ends a snapshot early: first the query on the server, then the connection."""

    def __init__(self, server: Server, raw: object, seconds: float, overrun: CheckError) -> None:
        """Start the clock: after `seconds`, and a little, the snapshot ends for `overrun`."""
        self.raw = raw
        self.reason: CheckError | None = None
        """Why the snapshot was ended early."""
        self.was_cut = False
        """Whether the server did not answer even when it was asked to stop."""
        self._server = server
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._timer = threading.Timer(seconds + SERVER_FIRST, self.end, [overrun])
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """The snapshot has ended; from here on nothing is stopped and `reason` stays as it is."""
        # Without the lock a KILL QUERY could still be sent after this, and hit the next snapshot.
        with self._lock:
            self._over.set()
        self._timer.cancel()

    def wait(self, seconds: float) -> None:
        """Wait for the snapshot to end."""
        self._over.wait(seconds)

    def end(self, reason: CheckError) -> None:
        """Stop the query now, and cut the connection if the snapshot does not end on that."""
        with self._lock:
            if self._over.is_set() or self.reason:
                return
            self.reason = reason
        threading.Thread(target=self._cut_if_stuck, name="cut", daemon=True).start()
        self._server.stop_query(self.raw)
        # The first may have come before a query that was already on its way.
        while not self._over.wait(ASK_AGAIN) and not self.was_cut:
            self._server.stop_query(self.raw)

    def refuse_if_ended(self) -> None:
        """Raise the reason when there is one: a KILL QUERY between two queries stops neither."""
        if self.reason:
            raise self.reason

    def _cut_if_stuck(self) -> None:
        if not self._over.wait(GRACE):
            self.was_cut = True
            self._server.abandon(self.raw)


class Patience:
    """Cuts what is not done in time, whatever it is waiting for; a clock for one connection."""

    def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
        """Start the clock."""
        self._cut = cut
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ran_out = False
        threading.Thread(target=self._watch, args=[seconds], name="patience", daemon=True).start()

    def end(self) -> bool:
        """It is done, or given up: nothing is cut any more. Tells whether it took too long."""
        with self._lock:
            self._over.set()
            return self._ran_out

    def _watch(self, seconds: float) -> None:
        # More than once: there may have been no socket yet.
        while not self._over.wait(seconds):
            seconds = ASK_AGAIN
            with self._lock:
                if not self._over.is_set():
                    self._ran_out = True
                    self._cut()
