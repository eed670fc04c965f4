"""The access log of the demo: quiet traffic, and retry storms that come and go.

The worker only reads logs; this stands in for the application that writes one.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import structlog

from worker.app import Worker
from worker.config import Config
from worker.demo.application import MARK, Application, Storm
from worker.demo.ledger import BEIJING

SOURCE, LOG = "app", Path("demo-access.log")
"""The log that the demo has of its own, and its name as a source."""

PAST = timedelta(hours=1)
"""How much traffic there is before the worker starts, so that it knows what is usual."""

TICK = 0.25
"""Seconds between two writes."""

LARGEST = 8 << 20
"""Bytes from where on the log is rotated: after three quarters of an hour."""

Serve = Callable[[Path | None, Config, Callable[[Worker], None]], None]

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class NoDemoLogError(Exception):
    """The file is not a log that the demo has written; it is left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many requests there are a second, and for how many seconds."""

    quiet: float = 4.0
    stormy: float = 15.0
    """Those of a storm, which come on top."""
    calm: float = 60.0
    storm: float = 75.0


def beside(path: Path, serve: Serve) -> Serve:
    """Do as `serve` does, while the log is written.

    The traffic begins once the worker runs, and so on a thread that gets none of its signals.
    """

    def both(config: Path | None, current: Config, announce: Callable[[Worker], None]) -> None:
        traffic = Traffic(path)

        def begin(worker: Worker) -> None:
            announce(worker)
            traffic.start()

        try:
            serve(config, current, begin)
        finally:
            traffic.stop()

    return both


def prepare(path: Path, seed: int = 1) -> None:
    """Write quiet traffic up to now: an hour of it, or what is missing since the log ends.

    Raises NoDemoLogError and OSError.
    """
    now = datetime.now(BEIJING)
    last = _latest(path)
    moment = now - PAST if last is None else max(last, now - PAST)
    application, lines = Application(seed), []
    step = timedelta(seconds=1 / Pace().quiet)
    while (moment := moment + step) < now:
        lines += [call.line(moment) for call in application.quiet(moment)]
    append(path, lines)


def is_written_here(path: Path) -> bool:
    """Whether a file is a log of the demo, and not somebody's own; its first line says so."""
    try:
        if not path.is_file():  # a pipe would have us wait
            return False
        with path.open("rb") as file:
            return _is_ours(file)
    except OSError:
        return False


def _is_ours(file: BinaryIO) -> bool:
    file.seek(0)
    return _application(file.readline(1024)) == MARK


def append(path: Path, lines: list[str]) -> None:
    """Add lines to the log of the demo, a new one when it is large or not there.

    Raises NoDemoLogError and OSError; whatever was written of the lines then is written.
    """
    old = path.with_name(f"{path.name}.1")
    for each in (path, old):
        if each.exists() and not is_written_here(each):
            raise NoDemoLogError(f"{each} was not written by `reconciler demo`")
    if not lines:
        return
    if path.exists() and path.stat().st_size >= LARGEST:
        path.replace(old)
    text = "\n".join(lines)
    try:
        with path.open("a+b") as file:
            if file.seek(0, os.SEEK_END) and not _is_ours(file):  # replaced since we looked
                raise NoDemoLogError(f"{path} was not written by `reconciler demo`")
            torn = "\n" if _is_torn(file) else ""
            file.write(f"{torn}{text}\n".encode())
    except OSError:
        if path.exists() and path.stat().st_size == 0:
            path.unlink()  # it could not be told for ours
        raise


class Traffic:
    """Writes the log of the demo on a thread: calm, storm, calm, storm."""

    def __init__(self, path: Path, pace: Pace | None = None, seed: int = 2) -> None:
        self._path = path
        self._pace = pace or Pace()
        self._application = Application(seed)
        self._failed = False
        self._owed = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_round, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin, with a calm."""
        self._thread.start()

    def stop(self) -> None:
        """Write nothing more; does nothing before the start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _go_round(self) -> None:
        while self._go_on(self._pace.calm):
            storm = self._application.storm(datetime.now(BEIJING))
            told = {"route": storm.route, "method": "POST", "per_second": self._pace.stormy}
            _log.info("demo_storm_began", **told, seconds=self._pace.storm)
            self._go_on(self._pace.storm, storm)
            _log.info("demo_storm_ended", **told)

    def _go_on(self, seconds: float, storm: Storm | None = None) -> bool:
        """Write for a while; whether to go on after that."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            tick = min(TICK, left)
            if self._stop.wait(tick):
                return False
            self._write([*self._lines(tick, storm)])
        return True

    def _lines(self, seconds: float, storm: Storm | None) -> Iterator[str]:
        """What is logged of some seconds up to now."""
        self._owed += seconds * (self._pace.quiet + (self._pace.stormy if storm else 0))
        whole, end = int(self._owed), datetime.now(BEIJING)
        self._owed -= whole
        of_storm = round(whole * self._pace.stormy / (self._pace.quiet + self._pace.stormy))
        for number in range(whole):
            moment = end - timedelta(seconds=seconds * (1 - number / whole))
            if storm and number < of_storm:
                yield storm.again().line(moment)
            else:
                yield from (call.line(moment) for call in self._application.quiet(moment))

    def _write(self, lines: list[str]) -> None:
        try:
            append(self._path, lines)
        except (OSError, NoDemoLogError) as error:
            if not self._failed:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                _log.warning("demo_traffic_failed", log=str(self._path), error=reason)
            self._failed = True
        else:
            self._failed = False


def _is_torn(file: BinaryIO) -> bool:
    """Whether a full disk or a kill has left half a line, which must not spoil the next one."""
    if file.seek(0, os.SEEK_END) == 0:
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _application(line: bytes) -> object:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return told.get("application") if isinstance(told, dict) else None


def _latest(path: Path) -> datetime | None:
    """The time of the last whole line."""
    if not is_written_here(path):
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        for line in reversed(file.read().split(b"\n")):
            try:
                return datetime.fromisoformat(json.loads(line)["time"]).astimezone(BEIJING)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
    return None
