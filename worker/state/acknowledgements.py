"""What people decide about findings, and what they look up before: the command line's side."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from worker.model.finding import Change, Event, FindingState, StoredAcknowledgement, StoredFinding
from worker.state.lifecycle import write_events
from worker.state.rows import put_findings, read_events, read_findings
from worker.state.schema import events, findings, unresolved

SHORTEST_PREFIX = 4
"""Digits of a finding's id that may stand for it, if no other begins with them."""

_PREFIX = re.compile(rf"[0-9a-f]{{{SHORTEST_PREFIX},32}}")


class UnknownFindingError(Exception):
    """Some ids name no finding, or none of which this can be decided. Lists all of them."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody knows of a finding and answers for it, for a time."""

    author: str
    reason: str
    until: datetime


def acknowledge(
    connection: Connection,
    findings_: Iterable[StoredFinding],
    acknowledgement: Acknowledgement,
    at: datetime,
) -> None:
    """Acknowledge findings as bad as they are now; an earlier acknowledgement is replaced."""
    until = acknowledgement.until
    detail = f"until {until.isoformat(' ', 'seconds')}: {acknowledgement.reason}"

    def decided(finding: StoredFinding) -> StoredFinding:
        known = StoredAcknowledgement(
            author=acknowledgement.author,
            reason=acknowledgement.reason,
            at=at.timestamp(),
            until=until.timestamp(),
            magnitude=finding.magnitude,
            aspects=finding.aspects,
        )
        return replace(finding, acknowledgement=known)

    change, author = Change.FINDING_ACKNOWLEDGED, acknowledgement.author
    _decide(connection, findings_, decided, change=change, at=at, author=author, detail=detail)


def withdraw(
    connection: Connection, findings_: Iterable[StoredFinding], author: str, at: datetime
) -> None:
    """Take acknowledgements back: what was confirmed before counts as confirmed again."""
    change = Change.FINDING_UNACKNOWLEDGED
    _decide(connection, findings_, _undecided, change=change, at=at, author=author, detail=None)


def decidable(
    connection: Connection, ids: Iterable[str], *, acked: bool = False
) -> list[StoredFinding]:
    """The findings that these ids, or unique beginnings of ids, name, each once.

    Raises UnknownFindingError, saying all that is wrong, unless every one of them is unresolved
    and, if that is asked for, acknowledged.
    """
    chosen: dict[str, StoredFinding] = {}
    mistakes = []
    for given in ids:
        try:
            finding = find(connection, given)
        except UnknownFindingError as mistake:
            mistakes.append(str(mistake))
            continue
        if finding.state is FindingState.RESOLVED:
            mistakes.append(f"finding {given} is already resolved")
        elif acked and not finding.acknowledgement:
            mistakes.append(f"finding {given} is not acknowledged")
        chosen[finding.id] = finding
    if mistakes:
        raise UnknownFindingError("; ".join([*mistakes, "nothing was changed"]))
    return list(chosen.values())


def find(connection: Connection, given: str) -> StoredFinding:
    """The finding that an id, or a unique beginning of one, names."""
    prefix = given.strip().lower()
    if not _PREFIX.fullmatch(prefix):
        raise UnknownFindingError(
            f"{given!r} is no id of a finding: {SHORTEST_PREFIX} to 32 digits of 0-9 and a-f"
        )
    statement = select(findings).where(findings.c.id.startswith(prefix)).limit(2)
    found = list(read_findings(connection, statement.with_for_update()))
    if len(found) > 1:
        raise UnknownFindingError(f"several findings begin with {given}; give more digits")
    if not found:
        raise UnknownFindingError(f"no finding is named {given}")
    return found[0]


def unresolved_of(connection: Connection, checks: Iterable[str]) -> list[StoredFinding]:
    """All findings of these checks that are not resolved."""
    statement = select(findings).where(unresolved, findings.c.check_name.in_(list(checks)))
    return list(read_findings(connection, statement.with_for_update()))


def in_states(connection: Connection, states: Iterable[FindingState]) -> list[StoredFinding]:
    """All findings in these states, the longest known first."""
    statement = select(findings).where(findings.c.state.in_(list(states)))
    statement = statement.order_by(findings.c.first_seen, findings.c.id)
    return list(read_findings(connection, statement))


def history(connection: Connection, identity: str) -> list[Event]:
    """All that is remembered to have happened to a finding, in order."""
    statement = select(events).where(events.c.finding_id == identity)
    return list(read_events(connection, statement.order_by(events.c.id)))


def _decide(
    connection: Connection,
    findings_: Iterable[StoredFinding],
    decided: Callable[[StoredFinding], StoredFinding],
    *,
    change: Change,
    at: datetime,
    author: str,
    detail: str | None,
) -> None:
    """Change findings, and write into the history of each who did it."""
    changed, new = [], defaultdict(list)
    for each in findings_:
        after = replace(decided(each), decided_at=at.timestamp(), untold=change)
        changed.append(replace(after, state=after.standing))
        new[each.check].append(Event(each.check, each.id, at.timestamp(), change, author, detail))
    put_findings(connection, changed)
    for check, happened in new.items():
        write_events(connection, check, happened)


def _undecided(finding: StoredFinding) -> StoredFinding:
    return replace(finding, acknowledgement=None)
