"""A session: built whole, adopted, started, and closed once."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from worker.alerts.notifier import Notifier
from worker.config import Config, HttpSettings, Settings
from worker.model.run import Run
from worker.model.server import Origin
from worker.scheduling.admission import Admission
from worker.scheduling.backpressure import Backpressure
from worker.scheduling.scheduler import Scheduler
from worker.scheduling.triggers import Intervals
from worker.session.runner import Runner
from worker.session.services import Services
from worker.sources import Sources
from worker.state import LeaseLostError
from worker.state.leader_election import STANDBY
from worker.state.read_scope import ReadScope
from worker.telemetry.run_log import RunLog, tell

NO_RUNS: Mapping[str, Run] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Session:
    """One configuration under one term of the lease.

    A reload, and each change of who leads, makes another one.
    """

    services: Services
    config: Config
    term: int
    """That of the leader election under which it acts; STANDBY for one that only waits."""
    sources: Sources
    intervals: Intervals
    notifier: Notifier
    runner: Runner
    admission: Admission
    scheduler: Scheduler

    @classmethod
    def of(
        cls, config: Config, term: int, services: Services, before: "Session | None" = None
    ) -> "Session":
        """Build it; touches neither state nor metrics, and starts nothing.

        `before` is the session that it is to replace.
        """
        settings, state = config.settings, services.state
        sources, intervals = Sources.of(settings), Intervals.of(config)
        page = _page(settings.http, services.address)
        notifier = Notifier(config, page, state, services.metrics)
        runner = Runner(
            services,
            term,
            sources=sources,
            read_scope=ReadScope(settings, state, intervals.checks, intervals.complete),
            run_log=RunLog(intervals.checks),
            notifier=notifier,
        )
        if before and before.term == term:
            runner.latest |= before.latest_of(config)
        admission = _admission(settings, services, sources, runner)
        scheduler = Scheduler(
            config,
            intervals,
            runner.run,
            runner.identify,
            runner.note_missed,
            all_ran=partial(runner.note_all_ran, config.checks),
            admission=admission,
        )
        return cls(
            services=services,
            config=config,
            term=term,
            sources=sources,
            intervals=intervals,
            notifier=notifier,
            runner=runner,
            admission=admission,
            scheduler=scheduler,
        )

    @property
    def is_standby(self) -> bool:
        """Whether it was made to wait for the lease, and does nothing else."""
        return self.term == STANDBY

    @property
    def leads(self) -> bool:
        """Whether this is the leader's; also for the moment in which the next one takes over."""
        return self.services.election.is_current(self.term)

    def latest_of(self, config: Config) -> dict[str, Run]:
        """The latest runs of the checks that another configuration has, too."""
        names = {check.name for check in config.checks}
        return {name: run for name, run in self.runner.latest.items() if name in names}

    def adopt(self) -> None:
        """Turn pauses, metrics and, for a leader, the state to this configuration."""
        self.services.edges.forget_databases()
        self.services.pauses.adopt(self.config.settings)
        try:
            if self.is_standby:
                self._forget_metrics()
            else:
                self._adopt_state()
        except LeaseLostError:
            self.services.election.renew_now()

    def start(self) -> None:
        """Run checks and send alerts, on threads; a standby does neither."""
        if not self.is_standby:
            self.scheduler.start()
            self.notifier.start()

    def close(self) -> None:
        """End what is running and leave no trace from then on."""
        self.scheduler.stop()
        self.sources.close()
        self.notifier.stop()
        self.runner.close()

    def _adopt_state(self) -> None:
        checks, state, metrics = self.config.checks, self.services.state, self.services.metrics
        state.forget_checks_except(check.name for check in checks)
        self.notifier.adopt()
        # Of what was forgotten just now, and of what a process that was killed has not told.
        untold = state.untold_events()
        tell(untold, self.notifier.mask)
        state.told(untold)
        last, counts = state.last_runs(), state.counts()
        with metrics.changing:
            metrics.forget(checks)
            metrics.tell_origins(self._origins)
            metrics.plan(checks, self.intervals.checks, last)
            metrics.count_findings(checks, counts)
            self.notifier.export()

    def _forget_metrics(self) -> None:
        metrics = self.services.metrics
        with metrics.changing:
            metrics.forget(())
            metrics.tell_origins(self._origins)

    @property
    def _origins(self) -> tuple[Origin, ...]:
        settings = self.config.settings
        return tuple(settings.origin(name) for name in settings.databases)


def _admission(
    settings: Settings, services: Services, sources: Sources, runner: Runner
) -> Admission:
    servers = {
        name: Backpressure(name, each.back_off, partial(sources.load, name), runner.note_busy)
        for name, each in settings.databases.items()
    }
    return Admission(services.pauses, servers)


def _page(http: HttpSettings, address: str) -> str:
    """Where people reach the pages, as far as anybody can tell."""
    if http.external_url:
        return http.external_url.rstrip("/")
    everywhere = http.host in ("0.0.0.0", "::", "")  # noqa: S104 - compared
    return f"http://{socket.gethostname()}:{address.rpartition(':')[2]}" if everywhere else address
