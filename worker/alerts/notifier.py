"""The alerts of a configuration: which ones there are to be, and whoever sends them."""

from worker.alerts.alertmanager import Push
from worker.alerts.payload import Drafts
from worker.config import Config
from worker.state import State
from worker.telemetry.metrics import Metrics
from worker.text.redact import Mask


class Paging:
    """Tells every configured Alertmanager, and the metrics what is still to be told."""

    def __init__(self, state: State, metrics: Metrics) -> None:
        self.mask = Mask(secret=state.masking_secret.encode())
        self._state = state
        self._metrics = metrics
        self._pushes: tuple[Push, ...] = ()

    def adopt(self, current: Config, page: str) -> None:
        """Write alerts by this configuration from now on. `page` is where people reach us."""
        settings = current.settings
        self.mask = Mask(settings.privacy.personal, self._state.masking_secret.encode())
        self._state.adopt_policy(Drafts(settings, page, self.mask), current.checks)
        self._pushes = tuple(
            Push(name, each, settings.alerts, self._state, self._said)
            for name, each in settings.alertmanagers.items()
        )

    def start(self) -> None:
        """Send, on threads."""
        for push in self._pushes:
            push.start()
        self.changed()

    def stop(self) -> None:
        """Send no more; what waits is kept."""
        for push in self._pushes:
            push.stop()
        self._pushes = ()

    def changed(self) -> None:
        """Look at what is to be sent: a run may have changed it."""
        for push in self._pushes:
            self._count(push.name)
            push.wake()

    def _said(self, alertmanager: str, outcome: str, number: int) -> None:
        self._metrics.sent.labels(alertmanager, outcome).inc(number)
        self._count(alertmanager)

    def _count(self, alertmanager: str) -> None:
        self._metrics.outbox.pending[alertmanager] = self._state.pending_alerts(alertmanager)
