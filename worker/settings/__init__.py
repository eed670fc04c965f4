"""The settings of `config.toml`."""

from worker.settings.base import Schedule, Table, Zone, parse_url
from worker.settings.gentle import BackOff, Maintenance
from worker.settings.places import (
    LONGEST_SNAPSHOT,
    AccessLogSettings,
    AlertmanagerSettings,
    DatabaseSettings,
    PrometheusSettings,
    ServerSettings,
    UrlTable,
)
from worker.settings.transport import TlsTable
from worker.settings.whole import (
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

__all__ = [
    "LONGEST_SNAPSHOT",
    "AccessLogSettings",
    "AlertmanagerSettings",
    "AlertsSettings",
    "BackOff",
    "DatabaseSettings",
    "HttpSettings",
    "LogSettings",
    "Maintenance",
    "Override",
    "PrivacySettings",
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
    "parse_url",
]
