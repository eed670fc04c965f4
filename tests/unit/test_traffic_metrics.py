"""What the worker exports and logs of HTTP traffic."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from structlog.testing import capture_logs

from checks.contract import Finding, Kept, Result
from checks.http_log.counts import CODES, OTHER, Route, Seen
from checks.kinds.conflict_rate import exported
from checks.kinds.conflict_rate.check import ConflictRate
from checks.kinds.conflict_rate.exported import Traffic
from worker.model.finding import Change, Transition
from worker.model.log_event import log_events
from worker.model.run import Outcome, Run
from worker.telemetry import run_log
from worker.telemetry.metrics import Metrics
from worker.text.redact import Mask

CHECK = ConflictRate(name="app.conflict_rate", source="app")
DRAW, ORDER, HEALTH = ("/draw", "POST"), ("/orders/{id}", "PUT"), ("/health", "GET")
TOTALS = {
    DRAW: Seen(1000, {"DUPLICATE_ENTRY": 7, OTHER: 2}, {"400": 3, "422": 1}, without_key=5),
    ORDER: Seen(400),
    HEALTH: Seen(50_000, {"REPLAY_DETECTED": 1}),
}
WINDOWS = {
    "short": {DRAW: Seen(20, {"DUPLICATE_ENTRY": 5}), ORDER: Seen(0)},
    "long": {DRAW: Seen(200, {"DUPLICATE_ENTRY": 6, OTHER: 2}), ORDER: Seen(8)},
}
LINES = {"read": 51_500, "unreadable": 40, "too_long": 2}
TRAFFIC = Traffic(TOTALS, WINDOWS, LINES, behind_bytes=77)

Samples = dict[tuple[str, ...], float]


def run_that_saw(traffic: Traffic, check: ConflictRate = CHECK) -> Run:
    """A run that completed and saw this."""
    result = Result(10, 0, complete=False, **check._exported(traffic))
    return Run(check, Outcome.PASS, datetime.now(UTC), 0.1, result)


def failed_run() -> Run:
    """A run that could not tell."""
    return Run(CHECK, Outcome.ERROR, datetime.now(UTC), 0.1, error="access log app: away")


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of a worker whose one check has run once."""
    made = Metrics()
    made.observe(run_that_saw(TRAFFIC))
    return made


def samples(metrics: Metrics, name: str) -> Samples:
    """The series of a metric by the values of their labels, as a Prometheus reads them."""
    text = metrics.render("text/plain")[0].decode()
    return {
        values(each): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == f"reconciler_{name}"
    }


def values(sample: Sample) -> tuple[str, ...]:
    """The values of a series' labels, in the order in which one thinks of them."""
    names = ("source", "route", "method", "code", "status", "window", "state", "reason")
    assert set(sample.labels) <= set(names)
    return tuple(sample.labels[name] for name in names if name in sample.labels)


def promtool(text: bytes) -> str:
    """What Prometheus's own tool has to say against an exposition."""
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert (done.returncode == 0) == (said == "")
    return said


COUNTERS = (
    *("http_requests_sampled_total", "http_conflicts_total", "http_key_refusals_total"),
    *("http_requests_without_key_total", "access_log_lines_total"),
)


# --- Numbers --------------------------------------------------------------------------------------


def test_counters_are_the_totals(metrics: Metrics) -> None:
    """Each counter tells what was counted since the log is sampled, by source, route and method."""
    assert samples(metrics, "http_requests_sampled_total") == {
        ("app", *DRAW): 1000,
        ("app", *ORDER): 400,
        ("app", *HEALTH): 50_000,
    }
    assert samples(metrics, "http_key_refusals_total") == {
        ("app", *DRAW, "400"): 3,
        ("app", *DRAW, "422"): 1,
    }
    assert samples(metrics, "http_requests_without_key_total") == {("app", *DRAW): 5}
    lines = {("app", state): number for state, number in LINES.items()}
    assert samples(metrics, "access_log_lines_total") == lines


def test_no_conflict_is_said_for_every_code(metrics: Metrics) -> None:
    """A code that never came to a write is zero, not absent: its first conflict is an increase."""
    told = samples(metrics, "http_conflicts_total")
    writes = {labels for labels in told if labels[2] != "GET"}
    assert writes == {("app", *route, code) for route in (DRAW, ORDER) for code in (*CODES, OTHER)}
    assert {labels[1:]: number for labels, number in told.items() if number} == {
        (*DRAW, "DUPLICATE_ENTRY"): 7,
        (*DRAW, OTHER): 2,
        (*HEALTH, "REPLAY_DETECTED"): 1,
    }


