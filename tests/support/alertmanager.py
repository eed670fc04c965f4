"""A private Alertmanager on a free port of 127.0.0.1, and a receiver of its notifications."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.support import asking
from tests.support.monitoring import Monitor
from tests.support.patience import wait_until
from tests.support.servers import HOST


@dataclass(frozen=True, kw_only=True)
class Notification:
    """What one request told of one alert."""

    at: datetime
    status: str
    """`firing` or `resolved`."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: str
    """Of the alert."""


@dataclass(eq=False)
class Receiver:
    """Takes notifications, as a pager's web hook does, and keeps every one that it took."""

    status: int = 200
    """What it answers; of another status it takes nothing."""
    seconds: float = 0.0
    """How long it takes to answer."""
    port: int = 0
    taken: list[Notification] = field(default_factory=list)
    refused: int = 0
    """Requests that it answered with another status than 200."""

    def __post_init__(self) -> None:
        self._ending = Event()

    @property
    def url(self) -> str:
        """Where it takes notifications."""
        return f"http://{HOST}:{self.port}/"

    def told(self, name: str, status: str | None = None, **labels: str) -> list[Notification]:
        """What it was told of an alert, in order, with these labels among the alert's own."""
        wanted = {"alertname": name, **labels}.items()
        return [
            each
            for each in tuple(self.taken)
            if wanted <= each.labels.items() and status in (None, each.status)
        ]

    def statuses(self, name: str, **labels: str) -> list[str]:
        """What became of an alert, in order."""
        return [each.status for each in self.told(name, **labels)]

    def wait(
        self, name: str, status: str, number: int = 1, *, seconds: float = 30, **labels: str
    ) -> Notification:
        """Wait until an alert was told so often with a status; the latest of these."""
        what = f"{name} {labels} is told {number} times as {status}: {self.taken}"
        wait_until(lambda: len(self.told(name, status, **labels)) >= number, seconds, what)
        return self.told(name, status, **labels)[number - 1]

    def forget(self) -> None:
        """Start counting anew."""
        self.taken.clear()
        self.refused = 0

    def end(self) -> None:
        """Let requests that still wait for their answer go."""
        self._ending.set()

    def take(self, document: Mapping[str, Any]) -> int:
        """Take a notification, or refuse it; the status to answer."""
        self._ending.wait(self.seconds)
        if self.status != 200:
            self.refused += 1
            return self.status
        now = datetime.now(UTC)
        self.taken += [
            Notification(
                at=now,
                status=alert["status"],
                labels=alert["labels"],
                annotations=alert["annotations"],
                starts_at=alert["startsAt"],
            )
            for alert in document["alerts"]
        ]
        return 200


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that listens meanwhile."""
    taker = Receiver()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(taker.take(json.loads(body)))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((HOST, 0), Answers)
    taker.port = server.server_port
    thread = Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield taker
    finally:
        taker.end()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(eq=False, kw_only=True)
class AlertmanagerServer(Monitor):
    """One Alertmanager of our own, which tells of each alert by itself and at once."""

    receiver: str | None = None
    """The URL that it tells of every alert and of its end; nobody unless stated."""
    group_by: tuple[str, ...] = ("...",)
    group_wait: str = "0s"
    group_interval: str = "300ms"
    repeat_interval: str = "1h"
    resolve_timeout: str = "5m"
    prefix: str = ""
    """A path behind which it serves, such as `/am`."""

    @property
    def url(self) -> str:
        """What the worker's settings take."""
        return super().url + self.prefix

    def kill(self) -> None:
        """End it at once, as a crash would: it forgets what it told since it started, too."""
        super().kill()

    def alerts(self, name: str | None = None) -> list[dict[str, Any]]:
        """The alerts that fire, as it has them."""
        with self.client() as client:
            found = client.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        return [each for each in found if name in (None, each["labels"]["alertname"])]

    def wait_for_alert(self, name: str, seconds: float = 30) -> None:
        """Wait until it has an alert of this name that fires."""
        wait_until(lambda: bool(self.alerts(name)), seconds, f"alertmanager has {name}")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of one of its metrics that have these labels."""
        with self.client() as client:
            text = client.get(f"{self.url}/metrics").raise_for_status().text
        return sum(
            each.value
            for each in asking.samples(text, f"alertmanager_{name}")
            if labels.items() <= each.labels.items()
        )

    def wait_until_settled(self, rounds: int = 3, seconds: float = 60) -> None:
        """Wait until it was told everything again, and thought so often about telling of it.

        What it has not told of by then, it does not tell of. Somebody has to send it alerts.
        """
        received = self.metric("alerts_received_total")
        wait_until(
            lambda: self.metric("alerts_received_total") > received + 1,
            seconds,
            "alertmanager is told of alerts again",
        )
        # Each turn of a group asks the log of notifications whether all was told.
        asked, groups = self.metric("nflog_queries_total"), max(1, len(self.alerts()))
        wait_until(
            lambda: self.metric("nflog_queries_total") >= asked + rounds * groups,
            seconds,
            f"alertmanager thought {rounds} times",
        )

    def _configure(self) -> None:
        hook = {"url": self.receiver, "send_resolved": True}
        # JSON is YAML, too.
        document = {
            "global": {"resolve_timeout": self.resolve_timeout},
            "route": {
                "receiver": "hook",
                "group_by": list(self.group_by),
                "group_wait": self.group_wait,
                "group_interval": self.group_interval,
                "repeat_interval": self.repeat_interval,
            },
            "receivers": [
                {"name": "hook"} | ({"webhook_configs": [hook]} if self.receiver else {})
            ],
        }
        (self.folder / "alertmanager.yml").write_text(json.dumps(document))

    def _command(self) -> list[str]:
        self._configure()
        return [
            "prometheus-alertmanager",
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/data",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            f"--web.route-prefix={self.prefix or '/'}",
        ]


@contextmanager
def alertmanager(**options: Any) -> Iterator[AlertmanagerServer]:
    """An Alertmanager that runs meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-alertmanager-"))
    server = AlertmanagerServer(folder=folder, **options)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder)
