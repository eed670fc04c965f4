"""Checks that go on where the run before ended, over restarts and whatever the schedule says."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url
from typer.testing import CliRunner

from checks.contract import EVERYTHING, Check
from checks.http_log.counts import Seen
from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.row_count import RowCount
from checks.ports import Cursor
from tests.support.access_logs import sampling
from tests.support.exported import traffic_of
from tests.support.patience import wait_until
from tests.support.states import CHECK as ORDERS
from tests.support.states import changes, run_of
from tests.support.workers import Worker
from worker import config
from worker.cli.main import app
from worker.config import Config, ConfigError, Settings
from worker.demo import ledger
from worker.model.finding import Change
from worker.model.run import Outcome, Run
from worker.scheduling.execute import execute
from worker.scheduling.scheduler import Scheduler
from worker.scheduling.triggers import Intervals
from worker.sources import Sources
from worker.state import State
from worker.state.read_scope import ReadScope

DAY = timedelta(days=1)
CURSOR = {"place": {"offset": 7}, "tally": {}, "routes": []}
FOLLOWING = ConflictRate(name="app.conflict_rate", source="app")
DRAW = "/draw"

SOURCES = """
[databases.ledger]
url = "sqlite:///ledger.db"
[state]
url = "sqlite:///state.db"
[access_logs.app]
path = "app.log"
[access_logs.other]
path = "other.log"
[prometheus.metrics]
url = "http://127.0.0.1:9090"
"""
CHECK = """
[[checks]]
name = "app.conflict_rate"
kind = "conflict_rate"
"""
UNASKED = "queries says what it is asked, and is missing"
QUERIES = 'queries = { requests = "r[{window}]", conflicts = "c[{window}]" }\n'
INTERFACE = """
[[interfaces]]
method = "POST"
route = "/draw"
key = "required"
"""


def load(folder: Path, text: str) -> Config:
    """The configuration that consists of this text."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, {})


def mistakes(folder: Path, text: str) -> list[str]:
    """The mistakes that loading this text reports."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A state on a file."""
    with closing(State(make_url(f"sqlite:///{tmp_path}/state.db"))) as made:
        yield made


# --- The schedule, and what each run is to read ---------------------------------------------------


def test_no_run_that_reads_everything_is_planned(tmp_path: Path) -> None:
    """The complete schedule has a job of each check but of those that follow something."""
    orders = '[[checks]]\nname = "orders"\nkind = "row_count"\ntable = "orders"\n'
    current = load(tmp_path, f'{SOURCES}{CHECK}source = "app"\n{orders}')
    planned = Scheduler(
        current, Intervals.of(current), lambda *_: 0.0, lambda _: None, lambda *_: None
    )
    jobs = {job.id for job in planned._scheduler.get_jobs()}
    assert {"app.conflict_rate", "orders", "orders#complete"} <= jobs
    assert "app.conflict_rate#complete" not in jobs


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("ago", [timedelta(), DAY + timedelta(minutes=2), 100 * DAY])
def test_its_place_is_given_whatever_is_asked_for(
    tmp_path: Path, state: State, ago: timedelta, *, complete: bool
) -> None:
    """Neither a complete run that is asked for nor one that is overdue begins at the beginning."""
    settings = load(tmp_path, f'{SOURCES}{CHECK}source = "app"\n').settings
    intervals = {each.name: timedelta(minutes=1) for each in (FOLLOWING, ORDERS)}
    windows = ReadScope(settings, state, intervals, DAY)
    for check in (FOLLOWING, ORDERS):
        state.record(run_of(1, check=check, cursor=CURSOR, later=-ago))
    assert windows.of(FOLLOWING, complete=complete).cursor == CURSOR
    everything = complete or ago > DAY
    assert windows.of(ORDERS, complete=complete).cursor == (None if everything else CURSOR)


# --- What is remembered ---------------------------------------------------------------------------


def cursor_of(state: State, check: Check) -> Cursor | None:
    """Where the next run of a check would go on."""
    windows = ReadScope(_SETTINGS, state, {check.name: timedelta(minutes=1)}, DAY)
    return windows.of(check, complete=False).cursor


_SETTINGS = Settings.model_validate({"databases": {"ledger": {"url": "sqlite:///x.db"}}})


