"""The settings of `config.toml`."""

from worker.config.backoff import BackOff, Maintenance
from worker.config.endpoints import (
    LONGEST_SNAPSHOT,
    AccessLogSettings,
    AlertmanagerSettings,
    DatabaseSettings,
    PrometheusSettings,
    ServerSettings,
    UrlTable,
)
from worker.config.loader import (
    DEFAULT_PATH,
    PATH_VARIABLE,
    PREFIX,
    Config,
    ConfigError,
    Origin,
    PlannedCheck,
    Problem,
    load,
    place_of,
)
from worker.config.settings import (
    AlertsSettings,
    HttpSettings,
    LogSettings,
    Override,
    PrivacySettings,
    ScheduleSettings,
    Settings,
    StateSettings,
    Timetable,
)
from worker.config.tls import TlsTable
from worker.config.types import Schedule, Table, Zone, parse_url

__all__ = [
    "DEFAULT_PATH",
    "LONGEST_SNAPSHOT",
    "PATH_VARIABLE",
    "PREFIX",
    "AccessLogSettings",
    "AlertmanagerSettings",
    "AlertsSettings",
    "BackOff",
    "Config",
    "ConfigError",
    "DatabaseSettings",
    "HttpSettings",
    "LogSettings",
    "Maintenance",
    "Origin",
    "Override",
    "PlannedCheck",
    "PrivacySettings",
    "Problem",
    "PrometheusSettings",
    "Schedule",
    "ScheduleSettings",
    "ServerSettings",
    "Settings",
    "StateSettings",
    "Table",
    "Timetable",
    "TlsTable",
    "UrlTable",
    "Zone",
    "load",
    "parse_url",
    "place_of",
]
