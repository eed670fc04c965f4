"""`reconciler explain --connect` as people call it: on the demo ledger and on servers."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner, Result

from checks.contract import EVERYTHING
from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.ledgers import check, sources_of
from tests.support.servers import Database
from tests.support.snapshots import Text
from worker.cli.main import app
from worker.demo import ledger as demo
from worker.demo.faults import FAULTS, inject
from worker.explain import record
from worker.model.run import Outcome


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo ledger in the working directory, where the shipped configuration looks for it."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "demo-ledger.db"
    demo.build(path)
    return path


def explain(*arguments: str) -> Result:
    """Run `explain --connect` with these arguments."""
    return CliRunner().invoke(
        app, ["explain", "--connect", *arguments, "--config", str(SHIPPED)], env=quiet()
    )


def explained(*arguments: str) -> list[dict[str, Any]]:
    """The same as programs read it."""
    checks: list[dict[str, Any]] = json.loads(explain(*arguments, "--format", "json").stdout)[
        "checks"
    ]
    return checks


@pytest.mark.usefixtures("ledger")
def test_a_person_reads_statements_with_their_plans(snapshot: SnapshotAssertion) -> None:
    """Each statement of the run, what it reads in full, and a table where there are several."""
    result = explain("accounts.tables", "accounts.duplicates.user_id", "accounts.row_count")
    assert result.exit_code == 0
    text = re.sub(r"\d\.\d{3}", "#.###", result.stdout)
    text = re.sub(r"the slowest is statement \d", "the slowest is statement #", text)
    assert text == snapshot(extension_class=Text)


@pytest.mark.usefixtures("ledger")
def test_programs_read_every_statement() -> None:
    """JSON has the statements on the catalog, too, and what the database answered to EXPLAIN."""
    (found,) = explained("account_asset_balances.non_negative")
    (run,) = found["runs"]
    assert (run["scope"], run["outcome"], run["violations"]) == ("complete", "pass", 0)
    assert [each["reads_rows"] for each in run["statements"]].count(False) > 0
    counting = next(each for each in run["statements"] if each["reads_rows"])
    assert "available_amount < 0" in counting["sql"]
    assert counting["explain"][0]["detail"] == "SCAN account_asset_balances"
    assert run["full_scans"][0]["table"] == "account_asset_balances"


KEYLESS = """
[databases.ledger]
url = "sqlite:///{path}"
[tables.accounts]
non_negative = ["account_id"]
"""


def test_what_is_taken_from_the_catalog_is_shown(ledger: Path, tmp_path: Path) -> None:
    """People and programs read which primary key a run took, where none is stated."""
    path = tmp_path / "config.toml"
    path.write_text(KEYLESS.format(path=ledger))
    asked = ["explain", "--connect", "accounts.non_negative", "--config", str(path)]
    shown = CliRunner().invoke(app, asked, env=quiet())
    assert "taken from the catalog: primary_key = account_id" in " ".join(shown.stdout.split())
    told = json.loads(CliRunner().invoke(app, [*asked, "--format", "json"], env=quiet()).stdout)
    assert told["checks"][0]["runs"][0]["taken"] == {"primary_key": ["account_id"]}


def test_what_reads_no_database_is_described_only(ledger: Path) -> None:
    """A log is not read: its check would begin at the beginning."""
    ledger.unlink()
    (found,) = explained("app.conflict_rate")
    assert (found["runs"], found["inspection_query"]) == (None, None)


def test_a_run_that_cannot_be_evaluated_is_code_3(ledger: Path) -> None:
    """Where a database cannot be read the error is shown, and violations are no error."""
    inject(ledger, next(each for each in FAULTS if each.kind == "non_negative"))
    assert explain("account_asset_balances.non_negative").exit_code == 0
    ledger.unlink()
    result = explain("accounts.row_count")
    assert result.exit_code == 3
    assert "could not be evaluated: database ledger: file" in " ".join(result.stdout.split())


def test_no_value_of_a_row_is_shown_of_any_kind(ledger: Path) -> None:
    """With the faults of the demo in it, no text of its rows is in what is shown of the runs."""
    for fault in FAULTS:
        if fault.kind != "row_count":  # there has to be something that could be shown
            inject(ledger, fault)
    checks = explained("*")
    failed = [each["name"] for each in checks if each["runs"] and each["runs"][0]["violations"]]
    assert len(failed) > 10
    values = _long_texts(ledger)
    assert len(values) > 100
    for each in checks:
        for run in each["runs"] or ():
            assert run["outcome"] != Outcome.ERROR, each["name"]
            for statement in run["statements"]:
                assert not [v for v in values if v in statement["sql"]], each["name"]


def _long_texts(path: Path) -> set[str]:
    """Texts with a digit in them, as keys of rows have, and names of states have not.

    Not times: one of a row that was just written may well be the moment from which rows are young.
    """
    found: set[str] = set()
    with closing(sqlite3.connect(path)) as raw:
        for (table,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
            for row in raw.execute(f"SELECT * FROM {table}"):
                found |= {v for v in row if isinstance(v, str) and len(v) > 8}
    return {each for each in found if any(map(str.isdigit, each)) and not _is_time(each)}


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def test_a_view_that_the_account_may_not_see_into(ledger_database: Database) -> None:
    """A server does not explain a view to everybody: the run goes on, and says so."""
    name = ledger_database.name[:30]
    with ledger_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        cursor.execute("CREATE VIEW v AS SELECT * FROM t")
        cursor.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'a'")
        cursor.execute(f"GRANT SELECT ON {ledger_database.name}.* TO '{name}'@'%'")
        url = ledger_database.server.url(ledger_database.name, user=name, password="a")
        try:
            with closing(sources_of(url)) as sources:
                (run,) = record(check("row_count", "v"), sources, EVERYTHING)
        finally:
            cursor.execute(f"DROP USER '{name}'@'%'")
    (statement,) = run.about_rows
    assert (run.run.outcome, statement.refusal) == (Outcome.PASS, "error 1345")
    assert statement.seconds is not None
