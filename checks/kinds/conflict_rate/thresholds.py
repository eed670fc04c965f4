"""What counts of requests come to: which routes conflict too often, and why."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from checks.contract import Evidence, Finding, Scalar
from checks.http_log.counts import OTHER, Counts, Route, Seen
from checks.http_log.request import WRITES
from checks.kinds.conflict_rate.codes import CAUSES, Problem
from checks.kinds.conflict_rate.retry_storms import Repeated, Who, storms

SURE = 3.0
"""Standard deviations by which a ratio must be above its limit: of a route that is exactly at its
limit one verdict in 700 is then a false alarm."""

_WORDS = {
    "key_reuse": "one key is used for different payloads",
    "slow_handler": "clients ask again while the first request is still in work",
    "plain_race": "requests for the same thing meet",
    "replay": "what was used already is used again",
    "conflicts": "conflicts of several or of unknown codes",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on traffic is wrong."""

    minimum: int
    """Requests in a span without which there is no verdict on its ratio."""
    short: float
    long: float
    """The highest ratios of conflicts to requests in the short and the long window."""
    times_usual: float | None
    """How many times its own usual ratio a route may have in the short window."""
    storm: int
    """Conflicts of one key, or of one client, in the short window."""
    reused_keys: int
    """Keys with different payloads in the short window."""
    causes: Mapping[Problem, tuple[str, ...]] = field(default_factory=lambda: CAUSES)
    """The problem that conflicts tell of when more than half of them have these codes."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything a verdict is about."""

    short: Counts
    long: Counts
    usual: Counts = field(default_factory=dict)
    repeats: Mapping[Who, Repeated] = field(default_factory=dict)
    """Empty where the source does not tell keys and clients."""
    past_storms: Mapping[Route, Counter[str]] = field(default_factory=dict)
    """Conflicts of the long window that were those of storms."""
    unknown: frozenset[str] = frozenset()
    """The windows, `short` and `long`, of which no ratio is known."""


def still_known(known: Iterable[Mapping[str, Scalar]], found: Iterable[Finding]) -> list[Finding]:
    """The findings of ratios that runs before made, where no ratio is known now.

    They are neither seen nor over: what cannot be told resolves nothing.
    """
    seen = [each.key for each in found]
    return [
        Finding(
            key,
            f"{key['method']} {key['route']}: too many conflicts when last known;"
            " the ratio is unknown at present",
            {"ratio": "unknown"},
        )
        for key in known
        if key.get("problem") in _WORDS and key not in seen
    ]


def bounds(part: float, whole: float) -> tuple[float, float]:
    """The least and the highest ratio that are compatible with what was counted.

    Wilson's score interval (E. B. Wilson, 1927) at `SURE` standard deviations: two conflicts in
    twenty requests are no proof of a rate of 10 %.
    """
    if not whole:
        return 0.0, 1.0
    p, z2 = min(1.0, max(0.0, part / whole)), SURE * SURE
    middle = p + z2 / (2 * whole)
    spread = SURE * math.sqrt(p * (1 - p) / whole + z2 / (4 * whole * whole))
    scale = 1 + z2 / whole
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def findings(observed: Observed, limits: Limits) -> Iterator[Finding]:
    """Every route on which something is wrong, storms by key and by client first."""
    stormy: dict[Route, Counter[str]] = defaultdict(Counter)
    for who, repeated in sorted(storms(observed.repeats, limits.storm), key=lambda each: each[0]):
        yield _storm(who, repeated)
        stormy[who[1:3]].update(repeated.codes)
    reusing = _reusing(observed, limits)
    for route in sorted({*observed.short, *observed.long}):
        past = observed.past_storms.get(route, Counter()) | stormy[route]
        problem = _problem(route, (stormy[route], past), observed, limits)
        if problem:
            yield problem
        if route in reusing and not (problem and problem.key["problem"] == "key_reuse"):
            yield _reuse(route, reusing[route])


def _storm(who: Who, repeated: Repeated) -> Finding:
    by, path, method, name = who
    codes = dict(sorted(repeated.codes.items()))
    evidence: dict[str, Evidence] = {"conflicts": repeated.number, **codes}
    if by == "key" and repeated.client:
        evidence["client"] = repeated.client
    message = f"{method} {path}: one {by} has {repeated.number} conflicts in the short window"
    key = {"problem": "retry_storm", "route": path, "method": method, by: name}
    return Finding(key, message, evidence, repeated.number)


