"""The settings of `config.toml`, one model a table; unknown keys are refused everywhere."""

import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
from apscheduler.triggers.cron import CronTrigger
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    model_validator,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from checks.facts import TableFacts
from checks.interfaces import Interface
from checks.traffic.formats import LineFormat
from checks.types import Duration, Identifier, Severity, Slug, parse_duration
from worker.privacy import PERSONAL

LONGEST_SNAPSHOT = timedelta(seconds=60)
"""A snapshot that lives longer holds back purge and DDL on the audited server."""


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA database, such as Asia/Shanghai") from None
    return value


def _schedule(value: object) -> timedelta | str:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or " " not in value.strip():
        return parse_duration(value)
    try:
        trigger = CronTrigger.from_crontab(value, timezone=UTC)
    except ValueError:
        raise ValueError(
            "neither a duration (30s, 5m, 1h) nor a cron line of five fields (0 3 * * *)"
        ) from None
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ValueError("this cron line names a time that never comes")
    return value


Zone = Annotated[str, AfterValidator(_zone)]
"""A time zone by its IANA name."""

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
"""The name of a label, as Prometheus has it."""

OWN_LABELS = {"alertname", "check", "kind", "table", "severity", "job"}
"""Labels of alerts that the worker fills in itself."""

Schedule = Annotated[timedelta | str, BeforeValidator(_schedule)]
"""An interval, or a cron line of five fields in the configured time zone."""


def parse_url(value: str) -> URL:
    """A SQLAlchemy URL. Raises ValueError that repeats nothing of it: it may hold a password."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("not a URL such as mysql://user@host:3306/database") from None
    # What follows an unescaped character of a password would pass for host or database.
    elsewhere = f"{url.host or ''} {url.database or ''}"
    if url.get_backend_name() != "sqlite" and any(each in elsewhere for each in "@/:#"):
        raise ValueError(
            "host or database holds one of @ / : #; in a password write %40 %2F %3A %23"
        )
    return url


def _with_driver(url: URL) -> URL:
    return url.set(drivername="mysql+pymysql") if url.drivername == "mysql" else url


def _place(url: URL) -> tuple[object, ...]:
    """What two URLs of one database have in common."""
    if url.get_backend_name() == "sqlite":
        return ("sqlite", Path(url.database or "").resolve())
    return (url.host, url.port or 3306, url.database)


def _file_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"file {path} cannot be read: {reason}") from None


class UrlTable(Table):
    """A database URL, given as such or in a file; its password may be in a file of its own."""

    url: str | None = Field(default=None, repr=False)
    url_file: Path | None = None
    password_file: Path | None = None
    _parsed: URL = PrivateAttr()

    @model_validator(mode="after")
    def _parse(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("exactly one of url and url_file is needed")
        text = self.url if self.url is not None else _file_text(self.url_file or Path())
        self._parsed = _with_driver(parse_url(text))
        if self.password_file:
            self._parsed = self._parsed.set(password=_file_text(self.password_file))
        return self

    @property
    def parsed(self) -> URL:
        """The whole URL, password included: not for any message."""
        return self._parsed


class DatabaseSettings(UrlTable):
    """`[databases.NAME]`: an audited database."""

    environment: str = Field(default="unnamed", max_length=64)
    """A label for people, such as production; shown in log, metrics and report."""
    time_limit: Duration = timedelta(seconds=30)
    """The longest one snapshot may last."""
    connect_timeout: Duration = timedelta(seconds=5)
    temporary_table_mb: int = Field(default=256, ge=16, le=4096)
    """The most memory, in MiB, that the server may take for a temporary table of one run."""

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
    rotated: tuple[str, ...] = ()
    """Names, with `*`, that the log has once it is rotated, in the same folder; compressed ones,
    too. By default the log's own name followed by `.` or `-` and anything."""
    begin: Literal["start", "end"] = "start"
    """Where the log is read from when nothing of it was read before."""
    time_limit: Duration = timedelta(seconds=10)
    """The longest that one run reads; the next one goes on."""
    longest_line: int = Field(default=65536, ge=256, le=1 << 20)
    """Bytes. Longer lines are counted and not read."""
    line_format: LineFormat = LineFormat()


def _server_url(value: str) -> str:
    """A URL of a web server. Raises ValueError that repeats nothing of it."""
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        raise ValueError("not a URL such as https://prometheus.example:9090") from None
    if url.userinfo:
        raise ValueError("credentials in the URL: use username and password_file, or bearer_file")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not http:// or https:// and a host")
    if url.query or url.fragment:
        raise ValueError("a URL up to a path only, without ? and #")
    return value


class ServerSettings(Table):
    """A web server that is asked something, and how it knows us.

    The files are read anew for each request: what they hold may be rotated.
    """

    url: Annotated[str, AfterValidator(_server_url)]
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


