"""The state: what a run changes, what a restart remembers, and what a broken disk does."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event, make_url

from checks.contract import EVERYTHING, Finding
from tests.support.servers import Database
from tests.support.states import (
    CHECK,
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
from tests.unit.test_outbox import Telling
from worker.model.finding import Change, finding_id
from worker.model.run import Outcome, Scope
from worker.state import State, StateError, runs, schema, store
from worker.state.schema import SCHEMA_VERSION


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


def test_runs_are_bounded(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest runs of a check are kept."""
    monkeypatch.setattr(runs, "RUNS_KEPT", 3)
    for _ in range(10):
        state.record(run_of(1))
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute("SELECT count(*), min(id) FROM runs").fetchone() == (3, 8)
    raw.close()


def kept(path: Path) -> list[tuple[str, float]]:
    """Outcome and second of the runs that are kept, counted from the first."""
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute("SELECT outcome, started_at FROM runs ORDER BY started_at").fetchall()
    return [(outcome, round(at - rows[0][1])) for outcome, at in rows]


def test_passes_are_kept_sparsely(state: State, path: Path) -> None:
    """Of a check that passes every 4 s one run in 16 s is kept, under 20 s apart."""
    first = run_of()
    for second in range(0, 50, 4):
        at = first.started_at + timedelta(seconds=second)
        state.record(replace(first, started_at=at))
    assert kept(path) == [("pass", 0), ("pass", 16), ("pass", 32), ("pass", 48)]


def test_other_runs_are_kept_all(state: State, path: Path) -> None:
    """What fails, what could not tell, and the pass after it stay in the history."""
    for second, run in enumerate([run_of, run_of, failed_run, run_of, run_of]):
        state.record(run(later=timedelta(seconds=second)))
    state.record(run_of(1, later=timedelta(seconds=5)))
    assert [outcome for outcome, _ in kept(path)] == [
        *("pass", "pass", "error", "pass", "pass", "fail")
    ]


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
    assert abs((last.completed[Scope.COMPLETE] - run.ended_at).total_seconds()) < 0.01


def test_commits_are_durable(state: State, path: Path) -> None:
    """The file is in WAL mode and a commit is on disk before it counts (synchronous FULL)."""
    with state._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert path.exists()


def test_findings_of_checks_that_are_gone_are_resolved(state: State) -> None:
    """A check that left the configuration leaves no finding behind that nobody can resolve."""
    state.record(run_of(1))
    assert state.forget_checks_except(["another"]) == {CHECK.name: 1}
    assert state.counts() == {}


def test_a_later_version_is_left_alone(path: Path) -> None:
    """A state written by a later worker is refused and not touched."""
    State(make_url(f"sqlite:///{path}")).close()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE schema_version SET version = 99")
    raw.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match=f"schema version 99, this worker knows {SCHEMA_VERSION}"):
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
    with closing(sqlite3.connect(path)) as raw, raw:
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


