"""TLS in front of a protocol, with a limit on how long and how many handshakes may dawdle."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from typing import ClassVar, cast


class Handshake(SSLProtocol):
    """A connection whose TLS begins; what is inside learns of it when the handshake is done.

    asyncio's own way to serve TLS bounds the time of a handshake, and not the number of them.
    """

    _by_age: ClassVar[dict["Handshake", asyncio.Transport]] = {}
    """Every connection in its handshake, the oldest first."""

    def __init__(
        self, inside: asyncio.Protocol, context: ssl.SSLContext, most: int, seconds: int
    ) -> None:
        """At most `most` are in their handshake, each for so many `seconds` at most."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(self._leave)
        super().__init__(
            loop,
            inside,
            context,
            waiter=done,
            server_side=True,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        self._most = most

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; one too many ends the handshake that has lasted the longest."""
        self._by_age[self] = cast("asyncio.Transport", transport)
        if len(self._by_age) > self._most:
            self._by_age.pop(next(iter(self._by_age))).abort()
        super().connection_made(transport)

    def _leave(self, done: asyncio.Future[None]) -> None:
        """The handshake is over; that it failed is for the client to know."""
        done.exception()
        self._by_age.pop(self, None)
