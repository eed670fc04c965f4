"""Passwords that are rotated while a real worker runs on real servers."""

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pymysql
import pytest

from tests.support.patience import wait_until
from tests.support.servers import Database, Server
from tests.support.workers import Worker

FIRST, SECOND = "f1rst-c4nary", "s3cond-c4nary — ü"
CONFIG = """
http.port = 0
log.format = "json"
schedule.every = "1s"
schedule.critical = "1s"
[databases.ledger]
url = "{audited}"
password_file = "password"
[state]
url_file = "state-url"
[tables.orders]
primary_key = "id"
"""


def run(server: Server, *statements: str) -> None:
    """Run statements as root."""
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


@pytest.fixture
def account(server: Server) -> Iterator[str]:
    """An account that may do everything, with the first password."""
    name = "rotating"
    run(
        server, f"CREATE USER {name}@'%' IDENTIFIED BY '{FIRST}'", f"GRANT ALL ON *.* TO {name}@'%'"
    )
    yield name
    run(server, f"DROP USER {name}@'%'")


def write(folder: Path, server: Server, account: str, state: str, password: str) -> None:
    """Put the password where the worker finds it: alone, and in a URL."""
    (folder / "password").write_text(f"{password}\n")
    url = server.url(state, user=account, password=password)
    (folder / "state-url").write_text(url.render_as_string(hide_password=False))


def cut(server: Server, account: str) -> None:
    """End every connection of an account."""
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = %s", (account,))
        for (thread,) in cursor.fetchall():
            with suppress(pymysql.MySQLError):
                cursor.execute(f"KILL {thread}")


def test_checks_go_on_with_the_new_password(
    ledger_database: Database, account: str, tmp_path: Path
) -> None:
    """After a rotation checks pass and the state is kept, without a restart, and it is not told."""
    server = ledger_database.server
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    state = server.create_database()
    write(tmp_path, server, account, state, FIRST)
    audited = server.url(ledger_database.name, user=account).render_as_string()
    worker = Worker(tmp_path, CONFIG.format(audited=audited))
    try:
        wait_until(lambda: bool(worker.events("worker_ready")), 20, "all checks have run")
        assert worker.value("state_up") == 1
        run(server, f"ALTER USER {account}@'%' IDENTIFIED BY '{SECOND}'")
        write(tmp_path, server, account, state, SECOND)
        cut(server, account)
        before = worker.value("check_runs_total", check="orders.tables", outcome="pass") or 0
        wait_until(
            lambda: (
                (worker.value("check_runs_total", check="orders.tables", outcome="pass") or 0)
                >= before + 2
            ),
            10,
            "two more runs pass",
        )
        # Whoever connects after the server has the new password and before the file has is refused.
        worker.wait_for(1, "state_up")
        assert worker.value("database_up", database="ledger") == 1
        assert worker.events("database_unreachable") == []
        shown = worker.text + worker.get("/metrics").text + worker.get("/").text
        assert "c4nary" not in shown
    finally:
        worker.end()
        server.drop_database(state)
    assert len(worker.events("worker_started")) == 1
