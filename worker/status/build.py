"""How the status is made of what the state holds and the worker knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

from sqlalchemy import Connection

from checks.contract import Check
from worker.model.finding import FindingState, StoredFinding
from worker.model.run import LastRun, Outcome, Run, StoredRun
from worker.state import State, queries, runs
from worker.state.queries import UNRESOLVED
from worker.status.model import CheckStatus, Detail, Known, Overview, ShownFinding, Status
from worker.text.inspection import look

LATE_INTERVALS, LATE_AFTER = 3, timedelta(minutes=2)
"""An answer that is older than so many intervals, and than so long, says nothing of the present.
The alert ReconcilerCheckLate means the same."""

EXAMPLES = 50
"""Checks of which a glance at everything shows a finding."""

RESOLVED_SHOWN = 20
"""Findings that were resolved lately, shown beside those that are not."""


def abridged(run: Run) -> Run:
    """A run as it is remembered here: what the state keeps anyway would only fill the memory."""
    return replace(
        run,
        result=run.result and replace(run.result, findings=(), cursor=None, samples=()),
        kept=None,
    )


def overview(known: Known, state: State) -> Overview:
    """What is known of everything."""
    at = datetime.now(UTC)
    kept = state.read(_Kept.of)
    checks = tuple(_summary(each, known, kept, at) for each in known.checks)
    wrong = [each.check.name for each in checks if each.is_known_wrong][:EXAMPLES]
    worst = state.read(lambda memory: [queries.worst_of(memory, name, 1) for name in wrong])
    examples = {each.stored.check: each for each in shown(known, chain.from_iterable(worst))}
    return Overview(at, checks, known, state.failure, examples)


def detail(known: Known, state: State, name: str, findings: int) -> Detail | None:
    """What is known of a check, with at most so many findings; None of one that is unknown."""
    check = next((each for each in known.checks if each.name == name), None)
    if check is None:
        return None
    at = datetime.now(UTC)

    def read(memory: Connection) -> Detail:
        listed = queries.listed(memory, UNRESOLVED, name).get(name, 0)
        worst = queries.worst_of(memory, name, findings)
        resolved = queries.lately_resolved(memory, name, RESOLVED_SHOWN)
        return Detail(
            at,
            _summary(check, known, _Kept.of(memory, name), at),
            known,
            queries.runs_of(memory, name),
            shown(known, worst),
            listed,
            runs.unlisted(memory).get(name, 0),
            shown(known, resolved),
            look(check, known.mask, ((each.key, each.evidence) for each in worst)),
        )

    return state.read(read)


def shown(known: Known, findings: Iterable[StoredFinding]) -> list[ShownFinding]:
    """Findings as anybody may see them, personal values masked."""
    checks = {each.name: each for each in known.checks}
    return [ShownFinding.of(each, checks.get(each.check), known.mask) for each in findings]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the state holds of some checks."""

    runs: Mapping[str, StoredRun]
    last: Mapping[str, LastRun]
    counts: Mapping[str, Mapping[FindingState, int]]

    @classmethod
    def of(cls, memory: Connection, check: str | None = None) -> "_Kept":
        counts: dict[str, dict[FindingState, int]] = {}
        for (name, state), number in runs.counts(memory, check).items():
            counts.setdefault(name, {})[state] = number
        return cls(queries.latest_runs(memory, check), runs.last_runs(memory), counts)


def _summary(check: Check, known: Known, kept: _Kept, at: datetime) -> CheckStatus:
    name = check.name
    run, last = kept.runs.get(name), kept.last.get(name)
    answered_at = max(last.completed.values(), default=None) if last else None
    interval = known.intervals[name]
    return CheckStatus(
        check,
        _status(run, answered_at, interval, at),
        run,
        known.latest.get(name),
        kept.counts.get(name, {}),
        answered_at,
        interval,
        known.next_run(name),
    )


def _status(
    run: StoredRun | None, answered_at: datetime | None, interval: timedelta, at: datetime
) -> Status:
    if run is None or (answered_at is None and run.outcome is not Outcome.ERROR):
        return Status.WAITING
    if run.outcome is Outcome.PASS and answered_at:
        allowed = max(LATE_INTERVALS * interval, LATE_AFTER)
        return Status.LATE if at - answered_at > allowed else Status.PASS
    return Status.FAIL if run.outcome is Outcome.FAIL else Status.ERROR
