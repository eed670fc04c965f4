"""From which share of lines on a part that cannot be read is told."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checks.http_log.doubts import Doubt
from checks.kinds.conflict_rate.coverage import (
    BLIND,
    ENOUGH,
    NOTED,
    REQUESTS,
    Coverage,
    Lines,
    Trust,
)

NOW = 1_767_600_000
PROVEN = Trust(is_proven=True, has_times=True)


def told(coverage: Coverage) -> str:
    notes = [each for each in coverage.notes() if each.startswith("read in part")]
    return "error" if coverage.is_blind else "note" if notes else "pass"


@given(
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.sampled_from([Trust(), PROVEN]),
)
@example(99, 1, 0, PROVEN)
@example(90, 10, 0, PROVEN)
@example(90, 5, 5, PROVEN)
@example(991, 9, 0, PROVEN)
@example(90, 9, 0, PROVEN)
@example(1, 2, 0, PROVEN)
def test_the_share_of_lost_lines_decides(
    requests: int, unreadable: int, no_request: int, trust: Trust
) -> None:
    seen = {REQUESTS: requests, Doubt.UNREADABLE: unreadable, Doubt.NO_REQUEST: no_request}
    lost = unreadable + no_request
    lines = requests + lost
    if lines < ENOUGH:
        expected = "note" if lost * 2 >= lines > 0 else "pass"
    elif lost >= BLIND * lines:
        expected = "error"
    else:
        expected = "note" if lost >= NOTED * lines else "pass"
    assert told(Coverage.of(seen, trust)) == expected


@given(st.integers(100, 5000), st.integers(0, 5000))
def test_requests_without_a_time_are_judged_of_all_requests(requests: int, timeless: int) -> None:
    seen = {REQUESTS: requests, Doubt.WITHOUT_TIME: min(timeless, requests)}
    share = min(timeless, requests) / requests
    expected = "error" if share >= BLIND else "note" if share >= NOTED else "pass"
    assert told(Coverage.of(seen, PROVEN)) == expected


def test_times_that_are_nowhere_are_no_fault_of_reading() -> None:
    seen = {REQUESTS: 500, Doubt.NO_TIME: 500}
    assert told(Coverage.of(seen, Trust())) == "pass"
    assert told(Coverage.of({**seen, Doubt.NO_TIME: 250}, PROVEN)) == "error"


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_lines_of_stack_traces_excuse_as_many_beside_them(text: int, indented: int) -> None:
    seen = {REQUESTS: 200, Doubt.TEXT: text, Doubt.INDENTED: indented}
    assert Coverage.of(seen, Trust()).lost == max(0, text - indented)
    assert Coverage.of(seen, PROVEN).lost == 0


@pytest.mark.parametrize("seconds", [60, 1800, 7200, 40_000])
def test_what_is_counted_outlives_a_restart_and_ends_with_its_time(seconds: int) -> None:
    widths = {"short": (60, 6), "long": (300, 13)}
    lines = Lines(widths, {})
    lines.add(NOW, REQUESTS, 50, NOW)
    lines.add(NOW, Doubt.UNREADABLE, 60, NOW)
    kept = Lines(widths, lines.left())
    assert kept.judged(NOW).counts == lines.judged(NOW).counts
    kept.forget(NOW + seconds)
    left = {name: kept.seen(name, NOW + seconds) for name in widths}
    both = Counter({REQUESTS: 50, Doubt.UNREADABLE: 60})
    assert left == {
        "short": both if seconds < 300 else Counter(),
        "long": both if seconds < 3600 else Counter(),
    }
    assert kept.judged(NOW + seconds).is_blind == (seconds < 3600)
