"""What pages and programs read of the state: little at a time, however much there is."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, func, select

from worker.model.finding import FindingState, StoredFinding
from worker.model.run import StoredRun
from worker.state.rows import read_findings, read_runs
from worker.state.schema import findings, runs

UNRESOLVED = (FindingState.CONFIRMED, FindingState.OPEN, FindingState.ACKNOWLEDGED)
"""What is known to be wrong, in the order in which it concerns people."""


def latest_runs(connection: Connection, check: str | None = None) -> dict[str, StoredRun]:
    """The latest run of each check; of one check only, where one is named."""
    latest = select(func.max(runs.c.id)).group_by(runs.c.check_name)
    if check is not None:
        latest = latest.where(runs.c.check_name == check)
    statement = select(runs).where(runs.c.id.in_(latest))
    return {each.check: each for each in read_runs(connection, statement)}


def runs_of(connection: Connection, check: str) -> list[StoredRun]:
    """All remembered runs of a check, the latest first."""
    statement = select(runs).where(runs.c.check_name == check).order_by(runs.c.id.desc())
    return list(read_runs(connection, statement))


def listed(
    connection: Connection, states: Iterable[FindingState], check: str | None = None
) -> Mapping[str, int]:
    """How many findings in these states are written down, of each check that has any.

    Of one check only, where one is named.
    """
    statement = (
        select(findings.c.check_name, func.count())
        .where(findings.c.state.in_(list(states)))
        .group_by(findings.c.check_name)
    )
    if check is not None:
        statement = statement.where(findings.c.check_name == check)
    return dict(connection.execute(statement).all())


def findings_of(
    connection: Connection,
    check: str,
    states: Collection[FindingState],
    limit: int,
    offset: int = 0,
) -> list[StoredFinding]:
    """Some findings of a check, the longest known first."""
    statement = (
        select(findings)
        .where(findings.c.check_name == check, findings.c.state.in_(list(states)))
        .order_by(findings.c.first_seen, findings.c.id)
    )
    return list(read_findings(connection, statement.limit(limit).offset(offset)))


def worst_of(connection: Connection, check: str, limit: int) -> list[StoredFinding]:
    """The first unresolved findings of a check, in the order of `UNRESOLVED`."""
    found: list[StoredFinding] = []
    for state in UNRESOLVED:
        found += findings_of(connection, check, [state], limit - len(found))
    return found


def lately_resolved(connection: Connection, check: str, limit: int) -> list[StoredFinding]:
    """The findings of a check that were resolved last, the latest first."""
    statement = (
        select(findings)
        .where(findings.c.check_name == check, findings.c.state == FindingState.RESOLVED)
        .order_by(findings.c.resolved_at.desc(), findings.c.id)
    )
    return list(read_findings(connection, statement.limit(limit)))


def page_of(
    connection: Connection,
    numbers: Sequence[tuple[str, int]],
    states: Collection[FindingState],
    limit: int,
    offset: int,
) -> list[StoredFinding]:
    """Findings of several checks one after the other; `numbers` says how many each one has.

    Only the checks that fall into the page are read.
    """
    found: list[StoredFinding] = []
    for check, number in numbers:
        if offset < number and len(found) < limit:
            found += findings_of(connection, check, states, limit - len(found), offset)
        offset = max(0, offset - number)
    return found
