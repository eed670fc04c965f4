"""`reconciler traffic`: the requests of whole log files, counted on demand."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from checks.http_log.request import FAULTS
from tests.support.traffic import READS, WRITES, Truth, day, truth
from tests.support.traffic_lines import FORMATS, Line, Shape
from worker.cli.main import app

ROUTES = json.dumps([route for _, route in WRITES + READS])
SOURCES = """
timezone = "Asia/Shanghai"
[databases.ledger]
url = "sqlite:///ledger.db"
[access_logs.app]
path = "app.log"
[access_logs.app.line_format]
{line_format}
[access_logs.other]
path = "other.log"
[prometheus.metrics]
url = "http://127.0.0.1:9090"
"""
CHECK = """
[[checks]]
name = "{source}.conflict_rate"
kind = "conflict_rate"
source = "{source}"
{more}
"""
APP = CHECK.format(source="app", more=f"routes = {ROUTES}")
OTHER = CHECK.format(source="other", more='learn_routes = false\nroutes = ["/health"]')
OF_PROMETHEUS = CHECK.format(
    source="metrics",
    more='queries = { requests = "r[{window}]", conflicts = "c[{window}]" }',
)
LINES = {
    shape: list(day(5, 4000, shape, junk=0.2 if shape == "flat" else 0.02)) for shape in FORMATS
}
"""A day of each shape; every fifth line of the first one is hostile."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a configuration of one `conflict_rate` check."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, APP)
    return tmp_path


def configure(folder: Path, *checks: str, shape: Shape = "flat") -> None:
    """Write a configuration that reads lines of a shape, with these checks."""
    format_ = FORMATS[shape]
    fields = ", ".join(f'{name} = "{place}"' for name, place in format_.fields.items())
    settings = 'format = "combined"' if shape == "combined" else f"fields = {{ {fields} }}"
    text = SOURCES.format(line_format=settings) + "".join(checks)
    text += "" if checks else '[tables.orders]\nprimary_key = "id"\n'
    (folder / "config.toml").write_text(text, encoding="utf-8")


def text_of(lines: Iterable[Line]) -> bytes:
    """The lines as a file has them."""
    return b"".join(line.text + b"\n" for line in lines)


def traffic(*arguments: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["traffic", *map(str, arguments)])


def counted(*arguments: str | Path) -> dict[str, Any]:
    """The object that it gives as JSON."""
    result = traffic(*arguments, "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def as_truth(answer: dict[str, Any]) -> Truth:
    """The same as the generator of the lines tells what they are, but for keys and clients."""
    found = Truth()
    for row in answer["routes"]:
        place = row["route"], row["method"]
        found.requests[place] = row["requests"]
        found.without_key[place] = row["without_key"]
        found.conflicts.update({(*place, code): n for code, n in row["codes"].items()})
        found.refusals.update({(*place, status): n for status, n in row["refusals"].items()})
    found.faults = Counter(answer["lines"])
    found.lines = found.faults.pop("read") + found.faults["too_long"]
    return found


def assert_true(answer: dict[str, Any], expected: Truth) -> None:
    """Everything that was counted is exactly what the lines say."""
    found = as_truth(answer)
    assert found.lines == expected.lines
    for name in ("requests", "conflicts", "refusals", "without_key", "faults"):
        assert +getattr(found, name) == +getattr(expected, name), name
    for row in answer["routes"]:
        assert row["conflicts"] == sum(row["codes"].values())
        assert row["ratio"] == round(row["conflicts"] / row["requests"], 6)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shape", FORMATS)
def test_a_file_comes_to_its_truth(folder: Path, shape: Shape, *, compressed: bool) -> None:
    """Every count of a day is exact, whatever the shape of its lines, compressed or not."""
    configure(folder, APP, shape=shape)
    text = text_of(LINES[shape])
    file = folder / "day.log"
    file.write_bytes(gzip.compress(text) if compressed else text)
    assert_true(counted(file), truth(LINES[shape]))


def test_files_are_counted_together(folder: Path) -> None:
    """A plain file and older, compressed ones give the counts of all of them, in any order."""
    parts = LINES["flat"][:1000], LINES["flat"][1000:2500], LINES["flat"][2500:]
    files = [folder / name for name in ("day.log.2.gz", "day.log.1.gz", "day.log")]
    for file, part in zip(files, parts, strict=True):
        text = text_of(part)
        file.write_bytes(gzip.compress(text) if file.suffix == ".gz" else text)
    for order in (files, files[::-1]):
        assert_true(counted(*order), truth(LINES["flat"]))


def test_the_last_line_needs_no_line_feed(folder: Path) -> None:
    """What stands at the end of a file that nobody writes any more is a line."""
    (folder / "day.log").write_bytes(text_of(LINES["flat"]) + LINES["flat"][0].text)
    assert_true(counted("day.log"), truth([*LINES["flat"], LINES["flat"][0]]))


def test_junk_is_counted_by_what_is_wrong_with_it(folder: Path) -> None:
    """Lines that tell of no request are counted, each sort by itself, and lose no other line."""
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    lines = counted("day.log")["lines"]
    expected = truth(LINES["flat"])
    assert lines == {"read": expected.lines - expected.faults["too_long"], **expected.faults}
    assert set(lines) == {"read", "too_long", *FAULTS} - {"unanswered"}


def test_most_conflicts_are_first(folder: Path) -> None:
    """The routes are in the order in which one wants to look at them."""
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    conflicts = [row["conflicts"] for row in counted("day.log")["routes"]]
    assert conflicts == sorted(conflicts, reverse=True)
    assert conflicts[0] > 10 * (conflicts[-1] + 1)


def test_the_table_tells_the_same(folder: Path) -> None:
    """For people there is a row a route, whole and in the same order, and the lines below."""
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    answer = counted("day.log")
    result = traffic("day.log")
    assert (result.exit_code, result.stderr) == (0, "")
    heading, *rows, lines = (line.split() for line in result.stdout.splitlines())
    assert heading[:3] == ["route", "method", "requests"]
    for row, told in zip(rows, answer["routes"], strict=True):
        refused = [str(told["refusals"].get(status, 0)) for status in ("400", "422")]
        numbers = [str(told["requests"]), str(told["conflicts"]), f"{100 * told['ratio']:.2f}", "%"]
        first = [told["route"], told["method"], *numbers, *refused, str(told["without_key"])]
        assert row[: len(first)] == first
        codes = " ".join(row[len(first) :]).split(", ")
        assert set(codes) == {f"{code} {n}" for code, n in told["codes"].items()} or codes == [""]
    told_lines = [f"{number} lines {state}" for state, number in answer["lines"].items()]
    assert " ".join(lines) == ", ".join(told_lines)


def test_what_is_lost_is_said(folder: Path) -> None:
    """What the check would say of the lines stands beside the counts."""
    sound = '{"time":"2026-01-05T12:00:00Z","method":"POST","path":"/orders","status":201}\n'
    (folder / "day.log").write_text(150 * (sound + sound[:-4] + "\n"))
    (note,) = counted("day.log")["notes"]
    assert note.startswith("read in part: 50 % of 300 lines (150 unreadable)")
    assert note in traffic("day.log").stdout


def test_nothing_is_kept(folder: Path) -> None:
    """No state is made, no place is remembered: asked again it gives the same."""
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    first, again = counted("day.log"), counted("day.log")
    assert first == again
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_nobody_is_named(folder: Path) -> None:
    """No key, client or path of a stranger is told, in either format."""
    line = {
        "time": "2026-01-05T12:00:00Z",
        "method": "POST",
        "status": 409,
        "code": "secret-code",
        "idempotency_key": "secret-key",
        "client": "secret-client",
    }
    paths = ("/secret/path/of/a/stranger/1", "/api/v4/exchange?token=secret")
    told = [
        json.dumps({**line, "path": path, "status": status})
        for path in paths
        for status in (200, 409, 404)
    ]
    (folder / "day.log").write_text("\n".join(told))
    configure(folder, APP + "learn_routes = false\n")
    for format_ in ("json", "table"):
        result = traffic("day.log", "--format", format_)
        assert result.exit_code == 0
        assert "secret" not in result.output


# --- Which check ----------------------------------------------------------------------------------


def test_of_several_checks_one_is_named(folder: Path) -> None:
    """With two of them nobody guesses; the one that is named says how lines and routes are."""
    configure(folder, APP, OTHER, shape="pino")
    (folder / "pino.log").write_bytes(text_of(LINES["pino"]))
    (folder / "flat.log").write_bytes(text_of(LINES["flat"]))
    refused = traffic("pino.log")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        "reconciler: more than one conflict_rate check reads an access log; --check names one\n"
    )
    assert_true(counted("pino.log", "--check", "app.conflict_rate"), truth(LINES["pino"]))
    other = counted("flat.log", "--check", "other.conflict_rate")
    assert {row["route"] for row in other["routes"]} == {"/health", "other"}
    requests = sum(row["requests"] for row in other["routes"])
    assert requests == truth(LINES["flat"]).requests.total()


