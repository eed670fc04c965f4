"""The life of a finding: open, confirmed, acknowledged by somebody, resolved.

Only a completed run resolves, and only when its sample holds every violation. What somebody
acknowledged stays so, silently, until it is mended, its time is up, or it gets worse.
"""

import json
from collections import defaultdict
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select

from checks.contract import SAMPLE, Finding, Result
from worker.model.finding import Change, FindingState, Transition, finding_id
from worker.model.run import Run
from worker.state.schema import Row, events, findings, put, remove, unresolved
from worker.text.encode import dump, encodable

FINDINGS_KEPT = SAMPLE
"""Unresolved findings kept of each check; the violation count is exact all the same."""

RESOLVED_FOR = 30 * 86400
"""Seconds for which a resolved finding is kept, with its history."""

RESOLVED_KEPT = 1000
"""Resolved findings kept of each check, the latest."""

EVENTS_KEPT = 50
"""Events kept of each finding: the first, and the latest."""

UNDECIDED: Row = dict.fromkeys(
    ("ack_author", "ack_reason", "acked_at", "ack_until", "acked_magnitude", "acked_aspects")
)
"""What a finding that nobody acknowledged knows of acknowledging."""

DECISION = (*UNDECIDED, "decided_at", "untold")
"""The columns that hold what somebody decided."""


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


def event(row: Row, change: Change, at: float, author: str | None, detail: str | None) -> Row:
    """A line of a finding's history."""
    return {
        "check_name": row["check_name"],
        "finding_id": row["id"],
        "at": at,
        "change": change,
        "author": author,
        "detail": detail,
    }


def write_events(connection: Connection, check: str, new: list[Row]) -> None:
    """Add to the history of a check's findings, and keep it bounded."""
    if not new:
        return
    connection.execute(insert(events), new)
    crowded = (
        select(events.c.finding_id)
        .where(events.c.check_name == check)
        .group_by(events.c.finding_id)
        .having(func.count() > EVENTS_KEPT)
    )
    for identity in connection.scalars(crowded).all():
        ids = select(events.c.id).where(events.c.finding_id == identity).order_by(events.c.id)
        remove(connection, events, connection.scalars(ids).all()[1 : 1 - EVENTS_KEPT])


def standing(row: Row) -> FindingState:
    """The state of an unresolved finding, from what is known of it."""
    if row["acked_at"] is not None:
        return FindingState.ACKNOWLEDGED
    return FindingState.OPEN if row["confirmed_at"] is None else FindingState.CONFIRMED


def aspects(finding: Finding) -> str:
    """The ways in which a finding is wrong, as they are kept."""
    return dump(sorted({*finding.aspects, str(finding.evidence.get("problem", ""))}))


def finish(connection: Connection, rows: list[Row], at: float, detail: str | None = None) -> None:
    """Resolve findings, for whatever reason."""
    by_check = defaultdict(list)
    for row in rows:
        row |= {"state": FindingState.RESOLVED, "resolved_at": at, "untold": None}
        ended = event(row, Change.FINDING_RESOLVED, at, None, detail)
        by_check[row["check_name"]].append(ended)
    put(connection, findings, rows)
    for check, new in by_check.items():
        write_events(connection, check, new)


