"""Accepts connections: no more than can be served, and none at the cost of the worker's own files.

asyncio's own server accepts whatever the system has in its queue, and learns of each connection
only afterwards: under load, its bound is late by hundreds of descriptors.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

import structlog

from worker.web.connections import Connection, Connections, client_of

AT_ONCE = 16
"""Connections that are accepted in one turn of the event loop, before others have theirs."""

QUEUE = 1024
"""Connections that the system holds until they are accepted."""

BREATH = 0.2
"""Seconds without accepting, once the system has no descriptor or memory left."""

REPORT_EVERY = 60.0
"""Seconds between two log lines that say that there are too many."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Listener:
    """A bound socket, accepting on an event loop between `begin` and `end`."""

    def __init__(
        self,
        bound: socket.socket,
        connections: Connections,
        make: Callable[[Connection], asyncio.BaseProtocol],
        on_closed: Callable[[], None] = lambda: None,
    ) -> None:
        """`make` serves one; `on_closed` is told of each that had to go for others."""
        self._socket, self._connections, self._make = bound, connections, make
        self._on_closed = on_closed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = set[asyncio.Task[object]]()
        self._unreported = 0
        self._quiet: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Accept from now on; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._socket.setblocking(False)  # noqa: FBT003 - the library's way
        self._socket.listen(QUEUE)
        self._loop.add_reader(self._socket, self._accept_some)

    def end(self) -> None:
        """Accept no more."""
        if self._loop:
            self._loop.remove_reader(self._socket)
            self._loop = None
            if self._quiet:
                self._quiet.cancel()
            self._report()

    def _accept_some(self) -> None:
        for _ in range(self._at_once):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._hold_on()
                return
            self._admit(accepted, client_of(address))

    @property
    def _at_once(self) -> int:
        """So few that no connection has to go before it had a turn or two to say something."""
        return max(1, min(AT_ONCE, self._connections.most // 8))

    def _admit(self, accepted: socket.socket, client: str) -> None:
        loop, known = asyncio.get_running_loop(), self._connections
        if len(known) >= known.most:
            self._make_room()
        if len(known) >= known.most + AT_ONCE:  # those that were ended are not closed yet
            accepted.close()
            return
        accepted.setblocking(False)  # noqa: FBT003 - the library's way
        connection = Connection(client)
        known.add(connection)
        made = loop.connect_accepted_socket(lambda: self._make(connection), accepted)
        task: asyncio.Task[object] = loop.create_task(made)
        self._starting.add(task)
        task.add_done_callback(lambda done: self._started(done, connection, accepted))

    def _started(
        self, done: "asyncio.Task[object]", connection: Connection, accepted: socket.socket
    ) -> None:
        self._starting.discard(done)
        if done.cancelled() or done.exception():
            accepted.close()
            self._connections.remove(connection)

    def _make_room(self) -> None:
        self._connections.make_room()
        self._on_closed()
        self._unreported += 1
        if self._quiet is None:
            self._report()

    def _report(self) -> None:
        """Say so, and then for a while no more."""
        self._quiet = None
        if self._unreported:
            if self._loop:
                self._quiet = self._loop.call_later(REPORT_EVERY, self._report)
            client, connections = self._connections.busiest()
            _log.warning(
                "http_crowded",
                closed=self._unreported,
                most=self._connections.most,
                busiest_client=client,
                its_connections=connections,
            )
            self._unreported = 0

    def _hold_on(self) -> None:
        """No descriptor is left: give some back, and accept nothing for a moment."""
        for _ in range(AT_ONCE):
            self._make_room()
        if self._loop:
            self._loop.remove_reader(self._socket)
            self._loop.call_later(BREATH, self._go_on)

    def _go_on(self) -> None:
        if self._loop:
            self._loop.add_reader(self._socket, self._accept_some)
