"""Metrics that kinds declare on their cards: what is exported of the samples of runs."""

from datetime import UTC, datetime

import pytest

from checks.card import Sample
from checks.contract import Result
from checks.kinds.row_count import TABLE_ROWS, RowCount
from checks.registry import KINDS
from worker.model.run import Outcome, Run
from worker.telemetry.metrics import Metrics

ONE = RowCount(name="one.orders", table="orders", database="one")
OTHER = RowCount(name="other.orders", table="orders", database="other")


def saw(check: RowCount, rows: int) -> Run:
    """A run that counted so many rows."""
    samples = (Sample(TABLE_ROWS, (check.table,), rows),)
    return Run(check, Outcome.PASS, datetime.now(UTC), 0.1, Result(rows, 0, samples=samples))


def could_not_tell(check: RowCount) -> Run:
    """A run without an answer."""
    return Run(check, Outcome.ERROR, datetime.now(UTC), 0.1, error="away")


def rows(metrics: Metrics) -> list[str]:
    """The series of the metric, as they are exported."""
    text = metrics.render("text/plain")[0].decode()
    return [line for line in text.splitlines() if line.startswith("reconciler_table_rows")]


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of a worker whose two checks count tables of one name."""
    made = Metrics()
    made.observe(saw(ONE, 5))
    made.observe(saw(OTHER, 7))
    return made


def test_of_one_series_the_latest_run_is_right(metrics: Metrics) -> None:
    """Two checks that tell of one series export it once, as the one that ran last saw it."""
    assert rows(metrics) == ['reconciler_table_rows{table="orders"} 7.0']
    metrics.observe(saw(ONE, 6))
    assert rows(metrics) == ['reconciler_table_rows{table="orders"} 6.0']


def test_a_run_that_could_not_tell_withdraws_what_its_own_check_said(metrics: Metrics) -> None:
    """What another check says of the same series stays; without any, the series is absent."""
    metrics.observe(could_not_tell(OTHER))
    assert rows(metrics) == ['reconciler_table_rows{table="orders"} 5.0']
    metrics.observe(could_not_tell(ONE))
    assert rows(metrics) == []


def test_another_configuration_begins_without_samples(metrics: Metrics) -> None:
    """After a reload nothing is said before a run has seen it."""
    metrics.forget([ONE])
    assert rows(metrics) == []


def test_families_of_all_kinds_are_told_apart() -> None:
    """No two kinds, and none and the worker, export metrics of one name; each has its help."""
    families = [family for kind in KINDS for family in kind.card.families]
    text = Metrics().render("text/plain")[0].decode()
    for family in families:
        assert text.count(f"# HELP {family.name} {family.help}\n") == 1
        assert text.count(f"# TYPE {family.name} {family.type}\n") == 1
