"""The alerts of a configuration: which ones there are to be, and whoever sends them."""

import threading
import time

from worker.alerts.alertmanager import Push
from worker.alerts.payload import Drafts
from worker.config import Config
from worker.model.steady_clock import STEADY
from worker.state import State
from worker.telemetry.metrics import Metrics
from worker.telemetry.metrics.outbox import Pending
from worker.text.redact import Mask


class Notifier:
    """Sends the alerts of one configuration, and exports how many still wait."""

    def __init__(self, config: Config, page: str, state: State, metrics: Metrics) -> None:
        """`page` is where people reach the status page."""
        settings = config.settings
        self.mask = Mask(settings.privacy.personal, state.masking_secret.encode())
        self._config = config
        self._page = page
        self._state = state
        self._metrics = metrics
        self._exporting = threading.Lock()
        self._stopped = False
        self._waits: dict[str, dict[str, float]] = {}
        """By Alertmanager and alert: since when it waits, in monotonic seconds."""
        self._pushes = tuple(
            Push(name, each, settings.alerts, state, self._sent)
            for name, each in settings.alertmanagers.items()
        )

    def adopt(self) -> None:
        """Have the state write alerts by this configuration. Raises LeaseLostError."""
        policy = Drafts(self._config.settings, self._page, self.mask)
        self._state.adopt_policy(policy, self._config.checks)

    def export(self) -> None:
        """Export where the pages are, and which alerts are sent directly and to whom."""
        settings = self._config.settings
        self._metrics.tell_paging(self._page, settings.alerts.push, settings.alertmanagers)

    def start(self) -> None:
        """Send, on threads."""
        for push in self._pushes:
            push.start()
        self.changed()

    def stop(self) -> None:
        """Send no more; what waits is kept."""
        for push in self._pushes:
            push.stop()
        with self._exporting:  # an answer that is still awaited is another session's affair
            self._stopped = True

    def changed(self) -> None:
        """Send what a run may have changed."""
        for push in self._pushes:
            self._count(push)
            push.wake()

    def _sent(self, alertmanager: str, outcome: str, number: int) -> None:
        with self._exporting:
            if not self._stopped:
                self._metrics.sent.labels(alertmanager, outcome).inc(number)
        self._count(next(each for each in self._pushes if each.name == alertmanager))

    def _count(self, push: Push) -> None:
        """Export what waits. Ages are counted by a clock that nobody sets, once they are known."""
        with self._exporting:
            if self._stopped:
                return
            now, elapsed = STEADY.seconds(), time.monotonic()
            before = self._waits.get(push.name, {})
            self._waits[push.name] = waits = {
                identity: before.get(identity, elapsed - max(0.0, now - since))
                for identity, since in self._state.pending_alerts(push.name).items()
            }
            pending = Pending(len(waits), min(waits.values(), default=elapsed), push.refused)
            self._metrics.outbox.pending[push.name] = pending
