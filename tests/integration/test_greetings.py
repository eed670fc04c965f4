"""What a server is, whatever it or a proxy in front of it is called."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL

from checks.contract import CheckError
from tests.support import representative
from tests.support.greeting import greeting
from tests.support.servers import HOST, Database, Server
from worker.config import DatabaseSettings, StateSettings
from worker.sources import Database as Audited
from worker.sources import Sources
from worker.sources.dialect import plain
from worker.state import State

GREETINGS = (
    *("8.0.30 (ProxySQL)", "5.5.30", "5.7.12-TiDB-v7.1.0", "8.0.32-azure", "MariaDB", ""),
    *("5.5.5-10.6.12-MariaDB-log", "11.4.2-MariaDB", "8.0.mysql_aurora.3.02.0", "99.99.99"),
)


@pytest.fixture(scope="module")
def ledger(server: Server) -> Iterator[Database]:
    database = Database(server=server, name=server.create_database())
    representative.fill(database)
    yield database
    server.drop_database(database.name)


def url_by(port: int, database: str) -> str:
    return URL.create("mysql", "root", None, HOST, port, database).render_as_string()


@pytest.mark.parametrize("version", GREETINGS)
def test_a_greeting_changes_nothing(ledger: Database, version: str) -> None:
    """The identity is the server's own, of whatever name and number the greeting is."""
    with greeting(ledger.server.port, version) as port:
        settings = DatabaseSettings(url=url_by(port, ledger.name))
        with closing(Audited("ledger", settings)) as database:
            found = database.identify()
        with closing(State(StateSettings(url=url_by(port, "mysql")))) as state:
            assert "greeting" not in (state.failure or "")
    assert found.server == {"mariadb": "MariaDB", "mysql": "MySQL"}[ledger.server.flavour]
    assert ("MariaDB" in found.version) == (ledger.server.flavour == "mariadb")


@pytest.mark.parametrize("version", ["8.0.30 (ProxySQL)", "5.5.5-10.6.12-MariaDB-log"])
def test_checks_say_the_same_behind_it(ledger: Database, tmp_path: Path, version: str) -> None:
    """Every kind, of either server under the name of the other."""
    checks = representative.checks_in(tmp_path).values()

    def outcomes(port: int) -> object:
        url = url_by(port, ledger.name)
        with closing(Sources({"ledger": DatabaseSettings(url=url)})) as sources:
            return representative.outcomes(checks, sources)

    with greeting(ledger.server.port, version) as port:
        assert outcomes(port) == outcomes(ledger.server.port)


@pytest.mark.parametrize(
    ("forgets", "said"),
    [
        ("SET SESSION .*time_zone", "is "),
        ("START TRANSACTION", "no transaction has begun"),
    ],
)
def test_a_session_that_is_not_as_it_was_set_is_told(
    ledger: Database, forgets: str, said: str
) -> None:
    """A proxy that does not do what it answers, or gives it to another session, is noticed."""
    with greeting(ledger.server.port, "8.0.30 (ProxySQL)", forgets) as port:
        settings = DatabaseSettings(url=url_by(port, ledger.name))
        with (
            closing(Audited("ledger", settings)) as database,
            pytest.raises(CheckError) as caught,
        ):
            database.identify()
    assert said in str(caught.value)
    assert "does a proxy share sessions" in str(caught.value)


def test_versions_are_read_whatever_stands_around_them() -> None:
    """Of forks and clouds, old and new; what is no version is taken for the oldest supported."""
    assert plain("5.5.5-10.6.12-MariaDB-log", is_mariadb=True) == "10.6.12-MariaDB"
    assert plain("8.0.32-azure", is_mariadb=False) == "8.0.32"
    assert plain("8.4.0-ga-MariaDB-proxy", is_mariadb=False) == "8.4.0"
    assert plain("8.0.mysql_aurora.3.02.0", is_mariadb=False) == "3.02.0"
    assert plain("", is_mariadb=True) == "10.6.0-MariaDB"
