"""Runs for tests of the state, and what a run changes in it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import URL

from checks.contract import Check, Evidence, Finding, Result
from checks.kinds.row_count import RowCount
from checks.ports import Cursor
from worker.model.finding import Change, FindingState, StoredFinding
from worker.model.run import Outcome, Run, Scope
from worker.state import Acknowledgement, State, acknowledgements, visit

CHECK = RowCount(name="orders.row_count", table="orders")
TWICE = CHECK.model_copy(update={"confirmations": 2})
"""The same check, when it takes two runs to confirm what it finds."""
LASTING = TWICE.model_copy(update={"confirm_after": timedelta(seconds=10)})
"""The same, when they have to be ten seconds apart."""


def found(key: object, magnitude: int = 1, **evidence: Evidence) -> Finding:
    """A finding of a row."""
    return Finding({"id": key}, f"row {key}", {"rows": 2, **evidence}, magnitude)  # type: ignore[dict-item]


def run_of(
    *keys: object,
    violations: int | None = None,
    check: Check = CHECK,
    cursor: Cursor | None = None,
    complete: bool = True,
    later: timedelta = timedelta(),
) -> Run:
    """A completed run that saw a finding for each of these keys, or these findings."""
    findings = tuple(each if isinstance(each, Finding) else found(each) for each in keys)
    total = len(keys) if violations is None else violations
    result = Result(100, total, findings, complete=complete, cursor=cursor)
    outcome = Outcome.FAIL if result.violations else Outcome.PASS
    scope = Scope.COMPLETE if complete else Scope.INCREMENTAL
    return Run(check, outcome, datetime.now(UTC) + later, 0.1, result, scope=scope)


def failed_run(later: timedelta = timedelta()) -> Run:
    """A run that could not tell."""
    error = "database ledger: away"
    return Run(CHECK, Outcome.ERROR, datetime.now(UTC) + later, 0.1, error=error)


def changes(state: State, run: Run) -> list[Change]:
    """What a run changed, by name."""
    return [each.change for each in state.record(run)]


def counted(state: State, check: Check = CHECK) -> Mapping[str, int]:
    """How many findings of a check are in which state."""
    found_ = state.counts()
    return {each.value: n for each in FindingState if (n := found_.get((check.name, each), 0))}


def confirmed(state: State) -> int:
    """How many findings count as confirmed."""
    return counted(state).get("confirmed", 0)


def rows(url: URL) -> dict[object, StoredFinding]:
    """All findings of the state, by the id in their key."""
    with visit(url) as connection:
        every = acknowledgements.in_states(connection, FindingState)
    return {each.key["id"]: each for each in every}


def acknowledge(url: URL, *keys: object, lasting: timedelta = timedelta(days=7)) -> None:
    """Acknowledge findings as the command line does, from another connection."""
    known = rows(url)
    now = datetime.now(UTC)
    with visit(url) as connection:
        chosen = acknowledgements.decidable(connection, [known[key].id for key in keys])
        given = Acknowledgement("ann", "known; ticket 7", now + lasting)
        acknowledgements.acknowledge(connection, chosen, given, now)


def withdraw(url: URL, *keys: object) -> None:
    """Take the acknowledgement of findings back, as the command line does."""
    known = rows(url)
    with visit(url) as connection:
        chosen = acknowledgements.decidable(connection, [known[key].id for key in keys], acked=True)
        acknowledgements.withdraw(connection, chosen, "bob", datetime.now(UTC))
