"""The log: one valid JSON line an event, constant names, nothing secret."""

import io
import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Finding, Result
from checks.kinds.duplicates.check import Duplicates
from worker.config import LogSettings
from worker.model.finding import Change, Transition
from worker.model.log_event import log_events
from worker.model.run import Outcome, Run
from worker.telemetry import library_brake, log, run_log
from worker.text.redact import Mask

CHECK = Duplicates(name="t.duplicates.k", table="t", columns=("k",), primary_key="id")
HOSTILE = 'quote" back\\slash new\nline\r tab\t nul\x00 bell\x07 emoji🎲 sep\u2028 lone\ud800'

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """The events logged so far, each from its own line of JSON."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log.set_up(LogSettings(format="json", level="debug"))
    yield lambda: [
        json.loads(line, parse_constant=_refuse) for line in stream.getvalue().split("\n")[:-1]
    ]
    root.handlers, root.level = before
    structlog.reset_defaults()


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def failing_run(key: str) -> Run:
    """A run that found one duplicated key."""
    finding = Finding({"k": key}, "2 rows of t share (k)", {"rows": 2, "row_ids": (1, 2)})
    result = Result(10, 1, (finding,), {"groups": 1})
    return Run(CHECK, Outcome.FAIL, datetime.now(UTC), 0.25, result)


def test_a_run_is_one_line(lines: Lines) -> None:
    """Whatever a key contains, a run is one line of JSON that holds it exactly."""
    run_log.log_run(failing_run(HOSTILE.replace("\ud800", "")), Mask())
    (line,) = lines()
    assert line["event"] == "check_run"
    assert line["level"] == "error"
    assert line["violations"] == 1
    assert line["findings"] == [
        {
            "key": {"k": HOSTILE.replace("\ud800", "")},
            "message": "2 rows of t share (k)",
            "evidence": {"rows": 2, "row_ids": [1, 2]},
        }
    ]


def test_a_transition_is_named_by_its_change(lines: Lines) -> None:
    """Each change of state is an event of that name, with the finding's identity and key."""
    run = failing_run("x")
    run_log.tell(
        log_events([Transition(Change.FINDING_CONFIRMED, run, "abc", "m", {"k": "x"})]), Mask()
    )
    (line,) = lines()
    assert line["event"] == "finding_confirmed"
    assert (line["finding"], line["key"], line["check"]) == ("abc", {"k": "x"}, CHECK.name)


def test_a_traceback_shows_no_local_variables(lines: Lines) -> None:
    """An exception is logged without the values that were at hand."""
    secret = "canary-secret"  # noqa: F841 - what must not be shown
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    assert "canary" not in json.dumps(lines())


def test_libraries_speak_json_too(lines: Lines) -> None:
    """A warning from a library comes as a line of JSON like our own, its event a constant."""
    logging.getLogger("uvicorn").warning("odd: %s", "thing")
    logging.getLogger("uvicorn").info("chatter")
    logging.getLogger("apscheduler").warning("what our own event check_run_missed says")
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("library_message", "uvicorn")
    assert line["message"] == "odd: thing"


def test_a_terminal_shows_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console form leaves passing runs out and shows failing ones; JSON shows both."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.set_up(LogSettings(format="console"))
        run_log.log_run(Run(CHECK, Outcome.PASS, datetime.now(UTC), 0.1, Result(10, 0)), Mask())
        assert not stream.getvalue()
        run_log.log_run(failing_run("x"), Mask())
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    assert "check_run" in stream.getvalue()


def test_a_passing_run_is_a_line_of_json(lines: Lines) -> None:
    """In the JSON log no run is left out."""
    run_log.log_run(Run(CHECK, Outcome.PASS, datetime.now(UTC), 0.1, Result(10, 0)), Mask())
    (line,) = lines()
    assert (line["event"], line["outcome"], line["level"]) == ("check_run", "pass", "info")
    assert list(line)[:3] == ["timestamp", "level", "event"]


def told(lines: Lines) -> list[Any]:
    """The outcomes of the runs that were told."""
    return [line["outcome"] for line in lines()]


