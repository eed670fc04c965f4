"""What is known at one moment of the checks, their findings, and the worker itself.

It is read from the state's copy in memory and from what the worker holds anyway: nobody is asked,
and looking at it costs the databases nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from checks.card import Detail as Shown
from checks.contract import Check
from checks.types import Severity
from worker.model.finding import FindingState, StoredFinding
from worker.model.pause import Pause
from worker.model.run import Run, StoredRun
from worker.model.server import Identity
from worker.text.redact import Mask


class Status(StrEnum):
    """What a check says of the present, the worst first."""

    FAIL = "fail"
    ERROR = "error"
    LATE = "late"
    WAITING = "waiting"
    PASS = "pass"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """A database, as far as it is known by now."""

    name: str
    environment: str
    error: str | None
    """Why it could not be reached at the latest attempt."""
    identity: Identity | None
    """None until it was reached for the first time."""
    busy: tuple[str, ...] = ()
    """Why runs on it are put off, in words; empty when they are not."""


@dataclass(frozen=True, slots=True)
class AlertmanagerStatus:
    """What an Alertmanager has not been told yet."""

    name: str
    pending: int
    pending_seconds: float
    """How long the oldest of them has waited; 0 when there are none."""


@dataclass(frozen=True, slots=True)
class Standby:
    """What a worker knows that waits while another one acts."""

    leader: str | None
    """The host of that one; None while nobody is known to act."""
    since: float | None
    """Since when it acts (Unix time)."""

    def __str__(self) -> str:
        if self.leader is None or self.since is None:
            return "no worker is known to act"
        since = datetime.fromtimestamp(self.since, UTC)
        return f"the worker on {self.leader} acts since {since:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Known:
    """What the worker knows beside its state."""

    checks: tuple[Check, ...]
    intervals: Mapping[str, timedelta]
    next_run: Callable[[str], datetime | None]
    databases: tuple[DatabaseStatus, ...]
    latest: Mapping[str, Run]
    """The latest run of each check in this process, without its findings."""
    complaint: str | None
    """Why the worker should be restarted."""
    mask: Mask
    zone: ZoneInfo
    alertmanagers: tuple[AlertmanagerStatus, ...] = ()
    pauses: tuple[Pause, ...] = ()
    """Why no run begins at all; empty when they do."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """A check and what is known of it."""

    check: Check
    status: Status
    run: StoredRun | None
    """The latest run."""
    latest: Run | None
    """The same run, with what is not kept over restarts."""
    counts: Mapping[FindingState, int]
    """Unresolved findings by state, the unlisted ones included."""
    answered_at: datetime | None
    """When a run last answered the question."""
    interval: timedelta
    next_run: datetime | None

    @property
    def violations(self) -> int | None:
        """As many as the latest run saw; None where it could not tell."""
        return self.run.violations if self.run else None

    @property
    def is_known_wrong(self) -> bool:
        """Whether there are findings, whatever the latest run could tell."""
        return any(self.counts.values())

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody answers for everything that is wrong."""
        return self.is_known_wrong and set(self.counts) == {FindingState.ACKNOWLEDGED}


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """A finding and its check, as they may be shown to somebody."""

    stored: StoredFinding
    check: Check | None
    """None where it is not configured any more."""
    key: Mapping[str, Any]
    evidence: Mapping[str, Any]
    message: str

    @classmethod
    def of(
        cls, stored: StoredFinding, check: Check | None, mask: Mask | None = None
    ) -> "ShownFinding":
        """With its personal values masked; without a mask as it is."""
        key, evidence, message = stored.key, stored.evidence, stored.message
        if mask:
            key, evidence, message = mask.finding(key, evidence, message)
        return cls(stored, check, key, evidence, message)


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at a glance."""

    at: datetime
    checks: tuple[CheckStatus, ...]
    """In the order of the configuration."""
    known: Known
    state_failure: str | None
    examples: Mapping[str, ShownFinding]
    """A finding, masked, of each of the first checks that see violations."""

    @property
    def numbers(self) -> Mapping[Status, int]:
        """How many checks have each status."""
        return Counter(each.status for each in self.checks)

    @property
    def status(self) -> Status:
        """The worst of all; a violation weighs more than an answer that is missing."""
        return next((each for each in Status if self.numbers[each]), Status.WAITING)

    @property
    def counts(self) -> Mapping[FindingState, int]:
        """All unresolved findings by state."""
        return sum((Counter(each.counts) for each in self.checks), Counter())

    @property
    def clauses(self) -> list[str]:
        """What is to be said, the worst first."""
        return _clauses(self.checks)

    @property
    def verdict(self) -> str:
        """The same as one sentence."""
        return "; ".join(self.clauses)


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything that is known of one check, with some of its findings, masked."""

    at: datetime
    summary: CheckStatus
    known: Known
    runs: Sequence[StoredRun]
    """The latest first."""
    findings: Sequence[ShownFinding]
    """The confirmed ones first, then the open and the acknowledged."""
    listed: int
    """Unresolved findings that are written down; not all of them need be in `findings`."""
    unlisted: int
    """Violations beyond them: counted, and not written down."""
    resolved: Sequence[ShownFinding]
    look: str | None
    """SQL with which a person looks at the findings; None where no SQL can tell."""

    @property
    def details(self) -> Sequence[Shown]:
        """What the latest run saw beside findings; nothing where it could not tell."""
        latest = self.summary.latest
        return latest.result.details if latest and latest.result else ()


def _clauses(checks: Sequence[CheckStatus]) -> list[str]:
    by_status = {status: [c for c in checks if c.status is status] for status in Status}
    passing = by_status[Status.PASS]
    if len(passing) == len(checks):
        return [f"All {len(checks)} checks pass" if len(checks) != 1 else "The only check passes"]
    parts = [
        *_violated(by_status[Status.FAIL]),
        *_untold(by_status[Status.ERROR]),
        *_said(by_status[Status.LATE], "is late", "are late"),
        *_said(by_status[Status.WAITING], "has not run yet", "have not run yet"),
        *_said(passing, "passes", "pass"),
    ]
    first, *rest = parts
    return [first, *(_CHECKS.sub("", each, 1) for each in rest)]


_CHECKS = re.compile(" checks?(?= )")


def _violated(checks: Sequence[CheckStatus]) -> Iterable[str]:
    new = [each for each in checks if not each.is_acknowledged]
    severities = Counter(each.check.severity for each in new)
    by_severity = ", ".join(f"{severities[s]} {s}" for s in Severity if severities[s])
    for said in _said(new, "sees violations", "see violations"):
        yield f"{said}: {by_severity}"
    yield from _said(
        [each for each in checks if each.is_acknowledged],
        "sees acknowledged violations only",
        "see acknowledged violations only",
    )


def _untold(checks: Sequence[CheckStatus]) -> Iterable[str]:
    wrong = sum(each.is_known_wrong for each in checks)
    for said in _said(checks, "cannot tell", "cannot tell"):
        yield said + (f" ({wrong} of them with known violations)" if wrong else "")


def _said(checks: Sequence[CheckStatus], one: str, several: str) -> Iterable[str]:
    if checks:
        yield f"1 check {one}" if len(checks) == 1 else f"{len(checks)} checks {several}"
