"""Lines that are JSON objects, or were meant to be."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import orjson

from checks.http_log.request import LONGEST_VALUE, METHODS, UNANSWERED, Batch, Told
from checks.http_log.times import Times
from checks.http_log.values import (
    NO_ANSWER,
    is_method,
    method,
    path,
    request_line,
    single,
    status,
    text,
)

Field = Literal["time", "method", "path", "request", "status", "code", "key", "client"]

Getter = Callable[[dict[str, Any]], Any]
Finder = Callable[[dict[str, Any]], Iterable[Any]]

_LOWEST, _HIGHEST = 100, 999


Entry = tuple[bytes, Any]
"""A line, and when it was written as far as what wrapped it says: for lines that do not say it."""


def finder(fields: Mapping[Field, str]) -> Finder:
    """What finds time, method, path, status, code, key and client in a JSON object, in this order.

    Where there is a field `request`, method and path are those of its value.
    """
    find = _finder([fields.get(name) for name in ("time", "method", "path", *_REST)])
    if "request" not in fields:
        return find
    get = _getter(fields["request"])

    def split(document: dict[str, Any]) -> Iterable[Any]:
        time, _, _, *rest = find(document)
        line = single(get(document))
        verb, target = request_line(line) if isinstance(line, str) else (None, None)
        return (time, verb, target, *rest)

    return split


_REST: tuple[Field, ...] = ("status", "code", "key", "client")


def _finder(places: Sequence[str | None]) -> Finder:
    if not any(_is_nested(place) for place in places if place):

        def find(document: dict[str, Any]) -> Iterable[Any]:
            get: Callable[[Any], Any] = document.get
            return map(get, places)

        return find
    getters = [_getter(place) for place in places]
    return lambda document: [get(document) for get in getters]


def _is_nested(place: str) -> bool:
    return "." in place or ">" in place


def _getter(place: str | None) -> Getter:
    """What finds a value in a JSON object; None where it is not, "" where only it is missing."""
    if place is None:
        return lambda _: None
    if not _is_nested(place):
        return lambda document: document.get(place)
    *outer, last = place.split(">" if ">" in place else ".")

    def find(document: dict[str, Any]) -> Any:
        if place in document:  # some loggers write objects flat: "req.method": "GET"
            return document[place]
        inner: Any = document
        for step in outer:
            inner = single(inner.get(step)) if isinstance(inner, dict) else None
        return inner.get(last, "") if isinstance(inner, dict) else None

    return find


def read(  # noqa: C901, PLR0912 - see below
    entries: Iterable[Entry], batch: Batch, find: Finder, times: Times
) -> Iterator[Told]:
    """The requests of some lines.

    Every line goes through this loop: what most of them need is done here, without a call.
    """
    loads, read_time, lines, latest = orjson.loads, times.read, 0, None
    for line, moment in entries:
        try:
            document = loads(line)
        except orjson.JSONDecodeError:
            bare = plain(line)
            if not bare:
                continue
            document = mended(bare)
        lines += 1
        if document.__class__ is not dict:
            batch.unreadable(line, latest, is_json=True)
            continue
        time, verb, target, answer, code, key, client = find(document)
        if (
            answer.__class__ is not int
            or not _LOWEST <= answer <= _HIGHEST
            or verb.__class__ is not str
            or target.__class__ is not str
        ):
            told = _told(batch, line, latest, (verb, target, answer))
            if told is None:
                continue
            verb, target, answer = told
        second = read_time(time)
        if second is None:
            second = read_time(moment)
            if second is None:
                batch.without_time(latest, time)
        else:
            latest = second
        if verb not in METHODS:
            if not is_method(verb):
                batch.without_method(latest)
            verb = method(verb)
        if target[:1] != "/" or "?" in target:
            target = path(target)
        if code is not None:
            code = text(code) or None
        if key is not None and not (key.__class__ is str and 1 < len(key) <= LONGEST_VALUE):
            key = text(key)
        if client.__class__ is not str or not 1 < len(client) <= LONGEST_VALUE:
            client = None if client is None else text(client) or None
        yield second, verb, target, answer, code, key, client
    batch.lines += lines


def _told(
    batch: Batch, line: bytes, latest: int | None, parts: tuple[object, object, object]
) -> tuple[str, str, int] | None:
    """Method, target and status that are not written plainly; None, and counted, where none are."""
    verb, target, answer = single(parts[0]), single(parts[1]), status(parts[2])
    if parts[2] is None or not (isinstance(verb, str) and isinstance(target, str)):
        batch.no_request(line, latest, parts)
    elif answer is None:
        batch.without_status(line, latest, parts)
    elif answer != NO_ANSWER:
        return verb, target, answer
    elif verb or target:
        batch.faults[UNANSWERED] += 1
    else:
        batch.no_request(line, latest, parts)
    return None


# ---- What was meant to be JSON -------------------------------------------------------------------

_ESCAPED = re.compile(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|(u[0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))",
    re.DOTALL,
)
"""An escape: a pair of surrogates, half of one, a character, a byte, or anything else."""
_KNOWN = frozenset(b'"\\/bfnrt')
_CONTROLS = {b"a": b"\\u0007", b"e": b"\\u001b", b"v": b"\\u000b", b"'": b"'"}
_QUOTED = {0x22: b'\\"', 0x5C: rb"\\"}

_BARE = re.compile(
    rb'("(?:[^"\\]++|\\.)*+"?)'
    rb"|:\s*+([-0-9.]++(?:\s*+[,:]\s*+[-0-9.]++)*+)(?=(\s*+(?:,\s*+\"|\}))?)"
    rb"|(:)\s*+(?=[,}])"
    rb"|(,)\s*+(?=[}\]])",
    re.DOTALL,
)
"""A text, which stays as it is; numbers as no JSON has them; no value at all; a comma too many.

Whatever begins like one of them is consumed, so that a line is gone through once."""


def mended(line: bytes) -> Any:
    r"""What a line was meant to say that is no JSON; None where that cannot be told.

    It may hold bytes that are no UTF-8, escapes that JSON does not know (nginx without
    `escape=json` writes `\xNN`), raw control characters, or nothing where a number should be
    (`"time":,` `"time":-` `"status":502, 409`).
    """
    if not line.startswith(b"{"):
        return None
    text = _ESCAPED.sub(_escape, line)
    try:
        return orjson.loads(text.decode(errors="replace"))
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(_BARE.sub(_value, text).decode(errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None


def plain(line: bytes) -> bytes:
    """A line of UTF-16 as UTF-8, and any without a byte order mark and blanks around it."""
    line = line.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").lstrip(b"\0")
    if b"\0" in line[:8] and not any(line[1:64:2]):
        line = line[: len(line) & ~1].decode("utf-16-le", errors="replace").encode(errors="replace")
    return line.strip().removeprefix(b"\xef\xbb\xbf").lstrip()


def _escape(match: re.Match[bytes]) -> bytes:
    _, half, _, byte, sign = match.groups()
    if half:
        return rb"\ufffd"
    if byte:
        number = int(byte, 16)
        return _QUOTED.get(number) or (rb"\u%04x" % number if number < 0x20 else bytes((number,)))  # noqa: PLR2004
    if sign and sign[0] not in _KNOWN:
        return _CONTROLS.get(sign, rb"\\" + sign)
    return match[0]


def _value(match: re.Match[bytes]) -> bytes:
    _, numbers, ends, colon, comma = match.groups()
    if numbers and ends:
        return b': "%s"' % numbers
    return b": null" if colon else b"" if comma else match[0]
