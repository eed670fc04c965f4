"""The demo's own access log: what is in it, and whose logs are left alone."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from checks.http_log.formats import LineFormat
from checks.http_log.request import Request
from tests.support import ENDS_WITH_US, SHIPPED
from tests.support.access_logs import quiet, whole
from tests.support.patience import exit_code, wait_until
from tests.support.workers import RECONCILER
from worker import config
from worker.cli.main import app
from worker.demo import traffic
from worker.demo.application import READS, WRITES, Application
from worker.demo.ledger import BEIJING
from worker.demo.traffic import NoDemoLogError, Pace, Traffic, append, is_written_here, prepare

FAST = Pace(quiet=200, stormy=600, calm=0.3, storm=0.4)
NOON = datetime(2026, 1, 5, 12, tzinfo=BEIJING)
FIELDS = ["time", "method", "path", "status", "code", "idempotency_key", "client", "duration_ms"]


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def requests(path: Path) -> list[Request]:
    batch = whole(LineFormat().reader()(path.read_bytes()))
    assert not batch.faults
    return batch.requests


def one_line() -> str:
    return next(Application(1).quiet(NOON)).line(NOON)


def test_an_hour_is_there_before_the_worker_starts(tmp_path: Path) -> None:
    """A new log holds quiet traffic of the last hour, which ends now and is in order."""
    log, before = tmp_path / "app.log", datetime.now(BEIJING).timestamp()
    prepare(log)
    after = datetime.now(BEIJING).timestamp()
    found = requests(log)
    seconds = [request.second or 0 for request in found]
    assert seconds == sorted(seconds)
    assert before - 3610 < seconds[0] < after - 3590
    assert before - 5 < seconds[-1] <= after
    assert 14_000 < len(found) < 15_000
    assert list(written(log)[0])[: len(FIELDS)] == FIELDS


def test_quiet_traffic_is_quiet(tmp_path: Path) -> None:
    """One write in a hundred conflicts, for various reasons; each write has a key or a refusal."""
    log = tmp_path / "app.log"
    prepare(log)
    writes = [request for request in requests(log) if request.method == "POST"]
    conflicts = Counter(request.code for request in writes if request.status == 409)
    assert 0.005 < conflicts.total() / len(writes) < 0.02
    assert len(conflicts) == 5
    assert all(request.key for request in writes if request.status != 400)
    assert {request.key for request in writes if request.status == 400} == {""}
    assert Counter(request.status for request in writes).keys() == {200, 400, 409, 422}


def test_every_interface_is_used() -> None:
    """Quiet traffic asks for each interface that writes and each that reads."""
    application = Application(1)
    shapes = {
        "".join("9" if sign.isdigit() else sign for sign in call.path).replace("9999", "9")
        for _ in range(2000)
        for call in application.quiet(NOON)
    }
    expected = {route.format(id=9, page=9).replace("v4", "v9") for route in (*WRITES, *READS)}
    assert shapes == expected


def test_traffic_follows_from_its_seed() -> None:
    """The same seed asks for the same, and another one for something else."""

    def lines(seed: int) -> list[str]:
        application = Application(seed)
        return [call.line(NOON) for _ in range(200) for call in application.quiet(NOON)]

    assert lines(1) == lines(1) != lines(2)


def test_a_later_start_adds_what_is_missing(tmp_path: Path) -> None:
    """An older log goes on where it ends, or an hour ago when that is longer; no key comes back."""
    log, long_ago = tmp_path / "app.log", tmp_path / "old.log"
    quarter = datetime.now(BEIJING) - timedelta(minutes=15)
    append(log, [next(Application(1).quiet(quarter)).line(quarter)])
    append(long_ago, [one_line()])
    for path, least, most in ((log, 3500, 3800), (long_ago, 14_000, 15_000)):
        prepare(path)
        assert least < len(requests(path)) < most
        prepare(path)
        assert least < len(requests(path)) < most
        keys = Counter(request.key for request in requests(path) if request.key)
        assert max(keys.values()) <= 2


def test_storms_come_and_go(tmp_path: Path) -> None:
    """In a storm one client repeats one key on one interface; the log says when, and where."""
    log = tmp_path / "app.log"
    with capture_logs() as events:
        going = Traffic(log, FAST)
        going.start()
        wait_until(lambda: len(events) >= 4, 10, "two storms are over")
        going.stop()
    told = [(event["event"], event["route"]) for event in events[:4]]
    first, second = list(WRITES)[:2]
    names = ("demo_storm_began", "demo_storm_ended")
    assert told == [(name, route) for route in (first, second) for name in names]
    conflicts = [request for request in requests(log) if request.status == 409]
    keys = Counter(request.key for request in conflicts)
    for key, number in keys.most_common(2):
        of_key = [request for request in conflicts if request.key == key]
        assert 100 < number < 400
        assert len({(request.path, request.client) for request in of_key}) == 1
        assert {request.code for request in of_key} == {"REQUEST_PROCESSING", "DUPLICATE_ENTRY"}
    assert sum(number for _, number in keys.most_common()[2:]) < 20


def test_no_stormy_name_is_told(tmp_path: Path) -> None:
    """Keys, clients and concrete paths are in the access log and not in the worker's own."""
    with capture_logs() as events:
        going = Traffic(tmp_path / "app.log", FAST)
        going.start()
        wait_until(lambda: len(events) >= 2, 10, "a storm is over")
        going.stop()
    known = {"event", "log_level", "route", "method", "per_second", "seconds"}
    assert {name for event in events for name in event} == known


