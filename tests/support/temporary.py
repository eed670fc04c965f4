"""One folder for all temporary files of a run of the tests, whoever makes them; it ends with it."""

import fcntl
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.support.patience import wait_until

PREFIX = "reconciler-tests-"
NEW = 60.0
"""Seconds for which nobody else's folder is taken for one that was left behind."""

_LOCK = "lock"


def templates() -> Path:
    """Where all processes of a run share the data folders that servers begin with."""
    folder = Path(tempfile.gettempdir()) / "templates"
    folder.mkdir(exist_ok=True)
    return folder


class Folder:
    """The temporary folder of this process and of all that it starts; removed when closed.

    SIGTERM ends a run as Ctrl-C does, in order. What a run that was killed left behind, the next
    one removes.
    """

    def __init__(self) -> None:
        usual = Path(tempfile.gettempdir())
        _sweep(usual)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=usual))
        self._lock = _locked(self.path)
        self._before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.path)
        # The folders of tests stay for a look at them; pytest removes all but the latest.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(usual))
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def close(self) -> None:
        """Remove it; programs that are about to end may still write there."""
        tempfile.tempdir = None
        if self._before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = self._before
        with suppress(TimeoutError):
            wait_until(lambda: _is_removed(self.path), 5, "it is removed")
        if self._lock is not None:
            os.close(self._lock)


def _locked(folder: Path) -> int | None:
    """Hold the folder's lock until this process ends; None when another one does."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _sweep(usual: Path) -> None:
    for left in usual.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's
            # A run that begins has no lock yet.
            if left.stat().st_mtime < time.time() - NEW and (lock := _locked(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)


def _is_removed(folder: Path) -> bool:
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()
