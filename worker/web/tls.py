"""TLS in front of a protocol, with a limit on how long a handshake may dawdle."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from typing import cast

from worker.web.connections import Connection, Connections


class Handshake(SSLProtocol):
    """A connection whose TLS begins; what is inside learns of it when the handshake is done.

    asyncio's own way to serve TLS would not know a connection before its handshake is over.
    """

    def __init__(
        self,
        inside: asyncio.Protocol,
        context: ssl.SSLContext,
        connections: Connections,
        connection: Connection,
        seconds: int,
    ) -> None:
        """The handshake may last so many `seconds`."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(lambda it: it.exception())  # that it failed is for the client
        super().__init__(
            loop,
            inside,
            context,
            waiter=done,
            server_side=True,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
        )
        self._connections, self._connection = connections, connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._connection.transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over, whether its handshake was done or not."""
        self._connections.remove(self._connection)
        super().connection_lost(exc)
