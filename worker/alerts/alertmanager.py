"""Sends alerts to one Alertmanager until it has taken them, and again until they are over.

Alertmanager's version 2 API: an alert without `endsAt` would end by itself, one that is over is
said with an `endsAt` that has passed, and a restart forgets all of them. So everything is said
again, every `resend_every`; what is sent is the present state, never a history of it, so that an
outage ends without a flood.

Times are sent by the Alertmanager's clock, as far as its answers tell it: by one that is set wrong
here an alert would have ended before it began, or an hour ago.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import structlog

from checks.contract import CheckError
from worker.alerts.answers import OK, meaning
from worker.client.credentials import credentials, tls
from worker.client.exchange import Exchange, Reply
from worker.config import AlertmanagerSettings, AlertsSettings
from worker.model.alert import StoredAlert
from worker.model.steady_clock import STEADY
from worker.state import LeaseLostError
from worker.text.encode import dump

BATCH = 50
"""Alerts of one request."""

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before an Alertmanager that failed is asked again; doubled each time."""

TICK = timedelta(milliseconds=1)
"""The shortest time that can be told to an Alertmanager."""

SKEW = timedelta(seconds=5)
"""By how much an Alertmanager's clock may seem to move; answers tell time to the second."""

NOTED = timedelta(seconds=60)
"""By how much its clock may differ from ours before somebody is told."""

_NOT_THIS_ONE = (400, 413, 422)
"""Answers about an alert, or about how many of them there are; all others are about the way."""

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
"""Told of each request, and of what is given up: the Alertmanager, `accepted`, `refused`, `failed`
or `given_up`, and how many alerts."""


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
        self._refused: dict[tuple[str, float], float] = {}
        """Since when each was refused (monotonic seconds)."""
        self._over: dict[tuple[str, float], float] = {}
        """Since when each alert that is over was known to be taken (monotonic seconds)."""
        self._began: datetime | None = None
        """What the Alertmanager's clock said when our monotonic one began; None until it is known.

        So no clock that anybody sets here moves an alert.
        """
        self._differs = False
        """Whether its clock and ours are known to differ."""
        self._failing_since: float | None = None
        self._failures = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._exchange: Exchange | None = None
        self._thread = threading.Thread(target=self._work, name=f"push {name}", daemon=True)

    @property
    def refused(self) -> int:
        """How many alerts it refused when they were last sent."""
        return len(self._refused)

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
        self._refused = {key: at for key, at in self._refused.items() if key in known}
        self._over = {key: at for key, at in self._over.items() if key in known}
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
        self._give_up()
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
        if reply.status == OK:
            self._taken(alerts)
        elif reply.status in _NOT_THIS_ONE and len(alerts) > 1:
            # The good ones of a batch were taken, but nobody says which those are.
            failures = [self._send([alert]) for alert in alerts]
            return next((each for each in failures if each), None)
        elif reply.status in _NOT_THIS_ONE:
            self._refuse(alerts[0], reply.status)
        else:
            self._said(self.name, "failed", len(alerts))
            return meaning(reply.status)
        return None

    def _learn_time(self, reply: Reply) -> None:
        """Take the Alertmanager's clock from an answer; ours where that says nothing."""
        ours = STEADY.now()
        try:
            theirs = parsedate_to_datetime(reply.date)
            ahead = theirs - ours
        except (ValueError, TypeError):  # no date, or one without a zone
            theirs, ahead = ours, timedelta()
        since_start = timedelta(seconds=time.monotonic())
        if self._began is None or abs(theirs - since_start - self._began) > SKEW:
            self._began = theirs - since_start
        if (abs(ahead) > NOTED) is not self._differs:
            self._differs = not self._differs
            seconds = round(ahead.total_seconds())
            differs = {"alertmanager": self.name, "ahead_seconds": seconds}
            _log.log(30 if self._differs else 20, "alertmanager_clock", **differs)

    def _now(self) -> datetime:
        """What time it is for the Alertmanager, as far as it is known."""
        began = self._began
        return STEADY.now() if began is None else began + timedelta(seconds=time.monotonic())

    def _post(self, alerts: Sequence[StoredAlert]) -> Reply:
        if self._began is None:  # or the first times that are sent might be wrong by hours
            self._ask("/api/v2/status", None)
        return self._ask("/api/v2/alerts", dump([self._alert(each) for each in alerts]).encode())

    def _ask(self, path: str, body: bytes | None) -> Reply:
        settings = self._settings
        headers = credentials(settings) | ({"Content-Type": "application/json"} if body else {})
        url = settings.url.rstrip("/") + path
        self._exchange = Exchange(url, body, headers, tls(settings))
        if self._stopping.is_set():
            raise CheckError("the worker is stopping")
        try:
            reply = self._exchange.reply(settings.time_limit.total_seconds())
        finally:
            self._exchange = None
        self._learn_time(reply)
        return reply

    def _alert(self, alert: StoredAlert) -> dict[str, Any]:
        draft, now = alert.draft, self._now()
        # Whatever clocks say, nothing began or ended later than now, or ended before it began.
        starts = now - TICK - _since(alert.starts_at)
        ends = now + self._expire
        if alert.ends_at is not None:
            ends = max(now - min(_since(alert.ends_at), self._expire), starts + TICK)
        return {
            "labels": draft.labels,
            "annotations": draft.annotations,
            "startsAt": _moment(starts),
            "endsAt": _moment(ends),
            "generatorURL": draft.annotations.get("page", ""),
        }

    def _taken(self, alerts: Sequence[StoredAlert]) -> None:
        now = time.monotonic()
        for alert in alerts:
            self._said_at[alert.version] = now
            self._refused.pop(alert.version, None)
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
        now = time.monotonic()
        self._said_at[alert.version] = now
        if alert.version not in self._refused:
            self._refused[alert.version] = now
            _log.warning("alert_refused", **self._named(alert), status=status)
        self._said(self.name, "refused", 1)

    def _give_up(self) -> None:
        """Let nothing wait for ever that is refused: an end is dropped, what fires is tried on."""
        past = time.monotonic() - self._resolved_for
        for alert in self._outbox.alerts_for(self.name):
            if alert.taken_at is None and self._refused.get(alert.version, past) < past:
                over = alert.ends_at is not None
                if over:
                    self._refused.pop(alert.version, None)
                self._outbox.settle_alerts([] if over else [alert], [alert] if over else [])
                state = "resolved" if over else "firing"
                _log.error("alert_given_up", **self._named(alert), status=state)
                self._said(self.name, "given_up", 1)

    def _named(self, alert: StoredAlert) -> dict[str, Any]:
        name = alert.draft.labels.get("alertname")
        return {"alertmanager": self.name, "check": alert.check, "alert": name}

    def _forget_old(self) -> None:
        now, alerts = time.monotonic(), self._outbox.alerts_for(self.name)
        over = [each for each in alerts if each.ends_at is not None and each.taken_at is not None]
        since = {each.version: self._over.setdefault(each.version, now) for each in over}
        old = [each for each in over if now - since[each.version] > self._resolved_for]
        self._outbox.settle_alerts([], old)

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


def _since(at: float) -> timedelta:
    """How long ago a moment was; no time where a clock that was ahead noted it."""
    return max(timedelta(), STEADY.now() - datetime.fromtimestamp(at, UTC))


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
