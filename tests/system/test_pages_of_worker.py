"""The pages of a real worker: on the demo ledger with a fault, over a reload and a restart."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.patience import patience, wait_until
from tests.support.workers import RECONCILER, Worker
from tests.unit.web.test_pages import Text
from worker.demo import faults, ledger

BROKEN = "lottery_draws.reward_posting"


def config() -> str:
    """The shipped configuration, faster."""
    text = SHIPPED.read_text(encoding="utf-8").replace("port = 9720", "port = 0")
    return text.replace('every = "30s"', 'every = "2s"')


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """A worker on the demo ledger, in which one posting is wrong; every check has run."""
    path = tmp_path / "demo-ledger.db"
    ledger.build(path)
    faults.inject(path, next(each for each in faults.FAULTS if BROKEN in each.trips))
    started = Worker(tmp_path, config(), environment=quiet(tmp_path))
    wait_until(lambda: bool(started.events("worker_ready")), 60, "every check has run")
    yield started
    started.process.kill()
    started.process.wait()


def test_pages_of_a_worker(worker: Worker) -> None:
    """Verdict, check, JSON and command line say the same; a reload is followed; nothing breaks."""
    wait_until(lambda: worker.value("findings", check=BROKEN, state="confirmed") == 1, 20, "told")
    verdict = "1 check sees violations: 1 critical; 124 pass"
    assert f"{verdict}." in Text(worker.get("/").text).text
    assert worker.get("/api/v1/status").json()["verdict"] == verdict
    checks = worker.get("/api/v1/checks").json()["checks"]
    assert [each["name"] for each in checks if each["next_run"] is None] == []
    assert [each["name"] for each in checks if each["permanent"] is None] == []

    (mine,) = worker.get("/api/v1/findings").json()["findings"]
    done = subprocess.run(
        [RECONCILER, "findings", "list", "--format", "json", "--config", worker.config],
        cwd=worker.config.parent,
        capture_output=True,
        check=True,
    )
    (theirs,) = json.loads(done.stdout)["findings"]
    passing = {"last_seen", "times_seen", "evidence"}
    assert {n: v for n, v in mine.items() if n not in passing} == {
        name: value for name, value in theirs.items() if name not in passing
    }
    key = theirs["evidence"]["ledger idempotency_key"]
    page = worker.get(f"/checks/{BROKEN}").text
    assert key not in page
    assert mine["evidence"]["ledger idempotency_key"] in page
    assert mine["id"][:12] in page

    of_each_kind = {each["kind"]: each["name"] for each in checks}
    with httpx.Client(base_url=worker.address, timeout=patience(10)) as client:
        for name in of_each_kind.values():
            assert client.get(f"/checks/{name}").status_code == 200
            assert client.get(f"/api/v1/checks/{name}").status_code == 200

    text = worker.config.read_text()
    worker.config.write_text(text.replace(f'"{BROKEN}"', '"renamed"'))
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: worker.get("/checks/renamed").status_code == 200, 20, "it is reloaded")
    assert worker.get(f"/checks/{BROKEN}").status_code == 404
    assert "Traceback" not in worker.text
    assert "exception" not in worker.text
