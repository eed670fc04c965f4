"""Logs as real servers write them, of clients that mean well and of others, read without loss."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from checks.http_log.formats import LineFormat
from checks.http_log.request import Request
from checks.ports import Cursor
from tests.support import web_servers
from tests.support.access_logs import whole
from tests.support.patience import patience, wait_until
from tests.support.servers import HOST
from tests.support.traffic_lines import FORMATS
from tests.support.web_servers import REASON, WebServer
from worker.config import AccessLogSettings
from worker.sources.access_log import AccessLog

Told = tuple[str, str, int]
"""Method, path and status."""


@dataclass(frozen=True)
class Kind:
    """A sort of log of a server."""

    make: Callable[[Path], WebServer]
    name: str
    line_format: LineFormat
    logs_garbage: bool = False
    """Whether what is no HTTP is logged, too: applications are never shown it."""


KINDS = {
    "nginx_json": Kind(web_servers.nginx, "access.log", FORMATS["nginx"], logs_garbage=True),
    "nginx_unescaped": Kind(
        web_servers.nginx, "unescaped.log", FORMATS["nginx"], logs_garbage=True
    ),
    "nginx_combined": Kind(
        web_servers.nginx, "combined.log", FORMATS["combined"], logs_garbage=True
    ),
    "node": Kind(web_servers.node, "access.log", FORMATS["pino"]),
    "python": Kind(web_servers.python, "access.log", FORMATS["flat"]),
}


@dataclass
class Running:
    """A running server whose log is followed."""

    kind: Kind
    server: WebServer
    log: AccessLog
    client: httpx.Client
    place: Cursor | None = None

    def get(self, target: str, key: str | None = None) -> int:
        """Ask as a client library does: POST with a key, GET without."""
        headers = {"Idempotency-Key": key} if key else {}
        url = f"http://{HOST}:{self.server.port}{target}"
        return self.client.request("POST" if key else "GET", url, headers=headers).status_code

    def read(self) -> tuple[list[Request], Counter[str]]:
        """What the log tells that was not read before."""
        requests: list[Request] = []
        faults: Counter[str] = Counter()
        read = self.kind.line_format.reader()
        for block in self.log.blocks(self.place):
            batch = whole(read(block.text))
            requests += batch.requests
            faults += batch.faults + Counter(block.dropped)
            self.place = block.place
        return requests, faults

    def read_all(self, number: int) -> list[Request]:
        """So many requests, as soon as they are logged: each line tells of one."""
        found: list[Request] = []

        def read_on() -> bool:
            requests, faults = self.read()
            assert not faults
            found.extend(requests)
            return len(found) >= number

        wait_until(read_on, 10, f"{number} requests are logged")
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Kind], Running]]:
    """Start a server of a kind; it ends with the test."""
    started: list[Running] = []

    def start_one(kind: Kind) -> Running:
        server = kind.make(tmp_path)
        settings = AccessLogSettings(path=tmp_path / kind.name, line_format=kind.line_format)
        client = httpx.Client(trust_env=False, timeout=patience(5))
        started.append(Running(kind, server, AccessLog("app", settings), client))
        server.start()
        return started[-1]

    yield start_one
    for each in started:
        each.log.close()
        each.client.close()
        each.server.stop()


each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

LONG = "/" + "l" * 10_000
STRANGE: dict[bytes, tuple[str, str]] = {
    b"GET /old HTTP/1.0": ("GET", "/old"),
    b"GET /health?a=b&c=/d?e HTTP/1.1": ("GET", "/health"),
    b"DELETE /api/v4/orders/17 HTTP/1.1": ("DELETE", "/api/v4/orders/17"),
    b'GET /q"\\x HTTP/1.1': ("GET", '/q"\\x'),
    b'GET /x"}1{a="b" HTTP/1.1': ("GET", '/x"}1{a="b"'),
    b"GET /%ff%fe%22%0a HTTP/1.1": ("GET", "/%ff%fe%22%0a"),
    b"GET /__proto__/constructor HTTP/1.1": ("GET", "/__proto__/constructor"),
    b"GET //x/../y HTTP/1.1": ("GET", "//x/../y"),
    f"GET {LONG} HTTP/1.1".encode(): ("GET", LONG),
    b"MKCOL /pot HTTP/1.1": ("OTHER", "/pot"),
}
"""Requests that all of the servers answer, and what they are."""

GARBAGE: dict[bytes, tuple[tuple[str, str], tuple[str, str]]] = {
    b"garbage": (("OTHER", ""), ("OTHER", "")),
    b"\x16\x03\x01\x02\x00\x01": (("OTHER", ""), ("OTHER", "")),
    b"GET /a b HTTP/1.1": (("OTHER", ""), ("GET", "/a b")),
    b"GET /a\x01b HTTP/1.1": (("OTHER", ""), ("GET", "/a\x01b")),
    b"GET /%00 HTTP/1.1": (("GET", ""), ("GET", "/%00")),
    b"BREW /caf\xc3\xa9\xff HTTP/1.1": (("OTHER", "/caf\u00e9\ufffd"), ("OTHER", "")),
    b"GET /caf\xc3\xa9\xff HTTP/1.1": (
        ("GET", "/caf\u00e9\ufffd"),
        ("GET", "/caf\u00e9\ufffd"),
    ),
}
"""Requests that not every server accepts, as nginx logs them as JSON and in its own format."""


def asked(running: Running, line: bytes) -> int:
    return running.server.ask(line + b"\r\nHost: app.example\r\nConnection: close\r\n\r\n")


def told(requests: list[Request]) -> Counter[Told]:
    return Counter((each.method, each.path, each.status) for each in requests)


def as_combined(method: str, path: str) -> tuple[str, str]:
    """There is no path without a known method."""
    return method, "" if method == "OTHER" else path


@each_kind
def test_every_request_is_read(kind: Kind, start: Callable[[Kind], Running]) -> None:
    """Method, path and status of each request are those that the client sent and got."""
    running, sent = start(kind), Counter[Told]()
    for number in range(20):
        path = f"/api/v4/orders/{number % 5}"
        sent["GET", path, running.get(f"{path}?page={number}")] += 1
        sent["POST", "/api/v4/exchange", running.get("/api/v4/exchange", f"key-{number}")] += 1
    for line, (method, path) in STRANGE.items():
        place = as_combined(method, path) if kind.name == "combined.log" else (method, path)
        status = asked(running, line)
        if kind.make is not web_servers.node or status != 400:
            sent[*place, status] += 1
    assert {status for _, _, status in sent} == {200, 201, 404, 409}
    assert told(running.read_all(sent.total())) == sent


@each_kind
def test_what_is_no_request_harms_no_other(kind: Kind, start: Callable[[Kind], Running]) -> None:
    """Garbage is a request of no known method and path where it is logged, and lost nowhere."""
    running, sent = start(kind), Counter[Told]()
    for line, places in GARBAGE.items():
        status = asked(running, line)
        if kind.logs_garbage:
            sent[*places[kind.name == "combined.log"], status] += 1
        sent["GET", "/health", running.get("/health")] += 1
    found = told(running.read_all(sent.total()))
    assert (found & sent) == sent
    extra = found - sent
    assert not extra if kind.logs_garbage else {status for _, _, status in extra} <= {404}


@each_kind
def test_all_else_is_read(kind: Kind, start: Callable[[Kind], Running]) -> None:
    """Time, client, key and reason are those of the request; combined lines have neither of two."""
    running = start(kind)
    begin = int(datetime.now(UTC).timestamp())
    running.get("/api/v4/exchange", 'key "1" \\ {}')
    running.get("/health")
    refused, healthy = running.read_all(2)
    assert all(begin <= (each.second or 0) <= begin + 10 for each in (refused, healthy))
    assert refused.client == healthy.client == HOST
    if kind.name == "combined.log":
        assert (refused.key, refused.code, healthy.key) == (None, None, None)
    else:
        assert (refused.key, refused.code) == ('key "1" \\ {}', REASON)
        assert (healthy.key, healthy.code) == ("", None)


@pytest.mark.parametrize("name", ["nginx_json", "node", "python"])
def test_a_rotation_loses_nothing(name: str, start: Callable[[Kind], Running]) -> None:
    """Lines before, during and after a rotation are each read once, by whoever reads now and then.

    The server is told to reopen its log, or sees for itself that it was renamed.
    """
    running = start(KINDS[name])
    sent = Counter[Told]()
    found: list[Request] = []
    for turn in range(3):
        for number in range(30):
            path = f"/api/v4/orders/{turn}-{number}"
            sent["GET", path, running.get(path)] += 1
            if number == 10:
                found += running.read()[0]
            if number == 20 and turn < 2:
                running.server.rotate(f"access.log.{turn + 1}")
    found += running.read_all(sent.total() - len(found))
    assert told(found) == sent
    assert {each.name for each in running.server.folder.glob("access.log*")} == {
        "access.log",
        "access.log.1",
        "access.log.2",
    }
