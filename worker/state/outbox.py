"""Alerts on their way to Alertmanagers, written together with the findings that they tell of.

A row is what one Alertmanager is to know of one alert: firing, or over since a time. It stays until
it was taken, and, once the alert is over, for a while more.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from checks.contract import Check
from worker.model.alert import OF_ORIGIN, Draft, StoredAlert
from worker.model.finding import FindingState, StoredFinding
from worker.state.rows import put_alerts, read_alerts, read_findings
from worker.state.runs import counts
from worker.state.schema import alerts, findings
from worker.text.encode import dump

FINDINGS_TOLD = 5
"""Findings, the latest confirmed, that an alert may tell of by name."""

SHORTEST = 0.001
"""Seconds from one change of an alert to the next at least: a clock may stand, or be set back."""


class Policy(Protocol):
    """Which alerts are sent to whom, and what they say."""

    @property
    def alertmanagers(self) -> Collection[str]:
        """To whom."""

    def draft(self, check: Check, confirmed: int, told: Iterable[StoredFinding]) -> Draft | None:
        """The alert of a check with so many confirmed findings; None where rules tell of it."""


class Nobody:
    """The policy of a state that sends nothing."""

    alertmanagers: Collection[str] = ()

    def draft(self, check: Check, confirmed: int, told: Iterable[StoredFinding]) -> Draft | None:
        """No alert."""
        _ = check, confirmed, told
        return None


def align(connection: Connection, policy: Policy, check: Check, at: float) -> None:
    """Let the outbox say what is true of a check now; what says so already stays as it is."""
    stored = _stored(connection, check.name)
    wanted = _wanted(connection, policy, check, stored, at)
    put_alerts(connection, (each for key, each in wanted.items() if each != stored.get(key)))
    _end(connection, (each for key, each in stored.items() if key not in wanted), at)


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


def waiting(connection: Connection, alertmanager: str) -> list[StoredAlert]:
    """All that an Alertmanager is to know, what has waited longest first."""
    statement = select(alerts).where(alerts.c.alertmanager == alertmanager)
    return list(read_alerts(connection, statement.order_by(alerts.c.changed_at, alerts.c.id)))


def pending(connection: Connection, alertmanager: str) -> dict[str, float]:
    """The alerts that it has not taken yet, by id, and since when each waits."""
    since = func.coalesce(alerts.c.waits_since, alerts.c.changed_at)  # NULL before version 6
    statement = select(alerts.c.id, since).where(
        alerts.c.alertmanager == alertmanager, alerts.c.taken_at.is_(None)
    )
    return dict(connection.execute(statement).all())


def take(connection: Connection, taken: Iterable[StoredAlert], at: float) -> None:
    """Note that these were taken, as far as they have not changed since they were read."""
    for each in taken:
        taken_at = {"taken_at": at, "waits_since": None}
        connection.execute(update(alerts).where(_is(each)).values(taken_at))


def drop(connection: Connection, over: Iterable[StoredAlert]) -> None:
    """Forget alerts that have been over for long enough, unless they fire again."""
    for each in over:
        connection.execute(delete(alerts).where(_is(each)))


def _is(alert: StoredAlert) -> ColumnElement[bool]:
    return (alerts.c.id == alert.id) & (alerts.c.changed_at == alert.changed_at)


def _wanted(
    connection: Connection,
    policy: Policy,
    check: Check,
    stored: Mapping[str, StoredAlert],
    at: float,
) -> dict[str, StoredAlert]:
    if not policy.alertmanagers:
        return {}
    confirmed = counts(connection, check.name).get((check.name, FindingState.CONFIRMED), 0)
    if not confirmed:
        return {}
    draft = policy.draft(check, confirmed, _told(connection, check.name))
    if draft is None:
        return {}
    wanted = (_alert(draft, check, name, stored, at) for name in policy.alertmanagers)
    return {each.id: each for each in wanted}


def _alert(
    draft: Draft, check: Check, alertmanager: str, stored: Mapping[str, StoredAlert], at: float
) -> StoredAlert:
    labels, annotations = dump(dict(sorted(draft.labels.items()))), dump(draft.annotations)
    identity = hashlib.sha256(f"{alertmanager}\n{labels}".encode()).hexdigest()
    before = stored.get(identity) or _former(draft, alertmanager, stored)
    if before and before.ends_at is None:
        if before.encoded_annotations == annotations:
            return before
        return _changed(before, at, encoded_annotations=annotations)
    if before:
        again = _changed(before, at, encoded_annotations=annotations, ends_at=None)
        return replace(again, starts_at=again.changed_at)
    return StoredAlert(
        id=identity,
        check=check.name,
        alertmanager=alertmanager,
        encoded_labels=labels,
        encoded_annotations=annotations,
        starts_at=at,
        ends_at=None,
        changed_at=at,
        taken_at=None,
        waits_since=at,
    )


def _former(
    draft: Draft, alertmanager: str, stored: Mapping[str, StoredAlert]
) -> StoredAlert | None:
    """The same alert as it began under an earlier version: it goes on, and nobody is paged anew."""
    for each in stored.values():
        if each.ends_at is None and each.alertmanager == alertmanager:
            labels = each.draft.labels
            lacking = draft.labels.keys() - labels.keys()
            if labels.items() <= draft.labels.items() and lacking <= OF_ORIGIN:
                return each
    return None


def _changed(before: StoredAlert, at: float, **fields: Any) -> StoredAlert:
    """It has changed, and waits again, or still."""
    after = max(at, before.changed_at + SHORTEST)
    waited = before.changed_at if before.waits_since is None else before.waits_since
    since = waited if before.taken_at is None else at
    return replace(before, **fields, changed_at=after, taken_at=None, waits_since=since)


def _end(connection: Connection, stored: Iterable[StoredAlert], at: float) -> None:
    firing = [each for each in stored if each.ends_at is None]
    over = [_changed(each, at, ends_at=at) for each in firing]
    put_alerts(connection, over)


def _checks_with_alerts(connection: Connection) -> set[str]:
    return set(connection.scalars(select(alerts.c.check_name).distinct()))


def _told(connection: Connection, check: str) -> list[StoredFinding]:
    statement = (
        select(findings)
        .where(findings.c.check_name == check, findings.c.state == FindingState.CONFIRMED)
        .order_by(findings.c.confirmed_at.desc(), findings.c.id)
        .limit(FINDINGS_TOLD)
    )
    return list(read_findings(connection, statement))


def _stored(connection: Connection, check: str) -> dict[str, StoredAlert]:
    statement = select(alerts).where(alerts.c.check_name == check)
    return {each.id: each for each in read_alerts(connection, statement)}
