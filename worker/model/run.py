"""One execution of a check, and what is remembered of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from checks.contract import Check, Kept, Result
from checks.ports import Cursor
from worker.text.encode import restore


class Outcome(StrEnum):
    """How a run ended. `error` says nothing about the data: the check could not tell."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


class Scope(StrEnum):
    """How much a run read."""

    INCREMENTAL = "incremental"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a check."""

    check: Check
    outcome: Outcome
    started_at: datetime
    """UTC."""
    seconds: float
    result: Result | None = None
    """What it saw; only when it completed, that is for `pass` and `fail`."""
    error: str | None = None
    """Why it did not complete."""
    kept: Kept | None = None
    """What outlives a run that did not complete."""
    permanent: bool = False
    """Whether running it again cannot help until somebody changes something."""
    scope: Scope = Scope.COMPLETE
    """How much it read; of a run that did not complete, how much it was to read."""
    correction: timedelta = timedelta()
    """What is to be added to its times where a step of the clock must decide nothing."""

    @property
    def completed(self) -> bool:
        """Whether it answered the check's question."""
        return self.result is not None

    @property
    def ended_at(self) -> datetime:
        """UTC."""
        return self.started_at + timedelta(seconds=self.seconds)

    @property
    def steadily(self) -> tuple[float, float]:
        """When it began and ended by a clock that makes no steps, as Unix times."""
        began, ended = self.started_at + self.correction, self.ended_at + self.correction
        return began.timestamp(), ended.timestamp()


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as the state holds it."""

    check: str
    """The check's name."""
    outcome: Outcome
    scope: Scope
    started_at: float
    """Unix time."""
    seconds: float
    examined: int | None
    violations: int | None
    """Both None where it could not tell."""
    error: str | None


class Unlisted(NamedTuple):
    """Violations that a run saw beyond the findings."""

    number: int
    at: float
    """When it ended, as a Unix time; 0 where that does not count."""


@dataclass(frozen=True, slots=True)
class StoredCursor:
    """How far a check has read, and what outlives its runs. Moments are Unix times."""

    check: str
    """The check's name."""
    fingerprint: str | None = None
    """Of the definition of the check that the cursor belongs to."""
    encoded_cursor: str | None = None
    completed_at: Mapping[Scope, float] = field(default_factory=dict)
    """The end of the latest completed run of each scope."""
    unlisted: tuple[Unlisted, ...] = ()
    """Of the latest runs, the latest last."""

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on; decoded anew each time."""
        if self.encoded_cursor is None:
            return None
        cursor: Cursor = restore(self.encoded_cursor)
        return cursor


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is remembered of a check's runs."""

    outcome: Outcome
    completed: Mapping[Scope, datetime]
    """When a run of each scope last answered the check's question."""


def overall(runs: Iterable[Run]) -> Outcome:
    """The worst outcome; a violation that is known weighs more than an answer that is missing."""
    outcomes = {each.outcome for each in runs}
    order = (Outcome.FAIL, Outcome.ERROR, Outcome.SKIPPED)
    return next((each for each in order if each in outcomes), Outcome.PASS)


def excluded_rows(result: Result) -> str:
    """How many rows were not judged, by the reason; a question mark where they were not counted."""
    found = (
        f"{'?' if count is None else count} {reason}"
        for reason, count in result.excluded.items()
        if count != 0
    )
    return ", ".join(found)
