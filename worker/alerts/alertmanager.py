"""Sends alerts to one Alertmanager until it has taken them, and again until they are over.

Alertmanager's version 2 API: an alert without `endsAt` would end by itself, one that is over is
said with an `endsAt` that has passed, and a restart forgets all of them. So everything is said
again, every `resend_every`; what is sent is the present state, never a history of it, so that an
outage ends without a flood.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from checks.contract import CheckError
from worker.client.credentials import credentials, tls
from worker.client.exchange import Exchange, Reply
from worker.config import AlertmanagerSettings, AlertsSettings
from worker.model.alert import StoredAlert
from worker.state import LeaseLostError
from worker.text.encode import dump

BATCH = 50
"""Alerts of one request."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before an Alertmanager that failed is asked again; doubled each time."""

_OK, _BAD = 200, 400

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Outbox(Protocol):
    """Where alerts wait; the state."""

    @property
    def is_ours(self) -> bool:
        """Whether we may act on it."""

    def alerts_for(self, alertmanager: str) -> list[StoredAlert]:
        """All that an Alertmanager is to know, what has waited longest first."""

    def settle_alerts(self, taken: list[StoredAlert], over: list[StoredAlert]) -> None:
        """Note which alerts were taken, and forget which have been over for long enough."""


Said = Callable[[str, str, int], None]
"""Told of each request: the Alertmanager, `accepted`, `refused` or `failed`, and how many."""


