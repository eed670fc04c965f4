"""The running worker: everything wired together."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from checks.contract import Check, CheckError, RunStopped, Window
from worker import status
from worker.alerts.notifier import Paging
from worker.config import Config, ConfigError
from worker.model.finding import Transition
from worker.model.pause import Reason
from worker.model.run import Outcome, Run
from worker.scheduling.admission import Gate
from worker.scheduling.backpressure import Calm
from worker.scheduling.execute import execute, refused
from worker.scheduling.pauses import Pauses
from worker.scheduling.scheduler import Scheduler
from worker.sources import Sources
from worker.state import Lease, LeaseLostError, State, host_of
from worker.state.leader_election import Leading
from worker.state.read_scope import Windows
from worker.status import AlertmanagerStatus, DatabaseStatus, Known, Standby
from worker.telemetry import run_log
from worker.telemetry.edge_log import Surroundings
from worker.telemetry.metrics import Metrics
from worker.web import Web, pages

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Worker:
    """Schedules the checks of a configuration and shows what they find."""

    def __init__(self, current: Config) -> None:
        """Open the state and bind the HTTP address. Raises StateError or OSError."""
        self.metrics = Metrics()
        self._config = current
        self._around = Surroundings(self.metrics)
        self._stopping = False
        # So that no run says anything between the metrics of two configurations, or after the end.
        self._saying = threading.Lock()
        place = current.settings.state
        seconds = place.lease.total_seconds()
        shared = place.parsed.get_backend_name() != "sqlite"
        self._state = State(place, Lease(seconds, shared=shared))
        self._leading = Leading(self._state, seconds, self._play_part)
        self._leads = self._state.is_ours
        self._led_by = 0
        """The token by which we act; 0 for none."""
        # So that the part changes in one piece, and neither within a reload nor after the end.
        self._changing_part = threading.Lock()
        self._paging = Paging(self._state, self.metrics)
        self._pauses = Pauses(self._tell_paused)
        self._latest: dict[str, Run] = {}
        self.web = Web(
            current.settings.http,
            self._render,
            self._live,
            self._ready,
            pages(self._known, self._state, self._standby),
            on_web_config=self.metrics.web_config_loaded.set,
        )
        self._around.state(self._state.failure)
        if self._state.set_aside:
            _log.error("state_file_corrupt", moved_to=str(self._state.set_aside))
        self._adopt(current)
        self._say_part()

    def start(self) -> None:
        """Run checks and serve, on threads; returns at once."""
        self.web.start()
        with self._changing_part:
            self._act()
        self._leading.start()
        _log.info("worker_started", address=self.web.address, checks=len(self._config.checks))

    def stop(self) -> None:
        """Stop scheduling, end what is running on the databases, close everything."""
        with self._saying:
            self._stopping = True
        self._leading.stop()
        with self._changing_part:
            self._rest()
        self._state.give_lease_back()
        self.web.stop()
        self._state.close()
        _log.info("worker_stopped")

    def reload(self, load: Callable[[], Config]) -> None:
        """Take over another configuration, or keep this one when that has mistakes."""
        try:
            following = load()
        except ConfigError as error:
            self.metrics.config_loaded.set(0)
            _log.error("config_refused", mistakes=[str(each) for each in error.problems])
            return
        fixed = ("state", "http", "log")
        old, new = self._config.settings, following.settings
        changed = [name for name in fixed if getattr(old, name) != getattr(new, name)]
        with self._changing_part:
            self._begin_anew(following)
        self.metrics.config_loaded.set(1)
        _log.info("config_reloaded", checks=len(following.checks), needs_restart=changed)

    def _begin_anew(self, current: Config) -> None:
        """Act by a configuration, or wait with it, from what the state holds now."""
        self._rest()
        with self._saying:
            self._around.forget_databases()
            self._adopt(current)
        self._act()

    def _act(self) -> None:
        if self._leads:
            self._scheduler.start()
            self._paging.start()

    def _rest(self) -> None:
        self._scheduler.stop()
        self._sources.close()
        self._paging.stop()

    def _play_part(self) -> None:
        """Begin to act when we hold the lease, and cease when we do not."""
        with self._changing_part:
            leads, token = self._state.is_ours, self._token
            if self._stopping:
                return
            between = bool(leads and self._led_by and token != self._led_by)
            if leads != self._leads or between:  # another one acted, or acts
                if self._leads:
                    self._leading.lost()
                self._leads = leads
                self._begin_anew(self._config)
            if not leads or token != self._led_by:
                self._say_part()
            with self._saying:
                self._around.state(self._state.failure)

    @property
    def _token(self) -> int:
        return self._state.lease.token if self._state.lease else 0

    def _say_part(self) -> None:
        lease = self._state.lease
        self.metrics.lease_token.set(lease.latest.token if lease and lease.latest else 0)
        self._led_by = self._token if self._leads else 0
        if self._leads:
            self._leading.acquired()
        else:
            self._leading.waiting()

    def _adopt(self, current: Config) -> None:
        self._config = current
        self._sources = sources = Sources.of(current.settings)
        self._pauses.adopt(current.settings)
        tell = partial(self._tell_busy, sources)
        gate = Gate(
            self._pauses,
            {
                name: Calm(name, each.back_off, partial(sources.load, name), tell)
                for name, each in current.settings.databases.items()
            },
        )
        self._scheduler = Scheduler(
            current,
            # What an earlier configuration had queued finds that nobody asks any more.
            partial(self._run, sources),
            partial(self._identify, sources),
            self._around.missed,
            all_ran=self._on_all_ran,
            gate=gate,
        )
        scheduler = self._scheduler
        self._windows = Windows(
            current.settings, self._state, scheduler.intervals, scheduler.complete_gap
        )
        # At once, because pages are made on threads of their own.
        self._asked = (current, scheduler, sources, gate)
        self._run_log = run_log.RunLog(scheduler.intervals)
        if self._leads:
            try:
                self._adopt_state(current)
            except LeaseLostError:
                self._leading.look()
        else:
            self._latest.clear()
            with self.metrics.changing:
                self.metrics.forget(())

    def _adopt_state(self, current: Config) -> None:
        """Go on from what the state holds. Raises LeaseLostError."""
        names = [check.name for check in current.checks]
        if forgotten := self._state.forget_checks_except(names):
            _log.warning(
                "findings_forgotten",
                findings=sum(forgotten.values()),
                gone=sorted(forgotten),
                why="checks not configured",
            )
        self._latest = {name: run for name, run in self._latest.items() if name in names}
        self._paging.adopt(current, page := self._page(current))
        last, counts = self._state.last_runs(), self._state.counts()
        with self.metrics.changing:
            self.metrics.forget(current.checks)
            self.metrics.plan(current.checks, self._scheduler.intervals, last)
            self.metrics.count_findings(current.checks, counts)
            self.metrics.tell_paging(
                page, current.settings.alerts.push, current.settings.alertmanagers
            )

    def _run(self, sources: Sources, check: Check, complete: bool) -> float:  # noqa: FBT001 - a callback
        """The flow of one run, one way: window, outcome, state, metrics, log; its seconds."""
        with self._saying:  # from here to the end of it nobody closes the state
            if not self._still_asks(sources):
                return 0.0
            turn = self._token
            window = self._windows.of(check, complete=complete)
        run = self._executed(check, sources, window)
        transitions: tuple[Transition, ...] = ()
        try:
            with self._saying:
                transitions = self._keep(run, turn) if self._still_asks(sources) else ()
        except LeaseLostError:  # whoever has it runs the check himself
            self._leading.look()
        if self._state.is_ours:
            self._run_log.tell(run, self._paging.mask)
            run_log.log_transitions(transitions, self._paging.mask)
        return run.seconds

    def _executed(self, check: Check, sources: Sources, window: Window) -> Run:
        if check.follows and not self._state.is_known:
            return refused(check, "the state cannot be read: where to go on is not known")
        return execute(check, sources, window)

    def _still_asks(self, sources: Sources) -> bool:
        return sources is self._sources and not self._stopping and self._state.is_ours

    def _keep(self, run: Run, turn: int) -> tuple[Transition, ...]:
        if run.outcome is Outcome.SKIPPED:
            return ()
        transitions = self._state.record(run, turn)
        self._latest[run.check.name] = status.abridged(run)
        self._around.state(self._state.failure)
        if run.check.source_name == run.check.database:
            self._around.database(run.check.database, self._sources.unreachable(run.check.database))
        self._paging.changed()
        self.metrics.observe(run)
        self.metrics.count_findings([run.check], self._state.counts())
        return transitions

    def pause(self, *, on: bool) -> None:
        """Let no more runs begin, or let them begin again; running ones end by themselves."""
        self._pauses.signal(pause=on)

    def _tell_paused(self, reason: Reason, holds: bool) -> None:  # noqa: FBT001 - a callback
        self.metrics.paused.labels(reason).set(holds)

    def _tell_busy(self, sources: Sources, name: str, reason: str, busy: bool | None) -> None:  # noqa: FBT001
        with self._saying:
            if self._still_asks(sources):
                self.metrics.tell_busy(name, reason, busy)

    def _identify(self, sources: Sources, name: str) -> None:
        # A database that is being worked on is left alone.
        if self._pauses.now or not self._still_asks(sources):
            return
        try:
            identity = sources.identify(name)
        except RunStopped:
            return
        except CheckError:
            identity = None
        with self._saying:
            if self._still_asks(sources):
                self._around.database(name, sources.unreachable(name))
                if identity:
                    self._around.identified(identity)

    def _on_all_ran(self) -> None:
        last = self._state.last_runs()
        outcomes = Counter(last[c.name].outcome for c in self._config.checks if c.name in last)
        _log.info("worker_ready", address=self.web.address, outcomes=dict(outcomes))

    def _known(self) -> Known:
        """What pages show beside the state."""
        current, scheduler, sources, gate = self._asked
        pending = dict(self.metrics.outbox.pending)
        now = time.time()
        return Known(
            checks=current.checks,
            intervals=scheduler.intervals,
            next_run=scheduler.next_run,
            databases=tuple(
                DatabaseStatus(
                    name,
                    each.environment,
                    sources.unreachable(name),
                    self._around.identities.get(name),
                    gate.busy(name),
                )
                for name, each in current.settings.databases.items()
            ),
            latest=dict(self._latest),
            complaint=scheduler.complaint(),
            mask=self._paging.mask,
            zone=ZoneInfo(current.settings.timezone),
            alertmanagers=tuple(
                AlertmanagerStatus(name, number, now - since if number else 0.0)
                for name, (number, since) in sorted(pending.items())
            ),
            pauses=self._pauses.now,
        )

    def _page(self, current: Config) -> str:
        """Where people reach the pages, as far as anybody can tell."""
        if current.settings.http.external_url:
            return current.settings.http.external_url.rstrip("/")
        everywhere = current.settings.http.host in ("0.0.0.0", "::", "")  # noqa: S104 - compared
        if everywhere:
            return f"http://{socket.gethostname()}:{self.web.address.rpartition(':')[2]}"
        return self.web.address

    def _render(self, accept: str) -> tuple[bytes, str]:
        return self.metrics.render(accept, leads=self._leads and self._state.is_ours)

    def _standby(self) -> Standby | None:
        """What a standby knows; None while we lead."""
        if self._leads and self._state.is_ours:
            return None
        latest = self._state.lease and self._state.lease.latest
        if not latest or latest.ours or not latest.holder:
            return Standby(None, None)
        return Standby(host_of(latest.holder), latest.since)

    def _live(self) -> tuple[bool, str]:
        if not self._leading.is_alive:
            return False, "nobody keeps the lease"
        if not self._leads:
            return True, "alive, a standby"
        complaint = self._scheduler.complaint()
        return complaint is None, complaint or "alive"

    def _ready(self) -> tuple[bool, str]:
        if self._stopping:
            return False, "stopping"
        if standby := self._standby():
            return True, f"ready to take over: {standby}"
        if pauses := self._pauses.now:
            return True, f"paused: {', '.join(each.reason for each in pauses)}"
        if waiting := self._scheduler.waiting_for_first_run():
            return False, f"{waiting} checks have not run yet"
        return True, "ready"
