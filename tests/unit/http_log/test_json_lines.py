"""JSON lines of any logger, and those that were meant to be JSON."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.formats import LineFormat
from checks.http_log.request import Request
from tests.support.access_logs import Whole, whole

NOON = 1_767_614_400
CADDY = {
    "time": "ts",
    "method": "request.method",
    "path": "request.uri",
    "status": "status",
    "key": "request.headers.Idempotency-Key",
    "client": "request>headers>X-App-Client",
    "code": "resp_headers.X-Error-Code",
}
REQUEST = {"time": "time", "request": "request", "status": "status", "client": "client"}


def read(line: bytes | dict[str, Any], **settings: Any) -> Whole:
    text = orjson.dumps(line) if isinstance(line, dict) else line
    return whole(LineFormat(**settings).reader()(text + b"\n"))


def one(line: bytes | dict[str, Any], **settings: Any) -> Request:
    """The request of a line that has nothing wrong."""
    batch = read(line, **settings)
    assert not batch.faults
    (request,) = batch.requests
    return request


def plain(**values: Any) -> dict[str, Any]:
    """A line that tells everything, in an order of its own."""
    whole = {
        "time": NOON,
        "method": "POST",
        "path": "/orders?x=1",
        "status": 409,
        "code": "REPLAY_DETECTED",
        "idempotency_key": "key-1",
        "client": "till-7",
        **values,
    }
    names = [*whole]
    random.Random(repr(values)).shuffle(names)  # noqa: S311 - nothing here is secret
    return {name: whole[name] for name in names}


EXPECTED = Request(NOON, "POST", "/orders", 409, "REPLAY_DETECTED", "key-1", "till-7")


@given(st.sets(st.sampled_from([*plain()])))
def test_any_value_may_be_alone_in_an_array(wrapped: set[str]) -> None:
    line = {name: [value] if name in wrapped else value for name, value in plain().items()}
    assert one(line) == EXPECTED


def test_the_arrays_of_a_proxy_are_their_one_value() -> None:
    headers = {"Idempotency-Key": ["key-1"], "X-App-Client": ["till-7"]}
    asked = {"method": "POST", "uri": "/orders?x=1", "headers": headers}
    line: dict[str, Any] = {"ts": NOON + 0.5, "request": asked, "status": 409}
    line["resp_headers"] = {"X-Error-Code": ["REPLAY_DETECTED"]}
    assert one(line, fields=CADDY) == EXPECTED
    headers["Idempotency-Key"] = headers["X-App-Client"] = []
    line["resp_headers"] = {"X-Error-Code": []}
    assert one(line, fields=CADDY) == Request(NOON, "POST", "/orders", 409, None, "", None)
    headers["X-App-Client"] = ["10.0.0.7", "10.0.0.8"]
    assert one(line, fields=CADDY).client == "10.0.0.7, 10.0.0.8"


# Method and target in one field


@pytest.mark.parametrize(
    ("written", "method", "path"),
    [
        ("POST /orders?till=3 HTTP/1.1", "POST", "/orders"),
        ("POST /orders HTTP/2", "POST", "/orders"),
        ("GET /a b?c HTTP/1.0", "GET", "/a b"),
        ("GET /only", "GET", "/only"),
        ("get https://shop.example/a/b?c HTTP/1.1", "GET", "/a/b"),
        ("BREW /pot HTTP/1.1", "OTHER", ""),
        ("", "OTHER", ""),
        ("-", "OTHER", ""),
    ],
)
def test_a_request_line_may_be_in_one_field(written: str, method: str, path: str) -> None:
    line = {"time": NOON, "request": written, "status": "409", "client": "c-1"}
    assert one(line, fields=REQUEST) == Request(NOON, method, path, 409, client="c-1")


@pytest.mark.parametrize("bad", [None, 7, {}, {"method": "GET"}])
def test_a_field_that_is_no_request_line_is_no_request(bad: object) -> None:
    batch = read({"time": NOON, "request": bad, "status": 409}, fields=REQUEST)
    assert (batch.requests, dict(batch.faults)) == ([], {"no_request": 1})


@pytest.mark.parametrize("method", ["POST /a HTTP/1.1", "GET /", 'P"T', "G" * 65, "po st", "ПОСТ"])
def test_a_method_that_can_be_none_is_said(method: str) -> None:
    """The request counts, and so does the doubt: a wrong field is not taken for a right one."""
    batch = read(plain(method=method))
    assert [each.method for each in batch.requests] == ["OTHER"]
    assert batch.faults == {"without_method": 1}


@pytest.mark.parametrize("method", ["BREW", "PROPFIND", "M-SEARCH", "", "-"])
def test_an_unknown_method_is_no_doubt(method: str) -> None:
    assert one(plain(method=method)).method == "OTHER"


# What was meant to be JSON

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


def as_nginx(text: str) -> bytes:
    r"""A value as nginx writes it without `escape=json`: `\xNN` for all but plain ASCII."""
    signs = (
        bytes((each,)) if 32 <= each < 127 and each not in b'"\\' else rb"\x%02X" % each
        for each in text.encode()
    )
    return b"".join(signs)


def as_apache(text: str) -> bytes:
    r"""A value as Apache writes it: `\"`, `\\`, `\n`, `\xhh`."""
    named = {0x22: rb"\"", 0x5C: rb"\\", 8: rb"\b", 9: rb"\t", 10: rb"\n", 11: rb"\v", 13: rb"\r"}
    signs = (
        named.get(each) or (bytes((each,)) if 32 <= each < 127 else rb"\x%02x" % each)
        for each in text.encode()
    )
    return b"".join(signs)


@given(TEXTS, TEXTS, st.sampled_from([as_nginx, as_apache]))
def test_escapes_of_bytes_are_the_characters_that_they_stand_for(
    agent: str, key: str, escaped: Any
) -> None:
    line = plain(agent="@agent", idempotency_key="@key")
    text = orjson.dumps(line).replace(b"@agent", escaped(agent)).replace(b"@key", escaped(key))
    told = "" if key == "-" else key
    assert one(text) == EXPECTED._replace(key=told)


@given(TEXTS.map(json.dumps), st.sampled_from([b"\t", b"\x01", rb"\q", rb"\e", rb"\u12", rb"\x4"]))
def test_one_bad_escape_or_control_character_loses_nothing_else(key: str, bad: bytes) -> None:
    """An escape that JSON knows stays what it is beside one that it does not know."""
    text = orjson.dumps(plain(idempotency_key="@", agent="#"))
    text = text.replace(b"#", bad).replace(b'"@"', key.encode())
    told = json.loads(key)
    assert one(text) == EXPECTED._replace(key="" if told == "-" else told)


@pytest.mark.parametrize(
    "half", [r"\ud83d", r"\udE00", r"\ud83d\ud83d", r"a\ud83dx", r"\uD83D\u0041"]
)
def test_half_a_character_is_replaced(half: str) -> None:
    """JavaScript cuts texts in the middle of a character; what is left cannot be encoded."""
    text = orjson.dumps(plain(client="@")).replace(b"@", half.encode())
    client = one(text).client
    assert client
    assert "\ufffd" in client.encode().decode()


BARE = {
    '"upstream":,': "no value",
    '"upstream":-,': "a dash",
    '"upstream": - ,': "a dash with blanks",
    '"upstream":0.012, 0.4,': "a list without brackets",
    '"upstream":502, 409 : 200,': "a list of lists",
    '"upstream":-, 0.4,': "a list with a dash",
    '"upstream":0012,': "leading zeros",
    '"upstream":NaN,': "no number",
    '"upstream":{"a":[1,],},': "commas too many",
}


@pytest.mark.parametrize("bare", BARE, ids=BARE.values())
def test_a_template_without_quotes_loses_no_request(bare: str) -> None:
    """Nginx writes what a variable holds, and a template often forgets that it may hold nothing."""
    text = orjson.dumps(plain(agent=": -, :, 1, 2")).decode()
    assert one(text.replace("{", "{" + bare, 1).encode()) == EXPECTED
    assert one((text[:-1] + "," + bare[:-1] + "}").encode()) == EXPECTED


def test_a_status_of_several_attempts_needs_no_quotes() -> None:
    text = b'{"time":%d,"method":"POST","path":"/a","status":502, 409,"client":"c"}' % NOON
    assert one(text) == Request(NOON, "POST", "/a", 409, client="c")


@given(st.sampled_from(["utf-16-le", "utf-16-be", "utf-8"]), st.booleans(), st.booleans(), TEXTS)
def test_other_encodings_and_marks_are_read(
    encoding: str,
    marked: bool,  # noqa: FBT001
    returns: bool,  # noqa: FBT001
    key: str,
) -> None:
    """UTF-16 of both kinds, with a byte order mark or without, and lines that end as in Windows."""
    text = json.dumps(plain(idempotency_key=key)) + ("\r\n" if returns else "\n")
    log = ("\ufeff" if marked else "") + 3 * text
    batch = whole(LineFormat().reader()(log.encode(encoding)))
    told = EXPECTED._replace(key="" if key == "-" else key)
    assert (batch.requests, batch.lines, dict(batch.faults)) == ([told] * 3, 3, {})


@given(st.binary(max_size=200).filter(lambda text: b"\n" not in text))
def test_no_bytes_harm_a_reader(text: bytes) -> None:
    """Whatever is between two lines, both of them are read, and every line is one thing."""
    sound = orjson.dumps(plain())
    batch = whole(LineFormat().reader()(sound + b"\n{" + text + b"\n" + text + b"\n" + sound))
    assert [each for each in batch.requests if each == EXPECTED]
    lost = sum(batch.faults[name] for name in ("unreadable", "no_request", "without_status"))
    assert len(batch.requests) + lost + batch.faults["unanswered"] == batch.lines


@pytest.mark.parametrize(
    "bad",
    [
        b'{"time":1,"method":"POST","path":"/a","status":409',
        b'"method":"POST","path":"/a","status":409}',
        b'{"method":"POST","path":"/a" "status":409}',
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"9" * 10_000 + b"x}",
        b"{" + b'"\\x' * 20_000,
        b"{" + b":-" * 30_000,
        b"{" + b": 1, " * 30_000,
        b"{" + b'"' * 60_001,
        b'{"' + b'\\"' * 30_000,
        b"{" + b", " * 30_000,
    ],
)
def test_what_cannot_be_mended_is_unreadable(bad: bytes) -> None:
    batch = read(bad)
    assert (batch.requests, dict(batch.faults)) == ([], {"unreadable": 1})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({**REQUEST, "method": "m"}, "fields has request, and method as well"),
        ({**REQUEST, "method": "m", "path": "p"}, "fields has request, and method and path"),
        ({"request": "request"}, "does not say where status is"),
        ({"method": "r", "path": "r", "status": "s"}, "in one field: name it as request"),
    ],
)
def test_a_mapping_that_cannot_be_right_is_refused(fields: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LineFormat(fields=fields)