class Push:
    """Keeps one Alertmanager told, on a thread of its own."""

    def __init__(
        self,
        name: str,
        settings: AlertmanagerSettings,
        alerts: AlertsSettings,
        outbox: Outbox,
        said: Said,
    ) -> None:
        self.name = name
        self._settings = settings
        self._resend = alerts.resend_every.total_seconds()
        self._expire = alerts.expire_after
        self._resolved_for = alerts.resolved_for.total_seconds()
        self._outbox = outbox
        self._said = said
        self._said_at: dict[tuple[str, float], float] = {}
        """When each alert, as it last changed, was last said (monotonic seconds)."""
        self._refused: set[tuple[str, float]] = set()
        self._failing_since: float | None = None
        self._failures = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._exchange: Exchange | None = None
        self._thread = threading.Thread(target=self._work, name=f"push {name}", daemon=True)

    def start(self) -> None:
        """Begin with all that waits."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something may have changed; returns at once."""
        self._wake.set()

    def stop(self) -> None:
        """End, without waiting for an answer; what was not taken is sent after the next start."""
        self._stopping.set()
        self._wake.set()
        if exchange := self._exchange:
            exchange.end(CheckError("the worker is stopping"))
        if self._thread.ident:
            self._thread.join(2)

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait = self._turn()
            except LeaseLostError:
                wait = FIRST_WAIT  # whoever holds it sends what is to be sent
            except Exception as error:  # noqa: BLE001 - a fault here must not end all paging
                # Its text may hold what was sent.
                wait = self._failed(f"fault in the worker: {type(error).__name__}")
            if self._failures:
                self._stopping.wait(wait)  # whatever else changes meanwhile waits as well
            else:
                self._wake.wait(wait)

    def _turn(self) -> float:
        """Send what is due; the seconds until something is."""
        alerts = self._outbox.alerts_for(self.name)
        known = {alert.version for alert in alerts}
        self._said_at = {key: at for key, at in self._said_at.items() if key in known}
        self._refused &= known
        due = [alert for alert in alerts if self._due_in(alert) <= 0]
        for first in range(0, len(due), BATCH):
            if self._stopping.is_set():
                return 0.0
            if not self._outbox.is_ours:  # as late as can be: we may have slept
                return FIRST_WAIT
            if failure := self._send(due[first : first + BATCH]):
                return self._failed(failure)
        self._failures = 0
        if due:
            self._worked()
        self._forget_old()
        return min((self._due_in(alert) for alert in alerts), default=self._resend)

    def _due_in(self, alert: StoredAlert) -> float:
        said_at = self._said_at.get(alert.version)
        return 0.0 if said_at is None else said_at + self._resend - time.monotonic()

    def _send(self, alerts: Sequence[StoredAlert]) -> str | None:
        """Say some alerts; tells why that failed, if it did."""
        try:
            reply = self._post(alerts)
        except CheckError as error:
            self._said(self.name, "failed", len(alerts))
            return str(error)
        if reply.status == _OK:
            self._taken(alerts)
        elif reply.status == _BAD and len(alerts) > 1:
            # The good ones of a batch were taken, but nobody says which those are.
            failures = [self._send([alert]) for alert in alerts]
            return next((each for each in failures if each), None)
        elif reply.status == _BAD:
            self._refuse(alerts[0], reply.status)
        else:
            self._said(self.name, "failed", len(alerts))
            return f"answered with status {reply.status}"
        return None

    def _post(self, alerts: Sequence[StoredAlert]) -> Reply:
        settings = self._settings
        body = dump([self._alert(alert) for alert in alerts]).encode()
        headers = credentials(settings) | {"Content-Type": "application/json"}
        url = settings.url.rstrip("/") + "/api/v2/alerts"
        self._exchange = Exchange(url, body, headers, tls(settings))
        if self._stopping.is_set():
            raise CheckError("the worker is stopping")
        try:
            return self._exchange.reply(settings.time_limit.total_seconds())
        finally:
            self._exchange = None

    def _alert(self, alert: StoredAlert) -> dict[str, Any]:
        draft = alert.draft
        ends = datetime.now(UTC) + self._expire
        if alert.ends_at is not None:
            ends = datetime.fromtimestamp(alert.ends_at, UTC)
        return {
            "labels": draft.labels,
            "annotations": draft.annotations,
            "startsAt": _moment(datetime.fromtimestamp(alert.starts_at, UTC)),
            "endsAt": _moment(ends),
            "generatorURL": draft.annotations.get("page", ""),
        }

    def _taken(self, alerts: Sequence[StoredAlert]) -> None:
        now = time.monotonic()
        self._said_at |= {alert.version: now for alert in alerts}
        news = [alert for alert in alerts if alert.taken_at is None]
        self._outbox.settle_alerts(news, [])
        for alert in news:
            if alert.ends_at is not None:
                _log.info("alert_delivered", **self._named(alert), status="resolved")
            elif alert.changed_at == alert.starts_at:  # new contents are not worth a line
                _log.info("alert_delivered", **self._named(alert), status="firing")
        self._said(self.name, "accepted", len(alerts))

    def _refuse(self, alert: StoredAlert, status: int) -> None:
        """Leave an alert waiting; it is tried again with the others."""
        self._said_at[alert.version] = time.monotonic()
        self._said(self.name, "refused", 1)
        if alert.version not in self._refused:
            self._refused.add(alert.version)
            _log.warning("alert_refused", **self._named(alert), status=status)

    def _named(self, alert: StoredAlert) -> dict[str, Any]:
        name = alert.draft.labels.get("alertname")
        return {"alertmanager": self.name, "check": alert.check, "alert": name}

    def _forget_old(self) -> None:
        past = (datetime.now(UTC) - timedelta(seconds=self._resolved_for)).timestamp()
        self._outbox.settle_alerts(
            [],
            [
                alert
                for alert in self._outbox.alerts_for(self.name)
                if alert.ends_at is not None and alert.taken_at and alert.taken_at < past
            ],
        )

    def _failed(self, why: str) -> float:
        """Note a failure; the seconds to wait, a little at random so that not all come at once."""
        if self._stopping.is_set():
            return 0.0
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            _log.warning("alert_delivery_failed", alertmanager=self.name, error=why)
        self._failures += 1
        longest = min(LONGEST_WAIT, self._resend, FIRST_WAIT * 2.0 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.75, 1.0)  # noqa: S311 - no secret

    def _worked(self) -> None:
        if self._failing_since is not None:
            seconds = round(time.monotonic() - self._failing_since, 3)
            _log.info("alert_delivery_recovered", alertmanager=self.name, seconds=seconds)
        self._failing_since = None


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
