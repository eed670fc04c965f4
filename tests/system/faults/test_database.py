"""What happens to a database itself: out of connections, read-only, an older copy in its place.

A frozen and a crashed server are in `tests/test_worker.py`.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from tests.support.patience import patience, slowness, wait_until
from tests.support.servers import Database, Farm, Flavour, Server
from tests.support.workers import Worker
from tests.system.endurance.audit import Audit, Life
from tests.system.endurance.books import open_books
from tests.system.endurance.traffic import Traffic, write_history
from tests.system.faults.ledgers import (
    ERROR_WITHIN,
    HEAD,
    INTERVAL,
    LONG,
    RECOVERS_WITHIN,
    SLACK,
    TIME_LIMIT,
    do,
    locked,
    outcome,
    patient,
    prepare,
    reading,
    running,
    section,
)

CONNECTIONS = 12
VICTIMS = ("victim.rows", "victim.keys")
COUNTED = """
[[checks]]
name = "victim.{table}"
kind = "row_count"
table = "{table}"
database = "victim"
"""
ALTER = "ALTER TABLE altered ADD later int"
LIMITS = {"mariadb": "max_statement_time", "mysql": "max_execution_time"}
LONGEST_QUERY = (
    "SELECT COALESCE(MAX(time), 0) FROM information_schema.processlist"
    " WHERE user = 'auditor' AND command = 'Query'"
)
WORKERS_THREADS = "SELECT id FROM information_schema.processlist WHERE user = 'auditor'"


@dataclass
class Scene:
    """A server that tests maltreat, a database of it, and the worker that audits both."""

    server: Server
    database: Database
    worker: Worker

    def says(self, rows: str, keys: str) -> bool:
        """Whether the latest runs of the victim's checks had these outcomes."""
        return (outcome(self.worker, "victim.rows"), outcome(self.worker, "victim.keys")) == (
            rows,
            keys,
        )

    def answers(self, *checks: str) -> int:
        """How many runs of some checks have answered."""
        return sum(
            run["check"] in checks and run["outcome"] in ("pass", "fail")
            for run in self.worker.events("check_run")
        )


