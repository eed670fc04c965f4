"""The worker as a process, for tests."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.support import ENDS_WITH_US, asking
from tests.support.patience import exit_code, wait_until

RECONCILER = Path(sys.executable).with_name("reconciler")

END_SECONDS = 5.0
"""Within which a worker ends, whatever it waits for."""

Labels = dict[str, str]


class Worker:
    """A running `reconciler run`, its log and its metrics.

    Without `config` it is given none.
    """

    def __init__(
        self,
        folder: Path,
        config: str | None,
        *command: str,
        program: Path = RECONCILER,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.config = folder / "config.toml"
        if config is not None:
            self.config.write_text(config)
        given = () if config is None else ("--config", self.config)
        self._log, self._read, self._lines = folder / "log", 0, list[dict[str, Any]]()
        clean = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, program, *(command or ("run",)), *given],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={
                    **clean,
                    "PYTHONWARNINGS": "default,ignore::ResourceWarning",
                    **(environment or {}),
                },
            )
        try:
            wait_until(lambda: bool(self.events("worker_started")), 60, "the worker starts")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.address = self.events("worker_started")[0]["address"]

    @property
    def text(self) -> str:
        """All that it has written."""
        return self._log.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it has logged: every whole line but those that are meant for people."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        spoken = ("  http://", "  https://", "Built the demo", "Wrote config.toml")
        logged = [line for line in whole.decode().splitlines() if not line.startswith(spoken)]
        strange = [line for line in logged if not line.startswith("{")]
        assert strange == [], strange
        self._read += len(whole)
        self._lines += [json.loads(line) for line in logged]
        return [*self._lines]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.lines if line["event"] == name]

    def get(self, path: str) -> httpx.Response:
        """What it answers."""
        return asking.get(self.address + path)

    def samples(self, name: str, **labels: str) -> list[tuple[Labels, float]]:
        """The series of a metric that have these labels."""
        return [
            (each.labels, each.value)
            for each in asking.samples(self.get("/metrics").text, f"reconciler_{name}")
            if labels.items() <= each.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the one series that has these labels, or None when there is none."""
        found = self.samples(name, **labels)
        assert len(found) <= 1
        return found[0][1] if found else None

    def wait_for(self, value: float | None, name: str, seconds: float = 10, **labels: str) -> None:
        """Wait until a metric has a value."""
        what = f"{name}{labels} is {value}"
        wait_until(lambda: self.value(name, **labels) == value, seconds, what)

    def end(self, seconds: float = END_SECONDS) -> int:
        """Send SIGTERM; its exit code, once it has ended, in time."""
        self.process.terminate()
        return exit_code(self.process, seconds)
