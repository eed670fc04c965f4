"""Basic authentication in front of the application."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.web.connections import client_of
from worker.web.login_queue import LoginQueue, Ticket
from worker.web.security import Security

OPEN = {"/livez", "/readyz"}
"""What tells nothing but whether the worker works; a supervisor has no password."""

_LONGEST = 72
"""Bytes of a password that bcrypt looks at."""

_NOBODY = "$2b${:02}$" + "." * 53
"""A hash of a given cost, which no password has."""


class Login:
    """Lets requests through that name a user and his password, and adds the configured headers.

    bcrypt is slow by design: one password is computed at a time, on a thread, and those that were
    right are remembered by a keyed digest. Every refusal costs the same: as much as the dearest of
    the configured hashes, whoever is named.
    """

    def __init__(self, application: ASGIApp, security: Security) -> None:
        self._application = application
        self._security = security
        self._queue = LoginQueue()
        self._thread = ThreadPoolExecutor(1, "login")
        self._working: asyncio.Task[None] | None = None
        self._current: Ticket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._key = secrets.token_bytes(32)
        self._right: dict[str, tuple[str, bytes]] = {}
        """Of each user the hash, and the digest of the password that fitted it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        send = _with_headers(send, self._security.headers)
        refusal = None
        if self._security.users and scope["path"] not in OPEN:
            header = Headers(scope=scope).get("authorization", "")
            refusal = await self._refusal(header, client_of(scope.get("client")))
        await (refusal or self._application)(scope, receive, send)

    def stop(self) -> None:
        """Let nobody in any more, and nobody wait; from any thread.

        What is being computed is not waited for: it ends with the process.
        """
        self._stopping = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._turn_away)

    async def _refusal(self, header: str, client: str) -> PlainTextResponse | None:
        given = _parsed(header)
        if given is None:
            return _unauthorized()
        user, password = given
        known = self._security.users.get(user)
        digest = hmac.digest(self._key, user.encode() + b"\0" + password, "sha256")
        right = self._right.get(user)
        if known and right and right[0] == known and hmac.compare_digest(right[1], digest):
            return None
        fits = await self._computed(client, digest, user, password)
        if fits is None:
            return PlainTextResponse("too many logins at once\n", 503, {"Retry-After": "1"})
        return None if fits else _unauthorized()

    async def _computed(
        self, client: str, digest: bytes, user: str, password: bytes
    ) -> bool | None:
        """Whether they fit, once it was their turn; None when there was no room to wait."""
        if self._stopping:
            return None
        self._loop = asyncio.get_running_loop()
        ticket = Ticket(client, digest, user, password, self._loop.create_future())
        self._queue.add(ticket)
        if self._working is None:
            self._working = self._loop.create_task(self._work())
        return await ticket.answer

    async def _work(self) -> None:
        """Compute what waits, in turn."""
        try:
            while not self._stopping and (ticket := self._queue.take()):
                self._current = ticket
                users = self._security.users
                known, dearest = users.get(ticket.user), max(map(_cost, users.values()), default=4)
                arguments = (ticket.password, known.encode() if known else None, dearest)
                fits = await asyncio.get_running_loop().run_in_executor(
                    self._thread, _judge, *arguments
                )
                if known and fits:
                    self._right[ticket.user] = (known, ticket.digest)
                if not ticket.answer.done():
                    ticket.answer.set_result(fits)
        except RuntimeError:  # the thread was shut down just now
            if not self._stopping:
                raise
        finally:
            self._working = None
            if self._stopping:
                self._turn_away()

    def _turn_away(self) -> None:
        self._queue.clear()
        if self._current and not self._current.answer.done():
            self._current.answer.set_result(None)


def _cost(known: str) -> int:
    """The cost of a bcrypt hash; each step doubles the time that it takes."""
    return int(known[4:6])


def _judge(password: bytes, known: bytes | None, dearest: int) -> bool:
    """Whether a password fits; that it does not costs 2^dearest, whatever the hash's own cost.

    A hash of cost c takes 2^c, those of all costs from c to under d take 2^d - 2^c.
    """
    if known is None:
        _fits(password, _NOBODY.format(dearest).encode())
        return False
    if _fits(password, known):
        return True
    for cost in range(_cost(known.decode()), dearest):
        _fits(password, _NOBODY.format(cost).encode())
    return False


def _fits(password: bytes, known: bytes) -> bool:
    # The length is no secret of the configured password; a longer one is never right.
    return bcrypt.checkpw(password[:_LONGEST], known) and len(password) <= _LONGEST


def _parsed(header: str) -> tuple[str, bytes] | None:
    scheme, _, value = header.partition(" ")
    try:
        decoded = base64.b64decode(value.strip(), validate=True)
        user, colon, password = decoded.partition(b":")
        name = user.decode()
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon and scheme.lower() == "basic" else None


def _unauthorized() -> PlainTextResponse:
    challenge = {"WWW-Authenticate": 'Basic realm="reconciler", charset="UTF-8"'}
    return PlainTextResponse("Unauthorized\n", 401, {**challenge, "Cache-Control": "no-store"})


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    if not headers:
        return send

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sent
