"""Counts of the requests of a log, over runs and restarts."""

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from checks.base import Block
from checks.traffic.formats import OTHER_METHOD, WRITES, Batch, Request
from checks.traffic.repeats import Repeats
from checks.traffic.ring import Ring, listed, restored
from checks.traffic.routes import Routes
from checks.traffic.seen import CODES, KEY_MISSING, KEY_REUSED, OTHER, Route, Seen

SHORT_SLOTS, LONG_SLOTS, USUAL_DAYS = 5, 12, 7
DAY = 86_400
MOST_REPEATED = 2000
"""Keys and clients of one slot of the short window."""

CONFLICT = 409
_CODES = frozenset(CODES)


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of time that verdicts are about, in seconds."""

    short: int
    long: int


class Tally:
    """What was counted so far: in all, in spans of time, and of those who repeat themselves."""

    def __init__(
        self, spans: Spans, left: Mapping[str, Any] | None, secret: str | None, *, plain: bool
    ) -> None:
        """`left` is what `Tally.left` gave to an earlier run.

        Keys and clients are hashed with `secret`, or with one of this tally's own; unless `plain`.
        """
        left = left or {}
        self.salt: str = left.get("salt") or secrets.token_hex(16)
        self.totals: dict[Route, Seen] = restored(left.get("totals", []))
        self.lines: Counter[str] = Counter(left.get("lines", {}))
        self.short = Ring(max(1, spans.short // SHORT_SLOTS), SHORT_SLOTS + 1)
        self.long = Ring(max(1, spans.long // LONG_SLOTS), LONG_SLOTS + 1)
        self.usual = Ring(DAY, USUAL_DAYS + 1)
        for name, ring in self._rings():
            ring.restore(left.get(name))
        short, long = self.short, self.long
        self.repeats = Repeats(short.width, short.slots, MOST_REPEATED, left.get("repeats"))
        self.past = Repeats(long.width, long.slots, MOST_REPEATED // 4, left.get("past"))
        """The same over the long window: what of it were storms."""
        self.newest: int | None = left.get("newest")
        """The latest second that a line told."""
        self._named = _cut if plain else _hasher(secret or self.salt)

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        return {
            "salt": self.salt,
            "totals": listed(self.totals),
            "lines": dict(self.lines),
            **{name: ring.left() for name, ring in self._rings()},
            "repeats": self.repeats.left(),
            "past": self.past.left(),
            "newest": self.newest,
        }

    def add(self, block: Block, batch: Batch, routes: Routes, now: int) -> None:
        """Count what a part of the log tells, read at a moment."""
        self.lines["read"] += batch.lines
        self.lines.update(batch.faults)
        self.lines.update(block.dropped)
        for (slot, route), seen in self._cells(batch.requests, routes, now):
            self.totals.setdefault(route, Seen()).add(seen)
            at = self.moment(now, block.behind)
            for _, ring in self._rings():
                ring.add(slot * self.short.width, route, seen, at)

    def moment(self, now: int, behind: int) -> int:
        """Up to when the log was read: now, or where reading is in a log that is read late."""
        return self.newest if behind and self.newest else now

    def forget(self, now: int) -> None:
        """Drop what no verdict can need any more."""
        for _, ring in self._rings():
            ring.forget(now)
        self.repeats.forget(now)
        self.past.forget(now)

    def _rings(self) -> Iterator[tuple[str, Ring]]:
        yield from (("short", self.short), ("long", self.long), ("usual", self.usual))

    def _cells(
        self, requests: Iterable[Request], routes: Routes, now: int
    ) -> Iterator[tuple[tuple[int, Route], Seen]]:
        """The counts of each slot and route. This loop sees every request: it is kept bare."""
        of, width, newest = routes.of, self.short.width, self.newest or 0
        number: Counter[tuple[int, str, str]] = Counter()
        noted: list[tuple[tuple[int, str, str], Request]] = []
        for request in requests:
            second, method, path, status, _, key, _ = request
            if second is None or second > now:
                second = now
            elif second > newest:
                newest = second
            cell = (second // width, of(path, method, status), method)
            number[cell] += 1
            if status >= 400:  # noqa: PLR2004
                if status in (409, 400, 422):
                    noted.append((cell, request))
            elif key == "" and method in WRITES:
                noted.append((cell, request))
        self.newest = newest or None
        cells = {cell: Seen(count) for cell, count in number.items()}
        for cell, request in noted:
            self._note(cells[cell], cell, request)
        for (slot, path, method), seen in cells.items():
            yield (slot, (path, method)), seen

    def _note(self, seen: Seen, cell: tuple[int, str, str], request: Request) -> None:
        """What is told of a request beyond that it was there."""
        status, write = request.status, request.method in WRITES | {OTHER_METHOD}
        if status == CONFLICT:
            code = request.code if request.code in _CODES else OTHER
            seen.conflicts[code or OTHER] = seen.conflicts.get(code or OTHER, 0) + 1
        elif status in (int(KEY_MISSING), int(KEY_REUSED)):
            if not write:
                return
            seen.refusals[str(status)] = seen.refusals.get(str(status), 0) + 1
        else:
            seen.without_key += 1
            return
        if status != int(KEY_MISSING):
            who = self._named(request.key), self._named(request.client)
            slot, route, method = cell
            self.repeats.add(slot, (route, method), request, *who)
            long_slot = self.long.slot(slot * self.short.width)
            self.past.add(long_slot, (route, method), request, *who)


def _cut(value: str | None) -> str | None:
    return value[:64] if value else None


def _hasher(secret: str) -> Callable[[str | None], str | None]:
    """What stands for a key or a client: the first 12 digits of HMAC-SHA-256 (RFC 2104)."""

    @lru_cache(maxsize=4096)  # who storms comes again and again
    def hashed(value: str | None) -> str | None:
        if not value:
            return None
        return hmac.digest(secret.encode(), value.encode(), hashlib.sha256).hex()[:12]

    return hashed
