"""Every metric the worker exports: names, help texts and labels, and nothing else anywhere."""

from worker.telemetry.metrics.registry import Metrics

__all__ = ["Metrics"]
