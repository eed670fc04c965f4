"""Replicas that Prometheus did not always see, and names in UTF-8; on Prometheus 2 and 3."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import prometheus_client
import pytest

from checks.card import Sample
from checks.contract import CheckError, Result, Window
from checks.kinds.conflict_rate import exported
from checks.kinds.conflict_rate.promql import Queries, ask
from checks.registry import any_check
from tests.support.patience import wait_until
from tests.support.prometheus import PrometheusServer, prometheus
from tests.support.servers import HOST
from worker.config import AccessLogSettings, PrometheusSettings
from worker.sources import Sources
from worker.sources.prometheus import Prometheus

AT = datetime.now(UTC).timestamp() // 15 * 15
STEP = 15
"""Seconds between two scrapes."""
BEFORE, AFTER = 7200 // STEP, 1200 // STEP
"""Scrapes of the past, and of as long as the tests may last."""

REPLICAS = 10
QUERIES = {
    "requests": "sum by (route, method) (increase(http_requests_total[{window}]))",
    "conflicts": "sum by (route, method, code)"
    ' (increase(http_requests_total{status="409"}[{window}]))',
}

JOBS: Mapping[str, Callable[[int, int], bool]] = {
    "all": lambda _replica, _scrape: False,
    "moments": lambda replica, scrape: replica == 3 and scrape % 5 < 2,
    "hardly": lambda replica, scrape: replica == 3 and scrape % 20 == 0,
    "one": lambda replica, _scrape: replica == 3,
    "half": lambda replica, _scrape: replica < 5,
    "before": lambda replica, scrape: replica < 5 and scrape < BEFORE - 40,
}
"""Jobs, and which of their replicas is down at which scrape."""


def counting(start: int, part: int) -> Callable[[int], float]:
    """A counter at each scrape, which starts over after so many."""
    return lambda scrape: scrape % start * part


def being_up(replica: int, is_down: Callable[[int, int], bool]) -> Callable[[int], float]:
    """Whether a replica is up at each scrape."""
    return lambda scrape: float(not is_down(replica, scrape))


def history() -> str:
    """Ten replicas, of which each answers one request a scrape, every tenth by 409.

    An hour ago the counters of one started over.
    """
    lines: list[str] = []

    def scraped(series: str, value: Callable[[int], float]) -> None:
        lines.extend(
            f"{series} {value(scrape):g} {AT + STEP * (scrape - BEFORE):.3f}"
            for scrape in range(BEFORE + AFTER)
        )

    for status, part, code in (("200", 9, ""), ("409", 1, "DUPLICATE_ENTRY")):
        for replica in range(REPLICAS):
            start = BEFORE // 2 if replica == 1 else BEFORE + AFTER
            labels = (
                f'instance="{replica}",route="/o",method="POST",status="{status}",code="{code}"'
            )
            scraped(f"http_requests_total{{{labels}}}", counting(start, part))
    for job, is_down in JOBS.items():
        for replica in range(REPLICAS):
            name = f'up{{job="{job}",instance="{replica}"}}'
            scraped(name, being_up(replica, is_down))
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server(newer: bool) -> Iterator[PrometheusServer]:  # noqa: FBT001 - a fixture
    with prometheus(lambda made: made.load_text(history()), newer=newer) as made:
        yield made


def run(server: PrometheusServer, **queries: str) -> Result:
    """A run of a check that asks a server."""
    check = {"name": "app.conflict_rate", "kind": "conflict_rate", "source": "main", "limit": 0.5}
    made = any_check.validate_python(
        {**check, "long_limit": 0.5, "times_usual": None, "queries": {**QUERIES, **queries}}
    )
    settings = {"main": PrometheusSettings(url=server.url)}
    with closing(Sources({}, {}, settings)) as sources:
        return made.run(sources)


def blind(samples: tuple[Sample, ...]) -> dict[str, float]:
    return {each.labels[-1]: each.number for each in samples if each.family is exported.BLIND}


def test_counters_that_start_over_and_replicas_add_up(server: PrometheusServer) -> None:
    result = run(server, targets='up{job="all"}')
    row = result.details[-1].fields
    assert (row["route"], row["method"], row["window"]) == ("/o", "POST", "long")
    assert row["requests"] == pytest.approx(REPLICAS * 10 * 3600 / STEP, rel=0.02)
    assert row["ratio"] == pytest.approx(0.1, rel=0.02)
    assert (result.notes, blind(result.samples)) == ((), {"missing": 0})


@pytest.mark.parametrize(("job", "share"), [("moments", 0.04), ("hardly", 0.005)])
def test_a_small_part_that_is_not_seen_is_noted_from_a_hundredth_on(
    server: PrometheusServer, job: str, share: float
) -> None:
    result = run(server, targets=f'up{{job="{job}"}}')
    assert blind(result.samples)["missing"] == pytest.approx(share, abs=0.006)
    told = [each for each in result.notes if "1 of 10 targets were down" in each]
    assert len(told) == (job == "moments")


@pytest.mark.parametrize(("job", "share"), [("one", 0.1), ("half", 0.5)])
def test_from_a_tenth_on_nothing_can_be_told(
    server: PrometheusServer, job: str, share: float
) -> None:
    with pytest.raises(CheckError, match="targets were down") as raised:
        run(server, targets=f'up{{job="{job}"}}')
    assert raised.value.kept
    assert blind(raised.value.kept.samples) == {"missing": pytest.approx(share)}


def test_what_was_not_seen_before_leaves_the_long_window_unknown(
    server: PrometheusServer,
) -> None:
    result = run(server, targets='up{job="before"}')
    assert any("ratios of the long window are unknown: 5 of 10" in each for each in result.notes)
    ratios = {each.labels[-1] for each in result.samples if each.family is exported.RATIO}
    assert ratios == {"short"}


def test_targets_of_which_there_are_none_cannot_be_told(server: PrometheusServer) -> None:
    with pytest.raises(CheckError, match="query targets: no series: could not tell"):
        run(server, targets='up{job="shop"}')


def test_what_counts_conflicts_only_has_no_ratio(server: PrometheusServer) -> None:
    result = run(server, requests=QUERIES["conflicts"])
    assert [each for each in result.notes if "ratios of the short window are unknown" in each]
    assert not [each for each in result.samples if each.family is exported.RATIO]
    assert (result.violations, {row.fields["ratio"] for row in result.details}) == (0, {None})


def test_a_label_that_no_series_has_is_noted(server: PrometheusServer) -> None:
    result = run(server, route_label="http.route")
    assert "query requests: no series has the label http.route, and count as `other`" in (
        result.notes
    )


# --- A log beside it ------------------------------------------------------------------------------


def run_both(server: PrometheusServer, log: Path, cursor: Any = None, **queries: str) -> Result:
    """A run of a check that reads a log and asks a server."""
    check = {"name": "app.conflict_rate", "kind": "conflict_rate", "source": "app"}
    made = any_check.validate_python(
        {**check, "times_usual": None, "prometheus": "main", "queries": {**QUERIES, **queries}}
    )
    settings = {"main": PrometheusSettings(url=server.url)}
    logs = {"app": AccessLogSettings(path=log)}
    with closing(Sources({}, logs, settings)) as sources:
        return made.run(sources, Window(cursor=cursor))


def write(log: Path, number: int, status: int) -> None:
    now = datetime.now(UTC).isoformat()
    line = {"time": now, "method": "POST", "path": "/o", "status": status, "client": "c"}
    with log.open("a") as file:
        file.writelines(json.dumps({**line, "client": f"c{each}"}) + "\n" for each in range(number))


def test_a_log_and_a_server_add_up(server: PrometheusServer, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    write(log, 1000, 201)
    write(log, 200, 409)
    result = run_both(server, log, targets='up{job="all"}')
    (row,) = (each.fields for each in result.details if each.fields["window"] == "long")
    counted = REPLICAS * 10 * 3600 / STEP
    assert row["requests"] == pytest.approx(1200 + counted, rel=0.02)
    assert row["conflicts"] == pytest.approx(200 + counted / 10, rel=0.02)
    (found,) = result.findings
    assert found.evidence["other"] == 200
    assert result.examined == 1200


def test_a_server_that_cannot_be_asked_keeps_the_place_in_the_log(
    server: PrometheusServer, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    write(log, 150, 201)
    with pytest.raises(CheckError, match="targets were down") as raised:
        run_both(server, log, targets='up{job="half"}')
    assert raised.value.kept
    assert blind(raised.value.kept.samples)["missing"] == 0.5
    write(log, 7, 201)
    assert run_both(server, log, raised.value.kept.cursor).examined == 7


# --- Names in UTF-8 -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def utf8(newer: bool) -> Iterator[PrometheusServer]:  # noqa: FBT001 - a fixture
    """A Prometheus that scrapes an application whose names have dots, and letters of any script."""
    registry = prometheus_client.CollectorRegistry()
    labels = ("http.route", "方法", "status", "error.code")
    counter = prometheus_client.Counter(
        "http.server.requests", "Answers", labels, registry=registry
    )
    shown = [counter.labels("/orders", "POST", *each) for each in (("200", ""), ("409", "GONE"))]
    application, thread = prometheus_client.start_http_server(0, HOST, registry)
    try:
        with prometheus(scraped=application.server_port, newer=newer) as made:
            up = "min(count_over_time(up[1m]))"
            wait_until(lambda: (made.value(up) or 0) >= 3, 30, "three samples of zero")
            shown[0].inc(30)
            shown[1].inc(10)
            before = made.value(up) or 0
            wait_until(lambda: (made.value(up) or 0) >= before + 6, 30, "the traffic is scraped")
            yield made
    finally:
        application.shutdown()
        application.server_close()
        thread.join()


NEW = {
    "requests": 'sum by ("http.route", "方法")'
    ' (increase({"http.server.requests_total"}[{window}]))',
    "conflicts": 'sum by ("http.route", "方法", "error.code")'
    ' (increase({"http.server.requests_total", status="409"}[{window}]))',
}
OLD = {
    "requests": "sum by (http_route, __) (increase(http_server_requests_total[{window}]))",
    "conflicts": "sum by (http_route, __, error_code)"
    ' (increase(http_server_requests_total{status="409"}[{window}]))',
}


def test_names_in_utf8_are_those_of_the_server(utf8: PrometheusServer, *, newer: bool) -> None:
    """Quoted on Prometheus 3; on Prometheus 2 under the names that it gives them."""
    asked = Queries.model_validate(
        {
            **(NEW if newer else OLD),
            "route_label": "http.route",
            "method_label": "方法",
            "code_label": "error.code",
        }
    )
    with closing(Prometheus("main", PrometheusSettings(url=utf8.url))) as source:
        counts, notes = ask(source, asked, timedelta(minutes=1))
    assert (list(counts), notes) == ([("/orders", "POST")], ())
    seen = counts["/orders", "POST"]
    assert seen.ratio == pytest.approx(0.25, rel=0.05)  # each query has a moment of its own
    assert list(seen.conflicts) == ["GONE"]


def test_quoted_names_on_prometheus_2_are_an_error_that_says_so(
    utf8: PrometheusServer, *, newer: bool
) -> None:
    asked = Queries(**NEW, route_label="http.route")
    with closing(Prometheus("main", PrometheusSettings(url=utf8.url))) as source:
        if newer:
            assert ask(source, asked, timedelta(minutes=1))[0]
            return
        with pytest.raises(CheckError, match="cannot evaluate the expression") as raised:
            ask(source, asked, timedelta(minutes=1))
    assert raised.value.permanent
