"""An application that logs its requests, and the check that reads them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson
import pytest

from checks.contract import Check, CheckError, Result, Scalar, Window
from checks.kinds.conflict_rate import check as conflict_rate
from checks.ports import Cursor
from checks.registry import any_check
from worker.config import AccessLogSettings
from worker.sources import Sources

DRAW = "/api/v4/lottery/draw"


@dataclass
class Application:
    """An application that logs its requests, and the worker that reads the log."""

    log: Path
    at: datetime = datetime(2026, 1, 5, 12, tzinfo=UTC)
    settings: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)
    path: str | list[str] | None = None
    """What the log is called in the configuration."""
    cursor: Cursor | None = None
    known: tuple[Mapping[str, Scalar], ...] = ()

    @classmethod
    def writing(cls, log: Path, monkeypatch: pytest.MonkeyPatch) -> Self:
        """One that has not logged anything yet, and whose time the check goes by."""
        made = cls(log)
        log.touch()
        monkeypatch.setattr(conflict_rate, "_now", lambda: int(made.at.timestamp()))
        return made

    def wrote(self, *lines: str | bytes) -> None:
        """Write lines as they are."""
        with self.log.open("ab") as log:
            log.writelines((x.encode() if isinstance(x, str) else x) + b"\n" for x in lines)

    def asked(
        self, number: int = 1, status: int = 200, code: str | None = None, **more: Any
    ) -> None:
        """Write the lines of some requests, each with a key and a client of its own."""
        with self.log.open("ab") as log:
            for each in range(number):
                line = {
                    "time": self.at.isoformat(),
                    "method": "POST",
                    "path": DRAW,
                    "status": status,
                    "code": code,
                    "idempotency_key": f"key-{self.log.stat().st_size}-{each}",
                    "client": f"client-{each}",
                }
                log.write(orjson.dumps({**line, **more}) + b"\n")

    def run(self) -> Result:
        """A run in a process of its own, as far as state is concerned."""
        with self.opened() as run:
            return run()

    @contextmanager
    def opened(self) -> Iterator[Callable[[], Result]]:
        """What runs the check, again and again in one process."""
        made = any_check.validate_python(
            {"kind": "conflict_rate", "name": "app.conflict_rate", "source": "app", **self.check}
        )
        settings = {"path": self.path or self.log, **self.settings}
        logs = {"app": AccessLogSettings.model_validate(settings)}
        with closing(Sources({}, logs)) as sources:
            yield lambda: self._run(made, sources)

    def _run(self, check: Check, sources: Sources) -> Result:
        try:
            result = check.run(sources, Window(cursor=self.cursor, known=self.known))
        except CheckError as error:
            if error.kept and error.kept.cursor:
                self.cursor = json.loads(json.dumps(error.kept.cursor))
            raise
        self.cursor = json.loads(json.dumps(result.cursor))
        self.known = tuple(each.key for each in result.findings)
        return result

    def problems(self) -> list[object]:
        """What a run finds."""
        return [finding.key["problem"] for finding in self.run().findings]
