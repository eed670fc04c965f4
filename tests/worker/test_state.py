"""The state: what a run changes, what a restart remembers, and what a broken disk does."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from checks.base import Finding, Result
from checks.row_count import RowCount
from tests.servers import Database
from worker.run import Outcome, Run
from worker.state import Change, FindingState, State, StateError, finding_id, record, store

CHECK = RowCount(name="orders.row_count", table="orders")


def run_of(*keys: object, violations: int | None = None) -> Run:
    """A completed run that saw a finding for each of these keys."""
    findings = tuple(Finding({"id": key}, f"row {key}", {"rows": 2}) for key in keys)  # type: ignore[dict-item]
    result = Result(100, len(keys) if violations is None else violations, findings)
    outcome = Outcome.FAIL if result.violations else Outcome.PASS
    return Run(CHECK, outcome, datetime.now(UTC), 0.1, result)


def failed_run() -> Run:
    """A run that could not tell."""
    return Run(CHECK, Outcome.ERROR, datetime.now(UTC), 0.1, error="database ledger: away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state file is."""
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    """A state on a file."""
    state = State(make_url(f"sqlite:///{path}"))
    yield state
    state.close()


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before a state that failed is tried again."""
    monkeypatch.setattr(store, "RETRY_AFTER", 0.0)


def changes(state: State, run: Run) -> list[Change]:
    """What a run changed, by name."""
    return [each.change for each in state.record(run)]


def confirmed(state: State) -> int:
    """How many findings count as confirmed."""
    return state.counts().get((CHECK.name, FindingState.CONFIRMED), 0)


def test_a_finding_is_told_once_and_resolved_once(state: State) -> None:
    """A violation that stays makes one transition, and one more when it is mended."""
    assert changes(state, run_of(1)) == [Change.FINDING_CONFIRMED]
    assert changes(state, run_of(1)) == []
    assert changes(state, run_of()) == [Change.FINDING_RESOLVED]
    assert changes(state, run_of()) == []


def test_a_known_finding_does_not_hide_a_new_one(state: State) -> None:
    """A second violation of the same check is told although the first one stays."""
    state.record(run_of(1))
    (transition,) = state.record(run_of(1, 2))
    assert transition.key == {"id": 2}
    assert confirmed(state) == 2


def test_a_run_that_could_not_tell_resolves_nothing(state: State) -> None:
    """An error leaves findings as they are, and is told on its edges."""
    state.record(run_of(1))
    assert changes(state, failed_run()) == [Change.CHECK_FAILED]
    assert changes(state, failed_run()) == []
    assert confirmed(state) == 1
    assert changes(state, run_of()) == [Change.CHECK_RECOVERED, Change.FINDING_RESOLVED]


def test_what_a_sample_leaves_out_is_not_resolved(state: State) -> None:
    """While there are more violations than the sample holds, absence proves nothing."""
    state.record(run_of(1, 2))
    assert changes(state, run_of(3, violations=500)) == [Change.FINDING_CONFIRMED]
    assert confirmed(state) == 3
    assert sorted(changes(state, run_of(3))) == [Change.FINDING_RESOLVED] * 2


def test_confirmation_waits_for_as_many_runs_as_the_check_says(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two confirmations a finding is open first and confirmed by the second run."""
    monkeypatch.setattr(RowCount, "confirmations", 2)
    assert changes(state, run_of(1)) == [Change.FINDING_OPENED]
    assert state.counts() == {(CHECK.name, FindingState.OPEN): 1}
    assert changes(state, run_of(1)) == [Change.FINDING_CONFIRMED]
    assert state.counts() == {(CHECK.name, FindingState.CONFIRMED): 1}


def test_a_finding_that_comes_back_is_told_again(state: State) -> None:
    """A resolved finding that is seen again opens a new life."""
    for run in (run_of(1), run_of()):
        state.record(run)
    assert changes(state, run_of(1)) == [Change.FINDING_CONFIRMED]


def test_findings_are_bounded(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many findings a check has over time, the state keeps a limited number."""
    monkeypatch.setattr(record, "FINDINGS_KEPT", 5)
    for first in range(0, 40, 4):
        state.record(run_of(*range(first, first + 4), violations=1000))
    assert confirmed(state) <= 5


def test_runs_are_bounded(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest runs of a check are kept."""
    monkeypatch.setattr(record, "RUNS_KEPT", 3)
    for _ in range(10):
        state.record(run_of())
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*), min(id) FROM runs").fetchone() == (3, 8)
    raw.close()


def test_a_restart_forgets_nothing(state: State, path: Path) -> None:
    """A second process knows the findings and the last run of the first."""
    state.record(run_of(1))
    again = State(make_url(f"sqlite:///{path}"))
    assert changes(again, run_of(1)) == []
    assert confirmed(again) == 1
    assert again.last_runs()[CHECK.name].outcome is Outcome.FAIL
    again.close()


