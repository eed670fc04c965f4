"""Metrics that kinds declare on their cards, as the latest run of each check saw them."""

import threading
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from checks.card import Family, Sample

_TYPES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class Samples(Collector):
    """The samples of the latest runs.

    What a run tells replaces what the one before it told: a counter of a kind is the whole count
    already, and is not added up once more.
    """

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = tuple(families)
        self._latest: dict[str, tuple[Sample, ...]] = {}
        self._changing = threading.Lock()

    def take(self, check: str, samples: tuple[Sample, ...]) -> None:
        """What a run of a check saw."""
        with self._changing:
            # At the end: of checks that tell of the same series, the one that ran last is right.
            others = {name: each for name, each in self._latest.items() if name != check}
            self._latest = others | {check: samples}

    def withdraw(self, check: str) -> None:
        """Leave out what only a run that could tell may say; counters stay."""
        samples = self._latest.get(check, ())
        self.take(check, tuple(each for each in samples if each.family.type == "counter"))

    def clear(self) -> None:
        """Forget every check."""
        with self._changing:
            self._latest = {}

    def collect(self) -> Iterator[Metric]:
        """Every family, without samples where there are none."""
        numbers: dict[str, dict[tuple[str, ...], float]] = {}
        for samples in self._latest.values():
            for each in samples:
                numbers.setdefault(each.family.name, {})[each.labels] = each.number
        for family in self._families:
            made = _TYPES[family.type](family.name, family.help, labels=family.labels)
            for labels, number in numbers.get(family.name, {}).items():
                made.add_metric(labels, number)
            yield made