def test_a_pass_like_the_last_is_not_told_again(lines: Lines) -> None:
    """Where a check runs more often than its interval, its passes are told once an interval."""
    runs = run_log.RunLog({CHECK.name: timedelta(hours=1)})
    passing = Run(CHECK, Outcome.PASS, datetime.now(UTC), 0.1, Result(10, 0))
    for run in (passing, passing, failing_run("x"), failing_run("x"), passing, passing):
        runs.tell(run, Mask())
    noted = replace(passing, result=Result(10, 0, notes=("a note",)))
    runs.tell(noted, Mask())
    assert told(lines) == ["pass", "fail", "fail", "pass", "pass"]


def test_a_pass_of_the_next_interval_is_told(lines: Lines) -> None:
    """A check that runs as often as configured has a line for each run."""
    runs = run_log.RunLog({CHECK.name: timedelta()})
    for _ in range(3):
        runs.tell(Run(CHECK, Outcome.PASS, datetime.now(UTC), 0.1, Result(10, 0)), Mask())
    assert told(lines) == ["pass"] * 3


def test_lines_hold_no_personal_value(lines: Lines) -> None:
    """Neither the line of a run nor an event repeats what is masked."""
    key = {"user_id": 4711}
    finding = Finding(key, "user_id 4711: off", {"idempotency_key": "spend_4711"})
    run = Run(CHECK, Outcome.FAIL, datetime.now(UTC), 0.1, Result(1, 1, (finding,)))
    mask = Mask()
    run_log.RunLog({}).tell(run, mask)
    run_log.tell(
        log_events([Transition(Change.FINDING_CONFIRMED, run, "abc", finding.message, key)]), mask
    )
    one, other = lines()
    assert "4711" not in json.dumps([one, other])
    assert one["findings"][0]["key"] == other["key"] == {"user_id": mask.value(4711)}
    assert other["message"] == f"user_id {mask.value(4711)}: off"


@contextmanager
def console() -> Iterator[io.StringIO]:
    """What the console form writes."""
    stream, root = io.StringIO(), logging.getLogger()
    before = root.handlers[:], root.level
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stderr", stream)
            log.set_up(LogSettings(format="console"))
            yield stream
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()


ANY = st.text(
    st.sampled_from(
        "ab \n\r\t\x00\x07\x1b[2J31m\x7f\x85\x9b\u00ad\u200b\u202e\u2066\u2028\ufeff\ud800«="
    )
)


@given(ANY, ANY, ANY)
def test_no_text_commands_a_terminal(value: str, key: str, library: str) -> None:
    """Whatever is logged, a console gets no control character, and each event is one line."""
    with console() as stream:
        structlog.get_logger().info("named", value=value, nested={"key": key}, several=[key])
        logging.getLogger("uvicorn").warning("said: %s", library)
    written = re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())  # the renderer's own colours
    assert written.count("\n") == 2
    shown = written.replace("\n", "")
    assert [each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl")] == []


def test_a_traceback_commands_no_terminal_either() -> None:
    """The words of an exception are made visible; the lines of its traceback stay lines."""
    with console() as stream:
        try:
            unicodedata.lookup("evil\x1b[2J\u202e\x9b\rtext")
        except KeyError:
            structlog.get_logger().exception("failed")
    written = re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())
    assert "Traceback" in written
    assert "evil" in written
    assert not {"\x9b", "\u202e", "\r"} & set(written)
    assert "\x1b" not in written


def test_libraries_are_braked(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what a library says without end, a few lines a minute; ours, and others', all pass."""
    now = 1000.0
    monkeypatch.setattr("worker.telemetry.library_brake.time.monotonic", lambda: now)
    for number in range(500):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received. %s", number)
        structlog.get_logger().info("ours")
    logging.getLogger("uvicorn.error").error("another level")
    logging.getLogger("asyncio").warning("another library")
    by_logger = Counter(line.get("logger", line["event"]) for line in lines())
    assert by_logger == {"uvicorn.error": library_brake.MOST + 1, "ours": 500, "asyncio": 1}
    now += library_brake.WINDOW
    logging.getLogger("uvicorn.error").warning("again")
    left_out, again = lines()[-2:]
    assert left_out["event"] == "library_messages_left_out"
    assert (left_out["logger"], left_out["number"]) == ("uvicorn.error", 500 - library_brake.MOST)
    assert again["message"] == "again"


def test_the_console_form_stays_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a hostile key starts no second line either."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log.set_up(LogSettings(format="console"))
        run_log.log_run(failing_run("a\nb\x1b[31m"), Mask())
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    assert stream.getvalue().count("\n") == 1
    assert '\x1b[31m"' not in stream.getvalue()
