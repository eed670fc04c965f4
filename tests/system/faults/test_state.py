"""The state's disk full, its file deleted, corrupted, locked: audit and alerts go on meanwhile.

What the state itself promises then is in `tests/worker/test_state.py`; here it is the whole worker,
with a real Alertmanager.
"""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.alertmanager import AlertmanagerServer, Receiver, alertmanager, receiver
from tests.support.patience import wait_until
from tests.support.workers import Worker
from tests.system.faults.canaries import KEY, watched

CONFIG = """
http.port = 0
schedule.every = "1s"
log.format = "json"
state.url = "sqlite:///state/state.db"

[databases.ledger]
url = "sqlite:///ledger.db"

[[checks]]
name = "t.keys"
kind = "duplicates"
table = "t"
primary_key = "id"
columns = ["idempotency_key"]

[alerts]
push = ["critical"]
resend_every = "1s"

[alertmanagers.main]
url = "{alertmanager}"
"""

ALERT = "ReconcilerDuplicates"


@dataclass
class Scene:
    """A worker that pushes alerts, its folder, and a person who is told."""

    folder: Path
    worker: Worker
    person: Receiver

    @property
    def state(self) -> Path:
        """The state's file."""
        return self.folder / "state" / "state.db"

    def do(self, statement: str) -> None:
        """Change the ledger."""
        with closing(sqlite3.connect(self.folder / "ledger.db")) as ledger, ledger:
            ledger.execute(statement)

    def spoil(self) -> None:
        """Commit a duplicate."""
        self.do(f"INSERT INTO t VALUES (2, '{KEY}')")

    def mend(self) -> None:
        """Remove it."""
        self.do("DELETE FROM t WHERE id = 2")

    def is_told(self, status: str, number: int) -> bool:
        """Whether the person was told so often."""
        return len(self.person.told(ALERT, status)) >= number


@pytest.fixture(scope="module")
def pager() -> Iterator[tuple[AlertmanagerServer, Receiver]]:
    """A real Alertmanager and who is told by it."""
    with receiver() as person, alertmanager(receiver=person.url) as made:
        yield made, person


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own of 2 MB; just a folder where we may not make disks."""
    disk = tmp_path / "state"
    disk.mkdir()
    size = ("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    subprocess.run(["mount", *size, disk], check=False, capture_output=True)  # noqa: S607
    yield disk
    if disk.is_mount():
        subprocess.run(["umount", disk], check=True)  # noqa: S607


@pytest.fixture
def scene(pager: tuple[AlertmanagerServer, Receiver], small_disk: Path) -> Iterator[Scene]:
    """All in order, nobody told of anything."""
    (server, person), folder = pager, small_disk.parent
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, idempotency_key TEXT)")
        ledger.execute(f"INSERT INTO t VALUES (1, '{KEY}')")
    started = Worker(folder, CONFIG.format(alertmanager=server.url))
    with watched(started, others=lambda: repr((person.taken, server.alerts()))) as worker:
        made = Scene(folder, worker, person)
        worker.wait_for(0, "check_violations", check="t.keys")
        person.forget()
        yield made
        # The next test begins without an alert.
        made.mend()
        worker.wait_for(0, "check_violations", check="t.keys")
        wait_until(lambda: not server.alerts(ALERT), 15, "nothing fires")


@contextmanager
def full(scene: Scene) -> Iterator[None]:
    """No byte is left on the disk of the state."""
    if not scene.state.parent.is_mount():
        pytest.skip("only root can make a disk that is small enough to be filled")
    ballast = scene.state.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    ballast.unlink()


@contextmanager
def deleted(scene: Scene) -> Iterator[None]:
    """The file and its folder's permissions are gone: a folder stands where the file was."""
    for each in scene.state.parent.glob("state.db*"):
        each.unlink()
    scene.state.mkdir()
    yield
    scene.state.rmdir()


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Another process writes and does not come to an end."""
    with closing(sqlite3.connect(scene.state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("fault", [full, deleted, locked])
def test_state_away(scene: Scene, fault: Callable[[Scene], object]) -> None:
    """Without its state the worker finds and pages, says so, and catches up by itself."""
    with fault(scene):  # type: ignore[attr-defined]
        scene.worker.wait_for(0, "state_up", 20)
        scene.spoil()
        scene.worker.wait_for(1, "findings", 20, check="t.keys", state="confirmed")
        wait_until(lambda: scene.is_told("firing", 1), 30, "the page came")
        (said,) = scene.worker.events("state_unavailable")
        assert said["level"] == "error"
        assert scene.worker.get("/livez").status_code == 200
    scene.worker.wait_for(1, "state_up", 20)
    assert len(scene.worker.events("state_recovered")) == 1
    with closing(sqlite3.connect(scene.state)) as state:
        rows = state.execute("SELECT confirmed_at, resolved_at FROM findings").fetchall()
    assert [(bool(confirmed), resolved) for confirmed, resolved in rows] == [(True, None)]
    scene.mend()
    wait_until(lambda: scene.is_told("resolved", 1), 30, "its end was told")
    assert scene.person.statuses(ALERT) == ["firing", "resolved"]
    assert scene.worker.events("library_message") == []


def test_state_corrupted(scene: Scene) -> None:
    """A file that is overwritten under the worker costs no finding and no page."""
    scene.spoil()
    wait_until(lambda: scene.is_told("firing", 1), 30, "the page came")
    scene.worker.process.send_signal(signal.SIGSTOP)
    try:
        for each in scene.state.parent.glob("state.db*"):
            each.write_bytes(os.urandom(max(4096, each.stat().st_size)))
    finally:
        scene.worker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: bool(scene.worker.events("state_unavailable")), 20, "it is said")
    scene.worker.wait_for(1, "state_up", 20)
    assert [*scene.state.parent.glob("state.db.corrupt-*")] != []
    with closing(sqlite3.connect(scene.state)) as state:
        assert state.execute("SELECT COUNT(*) FROM findings").fetchone() == (1,)
    assert scene.worker.value("findings", check="t.keys", state="confirmed") == 1
    assert scene.person.statuses(ALERT) == ["firing"]
