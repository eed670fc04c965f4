"""Which lines that are no requests let doubt that all requests are seen."""

import pytest

from checks.http_log.doubts import Doubt
from checks.http_log.formats import LineFormat

CLF = '10.0.0.7 - - [05/Jan/2026:12:00:00 +0000] "POST /orders HTTP/1.1" 201 17'
JSON, COMBINED = LineFormat(), LineFormat(format="combined")


def doubts(line: bytes | str, of: LineFormat = JSON) -> list[Doubt]:
    text = line.encode() if isinstance(line, str) else line
    batch = of.reader()(text + b"\n")
    list(batch.requests)
    return [doubt for _, doubt in batch.doubts.elements()]


@pytest.mark.parametrize(
    "line",
    [
        '{"time":"2026-01-05T12:00:00Z","method":"POST","path":"/orders","status":201',
        'method":"POST","path":"/orders","status":201}',
        r'{"method":"POST","path":"/orders","status":201,"agent":"K"q"}',
        "{'method': 'POST', 'path': '/orders', 'status': 201}",
        CLF,
        'INFO:     10.0.0.7:40312 - "POST /orders HTTP/1.1" 409 Conflict',
        "level=info method=POST path=/orders status=409 duration=12ms",
        "time=2026-01-05T12:00:00Z verb=POST url=/orders status_code=409",
        '[GIN] 2026/01/05 - 12:00:00 | 409 | 1.2ms | 10.0.0.7 | POST "/orders"',
        "2026-01-05 12:00:00 10.0.0.1 POST /orders - 443 - 10.0.0.7 app/2.1 409 0 0 15",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b'\xff\xfe{\x00"\x00m\x00',
    ],
)
def test_what_should_have_been_read_lets_doubt_a_log_of_json(line: bytes | str) -> None:
    assert doubts(line) == [Doubt.UNREADABLE]


@pytest.mark.parametrize(
    "line",
    [
        '10.0.0.7 - - [05/Jan/2026:12:00:00 +0000] "POST /orders HTTP/1.1',
        '10.0.0.7 - - [05/Jan/2026:12:00:00 +0000] "POST /ord"ers HTTP/1.1" 201 17',
        '- - [05/Jan/2026:12:00:00 +0000] "POST /orders HTTP/1.1" - 17',
        '{"method":"POST","path":"/orders","status":201}',
    ],
)
def test_what_should_have_been_read_lets_doubt_a_log_of_text(line: str) -> None:
    assert doubts(line, COMBINED) == [Doubt.UNREADABLE]


@pytest.mark.parametrize(
    "line",
    [
        '{"verb":"POST","url":"/orders","answer":409}',
        '{"http.request.method":"POST","url.path":"/orders","http.response.status_code":409}',
        '{"method":"POST","path":"/orders","status":"conflict"}',
        '{"method":"POST","path":"/orders","status":[[409]]}',
        '{"method":"POST","route":"/orders","status":409}',
        '{"path":"/orders","status":409}',
        '{"msg":"POST /orders HTTP/1.1","status":409}',
    ],
)
def test_a_record_of_a_request_that_lacks_something_lets_doubt(line: str) -> None:
    assert doubts(line) == [Doubt.NO_REQUEST]


@pytest.mark.parametrize(
    "line",
    [
        '{"level":"info","time":"2026-01-05T12:00:00Z","text":"statement 300 exported"}',
        '{"level":30,"pid":217,"req":{"method":"POST","url":"/orders"},"msg":"incoming request"}',
        '{"method":"POST","path":"/orders","msg":"request started"}',
        '{"method":"exportStatements","status":"done","rows":409}',
        '{"level":"error","status":"failed","text":"no answer of the bank"}',
        '{"job":"export","path":"/var/tmp/x.csv","size":512}',
        '{"job":"export","path":"/var/tmp/x.csv","status":"done"}',
        '{"method":"POST","path":"/orders","status":null}',
    ],
)
def test_a_message_in_json_lets_nobody_doubt(line: str) -> None:
    assert doubts(line) == []


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-05 12:00:00,123 INFO statement 300 exported",
        "12:00:00 statement exported",
        "Jan  5 12:00:00 host app[217]: statement 300 exported",
        "WARN slow query",
        "[error] no answer of the bank",
        "ERROR POST /orders failed: 500",
        '2026/01/05 12:00:00 [error] 217#217: *315 open() failed, request: "GET /x.png HTTP/1.1"',
    ],
)
@pytest.mark.parametrize("of", [JSON, COMBINED], ids=["json", "combined"])
def test_a_message_in_words_lets_nobody_doubt(line: str, of: LineFormat) -> None:
    assert doubts(line, of) == []


@pytest.mark.parametrize("of", [JSON, COMBINED], ids=["json", "combined"])
def test_other_text_and_stack_traces_are_told_apart(of: LineFormat) -> None:
    assert doubts("Traceback (most recent call last):", of) == [Doubt.TEXT]
    assert doubts("    at TCPConnectWrap.afterConnect (node:net:1494:16)", of) == [Doubt.INDENTED]
    assert doubts("\tat com.example.Orders.post(Orders.java:409)", of) == [Doubt.INDENTED]


def test_a_time_that_cannot_be_read_is_told_from_none() -> None:
    sound = '{"method":"POST","path":"/orders","status":201'
    silent = LineFormat(fields={"method": "method", "path": "path", "status": "status"})
    assert doubts(sound + ',"time":"yesterday"}') == [Doubt.WITHOUT_TIME]
    assert doubts(sound + ',"time":null}') == doubts(sound + "}") == [Doubt.NO_TIME]
    assert doubts(sound + "}", silent) == []


def test_a_doubt_is_as_old_as_the_request_before_it() -> None:
    sound = '{"method":"POST","path":"/orders","status":201,"time":%d}\n'
    broken = '{"path":"/a","status":"201"}\n'
    text = sound % 1_767_600_000 + broken + sound % 1_767_603_600 + broken
    batch = JSON.reader()(text.encode())
    assert len(list(batch.requests)) == 2
    assert dict(batch.doubts) == {
        (1_767_600_000, Doubt.NO_REQUEST): 1,
        (1_767_603_600, Doubt.NO_REQUEST): 1,
    }
