"""Lines of access logs in several shapes, sound and hostile, with what each of them tells."""

import random
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, NamedTuple

import orjson

from checks.http_log.formats import LineFormat

Shape = Literal["flat", "pino", "nginx", "combined"]
Fault = Literal["empty", "unreadable", "no_request", "without_status", "too_long"]

FORMATS: Mapping[Shape, LineFormat] = {
    "flat": LineFormat(),
    "pino": LineFormat(
        fields={
            "time": "time",
            "method": "req.method",
            "path": "req.url",
            "status": "res.statusCode",
            "code": "res.code",
            "key": "req.headers.idempotency-key",
            "client": "req.remoteAddress",
        }
    ),
    "nginx": LineFormat(
        fields={
            "time": "msec",
            "method": "request_method",
            "path": "request_uri",
            "status": "status",
            "code": "sent_http_x_error_code",
            "key": "http_idempotency_key",
            "client": "remote_addr",
        }
    ),
    "combined": LineFormat(format="combined"),
}
"""How the lines of each shape are to be read."""

BEIJING = timezone(timedelta(hours=8))
OTHER = "other"
TOO_LONG = 70_000
"""Bytes; more than the lines of a log may have unless the settings say so."""


class Expected(NamedTuple):
    """What a reader must count of a line."""

    second: int | None
    """Seconds since 1970; None where the line does not tell."""
    method: str
    path: str
    """Without its query."""
    route: str
    """The template, or `other`."""
    status: int
    code: str | None = None
    key: str | None = None
    """Empty where the line says that there was none, None where it does not say anything."""
    client: str | None = None
    incident: str | None = None
    """What goes wrong just then, when it is the cause of this line."""


class Line(NamedTuple):
    """A line, without its line feed, and what it is."""

    text: bytes
    expected: Expected | None
    """None of a line that tells of no request."""
    fault: Fault | None = None
    """Why it does not."""
    beside: Literal["without_method"] | None = None
    """What a reader cannot tell of a request that counts; of its time see `Expected.second`."""


class Call(NamedTuple):
    """A request before it is a line; its target may have a query."""

    method: str
    route: str
    target: str
    status: int = 200
    code: str | None = None
    key: str = ""
    client: str = "phone-1"
    incident: str | None = None


def sound(shape: Shape, call: Call, second: int) -> Line:
    """The line of a request."""
    return Line(_text(shape, call, second), _expected(shape, call, second))


