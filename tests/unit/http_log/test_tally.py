"""Counts of requests over runs and restarts."""

import json
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.counts import CODES, OTHER, Counts
from checks.http_log.request import WRITES, Batch, Request
from checks.http_log.routes import Routes
from checks.kinds.conflict_rate.tally import Spans, Tally
from checks.ports import Block

NOW = 1_767_600_000
SPANS = Spans(300, 3600)
PATHS = ("/orders", "/orders/7", "/draw", "/unknown")

REQUESTS = st.builds(
    Request,
    st.one_of(st.none(), st.integers(NOW - 9 * 86_400, NOW + 100), st.integers(NOW - 400, NOW)),
    st.sampled_from(["GET", "POST", "OTHER"]),
    st.sampled_from(PATHS),
    st.sampled_from([200, 400, 404, 409, 409, 422, 500]),
    st.sampled_from([None, *CODES, "STRANGE"]),
    st.sampled_from([None, "", "k1", "k2"]),
    st.sampled_from([None, "c1", "c2"]),
)


def tally(left: object = None, secret: str | None = None, *, plain: bool = False) -> Tally:
    return Tally(SPANS, json.loads(json.dumps(left)), secret, plain=plain)


def known() -> Routes:
    return Routes(("/orders", "/orders/{id}", "/draw"), (), learns=False, most=10)


def count(into: Tally, requests: Iterable[Request], now: int = NOW, behind: int = 0) -> Tally:
    """Count requests that stand in one block."""
    told = list(requests)
    batch = Batch(told, len(told))
    into.add(Block(b"", {}, behind), batch, known(), now)
    return into


def conflicts(counts: Counts) -> int:
    return int(sum(seen.all_conflicts for seen in counts.values()))


