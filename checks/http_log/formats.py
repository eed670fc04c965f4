"""Lines of access logs, read as requests."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, NamedTuple, Self, get_args

import orjson
from pydantic import BaseModel, ConfigDict, model_validator

from checks.http_log.doubts import Doubt, doubt_of_record, doubt_of_text

Field = Literal["time", "method", "path", "status", "code", "key", "client"]

DEFAULT_FIELDS: Mapping[Field, str] = {
    "time": "time",
    "method": "method",
    "path": "path",
    "status": "status",
    "code": "code",
    "key": "idempotency_key",
    "client": "client",
}

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OTHER_METHOD = "OTHER"

LONGEST_VALUE = 256
"""Characters of a key, a client or a code that count; the rest is cut."""

_SIXTY = {f"{second:02}": second for second in range(60)}
_ZONES = frozenset(("", "Z", "+", "-"))

_NOTHING = {"", "-"}
"""What servers write where there is no value."""

_MILLISECONDS = 100_000_000_000
"""From here on a number of seconds since 1970 is one of milliseconds."""

_LATEST = 1 << 33
"""Seconds since 1970 (the year 2242) beyond which a number is no time."""


class Request(NamedTuple):
    """A request as a line tells it."""

    second: int | None
    """When, in seconds since 1970; None where the line does not say."""
    method: str
    path: str
    """Without its query; empty where the line has none that can be read."""
    status: int
    code: str | None = None
    """The application's reason for an error."""
    key: str | None = None
    """The idempotency key; "" where the line says that there was none, None where it is silent."""
    client: str | None = None


Told = tuple[int | None, str, str, int, str | None, str | None, str | None]
"""A request as a bare tuple, which takes half the time to make."""


@dataclass(slots=True)
class Batch:
    """What some lines tell."""

    requests: Iterable[Told]
    """One after the other as they are asked for, so that a line is gone when the next one comes:
    to keep thousands of them makes the garbage collector take as long as a fifth of the rest."""
    lines: int = 0
    """All of them but the empty ones; known, as the faults are, when all requests were had."""
    faults: Counter[str] = field(default_factory=Counter)
    """`unreadable` lines, `no_request` in a line, and requests `without_time`."""
    has_times: bool = True
    """Whether the format says where a line has its time."""
    doubts: Counter[tuple[int | None, Doubt]] = field(default_factory=Counter)
    """Those of them that let doubt that all requests are seen, by the second of the request before
    them; None where there was none in this batch."""

    def unreadable(self, line: bytes, second: int | None, *, is_json: bool) -> None:
        """Count a line that is not written in this format."""
        self.faults["unreadable"] += 1
        if doubt := doubt_of_text(line, is_json=is_json):
            self.doubts[second, doubt] += 1

    def no_request(self, line: bytes, second: int | None, parts: Iterable[object]) -> None:
        """Count a line that is no request; `parts` are its method, its path and its status."""
        self.faults["no_request"] += 1
        if doubt := doubt_of_record(line, *parts):
            self.doubts[second, doubt] += 1

    def without_time(self, second: int | None, time: object) -> None:
        """Count a request whose time is missing or cannot be read."""
        self.faults["without_time"] += 1
        if self.has_times:
            doubt = Doubt.NO_TIME if time is None else Doubt.WITHOUT_TIME
            self.doubts[second, doubt] += 1


class LineFormat(BaseModel):
    """How a line tells of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["json", "combined"] = "json"
    fields: Mapping[Field, str] = DEFAULT_FIELDS
    """Where a JSON line has what; dots lead into objects: `req.method`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format == "combined" and "fields" in self.model_fields_set:
            raise ValueError("fields are those of JSON lines; the combined format has its own")
        needed: tuple[Field, ...] = ("method", "path", "status")
        if missing := [name for name in needed if not self.fields.get(name)]:
            raise ValueError(f"fields does not say where {' and '.join(missing)} is")
        return self

    def reader(self, zone: tzinfo = UTC) -> Callable[[bytes], Batch]:
        """What reads whole lines; `zone` is that of times without one."""
        times = _Times(zone)
        if self.format == "combined":
            return lambda text: _batch(lambda batch: _combined(text, batch, times))
        find = _finder([self.fields.get(name) for name in get_args(Field)])
        has_times = bool(self.fields.get("time"))
        return lambda text: _batch(lambda batch: _json(text, batch, find, times), has_times)


Getter = Callable[[dict[str, Any]], Any]
Finder = Callable[[dict[str, Any]], Iterable[Any]]


def _finder(places: Sequence[str | None]) -> Finder:
    """What finds all values in a JSON object."""
    if not any("." in place for place in places if place):

        def find(document: dict[str, Any]) -> Iterable[Any]:
            get: Callable[[Any], Any] = document.get
            return map(get, places)

        return find
    getters = [_getter(place) for place in places]
    return lambda document: [get(document) for get in getters]


def _getter(place: str | None) -> Getter:
    """What finds a value in a JSON object; None where it is not, "" where only it is missing."""
    if place is None:
        return lambda _: None
    if "." not in place:
        return lambda document: document.get(place)
    *outer, last = place.split(".")

    def find(document: dict[str, Any]) -> Any:
        if place in document:  # some loggers write objects flat: "req.method": "GET"
            return document[place]
        inner: Any = document
        for step in outer:
            inner = inner.get(step) if isinstance(inner, dict) else None
        return inner.get(last, "") if isinstance(inner, dict) else None

    return find


