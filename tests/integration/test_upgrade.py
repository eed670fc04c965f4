"""An installation of an earlier version goes on under this one as if nothing had happened.

What that version left is in `upgrade/`. What a test here finds lost, every installation would lose.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Double,
    Engine,
    MetaData,
    create_engine,
    insert,
    select,
    text,
    update,
)

from tests.integration import upgrade
from tests.support.patience import wait_until
from tests.support.servers import Server
from tests.support.workers import Worker
from worker.config import load
from worker.model.finding import FindingState

Row = Mapping[str, Any]

SECONDS = 120
"""More than the worker needs to run every check a few times."""


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the earlier version's worker, as this one finds it."""
    (tmp_path / "config.toml").write_text((upgrade.FOLDER / "config.toml").read_text())
    (tmp_path / upgrade.LOG).write_text((upgrade.FOLDER / "access.jsonl").read_text())
    _load(tmp_path / "demo-ledger.db", "ledger.sql")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["sqlite", "mariadb"])
def state(request: pytest.FixtureRequest, installation: Path, tmp_path: Path) -> Iterator[Engine]:
    """What the earlier version kept, in a file and in a database on a server.

    All moments are as long ago as they were when its worker had just ended.
    """
    file = create_engine(f"sqlite:///{tmp_path}/reconciler-state.db")
    _load(tmp_path / "reconciler-state.db", "state.sql")
    with file.begin() as connection:
        _make_it_now(connection)
        _know_the_log(connection, installation / upgrade.LOG)
    if request.param == "sqlite":
        yield file
        file.dispose()
        return
    server: Server = request.getfixturevalue("mariadb")
    name = server.create_database()
    on_server = create_engine(server.url(name))
    with file.connect() as source, on_server.begin() as target:
        for statement in (upgrade.FOLDER / "tables.mariadb.sql").read_text().split(";\n"):
            if statement:
                target.execute(text(statement))
        for table in _tables(target).sorted_tables:
            if rows := [dict(row) for row in source.execute(select(table)).mappings()]:
                target.execute(insert(table), rows)
    file.dispose()
    (tmp_path / "reconciler-state.db").unlink()
    yield on_server
    on_server.dispose()
    server.drop_database(name)