@pytest.fixture(scope="module")
def scene(
    flavour: Flavour, mariadb: Server, server_farm: Farm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A victim on each flavour, a healthy database beside it, and one worker for both."""
    folder = tmp_path_factory.mktemp("database")
    server = server_farm.start(flavour, f"--max-connections={CONNECTIONS}")
    victim, healthy = prepare(server, folder), prepare(mariadb, folder)
    config = [
        HEAD,
        patient(section(healthy, "healthy")),
        patient(section(victim, "victim"), limit=f"{TIME_LIMIT:g}s"),
    ]
    for table in ("other", "altered"):
        do(victim, f"CREATE TABLE {table} (id int PRIMARY KEY)")
        config.append(COUNTED.format(table=table))
    with running(folder, "\n".join(config)) as worker:
        made = Scene(server, victim, worker)
        wait_until(lambda: made.says("pass", "fail"), 20, "all is as usual")
        yield made
    mariadb.drop_database(healthy.name)
    server_farm.discard(server)


def test_out_of_connections(scene: Scene) -> None:
    """Where others hold every connection the checks say so, and go on once there is room."""
    do(scene.database, "CREATE USER IF NOT EXISTS hoarder@'%'")
    before = len(scene.worker.events("check_run"))
    with ExitStack() as held:

        def both_are_out() -> bool:
            # Root has a connection to spare. The worker's are had by others as soon as it loses
            # them, unless it is quicker.
            with suppress(pymysql.OperationalError):  # the server has not yet closed root's last
                for (thread,) in do(scene.database, WORKERS_THREADS):
                    _kill(scene.database, thread)
            _hoard(scene, held)
            return scene.says("error", "error")

        wait_until(both_are_out, ERROR_WITHIN, "both say error")
        errors = [each.get("error", "") for each in scene.worker.events("check_run")[before:]]
        assert any("Too many connections" in each for each in errors)
    wait_until(lambda: scene.says("pass", "fail"), RECOVERS_WITHIN, "both answer again")
    assert scene.worker.events("finding_resolved") == []


def _hoard(scene: Scene, held: ExitStack) -> None:
    """Connect until there is no connection left, and a while longer."""
    url, full = scene.server.url(user="hoarder"), 0
    while full < 20:
        try:
            connection = pymysql.connect(
                host=url.host,
                port=url.port or 0,
                user="hoarder",
                connect_timeout=patience(10),
                ssl_disabled=True,
            )
        except pymysql.OperationalError:
            full += 1
        else:
            held.enter_context(closing(connection))


def _kill(database: Database, thread: int) -> None:
    with suppress(pymysql.OperationalError):  # gone by itself
        do(database, f"KILL {thread}")


def test_read_only(scene: Scene) -> None:
    """A server that takes no more writes is audited as before."""
    do(scene.database, "SET GLOBAL read_only = 1")
    try:
        before = scene.answers(*VICTIMS)
        wait_until(lambda: scene.answers(*VICTIMS) >= before + 4, 20, "both ran twice")
        assert scene.says("pass", "fail")
    finally:
        do(scene.database, "SET GLOBAL read_only = 0")


def test_tables_are_locked(scene: Scene) -> None:
    """Checks that wait for a lock end in time, on the server as well; others do not wait for it.

    One table is locked by another client. For the other an ALTER TABLE waits, because a transaction
    has read it; whoever reads it now waits behind that.
    """
    waiting = (*VICTIMS, "victim.altered")

    def all_say(*outcomes: str) -> bool:
        return [outcome(scene.worker, each) for each in waiting] == [*outcomes]

    wait_until(lambda: all_say("pass", "fail", "pass"), 20, "all is as usual")
    before = len(scene.worker.events("check_run"))
    with locked(scene.database, "t"), reading(scene.database, "altered"):
        alter = threading.Thread(target=do, args=[scene.database, ALTER])
        alter.start()
        wait_until(lambda: all_say("error", "error", "error"), ERROR_WITHIN, "all say error")
        since = scene.answers("victim.other"), scene.answers(*waiting)
        wait_until(lambda: scene.answers("victim.other") >= since[0] + 2, 20, "others go on")
        assert scene.answers(*waiting) == since[1]
        assert do(scene.database, LONGEST_QUERY)[0][0] <= TIME_LIMIT + 2 * slowness()
        assert len(do(scene.database, WORKERS_THREADS)) <= 3
    alter.join()
    soon = INTERVAL + (2.0 if LONG else SLACK)
    wait_until(lambda: all_say("pass", "fail", "pass"), soon, "all answer again")
    runs = scene.worker.events("check_run")[before:]
    assert {run["error"] for run in runs if run["outcome"] == "error"} == {
        f"database victim: stopped by the server: time limit ({LIMITS[scene.server.flavour]})"
    }
    assert {run["outcome"] for run in runs if run["check"] == "victim.other"} == {"pass"}
    assert scene.worker.events("finding_resolved") == []


def test_healthy_neighbour(scene: Scene) -> None:
    """Through all of it the other database was audited, without one error."""
    runs = [run for run in scene.worker.events("check_run") if run["check"].startswith("healthy.")]
    assert {run["outcome"] for run in runs} == {"pass", "fail"}


@pytest.mark.long_form
def test_an_older_copy(mariadb: Server, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A restored ledger, behind every cursor, makes no false finding and no error.

    What goes wrong in it afterwards is found.
    """
    database = Database(server=mariadb, name=mariadb.create_database())
    request.addfinalizer(lambda: mariadb.drop_database(database.name))
    open_books(database)
    write_history(database, "before the copy")
    copies = _copy(database)
    traffic = Traffic(database=database, writers=2, seed="after it")
    with traffic.running():
        wait_until(lambda: traffic.count.transactions > 30, 30, "business went on")
    audit = Audit(database, tmp_path)
    with audit.running() as life:
        wait_until(lambda: bool(life.events("worker_ready")), 60, "every check has run")
        _restore(database, copies)
        _two_rounds(audit, life)
        assert life.events("finding_opened", "finding_confirmed") == []
        do(
            database,
            "UPDATE asset_transactions SET balance_after = balance_after + 1, balance_before ="
            " balance_before + 1 ORDER BY transaction_id DESC LIMIT 1",
        )
        wait_until(lambda: bool(life.events("finding_confirmed")), 30, "it is found")
        assert [run for run in life.events("check_run") if run["outcome"] == "error"] == []
        assert life.events("library_message") == []


def _tables(database: Database) -> list[str]:
    return [name for (name,) in do(database, "SHOW TABLES") if not name.startswith("copy_of_")]


def _copy(database: Database) -> list[str]:
    names = _tables(database)
    for name in names:
        do(
            database,
            f"CREATE TABLE copy_of_{name} LIKE {name}",
            f"INSERT INTO copy_of_{name} SELECT * FROM {name}",
        )
    return names


def _restore(database: Database, names: list[str]) -> None:
    """As a rename does it: at once for all tables."""
    moves = [f"{name} TO gone_{name}, copy_of_{name} TO {name}" for name in names]
    do(database, f"RENAME TABLE {', '.join(moves)}")


def _two_rounds(audit: Audit, life: Life) -> None:
    began = len(life.events("check_run"))

    def ran() -> bool:
        runs = [run["check"] for run in life.events("check_run")[began:]]
        return all(runs.count(name) >= 2 for name in audit.reading_rows)

    wait_until(ran, 60, "every check of rows ran twice")
