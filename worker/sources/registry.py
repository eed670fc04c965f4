"""Every configured source by its name; what checks are given to read."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from sqlalchemy import Connection

from worker.config import AccessLogSettings, DatabaseSettings, PrometheusSettings, Settings
from worker.model.server import Identity, Load
from worker.sources.access_log import AccessLog
from worker.sources.database import Database
from worker.sources.prometheus import Prometheus
from worker.sources.several_logs import SeveralLogs


class Sources:
    """See `checks.ports.Sources`."""

    def __init__(
        self,
        databases: Mapping[str, DatabaseSettings],
        access_logs: Mapping[str, AccessLogSettings] = MappingProxyType({}),
        prometheus: Mapping[str, PrometheusSettings] = MappingProxyType({}),
    ) -> None:
        self._databases = {name: Database(name, each) for name, each in databases.items()}
        self._logs = {name: _log(name, each) for name, each in access_logs.items()}
        self._prometheus = {name: Prometheus(name, each) for name, each in prometheus.items()}

    @classmethod
    def of(cls, settings: Settings) -> "Sources":
        """All that the configuration names."""
        return cls(settings.databases, settings.access_logs, settings.prometheus)

    @property
    def databases(self) -> tuple[Database, ...]:
        """The audited databases."""
        return tuple(self._databases.values())

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """See `checks.ports.Sources.snapshot`."""
        with self._databases[database].snapshot() as connection:
            yield connection

    def access_log(self, name: str) -> AccessLog | SeveralLogs:
        """See `checks.ports.Sources.access_log`."""
        return self._logs[name]

    def prometheus(self, name: str) -> Prometheus:
        """See `checks.ports.Sources.prometheus`."""
        return self._prometheus[name]

    def unreachable(self, database: str) -> str | None:
        """See `Database.unreachable`."""
        return self._databases[database].unreachable

    def identify(self, database: str) -> Identity:
        """See `Database.identify`."""
        return self._databases[database].identify()

    def load(self, database: str) -> Load:
        """See `Database.load`."""
        return self._databases[database].load()

    def close(self) -> None:
        """Stop every running query and close everything that is open."""
        opened: tuple[Database | AccessLog | SeveralLogs | Prometheus, ...] = (
            *self.databases,
            *self._logs.values(),
            *self._prometheus.values(),
        )
        closers = [threading.Thread(target=each.close, name="close") for each in opened]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()


def _log(name: str, settings: AccessLogSettings) -> AccessLog | SeveralLogs:
    return SeveralLogs(name, settings) if settings.is_several else AccessLog(name, settings)
