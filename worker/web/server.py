"""The server: metrics, health and pages, read-only, bounded in time and in connections."""

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker.config import HttpSettings
from worker.web.login import Login
from worker.web.security import Security
from worker.web.tls import Handshake

MOST_CONNECTIONS = 200
"""One more closes that which has been quiet the longest: a flood locks nobody out."""

REQUEST_TIMEOUT = 10
"""Seconds in which a client has to send its request, and to take the answer."""

Answer = Callable[[], tuple[bool, str]]
"""Whether all is well, and a sentence."""

PAGES_AT_ONCE = 2
"""Pages that are made at the same time; metrics and health do not wait for them."""

PAGES_WAITING = 50
"""Requests for a page beyond which the next one is told to come back later."""

Page = Callable[[Request], Response]
"""Makes an answer, on a thread; raises HTTPException."""

NO_PAGES: Mapping[str, Page] = MappingProxyType({})

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
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
        pages: Mapping[str, Page] = NO_PAGES,
        *,
        on_web_config: Callable[[float], None] = lambda _well: None,
    ) -> None:
        """Bind the address. Raises OSError when it cannot be had, or WebFileError.

        `pages` are by their path, in which `{name}` stands for a part of it.
        `on_web_config` is told 1 when a changed web configuration was accepted, else 0.
        """
        self._security = Security(settings.web_config_file, on_web_config)
        self._socket = _bound(settings)
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._security.context else "http"
        self.address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        """`http://host:port`, with the port that was bound."""
        self._server = uvicorn.Server(
            uvicorn.Config(
                Login(_application(metrics, live, ready, pages), self._security),
                http=self._connection,  # type: ignore[arg-type]  # makes what the class would be
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

    def start(self) -> None:
        """Serve until `stop`."""
        self._security.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; waits 3 s at most."""
        self._security.stop()
        self._server.should_exit = True
        self._thread.join(3)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def _connection(self, **given: Any) -> asyncio.BaseProtocol:
        """What serves the next connection, by the TLS of now."""
        protocol = _BoundedProtocol(**given)
        context = self._security.context
        return (
            Handshake(protocol, context, MOST_CONNECTIONS, REQUEST_TIMEOUT) if context else protocol
        )


def _bound(settings: HttpSettings) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        # From now on nobody is refused, nor can somebody else have the address.
        bound.listen(MOST_CONNECTIONS)
    except OSError:
        bound.close()
        raise
    return bound


def _application(
    metrics: Callable[[str], tuple[bytes, str]],
    live: Answer,
    ready: Answer,
    pages: Mapping[str, Page],
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

    gate = _Gate()

    def shown(page: Page) -> Callable[[Request], Any]:
        async def show(request: Request) -> Response:
            answer = await gate.through(page, request)
            answer.headers.update(_HEADERS)
            return answer

        return show

    async def refuse(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            headers = {**_HEADERS, "Connection": "close"}  # uvicorn closes it
            return PlainTextResponse("Internal Server Error\n", 500, headers=headers)
        headers = {**_HEADERS, **(error.headers or {})}
        return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=headers)

    application = Starlette(
        routes=[
            Route("/metrics", show_metrics),
            Route("/livez", health(live)),
            Route("/readyz", health(ready)),
            *(Route(path, shown(page)) for path, page in pages.items()),
        ],
        exception_handlers={HTTPException: refuse, 500: refuse},
    )
    application.router.redirect_slashes = False  # a path with one more slash is unknown, too
    return application


class _Gate:
    """Lets a few pages be made at a time, and few wait: work that nobody takes does not pile up."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(PAGES_AT_ONCE)
        self._waiting = 0

    async def through(self, page: Page, request: Request) -> Response:
        """The page, made on a thread. Raises HTTPException."""
        if self._waiting >= PAGES_WAITING:
            raise HTTPException(503, "too many requests at once", {"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._free:
                return await run_in_threadpool(page, request)
        finally:
            self._waiting -= 1


class _BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a limit on how long and how many clients may dawdle.

    uvicorn bounds idle time only between requests, and not while one is half sent or its answer
    is half taken.
    """

    _by_age: ClassVar[dict["_BoundedProtocol", None]] = {}
    """Every connection; that of the latest request is the last."""

    _timer: asyncio.TimerHandle | None = None
    _answered = False
    """Whether the latest request has been answered, and none has begun since."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._by_age[self] = None
        self._start_timer()
        if len(self._by_age) > MOST_CONNECTIONS:
            oldest = next(iter(self._by_age))
            del self._by_age[oldest]
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._answered:
            self._start_timer()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._answered = True
        super().on_response_complete()
        if not self.cycle.response_complete:  # the next request had been sent along
            self._start_timer()
        elif not self.transport.get_write_buffer_size():
            self._stop_timer()
        if self in self._by_age:
            self._by_age[self] = self._by_age.pop(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._by_age.pop(self, None)
        super().connection_lost(exc)

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
