"""The server: what it answers, what it refuses, and whom it does not let hold it up."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from checks.card import Sample
from checks.contract import Check, Result
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.row_count import TABLE_ROWS, RowCount
from tests.support.patience import patience, stretched, wait_until
from worker.config import HttpSettings
from worker.model.finding import FindingState
from worker.model.run import LastRun, Outcome, Run, Scope
from worker.model.server import Identity
from worker.telemetry.metrics import Metrics
from worker.web import Web, protocol
from worker.web import server as web_module

CHECKS: tuple[Check, ...] = (
    Duplicates(name="t.key", table="t", primary_key="id", columns=("k",)),
    RowCount(name="t.rows", table="t"),
)


class Health:
    """What the worker of these tests says of itself."""

    live = True
    ready = True


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def metrics() -> Metrics:
    """Metrics in which everything has been said once."""
    now = datetime.now(UTC)
    metrics = Metrics()
    intervals = {each.name: timedelta(seconds=30) for each in CHECKS}
    metrics.plan(CHECKS, intervals, {"t.key": LastRun(Outcome.PASS, {Scope.INCREMENTAL: now})})
    for check in CHECKS:
        samples = (Sample(TABLE_ROWS, (check.table,), 5),) if check.kind == "row_count" else ()
        result = Result(examined=5, violations=0, samples=samples)
        metrics.observe(Run(check, Outcome.PASS, now, 0.1, result))
        metrics.missed.labels(check.name, "pause").inc()
    metrics.count_findings(CHECKS, {("t.key", FindingState.OPEN): 1})
    version = "9.7.0-\"quoted\\'\n"
    metrics.identify(
        Identity("d", "demo", "h", 1, "s", "u@h", "MySQL", version, "UTC", writable=("INSERT",))
    )
    return metrics


@pytest.fixture
def web(metrics: Metrics, health: Health) -> Iterator[Web]:
    """A server on a free port, serving."""
    served = Web(
        HttpSettings(port=0),
        metrics.render,
        lambda: (health.live, "alive" if health.live else "the scheduler is dead"),
        lambda: (health.ready, "ready" if health.ready else "2 checks have not run yet"),
    )
    served.start()
    yield served
    served.stop()


@pytest.fixture
def client(web: Web) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web.address, timeout=patience(5)) as made:
        yield made


def half_open(web: Web, sent: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n") -> socket.socket:
    """A connection that has sent a part of a request."""
    host, port = web._socket.getsockname()
    made = socket.create_connection((host, port), timeout=patience(5))
    made.sendall(sent)
    return made


def ask(connection: socket.socket) -> None:
    """Ask whether the worker is alive, and take the whole answer."""
    connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"alive\n"):
        part = connection.recv(65536)
        assert part, answer
        answer += part
    assert answer.startswith(b"HTTP/1.1 200")


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(65536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "reconciler_up 1.0"),
        ("/livez", "text/plain; charset=utf-8", "alive\n"),
        ("/readyz", "text/plain; charset=utf-8", "ready\n"),
    ],
)
def test_answers(client: httpx.Client, path: str, content_type: str, text: str) -> None:
    """Each path answers 200, as what it is; HEAD gives the same headers and no body."""
    answer, head = client.get(path), client.head(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert text in answer.text
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


def test_openmetrics_when_asked_for(client: httpx.Client) -> None:
    """Prometheus gets the newer format when it says that it takes it."""
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "/livez/x", "/docs", "/../etc"])
def test_unknown_path(client: httpx.Client, path: str) -> None:
    """Anything but the three paths is 404, with no redirection."""
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods(client: httpx.Client, method: str) -> None:
    """Only GET and HEAD are allowed, and the answer says so."""
    answer = client.request(method, "/metrics")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/nothing"])
def test_security_headers(client: httpx.Client, path: str) -> None:
    """Every answer forbids sniffing, caching and scripts, and does not tell the software."""
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    )
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_health_that_is_bad(client: httpx.Client, health: Health) -> None:
    """Liveness and readiness are 503 with the reason, each for its own cause."""
    health.ready = False
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "2 checks have not run yet\n")
    assert client.get("/livez").status_code == 200
    health.live = False
    answer = client.get("/livez")
    assert (answer.status_code, answer.text) == (503, "the scheduler is dead\n")


def test_fault_while_rendering(
    client: httpx.Client, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault is a 500 that tells nothing, and the next answer is in order."""
    metrics.up.set_function(lambda: 1 / 0)
    answer = client.get("/metrics")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error\n")
    assert client.get("/livez").status_code == 200
    assert "ZeroDivisionError" in caplog.text


