"""A clock that is set decides nothing at once, and what is decided by time is decided once."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import make_url

from checks.kinds.row_count import RowCount
from tests.support.examples import examples
from tests.support.states import CHECK, LASTING, acknowledge, changes, confirmed, counted, run_of
from worker.model import steady_clock
from worker.model.finding import Change
from worker.model.run import Run
from worker.model.steady_clock import BELIEVED_AFTER, SteadyClock
from worker.state import State, queries

DAY = 86400.0
STEPS = (1.0, 30.0, 600.0, 3600.0, DAY, 40 * DAY)
"""Seconds by which clocks are found to be wrong."""


class Machine:
    """A machine whose wall clock somebody sets, and a clock of a process on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.true = 1.8e9
        self.wrong = 0.0
        monkeypatch.setattr(steady_clock, "time", self)
        self.clock = SteadyClock()

    def time(self) -> float:
        """What the wall clock says."""
        return self.true + self.wrong

    def monotonic(self) -> float:
        """What the clock says that nobody can set."""
        return self.true - 1.7e9

    def run(self, *keys: object, check: RowCount = CHECK) -> Run:
        """A run that ends now."""
        wall, correction = self.clock.read()
        run = run_of(*keys, check=check)
        return replace(run, started_at=wall, seconds=0.0, correction=correction)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose clock is right."""
    return Machine(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state file is."""
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    """A state."""
    with closing(State(make_url(f"sqlite:///{path}"))) as state:
        yield state


@pytest.mark.parametrize("seed", range(examples(20)))
def test_no_walk_of_the_clock_is_followed_at_once(seed: int, machine: Machine) -> None:
    """However often it is set, time goes on as it really does, until a step has lasted."""
    random = Random(seed)  # noqa: S311 - to be repeated
    for _ in range(200):
        elapsed = random.uniform(0, 60)
        before = machine.clock.seconds()
        if random.random() < 0.3:
            machine.wrong = random.choice((0.0, 1.0, -1.0)) * random.choice(STEPS[1:])
        machine.true += elapsed
        assert abs(machine.clock.seconds() - before - elapsed) <= steady_clock.FOLLOWED + 1e-3
        if abs(machine.wrong) > 0 and random.random() < 0.2:
            machine.wrong = 0.0
            machine.clock.seconds()
    machine.clock.seconds()  # sees the latest step
    machine.true += BELIEVED_AFTER
    machine.clock.seconds()
    assert machine.clock.read()[1] == timedelta(0)
    assert machine.clock.now() == datetime.fromtimestamp(machine.true + machine.wrong, UTC)


@pytest.mark.parametrize("step", [sign * each for each in STEPS for sign in (1, -1)])
def test_a_step_ends_no_acknowledgement(
    step: float, state: State, path: Path, machine: Machine
) -> None:
    """Nobody is paged of what somebody answers for, while the clock is wrong and afterwards."""
    machine.true = datetime.now(UTC).timestamp()  # by which the command line acknowledges
    machine.clock = SteadyClock()
    state.record(machine.run(1))
    acknowledge(make_url(f"sqlite:///{path}"), 1, lasting=timedelta(days=2))
    for wrong in (0.0, step, step, 0.0):
        machine.wrong = wrong
        for _ in range(3):
            machine.true += 30
            told = changes(state, machine.run(1))
            assert set(told) <= {Change.FINDING_ACKNOWLEDGED}
    assert counted(state) == {"acknowledged": 1}
    machine.true += 2 * DAY
    machine.clock.seconds()
    machine.true += BELIEVED_AFTER
    assert changes(state, machine.run(1)) == [Change.FINDING_REOPENED]


@pytest.mark.parametrize("step", [sign * each for each in STEPS for sign in (1, -1)])
def test_a_step_prunes_no_history(step: float, state: State, machine: Machine) -> None:
    """What was resolved before, during and after the step is there for thirty days."""
    for wrong in (0.0, step, 0.0):
        machine.wrong = wrong
        key = f"{wrong} {machine.true}"
        for keys in ((key,), ()):
            machine.true += 40
            state.record(machine.run(*keys))
    state.record(machine.run())
    with closing(state._memory.connect()) as memory:
        assert len(queries.lately_resolved(memory, CHECK.name, 10)) == 3
        before = len(queries.runs_of(memory, CHECK.name))
    for _ in range(5):
        machine.true += 30
        state.record(machine.run())
    with closing(state._memory.connect()) as memory:
        assert len(queries.runs_of(memory, CHECK.name)) == before + 5


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_confirms_nothing(step: float, state: State, machine: Machine) -> None:
    """Two runs four seconds apart are no ten seconds apart because the clock says so."""
    state.record(machine.run(1, check=LASTING))
    machine.true += 4
    machine.wrong = step
    state.record(machine.run(1, check=LASTING))
    assert confirmed(state) == 0
    machine.true += 10
    machine.wrong = 0.0
    state.record(machine.run(1, check=LASTING))
    assert confirmed(state) == 1