def _batch(read: Callable[[Batch], Iterator[Told]], has_times: bool = True) -> Batch:  # noqa: FBT001, FBT002
    batch = Batch((), has_times=has_times)
    batch.requests = read(batch)
    return batch


def _json(  # noqa: C901, PLR0912 - see below
    text: bytes, batch: Batch, find: Finder, times: "_Times"
) -> Iterator[Told]:
    """Every line goes through this loop: what most of them need is done here, without a call."""
    loads, read_time, latest = orjson.loads, times.read, None
    lines = text.split(b"\n")
    for line in lines:
        try:
            document = loads(line)
        except orjson.JSONDecodeError:
            if not line.strip():
                batch.lines -= 1
                continue
            document = _mended(line)
        if document.__class__ is not dict:
            batch.unreadable(line, latest, is_json=True)
            continue
        time, verb, path, status, code, key, client = find(document)
        if status.__class__ is not int:
            status = _status(status)
        if status is None or verb.__class__ is not str or path.__class__ is not str:
            batch.no_request(line, latest, [*find(document)][1:4])
            continue
        second = read_time(time)
        if second is None:
            batch.without_time(latest, time)
        else:
            latest = second
        if verb not in METHODS:
            verb = _method(verb)
        if path[:1] != "/" or "?" in path:
            path = _path(path)
        if code is not None:
            code = _value(code) or None
        if key is not None and not (key.__class__ is str and 1 < len(key) <= LONGEST_VALUE):
            key = _value(key[0] if key.__class__ is list and len(key) == 1 else key)
        if client.__class__ is not str or not 1 < len(client) <= LONGEST_VALUE:
            client = None if client is None else _value(client) or None
        yield second, verb, path, status, code, key, client
    batch.lines += len(lines)


def _mended(line: bytes) -> Any:
    """A line whose bytes are no UTF-8; what cannot be decoded is replaced."""
    try:
        return orjson.loads(line.decode(errors="replace"))
    except orjson.JSONDecodeError:
        return None


def _status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isdecimal() and value.isascii():  # noqa: PLR2004
        return int(value)
    return None


def _method(value: str) -> str:
    upper = value[:16].upper()
    return upper if upper in METHODS else OTHER_METHOD


def _path(target: str) -> str:
    if not target.startswith("/"):
        # An absolute URL, as proxies log it.
        scheme, found, rest = target.partition("://")
        target = f"/{rest.partition('/')[2]}" if found and scheme.isalpha() else ""
    end = target.find("?")
    return target if end < 0 else target[:end]


def _value(value: object) -> str:
    if not isinstance(value, str):
        return repr(value)[:LONGEST_VALUE]
    return "" if value in _NOTHING else value[:LONGEST_VALUE]


_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = re.compile(rf"(\S+) \S+ .*?\[([^\]]{{0,64}})\] {_QUOTED} ([0-9]{{3}}) ", re.DOTALL)


def _combined(text: bytes, batch: Batch, times: "_Times") -> Iterator[Told]:
    """The format of nginx and Apache; it has neither code nor key."""
    latest: int | None = None
    for line in _lines(text):
        batch.lines += 1
        match = _COMBINED.match(line.decode(errors="replace") + " ")
        if match is None:
            batch.unreadable(line, latest, is_json=False)
            continue
        client, time, asked, status = match.groups()
        second = times.read(time)
        if second is None:
            batch.without_time(latest, time)
        else:
            latest = second
        verb, _, rest = asked.partition(" ")
        target = rest.rpartition(" ")[0] or rest
        method = _method(verb)
        path = _path(target) if method != OTHER_METHOD else ""
        yield second, method, path, int(status), None, None, client


def _lines(text: bytes) -> Iterator[bytes]:
    return (line for line in text.split(b"\n") if line.strip())


class _Times:
    """Times as logs write them; a minute that was read before is looked up."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._minutes: dict[str, int | None] = {}

    def read(self, value: Any) -> int | None:
        """Seconds since 1970 of a number (of seconds or milliseconds) or a text."""
        if value.__class__ is not str:
            return _seconds(value) if type(value) in (int, float) else None
        seconds = value[17:19]
        if value[19:20] == "." and value[20:23].isdecimal() and seconds in _SIXTY:
            start = self._minutes.get(value[:17] + value[23:])
            if start is not None:
                return start + _SIXTY[seconds]
        if value[13:14] != ":" or value[16:17] != ":" or seconds not in _SIXTY:
            return self._parsed(value)  # no time of ISO 8601
        end = value[19:]
        if end[:1] == ".":  # the fraction differs from line to line
            end = end[4:] if end[4:5] in _ZONES else end.lstrip(".0123456789")
        minute = value[:17] + end
        known = self._minutes
        if minute not in known:
            if len(known) > 10_000:  # noqa: PLR2004 - a week
                known.clear()
            known[minute] = self._parsed(f"{value[:17]}00{end}")
        start = known[minute]
        return None if start is None else start + _SIXTY[seconds]

    def _parsed(self, value: str) -> int | None:
        if len(value) > 40:  # noqa: PLR2004
            return None
        try:
            return _seconds(float(value))
        except ValueError:
            pass
        for parse in (datetime.fromisoformat, _apache):
            try:
                moment = parse(value.strip())
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=self._zone)
                return _seconds(moment.timestamp())
            except (ValueError, OverflowError):
                continue
        return None


def _seconds(number: float) -> int | None:
    seconds = number / 1000 if number >= _MILLISECONDS else number
    return int(seconds) if 0 < seconds < _LATEST else None


def _apache(value: str) -> datetime:
    return datetime.strptime(value, "%d/%b/%Y:%H:%M:%S %z")