def test_last_completed_survives_failed_runs(state: State) -> None:
    """The time of the last answer is that of the last completed run, not of a failed one."""
    run = run_of()
    state.record(run)
    state.record(failed_run())
    last = state.last_runs()[CHECK.name]
    assert last.outcome is Outcome.ERROR
    assert last.completed_at is not None
    assert abs((last.completed_at - run.started_at).total_seconds() - 0.1) < 0.01


def test_commits_are_durable(state: State, path: Path) -> None:
    """The file is in WAL mode and a commit is on disk before it counts (synchronous FULL)."""
    with state._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert path.exists()


def test_findings_of_checks_that_are_gone_are_resolved(state: State) -> None:
    """A check that left the configuration leaves no finding behind that nobody can resolve."""
    state.record(run_of(1))
    assert state.forget_checks_except(["another"]) == 1
    assert state.counts() == {}


def test_a_later_version_is_left_alone(path: Path) -> None:
    """A state written by a later worker is refused and not touched."""
    State(make_url(f"sqlite:///{path}")).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE schema_version SET version = 99")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match="schema version 99, this worker knows 1"):
        State(make_url(f"sqlite:///{path}"))
    assert path.read_bytes() == before


def test_a_corrupt_file_is_set_aside(path: Path) -> None:
    """A damaged file is renamed, kept as it is, and the worker begins a new one."""
    path.write_bytes(b"no database" * 1000)
    state = State(make_url(f"sqlite:///{path}"))
    assert state.failure is None
    assert state.set_aside is not None
    assert state.set_aside.read_bytes() == b"no database" * 1000
    assert changes(state, run_of(1)) == [Change.FINDING_CONFIRMED]
    state.close()


def test_a_file_damaged_while_running_is_replaced(state: State, path: Path) -> None:
    """Corruption under a running worker costs nothing that the process knows."""
    state.record(run_of(1))
    path.write_bytes(b"\x00garbage" * 4096)
    assert changes(state, run_of(1)) == []
    assert state.failure is not None
    assert changes(state, run_of(1, 2)) == [Change.FINDING_CONFIRMED]
    assert state.failure is None
    assert state.set_aside is not None
    assert confirmed(state) == 2


def test_a_deleted_file_is_made_anew(state: State, path: Path) -> None:
    """A state file that somebody deletes comes back with all that the process knows."""
    state.record(run_of(1))
    path.unlink()
    assert changes(state, run_of(1)) == []
    assert changes(state, run_of(1)) == []
    assert state.failure is None
    assert path.exists()
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM findings").fetchone() == (1,)
    raw.close()


def test_a_folder_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    """Without a place for the state, transitions come all the same, and `failure` says why."""
    state = State(make_url(f"sqlite:///{tmp_path}/absent/state.db"))
    assert state.failure == "unable to open database file"
    assert changes(state, run_of(1)) == [Change.FINDING_CONFIRMED]
    (tmp_path / "absent").mkdir()
    assert changes(state, run_of(1)) == []
    assert state.failure is None
    state.close()


def test_a_locked_file_delays_no_second_run(state: State, path: Path) -> None:
    """While another process locks the file, runs are remembered in memory, then on disk."""
    state.record(run_of(1))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert changes(state, run_of(1, 2)) == [Change.FINDING_CONFIRMED]
    assert state.failure == "database is locked"
    other.execute("ROLLBACK")
    assert changes(state, run_of(1, 2)) == []
    assert state.failure is None
    assert other.execute("SELECT count(*) FROM findings").fetchone() == (2,)
    other.close()


def test_any_sqlalchemy_url_serves(ledger_database: Database) -> None:
    """The state may live in MySQL or MariaDB: same transitions, exact times."""
    state = State(ledger_database.url.set(drivername="mysql+pymysql"))
    assert state.failure is None
    run = run_of(1)
    assert changes(state, run) == [Change.FINDING_CONFIRMED]
    assert changes(state, run_of()) == [Change.FINDING_RESOLVED]
    state.close()
    again = State(ledger_database.url.set(drivername="mysql+pymysql"))
    completed = again.last_runs()[CHECK.name].completed_at
    assert completed is not None
    assert abs((completed - run.started_at).total_seconds()) < 5
    again.close()


def test_the_identity_of_a_finding_is_stable() -> None:
    """Identity depends on check and key, not on order, message or evidence."""
    one = Finding({"a": 1, "b": "x"}, "m", {"rows": 1})
    other = Finding({"b": "x", "a": 1}, "n", {"rows": 2})
    assert finding_id("c", one) == finding_id("c", other)
    assert finding_id("d", one) != finding_id("c", one)
    assert finding_id("c", Finding({"a": "1", "b": "x"}, "m")) != finding_id("c", one)
