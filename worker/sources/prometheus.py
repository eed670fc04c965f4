"""A Prometheus server, asked over its HTTP API."""

from checks.base import Answer
from worker.settings import PrometheusSettings


class Prometheus:
    """See `checks.base.Prometheus`."""

    def __init__(self, name: str, settings: PrometheusSettings) -> None:
        self.name = name
        self._settings = settings

    def query(self, promql: str) -> Answer:
        """See `checks.base.Prometheus`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections."""
