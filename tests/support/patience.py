"""How long tests wait: limits are for hangs, and a busy or slow machine gets more time.

A limit is written as what is plenty on an idle machine. It counts in seconds of an idle machine:
while processes queue for the cores, a second of the clock counts as a part of one. So a limit ends
what hangs, and what passes never depends on its size.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

SUDDEN_LOAD = 4.0
"""By how much a limit that cannot be extended once it is given exceeds what was asked for."""

MOST = 30.0
"""A machine that seems slower than this is not waited for any longer."""

_WORK = 20_000
_REFERENCE_SECONDS = 0.0017
"""What `_work` takes on an idle core of the slowest machine that the limits were written for."""

_MEASURED_FOR = 1.0
"""Seconds for which a measurement holds."""

_measured: tuple[float, float] = (-_MEASURED_FOR, 1.0)
"""When the machine was measured, and how slow it was."""


def slowness() -> float:
    """By how much this machine is slower now than an idle one: 1 at the least.

    The largest of three: how long a little work takes; how many processes want each core, now and
    in the last minute (a moment may show none of those that wait for one another).
    """
    global _measured  # noqa: PLW0603 - one machine, one speed
    at, value = _measured
    now = time.monotonic()
    if now - at > _MEASURED_FOR:
        value = max(1.0, min(MOST, max(_work() / _REFERENCE_SECONDS, *_wanted())))
        _measured = (now, value)
    return value


def patience(seconds: float) -> float:
    """A limit for what takes one limit and keeps to it: sockets, requests, other programs.

    Load may begin right afterwards, so it is generous on an idle machine, too.
    """
    return seconds * max(SUDDEN_LOAD, slowness())


def stretched(seconds: float) -> timedelta:
    """A limit of the product's own, in which something of it has to have come so far."""
    return timedelta(seconds=seconds * slowness())


class Patience:
    """Seconds of an idle machine that run out, however busy this one is meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._at = time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether they have run out; to be asked again and again."""
        if self._left > (passed := time.monotonic() - self._at):
            # Nothing is measured while it cannot matter.
            return False
        self._left -= passed / slowness()
        self._at += passed
        return self._left <= 0


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return as soon as `condition()` holds; raise TimeoutError naming `what` after `seconds`.

    Looking takes a fifth of the time at most, so that what is waited for has the processors.
    """
    limit = Patience(seconds)
    asked = began = time.monotonic()
    while not condition():
        answered = time.monotonic()
        if limit.is_over:
            waited = f"{answered - began:.0f} s on a machine {slowness():.1f} times as slow"
            raise TimeoutError(f"not within {seconds:g} s ({waited}): {what}")
        time.sleep(min(max(0.02, 4 * (answered - asked)), 0.2))
        asked = time.monotonic()


def exit_code(process: "subprocess.Popen[bytes]", seconds: float) -> int:
    """Wait until a process has ended by itself; raises TimeoutError when it does not."""
    wait_until(lambda: process.poll() is not None, seconds, f"the end of {process.args!r}")
    code: int = process.returncode
    return code


def join(thread: threading.Thread, seconds: float) -> None:
    """Wait until a thread has ended; raises TimeoutError when it does not."""
    wait_until(lambda: not thread.is_alive(), seconds, f"the end of the thread {thread.name}")


@contextmanager
def no_hang(seconds: float) -> Iterator[None]:
    """What is inside ends by itself, and without waiting for what would never come.

    To be used where the alternative lasts several times as long.
    """
    slow, began = slowness(), time.monotonic()
    yield
    lasted = time.monotonic() - began
    # What is inside may itself have a limit that was stretched as it began.
    assert lasted <= seconds or lasted <= seconds * max(slow, slowness()), f"it took {lasted:.1f} s"


def _work() -> float:
    began, number = time.perf_counter(), 0
    for each in range(_WORK):
        number += each * each % 7
    return time.perf_counter() - began


def _wanted() -> tuple[float, float]:
    """How many processes want each core: now, and in the last minute."""
    cores = len(os.sched_getaffinity(0))
    try:
        with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123 - it is asked often
            minute, _, _, running, *_ = file.read().split()
    except OSError:  # not Linux, or hidden
        return 1.0, os.getloadavg()[0] / cores
    return int(running.partition("/")[0]) / cores, float(minute) / cores
