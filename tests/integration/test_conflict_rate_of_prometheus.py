"""How often requests conflict, asked of a real Prometheus that scrapes a real application."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from checks.contract import CheckError, Finding, Result
from checks.http_log.counts import CODES, OTHER
from checks.registry import any_check
from tests.support.exported import traffic_of
from tests.support.patience import wait_until
from tests.support.prometheus import Labels, PrometheusServer, Shop, prometheus, shop
from worker.config import PrometheusSettings
from worker.model.run import Outcome
from worker.scheduling.execute import execute
from worker.sources import Sources

REUSE, PROCESSING, RACE, DUPLICATE, REPLAY = CODES
REQUESTS = "sum by (route, method) (increase(http_requests_total[{window}]))"
CONFLICTS = (
    'sum by (route, method, code) (increase(http_requests_total{status="409"}[{window}]) > 0)'
)

TRAFFIC: dict[Labels, int] = {
    ("/orders", "POST", "200", ""): 60,
    ("/orders", "POST", "409", REUSE): 30,
    ("/orders", "POST", "409", DUPLICATE): 3,
    ("/orders", "GET", "200", ""): 45,
    ("/draws", "POST", "200", ""): 30,
    ("/draws", "POST", "409", PROCESSING): 21,
    ("/races", "POST", "200", ""): 24,
    ("/races", "POST", "409", RACE): 9,
    ("/races", "POST", "409", DUPLICATE): 9,
    ("/vouchers", "POST", "200", ""): 24,
    ("/vouchers", "POST", "409", REPLAY): 18,
    ("/stock", "POST", "200", ""): 24,
    ("/stock", "POST", "409", "OUT_OF_STOCK"): 18,
    ("/quiet", "POST", "200", ""): 90,
    ("/quiet", "POST", "409", DUPLICATE): 3,
    ("/rare", "POST", "409", DUPLICATE): 6,
}
CAUSES = {
    "/orders": "key_reuse",
    "/draws": "slow_handler",
    "/races": "plain_race",
    "/vouchers": "replay",
    "/stock": "conflicts",
}

CLOSE = 0.11
"""By which part of it a number may differ from the truth.

