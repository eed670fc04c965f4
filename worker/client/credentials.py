"""How we show ourselves to a web server, read anew for each request."""

import base64
import re
import ssl
from pathlib import Path

from checks.contract import CheckError
from worker.config import ServerSettings
from worker.config.bounds import LARGEST_SECRET

_TOKEN = re.compile(r"[!-~]+", re.ASCII)


def credentials(settings: ServerSettings) -> dict[str, str]:
    """The headers that say who we are. Raises CheckError when a file cannot be used."""
    if settings.bearer_file:
        token = _secret(settings.bearer_file)
        # h11 would repeat what it cannot send as a header.
        if not _TOKEN.fullmatch(token):
            raise CheckError(f"bearer_file {settings.bearer_file} holds no token", permanent=True)
        return {"Authorization": f"Bearer {token}"}
    if settings.password_file:
        pair = f"{settings.username}:{_secret(settings.password_file)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        text = content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise CheckError(f"file {path} cannot be read: {reason}", permanent=True) from None
    if not text:
        raise CheckError(f"file {path} is empty", permanent=True)
    if len(content) > LARGEST_SECRET:
        raise CheckError(f"file {path} is larger than {LARGEST_SECRET} bytes", permanent=True)
    return text


def tls(settings: ServerSettings) -> ssl.SSLContext:
    """Whom to trust, and our own certificate. Raises CheckError when a file cannot be used."""
    if not settings.url.lower().startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for nothing: it trusts nobody
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise _unusable("ca_file", settings.ca_file, error) from None
    if settings.certificate_file:
        try:
            # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
        except OSError as error:
            raise _unusable("certificate_file", settings.certificate_file, error) from None
    return context


def _unusable(field: str, path: Path | None, error: OSError) -> CheckError:
    # Which of the two files of a pair is meant, OpenSSL does not say.
    pair = field == "certificate_file"
    if isinstance(error, ssl.SSLError):
        more = ", or its key_file does not fit or is encrypted" if pair else ""
        return CheckError(f"{field} {path} holds no certificate{more}", permanent=True)
    more = " or its key_file" if pair else ""
    return CheckError(f"{field} {path}{more} cannot be read: {error.strerror}", permanent=True)