def test_it_stops_at_once(tmp_path: Path) -> None:
    """A stop waits for no calm, a storm that is cut off is told as ended, and no thread is left."""
    going = Traffic(tmp_path / "app.log", Pace(calm=0.1, storm=600))
    with capture_logs() as events:
        going.start()
        wait_until(lambda: bool(events), 10, "a storm began")
        going.stop()
    assert [event["event"] for event in events] == ["demo_storm_began", "demo_storm_ended"]
    assert "traffic" not in {thread.name for thread in threading.enumerate()}
    Traffic(tmp_path / "other.log").stop()  # was never started


def test_the_log_rotates_and_keeps_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large log is renamed before the next line; no line is lost, and one old log is kept."""
    monkeypatch.setattr(traffic, "LARGEST", 1000)
    log, old = tmp_path / "app.log", tmp_path / "app.log.1"
    line = one_line()
    for number in range(1, 12):
        append(log, [line])
        assert len(written(log)) == (number - 1) % 4 + 1
    assert len(written(old)) == 4
    assert {each.name for each in tmp_path.iterdir()} == {"app.log", "app.log.1"}
    assert is_written_here(log)
    assert is_written_here(old)


STRANGE: dict[str, bytes] = {
    "another_application": b'{"method": "GET", "path": "/", "status": 200}\n',
    "combined": b'10.0.0.1 - - [05/Jan/2026:12:00:00 +0800] "GET / HTTP/1.1" 200 5 "-" "-"\n',
    "empty": b"",
    "binary": bytes(range(256)),
    "no_object": b'["reconciler-demo"]\n',
    "deep": b"[" * 100_000,
    "marked_later": b"{}\n" + one_line().encode(),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("name", ["app.log", "app.log.1"])
def test_somebody_elses_log_is_left_alone(tmp_path: Path, name: str, strange: bytes) -> None:
    """What the demo has not written it neither extends nor renames nor replaces."""
    log, other = tmp_path / "app.log", tmp_path / name
    if other != log:
        append(log, [one_line()])
    other.write_bytes(strange)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(NoDemoLogError, match=rf"{name} was not written by"):
        prepare(log)
    with pytest.raises(NoDemoLogError, match=rf"{name} was not written by"):
        append(log, [one_line()])
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_pipe_and_a_folder_are_no_logs(tmp_path: Path) -> None:
    """What is no file is refused without waiting for it."""
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for each in (pipe, folder):
        with pytest.raises(NoDemoLogError):
            prepare(each)


def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """After half a line, as a kill or a full disk leaves it, the next line begins on its own."""
    log = tmp_path / "app.log"
    append(log, [one_line()])
    with log.open("ab") as file:
        file.write(one_line().encode()[:40])
    append(log, [one_line()])
    batch = whole(LineFormat().reader()(log.read_bytes()))
    assert (len(batch.requests), batch.faults) == (2, Counter(unreadable=1))
    assert is_written_here(log)


def test_what_cannot_be_written_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its folder the traffic warns once and goes on as soon as it can; then warns anew."""
    log = tmp_path / "folder" / "app.log"
    attempts: list[Path] = []

    def attempt(path: Path, lines: list[str]) -> None:
        attempts.append(path)
        append(path, lines)

    monkeypatch.setattr(traffic, "append", attempt)
    with capture_logs() as events:
        going = Traffic(log, Pace(quiet=100))
        going.start()
        wait_until(lambda: len(attempts) > 3, 5, "some attempts")
        assert len(events) == 1
        log.parent.mkdir()
        wait_until(log.exists, 5, "it goes on")
        (tmp_path / "other").write_bytes(b"not yours\n")
        (tmp_path / "other").replace(log)
        wait_until(lambda: len(events) >= 2, 5, "another warning")
        going.stop()
    assert [event["event"] for event in events] == ["demo_traffic_failed"] * 2
    assert "No such file" in events[0]["error"]
    assert log.read_bytes() == b"not yours\n"


