"""A private Prometheus on a free port of 127.0.0.1, and a small shop that it scrapes."""

import json
import os
import shutil
import signal
import ssl
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
from typing import Any, Self

import httpx
import prometheus_client

from tests.servers import (
    HOST,
    START_SECONDS,
    STOP_SECONDS,
    ServerError,
    _free_port,
    _thread_states,
    wait_until,
)

PREFIX = "/metrics-of-the-shop"
"""Where a Prometheus without TLS serves: behind a path, as many do."""

USER, PASSWORD = "auditor", "correct horse"
_PASSWORD_HASH = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"

_SECURE = f"""
basic_auth_users: {{{USER}: "{_PASSWORD_HASH}"}}
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: client.pem
"""


@dataclass(eq=False, kw_only=True)
class PrometheusServer:
    """One Prometheus of our own."""

    folder: Path
    scraped: int | None = None
    """The port of what it scrapes."""
    job: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of that scrape: its scheme, TLS and credentials."""
    secure: bool = False
    """Whether it asks for TLS, a client's certificate and a password: `certificates` makes them."""
    remote_read: str | None = None
    """The URL of a further store that it asks, too."""
    rules: Path | None = None
    """A file of rules that it evaluates as often as it scrapes."""
    alertmanagers: tuple[str, ...] = ()
    """Host and port of those that it sends its alerts to, each alert again every second."""
    every: str = "250ms"
    """How often it scrapes."""
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What the worker's settings take."""
        return (
            f"https://{HOST}:{self.port}" if self.secure else f"http://{HOST}:{self.port}{PREFIX}"
        )

    @property
    def pid(self) -> int:
        """The process id; raises ServerError when the server is not running."""
        if self.process is None:
            raise ServerError("prometheus is not running")
        return self.process.pid

    def start(self) -> Self:
        """Start it and return once it answers; raises ServerError with its log."""
        self.port = self.port or _free_port()
        self._configure()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        try:
            wait_until(self._is_ready, START_SECONDS, "prometheus is ready")
        except TimeoutError as error:
            self.stop()
            raise ServerError(f"{error}\n{(self.folder / 'log').read_text()[-2000:]}") from None
        return self

    def stop(self) -> None:
        """End it, by force after 30 s; does nothing when it is not running."""
        if self.process is None:
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def pause(self) -> None:
        """Freeze it: connections are made, and nothing answers. Returns once it is so."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: _thread_states(self.pid) == {"T"}, STOP_SECONDS, "it is frozen")

    def resume(self) -> None:
        """Let it go on; does nothing when it runs."""
        os.kill(self.pid, signal.SIGCONT)

    def raw(self, promql: str, at: datetime | None = None) -> Any:
        """The `result` of an instant query, asked without the worker's code."""
        query = {"query": promql} | ({"time": str(at.timestamp())} if at else {})
        with self._client() as client:
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
        past = self.folder / "past"
        past.write_text("\n".join(lines) + "\n# EOF\n")
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
        (self.folder / "web.yml").write_text(_SECURE if self.secure else "")

    def _command(self) -> list[str]:
        program = shutil.which("prometheus")
        if program is None:
            raise ServerError("prometheus is not installed: run scripts/install-servers")
        return [
            program,
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={HOST}:{self.port}",
            f"--web.external-url={self.url}",
            f"--web.config.file={self.folder}/web.yml",
            "--storage.tsdb.retention.time=10y",
            "--rules.alert.resend-delay=1s",
        ]

    def _client(self) -> httpx.Client:
        if not self.secure:
            return httpx.Client(trust_env=False)
        tls = ssl.create_default_context(cafile=self.folder / "server.pem")
        tls.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        return httpx.Client(verify=tls, auth=(USER, PASSWORD), trust_env=False)

    def _is_ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise ServerError((self.folder / "log").read_text()[-2000:])
        try:
            with self._client() as client:
                return client.get(f"{self.url}/-/ready").is_success
        except httpx.HTTPError:
            return False


@contextmanager
def prometheus(
    prepare: Callable[[PrometheusServer], None] | None = None, **options: Any
) -> Iterator[PrometheusServer]:
    """A Prometheus that runs meanwhile; `prepare` sees it before it starts."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-prometheus-"))
    server = PrometheusServer(folder=folder, **options)
    try:
        if server.secure:
            certificates(folder)
        if prepare:
            prepare(server)
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder)


def certificates(folder: Path) -> None:
    """Make `server.pem` and `client.pem`, each signed by itself, with their `.key`."""
    for name in ("server", "client"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-noenc", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"),
                *("-addext", f"subjectAltName=IP:{HOST}"),
                *("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")),
            ],
            check=True,
            capture_output=True,
        )


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
        with httpx.Client(base_url=f"http://{HOST}:{self.port}", trust_env=False) as client:
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
