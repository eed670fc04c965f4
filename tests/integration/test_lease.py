"""The lease, as a model and against real servers: never two holders, and a token that grows."""

import math
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Engine, create_engine, event, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import StaticPool

from tests.support.patience import stretched, wait_until
from tests.support.servers import Database
from tests.support.states import CHECK, confirmed, run_of
from worker.state import State
from worker.state.lease import Lease, LeaseLostError
from worker.state.schema import findings, leases, metadata, runs

SECONDS = 10.0
START = 1_800_000_000.0


class Workers(RuleBasedStateMachine):
    """Three workers on one state, whose clocks we turn; a step of one is a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.monotonic, self.wall = 0.0, START
        self.engine = self._database()
        self.leases = [self._lease() for _ in range(3)]
        self.tokens: list[tuple[int, str]] = []
        self.steps_of_the_clock = 0

    def _database(self) -> Engine:
        engine = create_engine("sqlite://", poolclass=StaticPool)

        @event.listens_for(engine, "connect")
        def _our_clock(raw: DBAPIConnection, _record: object) -> None:
            days = 2440587.5
            raw.create_function("julianday", 1, lambda _now: self.wall / 86400 + days)

        metadata.create_all(engine)
        return engine

    def _lease(self) -> Lease:
        return Lease(SECONDS, shared=True, clock=lambda: self.monotonic)

    def teardown(self) -> None:
        """Close the database."""
        self.engine.dispose()

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        """Both clocks go on."""
        self.monotonic += seconds
        self.wall += seconds

    @precondition(lambda self: self.steps_of_the_clock < 2)
    @rule()
    def clock_is_set_back(self) -> None:
        """Somebody sets the database's clock back by an hour."""
        self.wall -= 3600
        self.steps_of_the_clock += 1

    @rule(which=st.integers(0, 2))
    def keeps(self, which: int) -> None:
        """One looks after its lease."""
        lease = self.leases[which]
        with self.engine.begin() as connection:
            claim = lease.claim(connection)
        lease.settle(claim)
        if claim.ours:
            self._note(claim.token, lease.holder)

    @rule(which=st.integers(0, 2))
    def writes(self, which: int) -> None:
        """One writes the state: that works only for the holder of the latest token."""
        lease = self.leases[which]
        try:
            with self.engine.begin() as connection:
                lease.verify(connection)
        except LeaseLostError:
            lease.lose()
            assert not lease.is_held
        else:
            assert self.tokens[-1] == (lease.token, lease.holder)

    @rule(which=st.integers(0, 2))
    def ends(self, which: int) -> None:
        """One ends in order, and another process comes in its place."""
        with self.engine.begin() as connection:
            self.leases[which].give_back(connection)
        self.leases[which] = self._lease()

    @rule(which=st.integers(0, 2))
    def is_killed(self, which: int) -> None:
        """One ends at once, and another process comes in its place."""
        self.leases[which] = self._lease()

    @rule()
    def somebody_takes_over_in_the_end(self) -> None:
        """However the clock was set, a lease that nobody renews is taken after twice its time."""
        standby = self.leases[0]
        for _ in range(2):
            with self.engine.begin() as connection:
                standby.settle(standby.claim(connection))
            self.monotonic += SECONDS + 0.1
            self.wall += SECONDS + 0.1
        self.keeps(0)
        assert standby.is_held

    def _note(self, token: int, holder: str) -> None:
        if self.tokens and self.tokens[-1] == (token, holder):
            return
        if self.tokens:
            assert token > self.tokens[-1][0]
        self.tokens.append((token, holder))

    @invariant()
    def at_most_one_acts(self) -> None:
        """Whoever may act by its own clock is alone in that."""
        assert sum(each.is_held for each in self.leases) <= 1


Workers.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
test_never_two_holders = Workers.TestCase


