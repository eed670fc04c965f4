"""Everything between a row in MariaDB and a person: worker, Prometheus, Alertmanager, web hook."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.support import CHECKOUT
from tests.support.alertmanager import AlertmanagerServer, Receiver, alertmanager, receiver
from tests.support.patience import wait_until
from tests.support.prometheus import PrometheusServer, prometheus
from tests.support.servers import Database, Server, _free_port
from tests.support.workers import Worker

Way = Literal["rules", "push"]

KEY = "canary-key-of-a-customer"
DUPLICATES, BLIND = "ReconcilerDuplicates", "ReconcilerCheckCannotTell"
PAGE = "https://reconciler.example/ledger"
CHECK = "t.keys"

SHORTER = {"[4m]": "[4s]", "for: 30s": "for: 1s"}
"""What of the rules takes too long for a test, and what stands there instead."""

CONFIG = """
schedule.every = "1s"
http.port = {port}
http.external_url = "{page}"
state.url = "sqlite:///state.db"

[databases.ledger]
url = "{ledger}"
time_limit = "20s"
connect_timeout = "20s"

[[checks]]
name = "{check}"
kind = "duplicates"
table = "t"
primary_key = "id"
columns = ["idempotency_key"]
{alerts}
"""

PUSH = """
[alerts]
push = ["critical"]
resend_every = "1s"

[alertmanagers.main]
url = "{url}"
"""


@dataclass(kw_only=True)
class World:
    """Everything between a row and a person."""

    way: Way
    folder: Path
    database: Database
    prometheus: PrometheusServer
    alertmanager: AlertmanagerServer
    person: Receiver
    config: str
    workers: list[Worker] = field(default_factory=list)

    def do(self, *statements: str) -> None:
        """Run statements on the ledger, each committed at once."""
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def start_worker(self) -> Worker:
        """Start the worker on its state and its port."""
        self.workers.append(Worker(self.folder, self.config))
        return self.workers[-1]

    def kill_worker(self) -> None:
        """End the worker at once, as a crash would."""
        self.workers[-1].process.kill()
        self.workers[-1].process.wait()

    def spoil(self) -> None:
        """Commit a duplicate key."""
        self.do(f"INSERT INTO t VALUES (3, '{KEY}')")

    def mend(self) -> None:
        """Remove the duplicate."""
        self.do("DELETE FROM t WHERE id = 3")

    def statuses(self) -> list[str]:
        """What the person was told of the duplicates."""
        return self.person.statuses(DUPLICATES)


TABLE = (
    "CREATE TABLE t (id int PRIMARY KEY, idempotency_key varchar(100) NOT NULL)",
    f"INSERT INTO t VALUES (1, '{KEY}'), (2, 'another')",
)


@contextmanager
def world(
    way: Way,
    server: Server,
    every: str = "500ms",
    config: str = CONFIG,
    prepare: Callable[[Database], None] | None = None,
) -> Iterator[World]:
    """Everything, with the rules that are shipped, in which nothing is wrong yet.

    `prepare` fills the database, in place of the one small table.
    """
    folder, port = Path(tempfile.mkdtemp(prefix="reconciler-paging-")), _free_port()
    database = Database(server=server, name=server.create_database())
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        person = stack.enter_context(receiver())
        pager = stack.enter_context(alertmanager(receiver=person.url))
        told = (pager.address,)
        metrics = stack.enter_context(
            prometheus(scraped=port, rules=rules(folder), alertmanagers=told, every=every)
        )
        text = filled(
            config,
            port=port,
            page=PAGE,
            ledger=database.url.render_as_string(hide_password=False),
            check=CHECK,
            alerts=PUSH.format(url=pager.url) if way == "push" else "",
        )
        made = World(
            way=way,
            folder=folder,
            database=database,
            prometheus=metrics,
            alertmanager=pager,
            person=person,
            config=text,
        )
        if prepare:
            prepare(database)
        else:
            made.do(*TABLE)
        made.start_worker()
        stack.callback(made.kill_worker)
        wait_until(
            lambda: metrics.value("reconciler_check_violations == 0") == 0, 30, "all is in order"
        )
        yield made


def filled(config: str, **values: object) -> str:
    """A configuration with values in the place of their names in braces."""
    for name, value in values.items():
        config = config.replace(f"{{{name}}}", str(value))
    return config


def rules(folder: Path) -> Path:
    """The shipped rules, with shorter times; fails where one of these is no longer there."""
    text = (CHECKOUT / "helm" / "files" / "rules.yml").read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    path = folder / "rules.yml"
    path.write_text(text, encoding="utf-8")
    return path
