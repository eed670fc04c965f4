"""What a session says of itself: to probes, and to the pages."""

from zoneinfo import ZoneInfo

from worker.session.session import Session
from worker.state import host_of
from worker.status import AlertmanagerStatus, DatabaseStatus, Known, Standby


def live(session: Session) -> tuple[bool, str]:
    """Whether the process works, and a sentence; restart it when not."""
    if not session.services.election.is_alive:
        return False, "nobody keeps the lease"
    if session.is_standby:
        return True, "alive, a standby"
    complaint = session.scheduler.complaint()
    return complaint is None, complaint or "alive"


def ready(session: Session) -> tuple[bool, str]:
    """Whether every check has run, or knowingly does not; and a sentence."""
    if waits := standby(session):
        return True, f"ready to take over: {waits}"
    if pauses := session.services.pauses.now:
        return True, f"paused: {', '.join(each.reason for each in pauses)}"
    if waiting := session.scheduler.waiting_for_first_run():
        return False, f"{waiting} checks have not run yet"
    return True, "ready"


def standby(session: Session) -> Standby | None:
    """What a standby knows of the leader; None while we lead."""
    if session.leads:
        return None
    leader = session.services.election.other
    return Standby(host_of(leader.holder), leader.since) if leader else Standby(None, None)


def known(session: Session) -> Known:
    """What pages show beside the state."""
    settings, services = session.config.settings, session.services
    return Known(
        checks=session.config.checks,
        intervals=session.intervals.checks,
        next_run=session.scheduler.next_run,
        databases=_databases(session),
        latest=dict(session.runner.latest),
        complaint=session.scheduler.complaint(),
        mask=session.notifier.mask,
        zone=ZoneInfo(settings.timezone),
        alertmanagers=_alertmanagers(session),
        pauses=services.pauses.now,
    )


def _databases(session: Session) -> tuple[DatabaseStatus, ...]:
    return tuple(
        DatabaseStatus(
            name,
            each.environment,
            session.sources.unreachable(name),
            session.services.edges.identities.get(name),
            session.admission.busy(name),
        )
        for name, each in session.config.settings.databases.items()
    )


def _alertmanagers(session: Session) -> tuple[AlertmanagerStatus, ...]:
    pending = dict(session.services.metrics.outbox.pending)
    return tuple(
        AlertmanagerStatus(name, each.number, each.seconds)
        for name, each in sorted(pending.items())
    )
