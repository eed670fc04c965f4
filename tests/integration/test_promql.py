"""Counts of requests and conflicts that a real Prometheus scraped from a real application."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.contract import CheckError
from checks.http_log.counts import OTHER, Counts, Route, Seen
from checks.kinds.conflict_rate.promql import Queries, _doubts, _fewer, ask
from checks.ports import Answer
from tests.support.patience import wait_until
from tests.support.prometheus import Labels, PrometheusServer, Shop, prometheus, shop
from tests.support.servers import HOST, _free_port
from worker.config import PrometheusSettings
from worker.sources.prometheus import Prometheus

ORDERS, DRAWS, PAGE = "/orders", "/draws", "/page"
KEY, DUPLICATE = "IDEMPOTENCY_KEY_CONFLICT", "DUPLICATE_ENTRY"

WINDOW = timedelta(minutes=5)
REQUESTS = "sum by (route, method) (increase(http_requests_total[{window}]))"
CONFLICTS = (
    'sum by (route, method, code) (increase(http_requests_total{status="409"}[{window}]) > 0)'
)
QUERIES = Queries(requests=REQUESTS, conflicts=CONFLICTS)

TRAFFIC: dict[Labels, int] = {
    (ORDERS, "POST", "200", ""): 40,
    (ORDERS, "POST", "409", KEY): 6,
    (ORDERS, "POST", "409", DUPLICATE): 3,
    (ORDERS, "POST", "409", "OUT_OF_STOCK"): 2,
    (ORDERS, "POST", "409", ""): 1,
    (ORDERS, "GET", "200", ""): 20,
    (DRAWS, "POST", "200", ""): 10,
    (DRAWS, "POST", "409", KEY): 5,
    (PAGE, "GET", "404", ""): 7,
}


@dataclass(frozen=True)
class Scraped:
    """What was scraped after the traffic, and when."""

    server: PrometheusServer
    answered: Counter[Labels]
    at: datetime


@pytest.fixture(scope="module")
def scraped() -> Iterator[Scraped]:
    """A Prometheus that scraped the application before, during and after `TRAFFIC`."""
    with shop() as application:
        application.know(*TRAFFIC)
        with prometheus(scraped=application.port) as server:
            samples = "min(count_over_time(http_requests_total[5m]))"
            wait_until(lambda: (server.value(samples) or 0) >= 2, 30, "two samples of zero")
            for part in range(3):
                application.serve(
                    {labels: n // 3 + (n % 3 > part) for labels, n in TRAFFIC.items()}
                )
                wait_until(partial(is_seen, server, application), 30, "the traffic is scraped")
            yield Scraped(server, application.answered, server.now())


def is_seen(server: PrometheusServer, application: Shop) -> bool:
    """Whether every sample of the last second holds all that the application answered."""
    seen = server.value("sum(min_over_time(http_requests_total[1s]))")
    return seen == application.answered.total()


@pytest.fixture
def source(scraped: Scraped) -> Iterator[Prometheus]:
    """The worker's way to it."""
    made = Prometheus("main", PrometheusSettings(url=scraped.server.url))
    yield made
    made.close()


def increase(scraped: Scraped, seconds: float) -> dict[Labels, float]:
    """`increase` of each series by hand, from its samples, as Prometheus documents it.

    The difference of the last and the first sample is taken to go on at the same pace to the ends
    of the window: wholly when they are near (1.1 times the usual distance of two samples), else
    for half that distance; and never to before the counter was zero.
    """
    end = scraped.at.timestamp()
    found: dict[Labels, float] = {}
    for series in scraped.server.raw(f"http_requests_total[{int(seconds)}s]", scraped.at):
        times = [float(when) for when, _ in series["values"]]
        values = [float(value) for _, value in series["values"]]
        risen, sampled = values[-1] - values[0], times[-1] - times[0]
        usual = sampled / (len(times) - 1)
        before, after = times[0] - (end - seconds), end - times[-1]
        if risen > 0:
            before = min(before, sampled * values[0] / risen)
        ends = sum(each if each < usual * 1.1 else usual / 2 for each in (before, after))
        labels = series["metric"]
        key = labels["route"], labels["method"], labels["status"], labels.get("code", "")
        found[key] = risen * (sampled + ends) / sampled
    return found


