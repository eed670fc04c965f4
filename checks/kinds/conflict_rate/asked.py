"""What a Prometheus server counts, asked for every span that verdicts are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from checks.contract import CheckError, Kept
from checks.http_log.counts import Counts, Seen
from checks.kinds.conflict_rate import promql
from checks.kinds.conflict_rate.codes import Codes
from checks.kinds.conflict_rate.coverage import BLIND, MISSING, NOTED
from checks.kinds.conflict_rate.exported import Traffic, samples
from checks.kinds.conflict_rate.promql import Queries
from checks.kinds.conflict_rate.tally import USUAL_DAYS
from checks.ports import Prometheus


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of which spans."""

    source: str
    """As metrics name it."""
    queries: Queries
    short: timedelta
    long: timedelta
    usual: bool
    """Whether what is usual is asked, too."""
    minimum: int
    most_routes: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server answered."""

    windows: Mapping[str, Counts] = field(default_factory=dict)
    usual: Counts = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    """The windows whose ratios are unknown, and why."""
    blind: Mapping[str, float] = field(default_factory=dict)
    """The part of the targets that is not seen."""


def asked(server: Prometheus, question: Question, codes: Codes) -> Asked:
    """Ask for all spans. Raises CheckError, also where a tenth of the targets is not seen."""
    notes: list[str] = []
    queries, most = question.queries, question.most_routes
    blind, missing = _targets(server, question)

    def ask(span: timedelta, at: datetime | None = None) -> Counts:
        counts, told = promql.ask(server, queries, span, at, most, codes=codes)
        notes.extend(told)
        return counts

    windows = {"short": ask(question.short), "long": ask(question.long)}
    before = datetime.now(UTC) - question.long
    usual = ask(timedelta(days=USUAL_DAYS), before) if question.usual else {}
    if blind.get(MISSING, 0) >= NOTED:
        notes.append(f"read in part: {missing['short']} of the short window")
    unknown = {**promql.unknown(windows, question.minimum)}
    if "long" in missing:
        unknown["long"] = missing["long"]
    return Asked(windows, usual, tuple(dict.fromkeys(notes)), unknown, blind)


def _targets(
    server: Prometheus, question: Question
) -> tuple[Mapping[str, float], Mapping[str, str]]:
    """Which part of the targets is not seen, and that in words of the windows where it counts."""
    targets = question.queries.targets
    if targets is None:
        return {}, {}
    share, told = promql.missing(server, targets, question.short)
    blind = {MISSING: share}
    if share >= BLIND:
        raise CheckError(
            f"query targets: {told} of the short window, and from {100 * BLIND:g} % on"
            " nothing can be told",
            kept=Kept(samples=tuple(samples(question.source, Traffic(blind=blind)))),
        )
    before, told_before = promql.missing(server, targets, question.long)
    return blind, {"short": told, **({"long": told_before} if before >= BLIND else {})}


def together(one: Counts, other: Counts) -> Counts:
    """What two sources count, added up."""
    sums: dict[tuple[str, str], Seen] = {}
    for counts in (one, other):
        for route, seen in counts.items():
            sums.setdefault(route, Seen()).add(seen)
    return sums
