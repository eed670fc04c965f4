"""One session after the other: what a reload, a lost lease and an end leave of the one before."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from checks.contract import Check, Window
from tests.support import asking
from tests.support.patience import patience, wait_until
from worker import config
from worker.app import Worker
from worker.config import Config, ConfigError
from worker.config.cron import CronLine
from worker.model.run import Run
from worker.scheduling.execute import execute
from worker.session import Session, runner
from worker.sources import Sources
from worker.state.leader_election import STANDBY

Lines = list[Any]


class Site:
    """A worker on a ledger in an SQLite file, in this process, and runs that can be held up."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.begun = threading.Event()
        """Set when a run that is held up has been executed, and not recorded."""
        self.release = threading.Event()
        self.held_up = ""
        """The check whose next run is held up."""
        monkeypatch.setattr(runner, "execute", self._execute)
        with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
            ledger.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        self.worker = Worker(self.config("a", "b"))

    def config(self, *checks: str) -> Config:
        """A configuration of these checks."""
        path = self._folder / "config.toml"
        path.write_text(
            'schedule.every = "1s"\nhttp.port = 0\n'
            f'state.url = "sqlite:///{self.state}"\nstate.lease = "3s"\n'
            f'[databases.ledger]\nurl = "sqlite:///{self._folder}/ledger.db"\n'
            + "".join(
                f'[[checks]]\nname = "{name}"\nkind = "row_count"\ntable = "t"\n' for name in checks
            )
        )
        return config.load(path)

    @property
    def state(self) -> Path:
        """The file of the worker's state."""
        return self._folder / "state.db"

    @property
    def page(self) -> str:
        """What a scrape gets."""
        return self.worker.metrics.render("", leads=self.worker._session.leads)[0].decode()

    def runs(self, check: str) -> int:
        """How many runs of a check the worker counts."""
        return int(self.worker.metrics.runs.labels(check, "pass")._value.get())

    def wait_for_a_run(self, check: str) -> None:
        """Wait until a check runs once more."""
        before = self.runs(check)
        wait_until(lambda: self.runs(check) > before, 10, f"a run of {check}")

    def give_lease_to(self, holder: str, until: str) -> None:
        """Have another worker take the lease."""
        with closing(sqlite3.connect(self.state, timeout=patience(5))) as state, state:
            state.execute(
                "UPDATE leases SET holder = ?, token = token + 1, place = 'elsewhere', until = "
                + until,
                [holder],
            )

    def _execute(self, check: Check, sources: Sources, window: Window) -> Run:
        run = execute(check, sources, window)
        if check.name == self.held_up:
            self.held_up = ""
            self.begun.set()
            assert self.release.wait(patience(30))
        return run


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines) -> Iterator[Site]:
    made = Site(tmp_path, monkeypatch)
    made.worker.start()
    made.wait_for_a_run("a")
    yield made
    made.release.set()
    if "worker_stopped" not in events(lines):
        made.worker.stop()


def events(lines: Lines) -> list[str]:
    """The events logged so far."""
    return [line["event"] for line in lines]


