"""Lines of text that a regular expression with named groups takes apart.

Expressions are run by RE2, whose time grows with the length of a line and nothing else: neither a
hostile line nor a careless expression holds up the reader.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

from checks.http_log.json_lines import Entry, plain
from checks.http_log.request import METHODS, UNANSWERED, Batch, Told
from checks.http_log.times import Times
from checks.http_log.values import (
    NO_ANSWER,
    is_method,
    method,
    path,
    request_line,
    status,
    text,
    unescaped,
)
from checks.lazy_import import Later

re2: Any = Later("re2")

Group = Literal["time", "method", "path", "request", "status", "code", "key", "client"]
GROUPS: tuple[Group, ...] = get_args(Group)

LONGEST = 4096
"""Characters of an expression."""

_NAMED = re.compile(r"\(\?P?<([^>]*)>")
_LITERAL = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]", re.DOTALL)

Preset = Literal["alb", "haproxy", "envoy"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
PRESETS: Mapping[Preset, str] = {
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
    "alb": r"(?:http|https|h2|grpcs|ws|wss) (?P<time>\S+) \S+ (?P<client>\S+?)(?::\d+)? \S+"
    r" -?[\d.]+ -?[\d.]+ -?[\d.]+ (?P<status>\d{3}|-) (?:\d{3}|-) (?:\d+|-) (?:\d+|-)"
    r' "(?P<request>(?:[^"\\]|\\.)*)" ' + _QUOTED + r" \S+ \S+ .*",
    # https://docs.haproxy.org/3.0/configuration.html#8.2.3, `option httplog` and `httpslog`
    "haproxy": r"(?:(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8}|\d{4}-\d\d-\d\dT\S+) \S+"
    r" [^\s\[:]+(?:\[\d+\])?: ?)?"
    r"(?P<client>\S+):\d+ \[(?P<time>[^\]]+)\] \S+ \S+/\S+ -?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+"
    r" (?P<status>\d{3}|-1|0) \+?\d+ \S+ \S+ \S{2,4} \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+"
    r'(?: \{[^}]*\}){0,2} "(?P<request>[^"]*)(?:"(?: .*)?)?',
    # https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage, and
    # what Istio adds to it
    "envoy": r'\[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) \S+" (?P<status>\d{1,3}|-) \S+'
    r' (?:\S+ \S+ "[^"]*" )?(?:\d+|-) (?:\d+|-) (?:\d+|-) (?:\d+|-) "(?P<client>[^"]*)" ".*"'
    r' "[^"]*" "[^"]*" "[^"]*"(?: .*)?',
}
"""What well-known programs write unless they are told otherwise."""


class Pattern:
    """An expression that describes a whole line."""

    def __init__(self, pattern: str) -> None:
        """Raises ValueError, which says what is wrong with the expression."""
        if len(pattern) > LONGEST:
            raise ValueError(f"pattern has over {LONGEST} characters")
        options = re2.Options()
        options.log_errors, options.dot_nl = False, True
        options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they are
        try:
            self._expression = re2.compile(pattern.encode(), options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if error.args else "too large"
            raise ValueError(f"pattern cannot be used: {reason}") from None
        names = {name.decode(): at for name, at in self._expression.groupindex.items()}
        _check_names(pattern, names)
        self._order = [names.get(group, 0) for group in GROUPS]
        self.has_times = "time" in names

    def parts(self, line: bytes) -> list[str | None] | None:
        """The values of all `GROUPS`, None of those that there are not; None of another line."""
        match = self._expression.fullmatch(line)
        if match is None:
            return None
        found = match.groups()
        return [
            None if not at or (value := found[at - 1]) is None else value.decode(errors="replace")
            for at in self._order
        ]


def _check_names(pattern: str, names: Mapping[str, int]) -> None:
    written = Counter(_NAMED.findall(_LITERAL.sub("", pattern)))
    if twice := sorted(name for name, number in written.items() if number > 1):
        raise ValueError(f"pattern has the group {twice[0]} more than once")
    if unknown := sorted({*names} - {*GROUPS}):
        raise ValueError(f"pattern has the group {unknown[0]}; known are {', '.join(GROUPS)}")
    missing = (
        [] if "request" in names else [each for each in ("method", "path") if each not in names]
    )
    missing += ["status"] if "status" not in names else []
    if missing:
        raise ValueError(f"pattern has no group {' and '.join(missing)}")
    if "request" in names and (more := [each for each in ("method", "path") if each in names]):
        raise ValueError(f"pattern has the groups request and {' and '.join(more)}")


def read(entries: Iterable[Entry], batch: Batch, times: Times, pattern: Pattern) -> Iterator[Told]:
    """The requests of some lines."""
    latest: int | None = None
    for line, moment in entries:
        parts = pattern.parts(line.rstrip())
        if parts is None:
            bare = plain(line)
            if not bare:
                continue
            parts = pattern.parts(bare)
        batch.lines += 1
        if parts is None:
            batch.unreadable(line, latest, is_json=False)
            continue
        told = request(batch, line, latest, parts, times.read(parts[0]) or times.read(moment))
        if told:
            latest = told[0] or latest
            yield told


def request(
    batch: Batch, line: bytes, latest: int | None, parts: list[str | None], second: int | None
) -> Told | None:
    """The request of a line's parts, in the order of `GROUPS`; None, and counted, of none."""
    time, verb, target, asked, written, code, key, client = parts
    if asked is not None:
        verb, target = request_line(asked)
    if written is None or verb is None or target is None:
        batch.no_request(line, latest, (verb, target, written))
        return None
    answer = status(written)
    if answer is None:
        batch.without_status(line, latest, (verb, target, written))
        return None
    if answer == NO_ANSWER:
        batch.faults[UNANSWERED] += 1
        return None
    if second is None:
        batch.without_time(latest, time)
    if verb not in METHODS:
        if asked is None and not is_method(verb):
            batch.without_method(latest)
        verb = method(verb)
    return (
        *(second, verb, path(unescaped(target)), answer),
        *((_value(code) or None), _value(key), (_first(client) or None)),
    )


def _value(value: str | None) -> str | None:
    return None if value is None else text(unescaped(value))


def _first(client: str | None) -> str | None:
    """The client: of a list of addresses, as `X-Forwarded-For` holds it, the first."""
    return _value(client.partition(",")[0].strip()) if client else None
