"""The page about logs tells the truth: each event, each field, and each recipe of it."""

import ast
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import connect
from typing import Any

import jq  # type: ignore[import-not-found]  # it has no types
import pytest

from tests.support import CHECKOUT
from tests.support.patience import wait_until
from tests.support.workers import RECONCILER, Worker
from worker.model.finding import Change

PAGE = (CHECKOUT / "docs" / "howto" / "logs.md").read_text(encoding="utf-8")
COMMON = {"timestamp", "level", "event"}
OF_A_CHECK = {"check", "kind", "database", "source", "table", "severity"}
PARTS = {"groups", "problem", "route", "method", "key", "client"}
"""Fields of `key` and `measures`, which are the checks' own."""

Line = dict[str, Any]


# --- The page -------------------------------------------------------------------------------------


def documented() -> Iterator[tuple[str, str, set[str]]]:
    """Each event of the table, its levels, and its fields."""
    for row in re.findall(r"^\| (`[a-z_]+` .*) \|$", PAGE, re.MULTILINE):
        name, levels, fields, _ = (cell.strip() for cell in row.split("|"))
        known = set(re.findall(r"`(\w+)`", fields))
        if "of a check" in fields:
            known |= OF_A_CHECK
        if "the name of each event" in fields:
            known |= {change.value for change in Change}
        yield name.strip("`"), levels, known


FIELDS = {name: fields for name, _, fields in documented()}
LEVELS = {name: set(re.findall(r"info|warning|error", levels)) for name, levels, _ in documented()}


def blocks() -> list[tuple[str, str]]:
    """Every recipe of the page, with the heading that it stands under."""
    found = []
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, rest = part.partition("\n")
        found += [
            (heading, block)
            for block in re.findall(r"(?:^    .*\n)+", rest, re.MULTILINE)
            if block.strip()
        ]
    return found


JQ = [(heading, block) for heading, block in blocks() if block.startswith("    jq ")]
LOGQL = [(heading, block) for heading, block in blocks() if not block.startswith("    jq ")]


def test_every_need_has_both_recipes() -> None:
    """Each section with a recipe has one for jq and one in LogQL."""
    assert {heading for heading, _ in JQ} == {heading for heading, _ in LOGQL}
    assert len({heading for heading, _ in JQ}) >= 11
    assert all('{app="reconciler"}' in block for _, block in LOGQL)


def logged_in_the_code() -> Iterator[tuple[str, set[str]]]:
    """Each call that logs an event by its name, and the fields that it names itself."""
    for path in (CHECKOUT / "worker").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if not isinstance(call.func.value, ast.Name) or call.func.value.id != "_log":
                continue
            names = [each.value for each in call.args if isinstance(each, ast.Constant)]
            for name in names:
                yield str(name), {each.arg for each in call.keywords if each.arg}


def test_every_field_in_the_code_is_documented() -> None:
    """Whatever a line of the code logs of an event, the table has that event and that field."""
    calls = list(logged_in_the_code())
    assert len(calls) > 20
    for name, fields in calls:
        assert fields <= FIELDS[name], name


@pytest.mark.parametrize(("heading", "block"), LOGQL, ids=[heading for heading, _ in LOGQL])
def test_logql_names_what_exists(heading: str, block: str) -> None:
    """A recipe in LogQL asks for events that there are, by fields that they have."""
    assert heading
    events = set()
    for operator, pattern in re.findall(r'event(=~|!=|=)"([^"]*)"', block):
        names = set(pattern.split("|"))
        assert names <= set(FIELDS)
        events |= names if operator != "!=" else set()
    fields = COMMON.union(*(FIELDS[name] for name in events or FIELDS))
    used = set(re.findall(r"\| (\w+)(?:=~|!=|=)", block))
    used |= set(re.findall(r"unwrap (\w+)", block)) | set(re.findall(r"\{\{\.(\w+)\}\}", block))
    for group in re.findall(r"\bby \(([^)]*)\)", block):
        used |= {each.strip() for each in group.split(",")}
    for field in used - {"__error__"} - fields:
        whole, _, part = field.partition("_")
        assert whole in fields & {"key", "measures"}, field
        assert part in PARTS, field


# --- A night of a real worker ---------------------------------------------------------------------

