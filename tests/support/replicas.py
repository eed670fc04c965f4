"""Two workers on one state, and the person whom they tell."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, text

from tests.support.alertmanager import AlertmanagerServer, Receiver, alertmanager, receiver
from tests.support.patience import wait_until
from tests.support.servers import Database
from tests.support.workers import Worker

LEASE = 2.0

CONFIG = """
schedule.every = "1s"
http.port = 0
state.url = "{state}"
state.lease = "{lease:.0f}s"

[databases.ledger]
url = "{ledger}"

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


@dataclass(kw_only=True)
class Replicas:
    """Two workers, or as many as were started."""

    state: URL
    ledger: Database
    pager: AlertmanagerServer
    person: Receiver
    folder: Path
    lease: float
    """Seconds."""
    workers: list[Worker] = field(default_factory=list)

    def start(self) -> Worker:
        """Start one more on the same state."""
        folder = self.folder / str(len(self.workers))
        folder.mkdir()
        config = CONFIG.format(
            state=self.state.render_as_string(hide_password=False),
            ledger=self.ledger.url.render_as_string(hide_password=False),
            alertmanager=self.pager.url,
            lease=self.lease,
        )
        self.workers.append(Worker(folder, config))
        return self.workers[-1]

    def runs(self) -> list[tuple[int, float]]:
        """Number and time of each run in the state."""
        rows = self._ask("SELECT id, started_at FROM runs ORDER BY id")
        return [(row[0], row[1]) for row in rows]

    def holder(self) -> tuple[str, int]:
        """Process that holds the lease, and the token."""
        ((holder, token),) = self._ask("SELECT holder, token FROM leases")
        return holder.split("/")[1], token

    def _ask(self, statement: str) -> list[Any]:
        engine = create_engine(self.state)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement)))
        finally:
            engine.dispose()

    def spoil(self) -> None:
        """Commit a duplicate key."""
        with closing(self.ledger.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (3, 'a')")


def leads(worker: Worker, *, seconds: float = 15) -> None:
    """Wait until a worker acts, and has run its check."""
    worker.wait_for(1, "leader", seconds)
    wait_until(lambda: bool(worker.samples("check_violations")), seconds, "the check has run")


def waits(worker: Worker) -> None:
    """A worker is a standby, and says nothing of the ledger."""
    worker.wait_for(0, "leader")
    assert worker.value("up") == 1
    for name in ("findings", "check_violations", "check_outcome", "database_up", "alerts_pending"):
        assert worker.samples(name) == []


def resume(worker: Worker) -> None:
    """Let a stopped worker go on."""
    os.kill(worker.process.pid, signal.SIGCONT)


@contextmanager
def replicas(state: URL, ledger: Database, lease: float) -> Iterator[Replicas]:
    """A ledger in order, and nobody who audits it yet."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replicas-")))
        person = stack.enter_context(receiver())
        pager = stack.enter_context(alertmanager(receiver=person.url))
        with closing(ledger.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE t (id int PRIMARY KEY, idempotency_key varchar(100) NOT NULL)"
            )
            cursor.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        made = Replicas(
            state=state, ledger=ledger, pager=pager, person=person, folder=folder, lease=lease
        )

        @stack.callback
        def _end() -> None:
            for each in made.workers:
                each.process.kill()
                each.process.wait()

        yield made
