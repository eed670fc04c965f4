"""Counts of the requests of a log, over runs and restarts."""

import hashlib
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from checks.http_log.counts import CONFLICT, KEY_MISSING, KEY_REUSED, OTHER, Route, Seen
from checks.http_log.request import OTHER_METHOD, WRITES, Batch, Request, Told
from checks.http_log.routes import Routes
from checks.kinds.conflict_rate.codes import Codes
from checks.kinds.conflict_rate.coverage import DONE, REQUESTS, Lines
from checks.kinds.conflict_rate.retry_storms import Refusal, Repeats
from checks.kinds.conflict_rate.sliding_window import Ring, listed, restored
from checks.ports import Block

SHORT_SLOTS, LONG_SLOTS, USUAL_DAYS = 5, 12, 7
DAY = 86_400

LATE = 1 << 20
"""Bytes that are not yet read from which on reading is behind: fewer are the work of a moment, or
a last line that nobody ever ended."""
MOST_REPEATED = 2000
"""Keys and clients of one slot of the short window."""

FAILED = 400
"""The first status of a request that was not done."""
_ANSWERED = frozenset((409, 422))
_NOTED = frozenset((400, 409, 422))

Sort = tuple[str, str, bool, bool]
"""A route, a method, whether the answer is one that a real route gives, and whether it is below
400."""

Cell = tuple[int, Sort]
"""Requests of one sort in one slot."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of time that verdicts are about, in seconds."""

    short: int
    long: int


