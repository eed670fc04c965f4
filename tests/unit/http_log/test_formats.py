"""Lines of access logs, read as requests."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from pydantic import ValidationError

from checks.http_log.formats import LineFormat
from checks.http_log.request import Request
from tests.support.access_logs import Whole, whole

NOON = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())
PINO = {
    "time": "time",
    "method": "req.method",
    "path": "req.url",
    "status": "res.statusCode",
    "code": "res.body.code",
    "key": "req.headers.idempotency-key",
    "client": "req.remoteAddress",
}


def read(*lines: bytes | dict[str, Any], **settings: Any) -> Whole:
    """What a reader makes of lines."""
    texts = [orjson.dumps(each) if isinstance(each, dict) else each for each in lines]
    zone = settings.pop("zone", UTC)
    return whole(LineFormat(**settings).reader(zone)(b"".join(text + b"\n" for text in texts)))


def line(**values: Any) -> dict[str, Any]:
    """A line that tells everything, with some values changed."""
    plain = {
        "time": "2026-01-05T12:00:00.123Z",
        "method": "POST",
        "path": "/api/v4/lottery/draw?lang=en",
        "status": 409,
        "code": "DUPLICATE_ENTRY",
        "idempotency_key": "draw-1",
        "client": "app-7",
    }
    return {**plain, **values}


def test_a_json_line_tells_everything_of_a_request() -> None:
    batch = read(line())
    assert batch.requests == [
        Request(NOON, "POST", "/api/v4/lottery/draw", 409, "DUPLICATE_ENTRY", "draw-1", "app-7")
    ]
    assert (batch.lines, dict(batch.faults)) == (1, {})


def test_dotted_names_lead_into_objects() -> None:
    pino = {
        "time": NOON * 1000 + 123,
        "req": {
            "method": "PUT",
            "url": "http://shop.example/a/b?x=1",
            "headers": {"idempotency-key": "k"},
            "remoteAddress": "::1",
        },
        "res": {"statusCode": 409, "body": {"code": "REPLAY_DETECTED"}},
    }
    assert read(pino, fields=PINO).requests == [
        Request(NOON, "PUT", "/a/b", 409, "REPLAY_DETECTED", "k", "::1")
    ]


def test_a_flat_name_with_dots_is_found_as_it_is_written() -> None:
    flat = {"req.method": "GET", "req.url": "/a", "res.statusCode": 200}
    assert read(flat, fields=PINO).requests[0][1:4] == ("GET", "/a", 200)


@pytest.mark.parametrize(
    ("document", "fields", "key"),
    [
        ({"idempotency_key": None}, None, None),
        ({"idempotency_key": ""}, None, ""),
        ({"idempotency_key": "-"}, None, ""),
        ({}, None, None),
        ({"req": {"headers": {}}}, PINO, ""),
        ({"req": {}}, PINO, None),
        ({"req": {"headers": {"idempotency-key": "k" * 300}}}, PINO, "k" * 256),
    ],
)
def test_no_key_is_told_apart_from_a_log_that_does_not_say(
    document: dict[str, Any], fields: dict[str, str] | None, key: str | None
) -> None:
    told = line()
    del told["idempotency_key"]
    if fields:
        document = {
            "req": {"method": "POST", "url": "/a", **document.get("req", {})},
            "res": {"statusCode": 200},
        }
        batch = read(document, fields=fields)
    else:
        batch = read({**told, **document})
    assert batch.requests[0].key == key


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05T12:00:00Z",
        "2026-01-05T12:00:00.999Z",
        "2026-01-05T12:00:00.999999Z",
        "2026-01-05T20:00:00+08:00",
        "2026-01-05T20:00:00.5+08:00",
        "2026-01-05 20:00:00,123+0800",
        "2026-01-05T20:00:00",
        "05/Jan/2026:20:00:00 +0800",
        NOON,
        NOON + 0.7,
        NOON * 1000 + 7,
        f"{NOON}.123",
        str(NOON),
    ],
)
def test_times_are_read_as_loggers_write_them(written: object) -> None:
    assert read(line(time=written), zone=ZoneInfo("Asia/Shanghai")).requests[0].second == NOON


@pytest.mark.parametrize(
    "written",
    ["", "yesterday", None, -5, 0, 1e30, "9" * 50, [], True, "2026-13-05T12:00:00Z", "nan", "inf"],
)
def test_a_request_without_a_time_is_a_request_and_said_to_be_without(written: object) -> None:
    batch = read(line(time=written))
    assert [each.second for each in batch.requests] == [None]
    assert batch.faults == {"without_time": 1}


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"GET / HTTP/1.1",
        b"[1, 2]",
        b'"text"',
        b"null",
        b"17",
        b"\x00\x01\xff\xfe",
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_object_is_counted_and_left_out(bad: bytes) -> None:
    batch = read(bad, line())
    assert (len(batch.requests), batch.lines, dict(batch.faults)) == (1, 2, {"unreadable": 1})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"message": "server started"},
        line(status=None),
        line(method="export", status="done"),
        line(method=7),
        line(path=None),
        line(path={"a": 1}),
    ],
)
def test_a_line_that_tells_of_no_request_is_counted_as_such(document: dict[str, Any]) -> None:
    batch = read(document)
    assert (batch.requests, dict(batch.faults)) == ([], {"no_request": 1})


@pytest.mark.parametrize(
    "written",
    [
        *("409", "409.0", 409.0, " 409 ", "409 Conflict", [409], ["409"], "502, 409", "502 : 409"),
        *("502, 504 : 409", "502,409", "-, 409", "409, -", [502, 409], ["502", "-", 409.0]),
    ],
)
def test_a_status_is_a_number_however_it_is_written(written: object) -> None:
    """Of several attempts it is the last one's that the client got."""
    assert read(line(status=written)).requests[0].status == 409


