"""The worker against writers that never stop: nothing right is called wrong, nothing wrong missed.

It writes right rows for SOAK_SECONDS (3 by default) after every check has run, and then also wrong
ones for as long, and prints what it did. The long form, by hand:

    SOAK_SECONDS=600 SOAK_SEED=7 .venv/bin/pytest -s tests/system/endurance/test_soak.py
"""

import os
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.patience import wait_until
from tests.support.servers import Database
from tests.system.endurance.audit import STATE, Audit, Life
from tests.system.endurance.books import POINTS, account
from tests.system.endurance.traffic import Traffic

SECONDS = float(os.environ.get("SOAK_SECONDS", "3"))
SEED = os.environ.get("SOAK_SEED", "1")
WRITERS = 8
FAULT_EVERY = max(5, round(SECONDS / 15))
"""Transactions for each wrong one; a check lists no more than `SAMPLE` findings."""

EVERY = {"RECONCILER_SCHEDULE__EVERY": "3s"}
"""So that a hundred checks leave a core to the writers."""

pytestmark = pytest.mark.slow


@dataclass
class Naive:
    """An audit as one would write it in an hour: the ledger's sum, and then the balance."""

    database: Database
    reads: int = 0
    alarms: int = 0

    def watch(self, stop: threading.Event) -> None:
        """Compare until told to stop."""
        subjects = [(account(user), POINTS) for user in (1, 2, 3)]
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                subject = subjects[self.reads % len(subjects)]
                cursor.execute(
                    "SELECT SUM(delta_amount) FROM asset_transactions"
                    " WHERE account_id = %s AND asset_code = %s",
                    subject,
                )
                ledger = cursor.fetchone()
                cursor.execute(
                    "SELECT available_amount FROM account_asset_balances"
                    " WHERE account_id = %s AND asset_code = %s",
                    subject,
                )
                self.reads += 1
                self.alarms += ledger != cursor.fetchone()


def outcomes(life: Life) -> dict[str, str]:
    """The outcome of each check's latest run."""
    return {run["check"]: run["outcome"] for run in life.events("check_run")}


def tell(traffic: Traffic, audit: Audit, life: Life) -> None:
    """Print what happened, and hold the writers to what they promise."""
    runs = life.events("check_run")
    scopes = Counter(run["scope"] for run in runs if run["check"] in audit.following)
    count = traffic.count
    print(  # noqa: T201
        f"\n{count.transactions} transactions ({count.transactions / (2 * SECONDS):.0f}/s),"
        f" {count.gave_way} repeated, longest gap {count.longest_gap:.1f} s;"
        f" {len(runs)} runs; along a cursor: {dict(scopes)}"
    )
    assert count.longest_gap < audit.settle.total_seconds() - 2, "the writers were too slow"
    # Each check reads everything at first, and once more should a complete run be due meanwhile.
    assert scopes["complete"] <= 2 * len(audit.following)
    assert scopes["incremental"] >= 2 * len(audit.following)


def nothing_is_wrong(life: Life) -> None:
    """No check has found anything, and log and metrics say the same."""
    assert life.events("finding_opened", "finding_confirmed") == []
    assert set(outcomes(life).values()) == {"pass"}
    assert life.confirmed_by_metric() == {}


def test_right_rows_are_never_called_wrong_and_wrong_ones_are_found(
    database: Database, tmp_path: Path
) -> None:
    """While eight writers do everything right nothing is found, though a naive audit errs.

    Then some of what they write is wrong: that is confirmed until it is mended. No other finding
    is there in the end, nor was one in between: neither of these rows nor of the ones before.
    """
    audit, naive = Audit(database, tmp_path), Naive(database)
    audit.environment |= EVERY
    traffic = Traffic(database=database, writers=WRITERS, seed=SEED)
    enough = threading.Event()
    watcher = threading.Thread(target=naive.watch, args=[enough])
    with audit.running() as life:
        with traffic.running():
            wait_until(lambda: bool(life.events("worker_ready")), 60, "every check has run")
            watcher.start()
            try:
                assert not traffic.stop.wait(SECONDS)  # it ends early when a writer fails
                wait_until(lambda: naive.alarms > 0, 20, "the naive audit errs")
            finally:
                enough.set()
                watcher.join()
            nothing_is_wrong(life)
            traffic.fault_every = FAULT_EVERY
            assert not traffic.stop.wait(SECONDS)
            wait_until(lambda: bool(traffic.record.mended), 30, "something wrong is mended")
        audit.let_settle(life, datetime.now(UTC))
        tell(traffic, audit, life)
        wrong, mended = traffic.record.wrong(audit.names), traffic.record.mended
        print(  # noqa: T201
            f"{len(wrong)} wrong, {len(mended)} mended;"
            f" the naive audit: {naive.alarms} false alarms in {naive.reads} reads"
        )
        findings = audit.findings()
        assert findings["confirmed"] == wrong
        assert findings["open"] == set()
        assert findings["resolved"] <= mended
        # None that was told of is missing in these.
        events = life.events("finding_opened", "finding_confirmed")
        with closing(sqlite3.connect(tmp_path / STATE)) as state:
            kept = {each for (each,) in state.execute("SELECT id FROM findings")}
        assert {each["finding"] for each in events} <= kept
        assert life.confirmed_by_metric() == Counter(check for check, _ in wrong)
        assert "error" not in outcomes(life).values()
