"""Lines that an expression takes apart: those of well-known programs, and of one's own."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.http_log.formats import LineFormat
from checks.http_log.request import Request
from tests.support.access_logs import Whole, whole

NOON = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())
POST = Request(NOON, "POST", "/v2/orders", 409, client="10.0.0.7")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def line_format(**settings: Any) -> LineFormat:
    return LineFormat(**settings)


def read(text: str | bytes, **settings: Any) -> Whole:
    log = text.encode() if isinstance(text, str) else text
    return whole(line_format(**settings).reader(SHANGHAI)(log + b"\n"))


# Lines as the programs document them

ALB = (
    "{kind} 2026-01-05T12:00:00.186641Z app/shop/50dc6c495c0c9188 {client} 10.0.0.1:80 {times}"
    ' {status} {target} 34 366 "{asked}" "app/2.1 (\\"K\\x22)" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2'
    " arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/shop/73e2d6bc24d8a067"
    ' "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2026-01-05T11:59:59.364000Z "forward"'
    ' "-" "-" "10.0.0.1:80" "200" "-" "-"{more}'
)
HAPROXY = (
    "{client} [05/Jan/2026:20:00:00.655] http-in~ static/srv1 10/0/30/69/109 {status} 2750 - -"
    ' ---- 1/1/1/1/0 0/0 {headers}"{asked}"{more}'
)
ENVOY = (
    '[2026-01-05T12:00:00.310Z] "POST /v2/orders?x=1 HTTP/2" {status} - 0 154 10 9'
    ' "{client}" "app/2.1 "q"" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "shop" "tcp://10.0.0.1:80"'
)
ISTIO = (
    '[2026-01-05T12:00:00.310Z] "POST /v2/orders?x=1 HTTP/1.1" {status} - via_upstream - "-" 0 154'
    ' 10 9 "{client}" "app/2.1" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "shop" "10.0.0.1:80"'
    " outbound|80||shop.svc 10.1.0.1:34110 10.2.0.1:80 10.1.0.1:53118 - default"
)
TRAEFIK = (
    '10.0.0.7 - {user} [05/Jan/2026:12:00:00 +0000] "POST /v2/orders?x=1 HTTP/1.1" {status} 19 "-"'
    ' "app/2.1" 7 "shop@docker" "http://10.0.0.1:80" 3ms'
)
ASKED = "POST /v2/orders?x=1 HTTP/1.1"
URL = "POST https://shop.example:443/v2/orders?x=1 HTTP/2.0"
SYSLOG = (
    "",
    "Jan  5 12:00:00 lb haproxy[14389]: ",
    "<134>Jan 15 12:00:00 lb haproxy[1]: ",
    "2026-01-05T12:00:00.123+08:00 lb haproxy[7]: ",
)


def alb(**values: str) -> str:
    plain = {"kind": "https", "client": "10.0.0.7:2817", "times": "0.086 0.048 0.037", "more": ""}
    return ALB.format(**{**plain, "status": "409", "target": "409", "asked": URL, **values})


def haproxy(**values: str) -> str:
    plain = {"client": "10.0.0.7:33317", "status": "409", "headers": "", "asked": ASKED, "more": ""}
    return HAPROXY.format(**{**plain, **values})


LINES: list[tuple[str, str]] = [
    *(("alb", alb(kind=each)) for each in ("http", "https", "h2", "ws", "wss", "grpcs")),
    ("alb", alb(target="-", times="-1 -1 -1", more=' TID_1234abcd5678ef90 "-" "-" "-"')),
    *(("haproxy", prefix + haproxy()) for prefix in SYSLOG),
    ("haproxy", haproxy(headers="{shop.example} {} ")),
    ("haproxy", haproxy(headers="{shop.example|app/2.1} ", more=" 0/0/0/0/0 shop/TLSv1.3/AES")),
    ("envoy", ENVOY.format(status="409", client="10.0.0.7")),
    ("envoy", ENVOY.format(status="409", client="10.0.0.7,10.1.0.1")),
    ("envoy", ISTIO.format(status="409", client="10.0.0.7")),
    ("traefik", TRAEFIK.format(user="-", status="409")),
    ("traefik", TRAEFIK.format(user="jane", status="409")),
]


@pytest.mark.parametrize(("form", "line"), LINES)
def test_the_lines_of_a_program_are_read(form: str, line: str) -> None:
    for end in ("", "\r", "  "):
        batch = read(line + end, format=form)
        assert (batch.requests, dict(batch.faults)) == ([POST], {}), line


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("alb", alb(status="-", target="-")),
        ("haproxy", haproxy(status="-1")),
        ("envoy", ENVOY.format(status="0", client="10.0.0.7")),
        ("envoy", ENVOY.format(status="-", client="10.0.0.7")),
        ("traefik", TRAEFIK.format(user="-", status="0")),
    ],
)
def test_a_request_without_an_answer_is_none_that_counts(form: str, line: str) -> None:
    batch = read(line, format=form)
    assert (batch.requests, dict(batch.faults)) == ([], {"unanswered": 1})


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("alb", alb(asked="- https://shop.example:443- -")),
        ("haproxy", haproxy(asked="<BADREQ>")),
        ("haproxy", haproxy(asked="BREW /pot HTTP/1.1")),
        ("envoy", ENVOY.format(status="409", client="-").replace("POST /v2/orders?x=1", "- -")),
    ],
)
def test_what_was_no_request_at_all_has_no_method_and_no_path(form: str, line: str) -> None:
    batch = read(line, format=form)
    assert [each[1:4] for each in batch.requests] == [("OTHER", "", 409)]
    assert not batch.faults


@pytest.mark.parametrize("form", ["alb", "haproxy", "envoy", "traefik"])
def test_the_lines_of_another_program_are_unreadable(form: str) -> None:
    others = [line for name, line in LINES if name != form]
    others += [line[: len(line) // 3] for _, line in LINES]
    for line in others:
        batch = read(line, format=form)
        assert (batch.requests, dict(batch.faults)) == ([], {"unreadable": 1}), line


def test_the_json_of_programs_is_known() -> None:
    headers = {"Idempotency-Key": ["key-1"], "User-Agent": ["app"]}
    asked = {"client_ip": "10.0.0.7", "method": "POST", "uri": "/v2/orders?x=1", "headers": headers}
    caddy = {"level": "info", "ts": NOON + 0.5, "request": asked, "status": 409}
    caddy["resp_headers"] = {"X-Error-Code": ["REPLAY_DETECTED"]}
    fields = {"code": "resp_headers.X-Error-Code"}
    told = POST._replace(key="key-1", code="REPLAY_DETECTED")
    assert read(json.dumps(caddy), format="caddy", fields=fields).requests == [told]
    assert read(json.dumps(caddy), format="caddy").requests == [told._replace(code=None)]
    traefik = {
        "ClientHost": "10.0.0.7",
        "DownstreamStatus": 409,
        "RequestMethod": "POST",
        "RequestPath": "/v2/orders?x=1",
        "StartUTC": "2026-01-05T12:00:00.123456789Z",
        "request_Idempotency-Key": "key-1",
    }
    told = POST._replace(key="key-1")
    assert read(json.dumps(traefik), format="traefik_json").requests == [told]


# IIS

HEAD = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n"
DEFAULT = "2026-01-05 12:00:00 10.0.0.1 POST /v2/orders x=1 443 - 10.0.0.7 app/2.1+(K) - 409 0 0 15"
COLUMNS = {
    "date": "2026-01-05",
    "time": "12:00:00",
    "c-ip": "10.0.0.7",
    "cs-method": "POST",
    "cs-uri-stem": "/v2/orders",
    "cs-uri-query": "x=1",
    "sc-status": "409",
    "cs(User-Agent)": "app/2.1+(K)",
    "cs(Idempotency-Key)": "key+1",
    "X-Code": "-",
}


@given(st.lists(st.permutations([*COLUMNS]), min_size=1, max_size=3), st.data())
def test_columns_may_stand_in_any_order_and_change(
    orders: list[list[str]], data: st.DataObject
) -> None:
    """A line names them, again after each start; runs end anywhere, also right after that line."""
    log = []
    for order in orders:
        log += [*HEAD.splitlines(), f"#Fields: {' '.join(order)}"]
        log += [data.draw(st.sampled_from(" \t")).join(COLUMNS[each] for each in order)] * 2
    cut = data.draw(st.integers(0, len(log)))
    of = line_format(format="iis", fields={"code": "x-code"})
    found, left = list[Request](), dict[str, Any]()
    for part in (log[:cut], log[cut:]):
        reader = of.reader(SHANGHAI, left)
        batch = whole(reader("".join(f"{each}\r\n" for each in part).encode()))
        found += batch.requests
        assert set(batch.faults) <= {"no_request"}
        left = json.loads(json.dumps(reader.left()))
    assert found == [POST._replace(key="key 1")] * 2 * len(orders)


def test_a_log_whose_beginning_is_gone_has_the_usual_columns() -> None:
    assert read(DEFAULT, format="iis").requests == [POST]
    assert read(DEFAULT + " one+more", format="iis").faults == {"unreadable": 1}


def test_a_line_that_names_columns_without_end_takes_no_memory() -> None:
    reader = line_format(format="iis").reader()
    whole(reader(b"#Fields: " + b"x" * 10_000 + b" y" * 30_000 + b"\n"))
    assert len(json.dumps(reader.left())) < 2000


# One's own

OWN = (
    r'(?P<time>\S+) (?P<client>\S+) "(?P<request>[^"]*)" (?P<status>\S+) (?P<code>\S+) (?P<key>\S+)'
)


def test_a_pattern_describes_a_whole_line() -> None:
    line = f'2026-01-05T12:00:00Z 10.0.0.7 "{ASKED}" 409 REPLAY_DETECTED key-\\x31'
    told = POST._replace(code="REPLAY_DETECTED", key="key-1")
    own = {"format": "pattern", "pattern": OWN}
    assert read(line, **own).requests == [told]
    assert read(line.replace("REPLAY_DETECTED key-\\x31", "- -"), **own).requests == [
        POST._replace(key="")
    ]
    for other in (f"x {line}", f"{line} x", line[:-10]):
        assert read(other, **own).faults == {"unreadable": 1}
    assert read(line.replace("409", "4O9"), **own).faults == {"without_status": 1}
    assert read(line.replace("2026", "-"), **own).faults == {"without_time": 1}


def test_parts_of_a_pattern_may_be_missing() -> None:
    own = r"(?:(?P<method>\w+) (?P<path>/\S*) (?P<status>\d+)( key=(?P<key>\S*))?|-- .*)"
    assert read("POST /a 409 key=", format="pattern", pattern=own).requests[0].key == ""
    batch = read("POST /a 409", format="pattern", pattern=own)
    assert batch.requests == [Request(None, "POST", "/a", 409)]
    assert read("-- rotated", format="pattern", pattern=own).faults == {"no_request": 1}


def test_bytes_of_any_encoding_are_matched() -> None:
    own = r"(?P<method>\w+) (?P<path>\S+) (?P<status>\d+) ключ=(?P<key>.+)"
    line = "POST /caf\u00e9 409 ключ=\u043a".encode() + b"\xff"
    (told,) = read(line, format="pattern", pattern=own).requests
    assert (told.path, told.key) == ("/caf\u00e9", "\u043a\ufffd")


METHOD_PATH = r"(?P<method>\S+) (?P<path>\S+) "


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "pattern cannot be used: missing ): ("),
        (METHOD_PATH + r"(?=x)(?P<status>\d+)", "invalid perl operator"),
        (METHOD_PATH + r"(?P<status>\d+) \1", "invalid escape sequence"),
        (METHOD_PATH + r"(?P<status>\d+)(a{900}){900}", "invalid repetition size"),
        (METHOD_PATH, "pattern has no group status"),
        (
            r"(?P<status>\d+)",
            "pattern has no group method and path",
        ),
        (
            METHOD_PATH + r"(?P<status>\d+) (?P<user>\S+)",
            "has the group user; known are time, method",
        ),
        (METHOD_PATH + r"(?P<status>\d+) (?P<request>\S+)", "has the groups request and method"),
        (METHOD_PATH + r"(?P<status>\d+)(?P<status>\d+)", "has the group status more than once"),
        ("x" * 5000, "over 4096 characters"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        line_format(format="pattern", pattern=pattern)
    assert "\npattern\n" in str(refused.value)


@pytest.mark.parametrize("settings", [{"format": "pattern"}, {"pattern": OWN}])
def test_a_pattern_and_its_format_come_together(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="are needed together"):
        line_format(**settings)


@pytest.mark.parametrize(
    "careless", [r"(a+)+", r"(a|a)*", r"(.*)*,", r".*.*.*.*.*=", r"(\S+\s*)+:"]
)
def test_no_expression_takes_more_than_the_length_of_a_line(careless: str) -> None:
    """With a backtracking engine each of them takes years."""
    own = careless + METHOD_PATH + r"(?P<status>\d+)"
    batch = read("a" * 60_000 + " " * 100, format="pattern", pattern=own)
    assert batch.faults == {"unreadable": 1}


@given(st.binary(max_size=200), st.sampled_from(["alb", "haproxy", "envoy", "iis", "traefik"]))
def test_no_bytes_harm_a_reader(text: bytes, form: str) -> None:
    batch = read(text, format=form)
    assert len(batch.requests) <= batch.lines <= 1 + text.count(b"\n")
