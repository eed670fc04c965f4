"""The running worker: its parts wired together, and the session that it works by."""

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from worker.config import Config, ConfigError, StateSettings
from worker.model.pause import Reason
from worker.scheduling.pauses import Pauses
from worker.session import Services, Session, health
from worker.state import Lease, LeaseLostError, State
from worker.state.leader_election import LeaderElection
from worker.telemetry.edge_log import EdgeLog
from worker.telemetry.metrics import Metrics
from worker.web import Web, pages

T = TypeVar("T")

FIXED = ("state", "http", "log")
"""Sections of which a change takes effect only after a restart."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Worker:
    """What lasts as long as the process, and the one session that changes under it.

    A session is a configuration at work. It is replaced at a reload, and whenever this worker
    begins or ceases to lead.
    """

    def __init__(self, config: Config) -> None:
        """Open the state and bind the HTTP address. Raises StateError or OSError."""
        self.metrics = Metrics()
        self._stopping = False
        self._replacing = threading.Lock()
        self._state = _state(config.settings.state)
        lease = config.settings.state.lease.total_seconds()
        self._election = LeaderElection(self._state, lease, self._follow_lease)
        self.web = Web(
            config.settings.http,
            lambda accept, names: self.metrics.render(accept, names, leads=self._session.leads),
            lambda: health.live(self._session),
            self._ready,
            pages(
                lambda: health.known(self._session),
                self._state,
                lambda: health.standby(self._session),
            ),
            on_web_config=self.metrics.web_config_loaded.set,
            on_crowded=self.metrics.crowded.inc,
        )
        self._services = Services(
            state=self._state,
            election=self._election,
            metrics=self.metrics,
            edges=EdgeLog(self.metrics),
            pauses=Pauses(self._export_pause),
            address=self.web.address,
        )
        self._services.edges.state(self._state.failure)
        if self._state.set_aside:
            _log.error("state_file_corrupt", moved_to=str(self._state.set_aside))
        if self._state.narrowed:
            _log.warning("state_file_narrowed", files=self._state.narrowed)
        self._session = Session.of(config, self._announce(), self._services)
        self._session.adopt()

    def start(self) -> None:
        """Run checks and serve, on threads; returns at once."""
        self.web.start()
        self._session.start()
        self._election.start()
        config = self._session.config
        _log.info("worker_started", address=self.web.address, checks=len(config.checks))
        _warn_of(config)

    def stop(self) -> None:
        """Stop scheduling, end what is running on the databases, close everything."""
        self._stopping = True
        self._election.stop()
        with self._replacing:
            self._session.close()
        with suppress(LeaseLostError):  # whoever has it tells those events once more
            self._state.write_told()
        self._state.give_lease_back()
        self.web.stop()
        self._state.close()
        _log.info("worker_stopped")

    def reload(self, load: Callable[[], Config]) -> None:
        """Work by another configuration, or keep this one when that has mistakes.

        A reload that is overtaken by `stop` does nothing.
        """
        config = self._attempt(load)
        if config:
            with self._replacing:
                if not self._stopping:
                    self._work_by(config)
        self._election.renew_now()  # the lease may have changed hands meanwhile

    def pause(self, *, on: bool) -> None:
        """Let no more runs begin, or let them begin again; running ones end by themselves."""
        self._services.pauses.signal(pause=on)

    def _work_by(self, config: Config) -> None:
        term, before = self._announce(), self._session
        following = self._attempt(lambda: Session.of(config, term, self._services, before))
        if following and self._attempt(lambda: self._replaced_or_restored(following)):
            self.metrics.config_loaded.set(1)
            changed = _needs_restart(before.config, config)
            _log.info("config_reloaded", checks=len(config.checks), needs_restart=changed)
            _warn_of(config)

    def _attempt(self, make: Callable[[], T]) -> T | None:
        """What a reload needs; None, and the reason logged, when it cannot be had."""
        try:
            return make()
        except ConfigError as error:
            mistakes = [each.told for each in error.problems]
        except Exception as error:  # noqa: BLE001 - the session that we have goes on
            mistakes = [f"fault in the worker: {type(error).__name__} at {_place(error)}"]
        self.metrics.config_loaded.set(0)
        _log.error("config_refused", mistakes=mistakes)
        return None

    def _replace(self, following: Session) -> None:
        """Put another session in the place of this one."""
        self._session.close()
        self._begin(following)

    def _begin(self, following: Session) -> None:
        following.adopt()
        self._session = following
        following.start()

    def _replaced_or_restored(self, following: Session) -> bool:
        """Put another session in the place of this one; if it cannot begin, this one anew."""
        before = self._session
        try:
            self._replace(following)
        except Exception:
            with suppress(Exception):  # it has hardly begun
                following.close()
            self._begin(Session.of(before.config, before.term, self._services, before))
            raise
        return True

    def _follow_lease(self) -> None:
        """Begin to act when we hold the lease, and cease when we do not."""
        # A lease is not renewed while its thread is here. A reload asks again at its end.
        if not self._replacing.acquire(blocking=False):
            return
        try:
            if not self._stopping:
                term = self._announce()
                if term != self._session.term:
                    config = self._session.config
                    self._replace(Session.of(config, term, self._services, self._session))
                self._services.edges.state(self._state.failure)
        finally:
            self._replacing.release()

    def _announce(self) -> int:
        """Log and export who leads; our term."""
        term, latest = self._election.announce(), self._election.latest
        self.metrics.lease_token.set(latest.token if latest else 0)
        return term

    def _export_pause(self, reason: Reason, holds: bool) -> None:  # noqa: FBT001 - a callback
        self.metrics.paused.labels(reason).set(holds)

    def _ready(self) -> tuple[bool, str]:
        return (False, "stopping") if self._stopping else health.ready(self._session)


def _place(error: Exception) -> str:
    """Where in the program it was raised; what it says may hold what is secret."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if {"checks", "worker"} & {*Path(each.filename).parts}]
    last = (ours or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno} ({last.name})"


def _state(settings: StateSettings) -> State:
    shared = settings.parsed.get_backend_name() != "sqlite"
    return State(settings, Lease(settings.lease.total_seconds(), shared=shared))


def _warn_of(config: Config) -> None:
    if warnings := [str(each) for each in config.warnings]:
        _log.warning("config_ambiguous", warnings=warnings)


def _needs_restart(before: Config, after: Config) -> list[str]:
    old, new = before.settings, after.settings
    return [name for name in FIXED if getattr(old, name) != getattr(new, name)]
