"""Values as pages put them into words: ages, durations, fields of a check."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from checks.contract import Check
from worker.model.finding import FindingState
from worker.state.queries import UNRESOLVED
from worker.status import CheckStatus, Overview, Status
from worker.text.encode import dump
from worker.text.printable import visible

LONGEST = 200
"""Characters of a value on a page; programs and the command line have it whole."""

SIGNS: Mapping[Status, str] = {
    Status.FAIL: "✗",
    Status.ERROR: "?",
    Status.LATE: "!",
    Status.WAITING: "…",
    Status.PASS: "✓",
}

NAMES: Mapping[Status, str] = {
    Status.FAIL: "violations",
    Status.ERROR: "cannot tell",
    Status.LATE: "late",
    Status.WAITING: "not run yet",
    Status.PASS: "passes",
}

TALLIED: Mapping[Status, str] = {**NAMES, Status.FAIL: "with violations", Status.PASS: "pass"}
"""What so many checks do."""

TONES: Mapping[Status, str] = {
    Status.FAIL: "fail",
    Status.ERROR: "unknown",
    Status.LATE: "unknown",
    Status.WAITING: "unknown",
    Status.PASS: "pass",
}
"""The colour of a status; it only repeats what sign and words say."""

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def cut(value: object) -> str:
    """A value on one line, not too long, with everything in it to be seen."""
    text = value if isinstance(value, str) else dump(value)
    if len(text) <= LONGEST:
        return visible(text)
    return f"{visible(text[:LONGEST])}… ({len(text):,} characters)"


def span(seconds: float) -> str:
    """A length of time, as long as one needs to know it: `12 s`, `3 min`, `5 h`, `2 d`."""
    whole = max(0, int(seconds))
    unit, size = next(((u, size) for u, size in _UNITS if whole >= 2 * size), _UNITS[-1])
    return f"{whole // size} {unit}"


def ago(moment: datetime | None, at: datetime) -> str:
    """How long before `at` something was."""
    return f"{span((at - moment).total_seconds())} ago" if moment else "never"


def ahead(moment: datetime | None, at: datetime) -> str:
    """How long after `at` something will be."""
    if moment is None:
        return "not planned"
    left = (moment - at).total_seconds()
    return f"in {span(left)}" if left >= 1 else "now"


def findings(counts: Mapping[FindingState, int]) -> str:
    """How many findings there are, by state."""
    return ", ".join(f"{counts[each]:,} {each}" for each in UNRESOLVED if counts.get(each))


def moment(at: float | None) -> datetime | None:
    """A moment of the state."""
    return None if at is None else datetime.fromtimestamp(at, UTC)


def tally(checks: Sequence[CheckStatus]) -> Mapping[Status, int]:
    """How many checks have each status, the worst first."""
    counts = Counter(each.status for each in checks)
    return {status: counts[status] for status in Status if counts[status]}


def ranked(checks: Sequence[CheckStatus]) -> list[CheckStatus]:
    """The worst first."""
    return sorted(checks, key=rank)


def group(check: Check) -> str:
    """What a check is listed under."""
    return check.table or f"requests of {check.source_name}"


def groups(overview: Overview) -> list[tuple[str, list[CheckStatus]]]:
    """All checks by table: tables with the worst first, and so in each of them."""
    found: dict[str, list[CheckStatus]] = {}
    for each in overview.checks:
        found.setdefault(group(each.check), []).append(each)
    tables = [(name, ranked(checks)) for name, checks in found.items()]
    return sorted(tables, key=lambda each: _STATUSES.index(each[1][0].status))


def rank(each: CheckStatus) -> tuple[int, bool, int]:
    """The worst first: by status, what nobody acknowledged, severity."""
    severity = list(type(each.check.severity)).index(each.check.severity)
    return _STATUSES.index(each.status), each.is_acknowledged, severity


_STATUSES = list(Status)
