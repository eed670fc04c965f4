"""Logs of which a part cannot be read, and logs of which a part is something else."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from checks.card import Sample
from checks.contract import CheckError, Result
from checks.kinds.conflict_rate import exported
from tests.support.applications import DRAW, Application
from tests.support.examples import examples

_LEVELS = ((0.0, 0.005), (0.015, 0.09), (0.11, 1.0))
_RANDOM = Random(18)  # noqa: S311 - every process has to make the same
SHARES = (
    *(0, 0.005, 0.02, 0.05, 0.08, 0.12, 0.3, 0.5, 0.8, 0.97, 1),
    *(_RANDOM.uniform(*level) for _ in range(examples(1) - 1) for level in _LEVELS),
)
"""Of lines that cannot be read; none is so near to a bound that one line would decide."""

BROKEN: dict[str, str] = {
    "cut off": '{"time":"2026-01-05T12:00:00Z","method":"POST","path":"/orders","sta',
    "not escaped": '{"method":"POST","path":"/orders","status":409,"agent":"a "b" c"}',
    "no braces": '"method":"POST","path":"/orders","status":409',
    "another format": '10.0.0.7 - - [05/Jan/2026:12:00:00 +0000] "POST /orders HTTP/1.1" 409 17',
    "words and signs": "\x01\x02\x03",
    "anything": "lorem ipsum",
    "renamed fields": '{"verb":"POST","target":"/orders","result":409}',
    "an odd status": '{"method":"POST","path":"/orders","status":"conflict"}',
    "no method": '{"path":"/orders","status":409}',
}

MESSAGES: dict[str, str] = {
    "JSON": '{"level":"info","text":"statement 17 exported"}',
    "a request begins": '{"method":"POST","path":"/orders","msg":"incoming"}',
    "words": "2026-01-05 12:00:00 INFO statement 17 exported",
    "a stack trace": "    at Object.<anonymous> (/srv/app/server.js:217:15)",
}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    return Application.writing(tmp_path / "access.log", monkeypatch)


def blind(samples: tuple[Sample, ...]) -> dict[str, float]:
    """The shares as metrics tell them, without those that are zero."""
    return {each.labels[1]: each.number for each in samples if each.family is exported.BLIND}


def write(app: Application, number: int, share: float, line: str) -> int:
    """Write lines of which a share is this one, spread evenly; says how many are."""
    broken = 0
    for each in range(1, number + 1):
        if each * share >= broken + 1:
            broken += 1
            app.wrote(line)
        else:
            app.asked()
    return broken


def told(run: Callable[[], Result]) -> str:
    """What a run comes to: `error`, or whether it says that a part could not be read."""
    try:
        notes = run().notes
    except CheckError:
        return "error"
    return "note" if any("could not be read" in each for each in notes) else "pass"


def by_the_rule(share: float) -> str:
    return "error" if share >= 0.1 else "note" if share >= 0.01 else "pass"


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("share", SHARES)
def test_every_share_of_broken_lines_is_told_by_the_rule(
    app: Application, share: float, kind: str
) -> None:
    write(app, 200, share, BROKEN[kind])
    assert told(app.run) == by_the_rule(share)


@pytest.mark.parametrize("kind", [each for each in BROKEN if each != "anything"])
@pytest.mark.parametrize("share", SHARES)
def test_a_log_that_was_read_well_is_no_exception(
    app: Application, share: float, kind: str
) -> None:
    app.asked(150)
    app.run()
    app.at += timedelta(hours=2)
    write(app, 200, share, BROKEN[kind])
    assert told(app.run) == by_the_rule(share)


@pytest.mark.parametrize("share", SHARES)
def test_shares_of_times_that_cannot_be_read_are_judged_alike(
    app: Application, share: float
) -> None:
    write(app, 200, share, f'{{"method":"POST","path":"{DRAW}","status":201,"time":"at noon"}}')
    assert told(app.run) == by_the_rule(share)


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_messages_between_requests_are_no_fault(app: Application, share: float, kind: str) -> None:
    write(app, 300, share, MESSAGES[kind])
    result = app.run()
    assert (result.violations, result.notes) == (0, ())


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_night_of_messages_is_no_fault(app: Application, kind: str) -> None:
    app.asked(300)
    app.run()
    for _ in range(3):
        app.at += timedelta(hours=1)
        app.wrote(*[MESSAGES[kind]] * 3000)
        assert app.run().notes == ()
    app.asked(300)
    assert app.run().notes == ()


def test_text_that_may_be_anything_is_noted_in_a_log_that_was_read_well(app: Application) -> None:
    app.asked(300)
    app.run()
    app.wrote(*["lorem ipsum"] * 300)
    assert app.run().notes == ("300 lines beside the requests are taken for messages",)


@pytest.mark.parametrize("broken", [0, 1, 2, 3, 20, 98])
def test_few_lines_are_no_error_and_not_silent_where_most_are_lost(
    app: Application, broken: int
) -> None:
    app.asked(1)
    app.wrote(*[BROKEN["cut off"]] * broken)
    assert told(app.run) == ("note" if broken else "pass")


def test_few_lines_an_hour_are_judged_by_the_latest_hundred(app: Application) -> None:
    app.asked(500)
    app.run()
    outcomes = []
    for line in (BROKEN["cut off"], None):
        for _ in range(4):
            app.at += timedelta(hours=3)
            if line:
                app.wrote(*[line] * 30)
            else:
                app.asked(30)
            outcomes.append(told(app.run))
    assert outcomes == ["note", "error", "error", "error", "pass", "pass", "pass", "pass"]


def test_a_part_that_was_read_is_not_read_once_more_and_findings_stay(app: Application) -> None:
    app.asked(200)
    app.asked(60, 409, "CONCURRENT_CONFLICT")
    assert app.problems() == ["plain_race"]
    app.wrote(*[BROKEN["cut off"]] * 300)
    with pytest.raises(CheckError, match=r"53.6 % of 560 lines \(300 unreadable\)") as first:
        app.run()
    assert first.value.kept
    assert blind(first.value.kept.samples) == pytest.approx(
        {"unreadable": 300 / 560, "no_request": 0, "without_time": 0}
    )
    app.at += timedelta(minutes=7)
    app.asked(200)
    result = app.run()
    assert result.examined == 200
    assert any("ratios of the long window are unknown" in each for each in result.notes)
    assert [each.key["problem"] for each in result.findings] == ["plain_race"]
    app.at += timedelta(minutes=70)
    assert app.problems() == []


def test_lines_of_hours_ago_are_judged_as_of_then(app: Application) -> None:
    app.at -= timedelta(hours=3)
    write(app, 300, 0.5, BROKEN["cut off"])
    app.at += timedelta(hours=3)
    app.asked(200)
    assert told(app.run) == "pass"


def test_nothing_of_a_broken_line_is_repeated(app: Application) -> None:
    app.asked(100)
    app.wrote(*['{"method":"POST","path":"/people/jane-doe","status":409,"who":"jane'] * 100)
    with pytest.raises(CheckError) as raised:
        app.run()
    assert "jane" not in f"{raised.value} {raised.value.kept}"


# --- Ratios without a denominator -----------------------------------------------------------------


def ratios(result: Result) -> set[str]:
    """The windows of which a ratio is exported."""
    return {each.labels[-1] for each in result.samples if each.family is exported.RATIO}


def unknown(result: Result) -> dict[str, float]:
    return {e.labels[-1]: e.number for e in result.samples if e.family is exported.UNKNOWN}


@pytest.mark.parametrize("status", [400, 404, 500, 409])
def test_a_log_of_failures_has_no_ratio_and_its_storms_are_told(
    app: Application, status: int
) -> None:
    app.asked(200, status)
    app.asked(80, 409, "CONCURRENT_CONFLICT")
    app.asked(40, 409, idempotency_key="again", client="one")
    result = app.run()
    assert [each.key["problem"] for each in result.findings] == ["retry_storm"]
    assert [each for each in result.notes if "unknown" in each] == [
        f"ratios of the {window} window are unknown: no answer below 400 among 320 requests"
        for window in ("short", "long")
    ]
    assert (ratios(result), unknown(result)) == (set(), {"short": 1, "long": 1})
    assert {row.fields["ratio"] for row in result.details} == {None}
    assert {row.cells[4] for row in result.details} == {"unknown"}


@pytest.mark.parametrize("status", [200, 201, 204, 301, 304, 399])
def test_one_answer_below_400_is_a_denominator(app: Application, status: int) -> None:
    app.asked(1, status, method="GET", path="/healthz")
    app.asked(80, 409, "CONCURRENT_CONFLICT")
    result = app.run()
    assert [each.key["problem"] for each in result.findings] == ["plain_race"]
    assert (ratios(result), unknown(result)) == ({"short", "long"}, {"short": 0, "long": 0})


def test_a_ratio_that_is_not_known_any_more_resolves_nothing(app: Application) -> None:
    app.asked(100)
    app.asked(80, 409, "CONCURRENT_CONFLICT")
    (before,) = app.run().findings
    app.at += timedelta(hours=2)
    app.asked(30, 404)
    (after,) = app.run().findings
    assert after.key == before.key
    assert "unknown at present" in after.message
    app.at += timedelta(hours=2)
    app.asked(30)
    assert app.problems() == []


def test_few_failures_are_no_reason_to_doubt(app: Application) -> None:
    app.asked(19, 404)
    assert app.run().notes == ()
