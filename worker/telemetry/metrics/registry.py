"""Every metric that checks and process set; with those beside it, all that are exported."""

import platform
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from checks.contract import Check
from checks.registry import KINDS
from checks.types import Severity
from worker.model.finding import Counts, FindingState
from worker.model.run import LastRun, Outcome, Run, Scope
from worker.model.server import Identity, Origin
from worker.telemetry.metrics.outbox import Outbox
from worker.telemetry.metrics.samples import Samples

_OF_CHECK = ("check", "kind", "table", "severity")
_OF_DATABASE = (
    *("database", "environment", "host", "port", "schema", "server", "version", "time_zone"),
    "tls",
)
_OF_AN_ORIGIN = ("environment", "database", "address")
_OF_A_STANDBY = (
    "reconciler_origin_info",
    *("reconciler_up", "reconciler_leader", "reconciler_state_lease_token", "reconciler_state_up"),
    *("reconciler_build_info", "reconciler_config_last_reload_successful"),
    "reconciler_http_connections_closed_total",
)
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 5, 15, 30, 60)


class Metrics:
    """The worker's registry. Labels come from configuration and enums, never from rows."""

    def __init__(self) -> None:
        self.changing = threading.Lock()
        """Held while another configuration takes over: a scrape that saw half of it would resolve
        alerts."""
        disable_created_metrics()
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"reconciler_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"reconciler_{name}", text, labels, registry=registry)

        self.violations = gauge(
            "check_violations",
            "Violations in the latest run; absent while the check cannot tell.",
            *_OF_CHECK,
        )
        self.outcome = gauge(
            "check_outcome",
            "1 on the outcome of the latest run, 0 on the others.",
            "check",
            "outcome",
        )
        self.runs = counter("check_runs", "Runs by outcome.", "check", "outcome")
        self.duration = Histogram(
            "reconciler_check_run_duration_seconds",
            "How long a run took.",
            ("check",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.examined = counter("check_rows_examined", "Rows that completed runs judged.", "check")
        self.last_completed = gauge(
            "check_last_completed_timestamp_seconds",
            "When a run last answered the check's question (Unix time).",
            "check",
            "scope",
        )
        self.interval = gauge(
            "check_interval_seconds", "Time between two runs as configured.", "check"
        )
        self.findings = gauge(
            "findings",
            "Unresolved findings by state, unlisted ones included; a failed run leaves them.",
            *_OF_CHECK,
            "state",
            *_OF_AN_ORIGIN,
        )
        self.missed = counter(
            "scheduler_missed_runs",
            "Runs that did not start when due: overlap, late after a pause, or a busy database.",
            "check",
            "reason",
        )
        self.database_up = gauge(
            "database_up", "Whether the database could be read at the latest try.", "database"
        )
        self.database_info = gauge(
            "database_info",
            "Always 1; the labels say which server the connections really speak to.",
            *_OF_DATABASE,
        )
        self.database_writable = gauge(
            "database_writable",
            "Whether the account has privileges beyond reading; should be 0.",
            "database",
        )
        self.database_busy = gauge(
            "database_busy",
            "1 while runs on the database are put off for this reason; absent where nobody knows.",
            "database",
            "reason",
        )
        self.paused = gauge("paused", "1 while no run begins for this reason.", "reason")
        self.state_up = gauge("state_up", "Whether runs and findings are being kept on disk.")
        self.leader = gauge("leader", "1 while this worker acts, 0 while it is a standby.")
        self.lease_token = gauge(
            "state_lease_token", "Fencing token of the lease; grows with each change of its holder."
        )
        self.config_loaded = gauge(
            "config_last_reload_successful", "Whether the latest configuration was accepted."
        )
        self.web_config_loaded = gauge(
            "web_config_last_reload_successful",
            "Whether the latest web configuration file and its certificates were accepted.",
        )
        self.web_config_loaded.set(1)
        self.crowded = counter(
            "http_connections_closed",
            "Connections that were closed because there were too many, or no descriptor was left.",
        )
        self.origin = gauge(
            "origin_info",
            "Every audited database as configured: 1 for the first, 0 for the others.",
            *_OF_AN_ORIGIN,
        )
        self.page = gauge(
            "page_info", "Always 1; the label says where people reach the status page.", "url"
        )
        self.pushed = gauge(
            "alerts_pushed",
            "1 where the worker itself sends the alerts of a severity, and rules must not.",
            "severity",
        )
        self.sent = counter(
            "alerts_sent",
            "Alerts sent to an Alertmanager: accepted, refused, failed on the way, or given up.",
            "alertmanager",
            "outcome",
        )
        self.outbox = Outbox()
        registry.register(self.outbox)
        self.of_kinds = Samples(family for kind in KINDS for family in kind.card.families)
        registry.register(self.of_kinds)
        self.up = gauge("up", "1 while the worker runs.")
        build = gauge("build_info", "Always 1.", "version", "python")
        build.labels(version("reconciler"), platform.python_version()).set(1)
        self.up.set(1)
        self.state_up.set(1)
        self.leader.set(1)
        self.config_loaded.set(1)
        self._info: dict[str, tuple[str, ...]] = {}
        self._planned: set[str] = set()
        self._origins: dict[str, Origin] = {}

    def render(
        self, accept: str, names: Collection[str] = (), *, leads: bool = True
    ) -> tuple[bytes, str]:
        """The exposition and its content type, in the format that the client accepts.

        Of those metrics alone that `names` has, or the name of a series of theirs, if there are
        any. A standby says nothing of checks, findings, databases and alerts.
        """
        encode, content_type = choose_encoder(accept)
        with self.changing:
            self.leader.set(leads)
            said = self.registry if leads else self.registry.restricted_registry(_OF_A_STANDBY)
            return encode(_Only(said, frozenset(names)) if names else said), content_type

    def plan(
        self,
        checks: Iterable[Check],
        intervals: Mapping[str, timedelta],
        last: Mapping[str, LastRun],
    ) -> None:
        """Make room for these checks; what earlier processes knew of them is said again."""
        checks = tuple(checks)
        self._planned = {check.name for check in checks}
        for check in checks:
            self.interval.labels(check.name).set(intervals[check.name].total_seconds())
            self.duration.labels(check.name)
            self.examined.labels(check.name)
            for outcome in Outcome:
                self.runs.labels(check.name, outcome)
            remembered = last.get(check.name)
            for scope, when in (remembered.completed if remembered else {}).items():
                self._completed(check, scope, when)

    def observe(self, run: Run) -> None:
        """Say what a run saw, or withdraw what the one before it said."""
        check, result = run.check, run.result
        self.runs.labels(check.name, run.outcome).inc()
        self.duration.labels(check.name).observe(run.seconds)
        for outcome in Outcome:
            self.outcome.labels(check.name, outcome).set(outcome is run.outcome)
        if result is None:
            self._withdraw(check)
            if run.kept:
                self.of_kinds.take(check.name, run.kept.samples)
            return
        self.violations.labels(*_labels(check)).set(result.violations)
        self.examined.labels(check.name).inc(result.examined)
        self._completed(check, run.scope, run.ended_at)
        self.of_kinds.take(check.name, result.samples)

    def tell_paging(
        self, page: str, pushed: Collection[Severity], alertmanagers: Iterable[str]
    ) -> None:
        """Say where the pages are, and which alerts are sent directly and to whom."""
        self.page.labels(page).set(1)
        for severity in Severity:
            self.pushed.labels(severity).set(severity in pushed)
        for name in alertmanagers:
            for outcome in ("accepted", "refused", "failed", "given_up"):
                self.sent.labels(name, outcome)

    def tell_origins(self, origins: Iterable[Origin]) -> None:
        """Say which systems are audited, in place of what was said before; the main one first."""
        self._origins = {each.database: each for each in origins}
        self.origin.clear()
        for number, each in enumerate(self._origins.values()):
            self.origin.labels(*_of_origin(each)).set(number == 0)

    def count_findings(self, checks: Iterable[Check], counts: Counts) -> None:
        """Say how many findings the state holds; zero is said, too."""
        for check in checks:
            for state in FindingState:
                if state is FindingState.RESOLVED:
                    continue
                number = counts.get((check.name, state), 0)
                labels = (*_labels(check), state, *_of_origin(self._origin_of(check)))
                self.findings.labels(*labels).set(number)

    def identify(self, identity: Identity) -> None:
        """Say which server a database is."""
        labels = tuple(str(getattr(identity, name)) for name in _OF_DATABASE)
        if old := self._info.get(identity.database):
            self.database_info.remove(*old)
        self._info[identity.database] = labels
        self.database_info.labels(*labels).set(1)
        self.database_writable.labels(identity.database).set(bool(identity.writable))

    def tell_busy(self, database: str, reason: str, busy: bool | None) -> None:  # noqa: FBT001
        """Say whether runs are put off for a reason, or withdraw it where nobody knows."""
        if busy is None:
            self.database_busy.remove(database, reason)
        else:
            self.database_busy.labels(database, reason).set(busy)

    def forget(self, staying: Iterable[Check]) -> None:
        """Drop all gauges, and the counters of checks that go, before another configuration."""
        for gauge in (
            *(self.violations, self.outcome, self.interval, self.last_completed, self.findings),
            *(self.database_up, self.database_info, self.database_writable, self.database_busy),
            *(self.page, self.pushed),
        ):
            gauge.clear()
        self.of_kinds.clear()
        self.outbox.pending.clear()
        self._info.clear()
        for gone in self._planned - {check.name for check in staying}:
            for counter in (self.runs, self.duration, self.examined, self.missed):
                counter.remove_by_labels({"check": gone})

    def _origin_of(self, check: Check) -> Origin:
        """That of its database; of a check that reads none, that of the main one."""
        main = next(iter(self._origins.values()), Origin("", check.database, ""))
        return self._origins.get(check.database, main)

    def _withdraw(self, check: Check) -> None:
        self.violations.remove(*_labels(check))
        self.of_kinds.withdraw(check.name)

    def _completed(self, check: Check, scope: Scope, when: datetime) -> None:
        self.last_completed.labels(check.name, scope).set(when.timestamp())


class _Only:
    """What a collector says of some names.

    The library's own way misses what is made only as it is asked.
    """

    def __init__(self, of: Collector, names: frozenset[str]) -> None:
        self._of, self._names = of, names

    def collect(self) -> Iterator[Metric]:
        """Whole metrics: those that have one of these names, or a series of such a name."""
        for family in self._of.collect():
            if not self._names.isdisjoint({family.name, *(each.name for each in family.samples)}):
                yield family


def _of_origin(origin: Origin) -> tuple[str, str, str]:
    return origin.environment, origin.database, origin.instance


def _labels(check: Check) -> tuple[str, str, str, str]:
    return check.name, check.kind, check.table, check.severity
