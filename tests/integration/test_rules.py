"""The alert rules do what they promise, and keep in step with metrics, kinds and runbooks."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from checks.card import VIOLATION
from checks.registry import BY_NAME
from tests.support import CHECKOUT, asking
from tests.support.examples import examples
from tests.support.monitoring import found_as
from tests.support.prometheus import prometheus
from tests.support.servers import missing_monitors
from worker.telemetry.metrics import Metrics

RULES = CHECKOUT / "helm" / "files" / "rules.yml"
RUNBOOKS = CHECKOUT / "worker" / "runbooks"
CASES = sorted((CHECKOUT / "tests" / "integration" / "rules").glob("*.yml"))

OF_TARGETS = {"namespace", "job"}
"""Labels that Prometheus gives to everything it scrapes of a target, and on which rules join."""

LABELS_SAID = {"reconciler:page:url": {"url"}}
"""Labels of recorded series that are no labels of findings."""

MOST_OF_A_GROUP = 20
"""Rules of one group that Mimir, Cortex and Grafana Cloud take."""

SPARE = 2
"""How many more rules a group must have room for: one that is full grows on somebody's pager."""

Rule = Mapping[str, Any]


def promtool(*arguments: str | Path, newer: bool) -> None:
    """Run promtool; fails with what it says."""
    command = [found_as("promtool", newer=newer), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def section(page: Path, heading: str) -> str:
    """The part of a page under a heading of the third level; empty without one."""
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"^### {heading}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def rules(newer: bool) -> list[Rule]:  # noqa: FBT001 - a fixture
    """Every rule as a real Prometheus has read it."""
    with prometheus(rules=RULES, newer=newer) as server:
        answer = asking.get(f"{server.url}/api/v1/rules").raise_for_status()
    return [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def alerts(rules: list[Rule]) -> list[Rule]:
    """The rules that alert."""
    return [rule for rule in rules if rule["type"] == "alerting"]


@pytest.fixture(scope="module")
def names(alerts: list[Rule]) -> set[str]:
    """The names of all alerts."""
    return {rule["name"] for rule in alerts}


def test_the_rules_are_accepted(newer: bool) -> None:  # noqa: FBT001
    """Promtool, and so every Prometheus from 2.42 on, takes the file."""
    promtool("check", "rules", RULES, newer=newer)


@pytest.mark.parametrize("cases", CASES, ids=lambda path: str(path.stem))
def test_rules_fire_and_are_silent(cases: Path, newer: bool) -> None:  # noqa: FBT001
    """Each case of the file has the alerts that it names, with all their words, and no others."""
    promtool("test", "rules", cases, newer=newer)


def test_every_alert_has_cases(names: set[str]) -> None:
    """For each alert there is a case in which it fires, and one in which it must not."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in CASES)
    silent = set(re.findall(r"alertname: (\w+), eval_time: \w+, exp_alerts: \[\] }", text))
    fires = set(re.findall(r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n", text))
    assert fires == names
    assert silent == names - {"ReconcilerWatchdog"}


def kinds_of(rule: Rule) -> set[str]:
    """The kinds of checks of which an alert tells; none for one on the worker's health."""
    found = re.search(r'kind(=|!~|=~)"([^"]*)"', rule["query"])
    if not found:
        return set()
    named = set(found[2].split("|"))
    known = {*BY_NAME, "a later one"}
    return known - named if found[1] == "!~" else named


def test_every_kind_has_one_alert(alerts: list[Rule]) -> None:
    """Each kind, a later one too, is told by one rule, under the name that a push would have."""
    told = [(kind, rule["name"]) for rule in alerts for kind in kinds_of(rule)]
    assert len({kind for kind, _ in told}) == len(told) == len(BY_NAME) + 1
    for kind, name in told:
        card = BY_NAME[kind].card if kind in BY_NAME else None
        assert name == (card.alert if card else VIOLATION).name


def test_alerts_on_data_wait_for_nothing_and_keep_their_severity(alerts: list[Rule]) -> None:
    """The worker has confirmed what they tell: no `for`, no other label, no `info`."""
    for rule in alerts:
        if kinds_of(rule):
            assert rule["duration"] == 0
            assert rule["labels"] == {}
            assert 'severity!="info"' in rule["query"]


def test_severities_are_those_that_can_be_routed(alerts: list[Rule]) -> None:
    """An alert is critical, warning or none, by its label or by that of its series."""
    for rule in alerts:
        severity = rule["labels"].get("severity")
        assert severity in {"critical", "warning", "none"} or "severity" in rule["query"]


def test_every_alert_leads_on(alerts: list[Rule]) -> None:
    """Each says what and what to do, and links its own runbook and a page of the worker."""
    for rule in alerts:
        said, name = rule["annotations"], rule["name"]
        assert set(said) == {"summary", "description", "runbook_url", "page"}
        assert said["runbook_url"].endswith("{{ end }}/runbooks/" + name)
        path = "/checks/{{ $labels.check | urlquery }}" if kinds_of(rule) else "/"
        assert said["page"].endswith("{{ end }}" + path)


def series() -> dict[str, set[str]]:
    """Every metric of the worker under the names that a scrape shows, with its labels."""
    found: dict[str, set[str]] = {}
    for collector in Metrics().registry._collector_to_names:
        for family in collector.collect():
            labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
            end = "_total" if family.type == "counter" else ""
            found[family.name + end] = set(labels)
    return found


def asked(rule: Rule) -> Iterator[str]:
    """The expressions of a rule, those in its annotations included."""
    yield rule["query"]
    for text in rule.get("annotations", {}).values():
        yield from (each.replace("\\", "") for each in re.findall(r'printf "(.*?)" \$', text))
        yield from re.findall(r'query "(.*?)"', text)


def test_rules_ask_for_what_exists(rules: list[Rule]) -> None:
    """Each expression names metrics that exist, or are recorded above, by labels they have."""
    known, recorded = series(), set()
    of_findings = known["reconciler_findings"] | OF_TARGETS
    for rule in rules:
        if rule["type"] == "recording":
            recorded.add(rule["name"])
        for expression in asked(rule):
            used = set(re.findall(r"\breconciler[:_][\w:]+", expression))
            assert used <= {*known, *recorded}
            labels = [known.get(name) or LABELS_SAID.get(name, of_findings) for name in used]
            allowed = OF_TARGETS.union({"instance"}, *labels)  # made of the address
            assert labels_in(expression) <= allowed, expression


def labels_in(expression: str) -> set[str]:
    """The labels by which an expression selects, groups and joins."""
    grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    selected = re.findall(r"\{([^}]*)\}", expression)
    labels = {each.strip() for group in grouped for each in group.split(",")}
    return labels | {each for one in selected for each in re.findall(r"(\w+)(?:=|!=|=~|!~)", one)}


def test_alerts_and_runbooks_are_one_to_one(names: set[str]) -> None:
    """Each alert has the runbook of its name, and each runbook its alert."""
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == names


def test_every_alert_is_explained(names: set[str]) -> None:
    """The page on alerting has a section for each alert, and the index a link to its runbook."""
    alerting = CHECKOUT / "docs" / "howto" / "alerting.md"
    index = (CHECKOUT / "docs" / "reference" / "runbooks.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^### (Reconciler\w+)$", alerting.read_text("utf-8"), re.MULTILINE))
    assert explained == names
    assert set(re.findall(r"\]\(\.\./\.\./worker/runbooks/(\w+)\.md\)", index)) == names
    for name in names:
        assert len(section(alerting, name).strip()) > 40, name


def test_every_alert_says_which_system_it_is_about(alerts: list[Rule]) -> None:
    """But for the watchdog each has environment, database and instance, and begins with the first.

    Those on data and checks have them by their series, those on the worker by its origin.
    """
    for rule in alerts:
        if rule["name"] != "ReconcilerWatchdog":
            by_series = "environment, database, instance" in rule["query"]
            assert by_series or "group_left (environment, instance)" in rule["query"], rule["name"]
            start = "{{ with $labels.environment }}{{ . }}: {{ end }}"
            assert rule["annotations"]["summary"].startswith(start), rule["name"]


def test_groups_fit_into_every_ruler() -> None:
    """No group has more rules than hosted rulers take, and what a rule needs stands before it.

    Of another group it needs links only, which may be of the evaluation before.
    """
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        assert len(group["rules"]) <= MOST_OF_A_GROUP - SPARE, group["name"]
        recorded = set[str]()
        for rule in group["rules"]:
            used = set(re.findall(r"\breconciler:[\w:]+", rule["expr"]))
            assert used - {rule.get("record")} <= recorded, rule
            recorded.add(rule.get("record", ""))


# --- Rulers that add labels -----------------------------------------------------------------------

ADDED = ("cluster", "tenant", "replica", "alertgroup", "region", "prometheus", "team_of_ruler")
"""Names of labels that rulers are known to add."""

LONG = ("late", "days")
"""Cases that take promtool seconds."""

OURS = ("environment", "database", "instance", "namespace", "job", "url")
"""Names that are ours, and that a ruler may overwrite all the same."""


def chosen(seed: str, *names: str) -> dict[str, str]:
    """Some labels of these names."""
    random = Random(seed)  # noqa: S311 - to be repeated
    some = random.sample(names, random.randint(1, 4))
    return {name: random.choice(("north", "a:9", "b c", "\u00e9\\")) for name in some}


def rules_with(labels: Mapping[str, str], to: str) -> dict[str, Any]:
    """The shipped rules of a ruler that adds labels: to what is `recorded`, or to all `groups`."""
    document: dict[str, Any] = yaml.safe_load(RULES.read_text("utf-8"))
    for group in document["groups"]:
        if to == "groups":
            group["labels"] = dict(labels)
        for rule in group["rules"]:
            if to == "recorded" and "record" in rule:
                rule["labels"] = dict(labels)
    return document


def expect(labels: Mapping[str, str], to: str, cases: dict[str, Any]) -> None:
    """Let each case expect these labels on what is recorded; with `groups`, on alerts, too."""
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in labels.items()}
    added = "".join(f",{name}={text}" for name, text in quoted.items())
    alerts = (r"ALERTS", r"{alertname=.*alertstate=") if to == "groups" else ()
    concerned = re.compile("|".join(("reconciler:", *alerts)))
    for case in cases["tests"]:
        for one in case.get("promql_expr_test", ()):
            for sample in one["exp_samples"]:
                if concerned.match(sample["labels"]):
                    sample["labels"] = sample["labels"].removesuffix("}") + added + "}"
        for one in case.get("alert_rule_test", ()) if to == "groups" else ():
            for alert in one["exp_alerts"]:
                alert["exp_labels"] |= labels


