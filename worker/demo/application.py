"""The made-up application of the demo: what its clients ask, and what it answers.

What it does follows from a seed alone; its keys hold the moment of the request besides, as the
real application's do, so that none comes twice by chance.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import cycle

from worker.demo.ledger import BEIJING

MARK = "reconciler-demo"
"""Stands in every line, as `application`: no other log is ever written to."""

WRITES: Mapping[str, str] = {
    "/api/v4/lottery/draw": "lottery_draw",
    "/api/v4/exchange": "exchange",
    "/api/v4/market/listings/{id}/purchase": "market_purchase",
    "/api/v4/consumption/submit": "consumption",
    "/api/v4/market/list": "market_listing",
    "/api/v4/redemption/fulfill": "redemption",
}
"""The interfaces that write, all by POST, each with what its keys begin with."""

READS = (
    "/api/v4/user/{id}/balance",
    "/api/v4/lottery/campaigns",
    "/api/v4/market/listings?page={page}",
    "/api/v4/backpack/items",
)

CONFLICTS = 0.004
"""The part of quiet traffic that is answered 409: one write in a hundred."""
REFUSED = 0.002
"""The part that is answered 400 or 422."""
WRITTEN = 0.4
"""The part that writes."""

_RACES = (
    "CONCURRENT_CONFLICT",
    "DUPLICATE_ENTRY",
    "REQUEST_PROCESSING",
    "IDEMPOTENCY_KEY_CONFLICT",
)
_VOUCHERS, _REPLAYED = "redemption", "REPLAY_DETECTED"
_STORM = ("REQUEST_PROCESSING", "DUPLICATE_ENTRY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request and its answer."""

    method: str
    path: str
    status: int
    code: str | None = None
    key: str | None = None
    """None where none is asked for, empty where one is missing."""
    client: str
    duration: int
    """Milliseconds."""

    def line(self, moment: datetime) -> str:
        """What the application writes into its log, without a line feed."""
        return json.dumps(
            {
                "time": moment.astimezone(BEIJING).isoformat(timespec="milliseconds"),
                "method": self.method,
                "path": self.path,
                "status": self.status,
                "code": self.code,
                "idempotency_key": self.key,
                "client": self.client,
                "duration_ms": self.duration,
                "application": MARK,
            }
        )


@dataclass(frozen=True, slots=True)
class Storm:
    """A client that asks for the same thing over and over."""

    route: str
    again: Callable[[], Call]
    """One more attempt."""


class Application:
    """Made-up requests, one after the other."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - nothing here is secret
        self._stormy = cycle(WRITES)

    def quiet(self, moment: datetime) -> Iterator[Call]:
        """The calls of one moment of ordinary traffic: one, or two that meet."""
        dice = self._rng.random()
        if dice < CONFLICTS:
            yield from self._race(moment)
        elif dice < CONFLICTS + REFUSED:
            yield self._refused(moment)
        elif dice < CONFLICTS + REFUSED + WRITTEN:
            yield self._write(moment, self._rng.choice(tuple(WRITES)))
        else:
            yield self._read()

    def storm(self, moment: datetime) -> Storm:
        """The beginning of a storm; each one is on another interface than the one before."""
        route = next(self._stormy)
        first = self._write(moment, route)
        return Storm(route, lambda: self._conflict(first, self._rng.choice(_STORM)))

    def _read(self) -> Call:
        path = self._rng.choice(READS).format(**self._numbers())
        return Call(method="GET", path=path, status=200, client=self._client(), duration=self._ms())

    def _write(self, moment: datetime, route: str) -> Call:
        milliseconds = int(moment.timestamp() * 1000)
        key = f"{WRITES[route]}_{self._rng.randint(1, 900)}_{milliseconds}"
        return Call(
            method="POST",
            path=route.format(**self._numbers()),
            status=200,
            key=key,
            client=self._client(),
            duration=self._ms(),
        )

    def _race(self, moment: datetime) -> Iterator[Call]:
        """A request and its double, the second of which loses."""
        route = self._rng.choice(tuple(WRITES))
        first = self._write(moment, route)
        yield first
        replayed = WRITES[route] == _VOUCHERS
        yield self._conflict(first, _REPLAYED if replayed else self._rng.choice(_RACES))

    def _refused(self, moment: datetime) -> Call:
        call = self._write(moment, self._rng.choice(tuple(WRITES)))
        if self._rng.random() < 0.5:  # noqa: PLR2004 - as often the one as the other
            return replace(call, status=400, key="")
        return replace(call, status=422, code="INVALID_AMOUNT")

    def _conflict(self, call: Call, code: str) -> Call:
        return replace(call, status=409, code=code, duration=self._rng.randint(2, 9))

    def _numbers(self) -> dict[str, int]:
        return {"id": self._rng.randint(1000, 9999), "page": self._rng.randint(1, 5)}

    def _client(self) -> str:
        return f"demo-phone-{self._rng.randint(1, 60):02}"

    def _ms(self) -> int:
        return self._rng.randint(8, 120)