def beside(work: Callable[[], object]) -> threading.Thread:
    """Do something on a thread."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ended(*threads: threading.Thread) -> None:
    """Wait for them."""
    for thread in threads:
        thread.join(patience(20))
        assert not thread.is_alive()


def test_nothing_of_an_old_session_comes_after_its_successor(site: Site, lines: Lines) -> None:
    """A run that ends after a reload is neither in the state nor in metrics, pages or log."""
    site.held_up = "a"
    assert site.begun.wait(patience(10))
    old, kept = site.worker._session, site.worker._state.last_runs()["a"]
    site.worker.reload(lambda: site.config("b", "c"))
    after = len(lines)
    site.release.set()
    site.wait_for_a_run("c")
    wait_until(lambda: not old.scheduler._running["a"].locked(), 10, "the run ends")
    assert not old.runner.acts
    assert "a" not in {line.get("check") for line in lines[after:]}
    assert 'check="a"' not in site.page
    assert "a" not in site.worker._session.runner.latest
    assert site.worker._state.last_runs()["a"] == kept


def test_what_is_ambiguous_is_logged_after_a_reload(site: Site, lines: Lines) -> None:
    """A valid line that easily means something else than was meant is a warning in the log."""
    plain = site.config("a")
    schedule = plain.settings.schedule.model_copy(update={"complete": CronLine("0 3 1 * mon")})
    settings = plain.settings.model_copy(update={"schedule": schedule})
    site.worker.reload(lambda: replace(plain, settings=settings))
    (logged,) = (line for line in lines if line["event"] == "config_ambiguous")
    assert [each.split(": ")[0] for each in logged["warnings"]] == ["schedule.complete"]


def test_callbacks_of_an_old_session_export_nothing(site: Site) -> None:
    """What its threads still report of missed runs and busy databases makes no series again."""
    old = site.worker._session
    (check, _) = old.config.checks
    site.worker.reload(lambda: site.config("b"))
    old.runner.note_missed(check, "overlap", 1)
    old.runner.note_busy("ledger", "threads_running", busy=True)
    assert old.runner.run(check, complete=False) == 0.0
    assert 'check="a"' not in site.page
    assert "reconciler_database_busy{" not in site.page


@pytest.mark.parametrize(
    "fault",
    [ConfigError(Path("config.toml"), []), OSError("away"), RecursionError(), MemoryError()],
)
def test_a_reload_that_fails_changes_nothing(site: Site, lines: Lines, fault: Exception) -> None:
    """A configuration that cannot be read leaves the session at work, and says so."""
    before = site.worker._session

    def load() -> Config:
        raise fault

    site.worker.reload(load)
    assert "config_refused" in events(lines)
    assert site.worker._session is before
    assert "reconciler_config_last_reload_successful 0.0" in site.page
    site.wait_for_a_run("a")


def test_a_session_that_cannot_be_built_changes_nothing(
    site: Site, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault while the next session is being made leaves the one before at work."""
    before = site.worker._session

    def fail(_settings: object) -> Sources:
        raise MemoryError

    with monkeypatch.context() as faulty:
        faulty.setattr(Sources, "of", fail)
        site.worker.reload(lambda: site.config("b"))
    (refused,) = [line for line in lines if line["event"] == "config_refused"]
    (mistake,) = refused["mistakes"]
    assert re.fullmatch(r"fault in the worker: MemoryError at \w+\.py:\d+ \(\w+\)", mistake)
    assert site.worker._session is before
    site.wait_for_a_run("a")


