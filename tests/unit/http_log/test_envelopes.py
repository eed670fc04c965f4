"""Lines inside of what container engines and collectors wrap around them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.http_log.envelopes import LONGEST_JOINED
from checks.http_log.formats import LineFormat, Reader
from checks.http_log.request import Request
from tests.support.access_logs import Whole, whole
from tests.support.examples import examples

NOON = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())
STAMP = "2026-01-05T12:00:00.123456789Z"

Wrap = Callable[[bytes, str, int], Iterator[bytes]]
"""Wraps a line of a stream, in parts of so many bytes."""


def parts(line: bytes, size: int) -> list[bytes]:
    return [line[begin : begin + size] for begin in range(0, len(line), size)] or [b""]


def docker(line: bytes, stream: str, size: int) -> Iterator[bytes]:
    text = line.decode() + "\n"
    for begin in range(0, len(text), size):
        yield json.dumps(
            {"log": text[begin : begin + size], "stream": stream, "time": STAMP}
        ).encode()


def cri(line: bytes, stream: str, size: int) -> Iterator[bytes]:
    *first, last = parts(line, size)
    for part in first:
        yield f"{STAMP} {stream} P ".encode() + part
    yield f"{STAMP} {stream} F ".encode() + last


def journald(line: bytes, stream: str, size: int) -> Iterator[bytes]:
    *first, last = parts(line, size)
    for part in (*first, last):
        message = part.decode() if part.isascii() and part.isalnum() else [*part]
        entry = {"__REALTIME_TIMESTAMP": f"{NOON}000123", "_STREAM_ID": stream, "MESSAGE": message}
        broken = {} if part is last else {"_LINE_BREAK": "line-max"}
        yield json.dumps({**entry, **broken, "PRIORITY": "6"}).encode()


def fluent(line: bytes, stream: str, size: int) -> Iterator[bytes]:
    text = line.decode()
    for begin in range(0, len(text), size):
        tag = "P" if begin + size < len(text) else "F"
        entry = {"at": STAMP, "stream": stream, "logtag": tag, "log": text[begin : begin + size]}
        yield json.dumps(entry, ensure_ascii=False).encode()


def syslog(line: bytes, _stream: str, _size: int) -> Iterator[bytes]:
    yield b"<190>Jan  5 12:00:00 shop nginx[217]: " + line


def syslog_2009(line: bytes, _stream: str, _size: int) -> Iterator[bytes]:
    yield b'<190>1 2026-01-05T12:00:00.1Z shop nginx 217 - [a@1 b="\\]"] ' + line


def daemon(line: bytes, _stream: str, _size: int) -> Iterator[bytes]:
    yield b"2026-01-05T12:00:00.123456+00:00 shop app: " + line


OWN = {"field": "log", "time": "at"}
WRAPS: list[tuple[Any, Wrap]] = [
    ("docker", docker),
    ("cri", cri),
    ("journald", journald),
    (OWN, fluent),
    ("syslog", syslog),
    ("syslog", syslog_2009),
    ("syslog", daemon),
]

REQUESTS = st.builds(
    Request,
    st.integers(1_700_000_000, NOON),
    st.sampled_from(["GET", "POST"]),
    st.text(st.characters(codec="utf-8", exclude_characters="?"), max_size=20).map(
        lambda text: "/" + text
    ),
    st.sampled_from([200, 409]),
    st.sampled_from([None, "REPLAY_DETECTED"]),
    st.sampled_from(["key-1", "ключ", 'k"1"']),
    st.sampled_from([None, "till-7"]),
)


def line_of(request: Request, *, ascii_only: bool = False) -> bytes:
    second, method, path, status, code, key, client = request
    line = {"client": client, "time": second, "status": status, "code": code, "path": path}
    text = json.dumps({**line, "idempotency_key": key, "method": method}, ensure_ascii=ascii_only)
    return text.encode()


def line_format(**settings: Any) -> LineFormat:
    return LineFormat(**settings)


def read(reader: Reader, text: bytes) -> Whole:
    return whole(reader(text))


@settings(max_examples=examples(50))
@given(
    st.lists(
        st.tuples(REQUESTS, st.sampled_from(["stdout", "stderr"]), st.integers(1, 80)), max_size=8
    ),
    st.lists(st.sampled_from(WRAPS), min_size=1, max_size=3),
    st.lists(st.integers(0, 40), max_size=8),
)
def test_a_wrapped_line_is_the_line(
    requests: list[tuple[Request, str, int]], wraps: list[tuple[Any, Wrap]], cuts: list[int]
) -> None:
    """However lines are wrapped, split and nested, and wherever a run ends between two of them.

    The parts of lines of both streams come mixed.
    """
    streams: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for request, stream, size in requests:
        # A character that is split is lost where the outer of two wrappings writes JSON.
        wrapped = [line_of(request, ascii_only=len(wraps) > 1)]
        for number, (_, wrap) in enumerate(reversed(wraps)):
            # The innermost wrapping splits; around it each of the parts is a line.
            most = 9**9 if number else size
            wrapped = [out for line in wrapped for out in wrap(line, stream, most)]
        streams[stream] += wrapped
    pairs = zip_longest(streams["stdout"], streams["stderr"])
    mixed = [each for pair in pairs for each in pair if each is not None]
    of = line_format(wrapped=[each for each, _ in wraps])
    found, number, left = list[Request](), 0, dict[str, Any]()
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), len(mixed)], strict=True):
        reader = of.reader(left=left)
        batch = read(reader, b"".join(each + b"\n" for each in mixed[first:last]))
        found, number = found + batch.requests, number + batch.lines
        assert not batch.faults
        left = json.loads(json.dumps(reader.left()))
    assert sorted(found, key=str) == sorted((request for request, *_ in requests), key=str)
    assert number == len(requests)
    assert left == {}


@pytest.mark.parametrize(("wrapped", "wrap"), WRAPS, ids=lambda each: getattr(each, "__name__", ""))
def test_the_envelope_says_when_the_line_does_not(wrapped: Any, wrap: Wrap) -> None:
    (line,) = wrap(b'{"method":"POST","path":"/a","status":409}', "stdout", 999)
    batch = read(line_format(wrapped=wrapped).reader(), line + b"\n")
    assert (batch.requests, dict(batch.faults)) == ([Request(NOON, "POST", "/a", 409)], {})


@pytest.mark.parametrize(("wrapped", "wrap"), WRAPS, ids=lambda each: getattr(each, "__name__", ""))
def test_other_formats_may_be_inside(wrapped: Any, wrap: Wrap) -> None:
    asked = b'10.0.0.7 - - [05/Jan/2026:12:00:00 +0000] "POST /caf\\xC3\\xA9 HTTP/1.1" 409 5 "-"'
    asked += ' "é"'.encode()
    text = b"".join(each + b"\n" for each in wrap(asked, "stdout", 30))
    batch = read(line_format(format="combined", wrapped=wrapped).reader(), text)
    assert batch.requests == [Request(NOON, "POST", "/caf\u00e9", 409, client="10.0.0.7")]


@pytest.mark.parametrize(
    ("wrapped", "line", "fault"),
    [
        ("docker", b'{"log":7}', "no_request"),
        ("docker", b'{"message":"x"}', "no_request"),
        ("docker", b"plain text", "unreadable"),
        ("docker", b'{"log":"{\\"method\\":\\"POST\\"}\\n"}', "no_request"),
        ("docker", b'{"log":"plain text\\n"}', "unreadable"),
        ("cri", b"2026-01-05T12:00:00Z stdout X {}", "unreadable"),
        ("cri", b'{"method":"POST","path":"/a","status":409}', "unreadable"),
        ("journald", b'{"MESSAGE":null}', "no_request"),
        ("journald", b'{"MESSAGE":[[]]}', "no_request"),
        ("journald", b'{"MESSAGE":[256]}', "no_request"),
        ("journald", b'{"__CURSOR":"x"}', "no_request"),
        ("syslog", b"no syslog at all", "unreadable"),
        ("syslog", b"Jan  5 12:00:00 shop sshd[9]: session opened", "unreadable"),
        (OWN, b'{"log":null}', "no_request"),
    ],
)
def test_what_is_no_envelope_is_one_line_that_is_counted(
    wrapped: Any, line: bytes, fault: str
) -> None:
    batch = read(line_format(wrapped=wrapped).reader(), line + b"\n\n")
    assert (batch.requests, batch.lines, dict(batch.faults)) == ([], 1, {fault: 1})


def test_a_message_may_come_several_times_in_a_journal() -> None:
    line = json.dumps({"MESSAGE": [line_of(REQUEST).decode(), "x"]}).encode()
    assert read(line_format(wrapped="journald").reader(), line + b"\n").requests == [REQUEST]


REQUEST = Request(NOON, "POST", "/a", 409, None, "key-1", None)


def test_a_line_that_a_collector_has_read_is_an_object() -> None:
    line = {"@timestamp": STAMP, "log": json.loads(line_of(REQUEST))}
    batch = read(line_format(wrapped=OWN).reader(), json.dumps(line).encode() + b"\n")
    assert batch.requests == [REQUEST]


def test_a_line_without_end_takes_no_memory_and_harms_no_other() -> None:
    """Parts without end are dropped and counted once; what comes after is read."""
    reader = line_format(wrapped="cri").reader()
    part = f"{STAMP} stdout P ".encode() + b"x" * 16_384 + b"\n"
    for _ in range(100):
        assert not read(reader, part * 10).requests
        assert len(json.dumps(reader.left())) < 2 * LONGEST_JOINED
    end = f"{STAMP} stdout F x\n{STAMP} stdout F ".encode() + line_of(REQUEST) + b"\n"
    batch = read(reader, end)
    assert (batch.requests, dict(batch.faults)) == ([REQUEST], {"too_long": 1})


def test_many_streams_that_begin_a_line_take_no_memory() -> None:
    reader = line_format(wrapped="docker").reader()
    for number in range(1000):
        read(reader, json.dumps({"log": "x" * 1000, "stream": str(number)}).encode() + b"\n")
    assert len(json.dumps(reader.left())) < 20_000


def test_what_was_begun_in_another_envelope_is_forgotten() -> None:
    reader = line_format(wrapped="cri").reader()
    read(reader, f"{STAMP} stdout P x\n".encode())
    again = line_format(wrapped="docker").reader(left=reader.left())
    text = b"".join(each + b"\n" for each in docker(line_of(REQUEST), "stdout", 10))
    assert read(again, text).requests == [REQUEST]


@given(st.binary(max_size=300), st.sampled_from([each for each, _ in WRAPS]))
def test_no_bytes_harm_a_reader(text: bytes, wrapped: Any) -> None:
    read(line_format(wrapped=[wrapped, "docker"]).reader(), text + b"\n")
    read(
        line_format(wrapped=wrapped).reader(),
        b'{"log":"' + text + b'","MESSAGE":[' + text + b"]}\n",
    )


@pytest.mark.parametrize("bad", ["podman", {"field": ""}, {"fields": "x"}, ["docker"] * 5])
def test_an_envelope_that_is_not_known_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="wrapped"):
        line_format(wrapped=bad)
