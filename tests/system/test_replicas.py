"""Two workers on one state: one acts, the other takes over, and nobody is paged twice.

All of it is real: workers as processes, the state and the ledger on a server, an Alertmanager.
"""

import os
import signal
from collections.abc import Callable

import pytest
from sqlalchemy import make_url

from tests.support.patience import stretched, wait_until
from tests.support.replicas import LEASE, Replicas, leads, replicas, resume, waits
from tests.support.servers import Database, Server
from tests.support.workers import Worker

DUPLICATES = "ReconcilerDuplicates"
TURN = 3.0
"""Seconds that it may take to notice, beside the lease and its renewal."""


def database(server: Server) -> Database:
    """A fresh database."""
    return Database(server=server, name=server.create_database())


def lease() -> float:
    """Seconds of a lease that is kept on a busy machine as well."""
    return stretched(LEASE).total_seconds()


LONG = 60.0
"""Seconds of a lease for which no test waits."""


def pair(made: Replicas) -> tuple[Worker, Worker]:
    """A leader that has told of a duplicate, and a standby."""
    leader = made.start()
    leads(leader)
    standby = made.start()
    waits(standby)
    made.spoil()
    made.person.wait(DUPLICATES, "firing")
    return leader, standby


def told_once(made: Replicas) -> None:
    """The person was paged once, also after the Alertmanager was told everything again."""
    made.pager.wait_until_settled()
    assert made.person.statuses(DUPLICATES) == ["firing"]


def test_the_leader_goes_and_so_does_the_server_of_the_state(
    mariadb: Server, throwaway_server: Callable[..., Server]
) -> None:
    """The leader is killed, its successor stopped, and then the state is away: one acts in the end.

    The person is paged once, whatever happens.
    """
    server = throwaway_server("mariadb")
    with replicas(database(server).url, database(mariadb), lease()) as made:
        leader, standby = pair(made)
        the_leader_is_killed(made, leader, standby)
        waiting = made.start()
        waits(waiting)
        the_leader_is_stopped(made, standby, waiting)
        the_server_is_away(made, server, waiting, standby)


def the_leader_is_killed(made: Replicas, leader: Worker, standby: Worker) -> None:
    """After kill -9 the standby acts within a lease and a renewal, and pages nobody anew."""
    (waiting,) = standby.events("lease_waiting")
    assert waiting["holder"]
    assert standby.events("check_run") == []
    leader.process.kill()
    leader.process.wait()
    standby.wait_for(1, "leader", made.lease * 4 / 3 + TURN)
    standby.wait_for(1, "findings", state="confirmed")
    told_once(made)
    # What the leader may not have noted as told is told again, by the same id.
    told = {each["event_id"] for each in leader.events("finding_confirmed")}
    assert {each["event_id"] for each in standby.events("finding_confirmed")} <= told
    (acquired,) = standby.events("lease_acquired")
    assert acquired["token"] == standby.value("state_lease_token") == 2


def the_leader_is_stopped(made: Replicas, leader: Worker, standby: Worker) -> None:
    """SIGSTOP beyond the lease, takeover, SIGCONT: the old leader changes and tells nothing."""
    os.kill(leader.process.pid, signal.SIGSTOP)
    standby.wait_for(1, "leader", 40)  # it may have been stopped in the midst of a transaction
    before = len(leader.events("check_run"))
    resume(leader)
    waits(leader)
    wait_until(lambda: bool(leader.events("lease_lost")), 10, "it says so")
    assert leader.events("lease_lost")[0]["level"] == "warning"
    runs = len(standby.events("check_run"))
    wait_until(lambda: len(standby.events("check_run")) >= runs + 2, 20, "the other goes on")
    assert len(leader.events("check_run")) == before
    assert made.holder() == (str(standby.process.pid), 3)
    told_once(made)
    ended_of_the_old = [
        each for each in leader.events("alert_delivered") if each["status"] != "firing"
    ]
    assert ended_of_the_old == []


def the_server_is_away(made: Replicas, server: Server, leader: Worker, standby: Worker) -> None:
    """Without it both wait once the lease has run out; with it again exactly one acts."""
    server.stop()
    wait_until(lambda: bool(leader.events("state_unavailable")), 15, "it is noticed")
    waits(leader)
    waits(standby)
    assert leader.get("/livez").status_code == 200
    server.start()
    both = (leader, standby)

    def acting() -> int:
        return sum(each.value("leader") == 1 for each in both)

    wait_until(lambda: acting() == 1, 30, "one acts again")
    told_once(made)
    assert acting() == 1


def says_what_it_is(standby: Worker) -> None:
    """Its pages and its health say that it waits, and for whom; it is alive and ready."""
    assert standby.get("/livez").status_code == standby.get("/readyz").status_code == 200
    assert "acts since" in standby.get("/readyz").text
    home = standby.get("/")
    assert home.status_code == 200
    assert "This worker is a standby" in home.text
    assert standby.get("/checks/t.keys").status_code == 503
    assert standby.get("/api/v1/status").json()["error"].startswith("this worker is a standby")
    assert standby.get("/runbooks/ReconcilerAbsent").status_code == 200


def test_an_orderly_end_hands_over_at_once(mariadb: Server) -> None:
    """A standby says what it is; after SIGTERM it does not wait for a lease of a minute."""
    with replicas(database(mariadb).url, database(mariadb), LONG) as made:
        leader, standby = pair(made)
        says_what_it_is(standby)
        assert leader.end() == 0
        standby.wait_for(1, "leader", 1 + TURN)
        told_once(made)


def test_two_on_one_file(mariadb: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On SQLite the second waits, too; a holder that is no more is noticed without waiting."""
    path = tmp_path_factory.mktemp("state") / "state.db"
    with replicas(make_url(f"sqlite:///{path}"), database(mariadb), LONG) as made:
        leader, standby = pair(made)
        leader.process.kill()
        leader.process.wait()
        standby.wait_for(1, "leader", 1 + TURN)
        told_once(made)
        assert made.holder() == (str(standby.process.pid), 2)