@pytest.mark.parametrize(("check", "kept"), [(FOLLOWING, CURSOR), (ORDERS, None)])
def test_its_place_is_kept_with_more_findings_than_are(
    state: State, check: Check, kept: Cursor | None
) -> None:
    """Unlisted violations make another check read everything again, and this one count twice."""
    state.record(run_of(1, 2, violations=5000, check=check, cursor=CURSOR))
    assert cursor_of(state, check) == kept


def test_its_place_outlives_runs_that_could_not_tell(state: State) -> None:
    """After an error it goes on where the last run that could tell ended."""
    state.record(run_of(check=FOLLOWING, cursor=CURSOR))
    failed = Run(FOLLOWING, Outcome.ERROR, datetime.now(UTC), 0.1, error="access log app: away")
    assert changes(state, failed) == [Change.CHECK_FAILED]
    assert cursor_of(state, FOLLOWING) == CURSOR


LIMITS: dict[str, Any] = {
    "limit": "1%",
    "long_limit": "90%",
    "short": "10m",
    "long": "6h",
    "minimum": 3,
    "storm": 7,
    "times_usual": None,
    "routes": ["/draw", "/{what}"],
    "learn_routes": False,
    "most_routes": 3,
    "identities": "plain",
    "severity": "info",
    "confirmations": 5,
    "interfaces": [{"method": "POST", "route": "/draw", "key": "required"}],
}


@given(st.sets(st.sampled_from(sorted(LIMITS))))
def test_its_place_belongs_to_the_source_alone(changed: set[str]) -> None:
    """No limit, no route and no window is a reason to count anything twice; another log is."""
    given_ = {"name": "app.conflict_rate", **{name: LIMITS[name] for name in changed}}
    same = ConflictRate.model_validate({**given_, "source": "app"})
    other = ConflictRate.model_validate({**given_, "source": "other"})
    assert same.cursor_owner == FOLLOWING.cursor_owner != other.cursor_owner


def test_its_place_is_lost_with_its_source_only(state: State) -> None:
    """The state gives a place to whoever reads the same log, and to nobody else."""
    state.record(run_of(check=FOLLOWING, cursor=CURSOR))
    for change, kept in (({"storm": 7}, CURSOR), ({"source": "other"}, None)):
        assert cursor_of(state, FOLLOWING.model_copy(update=change)) == kept


def test_a_check_of_a_database_is_its_whole_definition(state: State) -> None:
    """Where the rows are read again anyway, any change of a check makes it begin anew."""
    state.record(run_of(check=ORDERS, cursor=CURSOR))
    assert cursor_of(state, ORDERS) == CURSOR
    assert cursor_of(state, RowCount(name=ORDERS.name, table="others")) is None


# --- Real runs along a real log -------------------------------------------------------------------


