"""Make the data of this folder again: an installation of an earlier revision.

    .venv/bin/python -m tests.integration.upgrade.make ddf5cba

It runs that revision's own worker, with the packages of this environment: on a part of the demo
ledger, until findings are confirmed, one is acknowledged and others are resolved, and alerts wait
for an Alertmanager that is not there.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.integration import upgrade
from tests.integration.upgrade import EVERY_KEY, FINGERPRINTS, FOLDER, LOG
from tests.support.patience import exit_code, wait_until
from tests.support.servers import Farm

CHECKOUT = FOLDER.parents[2]

FURTHER = """
# --- Not of the shipped file: alerts that nobody takes, a finding that is never confirmed

[alertmanagers.main]
url = "http://127.0.0.1:9"

[alerts]
push = ["critical", "warning"]

[[checks]]
name = "item_instances.never_confirmed"
kind = "condition"
table = "item_instances"
expression = "(status = 'locked') = non_empty_array(locks)"
confirmations = 100
"""

LESS = """
DELETE FROM item_instances WHERE item_instance_id BETWEEN 73 AND 159;
DELETE FROM item_instance_events WHERE item_instance_id BETWEEN 4 AND 70;
DELETE FROM redemption_orders WHERE item_instance_id BETWEEN 4 AND 70;
DELETE FROM item_instances WHERE item_instance_id BETWEEN 4 AND 70;
DELETE FROM api_idempotency_requests WHERE user_id <> 3;
DELETE FROM asset_transactions WHERE account_id NOT IN (101, 103);
DELETE FROM account_asset_balances WHERE account_id NOT IN (101, 103);
"""
"""What makes the demo ledger small; it stays sound."""

REPAIRED = """
UPDATE asset_transactions SET idempotency_key = ' ' WHERE transaction_id =
    (SELECT max(transaction_id) FROM asset_transactions WHERE business_type = 'daily_sign_in');
CREATE TABLE points_transactions (id bigint NOT NULL PRIMARY KEY);
"""
"""What is repaired before the worker ends."""

REPAIRED_CHECKS = {"asset_transactions.blank.idempotency_key", "points_transactions.tables"}

LASTING = """
INSERT INTO account_asset_balances (balance_id, account_id, asset_code)
    SELECT 900001, account_id, asset_code FROM account_asset_balances WHERE account_id = 103;
INSERT INTO asset_transactions (transaction_id, account_id, asset_code, delta_amount,
        balance_before, balance_after, business_type, idempotency_key, created_at)
    SELECT 900001, account_id, asset_code, 1000, available_amount, available_amount + 1000,
        'admin_adjustment', 'admin_adjustment:1', updated_at
    FROM account_asset_balances WHERE account_id = 101 AND asset_code = 'DIAMOND';
UPDATE asset_transactions SET idempotency_key = ' ' WHERE transaction_id =
    (SELECT min(transaction_id) FROM asset_transactions);
UPDATE item_instances SET locks = '[]' WHERE item_instance_id = 71;
UPDATE lottery_draws SET asset_transaction_id = 900001, prize_value_points = 500,
    idempotency_key = 'draw 1';
UPDATE api_idempotency_requests SET status = 'processing' WHERE request_id =
    (SELECT min(request_id) FROM api_idempotency_requests);
