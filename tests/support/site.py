"""The pages of made-up checks: on a real socket, over a real state."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import URL

from checks.contract import Check, Finding, Result, Scalar
from checks.http_log.counts import Seen
from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.conflict_rate.exported import Traffic
from checks.kinds.duplicates.check import Duplicates
from checks.kinds.row_count import RowCount
from checks.types import Severity
from tests.support.patience import patience
from worker.config import HttpSettings
from worker.model.run import Outcome, Run, Scope
from worker.model.server import Identity
from worker.state import State
from worker.status import DatabaseStatus, Known, abridged
from worker.text.redact import Mask
from worker.web import Web, pages

KEYS = Duplicates(
    name="orders.key", table="orders", primary_key="id", columns=("k",), severity=Severity.CRITICAL
)
ROWS = RowCount(name="orders.rows", table="orders")
USERS = RowCount(name="users.rows", table="users")
TRAFFIC = ConflictRate(name="app.conflicts", source="app")

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</code></pre></dd><h1>owned</h1>",
    "{{7*7}}{% raw %}${7*7}",
    "javascript:alert(1)",
    "abc\u202egpj.exe",
    "line\nbreak\x00\x1b[31m",
    "\ud800 lone",
    "x" * 10_000,
    "<!--",
    "&lt;b&gt;",
)
"""What somebody who can write a row may write into it."""

IDENTITY = Identity(
    *("ledger", "test", "db.example", 3306, "shop", "auditor@%", "MariaDB", "10.11", "UTC"),
    writable=(),
)


class Site:
    """Pages, and the state that they show."""

    def __init__(self, folder: Path, checks: tuple[Check, ...] = (KEYS, ROWS, USERS)) -> None:
        self.url = URL.create("sqlite", database=str(folder / "state.db"))
        self.state = State(self.url)
        self.known = Known(
            checks=checks,
            intervals={check.name: timedelta(seconds=30) for check in checks},
            next_run=lambda _: datetime.now(UTC) + timedelta(seconds=20),
            databases=(DatabaseStatus("ledger", "test", None, IDENTITY),),
            latest={},
            complaint=None,
            mask=Mask(secret=b"secret"),
            zone=ZoneInfo("Asia/Shanghai"),
        )
        shown = pages(lambda: self.known, self.state)
        well = (True, "well")
        self.web = Web(
            HttpSettings(port=0), lambda *_: (b"", "text/plain"), lambda: well, lambda: well, shown
        )
        self._client = httpx.Client(base_url=self.web.address, timeout=patience(20))

    @property
    def address(self) -> str:
        """`http://host:port`."""
        return self.web.address

    def get(self, path: str) -> httpx.Response:
        """What is answered there."""
        return self._client.get(path)

    def change(self, **fields: object) -> None:
        """Let the worker know something else."""
        self.known = replace(self.known, **fields)  # type: ignore[arg-type]

    def see(self, check: Check, *findings: Finding, violations: int | None = None) -> None:
        """A run of a check that saw these findings, or none."""
        number = len(findings) if violations is None else violations
        self.take(check, Result(1000, number, findings))

    def take(self, check: Check, result: Result, ago: timedelta = timedelta()) -> None:
        """A run of a check that ended so, some time ago."""
        outcome = Outcome.FAIL if result.violations else Outcome.PASS
        when = datetime.now(UTC) - ago
        self.record(Run(check, outcome, when, 0.01, result, scope=Scope.COMPLETE))

    def fail(self, check: Check, error: str = "database ledger: away") -> None:
        """A run of a check that could not tell."""
        self.record(Run(check, Outcome.ERROR, datetime.now(UTC), 0.01, error=error))

    def record(self, run: Run) -> None:
        """Any run."""
        self.state.record(run)
        self.change(latest={**self.known.latest, run.check.name: abridged(run)})


@contextmanager
def serving(folder: Path, checks: tuple[Check, ...] = (KEYS, ROWS, USERS)) -> Iterator[Site]:
    """A site that serves until the block ends."""
    site = Site(folder, checks)
    site.web.start()
    try:
        yield site
    finally:
        site._client.close()
        site.web.stop()
        site.state.close()


def found(number: int, text: str = "", **evidence: str) -> Finding:
    """A finding of a row; the text is everywhere in it."""
    key: dict[str, Scalar] = {"id": number, "k": text, "user_id": 4711}
    return Finding(key, f"row {number}: {text}, user_id 4711", {"note": text, **evidence})


def hostile(number: int, text: str) -> Finding:
    """A finding with a hostile text in every place, names included."""
    name = whole(text)
    key: dict[str, Scalar] = {"id": number, name: text}
    return Finding(key, name, {name: text, "list": (text, None)})


def whole(text: str) -> str:
    """A text without half a character: the state takes those in values only."""
    return text.encode("utf-8", "replace").decode()


def traffic() -> Result:
    """A result of `conflict_rate`: two routes in two windows."""
    short = {("/orders/{id}", "POST"): Seen(200, {"REQUEST_PROCESSING": 30, "other": 2})}
    long = {**short, ("/users", "POST"): Seen(1000, {})}
    seen = Traffic(windows={"short": short, "long": long})
    return Result(1200, 0, **TRAFFIC._exported(seen))
