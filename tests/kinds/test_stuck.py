"""`stuck`: no row stays in a passing state for longer than it may."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, event, make_url

from checks.contract import CheckError, Result, Window
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from worker.model.finding import Change
from worker.model.run import Outcome, Run
from worker.state import State

REQUESTS = "CREATE TABLE t (id bigint PRIMARY KEY, status varchar(20), at {type})"
ZONE = ZoneInfo("Asia/Shanghai")


def ago(seconds: float, zone: ZoneInfo = ZONE) -> str:
    """How a DATETIME column in a zone holds the moment so many seconds ago."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0).isoformat(" ")


def fill(ledger: Ledger, *rows: tuple[str, str | None], type_name: str = "datetime") -> None:
    ledger.sql(REQUESTS.format(type=type_name))
    ledger.insert("t", "id, status, at", [(n, *row) for n, row in enumerate(rows, 1)])


def run(ledger: Ledger, **fields: object) -> Result:
    declared = {"when": "status = 'processing'", "entered_at": "at", "longer_than": "60s"}
    stuck = check("stuck", "t", **({"primary_key": "id"} | declared | fields))
    return stuck.run(ledger.sources, Window(zone=ZONE))


def test_only_old_rows_in_the_state_are_stuck(ledger: Ledger) -> None:
    """A row is stuck when it is in the state for longer than it may; others may be of any age."""
    old, young, before = ago(3600), ago(1), datetime.now(UTC)
    fill(ledger, ("processing", old), ("processing", young), ("failed", old), ("processing", old))
    result = run(ledger)
    assert keys(result) == [{"id": 1}, {"id": 4}]
    assert (result.examined, result.violations, result.complete) == (3, 2, True)
    assert messages(result)[0] == f"t: status = 'processing' since {old} (over 60 s)"
    assert result.findings[0].evidence == {
        "status": "processing",
        "at": old,
        "longer_than_seconds": 60,
    }
    assert {finding.magnitude for finding in result.findings} == {1}
    assert result.measures["passing"] == 3
    passed = (datetime.now(UTC) - before).total_seconds()
    assert 3600 <= result.measures["oldest_seconds"] <= 3600 + passed + 2  # of whole seconds


@on_any
def test_a_row_that_went_on_is_mended(ledger: Ledger) -> None:
    """Once the row has left the state, nothing is stuck, and nothing has an age."""
    fill(ledger, ("processing", ago(3600)))
    assert run(ledger).violations == 1
    ledger.sql("UPDATE t SET status = 'failed'")
    result = run(ledger)
    assert (result.examined, result.violations, result.findings) == (0, 0, ())
    assert result.measures == {"passing": 0}


def test_a_row_without_a_time_is_stuck(ledger: Ledger) -> None:
    """Nobody can tell how long a row without a time has been in the state."""
    fill(ledger, ("processing", None), ("failed", None), ("processing", ago(1)))
    result = run(ledger)
    assert keys(result) == [{"id": 1}]
    assert messages(result) == ["t: status = 'processing' since an unknown time"]
    assert result.findings[0].evidence["at"] is None


def test_a_time_in_the_future_is_judged_when_it_is_far(ledger: Ledger) -> None:
    """A clock may be off by as much as a row may wait; a time beyond that tells nothing."""
    far = ago(-3600)
    fill(ledger, ("processing", ago(-20)), ("processing", far))
    result = run(ledger)
    assert keys(result) == [{"id": 2}]
    assert messages(result) == [f"t: status = 'processing' since {far} (in the future)"]
    assert result.measures["oldest_seconds"] == 0


def test_datetime_is_of_the_configured_zone(ledger: Ledger) -> None:
    """A DATETIME column is read in the zone that the configuration names, not in UTC."""
    fill(ledger, ("processing", ago(1)), ("processing", ago(90)))
    assert keys(run(ledger)) == [{"id": 2}]


@on_servers
def test_timestamp_is_of_no_zone(ledger: Ledger) -> None:
    """A TIMESTAMP column is a moment, whatever zone DATETIME columns are in."""
    fill(ledger, type_name="timestamp NULL")
    before = datetime.now(UTC)
    ledger.sql(
        "INSERT INTO t VALUES (1, 'processing', NOW() - INTERVAL 1 SECOND),"
        " (2, 'processing', NOW() - INTERVAL 90 SECOND)"
    )
    result = run(ledger)
    assert keys(result) == [{"id": 2}]
    passed = (datetime.now(UTC) - before).total_seconds()
    assert 90 <= result.measures["oldest_seconds"] <= 90 + passed + 2  # of whole seconds


@on_servers
def test_a_zero_date_is_old(ledger: Ledger) -> None:
    """MySQL's 0000-00-00 is long ago, but of no age."""
    fill(ledger)
    ledger.sql("SET sql_mode = ''", "INSERT INTO t VALUES (1, 'processing', '0000-00-00 00:00:00')")
    result = run(ledger)
    ledger.sql("SET sql_mode = DEFAULT")
    assert keys(result) == [{"id": 1}]
    assert result.measures == {"passing": 1}