The counters began at zero, so that Prometheus adds nothing before the first of twelve samples, and
behind the last one no more than 1.1 of the average distance of two. Each query is asked at a
moment of its own.
"""

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[PrometheusServer]:
    """A Prometheus that scraped the application before, during and after `TRAFFIC`."""
    with shop() as application:
        application.know(*TRAFFIC)
        with prometheus(scraped=application.port) as made:
            samples = "min(count_over_time(http_requests_total[5m]))"
            wait_until(lambda: (made.value(samples) or 0) >= 2, 30, "two samples of zero")
            for _ in range(3):
                application.serve({labels: number // 3 for labels, number in TRAFFIC.items()})
                wait_until(partial(is_seen, made, application), 30, "the traffic is scraped")
            assert application.answered == TRAFFIC
            wait_until(lambda: (made.value(samples) or 0) >= 12, 30, "twelve samples of each")
            yield made


def is_seen(server: PrometheusServer, application: Shop) -> bool:
    """Whether the latest samples hold all that the application answered."""
    return server.value("sum(http_requests_total)") == application.answered.total()


@pytest.fixture
def run(server: PrometheusServer) -> Iterator[Ask]:
    """`run(…)` is a run of a check with these fields."""
    with closing(Sources({}, {}, {"metrics": PrometheusSettings(url=server.url)})) as sources:
        yield lambda **fields: check(**fields).run(sources)


def check(*, requests: str = REQUESTS, conflicts: str = CONFLICTS, **fields: Any) -> Any:
    """A check that asks this."""
    given = {
        "kind": "conflict_rate",
        "name": "metrics.conflict_rate",
        "source": "metrics",
        "queries": {"requests": requests, "conflicts": conflicts},
    }
    return any_check.validate_python({**given, **fields})


def by_route(result: Result) -> dict[object, Finding]:
    """The findings; a route has no more than one."""
    found: dict[object, Finding] = {each.key["route"]: each for each in result.findings}
    assert len(found) == result.violations
    return found


def whole(route: str, method: str = "POST") -> tuple[int, Counter[str]]:
    """The requests of a route, and its conflicts by code, as its clients know them."""
    requests, codes = 0, Counter[str]()
    for (path, verb, status, code), number in TRAFFIC.items():
        if (path, verb) == (route, method):
            requests += number
            if status == "409":
                codes[code or OTHER] += number
    return requests, codes


def test_routes_with_too_many_conflicts_are_told_with_their_cause(run: Ask) -> None:
    """Each loud route is one finding, named by the codes of its conflicts; the others are none."""
    found = by_route(run())
    assert {route: finding.key["problem"] for route, finding in found.items()} == CAUSES
    assert {finding.key["method"] for finding in found.values()} == {"POST"}


@pytest.mark.parametrize("route", CAUSES)
def test_the_evidence_is_what_happened(run: Ask, route: str) -> None:
    """Ratio and codes are those of the application, numbers but for what is extrapolated."""
    finding = by_route(run())[route]
    requests, codes = whole(route)
    conflicts = codes.total()
    evidence = dict(finding.evidence)
    ratio, unit = str(evidence.pop("ratio")).split()
    assert unit == "%"
    assert float(ratio) == pytest.approx(100 * conflicts / requests, rel=CLOSE)
    assert finding.message.startswith(f"POST {route}: {ratio} % of requests conflict (limit 5 %): ")
    assert (evidence.pop("window"), evidence.pop("compared_with")) == ("short", "limit 5 %")
    expected = {"requests": requests, "conflicts": conflicts, **codes}
    assert evidence == pytest.approx(expected, rel=CLOSE, abs=3)  # rounded, and extrapolated
    assert finding.magnitude == evidence["conflicts"]


def test_below_its_limits_nothing_is_told(run: Ask) -> None:
    """With limits above what happened all routes are quiet."""
    result = run(limit="90%", long_limit="90%", times_usual=None)
    assert (result.violations, result.findings, result.notes) == (0, (), ())


def test_few_requests_are_no_verdict(run: Ask) -> None:
    """A route below the minimum is told only where the minimum is lower, however bad it is."""
    assert "/rare" not in by_route(run())
    assert by_route(run(minimum=5))["/rare"].key["problem"] == "plain_race"


def test_the_long_window_has_a_limit_of_its_own(run: Ask) -> None:
    """What is no more than the short window may hold can be too much for the long one."""
    found = by_route(run(limit="90%"))
    assert found.keys() == CAUSES.keys()
    assert {finding.evidence["window"] for finding in found.values()} == {"long"}
    assert {finding.evidence["compared_with"] for finding in found.values()} == {"limit 2 %"}


def test_windows_are_told_and_no_totals(run: Ask) -> None:
    """The ratios of both windows are those of the application, which keeps the counts itself."""
    result = run()
    traffic = traffic_of(result)
    assert (traffic.totals, traffic.lines, traffic.behind_bytes) == ({}, {}, None)
    assert traffic.windows.keys() == {"short", "long"}
    routes = {(path, method) for path, method, *_ in TRAFFIC}
    for counts in traffic.windows.values():
        assert counts.keys() == routes
        for route, seen in counts.items():
            requests, codes = whole(*route)
            assert seen.requests == pytest.approx(requests, rel=CLOSE)
            assert seen.conflicts.keys() == codes.keys()
            assert seen.ratio == pytest.approx(codes.total() / requests, rel=CLOSE)
    total = sum(seen.requests for seen in traffic.windows["long"].values())
    assert result.examined == pytest.approx(total, abs=len(routes))  # each of them is rounded
    assert result.cursor is None


def test_a_time_of_which_the_server_knows_nothing_is_no_usual_rate(run: Ask) -> None:
    """Before it was scraped nothing is usual; that is a note, and takes no verdict back."""
    (note,) = run().notes
    assert note.startswith("query requests: no series at ")
    assert run(times_usual=None).notes == ()


def test_no_conflicts_at_all_pass_and_that_is_noted(run: Ask) -> None:
    """An application that never answered 409 has no such series: taken for none, and said."""
    result = run(conflicts=CONFLICTS.replace("409", "418"), times_usual=None)
    assert result.violations == 0
    assert result.notes == ("query conflicts: no series, taken for no conflict",)
    short = traffic_of(result).windows["short"]
    assert short
    assert all(seen.all_conflicts == 0 for seen in short.values())


def test_no_requests_could_not_tell(server: PrometheusServer, run: Ask) -> None:
    """A query of which the server has no series is an error that may pass, never a pass."""
    misspelt = REQUESTS.replace("requests", "requsts")
    with pytest.raises(CheckError, match="query requests: no series: could not tell") as raised:
        run(requests=misspelt)
    assert not raised.value.permanent
    with closing(Sources({}, {}, {"metrics": PrometheusSettings(url=server.url)})) as sources:
        told = execute(check(requests=misspelt), sources)
    assert (told.outcome, told.result) == (Outcome.ERROR, None)
