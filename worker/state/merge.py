"""After the database failed: what the shadow learned meanwhile, and what others wrote meanwhile."""

from dataclasses import replace

from sqlalchemy import Connection, Table, insert, select

from worker.model.alert import StoredAlert
from worker.model.finding import FindingState, StoredFinding
from worker.state.rows import (
    alert_of,
    finding_of,
    put_alerts,
    put_findings,
    read_alerts,
    read_findings,
)
from worker.state.schema import Rows, alerts, cursors, events, findings, put, runs


def merge(shadow: Rows, database: Connection) -> None:
    """Add to the database what the shadow learned while it was away; nothing is lost of either."""
    _add_missing(shadow, database, runs, ("check_name", "started_at"))
    _add_missing(shadow, database, events, ("finding_id", "at", "change"))
    put(database, cursors, shadow[cursors].values())
    known = {each.id: each for each in read_alerts(database, select(alerts))}
    ours = map(alert_of, shadow[alerts].values())
    put_alerts(database, (_began(each, known.get(each.id)) for each in ours))
    stored = {each.id: each for each in read_findings(database, select(findings))}
    seen = map(finding_of, shadow[findings].values())
    put_findings(database, (_merged(each, stored.get(each.id)) for each in seen))


def _add_missing(
    shadow: Rows, database: Connection, table: Table, identity: tuple[str, ...]
) -> None:
    """Add rows that only grow in number; the database numbers them anew."""
    columns = [table.c[name] for name in identity]
    stored = {tuple(row) for row in database.execute(select(*columns))}
    new = [
        {name: value for name, value in row.items() if name != "id"}
        for row in shadow[table].values()
        if tuple(row[name] for name in identity) not in stored
    ]
    if new:
        database.execute(insert(table), new)


def _began(ours: StoredAlert, theirs: StoredAlert | None) -> StoredAlert:
    """An alert as the shadow has it, firing since it first did."""
    if theirs is None or theirs.ends_at is not None or ours.ends_at is not None:
        return ours
    return replace(ours, starts_at=min(ours.starts_at, theirs.starts_at))


def _merged(ours: StoredFinding, theirs: StoredFinding | None) -> StoredFinding:
    """A finding as the shadow saw it last, and as whoever decided last wants it."""
    if theirs is None:
        return ours
    merged = ours
    if theirs.state is not FindingState.RESOLVED and theirs.first_seen < ours.first_seen:
        # The state could not be read at the start: the database knows it from before.
        merged = replace(
            merged,
            first_seen=theirs.first_seen,
            times_seen=ours.times_seen + theirs.times_seen,
            confirmed_at=theirs.confirmed_at or ours.confirmed_at,
        )
    if (theirs.decided_at or 0) > (ours.decided_at or 0):
        merged = replace(
            merged,
            acknowledgement=theirs.acknowledgement,
            decided_at=theirs.decided_at,
            untold=theirs.untold,
        )
    if merged.state is not FindingState.RESOLVED:
        merged = replace(merged, state=merged.standing)
    return merged