@dataclass
class Audit:
    """A worker whose every run is a process of its own, as far as state is concerned."""

    folder: Path
    settings: str = 'source = "app"\n'
    complete: bool = False

    def asked(self, number: int, log: str = "app.log") -> None:
        """Write lines of conflicts of one key."""
        at = datetime.now(UTC).isoformat()
        line = {"time": at, "method": "POST", "path": DRAW, "status": 409, "client": "one"}
        with (self.folder / log).open("ab") as file:
            file.write(number * (orjson.dumps({**line, "idempotency_key": "again"}) + b"\n"))

    @property
    def config(self) -> Config:
        """The configuration as it is now."""
        return load(self.folder, SOURCES + CHECK + self.settings)

    def run(self) -> tuple[int, int]:
        """How many lines a run read, and how many requests the state counts after it."""
        run = self.execute()
        assert run.result
        totals = traffic_of(run.result).totals
        return run.result.examined, int(totals.get((DRAW, "POST"), Seen()).requests)

    def execute(self) -> Run:
        """A run, and what the state makes of it."""
        current = self.config
        (check,) = current.checks
        intervals = {check.name: timedelta(minutes=1)}
        with (
            closing(State(current.settings.state)) as state,
            closing(Sources.of(current.settings)) as sources,
        ):
            windows = ReadScope(current.settings, state, intervals, DAY)
            run = execute(check, sources, windows.of(check, complete=self.complete))
            state.record(run)
        return run

    def command(self, *options: str) -> dict[str, Any]:
        """What `reconciler check` says of the check."""
        assert self.config.checks  # which is written down by now
        done = CliRunner().invoke(app, ["check", *options, "--format", "json"])
        (answer,) = json.loads(done.stdout)["checks"]
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    """A worker with two empty logs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.log").touch()
    (tmp_path / "other.log").touch()
    return Audit(tmp_path)


@pytest.mark.parametrize("complete", [False, True])
def test_runs_count_nothing_twice_and_leave_nothing_out(audit: Audit, *, complete: bool) -> None:
    """With nothing but the state in between, each run reads what is new and adds it up."""
    audit.complete = complete
    audit.asked(30)
    assert audit.run() == (30, 30)
    assert audit.run() == (0, 30)
    audit.asked(5)
    assert audit.run() == (5, 35)
    audit.asked(1)
    assert audit.run() == (1, 36)


def test_a_line_that_is_being_written_is_counted_when_it_is_whole(audit: Audit) -> None:
    """A run between the two halves of a line neither loses nor doubles it."""
    audit.asked(3)
    log = audit.folder / "app.log"
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    assert audit.run() == (2, 2)
    with log.open("ab") as file:
        file.write(whole[-20:])
    assert audit.run() == (1, 3)


def test_lines_that_were_read_by_a_run_that_could_not_tell_are_not_read_again(
    audit: Audit,
) -> None:
    """The place goes on in the state; findings, and when a run last could tell, stay."""
    audit.asked(25)
    audit.run()
    with (audit.folder / "app.log").open("ab") as file:
        file.write(b'{"method":"POST","path":"/draw","status":\n' * 300)
    with closing(State(audit.config.settings.state)) as state:
        before = state.last_runs()
    failed = audit.execute()
    assert failed.error
    assert "325 lines" in failed.error
    assert failed.kept
    with closing(State(audit.config.settings.state)) as state:
        cursor = state.window(failed.check, EVERYTHING).cursor
        assert cursor
        assert cursor["place"]["offset"] == (audit.folder / "app.log").stat().st_size
        after = state.last_runs()
        assert {name: each.completed for name, each in after.items()} == {
            name: each.completed for name, each in before.items()
        }
        assert {(name, number) for (name, _), number in state.counts().items()} == {
            ("app.conflict_rate", 1)
        }
    audit.asked(5)
    assert audit.execute().error == failed.error.replace("325", "330").replace("92.3", "90.9")


def test_other_limits_count_on_and_another_source_begins_anew(audit: Audit) -> None:
    """After a change of limits only what is new is read; of another log, all of it."""
    audit.asked(30)
    audit.asked(4, "other.log")
    assert audit.run() == (30, 30)
    audit.settings += 'limit = "1%"\nshort = "10m"\nroutes = ["/draw"]\nstorm = 3\n'
    audit.asked(5)
    assert audit.run() == (5, 35)
    audit.settings = 'source = "other"\n'
    assert audit.run() == (4, 4)


@pytest.mark.parametrize("options", [(), ("--complete",)])
def test_the_command_reads_on_and_keeps_nothing(audit: Audit, options: tuple[str, ...]) -> None:
    """`check`, also with `--complete`, reads what the worker has not, and takes nothing from it."""
    audit.asked(30)
    assert audit.run() == (30, 30)
    audit.asked(5)
    for _ in range(2):
        told = audit.command(*options)
        assert (told["examined"], told["error"]) == (5, None)
        (storm,) = told["findings"]
        assert storm["evidence"]["conflicts"] == 35
    assert audit.run() == (5, 35)


def test_the_command_reads_all_where_no_worker_ever_ran(audit: Audit) -> None:
    """Without a state it begins where the settings say, and makes none."""
    audit.asked(30)
    assert audit.command("--complete")["examined"] == 30
    assert not (audit.folder / "state.db").exists()
    assert audit.run() == (30, 30)


# --- The configuration ----------------------------------------------------------------------------


def test_an_optional_check_waits_for_its_source(tmp_path: Path) -> None:
    """Without a source of its name it is left out, overrides aside; with one it is there."""
    text = f"""[databases.ledger]
