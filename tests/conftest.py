"""Fixtures for all tests: real servers, started when first asked for; see `tests/servers.py`."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers import Database, Farm, Flavour, Server, missing


def _require(flavour: Flavour) -> None:
    reason = missing(flavour)
    if reason and flavour == "mariadb":
        pytest.fail(reason)
    if reason:
        pytest.skip(f"no Oracle MySQL: {reason}")


@pytest.fixture(scope="session")
def server_farm() -> Iterator[Farm]:
    """What starts the servers; all of them end with it."""
    farm = Farm()
    yield farm
    farm.close()


@pytest.fixture(scope="session")
def mariadb(server_farm: Farm) -> Server:
    """The MariaDB that the tests share."""
    _require("mariadb")
    return server_farm.start("mariadb")


@pytest.fixture(scope="session")
def mysql(server_farm: Farm) -> Server:
    """The Oracle MySQL that the tests share; skips the test when it could not be had."""
    _require("mysql")
    return server_farm.start("mysql")


@pytest.fixture(scope="session", params=["mariadb", "mysql"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both flavours in turn; skips MySQL when it could not be had."""
    name: Flavour = request.param
    _require(name)
    return name


@pytest.fixture(scope="session")
def server(flavour: Flavour, request: pytest.FixtureRequest) -> Server:
    """Both shared servers in turn. Whoever stops or freezes one takes `throwaway_server`."""
    shared: Server = request.getfixturevalue(flavour)
    return shared


@pytest.fixture
def ledger_database(server: Server) -> Iterator[Database]:
    """A fresh, empty database on each of the shared servers in turn."""
    database = Database(server=server, name=server.create_database())
    yield database
    server.drop_database(database.name)


@pytest.fixture
def throwaway_server(server_farm: Farm) -> Iterator[Callable[..., Server]]:
    """`throwaway_server(flavour, *options)` starts a server that this test alone may maltreat."""
    started: list[Server] = []

    def start(flavour: Flavour, *options: str) -> Server:
        _require(flavour)
        started.append(server_farm.start(flavour, *options))
        return started[-1]

    yield start
    for one in started:
        server_farm.discard(one)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what these tests do not prove."""
    reason = missing("mysql")
    if reason:
        line = f"NOT TESTED against Oracle's MySQL: {reason}"
        terminalreporter.write_line(line, red=True, bold=True)
