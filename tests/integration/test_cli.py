"""The command line: tables for people, JSON for programs, exit codes for both."""

import json
import re
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner, Result

from tests.support import SHIPPED
from tests.support.alertmanager import alertmanager
from tests.support.servers import Database, load_schema
from tests.support.snapshots import Sql, Text
from worker import config
from worker.cli.main import app
from worker.demo import ledger as demo
from worker.scheduling.execute import execute
from worker.sources import Sources
from worker.state import State
from worker.state.read_scope import everything

FIELDS = {
    *(
        "name",
        "kind",
        "source",
        "database",
        "table",
        "severity",
        "outcome",
        "scope",
        "seconds",
        "error",
        "permanent",
    ),
    *("examined", "estimated", "excluded", "leaves_out"),
    *("violations", "measures", "notes", "findings"),
}


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo ledger in the working directory, and the shipped configuration beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo-access.log").touch()
    (tmp_path / "config.toml").write_text(SHIPPED.read_text(encoding="utf-8"), encoding="utf-8")
    path = tmp_path / "demo-ledger.db"
    demo.build(path)
    return path


def reconciler(*arguments: str) -> Result:
    """Run the command line with these arguments."""
    return CliRunner().invoke(app, arguments)


def test_version() -> None:
    """`--version` tells what is installed."""
    assert reconciler("--version").stdout == f"reconciler {version('reconciler')}\n"


def without_seconds(output: str) -> str:
    """What was printed, but for how long it took."""
    return re.sub(r"\d+\.\d{3}\b", "#.###", output)


def corrupt(path: Path, *statements: str) -> None:
    """Change the demo ledger behind the application's back."""
    with closing(sqlite3.connect(path)) as raw, raw:
        for statement in statements:
            raw.execute(statement)
    raw.close()