class AlertsSettings(Table):
    """`[alerts]`: which alerts the worker sends itself, and how."""

    push: tuple[Severity, ...] = ()
    """Severities whose alerts go directly to the Alertmanagers; the rules leave them out."""
    resend_every: Duration = timedelta(minutes=1)
    """An alert is said again so often: an Alertmanager that was restarted has forgotten it."""
    expire_after: Duration = timedelta(hours=1)
    """How long an alert stays when the worker is not there to say it again."""
    resolved_for: Duration = timedelta(minutes=15)
    """How long it is said again that an alert is over."""
    labels: Mapping[LabelName, str] = {}
    """Further labels of each alert, for routing."""

    @model_validator(mode="after")
    def _outlives_a_pause(self) -> Self:
        if self.expire_after < 3 * self.resend_every:
            raise ValueError("expire_after is under three times resend_every")
        if own := sorted(set(self.labels) & OWN_LABELS):
            raise ValueError(f"labels.{own[0]} is a label of the worker's own")
        return self


class PrivacySettings(Table):
    """`[privacy]`: which values of rows are shown as a keyed hash."""

    personal: tuple[str, ...] = PERSONAL
    """Patterns with `*` of the columns that hold them."""


class StateSettings(UrlTable):
    """`[state]`: where runs and findings are kept."""

    url: str | None = Field(default="sqlite:///reconciler-state.db", repr=False)

    @model_validator(mode="before")
    @classmethod
    def _file_instead_of_default(cls, data: Any) -> Any:
        if isinstance(data, dict) and "url_file" in data and "url" not in data:
            return {**data, "url": None}
        return data


class Timetable(Table):
    """When one check runs."""

    every: Schedule


class ScheduleSettings(Timetable):
    """`[schedule]`: when checks run unless they say otherwise."""

    every: Schedule = timedelta(seconds=30)
    complete: Schedule = "0 3 * * *"
    """When every check runs once more and reads everything."""
    overlap: Duration = timedelta(minutes=10)
    """The longest a transaction of the application may last: rows may still appear before the
    cursor for so long."""
    overlap_rows: int = Field(default=10_000, ge=0)
    """The last rows of a table, which every incremental run reads again."""


class HttpSettings(Table):
    """`[http]`: where metrics and health are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=9720, ge=0, le=65535)
    external_url: Annotated[str, AfterValidator(_server_url)] | None = None
    """Where people reach the pages: links in alerts begin with it. By default the address that is
    listened on."""


class LogSettings(Table):
    """`[log]`: how the worker speaks."""

    format: Literal["auto", "json", "console"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"


class Override(Table):
    """`[[overrides]]`: another severity or schedule for the checks whose name matches."""

    check: str
    """A check's name, or a pattern with `*`."""
    severity: Severity | None = None
    every: Schedule | None = None


class Settings(Table):
    """The whole file."""

    timezone: Zone = "UTC"
    """The zone in which the audited database writes DATETIME, and cron lines are meant."""
    databases: Mapping[Slug, DatabaseSettings] = Field(min_length=1)
    access_logs: Mapping[Slug, AccessLogSettings] = {}
    prometheus: Mapping[Slug, PrometheusSettings] = {}
    alertmanagers: Mapping[Slug, AlertmanagerSettings] = {}
    alerts: AlertsSettings = AlertsSettings()
    privacy: PrivacySettings = PrivacySettings()
    state: StateSettings = StateSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    tables: Mapping[Identifier, TableFacts] = {}
    checks: tuple[Any, ...] = ()
    """Read by `worker.config`, check by check, so that one mistake does not hide another."""
    overrides: tuple[Override, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    """The write interfaces of the application, and which of them need an idempotency key."""

    @model_validator(mode="after")
    def _alerts_have_a_way(self) -> Self:
        if self.alerts.push and not self.alertmanagers:
            raise ValueError("alerts.push needs [alertmanagers.NAME]: nobody would be told")
        if self.alertmanagers and not self.alerts.push:
            raise ValueError("[alertmanagers] is of no use without alerts.push")
        return self

    @model_validator(mode="after")
    def _sources_are_distinct(self) -> Self:
        names = Counter((*self.databases, *self.access_logs, *self.prometheus))
        if twice := [name for name, number in names.items() if number > 1]:
            raise ValueError(f"two sources are named {twice[0]}")
        for name, database in self.databases.items():
            if _place(database.parsed) == _place(self.state.parsed):
                raise ValueError(f"state.url is the audited database {name}, which is only read")
        return self

    @property
    def main_database(self) -> str:
        """The database of a table or check that names none: the first."""
        return next(iter(self.databases))
