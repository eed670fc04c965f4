"""Requests and refusals of routes, counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Route = tuple[str, str]
"""A route template and a method: `("/api/v4/orders/{id}", "POST")`."""

OTHER = "other"
"""The route of all requests that are on none of the routes told apart; the code of all others."""

CODES = (
    "IDEMPOTENCY_KEY_CONFLICT",
    "REQUEST_PROCESSING",
    "CONCURRENT_CONFLICT",
    "DUPLICATE_ENTRY",
    "REPLAY_DETECTED",
)
"""The application's reasons for a 409. Any other one, and none, is `OTHER`."""

CONFLICT = 409

KEY_MISSING, KEY_REUSED = "400", "422"
"""Refusals of a write request that the draft standard of the Idempotency-Key header names."""


@dataclass(slots=True)
class Seen:
    """What was seen of one route and method in some span of time.

    Numbers of a log are whole; those of a Prometheus server are estimates of it.
    """

    requests: float = 0
    conflicts: dict[str, float] = field(default_factory=dict)
    """Answers 409 by code; codes without any are absent."""
    refusals: dict[str, float] = field(default_factory=dict)
    """Answers 400 and 422 of write requests, by status."""
    without_key: float = 0
    """Write requests that were done without an idempotency key, where the source tells."""
    answered: float = 0
    """Answers that only a route which exists gives: 2xx, 409 and 422."""

    def add(self, other: "Seen") -> None:
        """Count what another one counted, too."""
        self.requests += other.requests
        self.without_key += other.without_key
        self.answered += other.answered
        for mine, theirs in ((self.conflicts, other.conflicts), (self.refusals, other.refusals)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number

    def less(self, other: "Seen") -> "Seen":
        """What is left without the counts of another one; never below zero."""

        def rest(mine: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
            left = {name: number - theirs.get(name, 0) for name, number in mine.items()}
            return {name: number for name, number in left.items() if number > 0}

        return Seen(
            max(0, self.requests - other.requests),
            rest(self.conflicts, other.conflicts),
            rest(self.refusals, other.refusals),
            max(0, self.without_key - other.without_key),
            max(0, self.answered - other.answered),
        )

    @property
    def all_conflicts(self) -> float:
        """Answers 409."""
        return sum(self.conflicts.values())

    @property
    def ratio(self) -> float:
        """The part of requests that was answered 409; 0 of none."""
        return self.all_conflicts / self.requests if self.requests else 0.0


Counts = Mapping[Route, Seen]
