"""A made-up day of HTTP traffic as logs tell it, with what a reader must make of each line.

Everything follows from the seed. Each route first answers 200 once, so that whoever learns routes
has learnt them before anything goes wrong; what nobody routes is never answered so.
"""

import random
import uuid
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from tests.support.traffic_lines import BEIJING, OTHER, Call, Expected, Line, Shape, hostile, sound

START = datetime(2026, 1, 5, tzinfo=BEIJING)

WRITES = (
    ("POST", "/api/v4/lottery/draw"),
    ("POST", "/api/v4/exchange"),
    ("POST", "/api/v4/market/listings/{id}/purchase"),
    ("PUT", "/api/v4/user/{id}/address"),
    ("DELETE", "/api/v4/market/listings/{id}"),
    ("PATCH", "/api/v4/consumption/{id}/items/{id}"),
)
READS = (
    ("GET", "/api/v4/user/{id}/balance"),
    ("GET", "/api/v4/market/listings"),
    ("HEAD", "/health"),
)
STRANGE = "SOLD_OUT"
"""A code that nobody declared."""

CODES = (
    "IDEMPOTENCY_KEY_CONFLICT",
    "REQUEST_PROCESSING",
    "CONCURRENT_CONFLICT",
    "DUPLICATE_ENTRY",
    "REPLAY_DETECTED",
)

BY_HOUR = (2, 1, 1, 1, 1, 2, 4, 7, 9, 9, 10, 14, 15, 11, 9, 9, 10, 12, 15, 16, 15, 12, 7, 4)
"""How busy the hours of the day are, compared with each other."""
_UP_TO = tuple(accumulate(BY_HOUR, initial=0))

INCIDENTS = (
    ("one_key", 0.30, 0.33),
    ("one_client", 0.48, 0.50),
    ("key_reuse", 0.60, 0.63),
    ("slow_handler", 0.74, 0.77),
    ("plain_race", 0.86, 0.88),
)
"""What goes wrong, and in which part of the day's requests: most of them are then about it."""


@dataclass(slots=True)
class Truth:
    """What lines come to; everything is counted by route and method."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    conflicts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Answers 409, by code; those without one, and of what is none, as `other`."""
    refusals: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Answers 400 and 422 to whatever may write, by status."""
    without_key: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Writes that were accepted though the line says that they had no key."""
    by_key: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    by_client: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Answers 409 and 422 that tell a key, or a client."""
    faults: Counter[str] = field(default_factory=Counter)
    """Lines that tell of no request, but for empty ones, and what requests lack."""
    lines: int = 0
    """All but the empty ones."""


def truth(lines: Iterable[Line]) -> Truth:
    """Count, in the plainest way."""
    found = Truth()
    for _, expected, fault, beside in lines:
        if beside:
            found.faults[beside] += 1
        if fault == "empty":
            continue
        found.lines += 1
        if expected is not None:
            _count(found, expected)
        elif fault:
            found.faults[fault] += 1
    return found


def day(seed: int, lines: int, shape: Shape = "flat", *, junk: float = 0.02) -> Iterator[Line]:
    """So many lines of a day, in the order of their times; `junk` is the part that is hostile."""
    asking = _Asking(random.Random(seed))  # noqa: S311 - nothing here is secret
    for number in range(lines):
        second, part = _second(number / lines), number / lines
        if number < len(WRITES + READS):
            yield sound(shape, asking.one((WRITES + READS)[number]), second)
        elif asking.rng.random() < junk:
            yield hostile(shape, asking.one(asking.rng.choice(WRITES)), second, asking.rng)
        else:
            yield sound(shape, asking.next(part), second)


def _count(found: Truth, told: Expected) -> None:
    place = told.route, told.method
    found.requests[place] += 1
    if told.second is None:
        found.faults["without_time"] += 1
    may_write = told.method not in ("GET", "HEAD", "OPTIONS")
    if told.status == 409:
        found.conflicts[*place, told.code if told.code in (*CODES, STRANGE) else OTHER] += 1
    elif told.status in (400, 422) and may_write:
        found.refusals[*place, str(told.status)] += 1
    elif told.status < 400 and may_write and told.key == "":
        found.without_key[place] += 1
    if told.status == 409 or (told.status == 422 and may_write):
        for who, counts in ((told.key, found.by_key), (told.client, found.by_client)):
            if who:
                counts[*place, who] += 1


def _second(part: float) -> int:
    """When so large a part of the day's requests is over."""
    done = part * _UP_TO[-1]
    hour = bisect_right(_UP_TO, done) - 1
    return int(START.timestamp() + 3600 * (hour + (done - _UP_TO[hour]) / BY_HOUR[hour]))


class _Asking:
    """Requests, one after the other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._used: deque[Call] = deque(maxlen=200)
        self._stuck: dict[str, Call] = {}

    def next(self, part: float) -> Call:
        """The next request when that part of the day is over."""
        for name, begin, end in INCIDENTS:
            if begin <= part < end and self.rng.random() < 0.7:
                return self._of_incident(name)._replace(incident=name)
        return self._ordinary()

    def one(self, place: tuple[str, str]) -> Call:
        """A request that is answered 200."""
        method, route = place
        target = route
        while "{id}" in target:
            target = target.replace("{id}", self._id(), 1)
        target += self.rng.choice(("", "", "", "?page=2", "?to=/a/b?c&d=%ff", "?"))
        call = Call(method, route, target, client=f"phone-{self.rng.randrange(500)}")
        if place in WRITES:
            call = call._replace(key=self._id())
            self._used.append(call)
        return call

    def _ordinary(self) -> Call:
        call = self.one(self.rng.choice(self.rng.choice((WRITES, READS))))
        dice = self.rng.random()
        if call.method in ("GET", "HEAD") or dice < 0.9:
            return call._replace(status=self.rng.choice((200, 200, 200, 201, 404, 500)))
        if dice < 0.92:
            return call._replace(key="", status=self.rng.choice((200, 400)))
        if dice < 0.94:
            return call._replace(status=self.rng.choice((400, 422)), code="INVALID")
        if dice < 0.95:
            return call._replace(status=409, code=self.rng.choice((None, STRANGE)))
        if dice < 0.97:
            return call._replace(status=409, code=self.rng.choice(CODES))
        return call

    def _of_incident(self, name: str) -> Call:
        stuck = self._stuck.setdefault(name, self.one(self.rng.choice(WRITES)))
        fresh = self.one((stuck.method, stuck.route))
        match name:
            case "one_key":
                codes = "REQUEST_PROCESSING", "DUPLICATE_ENTRY"
                return stuck._replace(status=409, code=self.rng.choice(codes))
            case "one_client":
                code = "CONCURRENT_CONFLICT"
                return fresh._replace(client=stuck.client, status=409, code=code)
            case "key_reuse":
                known, status = self.rng.choice(self._used), self.rng.choice((409, 409, 422))
                return known._replace(status=status, code="IDEMPOTENCY_KEY_CONFLICT")
            case "slow_handler":
                return fresh._replace(status=409, code="REQUEST_PROCESSING")
        codes = "CONCURRENT_CONFLICT", "DUPLICATE_ENTRY"
        return fresh._replace(status=409, code=self.rng.choice(codes))

    def _id(self) -> str:
        bits = self.rng.getrandbits(128)
        forms = (str(bits % 10**9), str(uuid.UUID(int=bits, version=4)), f"{bits:032x}")
        return self.rng.choice(forms)
