"""What counts of requests come to."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Finding
from checks.http_log.counts import CODES, OTHER, Counts, Route, Seen
from checks.kinds.conflict_rate.retry_storms import By, Repeated, Who
from checks.kinds.conflict_rate.thresholds import Limits, Observed, bounds, breaches, findings

DRAW: Route = ("/draw", "POST")
LIMITS = Limits(20, short=0.05, long=0.02, times_usual=5.0, storm=20, reused_keys=5)


def seen(requests: int, conflicts: int = 0, code: str = OTHER) -> Seen:
    return Seen(requests, {code: conflicts} if conflicts else {})


def told(
    short: Seen,
    long: Seen | None = None,
    usual: Seen | None = None,
    repeats: dict[Who, Repeated] | None = None,
    limits: Limits = LIMITS,
) -> list[Finding]:
    """The findings of one route."""

    def counts(of: Seen | None) -> Counts:
        return {DRAW: of} if of else {}

    observed = Observed(counts(short), counts(long), counts(usual), repeats or {})
    return list(findings(observed, limits))


def problems(found: list[Finding]) -> list[object]:
    return [each.key["problem"] for each in found]


@pytest.mark.parametrize(
    ("requests", "conflicts", "is_high"),
    [
        (0, 0, False),
        (19, 19, False),
        (20, 2, False),
        (20, 6, True),
        (1000, 50, False),
        (1000, 60, False),
        (1000, 80, True),
        (100_000, 5_300, True),
        (100_000, 5_000, False),
    ],
)
def test_a_ratio_is_too_high_when_that_is_sure_and_there_are_enough_requests(
    requests: int, conflicts: int, *, is_high: bool
) -> None:
    assert bool(told(seen(requests, conflicts))) == is_high


@given(st.integers(0, 3000), st.integers(1, 3000))
def test_the_bounds_are_around_the_ratio_and_near_it_with_more_requests(
    part: int, whole: int
) -> None:
    part = min(part, whole)
    low, high = bounds(part, whole)
    assert 0 <= low <= part / whole + 1e-12
    assert part / whole - 1e-12 <= high <= 1
    nearer = bounds(100 * part, 100 * whole)
    assert low - 1e-12 <= nearer[0] <= nearer[1] <= high + 1e-12


def test_the_bounds_are_those_of_wilson() -> None:
    # (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), with p = 1/2, n = 36, z = 3
    spread = 0.2795084972
    ends = ((0.5 + 0.125 - spread) / 1.25, (0.5 + 0.125 + spread) / 1.25)
    assert bounds(18, 36) == pytest.approx(ends)
    assert bounds(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("IDEMPOTENCY_KEY_CONFLICT", "key_reuse"),
        ("REQUEST_PROCESSING", "slow_handler"),
        ("CONCURRENT_CONFLICT", "plain_race"),
        ("DUPLICATE_ENTRY", "plain_race"),
        ("REPLAY_DETECTED", "replay"),
        (OTHER, "conflicts"),
    ],
)
def test_codes_tell_what_the_problem_is(code: str, problem: str) -> None:
    (found,) = told(seen(100, 40, code))
    assert found.key == {"problem": problem, "route": "/draw", "method": "POST"}
    assert found.evidence["ratio"] == "40 %"
    assert found.evidence[code] == 40
    assert found.magnitude == 40


def test_no_code_with_more_than_half_tells_of_no_cause() -> None:
    mixed = Seen(100, dict.fromkeys(CODES, 10.0))
    assert problems(told(mixed)) == ["conflicts"]


def test_a_slow_burn_is_seen_in_the_long_window() -> None:
    (found,) = told(seen(50, 2), seen(3000, 120))
    assert (found.evidence["window"], found.evidence["compared_with"]) == ("long", "limit 2 %")


def test_a_route_is_compared_with_its_own_usual_rate() -> None:
    usual = seen(100_000, 100)
    (found,) = told(seen(2000, 40), seen(20_000, 60), usual)
    assert found.evidence["compared_with"] == "usually 0.1 %"
    assert told(seen(2000, 40), seen(20_000, 60), seen(100_000, 1000)) == []
    assert told(seen(2000, 40), seen(20_000, 60), seen(10)) == []
    never = replace(LIMITS, times_usual=None)
    assert told(seen(2000, 40), seen(20_000, 60), usual, limits=never) == []


def test_a_route_that_never_conflicts_may_conflict_once_or_twice() -> None:
    assert told(seen(20, 2), seen(200, 2), seen(1000)) == []


def storm(by: By, number: int, of: int | None = None, code: str = OTHER) -> dict[Who, Repeated]:
    """So many conflicts of one key or client, of so many in all."""
    name = "k1" if by == "key" else "c1"
    others: dict[Who, Repeated] = {
        ("client", *DRAW, f"other-{each}"): Repeated(Counter([OTHER]))
        for each in range((of or number) - number)
    }
    return {(by, *DRAW, name): Repeated(Counter({code: number}), "c1"), **others}


def test_one_key_that_repeats_is_a_storm_however_many_requests_there_are() -> None:
    (found,) = told(seen(100_000, 25), repeats=storm("key", 25))
    assert found.key == {
        "problem": "retry_storm",
        "route": "/draw",
        "method": "POST",
        "key": "k1",
    }
    assert (found.evidence["conflicts"], found.evidence["client"]) == (25, "c1")
    assert told(seen(100_000, 19), repeats=storm("key", 19)) == []


def test_one_client_storms_when_it_has_most_of_the_conflicts() -> None:
    assert problems(told(seen(100_000, 30), repeats=storm("client", 20, 30))) == ["retry_storm"]
    assert told(seen(100_000, 300), repeats=storm("client", 20, 300)) == []


def test_a_client_whose_key_storms_is_told_once() -> None:
    both = {**storm("key", 25), **storm("client", 25)}
    assert len(told(seen(100_000, 25), repeats=both)) == 1


def test_a_storm_does_not_count_against_the_rest_of_its_route() -> None:
    code = "REQUEST_PROCESSING"
    short = seen(200, 60, code)
    assert problems(told(short, repeats=storm("key", 58, code=code))) == ["retry_storm"]
    both = told(short, repeats=storm("key", 25, code=code))
    assert problems(both) == ["retry_storm", "slow_handler"]
    assert both[1].evidence[code] == 35


def test_the_cause_is_told_by_what_was_no_storm() -> None:
    short = Seen(600, {"REQUEST_PROCESSING": 200, "DUPLICATE_ENTRY": 100})
    found = told(short, repeats=storm("key", 200, code="REQUEST_PROCESSING"))
    assert problems(found) == ["retry_storm", "plain_race"]


def test_a_client_with_a_key_for_each_conflict_is_no_storm_but_an_office() -> None:
    keys: dict[Who, Repeated] = {
        ("key", *DRAW, f"k{each}"): Repeated(Counter(["DUPLICATE_ENTRY"]), "c1")
        for each in range(100)
    }
    client = storm("client", 100, code="DUPLICATE_ENTRY")
    found = told(seen(400, 100, "DUPLICATE_ENTRY"), repeats={**client, **keys})
    assert problems(found) == ["plain_race"]


def test_past_storms_do_not_count_in_the_long_window() -> None:
    long = seen(2000, 300, "REQUEST_PROCESSING")
    past = {DRAW: Counter({"REQUEST_PROCESSING": 290})}
    observed = Observed({}, {DRAW: long}, {}, {}, past)
    assert list(findings(observed, LIMITS)) == []
    assert problems(list(findings(Observed({}, {DRAW: long}), LIMITS))) == ["slow_handler"]


def reused(number: int) -> dict[Who, Repeated]:
    return {("reuse", *DRAW, f"k{each}"): Repeated(Counter([CODES[0]])) for each in range(number)}


def test_several_keys_with_other_payloads_are_key_reuse_below_every_ratio() -> None:
    assert problems(told(seen(100_000, 5), repeats=reused(5))) == ["key_reuse"]
    assert told(seen(100_000, 4), repeats=reused(4)) == []


def test_key_reuse_is_told_once() -> None:
    short = seen(100, 40, "IDEMPOTENCY_KEY_CONFLICT")
    assert problems(told(short, repeats=reused(40))) == ["key_reuse"]


def test_writes_on_routes_that_nobody_declared_and_without_their_key_are_told() -> None:
    week = {
        DRAW: Seen(10, without_key=2, answered=10),
        ("/draw", "GET"): Seen(10, answered=10),
        ("/draw", "DELETE"): Seen(3),  # not found
        ("/gift", "POST"): Seen(3, answered=1),
        ("/note", "PUT"): Seen(3, without_key=3, answered=3),
        (OTHER, "POST"): Seen(9, without_key=9, answered=9),
    }
    declared = {DRAW: True, ("/note", "PUT"): False}
    found = list(breaches(week, week, declared))
    assert [(each.key["problem"], each.key["route"]) for each in found] == [
        ("undeclared", "/gift"),
        ("without_key", "/draw"),
    ]
    assert not list(breaches(week, week, {}))