def test_the_ratio_is_that_of_each_window(metrics: Metrics) -> None:
    """A route has one ratio a window; none where there was no request, which is not zero."""
    assert samples(metrics, "http_conflict_ratio") == {
        ("app", *DRAW, "short"): 0.25,
        ("app", *DRAW, "long"): 0.04,
        ("app", *ORDER, "long"): 0,
    }
    assert samples(metrics, "access_log_behind_bytes") == {("app",): 77}


def test_counts_are_told_as_they_are_and_not_added_up(metrics: Metrics) -> None:
    """A later run replaces what the one before told: its totals hold that already."""
    before = {name: samples(metrics, name) for name in COUNTERS}
    metrics.observe(run_that_saw(TRAFFIC))
    assert {name: samples(metrics, name) for name in COUNTERS} == before
    metrics.observe(run_that_saw(Traffic({DRAW: Seen(1001)}, {}, {"read": 51_501}, 0)))
    assert samples(metrics, "http_requests_sampled_total") == {("app", *DRAW): 1001}
    assert samples(metrics, "access_log_lines_total") == {("app", "read"): 51_501}
    assert samples(metrics, "access_log_behind_bytes") == {("app",): 0}


def test_a_server_that_keeps_its_own_counts_has_ratios_only() -> None:
    """Of a Prometheus no counter is made, as it has them; and it is not behind."""
    metrics = Metrics()
    metrics.observe(run_that_saw(Traffic(windows=WINDOWS)))
    assert len(samples(metrics, "http_conflict_ratio")) == 3
    assert [name for name in COUNTERS if samples(metrics, name)] == []
    assert samples(metrics, "access_log_behind_bytes") == {}


def test_each_source_has_series_of_its_own(metrics: Metrics) -> None:
    """Two logs with the same routes are told apart."""
    other = CHECK.model_copy(update={"name": "other", "source": "other"})
    metrics.observe(run_that_saw(TRAFFIC, other))
    for name in (*COUNTERS, "http_conflict_ratio"):
        found = samples(metrics, name)
        of_app, of_other = (
            {labels[1:]: n for labels, n in found.items() if labels[0] == source}
            for source in ("app", "other")
        )
        assert of_app == of_other != {}


# --- What is withdrawn, and what stays ------------------------------------------------------------


def test_a_run_that_could_not_tell_withdraws_what_is_of_the_present(metrics: Metrics) -> None:
    """Ratios and what is behind are unknown then; counters stay, or they would seem to restart."""
    before = {name: samples(metrics, name) for name in COUNTERS}
    for _ in range(2):
        metrics.observe(failed_run())
        assert samples(metrics, "http_conflict_ratio") == {}
        assert samples(metrics, "access_log_behind_bytes") == {}
        assert {name: samples(metrics, name) for name in COUNTERS} == before
    metrics.observe(run_that_saw(TRAFFIC))
    assert len(samples(metrics, "http_conflict_ratio")) == 3


def test_what_a_run_keeps_that_could_not_tell_is_exported(metrics: Metrics) -> None:
    """How much cannot be read is known then, and lines are counted on; no ratio is."""
    blind = Traffic(TRAFFIC.totals, lines={"read": 999}, blind={"unreadable": 0.4})
    kept = Kept(samples=tuple(exported.samples("app", blind.of_no_verdict)))
    metrics.observe(replace(failed_run(), kept=kept))
    assert samples(metrics, "source_blind_ratio") == {("app", "unreadable"): 0.4}
    assert samples(metrics, "access_log_lines_total") == {("app", "read"): 999}
    assert samples(metrics, "http_conflict_ratio") == {}
    metrics.observe(failed_run())
    assert samples(metrics, "source_blind_ratio") == {}
    assert samples(metrics, "access_log_lines_total") == {("app", "read"): 999}


def test_a_window_whose_ratios_are_unknown_has_none(metrics: Metrics) -> None:
    """The other one has its own."""
    unknown = replace(TRAFFIC, unknown={"short": "no answer below 400 among 30 requests"})
    metrics.observe(run_that_saw(unknown))
    assert {labels[-1] for labels in samples(metrics, "http_conflict_ratio")} == {"long"}
    assert samples(metrics, "http_conflict_ratio_unknown") == {
        ("app", "short"): 1,
        ("app", "long"): 0,
    }