TABLES = """
http.port = 0
log.format = "json"
schedule.every = "1s"
alerts.push = ["critical"]
[alertmanagers.main]
url = "http://127.0.0.1:1"
[databases.ledger]
url = "sqlite:///ledger.db"
[databases.late]
url = "sqlite:///late.db"
[access_logs.app]
path = "access.log"
[tables.orders]
primary_key = "id"
keys = [{ columns = ["k"] }]
non_negative = ["amount"]
[tables.gone]
primary_key = "id"
rows = { at_least = 1 }
[[checks]]
name = "app.conflict_rate"
kind = "conflict_rate"
source = "app"
[[checks]]
name = "things.row_count"
kind = "row_count"
database = "late"
table = "things"
"""
SMALL = """
[[checks]]
name = "orders.small"
kind = "condition"
table = "orders"
primary_key = "id"
confirmations = 2
expression = "amount < 100"
"""
LEDGER = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, k TEXT NOT NULL, amount BIGINT NOT NULL);
INSERT INTO orders VALUES (1, 'a', 5);
CREATE TABLE gone (id INTEGER PRIMARY KEY);
INSERT INTO gone VALUES (1);
"""


class Night:
    """A worker, what happens to its ledger, and what people do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.execute(LEDGER)
        conflict = {"time": datetime.now(UTC).isoformat(), "method": "POST", "path": "/pay"}
        conflict |= {"status": "409", "code": "DUPLICATE_ENTRY", "idempotency_key": "one"}
        (folder / "access.log").write_text((json.dumps(conflict) + "\n") * 40, encoding="utf-8")
        self.worker = Worker(folder, TABLES + SMALL)
        self.before: list[Line] = []

    @property
    def lines(self) -> list[Line]:
        """All that was logged."""
        return self.before + self.worker.lines

    def await_event(self, name: str, number: int = 1, **fields: str) -> Line:
        """Wait until an event was logged so often; the latest of them."""

        def found() -> list[Line]:
            events = self.worker.events(name)
            return [line for line in events if fields.items() <= line.items()]

        wait_until(lambda: len(found()) >= number, 15, f"{name} {fields}")
        return found()[-1]

    def execute(self, statements: str, file: str = "ledger.db") -> None:
        """Change the ledger, or make the database that is away."""
        with closing(connect(self.folder / file)) as ledger:
            ledger.executescript(statements)

    def findings(self, *arguments: str) -> None:
        """Say something of findings on the command line."""
        command: list[str | Path] = [RECONCILER, "findings", *arguments, "--author", "ann"]
        command += ["--config", self.worker.config]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def reload(self, config: str) -> None:
        """Give the worker another configuration."""
        self.worker.config.write_text(config, encoding="utf-8")
        self.worker.process.send_signal(signal.SIGHUP)


def findings_come_and_go(night: Night) -> None:
    """Something is wrong, confirmed, known, known no more, worse, and mended."""
    night.execute("INSERT INTO orders VALUES (2, 'b', 500), (3, 'c', -5), (4, 'c', 6)")
    night.await_event("finding_opened", check="orders.small")
    large = night.await_event("finding_confirmed", check="orders.small")["finding"]
    twice = night.await_event("finding_confirmed", check="orders.duplicates.k")["finding"]
    night.findings("ack", large, twice, "--reason", "we know")
    night.await_event("finding_acknowledged", 1, check="orders.small", finding=large)
    night.await_event("finding_acknowledged", 1, check="orders.duplicates.k")
    night.findings("unack", large)
    assert night.await_event("finding_unacknowledged", finding=large)["author"] == "ann"
    night.execute("INSERT INTO orders VALUES (5, 'c', 7)")
    assert night.await_event("finding_reopened", finding=twice)["why"] == "worse"
    night.execute("UPDATE orders SET amount = 5 WHERE id = 3")
    night.await_event("finding_resolved", check="orders.non_negative")


def things_fail(night: Night) -> None:
    """A table goes, the database is away, and the process is held up."""
    night.execute("ALTER TABLE gone RENAME TO away")
    night.await_event("check_failed", check="gone.row_count")
    night.execute("ALTER TABLE away RENAME TO gone")
    night.await_event("check_recovered", check="gone.row_count")
    night.await_event("database_unreachable")
    night.execute("CREATE TABLE things (id INTEGER PRIMARY KEY)", "late.db")
    night.await_event("database_reachable")
    os.kill(night.worker.process.pid, signal.SIGSTOP)
    time.sleep(2.2)  # as long as two intervals, which it is to miss
    os.kill(night.worker.process.pid, signal.SIGCONT)
    night.await_event("check_runs_missed")
    night.worker.process.send_signal(signal.SIGUSR1)
    night.await_event("worker_paused")
    night.worker.process.send_signal(signal.SIGUSR2)
    night.await_event("worker_resumed")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Line]]:
    """What a worker logs in a night in which everything happens."""
    night = Night(tmp_path_factory.mktemp("logs"))
    try:
        night.await_event("worker_ready")
        findings_come_and_go(night)
        night.await_event("alert_delivery_failed")
        night.await_event("finding_confirmed", check="app.conflict_rate")
        things_fail(night)
        night.reload("nonsense = 1" + TABLES)
        night.await_event("config_refused")
        night.reload(TABLES)
        night.await_event("config_reloaded")
        assert night.await_event("findings_forgotten")["gone"] == ["orders.small"]
        night.await_event("worker_ready", 2)
        night.worker.process.kill()
        night.worker.process.wait()
        night.before = night.worker.lines
        night.execute("DROP TABLE gone")
        night.worker = Worker(night.folder, TABLES)
        night.await_event("worker_ready")
        night.await_event("check_failed", check="gone.row_count")
        night.await_event("finding_confirmed", check="gone.tables")
        night.worker.end()
        yield night.lines
    finally:
        night.worker.process.kill()
        night.worker.process.wait()


