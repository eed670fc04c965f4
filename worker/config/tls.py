"""How a connection to a MySQL or MariaDB server is secured."""

import ipaddress
import ssl
from pathlib import Path
from typing import Literal

from worker.config.types import Table

TlsMode = Literal["disabled", "required", "verify-ca", "verify-identity"]


def is_loopback(host: str | None) -> bool:
    """Whether what is sent to a host never leaves this machine."""
    if not host or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ServerContext(ssl.SSLContext):
    """What a connection to a database offers and demands."""

    proves_identity = False
    """Whether nobody but the database's own server can show a certificate that is taken."""


class TlsTable(Table):
    """The keys that say whether a database connection is encrypted, and to whom it may go."""

    tls: TlsMode | None = None
    """By default `disabled` for this machine itself and `required` for every other."""
    ca_file: Path | None = None
    """The authorities to trust instead of the system's."""
    certificate_file: Path | None = None
    key_file: Path | None = None

    def check_tls(self, mode: TlsMode) -> None:
        """Raise ValueError when the keys do not fit together, or a file cannot be used."""
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file are needed together")
        if self.ca_file and not mode.startswith("verify-"):
            raise ValueError(f'ca_file verifies nothing with tls = "{mode}": use verify-identity')
        if self.certificate_file and mode == "disabled":
            raise ValueError('certificate_file is of no use with tls = "disabled"')
        self.tls_context(mode)

    def tls_context(self, mode: TlsMode) -> ServerContext | None:
        """What a new connection offers and demands; None where it is plain text.

        The files are read anew. Raises ValueError that names one which cannot be used.
        """
        if mode == "disabled":
            return None
        context = ServerContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = mode == "verify-identity"
        context.verify_mode = ssl.CERT_NONE if mode == "required" else ssl.CERT_REQUIRED
        if mode != "required":
            self._trust(context)
            # Authorities of the system sign for everybody: without the host's name it says nothing.
            context.proves_identity = context.check_hostname or self.ca_file is not None
        if self.certificate_file:
            self._show(context, self.certificate_file)
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self.ca_file is None:
            context.load_default_certs()
            return
        try:
            context.load_verify_locations(self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(_unusable("ca_file", self.ca_file, error)) from None

    def _show(self, context: ssl.SSLContext, certificate: Path) -> None:
        try:
            # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
            context.load_cert_chain(certificate, self.key_file, password="")
        except OSError as error:
            what = "certificate_file, or its key_file,"
            raise ValueError(_unusable(what, certificate, error)) from None


def _unusable(field: str, path: Path, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{field} {path} cannot be used: no PEM, encrypted, or not of one pair"
    return f"{field} {path} cannot be read: {error.strerror}"
