"""`reconciler findings …` as people and programs use it, beside a worker on the same state."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from syrupy.assertion import SnapshotAssertion

from checks.contract import Finding
from tests.integration.test_cli import reconciler
from tests.support.snapshots import Text
from tests.support.states import counted, rows, run_of
from worker import config
from worker.state import State

HOSTILE = "[red]evil[/red]\x1b[2J\nrow"
CONFIG = """
timezone = "Asia/Shanghai"
[databases.ledger]
url = "sqlite:///ledger.db"
[tables.orders]
primary_key = "id"
non_negative = ["amount"]
rows = { at_least = 1 }
"""
URL = make_url("sqlite:///reconciler-state.db")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ann")
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")


@pytest.fixture
def state() -> Iterator[State]:
    """The state of a worker that has seen two negative amounts and a table without rows."""
    state = State(URL)
    record(state, "orders.non_negative", 1, 2)
    record(state, "orders.row_count", Finding({"id": "all"}, HOSTILE, {"name": HOSTILE}))
    yield state
    state.close()


def record(state: State, name: str, *keys: object, violations: int | None = None) -> list[str]:
    """Be the worker's run of a configured check; the changes."""
    (check,) = [each for each in config.load().checks if each.name == name]
    told = state.record(run_of(*keys, check=check, violations=violations))
    return [each.change for each in told]


def listed(*arguments: str) -> list[dict[str, Any]]:
    """What `findings list --format json` gives."""
    result = reconciler("findings", "list", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    answer: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
    return answer


def ids(*keys: object) -> list[str]:
    """The ids of findings, by what is in their key."""
    return [rows(URL)[key].id for key in keys]


def without_moments(output: str) -> str:
    """What was printed, but for when it was."""
    return re.sub(r"\b20[2-8]\d-\d\d-\d\d \d\d:\d\d:\d\d", "YYYY-MM-DD hh:mm:ss", output)


def refused(*arguments: str, code: int = 2) -> str:
    """The one line by which a command refuses."""
    result = reconciler("findings", *arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    return result.stderr.removeprefix("reconciler: ").removesuffix("\n")


def test_the_list_for_programs(state: State) -> None:
    """JSON has everything of each unresolved finding, times in UTC, the worst first."""
    record(state, "orders.non_negative", 1)
    found = listed()
    assert [(each["check"], each["key"]) for each in found] == [
        ("orders.non_negative", {"id": 1}),
        ("orders.row_count", {"id": "all"}),
    ]
    moments = {name: found[0].pop(name) for name in ("first_seen", "last_seen")}
    assert all(datetime.fromisoformat(each).utcoffset() == timedelta() for each in moments.values())
    assert found[0] == {
        "id": ids(1)[0],
        "check": "orders.non_negative",
        "kind": "non_negative",
        "table": "orders",
        "severity": "critical",
        "state": "confirmed",
        "key": {"id": 1},
        "message": "row 1",
        "evidence": {"rows": 2},
        "magnitude": 1,
        "resolved_at": None,
        "times_seen": 2,
        "acknowledged": None,
    }


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ((), [1, 2, "all"]),
        (("--check", "*.row_count"), ["all"]),
        (("--check", "*.row_count", "--check", "orders.non*"), [1, 2, "all"]),
        (("--severity", "critical"), [1, 2]),
        (("--kind", "row_count"), ["all"]),
        (("--table", "orders", "--kind", "non_negative"), [1, 2]),
        (("--state", "acknowledged"), [2]),
        (("--state", "resolved"), [3]),
        (("--state", "resolved", "--state", "acknowledged"), [2, 3]),
    ],
)
def test_what_is_listed(state: State, arguments: tuple[str, ...], keys: list[object]) -> None:
    """Each option narrows the list; one that is repeated widens it."""
    record(state, "orders.non_negative", 1, 2, 3)
    record(state, "orders.non_negative", 1, 2)
    reconciler("findings", "ack", *ids(2), "--reason", "known")
    found = [each["key"]["id"] for each in listed(*arguments)]
    assert sorted(found, key=str) == keys


def test_the_list_for_people(state: State, snapshot: SnapshotAssertion) -> None:
    """A line a finding, times with their zone, values harmless, and what is not listed."""
    record(state, "orders.non_negative", 1, 2, violations=9)
    reconciler("findings", "ack", *ids(1), "--reason", "known", "--until", "2099-01-02 03:04")
    text = reconciler("findings", "list").stdout
    assert without_moments(text) == snapshot(extension_class=Text)


def test_a_finding_in_full(state: State, snapshot: SnapshotAssertion) -> None:
    """A short beginning of the id shows key, evidence, acknowledgement and history."""
    reconciler("findings", "ack", *ids("all"), "--reason", "the table is new", "--author", "bob")
    record(state, "orders.row_count", Finding({"id": "all"}, HOSTILE, {"name": HOSTILE}))
    result = reconciler("findings", "show", ids("all")[0][:6])
    assert result.exit_code == 0
    assert without_moments(result.stdout) == snapshot(extension_class=Text)
    answer = json.loads(reconciler("findings", "show", *ids("all"), "--format", "json").stdout)
    assert answer["acknowledged"]["author"] == "bob"
    assert answer["history"][1]["author"] == "bob"
    assert answer["evidence"] == {"name": HOSTILE}


