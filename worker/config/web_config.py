"""The web configuration file: TLS and users of the HTTP side, as Prometheus' exporters have it."""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, StringConstraints, ValidationError

from checks.lazy_import import Later
from worker.config.types import Table

if TYPE_CHECKING:
    from worker.config import strict_yaml
else:
    strict_yaml = Later("worker.config.strict_yaml")

LARGEST = 1 << 20
"""Bytes of the file."""

DEAREST = 16
"""The highest cost of a hash; each step doubles the time of a login, which 16 makes seconds."""

_HASH = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_VERIFY: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_AEADS = ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
_SUITES = {
    f"TLS_ECDHE_{signed}_WITH_{aead}": "ECDHE-{}-{}".format(
        signed,
        "CHACHA20-POLY1305" if "CHACHA" in aead else aead.replace("AES_", "AES").replace("_", "-"),
    )
    for signed in ("RSA", "ECDSA")
    for aead in _AEADS
}
"""Cipher suites of TLS 1.2 by the names that Go has for them; those of TLS 1.3 are fixed."""


class WebFileError(OSError, ValueError):
    """The file cannot be used; tells each mistake with its place, and repeats no hash."""


def _hash(value: str) -> str:
    match = _HASH.fullmatch(value)
    if not match:
        raise ValueError("not a bcrypt hash ($2b$…), such as `htpasswd -nB USER` makes")
    if int(match[1]) > DEAREST:
        raise ValueError(f"a cost over {DEAREST} makes each login last too long")
    return value


def _suite(value: str) -> str:
    if value not in _SUITES:
        raise ValueError(f"not a cipher suite of TLS 1.2 known here: {', '.join(_SUITES)}")
    return value


Hash = Annotated[str, AfterValidator(_hash)]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[ -~]*$")]
ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
Version = Literal["TLS12", "TLS13"]


class TlsServer(Table):
    """`tls_server_config`; relative paths are relative to the file."""

    cert_file: Path
    key_file: Path
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca_file: Path | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_suite)], ...] = ()
    prefer_server_cipher_suites: bool = True

    def fits_together(self) -> None:
        """Raise ValueError unless it does."""
        if (self.client_ca_file is None) != (self.client_auth_type == "NoClientCert"):
            raise ValueError("client_ca_file and a client_auth_type that verifies go together")
        if self.min_version > self.max_version:
            raise ValueError("min_version is over max_version")

    def context(self, folder: Path) -> ssl.SSLContext:
        """What handshakes are made with. Raises ValueError when a file cannot be used."""
        self.fits_together()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.maximum_version = _VERSIONS[self.max_version]
        if self.cipher_suites:
            context.set_ciphers(":".join(_SUITES[each] for each in self.cipher_suites))
        if not self.prefer_server_cipher_suites:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        certificate = folder / self.cert_file
        try:
            # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(certificate, folder / self.key_file, password="")
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(_unusable(f"cert_file {certificate} or its key", error)) from None
        if self.client_ca_file:
            authorities = folder / self.client_ca_file
            try:
                context.load_verify_locations(authorities)
            except OSError as error:
                raise ValueError(_unusable(f"client_ca_file {authorities}", error)) from None
        context.verify_mode = _VERIFY[self.client_auth_type]
        return context


class Headers(Table):
    """`headers`: those that the exporters allow; they replace the worker's own."""

    strict_transport_security: HeaderText | None = Field(None, alias="Strict-Transport-Security")
    frame_options: Literal["deny", "sameorigin"] | None = Field(None, alias="X-Frame-Options")
    content_type_options: Literal["nosniff"] | None = Field(None, alias="X-Content-Type-Options")
    xss_protection: HeaderText | None = Field(None, alias="X-XSS-Protection")
    content_security_policy: HeaderText | None = Field(None, alias="Content-Security-Policy")


class HttpServer(Table):
    """`http_server_config`."""

    http2: bool = True
    """Accepted because exporters share the file; the worker speaks HTTP/1.1."""
    headers: Headers = Headers.model_validate({})


class WebFile(Table):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: Mapping[Annotated[str, StringConstraints(pattern="^[^:]+$")], Hash] = {}
    _context: ssl.SSLContext | None = PrivateAttr(default=None)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What handshakes are made with; None for plain HTTP."""
        return self._context

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every answer."""
        given = self.http_server_config.headers
        return given.model_dump(by_alias=True, exclude_none=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it and what it names. Raises WebFileError."""
        try:
            read = cls.model_validate(_document(path))
        except ValidationError as error:
            places = error.errors(include_input=False, include_url=False)
            raise WebFileError(f"file {path}: {'; '.join(map(_told, places))}") from None
        if read.tls_server_config:
            try:
                context = read.tls_server_config.context(path.parent)
            except ValueError as error:
                raise WebFileError(f"file {path}: tls_server_config: {error}") from None
            read._context = context  # noqa: SLF001 - its own
        return read

    def files(self, path: Path) -> list[Path]:
        """The files that it is made of, when it lies at `path`."""
        given = self.tls_server_config
        named = (given.cert_file, given.key_file, given.client_ca_file) if given else ()
        return [path, *(path.parent / each for each in named if each)]


def _document(path: Path) -> Any:
    text = _text(path)
    try:
        document = strict_yaml.read(text)
    except strict_yaml.NotYamlError as error:
        raise WebFileError(f"file {path}: not YAML{error}") from None
    return {} if document is None else document


def _text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise WebFileError(f"file {path} cannot be read: {error.strerror}") from None
    if len(text) > LARGEST:
        raise WebFileError(f"file {path} is larger than {LARGEST} bytes")
    return text


def _told(mistake: Mapping[str, Any]) -> str:
    words = {"extra_forbidden": "unknown key", "missing": "is missing"}
    place = ".".join(str(step) for step in mistake["loc"] if step != "[key]")
    message = words.get(mistake["type"]) or str(mistake["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _unusable(what: str, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{what} cannot be used: no PEM, encrypted, or not of one pair"
    return f"{what} cannot be read: {error.strerror}"
