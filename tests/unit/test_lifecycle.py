"""The life of a finding: every way from one state to another, its history, and what is counted."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from checks.contract import Finding
from tests.support.runs import NOON
from tests.support.states import (
    CHECK,
    LASTING,
    TWICE,
    acknowledge,
    changes,
    confirmed,
    counted,
    failed_run,
    found,
    rows,
    run_of,
    withdraw,
)
from worker.model.finding import Change
from worker.model.run import Run
from worker.state import State, acknowledgements, lifecycle, visit

OPENED = Change.FINDING_OPENED
CONFIRMED = Change.FINDING_CONFIRMED
ACKNOWLEDGED = Change.FINDING_ACKNOWLEDGED
UNACKNOWLEDGED = Change.FINDING_UNACKNOWLEDGED
REOPENED = Change.FINDING_REOPENED
RESOLVED = Change.FINDING_RESOLVED

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """Where the state is."""
    return make_url(f"sqlite:///{tmp_path}/state.db")


@pytest.fixture
def state(url: URL) -> Iterator[State]:
    """A state on a file."""
    state = State(url)
    yield state
    state.close()


def history(url: URL, key: object) -> list[str]:
    """What happened to a finding, without the common beginning of the names."""
    identity = rows(url)[key].id
    with visit(url) as connection:
        past = acknowledgements.history(connection, identity)
    return [each.change.removeprefix("finding_") for each in past]


def wrong(*aspects: str) -> Finding:
    """A finding of row 1 that is wrong in these ways."""
    return replace(found(1, 5), aspects=aspects)


def test_a_finding_is_told_once_and_resolved_once(state: State) -> None:
    """A violation that stays makes one transition, and one more when it is mended."""
    assert changes(state, run_of(1)) == [CONFIRMED]
    assert changes(state, run_of(1)) == []
    assert changes(state, run_of()) == [RESOLVED]
    assert changes(state, run_of()) == []


def test_a_known_finding_does_not_hide_a_new_one(state: State, url: URL) -> None:
    """A second violation of a check is told although the first stays, acknowledged or not."""
    state.record(run_of(1))
    (transition,) = state.record(run_of(1, 2))
    assert transition.key == {"id": 2}
    acknowledge(url, 1, 2)
    assert changes(state, run_of(1, 2, 3)) == [ACKNOWLEDGED, ACKNOWLEDGED, CONFIRMED]
    assert counted(state) == {"confirmed": 1, "acknowledged": 2}


def test_a_run_that_could_not_tell_resolves_nothing(state: State) -> None:
    """An error leaves findings as they are, and is told on its edges."""
    state.record(run_of(1))
    assert changes(state, failed_run()) == [Change.CHECK_FAILED]
    assert changes(state, failed_run()) == []
    assert confirmed(state) == 1
    assert changes(state, run_of()) == [Change.CHECK_RECOVERED, RESOLVED]


def test_what_a_sample_leaves_out_is_not_resolved(state: State) -> None:
    """While there are more violations than the sample holds, absence proves nothing."""
    state.record(run_of(1, 2))
    assert changes(state, run_of(3, violations=500)) == [CONFIRMED]
    assert counted(state) == {"confirmed": 500}
    assert sorted(changes(state, run_of(3))) == [RESOLVED] * 2


def test_an_incremental_run_resolves_what_it_looked_at_again(state: State) -> None:
    """A run along a cursor is the whole truth of what is known, as one that reads everything."""
    state.record(run_of(1, 2, cursor={"id": 2}))
    assert changes(state, run_of(2, 3, cursor={"id": 3}, complete=False)) == [RESOLVED, CONFIRMED]


def test_confirmation_waits_for_as_many_runs_as_the_check_says(state: State) -> None:
    """With two confirmations a finding is open first and confirmed by the second run."""
    assert changes(state, run_of(1, check=TWICE)) == [OPENED]
    assert counted(state) == {"open": 1}
    assert changes(state, failed_run()) == [Change.CHECK_FAILED]
    assert counted(state) == {"open": 1}
    assert changes(state, run_of(1, check=TWICE)) == [Change.CHECK_RECOVERED, CONFIRMED]
    assert counted(state) == {"confirmed": 1}


def after(seconds: float, *keys: object, **more: Any) -> Run:
    """A run so many seconds after noon, however long the test takes."""
    run = run_of(*keys, **({"check": LASTING} | more))
    return replace(run, started_at=NOON + timedelta(seconds=seconds))


def test_confirmation_waits_however_fast_runs_follow(state: State) -> None:
    """What a moment brings, and the next one takes, is confirmed by no number of runs."""
    told = [changes(state, after(seconds, 1)) for seconds in range(10)]
    assert told == [[OPENED], *[[]] * 9]
    assert changes(state, after(9.5)) == [RESOLVED]
    assert changes(state, after(12, 1)) == [OPENED]


def test_what_lasts_is_confirmed_by_the_first_run_that_begins_late_enough(state: State) -> None:
    """The time counts from the end of the first run that saw it to the beginning of a later."""
    expected = {0: [OPENED], 10.0: [], 10.2: [CONFIRMED], 30: []}
    assert {seconds: changes(state, after(seconds, 1)) for seconds in expected} == expected


def test_one_run_is_not_enough_however_late(state: State) -> None:
    """Number and time are both asked for."""
    thrice = LASTING.model_copy(update={"confirmations": 3})
    told = [changes(state, after(seconds, 1, check=thrice)) for seconds in (0, 3600, 3601)]
    assert told == [[OPENED], [], [CONFIRMED]]


def test_a_clock_that_was_set_back_delays_no_confirmation(state: State) -> None:
    """A finding of the future counts from when the clock was right again."""
    told = [changes(state, after(seconds, 1)) for seconds in (3600, 0, 11)]
    assert told == [[OPENED], [], [CONFIRMED]]


def test_a_finding_that_comes_back_begins_anew(state: State, url: URL) -> None:
    """A resolved finding that is seen again is told again; its history goes on."""
    for run in (run_of(1), run_of(1), run_of()):
        state.record(run)
    before = rows(url)[1]
    assert before.resolved_at
    assert before.last_seen < before.resolved_at
    assert changes(state, run_of(1)) == [CONFIRMED]
    now = rows(url)[1]
    assert (now.times_seen, now.resolved_at) == (1, None)
    assert now.first_seen > before.resolved_at
    assert history(url, 1) == ["confirmed", "resolved", "confirmed"]


def test_an_acknowledged_finding_is_silent_until_it_is_mended(state: State, url: URL) -> None:
    """It is counted apart, goes on being seen, and is told once more: when it is mended."""
    state.record(run_of(1, 2))
    acknowledge(url, 1)
    (told,) = state.record(run_of(1, 2))
    assert told.change is ACKNOWLEDGED
    assert told.key == {"id": 1}
    assert (told.details["author"], told.details["reason"]) == ("ann", "known; ticket 7")
    assert changes(state, run_of(1, 2)) == []
    assert counted(state) == {"confirmed": 1, "acknowledged": 1}
    assert rows(url)[1].times_seen == 3
    assert changes(state, run_of(2)) == [RESOLVED]
    assert changes(state, run_of(1, 2)) == [CONFIRMED]
    assert counted(state) == {"confirmed": 2}
    assert history(url, 1) == ["confirmed", "acknowledged", "resolved", "confirmed"]


def test_acknowledging_pages_nobody_later(state: State, url: URL) -> None:
    """What is acknowledged while it waits for confirmation is confirmed in silence."""
    state.record(run_of(1, check=TWICE))
    acknowledge(url, 1)
    assert changes(state, run_of(1, check=TWICE)) == [ACKNOWLEDGED]
    withdraw(url, 1)
    (told,) = state.record(run_of(1, check=TWICE))
    assert (told.change, told.details) == (UNACKNOWLEDGED, {"author": "bob"})
    assert counted(state) == {"confirmed": 1}


def test_a_withdrawn_acknowledgement_confirms_nothing(state: State, url: URL) -> None:
    """A finding that was open when it was acknowledged is open again when that is taken back."""
    state.record(run_of(1, check=TWICE))
    acknowledge(url, 1)
    withdraw(url, 1)
    assert rows(url)[1].state == "open"
    assert changes(state, run_of(1, check=TWICE)) == [UNACKNOWLEDGED, CONFIRMED]


def test_an_acknowledgement_ends(state: State, url: URL) -> None:
    """When its time is up the finding is confirmed again, though no run could tell since."""
    state.record(run_of(1, 2))
    acknowledge(url, 1, lasting=HOUR)
    acknowledge(url, 2, lasting=DAY)
    state.record(run_of(1, 2))
    _, told = state.record(failed_run(later=2 * HOUR))
    assert (told.change, told.key, told.details) == (REOPENED, {"id": 1}, {"why": "expired"})
    assert counted(state) == {"confirmed": 1, "acknowledged": 1}
    assert rows(url)[1].acknowledgement is None
    assert changes(state, run_of(1, 2, later=3 * HOUR)) == [Change.CHECK_RECOVERED]
    assert history(url, 1) == ["confirmed", "acknowledged", "reopened"]


def test_what_is_mended_is_not_reopened_first(state: State, url: URL) -> None:
    """A finding that is gone when its acknowledgement ends is resolved, and nothing else."""
    state.record(run_of(1))
    acknowledge(url, 1, lasting=HOUR)
    state.record(run_of(1))
    assert changes(state, run_of(later=2 * HOUR)) == [RESOLVED]


@pytest.mark.parametrize(
    ("before", "after", "reopens"),
    [
        (found(1, 5), found(1, 5, rows=9), False),
        (found(1, 5), found(1, 4), False),
        (found(1, 5), found(1, 6), True),
        (found(1, 2**70), found(1, 2**70 + 1), True),
        (found(1, 9), found(1, 10), True),
        (found(1, problem="missing"), found(1, problem="missing"), False),
        (found(1, problem="missing"), found(1, problem="amount"), True),
        (found(1), found(1, problem="amount"), True),
        (wrong("a < b"), wrong("a < b"), False),
        (wrong("a < b", "c <> d"), wrong("c <> d"), False),
        (wrong("a < b"), wrong("a > b"), True),
        (wrong("a < b"), wrong("a < b", "c <> d"), True),
    ],
)
def test_worse_than_acknowledged(
    state: State, url: URL, *, before: object, after: object, reopens: bool
) -> None:
    """A larger magnitude, another problem or a new aspect reopens; other evidence does not."""
    state.record(run_of(before, 2))
    acknowledge(url, 1, 2)
    state.record(run_of(before, 2))
    told = state.record(run_of(after, 2))
    assert [(each.change, each.details) for each in told] == (
        [(REOPENED, {"why": "worse"})] if reopens else []
    )
    assert rows(url)[2].state == "acknowledged"


def test_worse_is_measured_from_what_was_acknowledged(state: State, url: URL) -> None:
    """A finding that shrinks and grows back to what was acknowledged stays acknowledged."""
    state.record(run_of(found(1, 5)))
    acknowledge(url, 1)
    for magnitude, expected in ((5, [ACKNOWLEDGED]), (3, []), (5, []), (6, [REOPENED])):
        assert changes(state, run_of(found(1, magnitude))) == expected


def test_a_second_acknowledgement_takes_the_place_of_the_first(state: State, url: URL) -> None:
    """Its time, and how bad the finding is now, are what counts."""
    state.record(run_of(found(1, 5)))
    acknowledge(url, 1, lasting=HOUR)
    state.record(run_of(found(1, 4)))
    acknowledge(url, 1, lasting=DAY)
    assert changes(state, run_of(found(1, 4), later=2 * HOUR)) == [ACKNOWLEDGED]
    assert changes(state, run_of(found(1, 5), later=2 * HOUR)) == [REOPENED]


def test_a_decision_is_told_after_a_restart(state: State, url: URL) -> None:
    """What was decided while no worker ran is told by the next one."""
    state.record(run_of(1))
    acknowledge(url, 1)
    again = State(url)
    assert changes(again, run_of(1)) == [ACKNOWLEDGED]
    again.close()


def test_unlisted_violations_are_counted(state: State, url: URL) -> None:
    """To acknowledge all that is listed silences nothing of what is not."""
    state.record(run_of(1, 2, violations=1_000_000))
    acknowledge(url, 1, 2)
    state.record(run_of(1, 2, violations=1_000_000))
    assert counted(state) == {"acknowledged": 2, "confirmed": 999_998}
    state.record(failed_run())
    assert counted(state) == {"acknowledged": 2, "confirmed": 999_998}
    state.record(run_of(1, 2))
    assert counted(state) == {"acknowledged": 2}


def test_unlisted_violations_wait_for_confirmation(state: State) -> None:
    """Only as many as were unlisted in each of the latest runs are confirmed; the rest is open."""
    for violations, expected in (
        (101, {"open": 101}),
        (151, {"confirmed": 101, "open": 50}),
        (1, {"confirmed": 1}),
        (11, {"confirmed": 1, "open": 10}),
    ):
        state.record(run_of(1, violations=violations, check=TWICE))
        assert counted(state) == expected


def test_unlisted_violations_wait_for_their_time(state: State) -> None:
    """As many are confirmed as every run saw, from one on that is long enough ago."""
    for seconds, violations, expected in (
        (0, 101, {"open": 101}),
        (4, 151, {"open": 151}),
        (8, 51, {"open": 51}),
        (12, 71, {"confirmed": 51, "open": 20}),
        (16, 71, {"confirmed": 51, "open": 20}),
        (20, 61, {"confirmed": 51, "open": 10}),
        (24, 61, {"confirmed": 61}),
        (25, 1, {"confirmed": 1}),
    ):
        state.record(after(seconds, 1, violations=violations))
        assert counted(state) == expected


def test_findings_are_bounded(state: State, monkeypatch: pytest.MonkeyPatch, url: URL) -> None:
    """However many findings a check has over time, the state keeps a limited number."""
    monkeypatch.setattr(lifecycle, "FINDINGS_KEPT", 5)
    for first in range(0, 40, 4):
        state.record(run_of(*range(first, first + 4), violations=1000))
    assert len(rows(url)) == 5
    assert confirmed(state) == 1000


def test_the_bound_drops_nothing_of_a_whole_sample(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is mended makes room before what is new is added."""
    monkeypatch.setattr(lifecycle, "FINDINGS_KEPT", 5)
    state.record(run_of(*range(5)))
    told = changes(state, run_of(*range(5, 10)))
    assert told == [RESOLVED] * 5 + [CONFIRMED] * 5
    assert counted(state) == {"confirmed": 5}


