"""The worker as a process: signals, and an end in time."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from worker import config
from worker.app import Worker
from worker.config import Config
from worker.telemetry import log

LONGEST_GOODBYE = 9.0
"""Seconds from SIGTERM until the process ends even if a thread of it hangs."""


def serve(path: Path | None, current: Config, announce: Callable[[Worker], None]) -> None:
    """Run the worker in the foreground until SIGTERM or SIGINT; SIGHUP reloads `path`.

    SIGUSR1 pauses and SIGUSR2 goes on. Ends the process with status 1 when its threads do not end
    in time, a reload that is going on included.
    """
    switches: dict[int, bool] = {signal.SIGUSR1: True, signal.SIGUSR2: False}
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, *switches}
    # Blocked in every thread and waited for in this one: no handler, so no reentrance.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    log.set_up(current.settings.log)
    worker = Worker(current)
    worker.start()
    announce(worker)
    reload = threading.Event()
    reloading = [worker, reload, lambda: config.load(path)]
    threading.Thread(target=_reload, args=reloading, name="reload", daemon=True).start()
    while (sent := signal.sigwait(signals)) not in (signal.SIGTERM, signal.SIGINT):
        if sent == signal.SIGHUP:
            reload.set()
        else:
            worker.pause(on=switches[sent])
    deadline = threading.Timer(LONGEST_GOODBYE, os._exit, [1])
    deadline.daemon = True
    deadline.start()
    worker.stop()


def _reload(worker: Worker, asked: threading.Event, load: Callable[[], Config]) -> None:
    """Reload whenever it is asked for; not on the main thread, which is to hear SIGTERM."""
    while asked.wait():
        asked.clear()
        worker.reload(load)
