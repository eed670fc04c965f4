"""HTTP/1.1 as uvicorn has it, with a limit on how long a client may dawdle."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from worker.web.connections import Connection, Connections, Phase

REQUEST_TIMEOUT = 10
"""Seconds in which a client has to send its request, and to take the answer."""


class BoundedProtocol(H11Protocol):
    """Serves one connection, and notes what it is doing.

    uvicorn bounds idle time only between requests, and not while one is half sent or its answer
    is half taken.
    """

    _timer: asyncio.TimerHandle | None = None
    _answered = False
    """Whether the latest request has been answered, and none has begun since."""

    def __init__(
        self, connections: Connections, connection: Connection, *, secured: bool, **given: Any
    ) -> None:
        """`secured` inside of TLS, which then knows the transport and its end."""
        super().__init__(**given)
        self._connections, self._connection, self._secured = connections, connection, secured

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It begins; its first request has to come in time."""
        super().connection_made(transport)
        if not self._secured:
            self._connection.transport = transport
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Some of a request came."""
        if self._answered:
            self._start_timer()
        super().data_received(data)
        phase = Phase.BUSY if self._is_answering() else Phase.HALF
        known = self._connection.phase
        if known is not phase and (known is Phase.NEW or phase is Phase.BUSY):
            self._connections.change(self._connection, phase)

    def on_response_complete(self) -> None:
        """All of an answer is written, if not yet taken."""
        self._answered = True
        super().on_response_complete()
        if self._is_answering():  # the next request had been sent along
            self._start_timer()
            self._connections.change(self._connection, Phase.BUSY)
        elif not self.transport.get_write_buffer_size():
            self._stop_timer()
            self._connections.change(self._connection, Phase.RESTING)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._stop_timer()
        if not self._secured:
            self._connections.remove(self._connection)
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _start_timer(self) -> None:
        self._stop_timer()
        self._answered = False
        self._timer = self.loop.call_later(REQUEST_TIMEOUT, self._abort_if_dawdling)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _abort_if_dawdling(self) -> None:
        if not self._answered or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._connections.change(self._connection, Phase.RESTING)