def _load(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript((upgrade.FOLDER / name).read_text())


def _tables(connection: Connection) -> MetaData:
    tables = MetaData()
    tables.reflect(connection)
    return tables


def _make_it_now(connection: Connection) -> None:
    ended = connection.scalar(text("SELECT max(started_at + seconds) FROM runs")) or 0.0
    for table in _tables(connection).sorted_tables:
        moments = [c for c in table.c if isinstance(c.type, Double) and c.name != "seconds"]
        if moments and table.name != "leases":
            connection.execute(
                update(table).values({c: c + (time.time() - ended) for c in moments})
            )


def _know_the_log(connection: Connection, path: Path) -> None:
    """The log is another file now; the place in it is told by its inode."""
    cursors = _tables(connection).tables["cursors"]
    is_log = cursors.c.check_name == FOLLOWING
    cursor = json.loads(connection.scalar(select(cursors.c.cursor).where(is_log)) or "")
    file = path.stat()
    cursor["place"]["identity"] = [file.st_dev, file.st_ino]
    connection.execute(update(cursors).where(is_log).values(cursor=json.dumps(cursor)))


def rows(state: Engine, name: str) -> dict[Any, Row]:
    """A whole table by its primary key."""
    with state.connect() as connection:
        table = _tables(connection).tables[name]
        (key,) = table.primary_key.columns
        found = connection.execute(select(table).order_by(key)).mappings()
        return {row[key.name]: dict(row) for row in found}


@pytest.fixture
def run(installation: Path, state: Engine) -> Iterator[Callable[[], Worker]]:
    """`run()` lets this version's worker run every check again, and ends it."""
    started: list[Worker] = []

    def run() -> Worker:
        url = state.url.render_as_string(hide_password=False)
        environment = {**upgrade.QUICKLY, "RECONCILER_STATE__URL": url}
        before = {key: row["times_seen"] for key, row in rows(state, "findings").items()}
        config = (installation / "config.toml").read_text()
        worker = Worker(installation, config, environment=environment)
        started.append(worker)
        wait_until(lambda: worker.get("/readyz").status_code == 200, SECONDS, "every check has run")

        def is_seen_again() -> bool:
            found = rows(state, "findings")
            return all(
                row["times_seen"] > before.get(key, 0)
                for key, row in found.items()
                if row["state"] != FindingState.RESOLVED
            )

        wait_until(is_seen_again, SECONDS, "all findings are seen again")
        worker.end()
        return worker

    yield run
    for each in started:
        each.process.kill()
        each.process.wait()


FINDING = (
    *("id", "check_name", "state", "key", "first_seen", "confirmed_at", "resolved_at", "magnitude"),
    *("ack_author", "ack_reason", "acked_at", "ack_until", "acked_magnitude", "acked_aspects"),
)
"""What a later version has no reason to change of a finding."""

ALERT = ("id", "check_name", "alertmanager", "labels", "starts_at", "ends_at", "taken_at")
"""What a later version has no reason to change of an alert: its texts may be better."""

TOLD = ("finding_opened", "finding_confirmed", "finding_resolved", "findings_forgotten")
"""Events that nobody is to hear because of an upgrade."""

FOLLOWING = "app.conflict_rate"
"""The check that follows a log, and counts in its cursor what it has read."""


def kept(row: Row, names: Iterable[str]) -> dict[str, Any]:
    """The part of a row that stays."""
    return {name: row[name] for name in names}


def requests(cursor: Row) -> list[Any]:
    """All requests that were ever read, by route."""
    totals: list[Any] = json.loads(cursor["cursor"])["tally"]["totals"]
    return totals


@pytest.mark.slow
def test_findings_alerts_and_cursors_are_kept(state: Engine, run: Callable[[], Worker]) -> None:
    """Findings keep their age, state and acknowledgement, alerts go on, nothing is read anew.

    And nobody hears of anything that was known before.
    """
    tables = ("findings", "finding_events", "alerts", "cursors", "runs", "secrets")
    before = {table: rows(state, table) for table in tables}
    worker = run()
    after = {table: rows(state, table) for table in tables}

    assert [kept(row, FINDING) for row in after["findings"].values()] == [
        kept(row, FINDING) for row in before["findings"].values()
    ]
    assert {row["state"] for row in after["findings"].values()} == {*FindingState}
    assert after["finding_events"] == before["finding_events"]
    assert [line for line in worker.lines if line["event"] in TOLD] == []

    assert [kept(row, ALERT) for row in after["alerts"].values()] == [
        kept(row, ALERT) for row in before["alerts"].values()
    ]
    assert {row["ends_at"] is None for row in after["alerts"].values()} == {True, False}

    new = [row for key, row in after["runs"].items() if key not in before["runs"]]
    assert {row["outcome"] for row in new} <= {"pass", "fail", "skipped"}
    assert {row["check_name"] for row in new} == {*before["cursors"]}
    reading_on = {name for name, row in before["cursors"].items() if row["incremental_at"]}
    scopes = {(row["check_name"], row["scope"]) for row in new if row["check_name"] in reading_on}
    assert scopes == {(name, "incremental") for name in reading_on} != set()
    assert requests(after["cursors"][FOLLOWING]) == requests(before["cursors"][FOLLOWING]) != []
    assert after["secrets"] == before["secrets"]


def test_every_key_is_accepted_and_every_cursor_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration with every key of then means the same checks, and their cursors are valid.

    A cursor belongs to the hash of a check's fields: one that is added, renamed or moved makes
    every installation read everything again.
    """
    monkeypatch.chdir(tmp_path)
    upgrade.write_files(tmp_path)
    checks = load(upgrade.EVERY_KEY, {}).checks
    now = {check.name: hashlib.sha256(check.cursor_owner.encode()).hexdigest() for check in checks}
    assert now == json.loads(upgrade.FINGERPRINTS.read_text())
