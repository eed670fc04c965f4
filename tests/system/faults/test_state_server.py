"""The server of the state frozen, as one whose disk hangs: pages are answered, audit goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text

from tests.support.patience import slowness, wait_until
from tests.support.replicas import leads, replicas
from tests.support.servers import Database, Server
from tests.support.workers import Worker

ALERT = "ReconcilerDuplicates"
LEASE = 120.0
"""Seconds, for which the worker goes on without its state."""

PROMPT = 3.0
"""Seconds for an answer; the server would not have answered for ten."""


@contextmanager
def asking(worker: Worker, *paths: str) -> Iterator[dict[str, float]]:
    """Ask for pages again and again; the longest that each took, in seconds of an idle machine."""
    longest = dict.fromkeys(paths, 0.0)
    stopping = threading.Event()

    def ask() -> None:
        while not stopping.is_set():
            for path in paths:
                began = time.monotonic()
                assert worker.get(path).status_code == 200
                lasted = (time.monotonic() - began) / slowness()
                longest[path] = max(longest[path], lasted)

    failures: list[Exception] = []

    def work() -> None:
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield longest
    finally:
        stopping.set()
        thread.join()
    assert failures == []


def test_the_server_of_the_state_hangs(
    mariadb: Server, throwaway_server: Callable[..., Server]
) -> None:
    """Pages do not wait for it; faults are found and paged, and written down afterwards."""
    server = throwaway_server("mariadb")
    state = Database(server=server, name=server.create_database())
    ledger = Database(server=mariadb, name=mariadb.create_database())
    with replicas(state.url, ledger, LEASE) as made:
        leader = made.start()
        leads(leader)
        pages = ("/metrics", "/livez", "/", "/checks/t.keys", "/api/v1/status")
        with asking(leader, *pages) as longest:
            server.pause()
            made.spoil()
            made.person.wait(ALERT, "firing", seconds=60)
            assert leader.value("findings", check="t.keys", state="confirmed") == 1
            assert leader.value("leader") == 1
            before = leader.value("check_runs_total", outcome="fail") or 0
            wait_until(
                lambda: (leader.value("check_runs_total", outcome="fail") or 0) >= before + 2,
                60,
                "the audit goes on",
            )
            leader.wait_for(0, "state_up", 30)
            server.resume()
            leader.wait_for(1, "state_up", 30)
        assert all(0 < seconds < PROMPT for seconds in longest.values()), longest
        engine = create_engine(state.url)
        with engine.connect() as connection:
            kept = connection.execute(text("SELECT state FROM findings")).all()
        engine.dispose()
        assert [tuple(row) for row in kept] == [("confirmed",)]
        made.pager.wait_until_settled()
        assert made.person.statuses(ALERT) == ["firing"]
        assert leader.events("library_message") == []
        assert len(leader.events("state_unavailable")) == 1
    mariadb.drop_database(ledger.name)
