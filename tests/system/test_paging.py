"""The page reaches a person: from the row in MariaDB to the notification, and back.

All of it is real: the server, the worker as a process, Prometheus with the rules that are shipped,
Alertmanager and a web hook. Each test leaves everything in order for the next one.
"""

from collections.abc import Iterator

import pytest

from benchmarks.paging import measure
from tests.support.paging import BLIND, CHECK, DUPLICATES, KEY, PAGE, World, world
from tests.support.patience import wait_until
from tests.support.servers import Farm, Server


@pytest.fixture(scope="module")
def throwaway(server_farm: Farm) -> Iterator[Server]:
    """A MariaDB that these tests stop and start."""
    server = server_farm.start("mariadb")
    yield server
    server_farm.discard(server)


@pytest.fixture(scope="module", params=["rules", "push"])
def reached(request: pytest.FixtureRequest, throwaway: Server) -> Iterator[World]:
    """Everything, with each way to a person in turn."""
    with world(request.param, throwaway) as made:
        yield made


@pytest.fixture
def everything(reached: World) -> World:
    """Everything, in order, and a person who was told of nothing yet."""
    reached.person.forget()
    return reached


def test_corruption_is_told_once_and_its_end_once(everything: World) -> None:
    """A duplicate key makes one notification with all to act on; mended, it makes one more."""
    everything.spoil()
    told = everything.person.wait(DUPLICATES, "firing")
    assert told.labels["check"] == CHECK
    assert (told.labels["table"], told.labels["severity"]) == ("t", "critical")
    url = everything.database.url
    own = {"environment": "unnamed", "database": "ledger"}
    assert own.items() <= told.labels.items()
    assert told.labels["instance"] == f"{url.host}:{url.port}/{url.database}"
    assert told.annotations["summary"].startswith("unnamed: ")
    assert told.annotations["runbook_url"] == f"{PAGE}/runbooks/{DUPLICATES}"
    assert told.annotations["page"] == f"{PAGE}/checks/{CHECK}"
    assert KEY not in str(told)
    if everything.way == "push":
        assert told.annotations["count"] == "1"
        assert "WHERE `id` IN (" in told.annotations["sql"]  # the rows: their key is personal
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing"]
    everything.mend()
    everything.person.wait(DUPLICATES, "resolved")
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing", "resolved"]


def test_restarts_make_no_second_page(everything: World) -> None:
    """Worker killed and started again, Alertmanager restarted meanwhile: told once all the same."""
    everything.spoil()
    everything.person.wait(DUPLICATES, "firing")
    everything.kill_worker()
    everything.alertmanager.restart()
    everything.start_worker()
    everything.alertmanager.wait_for_alert(DUPLICATES)
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing"]
    everything.mend()
    everything.person.wait(DUPLICATES, "resolved")
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing", "resolved"]


def test_corruption_while_the_worker_is_away(everything: World) -> None:
    """What is spoilt while nobody looks is told once the worker is back, and so is its end."""
    everything.kill_worker()
    everything.spoil()
    everything.start_worker()
    everything.person.wait(DUPLICATES, "firing")
    everything.kill_worker()
    everything.mend()
    everything.start_worker()
    everything.person.wait(DUPLICATES, "resolved")
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing", "resolved"]


def test_pager_that_refuses_is_told_again(everything: World) -> None:
    """A web hook that answers 500 for a while gets the notification afterwards, and only once."""
    everything.person.status = 500
    everything.spoil()
    wait_until(lambda: everything.person.refused > 0, 30, "it was refused")
    everything.person.status = 200
    everything.person.wait(DUPLICATES, "firing")
    everything.mend()
    everything.person.wait(DUPLICATES, "resolved")
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing", "resolved"]


def test_blindness_pages_and_resolves_nothing(everything: World) -> None:
    """While the database is away the blind alert fires, and the finding stays as it was."""
    everything.spoil()
    everything.person.wait(DUPLICATES, "firing")
    everything.database.server.stop()
    try:
        blind = everything.person.wait(BLIND, "firing", seconds=60)
        assert blind.labels["severity"] == "critical"
        assert blind.annotations["runbook_url"] == f"{PAGE}/runbooks/{BLIND}"
        everything.alertmanager.wait_until_settled()
        assert everything.statuses() == ["firing"]
    finally:
        everything.database.server.start()
    everything.person.wait(BLIND, "resolved", seconds=60)
    assert everything.statuses() == ["firing"]
    everything.mend()
    everything.person.wait(DUPLICATES, "resolved")
    everything.alertmanager.wait_until_settled()
    assert everything.statuses() == ["firing", "resolved"]
    assert everything.person.statuses(BLIND) == ["firing", "resolved"]


def test_the_benchmark_measures(throwaway: Server) -> None:
    """The benchmark of paging measures each corruption from its commit to the notification."""
    (times,) = measure(throwaway, corruptions=1, scrapes=(), phase=0.0)
    (duplicates,), (balance,) = times.seconds["duplicates"], times.seconds["balance"]
    assert duplicates > 0
    assert balance > 0
    assert str(times).startswith("push")