url = "sqlite:///ledger.db"
[tables.orders]
primary_key = "id"
{CHECK}source = "app"
optional = true
[[overrides]]
check = "app.*"
severity = "info"
"""
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert {each.kind for each in config.load(path, {}).checks} == {"tables", "row_count"}
    given = {"RECONCILER_ACCESS_LOGS__APP__PATH": "access.log"}
    assert config.load(path, given).checks[-1].kind == "conflict_rate"
    path.write_text(text.replace("databases.ledger", "databases.app"))
    with pytest.raises(
        ConfigError, match=r'checks\[0\] of "app.conflict_rate": no source is named app'
    ):
        config.load(path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            CHECK + 'source = "ap"\n',
            "checks[0]: no source is named ap; the nearest existing name is app",
        ),
        (
            CHECK + f'source = "metric"\n{QUERIES}',
            "checks[0]: no source is named metric; the nearest existing name is metrics",
        ),
        (
            CHECK + 'source = "metrics"\n',
            f"checks[0]: metrics is a Prometheus server: {UNASKED}",
        ),
        (
            CHECK + f'source = "app"\n{QUERIES}',
            "checks[0]: app is an access log, and is not asked: queries is for a Prometheus server",
        ),
        (
            f'{CHECK}source = "app"\n{CHECK.replace("app.", "again.")}source = "app"\n',
            "checks[1]: app.conflict_rate samples app already",
        ),
        (
            CHECK + f'source = "app"\nprometheus = "metric"\n{QUERIES}',
            "checks[0]: no prometheus is named metric; the nearest existing name is metrics",
        ),
        (CHECK + 'source = "ledger"\n', "checks[0]: no source is named ledger"),
        (CHECK, "checks[0].source: is missing"),
        (
            CHECK + 'source = "app"\n[databases.other]\nurl = "sqlite:///x.db"\n',
            "two sources are named other",
        ),
        (
            CHECK + 'source = "app"\n[access_logs.metrics]\npath = "x.log"\n',
            "two sources are named metrics",
        ),
        (
            CHECK + 'source = "app"\n[prometheus.ledger]\nurl = "http://127.0.0.1:9091"\n',
            "two sources are named ledger",
        ),
    ],
    ids=[
        *(
            "misspelt log",
            "misspelt server",
            "server without queries",
            "log with queries",
            "a second check",
        ),
        *("misspelt server beside a log", "database", "no source"),
        *("database and log", "log and server", "database and server"),
    ],
)
def test_a_source_that_cannot_be_is_told_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    """What a check reads must be there, once, and of the sort that it asks."""
    assert mistakes(tmp_path, SOURCES + text) == [message]


def test_interfaces_are_filled_into_the_check(tmp_path: Path) -> None:
    """The write interfaces of the configuration are those of the check, unless it has its own."""
    text = f'{SOURCES}{CHECK}source = "app"\n'
    own = 'interfaces = [{ method = "PUT", route = "/own", key = "optional" }]\n'
    for given_, names in (
        (INTERFACE, ["POST /draw"]),
        (own + INTERFACE, ["PUT /own"]),
        (own, ["PUT /own"]),
        ("", []),
    ):
        check = load(tmp_path, text + given_).checks[-1]
        assert isinstance(check, ConflictRate)
        assert [each.name for each in check.interfaces] == names


@pytest.mark.slow
def test_without_its_state_a_worker_counts_nothing_and_then_goes_on(tmp_path: Path) -> None:
    """A state that is locked at the start loses no count, though the log is rotated meanwhile."""
    ledger.build(tmp_path / "ledger.db")
    live, log = sampling('routes = ["/a"]'), tmp_path / "access.log"
    text = b'{"method": "GET", "path": "/a", "status": 200}\n'
    log.write_bytes(50 * text)
    worker = Worker(tmp_path, live)
    worker.wait_for(50, "http_requests_sampled_total", route="/a")
    worker.end()
    with log.open("ab") as file:
        file.write(7 * text)
    log.rename(tmp_path / "access.log.1")
    log.write_bytes(3 * text)
    with closing(sqlite3.connect(tmp_path / "reconciler-state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        worker = Worker(tmp_path, live)
        try:
            wait_until(lambda: bool(worker.events("check_run")), 20, "a run")
            assert {line["outcome"] for line in worker.events("check_run")} == {"error"}
            assert worker.samples("http_requests_sampled_total") == []
            other.execute("ROLLBACK")
            worker.wait_for(60, "http_requests_sampled_total", 30, route="/a")
        finally:
            worker.end()
