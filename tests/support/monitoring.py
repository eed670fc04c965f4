"""What Prometheus and Alertmanager have in common: web servers that may ask who one is."""

import ssl
import subprocess
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from tests.support import ENDS_WITH_US, asking
from tests.support.patience import patience, wait_until
from tests.support.servers import (
    HOST,
    MONITORS_HOME,
    START_SECONDS,
    Program,
    ServerError,
    _free_port,
    _which,
)

USER, PASSWORD = "auditor", "correct horse"
_PASSWORD_HASH = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"

_SECURE = f"""
basic_auth_users: {{{USER}: "{_PASSWORD_HASH}"}}
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: client.pem
"""


@dataclass(eq=False, kw_only=True)
class Monitor(Program):
    """One program of Prometheus' family, of our own."""

    secure: bool = False
    """Whether it asks for TLS, a client's certificate and a password."""
    newer: bool = False
    """Whether it is the one of `MONITORS_HOME`; the machine's own otherwise."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """What the worker's settings take."""
        return f"{'https' if self.secure else 'http'}://{self.address}"

    def start(self) -> Self:
        """See `Program`."""
        self.port = self.port or _free_port()
        if self.secure and not (self.folder / "server.pem").exists():
            certificates(self.folder)
        (self.folder / "web.yml").write_text(_SECURE if self.secure else "")
        program, *options = self._command()
        if not (found := found_as(program, newer=self.newer)):
            raise ServerError(f"{program} is not installed: run scripts/install-servers")
        options.append(f"--web.config.file={self.folder}/web.yml")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, found, *options], stdout=log, stderr=log
            )
        try:
            wait_until(self._is_ready, START_SECONDS, f"{program} is ready")
        except TimeoutError as error:
            self.kill()
            raise ServerError(f"{error}\n{self.log[-2000:]}") from None
        return self

    def client(self) -> httpx.Client:
        """What may ask it."""
        if not self.secure:
            return asking.client()
        tls = ssl.create_default_context(cafile=self.folder / "server.pem")
        tls.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        return httpx.Client(
            verify=tls, auth=(USER, PASSWORD), trust_env=False, timeout=patience(10)
        )

    @abstractmethod
    def _command(self) -> list[str]:
        """The program and its options, once its configuration is written."""

    def _is_ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise ServerError(self.log[-2000:])
        try:
            with self.client() as client:
                return client.get(f"{self.url}/-/ready").is_success
        except httpx.HTTPError:
            return False


def found_as(program: str, *, newer: bool) -> str:
    """The path of a program of Prometheus' family; empty where it is not installed."""
    return str(MONITORS_HOME / program) if newer else _which(program)


def certificates(folder: Path) -> None:
    """Make `server.pem` and `client.pem`, each signed by itself, with their `.key`."""
    for name in ("server", "client"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-noenc", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"),
                *("-addext", f"subjectAltName=IP:{HOST}"),
                *("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")),
            ],
            check=True,
            capture_output=True,
        )
