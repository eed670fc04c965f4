"""The server's own log of statements: all that the worker and its checks send only reads."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from checks.contract import CheckError
from tests.support.patience import wait_until
from tests.support.servers import Database, Flavour, Server
from tests.support.statements import Tally, said, wrong
from tests.system.endurance.audit import Audit
from tests.system.endurance.books import open_books
from tests.system.endurance.traffic import write_history
from worker import sources
from worker.config import DatabaseSettings

AUDITOR = "watched"


@pytest.fixture
def books(ledger_database: Database) -> tuple[Database, Server]:
    """A ledger with history on each flavour in turn, and an account that may do everything."""
    database, server = ledger_database, ledger_database.server
    open_books(database)
    write_history(database, "history")
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS {AUDITOR}@'%' IDENTIFIED BY ''")
        # More than it needs, so that nothing but the worker keeps it from writing.
        cursor.execute(f"GRANT ALL ON *.* TO {AUDITOR}@'%'")
    return database, server


def test_only_reading_statements(books: tuple[Database, Server], tmp_path: Path) -> None:
    """Of every shipped check's complete and incremental runs, no statement writes or locks."""
    database, server = books
    audit = Audit(database, tmp_path)
    url = server.url(database.name, user=AUDITOR).render_as_string()
    audit.environment["RECONCILER_DATABASES__LEDGER__URL"] = url
    audit.environment["RECONCILER_SCHEDULE__EVERY"] = "3s"  # two runs of each check will do
    audit.environment["RECONCILER_SCHEDULE__OVERLAP_ROWS"] = "5"  # there are few balances
    with audit.running() as life:
        wait_until(lambda: bool(life.events("worker_ready")), 60, "every check has run")
        wait_until(
            lambda: _scopes(life.events("check_run"), audit.following), 60, "each scope has been"
        )
    everything = Tally()
    everything.add(server.statements)
    assert everything.statements > 10 * len(audit.names)
    # All that the account sent, whatever a session begins with.
    seen = [
        statement
        for session, statements in said(server.statements)
        if session.account.startswith(AUDITOR)
        for statement in statements
    ]
    outcomes = {run["outcome"] for run in life.events("check_run")}
    assert "error" not in outcomes
    assert len(seen) > 10 * len(audit.names)
    assert Counter(wrong(seen)) == {}


def _scopes(runs: list[dict[str, object]], following: set[str]) -> bool:
    done = {(run["check"], run["scope"]) for run in runs}
    wanted = {(name, scope) for name in following for scope in ("incremental", "complete")}
    return wanted <= done


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM t FOR UPDATE",
        "SELECT 1 FROM t LOCK IN SHARE MODE",
        "SELECT GET_LOCK('a', 1)",
        "SELECT * FROM t INTO OUTFILE '/tmp/x'",
        "CREATE TEMPORARY TABLE x (n int)",
        "START TRANSACTION",
        "SET GLOBAL general_log = 0",
        "COMMIT",
        "KILL 5",
    ],
)
def test_the_list_refuses(statement: str) -> None:
    """What writes, locks or opens a transaction that could write is not on the list."""
    assert wrong([statement]) != []


def test_the_log_tells(flavour: Flavour, throwaway_server: Callable[..., Server]) -> None:
    """What a session of the audit sends is taken from the server's log, and nobody else's."""
    server = throwaway_server(flavour)
    database = Database(server=server, name=server.create_database())
    with closing(database.connect()) as other, other.cursor() as cursor:
        cursor.execute("CREATE TABLE t (n int)")
        cursor.execute("SELECT n FROM t FOR UPDATE")
    settings = DatabaseSettings(url=database.url.render_as_string(hide_password=False))
    source = sources.Database("ledger", settings)
    with suppress(CheckError), source.snapshot() as connection:  # the second is refused
        for statement in ("SELECT 'FOR UPDATE'", "SELECT n\nFROM t\n  FOR UPDATE"):
            connection.exec_driver_sql(statement).fetchall()
    source.close()
    tally = Tally()
    tally.add(server.statements)
    server.statements.unlink()  # this is not what the tests as a whole are to be judged by
    assert tally.sessions == 1
    assert tally.wrong == {"SELECT n\nFROM t\n  FOR UPDATE": 1}
