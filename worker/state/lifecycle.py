"""The life of a finding: open, confirmed, acknowledged by somebody, resolved.

Only a completed run resolves, and only when its sample holds every violation. What somebody
acknowledged stays so, silently, until it is mended, its time is up, or it gets worse.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from checks.contract import SAMPLE, Finding, Result
from worker.model.finding import (
    Change,
    Event,
    FindingState,
    StoredAcknowledgement,
    StoredFinding,
    Transition,
    finding_id,
)
from worker.model.run import Run
from worker.state.rows import add_events, put_findings, read_findings
from worker.state.schema import events, findings, remove, unresolved
from worker.text.encode import dump, encodable, store

FINDINGS_KEPT = SAMPLE
"""Unresolved findings kept of each check; the violation count is exact all the same."""

RESOLVED_FOR = 30 * 86400
"""Seconds for which a resolved finding is kept, with its history."""

RESOLVED_KEPT = 1000
"""Resolved findings kept of each check, the latest."""

EVENTS_KEPT = 50
"""Events kept of each finding: the first, and the latest."""


def follow(connection: Connection, run: Run) -> tuple[Transition, ...]:
    """Take the findings of a run's check on: through decisions, time, and what the run saw."""
    book = _Book(connection, run)
    book.tell_decisions()
    if run.result:
        seen = {finding_id(run.check.name, each): each for each in run.result.findings}
        # Before anything is added, so that the bound never drops a finding of a whole sample.
        if run.result.sample_is_whole:
            book.resolve_all_but(seen)
        book.expire()
        book.see(seen)
    else:
        book.expire()
    book.close()
    return tuple(book.transitions)


def write_events(connection: Connection, check: str, new: list[Event]) -> None:
    """Add to the history of a check's findings, and keep it bounded."""
    if not new:
        return
    add_events(connection, new)
    crowded = (
        select(events.c.finding_id)
        .where(events.c.check_name == check)
        .group_by(events.c.finding_id)
        .having(func.count() > EVENTS_KEPT)
    )
    for identity in connection.scalars(crowded).all():
        ids = select(events.c.id).where(events.c.finding_id == identity).order_by(events.c.id)
        remove(connection, events, connection.scalars(ids).all()[1 : 1 - EVENTS_KEPT])


def aspects(finding: Finding) -> str:
    """The ways in which a finding is wrong, as they are kept."""
    return dump(sorted({*finding.aspects, str(finding.evidence.get("problem", ""))}))


def finish(
    connection: Connection, ended: Iterable[StoredFinding], at: float, detail: str | None = None
) -> None:
    """Resolve findings, for whatever reason."""
    resolved = [
        replace(each, state=FindingState.RESOLVED, resolved_at=at, untold=None) for each in ended
    ]
    put_findings(connection, resolved)
    by_check = defaultdict(list)
    for each in resolved:
        event = Event(each.check, each.id, at, Change.FINDING_RESOLVED, detail=detail)
        by_check[each.check].append(event)
    for check, new in by_check.items():
        write_events(connection, check, new)