@pytest.mark.parametrize(
    ("checks", "arguments"),
    [
        ([], []),
        ([OF_PROMETHEUS], []),
        ([APP], ["--check", "app.conflict_rat"]),
        ([APP, OF_PROMETHEUS], ["--check", "metrics.conflict_rate"]),
    ],
    ids=["none", "of a Prometheus", "of no such name", "of another sort"],
)
def test_without_such_a_check_there_is_nothing_to_count_by(
    folder: Path, checks: list[str], arguments: list[str]
) -> None:
    """No check, or none of that name, that reads an access log is wrong usage."""
    configure(folder, *checks)
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    result = traffic("day.log", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "reconciler: no conflict_rate check reads an access log; --check names one\n"
    )


def test_a_check_of_a_prometheus_is_no_other_choice(folder: Path) -> None:
    """One check that reads a log needs no name beside one that asks a Prometheus."""
    configure(folder, APP, OF_PROMETHEUS)
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    assert_true(counted("day.log"), truth(LINES["flat"]))


# --- What cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["nothing", "folder", "fifo", "loop"])
def test_what_cannot_be_read_is_said_and_no_count_is_given(folder: Path, what: str) -> None:
    """One bad file among good ones is exit code 3, with its name, and no half of an answer."""
    (folder / "day.log").write_bytes(text_of(LINES["flat"]))
    bad = folder / "bad.log"
    if what == "folder":
        bad.mkdir()
    if what == "fifo":
        os.mkfifo(bad)
    if what == "loop":
        bad.symlink_to(bad)
    result = traffic("day.log", "bad.log")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("reconciler: file cannot be read: ")
    assert result.stderr.endswith(" (bad.log)\n")


def test_a_damaged_file_is_counted_as_far_as_it_goes_and_that_is_said(folder: Path) -> None:
    """Of a compressed file that was cut off the first lines count, and the loss is told."""
    whole = gzip.compress(text_of(LINES["flat"]))
    (folder / "cut.gz").write_bytes(whole[: len(whole) // 2])
    result = traffic("cut.gz", "--format", "json")
    assert result.stderr.startswith("cut.gz: the file ")
    assert result.stderr.endswith(": the rest of it is lost\n")
    read = json.loads(result.stdout)["lines"]["read"]
    assert 0 < read < truth(LINES["flat"]).lines
