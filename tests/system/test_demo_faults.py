"""The faults of the demo: each is found by the checks it names, and none outlives the process."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from checks.registry import KINDS
from tests.support import ENDS_WITH_US, SHIPPED
from tests.support.access_logs import quiet
from tests.support.patience import exit_code, wait_until
from worker import config
from worker.cli.main import app
from worker.config import Config
from worker.demo import faults, injector
from worker.demo import ledger as demo
from worker.demo.faults import FAULTS, Fault
from worker.model.finding import FindingState
from worker.model.run import Outcome
from worker.scheduling.execute import execute
from worker.sources import Sources
from worker.state.read_scope import everything
from worker.telemetry.metrics import Metrics

RECONCILER = Path(sys.executable).with_name("reconciler")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo ledger, for copies."""
    path = tmp_path_factory.mktemp("built") / "demo-ledger.db"
    demo.build(path)
    return path


@pytest.fixture
def ledger(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo ledger in the working directory, and the shipped configuration beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_HTTP__PORT", "0")
    # Set and taken back: the command sets it where it is missing.
    monkeypatch.setenv("RECONCILER_SCHEDULE__EVERY", "1s")
    shutil.copy(SHIPPED, tmp_path)
    return Path(shutil.copy(built, tmp_path))


def content(path: Path) -> tuple[list[str], tuple[int, int]]:
    """All that a ledger holds, in order, and what its header says of it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(raw.iterdump()), demo.header(path)


@cache
def shipped() -> Config:
    """The shipped configuration, for the demo ledger in the working directory."""
    return config.load(SHIPPED, quiet())


def audited() -> dict[str, Outcome]:
    """How a run of every shipped check ends in the working directory."""
    current = shipped()
    with closing(Sources.of(current.settings)) as sources:
        whole = everything(current.settings)  # in the ledger's zone
        return {check.name: execute(check, sources, whole).outcome for check in current.checks}


def reconciler(*arguments: str) -> Result:
    """Run the command line with these arguments."""
    return CliRunner().invoke(app, arguments)


def spoilt_by_hand(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DELETE FROM lottery_draws")
        raw.commit()


def test_every_kind_has_its_fault() -> None:
    """Each kind has a fault, but for the one that reads a log, where storms come by themselves."""
    kinds = {check.model_fields["kind"].default for check in KINDS if check.reads == "database"}
    assert sorted(fault.kind for fault in FAULTS) == sorted(kinds)


def test_every_fault_names_shipped_checks_of_its_kind_and_table() -> None:
    """All checks that a fault trips are configured, and the first is of its kind and table."""
    known = {check.name: check for check in config.load(SHIPPED, {}).checks}
    for fault in FAULTS:
        assert set(fault.trips) <= set(known), fault.name
        first = known[fault.trips[0]]
        assert (first.kind, first.table) == (fault.kind, fault.table), fault.name
    assert faults.told_by(known) == FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.kind))
def test_a_fault_trips_what_it_names_and_is_mended_without_trace(
    ledger: Path, fault: Fault
) -> None:
    """Exactly the checks that a fault names fail; mended, every row is as it was."""
    before = content(ledger)
    faults.inject(ledger, fault)
    assert faults.is_left_in(ledger)
    outcomes = audited()
    wrong = {name: outcome for name, outcome in outcomes.items() if outcome is not Outcome.PASS}
    assert wrong == dict.fromkeys(fault.trips, Outcome.FAIL)
    faults.mend(ledger)
    assert content(ledger) == before
    assert not faults.is_left_in(ledger)


def test_a_fault_is_put_in_as_a_whole_or_not_at_all(ledger: Path) -> None:
    """When one of a fault's statements fails, the ones before it have changed nothing."""
    before = content(ledger)
    half = Fault(
        name="half", kind="x", table="x", breaks="DELETE FROM accounts; DROP TABLE x", trips=()
    )
    with pytest.raises(sqlite3.OperationalError, match="no such table: x"):
        faults.inject(ledger, half)
    assert content(ledger) == before


def test_faults_that_no_configured_check_sees_are_left_out() -> None:
    """Of the faults stay those that a check tells of, with just the checks that are there."""
    stuck = next(fault for fault in FAULTS if fault.kind == "stuck")
    assert faults.told_by(["api_idempotency_requests.stuck", "another"]) == (stuck,)
    (emptied,) = faults.told_by(["account_asset_balances.row_count"])
    assert emptied.trips == ("account_asset_balances.row_count",)


def test_a_locked_ledger_is_told_and_not_waited_for_without_end(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither breaking nor mending waits longer for somebody's lock than a stop can bear."""
    monkeypatch.setattr(faults, "LOCK_WAIT", 0.2)
    with closing(sqlite3.connect(ledger)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            faults.inject(ledger, FAULTS[0])
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            faults.mend(ledger)


OWN = "CREATE TABLE mine (a int); INSERT INTO mine VALUES (1)"


@pytest.fixture
def own(ledger: Path) -> Path:
    """Somebody's own SQLite file, where the demo ledger would be."""
    ledger.unlink()
    with closing(sqlite3.connect(ledger)) as raw:
        raw.executescript(OWN)
    return ledger


@pytest.mark.parametrize("options", [(), ("--fresh",), ("--build-only",)])
def test_a_file_that_the_demo_did_not_build_is_never_written(
    own: Path, options: tuple[str, ...]
) -> None:
    """With --faults, somebody's own SQLite file is refused and not one byte of it changes."""
    before = own.read_bytes()
    result = reconciler("demo", "--faults", *options)
    assert (result.exit_code, result.stderr.count("was not built by this demo")) == (2, 1)
    with pytest.raises(faults.NoDemoError):
        faults.inject(own, FAULTS[0])
    with pytest.raises(faults.NoDemoError):
        faults.mend(own)
    assert own.read_bytes() == before


def test_what_is_no_ledger_at_all_is_no_demo(tmp_path: Path) -> None:
    """A folder, a text file and a missing file are not taken for a demo ledger."""
    text = tmp_path / "text"
    text.write_text("x" * 200)
    assert not any(demo.is_built_here(each) for each in (tmp_path, text, tmp_path / "none"))


def test_faults_are_refused_on_a_server(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a configuration that names a server, --faults refuses as the demo does."""
    monkeypatch.setenv("RECONCILER_DATABASES__LEDGER__URL", "mysql://auditor@127.0.0.1/ledger")
    before = ledger.read_bytes()
    result = reconciler("demo", "--faults")
    assert result.exit_code == 2
    assert "the demo needs a SQLite URL" in result.stderr
    assert ledger.read_bytes() == before


def test_the_demo_mends_what_a_killed_process_left(ledger: Path) -> None:
    """A fault that is left in the ledger is mended by the next `demo`, with or without --faults."""
    sound = content(ledger)
    faults.inject(ledger, FAULTS[0])
    result = reconciler("demo", "--build-only")
    assert (result.exit_code, "demo-ledger.db anew" in result.stderr) == (0, True)
    assert content(ledger) == sound


def test_the_demo_mends_half_a_write(ledger: Path, tmp_path: Path) -> None:
    """A ledger that lies there as a killed process left it, journal and all, is made sound."""
    sound = content(ledger)
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(ledger)) as writing:
        writing.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        writing.execute("UPDATE asset_transactions SET idempotency_key = transaction_id")
        for path in (ledger, ledger.with_name("demo-ledger.db-journal")):
            shutil.copy(path, killed)
    left = killed / ledger.name
    with (
        closing(sqlite3.connect(f"file:{left}?mode=ro", uri=True)) as reader,
        pytest.raises(sqlite3.OperationalError),
    ):
        reader.execute("SELECT count(*) FROM accounts")
    assert faults.is_left_in(left)
    faults.mend(left)
    assert content(left) == sound
    assert not faults.is_left_in(left)


def test_the_demo_leaves_other_changes_alone(ledger: Path) -> None:
    """What somebody changed by hand stays without --faults, and is built anew with it."""
    spoilt_by_hand(ledger)
    changed = ledger.read_bytes()
    assert "anew" not in reconciler("demo", "--build-only").stderr
    assert ledger.read_bytes() == changed
    assert "anew" in reconciler("demo", "--build-only", "--faults").stderr
    assert set(audited().values()) == {Outcome.PASS}


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(("said", "seconds"), [(None, 5), ("2m", 120)])
def test_checks_run_more_often_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, said: str | None, seconds: int
) -> None:
    """With --faults every check runs each 5 s, after a reload, too; the environment decides."""
    if said:
        monkeypatch.setenv("RECONCILER_SCHEDULE__EVERY", said)
    else:
        monkeypatch.delenv("RECONCILER_SCHEDULE__EVERY")
    seen: list[Config] = []

    def serve(_ledger: Path, path: Path | None, current: Config, _announce: object) -> None:
        seen.extend((current, config.load(path)))

    monkeypatch.setattr(injector, "serve", serve)
    assert reconciler("demo", "--faults").exit_code == 0
    assert [each.settings.schedule.every for each in seen] == [timedelta(seconds=seconds)] * 2


Say = Callable[[Fault, FindingState, int], None]


@pytest.fixture
def says() -> tuple[Metrics, Say]:
    """Metrics, and how to let a worker say in them what the checks of a fault have found."""
    metrics = Metrics()

    def say(fault: Fault, state: FindingState, number: int) -> None:
        checks = [c for c in config.load(SHIPPED, {}).checks if c.name in fault.trips]
        metrics.count_findings(checks, {(check.name, state): number for check in checks})

    return metrics, say


def test_the_injector_waits_for_the_worker(
    ledger: Path, says: tuple[Metrics, Say], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault stays until it is confirmed; the next one waits until the worker says all is well."""
    monkeypatch.setattr(injector, "PATIENCE", 10**6)
    metrics, say = says
    sound, pair = content(ledger), (FAULTS[0], FAULTS[1])
    going = injector.Injector(ledger, pair, metrics, pace=0.3)
    going.start()
    wait_until(lambda: faults.is_left_in(ledger), 5, "the first fault is there")
    say(pair[0], FindingState.OPEN, 1)
    with pytest.raises(TimeoutError):
        wait_until(lambda: not faults.is_left_in(ledger), 1, "an open finding is not enough")
    say(pair[0], FindingState.CONFIRMED, 1)
    wait_until(lambda: not faults.is_left_in(ledger), 5, "it is mended")
    with pytest.raises(TimeoutError):
        wait_until(lambda: faults.is_left_in(ledger), 1, "the finding is not resolved")
    say(pair[0], FindingState.CONFIRMED, 0)
    wait_until(lambda: faults.is_left_in(ledger), 5, "the second fault is there")
    going.stop()
    assert content(ledger) == sound


def test_the_injector_goes_on_when_a_fault_fails(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, says: tuple[Metrics, Say]
) -> None:
    """A fault that cannot be put in, because the ledger is locked, leaves the others to come."""
    monkeypatch.setattr(faults, "LOCK_WAIT", 0.1)
    going = injector.Injector(ledger, FAULTS[:2], says[0], pace=0.05)
    with capture_logs() as lines:
        with closing(sqlite3.connect(ledger)) as other:
            other.execute("BEGIN EXCLUSIVE")
            going.start()
            wait_until(lambda: len(lines) >= 2, 5, "both have failed")
        wait_until(lambda: lines[-1]["event"] == "demo_fault_injected", 5, "a fault is there")
        going.stop()
    assert [(line["event"], line["fault"]) for line in lines[:2]] == [
        ("demo_fault_failed", fault.name) for fault in FAULTS[:2]
    ]
    assert lines[-1]["event"] == "demo_fault_mended"
    assert not faults.is_left_in(ledger)


TRIPPED = [check for fault in FAULTS[:3] for check in fault.trips]
RARELY = """
[[overrides]]
check = "*"
every = "1m"
"""
OFTEN = """
[[overrides]]
check = "{check}"
every = "1s"
"""


class Demo:
    """A running `reconciler demo --faults`, and its log."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, RECONCILER, "demo", "--faults"], cwd=folder, stdout=log, stderr=log
            )

    @property
    def text(self) -> str:
        """All that it has written."""
        return self._log.read_text(encoding="utf-8")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        whole = self.text.rpartition("\n")[0].splitlines()
        lines = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def told(self, name: str) -> list[str]:
        """The checks of an event, in order; the demo's traffic has storms of its own."""
        known = {check for fault in FAULTS for check in fault.trips}
        return [line["check"] for line in self.events(name) if line["check"] in known]


@pytest.fixture
def running(ledger: Path) -> Iterator[Demo]:
    """The demo with faults, which ends with the test; what the first of them trip is read often."""
    with (ledger.parent / SHIPPED.name).open("a", encoding="utf-8") as text:
        text.write(RARELY + "".join(OFTEN.format(check=check) for check in TRIPPED))
    process = Demo(ledger.parent)
    yield process
    process.process.kill()
    process.process.wait()


def test_findings_come_and_go(running: Demo, ledger: Path) -> None:
    """Faults are found and, once mended, resolved, one after the other; SIGTERM mends the last."""
    wait_until(lambda: len(running.told("finding_resolved")) >= 2, 40, "two findings resolved")
    expected = [fault.trips[0] for fault in FAULTS]
    for change in ("finding_confirmed", "finding_resolved"):
        # On a busy machine a fault may be over before the worker has looked twice.
        later = iter(expected)
        assert [each for each in running.told(change)[:2] if each not in later] == []
    wait_until(lambda: len(running.events("demo_fault_injected")) >= 3, 20, "a third fault")
    running.process.send_signal(signal.SIGTERM)
    assert exit_code(running.process, 10) == 0
    injected, mended = running.events("demo_fault_injected"), running.events("demo_fault_mended")
    named = [{k: line[k] for k in ("fault", "kind", "table", "expects")} for line in mended]
    assert [line | named[at] for at, line in enumerate(injected)] == injected
    assert named[0] == {
        "fault": "a retired table is back",
        "kind": "tables",
        "table": "points_transactions",
        "expects": ["points_transactions.tables"],
    }
    assert "one fault after the other" in running.text
    assert {run["outcome"] for run in running.events("check_run")} <= {"pass", "fail", "skipped"}
    assert running.events("demo_fault_failed") == []
    fresh = ledger.with_name("fresh.db")
    demo.build(fresh)
    assert content(ledger) == content(fresh)


def test_a_killed_demo_is_mended_by_the_next(running: Demo) -> None:
    """What SIGKILL leaves behind fails the audit, and the next start of the demo mends it."""
    wait_until(lambda: len(running.events("demo_fault_injected")) > 0, 20, "a fault is there")
    running.process.kill()
    running.process.wait()
    assert Outcome.FAIL in audited().values()
    assert reconciler("demo", "--build-only").exit_code == 0
    assert set(audited().values()) == {Outcome.PASS}
