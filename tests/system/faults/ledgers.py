"""Databases to audit while something goes wrong, and what every worker of these tests is told."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import Database, Flavour, Server
from tests.support.workers import Worker
from tests.system.faults.canaries import KEY, PASSWORD, watched

LONG = os.environ.get("FAULTS") == "long"
"""Whether `make faults` runs this: everything on both flavours, and for longer."""

FLAVOURS: tuple[Flavour, ...] = ("mariadb", "mysql") if LONG else ("mariadb",)
"""What a story of some length happens on; the short ones happen on both in any case."""

TIME_LIMIT = 2.0
CONNECT_TIMEOUT = 1.0
RETRY_AFTER = 5.0
"""Seconds: see `worker.sources.database`."""
INTERVAL = 1.0

SLACK = 10.0
"""Seconds for asking the server to stop and for cutting the connection when it does not (1 and 3),
for a connection that is only then found to be broken, and for a busy machine."""

ERROR_WITHIN = TIME_LIMIT + CONNECT_TIMEOUT + INTERVAL + SLACK
RECOVERS_WITHIN = RETRY_AFTER + INTERVAL + CONNECT_TIMEOUT + (3.0 if LONG else 8.0)

HEAD = """
http.port = 0
schedule.every = "1s"
state.url = "sqlite:///state.db"
"""

DATABASE = """
[databases.{name}]
url = "{url}"
password_file = "password"
time_limit = "2s"
connect_timeout = "1s"

[[checks]]
name = "{name}.rows"
kind = "row_count"
table = "t"
database = "{name}"

[[checks]]
name = "{name}.keys"
kind = "duplicates"
table = "t"
primary_key = "id"
columns = ["idempotency_key"]
database = "{name}"
"""


def section(database: Database, name: str, port: int | None = None) -> str:
    """A database in the configuration, perhaps through a proxy, with two checks of table `t`."""
    url = database.url.set(username="auditor", port=port or database.server.port)
    return DATABASE.format(name=name, url=url.render_as_string())


def patient(text: str, *, limit: str = "60s") -> str:
    """A section whose database is to be reached, and to answer, on a busy machine as well."""
    return text.replace('connect_timeout = "1s"', 'connect_timeout = "60s"').replace(
        'time_limit = "2s"', f'time_limit = "{limit}"'
    )


def do(database: Database, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements as root, each committed at once; the rows of the last."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


@contextmanager
def locked(database: Database, table: str) -> Iterator[None]:
    """Another client has a table to itself."""
    with closing(database.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {table} WRITE")
        yield


@contextmanager
def reading(database: Database, table: str) -> Iterator[None]:
    """Another client has read a table in a transaction that does not end."""
    with closing(database.connect()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        yield


def prepare(server: Server, folder: Path) -> Database:
    """A new database with a table `t` in which one key stands twice, and who may read it."""
    (folder / "password").write_text(PASSWORD)
    database = Database(server=server, name=server.create_database())
    do(
        database,
        f"CREATE USER IF NOT EXISTS auditor@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT, SHOW VIEW ON {database.name}.* TO auditor@'%'",
        "CREATE TABLE t (id int PRIMARY KEY, idempotency_key varchar(100) NOT NULL)",
        f"INSERT INTO t VALUES (1, '{KEY}'), (2, '{KEY}'), (3, 'another')",
    )
    return database


@contextmanager
def running(folder: Path, config: str, *canaries: str) -> Iterator[Worker]:
    """A worker, which ends with the block and has let no canary out."""
    with watched(Worker(folder, config), *canaries) as worker:
        yield worker


def outcome(worker: Worker, check: str) -> str:
    """The outcome of a check's latest run; empty before the first."""
    shown = [
        labels["outcome"] for labels, value in worker.samples("check_outcome", check=check) if value
    ]
    return shown[0] if shown else ""