def hostile(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    """A line that somebody meant badly, or that went wrong, about where the call would be."""
    kinds = _COMBINED_JUNK if shape == "combined" else _JSON_JUNK
    return rng.choice(kinds)(shape, call, second, rng)


def _expected(shape: Shape, call: Call, second: int) -> Expected:
    silent = shape == "combined"
    return Expected(
        second,
        call.method,
        call.target.partition("?")[0],
        call.route,
        call.status,
        None if silent else call.code,
        None if silent else call.key,
        call.client,
        call.incident,
    )


def _text(shape: Shape, call: Call, second: int) -> bytes:
    if shape == "combined":
        return _combined(call, second)
    return orjson.dumps(_DOCUMENTS[shape](call, second))


def _flat(call: Call, second: int) -> dict[str, Any]:
    return {
        "time": datetime.fromtimestamp(second, BEIJING).isoformat(timespec="milliseconds"),
        "method": call.method,
        "path": call.target,
        "status": call.status,
        "code": call.code,
        "idempotency_key": call.key,
        "client": call.client,
        "duration_ms": 12,
    }


def _pino(call: Call, second: int) -> dict[str, Any]:
    headers = {"host": "app.example", "user-agent": "x"}
    if call.key:
        headers["idempotency-key"] = call.key
    answer: dict[str, Any] = {"statusCode": call.status, "headers": {"content-length": "2"}}
    if call.code:
        answer["code"] = call.code
    asked = {"method": call.method, "url": call.target, "headers": headers}
    return {
        "level": 30,
        "time": second * 1000 + 250,
        "req": {"id": 1, **asked, "remoteAddress": call.client},
        "res": answer,
        "responseTime": 12,
        "msg": "request completed",
    }


def _nginx(call: Call, second: int) -> dict[str, Any]:
    return {
        "msec": f"{second}.250",
        "request_method": call.method,
        "request_uri": call.target,
        "status": str(call.status),
        "sent_http_x_error_code": call.code or "",
        "http_idempotency_key": call.key,
        "remote_addr": call.client,
    }


_DOCUMENTS: Mapping[Shape, Callable[[Call, int], dict[str, Any]]] = {
    "flat": _flat,
    "pino": _pino,
    "nginx": _nginx,
}


def _combined(call: Call, second: int, asked: str | None = None) -> bytes:
    time = datetime.fromtimestamp(second, BEIJING).strftime("%d/%b/%Y:%H:%M:%S %z")
    asked = asked if asked is not None else f"{call.method} {call.target} HTTP/1.1"
    return f'{call.client} - - [{time}] "{asked}" {call.status} 5 "-" "a \\"b\\" c"'.encode()


# ---- Hostile lines -------------------------------------------------------------------------------

HOSTILE_PATHS = (
    "/__proto__/constructor",
    '/x"} 1\n# HELP up',
    '/metrics{route="/",code="200"}',
    "/line\nfeed\rreturn\ttab",
    "/\x00\x01\x1b[31mred",
    "/..%2f..%2fetc%2fpasswd",
    "/%ff%fe%00",
    "/\u202egnp.exe",
    "/" + "a" * 10_000,
    "/" + "a/" * 5_000,
    "//",
)

Junk = Callable[[Shape, Call, int, random.Random], Line]


def _empty(_shape: Shape, _call: Call, _second: int, rng: random.Random) -> Line:
    return Line(rng.choice((b"", b"   ", b"\r", b"\t")), None, "empty")


def _cut(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    """Cut off before its status is told, as by a full disk."""
    text = _text(shape, call, second)
    end = text.index(b'" ') if shape == "combined" else len(text) - 1
    return Line(text[: rng.randrange(1, end)], None, "unreadable")


def _too_long(shape: Shape, call: Call, second: int, _rng: random.Random) -> Line:
    long = call._replace(target="/" + "x" * TOO_LONG)
    return Line(_text(shape, long, second), None, "too_long")


def _bomb(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    """Brackets that a careless parser follows until its stack is full."""
    depth = rng.randrange(5_000, 10_000)
    inner = b"[" * depth + b"]" * depth
    whole = _text(shape, call, second)[:-1] + b',"deep":' + inner + b"}"
    return Line(rng.choice((b"[" * depth, b'{"a":' * depth, inner, whole)), None, "unreadable")


def _no_object(_shape: Shape, _call: Call, _second: int, rng: random.Random) -> Line:
    text = rng.choice((b"[1, 2]", b'"text"', b"123", b"null", b"true", b"not json"))
    return Line(text, None, "unreadable")


def _no_request(_shape: Shape, _call: Call, _second: int, rng: random.Random) -> Line:
    texts = (
        b"{}",
        b'{"level": "info", "msg": "started"}',
        b'{"method": null, "path": {}, "status": [], "req": [], "res": 5}',
        b'{"method": "GET", "path": "/", "req": {"method": "GET"}}',
        b'{"__proto__": {"status": 409}, "req": {"method": {}, "url": 5}, "res": {}}',
    )
    return Line(rng.choice(texts), None, "no_request")


def _no_status(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    line = sound(shape, call, second)
    written = rng.choice((b'"soon"', b"true", b"7", b'"4O9"', b"[[]]", b"409.5", b'"409, x"'))
    text = re.sub(rb'(?<="status"):"?\d{3}"?|(?<="statusCode"):\d{3}', b":" + written, line.text)
    return Line(text, None, "without_status")


def _hostile_path(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    return sound(shape, _elsewhere(call, rng.choice(HOSTILE_PATHS)), second)


def _hostile_names(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    name = rng.choice(('a"} 1\n#', "\x1b[2J", "\x00", "__proto__", "\u202e", "' OR 1=1 --"))
    return sound(shape, call._replace(key=name, client=name, code=name, status=409), second)


def _invalid_utf8(shape: Shape, call: Call, second: int, _rng: random.Random) -> Line:
    line = sound(shape, _elsewhere(call, "/caf@@"), second)
    assert line.expected
    told = line.expected._replace(path="/caf\ufffd\ufffd")
    return Line(line.text.replace(b"@@", b"\xe9\xff"), told)


def _number_as_text(shape: Shape, call: Call, second: int, _rng: random.Random) -> Line:
    """Statuses, times and methods as they ought not to be written."""
    line = sound(shape, call, second)
    text = line.text.replace(b':200,"code"', b':"200","code"')
    return Line(
        text.replace(f'"{call.method}"'.encode(), f'"{call.method.lower()}"'.encode()),
        line.expected,
    )


def _without_time(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    line = sound(shape, call, second)
    assert line.expected
    place = FORMATS[shape].fields["time"]
    document = orjson.loads(line.text)
    del document[place]
    document.update(
        rng.choice(({}, {place: "yesterday"}, {place: -1}, {place: [1]}, {place: 1e300}))
    )
    return Line(orjson.dumps(document), line.expected._replace(second=None))


def _strange_method(shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    method = rng.choice(("BREW", "__proto__", 'G"E\\T', "", "X" * 1000, "TRACE", "GET /"))
    line = sound(shape, _elsewhere(call._replace(method=method), "/coffee/pots"), second)
    assert line.expected
    is_one = method in ("BREW", "__proto__", "", "TRACE")
    expected = line.expected._replace(method="OTHER")
    return line._replace(expected=expected, beside=None if is_one else "without_method")


def _carriage_return(shape: Shape, call: Call, second: int, _rng: random.Random) -> Line:
    line = sound(shape, call, second)
    return line._replace(text=line.text + b"\r")


def _absolute(shape: Shape, call: Call, second: int, _rng: random.Random) -> Line:
    """The target of a request to a proxy."""
    line = sound(shape, call, second)
    target = call._replace(target=f"http://app.example:8080{call.target}")
    return line._replace(text=_text(shape, target, second))


def _garbage_request(_shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    """What a server logs of bytes that are no HTTP."""
    asked = rng.choice(("-", "", "\\x16\\x03\\x01\\x02", '\\"', "quit", "{} []", "\\\\"))
    call = call._replace(status=400)
    expected = Expected(second, "OTHER", "", OTHER, 400, client=call.client)
    return Line(_combined(call, second, asked), expected)


def _old_protocol(_shape: Shape, call: Call, second: int, rng: random.Random) -> Line:
    """HTTP/0.9 names no protocol, and paths that servers let pass have spaces."""
    path, version = rng.choice(
        (("/old", ""), ("/a b c", " HTTP/1.1"), ("/\\x22q\\x5C", " HTTP/1.0"))
    )
    line = sound("combined", _elsewhere(call, path)._replace(method="GET"), second)
    text = _combined(call._replace(status=404), second, f"GET {path}{version}")
    assert line.expected
    told = line.expected._replace(path=path.replace("\\x22", '"').replace("\\x5C", "\\"))
    return Line(text, told)


def _elsewhere(call: Call, target: str) -> Call:
    """To a path that no route has; what was asked there is not found."""
    return call._replace(route=OTHER, target=target, status=404)


_BOTH: tuple[Junk, ...] = (
    _empty,
    _cut,
    _cut,
    _too_long,
    _carriage_return,
    _absolute,
    _invalid_utf8,
)
_JSON_JUNK: tuple[Junk, ...] = (
    *_BOTH,
    _bomb,
    _no_object,
    _no_request,
    _no_status,
    _hostile_path,
    _hostile_names,
    _number_as_text,
    _without_time,
    _strange_method,
)
_COMBINED_JUNK: tuple[Junk, ...] = (*_BOTH, _no_object, _garbage_request, _old_protocol)
