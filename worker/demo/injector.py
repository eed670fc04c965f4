"""`reconciler demo --faults`: the worker runs while its demo ledger is broken and mended.

Whoever tries the worker sees findings come and go, in the log and in the metrics.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import structlog
import typer

from worker import process
from worker.app import Worker
from worker.config import Config
from worker.demo import faults
from worker.demo.faults import Fault, NoDemoError
from worker.model.finding import FindingState
from worker.telemetry.metrics import Metrics

EVERY = "5s"
"""How often checks run meanwhile, unless the environment says otherwise."""

LOOK_BETWEEN = 0.1
"""Seconds between two looks at what the worker has said."""

PATIENCE = 20
"""Paces after which the next step is taken although some check has not said what it ought to."""

_ANNOUNCEMENT = """
  The ledger is now broken and mended, one fault after the other, {faults} of them, round and round:
  see demo_fault_injected, finding_confirmed, demo_fault_mended, finding_resolved in the log.
  In another terminal: reconciler findings list. Ctrl-C mends the ledger and ends.
"""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def serve(
    ledger: Path, path: Path | None, current: Config, announce: Callable[[Worker], None]
) -> None:
    """Do as `process.serve` does, while faults come and go in the ledger; leaves it mended."""
    every = current.settings.schedule.every
    pace = every if isinstance(every, timedelta) else timedelta(seconds=5)
    known = faults.told_by(check.name for check in current.checks)
    injectors: list[Injector] = []

    def begin(worker: Worker) -> None:
        announce(worker)
        typer.echo(_ANNOUNCEMENT.format(faults=len(known)))
        injectors.append(Injector(ledger, known, worker.metrics, pace.total_seconds()))
        injectors[0].start()

    try:
        process.serve(path, current, begin)
    finally:
        for each in injectors:
            each.stop()


class Injector:
    """Breaks and mends a demo ledger on a thread, in step with what the worker says of it."""

    def __init__(
        self, ledger: Path, known: tuple[Fault, ...], metrics: Metrics, pace: float
    ) -> None:
        """`pace` is the number of seconds that people get to look, with a fault and without."""
        self._ledger = ledger
        self._faults = known
        self._metrics = metrics
        self._pace = pace
        self._present: Fault | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_round, name="faults", daemon=True)

    def start(self) -> None:
        """Begin; the first fault comes after a while in which all is well."""
        self._thread.start()

    def stop(self) -> None:
        """Inject nothing more, and mend what is broken."""
        self._stop.set()
        self._thread.join()
        if self._present:
            self._mend(self._present)

    def _go_round(self) -> None:
        for fault in cycle(self._faults):
            if self._stop.wait(self._pace):
                return
            self._inject(fault)
            if not self._present:
                continue  # the log says why; the next one may work
            self._wait_until(self._is_told, fault)
            if self._stop.wait(self._pace):
                return
            self._mend(fault)
            self._wait_until(self._is_over, fault)

    def _inject(self, fault: Fault) -> None:
        try:
            faults.inject(self._ledger, fault)
        except (sqlite3.Error, NoDemoError) as error:
            _log.warning("demo_fault_failed", **_described(fault), error=str(error))
        else:
            self._present = fault
            _log.info("demo_fault_injected", **_described(fault))

    def _mend(self, fault: Fault) -> None:
        try:
            faults.mend(self._ledger)
        except (sqlite3.Error, NoDemoError) as error:
            _log.warning("demo_fault_failed", **_described(fault), error=str(error))
        else:
            self._present = None
            _log.info("demo_fault_mended", **_described(fault))

    def _wait_until(self, condition: Callable[[Fault], bool], fault: Fault) -> None:
        deadline = time.monotonic() + PATIENCE * self._pace
        while not condition(fault) and time.monotonic() < deadline:
            if self._stop.wait(LOOK_BETWEEN):
                return

    def _is_told(self, fault: Fault) -> bool:
        told = self._findings(FindingState.CONFIRMED, FindingState.ACKNOWLEDGED)
        return all(told[check] for check in fault.trips)

    def _is_over(self, fault: Fault) -> bool:
        left = self._findings(*FindingState)
        # A check without a figure, as in the middle of a reload, has not said that all is well.
        return all(check in left and not left[check] for check in fault.trips)

    def _findings(self, *states: FindingState) -> Counter[str]:
        """How many findings of each check `/metrics` shows in these states."""
        found: Counter[str] = Counter()
        for family in self._metrics.findings.collect():
            for sample in family.samples:
                if sample.labels["state"] in states:
                    found[sample.labels["check"]] += int(sample.value)
        return found


def _described(fault: Fault) -> dict[str, object]:
    return {
        "fault": fault.name,
        "kind": fault.kind,
        "table": fault.table,
        "expects": list(fault.trips),
    }
