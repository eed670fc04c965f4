"""The door of the database: rows become what the worker works with here, and rows again."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Executable, Select, insert

from worker.model.alert import StoredAlert
from worker.model.finding import (
    Change,
    Event,
    FindingState,
    StoredAcknowledgement,
    StoredFinding,
)
from worker.model.run import Outcome, Scope, StoredCursor, StoredRun, Unlisted
from worker.state.schema import alerts, cursors, events, findings, put, runs
from worker.text.encode import restore

Stored = Mapping[Any, Any]
"""A row of a table, by its columns' names."""


def finding_of(row: Stored) -> StoredFinding:
    """What a row of `findings` holds."""
    magnitude, untold = row["magnitude"], row["untold"]
    return StoredFinding(
        id=row["id"],
        check=row["check_name"],
        state=FindingState(row["state"]),
        encoded_key=row["key"],
        message=row["message"],
        encoded_evidence=row["evidence"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        times_seen=row["times_seen"],
        magnitude=None if magnitude is None else int(magnitude),
        aspects=row["aspects"],
        confirmed_at=row["confirmed_at"],
        resolved_at=row["resolved_at"],
        acknowledgement=None if row["acked_at"] is None else _acknowledgement_of(row),
        decided_at=row["decided_at"],
        untold=None if untold is None else Change(untold),
    )


def alert_of(row: Stored) -> StoredAlert:
    """What a row of `alerts` holds."""
    return StoredAlert(
        id=row["id"],
        check=row["check_name"],
        alertmanager=row["alertmanager"],
        encoded_labels=row["labels"],
        encoded_annotations=row["annotations"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        changed_at=row["changed_at"],
        taken_at=row["taken_at"],
        waits_since=row["waits_since"],
    )


def read_findings(connection: Connection, statement: Executable) -> Iterator[StoredFinding]:
    """The findings that a SELECT of whole rows gives."""
    return map(finding_of, connection.execute(statement).mappings())


def read_keys(connection: Connection, statement: Select[str]) -> Iterator[dict[str, Any]]:
    """The keys that a SELECT of nothing else from `findings` gives."""
    return map(restore, connection.scalars(statement))


def read_runs(connection: Connection, statement: Executable) -> Iterator[StoredRun]:
    """The runs that a SELECT of whole rows gives."""
    return map(_run_of, connection.execute(statement).mappings())


def read_events(connection: Connection, statement: Executable) -> Iterator[Event]:
    """The events that a SELECT of whole rows gives."""
    return map(_event_of, connection.execute(statement).mappings())


def read_alerts(connection: Connection, statement: Executable) -> Iterator[StoredAlert]:
    """The alerts that a SELECT of whole rows gives."""
    return map(alert_of, connection.execute(statement).mappings())


def read_cursors(connection: Connection, statement: Executable) -> Iterator[StoredCursor]:
    """The cursors that a SELECT of whole rows gives."""
    return map(_cursor_of, connection.execute(statement).mappings())


def put_cursor(connection: Connection, cursor: StoredCursor) -> None:
    """Write the cursor of a check, in place of the one before."""
    put(connection, cursors, [_row_of_cursor(cursor)])


def put_findings(connection: Connection, written: Iterable[StoredFinding]) -> None:
    """Write findings, in place of those with the same ids."""
    put(connection, findings, map(_row_of_finding, written))


def put_alerts(connection: Connection, written: Iterable[StoredAlert]) -> None:
    """Write alerts, in place of those with the same ids."""
    put(connection, alerts, map(_row_of_alert, written))


def add_run(connection: Connection, run: StoredRun) -> None:
    """Write a run after all others."""
    connection.execute(insert(runs), _row_of_run(run))


def add_events(connection: Connection, new: Iterable[Event]) -> None:
    """Write events after all others; there must be some."""
    connection.execute(insert(events), [_row_of_event(each) for each in new])


def _acknowledgement_of(row: Stored) -> StoredAcknowledgement:
    magnitude = row["acked_magnitude"]
    return StoredAcknowledgement(
        author=row["ack_author"],
        reason=row["ack_reason"],
        at=row["acked_at"],
        until=row["ack_until"],
        magnitude=None if magnitude is None else int(magnitude),
        aspects=row["acked_aspects"],
    )


def _run_of(row: Stored) -> StoredRun:
    return StoredRun(
        check=row["check_name"],
        outcome=Outcome(row["outcome"]),
        scope=Scope(row["scope"]),
        started_at=row["started_at"],
        seconds=row["seconds"],
        examined=row["examined"],
        violations=row["violations"],
        error=row["error"],
    )


def _cursor_of(row: Stored) -> StoredCursor:
    moments = {scope: row[completed_at(scope).name] for scope in Scope}
    return StoredCursor(
        check=row["check_name"],
        fingerprint=row["fingerprint"],
        encoded_cursor=row["cursor"],
        completed_at={scope: at for scope, at in moments.items() if at is not None},
        unlisted=unlisted_of(row["unlisted"]),
    )


def completed_at(scope: Scope) -> Column[float]:
    """The column of `cursors` with the end of a scope's latest completed run."""
    return cursors.c[f"{scope}_at"]


def unlisted_of(encoded: str | None) -> tuple[Unlisted, ...]:
    """What the column of its name in `cursors` holds: numbers, or pairs of number and moment."""
    found = json.loads(encoded) if encoded else ()
    return tuple(Unlisted(*each) if isinstance(each, list) else Unlisted(each, 0) for each in found)


def _encoded(unlisted: Sequence[Unlisted]) -> str | None:
    plain = [each if each.number and each.at else each.number for each in unlisted]
    return json.dumps(plain) if plain else None


def _event_of(row: Stored) -> Event:
    return Event(
        check=row["check_name"],
        finding_id=row["finding_id"],
        at=row["at"],
        change=Change(row["change"]),
        author=row["author"],
        detail=row["detail"],
    )


def _row_of_finding(finding: StoredFinding) -> Stored:
    known = finding.acknowledgement
    return {
        "id": finding.id,
        "check_name": finding.check,
        "state": finding.state,
        "key": finding.encoded_key,
        "message": finding.message,
        "evidence": finding.encoded_evidence,
        "first_seen": finding.first_seen,
        "last_seen": finding.last_seen,
        "times_seen": finding.times_seen,
        "magnitude": _text(finding.magnitude),
        "aspects": finding.aspects,
        "confirmed_at": finding.confirmed_at,
        "resolved_at": finding.resolved_at,
        "ack_author": known and known.author,
        "ack_reason": known and known.reason,
        "acked_at": known and known.at,
        "ack_until": known and known.until,
        "acked_magnitude": known and _text(known.magnitude),
        "acked_aspects": known and known.aspects,
        "decided_at": finding.decided_at,
        "untold": finding.untold,
    }


def _row_of_run(run: StoredRun) -> Stored:
    return {
        "check_name": run.check,
        "outcome": run.outcome,
        "scope": run.scope,
        "started_at": run.started_at,
        "seconds": run.seconds,
        "examined": run.examined,
        "violations": run.violations,
        "error": run.error,
    }


def _row_of_cursor(cursor: StoredCursor) -> Stored:
    return {
        "check_name": cursor.check,
        "fingerprint": cursor.fingerprint,
        "cursor": cursor.encoded_cursor,
        "unlisted": _encoded(cursor.unlisted),
        **{completed_at(scope).name: cursor.completed_at.get(scope) for scope in Scope},
    }


def _row_of_event(event: Event) -> Stored:
    return {
        "check_name": event.check,
        "finding_id": event.finding_id,
        "at": event.at,
        "change": event.change,
        "author": event.author,
        "detail": event.detail,
    }


def _row_of_alert(alert: StoredAlert) -> Stored:
    return {
        "id": alert.id,
        "check_name": alert.check,
        "alertmanager": alert.alertmanager,
        "labels": alert.encoded_labels,
        "annotations": alert.encoded_annotations,
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "changed_at": alert.changed_at,
        "taken_at": alert.taken_at,
        "waits_since": alert.waits_since,
    }


def _text(number: int | None) -> str | None:
    """Magnitudes are stored as text: they outgrow 64 bits."""
    return None if number is None else str(number)
