"""The tutorial: each of its commands does what the page promises, in the order of the page."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import CHECKOUT
from tests.support.patience import exit_code, wait_until
from tests.support.workers import RECONCILER, Worker

PAGE = (CHECKOUT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (.+)$", PAGE, re.MULTILINE)
BROKEN = set(re.findall(r"^- `([^`]+)`:", PAGE, re.MULTILINE))


def run(command: str, folder: Path) -> str:
    """What a command of the page prints; it ends well."""
    found = command.replace(".venv/bin/", f"{RECONCILER.parent}/")
    return subprocess.run(
        ["/bin/bash", "-c", found], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def findings(folder: Path) -> list[dict[str, Any]]:
    """What is critical and not resolved."""
    command = ".venv/bin/reconciler findings list --severity critical --format json"
    listed = run(command, folder)
    found: list[dict[str, Any]] = json.loads(listed)["findings"]
    return found


@contextmanager
def started(folder: Path) -> Iterator[Worker]:
    """The worker of `make run`, on a free port; it checks more often."""
    environment = {"RECONCILER_HTTP__PORT": "0", "RECONCILER_SCHEDULE__EVERY": "2s"}
    worker = Worker(folder, None, "demo", environment=environment)
    try:
        wait_until(lambda: bool(worker.events("worker_ready")), 60, "every check has run")
        yield worker
        worker.process.send_signal(signal.SIGINT)
        exit_code(worker.process, 10)
    finally:
        worker.process.kill()
        worker.process.wait()


@pytest.mark.slow
def test_the_tutorial_is_true(tmp_path: Path) -> None:
    """The findings that it names come, are shown, explained and acknowledged, and go."""
    first, *commands, last_check, last_report = COMMANDS
    assert first == "make run"
    with started(tmp_path) as worker:
        broken, listed, shown, explained, acknowledged, repaired, nothing = commands
        assert findings(tmp_path) == []
        run(broken, tmp_path)

        def confirmed() -> set[str]:
            return {row["check"] for row in findings(tmp_path) if row["state"] == "confirmed"}

        wait_until(lambda: confirmed() == BROKEN, 30, "the findings that the page names")
        assert {event["check"] for event in worker.events("finding_confirmed")} >= BROKEN
        (one,) = (row for row in findings(tmp_path) if row["check"] == explained.split()[-1])
        assert one["id"][:8] in run(listed, tmp_path)
        assert "-5" in run(shown.replace("ID", one["id"]), tmp_path)
        assert "`available_amount` < 0" in run(explained, tmp_path)
        run(acknowledged.replace("ID", one["id"], 1), tmp_path)
        assert confirmed() == BROKEN - {one["check"]}
        run(repaired, tmp_path)
        wait_until(lambda: findings(tmp_path) == [], 30, "all is resolved")
        assert one["id"][:8] not in run(nothing, tmp_path)
    assert "pass" in run(last_check, tmp_path)
    run(f"{last_report} || [ $? = 1 ]", tmp_path)  # the storms in the demo's log
    assert (tmp_path / "audit.html").stat().st_size