FULL_DISK = """
import resource, sys
from pathlib import Path
from worker.demo import traffic
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    traffic.prepare(Path(sys.argv[1]))
except OSError as error:
    sys.exit(error.strerror)
"""


def test_a_full_disk_leaves_nothing_that_is_not_ours(tmp_path: Path) -> None:
    """A log whose first line cannot be written is removed: it could not be told for the demo's."""
    log = tmp_path / "app.log"

    def prepare_within(size: int) -> str:
        command = [sys.executable, "-c", FULL_DISK, str(log), str(size)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()

    assert (prepare_within(0), log.exists()) == ("File too large", False)
    assert (prepare_within(50_000), log.stat().st_size) == ("File too large", 50_000)
    assert is_written_here(log)
    prepare(log)
    batch = whole(LineFormat().reader()(log.read_bytes()))
    assert (len(batch.requests) > 14_000, batch.faults) == (True, Counter(unreadable=1))


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the shipped configuration is used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECONCILER_CONFIG", str(SHIPPED))
    monkeypatch.setenv("RECONCILER_HTTP__PORT", "0")
    return tmp_path


def test_the_demo_brings_its_log(shipped: Path) -> None:
    """The shipped configuration names no log; `demo` has its own, and leaves the environment."""
    before = dict(os.environ)
    assert CliRunner().invoke(app, ["demo", "--build-only"]).exit_code == 0
    assert dict(os.environ) == before
    assert config.load(SHIPPED, {}).settings.access_logs == {}
    assert is_written_here(shipped / "demo-access.log")


def test_the_demo_writes_the_log_that_is_named(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the configuration names a log, the traffic is written there and nowhere else."""
    monkeypatch.setenv("RECONCILER_ACCESS_LOGS__SHOP__PATH", "shop.log")
    assert CliRunner().invoke(app, ["demo", "--build-only"]).exit_code == 0
    assert is_written_here(shipped / "shop.log")
    assert not (shipped / "demo-access.log").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda log: log.write_bytes(b"GET /\n"), "was not written by"),
        (lambda log: log.parent.chmod(0o500) if os.geteuid() else log.mkdir(), "demo-access.log"),
    ],
    ids=["another", "impossible"],
)
def test_the_demo_goes_without_traffic(
    shipped: Path, spoil: Callable[[Path], object], said: str
) -> None:
    """A log that is not the demo's, or cannot be written, is told and keeps nobody from trying."""
    assert CliRunner().invoke(app, ["demo", "--build-only"]).exit_code == 0
    log = shipped / "demo-access.log"
    log.unlink()
    spoil(log)
    result = CliRunner().invoke(app, ["demo", "--build-only"])
    assert (result.exit_code, said in result.stderr) == (0, True)
    shipped.chmod(0o700)


def test_a_running_demo_has_traffic_and_ends_in_order(shipped: Path) -> None:
    """While `demo` runs its log grows, a reload keeps it, and SIGTERM ends worker and traffic."""
    log, output = shipped / "demo-access.log", shipped / "output"
    with output.open("wb") as file:
        demo = subprocess.Popen([*ENDS_WITH_US, RECONCILER, "demo"], stdout=file, stderr=file)
    try:
        wait_until(lambda: b"worker_started" in output.read_bytes(), 30, "it runs")
        size = log.stat().st_size
        wait_until(lambda: log.stat().st_size > size, 10, "the log grows")
        demo.send_signal(signal.SIGHUP)
        wait_until(lambda: b"config_reloaded" in output.read_bytes(), 10, "it is reloaded")
        demo.send_signal(signal.SIGTERM)
        assert exit_code(demo, 12) == 0
    finally:
        demo.kill()
        demo.wait()
    assert b"worker_stopped" in output.read_bytes()
    lines = [json.loads(line) for line in output.read_bytes().splitlines() if line[:1] == b"{"]
    (reloaded,) = (line for line in lines if line["event"] == "config_reloaded")
    assert reloaded["checks"] == len(config.load(SHIPPED, quiet()).checks)