def as_counts(series: dict[Labels, float]) -> dict[Route, Seen]:
    """The same by route, and the conflicts by code."""
    counts: dict[Route, Seen] = {}
    for (route, method, status, code), value in series.items():
        seen = counts.setdefault((route, method), Seen())
        conflicts = {code or OTHER: value}
        seen.add(Seen(value, conflicts if status == "409" and value else {}))
    return counts


def plain(counts: Counts) -> dict[tuple[str, ...], float]:
    """Every number by its place."""
    numbers: dict[tuple[str, ...], float] = {}
    for route, seen in counts.items():
        numbers[route] = seen.requests
        numbers |= {(*route, code): number for code, number in seen.conflicts.items()}
    return numbers


# --- Numbers --------------------------------------------------------------------------------------


def test_the_application_counted_what_was_asked(scraped: Scraped) -> None:
    """The numbers that the others are compared with are those of the traffic."""
    assert scraped.answered == TRAFFIC


@pytest.mark.parametrize("seconds", [3, 60, 3600])
def test_numbers_are_those_by_hand(scraped: Scraped, source: Prometheus, seconds: int) -> None:
    """Requests by route and method, conflicts by code: what the samples of the window give."""
    counts, notes = ask(source, QUERIES, timedelta(seconds=seconds), scraped.at)
    expected = as_counts(increase(scraped, seconds))
    assert any(0 < seen.all_conflicts < seen.requests for seen in expected.values())
    assert plain(counts) == pytest.approx(plain(expected), rel=1e-6)
    assert notes == ()


def test_numbers_are_those_of_the_application(scraped: Scraped, source: Prometheus) -> None:
    """A window around the traffic tells what happened, but for what Prometheus extrapolates.

    The counters began at zero, so that nothing is added before the first sample; behind the last
    one it is at most 1.1 of the average distance of two samples, of the time between all of them.
    """
    counts, _ = ask(source, QUERIES, WINDOW, scraped.at)
    number = "min(count_over_time(http_requests_total[5m]))"
    samples = scraped.server.value(number, scraped.at)
    assert samples
    most = 1 + 1.1 / (samples - 1)
    true = plain(as_counts({labels: float(n) for labels, n in scraped.answered.items()}))
    found = plain(counts)
    assert found.keys() == true.keys()
    assert all(true[each] - 1e-6 <= found[each] <= true[each] * most + 1e-6 for each in true)
    factor = found[ORDERS, "POST"] / true[ORDERS, "POST"]
    assert counts[ORDERS, "POST"].ratio == pytest.approx(12 / 52)
    assert found == pytest.approx({each: true[each] * factor for each in true})


def test_the_present_is_asked_by_default(source: Prometheus) -> None:
    """Without a time the window ends now."""
    counts, _ = ask(source, QUERIES, WINDOW)
    assert counts.keys() == {(ORDERS, "POST"), (ORDERS, "GET"), (DRAWS, "POST"), (PAGE, "GET")}


def test_series_of_one_route_are_added(scraped: Scraped, source: Prometheus) -> None:
    """Queries that sum nothing give the same numbers: every instance and status counts."""
    apart = Queries(
        requests="increase(http_requests_total[{window}])",
        conflicts='increase(http_requests_total{status="409"}[{window}])',
    )
    summed, _ = ask(source, QUERIES, WINDOW, scraped.at)
    assert plain(ask(source, apart, WINDOW, scraped.at)[0]) == pytest.approx(plain(summed))


def test_labels_have_the_names_of_the_configuration(scraped: Scraped, source: Prometheus) -> None:
    """An application may call route, method and code otherwise."""

    def renamed(query: str) -> str:
        for old, new in (("route", "handler"), ("method", "verb"), ("code", "reason")):
            query = f'label_replace({query}, "{new}", "$1", "{old}", "(.*)")'
        return f"sum by (handler, verb, reason) ({query})"

    queries = Queries(
        requests=renamed(REQUESTS),
        conflicts=renamed(CONFLICTS),
        route_label="handler",
        method_label="verb",
        code_label="reason",
    )
    usual, _ = ask(source, QUERIES, WINDOW, scraped.at)
    assert plain(ask(source, queries, WINDOW, scraped.at)[0]) == pytest.approx(plain(usual))


def test_what_has_no_label_is_other(scraped: Scraped, source: Prometheus) -> None:
    """Requests without a route are of another route, and conflicts without a code have no known."""
    queries = Queries(
        requests="sum(increase(http_requests_total[{window}]))",
        conflicts='sum(increase(http_requests_total{status="409"}[{window}]))',
    )
    counts, _ = ask(source, queries, WINDOW, scraped.at)
    assert counts.keys() == {(OTHER, "OTHER")}
    assert counts[OTHER, "OTHER"].conflicts.keys() == {OTHER}


