"""Alerts on their way: written with the findings they tell of, and kept until they are taken."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from checks.contract import Check
from tests.support.states import CHECK, TWICE, acknowledge, failed_run, found, run_of, withdraw
from worker.model.alert import Draft, StoredAlert
from worker.model.finding import StoredFinding
from worker.model.steady_clock import STEADY
from worker.state import State, outbox, store

OTHER = CHECK.model_copy(update={"name": "users.row_count"})


class Telling:
    """A policy that sends every check's alert to one or two Alertmanagers."""

    def __init__(self, *alertmanagers: str, mark: str = "a", silent: Collection[str] = ()) -> None:
        self.alertmanagers: Collection[str] = alertmanagers
        self._mark = mark
        self._silent = silent

    def draft(self, check: Check, confirmed: int, told: Iterable[StoredFinding]) -> Draft | None:
        """The number of findings, and the ids of those that are told of."""
        if check.name in self._silent:
            return None
        ids = ",".join(each.encoded_key for each in told)
        return Draft({"check": check.name, "mark": self._mark}, {"n": f"{confirmed} {ids}"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the state file is."""
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    """A state that sends its alerts to one Alertmanager."""
    state = State(make_url(f"sqlite:///{path}"))
    state.adopt_policy(Telling("main"), [CHECK, OTHER])
    yield state
    state.close()


def firing(state: State, alertmanager: str = "main") -> list[StoredAlert]:
    """What this Alertmanager is to know as firing."""
    return [row for row in state.alerts_for(alertmanager) if row.ends_at is None]


def take(state: State) -> None:
    """The Alertmanager takes all that waits."""
    state.settle_alerts(state.alerts_for("main"), [])


def test_a_confirmed_finding_makes_one_alert_of_its_check(state: State) -> None:
    """However many findings, and however often they are seen, a check has one alert."""
    state.record(run_of(1, 2, 3))
    first = firing(state)
    assert [row.draft.annotations["n"][:1] for row in first] == ["3"]
    state.record(run_of(1, 2, 3))
    assert firing(state) == first
    assert state.pending_alerts("main") == {first[0].id: first[0].changed_at}


def test_an_unconfirmed_finding_alerts_nobody(state: State) -> None:
    """What a later run has to confirm waits for that run."""
    state.record(run_of(1, check=TWICE))
    assert firing(state) == []
    state.record(run_of(1, check=TWICE))
    assert len(firing(state)) == 1


def test_more_findings_are_told_anew(state: State) -> None:
    """The alert stays the same one, begun when it was, and its new contents wait to be taken."""
    state.record(run_of(1))
    take(state)
    before = firing(state)[0]
    assert before.taken_at is not None
    state.record(run_of(1, 2))
    after = firing(state)[0]
    assert (after.id, after.starts_at) == (before.id, before.starts_at)
    assert after.draft.annotations["n"].startswith("2 ")
    assert after.taken_at is None


def test_few_findings_are_told_of_by_name(state: State) -> None:
    """A mass of findings makes an alert of five of them and the number of all."""
    state.record(run_of(*range(900)))
    contents = firing(state)[0].draft.annotations["n"]
    assert contents.startswith("900 ")
    assert contents.count("id") == outbox.FINDINGS_TOLD


def test_what_is_mended_ends_the_alert(state: State) -> None:
    """The end waits to be taken like the beginning did, and only a completed run ends it."""
    state.record(run_of(1))
    take(state)
    state.record(failed_run())
    assert len(firing(state)) == 1
    state.record(run_of())
    assert firing(state) == []
    assert len(state.pending_alerts("main")) == 1
    ended = state.alerts_for("main")[0]
    assert ended.ends_at
    assert ended.ends_at >= ended.starts_at


def test_a_finding_that_comes_back_begins_anew(state: State) -> None:
    """The same alert fires again, from now on, while its end was still being told."""
    state.record(run_of(1))
    state.record(run_of())
    ended = state.alerts_for("main")[0]
    state.record(run_of(1))
    (again,) = state.alerts_for("main")
    assert again.id == ended.id
    assert again.ends_at is None
    assert ended.ends_at
    assert again.starts_at >= ended.ends_at


def test_an_acknowledged_finding_alerts_nobody(state: State, path: Path) -> None:
    """Acknowledging ends the alert with the next run; taking that back begins it again."""
    state.record(run_of(1))
    url = make_url(f"sqlite:///{path}")
    acknowledge(url, 1)
    state.record(run_of(1))
    assert firing(state) == []
    withdraw(url, 1)
    state.record(run_of(1))
    assert len(firing(state)) == 1


def test_an_acknowledgement_that_expires_alerts_again(state: State, path: Path) -> None:
    """Even where the run after its time could not tell."""
    state.record(run_of(1))
    acknowledge(make_url(f"sqlite:///{path}"), 1)
    state.record(run_of(1))
    state.record(failed_run(later=timedelta(days=400)))
    assert len(firing(state)) == 1


def test_an_acknowledged_finding_hides_no_new_one(state: State, path: Path) -> None:
    """Beside it, a new finding of the same check alerts, and is the only one told of."""
    state.record(run_of(1))
    acknowledge(make_url(f"sqlite:///{path}"), 1)
    state.record(run_of(1, 2))
    assert firing(state)[0].draft.annotations["n"] == '1 {"id": 2}'


def test_violations_beyond_the_sample_alert(state: State) -> None:
    """The number is that of all violations, also where few are kept."""
    state.record(run_of(1, violations=5000))
    assert firing(state)[0].draft.annotations["n"].startswith("5000 ")


def test_each_alertmanager_is_told(state: State) -> None:
    """One that takes an alert does not take it for the other."""
    state.adopt_policy(Telling("main", "second"), [CHECK])
    state.record(run_of(1))
    take(state)
    assert state.pending_alerts("main") == {}
    assert len(state.pending_alerts("second")) == 1


def test_what_changed_meanwhile_still_waits(state: State) -> None:
    """An answer to an older version of an alert does not count for the newer one."""
    state.record(run_of(1))
    sent = state.alerts_for("main")
    state.record(run_of(1, 2))
    state.settle_alerts(sent, [])
    assert len(state.pending_alerts("main")) == 1


def test_an_alert_waits_since_nobody_took_it(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its text changes, and when it ends; anew only once it was taken."""
    clock = Clock(monkeypatch)
    state.record(run_of(1))
    began = clock()
    for number in range(2, 9):
        clock.pass_by(5)
        state.record(run_of(*range(number)))
    clock.pass_by(5)
    state.record(run_of())
    assert list(state.pending_alerts("main").values()) == [began]
    take(state)
    assert state.pending_alerts("main") == {}
    clock.pass_by(5)
    state.record(run_of(1))
    assert list(state.pending_alerts("main").values()) == [clock()]


def test_each_change_is_a_later_version(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is done to the clock, an answer to one version counts for no other."""
    clock = Clock(monkeypatch)
    seen: list[float] = []
    for step, keys in ((0, [1]), (0, [1, 2]), (-86400, [1]), (0, []), (-5, [1]), (90000, [])):
        clock.pass_by(step)
        state.record(run_of(*keys))
        seen += [row.changed_at for row in state.alerts_for("main")]
    assert seen == sorted(set(seen))
    assert len(seen) == 6


def test_an_alert_of_an_earlier_version_goes_on(state: State) -> None:
    """One that fires gets no labels of its system, which would be another page, until it ends."""

    class Later(Telling):
        def draft(self, check: Check, confirmed: int, told: Iterable[StoredFinding]) -> Draft:
            """What it was, and whose it is."""
            draft = super().draft(check, confirmed, told)
            assert draft
            return Draft({**draft.labels, "environment": "production"}, draft.annotations)

    state.record(run_of(1))
    (before,) = firing(state)
    state.adopt_policy(Later("main"), [CHECK])
    assert [each.id for each in state.alerts_for("main")] == [before.id]
    state.record(run_of(1, 2))
    (after,) = firing(state)
    assert (after.id, after.encoded_labels) == (before.id, before.encoded_labels)
    assert after.draft.annotations["n"].startswith("2 ")
    state.record(run_of())
    state.record(run_of(1))
    (new,) = firing(state)
    assert new.draft.labels["environment"] == "production"


class Clock:
    """The time of the outbox, as a test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._at = 1.8e9
        monkeypatch.setattr(STEADY, "seconds", self)

    def __call__(self) -> float:
        """What time it is."""
        return self._at

    def pass_by(self, seconds: float) -> None:
        """Let so much of it pass."""
        self._at += seconds


def test_only_what_is_over_is_forgotten(state: State) -> None:
    """An alert that fires again is not forgotten with its earlier end."""
    state.record(run_of(1))
    state.record(run_of())
    over = state.alerts_for("main")
    state.record(run_of(1))
    state.settle_alerts([], over)
    assert len(firing(state)) == 1
    state.record(run_of())
    state.settle_alerts([], state.alerts_for("main"))
    assert state.alerts_for("main") == []


def test_a_restart_forgets_no_alert(state: State, path: Path) -> None:
    """What waited waits again, and what was taken stays so."""
    state.record(run_of(1))
    take(state)
    state.record(run_of(2, check=OTHER))
    before = state.alerts_for("main")
    with closing(State(make_url(f"sqlite:///{path}"))) as again:
        again.adopt_policy(Telling("main"), [CHECK, OTHER])
        assert again.alerts_for("main") == before
        assert again.pending_alerts("main") == state.pending_alerts("main") != {}
        assert again.masking_secret == state.masking_secret


def test_alert_and_finding_are_written_together(
    state: State, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the alert cannot be written, the database has no finding either, and the other way."""

    def failing(*_arguments: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")  # as a full disk says it

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "align", failing)
        with pytest.raises(sqlite3.OperationalError):
            state.record(run_of(1))
    with closing(sqlite3.connect(path)) as raw:
        tables = ("findings", "alerts", "runs")
        assert [raw.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables] == [0] * 3
    state.record(run_of(1))
    with closing(sqlite3.connect(path)) as raw:
        assert [raw.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables] == [1] * 3


def test_alerts_go_on_without_the_database(
    state: State, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that cannot be written alerts from memory, and afterwards knows when it began."""
    monkeypatch.setattr(store, "RETRY_AFTER", 0.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    state.record(run_of(1))
    assert state.failure
    began = firing(state)[0].starts_at
    other.execute("ROLLBACK")
    other.close()
    state.record(run_of(1))
    assert state.failure is None
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT starts_at, ends_at FROM alerts").fetchall() == [(began, None)]


def test_a_check_that_leaves_the_configuration_alerts_no_more(state: State) -> None:
    """Its alert ends, and that is told."""
    state.record(run_of(1))
    take(state)
    state.forget_checks_except([OTHER.name])
    state.adopt_policy(Telling("main"), [OTHER])
    assert firing(state) == []
    assert len(state.pending_alerts("main")) == 1


def test_another_configuration_says_so_to_whom_it_concerns(state: State) -> None:
    """Other labels end the old alert and begin another; a severity left to rules only ends it."""
    state.record(run_of(1))
    state.adopt_policy(Telling("main", mark="b"), [CHECK, OTHER])
    marks = {row.draft.labels["mark"]: row.ends_at for row in state.alerts_for("main")}
    assert marks["b"] is None
    assert marks["a"] is not None
    state.adopt_policy(Telling("main", silent=[CHECK.name]), [CHECK, OTHER])
    assert firing(state) == []


def test_what_was_found_before_alerts_once_it_may(state: State) -> None:
    """A configuration that begins to send alerts tells what is wrong already."""
    state.adopt_policy(Telling(), [CHECK])
    state.record(run_of(1))
    assert state.alerts_for("main") == []
    state.adopt_policy(Telling("main"), [CHECK])
    assert len(firing(state)) == 1


def test_an_alertmanager_that_is_gone_waits_for_nothing(state: State) -> None:
    """Nobody could ever take its alerts."""
    state.record(run_of(1))
    state.adopt_policy(Telling("second"), [CHECK])
    assert state.alerts_for("main") == []
    assert len(firing(state, "second")) == 1


def test_the_policy_of_nobody(path: Path) -> None:
    """A state that was told nothing about alerts makes none."""
    with closing(State(make_url(f"sqlite:///{path}"))) as quiet:
        quiet.record(run_of(found(1)))
        with closing(sqlite3.connect(path)) as raw:
            assert raw.execute("SELECT count(*) FROM alerts").fetchone() == (0,)
