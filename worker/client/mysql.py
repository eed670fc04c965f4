"""New connections to MySQL and MariaDB: with what the secrets' files hold now, encrypted as asked.

Used for the audited databases and for the state.
"""

import ssl
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import pymysql
from pymysql.constants import CR, ER
from sqlalchemy import URL

from worker.client.authentication import LoginRefusedError
from worker.config import UrlTable

C = TypeVar("C", bound="pymysql.Connection[Any]")

NO_PROTOCOL = (
    *(struct.error, LookupError, ValueError, ArithmeticError, AssertionError, TypeError),
    *(AttributeError, RuntimeError, pymysql.InternalError),
)
"""What PyMySQL raises where what comes is no greeting, or no answer; a server's own errors are
others."""

INSECURE_TRANSPORT = 3159
"""What a server with `require_secure_transport` answers to plain text."""


class TransportError(OSError):
    """A connection cannot be made as it is configured. Holds no secret."""

    def __init__(self, message: str, *, permanent: bool = True) -> None:
        """`permanent`: asking again cannot help until somebody changes something."""
        super().__init__(message)
        self.permanent = permanent


def connect(settings: UrlTable, make: Callable[[URL, dict[str, Any]], C]) -> C:
    """Connect by `make(url, options)`, `options` being those of PyMySQL that concern TLS.

    A login that is refused is tried once more when the files hold something else by then. Raises
    TransportError, or what `make` raises.
    """
    url = fresh(settings)
    try:
        return _spoken(settings, url, make)
    except pymysql.OperationalError as error:
        again = fresh(settings)
        if error.args[0] != ER.ACCESS_DENIED_ERROR or again == url:
            raise
    return _spoken(settings, again, make)


def cipher_of(connection: "pymysql.Connection[Any]") -> tuple[str, str]:
    """The protocol and the cipher that the server says a connection has; empty for plain text."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')")
        told = {str(name): str(value or "") for name, value in cursor.fetchall()}
    return told.get("Ssl_version", ""), told.get("Ssl_cipher", "")


def explained(error: BaseException | None) -> TransportError | None:
    """What an error of the driver says about TLS; None when it is about something else."""
    if isinstance(error, TransportError):
        return error
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, ssl.SSLError):
        return _of_handshake(cause)
    if isinstance(cause, LoginRefusedError):
        return TransportError(str(cause))
    code = error.args[0] if isinstance(error, pymysql.MySQLError) and error.args else None
    if code == CR.CR_SSL_CONNECTION_ERROR:
        return TransportError(
            'the server offers no TLS (only tls = "disabled" does without, in plain text)'
        )
    if code == INSECURE_TRANSPORT:
        return TransportError('the server refuses plain text: tls = "required" or stricter')
    return None


def fresh(settings: UrlTable) -> URL:
    """The URL with what the files hold now. Raises TransportError."""
    try:
        return settings.fresh()
    except ValueError as error:
        raise TransportError(str(error)) from None


def _spoken(settings: UrlTable, url: URL, make: Callable[[URL, dict[str, Any]], C]) -> C:
    try:
        return _secured(settings, url, make)
    except NO_PROTOCOL:
        raise pymysql.OperationalError(CR.CR_MALFORMED_PACKET, "no MySQL answers there") from None


def _secured(settings: UrlTable, url: URL, make: Callable[[URL, dict[str, Any]], C]) -> C:
    try:
        context = settings.tls_context(settings.tls_mode)
    except ValueError as error:
        raise TransportError(str(error)) from None
    made = make(url, {"ssl": context} if context else {"ssl_disabled": True})
    try:
        encrypted = not context or cipher_of(made)[1]
    except BaseException:
        made.close()
        raise
    if not encrypted:
        made.close()
        raise TransportError(f'no cipher although tls = "{settings.tls_mode}"')
    return made


def _of_handshake(error: ssl.SSLError) -> TransportError:
    reason = getattr(error, "verify_message", "") or (error.reason or "").lower().replace("_", " ")
    # A server that goes down in the middle of a handshake has nothing wrong with its TLS.
    ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    asked = "tls, ca_file and certificate_file say what is asked for"
    return TransportError(
        f"no TLS connection: {reason or 'it ended'} ({asked})", permanent=not ended
    )
