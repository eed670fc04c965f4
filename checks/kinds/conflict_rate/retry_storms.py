"""Who repeats a request that was refused: keys and clients, counted in bounded memory."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from checks.http_log.counts import Route

By = Literal["key", "client", "reuse"]
"""Conflicts of one key; those of one client; those that say that a key had another payload."""

Who = tuple[By, str, str, str]
"""By what, route, method, and the key or client, hashed."""


class Refusal(NamedTuple):
    """What counts of a request that was refused; key and client hashed."""

    is_conflict: bool
    code: str
    is_reuse: bool
    """Whether the code says that the key came with another payload."""
    key: str | None
    client: str | None


@dataclass(slots=True)
class Repeated:
    """How often something came again."""

    codes: dict[str, int] = field(default_factory=dict)
    client: str | None = None
    """Whose key it is; the latest one's."""

    @property
    def number(self) -> int:
        """Conflicts of any code."""
        return sum(self.codes.values())


class Repeats:
    """Conflicts by key and by client in the latest slots."""

    def __init__(self, width: int, slots: int, most: int, left: Mapping[str, Any] | None) -> None:
        """`most` is the number of keys and clients of one slot.

        Beyond that those with fewest conflicts are forgotten, as many as half of them. Among very
        many that come once, one that comes in every hundredth conflict has more than they by then.
        """
        self._width, self._slots, self._most = width, slots, most
        self._counts: dict[int, dict[Who, Repeated]] = {}
        if left and left["width"] == width:
            for slot, rows in left["counts"].items():
                self._counts[int(slot)] = {
                    (by, path, method, who): Repeated(codes, client)
                    for by, path, method, who, codes, client in rows
                }

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        counts = {
            str(slot): [[*who, each.codes, each.client] for who, each in found.items()]
            for slot, found in self._counts.items()
        }
        return {"width": self._width, "counts": counts}

    def add(self, slot: int, route: Route, refusal: Refusal) -> None:
        """Count a request that was answered 409, or 422 because of its key."""
        counts = self._counts.setdefault(slot, {})
        code, key, client = refusal.code, refusal.key, refusal.client
        if key and refusal.is_reuse:
            _count(counts, ("reuse", *route, key), code, client)
        if refusal.is_conflict and key:
            _count(counts, ("key", *route, key), code, client)
        if refusal.is_conflict and client:
            _count(counts, ("client", *route, client), code, client)
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
                codes = sums[who].codes
                for code, number in each.codes.items():
                    codes[code] = codes.get(code, 0) + number
                sums[who].client = each.client
        return dict(sums)

    def of_storms(self, now: int, least: int) -> dict[Route, Counter[str]]:
        """By route and code, the conflicts of what was a storm in one slot: see `storms`."""
        sums: dict[Route, Counter[str]] = defaultdict(Counter)
        for counts in self._kept(now):
            for who, each in storms(counts, least):
                sums[who[1:3]].update(each.codes)
        return dict(sums)

    def _kept(self, now: int) -> Iterator[dict[Who, Repeated]]:
        last = now // self._width
        for slot in sorted(self._counts):
            if last - self._slots < slot <= last:
                yield self._counts[slot]


def storms(counts: Mapping[Who, Repeated], least: int) -> Iterator[tuple[Who, Repeated]]:
    """Keys with so many conflicts, and clients that have most of their route's with few keys.

    A client of whom a key is told is not told, too. One with a key for each conflict does not
    repeat itself: it may be a whole office, or a proxy.
    """
    conflicts, keys = Counter[Route](), Counter[tuple[str, str, str | None]]()
    told: set[tuple[str, str, str | None]] = set()
    for who, each in counts.items():
        by, path, method, _ = who
        if by == "client":
            conflicts[path, method] += each.number
        elif by == "key":
            keys[path, method, each.client] += 1
            if each.number >= least:
                told.add((path, method, each.client))
                yield who, each
    for who, each in counts.items():
        by, path, method, name = who
        if by == "client" and each.number >= least and (path, method, name) not in told:
            has_most = each.number * 2 >= conflicts[path, method]
            if has_most and keys[path, method, name] * 2 <= each.number:
                yield who, each


def _count(counts: dict[Who, Repeated], who: Who, code: str, client: str | None) -> None:
    repeated = counts.get(who)
    if repeated is None:
        repeated = counts[who] = Repeated()
    repeated.codes[code] = repeated.codes.get(code, 0) + 1
    repeated.client = client
