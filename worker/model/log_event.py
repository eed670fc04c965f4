"""What the log is to tell of a change of state: kept with the change until it was told.

The state is written before the log. A process that is killed in between would leave a change of
which no line tells; so the events are written with it, and told after the next start.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from checks.types import Severity
from worker.model.finding import Change, Transition
from worker.model.run import Run

QUIET = {
    *(Change.FINDING_RESOLVED, Change.FINDING_ACKNOWLEDGED, Change.FINDING_UNACKNOWLEDGED),
    Change.CHECK_RECOVERED,
}
"""Changes that are no cause for concern."""

PAGING = {Change.FINDING_CONFIRMED, Change.FINDING_REOPENED}
"""Changes that page somebody, where the check is critical."""

TRANSITIONS_LOGGED = 20
"""Events of one sort that a run makes; the rest is counted, and `reconciler findings` has them."""

NOT_LOGGED, FORGOTTEN = "transitions_not_logged", "findings_forgotten"
"""Events that tell of several findings."""

INFO, WARNING, ERROR = 20, 30, 40


@dataclass(frozen=True, slots=True)
class LogEvent:
    """A line of the log that is not written yet. Personal values are still as they are."""

    id: str
    """By which a line is known that is told twice: 32 hex digits."""
    name: str
    level: int
    fields: Mapping[str, Any]
    """What every reader may see."""
    key: Mapping[str, Any] | None = None
    message: str | None = None
    """Of a finding."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What the message may repeat; it is not logged."""


def check_fields(run: Run) -> dict[str, Any]:
    """By what a line says which check it is about."""
    check = run.check
    return {
        "check": check.name,
        "kind": check.kind,
        check.reads: check.source_name,
        **({"table": check.table} if check.table else {}),
        "severity": check.severity,
    }


def log_events(transitions: Sequence[Transition]) -> list[LogEvent]:
    """One event a transition, named by its change; a flood of them is cut, and that is said."""
    told, events = Counter[Change](), list[LogEvent]()
    for each in transitions:
        told[each.change] += 1
        if told[each.change] <= TRANSITIONS_LOGGED:
            events.append(_event_of(each))
    left_out = {change: n - TRANSITIONS_LOGGED for change, n in told.items()}
    if cut := {change.value: n for change, n in left_out.items() if n > 0}:
        first = transitions[0]
        fields = {"check": first.run.check.name, **cut}
        events.append(LogEvent(_derived(first.id), NOT_LOGGED, WARNING, fields))
    return events


def forgotten(numbers: Mapping[str, int], at: float) -> LogEvent:
    """So many findings of checks that left the configuration were resolved."""
    fields = {
        "findings": sum(numbers.values()),
        "gone": sorted(numbers),
        "why": "checks not configured",
    }
    return LogEvent(_derived(f"{at} {fields}"), FORGOTTEN, WARNING, fields)


def _event_of(transition: Transition) -> LogEvent:
    run, change = transition.run, transition.change
    fields = check_fields(run)
    if transition.finding_id:
        fields["finding"] = transition.finding_id
    if change is Change.CHECK_FAILED:
        fields |= {"error": run.error, "permanent": run.permanent}
    pages = run.check.severity is Severity.CRITICAL and change in PAGING
    return LogEvent(
        id=transition.id,
        name=change.value,
        level=INFO if change in QUIET else ERROR if pages else WARNING,
        fields={**fields, **transition.details},
        key=transition.key if transition.finding_id else None,
        message=transition.message or None,
        evidence=transition.evidence,
    )


def _derived(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
