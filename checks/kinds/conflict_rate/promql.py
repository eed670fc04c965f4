"""Counts of requests and conflicts, asked of a Prometheus that scrapes the application."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from checks.contract import CheckError
from checks.http_log.counts import CODES, OTHER, Counts, Route, Seen
from checks.http_log.request import METHODS, OTHER_METHOD
from checks.ports import Answer, Prometheus

WINDOW = "{window}"
"""What a query has in place of a duration. PromQL is full of other braces, which stay."""

HINT = "PromQL info"
"""How a remark begins with which a server doubts the expression, and not its own answer."""

_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"


def _has_window(promql: str) -> str:
    if WINDOW not in promql:
        raise ValueError(f"the query lacks {WINDOW}, as in increase(http_requests_total[{WINDOW}])")
    return promql


Query = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_has_window)]
"""PromQL that gives one number a series, with `{window}` for the span of time it is about."""

Label = Annotated[str, StringConstraints(pattern=_LABEL, max_length=200)]


class Queries(BaseModel):
    """What to ask, and which labels of the answers tell what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Query
    """All requests in the window, by route and method."""
    conflicts: Query
    """Those answered 409, by route, method and code."""
    route_label: Label = "route"
    method_label: Label = "method"
    code_label: Label = "code"


def ask(
    prometheus: Prometheus,
    queries: Queries,
    window: timedelta,
    at: datetime | None = None,
    most: int = 100,
) -> tuple[Counts, tuple[str, ...]]:
    """Requests and conflicts of the window that ends now or at an earlier time; and notes.

    Of more than `most` routes those with fewest requests are `OTHER`. A server that counts no
    requests at all cannot tell, and is a CheckError; at an earlier time it did not know the
    application yet, which is no counts.
    """
    requests = prometheus.query(_filled(queries.requests, window), at)
    if not requests.series:
        return _nothing(requests, at)
    conflicts = prometheus.query(_filled(queries.conflicts, window), at)
    notes = [*_told("requests", requests), *_told("conflicts", conflicts)]
    if not conflicts.series:
        notes.append(_no_conflicts(conflicts))
    counts = _counts(queries, requests, conflicts)
    if alone := sorted(route for route, seen in counts.items() if not seen.requests):
        notes.append(_without_requests(alone, counts))
    return _fewer(counts, most), tuple(notes)


def _filled(query: str, window: timedelta) -> str:
    return query.replace(WINDOW, f"{int(window.total_seconds())}s")


def _told(name: str, answer: Answer) -> Iterable[str]:
    return (f"query {name}: {note}" for note in answer.notes)


def unknown(windows: Mapping[str, Counts], minimum: int) -> Mapping[str, str]:
    """The windows whose ratios are none, and why: everything that is counted is a conflict.

    What counts failures only has no denominator.
    """
    found: dict[str, str] = {}
    for window, counts in windows.items():
        requests = sum(seen.requests for seen in counts.values())
        conflicts = sum(min(seen.all_conflicts, seen.requests) for seen in counts.values())
        if requests >= minimum and conflicts >= requests:
            found[window] = f"all {requests:.0f} requests are conflicts: does `requests` count all?"
    return found


# --- No series --------------------------------------------------------------------------------


def _nothing(requests: Answer, at: datetime | None) -> tuple[Counts, tuple[str, ...]]:
    message = "query requests: no series"
    if at and not _doubts(requests):
        return {}, (f"{message} at {at:%Y-%m-%d %H:%M} {at.tzname() or ''}".rstrip(),)
    raise CheckError("; ".join((f"{message}: could not tell", *requests.notes)))


def _no_conflicts(conflicts: Answer) -> str:
    """Say that none is zero. What never happened has no series, but neither has what is lost."""
    if doubts := _doubts(conflicts):
        message = "; ".join(("query conflicts: no series: could not tell", *doubts))
        raise CheckError(message)
    return "query conflicts: no series, taken for no conflict"


def _doubts(answer: Answer) -> list[str]:
    return [note for note in answer.notes if not note.startswith(HINT)]


# --- Counting ---------------------------------------------------------------------------------


def _counts(queries: Queries, requests: Answer, conflicts: Answer) -> dict[Route, Seen]:
    counts: dict[Route, Seen] = {}
    for labels, value in requests.series:
        route = _route(queries, labels)
        counts.setdefault(route, Seen()).requests += _amount("requests", value)
    for labels, value in conflicts.series:
        seen = counts.setdefault(_route(queries, labels), Seen())
        code = labels.get(queries.code_label, OTHER)
        code = code if code in CODES else OTHER
        if amount := _amount("conflicts", value):
            seen.conflicts[code] = seen.conflicts.get(code, 0) + amount
    return counts


def _route(queries: Queries, labels: Mapping[str, str]) -> Route:
    method = labels.get(queries.method_label, "").upper()
    route = labels.get(queries.route_label) or OTHER
    return route, method if method in METHODS else OTHER_METHOD


def _amount(name: str, value: float) -> float:
    if value < 0:
        message = f"query {name}: a negative number ({value:g}) counts nothing"
        raise CheckError(message, permanent=True)
    return value


def _without_requests(routes: list[Route], counts: Counts) -> str:
    conflicts = sum(counts[each].all_conflicts for each in routes)
    route, method = routes[0]
    more = f" and {len(routes) - 1} more" if len(routes) > 1 else ""
    return f"{conflicts:g} conflicts but no requests: {method} {route}{more}"


def _fewer(counts: dict[Route, Seen], most: int) -> Counts:
    """The counts with the smallest routes, of all methods, added up as `OTHER`."""
    sizes: dict[str, tuple[float, float]] = {}
    for (path, _), seen in counts.items():
        requests, conflicts = sizes.get(path, (0, 0))
        sizes[path] = (requests + seen.requests, conflicts + seen.all_conflicts)
    sizes.pop(OTHER, None)
    kept = set(sorted(sizes, key=lambda path: (sizes[path], path), reverse=True)[:most])
    fewer: dict[Route, Seen] = {}
    for (path, method), seen in counts.items():
        fewer.setdefault((path if path in kept else OTHER, method), Seen()).add(seen)
    return fewer
