"""After the database failed: what the shadow learned meanwhile, and what others wrote meanwhile."""

from sqlalchemy import Connection, Table, insert, select

from worker.model.finding import FindingState
from worker.state.lifecycle import DECISION, standing
from worker.state.schema import Row, Rows, alerts, by_key, cursors, events, findings, put, runs


def merge(shadow: Rows, database: Connection) -> None:
    """Add to the database what the shadow learned while it was away; nothing is lost of either."""
    _add_missing(shadow, database, runs, ("check_name", "started_at"))
    _add_missing(shadow, database, events, ("finding_id", "at", "change"))
    put(database, cursors, shadow[cursors].values())
    known = by_key(database, alerts)
    put(database, alerts, (_began(row, known.get(key)) for key, row in shadow[alerts].items()))
    stored = by_key(database, findings)
    put(
        database,
        findings,
        (_merged(row, stored.get(key)) for key, row in shadow[findings].items()),
    )


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


def _began(ours: Row, theirs: Row | None) -> Row:
    """An alert as the shadow has it, firing since it first did."""
    if theirs is None or theirs["ends_at"] is not None or ours["ends_at"] is not None:
        return ours
    return ours | {"starts_at": min(ours["starts_at"], theirs["starts_at"])}


def _merged(ours: Row, theirs: Row | None) -> Row:
    """A finding as the shadow saw it last, and as whoever decided last wants it."""
    merged = dict(ours)
    if theirs is None:
        return merged
    if theirs["state"] != FindingState.RESOLVED and theirs["first_seen"] < ours["first_seen"]:
        # The state could not be read at the start: the database knows it from before.
        merged["first_seen"] = theirs["first_seen"]
        merged["times_seen"] += theirs["times_seen"]
        merged["confirmed_at"] = theirs["confirmed_at"] or ours["confirmed_at"]
    if (theirs["decided_at"] or 0) > (ours["decided_at"] or 0):
        merged |= {name: theirs[name] for name in DECISION}
    if merged["state"] != FindingState.RESOLVED:
        merged["state"] = standing(merged)
    return merged