class _Book:
    """The unresolved findings of a run's check, while that run changes them."""

    def __init__(self, connection: Connection, run: Run) -> None:
        self.transitions: list[Transition] = []
        self._connection, self._run = connection, run
        began, self._now = run.steadily
        self._check = run.check.name
        # Of what this run saw, that is confirmed which an earlier one had seen by then.
        self._seen_before = began - run.check.confirmation_time.total_seconds()
        statement = (
            select(findings)
            .where(findings.c.check_name == self._check, unresolved)
            .order_by(findings.c.first_seen, findings.c.id)
            .with_for_update()  # whoever acknowledges one of them meanwhile waits
        )
        self._unresolved = {each.id: each for each in read_findings(connection, statement)}
        self._changed: dict[str, StoredFinding] = {}
        self._events: list[Event] = []

    def tell_decisions(self) -> None:
        """Tell what was decided on the command line since the last time."""
        for finding in self._unresolved.values():
            if finding.untold:
                self._tell(finding.untold, finding, self._decision(finding, finding.untold))
                self._keep(replace(finding, untold=None))

    def resolve_all_but(self, seen: dict[str, Finding]) -> None:
        """Resolve what is not there any more."""
        gone = [self._unresolved.pop(each) for each in list(self._unresolved) if each not in seen]
        finish(self._connection, gone, self._now)
        for finding in gone:
            self._changed.pop(finding.id, None)
            self._tell(Change.FINDING_RESOLVED, finding)

    def expire(self) -> None:
        """Reopen what was acknowledged for a time that is over."""
        for finding in self._unresolved.values():
            known = finding.acknowledgement
            if known and known.until <= self._now:
                self._keep(self._reopened(finding, "expired"))

    def see(self, seen: dict[str, Finding]) -> None:
        """Take on what the run saw."""
        for identity, finding in seen.items():
            if known := self._unresolved.get(identity):
                self._see(known, finding)
            elif len(self._unresolved) < FINDINGS_KEPT:
                self._see(self._new(identity, finding), finding)

    def close(self) -> None:
        """Write all of it down."""
        put_findings(self._connection, self._changed.values())
        write_events(self._connection, self._check, self._events)
        _prune_resolved(self._connection, self._check, self._now)

    def _keep(self, finding: StoredFinding) -> None:
        self._unresolved[finding.id] = self._changed[finding.id] = finding

    def _new(self, identity: str, finding: Finding) -> StoredFinding:
        """A finding as it is before a run has seen it."""
        return StoredFinding(
            id=identity,
            check=self._check,
            state=FindingState.OPEN,
            encoded_key=store(finding.key),
            message="",
            encoded_evidence="{}",
            first_seen=self._now,
            last_seen=self._now,
            times_seen=0,
        )

    def _see(self, before: StoredFinding, finding: Finding) -> None:
        now = replace(
            before,
            message=encodable(finding.message),
            encoded_evidence=store(finding.evidence),
            magnitude=finding.magnitude,
            aspects=aspects(finding),
            # A clock that was set back must not keep a finding from being confirmed.
            first_seen=min(before.first_seen, self._now),
            last_seen=self._now,
            times_seen=before.times_seen + 1,
        )
        if now.acknowledgement:
            now = self._judged(now, now.acknowledgement)
        self._keep(self._matured(now))

    def _judged(self, now: StoredFinding, known: StoredAcknowledgement) -> StoredFinding:
        """An acknowledged finding: reopened when it is worse than what was acknowledged."""
        if known.magnitude is None:  # from before magnitudes were kept
            as_bad = replace(known, magnitude=now.magnitude, aspects=now.aspects)
            return replace(now, acknowledgement=as_bad)
        return self._reopened(now, "worse") if _is_worse(now, known) else now

    def _matured(self, now: StoredFinding) -> StoredFinding:
        """Confirm what enough runs have seen; silently where somebody has acknowledged it."""
        matures = now.confirmed_at is None and self._is_lasting(now)
        if matures:
            now = replace(now, confirmed_at=self._now)
        if now.state is not now.standing:
            now = replace(now, state=now.standing)
        if matures and now.state is FindingState.CONFIRMED:
            self._happened(Change.FINDING_CONFIRMED, now)
        elif now.times_seen == 1:
            self._happened(Change.FINDING_OPENED, now)
        return now

    def _is_lasting(self, now: StoredFinding) -> bool:
        """Whether enough runs have seen it, for long enough."""
        check = self._run.check
        is_old = not check.confirmation_time or now.first_seen <= self._seen_before
        return now.times_seen >= check.confirmations and is_old

    def _reopened(self, finding: StoredFinding, why: str) -> StoredFinding:
        reopened = replace(
            finding,
            state=FindingState.CONFIRMED,
            confirmed_at=finding.confirmed_at or self._now,
            acknowledgement=None,
            decided_at=self._now,
        )
        self._happened(Change.FINDING_REOPENED, reopened, why)
        return reopened

    def _happened(self, change: Change, finding: StoredFinding, why: str | None = None) -> None:
        self._events.append(Event(self._check, finding.id, self._now, change, detail=why))
        self._tell(change, finding, {"why": why} if why else {})

    def _decision(self, finding: StoredFinding, change: Change) -> dict[str, Any]:
        """What somebody decided of a finding; who withdrew it, only its history knows."""
        known = finding.acknowledgement
        if known is None:
            statement = (
                select(events.c.author)
                .where(events.c.finding_id == finding.id, events.c.change == change)
                .order_by(events.c.id.desc())
                .limit(1)
            )
            return {"author": self._connection.scalar(statement)}
        until = datetime.fromtimestamp(known.until, UTC).isoformat()
        return {"author": known.author, "reason": known.reason, "until": until}

    def _tell(
        self, change: Change, finding: StoredFinding, details: dict[str, Any] | None = None
    ) -> None:
        told = Transition(
            change,
            self._run,
            finding.id,
            finding.message,
            finding.key,
            finding.evidence,
            details or {},
        )
        self.transitions.append(told)


def _is_worse(finding: StoredFinding, known: StoredAcknowledgement) -> bool:
    """Whether it is worse than what was acknowledged, of which the magnitude is known."""
    grown = (finding.magnitude or 0) > (known.magnitude or 0)
    ways = set(json.loads(finding.aspects or "[]"))
    return grown or not ways <= set(json.loads(known.aspects or "[]"))


def _prune_resolved(connection: Connection, check: str, now: float) -> None:
    resolved = connection.execute(
        select(findings.c.id, findings.c.resolved_at)
        .where(findings.c.check_name == check, ~unresolved)
        .order_by(findings.c.resolved_at.desc())
    ).all()
    old = [
        identity
        for place, (identity, at) in enumerate(resolved)
        if place >= RESOLVED_KEPT or at < now - RESOLVED_FOR
    ]
    remove(connection, findings, old)
    for identity in old:
        ids = select(events.c.id).where(events.c.finding_id == identity)
        remove(connection, events, connection.scalars(ids).all())


def result_is_kept(result: Result) -> bool:
    """Whether every violation that a run saw is now a finding of the state."""
    return result.sample_is_whole and len(result.findings) <= FINDINGS_KEPT
