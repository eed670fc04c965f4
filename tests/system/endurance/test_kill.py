"""A worker that is killed again and again loses nothing, invents nothing, and tells nothing twice.

It is killed KILLS times (3 by default) at random moments, while wrong rows are being written,
findings are acknowledged and a real Alertmanager is told. By hand:

    KILLS=200 KILL_SEED=7 .venv/bin/pytest -s tests/system/endurance/test_kill.py
"""

import json
import os
import random
import shutil
import sqlite3
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.support.alertmanager import alertmanager, receiver
from tests.support.patience import wait_until
from tests.support.servers import Database
from tests.system.endurance.alerts import judge, rises, shows
from tests.system.endurance.audit import STATE, Audit, Life
from tests.system.endurance.colleague import Colleague
from tests.system.endurance.traffic import Traffic
from tests.system.faults.canaries import PASSWORD
from tests.system.faults.ledgers import LONG, do
from worker.model.log_event import NOT_LOGGED
from worker.text.redact import Mask

KILLS = int(os.environ.get("KILLS", "3"))
SEED = os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6)))
MANY = 10
LONGEST_LIFE = 3.0 if KILLS >= MANY else 1.5
"""Seconds at most from what is waited for until the kill."""

UP_WITHIN = 5.0 if LONG else 20.0
"""Seconds from its start until a worker that was killed is up again: `/livez` says so, and
`/metrics` is served. Other tests run on the same cores in the short form."""

MOMENTS = ("worker_ready", "spawned", "check_run", "check_run")
"""What a worker may have come to when it is killed, in turn; then a random time passes."""

ONCE = ("finding_confirmed", "finding_acknowledged")
"""What happens to a finding once."""

OURS = ("finding_opened", "finding_confirmed", "finding_reopened", "finding_resolved")
"""What the worker itself does to findings; what people decide twice in a row is told once."""

TROUBLE = {"state_unavailable", "state_file_corrupt", "findings_forgotten", "library_message"}

ALERTS = """
[alerts]
push = ["critical", "warning"]
resend_every = "1s"

[alertmanagers.main]
url = "{url}"
"""

pytestmark = pytest.mark.slow


@dataclass
class Witness:
    """Holds what a killed worker leaves behind against what was known before."""

    folder: Path
    colleague: Colleague
    unresolved: set[str] = field(default_factory=set)
    """Ids of findings."""
    told: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often the log has told that a finding is confirmed, or acknowledged; each event once."""
    events: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By its id, what an event told of which finding."""
    cut: dict[str, int] = field(default_factory=dict)
    """By its id, how many events a line says that it stands for."""
    happened: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often what happened to which finding, as the state has it."""
    rises: Counter[str] = field(default_factory=Counter)
    """See `tests.system.endurance.alerts.rises`."""

    @property
    def confirmed(self) -> set[str]:
        """Ids of findings that the log has told to be confirmed."""
        return {finding for event, finding in self.told if event == "finding_confirmed"}

    def look(self, life: Life) -> None:
        """Look at the log of a process that was killed, and at the state as it was left."""
        for line in life.lines:
            if line["event"] == NOT_LOGGED:
                self.cut[line["event_id"]] = sum(n for n in line.values() if isinstance(n, int))
            elif "finding" in line:
                what = (line["event"], line["finding"])
                if self.events.setdefault(line["event_id"], what) != what:
                    raise AssertionError(f"two events have one id: {line}")
        self.told = Counter(what for what in self.events.values() if what[0] in ONCE)
        assert [told for told, times in self.told.items() if times > 1] == []
        assert TROUBLE.isdisjoint(line["event"] for line in life.lines)
        with self.colleague.lock, _copy(self.folder) as state:
            self._read(state)
        self.colleague.hear(sorted(self.confirmed))

    def assert_all_is_told(self) -> None:
        """Each change that the worker made of a finding has a line, or is counted by one."""
        told = Counter(self.events.values())
        changes = {what: n for what, n in self.happened.items() if what[0] in OURS}
        lacking = {what: n - told[what] for what, n in changes.items() if n > told[what]}
        assert sum(lacking.values()) <= sum(self.cut.values()), lacking

    def _read(self, state: sqlite3.Connection) -> None:
        assert state.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not state.execute("SELECT 1 FROM sqlite_master WHERE name = 'findings'").fetchall():
            assert not self.unresolved  # the first process may be killed before it makes the state
            return
        rows = state.execute("SELECT id, check_name, key, confirmed_at, resolved_at FROM findings")
        found = rows.fetchall()
        assert len({row[1:3] for row in found}) == len(found)
        # What was known is there; the log tells nothing that the state does not know.
        assert self.unresolved <= {row[0] for row in found}
        assert self.confirmed <= {row[0] for row in found if row[3] is not None}
        self.happened = Counter(state.execute("SELECT change, finding_id FROM finding_events"))
        self.unresolved = {row[0] for row in found if row[4] is None}
        self.colleague.look(state)
        self.rises = rises(state)


@contextmanager
def _copy(folder: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the state: to open it is to recover it, which is for the next process to do."""
    with tempfile.TemporaryDirectory() as place:
        for part in folder.glob(f"{STATE}*"):
            shutil.copy(part, place)
        with closing(sqlite3.connect(Path(place) / STATE)) as state:
            yield state


