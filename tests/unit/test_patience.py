"""The limits of the tests themselves: for hangs, and longer where the machine is slower."""

import os
import subprocess
import sys

import pytest

from tests.support import patience as patience_module
from tests.support.patience import Patience, no_hang, patience, slowness, stretched, wait_until


class Machine:
    """A machine of its own clock and speed; who sleeps on it lets its time pass."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slowness = 1.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(patience_module, "time", made)
    monkeypatch.setattr(patience_module, "slowness", lambda: made.slowness)
    return made


def test_a_limit_is_what_it_says_on_an_idle_machine(machine: Machine) -> None:
    """What never happens is given up after the seconds of the limit, by name."""
    with pytest.raises(TimeoutError, match=r"not within 5 s .*: the moon falls"):
        wait_until(lambda: False, 5, "the moon falls")
    assert machine.now == pytest.approx(5, abs=0.3)


def test_a_load_that_begins_meanwhile_extends_a_limit(machine: Machine) -> None:
    """The machine is measured when the limit is reached, and what is left then counts as much."""
    limit = Patience(5)
    machine.now = 4.0
    assert not limit.is_over
    machine.slowness = 10.0
    machine.now = 49.0
    assert not limit.is_over
    machine.now = 51.0
    assert limit.is_over


def test_a_load_that_ends_does_not_extend_it_for_good(machine: Machine) -> None:
    """Once the machine is idle again, the rest of a limit lasts as long as it says."""
    limit = Patience(5)
    machine.slowness, machine.now = 5.0, 5.0
    assert not limit.is_over
    machine.slowness, machine.now = 1.0, 8.5
    assert not limit.is_over
    machine.now = 9.5
    assert limit.is_over


def test_what_takes_too_long_is_no_pass(machine: Machine) -> None:
    """A block that ends after its limit is a failure on an idle machine, and none on a slow one."""
    with pytest.raises(AssertionError, match=r"it took 3\.0 s"), no_hang(2):
        machine.sleep(3)
    machine.slowness = 2.0
    with no_hang(2):
        machine.sleep(3)


def test_limits_that_cannot_be_extended_are_generous(machine: Machine) -> None:
    """They allow for a load that begins afterwards; those of the product grow with the load."""
    assert (patience(2), stretched(2).total_seconds()) == (8, 2)
    machine.slowness = 7.0
    assert (patience(2), stretched(2).total_seconds()) == (14, 14)


def test_busy_processes_make_a_machine_slow() -> None:
    """Three busy processes for each core make everything take about three times as long."""
    assert 1 <= slowness() <= patience_module.MOST
    command = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(3 * len(os.sched_getaffinity(0)))]
    try:
        wait_until(lambda: slowness() > 2, 20, "the machine is slow")
    finally:
        for each in busy:
            each.kill()
            each.wait()
