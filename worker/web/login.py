"""Basic authentication in front of the application."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping

import bcrypt
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.web.security import Security

OPEN = {"/livez", "/readyz"}
"""What tells nothing but whether the worker works; a supervisor has no password."""

WAITING = 20
"""Logins that wait for their turn; one more is told to come back later."""

_LONGEST = 72
"""Bytes of a password that bcrypt looks at."""


class Login:
    """Lets requests through that name a user and his password, and adds the configured headers.

    bcrypt is slow by design: one password is computed at a time, on a thread, and those that were
    right are remembered by a keyed digest.
    """

    def __init__(self, application: ASGIApp, security: Security) -> None:
        self._application = application
        self._security = security
        self._one = asyncio.Semaphore(1)
        self._waiting = 0
        self._key = secrets.token_bytes(32)
        self._right: dict[str, tuple[str, bytes]] = {}
        """Of each user the hash, and the digest of the password that fitted it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        send = _with_headers(send, self._security.headers)
        refusal = None
        if self._security.users and scope["path"] not in OPEN:
            refusal = await self._refusal(Headers(scope=scope).get("authorization", ""))
        await (refusal or self._application)(scope, receive, send)

    async def _refusal(self, header: str) -> PlainTextResponse | None:
        given = _parsed(header)
        if given is None:
            return _unauthorized()
        user, password = given
        users = self._security.users
        known = users.get(user)
        digest = hmac.digest(self._key, password, "sha256")
        right = self._right.get(user)
        if known and right and right[0] == known and hmac.compare_digest(right[1], digest):
            return None
        if self._waiting >= WAITING:
            return PlainTextResponse("too many logins at once\n", 503, {"Retry-After": "1"})
        # Computed for nobody as well: the time does not tell who there is.
        if not await self._fits(password, known or next(iter(users.values()))) or not known:
            return _unauthorized()
        self._right[user] = (known, digest)
        return None

    async def _fits(self, password: bytes, known: str) -> bool:
        self._waiting += 1
        try:
            async with self._one:
                return await run_in_threadpool(_fits, password, known.encode())
        finally:
            self._waiting -= 1


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