class _Book:
    """The unresolved findings of a run's check, while that run changes them."""

    def __init__(self, connection: Connection, run: Run) -> None:
        self.transitions: list[Transition] = []
        self._connection, self._run = connection, run
        self._check, self._now = run.check.name, run.ended_at.timestamp()
        statement = (
            select(findings)
            .where(findings.c.check_name == self._check, unresolved)
            .order_by(findings.c.first_seen, findings.c.id)
            .with_for_update()  # whoever acknowledges one of them meanwhile waits
        )
        self._rows = {row["id"]: dict(row) for row in connection.execute(statement).mappings()}
        self._changed: dict[str, Row] = {}
        self._events: list[Row] = []

    def tell_decisions(self) -> None:
        """Tell what was decided on the command line since the last time."""
        for row in self._rows.values():
            if row["untold"]:
                self._tell(Change(row["untold"]), row, self._decision(row))
                row["untold"] = None
                self._changed[row["id"]] = row

    def resolve_all_but(self, seen: dict[str, Finding]) -> None:
        """Resolve what is not there any more."""
        gone = [self._rows.pop(each) for each in list(self._rows) if each not in seen]
        finish(self._connection, gone, self._now)
        for row in gone:
            self._changed.pop(row["id"], None)
            self._tell(Change.FINDING_RESOLVED, row)

    def expire(self) -> None:
        """Reopen what was acknowledged for a time that is over."""
        for row in self._rows.values():
            if row["ack_until"] is not None and row["ack_until"] <= self._now:
                self._reopen(row, "expired")

    def see(self, seen: dict[str, Finding]) -> None:
        """Take on what the run saw."""
        for identity, finding in seen.items():
            if identity in self._rows:
                self._see(self._rows[identity], finding)
            elif len(self._rows) < FINDINGS_KEPT:
                self._rows[identity] = self._new(identity, finding)
                self._see(self._rows[identity], finding)

    def close(self) -> None:
        """Write all of it down."""
        put(self._connection, findings, self._changed.values())
        write_events(self._connection, self._check, self._events)
        _prune_resolved(self._connection, self._check, self._now)

    def _new(self, identity: str, finding: Finding) -> Row:
        return {
            **dict.fromkeys(findings.columns.keys()),
            "id": identity,
            "check_name": self._check,
            "key": dump(finding.key),
            "first_seen": self._now,
            "times_seen": 0,
        }

    def _see(self, row: Row, finding: Finding) -> None:
        row |= {
            "message": encodable(finding.message),
            "evidence": dump(finding.evidence),
            "magnitude": str(finding.magnitude),
            "aspects": aspects(finding),
            "last_seen": self._now,
            "times_seen": row["times_seen"] + 1,
        }
        if row["acked_at"] is not None and _is_worse(row, finding):
            self._reopen(row, "worse")
        self._mature(row)
        self._changed[row["id"]] = row

    def _mature(self, row: Row) -> None:
        """Confirm what enough runs have seen; silently where somebody has acknowledged it."""
        is_new = row["state"] is None
        matured = row["confirmed_at"] is None and (
            row["times_seen"] >= self._run.check.confirmations
        )
        if matured:
            row["confirmed_at"] = self._now
        row["state"] = standing(row)
        if matured and row["state"] is FindingState.CONFIRMED:
            self._happened(Change.FINDING_CONFIRMED, row)
        elif is_new:
            self._happened(Change.FINDING_OPENED, row)

    def _reopen(self, row: Row, why: str) -> None:
        confirmed_at = row["confirmed_at"] or self._now
        row |= {**UNDECIDED, "confirmed_at": confirmed_at, "decided_at": self._now}
        row["state"] = standing(row)
        self._changed[row["id"]] = row
        self._happened(Change.FINDING_REOPENED, row, why)

    def _happened(self, change: Change, row: Row, why: str | None = None) -> None:
        self._events.append(event(row, change, self._now, None, why))
        self._tell(change, row, {"why": why} if why else {})

    def _decision(self, row: Row) -> Row:
        """What somebody decided of a finding; who withdrew it, only its history knows."""
        if row["acked_at"] is None:
            statement = (
                select(events.c.author)
                .where(events.c.finding_id == row["id"], events.c.change == row["untold"])
                .order_by(events.c.id.desc())
                .limit(1)
            )
            return {"author": self._connection.scalar(statement)}
        until = datetime.fromtimestamp(row["ack_until"], UTC).isoformat()
        return {"author": row["ack_author"], "reason": row["ack_reason"], "until": until}

    def _tell(self, change: Change, row: Row, details: Row | None = None) -> None:
        told = Transition(
            change,
            self._run,
            row["id"],
            row["message"],
            json.loads(row["key"]),
            json.loads(row["evidence"]),
            details or {},
        )
        self.transitions.append(told)


def _is_worse(row: Row, finding: Finding) -> bool:
    """Whether it is worse than what was acknowledged, as far as that was known."""
    if row["acked_magnitude"] is None:  # from before magnitudes were kept
        row |= {
            "acked_magnitude": str(finding.magnitude),
            "acked_aspects": aspects(finding),
        }
    grown = finding.magnitude > int(row["acked_magnitude"])
    known = json.loads(row["acked_aspects"] or "[]")
    return grown or not set(json.loads(aspects(finding))) <= set(known)


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
