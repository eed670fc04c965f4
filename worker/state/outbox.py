"""Alerts on their way to Alertmanagers, written together with the findings that they tell of.

A row is what one Alertmanager is to know of one alert: firing, or over since a time. It stays until
it was taken, and, once the alert is over, for a while more.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, delete, select, update

from checks.contract import Check
from worker.model.finding import FindingState
from worker.state.runs import counts
from worker.state.schema import Row, alerts, findings, put
from worker.text.encode import dump

FINDINGS_TOLD = 5
"""Findings, the latest confirmed, that an alert may tell of by name."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an alert says."""

    labels: Mapping[str, str]
    """Its identity: the same as long as the check and its configuration are the same."""
    annotations: Mapping[str, str]


class Policy(Protocol):
    """Which alerts are sent to whom, and what they say."""

    @property
    def alertmanagers(self) -> Collection[str]:
        """To whom."""

    def draft(self, check: Check, confirmed: int, told: Iterable[Row]) -> Draft | None:
        """The alert of a check with so many confirmed findings; None where rules tell of it."""


class Nobody:
    """The policy of a state that sends nothing."""

    alertmanagers: Collection[str] = ()

    def draft(self, check: Check, confirmed: int, told: Iterable[Row]) -> Draft | None:
        """No alert."""
        _ = check, confirmed, told
        return None


def align(connection: Connection, policy: Policy, check: Check, at: float) -> None:
    """Let the outbox say what is true of a check now; what says so already stays as it is."""
    stored = _stored(connection, check.name)
    wanted = _wanted(connection, policy, check, stored, at)
    put(connection, alerts, (row for key, row in wanted.items() if row != stored.get(key)))
    _end(connection, (row for key, row in stored.items() if key not in wanted), at)


def align_all(
    connection: Connection, policy: Policy, checks: Iterable[Check], at: float
) -> set[str]:
    """Align every check, and end the alerts of those that are not configured any more.

    What was for an Alertmanager that is not configured is dropped. Tells which checks have, or
    had, alerts.
    """
    configured = {check.name: check for check in checks}
    before = _checks_with_alerts(connection)
    theirs = alerts.c.alertmanager.in_(list(policy.alertmanagers))
    connection.execute(delete(alerts).where(~theirs))
    if policy.alertmanagers:  # else nothing is stored any more, and nothing is wanted
        for check in configured.values():
            align(connection, policy, check, at)
    for name in before - configured.keys():
        _end(connection, _stored(connection, name).values(), at)
    return before | _checks_with_alerts(connection)


def waiting(connection: Connection, alertmanager: str) -> list[Row]:
    """All that an Alertmanager is to know, what has waited longest first."""
    statement = select(alerts).where(alerts.c.alertmanager == alertmanager)
    rows = connection.execute(statement.order_by(alerts.c.changed_at, alerts.c.id))
    return [dict(row) for row in rows.mappings()]


def pending(connection: Connection, alertmanager: str) -> tuple[int, float]:
    """How many alerts it has not taken yet, and since when the oldest of them waits."""
    statement = select(alerts.c.changed_at).where(
        alerts.c.alertmanager == alertmanager, alerts.c.taken_at.is_(None)
    )
    since = list(connection.scalars(statement))
    return len(since), min(since, default=0.0)


def take(connection: Connection, rows: Iterable[Row], at: float) -> None:
    """Note that these were taken, as far as they have not changed since they were read."""
    for row in rows:
        connection.execute(
            update(alerts)
            .where(alerts.c.id == row["id"], alerts.c.changed_at == row["changed_at"])
            .values(taken_at=at)
        )


def drop(connection: Connection, rows: Iterable[Row]) -> None:
    """Forget alerts that have been over for long enough, unless they fire again."""
    for row in rows:
        same = (alerts.c.id == row["id"]) & (alerts.c.changed_at == row["changed_at"])
        connection.execute(delete(alerts).where(same))


def _wanted(
    connection: Connection, policy: Policy, check: Check, stored: Mapping[str, Row], at: float
) -> dict[str, Row]:
    if not policy.alertmanagers:
        return {}
    confirmed = counts(connection, check.name).get((check.name, FindingState.CONFIRMED), 0)
    if not confirmed:
        return {}
    draft = policy.draft(check, confirmed, _told(connection, check.name))
    if draft is None:
        return {}
    rows = (_row(draft, check, name, stored, at) for name in policy.alertmanagers)
    return {row["id"]: row for row in rows}


def _row(
    draft: Draft, check: Check, alertmanager: str, stored: Mapping[str, Row], at: float
) -> Row:
    labels, annotations = dump(dict(sorted(draft.labels.items()))), dump(draft.annotations)
    identity = hashlib.sha256(f"{alertmanager}\n{labels}".encode()).hexdigest()
    before = stored.get(identity)
    if before and before["ends_at"] is None:
        if before["annotations"] == annotations:
            return before
        return before | {"annotations": annotations, "changed_at": at, "taken_at": None}
    return {
        "id": identity,
        "check_name": check.name,
        "alertmanager": alertmanager,
        "labels": labels,
        "annotations": annotations,
        "starts_at": at,
        "ends_at": None,
        "changed_at": at,
        "taken_at": None,
    }


def _end(connection: Connection, rows: Iterable[Row], at: float) -> None:
    firing = [row for row in rows if row["ends_at"] is None]
    over = {"ends_at": at, "changed_at": at, "taken_at": None}
    put(connection, alerts, (row | over for row in firing))


def _checks_with_alerts(connection: Connection) -> set[str]:
    return set(connection.scalars(select(alerts.c.check_name).distinct()))


def _told(connection: Connection, check: str) -> list[Row]:
    statement = (
        select(findings)
        .where(findings.c.check_name == check, findings.c.state == FindingState.CONFIRMED)
        .order_by(findings.c.confirmed_at.desc(), findings.c.id)
        .limit(FINDINGS_TOLD)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def _stored(connection: Connection, check: str) -> dict[str, Row]:
    rows = connection.execute(select(alerts).where(alerts.c.check_name == check)).mappings()
    return {row["id"]: dict(row) for row in rows}


def decoded(row: Row) -> Draft:
    """What an alert says, of its row."""
    return Draft(json.loads(row["labels"]), json.loads(row["annotations"]))
