"""Runs, findings and their history as programs read them, on the command line and over HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from checks.contract import Finding
from worker.model.finding import Event, StoredAcknowledgement
from worker.model.run import Run, overall
from worker.status.model import ShownFinding


def runs_as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """Several runs, and what they come to."""
    return {"outcome": overall(runs), "checks": [run_as_json(each) for each in runs]}


def run_as_json(each: Run) -> dict[str, Any]:
    """A run as programs read it; null where it could not tell."""
    result = each.result
    return {
        "name": each.check.name,
        "kind": each.check.kind,
        "source": each.check.source_name,
        "database": each.check.database,
        "table": each.check.table,
        "severity": each.check.severity,
        "outcome": each.outcome,
        "scope": each.scope,
        "examined": result and result.examined,
        "estimated": result and result.estimated,
        "excluded": dict(result.excluded) if result else {},
        "leaves_out": [*each.check.excluded, *each.check.leaves_out],
        "violations": result and result.violations,
        "seconds": round(each.seconds, 4),
        "error": each.error,
        "permanent": each.permanent,
        "measures": dict(result.measures) if result else {},
        "notes": list(result.notes) if result else [],
        "findings": [_seen(finding) for finding in result.findings] if result else [],
    }


def finding_as_json(shown: ShownFinding) -> dict[str, Any]:
    """A finding as programs read it; null where its check is not configured."""
    stored, check = shown.stored, shown.check
    return {
        "id": stored.id,
        "check": stored.check,
        "kind": check and check.kind,
        "table": check and check.table,
        "severity": check and check.severity,
        "state": stored.state,
        "key": shown.key,
        "message": shown.message,
        "evidence": shown.evidence,
        "magnitude": stored.magnitude,
        "first_seen": utc(stored.first_seen),
        "last_seen": utc(stored.last_seen),
        "resolved_at": utc(stored.resolved_at),
        "times_seen": stored.times_seen,
        "acknowledged": stored.acknowledgement and _acknowledged(stored.acknowledgement),
    }


def event_as_json(event: Event) -> dict[str, Any]:
    """A line of a finding's history as programs read it."""
    return {
        "at": utc(event.at),
        "change": event.change,
        "author": event.author,
        "detail": event.detail,
    }


def utc(moment: float | None) -> str | None:
    """A moment of the state as ISO text."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


def _seen(finding: Finding) -> dict[str, Any]:
    """A finding of a run: its values as they are."""
    return {
        "key": dict(finding.key),
        "message": finding.message,
        "evidence": dict(finding.evidence),
    }


def _acknowledged(known: StoredAcknowledgement) -> dict[str, Any]:
    return {
        "author": known.author,
        "reason": known.reason,
        "at": utc(known.at),
        "until": utc(known.until),
    }