@given(st.lists(REQUESTS), st.integers(0, 5))
def test_totals_are_what_a_plain_count_gives_in_however_many_runs(
    requests: list[Request], cuts: int
) -> None:
    told = tally()
    size = max(1, len(requests) // (cuts + 1))
    for first in range(0, max(1, len(requests)), size):
        told = tally(count(told, requests[first : first + size]).left())
    routes = {"/orders": "/orders", "/orders/7": "/orders/{id}", "/draw": "/draw"}
    plain: Counter[tuple[str, ...]] = Counter()
    for each in requests:
        place = (routes.get(each.path, OTHER), each.method)
        plain[*place, "requests"] += 1
        if each.status == 409:
            plain[*place, each.code or OTHER] += 1
        elif each.status in (400, 422):
            plain[*place, str(each.status)] += each.method in {*WRITES, "OTHER"}
        elif each.status == 200:
            plain[*place, "keyless"] += each.key == "" and each.method in WRITES
    seen: Counter[tuple[str, ...]] = Counter()
    for route, each_seen in told.totals.items():
        seen[*route, "requests"] = int(each_seen.requests)
        seen[*route, "keyless"] = int(each_seen.without_key)
        for name, number in {**each_seen.conflicts, **each_seen.refusals}.items():
            seen[*route, name] = int(number)
    assert +seen == +plain
    assert told.lines["read"] == len(requests)


@given(st.lists(REQUESTS))
def test_windows_hold_what_is_no_older_than_their_span(requests: list[Request]) -> None:
    told = count(tally(), requests)
    for ring, span in ((told.short, 300), (told.long, 3600), (told.usual, 7 * 86_400)):
        number = sum(seen.requests for seen in ring.until(NOW).values())
        times = [NOW if each.second is None else min(each.second, NOW) for each in requests]
        # A window begins with the slot that it begins in.
        surely = sum(time > NOW - span for time in times)
        at_most = sum(time > NOW - span - 2 * ring.width for time in times)
        assert surely <= number <= at_most


def test_a_window_empties_as_time_passes_and_totals_stay() -> None:
    told = count(tally(), [Request(NOW, "POST", "/draw", 409)] * 5)
    for later, short, long in ((0, 5, 5), (240, 5, 5), (400, 0, 5), (4000, 0, 0)):
        told = tally(told.left())
        told.forget(NOW + later)
        assert conflicts(told.short.until(NOW + later)) == short
        assert conflicts(told.long.until(NOW + later)) == long
    assert conflicts(told.totals) == 5
    assert not told.short.counts
    assert not told.repeats.until(NOW + 4000)


def test_a_log_that_is_read_late_is_judged_as_of_its_own_time() -> None:
    old = NOW - 7200
    behind = 2 << 20
    told = count(tally(), [Request(old, "POST", "/draw", 409, None, "k")] * 30, behind=behind)
    at = told.moment(NOW, behind)
    assert at == old
    assert conflicts(told.short.until(at)) == 30
    assert told.moment(NOW, 0) == NOW


def test_a_last_line_that_is_never_ended_stops_no_time() -> None:
    told = count(tally(), [Request(NOW - 900, "POST", "/draw", 409, None, "k")] * 30, behind=70)
    assert told.moment(NOW, 70) == NOW
    assert not told.repeats.until(NOW)


def test_reading_hours_of_a_log_at_once_takes_no_memory() -> None:
    told = tally()
    for minute in range(600):
        at = NOW - 36_000 + 60 * minute
        count(told, [Request(at, "POST", "/draw", 409, None, f"k{minute}")], behind=2 << 20)
    assert len(told.short.counts) <= 7
    assert len(told.repeats.until(at)) <= 7
    assert conflicts(told.totals) == 600


def test_repeats_tell_keys_clients_and_reuse_by_route() -> None:
    told = count(
        tally(plain=True),
        [
            *[Request(NOW, "POST", "/draw", 409, "REQUEST_PROCESSING", "k1", "c1")] * 3,
            Request(NOW, "POST", "/orders", 409, "IDEMPOTENCY_KEY_CONFLICT", "k1", "c2"),
            Request(NOW, "POST", "/orders", 422, None, "k2", "c2"),
            Request(NOW, "POST", "/orders", 422, "IDEMPOTENCY_KEY_CONFLICT", "k5", "c2"),
            Request(NOW, "POST", "/orders", 400, None, "k3", "c2"),
            Request(NOW, "POST", "/orders", 200, None, "k4", "c2"),
        ],
    )
    numbers = {who: each.number for who, each in told.repeats.until(NOW).items()}
    assert numbers == {
        ("key", "/draw", "POST", "k1"): 3,
        ("client", "/draw", "POST", "c1"): 3,
        ("key", "/orders", "POST", "k1"): 1,
        ("reuse", "/orders", "POST", "k1"): 1,
        ("reuse", "/orders", "POST", "k5"): 1,
        ("client", "/orders", "POST", "c2"): 1,
    }


def test_a_flood_of_keys_does_not_hide_the_one_that_storms() -> None:
    flood = (
        Request(NOW, "POST", "/draw", 409, None, f"k{number}", "c") for number in range(50_000)
    )
    storm = [Request(NOW, "POST", "/draw", 409, None, "storm", "c")] * 200
    told = count(tally(plain=True), [*storm, *flood])
    repeats = told.repeats.until(NOW)
    assert repeats["key", "/draw", "POST", "storm"].number == 200
    assert len(repeats) <= 2001
    assert len(json.dumps(told.left())) < 300_000


def test_one_in_a_hundred_is_not_forgotten_though_it_begins_late() -> None:
    def conflicts_of(begin: int) -> Iterable[Request]:
        for number in range(begin, begin + 5000):
            key = "storm" if begin and number % 100 == 0 else f"k{number}"
            yield Request(NOW, "POST", "/draw", 409, None, key, f"c{number}")

    told = count(count(tally(plain=True), conflicts_of(0)), conflicts_of(5000))
    assert told.repeats.until(NOW)["key", "/draw", "POST", "storm"].number >= 45


def test_keys_and_clients_are_hashed_with_a_secret_of_the_tally_or_a_given_one() -> None:
    request = Request(NOW, "POST", "/draw", 409, None, "key-of-a-person", "client-of-a-person")
    own = count(tally(), [request])
    again = count(tally(own.left()), [request])
    given_one = count(tally(secret="s3"), [request])
    for told in (own, again, given_one):
        assert "of-a-person" not in json.dumps(told.left())
    assert own.repeats.until(NOW).keys() == again.repeats.until(NOW).keys()
    assert count(tally(), [request]).repeats.until(NOW).keys().isdisjoint(own.repeats.until(NOW))
    # As `printf key-of-a-person | openssl dgst -sha256 -hmac s3` says.
    names = {who[0]: who[3] for who in given_one.repeats.until(NOW)}
    assert names["key"] == "19776726d9c6"


def test_what_was_shown_is_not_shown_any_more_once_it_is_to_be_hashed() -> None:
    request = Request(NOW, "POST", "/draw", 409, None, "key-of-a-person", "name-of-a-person")
    shown = count(tally(plain=True), [request])
    assert "of-a-person" in json.dumps(shown.left())
    hashed = count(tally(shown.left()), [request])
    assert "of-a-person" not in json.dumps(hashed.left())
    assert conflicts(hashed.totals) == 2


@pytest.mark.parametrize("spans", [Spans(600, 3600), Spans(300, 7200)])
def test_other_windows_begin_anew_and_totals_go_on(spans: Spans) -> None:
    told = count(tally(), [Request(NOW, "POST", "/draw", 409, None, "k")])
    after = Tally(spans, json.loads(json.dumps(told.left())), None, plain=False)
    assert conflicts(after.totals) == 1
    changed, kept = (
        (after.short, after.long) if spans.short != SPANS.short else (after.long, after.short)
    )
    assert (conflicts(changed.until(NOW)), conflicts(kept.until(NOW))) == (0, 1)
    assert conflicts(after.usual.until(NOW)) == 1
