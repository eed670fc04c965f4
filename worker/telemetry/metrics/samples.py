"""Metrics of HTTP requests, as the latest runs counted them."""

from collections.abc import Iterator
from dataclasses import replace

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from checks.http_log.counts import CODES, OTHER, Route, Seen, Traffic
from checks.http_log.formats import WRITES


class TrafficOfLogs(Collector):
    """What the latest runs told of HTTP requests.

    The counters go on over restarts, because the counts are kept with the place in the log; so
    they are told as they are, not added up once more.
    """

    def __init__(self) -> None:
        self.latest: dict[str, tuple[str, Traffic | None]] = {}

    def withdraw(self, check: str) -> None:
        """Leave out what only a run that could tell may say; counters stay."""
        source, traffic = self.latest.get(check, ("", None))
        if traffic:
            traffic = replace(traffic, windows={}, behind_bytes=None)
            self.latest[check] = (source, traffic)

    def collect(self) -> Iterator[Metric]:
        """Every family, without samples where there are none."""
        found = families()
        # A copy: runs come in while somebody scrapes.
        for source, traffic in list(self.latest.values()):
            for name, labels, number in _samples(traffic) if traffic else ():
                found[name].add_metric((source, *labels), number)
        yield from found.values()


def families() -> dict[str, CounterMetricFamily | GaugeMetricFamily]:
    """Each family by a short name, still without samples."""
    route = ("source", "route", "method")

    def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
        return CounterMetricFamily(f"reconciler_{name}", text, labels=labels)

    return {
        "requests": counter("http_requests_sampled", "Requests read from a log.", *route),
        "conflicts": counter("http_conflicts", "Answers 409 by code.", *route, "code"),
        "refusals": counter(
            "http_key_refusals", "Answers 400 and 422 of write requests.", *route, "status"
        ),
        "without_key": counter(
            "http_requests_without_key",
            "Write requests that were accepted without an idempotency key.",
            *route,
        ),
        "lines": counter(
            "access_log_lines",
            "Lines of a log by state: all that were read, and those with a fault.",
            *("source", "state"),
        ),
        "ratio": GaugeMetricFamily(
            "reconciler_http_conflict_ratio",
            "Answers 409 in all answers of the window; absent without requests.",
            labels=(*route, "window"),
        ),
        "behind": GaugeMetricFamily(
            "reconciler_access_log_behind_bytes",
            "What is written in a log and not yet read.",
            labels=("source",),
        ),
    }


def _total_samples(route: Route, seen: Seen) -> Iterator[tuple[str, tuple[str, ...], float]]:
    yield "requests", route, seen.requests
    for code in (*CODES, OTHER):
        number = seen.conflicts.get(code, 0)
        if number or route[1] in WRITES:  # zero is said where there could be conflicts
            yield "conflicts", (*route, code), number
    for status, number in seen.refusals.items():
        yield "refusals", (*route, status), number
    if seen.without_key:
        yield "without_key", route, seen.without_key


def _samples(traffic: Traffic) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """The family, the labels after the source, and the number of each sample."""
    for route, seen in traffic.totals.items():
        yield from _total_samples(route, seen)
    for window, counts in traffic.windows.items():
        for route, seen in counts.items():
            if seen.requests:
                yield "ratio", (*route, window), seen.ratio
    for state, number in traffic.lines.items():
        yield "lines", (state,), number
    if traffic.behind_bytes is not None:
        yield "behind", (), traffic.behind_bytes
