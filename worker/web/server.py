"""The server: metrics, health and pages, read-only, bounded in time and in connections."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.config import HttpSettings
from worker.web import protocol
from worker.web.connections import Connection, Connections, room
from worker.web.encoding import encode
from worker.web.listener import QUEUE, Listener
from worker.web.login import Login
from worker.web.security import Security
from worker.web.tls import Handshake

Answer = Callable[[], tuple[bool, str]]
"""Whether all is well, and a sentence."""

PAGES_AT_ONCE = 2
"""Pages that are made at the same time; metrics and health do not wait for them."""

PAGES_WAITING = 50
"""Requests for a page beyond which the next one is told to come back later."""

Exposition = Callable[[str, Sequence[str]], tuple[bytes, str]]
"""Makes the metrics in the format that an Accept header asks for, of those names alone if there are
any; with their content type."""

Page = Callable[[Request], Response]
"""Makes an answer, on a thread; raises HTTPException."""

Made = TypeVar("Made")

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
        metrics: Exposition,
        live: Answer,
        ready: Answer,
        pages: Mapping[str, Page] = NO_PAGES,
        *,
        on_web_config: Callable[[float], None] = lambda _well: None,
        on_crowded: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind the address. Raises OSError when it cannot be had, or WebFileError.

        `pages` are by their path, in which `{name}` stands for a part of it.
        `on_web_config` is told 1 when a changed web configuration was accepted, else 0;
        `on_crowded` of each connection that had to be closed for others.
        """
        self._security = Security(settings.web_config_file, on_web_config)
        self._socket = _bound(settings)
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._security.context else "http"
        self.address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        """`http://host:port`, with the port that was bound."""
        self._connections = Connections(room())
        self._login = Login(_application(metrics, live, ready, pages), self._security)
        self._server = _Server(
            uvicorn.Config(
                _Ending(self._login),
                http=protocol.BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,  # longer than a scrape interval
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=16 * 1024,
            ),
            Listener(self._socket, self._connections, self._connection, on_crowded),
        )
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def start(self) -> None:
        """Serve until `stop`."""
        self._security.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; waits 3 s at most."""
        self._security.stop()
        self._login.stop()
        self._server.should_exit = True
        self._thread.join(3)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[])

    def _connection(self, connection: Connection) -> asyncio.BaseProtocol:
        """What serves the next connection, by the TLS of now."""
        context, server = self._security.context, self._server
        inside = protocol.BoundedProtocol(
            self._connections,
            connection,
            secured=context is not None,
            config=server.config,
            server_state=server.server_state,
            app_state=server.lifespan.state,
        )
        if context is None:
            return inside
        return Handshake(inside, context, self._connections, connection, protocol.REQUEST_TIMEOUT)


class _Server(uvicorn.Server):
    """uvicorn, but for how connections are accepted."""

    def __init__(self, config: uvicorn.Config, listener: Listener) -> None:
        super().__init__(config)
        self._listener = listener

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        self._listener.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and let what is going on end in time."""
        self._listener.end()
        await super().shutdown(sockets)


class _Ending:
    """Answers what is cut off by the end of the worker, which is no fault to be logged."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, send)
        except asyncio.CancelledError:
            with suppress(Exception):  # its answer may have begun
                answer = PlainTextResponse("the worker ends\n", 503, {"Connection": "close"})
                await answer(scope, receive, send)


def _bound(settings: HttpSettings) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        # From now on nobody is refused, nor can somebody else have the address.
        bound.listen(QUEUE)
    except OSError:
        bound.close()
        raise
    return bound


def _application(
    metrics: Exposition,
    live: Answer,
    ready: Answer,
    pages: Mapping[str, Page],
) -> Starlette:
    shared = _Shared()

    async def show_metrics(request: Request) -> Response:
        accept, encodings = (_joined(request, each) for each in ("accept", "accept-encoding"))
        names = tuple(request.query_params.getlist("name[]"))

        def make() -> tuple[bytes, Mapping[str, str]]:
            body, content_type = metrics(accept, names)
            answer = encode(Response(body, headers={"Content-Type": content_type}), encodings)
            return bytes(answer.body), answer.headers

        # In a thread: a large exposition must not hold up the health answers.
        body, headers = await shared.made((accept, encodings, names), make)
        return Response(body, headers={**headers, **_HEADERS})

    def health(answer: Answer) -> Callable[[Request], Any]:
        async def show(_request: Request) -> Response:
            well, sentence = answer()
            return PlainTextResponse(f"{sentence}\n", 200 if well else 503, headers=_HEADERS)

        return show

    gate = _Gate()

    def shown(page: Page) -> Callable[[Request], Any]:
        async def show(request: Request) -> Response:
            encodings = _joined(request, "accept-encoding")
            answer = await gate.through(lambda: encode(page(request), encodings))
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

    async def through(self, make: Callable[[], Response]) -> Response:
        """The page, made on a thread. Raises HTTPException."""
        if self._waiting >= PAGES_WAITING:
            raise HTTPException(503, "too many requests at once", {"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._free:
                return await run_in_threadpool(make)
        finally:
            self._waiting -= 1


class _Shared:
    """One is made at a time; who asks for the same before it is begun gets the same.

    So a flood of scrapes takes no more work than a few of them, and nobody gets what is old.
    """

    def __init__(self) -> None:
        self._one = asyncio.Semaphore(1)
        self._following: dict[Hashable, asyncio.Task[Any]] = {}

    def made(self, key: Hashable, make: Callable[[], Made]) -> Awaitable[Made]:
        """What is made from now on, or soon."""
        if key not in self._following:
            self._following[key] = asyncio.get_running_loop().create_task(self._make(key, make))
        return asyncio.shield(self._following[key])

    async def _make(self, key: Hashable, make: Callable[[], Made]) -> Made:
        try:
            await self._one.acquire()
        finally:
            del self._following[key]
        try:
            return await run_in_threadpool(make)
        finally:
            self._one.release()


def _joined(request: Request, header: str) -> str:
    """A header that may be there several times."""
    return ",".join(request.headers.getlist(header))