@pytest.mark.parametrize("written", ["-", "", 0, "0", "000", -1, "-1", [], "-, -", 0.0])
def test_a_request_that_was_never_answered_is_no_conflict_and_no_fault(written: object) -> None:
    batch = read(line(status=written))
    assert (batch.requests, dict(batch.faults)) == ([], {"unanswered": 1})


@pytest.mark.parametrize(
    "written", ["4O9", "٤٠٩", [[409]], True, {}, 409.5, 7, 1000, "40", "4090", "409, x", "409;x=1"]
)
def test_a_status_that_is_none_is_said(written: object) -> None:
    batch = read(line(status=written))
    assert (batch.requests, dict(batch.faults)) == ([], {"without_status": 1})


def test_bytes_that_are_no_utf8_lose_no_request() -> None:
    text = orjson.dumps(line(path="/a")).replace(b"/a", b"/\xff\xfe")
    batch = read(text)
    assert (len(batch.requests), dict(batch.faults)) == (1, {})


@pytest.mark.parametrize("method", ["get", "GET"])
def test_a_method_is_one_of_the_known_ones(method: str) -> None:
    assert read(line(method=method)).requests[0].method == "GET"


@pytest.mark.parametrize("method", ["HACK", "", "G" * 10_000, 'GET"} 1\n#'])
def test_a_strangers_method_is_none(method: str) -> None:
    assert read(line(method=method)).requests[0].method == "OTHER"


def test_empty_lines_are_no_lines() -> None:
    assert read(b"", b"  ", b"\r").lines == 0


COMBINED = b'10.0.0.7 - - [05/Jan/2026:20:00:00 +0800] "%s" 409 52 "-" "Mozilla/5.0 \\"x\\""'


@pytest.mark.parametrize(
    ("asked", "method", "path"),
    [
        (b"POST /a/b?c=d HTTP/1.1", "POST", "/a/b"),
        (b"GET /a b c HTTP/1.0", "GET", "/a b c"),
        (b"GET /only", "GET", "/only"),
        (b"-", "OTHER", ""),
        (b"", "OTHER", ""),
        (b"\\x16\\x03\\x01", "OTHER", ""),
        (b'GET /a\\"b HTTP/1.1', "GET", '/a"b'),
        (rb"GET /caf\xC3\xA9/\x22\x5C HTTP/1.1", "GET", '/caf\u00e9/"\\'),
        (rb"GET /caf\xc3\xa9/\\x22 HTTP/1.1", "GET", "/caf\u00e9/\\x22"),
        (b"HACK /secret HTTP/1.1", "OTHER", ""),
        (b"GET /\xff\xfe HTTP/1.1", "GET", "/\ufffd\ufffd"),
    ],
)
def test_a_combined_line_is_a_request_whatever_was_asked(
    asked: bytes, method: str, path: str
) -> None:
    batch = read(COMBINED % asked, format="combined")
    assert batch.requests == [Request(NOON, method, path, 409, client="10.0.0.7")]


def test_a_common_log_line_without_referer_is_read_too() -> None:
    text = b'::1 - frank [05/Jan/2026:12:00:00 +0000] "GET /a HTTP/1.0" 200 2326'
    assert read(text, format="combined").requests == [Request(NOON, "GET", "/a", 200, client="::1")]


@pytest.mark.parametrize("bad", [b"x", b'a - - [b] "GET / HTTP/1.1" 20', b"\xff" * 50_000])
def test_what_is_no_combined_line_is_counted(bad: bytes) -> None:
    assert dict(read(bad, format="combined").faults) == {"unreadable": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"format": "combined", "fields": PINO},
            "fields are those of JSON lines; combined has its own",
        ),
        ({"fields": {"method": "m"}}, "does not say where path and status is"),
        ({"fields": {**PINO, "colour": "c"}}, "Input should be"),
        ({"format": "xml"}, "Input should be"),
    ],
)
def test_a_format_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LineFormat(**settings)
