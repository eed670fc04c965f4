"""A worker that is killed again and again loses no finding, and tells none twice.

It is killed KILLS times (4 by default) at random moments, while wrong rows are being written. By
hand:

    KILLS=200 KILL_SEED=7 .venv/bin/pytest -s tests/endurance/test_kill.py
"""

import os
import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.endurance.audit import STATE, Audit, Life
from tests.endurance.traffic import Traffic
from tests.servers import Database, wait_until

KILLS = int(os.environ.get("KILLS", "4"))
SEED = os.environ.get("KILL_SEED", str(random.SystemRandom().randrange(10**6)))
LONGEST_LIFE = 3.0
"""Seconds at most from what is waited for until the kill."""

TROUBLE = {"state_unavailable", "state_file_corrupt", "findings_forgotten", "library_message"}

pytestmark = pytest.mark.slow


@dataclass
class Witness:
    """Holds what a killed worker leaves behind against what was known before."""

    folder: Path
    unresolved: set[str] = field(default_factory=set)
    """Ids of findings."""
    confirmed: Counter[str] = field(default_factory=Counter)
    """How often the log has told that a finding is confirmed."""

    def look(self, life: Life) -> None:
        """Look at the log of a process that was killed, and at the state as it was left."""
        confirmed = (line["finding"] for line in life.lines if line["event"] == "finding_confirmed")
        self.confirmed.update(confirmed)
        assert [finding for finding, times in self.confirmed.items() if times > 1] == []
        assert TROUBLE.isdisjoint(line["event"] for line in life.lines)
        with tempfile.TemporaryDirectory() as folder:
            # A copy: to open the state is to recover it, which is for the next process to do.
            for part in self.folder.glob(f"{STATE}*"):
                shutil.copy(part, folder)
            with closing(sqlite3.connect(Path(folder) / STATE)) as state:
                self._read(state)

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
        assert self.confirmed.keys() <= {row[0] for row in found if row[3] is not None}
        self.unresolved = {row[0] for row in found if row[4] is None}


def live_and_die(life: Life, traffic: Traffic, rng: random.Random) -> str:
    """Kill a worker at a random moment; tells in which part of its life."""
    wanted = rng.choice(("spawned", "check_run", "check_run", "worker_ready"))
    if wanted != "spawned":
        wait_until(lambda: bool(life.events(wanted)), 60, wanted)
    assert not traffic.stop.wait(rng.uniform(0, LONGEST_LIFE))  # set only when a writer failed
    life.kill()
    return wanted


def test_nothing_is_lost_by_kills(database: Database, tmp_path: Path) -> None:
    """Killed at any moment, the worker loses no finding, doubles none, and passes no row over."""
    print(f"\nKILL_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    audit, witness = Audit(database, tmp_path), Witness(tmp_path)
    # A check keeps a thousand findings; many kills take long.
    pause = max(0.3, KILLS * 0.015)
    traffic = Traffic(database=database, writers=3, seed=SEED, fault_every=2, pause=pause)
    moments: Counter[str] = Counter()
    with traffic.running():
        for _ in range(KILLS):
            with audit.running() as life:
                moments[live_and_die(life, traffic, rng)] += 1
            witness.look(life)
    stopped = datetime.now(UTC)
    with audit.running() as life:
        audit.let_settle(life, stopped)
        wrong = traffic.record.wrong(audit.names)
        runs = life.events("check_run")
        scopes = Counter(run["scope"] for run in runs if run["check"] in audit.following)
        print(  # noqa: T201
            f"{KILLS} kills, after {dict(moments)}; {traffic.count.transactions}"
            f" transactions, {len(wrong)} wrong; last runs along a cursor: {dict(scopes)}"
        )
        # A check that never got to complete a run before has to read everything once.
        assert scopes["incremental"] > 3 * scopes["complete"]
        assert audit.findings("confirmed") == wrong
        assert audit.findings("open") == set()
        assert audit.findings("resolved") <= traffic.record.mended
    witness.look(life)
