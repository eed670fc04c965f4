"""Metrics of alerts that are still to be sent."""

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Outbox(Collector):
    """What Alertmanagers have not been told yet; its age is counted when somebody scrapes."""

    def __init__(self) -> None:
        self.pending: dict[str, tuple[int, float]] = {}
        """By Alertmanager: how many alerts, and since when (Unix time) the oldest waits."""

    def collect(self) -> Iterator[Metric]:
        """Both families; nothing is said of an Alertmanager that is not configured."""
        number, age = families()
        for name, (pending, since) in sorted(self.pending.items()):
            number.add_metric((name,), pending)
            age.add_metric((name,), max(0.0, time.time() - since) if pending else 0.0)
        yield from (number, age)


def families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    """The number of what waits, and its age, still without samples."""
    label = ("alertmanager",)
    return (
        GaugeMetricFamily(
            "reconciler_alerts_pending",
            "Alerts whose latest state the Alertmanager has not taken.",
            labels=label,
        ),
        GaugeMetricFamily(
            "reconciler_alerts_pending_seconds",
            "How long the oldest of them has waited.",
            labels=label,
        ),
    )