def test_methods_are_spelt_in_one_way(scraped: Scraped, source: Prometheus) -> None:
    """Some libraries export `post`, and anything that a client calls a method."""
    renamed = 'label_replace(label_replace({}, "method", "post", "method", "POST"), {})'
    odd = '"method", "BREW", "method", "GET"'
    queries = Queries(
        requests=renamed.replace("{}", REQUESTS, 1).replace("{}", odd, 1),
        conflicts=CONFLICTS,
    )
    counts, notes = ask(source, queries, WINDOW, scraped.at)
    assert counts.keys() == {(ORDERS, "POST"), (ORDERS, "OTHER"), (DRAWS, "POST"), (PAGE, "OTHER")}
    assert notes == ()


def test_the_largest_routes_stay(scraped: Scraped, source: Prometheus) -> None:
    """Beyond the most that are told apart, the routes with fewest requests are one."""
    every, _ = ask(source, QUERIES, WINDOW, scraped.at)
    counts, _ = ask(source, QUERIES, WINDOW, scraped.at, most=1)
    assert counts.keys() == {
        (ORDERS, "POST"),
        (ORDERS, "GET"),
        (OTHER, "POST"),
        (OTHER, "GET"),
    }
    assert counts[OTHER, "POST"] == every[DRAWS, "POST"]


def test_what_is_other_takes_no_place_of_a_route() -> None:
    """However large the rest is, as many routes are told apart as may be."""
    counts = {(OTHER, "GET"): Seen(1000), ("/a", "GET"): Seen(2), ("/b", "GET"): Seen(1)}
    assert _fewer(counts, 1) == {(OTHER, "GET"): Seen(1001), ("/a", "GET"): Seen(2)}


ROUTES = st.tuples(
    st.sampled_from(["/a", "/b", "/c", "/d", OTHER]), st.sampled_from(["GET", "POST"])
)
NUMBERS = st.integers(0, 1000)
SEEN = st.builds(Seen, NUMBERS, st.dictionaries(st.sampled_from([KEY, OTHER]), NUMBERS))


@given(st.dictionaries(ROUTES, SEEN), st.integers(1, 5))
def test_nothing_is_lost_with_fewer_routes(counts: dict[Route, Seen], most: int) -> None:
    """However many routes stay, all requests and conflicts of each method are still there."""
    fewer = _fewer(counts, most)
    assert len({path for path, _ in fewer} - {OTHER}) <= most
    for method in ("GET", "POST"):
        before, after = Seen(), Seen()
        for whole, some in ((counts, before), (fewer, after)):
            for route, seen in whole.items():
                if route[1] == method:
                    some.add(seen)
        assert before == after


# --- Nothing, and less than nothing ---------------------------------------------------------------


def test_no_requests_are_no_answer(source: Prometheus) -> None:
    """A metric that nobody exports is a query that could not tell, not one that found nothing."""
    queries = Queries(requests="increase(http_requsts_total[{window}])", conflicts=CONFLICTS)
    with pytest.raises(CheckError, match="requests: no series: could not tell") as raised:
        ask(source, queries, WINDOW)
    assert not raised.value.permanent


def test_before_the_application_there_was_nothing(source: Prometheus) -> None:
    """A time of which the server knows nothing has no counts, and is no error."""
    before = datetime(2020, 1, 5, 12, tzinfo=UTC)
    counts, notes = ask(source, QUERIES, WINDOW, before)
    assert (counts, notes) == ({}, ("query requests: no series at 2020-01-05 12:00 UTC",))


def test_conflicts_that_never_happened_are_zero(scraped: Scraped, source: Prometheus) -> None:
    """No series of conflicts is no conflict, and a note says that it was taken so."""
    never = CONFLICTS.replace("409", "418")
    queries = Queries(requests=REQUESTS, conflicts=never)
    counts, notes = ask(source, queries, WINDOW, scraped.at)
    assert counts[ORDERS, "POST"].requests > 0
    assert sum(seen.all_conflicts for seen in counts.values()) == 0
    assert notes == ("query conflicts: no series, taken for no conflict",)


def test_zero_is_an_answer(scraped: Scraped, source: Prometheus) -> None:
    """Series of conflicts that did not rise are no conflict, and need no note."""
    counts, notes = ask(
        source, Queries(requests=REQUESTS, conflicts=f"0 * {CONFLICTS}"), WINDOW, scraped.at
    )
    assert all(seen.conflicts == {} for seen in counts.values())
    assert notes == ()


