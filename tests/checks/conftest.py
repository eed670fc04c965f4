"""The ledgers that the tests of the checks are run on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.checks.ledgers import Backend, Ledger, ledger_on, sources_of
from tests.servers import Database, Server


@pytest.fixture(scope="session", params=["mariadb", "mysql", "sqlite"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of database in turn."""
    name: Backend = request.param
    return name


@pytest.fixture
def ledger(backend: Backend, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger on each kind of database in turn."""
    if backend == "sqlite":
        yield from _on_sqlite(tmp_path / "ledger.db")
        return
    server: Server = request.getfixturevalue(backend)
    database = Database(server=server, name=server.create_database())
    ledger = ledger_on(database)
    with closing(ledger.connection), closing(ledger.sources):
        yield ledger
    server.drop_database(database.name)


def _on_sqlite(path: Path) -> Iterator[Ledger]:
    sources = sources_of(URL.create("sqlite", database=str(path)))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, closing(sources):
        yield Ledger(backend="sqlite", connection=connection, sources=sources)
