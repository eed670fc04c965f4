"""The HTTP side: metrics and health, read-only, bounded in time and in connections."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker.settings import HttpSettings

MOST_WAITING = 200
"""Connections that may be sending a request; one more closes the oldest of them."""

REQUEST_TIMEOUT = 10.0
"""Seconds in which a client has to send its request."""

Answer = Callable[[], tuple[bool, str]]
"""Whether all is well, and a sentence."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Web:
    """An HTTP server on a thread of its own."""

    def __init__(
        self,
        settings: HttpSettings,
        metrics: Callable[[str], tuple[bytes, str]],
        live: Answer,
        ready: Answer,
    ) -> None:
        """Bind the address. Raises OSError when it cannot be had."""
        self._socket = _bound(settings)
        self._server = uvicorn.Server(
            uvicorn.Config(
                _application(metrics, live, ready),
                http=_BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,  # longer than a scrape interval
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=16 * 1024,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    @property
    def address(self) -> str:
        """`http://host:port`, with the port that was bound."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Serve until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; waits 3 s at most."""
        self._server.should_exit = True
        self._thread.join(3)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def _bound(settings: HttpSettings) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _application(
    metrics: Callable[[str], tuple[bytes, str]], live: Answer, ready: Answer
) -> Starlette:
    async def show_metrics(request: Request) -> Response:
        # In a thread: a large exposition must not hold up the health answers.
        body, content_type = await run_in_threadpool(metrics, request.headers.get("accept", ""))
        return Response(body, headers={**_HEADERS, "Content-Type": content_type})

    def health(answer: Answer) -> Callable[[Request], Any]:
        async def show(_request: Request) -> Response:
            well, sentence = answer()
            return PlainTextResponse(f"{sentence}\n", 200 if well else 503, headers=_HEADERS)

        return show

    return Starlette(
        routes=[
            Route("/metrics", show_metrics),
            Route("/livez", health(live)),
            Route("/readyz", health(ready)),
        ]
    )


class _BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a limit on how long and how many clients may dawdle.

    uvicorn bounds idle time only between requests, not before the first one is complete.
    """

    _waiting: ClassVar[list["_BoundedProtocol"]] = []
    """Connections that have not sent a whole request yet, the oldest first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting.append(self)
        asyncio.get_running_loop().call_later(REQUEST_TIMEOUT, self._close_if_waiting)
        if len(self._waiting) > MOST_WAITING:
            self._waiting[0].transport.close()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None:
            self._no_longer_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_longer_waiting()
        super().connection_lost(exc)

    def _close_if_waiting(self) -> None:
        if self in self._waiting:
            self.transport.close()

    def _no_longer_waiting(self) -> None:
        if self in self._waiting:
            self._waiting.remove(self)
