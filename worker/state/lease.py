"""The lease: which of several workers on one state acts, so that none acts twice.

A row of the state names its holder, until when, and a fencing token that grows with each change of
holder. Times in it are of the database's clock. Whoever holds it renews it; whoever finds that it
has run out takes it; whoever writes the state proves, in the same transaction, that it is its own.
"""

import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from worker.state.schema import leases

NAME = "worker"
"""The lease of the audit; there is no other yet."""

_CLOCKS = {
    # When the statement began: whoever waited for a lock counts from before it.
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6",
    "mariadb": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6",
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
}
_STANDARD_CLOCK = "EXTRACT(EPOCH FROM CURRENT_TIMESTAMP)"


class LeaseLostError(Exception):
    """Another worker holds the lease, or ours has run out: nothing was written."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a transaction found of the lease, or made of it; it counts once that is committed."""

    holder: str
    token: int
    since: float
    """Since when that holder has it (Unix time of the database's clock)."""
    begun: float
    """When the transaction began (monotonic seconds): a lease of ours counts from then."""
    ours: bool = False
    taken: bool = False
    """Whether we have it only now."""


class Lease:
    """This process's part in the lease. Used under the lock of its state."""

    def __init__(
        self, seconds: float, *, shared: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`shared`: the state is on a server, which somebody else may reach when we do not."""
        self.seconds = seconds
        self.holder = f"{socket.gethostname()[:150]}/{os.getpid()}/{secrets.token_hex(4)}"
        """Host, process and a random part: another one after each start."""
        self.latest: Claim | None = None
        """What was last known of the lease, whoever has it."""
        self._shared = shared
        self._clock = clock
        self._ours_until = float("-inf")
        self._highest = 0
        self._seen: tuple[int, float] = (0, 0.0)
        self._seen_at = clock()

    @property
    def is_held(self) -> bool:
        """Whether we may act, by a clock that nobody sets; asks no database and waits for none."""
        return self._clock() < self._ours_until

    @property
    def token(self) -> int:
        """The fencing token of our lease, or 0; it may have run out, and still be ours."""
        return self.latest.token if self.latest and self.latest.ours else 0

    def claim(self, connection: Connection) -> Claim:
        """Renew our lease, or take one that is free; tell whose it is then."""
        begun, now = self._clock(), _now(connection)
        statement = select(leases, now.label("now")).where(leases.c.name == NAME)
        row = connection.execute(statement).first()
        if row is None:
            holder = self.latest if self.latest and not self.latest.ours else None
            if holder and begun - holder.begun < self.seconds:
                return holder  # the state was made anew under the holder, which writes it again
            return self._begin(connection, begun)
        if self.token and (row.holder, row.token) == (self.holder, self.token):
            if self._renew(connection):
                return Claim(self.holder, self.token, row.since, begun, ours=True)
        elif self._is_free(row) and self._take(connection, row):
            token = max(row.token, self._highest) + 1
            return Claim(self.holder, token, row.now, begun, ours=True, taken=True)
        return Claim(row.holder, row.token, row.since, begun)

    def settle(self, claim: Claim) -> None:
        """Take on what a committed transaction found."""
        self.latest = claim
        self._highest = max(self._highest, claim.token)
        self._ours_until = claim.begun + self.seconds if claim.ours else float("-inf")

    def verify(self, connection: Connection) -> None:
        """Raise LeaseLostError unless the lease is ours, and stays so until the transaction ends.

        One that has run out, and that nobody took, is ours.
        """
        statement = select(leases.c.holder, leases.c.token).where(leases.c.name == NAME)
        row = connection.execute(statement.with_for_update()).first()
        if row is None or tuple(row) != (self.holder, self.token):
            raise LeaseLostError(_held_by(row.holder if row else None))

    def lose(self) -> None:
        """Take on that it is not ours any more; whose it is, the next claim tells."""
        self.latest = Claim("", 0, 0.0, self._clock())
        self._ours_until = float("-inf")

    def go_on_without(self) -> None:
        """The state cannot be reached: a lease in a file goes on, one on a server runs out.

        Nobody who cannot reach it takes a lease; a file that we cannot reach, nobody can.
        """
        if not self._shared and (self.latest is None or self.latest.ours):
            self._ours_until = self._clock() + self.seconds

    def give_back(self, connection: Connection) -> None:
        """Let the next one take it at once."""
        ours = (leases.c.holder == self.holder) & (leases.c.token == self.token)
        connection.execute(update(leases).where(leases.c.name == NAME, ours).values(until=0.0))

    def _begin(self, connection: Connection, begun: float) -> Claim:
        """Make the row: of a new state, or of one that was made anew under us."""
        now = _now(connection)
        token = self.token or self._highest + 1
        values = {"name": NAME, "token": token, "since": now, **self._values(connection)}
        try:
            with connection.begin_nested():
                connection.execute(insert(leases).values(values))
        except IntegrityError:  # somebody else did, this moment
            return Claim("", 0, 0.0, begun)
        since = connection.scalar(select(leases.c.since).where(leases.c.name == NAME))
        return Claim(self.holder, token, since or 0.0, begun, ours=True, taken=not self.token)

    def _renew(self, connection: Connection) -> bool:
        ours = (leases.c.holder == self.holder) & (leases.c.token == self.token)
        values = self._values(connection)
        return _changes(connection, leases.c.name == NAME, ours, values=values)

    def _take(self, connection: Connection, row: Row[Any]) -> bool:
        """Take a lease that nobody renewed or took since it was read."""
        token = max(row.token, self._highest) + 1
        as_read = (leases.c.token == row.token) & (leases.c.until <= row.until + 0.001)
        values = {"token": token, "since": _now(connection), **self._values(connection)}
        return _changes(connection, leases.c.name == NAME, as_read, values=values)

    def _is_free(self, row: Row[Any]) -> bool:
        if row.until <= row.now or self._is_gone(row):
            return True
        # The database's clock may have been set back: then it is not renewed, by ours.
        seen = (row.token, row.until)
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        return bool(self._clock() - self._seen_at > row.seconds)

    def _is_gone(self, row: Row[Any]) -> bool:
        """Whether the holder of a file is a process of this machine that is no more."""
        if self._shared or row.place != _place():
            return False
        try:
            os.kill(int(row.holder.split("/")[-2]), 0)
        except (ProcessLookupError, IndexError, ValueError):
            return True
        except PermissionError:
            return False
        return False

    def _values(self, connection: Connection) -> dict[str, object]:
        return {
            "holder": self.holder,
            "until": _now(connection) + self.seconds,
            "seconds": self.seconds,
            "place": _place(),
        }


def host_of(holder: str) -> str:
    """The host of a holder: what people are told of it."""
    return holder.partition("/")[0] or "another worker"


def _held_by(holder: str | None) -> str:
    return f"{host_of(holder)} holds it" if holder else "it is not in the state any more"


def _now(connection: Connection) -> ColumnElement[float]:
    """Unix time by the database's clock."""
    clock = _CLOCKS.get(connection.dialect.name, _STANDARD_CLOCK)
    return literal_column(clock, Double)


def _changes(
    connection: Connection, *where: ColumnElement[bool], values: Mapping[str, object]
) -> bool:
    return connection.execute(update(leases).where(*where).values(values)).rowcount == 1


def _place() -> str:
    """Within what the number of a process means one process: a boot, and a namespace."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return f"unknown {secrets.token_hex(8)}"
