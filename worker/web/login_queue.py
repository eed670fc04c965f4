"""Who is next: passwords that wait to be computed, one after the other.

A flood of wrong passwords must not lock out the right one. Clients take turns, and each may have a
few waiting. Who was turned away for lack of room and comes again with the same password is let in
before those who come for the first time: a person or a scraper does so, somebody who guesses does
not.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

EACH = 8
"""Passwords of one client that wait."""

WAITING = 32
"""Passwords that wait of those who come again, and as many of those who come first."""

_TURNS = 4
"""Of so many turns, one is for those who come for the first time."""


@dataclass(frozen=True, eq=False)
class Ticket:
    """A password that waits for its turn."""

    client: str
    digest: bytes = field(repr=False)
    """A keyed digest of user and password."""
    user: str = field(repr=False)
    password: bytes = field(repr=False)
    answer: "asyncio.Future[bool | None]" = field(repr=False)
    """Whether they fit; None when it was turned away."""


class LoginQueue:
    """Not thread-safe: it belongs to the event loop."""

    def __init__(self) -> None:
        self._first, self._again = _Lane(), _Lane()
        self._turned_away = _Memory()
        self._turn = 0

    def add(self, ticket: Ticket) -> None:
        """Let it wait, or turn it away, or another one in its place."""
        lane = self._again if ticket.digest in self._turned_away else self._first
        if refused := lane.add(ticket):
            self._turned_away.add(refused.digest)
            _answer(refused)

    def take(self) -> Ticket | None:
        """The next one; None when nobody waits."""
        self._turn += 1
        lanes = (self._again, self._first)
        for lane in lanes if self._turn % _TURNS else reversed(lanes):
            if ticket := lane.take():
                return ticket
        return None

    def clear(self) -> None:
        """Turn all of them away."""
        while ticket := self.take():
            _answer(ticket)


def _answer(refused: Ticket) -> None:
    if not refused.answer.done():
        refused.answer.set_result(None)


class _Lane:
    """Clients in turn, each with its own in order."""

    def __init__(self) -> None:
        self._clients: dict[str, deque[Ticket]] = {}
        self._number = 0

    def add(self, ticket: Ticket) -> Ticket | None:
        """Let it wait; the one that is turned away for it, or itself, where there is no room."""
        mine = self._clients.get(ticket.client, ())
        if len(mine) >= EACH:
            return ticket
        refused = None
        if self._number >= WAITING:
            most = max(self._clients.values(), key=len)
            if len(most) <= len(mine) + 1:
                return ticket
            refused = most.pop()
            self._number -= 1
        self._clients.setdefault(ticket.client, deque()).append(ticket)
        self._number += 1
        return refused

    def take(self) -> Ticket | None:
        """The oldest of the client whose turn it is."""
        if not self._clients:
            return None
        client, those = next(iter(self._clients.items()))
        del self._clients[client]
        ticket = those.popleft()
        self._number -= 1
        if those:
            self._clients[client] = those  # behind the others
        return ticket


class _Memory:
    """Digests that were seen in the last minutes, in constant memory: two Bloom filters.

    Of 100,000 in a generation, one in 3,000 others is taken for one of them; that does no harm.
    """

    _BITS = 22
    _HASHES = 3
    _GENERATION = 120.0
    """Seconds after which the older half is forgotten."""

    def __init__(self) -> None:
        self._generations: tuple[bytearray, ...] = ()
        self._began = 0.0

    def add(self, digest: bytes) -> None:
        """Remember it."""
        now = time.monotonic()
        if not self._generations or now - self._began > self._GENERATION:
            self._generations = (bytearray(1 << self._BITS - 3), *self._generations[:1])
            self._began = now
        for index in self._indexes(digest):
            self._generations[0][index >> 3] |= 1 << (index & 7)

    def __contains__(self, digest: bytes) -> bool:
        """Whether it was remembered, most probably."""
        if time.monotonic() - self._began > 2 * self._GENERATION:
            self._generations = ()
        return any(
            all(each[index >> 3] & 1 << (index & 7) for index in self._indexes(digest))
            for each in self._generations
        )

    def _indexes(self, digest: bytes) -> Iterable[int]:
        mask = (1 << self._BITS) - 1
        for start in range(0, 4 * self._HASHES, 4):
            yield int.from_bytes(digest[start : start + 4], "big") & mask
