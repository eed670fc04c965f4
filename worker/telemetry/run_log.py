"""What a person is told: one log line a run, and one event for every change of state."""

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from checks.contract import Finding
from checks.types import Severity
from worker.model.log_event import LogEvent, check_fields
from worker.model.run import Outcome, Run
from worker.text.redact import Mask

LIKE_THE_LAST = 0.75
"""Part of a check's interval in which the line of a passing run says nothing new."""

FINDINGS_LOGGED = 3
"""Findings that a run's line repeats; the rest are in the state and on the command line."""

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
        **check_fields(run),
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


def tell(events: Iterable[LogEvent], mask: Mask) -> None:
    """Write the lines of events; personal values go through `mask`."""
    for each in events:
        fields = {"event_id": each.id, **each.fields}
        if each.key is not None:
            fields["key"] = mask.fields(each.key)
        if each.message:
            fields["message"] = mask.message(each.message, each.key or {}, each.evidence)
        _log.log(each.level, each.name, **fields)


def _shown(finding: Finding, mask: Mask) -> dict[str, Any]:
    """A finding as a line of the log has it."""
    key, evidence, message = mask.finding(finding.key, finding.evidence, finding.message)
    return {"key": key, "message": message, "evidence": evidence}


def _level(run: Run) -> int:
    if run.outcome is Outcome.FAIL and run.check.severity is Severity.CRITICAL:
        return 40
    return 30 if run.outcome in (Outcome.FAIL, Outcome.ERROR) else 20
