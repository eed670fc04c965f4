"""What a network does to the worker's connections, through a proxy: every fault at the same time.

Each fault has a database of its own, so that the checks of every other one, and of one without a
proxy, tell whether they are unharmed.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tests.support.patience import slowness, wait_until
from tests.support.proxy import FETCHED, Fault, Proxy, proxy
from tests.support.servers import Database, Server
from tests.support.workers import Worker
from tests.system.faults.ledgers import (
    ERROR_WITHIN,
    FLAVOURS,
    HEAD,
    RECOVERS_WITHIN,
    TIME_LIMIT,
    do,
    patient,
    prepare,
    running,
    section,
)

WHOLE = {str(each): each for each in Fault if each is not Fault.NONE}
"""Faults of whole connections, by the name of the database that they befall."""

IN_RESULT = {
    f"{each}_in_result": each for each in (Fault.CUT, Fault.SILENT, Fault.GARBAGE, Fault.TRICKLE)
}
"""Faults in the middle of what the check of keys reads."""

FAULTS = WHOLE | IN_RESULT
GROUPS = 15
"""Keys that stand twice where the fault is in the middle of a result: it has to be long."""

LASTS = 5.0
"""Seconds from the first moment of the faults that they last at least."""


@dataclass
class Story:
    """What was seen from before the faults until after them."""

    worker: Worker
    databases: dict[str, Database]
    proxies: dict[str, Proxy]
    failed_after: dict[str, float] = field(default_factory=dict)
    """Seconds from the beginning of a fault until both checks said `error`."""
    recovered_after: dict[str, float] = field(default_factory=dict)
    """Seconds from its end until both said what is in the data."""
    longest_query: float = 0.0
    """Seconds, as the server tells."""
    slowness: float = 1.0
    """Of the machine, at its slowest."""
    healthy_runs: list[str] = field(default_factory=list)
    """Outcomes of the database without a fault, while there were faults."""
    spoilt: set[str] = field(default_factory=set)
    """Where a fault befell what was on its way."""

    def wait_for(self, rows: str, keys: str, seconds: float) -> dict[str, float]:
        """Seconds until the checks of each victim had run from now on with these outcomes.

        Where a fault is in the middle of a long result, that is the check of keys alone.
        """
        began, since = datetime.now(UTC), len(self.worker.lines)

        def took() -> dict[str, float]:
            first: dict[str, datetime] = {}
            for run in self.worker.lines[since:]:
                if run["event"] == "check_run" and (run["outcome"], run["check"][-4:]) in wanted:
                    first.setdefault(run["check"], datetime.fromisoformat(run["timestamp"]))
            return {
                name: (max(first[each] for each in checks) - began).total_seconds()
                for name, checks in victims.items()
                if first.keys() >= {*checks}
            }

        wanted = {(rows, "rows"), (keys, "keys")}
        victims = {
            name: {f"{name}.keys"} | ({f"{name}.rows"} if name in WHOLE else set())
            for name in self.proxies
        }
        with suppress(TimeoutError):  # each test tells of its own fault
            wait_until(lambda: took().keys() == self.proxies.keys(), seconds, "all have run so")
        return took()

    def watch(self, stop: threading.Event) -> None:
        """Look at the queries on the server until told to stop."""
        anyone = next(iter(self.databases.values()))
        while not stop.wait(0.2):
            self.slowness = max(self.slowness, slowness())
            rows = do(
                anyone,
                "SELECT COALESCE(MAX(time), 0) FROM information_schema.processlist"
                " WHERE user = 'auditor' AND command = 'Query'",
            )
            self.longest_query = max(self.longest_query, float(rows[0][0]))

    def healthy(self, began: int) -> list[str]:
        """Outcomes of the database without a fault, from a line of the log on."""
        runs = self.worker.events("check_run")[began:]
        return [run["outcome"] for run in runs if run["check"].startswith("healthy.")]

    def tell(self) -> None:
        """Let everything happen."""
        began = len(self.worker.events("check_run"))
        at = time.monotonic()
        for name, each in self.proxies.items():
            each.break_with(FAULTS[name], intact=FETCHED if name in IN_RESULT else None)
        self.failed_after = self.wait_for("error", "error", 20)
        wait_until(lambda: time.monotonic() > at + LASTS, LASTS + 1, "the faults lasted")
        # Two checks, each once a second.
        wait_until(lambda: len(self.healthy(began)) >= LASTS, 2 * LASTS, "others were audited")
        self.healthy_runs = self.healthy(began)
        self.spoilt = {name for name, each in self.proxies.items() if each.spoilt}
        for each in self.proxies.values():
            each.mend()
        self.recovered_after = self.wait_for("pass", "fail", 30)
        for name in self.proxies:
            failed, recovered = self.failed_after.get(name), self.recovered_after.get(name)
            print(f"{name}: error after {failed} s, recovered after {recovered} s")  # noqa: T201


@pytest.fixture(scope="module", params=FLAVOURS)
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """All faults, from before until after them."""
    server: Server = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("network")
    databases = {name: prepare(server, folder) for name in ("healthy", *FAULTS)}
    keys = ", ".join(f"({n}, '{n % GROUPS:0300}')" for n in range(4, 4 + 2 * GROUPS))
    for name in IN_RESULT:
        do(
            databases[name],
            "ALTER TABLE t MODIFY idempotency_key varchar(400) NOT NULL",
            f"INSERT INTO t VALUES {keys}",
        )
    stop = threading.Event()
    with ExitStack() as stack:
        proxies = {name: stack.enter_context(proxy(server.port)) for name in FAULTS}
        sections = [section(databases[name], name, proxies[name].port) for name in FAULTS]
        sections.append(patient(section(databases["healthy"], "healthy")))
        worker = stack.enter_context(running(folder, "\n".join([HEAD, *sections])))
        made = Story(worker, databases, proxies)
        made.wait_for("pass", "fail", 30)
        watcher = threading.Thread(target=made.watch, args=[stop])
        watcher.start()
        try:
            made.tell()
        finally:
            stop.set()
            watcher.join()
        yield made
    for each in databases.values():
        server.drop_database(each.name)


@pytest.mark.parametrize("name", FAULTS)
def test_fault(story: Story, name: str) -> None:
    """The checks say error in time and recover in time, over three connections at most."""
    assert story.failed_after[name] < ERROR_WITHIN * story.slowness
    assert story.recovered_after[name] < RECOVERS_WITHIN * story.slowness
    assert 1 <= story.proxies[name].most_open <= 3


def test_nothing_wrong_is_said(story: Story) -> None:
    """Half a result is none: a run says what is in the data, or error, and where."""
    assert IN_RESULT.keys() <= story.spoilt
    keys = [run for run in story.worker.events("check_run") if run["check"].endswith(".keys")]
    for run in keys:
        name = run["check"].removesuffix(".keys")
        groups = GROUPS + 1 if name in IN_RESULT else 1
        where = (f"database {name}: ", "stopped: time limit")
        assert run.get("violations") == groups or run["error"].startswith(where)


def test_findings_stay(story: Story) -> None:
    """A finding that could not be looked at is neither resolved nor told again."""
    assert story.worker.events("finding_resolved") == []
    confirmed = Counter(each["check"] for each in story.worker.events("finding_confirmed"))
    assert confirmed == {
        f"{name}.keys": GROUPS + 1 if name in IN_RESULT else 1 for name in story.databases
    }


def test_others_are_unharmed(story: Story) -> None:
    """The database without a fault was audited all the time, and by each check of it."""
    assert set(story.healthy_runs) == {"pass", "fail"}


def test_no_query_is_left(story: Story) -> None:
    """No query lasted longer on the server than a run may."""
    assert story.longest_query <= TIME_LIMIT + 2 * story.slowness


def test_faults_are_said(story: Story) -> None:
    """Each victim was said to be away and back again, and no error was a fault of the worker."""
    errors = {run["error"] for run in story.worker.events("check_run") if "error" in run}
    assert [each for each in errors if "fault in the check" in each] == []
    assert story.worker.events("library_message") == []
    away = {each["database"] for each in story.worker.events("database_unreachable")}
    # A trickle may meet a connection that was made before: then it is a run that takes too long.
    # A result that ends early is one lost connection; the next may be as good as any.
    assert {*WHOLE} - {"trickle"} <= away <= {*story.proxies}
    assert {each["database"] for each in story.worker.events("database_reachable")} == away
