"""What a run of `conflict_rate` exported, put together again by route."""

from checks.card import Family
from checks.contract import Result
from checks.http_log.counts import Route, Seen
from checks.kinds.conflict_rate import exported
from checks.kinds.conflict_rate.exported import Traffic


def traffic_of(result: Result) -> Traffic:
    """The totals as its metrics tell them, and the windows as the table of its page does."""
    totals: dict[Route, Seen] = {}
    lines: dict[str, int] = {}
    behind = None
    for sample in result.samples:
        number = sample.number
        match sample.family:
            case exported.LINES:
                lines[sample.labels[-1]] = int(number)
            case exported.BEHIND:
                behind = int(number)
            case exported.RATIO | exported.BLIND | exported.UNKNOWN | exported.NEWEST:
                pass
            case family:
                _, path, method, *more = sample.labels
                seen = totals.setdefault((path, method), Seen())
                _count(seen, family, number, *more)
    windows: dict[str, dict[Route, Seen]] = {"short": {}, "long": {}}
    for row in (each.fields for each in result.details):
        route = row["route"], row["method"]
        windows[row["window"]][route] = Seen(row["requests"], dict(row["codes"]))
    return Traffic(totals, windows, lines, behind)


def _count(seen: Seen, family: Family, number: float, word: str = "") -> None:
    match family:
        case exported.REQUESTS:
            seen.requests = number
        case exported.CONFLICTS if number:
            seen.conflicts[word] = number
        case exported.REFUSALS:
            seen.refusals[word] = number
        case exported.WITHOUT_KEY:
            seen.without_key = number
