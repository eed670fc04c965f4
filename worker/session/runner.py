"""The flow of one run: read scope, execution, state, metrics, log."""

import threading
from collections import Counter
from collections.abc import Iterable

import structlog

from checks.contract import Check, CheckError, RunStopped, Window
from worker import status
from worker.alerts.notifier import Notifier
from worker.model.finding import Transition
from worker.model.log_event import log_events
from worker.model.run import Outcome, Run
from worker.scheduling.execute import execute, refused
from worker.session.services import Services
from worker.sources import Sources
from worker.state import LeaseLostError
from worker.state.read_scope import ReadScope
from worker.telemetry.run_log import RunLog, tell

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Runner:
    """Runs the checks of one session, and records what they see for as long as it acts.

    Once it is closed, or the lease is another one, nothing that it does leaves a trace.
    """

    def __init__(
        self,
        services: Services,
        term: int,
        *,
        sources: Sources,
        read_scope: ReadScope,
        run_log: RunLog,
        notifier: Notifier,
    ) -> None:
        """`term` is that of the leader election when the session was made."""
        self.latest: dict[str, Run] = {}
        """The latest run of each check, without its findings."""
        self._services = services
        self._term = term
        self._sources = sources
        self._read_scope = read_scope
        self._run_log = run_log
        self._notifier = notifier
        self._recording = threading.Lock()
        """Held while something is recorded: all of it or nothing comes before the end."""
        self._closed = False

    @property
    def acts(self) -> bool:
        """Whether what it sees counts."""
        return not self._closed and self._services.election.is_current(self._term)

    def close(self) -> None:
        """Record nothing from now on; waits for what is being recorded."""
        with self._recording:
            self._closed = True

    def run(self, check: Check, complete: bool) -> float:  # noqa: FBT001 - a callback
        """Run a check, reading everything or what is new; the seconds that it took."""
        with self._recording:
            if not self.acts:
                return 0.0
            window = self._read_scope.of(check, complete=complete)
        run = self._execute(check, window)
        try:
            with self._recording:
                if self.acts:
                    self._finish(run)
        except LeaseLostError:  # the worker that has it runs the check, too
            self._services.election.renew_now()
        return run.seconds

    def identify(self, database: str) -> None:
        """Ask a database who it is, unless runs are paused: it may be worked on."""
        if self._services.pauses.now or not self.acts:
            return
        try:
            identity = self._sources.identify(database)
        except RunStopped:
            return
        except CheckError:
            identity = None
        with self._recording:
            if self.acts:
                self._services.edges.database(database, self._sources.unreachable(database))
                if identity:
                    self._services.edges.identified(identity)

    def note_missed(self, check: Check, reason: str, number: int) -> None:
        """Count runs that did not begin."""
        with self._recording:
            if self.acts:
                self._services.edges.missed(check, reason, number)

    def note_busy(self, database: str, reason: str, busy: bool | None) -> None:  # noqa: FBT001
        """Export whether a database is too busy for runs; None where nobody knows."""
        with self._recording:
            if self.acts:
                self._services.metrics.tell_busy(database, reason, busy)

    def note_all_ran(self, checks: Iterable[Check]) -> None:
        """Log that every check with an interval has run, and how the runs ended."""
        last = self._services.state.last_runs()
        outcomes = Counter(last[each.name].outcome for each in checks if each.name in last)
        _log.info("worker_ready", address=self._services.address, outcomes=dict(outcomes))

    def _execute(self, check: Check, window: Window) -> Run:
        if check.follows and not self._services.state.is_known:
            return refused(check, "the state cannot be read: where to go on is not known")
        return execute(check, self._sources, window)

    def _finish(self, run: Run) -> None:
        transitions = () if run.outcome is Outcome.SKIPPED else self._record(run)
        self._run_log.tell(run, self._notifier.mask)
        events = log_events(transitions)
        tell(events, self._notifier.mask)
        self._services.state.told(events)
        # Last: what it writes when alerts are taken notes what was told, too.
        self._notifier.changed()

    def _record(self, run: Run) -> tuple[Transition, ...]:
        """State first, then metrics. Raises LeaseLostError, having changed nothing."""
        state, metrics, edges = self._services.state, self._services.metrics, self._services.edges
        transitions = state.record(run, max(self._term, 0))  # UNNUMBERED proves nothing
        self.latest[run.check.name] = status.abridged(run)
        edges.state(state.failure)
        if run.check.source_name == run.check.database:
            edges.database(run.check.database, self._sources.unreachable(run.check.database))
        metrics.observe(run)
        metrics.count_findings([run.check], state.counts())
        return transitions