DROP INDEX code_hash;
"""

LASTING_CHECKS = {
    "account_asset_balances.duplicates.account_id.asset_code.campaign_id",
    "account_asset_balances.ledger_balance",
    "api_idempotency_requests.stuck",
    "asset_transactions.blank.idempotency_key",
    "item_instances.locked_with_locks",
    "lottery_draws.asset_transaction_id",
    "lottery_draws.key_format.idempotency_key",
    "lottery_draws.reward_posting",
    "redemption_orders.unique_index.code_hash",
}

ACKNOWLEDGED = "account_asset_balances.duplicates.account_id.asset_code.campaign_id"

EVERY_CHECK_HAS_RUN = "SELECT count(complete_at) = count(*) AND count(*) > 40 FROM cursors"

RUNS_KEPT = 1
"""Of each check: what is kept of passed runs is of no interest here."""


def main() -> None:
    """Unpack the revision, live through its life, and write what is left of it."""
    with tempfile.TemporaryDirectory() as temporary:
        tree, folder = Path(temporary, "tree"), Path(temporary, "installation")
        for each in (tree, folder):
            each.mkdir()
        packed = Path(temporary, "tree.tar")
        git = shutil.which("git") or "git"
        command = [git, "archive", f"--output={packed}", sys.argv[1]]
        subprocess.run(command, cwd=CHECKOUT, check=True)
        shutil.unpack_archive(packed, tree, filter="data")
        installation = Installation(tree, folder)
        installation.write_fingerprints()
        installation.live()
        installation.write()
        installation.write_tables()


class Installation:
    """A folder in which a worker of another revision runs."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._tree, self._folder = tree, folder
        self._ledger = folder / "demo-ledger.db"
        self._state = folder / "reconciler-state.db"
        config = (tree / "config.toml").read_text() + FURTHER
        (folder / "config.toml").write_text(config)
        (folder / LOG).write_text("".join(_log_lines()))

    def _python(self, code: str, *arguments: object, **environment: str) -> list[str]:
        """A command that runs Python with the revision's packages."""
        given = [f"{name}={value}" for name, value in environment.items()]
        python = ["env", f"PYTHONPATH={self._tree}", *given, sys.executable, "-c", code]
        return [*python, *map(str, arguments)]

    def _reconciler(self, *arguments: object, **environment: str) -> list[str]:
        scripts = tomllib.loads((self._tree / "pyproject.toml").read_text())["project"]["scripts"]
        module, _, name = scripts["reconciler"].partition(":")
        return self._python(f"from {module} import {name}; {name}()", *arguments, **environment)

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=True)
        return done.stdout

    def write_fingerprints(self) -> None:
        """Ask the revision how it names the cursors of `every-key.toml`."""
        upgrade.write_files(self._folder)
        code = (
            "import sys, json, hashlib, pathlib; from worker.config import load;"
            "print(json.dumps({check.name: hashlib.sha256(check.cursor_owner.encode()).hexdigest()"
            " for check in load(pathlib.Path(sys.argv[1])).checks}, indent=0))"
        )
        FINGERPRINTS.write_text(self._run(self._python(code, EVERY_KEY)))

    def live(self) -> None:
        """Run the worker while the ledger goes wrong, and is partly repaired."""
        self._run(self._reconciler("demo", "--build-only"))
        (self._folder / LOG).write_text("".join(_log_lines()))
        self._change(LESS)
        sound = self._folder / "sound.db"
        _copy(self._ledger, sound)
        worker = self._start()
        self._wait_for("every check has run", EVERY_CHECK_HAS_RUN)
        self._change(REPAIRED)
        self._wait_for_checks("confirmed", REPAIRED_CHECKS)
        _copy(sound, self._ledger)
        self._wait_for_checks("resolved", REPAIRED_CHECKS)
        self._change(LASTING)
        self._wait_for_checks("confirmed", LASTING_CHECKS)
        (known,) = self._ask("SELECT id FROM findings WHERE check_name = ?", ACKNOWLEDGED)
        self._run(
            self._reconciler("findings", "ack", known, "--reason", "ticket 7", "--author", "ann")
        )
        ended = "SELECT count(*) = 1 FROM alerts WHERE check_name = ? AND ends_at IS NOT NULL"
        self._wait_for("its alert has ended", ended, ACKNOWLEDGED)
        worker.terminate()
        exit_code(worker, 20)

    def write(self) -> None:
        """Write ledger, log, configuration and state into this folder."""
        with closing(sqlite3.connect(self._state)) as state, state:
            state.execute(
                "DELETE FROM runs WHERE id NOT IN (SELECT id FROM (SELECT id, row_number() OVER"
                " (PARTITION BY check_name ORDER BY id DESC) AS age FROM runs) WHERE age <= ?)",
                (RUNS_KEPT,),
            )
            state.execute("UPDATE leases SET holder = 'another', place = 'elsewhere'")
        for name, database in (("ledger.sql", self._ledger), ("state.sql", self._state)):
            with closing(sqlite3.connect(database)) as source:
                (FOLDER / name).write_text("\n".join(source.iterdump()) + "\n")
        for name, file in (("config.toml", "config.toml"), ("access.jsonl", LOG)):
            (FOLDER / name).write_text((self._folder / file).read_text())

    def write_tables(self) -> None:
        """Write the tables that the worker makes of its state on MariaDB."""
        farm = Farm()
        try:
            server = farm.start("mariadb")
            name = server.create_database()
            url = server.url(name).render_as_string(hide_password=False)
            worker = self._start(RECONCILER_STATE__URL=url)
            with closing(server.admin(name)) as connection, connection.cursor() as cursor:
                wait_until(lambda: _is_prepared(cursor), 60, "the tables are there")
                worker.terminate()
                exit_code(worker, 20)
                (FOLDER / "tables.mariadb.sql").write_text("".join(_created(cursor)))
        finally:
            farm.close()

    def _start(self, **environment: str) -> "subprocess.Popen[bytes]":
        command = self._reconciler("run", **upgrade.QUICKLY, **environment)
        with (self._folder / "log").open("wb") as log:
            return subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)

    def _change(self, script: str) -> None:
        with closing(sqlite3.connect(self._ledger, timeout=20)) as ledger:
            ledger.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")

    def _ask(self, question: str, *values: object) -> list[Any]:
        """The first column of the answer of the state; nothing while there is no state."""
        try:
            with closing(sqlite3.connect(self._state, timeout=20)) as state:
                return [row[0] for row in state.execute(question, values)]
        except sqlite3.OperationalError:
            return []

    def _wait_for(self, what: str, question: str, *values: object) -> None:
        wait_until(lambda: self._ask(question, *values) == [1], 120, what)

    def _wait_for_checks(self, state: str, checks: set[str]) -> None:
        question = "SELECT check_name FROM findings WHERE state = ?"
        what = f"{sorted(checks)} are {state}"
        wait_until(lambda: set(self._ask(question, state)) == checks, 120, what)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def _is_prepared(cursor: Any) -> bool:
    cursor.execute("SHOW TABLES LIKE 'schema_version'")
    return bool(cursor.fetchall()) and bool(cursor.execute("SELECT version FROM schema_version"))


def _created(cursor: Any) -> Iterator[str]:
    cursor.execute("SHOW TABLES")
    for (table,) in cursor.fetchall():
        cursor.execute(f"SHOW CREATE TABLE {table}")
        yield f"{cursor.fetchone()[1]};\n"


def _log_lines() -> Iterator[str]:
    """Requests of the last minutes, a few of which conflict."""
    now = datetime.now(UTC)
    for number in range(12):
        conflicts = number == 3
        line = {
            "time": (now - timedelta(seconds=60 - number)).isoformat(timespec="milliseconds"),
            "method": "POST",
            "path": "/api/v4/exchange",
            "status": 409 if conflicts else 200,
            "code": "REQUEST_PROCESSING" if conflicts else None,
            "idempotency_key": f"exchange_{number:08}",
            "client": f"client-{number % 3}",
        }
        yield json.dumps(line) + "\n"


if __name__ == "__main__":
    main()