def test_resolved_findings_go_with_their_history(state: State, url: URL) -> None:
    """30 days after it was resolved a finding is forgotten, and all that happened to it."""
    for run in (run_of(1, 2), run_of(2), run_of(2, later=29 * DAY)):
        state.record(run)
    assert set(rows(url)) == {1, 2}
    gone = rows(url)[1].id
    state.record(run_of(2, later=31 * DAY))
    assert set(rows(url)) == {2}
    with visit(url) as connection:
        assert acknowledgements.history(connection, gone) == []
    assert history(url, 2) == ["confirmed"]


def test_resolved_findings_are_bounded(
    state: State, url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many resolved findings the latest are kept."""
    monkeypatch.setattr(lifecycle, "RESOLVED_KEPT", 3)
    for key in range(8):
        state.record(run_of(key))
    assert sorted(map(str, rows(url))) == ["4", "5", "6", "7"]


def test_history_is_bounded(state: State, url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long history the first event and the latest ones are kept."""
    monkeypatch.setattr(lifecycle, "EVENTS_KEPT", 5)
    state.record(run_of(1, check=TWICE))
    for _ in range(6):
        state.record(run_of())
        state.record(run_of(1))
    assert history(url, 1) == ["opened", *["resolved", "confirmed"] * 2]


def test_a_check_that_left_leaves_no_finding(state: State, url: URL) -> None:
    """A check that left the configuration leaves nothing behind that nobody can resolve."""
    state.record(run_of(1, violations=3))
    assert state.forget_checks_except([CHECK.name]) == {}
    assert state.forget_checks_except(["another"]) == {CHECK.name: 1}
    assert counted(state) == {}
    assert history(url, 1) == ["confirmed", "resolved"]


def test_a_thousand_findings_are_written_in_time(state: State) -> None:
    """As many findings as are kept are seen again in little of an interval's processor time."""
    assert len(state.record(run_of(*range(1000)))) == 1000
    again, start = run_of(*range(1000)), time.thread_time()
    assert state.record(again) == ()
    assert time.thread_time() - start < 5
