"""A private Prometheus on a free port of 127.0.0.1, and a small shop that it scrapes."""

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import prometheus_client

from tests.support import asking
from tests.support.monitoring import Monitor
from tests.support.servers import HOST

PREFIX = "/metrics-of-the-shop"
"""Where a Prometheus without TLS serves: behind a path, as many do."""


@dataclass(eq=False, kw_only=True)
class PrometheusServer(Monitor):
    """One Prometheus of our own."""

    scraped: int | None = None
    """The port of what it scrapes."""
    job: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of that scrape: its scheme, TLS and credentials."""
    remote_read: str | None = None
    """The URL of a further store that it asks, too."""
    rules: Path | None = None
    """A file of rules that it evaluates as often as it scrapes."""
    alertmanagers: tuple[str, ...] = ()
    """Host and port of those that it sends its alerts to, each alert again every second."""
    every: str = "250ms"
    """How often it scrapes."""

    @property
    def url(self) -> str:
        """What the worker's settings take."""
        return super().url + ("" if self.secure else PREFIX)

    def raw(self, promql: str, at: datetime | None = None) -> Any:
        """The `result` of an instant query, asked without the worker's code."""
        query = {"query": promql} | ({"time": str(at.timestamp())} if at else {})
        with self.client() as client:
            answer = client.get(f"{self.url}/api/v1/query", params=query).raise_for_status()
        return answer.json()["data"]["result"]

    def value(self, promql: str, at: datetime | None = None) -> float | None:
        """The value of the first series; None when there is none."""
        result = self.raw(promql, at)
        return float(result[0]["value"][1]) if result else None

    def now(self) -> datetime:
        """What time it is for the server, to the millisecond."""
        return datetime.fromtimestamp(self.value("vector(time())") or 0, UTC)

    def load(self, samples: Mapping[str, float], at: datetime) -> None:
        """Give it past samples, by series; call it before `start`."""
        lines = [f"{series} {value} {at.timestamp():.3f}" for series, value in samples.items()]
        self.load_text("\n".join(lines) + "\n# EOF\n")

    def load_text(self, samples: str) -> None:
        """The same of a text in the format of OpenMetrics."""
        past = self.folder / "past"
        past.write_text(samples)
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
        subprocess.run(
            [*command, str(past), str(self.folder / "data")], check=True, capture_output=True
        )

    def _configure(self) -> None:
        targets = [{"targets": [f"{HOST}:{self.scraped}"]}]
        shop = {"job_name": "shop", "static_configs": targets, **self.job}
        store = {"url": self.remote_read, "read_recent": True}
        told = {"static_configs": [{"targets": list(self.alertmanagers)}]}
        # JSON is YAML, too.
        document = {
            "global": {
                "scrape_interval": self.every,
                "scrape_timeout": self.every,
                "evaluation_interval": self.every,
            },
            "alerting": {"alertmanagers": [told] if self.alertmanagers else []},
            "rule_files": [str(self.rules)] if self.rules else [],
            "scrape_configs": [shop] if self.scraped else [],
            "remote_read": [store] if self.remote_read else [],
        }
        (self.folder / "prometheus.yml").write_text(json.dumps(document))

    def _command(self) -> list[str]:
        self._configure()
        return [
            "prometheus",
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self.address}",
            f"--web.external-url={self.url}",
            "--storage.tsdb.retention.time=10y",
            "--rules.alert.resend-delay=1s",
        ]


@contextmanager
def prometheus(
    prepare: Callable[[PrometheusServer], None] | None = None, **options: Any
) -> Iterator[PrometheusServer]:
    """A Prometheus that runs meanwhile; `prepare` sees it before it starts."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-prometheus-"))
    server = PrometheusServer(folder=folder, **options)
    try:
        if prepare:
            prepare(server)
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder)


# --- What it scrapes ------------------------------------------------------------------------------


Labels = tuple[str, str, str, str]
"""Route, method, status and code."""


@dataclass(eq=False)
class Shop:
    """A small application: it answers as its clients ask it to, and counts what it answered."""

    registry: prometheus_client.CollectorRegistry = field(
        default_factory=prometheus_client.CollectorRegistry
    )
    answered: Counter[Labels] = field(default_factory=Counter)
    """Its answers, counted beside its metrics."""
    port: int = 0

    def __post_init__(self) -> None:
        names = ("route", "method", "status", "code")
        self.metric = prometheus_client.Counter(
            "http_requests", "Answers", names, registry=self.registry
        )

    def know(self, *kinds: Labels) -> None:
        """Export these at zero before they happen, as an application should."""
        for each in kinds:
            self.metric.labels(*each)

    def serve(self, traffic: Mapping[Labels, int]) -> None:
        """Let clients ask so often for such answers, over HTTP."""
        with asking.client(base_url=f"http://{HOST}:{self.port}") as client:
            for (route, method, status, code), times in traffic.items():
                for _ in range(times):
                    client.request(method, route, headers={"X-Status": status, "X-Code": code})

    def count(self, labels: Labels) -> None:
        """Count one answer."""
        self.answered[labels] += 1
        self.metric.labels(*labels).inc()


@contextmanager
def shop() -> Iterator[Shop]:
    """The application, running meanwhile."""
    application = Shop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._reply(200, prometheus_client.generate_latest(application.registry))
            else:
                self.do_POST()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, code = self.headers["X-Status"], self.headers["X-Code"]
            application.count((self.path, self.command, status, code))
            self._reply(int(status), b"")

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Nothing: the test tells what matters."""

    with serving(Handler) as application.port:
        yield application


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """A web server on a port of 127.0.0.1, running meanwhile; its port."""
    server = ThreadingHTTPServer((HOST, 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
