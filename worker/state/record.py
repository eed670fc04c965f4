"""What a run changes in the state, and what is read back from it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from checks.base import Finding, Result
from worker.log import dump
from worker.run import Outcome, Run
from worker.state.tables import FindingState, findings, runs, unresolved

RUNS_KEPT = 100
"""Runs kept of each check."""

FINDINGS_KEPT = 1000
"""Unresolved findings kept of each check; the violation count is exact all the same."""

RESOLVED_KEPT = 30 * 86400
"""Seconds for which a resolved finding is kept."""


class Change(StrEnum):
    """What a transition is; also the name of its log event."""

    FINDING_OPENED = "finding_opened"
    FINDING_CONFIRMED = "finding_confirmed"
    FINDING_RESOLVED = "finding_resolved"
    CHECK_FAILED = "check_failed"
    CHECK_RECOVERED = "check_recovered"


@dataclass(frozen=True, slots=True)
class Transition:
    """A finding or a check changed state."""

    change: Change
    run: Run
    finding_id: str | None = None
    message: str | None = None
    key: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is remembered of a check's runs."""

    outcome: Outcome
    completed_at: datetime | None
    """When a run last answered the check's question."""


def finding_id(check: str, finding: Finding) -> str:
    """A finding's stable identity: 32 hex digits from its check's name and its key."""
    identity = dump([check, sorted(finding.key.items())])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def record(connection: Connection, run: Run) -> tuple[Transition, ...]:
    """Remember a run and its findings; tell what changed by it.

    A finding is resolved only by a completed run that no longer sees it, and whose sample holds
    every violation; a run that could not tell leaves all findings as they were.
    """
    name, result = run.check.name, run.result
    before = connection.scalar(
        select(runs.c.outcome).where(runs.c.check_name == name).order_by(runs.c.id.desc()).limit(1)
    )
    connection.execute(
        insert(runs).values(
            check_name=name,
            outcome=run.outcome,
            scope=run.scope,
            started_at=run.started_at.timestamp(),
            seconds=run.seconds,
            examined=result and result.examined,
            violations=result and result.violations,
            error=run.error,
        )
    )
    _prune_runs(connection, name)
    transitions = []
    if run.outcome is Outcome.ERROR and before != Outcome.ERROR:
        transitions.append(Transition(Change.CHECK_FAILED, run, message=run.error))
    if run.completed and before == Outcome.ERROR:
        transitions.append(Transition(Change.CHECK_RECOVERED, run))
    if result:
        transitions += _record_findings(connection, run, result)
    return tuple(transitions)


def _record_findings(connection: Connection, run: Run, result: Result) -> Iterator[Transition]:
    name, now = run.check.name, run.started_at.timestamp()
    known = {
        row.id: row
        for row in connection.execute(
            select(findings).where(findings.c.check_name == name, unresolved)
        )
    }
    seen = {finding_id(name, finding): finding for finding in result.findings}
    for identity, finding in seen.items():
        row = known.get(identity)
        if row is None and len(known) + len(seen) > FINDINGS_KEPT:
            continue
        times = row.times_seen + 1 if row else 1
        confirmed = times >= run.check.confirmations
        values = {
            "state": FindingState.CONFIRMED if confirmed else FindingState.OPEN,
            "message": finding.message,
            "evidence": dump(finding.evidence),
            "last_seen": now,
            "times_seen": times,
        }
        if row:
            connection.execute(update(findings).where(findings.c.id == identity).values(values))
        else:
            _open_finding(connection, identity, run, finding, values)
        if row is None or (confirmed and row.state == FindingState.OPEN):
            change = Change.FINDING_CONFIRMED if confirmed else Change.FINDING_OPENED
            yield Transition(change, run, identity, finding.message, finding.key)
    connection.execute(
        delete(findings).where(
            findings.c.check_name == name,
            findings.c.state == FindingState.RESOLVED,
            findings.c.last_seen < now - RESOLVED_KEPT,
        )
    )
    # What a sample leaves out may still be wrong.
    for identity in known.keys() - seen.keys() if result.sample_is_whole else ():
        row = known[identity]
        connection.execute(
            update(findings)
            .where(findings.c.id == identity)
            .values(state=FindingState.RESOLVED, last_seen=now)
        )
        yield Transition(Change.FINDING_RESOLVED, run, identity, row.message, json.loads(row.key))


def _open_finding(
    connection: Connection, identity: str, run: Run, finding: Finding, values: dict[str, Any]
) -> None:
    connection.execute(delete(findings).where(findings.c.id == identity))  # resolved before
    connection.execute(
        insert(findings).values(
            id=identity,
            check_name=run.check.name,
            key=dump(finding.key),
            first_seen=run.started_at.timestamp(),
            **values,
        )
    )


def _prune_runs(connection: Connection, name: str) -> None:
    oldest_kept = (
        select(runs.c.id)
        .where(runs.c.check_name == name)
        .order_by(runs.c.id.desc())
        .limit(1)
        .offset(RUNS_KEPT - 1)
    )
    if (oldest := connection.scalar(oldest_kept)) is not None:
        connection.execute(delete(runs).where(runs.c.check_name == name, runs.c.id < oldest))


def counts(connection: Connection) -> dict[tuple[str, FindingState], int]:
    """How many unresolved findings each check has, by state."""
    statement = (
        select(findings.c.check_name, findings.c.state, func.count())
        .where(unresolved)
        .group_by(findings.c.check_name, findings.c.state)
    )
    return {(name, FindingState(state)): n for name, state, n in connection.execute(statement)}


def last_runs(connection: Connection) -> dict[str, LastRun]:
    """The latest run of each check."""
    latest = select(func.max(runs.c.id)).group_by(runs.c.check_name)
    completed = (
        select(runs.c.check_name, func.max(runs.c.started_at + runs.c.seconds))
        .where(runs.c.outcome.in_([Outcome.PASS, Outcome.FAIL]))
        .group_by(runs.c.check_name)
    )
    times = {
        name: datetime.fromtimestamp(time, UTC) for name, time in connection.execute(completed)
    }
    rows = connection.execute(
        select(runs.c.check_name, runs.c.outcome).where(runs.c.id.in_(latest))
    )
    return {name: LastRun(Outcome(outcome), times.get(name)) for name, outcome in rows}
