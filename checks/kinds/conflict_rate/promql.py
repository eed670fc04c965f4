"""Counts of requests and conflicts, asked of a Prometheus that scrapes the application."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from checks.contract import CheckError
from checks.http_log.counts import OTHER, Counts, Route, Seen
from checks.http_log.request import METHODS, OTHER_METHOD
from checks.kinds.conflict_rate.codes import Codes
from checks.ports import Answer, Prometheus

WINDOW = "{window}"
"""What a query has in place of a duration. PromQL is full of other braces, which stay."""

HINT = "PromQL info"
"""How a remark begins with which a server doubts the expression, and not its own answer."""

_CLASSIC = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NOT_CLASSIC = re.compile(r"[^a-zA-Z0-9_]")


def _has_window(promql: str) -> str:
    if WINDOW not in promql:
        raise ValueError(f"the query lacks {WINDOW}, as in increase(http_requests_total[{WINDOW}])")
    return promql


Query = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_has_window)]
"""PromQL that gives one number a series, with `{window}` for the span of time it is about."""


def _is_name(label: str) -> str:
    if not label.isprintable() or label != label.strip():
        raise ValueError("a label has no name like this")
    return label


Label = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_is_name)]
"""The name of a label: any text since Prometheus 3; before that letters, digits and `_`."""


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
    targets: Annotated[str, StringConstraints(min_length=1, max_length=10_000)] | None = Field(
        default=None, repr=False
    )
    """Which of the application's replicas are scraped, 1 or 0 a series: `up{job="app"}`."""


def ask(
    prometheus: Prometheus,
    queries: Queries,
    window: timedelta,
    at: datetime | None = None,
    most: int = 100,
    *,
    codes: Codes | None = None,
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
    for name, answer in (("requests", requests), ("conflicts", conflicts)):
        notes += _without_route(name, queries.route_label, answer)
    counts = _counts(queries, requests, conflicts, codes or Codes())
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


def missing(prometheus: Prometheus, targets: str, window: timedelta) -> tuple[float, str]:
    """The part of a window in which replicas were not scraped, 0 to 1, and that in words.

    What a replica counted meanwhile is not seen. One that is gone for good is none of them.
    """
    span = int(window.total_seconds())
    answer = prometheus.query(f"avg_over_time(({targets})[{span}s:])")
    if not answer.series:
        raise CheckError("; ".join(("query targets: no series: could not tell", *answer.notes)))
    number = len(answer.series)
    down = sum(1 - min(1.0, max(0.0, value)) for _, value in answer.series)
    some = sum(value < 1 for _, value in answer.series)
    return down / number, f"{some} of {number} targets were down, {100 * down / number:.3g} %"


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


def _counts(
    queries: Queries, requests: Answer, conflicts: Answer, codes: Codes
) -> dict[Route, Seen]:
    counts: dict[Route, Seen] = {}
    for labels, value in requests.series:
        route = _route(queries, labels)
        counts.setdefault(route, Seen()).requests += _amount("requests", value)
    # The most frequent codes first: of those that nobody declared some are left out.
    for labels, value in sorted(conflicts.series, key=lambda each: -each[1]):
        seen = counts.setdefault(_route(queries, labels), Seen())
        if amount := _amount("conflicts", value):
            code = codes.of(_label(labels, queries.code_label))
            seen.conflicts[code] = seen.conflicts.get(code, 0) + amount
    return counts


def _route(queries: Queries, labels: Mapping[str, str]) -> Route:
    method = (_label(labels, queries.method_label) or "").upper()
    route = _label(labels, queries.route_label) or OTHER
    return route, method if method in METHODS else OTHER_METHOD


def _label(labels: Mapping[str, str], name: str) -> str | None:
    """The value of a label, also where it has one of the names that older servers give it."""
    if name in labels or _CLASSIC.fullmatch(name):
        return labels.get(name)
    return next((labels[each] for each in _escaped(name) if each in labels), None)


def _escaped(name: str) -> Iterator[str]:
    """What becomes of a name in UTF-8 where it cannot be kept: Prometheus' escaping schemes.

    They are `underscores`, `dots` and `values`
    (https://github.com/prometheus/docs/blob/main/docs/instrumenting/escaping_schemes.md).
    """
    plain = _NOT_CLASSIC.sub("_", name)
    yield f"_{plain}" if plain[0].isdigit() else plain
    doubled = name.replace("_", "__").replace(".", "_dot_")
    yield _NOT_CLASSIC.sub("__", doubled)
    whole = name.replace("_", "__")
    yield "U__" + _NOT_CLASSIC.sub(lambda found: f"_{ord(found[0]):x}_", whole)


def _without_route(name: str, label: str, answer: Answer) -> Iterable[str]:
    """Say that series have labels, and not the one of the route: no verdict tells them apart."""
    named = [labels for labels, _ in answer.series if labels]
    lacking = sum(_label(labels, label) is None for labels in named)
    if lacking:
        number = "no series has" if lacking == len(named) else f"{lacking} of {len(named)} lack"
        yield f"query {name}: {number} the label {label}, and count as `{OTHER}`"


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
