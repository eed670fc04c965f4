"""The outcome of one run, whatever the check does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from checks.contract import EVERYTHING, Check, CheckError, Finding, Result, RunStopped, Window
from checks.ports import Sources
from tests.support.runs import DatabaseOnly
from worker.model.run import Outcome, Scope
from worker.scheduling.execute import execute

CANARY = "row-data-canary"
WINDOWS: list[Window] = []
"""What the checks of this module were given, the latest last."""


class NoSources(DatabaseOnly):
    """Sources that nobody asks: the checks of this module need no database."""

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """Not to be asked for."""
        raise AssertionError(database)
        yield


class Scripted(Check):
    """A check that answers as told."""

    kind: str = "scripted"
    answer: Callable[[], Result]

    def run(self, sources: Sources, window: Window = EVERYTHING) -> Result:
        """Give the answer."""
        _ = sources
        WINDOWS.append(window)
        return self.answer()


def check(answer: Callable[[], Result]) -> Check:
    return Scripted(name="t.scripted", table="t", answer=answer)


def raising(error: BaseException) -> Check:
    def answer() -> Result:
        raise error

    return check(answer)


@pytest.mark.parametrize(("violations", "outcome"), [(0, Outcome.PASS), (2, Outcome.FAIL)])
def test_completed_run(violations: int, outcome: Outcome) -> None:
    """A check that answered passes when there is no violation and fails when there is one."""
    finding = Finding({"id": 1}, "wrong")
    result = Result(examined=7, violations=violations, findings=(finding,) * violations)
    run = execute(check(lambda: result), NoSources())
    assert (run.outcome, run.completed, run.result, run.error) == (outcome, True, result, None)


@pytest.mark.parametrize(("failures", "outcome"), [(1, Outcome.PASS), (2, Outcome.ERROR)])
def test_passing_trouble_is_tried_once_more(failures: int, outcome: Outcome) -> None:
    """What is likely to be over is asked again, once; a second failure is an error."""
    left = [CheckError("altered", retry=True)] * failures

    def answer() -> Result:
        if left:
            raise left.pop()
        return Result(1, 0)

    assert execute(check(answer), NoSources()).outcome is outcome
    assert not left


def test_other_trouble_is_not_tried_again() -> None:
    """An error that says nothing of a retry ends the run at once."""
    asked: list[int] = []

    def answer() -> Result:
        asked.append(1)
        raise CheckError("away")

    assert execute(check(answer), NoSources()).outcome is Outcome.ERROR
    assert asked == [1]


@pytest.mark.parametrize(
    ("cursor", "complete", "scope"),
    [
        (None, True, Scope.COMPLETE),
        ({"id": 7}, False, Scope.INCREMENTAL),
        ({"id": 7}, True, Scope.COMPLETE),  # the check found that its cursor is of no use
    ],
)
def test_scope_is_what_was_read(
    cursor: dict[str, int] | None, scope: Scope, *, complete: bool
) -> None:
    """A check gets its window, at the retry too, and the run's scope is what the check read."""
    window, left = Window(cursor=cursor), [CheckError("altered", retry=True)]

    def answer() -> Result:
        if left:
            raise left.pop()
        return Result(1, 0, complete=complete)

    assert execute(check(answer), NoSources(), window).scope is scope
    assert WINDOWS[-2:] == [window, window]


@pytest.mark.parametrize(
    ("cursor", "scope"), [(None, Scope.COMPLETE), ({"id": 7}, Scope.INCREMENTAL)]
)
def test_scope_of_a_run_that_could_not_tell(cursor: dict[str, int] | None, scope: Scope) -> None:
    """Without an answer, the scope is what was to be read."""
    run = execute(raising(CheckError("away")), NoSources(), Window(cursor=cursor))
    assert run.scope is scope


def test_run_tells_when_it_was() -> None:
    """A run knows its UTC start and how long it took."""
    before = datetime.now(UTC)
    run = execute(check(lambda: Result(examined=0, violations=0)), NoSources())
    after = datetime.now(UTC)
    assert before <= run.started_at <= after
    assert run.started_at.tzinfo is UTC
    assert 0 <= run.seconds <= (after - before).total_seconds() + 0.01


@pytest.mark.parametrize("permanent", [True, False])
def test_check_that_could_not_tell(*, permanent: bool) -> None:
    """A CheckError is the outcome error, with its own words and its decision about trying again."""
    run = execute(raising(CheckError("no such table", permanent=permanent)), NoSources())
    assert (run.outcome, run.completed) == (Outcome.ERROR, False)
    assert (run.error, run.permanent) == ("no such table", permanent)


@pytest.mark.parametrize(
    "error",
    [ValueError(CANARY), KeyError(CANARY), UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, "")],
)
def test_fault_in_a_check(error: Exception) -> None:
    """An unexpected exception is an error that tells its type and place and none of its text."""
    run = execute(raising(error), NoSources())
    assert (run.outcome, run.permanent) == (Outcome.ERROR, True)
    assert run.error is not None
    assert run.error.startswith(f"fault in the check: {type(error).__name__} at answer:")
    assert CANARY not in repr(run)


def test_run_that_was_stopped() -> None:
    """A run cut short because the worker stops is skipped: neither a verdict nor an error."""
    run = execute(raising(RunStopped("the worker is stopping")), NoSources())
    assert (run.outcome, run.completed) == (Outcome.SKIPPED, False)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_end_of_the_process_is_no_outcome(error: Any) -> None:
    """What ends the process is passed on."""
    with pytest.raises(type(error)):
        execute(raising(error), NoSources())
