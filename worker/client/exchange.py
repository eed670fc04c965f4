"""One HTTP request and its answer, bounded in time and size whatever the other side does."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from checks.contract import CheckError
from checks.lazy_import import Later

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")

LARGEST = 4 << 20
"""Bytes of an answer. A larger one is an error, not cut."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole."""

    status: int
    body: bytes
    date: str = ""
    """What time it is for the other side, as it wrote it; empty where it did not."""


class Exchange:
    """Sends a body, or asks, over a connection of its own; follows no redirect, asks no proxy.

    httpx bounds each read and write, not the sum of them, and no look-up of a name: so the work is
    done on a thread, which is left to its fate when the time is up.
    """

    def __init__(
        self, url: str, body: bytes | None, headers: Mapping[str, str], tls: ssl.SSLContext
    ) -> None:
        """Nothing is sent yet. `tls` says whom to trust where the URL is https.

        A body is posted; without one the URL is asked for what it has.
        """
        self._url = url
        self._body = body
        self._headers = {
            "User-Agent": "reconciler",
            # A few compressed bytes can be gigabytes.
            "Accept-Encoding": "identity",
            **headers,
        }
        self._tls = tls
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._outcome: Reply | CheckError | None = None
        self._socket: socket.socket | None = None

    def reply(self, seconds: float) -> Reply:
        """Send the request and wait for its answer so long. Raises CheckError, also that of `end`.

        No error repeats what the other side wrote.
        """
        threading.Thread(target=self._work, args=[seconds], name="http", daemon=True).start()
        if not self._over.wait(seconds):
            self.end(_too_late(seconds))
        if isinstance(self._outcome, Reply):
            return self._outcome
        raise self._outcome or CheckError("the request was given up")

    def end(self, reason: CheckError) -> None:
        """Let `reply` raise this now; called from another thread. Does nothing after an answer."""
        self._settle(reason)
        with self._lock:
            self._cut()

    def _work(self, seconds: float) -> None:
        outcome: Reply | CheckError = CheckError("the request was given up")
        try:
            outcome = self._read(seconds)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError, CheckError) as error:
            outcome = _explained(error, seconds)
        finally:
            self._settle(outcome)

    def _settle(self, outcome: Reply | CheckError) -> None:
        with self._lock:
            self._outcome = self._outcome or outcome
        self._over.set()

    def _read(self, seconds: float) -> Reply:
        with (
            httpx.Client(verify=self._tls, trust_env=False, timeout=seconds) as client,
            client.stream(
                "GET" if self._body is None else "POST",
                self._url,
                content=self._body,
                headers=self._headers,
                extensions={"trace": self._watch},
            ) as response,
        ):
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise CheckError("its answer is compressed, which was not asked for")
            body = b"".join(_bounded(response.iter_raw()))
            return Reply(response.status_code, body, response.headers.get("Date", ""))

    def _watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn the socket, which httpx shows to nobody before the answer begins."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._over.is_set():
                    self._cut()

    def _cut(self) -> None:
        if self._socket:
            with suppress(OSError):
                # Not that of SSLSocket, which takes the TLS away from under a read that goes on.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LARGEST:
            raise CheckError(f"its answer is larger than {LARGEST} bytes", permanent=True)
        yield chunk


def _explained(error: Exception, seconds: float) -> CheckError:
    """What an error of httpx means, in words that hold nothing of the answer."""
    if isinstance(error, CheckError):
        return error
    if isinstance(error, httpx.TimeoutException):
        return _too_late(seconds)
    cause = _first_cause(error)
    if isinstance(cause, ssl.SSLError):
        return _about_tls(cause)
    if isinstance(error, httpx.NetworkError):
        connected = not isinstance(error, httpx.ConnectError)
        what = "the connection broke" if connected else "cannot be reached"
        return CheckError(f"{what}: {_words(cause)}")
    if isinstance(error, httpx.RemoteProtocolError):
        return CheckError("its answer breaks off or is not HTTP")
    return CheckError(f"cannot be asked ({type(error).__name__})")


def _too_late(seconds: float) -> CheckError:
    return CheckError(f"no whole answer within the time limit of {seconds:g} s")


def _about_tls(error: ssl.SSLError) -> CheckError:
    reason = getattr(error, "verify_message", "") or (error.reason or "").lower().replace("_", " ")
    # A server that goes down in the middle of a handshake has nothing wrong with its TLS.
    ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return CheckError(f"no TLS connection: {reason or 'it ended'}", permanent=not ended)


def _first_cause(error: BaseException) -> BaseException:
    while deeper := error.__cause__ or error.__context__:
        error = deeper
    return error


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