def _problem(
    route: Route,
    stormy: tuple[Mapping[str, int], Mapping[str, int]],
    observed: Observed,
    limits: Limits,
) -> Finding | None:
    """A ratio that is too high, without the conflicts of storms, which are told by themselves."""
    short, long = (
        counts.get(route, Seen()).less(Seen(conflicts=dict(codes)))
        for counts, codes in zip((observed.short, observed.long), stormy, strict=True)
    )
    for name, seen, limit in (("short", short, limits.short), ("long", long, limits.long)):
        if name in observed.unknown:
            continue
        if seen.requests >= limits.minimum and _least(seen) > limit:
            return _high(route, name, seen, f"limit {_percent(limit)}", limits)
    usual = observed.usual.get(route, Seen())
    if "short" in observed.unknown:
        return None
    if limits.times_usual and min(short.requests, usual.requests) >= limits.minimum:
        # The highest that may be usual: few requests without a conflict are no proof of none.
        limit = limits.times_usual * bounds(usual.all_conflicts, usual.requests)[1]
        if _least(short) > limit:
            return _high(route, "short", short, f"usually {_percent(usual.ratio)}", limits)
    return None


def _least(seen: Seen) -> float:
    return bounds(seen.all_conflicts, seen.requests)[0]


def _high(route: Route, window: str, seen: Seen, compared: str, limits: Limits) -> Finding:
    problem = _cause(seen, limits.causes)
    conflicts = round(seen.all_conflicts)
    evidence: dict[str, Evidence] = {
        "window": window,
        "requests": round(seen.requests),
        "conflicts": conflicts,
        "ratio": _percent(seen.ratio),
        "compared_with": compared,
        **_codes(seen),
    }
    path, method = route
    message = (
        f"{method} {path}: {_percent(seen.ratio)} of requests conflict ({compared}):"
        f" {_WORDS[problem]}{_most(seen)}"
    )
    key = {"problem": problem, "route": path, "method": method}
    return Finding(key, message, evidence, max(1, conflicts), (window,))


def _most(seen: Seen) -> str:
    """The code that most conflicts have, by its own name."""
    named = {code: number for code, number in seen.conflicts.items() if code != OTHER}
    code = max(named, key=lambda code: (named[code], code), default=None)
    return f", most with {code}" if code and named[code] * 2 > seen.all_conflicts else ""


def _cause(seen: Seen, causes: Mapping[Problem, tuple[str, ...]]) -> str:
    for problem, codes in causes.items():
        if sum(seen.conflicts.get(code, 0) for code in codes) * 2 > seen.all_conflicts:
            return problem
    return "conflicts"


def _reusing(observed: Observed, limits: Limits) -> Mapping[Route, list[str]]:
    """Routes on which many keys come with different payloads."""
    keys: dict[Route, list[str]] = {}
    for by, path, method, name in observed.repeats:
        if by == "reuse":
            keys.setdefault((path, method), []).append(name)
    return {route: names for route, names in keys.items() if len(names) >= limits.reused_keys}


def _reuse(route: Route, names: list[str]) -> Finding:
    path, method = route
    message = f"{method} {path}: {len(names)} keys came with different payloads"
    evidence: dict[str, Evidence] = {"keys": len(names), "some_of_them": tuple(sorted(names)[:10])}
    key = {"problem": "key_reuse", "route": path, "method": method}
    return Finding(key, message, evidence, len(names))


def breaches(long: Counts, week: Counts, declared: Mapping[Route, bool]) -> Iterator[Finding]:
    """Writes against the key standard: of routes that nobody declared, and without their key.

    `declared` are the interfaces, each with whether it requires a key.
    """
    if not declared:
        return
    for route, seen in sorted(week.items(), key=lambda each: each[0]):
        path, method = route
        if method in WRITES and path != OTHER and route not in declared and seen.answered:
            message = f"{method} {path}: a write interface that [[interfaces]] does not declare"
            yield Finding({"problem": "undeclared", "route": path, "method": method}, message)
    for route, seen in sorted(long.items(), key=lambda each: each[0]):
        if seen.without_key and declared.get(route):
            path, method = route
            number = round(seen.without_key)
            message = f"{method} {path}: {number} requests were accepted without an Idempotency-Key"
            key = {"problem": "without_key", "route": path, "method": method}
            yield Finding(key, message, {"requests": number}, number)


def _codes(seen: Seen) -> dict[str, Evidence]:
    return {code: round(number) for code, number in sorted(seen.conflicts.items()) if number}


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.3g} %"