@on_servers
@pytest.mark.parametrize("index", ["status", "status, at"])
def test_index_on_the_state_is_used(ledger: Ledger, index: str) -> None:
    """With an index on the state, no statement reads the rows that are in another."""
    fill(ledger, *[("done", ago(9)) for _ in range(3000)], *[("processing", ago(99))] * 3)
    ledger.sql(f"CREATE INDEX i ON t ({index})", "ANALYZE TABLE t")
    asked: list[tuple[str, dict[str, object]]] = []

    def note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if "FROM t" in statement:
            assert isinstance(values, dict)
            asked.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert run(ledger).violations == 3
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(asked) == 2
    with ledger.sources.snapshot("ledger") as connection:
        for statement, values in asked:
            explained = f"EXPLAIN FORMAT=TRADITIONAL {statement}"
            plan = connection.exec_driver_sql(explained, values).mappings().one()
            assert plan["key"] == "i"
            assert int(plan["rows"]) <= 4  # by two ranges of times the server estimates one more


def test_other_columns_of_the_state_are_shown(ledger: Ledger) -> None:
    """The state may be any condition; unknown is not in the state."""
    fill(ledger, ("processing", ago(99)), ("waiting", ago(99)))
    ledger.insert("t", "id, status, at", [(3, None, ago(99))])
    result = run(ledger, when="status IN ('processing', 'waiting') AND id > 1")
    assert keys(result) == [{"id": 2}]
    assert result.findings[0].evidence["status"] == "waiting"


@pytest.mark.parametrize("type_name", ["bigint", "varchar(30)"])
def test_what_is_no_time_cannot_be_answered(ledger: Ledger, type_name: str) -> None:
    """A column of seconds or text is refused: it would compare with a time and mean nothing."""
    fill(ledger, type_name=type_name)
    with pytest.raises(CheckError, match=r"entered_at: t.at is .*, and tells no time") as caught:
        run(ledger)
    assert caught.value.permanent
    stuck = check(
        "stuck",
        "t",
        primary_key="id",
        when="status = 'processing'",
        entered_at="at",
        longer_than="60s",
    )
    with ledger.sources.snapshot("ledger") as connection:
        assert list(stuck.complaints(connection)) == [str(caught.value)]


def test_a_row_is_stuck_once_it_is_overdue(ledger: Ledger) -> None:
    """With `due_at` a row may wait until then, however far ahead; one without a time is not due."""
    due = ago(3600)
    fill(
        ledger,
        ("processing", ago(-9_999_999)),
        ("processing", None),
        ("processing", due),
        ("processing", ago(1)),
        ("failed", due),
    )
    result = run(ledger, entered_at="id", due_at="at")
    assert keys(result) == [{"id": 3}]
    assert messages(result) == [f"t: status = 'processing' until {due} (over 60 s ago)"]
    assert (result.examined, result.measures["passing"]) == (4, 4)
    assert result.measures["oldest_seconds"] >= 3600


@on_any
def test_rows_that_are_due_later_are_not_overdue(ledger: Ledger) -> None:
    """Where every row is due in the future, none is overdue by any time."""
    fill(ledger, ("processing", ago(-3600)))
    result = run(ledger, due_at="at")
    assert result.violations == 0
    assert result.measures == {"passing": 1, "oldest_seconds": 0}


@on_any
def test_a_missing_column_cannot_be_answered(ledger: Ledger) -> None:
    """A column that is missing is a permanent error."""
    fill(ledger)
    with pytest.raises(CheckError, match="table t has no column stat") as caught:
        run(ledger, when="stat = 'processing'")
    assert caught.value.permanent


def test_a_limit_is_needed() -> None:
    """No state is passing without a limit."""
    with pytest.raises(ValidationError, match="longer_than"):
        check("stuck", "t", primary_key="id", when="a = 1", entered_at="at", longer_than="0s")


@on_any
def test_what_comes_back_with_an_old_time_is_confirmed_by_what_runs_have_seen(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A retried request is open at first, and stuck once it was seen there for long enough."""
    fill(ledger, ("processing", ago(3600)))
    fields = {"when": "status = 'processing'", "entered_at": "at", "longer_than": "60s"}
    stuck = check("stuck", "t", primary_key="id", since_seen=True, **fields)
    start, told = datetime.now(UTC), []
    with closing(State(make_url(f"sqlite:///{tmp_path}/state.db"))) as state:
        for seconds in (0, 30, 55, 56, 80, 115, 125):
            status = "failed" if seconds == 56 else "processing"
            ledger.sql(f"UPDATE t SET status = '{status}'")
            result = stuck.run(ledger.sources, Window(zone=ZONE))
            outcome = Outcome.FAIL if result.violations else Outcome.PASS
            moment = start + timedelta(seconds=seconds)
            run = Run(stuck, outcome, moment, 0.1, result)
            told.append([each.change for each in state.record(run)])
            if result.violations:
                assert messages(result)[0].endswith("(over 60 s) at the earliest")
        ledger.sql("UPDATE t SET status = 'processing'")
        result = stuck.run(ledger.sources, Window(zone=ZONE))
        late = Run(stuck, Outcome.FAIL, start + timedelta(seconds=141), 0.1, result)
        told.append([each.change for each in state.record(late)])
    opened, confirmed = Change.FINDING_OPENED, Change.FINDING_CONFIRMED
    assert told == [[opened], [], [], [Change.FINDING_RESOLVED], [opened], [], [], [confirmed]]


def test_a_time_of_its_own_needs_no_second_look() -> None:
    """Unless a row may come back, the first run that sees it late confirms it."""
    fields = {"when": "a = 1", "entered_at": "at", "longer_than": "60s", "primary_key": "id"}
    spans = [
        check("stuck", "t", **fields, **more).confirmation_time
        for more in ({}, {"since_seen": True}, {"since_seen": True, "confirm_after": "5m"})
    ]
    assert spans == [timedelta(), timedelta(seconds=60), timedelta(minutes=5)]