def checked(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the object that `check --format json` gives."""
    result = reconciler("check", *arguments, "--format", "json")
    answer: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, answer


def test_sql_is_shown_without_a_database(ledger: Path, snapshot: SnapshotAssertion) -> None:
    """`--show-sql` prints a script of what a run executes and what to look with; it runs none."""
    ledger.unlink()
    name = "account_asset_balances.non_negative"
    result = reconciler("check", name, "lottery_draws.duplicates.*", "--show-sql")
    assert result.exit_code == 0
    assert result.stdout == snapshot(extension_class=Sql)
    assert [len(sqlglot.parse(each, read="mysql")) for each in result.stdout.split("\n\n")] == [
        3,
        1,
    ]
    assert reconciler("check", name, "--show-sql", "--format", "json").exit_code == 2


@pytest.mark.usefixtures("ledger")
def test_a_sound_ledger_passes() -> None:
    """On the demo ledger every check passes, the counts are the audit's, and the code is 0."""
    code, answer = checked("--complete")
    assert (code, answer["outcome"]) == (0, "pass")
    assert {each["outcome"] for each in answer["checks"]} == {"pass"}
    rows = {
        each["table"]: each["examined"] for each in answer["checks"] if each["kind"] == "row_count"
    }
    assert rows["asset_transactions"] == 252
    assert rows["item_instances"] == 163
    assert len(rows) == 12


def test_a_violation_is_named_with_its_rows(ledger: Path) -> None:
    """A duplicate under a dropped index fails just the two checks on it, and names both rows."""
    corrupt(
        ledger,
        "DROP INDEX uk_idempotency_key",
        "UPDATE asset_transactions SET idempotency_key ="
        " (SELECT idempotency_key FROM asset_transactions WHERE transaction_id = 1)"
        " WHERE transaction_id = 2",
    )
    code, answer = checked()
    assert (code, answer["outcome"]) == (1, "fail")
    failed = {each["name"]: each for each in answer["checks"] if each["outcome"] != "pass"}
    assert sorted(failed) == [
        "asset_transactions.duplicates.idempotency_key",
        "asset_transactions.unique_index.idempotency_key",
    ]
    duplicate = failed["asset_transactions.duplicates.idempotency_key"]
    assert duplicate["violations"] == 1
    assert duplicate["findings"][0]["evidence"] == {"rows": 2, "row_ids": [1, 2]}
    assert set(duplicate) == FIELDS


def test_a_missing_table_is_an_error_of_the_checks_that_need_it(ledger: Path) -> None:
    """Checks on a table that is gone could not tell; the violation is that it is gone."""
    corrupt(ledger, "DROP TABLE trade_orders")
    code, answer = checked("trade_orders.*")
    assert code == 1
    outcomes = {each["name"]: each["outcome"] for each in answer["checks"]}
    assert outcomes.pop("trade_orders.tables") == "fail"
    assert set(outcomes.values()) == {"error"}
    assert all(
        "table trade_orders does not exist" in each["error"]
        for each in answer["checks"]
        if each["outcome"] == "error"
    )


def test_could_not_tell_is_code_3(ledger: Path) -> None:
    """A database that cannot be read gives errors, not passes, and exit code 3."""
    ledger.unlink()
    code, answer = checked()
    assert (code, answer["outcome"]) == (3, "error")
    of_ledger = [each for each in answer["checks"] if each["source"] == "ledger"]
    assert {each["outcome"] for each in of_ledger} == {"error"}
    assert {each["violations"] for each in of_ledger} == {None}


@pytest.mark.usefixtures("ledger")
def test_an_unknown_check_names_the_nearest() -> None:
    """A name that no check has is wrong usage, with a suggestion."""
    result = reconciler("check", "asset_transactions.row_cuont")
    assert result.exit_code == 2
    assert "the nearest existing name is asset_transactions.row_count" in result.stderr


@pytest.mark.usefixtures("ledger")
def test_checks_are_chosen_by_pattern() -> None:
    """Names and patterns choose checks, in the order of the configuration."""
    _, answer = checked("accounts.*", "points_transactions.tables")
    names = [each["name"] for each in answer["checks"]]
    assert names[0] == "accounts.tables"
    assert names[-1] == "points_transactions.tables"
    assert len(names) == 8


def test_the_table_is_for_people(ledger: Path, snapshot: SnapshotAssertion) -> None:
    """The table shows outcomes, and below it each finding with its evidence and each note."""
    corrupt(ledger, "UPDATE account_asset_balances SET frozen_amount = -5 WHERE balance_id = 3")
    result = reconciler(
        *("check", "account_asset_balances.non_negative", "exchange_records.unique_index.*")
    )
    assert result.exit_code == 1
    assert without_seconds(result.stdout) == snapshot(extension_class=Text)


@pytest.mark.usefixtures("ledger")
def test_a_broken_configuration_is_code_2(tmp_path: Path) -> None:
    """Every command refuses a configuration with mistakes and lists them."""
    (tmp_path / "config.toml").write_text("colour = 1\n")
    for command in (["check"], ["run"], ["config", "check"], ["report"], ["demo"]):
        result = reconciler(*command)
        assert result.exit_code == 2, command
        assert "colour: unknown key" in result.stderr
        assert "Traceback" not in result.output


@pytest.mark.usefixtures("ledger")
def test_config_check_says_how_much_it_read() -> None:
    """A configuration without mistakes is confirmed by its counts, with --connect too."""
    current = config.load()
    counts = f"{len(current.checks)} checks on {len(current.settings.tables)} tables"
    for arguments in (["config", "check"], ["config", "check", "--connect"]):
        result = reconciler(*arguments)
        assert result.exit_code == 0
        assert result.stdout == f"{counts}: no mistake found\n"


@pytest.mark.usefixtures("ledger")
def test_config_check_warns_of_what_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    """A valid line that easily means something else is named, and is no mistake."""
    monkeypatch.setenv("RECONCILER_SCHEDULE__COMPLETE", "0 3 1 * mon")
    result = reconciler("config", "check")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: schedule.complete: 0 3 1 * mon is due on each")


def test_a_renamed_column_is_found_with_its_new_name(
    ledger_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the application renamed a column and a table, --connect names old and new."""
    load_schema(ledger_database.server, ledger_database.name)
    url = ledger_database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("RECONCILER_DATABASES__LEDGER__URL", url)
    with ledger_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE lottery_draws RENAME COLUMN asset_transaction_id TO ledger_transaction_id"
        )
        cursor.execute("RENAME TABLE redemption_orders TO redemption_orders_v2")
        cursor.execute("ALTER TABLE item_instances RENAME COLUMN locks TO item_locks")
    result = reconciler("config", "check", "--connect", "--config", str(SHIPPED))
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        (
            "tables.item_instances: table item_instances has no column locks;"
            " the nearest existing name is item_locks"
        ),
        (
            "tables.redemption_orders: the database has no table redemption_orders;"
            " the nearest existing name is redemption_orders_v2"
        ),
        (
            "tables.lottery_draws: table lottery_draws has no column asset_transaction_id;"
            " the nearest existing name is ledger_transaction_id"
        ),
        (
            "checks[0] item_instances.locked_with_locks: table item_instances has no column locks;"
            " the nearest existing name is item_locks"
        ),
        (
            "checks[13] lottery_draws.asset_transaction_id:"
            " table lottery_draws has no column asset_transaction_id;"
            " the nearest existing name is ledger_transaction_id"
        ),
        (
            "checks[23] redemption_orders.item_is_held: the database has no table"
            " redemption_orders; the nearest existing name is redemption_orders_v2"
        ),
    ]


def test_an_alertmanager_that_is_none_is_an_error(ledger: Path) -> None:
    """--connect asks it who it is: wrong URLs are told by name, one that is away is code 3."""
    config = ledger.parent / "config.toml"
    shipped = config.read_text(encoding="utf-8")
    alerts = '[alertmanagers.main]\nurl = "{}"\n[alerts]\npush = ["critical"]\n'
    with alertmanager() as server:
        right = shipped + alerts.format(server.url)
        config.write_text(right, encoding="utf-8")
        assert reconciler("config", "check", "--connect").exit_code == 0
        config.write_text(right.replace(server.url, f"{server.url}/behind"), encoding="utf-8")
        result = reconciler("config", "check", "--connect")
        assert result.exit_code == 2
        said = " ".join(result.stderr.split())
        assert "alertmanagers.main.url: answered with status 404: no Alertmanager answers" in said
        config.write_text(right.replace(server.url, f"{server.url}/api/v2/alerts"), "utf-8")
        result = reconciler("config", "check")
        assert result.exit_code == 2
        assert 'the URL ends before /api/: leave out "/api/v2/alerts"' in result.stderr
    config.write_text(right, encoding="utf-8")
    result = reconciler("config", "check", "--connect")
    assert result.exit_code == 3
    assert "alertmanagers.main: cannot be reached" in result.stderr


def test_connecting_to_nothing_is_code_3(ledger: Path) -> None:
    """When the schema cannot be read, `config check --connect` could not tell."""
    ledger.unlink()
    result = reconciler("config", "check", "--connect")
    assert result.exit_code == 3
    assert "demo-ledger.db cannot be opened" in result.stderr


def test_the_demo_is_built_once(ledger: Path) -> None:
    """`demo` builds a ledger where none is, keeps one that is, and replaces it with --fresh."""
    ledger.unlink()
    assert reconciler("demo", "--build-only").exit_code == 0
    corrupt(ledger, "DELETE FROM lottery_draws")
    reconciler("demo", "--build-only")
    assert checked("lottery_draws.row_count")[1]["checks"][0]["examined"] == 0
    reconciler("demo", "--build-only", "--fresh")
    assert checked("lottery_draws.row_count")[1]["checks"][0]["examined"] == 1


def test_the_demo_brings_its_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder `demo` writes the shipped configuration, by which other commands work."""
    monkeypatch.chdir(tmp_path)
    made = reconciler("demo", "--build-only")
    assert (made.exit_code, made.stderr.splitlines()[0]) == (
        0,
        "Wrote config.toml, the shipped configuration",
    )
    assert (tmp_path / "config.toml").read_bytes() == SHIPPED.read_bytes()
    assert checked("accounts.*")[0] == 0


@pytest.mark.parametrize("named_by", ["folder", "option", "environment"])
def test_the_demo_takes_the_configuration_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    """A configuration in the folder or named elsewhere is used as it is, and none is written."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / ("config.toml" if named_by == "folder" else "own.toml")
    own.write_text(SHIPPED.read_text().replace("demo-ledger.db", "own.db"))
    before = own.read_bytes()
    if named_by == "environment":
        monkeypatch.setenv("RECONCILER_CONFIG", str(own))
    options = ("--config", str(own)) if named_by == "option" else ()
    assert reconciler("demo", "--build-only", *options).exit_code == 0
    assert own.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [own.name, "demo-access.log", "own.db"]
    )


def test_the_demo_explains_why_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the configuration cannot be written, `demo` ends with code 2 and the reason."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = reconciler("demo", "--build-only")
    assert (result.exit_code, result.stderr) == (
        2,
        "reconciler: cannot write config.toml: No such file or directory\n",
    )


@pytest.mark.usefixtures("ledger")
def test_the_demo_never_touches_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a configuration that names a server, `demo` refuses."""
    monkeypatch.setenv("RECONCILER_DATABASES__LEDGER__URL", "mysql://auditor@127.0.0.1/ledger")
    result = reconciler("demo", "--build-only")
    assert result.exit_code == 2
    assert "the demo needs a SQLite URL" in result.stderr


FROZEN = "account_asset_balances.non_negative"


def test_the_table_lists_no_more_than_a_screenful(ledger: Path) -> None:
    """People see twenty findings of a check and how many more there are; programs see them all."""
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)"
    corrupt(
        ledger,
        "CREATE TABLE dirty AS SELECT * FROM account_asset_balances LIMIT 1",
        f"{many} INSERT INTO dirty SELECT d.* FROM dirty d, n",
        "UPDATE dirty SET frozen_amount = -1, balance_id = 1000 + rowid, asset_code = 'A' || rowid",
        "INSERT INTO account_asset_balances SELECT * FROM dirty",
    )
    table = reconciler("check", FROZEN).stdout
    assert table.count("negative frozen_amount") == 20
    assert "… and 11 more" in table
    _, answer = checked(FROZEN)
    assert len(answer["checks"][0]["findings"]) == 31


@pytest.mark.usefixtures("ledger")
def test_check_makes_no_state(tmp_path: Path) -> None:
    """`check` keeps nothing: without a state it reads everything, and leaves no file."""
    before = sorted(path.name for path in tmp_path.iterdir())
    _, answer = checked()
    assert {each["scope"] for each in answer["checks"]} == {"complete"}
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.usefixtures("ledger")
def test_check_reads_as_the_next_run_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a state, `check` reads from the stored cursor; with --complete it reads everything."""
    monkeypatch.setenv("RECONCILER_SCHEDULE__OVERLAP_ROWS", "1")  # the demo is small
    current, name = config.load(), "lottery_draws.lottery_session_id"
    (check,) = [each for each in current.checks if each.name == name]
    sources, state = Sources.of(current.settings), State(current.settings.state)
    run = execute(check, sources, everything(current.settings))
    assert run.result is not None
    assert run.result.cursor is not None
    state.record(run)
    sources.close()
    stored = state.window(check, everything(current.settings))
    for arguments, scope in (((), "incremental"), (("--complete",), "complete")):
        _, answer = checked(name, *arguments)
        assert answer["checks"][0]["scope"] == scope
    assert state.window(check, everything(current.settings)) == stored
    state.close()


@pytest.mark.usefixtures("ledger")
def test_check_reads_everything_when_the_state_cannot_be_read(tmp_path: Path) -> None:
    """A state that is damaged is left as it is, said, and costs nothing but time."""
    (tmp_path / "reconciler-state.db").write_bytes(b"no database" * 1000)
    result = reconciler("check", FROZEN)
    assert result.exit_code == 0
    assert "the state cannot be read (file is not a database)" in result.stderr
    assert (tmp_path / "reconciler-state.db").read_bytes() == b"no database" * 1000