@pytest.mark.parametrize("step", ["adopt", "start"])
def test_a_session_that_cannot_begin_is_followed_by_the_one_before(
    site: Site, lines: Lines, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A fault while the next session takes over brings the configuration before back to work."""
    before = site.worker._session
    original = getattr(Session, step)

    def fail(session: Session) -> None:
        if session.config is not before.config:
            raise RuntimeError
        original(session)

    with monkeypatch.context() as faulty:
        faulty.setattr(Session, step, fail)
        site.worker.reload(lambda: site.config("b"))
    (refused,) = [line for line in lines if line["event"] == "config_refused"]
    (mistake,) = refused["mistakes"]
    assert re.fullmatch(r"fault in the worker: RuntimeError at \w+\.py:\d+ \(\w+\)", mistake)
    assert site.worker._session.config is before.config
    assert "reconciler_config_last_reload_successful 0.0" in site.page
    site.wait_for_a_run("a")
    site.worker.reload(lambda: site.config("b"))
    site.wait_for_a_run("b")


def held_up(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Do something when a session is being closed, once."""
    close = Sources.close

    def close_after_that(sources: Sources) -> None:
        monkeypatch.setattr(Sources, "close", close)
        meanwhile()
        close(sources)

    monkeypatch.setattr(Sources, "close", close_after_that)


def test_a_worker_ends_during_a_reload(
    site: Site, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reload is finished, one that comes later is not begun, and nothing runs after the end."""
    ends: list[threading.Thread] = []

    def end() -> None:
        ends.append(beside(site.worker.stop))
        wait_until(lambda: site.worker._ready() == (False, "stopping"), 10, "it is stopping")

    held_up(monkeypatch, end)
    site.worker.reload(lambda: site.config("c"))
    ended(*ends)
    site.worker.reload(lambda: site.config("d"))
    assert "config_reloaded" in events(lines)
    assert events(lines)[-1] == "worker_stopped"
    session = site.worker._session
    assert [check.name for check in session.config.checks] == ["c"]
    assert session.scheduler._stop.is_set()
    assert not session.runner.acts


def test_a_worker_ends_while_a_configuration_is_read(site: Site, lines: Lines) -> None:
    """The end does not wait for a file that hangs, and what comes of it is not taken."""
    reading, read = threading.Event(), threading.Event()

    def load() -> Config:
        reading.set()
        assert read.wait(patience(20))
        return site.config("c")

    reload = beside(lambda: site.worker.reload(load))
    assert reading.wait(patience(10))
    site.worker.stop()
    read.set()
    ended(reload)
    assert events(lines)[-1] == "worker_stopped"
    assert [check.name for check in site.worker._session.config.checks] == ["a", "b"]


def test_another_worker_takes_over_during_a_reload(
    site: Site, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next session is that of a standby, which exports and runs nothing."""
    before, election = site.worker._session, site.worker._election

    def lose() -> None:
        site.give_lease_to("other/1/x", "until + 3600")
        wait_until(lambda: election.term == STANDBY, 20, "the lease is seen to be lost")
        assert not before.leads

    held_up(monkeypatch, lose)
    site.worker.reload(lambda: site.config("c"))
    wait_until(lambda: site.worker._session.is_standby, 20, "it is a standby")
    assert [check.name for check in site.worker._session.config.checks] == ["c"]
    wait_until(lambda: "lease_waiting" in events(lines), 10, "it waits")
    assert "reconciler_leader 0.0" in site.page
    assert "check=" not in site.page
    site.give_lease_to("other/1/x", "0")
    site.wait_for_a_run("c")
    assert "reconciler_leader 1.0" in site.page
    assert events(lines).count("lease_lost") == 1


def test_a_lease_that_is_lost_and_won_during_a_reload(
    site: Site, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload holds up neither the loss of a lease nor its renewal: another term begins."""
    before, election = site.worker._session, site.worker._election

    def lose_and_win() -> None:
        site.give_lease_to("other/1/x", "until + 3600")
        wait_until(lambda: election.term == STANDBY, 20, "the lease is seen to be lost")
        site.give_lease_to("other/1/x", "0")
        wait_until(lambda: election.term > before.term, 20, "it is taken again")

    held_up(monkeypatch, lose_and_win)
    site.worker.reload(lambda: site.config("c"))
    wait_until(lambda: site.worker._session.leads, 20, "it leads again")
    site.wait_for_a_run("c")
    assert site.worker._session.term > before.term
    assert (events(lines).count("lease_lost"), events(lines).count("lease_acquired")) == (1, 2)


def test_a_scrape_during_a_reload_sees_all_of_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two sessions the metrics are those of the one before: no alert is resolved by it."""
    seen: list[str] = []
    adopt = Session.adopt

    def adopt_after_a_scrape(session: Session) -> None:
        seen.append(asking.get(f"{site.worker.web.address}/metrics").text)
        adopt(session)

    monkeypatch.setattr(Session, "adopt", adopt_after_a_scrape)
    site.worker.reload(lambda: site.config("b"))
    (page,) = seen
    assert 'reconciler_check_violations{check="a"' in page
    assert "reconciler_leader 1.0" in page
