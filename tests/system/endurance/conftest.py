"""What both tests of endurance begin with."""

from collections.abc import Iterator

import pytest

from tests.support.servers import Database, Server
from tests.system.endurance.books import open_books
from tests.system.endurance.traffic import write_history


@pytest.fixture
def database(mariadb: Server) -> Iterator[Database]:
    """A ledger with some history, all of it right."""
    made = Database(server=mariadb, name=mariadb.create_database())
    open_books(made)
    write_history(made, "history")
    yield made
    mariadb.drop_database(made.name)