@pytest.mark.parametrize("name", ["requests", "conflicts"])
def test_what_was_left_out_is_told(name: str, scraped: Scraped, source: Prometheus) -> None:
    """A note says of which query some series are no numbers."""
    given = {"requests": REQUESTS, "conflicts": CONFLICTS}
    odd = 'label_replace(vector(0) / 0, "route", "/odd", "", "")'
    queries = Queries(**given | {name: f"{given[name]} or {odd}"})
    counts, notes = ask(source, queries, WINDOW, scraped.at)
    assert notes == (f"query {name}: 1 series are NaN or infinite and left out",)
    assert counts[ORDERS, "POST"].conflicts


def test_a_hint_is_no_doubt() -> None:
    """A newer server's remark about the expression does not make its empty answer a lost one."""
    answer = Answer((), ("PromQL info: metric might not be a counter", "remote_read: lost"))
    assert _doubts(answer) == ["remote_read: lost"]


@pytest.mark.parametrize("at", [None, datetime(2020, 1, 5, tzinfo=UTC)])
@pytest.mark.parametrize(
    ("requests", "text"),
    [("vector(1)", "conflicts: no series: could not tell"), ("up", "requests: no series")],
)
def test_a_server_that_warns_cannot_tell(requests: str, text: str, at: datetime | None) -> None:
    """No series together with a warning that data is missing is no zero."""
    some = Queries(requests=f"{requests} # {{window}}", conflicts="up # {window}")
    with prometheus(remote_read=f"http://{HOST}:{_free_port()}/read") as server:
        source = Prometheus("main", PrometheusSettings(url=server.url))
        with pytest.raises(CheckError, match=text) as raised:
            ask(source, some, WINDOW, at)
    assert "remote_read" in str(raised.value)
    assert not raised.value.permanent


def test_numbers_that_are_none_cannot_tell(scraped: Scraped, source: Prometheus) -> None:
    """Conflicts that are all NaN are not zero."""
    queries = Queries(requests=REQUESTS, conflicts=f"{CONFLICTS} * (0 / 0)")
    with pytest.raises(CheckError, match=r"conflicts: no series: could not tell; .* are NaN"):
        ask(source, queries, WINDOW, scraped.at)


@pytest.mark.parametrize("negative", ["requests", "conflicts"])
def test_a_negative_number_is_an_error(negative: str, scraped: Scraped, source: Prometheus) -> None:
    """A query that subtracts too much is wrong, and stays so."""
    given = {"requests": REQUESTS, "conflicts": CONFLICTS}
    queries = Queries(**given | {negative: f"{given[negative]} - 100000"})
    with pytest.raises(CheckError, match=f"query {negative}: a negative number") as raised:
        ask(source, queries, WINDOW, scraped.at)
    assert raised.value.permanent


def test_conflicts_without_requests_are_told(scraped: Scraped, source: Prometheus) -> None:
    """Queries whose routes do not meet keep both numbers, and a note names one of them."""
    some = REQUESTS.replace("total[", f'total{{route="{PAGE}"}}[')
    queries = Queries(requests=some, conflicts=CONFLICTS)
    counts, notes = ask(source, queries, WINDOW, scraped.at)
    assert counts[ORDERS, "POST"].requests == 0
    assert counts[ORDERS, "POST"].conflicts[KEY] >= 6
    (note,) = notes
    assert note.endswith(f"conflicts but no requests: POST {DRAWS} and 1 more")


# --- Configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"requests": "up"}, "the query lacks {window}"),
        ({"conflicts": "up"}, "the query lacks {window}"),
        ({"route_label": " path"}, "no name like this"),
        ({"method_label": ""}, "at least 1 character"),
        ({"code_label": "code\n"}, "no name like this"),
        ({"targets": ""}, "at least 1 character"),
        ({"refusals": "up[{window}]"}, "Extra inputs are not permitted"),
    ],
)
def test_queries_that_cannot_work_are_refused(change: dict[str, str], text: str) -> None:
    """A query without its window, or a label that no metric can have, is a mistake at once."""
    document = {"requests": REQUESTS, "conflicts": CONFLICTS, **change}
    with pytest.raises(ValidationError) as raised:
        Queries.model_validate(document)
    assert text in raised.value.errors()[0]["msg"]
