"""A ledger with double entry: in order it passes, and each fault that is planted is found."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from checks.contract import Finding, Window
from tests.integration.later_release.application import Application
from tests.integration.later_release.course import sound
from tests.integration.later_release.faults import Fault, Key, rounds
from tests.support.runs import window_after
from tests.support.servers import Database
from worker import config
from worker.model.run import Outcome, Run
from worker.scheduling.execute import execute
from worker.sources import Sources

CONFIG = Path(__file__).with_name("config.toml")
ZONE = ZoneInfo("Asia/Shanghai")
FEW = 5
"""The last rows of a table that an incremental run reads again: the tables are small."""

Found = dict[str, set[Key]]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The configuration at work on one database, run by run."""

    database: Database
    configured: config.Config
    sources: Sources
    latest: dict[str, Run] = field(default_factory=dict)

    def run(self, *, incremental: bool = False) -> Found:
        """Run every check; returns what each one that fails found."""
        found: Found = {}
        for check in self.configured.checks:
            run = execute(check, self.sources, self._window(check.name, incremental))
            assert run.outcome in {Outcome.PASS, Outcome.FAIL}, f"{check.name}: {run.error}"
            assert run.result is not None
            assert run.result.sample_is_whole, check.name
            self.latest[check.name] = run
            if run.result.findings:
                found[check.name] = {_key(each) for each in run.result.findings}
        return found

    def _window(self, name: str, incremental: bool) -> Window:  # noqa: FBT001 - within this class
        if incremental and (result := self.latest[name].result):
            return window_after(result, zone=ZONE, overlap=timedelta(seconds=1), overlap_rows=FEW)
        return Window(zone=ZONE)

    def show(self) -> dict[str, int]:
        """Look at the findings of each check that failed as a person does; returns rows shown."""
        shown = {}
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            for name, run in self.latest.items():
                findings = run.result.findings if run.result else ()
                if findings and (query := run.check.look([findings[0].key])):
                    shown[name] = cursor.execute(query)
        return shown

    def plant(self, fault: Fault) -> None:
        """Spoil the ledger; every statement has to change something."""
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            for statement in fault.plant:
                changed = cursor.execute(statement)
                assert changed or statement.startswith("ALTER"), f"{fault.what}: {statement}"


def _key(finding: Finding) -> Key:
    values = tuple(finding.key.values())
    return values[0] if len(values) == 1 else values


@pytest.fixture(scope="module")
def now() -> datetime:
    """When business ends, as the application's columns hold it."""
    return datetime.now(ZONE).replace(tzinfo=None, microsecond=0)


@pytest.fixture
def app(now: datetime) -> Application:
    """An application that kept every rule."""
    return sound(now)


@pytest.fixture
def audit(ledger_database: Database, app: Application) -> Iterator[Audit]:
    """Its ledger in a database, and the audit of it."""
    app.write(ledger_database)
    url = ledger_database.url.render_as_string(hide_password=False)
    configured = config.load(CONFIG, {"RECONCILER_DATABASES__LEDGER__URL": url})
    with closing(Sources.of(configured.settings)) as sources:
        yield Audit(database=ledger_database, configured=configured, sources=sources)


@pytest.mark.slow
def test_ledger_in_order_passes(audit: Audit) -> None:
    """Nothing is found of a ledger in order, neither in all of it nor in what is new."""
    assert audit.run() == {}
    assert audit.run(incremental=True) == {}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_planted_faults_are_found(audit: Audit, app: Application, number: int) -> None:
    """Each fault is found by the checks that it concerns, under its key, and nothing else is.

    Incremental runs go on seeing what is known, and the inspection query of each finding shows it.
    """
    faults = rounds(app)[number]
    for fault in faults:
        audit.plant(fault)
    expected = _expected(faults)
    assert audit.run() == expected
    assert audit.run(incremental=True) == expected
    assert [name for name, rows in audit.show().items() if not rows] == []


def test_each_rule_is_broken_by_a_fault(app: Application) -> None:
    """Of no rule that the configuration spells out it is unknown what it finds."""
    declared = {
        each.check.name for each in config.load(CONFIG, {}).plan if each.origin.section == "checks"
    }
    found = {name for faults in rounds(app) for fault in faults for name in fault.found}
    assert declared - found == set()


def _expected(faults: tuple[Fault, ...]) -> Found:
    found: Found = {}
    for fault in faults:
        for check, keys in fault.found.items():
            found.setdefault(check, set()).update(keys)
    return found