class Tally:
    """What was counted so far: in all, in spans of time, and of those who repeat themselves."""

    def __init__(
        self,
        spans: Spans,
        left: Mapping[str, Any] | None,
        secret: str | None,
        *,
        plain: bool,
        codes: Codes | None = None,
    ) -> None:
        """`left` is what `Tally.left` gave to an earlier run; `codes` are told by name.

        Keys and clients are hashed with `secret`, or with one of this tally's own; unless `plain`.
        """
        self._goes_on, self._short = bool(left), spans.short
        left = left or {}
        self.codes = codes or Codes()
        """What tells codes apart."""
        self.salt: str = left.get("salt") or secrets.token_hex(16)
        self.totals: dict[Route, Seen] = restored(left.get("totals", []))
        self.lines: Counter[str] = Counter(left.get("lines", {}))
        self.short = Ring(-(-spans.short // SHORT_SLOTS), SHORT_SLOTS + 1)
        self.long = Ring(-(-spans.long // LONG_SLOTS), LONG_SLOTS + 1)
        self.usual = Ring(DAY, USUAL_DAYS + 1)
        self.read = Lines(
            {name: (ring.width, ring.slots) for name, ring in self._windows()},
            # Of a log that was read before its lines were judged it is known that it can be.
            left.get("read") or {"proven": bool(self.totals), "timed": bool(self.totals)},
        )
        """The lines of the windows, by how they could be read."""
        for name, ring in self._rings():
            ring.restore(left.get(name))
        self._named = _cut if plain else _hasher(secret or self.salt)
        # What was hashed otherwise is nobody's any more, and what was shown is not to be.
        self._naming = self._named("naming")
        if left.get("naming") != self._naming:
            left = {**left, "repeats": None, "past": None}
        short, long = self.short, self.long
        self.repeats = Repeats(short.width, short.slots, MOST_REPEATED, left.get("repeats"))
        self.past = Repeats(long.width, long.slots, MOST_REPEATED // 4, left.get("past"))
        """The same over the long window: what of it were storms."""
        self.newest: int | None = left.get("newest")
        """The latest second that a line told."""
        self.latest: int | None = None
        """The same of the lines of this run."""

    def left(self) -> dict[str, Any]:
        """For the next run, as JSON takes it."""
        return {
            "salt": self.salt,
            "totals": listed(self.totals),
            "lines": dict(self.lines),
            **{name: ring.left() for name, ring in self._rings()},
            "read": self.read.left(),
            "repeats": self.repeats.left(),
            "past": self.past.left(),
            "newest": self.newest,
            "naming": self._naming,
        }

    def add(self, block: Block, batch: Batch, routes: Routes, now: int) -> None:
        """Count what a part of the log tells, read at a moment."""
        before = self.latest
        cells = list(self._cells(batch.requests, routes, now))
        at = self.moment(now, block.behind)
        for slot, (path, method, _, is_done), seen in cells:
            second, route = slot * self.short.width, (path, method)
            self.totals.setdefault(route, Seen()).add(seen)
            for _, ring in self._rings():
                ring.add(second, route, seen, at)
            self.read.add(second, REQUESTS, int(seen.requests), at)
            if is_done:
                self.read.add(second, DONE, int(seen.requests), at)
        self._add_doubts(batch, block, before or self._reading(now, block.behind), at)
        if sum(seen.requests for *_, seen in cells) > batch.faults["without_time"]:
            self.read.has_times()
        self.lines["read"] += batch.lines
        self.lines.update(batch.faults)
        self.lines.update(block.dropped)
        self.forget(at)

    def _add_doubts(self, batch: Batch, block: Block, before: int, at: int) -> None:
        """Count lines that should have been requests, as of when the one before them was."""
        for (second, doubt), number in batch.doubts.items():
            self.read.add(min(second or before, at), doubt, number, at)
        for reason, number in block.dropped.items():
            self.read.add(min(self.latest or before, at), reason, number, at)

    def _reading(self, now: int, behind: int) -> int:
        """Of when lines before a run's first request are: of now, unless they are read late."""
        return self.newest if self.newest and behind > LATE else now

    def moment(self, now: int, behind: int) -> int:
        """Up to when the log is told: now, or where reading is in a log that is read late.

        Late is much that is not read yet, and also lines that are old when they are written.
        """
        read = self.latest or self.newest
        is_old = self._goes_on and self.latest and now - self.latest > self._short
        return min(now, read) if read and (behind > LATE or is_old) else now

    def forget(self, now: int) -> None:
        """Drop what no verdict can need any more."""
        for _, ring in self._rings():
            ring.forget(now)
        self.read.forget(now)
        self.repeats.forget(now)
        self.past.forget(now)

    def _windows(self) -> Iterator[tuple[str, Ring]]:
        yield from (("short", self.short), ("long", self.long))

    def _rings(self) -> Iterator[tuple[str, Ring]]:
        yield from (*self._windows(), ("usual", self.usual))

    def _cells(
        self, requests: Iterable[Told], routes: Routes, now: int
    ) -> Iterator[tuple[int, Sort, Seen]]:
        """The counts of each slot and sort. This loop sees every request: it is kept bare."""
        of, width, newest = routes.of, self.short.width, self.latest or 0
        number: Counter[Cell] = Counter()
        noted: list[tuple[Cell, Told]] = []
        known: dict[tuple[str, str, int], Sort] = {}
        for request in requests:
            second, method, path, status, _, key, _ = request
            if second is None or second > now:
                second = now
            newest = max(newest, second)
            asked = (path, method, status)
            sort = known.get(asked)
            if sort is None:
                answered = 200 <= status < 300 or status in _ANSWERED  # noqa: PLR2004
                sort = (of(path, method, status), method, answered, status < FAILED)
                if sort[0] != OTHER:  # which the next write may teach
                    known[asked] = sort
            cell = (second // width, sort)
            number[cell] += 1
            if status in _NOTED or (key == "" and sort[2] and method in WRITES):
                noted.append((cell, request))
        self.latest = newest or None
        self.newest = max(newest, self.newest or 0) or None
        cells = {cell: Seen(count, answered=count * cell[1][2]) for cell, count in number.items()}
        for cell, request in noted:
            self._note(cells[cell], cell, Request(*request))
        for (slot, sort), seen in cells.items():
            yield slot, sort, seen

    def _note(self, seen: Seen, cell: Cell, request: Request) -> None:
        """What is told of a request beyond that it was there."""
        status, write = request.status, request.method in WRITES | {OTHER_METHOD}
        if status == CONFLICT:
            code = self.codes.of(request.code)
            seen.conflicts[code] = seen.conflicts.get(code, 0) + 1
        elif status in (int(KEY_MISSING), int(KEY_REUSED)):
            if not write:
                return
            seen.refusals[str(status)] = seen.refusals.get(str(status), 0) + 1
        else:
            seen.without_key += 1
            return
        if status != int(KEY_MISSING):
            refusal = Refusal(
                status == CONFLICT,
                self.codes.seen(request.code),
                request.code in self.codes.reuse,
                self._named(request.key),
                self._named(request.client),
            )
            slot, (route, method, _, _) = cell
            self.repeats.add(slot, (route, method), refusal)
            self.past.add(self.long.slot(slot * self.short.width), (route, method), refusal)


_WORTH_REMEMBERING = 256
"""Characters; clients choose how long their keys are."""


def _cut(value: str | None) -> str | None:
    return value[:64] if value else None


def _hasher(secret: str) -> Callable[[str | None], str | None]:
    """What stands for a key or a client: the first 12 digits of HMAC-SHA-256 (RFC 2104)."""

    def digits(value: str) -> str:
        return hmac.digest(secret.encode(), value.encode(), hashlib.sha256).hex()[:12]

    remembered = lru_cache(maxsize=4096)(digits)  # who storms comes again and again

    def hashed(value: str | None) -> str | None:
        if not value:
            return None
        return remembered(value) if len(value) <= _WORTH_REMEMBERING else digits(value)

    return hashed
