"""How much each run of the worker reads."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import make_url

from checks.contract import Window
from tests.support.states import CHECK, failed_run, run_of
from worker.config import Settings
from worker.state import State, read_scope
from worker.state.read_scope import ReadScope, everything

DAY = timedelta(days=1)
CURSOR = {"id": 7}
SETTINGS = Settings.model_validate(
    {
        "timezone": "Asia/Shanghai",
        "databases": {"ledger": {"url": "sqlite:///ledger.db"}},
        "schedule": {"overlap": "5m", "overlap_rows": 50},
    }
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A state on a file."""
    state = State(make_url(f"sqlite:///{tmp_path}/state.db"))
    yield state
    state.close()


def windows_of(state: State) -> ReadScope:
    """ReadScope of a check that runs every minute, and completely once a day."""
    return ReadScope(SETTINGS, state, {CHECK.name: timedelta(minutes=1)}, DAY)


def ago(span: timedelta, **fields: Any) -> Any:
    """A run that was completed so long ago."""
    return run_of(1, cursor=CURSOR, later=-span, **fields)


def test_zone_and_overlap_are_those_of_the_configuration() -> None:
    """Every window carries what the configuration says of the database."""
    expected = Window(None, (), ZoneInfo("Asia/Shanghai"), timedelta(minutes=5), 50)
    assert everything(SETTINGS) == expected


def test_the_first_run_reads_everything(state: State) -> None:
    """A check of which nothing is known begins at the beginning."""
    assert windows_of(state).of(CHECK, complete=False) == everything(SETTINGS)


def test_a_regular_run_goes_on(state: State) -> None:
    """A regular run gets the cursor and what is known; a complete one what is known only."""
    state.record(ago(timedelta(minutes=1)))
    made = windows_of(state)
    regular, complete = (made.of(CHECK, complete=each) for each in (False, True))
    assert (regular.cursor, complete.cursor) == (CURSOR, None)
    assert regular.known == complete.known == ({"id": 1},)
    assert regular.overlap_rows == 50


def test_a_missed_complete_run_is_made_up_for(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When everything was read too long ago the next run reads everything; one try an hour."""
    state.record(ago(DAY + timedelta(minutes=2)))
    made = windows_of(state)
    assert made.of(CHECK, complete=False).cursor is None
    state.record(failed_run())  # it ran into the time limit
    assert made.of(CHECK, complete=False).cursor == CURSOR
    monkeypatch.setattr(read_scope, "TRY_COMPLETE_AFTER", 0.0)
    assert made.of(CHECK, complete=False).cursor is None
    state.record(ago(timedelta(), complete=True))
    assert made.of(CHECK, complete=False).cursor == CURSOR


def test_a_missed_complete_run_is_made_up_for_soon_after_the_machine_has_booted(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock begins at the boot: that it shows less than an hour is no try."""
    monkeypatch.setattr(read_scope, "monotonic", lambda: 5.0)
    state.record(ago(DAY + timedelta(minutes=2)))
    assert windows_of(state).of(CHECK, complete=False).cursor is None


def test_incremental_runs_are_no_complete_ones(state: State) -> None:
    """That much was read lately does not stand in for everything."""
    state.record(ago(DAY + timedelta(minutes=2)))
    state.record(ago(timedelta(minutes=1), complete=False))
    assert windows_of(state).of(CHECK, complete=False).cursor is None


def test_a_complete_run_within_its_time_is_enough(state: State) -> None:
    """Between two complete runs, and one interval more, nothing extra is read."""
    state.record(ago(DAY + timedelta(seconds=30)))
    assert windows_of(state).of(CHECK, complete=False).cursor == CURSOR
