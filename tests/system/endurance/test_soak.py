"""The worker against writers that never stop: nothing right is called wrong, nothing wrong missed.

Each test writes for SOAK_SECONDS (3 by default) and prints what it did. The long form, by hand:

    SOAK_SECONDS=600 SOAK_SEED=7 .venv/bin/pytest -s tests/endurance/test_soak.py
"""

import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.patience import wait_until
from tests.support.servers import Database
from tests.system.endurance.audit import Audit, Life
from tests.system.endurance.books import POINTS, account
from tests.system.endurance.traffic import Traffic

SECONDS = float(os.environ.get("SOAK_SECONDS", "3"))
SEED = os.environ.get("SOAK_SEED", "1")
WRITERS = 8
FAULT_EVERY = max(5, round(SECONDS / 15))
"""Transactions for each wrong one; a check lists no more than `SAMPLE` findings."""

EVERY = {"RECONCILER_SCHEDULE__EVERY": "2s"}
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


def write(
    traffic: Traffic,
    life: Life,
    *beside: Callable[[threading.Event], None],
    until: Callable[[], bool] = lambda: True,
) -> datetime:
    """Let the writers write for a while, and others do something beside; when they had stopped."""
    threads = [threading.Thread(target=each, args=[traffic.stop]) for each in beside]
    with traffic.running():
        for thread in threads:
            thread.start()
        wait_until(lambda: bool(life.events("worker_ready")), 60, "every check has run")
        assert not traffic.stop.wait(SECONDS)  # it ends early when a writer fails
        wait_until(until, 20, "enough has happened")
    for thread in threads:
        thread.join()
    return datetime.now(UTC)


def outcomes(life: Life) -> dict[str, str]:
    """The outcome of each check's latest run."""
    return {run["check"]: run["outcome"] for run in life.events("check_run")}


def tell(traffic: Traffic, audit: Audit, life: Life) -> None:
    """Print what happened, and hold the writers to what they promise."""
    runs = life.events("check_run")
    scopes = Counter(run["scope"] for run in runs if run["check"] in audit.following)
    count = traffic.count
    print(  # noqa: T201
        f"\n{count.transactions} transactions ({count.transactions / SECONDS:.0f}/s),"
        f" {count.gave_way} repeated, longest gap {count.longest_gap:.1f} s;"
        f" {len(runs)} runs; along a cursor: {dict(scopes)}"
    )
    assert count.longest_gap < audit.settle.total_seconds() - 2, "the writers were too slow"
    # Each check reads everything at first, and once more should a complete run be due meanwhile.
    assert scopes["complete"] <= 2 * len(audit.following)
    assert scopes["incremental"] >= 2 * len(audit.following)


def test_right_rows_are_never_called_wrong(database: Database, tmp_path: Path) -> None:
    """While eight writers do everything right, no finding is ever confirmed; a naive audit errs."""
    audit, naive = Audit(database, tmp_path), Naive(database)
    audit.environment |= EVERY
    traffic = Traffic(database=database, writers=WRITERS, seed=SEED)
    with audit.running() as life:
        stopped = write(traffic, life, naive.watch, until=lambda: naive.alarms > 0)
        audit.let_settle(life, stopped)
        tell(traffic, audit, life)
        print(f"the naive audit: {naive.alarms} false alarms in {naive.reads} reads")  # noqa: T201
        assert life.events("finding_opened", "finding_confirmed") == []
        assert set(outcomes(life).values()) == {"pass"}
        assert life.confirmed_by_metric() == {}
    assert naive.alarms > 0


def test_wrong_rows_are_all_found(database: Database, tmp_path: Path) -> None:
    """Every error of writers that err is confirmed until it is mended, and nothing else ever is."""
    audit = Audit(database, tmp_path)
    audit.environment |= EVERY
    traffic = Traffic(database=database, writers=WRITERS, seed=SEED, fault_every=FAULT_EVERY)
    with audit.running() as life:
        audit.let_settle(life, write(traffic, life))
        tell(traffic, audit, life)
        wrong, mended = traffic.record.wrong(audit.names), traffic.record.mended
        print(f"{len(wrong)} wrong, {len(mended)} mended")  # noqa: T201
        findings = audit.findings()
        assert findings["confirmed"] == wrong
        assert findings["open"] == set()
        assert findings["resolved"] <= mended
        assert life.confirmed_by_metric() == Counter(check for check, _ in wrong)
        assert "error" not in outcomes(life).values()