@pytest.fixture
def two(ledger_database: Database) -> Iterator[tuple[State, State]]:
    """A leader and a standby on a real server; the lease lasts an hour unless given back."""
    url = ledger_database.url
    with (
        closing(State(url, Lease(3600, shared=True))) as first,
        closing(State(url, Lease(3600, shared=True))) as second,
    ):
        yield first, second


def test_one_of_two_on_a_server(two: tuple[State, State]) -> None:
    """The first leads; the second knows and writes nothing until that gives its lease back."""
    leader, standby = two
    leader.record(run_of(1))
    standby.keep_lease()
    assert (leader.is_ours, standby.is_ours) == (True, False)
    assert confirmed(standby) == 0
    with pytest.raises(LeaseLostError):
        standby.record(run_of(2))
    leader.give_lease_back()
    standby.keep_lease()
    assert (leader.is_ours, standby.is_ours) == (False, True)
    assert confirmed(standby) == 1
    assert standby.lease is not None
    assert standby.lease.token == 2


def test_whoever_lost_it_writes_nothing(two: tuple[State, State]) -> None:
    """A leader whose lease was taken meanwhile is refused in the very transaction that writes."""
    leader, standby = two
    leader.record(run_of(1))
    with leader._engine.begin() as connection:
        connection.execute(update(leases).values(until=0.0))
    standby.keep_lease()
    assert leader.is_ours  # as far as it knows
    with pytest.raises(LeaseLostError):
        leader.record(run_of(2))
    assert not leader.is_ours
    assert confirmed(leader) == 0
    with standby._engine.begin() as connection:
        assert len(connection.execute(select(runs)).all()) == 1


def test_what_another_wrote_meanwhile_is_not_undone(two: tuple[State, State]) -> None:
    """Whoever was stopped while another one acted, and acts again, goes on from what that knew."""
    leader, other = two
    leader.record(run_of(1))
    with leader._engine.begin() as connection:
        connection.execute(update(leases).values(until=0.0))
    other.keep_lease()
    other.record(run_of())
    other.give_lease_back()
    leader.keep_lease()
    assert leader.is_ours
    assert confirmed(leader) == 0
    with leader._engine.begin() as connection:
        assert connection.execute(select(findings.c.state)).all() == [("resolved",)]


def test_a_run_from_before_another_acted_is_not_recorded(two: tuple[State, State]) -> None:
    """Its window was that of an earlier turn: what it read in between is read by others."""
    leader, other = two
    assert leader.lease
    turn = leader.lease.token
    with leader._engine.begin() as connection:
        connection.execute(update(leases).values(until=0.0))
    other.keep_lease()
    other.give_lease_back()
    leader.keep_lease()
    with pytest.raises(LeaseLostError):
        leader.record(run_of(1), turn)
    assert leader.is_ours
    assert confirmed(leader) == 0


def test_whoever_stops_in_a_transaction_holds_up_nobody_for_long(ledger_database: Database) -> None:
    """The server ends a transaction in which nothing happens: its lock would be in the way."""
    url = ledger_database.url
    seconds = math.ceil(stretched(1).total_seconds())
    with (
        closing(State(url, Lease(seconds, shared=True))) as stopped,
        closing(State(url, Lease(seconds, shared=True))) as standby,
    ):
        stopped.record(run_of(1))
        with closing(stopped._engine.connect()) as connection:
            connection.execute(select(leases).with_for_update())

            def takes_over() -> bool:
                standby.keep_lease()
                return standby.is_ours

            wait_until(takes_over, 20, "the other takes over")
            connection.invalidate()


def test_what_was_learned_without_the_server_is_kept(two: tuple[State, State]) -> None:
    """A leader that finds its own lease after an outage adds what it learned meanwhile."""
    leader, standby = two
    leader._fail(OSError("away"))
    leader.record(run_of(1, check=CHECK))
    leader.keep_lease()
    assert leader.failure is None
    leader.give_lease_back()
    standby.keep_lease()
    assert confirmed(standby) == 1
