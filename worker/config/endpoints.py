"""The sections of what the worker reads and speaks to: databases, logs and web servers."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator
from sqlalchemy import URL

from checks.http_log.formats import LineFormat
from checks.lazy_import import Later
from checks.types import Duration
from worker.config.backoff import BackOff
from worker.config.bounds import LARGEST_SECRET
from worker.config.tls import TlsMode, TlsTable, is_loopback
from worker.config.types import Table, WebAddress, parse_url
from worker.text.printable import visible

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")

_WILDCARD = re.compile(r"[*?[]")

LONGEST_SNAPSHOT = timedelta(seconds=60)
"""A snapshot that lives longer holds back purge and DDL on the audited server."""


def _with_driver(url: URL) -> URL:
    plain = url.drivername in ("mysql", "mariadb")
    return url.set(drivername=f"{url.drivername}+pymysql") if plain else url


def _file_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SECRET + 1)
        if len(content) > LARGEST_SECRET:
            raise ValueError(f"file {path} is larger than {LARGEST_SECRET} bytes")
        return content.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"file {path} cannot be read: {reason}") from None


class UrlTable(TlsTable):
    """A database URL, given as such or in a file; its password may be in a file of its own."""

    url: str | None = Field(default=None, repr=False)
    url_file: Path | None = None
    password_file: Path | None = None
    _parsed: URL = PrivateAttr()

    @model_validator(mode="after")
    def _parse(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("exactly one of url and url_file is needed")
        self._parsed = self._read()
        if self.speaks_mysql:
            if any(key.startswith("ssl") for key in self._parsed.query):
                raise ValueError("options of TLS in the URL: use tls, ca_file, certificate_file")
            self.check_tls(self.tls_mode)
        elif given := sorted(self.model_fields_set & set(TlsTable.model_fields)):
            raise ValueError(f"{given[0]} is for mysql:// and mariadb:// URLs")
        return self

    def _read(self) -> URL:
        text = self.url if self.url is not None else _file_text(self.url_file or Path())
        url = _with_driver(parse_url(text))
        return url.set(password=_file_text(self.password_file)) if self.password_file else url

    @property
    def parsed(self) -> URL:
        """The whole URL as it was at the start, password included: not for any message."""
        return self._parsed

    @property
    def speaks_mysql(self) -> bool:
        """Whether it is a MySQL or MariaDB server, reached through PyMySQL."""
        return self._parsed.drivername in ("mysql+pymysql", "mariadb+pymysql")

    @property
    def tls_mode(self) -> TlsMode:
        """What holds: as stated, or by what the host is."""
        return self.tls or ("disabled" if is_loopback(self._parsed.host) else "required")

    def fresh(self) -> URL:
        """The URL with user and password as the files hold them now.

        Raises ValueError when they cannot be used, or name another place than at the start.
        """
        if self.url_file is None and self.password_file is None:
            return self._parsed
        url = self._read()
        if url.set(username="", password="") != self._parsed.set(username="", password=""):
            raise ValueError(f"file {self.url_file} names another place than when it was read")
        return url


class DatabaseSettings(UrlTable):
    """`[databases.NAME]`: an audited database."""

    environment: str = Field(default="unnamed", max_length=64)
    """A label for people, such as production; shown in log, metrics and report."""
    time_limit: Duration = timedelta(seconds=30)
    """The longest one snapshot may last."""
    connect_timeout: Duration = timedelta(seconds=5)
    connections: int = Field(default=2, ge=1, le=8)
    """The most snapshots at a time, and so the most runs; one connection more stops queries."""
    back_off: BackOff = BackOff()
    temporary_table_mb: int = Field(default=256, ge=16, le=4096)
    """The most memory, in MiB, that the server may take for a temporary table of one run."""

    @property
    def address(self) -> str:
        """Where it is: `host:port/schema`, or the file. Holds no user and no password."""
        url = self.parsed
        host = f"[{url.host}]" if ":" in (url.host or "") else url.host
        return f"{host}:{url.port or 3306}/{url.database}" if host else str(url.database)

    @model_validator(mode="after")
    def _supported(self) -> Self:
        if self.time_limit > LONGEST_SNAPSHOT:
            raise ValueError(f"time_limit is over {LONGEST_SNAPSHOT.seconds}s")
        backend = self.parsed.get_backend_name()
        if backend == "sqlite":
            if not self.parsed.database or self.parsed.database == ":memory:":
                raise ValueError("a SQLite URL names a file: sqlite:///ledger.db")
        elif backend not in ("mysql", "mariadb"):
            raise ValueError("only mysql://, mariadb:// and sqlite:/// can be audited")
        elif not self.parsed.host or not self.parsed.database or not self.parsed.username:
            raise ValueError("the URL needs a user, a host and a database")
        if unknown := set(self.parsed.query) - {"charset"}:
            raise ValueError(f"unknown option in the URL: {', '.join(sorted(unknown))}")
        return self


class AccessLogSettings(Table):
    """`[access_logs.NAME]`: a log of HTTP requests, followed as it grows."""

    path: Path
    """Where it is; with `*`, `?` or `[…]` all files of such names are one log."""
    also: tuple[str, ...] = Field(default=(), repr=False)
    """Further files, or names with wildcards, of the same log."""
    rotated: tuple[str, ...] = ()
    """Names, with `*`, that the log has once it is rotated, in its folder or that of what a link
    leads to; compressed ones, too. By default its own name followed by `.` or `-` and anything."""
    begin: Literal["start", "end"] = "start"
    """Where the log is read from when nothing of it was read before."""
    time_limit: Duration = timedelta(seconds=10)
    """The longest that one run reads; the next one goes on."""
    longest_line: int = Field(default=65536, ge=256, le=1 << 20)
    """Bytes. Longer lines are counted and not read."""
    line_format: LineFormat = LineFormat()

    @model_validator(mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        """A list of paths is the first and further ones."""
        if not isinstance(given, Mapping) or not isinstance(given.get("path"), list):
            return given
        first, *more = given["path"] or [None]
        return {**given, "path": first, "also": [*more, *given.get("also", ())]}

    @property
    def patterns(self) -> tuple[str, ...]:
        """All names of its files, which may have wildcards."""
        return tuple(dict.fromkeys((str(self.path), *self.also)))

    @property
    def is_several(self) -> bool:
        """Whether it may be several files."""
        return bool(self.also) or bool(_WILDCARD.search(str(self.path)) and not self.path.exists())


_API = re.compile(r"/api/v\d+(/.*)?$|/-/(healthy|ready)/?$")
"""How the path of a URL ends that was copied from a command or a page of the server."""


class ServerSettings(Table):
    """A web server that is asked something, and how it knows us.

    The files are read anew for each request: what they hold may be rotated.
    """

    url: WebAddress
    """Up to where `/api/` follows."""
    time_limit: Duration = timedelta(seconds=10)
    """The longest that one request may last, connecting included."""
    username: str | None = Field(default=None, pattern="^[^:]+$")
    password_file: Path | None = None
    bearer_file: Path | None = None
    ca_file: Path | None = None
    """The authorities to trust instead of the system's."""
    certificate_file: Path | None = None
    key_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _ends_before_the_api(cls, url: str) -> str:
        if found := _API.search(httpx.URL(url).path):
            raise ValueError(f'the URL ends before /api/: leave out "{visible(found[0])[:40]}"')
        return url

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file are needed together")
        if self.bearer_file and self.username is not None:
            raise ValueError("either bearer_file or username and password_file, not both")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file are needed together")
        of_tls = (self.ca_file, self.certificate_file, self.key_file)
        if any(of_tls) and httpx.URL(self.url).scheme != "https":
            raise ValueError("ca_file, certificate_file and key_file need an https:// URL")
        for path in (self.password_file, self.bearer_file, *of_tls):
            if path and not os.access(path, os.R_OK):
                raise ValueError(f"file {path} cannot be read")
        return self


class PrometheusSettings(ServerSettings):
    """`[prometheus.NAME]`: a server that counts the application's requests."""


class AlertmanagerSettings(ServerSettings):
    """`[alertmanagers.NAME]`: an Alertmanager, or what speaks version 2 of its API."""