def run_with(labels: Mapping[str, str], to: str, cases: dict[str, Any], folder: Path) -> None:
    """Let promtool run cases on the rules with added labels; only newer ones know `groups`."""
    (folder / "rules.yml").write_text(yaml.safe_dump(rules_with(labels, to)), "utf-8")
    cases["rule_files"] = ["rules.yml"]
    (folder / "cases.yml").write_text(yaml.safe_dump(cases), "utf-8")
    promtool("test", "rules", folder / "cases.yml", newer=to == "groups")


@pytest.fixture(params=["recorded", "groups"])
def to(request: pytest.FixtureRequest) -> str:
    """Where a ruler adds labels; skips what only Prometheus 3 does where that is not here."""
    if request.param == "groups" and (reason := missing_monitors()):
        pytest.skip(f"no newer monitors: {reason}")
    return str(request.param)


@pytest.mark.parametrize("file", CASES, ids=lambda path: str(path.stem))
def test_labels_of_the_ruler_change_nothing(file: Path, to: str, tmp_path: Path) -> None:
    """Whatever labels a ruler adds, each case has the same alerts at the same times."""
    if to == "groups" and file.stem in LONG:
        pytest.skip("recorded labels are enough here")
    labels = chosen(f"{file.stem} {to}", *ADDED)
    # By way of JSON: what YAML refers to twice is changed once each.
    cases = json.loads(json.dumps(yaml.safe_load(file.read_text("utf-8"))))
    expect(labels, to, cases)
    run_with(labels, to, cases, tmp_path)


