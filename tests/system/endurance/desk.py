"""What every business event of the application needs: keys, users, requests, slow transactions."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.servers import Database
from tests.system.endurance.books import USERS, Books, Count

LONGEST = 1.5
"""Seconds for which a transaction is held open at most."""

WAITING = 12
"""Consumptions, and orders, that a writer leaves waiting at most."""

TIMES = ("created_at", "updated_at")


class Desk:
    """One process of the application. What it does follows from the seed."""

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        seed: str,
        lateness: float,
        stop: threading.Event,
        count: Count,
    ) -> None:
        """`lateness` is the share of transactions that are held open."""
        self.books = Books(database, stop, count)
        self.rng = random.Random(f"{seed}:{name}")  # noqa: S311 - nothing here is secret
        self._name, self._lateness = name, lateness
        self._keys = 0

    def key(self, what: str) -> str:
        """A new idempotency key."""
        self._keys += 1
        return f"{what}-{self._name}-{self._keys}"

    def user(self, *but: int) -> int:
        """One of the users; the first ones are busier than the last."""
        while (user := min(self.rng.choice(USERS), self.rng.choice(USERS))) in but:
            pass
        return user

    def hold(self) -> float:
        """For how long the next transaction stays open."""
        return self.rng.uniform(0, LONGEST) if self.rng.random() < self._lateness else 0.0

    @contextmanager
    def request(self, *, completes: bool = True) -> Iterator[int]:
        """What happens inside is a request: processing first, completed at last."""
        key = self.key("request")
        number = self.books.transact(
            lambda: self.books.insert(
                "api_idempotency_requests",
                {
                    "idempotency_key": key,
                    "api_path": "/api/v4/any",
                    "request_hash": key,
                    "user_id": self.user(),
                    "expires_at": "2099-01-01",
                },
            )
        )
        yield number
        if completes:
            self.books.transact(
                lambda: self.books.run(
                    "UPDATE api_idempotency_requests"
                    " SET status = 'completed', completed_at = NOW() WHERE request_id = %s",
                    number,
                )
            )

    def in_parts(self, *parts: Callable[[], object], hold: float, apart: bool) -> None:
        """Do the parts of a business event in one transaction or, shortly after each other, two."""
        if not apart:
            self.books.transact(lambda: [part() for part in parts], hold)
            return
        with self.books.together():
            for place, part in enumerate(parts):
                self.books.rest(hold if place else 0)
                self.books.transact(part, hold / len(parts))
