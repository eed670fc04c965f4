"""Metrics of alerts that are still to be sent."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Pending:
    """What one Alertmanager has not been told yet."""

    number: int
    since: float
    """Since when the oldest of these alerts waits, in monotonic seconds."""
    refused: int
    """Alerts that it refused when they were last sent, whether they still wait or were given up."""

    @property
    def seconds(self) -> float:
        """How long the oldest has waited."""
        return max(0.0, time.monotonic() - self.since) if self.number else 0.0


class Outbox(Collector):
    """What Alertmanagers have not been told yet; its age is counted when somebody scrapes."""

    def __init__(self) -> None:
        self.pending: dict[str, Pending] = {}
        """By Alertmanager."""

    def collect(self) -> Iterator[Metric]:
        """Its families; nothing is said of an Alertmanager that is not configured."""
        number, age, refused = families()
        for name, pending in sorted(dict(self.pending).items()):
            number.add_metric((name,), pending.number)
            age.add_metric((name,), pending.seconds)
            refused.add_metric((name,), pending.refused)
        yield from (number, age, refused)


def families() -> tuple[GaugeMetricFamily, ...]:
    """The number of what waits, its age, and what was refused, still without samples."""
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
        GaugeMetricFamily(
            "reconciler_alerts_refused",
            "Alerts that the Alertmanager refused when they were last sent; they are tried again.",
            labels=label,
        ),
    )
