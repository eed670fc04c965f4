"""What is known at one moment of the checks, their findings, and the worker itself.

It is read from the state's copy in memory and from what the worker holds anyway: nobody is asked,
and looking at it costs the databases nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from checks.card import Detail as Shown
from checks.contract import Check
from checks.types import Severity
from worker.cli.printing import finding_as_json
from worker.model.finding import FindingState
from worker.model.pause import Pause
from worker.model.run import LastRun, Outcome, Run
from worker.model.server import Identity
from worker.state import State, queries, runs
from worker.state.queries import UNRESOLVED
from worker.state.schema import Row
from worker.text.inspection import look
from worker.text.redact import Mask

LATE_INTERVALS, LATE_AFTER = 3, timedelta(minutes=2)
"""An answer that is older than so many intervals, and than so long, says nothing of the present.
The alert ReconcilerCheckLate means the same."""

EXAMPLES = 50
"""Checks of which a glance at everything shows a finding."""

RESOLVED_SHOWN = 20
"""Findings that were resolved lately, shown beside those that are not."""


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
    run: Row | None
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
        return self.run["violations"] if self.run else None

    @property
    def is_known_wrong(self) -> bool:
        """Whether there are findings, whatever the latest run could tell."""
        return any(self.counts.values())

    @property
    def is_acknowledged(self) -> bool:
        """Whether somebody answers for everything that is wrong."""
        return self.is_known_wrong and set(self.counts) == {FindingState.ACKNOWLEDGED}


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at a glance."""

    at: datetime
    checks: tuple[CheckStatus, ...]
    """In the order of the configuration."""
    known: Known
    state_failure: str | None
    examples: Mapping[str, Mapping[str, Any]]
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
    runs: Sequence[Row]
    """The latest first."""
    findings: Sequence[Mapping[str, Any]]
    """As programs read them: the confirmed ones first, then the open and the acknowledged."""
    listed: int
    """Unresolved findings that are written down; not all of them need be in `findings`."""
    unlisted: int
    """Violations beyond them: counted, and not written down."""
    resolved: Sequence[Mapping[str, Any]]
    look: str | None
    """SQL with which a person looks at the findings; None where no SQL can tell."""

    @property
    def details(self) -> Sequence[Shown]:
        """What the latest run saw beside findings; nothing where it could not tell."""
        latest = self.summary.latest
        return latest.result.details if latest and latest.result else ()


def abridged(run: Run) -> Run:
    """A run as it is remembered here: what the state keeps anyway would only fill the memory."""
    return replace(
        run, result=run.result and replace(run.result, findings=(), cursor=None, samples=())
    )


def overview(known: Known, state: State) -> Overview:
    """What is known of everything."""
    at = datetime.now(UTC)
    kept = state.read(_Kept.of)
    checks = tuple(_summary(each, known, kept, at) for each in known.checks)
    wrong = [each.check.name for each in checks if each.is_known_wrong][:EXAMPLES]
    rows = state.read(lambda memory: [queries.worst_of(memory, name, 1) for name in wrong])
    examples = {each["check"]: each for each in shown(known, chain.from_iterable(rows))}
    return Overview(at, checks, known, state.failure, examples)


def detail(known: Known, state: State, name: str, findings: int) -> Detail | None:
    """What is known of a check, with at most so many findings; None of one that is unknown."""
    check = next((each for each in known.checks if each.name == name), None)
    if check is None:
        return None
    at = datetime.now(UTC)

    def read(memory: Connection) -> Detail:
        listed = queries.listed(memory, UNRESOLVED, name).get(name, 0)
        rows = queries.worst_of(memory, name, findings)
        resolved = queries.lately_resolved(memory, name, RESOLVED_SHOWN)
        return Detail(
            at,
            _summary(check, known, _Kept.of(memory, name), at),
            known,
            queries.runs_of(memory, name),
            shown(known, rows),
            listed,
            runs.unlisted(memory).get(name, 0),
            shown(known, resolved),
            look(check, known.mask, map(_raw, rows)),
        )

    return state.read(read)


def shown(known: Known, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Findings as anybody may see them: as programs read them, personal values masked."""
    checks = {each.name: each for each in known.checks}
    found = (finding_as_json(row, checks.get(row["check_name"])) for row in rows)
    return [_masked(each, known.mask) for each in found]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the state holds of some checks."""

    runs: Mapping[str, Row]
    last: Mapping[str, LastRun]
    counts: Mapping[str, Mapping[FindingState, int]]

    @classmethod
    def of(cls, memory: Connection, check: str | None = None) -> "_Kept":
        counts: dict[str, dict[FindingState, int]] = {}
        for (name, state), number in runs.counts(memory, check).items():
            counts.setdefault(name, {})[state] = number
        return cls(queries.latest_runs(memory, check), runs.last_runs(memory), counts)


def _summary(check: Check, known: Known, kept: _Kept, at: datetime) -> CheckStatus:
    name = check.name
    run, last = kept.runs.get(name), kept.last.get(name)
    answered_at = max(last.completed.values(), default=None) if last else None
    interval = known.intervals[name]
    return CheckStatus(
        check,
        _status(run, answered_at, interval, at),
        run,
        known.latest.get(name),
        kept.counts.get(name, {}),
        answered_at,
        interval,
        known.next_run(name),
    )


def _status(
    run: Row | None, answered_at: datetime | None, interval: timedelta, at: datetime
) -> Status:
    if run is None or (answered_at is None and run["outcome"] != Outcome.ERROR):
        return Status.WAITING
    if run["outcome"] == Outcome.PASS and answered_at:
        allowed = max(LATE_INTERVALS * interval, LATE_AFTER)
        return Status.LATE if at - answered_at > allowed else Status.PASS
    return Status.FAIL if run["outcome"] == Outcome.FAIL else Status.ERROR


def _raw(row: Row) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return json.loads(row["key"]), json.loads(row["evidence"])


def _masked(finding: dict[str, Any], mask: Mask) -> dict[str, Any]:
    key, evidence, message = mask.finding(finding["key"], finding["evidence"], finding["message"])
    return finding | {"key": key, "evidence": evidence, "message": message}


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