def test_a_first_run_that_could_not_tell_says_nothing_of_traffic() -> None:
    """Before any run could tell, there is no count, not even zero."""
    metrics = Metrics()
    metrics.observe(failed_run())
    for name in (*COUNTERS, "http_conflict_ratio", "access_log_behind_bytes"):
        assert samples(metrics, name) == {}


def test_another_configuration_forgets_traffic(metrics: Metrics) -> None:
    """After a reload no series of the old source is left; the next run tells the new one's."""
    metrics.forget([CHECK])
    for name in (*COUNTERS, "http_conflict_ratio", "access_log_behind_bytes"):
        assert samples(metrics, name) == {}
    metrics.observe(run_that_saw(TRAFFIC, CHECK.model_copy(update={"source": "renamed"})))
    told = samples(metrics, "http_requests_sampled_total")
    assert {labels[0] for labels in told} == {"renamed"}


# --- The exposition -------------------------------------------------------------------------------


def test_promtool_accepts_the_metrics_of_traffic(metrics: Metrics) -> None:
    """`promtool check metrics` has nothing to say against any metric, with and without samples."""
    assert promtool(metrics.render("text/plain")[0]) == ""
    assert promtool(Metrics().render("text/plain")[0]) == ""


HOSTILE = (
    '/x"} 1\n# HELP up',
    '/metrics{route="/",code="200"} 17',
    "/back\\",
    '/back\\"',
    "/\\n\\\\n\n\r\n",
    "/\u2028\u0085\x0b\x0c\x1c",
    "/\x00\x1b[31mred",
    "/\u202e{}=,",
    "",
)


def test_promtool_accepts_hostile_routes() -> None:
    """No route, whatever is in it, ends its line or its label."""
    metrics = Metrics()
    totals = {(route, "POST"): Seen(1, {OTHER: 1}, {"400": 1}, 1) for route in HOSTILE}
    metrics.observe(run_that_saw(Traffic(totals, {"short": totals}, LINES, 0)))
    assert promtool(metrics.render("text/plain")[0]) == ""


LABELS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from('/a"\\\n\r{}=, #n')),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(st.dictionaries(st.tuples(LABELS, LABELS), st.integers(1, 10**15), max_size=5))
def test_what_is_read_is_what_was_told(numbers: dict[Route, int]) -> None:
    """In both formats each route and method comes out as it went in, with its number."""
    metrics = Metrics()
    totals = {route: Seen(number) for route, number in numbers.items()}
    metrics.observe(run_that_saw(Traffic(totals, {"long": totals})))
    told = {("app", *route): number for route, number in numbers.items()}
    assert samples(metrics, "http_requests_sampled_total") == told
    ratios = samples(metrics, "http_conflict_ratio")
    assert ratios == {("app", *route, "long"): 0 for route in numbers}
    text = metrics.render("application/openmetrics-text; version=1.0.0")[0].decode()
    families = {each.name: each for each in openmetrics.text_string_to_metric_families(text)}
    found = families["reconciler_http_requests_sampled"].samples
    assert {values(each): each.value for each in found} == told


# --- The log --------------------------------------------------------------------------------------


def test_the_line_of_a_run_names_its_source() -> None:
    """What is read is a source, no table of a database: neither is there, not even empty."""
    key = {"problem": "retry_storm", "route": "/draw", "method": "POST", "key": "0123456789ab"}
    finding = Finding(key, "one key has 30 conflicts", {"conflicts": 30}, 30)
    result = Result(40, 1, (finding,), notes=("9 bytes are not yet read",))
    run = Run(CHECK, Outcome.FAIL, datetime.now(UTC), 0.25, result)
    opened = Transition(Change.FINDING_OPENED, run, "f" * 32, finding.message, key)
    with capture_logs() as lines:
        run_log.log_run(run, Mask())
        run_log.log_run(failed_run(), Mask())
        run_log.tell(log_events([opened]), Mask())
    assert [line["event"] for line in lines] == ["check_run", "check_run", "finding_opened"]
    for line in lines:
        assert (line["kind"], line["source"]) == ("conflict_rate", "app")
        assert not {"table", "database"} & set(line)
    assert lines[0]["findings"] == [
        {"key": key, "message": finding.message, "evidence": {"conflicts": 30}}
    ]
    assert lines[0]["notes"] == ("9 bytes are not yet read",)
    assert lines[1]["error"] == "access log app: away"
    assert lines[2]["key"] == key
