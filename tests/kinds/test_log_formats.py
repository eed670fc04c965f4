"""The same traffic in many formats comes to the same finding, wherever a run ends."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from checks.contract import CheckError
from tests.support.applications import Application
from worker.sources.log_tail import tail

PATH = "/v2/orders"
STAMP = "%Y-%m-%dT%H:%M:%S"

Line = Callable[[int, int], str]
"""The line, or lines, of a request at a second, with its status."""


def plain(second: float, status: float | str, **more: Any) -> dict[str, Any]:
    line = {"time": second, "method": "POST", "path": f"{PATH}?x=1", "status": status}
    return {**line, **more}


def at(second: int, form: str = STAMP) -> str:
    return datetime.fromtimestamp(second, UTC).strftime(form)


def clf(second: int, status: int) -> str:
    time = at(second, "%d/%b/%Y:%H:%M:%S +0000")
    return f'10.0.0.{second % 200} - - [{time}] "POST {PATH}?x=1 HTTP/1.1" {status} 31 "-" "app/1"'


def docker(second: int, status: int) -> str:
    """In two parts, as Docker splits a long line."""
    text = json.dumps(plain(second, status, agent="x" * 50)) + "\n"
    parts = (
        {"log": each, "stream": "stdout", "time": at(second) + "Z"}
        for each in (text[:40], text[40:])
    )
    return "\n".join(map(json.dumps, parts))


def journald(second: int, status: int) -> str:
    message = json.dumps(plain(0, status)).encode()
    return json.dumps({"__REALTIME_TIMESTAMP": f"{second}000000", "MESSAGE": [*message]})


def haproxy(second: int, status: int) -> str:
    time = at(second, "%d/%b/%Y:%H:%M:%S.655")
    return (
        f"10.0.0.{second % 200}:33317 [{time}] in~ app/srv1 10/0/30/69/109 {status} 2750 - - ----"
        f' 1/1/1/1/0 0/0 "POST {PATH}?x=1 HTTP/1.1"'
    )


def iis(second: int, status: int) -> str:
    return f"{at(second, '%Y-%m-%d %H:%M:%S')} POST {PATH} x=1 {status} 10.0.0.{second % 200}"


def nested(second: int, status: int) -> str:
    asked = {"method": ["POST"], "uri": [f"{PATH}?x=1"], "headers": {}}
    return json.dumps({"ts": [second + 0.5], "request": asked, "status": [status]})


FORMATS: dict[str, tuple[Any, Line]] = {
    "nanoseconds": ({}, lambda s, a: json.dumps(plain(s * 10**9 + 5, a))),
    "microseconds as text": ({}, lambda s, a: json.dumps(plain(0, a, time=f"{s}000000"))),
    "decimals": ({}, lambda s, a: json.dumps(plain(float(s), float(a)))),
    "attempts": ({}, lambda s, a: json.dumps(plain(s, f"502, {a}"))),
    "arrays": ({"format": "caddy"}, nested),
    "escapes": ({}, lambda s, a: json.dumps(plain(s, a, agent="@")).replace("@", r"K\xC3\xB6ln")),
    "no value": ({}, lambda s, a: json.dumps(plain(s, a)).replace("{", '{"upstream":-,')),
    "request line": (
        {"fields": {"time": "time", "request": "request", "status": "status"}},
        lambda s, a: json.dumps({"time": s, "status": a, "request": f"POST {PATH}?x=1 HTTP/2"}),
    ),
    "combined": ({"format": "combined"}, clf),
    "host first": ({"format": "vhost_combined"}, lambda s, a: f"shop.example:8443 {clf(s, a)}"),
    "docker": ({"wrapped": "docker"}, docker),
    "cri": (
        {"format": "combined", "wrapped": "cri"},
        lambda s, a: f"{at(s)}.123456789Z stderr F {clf(s, a)}",
    ),
    "journald": ({"wrapped": "journald"}, journald),
    "haproxy": ({"format": "haproxy"}, haproxy),
    "syslog": (
        {"format": "haproxy", "wrapped": "syslog"},
        lambda s, a: f"{at(s)}+00:00 lb haproxy[7]: {haproxy(s, a)}",
    ),
    "iis": ({"format": "iis"}, iis),
    "pattern": (
        {"format": "pattern", "pattern": r"(?P<time>\S+)\|(?P<status>\d+)\|(?P<request>.*)"},
        lambda s, a: f"{at(s)}|{a}|POST {PATH}?x=1 HTTP/1.1",
    ),
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setattr(tail, "QUIET", 0.0)
    return Application.writing(tmp_path / "access.log", monkeypatch)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_changes_nothing(app: Application, name: str) -> None:
    """200 requests of which 50 are conflicts, in runs that end inside of whatever spans lines."""
    line_format, line = FORMATS[name]
    app.settings["line_format"] = line_format
    first = int(app.at.timestamp()) - 100
    lines = ["#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status c-ip"] * (
        name == "iis"
    )
    for number in range(200):
        lines += line(first + number // 2, 201 if number % 4 else 409).splitlines()
    assert len(lines) >= 200
    for begin in range(0, len(lines), 41):
        app.wrote(*lines[begin : begin + 41])
        result = app.run()
    (found,) = result.findings
    assert found.key == {"problem": "conflicts", "route": PATH, "method": "POST"}
    counted = {name: found.evidence[name] for name in ("requests", "conflicts", "ratio")}
    assert counted == {"requests": 200, "conflicts": 50, "ratio": "25 %"}
    assert result.notes == ()


@pytest.mark.parametrize("name", FORMATS)
def test_old_lines_are_old_in_every_format(app: Application, name: str) -> None:
    """What was asked three hours ago is not counted as of now."""
    line_format, line = FORMATS[name]
    app.settings["line_format"] = line_format
    if name == "iis":
        app.wrote("#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status c-ip")
    first = int(app.at.timestamp()) - 3 * 3600
    app.wrote(*(line(first + each, 409 if each % 2 else 201) for each in range(200)))
    result = app.run()
    assert (result.findings, result.notes) == ((), ())


def test_a_host_before_the_client_is_said(app: Application) -> None:
    """Taken for the client, it would be one that storms."""
    app.settings["line_format"] = {"format": "combined"}
    now = int(app.at.timestamp()) - 100
    app.wrote(*(f"shop:8443 {clf(now, 409 if each % 100 else 200)}" for each in range(300)))
    with pytest.raises(CheckError, match="none of the latest 300 lines of app is a request: 300"):
        app.run()


def test_a_field_that_is_no_method_is_said(app: Application) -> None:
    """A mapping to the wrong field gives no ratios of a method and a route that are no such."""
    fields = {"time": "time", "method": "line", "path": "path", "status": "status"}
    app.settings["line_format"] = {"fields": fields}
    now = int(app.at.timestamp()) - 100
    lines = (json.dumps(plain(now, 409, line=f"POST {PATH} HTTP/1.1")) for _ in range(200))
    app.wrote(*lines)
    with pytest.raises(CheckError, match="200 no_request"):
        app.run()
