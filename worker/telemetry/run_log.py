"""What a person is told: one log line a run, and one event for every change of state."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from checks.contract import Finding
from checks.types import Severity
from worker.model.finding import Change, Transition
from worker.model.run import Outcome, Run
from worker.text.redact import Mask

LIKE_THE_LAST = 0.75
"""Part of a check's interval in which the line of a passing run says nothing new."""

FINDINGS_LOGGED = 3
"""Findings that a run's line repeats; the rest are in the state and on the command line."""

QUIET = {
    *(Change.FINDING_RESOLVED, Change.FINDING_ACKNOWLEDGED, Change.FINDING_UNACKNOWLEDGED),
    Change.CHECK_RECOVERED,
}
"""Changes that are no cause for concern."""

PAGING = {Change.FINDING_CONFIRMED, Change.FINDING_REOPENED}
"""Changes that page somebody, where the check is critical."""

TRANSITIONS_LOGGED = 20
"""Events of one sort that a run makes; the rest is counted, and `reconciler findings` has them."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class RunLog:
    """Tells of runs; of a check that passes again and again, once an interval.

    Checks that page run more often than the configured interval, while they are quick.
    """

    def __init__(self, intervals: Mapping[str, timedelta]) -> None:
        """`intervals` are those of the configuration."""
        self._intervals = intervals
        self._passed_at: dict[str, float] = {}

    def tell(self, run: Run, mask: Mask) -> None:
        """Write the line of a run, unless one like it was written moments ago."""
        name, now = run.check.name, time.monotonic()
        passed_at = self._passed_at.pop(name, None)
        if run.outcome is Outcome.PASS and not (run.result and run.result.notes):
            interval = self._intervals.get(name, timedelta()).total_seconds()
            if passed_at is not None and now - passed_at < LIKE_THE_LAST * interval:
                self._passed_at[name] = passed_at
                return
            self._passed_at[name] = now
        log_run(run, mask)


def log_run(run: Run, mask: Mask) -> None:
    """The canonical line of a run; personal values go through `mask`."""
    result = run.result
    fields: dict[str, Any] = {
        **_check(run),
        "outcome": run.outcome,
        "scope": run.scope,
        "seconds": round(run.seconds, 4),
    }
    if result:
        fields |= {"examined": result.examined, "violations": result.violations}
        if result.violations:
            fields["measures"] = result.measures
            fields["findings"] = [_shown(each, mask) for each in result.findings[:FINDINGS_LOGGED]]
        if result.notes:
            fields["notes"] = result.notes
    if run.error:
        fields |= {"error": run.error, "permanent": run.permanent}
    _log.log(_level(run), "check_run", **fields)


def log_transitions(transitions: Iterable[Transition], mask: Mask) -> None:
    """One event a transition, named by its change; a flood of them is cut, and that is said."""
    told = Counter[Change]()
    for each in transitions:
        told[each.change] += 1
        if told[each.change] > TRANSITIONS_LOGGED:
            continue
        fields = _check(each.run)
        if each.finding_id:
            fields |= {"finding": each.finding_id, "key": mask.fields(each.key or {})}
        if each.message:
            fields["message"] = mask.message(each.message, each.key or {}, each.evidence)
        if each.change is Change.CHECK_FAILED:
            fields |= {"error": each.run.error, "permanent": each.run.permanent}
        _log.log(_level_of(each), each.change.value, **fields, **each.details)
        check = each.run.check.name
    left_out = {change: n - TRANSITIONS_LOGGED for change, n in told.items()}
    if cut := {change.value: n for change, n in left_out.items() if n > 0}:
        _log.warning("transitions_not_logged", check=check, **cut)


def _shown(finding: Finding, mask: Mask) -> dict[str, Any]:
    """A finding as a line of the log has it."""
    key, evidence, message = mask.finding(finding.key, finding.evidence, finding.message)
    return {"key": key, "message": message, "evidence": evidence}


def _check(run: Run) -> dict[str, Any]:
    check = run.check
    return {
        "check": check.name,
        "kind": check.kind,
        check.reads: check.source_name,
        **({"table": check.table} if check.table else {}),
        "severity": check.severity,
    }


def _level_of(transition: Transition) -> int:
    if transition.change in QUIET:
        return 20
    pages = transition.run.check.severity is Severity.CRITICAL
    return 40 if pages and transition.change in PAGING else 30


def _level(run: Run) -> int:
    if run.outcome is Outcome.FAIL and run.check.severity is Severity.CRITICAL:
        return 40
    return 30 if run.outcome in (Outcome.FAIL, Outcome.ERROR) else 20
