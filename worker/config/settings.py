"""The settings of `config.toml`, one model a table; unknown keys are refused everywhere."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from sqlalchemy import URL

from checks.declared.table import RelationFacts, RowFacts, TableFacts
from checks.keys.interfaces import Interface
from checks.types import Duration, Identifier, Severity, Slug, TableName
from worker.config.backoff import Maintenance
from worker.config.cron import CronLine
from worker.config.endpoints import (
    AccessLogSettings,
    AlertmanagerSettings,
    DatabaseSettings,
    PrometheusSettings,
    UrlTable,
)
from worker.config.types import LabelName, LabelValue, Schedule, Table, WebAddress, Zone
from worker.config.web_config import WebFile
from worker.model.server import Origin
from worker.text.redact import PERSONAL

OWN_LABELS = {"alertname", "check", "kind", "table", "severity", "job"}
"""Labels of alerts that the worker fills in itself."""


def _place(url: URL) -> tuple[object, ...]:
    """What two URLs of one database have in common."""
    if url.get_backend_name() == "sqlite":
        return ("sqlite", Path(url.database or "").resolve())
    return (url.host, url.port or 3306, url.database)


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
    labels: Mapping[LabelName, LabelValue] = {}
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
    lease: Duration = timedelta(seconds=15)
    """How long a worker that does not answer keeps another one on the same state from acting."""

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
    critical: Duration = timedelta(seconds=4)
    """How soon checks of severity critical run again while their runs are short; see
    `worker.scheduling.pacing`."""
    complete: Schedule = CronLine("0 3 * * *")
    """When every check runs once more and reads everything."""
    overlap: Duration = timedelta(minutes=10)
    """The longest a transaction of the application may last: rows may still appear before the
    cursor for so long."""
    overlap_rows: int = Field(default=2_000, ge=0)
    """The last rows of a table, which every incremental run reads again."""
    pause_file: Path | None = None
    """While this file exists no run begins; its first line says why."""


class HttpSettings(Table):
    """`[http]`: where metrics and health are served."""

    host: str = "127.0.0.1"
    port: int = Field(default=9720, ge=0, le=65535)
    external_url: WebAddress | None = None
    """Where people reach the pages: links in alerts begin with it. By default the address that is
    listened on."""
    web_config_file: Path | None = None
    """TLS and users, in the format of Prometheus' exporters; see `worker.config.web_config`."""

    @field_validator("web_config_file")
    @classmethod
    def _is_usable(cls, path: Path | None) -> Path | None:
        if path:
            WebFile.read(path)
        return path


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
    tables: Mapping[TableName, TableFacts] = {}
    relations: Mapping[Identifier, RelationFacts] = {}
    """Named SELECTs, usable wherever a table is."""
    checks: tuple[Any, ...] = ()
    """Read by `worker.config`, check by check, so that one mistake does not hide another."""
    overrides: tuple[Override, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
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
        names = Counter(self.sources)
        if twice := [name for name, number in names.items() if number > 1]:
            raise ValueError(f"two sources are named {twice[0]}")
        for name, database in self.databases.items():
            if _place(database.parsed) == _place(self.state.parsed):
                raise ValueError(f"state.url is the audited database {name}, which is only read")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all that checks read."""
        return (*self.databases, *self.access_logs, *self.prometheus)

    @property
    def facts(self) -> Mapping[str, RowFacts]:
        """What is stated of tables and relations, by name."""
        return {**self.tables, **self.relations}

    @property
    def main_database(self) -> str:
        """The database of a table or check that names none: the first."""
        return next(iter(self.databases))

    def origin(self, database: str) -> Origin:
        """Which system a database is; that of the first for a name that is none."""
        name = database if database in self.databases else self.main_database
        settings = self.databases[name]
        return Origin(settings.environment, name, settings.address)