def test_keep_alive(web: Web) -> None:
    """One connection serves request after request."""
    with closing(half_open(web, b"")) as connection:
        for _ in range(3):
            ask(connection)
        assert not is_closed(connection)


def test_oversized_headers(web: Web) -> None:
    """A request whose head does not end is refused before it fills the memory."""
    with closing(half_open(web)) as connection:
        connection.sendall(b"X-Long: " + b"x" * 64 * 1024)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
        wait_until(lambda: is_closed(connection), 5, "it is closed")


def test_flood_of_half_requests(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 clients that send half a request keep nobody out; the oldest of them are closed."""
    monkeypatch.setattr(protocol, "REQUEST_TIMEOUT", 3600)
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(half_open(web))) for _ in range(300)]
        assert client.get("/metrics").status_code == 200
        wait_until(lambda: all(map(is_closed, sockets[:100])), 5, "the oldest are closed")
        assert not is_closed(sockets[-1])


def test_flood_does_not_cut_who_just_asked(
    web: Web, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are quiet the longest are closed first, not who connected first."""
    monkeypatch.setattr(protocol, "REQUEST_TIMEOUT", 3600)
    with closing(half_open(web, b"")) as scraper, ExitStack() as stack:
        for number in range(300):
            stack.enter_context(closing(half_open(web)))
            if number % 50 == 0:
                ask(scraper)
        assert not is_closed(scraper)
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("requests_before", [0, 2])
def test_half_a_request_is_closed(
    web: Web, requests_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is not finished in time ends its connection, on a kept-alive one as well."""
    monkeypatch.setattr(protocol, "REQUEST_TIMEOUT", stretched(0.3).total_seconds())
    with closing(half_open(web, b"")) as connection:
        for _ in range(requests_before):
            ask(connection)
        connection.sendall(b"GET /livez HT")
        wait_until(lambda: is_closed(connection), 5, "it is closed")


def test_answer_that_nobody_takes(
    web: Web, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that asks and does not read is closed in time."""
    monkeypatch.setattr(protocol, "REQUEST_TIMEOUT", stretched(0.3).total_seconds())
    for number in range(20_000):
        metrics.database_up.labels(f"a_database_with_a_long_name_{number}").set(1)
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(web._socket.getsockname())
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        known = web._connections
        wait_until(lambda: len(known) == 1, 5, "it is connected")
        wait_until(lambda: len(known) == 0, 10, "it is closed")


def test_idle_keep_alive_outlives_the_request_timeout(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two scrapes a connection may rest longer than a request may take."""
    monkeypatch.setattr(protocol, "REQUEST_TIMEOUT", stretched(0.2).total_seconds())
    with closing(half_open(web, b"")) as resting, closing(half_open(web, b"")) as silent:
        ask(resting)
        wait_until(lambda: is_closed(silent), 5, "who asked nothing is closed")
        assert not is_closed(resting)


def test_promtool_accepts_the_metrics(client: httpx.Client) -> None:
    """`promtool check metrics` has nothing to say against any metric."""
    text = client.get("/metrics").text
    done = subprocess.run(
        ["promtool", "check", "metrics"],  # noqa: S607 - found on PATH as documented
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_metric_names_and_labels(client: httpx.Client) -> None:
    """The names and labels are those of the design; none comes from a row."""
    found: dict[str, set[str]] = {}
    for line in client.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, labels = line.rpartition(" ")[0].partition("{")
            labels = labels.replace("\\\\", "").replace('\\"', "").replace("\\n", "")
            keys = {part.rpartition(",")[2].strip() for part in labels.split('="')[:-1]}
            found.setdefault(name, set()).update(key.rpartition('"')[2].lstrip(",") for key in keys)
    of_check = {"check", "kind", "table", "severity"}
    assert found | EXPECTED == found
    assert found["reconciler_check_violations"] == of_check
    assert {name for name in found if not name.startswith("reconciler_")} == set()


EXPECTED = {
    "reconciler_check_violations": {"check", "kind", "table", "severity"},
    "reconciler_check_outcome": {"check", "outcome"},
    "reconciler_check_runs_total": {"check", "outcome"},
    "reconciler_check_run_duration_seconds_count": {"check"},
    "reconciler_check_rows_examined_total": {"check"},
    "reconciler_check_last_completed_timestamp_seconds": {"check", "scope"},
    "reconciler_check_interval_seconds": {"check"},
    "reconciler_findings": {
        *("check", "kind", "table", "severity", "state"),
        *("environment", "database", "address"),
    },
    "reconciler_table_rows": {"table"},
    "reconciler_scheduler_missed_runs_total": {"check", "reason"},
    "reconciler_up": set(),
    "reconciler_build_info": {"version", "python"},
}


def test_address_in_use(web: Web) -> None:
    """A taken address is an error at once, before anything else begins."""
    port = web._socket.getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        Web(HttpSettings(port=port), lambda *_: (b"", ""), lambda: (True, ""), lambda: (True, ""))


def test_address_of_ipv6(metrics: Metrics) -> None:
    """An IPv6 address is written as a URL takes it."""
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 here")
    served = Web(
        HttpSettings(host="::1", port=0), metrics.render, lambda: (True, ""), lambda: (True, "")
    )
    served.start()
    try:
        assert served.address.startswith("http://[::1]:")
        assert httpx.get(f"{served.address}/livez", timeout=patience(5)).status_code == 200
    finally:
        served.stop()


class Slow:
    """A page that takes as long as a test lets it, and counts who makes it."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.begun = 0

    def __call__(self, _request: Request) -> Response:
        """Make it."""
        self.begun += 1
        assert self.may_end.wait(patience(20))
        return PlainTextResponse("made")


@pytest.fixture
def slow() -> Iterator[tuple[Slow, Web]]:
    """A server with a slow page beside metrics and health."""
    page = Slow()
    served = Web(
        HttpSettings(port=0),
        lambda *_: (b"# EOF\n", "text/plain"),
        lambda: (True, "alive"),
        lambda: (True, "ready"),
        {"/slow": page},
    )
    served.start()
    yield page, served
    page.may_end.set()
    served.stop()


def test_slow_pages_hold_up_neither_health_nor_metrics(slow: tuple[Slow, Web]) -> None:
    """Two pages are made at a time and the others wait, but whoever asks for anything else."""
    page, served = slow
    asked = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(half_open(served, asked))) for _ in range(20)]
        wait_until(lambda: page.begun == web_module.PAGES_AT_ONCE, 5, "as many as may have begun")
        for path in ("/livez", "/readyz", "/metrics"):
            assert httpx.get(served.address + path, timeout=patience(2)).status_code == 200
        assert page.begun == web_module.PAGES_AT_ONCE
        page.may_end.set()
        for connection in sockets:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert page.begun == 20


def test_flood_of_pages_does_not_pile_up(slow: tuple[Slow, Web]) -> None:
    """More requests for pages than may wait are told to come back, at once."""
    _, served = slow
    asked = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(web_module.PAGES_WAITING):
            stack.enter_context(closing(half_open(served, asked)))
        wait_until(lambda: _status(served) == 503, 5, "one more is refused")
        answer = httpx.get(f"{served.address}/slow", timeout=patience(5))
        assert (answer.headers["retry-after"], answer.text) == ("1", "too many requests at once\n")


def _status(served: Web) -> int | None:
    try:
        return httpx.get(f"{served.address}/slow", timeout=0.5).status_code
    except httpx.TimeoutException:
        return None
