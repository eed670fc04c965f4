"""No change goes untold: its event is kept with it until a line of the log tells of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.states import CHECK, failed_run, run_of
from worker.model.log_event import TRANSITIONS_LOGGED, LogEvent, log_events
from worker.state import State


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state file is."""
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    """A state."""
    with closing(State(make_url(f"sqlite:///{path}"))) as state:
        yield state


def kept(path: Path) -> int:
    """How many events are in the file."""
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute("SELECT count(*) FROM untold_events").fetchone()[0])


def untold(path: Path) -> list[LogEvent]:
    """What a process that starts now has to tell."""
    with closing(State(make_url(f"sqlite:///{path}"))) as state:
        return state.untold_events()


def test_what_was_not_told_is_told_by_the_next_process(state: State, path: Path) -> None:
    """Every event of every run, whole and in order, by the ids that they would have had."""
    events = []
    for run in (run_of(1, 2), run_of(2), failed_run(), run_of(2, 3), run_of()):
        events += log_events(state.record(run))
    assert len(events) == 8
    assert untold(path) == events
    assert len({each.id for each in events}) == len(events)


def test_what_was_told_goes_with_the_next_write(state: State, path: Path) -> None:
    """No transaction is made for it; until then it may be told again."""
    first = log_events(state.record(run_of(1)))
    state.told(first)
    assert kept(path) == 1
    second = log_events(state.record(run_of(1, 2)))
    assert untold(path) == second
    state.told(second)
    state.write_told()
    assert kept(path) == 0


def test_a_run_that_changes_nothing_keeps_nothing(state: State, path: Path) -> None:
    """Neither one that passes again nor one that sees the same again."""
    state.told(log_events(state.record(run_of(1))))
    for _ in range(3):
        assert log_events(state.record(run_of(1))) == []
    assert kept(path) == 0


def test_a_flood_is_kept_as_short_as_it_is_told(state: State, path: Path) -> None:
    """Of each sort a few events, and one that says how many more there are."""
    events = log_events(state.record(run_of(*range(500))))
    assert len(events) == TRANSITIONS_LOGGED + 1
    assert events[-1].fields["finding_confirmed"] == 500 - TRANSITIONS_LOGGED
    assert untold(path) == events


def test_what_left_the_configuration_is_told(state: State, path: Path) -> None:
    """Its findings are resolved all at once, and one event says so."""
    state.told(log_events(state.record(run_of(1, 2))))
    state.forget_checks_except([])
    (event,) = untold(path)
    assert (event.name, event.fields["findings"]) == ("findings_forgotten", 2)
    assert event.fields["gone"] == [CHECK.name]


def test_events_outlive_a_state_that_fails(state: State, path: Path) -> None:
    """While memory stands in they are told from there; the file is rid of them once it is back."""
    told = log_events(state.record(run_of(1)))
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")  # nobody else writes
        state.told(told)
        events = log_events(state.record(run_of()))
        assert state.failure
        assert state.untold_events() == events
        state.told(events)
    state._retry_at = 0.0
    state.record(run_of())
    assert state.failure is None
    assert kept(path) == 0