def test_acknowledge_and_take_back(state: State) -> None:
    """An acknowledgement holds for its findings alone, until it is taken back."""
    result = reconciler("findings", "ack", ids(1)[0][:8], "--reason", "known", "--for", "2h")
    assert result.exit_code == 0
    assert result.stderr.startswith("acknowledged 1 finding until ")
    (found,) = listed("--state", "acknowledged")
    said = found["acknowledged"]
    assert (found["key"], said["author"], said["reason"]) == ({"id": 1}, "ann", "known")
    lasts = datetime.fromisoformat(said["until"]) - datetime.now(UTC)
    assert abs(lasts - timedelta(hours=2)) < timedelta(minutes=1)
    assert record(state, "orders.non_negative", 1, 2) == ["finding_acknowledged"]
    assert reconciler("findings", "unack", *ids(1)).exit_code == 0
    assert record(state, "orders.non_negative", 1, 2) == ["finding_unacknowledged"]
    assert listed("--state", "acknowledged") == []


def test_acknowledge_all_of_a_check(state: State) -> None:
    """All unresolved findings of the checks that match are acknowledged, and no other."""
    result = reconciler("findings", "ack", "--check", "*.non_negative", "--reason", "migration")
    assert result.stderr.startswith("acknowledged 2 findings until ")
    assert {each["check"] for each in listed("--state", "acknowledged")} == {"orders.non_negative"}
    record(state, "orders.non_negative", 1, 2, 3)
    (check,) = [each for each in config.load().checks if each.name == "orders.non_negative"]
    assert counted(state, check) == {"confirmed": 1, "acknowledged": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reason", "x"], "which? give ids of findings, or --check"),
        (["ID"], "--reason is empty"),
        (["ID", "--reason", " "], "--reason is empty"),
        (["ID", "--reason", "x", "--author", " "], "--author is empty"),
        (["ID", "--reason", "x", "--author", "x" * 101], "--author is longer than 100 characters"),
        (["ID", "--reason", "x", "--for", "1h", "--until", "2099-01-01"], "not both"),
        (["ID", "--reason", "x", "--for", "5y"], "--for 5y: a duration is a whole number above 0"),
        (["ID", "--reason", "x", "--for", "9999999d"], "this duration is too long"),
        (["ID", "--reason", "x", "--until", "tomorrow"], "--until tomorrow: no date-time"),
        (["ID", "--reason", "x", "--until", "2020-01-01"], "--until 2020-01-01: that is over"),
        (["ID", "abc", "--reason", "x"], "'abc' is no id of a finding: 4 to 32 digits"),
        (["ID", "0%_*", "--reason", "x"], "'0%_*' is no id of a finding"),
        (["ID", "ffff0000ffff", "--reason", "x"], "no finding is named ffff0000ffff"),
        (["--check", "order.*", "--reason", "x"], "no check is named order.*"),
        (["ID", "--check", "*", "--reason", "x"], "ids of findings, or --check, not both"),
    ],
)
def test_what_cannot_be_acknowledged(state: State, arguments: list[str], message: str) -> None:
    """A mistake is said, the exit code is 2, and nothing is changed, not even what was right."""
    given = [ids(1)[0] if each == "ID" else each for each in arguments]
    assert message in refused("ack", *given)
    assert listed("--state", "acknowledged") == []
    assert record(state, "orders.non_negative", 1, 2) == []


def test_every_wrong_id_is_named(state: State) -> None:
    """One answer lists all ids that are wrong, whatever is wrong with them."""
    gone = ids(2)[0]
    record(state, "orders.non_negative", 1)
    assert refused("ack", "ffff00", "zz", gone, "--reason", "x") == (
        "no finding is named ffff00; 'zz' is no id of a finding: 4 to 32 digits of 0-9 and a-f;"
        f" finding {gone} is already resolved; nothing was changed"
    )
    known = ids(1)[0]
    assert refused("unack", known) == f"finding {known} is not acknowledged; nothing was changed"
    assert refused("unack") == "which? give ids of findings"


def test_an_ambiguous_id(state: State) -> None:
    """A beginning that several findings share is refused."""
    assert state.failure is None
    with closing(sqlite3.connect("reconciler-state.db")) as raw, raw:
        for number, identity in enumerate(ids(1, 2)):
            new = f"abcd{number}" + "0" * 27
            raw.execute("UPDATE findings SET id = ? WHERE id = ?", (new, identity))
    raw.close()
    assert refused("show", "abcd") == "several findings begin with abcd; give more digits"
    assert reconciler("findings", "show", "ABCD1").exit_code == 0


@pytest.mark.parametrize("command", [["list"], ["show", "abcd"], ["ack", "abcd", "--reason", "x"]])
def test_without_a_state(command: list[str], tmp_path: Path) -> None:
    """Where no worker has run the exit code is 3, and no file is made."""
    said = refused(*command, code=3)
    assert "there is no state yet at reconciler-state.db; the worker makes it" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml"]


@pytest.mark.parametrize(("version", "message"), [(99, "this worker knows"), (1, "as it starts")])
def test_a_state_of_another_version(state: State, version: int, message: str) -> None:
    """A state of another version is said to be one, and left alone."""
    assert state.failure is None
    with closing(sqlite3.connect("reconciler-state.db")) as raw, raw:
        raw.execute("UPDATE schema_version SET version = ?", (version,))
    raw.close()
    assert message in refused("list", code=3)


def test_a_check_that_is_no_longer_configured(state: State, tmp_path: Path) -> None:
    """Its findings are listed all the same, last, without what only the configuration knows."""
    assert state.failure is None
    (tmp_path / "config.toml").write_text(CONFIG.replace("non_negative", "# non_negative"))
    assert [each["severity"] for each in listed()] == ["warning", None, None]
    assert reconciler("findings", "list").exit_code == 0
    assert reconciler("findings", "show", *ids(1)).exit_code == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--table", "order"), "--table order: no check is of this table; the nearest"),
        (("--kind", "nope"), "--kind nope: no check is of this kind"),
    ],
)
def test_a_mistyped_filter_is_no_all_clear(option: tuple[str, str], message: str) -> None:
    """A table or kind that no check has is a mistake, not an empty list."""
    assert message in refused("list", *option)
