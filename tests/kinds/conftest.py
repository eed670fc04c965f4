"""The ledgers that the tests of the checks are run on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.ledgers import Backend, Ledger, ledger_on, sources_of
from tests.support.servers import Database, Server


@pytest.fixture(scope="session", params=["mariadb", "mysql", "sqlite"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of database in turn."""
    name: Backend = request.param
    return name


@pytest.fixture(scope="session")
def shared_ledger(
    backend: Backend, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledger]:
    """One ledger of each kind, whose connections all tests use: to connect takes 0.04 s."""
    if backend == "sqlite":
        yield from _on_sqlite(tmp_path_factory.mktemp("sqlite") / "ledger.db")
        return
    server: Server = request.getfixturevalue(backend)
    ledger = ledger_on(Database(server=server, name=server.create_database()))
    with closing(ledger.connection), closing(ledger.sources):
        yield ledger


@pytest.fixture
def ledger(shared_ledger: Ledger) -> Iterator[Ledger]:
    """An empty ledger on each kind of database in turn."""
    yield shared_ledger
    shared_ledger.clear()


def _on_sqlite(path: Path) -> Iterator[Ledger]:
    sources = sources_of(URL.create("sqlite", database=str(path)))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, closing(sources):
        connection.execute("PRAGMA synchronous = OFF")  # nothing here has to survive a power cut
        yield Ledger(backend="sqlite", connection=connection, sources=sources)
