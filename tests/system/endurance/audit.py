"""The worker as a process, on the project's own configuration made quick and its overlap narrow."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from checks.contract import Check
from tests.support import ENDS_WITH_US, SHIPPED, asking
from tests.support.access_logs import quiet
from tests.support.patience import patience, slowness, wait_until
from tests.support.servers import Database
from tests.system.endurance.faults import Told, told
from worker import config

RECONCILER = Path(sys.executable).with_name("reconciler")
STATE = "state.db"
FOLLOWING = ("reference", "posting", "balance", "key_format")
"""The kinds that read along a cursor."""

DEFINITIONS = ("tables", "columns", "unique_index")
"""The kinds that read how tables are defined, which no writer changes."""

RARELY = """
[[overrides]]
check = "*.tables"
every = "1m"
[[overrides]]
check = "*.columns"
every = "1m"
[[overrides]]
check = "*.unique_index.*"
every = "1m"
"""
"""Has those run after each start, and leave the time to the others afterwards."""

OFTEN = """
[[overrides]]
check = "*.market_conserved"
every = "1s"
"""
"""Has those run as often as the others that are to run less often in production."""

STATES = ("open", "confirmed", "acknowledged", "resolved")
"""Of findings."""

OVERLAP = "5s"

PATIENCE = 90.0
"""Seconds within which every check runs twice."""

Line = dict[str, Any]


class Audit:
    """What is the same for every process of a test: configuration, folder, state."""

    def __init__(self, database: Database, folder: Path, more: str = "") -> None:
        """`more` stands at the end of the configuration."""
        self.folder = folder
        config_file = folder / "config.toml"
        shipped = (SHIPPED).read_text(encoding="utf-8")
        config_file.write_text(f"{shipped}\n{RARELY}\n{OFTEN}\n{more}", encoding="utf-8")
        self.lives: list[Life] = []
        url = database.url.render_as_string(hide_password=False)
        self.environment = quiet(folder) | {
            "RECONCILER_CONFIG": str(config_file),
            "RECONCILER_DATABASES__LEDGER__URL": url,
            "RECONCILER_STATE__URL": f"sqlite:///{folder / STATE}",
            "RECONCILER_SCHEDULE__EVERY": "1s",
            # So that the tables of a test are not small enough to be read whole.
            "RECONCILER_SCHEDULE__OVERLAP": OVERLAP,
            "RECONCILER_SCHEDULE__OVERLAP_ROWS": "50",
            "RECONCILER_HTTP__PORT": "0",
            "RECONCILER_LOG__FORMAT": "json",
        }
        self.checks = config.load(config_file, self.environment).checks

    @property
    def names(self) -> set[str]:
        """Every check."""
        return {check.name for check in self.checks}

    @property
    def following(self) -> set[str]:
        """The checks that read along a cursor."""
        return {check.name for check in self.checks if check.kind in FOLLOWING}

    @property
    def reading_rows(self) -> set[str]:
        """The checks that read rows."""
        return {check.name for check in self.checks if check.kind not in DEFINITIONS}

    @property
    def settle(self) -> timedelta:
        """How old the last row must be for every check to judge it."""
        return max(_settle(check) for check in self.checks)

    @contextmanager
    def running(self) -> Iterator["Life"]:
        """A worker, which ends with the block."""
        life = Life(self.folder / f"log-{len(self.lives)}", self._environ)
        self.lives.append(life)
        try:
            yield life
        finally:
            life.kill()

    def let_settle(self, life: "Life", stopped: datetime) -> None:
        """Wait until every check of rows has seen twice, and judged, all written until then."""
        moment = stopped + self.settle + timedelta(seconds=1)
        spans = {c.name: c.confirmation_time for c in self.checks if c.name in self.reading_rows}

        def seen_twice() -> bool:
            return all(life.has_seen_twice(name, moment, span) for name, span in spans.items())

        seconds = (self.settle + max(spans.values())).total_seconds() + PATIENCE
        wait_until(seen_twice, seconds, "every check has seen everything twice")

    def findings(self) -> Mapping[str, set[Told]]:
        """What `reconciler findings list` gives, by state."""
        states = [part for each in STATES for part in ("--state", each)]
        done = self.command("findings", "list", "--format", "json", *states)
        assert done.returncode == 0, done.stderr
        found: dict[str, set[Told]] = {each: set() for each in STATES}
        for each in json.loads(done.stdout)["findings"]:
            one = told(each["check"], each["key"])
            assert one not in found[each["state"]], one
            found[each["state"]].add(one)
        return found

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `reconciler` beside the worker, to its end."""
        return subprocess.run(
            [RECONCILER, *arguments],
            env=self._environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=patience(60),
            check=False,
        )

    @property
    def _environ(self) -> Mapping[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
        return {**clean, **self.environment}


class Life:
    """One process of the worker, and what it has logged."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._log, self._read, self._lines = log, 0, list[Line]()
        self._began = time.monotonic()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, RECONCILER, "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env=environment,
            )

    @property
    def lines(self) -> list[Line]:
        """Every whole line that is one of the log; a kill may cut the last."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        spoken = [line for line in whole.decode().splitlines() if not line.startswith("  http://")]
        strange = [line for line in spoken if not line.startswith("{")]
        assert not strange, strange[:20]
        self._lines += [json.loads(line) for line in spoken]
        return self._lines

    def events(self, *names: str) -> list[Line]:
        """The lines of some events."""
        assert self.process.poll() is None or self.process.returncode < 0, self._log.read_text()
        return [line for line in self.lines if line["event"] in names]

    def has_seen_twice(self, check: str, moment: datetime, span: timedelta) -> bool:
        """Whether runs that began after a moment answered its question, a span apart."""
        runs = [
            run
            for run in self.events("check_run")
            if run["check"] == check and run["outcome"] in ("pass", "fail") and _began(run) > moment
        ]
        if len(runs) < 2:
            return False
        return _began(runs[-1]) - datetime.fromisoformat(runs[0]["timestamp"]) >= span

    def seconds_until_up(self) -> float:
        """Wait until it is up: it says that it lives, and serves metrics.

        How long that took, in seconds of an idle machine.
        """
        wait_until(self._is_up, 60, "the worker is up")
        return (time.monotonic() - self._began) / slowness()

    def _is_up(self) -> bool:
        if not self.events("worker_started"):
            return False
        answers = [self.get(page) for page in ("/livez", "/metrics")]
        return all(each.status_code == 200 for each in answers) and "reconciler_" in answers[1].text

    def get(self, page: str) -> httpx.Response:
        """What it answers."""
        (started,) = self.events("worker_started")
        return asking.get(started["address"] + page)

    @property
    def text(self) -> str:
        """All that it has written."""
        return self._log.read_text(encoding="utf-8")

    def confirmed_by_metric(self) -> Mapping[str, int]:
        """What `/metrics` says of each check's confirmed findings, where it is not 0."""
        text = self.get("/metrics").text
        found = asking.samples(text, "reconciler_findings")
        assert found
        confirmed = [each for each in found if each.labels["state"] == "confirmed"]
        return {each.labels["check"]: int(each.value) for each in confirmed if each.value}

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


def _began(run: Line) -> datetime:
    return datetime.fromisoformat(run["timestamp"]) - timedelta(seconds=run["seconds"])


def _settle(check: Check) -> timedelta:
    settle: timedelta = getattr(check, "settle", timedelta())
    return settle
