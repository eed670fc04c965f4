"""What people and programs get of requests beside findings: alert, metrics, a table of a page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from checks.card import Alert, Detail, Details, Family, Heading, Sample
from checks.http_log.counts import CODES, OTHER, Counts, Route, Seen
from checks.http_log.request import WRITES
from checks.kinds.conflict_rate.codes import ordered
from checks.types import duration_text

_HIGHEST = (
    '{{ range query (printf "topk(3, max by (source, route, method)'
    ' (reconciler_http_conflict_ratio{namespace=%q,job=%q,window=\\"WINDOW\\"}) > 0)"'
    " $labels.namespace $labels.job) }}{{ .Labels.method }} {{ .Labels.route }}"
    " {{ .Value | humanizePercentage }}; {{ else }}none; {{ end }}"
)

ALERT = Alert(
    name="ReconcilerConflictRate",
    rank=80,
    meaning="too many requests answered 409",
    summary="{count} routes or clients conflict (409) too often ({check}).",
    advice="\n".join(
        (
            "Highest ratios in the short window:",
            _HIGHEST.replace("WINDOW", "short"),
            "in the long window:",
            _HIGHEST.replace("WINDOW", "long"),
            "the finding tells the cause.",
        )
    ),
    explanation="a route, key or client conflicts (409) too often. The rule rests on the check's"
    " findings and sets no limits of its own: the check already judges two windows, the short one"
    " (a sharp rise) and the long one (a smaller one that lasts), with statistics that a rule on"
    " `reconciler_http_conflict_ratio` cannot do: it needs enough requests, leaves storms out,"
    " compares with what is usual. So limits stand in one place, `config.toml`. The description"
    " shows the three highest ratios of both windows. See [conflicts](conflicts.md).",
)

DETAILS = Details(
    anchor="conflicts",
    title="Latest conflicts",
    order="the most conflicts first",
    nothing="None is known: the latest run could not tell, or there were no requests.",
    headings=(
        Heading("Route"),
        Heading("Window"),
        Heading("Requests", is_number=True),
        Heading("409", is_number=True),
        Heading("Ratio", is_number=True),
        Heading("Codes"),
    ),
)

_ROUTE = ("source", "route", "method")


def _family(
    name: str, kind: Literal["counter", "gauge"], text: str, labels: tuple[str, ...], meaning: str
) -> Family:
    return Family(name=f"reconciler_{name}", type=kind, help=text, labels=labels, meaning=meaning)


REQUESTS = _family(
    "http_requests_sampled_total",
    "counter",
    "Requests read from a log.",
    _ROUTE,
    "requests read from a log; goes on over restarts",
)
CONFLICTS = _family(
    "http_conflicts_total",
    "counter",
    "Answers 409 by code.",
    (*_ROUTE, "code"),
    "of these, answers 409 by the application's code; zero is said for write methods",
)
REFUSALS = _family(
    "http_key_refusals_total",
    "counter",
    "Answers 400 and 422 of write requests.",
    (*_ROUTE, "status"),
    "answers 400 and 422 of write requests",
)
WITHOUT_KEY = _family(
    "http_requests_without_key_total",
    "counter",
    "Write requests that were accepted without an idempotency key.",
    _ROUTE,
    "write requests that were accepted without an idempotency key, where the log tells",
)
LINES = _family(
    "access_log_lines_total",
    "counter",
    "Lines of a log by state: all that were read, and those with a fault.",
    ("source", "state"),
    "lines `read`, and of them `unreadable`, telling of `no_request`, `unanswered` requests and"
    " those `without_status`, `without_time` or `without_method`; `too_long` ones are beside them",
)
RATIO = _family(
    "http_conflict_ratio",
    "gauge",
    "Answers 409 in all answers of the window; absent without requests, and while unknown.",
    (*_ROUTE, "window"),
    "answers 409 in all answers of the `short` and the `long` window; absent without requests,"
    " while it is unknown, and while the check cannot tell",
)
BEHIND = _family(
    "access_log_behind_bytes",
    "gauge",
    "What is written in a log and not yet read.",
    ("source",),
    "what is written in a log and not yet read",
)
BLIND = _family(
    "source_blind_ratio",
    "gauge",
    "The part of what a source holds of requests that could not be read, by reason.",
    ("source", "reason"),
    "the part of the latest lines that should tell of a request and do not: `unreadable`,"
    " `no_request`, or `without_time`; of its files or `targets`: `missing`; from 0.1 on the"
    " check cannot tell",
)
UNKNOWN = _family(
    "http_conflict_ratio_unknown",
    "gauge",
    "Whether the ratios of a window are unknown: 1 or 0.",
    ("source", "window"),
    "1 while the ratios of a window are unknown, as of a log that holds failures only; else 0",
)
NEWEST = _family(
    "access_log_newest_timestamp_seconds",
    "gauge",
    "When the newest request was that a log tells of, as a Unix time.",
    ("source",),
    "when the newest request was that a log tells of; absent before there was one",
)
_OF_LOGS = (REQUESTS, CONFLICTS, REFUSALS, WITHOUT_KEY, LINES, BEHIND, NEWEST)
FAMILIES = (*_OF_LOGS, RATIO, BLIND, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a run saw of requests."""

    totals: Counts = field(default_factory=dict)
    """Since the source is sampled, over restarts; empty where the source keeps its own counts."""
    windows: Mapping[str, Counts] = field(default_factory=dict)
    """The `short` and the `long` window up to now."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of a log since it is sampled: `read`, and by what was wrong with the others."""
    behind_bytes: int | None = None
    """How much of a log is written and not yet read."""
    newest: int | None = None
    """When the newest request was that a log tells of, as a Unix time."""
    blind: Mapping[str, float] = field(default_factory=dict)
    """The part of the latest lines that does not tell what it should, by reason."""
    codes: tuple[str, ...] = CODES
    """The codes that are declared: each is exported, also while it is at zero."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """The windows whose ratios are not known, and why."""

    @property
    def of_no_verdict(self) -> "Traffic":
        """What is known of it where nothing can be told of ratios."""
        return replace(self, windows={}, unknown={})


# --- Metrics --------------------------------------------------------------------------------------


def samples(source: str, traffic: Traffic) -> Iterator[Sample]:
    """The series of a source.

    Counters go on over restarts, because the counts are kept with the place in the log.
    """
    for route, seen in traffic.totals.items():
        yield from _totals(source, route, seen, traffic)
    for window, counts in traffic.windows.items():
        yield Sample(UNKNOWN, (source, window), float(window in traffic.unknown))
        for route, seen in counts.items():
            if seen.requests and window not in traffic.unknown:
                yield Sample(RATIO, (source, *route, window), seen.ratio)
    for reason, share in traffic.blind.items():
        yield Sample(BLIND, (source, reason), share)
    for state, number in traffic.lines.items():
        yield Sample(LINES, (source, state), number)
    if traffic.behind_bytes is not None:
        yield Sample(BEHIND, (source,), traffic.behind_bytes)
    if traffic.newest is not None:
        yield Sample(NEWEST, (source,), traffic.newest)


def _totals(source: str, route: Route, seen: Seen, traffic: Traffic) -> Iterator[Sample]:
    own = (source, *route)
    yield Sample(REQUESTS, own, seen.requests)
    for code in ordered({*traffic.codes, *seen.conflicts, OTHER}, traffic.codes):
        number = seen.conflicts.get(code, 0)
        if number or route[1] in WRITES:  # zero is said where there could be conflicts
            yield Sample(CONFLICTS, (*own, code), number)
    for status, number in seen.refusals.items():
        yield Sample(REFUSALS, (*own, status), number)
    if seen.without_key:
        yield Sample(WITHOUT_KEY, own, seen.without_key)


# --- The table of the page ------------------------------------------------------------------------


def details(traffic: Traffic, lengths: Mapping[str, timedelta]) -> tuple[Detail, ...]:
    """What each route answered in each window, the short one and the most conflicts first."""
    found = [
        (window, route, seen)
        for window, counts in traffic.windows.items()
        for route, seen in counts.items()
        if seen.requests
    ]
    found.sort(key=_rank)
    return tuple(_detail(*each, lengths, traffic) for each in found)


def _rank(each: tuple[str, Route, Seen]) -> tuple[Any, ...]:
    window, (route, method), seen = each
    return window != "short", -seen.all_conflicts, -seen.requests, route, method


def _detail(
    window: str,
    of: Route,
    seen: Seen,
    lengths: Mapping[str, timedelta],
    traffic: Traffic,
) -> Detail:
    unknown = traffic.unknown
    route, method = of
    requests, conflicts = round(seen.requests), round(seen.all_conflicts)
    told = seen.conflicts
    codes = {code: round(told[code]) for code in ordered(told, traffic.codes) if told[code]}
    return Detail(
        {
            "window": window,
            "route": route,
            "method": method,
            "requests": requests,
            "conflicts": conflicts,
            "ratio": None if window in unknown else round(seen.ratio, 6),
            "codes": codes,
        },
        method,
        (
            route,
            f"{window}, {duration_text(lengths[window])}",
            f"{requests:,}",
            f"{conflicts:,}",
            "unknown" if window in unknown else f"{100 * seen.ratio:.2f} %",
            ", ".join(f"{code} {number:,}" for code, number in codes.items()) or "–",
        ),
    )
