"""Malformed configurations and hostile strings; CONFIGS and STRINGS say how many of them."""

import json
import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import SHIPPED
from tests.support.patience import patience
from tests.support.workers import RECONCILER
from tests.system.faults.canaries import PASSWORD
from tests.system.faults.ledgers import running
from tests.system.faults.mutations import HOSTILE, mutated, quoted
from worker import config
from worker.config import ConfigError

CONFIGS = int(os.environ.get("CONFIGS", "150"))
STRINGS = int(os.environ.get("STRINGS", "200"))
SEED = os.environ.get("SEED", "1")

SLOWEST = 10.0
"""Seconds of a processor for one configuration; most take a hundredth of that."""


@pytest.mark.slow
def test_malformed_configurations(tmp_path: Path) -> None:
    """Each of many malformed files is either valid or refused with the place of each mistake."""
    text = (SHIPPED).read_text(encoding="utf-8")
    text = text.replace(
        '"sqlite:///demo-ledger.db"', quoted(f"mysql://u:{PASSWORD.replace('@', '%40')}@db/x")
    )
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    path, refused, slowest = tmp_path / "config.toml", 0, 0.0
    told: list[tuple[int, bool, bool]] = []
    for number in range(CONFIGS):
        one = mutated(text, rng)
        path.write_text(one, encoding="utf-8", errors="surrogatepass")
        began = time.thread_time()
        try:
            config.load(path, {})
        except ConfigError as error:
            refused += 1
            told.append((number, bool(error.problems), PASSWORD[7:] in str(error)))
        except BaseException:
            print(f"SEED={SEED}, number {number}")  # noqa: T201
            raise
        slowest = max(slowest, time.thread_time() - began)
    print(f"{CONFIGS} configurations, {refused} refused, the slowest took {slowest:.2f} s")  # noqa: T201
    assert [each for each in told if each[1:] != (True, False)] == []
    assert refused > 0
    assert slowest < SLOWEST


def test_refused_without_traceback(tmp_path: Path) -> None:
    """The command names the place of each mistake, exits with 2, and shows no traceback."""
    config_file = tmp_path / "config.toml"
    for value in HOSTILE[:2]:
        broken = f"schedule.every = {quoted(value)}\n[databases.ledger]\nurl = {quoted(value)}\n"
        config_file.write_text(broken, encoding="utf-8")
        done = subprocess.run(
            [RECONCILER, "config", "check", "--config", config_file],
            capture_output=True,
            text=True,
            timeout=patience(60),
            check=False,
        )
        assert done.returncode == 2
        assert "schedule.every" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def _strings() -> list[str]:
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    alphabet = "".join(HOSTILE).replace("\ud800", "") + "'\"\\;-<>&%_{}()[]/*#`"
    made = ["".join(rng.choices(alphabet, k=rng.randint(1, 60))) for _ in range(STRINGS)]
    return [each for each in (*HOSTILE, *made) if "\ud800" not in each]


CHECKS = """
http.port = 0
schedule.every = "1s"
log.format = "json"
privacy.personal = []
[databases.ledger]
url = "sqlite:///ledger.db"
[[checks]]
name = "t.keys"
kind = "duplicates"
table = "t"
primary_key = "id"
columns = ["k"]
[[checks]]
name = "t.amounts"
kind = "condition"
table = "t"
primary_key = "id"
expression = "k = 'right'"
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger in which each hostile string stands twice."""
    path = tmp_path / "ledger.db"
    rows = [each for each in _strings() for _ in range(2)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT)")
        connection.executemany("INSERT INTO t (k) VALUES (?)", [(each,) for each in rows])
    return path


def _rows(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, k FROM t ORDER BY id").fetchall()


def test_hostile_rows(ledger: Path, tmp_path: Path) -> None:
    """Hostile strings in rows arrive whole in JSON, are inert in HTML and SQL, and break no log."""
    before = _rows(ledger)
    with running(tmp_path, CHECKS) as worker:
        worker.wait_for(1, "check_outcome", check="t.keys", outcome="fail")
        worker.wait_for(1, "check_outcome", check="t.amounts", outcome="fail")
        done = subprocess.run(
            [RECONCILER, "check", "--format", "json", "--config", worker.config],
            capture_output=True,
            cwd=tmp_path,
            timeout=patience(60),
            check=False,
        )
        pages = [worker.get(f"/checks/{name}").text for name in ("t.keys", "t.amounts")]
        assert worker.get("/metrics").status_code == 200
        assert worker.get("/api/v1/checks").status_code == 200
        assert {line["event"] for line in worker.lines} >= {"check_run", "finding_confirmed"}
    assert (done.returncode, done.stderr) == (1, b"")
    (line,) = done.stdout.splitlines()
    keys = next(each for each in json.loads(line)["checks"] if each["name"] == "t.keys")
    assert keys["violations"] == len({key for _, key in before})
    for page in pages:
        assert "<script>alert" not in page
        assert '" onmouseover=' not in page
        assert "\x1b" not in page
        assert "49" not in page.partition("{{ 7")[2][:3]
    assert _rows(ledger) == before