OF_CHECK = 'job="r",check="c"'
OWN = 'environment="production",database="ledger",address="db:3306/shop"'
FINDING = f'reconciler_findings{{{OF_CHECK},{OWN},kind="balance",table="t",severity="critical"'
STORY = {
    'reconciler_up{job="r"}': "1x80",
    f'reconciler_origin_info{{job="r",{OWN}}}': "1x80",
    f'{FINDING},state="confirmed"}}': "0x8 2x20 1x20 0x40",
    f'{FINDING},state="acknowledged"}}': "0x80",
    f'reconciler_check_outcome{{{OF_CHECK},outcome="pass"}}': "1x8 0x41 1x40",
    f'reconciler_check_outcome{{{OF_CHECK},outcome="error"}}': "0x80",
    f"reconciler_check_interval_seconds{{{OF_CHECK}}}": "30x80",
    f'reconciler_check_last_completed_timestamp_seconds{{{OF_CHECK},scope="complete"}}': "0+15x80",
    'reconciler_state_up{job="r"}': "0x80",
}
"""A balance is wrong from the ninth scrape to the fiftieth, and the state cannot be written."""

TOLD = 'count(ALERTS{alertname="ReconcilerBalanceMismatch",alertstate="firing"})'
OTHERS = 'count by (alertname) (ALERTS{alertstate="firing",alertname!="ReconcilerWatchdog"})'


