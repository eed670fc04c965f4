"""What a run changes in the state, and what is read back from it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, select, update

from checks.contract import Check, Result, Window
from checks.ports import Cursor
from worker.model.finding import Change, Counts, FindingState, Transition
from worker.model.run import LastRun, Outcome, Run, Scope, StoredCursor, StoredRun, Unlisted
from worker.state import lifecycle
from worker.state.rows import (
    add_run,
    completed_at,
    put_cursor,
    read_cursors,
    read_findings,
    read_keys,
    unlisted_of,
)
from worker.state.schema import cursors, findings, runs, unresolved
from worker.text.encode import encodable, store

RUNS_KEPT = 100
"""Runs kept of each check."""

PASSES_APART = 20.0
"""Seconds within which, of a check that passes again and again, one run and the latest are kept."""


def record(connection: Connection, run: Run) -> tuple[Transition, ...]:
    """Remember a run, its findings and how far it read; tell what changed by it.

    A finding is resolved only by a completed run that no longer sees it, and whose sample holds
    every violation; a run that could not tell leaves all findings as they were.
    """
    before = connection.scalar(
        select(runs.c.outcome)
        .where(runs.c.check_name == run.check.name)
        .order_by(runs.c.id.desc())
        .limit(1)
    )
    _write_run(connection, run)
    transitions = (*_edges(run, before), *lifecycle.follow(connection, run))
    if run.result:
        _write_cursor(connection, run, run.result)
    elif run.kept and run.kept.cursor is not None:
        _move_cursor(connection, run.check, run.kept.cursor)
    return transitions


def window(connection: Connection, check: Check, fresh: Window) -> Window:
    """`fresh`, with what the runs before left: where to go on, and what they found.

    A cursor of another definition of the check is none.
    """
    stored = _cursor(connection, check.name)
    known = (
        select(findings.c.key)
        .where(findings.c.check_name == check.name, unresolved)
        .order_by(findings.c.first_seen, findings.c.id)
    )
    return replace(
        fresh,
        cursor=stored.cursor if stored.fingerprint == fingerprint(check) else None,
        known=tuple(read_keys(connection, known)),
    )


def fingerprint(check: Check) -> str:
    """What a cursor of this check belongs to; mostly its whole definition."""
    return hashlib.sha256(check.cursor_owner.encode()).hexdigest()


def counts(connection: Connection, check: str | None = None) -> Counts:
    """How many unresolved findings each check has, by state, the unlisted ones included.

    Of one check only, where one is named.
    """
    statement = (
        select(findings.c.check_name, findings.c.state, func.count())
        .where(unresolved)
        .group_by(findings.c.check_name, findings.c.state)
    )
    if check is not None:
        statement = statement.where(findings.c.check_name == check)
    found = {(name, FindingState(state)): n for name, state, n in connection.execute(statement)}
    for name, numbers in _beyond(connection, check).items():
        lasting = min(each.number for each in numbers)
        for state, more in (
            (FindingState.CONFIRMED, lasting),
            (FindingState.OPEN, numbers[-1].number - lasting),
        ):
            if more:
                found[name, state] = found.get((name, state), 0) + more
    return found


def unlisted(connection: Connection) -> Mapping[str, int]:
    """How many violations of each check the latest completed run saw beyond the findings."""
    return {name: numbers[-1].number for name, numbers in _beyond(connection).items()}


def last_runs(connection: Connection) -> dict[str, LastRun]:
    """The latest run of each check, and when one of each scope was last completed."""
    completed = _completed(connection)
    latest = select(func.max(runs.c.id)).group_by(runs.c.check_name)
    rows = connection.execute(
        select(runs.c.check_name, runs.c.outcome).where(runs.c.id.in_(latest))
    )
    return {name: LastRun(Outcome(outcome), completed.get(name, {})) for name, outcome in rows}


def _completed(connection: Connection) -> dict[str, dict[Scope, datetime]]:
    """When a run of each scope last answered, by check. Cursors, which may be long, stay unread."""
    moments = connection.execute(
        select(cursors.c.check_name, *(completed_at(scope) for scope in Scope))
    )
    return {
        name: {
            scope: datetime.fromtimestamp(at, UTC)
            for scope, at in zip(Scope, found, strict=True)
            if at is not None
        }
        for name, *found in moments
    }


def _beyond(connection: Connection, check: str | None = None) -> dict[str, tuple[Unlisted, ...]]:
    """Violations that have no finding, in the latest runs of each check, the latest last."""
    statement = select(cursors.c.check_name, cursors.c.unlisted).where(
        cursors.c.unlisted.is_not(None)
    )
    if check is not None:
        statement = statement.where(cursors.c.check_name == check)
    return {name: unlisted_of(numbers) for name, numbers in connection.execute(statement)}


def checks_except(connection: Connection, names: Iterable[str]) -> set[str]:
    """The checks of which something is remembered, without these."""
    found = {*connection.scalars(select(findings.c.check_name).where(unresolved).distinct())}
    return (found | {*connection.scalars(select(cursors.c.check_name))}) - set(names)


def forget(connection: Connection, names: Iterable[str], at: float) -> Mapping[str, int]:
    """Resolve all findings of these checks, and read everything should they come back.

    Tells how many there were of each check that had any.
    """
    gone = list(names)
    statement = select(findings).where(unresolved, findings.c.check_name.in_(gone))
    left = list(read_findings(connection, statement.with_for_update()))
    lifecycle.finish(connection, left, at, "check not configured")
    nothing = {"cursor": None, "unlisted": None}
    connection.execute(update(cursors).where(cursors.c.check_name.in_(gone)).values(nothing))
    return Counter(each.check for each in left)


def _write_run(connection: Connection, run: Run) -> None:
    name, result = run.check.name, run.result
    if run.outcome is Outcome.PASS:
        _thin_out(connection, run)
    stored = StoredRun(
        check=name,
        outcome=run.outcome,
        scope=run.scope,
        started_at=run.started_at.timestamp(),
        seconds=run.seconds,
        examined=result.examined if result else None,
        violations=result.violations if result else None,
        error=run.error and encodable(run.error),
    )
    add_run(connection, stored)
    ids = select(runs.c.id).where(runs.c.check_name == name).order_by(runs.c.id.desc())
    oldest = connection.scalar(ids.limit(1).offset(RUNS_KEPT - 1))
    if oldest is not None:
        connection.execute(delete(runs).where(runs.c.check_name == name, runs.c.id < oldest))


def _thin_out(connection: Connection, run: Run) -> None:
    """Leave out the latest pass where the one before it is recent: history is to be long."""
    latest = connection.execute(
        select(runs.c.id, runs.c.outcome, runs.c.scope, runs.c.started_at)
        .where(runs.c.check_name == run.check.name)
        .order_by(runs.c.id.desc())
        .limit(2)
    ).all()
    alike = [row for row in latest if (row.outcome, row.scope) == (Outcome.PASS, run.scope)]
    since = run.started_at.timestamp() - alike[-1].started_at if alike else 0.0
    if len(alike) == 2 and 0 <= since < PASSES_APART:  # noqa: PLR2004 - the clock may have been set
        connection.execute(delete(runs).where(runs.c.id == alike[0].id))


def _edges(run: Run, before: str | None) -> Iterator[Transition]:
    if run.outcome is Outcome.ERROR and before != Outcome.ERROR:
        yield Transition(Change.CHECK_FAILED, run)
    if run.completed and before == Outcome.ERROR:
        yield Transition(Change.CHECK_RECOVERED, run)


def _write_cursor(connection: Connection, run: Run, result: Result) -> None:
    """Remember how far a completed run read, unless it saw more than was written down."""
    # A cursor along which everything is read once holds the counts, too: it is kept in any case.
    whole = run.check.follows or lifecycle.result_is_kept(result)
    kept = result.cursor is not None and whole
    before = _cursor(connection, run.check.name)
    now = StoredCursor(
        check=run.check.name,
        fingerprint=fingerprint(run.check),
        encoded_cursor=store(result.cursor) if kept else None,
        completed_at={**before.completed_at, run.scope: run.ended_at.timestamp()},
        unlisted=_unlisted(connection, run, result, before.unlisted),
    )
    put_cursor(connection, now)


def _move_cursor(connection: Connection, check: Check, cursor: Cursor) -> None:
    """Remember how far a run read that could not tell; all else stays as it was."""
    before = _cursor(connection, check.name)
    moved = replace(before, fingerprint=fingerprint(check), encoded_cursor=store(cursor))
    put_cursor(connection, moved)


def _unlisted(
    connection: Connection, run: Run, result: Result, before: tuple[Unlisted, ...]
) -> tuple[Unlisted, ...]:
    """Violations without a finding, of as many runs, and as long, as it takes to confirm them."""
    name, needed = run.check.name, run.check.confirmations
    listed = connection.scalar(
        select(func.count()).where(findings.c.check_name == name, unresolved)
    )
    more = max(0, result.violations - (listed or 0))
    span = run.check.confirmation_time.total_seconds()
    began, ended = run.steadily
    latest = Unlisted(more, ended if span else 0)
    every = (*[Unlisted(0, 0)] * max(needed, 2), *before, latest)
    begin = began - span
    # From the latest of those that are old enough on: whatever all have seen is confirmed.
    old = [n for n, each in enumerate(every[:-1]) if span and each.at <= begin]
    return every[min(len(every) - needed, *old[-1:]) :] if old else every[-needed:]


def _cursor(connection: Connection, name: str) -> StoredCursor:
    """What is remembered of a check; an empty one where that is nothing."""
    found = read_cursors(connection, select(cursors).where(cursors.c.check_name == name))
    return next(found, StoredCursor(name))