def test_nobody_who_reads_waits_for_the_database(state: State, path: Path) -> None:
    """While a run waits to be written down, metrics and pages have what was known before."""
    state.record(run_of(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = Thread(target=state.record, args=[run_of(1, 2)])
        before = state.counts()
        writer.start()
        waiting = 0
        while writer.is_alive():
            assert state.counts() == before or state.failure
            waiting += state.failure is None and writer.is_alive()
        other.execute("ROLLBACK")
    assert (
        waiting > 10
    )  # for the two seconds that SQLite waits; a few at once, when nobody may read


def test_any_sqlalchemy_url_serves(ledger_database: Database) -> None:
    """The state may live in MySQL or MariaDB: same transitions, exact times and amounts."""
    url = ledger_database.url.set(drivername="mysql+pymysql")
    state = State(url)
    assert state.failure is None
    run = run_of(found(1, 2**80), cursor={"id": 7})
    assert changes(state, run) == [Change.FINDING_CONFIRMED]
    acknowledge(url, 1)
    assert changes(state, run) == [Change.FINDING_ACKNOWLEDGED]
    assert changes(state, run_of(found(1, 2**80 + 1))) == [Change.FINDING_REOPENED]
    acknowledge(url, 1)
    withdraw(url, 1)
    last = run_of(cursor={"id": 8})
    assert changes(state, last) == [Change.FINDING_UNACKNOWLEDGED, Change.FINDING_RESOLVED]
    state.close()
    again = State(url)
    assert again.window(CHECK, EVERYTHING).cursor == {"id": 8}
    completed = again.last_runs()[CHECK.name].completed[Scope.COMPLETE]
    assert abs((completed - last.ended_at).total_seconds()) < 0.01
    again.close()


VERSION_1 = """
    CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY);
    INSERT INTO schema_version VALUES (1);
    CREATE TABLE runs (id INTEGER NOT NULL PRIMARY KEY, check_name VARCHAR(200) NOT NULL,
      outcome VARCHAR(10) NOT NULL, scope VARCHAR(12) NOT NULL, started_at DOUBLE NOT NULL,
      seconds DOUBLE NOT NULL, examined INTEGER, violations INTEGER, error TEXT);
    CREATE INDEX runs_of_check ON runs (check_name, id);
    INSERT INTO runs
      VALUES (1, 'orders.row_count', 'fail', 'complete', 1700000000, 0.5, 9, 2, NULL);
    CREATE TABLE findings (id VARCHAR(32) NOT NULL PRIMARY KEY, check_name VARCHAR(200) NOT NULL,
      state VARCHAR(12) NOT NULL, "key" TEXT NOT NULL, message TEXT NOT NULL,
      evidence TEXT NOT NULL, first_seen DOUBLE NOT NULL, last_seen DOUBLE NOT NULL,
      times_seen INTEGER NOT NULL);
    CREATE INDEX findings_of_check ON findings (check_name, state);
"""
"""What version 0.1.0 made of an empty file."""


@pytest.fixture
def old(path: Path) -> Path:
    """A state of version 1 with two findings: one confirmed, one resolved."""
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.executescript(VERSION_1)
        for key, stage in ((1, "confirmed"), (2, "resolved")):
            values = (
                finding_id(CHECK.name, found(key)),
                CHECK.name,
                stage,
                json.dumps({"id": key}),
            )
            times = (1.7e9, 1.7e9 + 60, 3)
            insert = "INSERT INTO findings VALUES (?, ?, ?, ?, 'm', '{}', ?, ?, ?)"
            raw.execute(insert, (*values, *times))
    raw.close()
    return path


def test_a_state_of_version_1_goes_on(old: Path) -> None:
    """Findings, runs and times of the version before are kept, and nothing is told again."""
    url = make_url(f"sqlite:///{old}")
    state = State(url)
    assert state.failure is None
    assert confirmed(state) == 1
    completed = state.last_runs()[CHECK.name].completed
    assert {scope: at.timestamp() for scope, at in completed.items()} == {
        Scope.COMPLETE: 1700000000.5
    }
    assert state.window(CHECK, EVERYTHING).known == ({"id": 1},)
    # What is acknowledged before it was ever measured is as bad as it is seen next.
    acknowledge(url, 1)
    assert changes(state, run_of(found(1, 50))) == [Change.FINDING_ACKNOWLEDGED]
    assert changes(state, run_of(found(1, 51))) == [Change.FINDING_REOPENED]
    assert rows(url)[1].first_seen == 1.7e9
    state.close()


def test_an_upgrade_that_was_cut_short_is_finished(old: Path) -> None:
    """An upgrade of which some steps are done already, as MySQL may leave it, does the rest."""
    with closing(sqlite3.connect(old)) as raw, raw:
        raw.execute("ALTER TABLE findings ADD COLUMN magnitude TEXT")
    raw.close()
    state = State(make_url(f"sqlite:///{old}"))
    assert (state.failure, confirmed(state)) == (None, 1)
    assert changes(state, run_of()) == [Change.FINDING_RESOLVED]
    state.close()


def test_an_upgrade_on_a_server(ledger_database: Database) -> None:
    """Version 1 on MySQL and MariaDB is brought up to date, too."""
    with ledger_database.connect() as connection, connection.cursor() as cursor:
        of_mysql = VERSION_1.replace('"key"', "`key`").replace(
            "runs (id INTEGER", "runs (id INTEGER AUTO_INCREMENT"
        )
        for statement in of_mysql.strip().split(";")[:-1]:
            cursor.execute(statement)
        cursor.execute("COMMIT")
    state = State(ledger_database.url.set(drivername="mysql+pymysql"))
    assert state.failure is None
    assert changes(state, run_of(1)) == [Change.FINDING_CONFIRMED]
    assert state.failure is None
    state.close()


def test_a_cursor_that_holds_counts_fits_on_a_server(ledger_database: Database) -> None:
    """A state of version 2 is widened: its cursors could hold 64 KB only."""
    url = ledger_database.url.set(drivername="mysql+pymysql")
    State(url).close()
    with ledger_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE cursors MODIFY COLUMN `cursor` TEXT")
        cursor.execute("UPDATE schema_version SET version = 2")
        cursor.execute("COMMIT")
    large = {"counts": "x" * 300_000}
    with closing(State(url)) as state:
        state.record(run_of(cursor=large))
        assert state.failure is None
    with closing(State(url)) as again:
        assert again.window(CHECK, EVERYTHING).cursor == large


def test_a_run_goes_on_where_the_one_before_ended(state: State) -> None:
    """The cursor of the latest completed run and all unresolved findings go into the next run."""
    state.record(run_of(1, 2, cursor={"id": 7}))
    state.record(failed_run())
    window = state.window(CHECK, EVERYTHING)
    assert window.cursor == {"id": 7}
    assert sorted(each["id"] for each in window.known) == [1, 2]  # type: ignore[type-var]
    state.record(run_of(1))
    assert state.window(CHECK, EVERYTHING).cursor is None


def test_a_changed_check_reads_everything(state: State) -> None:
    """The cursor of another definition of the check is not used."""
    state.record(run_of(cursor={"id": 7}))
    changed = CHECK.model_copy(update={"at_least": 1})
    assert state.window(changed, EVERYTHING).cursor is None
    assert state.window(CHECK, EVERYTHING).cursor == {"id": 7}


def test_a_check_that_left_reads_everything_when_it_comes_back(state: State) -> None:
    """What was forgotten with a check is found again."""
    state.record(run_of(1, cursor={"id": 7}))
    state.forget_checks_except([])
    assert state.window(CHECK, EVERYTHING) == EVERYTHING


def test_no_cursor_beyond_what_was_written_down(state: State) -> None:
    """A run that saw more than its sample holds leaves no cursor: the next reads everything."""
    state.record(run_of(1, violations=5, cursor={"id": 7}))
    assert state.window(CHECK, EVERYTHING).cursor is None


def test_findings_and_cursor_are_stored_together(state: State, path: Path) -> None:
    """A transaction that fails at the cursor leaves neither it nor the findings in the file."""
    state.record(run_of(1, cursor={"id": 7}))

    def full(*arguments: Any) -> None:
        if arguments[2].startswith("INSERT INTO cursors"):
            raise OSError("no space left on device")

    event.listen(state._engine, "before_cursor_execute", full)
    assert changes(state, run_of(1, 2, cursor={"id": 9})) == [Change.FINDING_CONFIRMED]
    assert state.failure == "no space left on device"
    assert state.window(CHECK, EVERYTHING).cursor == {"id": 9}  # in memory it goes on
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute("SELECT count(*) FROM findings").fetchone() == (1,)
        assert raw.execute('SELECT "cursor" FROM cursors').fetchone() == ('{"id": 7}',)
        assert raw.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    raw.close()
    event.remove(state._engine, "before_cursor_execute", full)
    state.record(run_of(1, 2, cursor={"id": 9}))
    assert set(rows(state._url)) == {1, 2}


def test_both_scopes_are_remembered(state: State) -> None:
    """When a run last read everything outlives the incremental ones after it, and a restart."""
    complete, incremental = run_of(cursor={"id": 1}), run_of(cursor={"id": 2}, complete=False)
    for run in (complete, incremental, failed_run()):
        state.record(run)
    again = State(state._url)
    completed = again.last_runs()[CHECK.name].completed
    for run in (complete, incremental):
        assert abs((completed[run.scope] - run.ended_at).total_seconds()) < 0.01
    again.close()


def test_many_failed_runs_forget_nothing(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away for long takes neither the last answer nor what was unlisted."""
    monkeypatch.setattr(runs, "RUNS_KEPT", 3)
    state.record(run_of(1, violations=9))
    for _ in range(5):
        state.record(failed_run())
    assert confirmed(state) == 9
    assert Scope.COMPLETE in state.last_runs()[CHECK.name].completed


Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def away(state: State) -> Away:
    """Within `away()` the state's file cannot be written by the worker, but by others."""

    def refuse(*_: Any) -> None:
        raise OSError("away")

    @contextmanager
    def failing() -> Iterator[None]:
        event.listen(state._engine, "begin", refuse)
        yield
        event.remove(state._engine, "begin", refuse)

    return failing


def test_acknowledged_while_the_worker_cannot_read_it(state: State, away: Away) -> None:
    """What others decide while the worker is on its memory alone holds after it recovered."""
    state.record(run_of(1, 2))
    with away():
        state.record(run_of(1, 2))
        assert state.failure
        acknowledge(state._url, 1)
    assert changes(state, run_of(1, 2, 3)) == [
        Change.FINDING_ACKNOWLEDGED,
        Change.FINDING_CONFIRMED,
    ]
    assert counted(state) == {"confirmed": 2, "acknowledged": 1}
    stored = rows(state._url)
    assert stored[1].acknowledgement
    assert (stored[1].acknowledgement.author, stored[1].times_seen) == ("ann", 3)
    with closing(State(state._url)) as again:
        assert counted(again) == counted(state)


def test_withdrawn_while_the_worker_cannot_read_it(state: State, away: Away) -> None:
    """An acknowledgement that was taken back meanwhile does not come back from memory."""
    state.record(run_of(1))
    acknowledge(state._url, 1)
    state.record(run_of(1))
    with away():
        state.record(run_of(1))
        withdraw(state._url, 1)
    assert changes(state, run_of(1)) == [Change.FINDING_UNACKNOWLEDGED]
    assert counted(state) == {"confirmed": 1}


def test_mended_while_the_state_was_away(state: State, away: Away) -> None:
    """What was seen to be mended stays resolved, whoever acknowledged it meanwhile."""
    state.record(run_of(1))
    with away():
        assert changes(state, run_of()) == [Change.FINDING_RESOLVED]
        acknowledge(state._url, 1)
    state.record(run_of())
    assert rows(state._url)[1].state == "resolved"
    assert counted(state) == {}


def test_a_start_without_the_state_loses_nothing_of_it(state: State, path: Path) -> None:
    """What a state holds that could not be read at the start is there after it recovered."""
    state.record(run_of(1, 2, cursor={"id": 3}))
    acknowledge(state._url, 2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    again = State(state._url)
    assert again.failure == "database is locked"
    again.record(run_of(1))
    other.execute("ROLLBACK")
    other.close()
    assert changes(again, run_of(1, 2)) == [Change.FINDING_ACKNOWLEDGED]
    assert counted(again) == {"confirmed": 1, "acknowledged": 1}
    stored = rows(state._url)
    assert stored[1].times_seen == 3
    assert stored[1].first_seen < stored[1].last_seen
    again.close()


def test_the_shadow_is_the_same_as_the_database(state: State) -> None:
    """After each run the memory knows what the database knows: that is what it falls back on."""
    state.adopt_policy(Telling("main"), [CHECK])
    state.record(run_of(1, 2, cursor={"id": 3}))
    acknowledge(state._url, 1)
    state.record(run_of(1, 2, 4, cursor={"id": 4}))
    with state._engine.begin() as stored, state._memory.begin() as memory:
        for table in schema.KEPT:
            every = table.select().order_by(*table.primary_key.columns)
            assert memory.execute(every).all() == stored.execute(every).all() != []


def test_what_no_utf8_can_hold_is_spelled_out(state: State, path: Path) -> None:
    """A lone surrogate, wherever a check may bring it, costs no run its runs."""
    finding = Finding({"k\ud800": "v\ud801"}, "m\ud802", {"e\ud803": "w\ud804"})
    state.record(run_of(finding))
    state.record(replace(failed_run(), error="e\ud805"))
    assert state.failure is None
    with closing(sqlite3.connect(path)) as raw:
        kept = raw.execute("SELECT key, message, evidence FROM findings").fetchone()
        assert raw.execute("SELECT error FROM runs WHERE error <> ''").fetchone() == ("e\\ud805",)
    assert json.loads(kept[0]) == {"k\\ud800": "v\\ud801"}
    assert kept[1] == "m\\ud802"
    assert json.loads(kept[2]) == {"e\\ud803": "w\\ud804"}


def test_the_identity_of_a_finding_is_stable() -> None:
    """Identity depends on check and key, not on order, message or evidence."""
    one = Finding({"a": 1, "b": "x"}, "m", {"rows": 1})
    other = Finding({"b": "x", "a": 1}, "n", {"rows": 2})
    assert finding_id("c", one) == finding_id("c", other)
    assert finding_id("d", one) != finding_id("c", one)
    assert finding_id("c", Finding({"a": "1", "b": "x"}, "m")) != finding_id("c", one)