def test_every_line_is_documented(log: list[Line]) -> None:
    """Each line that is logged has an event, a level and fields that the table tells of."""
    for line in log:
        name = line["event"]
        assert set(line) - COMMON <= FIELDS[name], name
        assert line["level"] in LEVELS[name], name


def test_the_night_was_long_enough(log: list[Line]) -> None:
    """Of all events only those are missing that need another cause than this ledger has."""
    rare = {"transitions_not_logged", "alert_delivered", "alert_delivery_recovered"}
    rare |= {"alert_refused", "alert_given_up", "alertmanager_clock", "lease_waiting", "lease_lost"}
    rare |= {"state_unavailable", "state_recovered", "state_file_corrupt", "library_message"}
    rare |= {"state_file_narrowed", "library_messages_left_out", "http_crowded"}
    rare |= {"database_account_may_write", "web_config_reloaded", "web_config_refused"}
    rare |= {"config_ambiguous"}
    rare |= {"database_busy", "database_calm", "database_load_unseen"}
    demo = {name for name in FIELDS if name.startswith("demo_")}
    assert set(FIELDS) - {line["event"] for line in log} == rare | demo


def results(block: str, log: list[Line]) -> list[Any]:
    """What a recipe for jq prints, of a log."""
    words = shlex.split(block)
    options, given = words[1], {}
    if words[2] == "--arg":
        given, words = {words[3]: words[4]}, words[3:]
    program, file = words[2:]
    assert file == "worker.log"
    text = "\n".join(json.dumps(line) for line in log)
    if given.get("id"):  # that of the page is an example
        given["id"] = next(line["finding"] for line in log if "finding" in line)[:6]
    compiled = jq.compile(program, args=given)
    return list(compiled.input_text(text, slurp="s" in options).all())


def checks(answers: list[Line]) -> set[str]:
    """The checks that were told of."""
    return {each["check"] for each in answers}


def names(answers: list[Line]) -> set[str]:
    """The events that were told of."""
    return {each["event"] for each in answers}


WRONG = {"orders.duplicates.k", "orders.small", "orders.unique_index.k", "app.conflict_rate"}
RIGHT: dict[str, list[Callable[[list[Any]], object]]] = {
    "What is wrong right now": [
        lambda found: checks(found) >= {"orders.duplicates.k", "gone.row_count"},
        lambda found: checks(found) == WRONG | {"gone.tables"},
    ],
    "Since when": [
        lambda found: (
            checks(found) == WRONG | {"gone.tables", "orders.non_negative"}
            and all(each["first"] <= each["latest"] for each in found)
        ),
        lambda found: checks(found) == {"gone.row_count"},
    ],
    "All about one check": [
        lambda found: checks(found) == {"orders.non_negative"} and "check_run" in names(found),
        lambda found: names(found) >= {"finding_confirmed", "finding_resolved"},
    ],
    "All about one finding": [lambda found: len({each["key"] is None for each in found}) == 1],
    "What could not be evaluated, and why": [
        lambda found: any("does not exist" in each["error"] for each in found),
        lambda found: names(found) == {"database_unreachable", "database_reachable"},
    ],
    "The slowest runs": [
        lambda found: (
            [each["seconds"] for each in found]
            == sorted((each["seconds"] for each in found), reverse=True)
        )
    ],
    "Who acknowledged what": [
        lambda found: (
            {each["author"] for each in found if each["reason"]} == {"ann"}
            and {each["why"] for each in found} == {None, "worse"}
        )
    ],
    "Was somebody paged for it": [
        lambda found: (
            names(found) == {"finding_confirmed", "finding_resolved", "alert_delivery_failed"}
        )
    ],
    "Did the worker restart or reload": [
        lambda found: (
            Counter(each["event"] for each in found)
            == {
                "worker_started": 2,
                "worker_ready": 3,
                "worker_stopped": 1,
                "config_refused": 1,
                "config_reloaded": 1,
                "findings_forgotten": 1,
            }
        ),
        lambda found: len(found) == 1,
    ],
    "How often do runs overlap": [
        lambda found: all(each["overlap"] or each["pause"] for each in found)
    ],
    "The latest storms of 409": [
        lambda found: {each["key"]["route"] for each in found} == {"/pay"},
        lambda found: {each["key"]["method"] for each in found} == {"POST"},
    ],
}


@pytest.mark.parametrize("heading", RIGHT)
def test_each_jq_recipe_tells_what_it_says(log: list[Line], heading: str) -> None:
    """Each recipe of the page, run on a real log, gives the lines that its section promises."""
    recipes = [block for title, block in JQ if title == heading]
    assert len(recipes) == len(RIGHT[heading])
    for recipe, is_right in zip(recipes, RIGHT[heading], strict=True):
        answers = results(recipe, log)
        assert answers, recipe
        assert is_right(answers), answers


def test_every_jq_recipe_is_tested() -> None:
    """No section with a recipe is left out above."""
    assert {heading for heading, _ in JQ} == set(RIGHT)
