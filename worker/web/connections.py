"""Every open connection, and which one has to go when there are too many.

What a connection has earned decides. One that has not sent a whole request yet can be made by
anyone for nothing; one that rests between two requests is a scraper's or a browser's; one that is
being answered costs us most, and means most to its client. Each of these has a share of the room
into which the others cannot push it, and within a share whoever holds most of it gives way first.
"""

import ipaddress
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

MOST_CONNECTIONS = 200
"""Open connections of all clients together."""

_FEWEST = 8


class Phase(Enum):
    """What a connection is doing."""

    NEW = "new"
    """It has sent nothing yet."""
    HALF = "half"
    """It has sent a part of a request, which an honest client sends in one piece."""
    RESTING = "resting"
    """Its latest request was answered."""
    BUSY = "busy"
    """Its request is being answered, or its answer taken."""


_SHARES = {Phase.NEW: 0.4, Phase.HALF: 0.1, Phase.RESTING: 0.25, Phase.BUSY: 0.25}


class Transport(Protocol):
    """What ends a connection at once."""

    def abort(self) -> None:
        """Close it, and send nothing more."""


@dataclass(eq=False)
class Connection:
    """One client's connection, from its acceptance to its end."""

    client: str
    """Whose it is: an IPv4 address, or the network (/64) of an IPv6 address."""
    phase: Phase = Phase.NEW
    transport: Transport | None = field(default=None, repr=False)
    """None until it is known, and once it has been told to end."""


class Connections:
    """The register of one server. Not thread-safe: it belongs to the event loop."""

    def __init__(self, most: int) -> None:
        """At most so many; see `room`."""
        self.most = most
        self._all: dict[Phase, dict[str, dict[Connection, None]]] = {each: {} for each in Phase}
        self._numbers = dict.fromkeys(Phase, 0)

    def __len__(self) -> int:
        """How many are open."""
        return sum(self._numbers.values())

    def __iter__(self) -> Iterator[Connection]:
        """All of them, phase by phase."""
        for clients in self._all.values():
            for those in clients.values():
                yield from those

    def add(self, connection: Connection) -> None:
        """One was accepted."""
        self._numbers[connection.phase] += 1
        self._all[connection.phase].setdefault(connection.client, {})[connection] = None

    def remove(self, connection: Connection) -> None:
        """One has ended; told again, that changes nothing."""
        clients = self._all[connection.phase]
        those = clients.get(connection.client, {})
        if connection in those:
            self._numbers[connection.phase] -= 1
            del those[connection]
            if not those:
                del clients[connection.client]

    def change(self, connection: Connection, phase: Phase) -> None:
        """It does something else from now on, or the same again."""
        if connection in self._all[connection.phase].get(connection.client, {}):
            self.remove(connection)
            connection.phase = phase
            self.add(connection)

    def make_room(self) -> Connection | None:
        """End the one that has to go first; None where there is none that could."""
        for phase in sorted(Phase, key=self._used_of_its_share, reverse=True):
            those = max(self._all[phase].values(), key=len, default={})
            for connection in those:
                if connection.transport:
                    transport, connection.transport = connection.transport, None
                    transport.abort()
                    return connection
        return None

    def busiest(self) -> tuple[str, int]:
        """The client with most connections, and how many those are."""
        sums: dict[str, int] = {}
        for each in self:
            sums[each.client] = sums.get(each.client, 0) + 1
        return max(sums.items(), key=lambda item: item[1], default=("", 0))

    def _used_of_its_share(self, phase: Phase) -> float:
        return self._numbers[phase] / _SHARES[phase]


def room() -> int:
    """How many connections there may be: at most half of the descriptors that the process may open.

    The other half is for what the worker itself opens: state, databases, logs.
    """
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(_FEWEST, min(MOST_CONNECTIONS, descriptors // 2))


def client_of(address: object) -> str:
    """Whose address it is: itself, or the network of an IPv6 address, all of which one host has."""
    host = address[0] if isinstance(address, tuple) else ""
    try:
        known = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    mapped = known.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(known), 64), strict=False))