def story(test: str, slack: int) -> dict[str, Any]:
    """The story as a case: `test` is the key of its expectations.

    What is recorded is read up to `slack` scrapes later.
    """
    begins, ends = 9, 50
    sure = [*range(begins), *range(begins + slack, ends), *range(ends + slack, 80)]
    expected = [
        {
            "expr": TOLD,
            "eval_time": f"{15 * scrape}s",
            "exp_samples": [{"labels": "{}", "value": 1}] if begins <= scrape < ends else [],
        }
        for scrape in sure
    ]
    state = {"labels": '{alertname="ReconcilerStateUnavailable"}', "value": 1}
    others = {"expr": OTHERS, "eval_time": "15m", "exp_samples": [state]}
    series = [{"series": key, "values": values} for key, values in STORY.items()]
    case = {"interval": "15s", "input_series": series, test: [*expected, others]}
    return {"evaluation_interval": "15s", "tests": [case]}


@pytest.mark.parametrize("seed", range(examples(3)))
def test_labels_of_the_ruler_in_the_place_of_ours(seed: int, to: str, tmp_path: Path) -> None:
    """A ruler that overwrites labels by which we join ends no alert, and fails on no rule."""
    labels = chosen(f"{seed} {to}", *OURS, *ADDED)
    run_with(labels, to, story("promql_expr_test", 2), tmp_path)


@pytest.mark.parametrize("names", [(), ADDED, (*OURS, *ADDED)], ids=["none", "added", "ours"])
@pytest.mark.usefixtures("newer_only")
def test_vmalert_tells_the_same(names: tuple[str, ...], tmp_path: Path) -> None:
    """With or without labels of its own, vmalert has one alert without a gap, and no other."""
    labels = chosen(str(names), *names) if names else {}
    cases = {**story("metricsql_expr_test", 3), "rule_files": [str(RULES)]}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(cases), "utf-8")
    options = [f"--external.label={name}={text}" for name, text in labels.items()]
    command = [found_as("vmalert-tool", newer=True), "unittest", f"--files={tmp_path}/cases.yml"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "SUCCESS" in said, said