def live_and_die(life: Life, wanted: str, traffic: Traffic, rng: random.Random) -> float | None:
    """Kill a worker at a random time after a moment of its life; how long it took to be up."""
    seconds = None
    if wanted != "spawned":
        seconds = life.seconds_until_up()
        wait_until(lambda: bool(life.events(wanted)), 60, wanted)
    assert not traffic.stop.wait(rng.uniform(0, LONGEST_LIFE))  # set only when a writer failed
    life.kill()
    return seconds


def _confirms(life: Life) -> bool:
    return bool(life.events("finding_confirmed"))


def _people(wrong: set[tuple[str, str]]) -> set[str]:
    """The personal values of findings' keys; numbers of few digits stand for other things, too."""
    mask = Mask()
    keys = [json.loads(key).items() for _, key in wrong]
    values = {str(value) for key in keys for name, value in key if mask.is_personal(name)}
    return {each for each in values if not each.isdigit()}


@pytest.fixture
def audited(database: Database, tmp_path: Path) -> Iterator[str]:
    """The ledger's URL for an account that may only read, with a password that is in a file."""
    (tmp_path / "password").write_text(PASSWORD)
    do(
        database,
        f"CREATE USER killed@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT ON {database.name}.* TO killed@'%'",
    )
    yield database.url.set(username="killed").render_as_string()
    do(database, "DROP USER killed@'%'")


def test_nothing_is_lost_by_kills(database: Database, audited: str, tmp_path: Path) -> None:
    """Killed at any moment, the worker loses, doubles and invents no finding, and no alert.

    Nor is an acknowledgement lost, and no row passed over.
    """
    print(f"\nKILL_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    with receiver() as person, alertmanager(receiver=person.url) as pager:
        audit = Audit(database, tmp_path, ALERTS.format(url=pager.url))
        audit.environment["RECONCILER_DATABASES__LEDGER__URL"] = audited
        audit.environment["RECONCILER_DATABASES__LEDGER__PASSWORD_FILE"] = "password"
        colleague = Colleague(audit, SEED)
        witness = Witness(tmp_path, colleague)
        # A check keeps a thousand findings; many kills take long.
        pause = max(0.3, KILLS * 0.015)
        traffic = Traffic(database=database, writers=3, seed=SEED, fault_every=2, pause=pause)
        moments, up, while_dead = Counter[str](), list[float](), 0
        with traffic.running(), colleague.working():
            for number in range(KILLS):
                wanted = MOMENTS[number % len(MOMENTS)]
                with audit.running() as life:
                    if not number:  # the colleague needs something to acknowledge
                        wait_until(partial(_confirms, life), 60, "a finding is confirmed")
                    seconds = live_and_die(life, wanted, traffic, rng)
                moments[wanted] += 1
                if seconds is not None and number:
                    up.append(seconds)
                witness.look(life)
                if KILLS < MANY or rng.randrange(2):
                    while_dead += colleague.acknowledge()
        stopped = datetime.now(UTC)
        audit.environment["RECONCILER_SCHEDULE__EVERY"] = "3s"  # it is not killed, and waits
        with audit.running() as life:
            up.append(life.seconds_until_up())
            audit.let_settle(life, stopped)
            pager.wait_until_settled()
            wrong = traffic.record.wrong(audit.names)
            runs = life.events("check_run")
            scopes = Counter(run["scope"] for run in runs if run["check"] in audit.following)
            # A check that never got to complete a run before has to read everything once.
            assert scopes["incremental"] > 3 * scopes["complete"]
            findings = audit.findings()
            assert findings["confirmed"] | findings["acknowledged"] == wrong
            assert findings["open"] == set()
            assert findings["resolved"] <= traffic.record.mended
            alerts = pager.alerts()
        witness.look(life)
        witness.assert_all_is_told()
        told = judge(
            person, pager, Counter(check for check, _ in findings["confirmed"]), witness.rises
        )
    print(  # noqa: T201
        f"{KILLS} kills, after {dict(moments)}; {traffic.count.transactions} transactions,"
        f" {len(wrong)} wrong; last runs along a cursor: {dict(scopes)}\n"
        f"up again after {statistics.median(up):.1f} s (the middle of {len(up)}),"
        f" {max(up):.1f} s at most\n"
        f"{len(colleague.acknowledged)} acknowledged, {while_dead} of them while no worker ran,"
        f" {colleague.too_late} too late; {len(findings['acknowledged'])} still are\n"
        f"{told.total()} alerts of {len(told)} checks told as firing, {len(person.taken)} messages"
    )
    assert while_dead
    assert max(up) < UP_WITHIN
    said = {life.text for life in audit.lives} | {repr(person.taken), repr(alerts)}
    assert shows(said, {PASSWORD, *_people(wrong)}) == set()
