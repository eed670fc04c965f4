"""Who repeats a request that was refused: keys and clients, counted in bounded memory."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from checks.traffic.formats import Request
from checks.traffic.seen import CODES, KEY_REUSED, Route

By = Literal["key", "client", "reuse"]
"""Conflicts of one key; those of one client; those that say that a key had another payload."""

Who = tuple[By, str, str, str]
"""By what, route, method, and the key or client, hashed."""

_REUSED = CODES[0]


@dataclass(slots=True)
class Repeated:
    """How often something came again."""

    number: int = 0
    client: str | None = None
    """Whose key it is; the latest one's."""


class Repeats:
    """Conflicts by key and by client in the latest slots."""

    def __init__(self, width: int, slots: int, most: int, left: Mapping[str, Any] | None) -> None:
        """`most` is the number of keys and clients of one slot.

        Beyond that those with fewest conflicts are forgotten, as many as half of them: whoever has
        more than that part of a slot's conflicts is not among them.
        """
        self._width, self._slots, self._most = width, slots, most
        self._counts: dict[int, dict[Who, Repeated]] = {}
        if left and left["width"] == width:
            for slot, rows in left["counts"].items():
                self._counts[int(slot)] = {
                    (by, path, method, who): Repeated(number, client)
                    for by, path, method, who, number, client in rows
                }

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        counts = {
            str(slot): [[*who, each.number, each.client] for who, each in found.items()]
            for slot, found in self._counts.items()
        }
        return {"width": self._width, "counts": counts}

    def add(
        self, slot: int, route: Route, request: Request, key: str | None, client: str | None
    ) -> None:
        """Count a request that was answered 409 or 422."""
        counts = self._counts.setdefault(slot, {})
        if key:
            _count(counts, ("key", *route, key), client)
            if request.code == _REUSED or request.status == int(KEY_REUSED):
                _count(counts, ("reuse", *route, key), client)
        if client:
            _count(counts, ("client", *route, client), client)
        if len(counts) > self._most:
            ranked = sorted(counts.items(), key=lambda each: -each[1].number)
            self._counts[slot] = dict(ranked[: self._most // 2])

    def forget(self, now: int) -> None:
        """Drop what is too old."""
        oldest = now // self._width - self._slots
        for slot in [each for each in self._counts if each <= oldest]:
            del self._counts[slot]

    def until(self, now: int) -> dict[Who, Repeated]:
        """The sums of all slots that are kept, up to a moment."""
        sums: dict[Who, Repeated] = defaultdict(Repeated)
        for counts in self._kept(now):
            for who, each in counts.items():
                sums[who].number += each.number
                sums[who].client = each.client
        return dict(sums)

    def of_storms(self, now: int, least: int) -> dict[Route, int]:
        """Conflicts of keys, or of clients if these are more, that have so many in one slot."""
        sums: Counter[Route] = Counter()
        for counts in self._kept(now):
            by: dict[Route, Counter[By]] = defaultdict(Counter)
            for (what, path, method, _), each in counts.items():
                if each.number >= least:
                    by[path, method][what] += each.number
            sums.update({route: max(found["key"], found["client"]) for route, found in by.items()})
        return dict(sums)

    def _kept(self, now: int) -> Iterator[dict[Who, Repeated]]:
        last = now // self._width
        for slot in sorted(self._counts):
            if last - self._slots < slot <= last:
                yield self._counts[slot]


def _count(counts: dict[Who, Repeated], who: Who, client: str | None) -> None:
    repeated = counts.setdefault(who, Repeated())
    repeated.number += 1
    repeated.client = client
