"""Fixtures for all tests: real servers, started when first asked for."""

import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.examples import examples
from tests.support.servers import Database, Farm, Flavour, Server, missing, missing_monitors
from tests.support.snapshots import refuse_in_ci
from tests.support.statements import Tally
from tests.support.temporary import Folder, templates

TALLY = pytest.StashKey[Tally]()
"""What the audit sent to the servers of this process."""

ALL_TALLIES = pytest.StashKey[list[Tally]]()
"""The same of every process."""

FOLDER = pytest.StashKey[Folder]()
"""Where everything is that this run makes, in all of its processes."""

LONGEST_FIRST = ("test_bare.py", "endurance", "faults", "system", "integration", "browser", "kinds")
"""Folders and files, by how long a test there takes; every other comes after them."""

_COUNTED = ("statements", "sessions")


def _require(flavour: Flavour) -> None:
    reason = missing(flavour)
    if reason and flavour == "mariadb":
        pytest.fail(reason)
    if reason:
        pytest.skip(f"no Oracle MySQL: {reason}")


@pytest.fixture(scope="session")
def server_farm(pytestconfig: pytest.Config) -> Iterator[Farm]:
    """What starts the servers; all of them end with it.

    Then their own logs have to tell that no audit of any test wrote or locked.
    """
    tally = pytestconfig.stash[TALLY] = Tally()
    farm = Farm(take_statements=tally.add, templates=templates())
    yield farm
    farm.close()
    assert tally.wrong == {}, "the audit wrote to a ledger, or locked"


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


@pytest.fixture(scope="session", params=["own", "newer"])
def newer(request: pytest.FixtureRequest) -> bool:
    """The machine's own Prometheus and Alertmanager, and Prometheus 3 and Alertmanager 0.3x.

    Skips the latter where they could not be had.
    """
    if request.param == "newer" and (reason := missing_monitors()):
        pytest.skip(f"no newer monitors: {reason}")
    return bool(request.param == "newer")


@pytest.fixture(scope="session")
def newer_only() -> None:
    """Skips the test where Prometheus 3, Alertmanager 0.3x and vmalert could not be had."""
    if reason := missing_monitors():
        pytest.skip(f"no newer monitors: {reason}")


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


# A busy machine takes its time for an example, too.
settings.register_profile(
    "patient",
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for its temporary files: the process that starts the others does.

    What this machine sets for a worker of its own is not for those of the tests.
    """
    refuse_in_ci(config)
    for name in [name for name in os.environ if name.startswith("RECONCILER_")]:
        del os.environ[name]
    if not hasattr(config, "workerinput"):
        config.stash[FOLDER] = Folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it, however the run ended."""
    if folder := config.stash.get(FOLDER, None):
        folder.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each process begin with what takes long, so that none is left with it at the end.

    Tests of one file stay together, as they share servers. With `--dist worksteal` each process
    first takes an even part of the list, one after the other, and then what others have left.
    """
    for item in items:
        if "snapshot" in getattr(item, "fixturenames", ()):
            item.add_marker("snapshots")
    groups: dict[tuple[bool, int, str], list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(_turn(item), []).append(item)
    processes = int(getattr(config, "workerinput", {}).get("workercount", 1))
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for number, group in enumerate(sorted(groups)):
        shares[number % processes] += groups[group]
    left, spare = len(items), list[pytest.Item]()
    sizes = []
    for number in range(processes, 0, -1):  # as xdist divides
        sizes.append(left // number)
        left -= sizes[-1]
    for share, size in zip(shares, sizes, strict=True):
        spare += share[size:]
        del share[size:]
    items.clear()
    for share, size in zip(shares, sizes, strict=True):
        lack = size - len(share)
        items += share + spare[:lack]
        del spare[:lack]


def _turn(item: pytest.Item) -> tuple[bool, int, str]:
    file = item.nodeid.partition("::")[0]
    parts = file.split("/")
    named = (number for number, name in enumerate(LONGEST_FIRST) if name in parts)
    folder = next(named, len(LONGEST_FIRST))
    return item.get_closest_marker("slow") is None, folder, file


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the modules and tests: they stay to the end."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what this process has seen to the one that tells of all."""
    tally = session.config.stash.get(TALLY, Tally())
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tally"] = (tally.sessions, tally.statements)
    else:
        session.config.stash.setdefault(ALL_TALLIES, []).append(tally)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what one of several processes has seen."""
    tally = Tally(*getattr(node, "workeroutput", {}).get("tally", ()))
    node.config.stash.setdefault(ALL_TALLIES, []).append(tally)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the servers' logs showed and, loudly, what these tests do not prove."""
    tallies = terminalreporter.config.stash.get(ALL_TALLIES, [])
    if any(each.sessions for each in tallies):
        statements, sessions = (sum(getattr(each, what) for each in tallies) for what in _COUNTED)
        terminalreporter.write_line(
            f"the servers' logs: {statements} statements in {sessions} sessions of the audit"
        )
    lacking = {
        "Oracle's MySQL": missing("mysql"),
        "Prometheus 3, Alertmanager 0.3x and vmalert": missing_monitors(),
    }
    for name, reason in lacking.items():
        if reason:
            line = f"NOT TESTED against {name}: {reason}"
            terminalreporter.write_line(line, red=True, bold=True)
