"""Somebody who acknowledges findings beside the worker, whether it runs or is dead."""

import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.endurance.audit import Audit

PAUSE = 2.0
"""Seconds between two acknowledgements at most."""

AUTHOR = "a colleague"

ENDS_WITH = {
    "finding_acknowledged": "acknowledged",
    "finding_reopened": "confirmed",  # it got worse
    "finding_resolved": "resolved",
    "finding_opened": "open",
    "finding_confirmed": "confirmed",
}
"""In which state a finding is, by the last line of its history."""

_LAST = (
    "SELECT f.id, f.state, e.change FROM findings f JOIN finding_events e ON e.finding_id = f.id"
    " WHERE e.id = (SELECT MAX(id) FROM finding_events WHERE finding_id = f.id)"
)


class Colleague:
    """Acknowledges what is known to be confirmed, and remembers what was taken."""

    def __init__(self, audit: Audit, seed: str) -> None:
        self.acknowledged: set[str] = set()
        """Ids of findings of which the command said that they are."""
        self.too_late = 0
        """Findings that had been mended by then."""
        self._audit = audit
        self._known: list[str] = []
        self._rng = random.Random(f"{seed}:colleague")  # noqa: S311 - nothing here is secret
        self.lock = threading.Lock()
        """Whoever holds it is not disturbed by an acknowledgement."""
        self._stop = threading.Event()

    def hear(self, confirmed: list[str]) -> None:
        """Learn which findings are confirmed."""
        self._known = confirmed

    def acknowledge(self) -> bool:
        """Acknowledge one of those that are known; tells whether there was one."""
        with self.lock:
            known = sorted({*self._known} - self.acknowledged)
            if not known:
                return False
            one = self._rng.choice(known)
            said = ("--reason", "it is looked into", "--author", AUTHOR)
            done = self._audit.command("findings", "ack", one, *said)
            if done.returncode == 0:
                self.acknowledged.add(one)
            else:
                assert "already resolved" in done.stderr, done.stderr
                self.too_late += 1
                self._known = [each for each in self._known if each != one]
            return True

    def look(self, state: sqlite3.Connection) -> None:
        """Nothing that was acknowledged is forgotten: it stays so until it is mended or worse."""
        rows = state.execute(
            "SELECT DISTINCT finding_id FROM finding_events"
            " WHERE change = 'finding_acknowledged' AND author = ?",
            [AUTHOR],
        )
        kept = {row[0] for row in rows}
        assert kept == self.acknowledged, kept ^ self.acknowledged
        last = {row[0]: row[1:] for row in state.execute(_LAST)}
        wrong = {
            each: last[each]
            for each in self.acknowledged
            if ENDS_WITH[last[each][1]] != last[each][0]
        }
        assert not wrong, wrong

    @contextmanager
    def working(self) -> Iterator[None]:
        """Acknowledge at random times while the block runs."""
        thread = threading.Thread(target=self._work, name="colleague")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self._rng.uniform(0, PAUSE)):
            self.acknowledge()
