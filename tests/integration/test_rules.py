"""The alert rules do what they promise, and keep in step with metrics, kinds and runbooks."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from checks.card import VIOLATION
from checks.registry import BY_NAME
from tests.support import CHECKOUT, asking
from tests.support.monitoring import found_as
from tests.support.prometheus import prometheus
from worker.telemetry.metrics import Metrics

RULES = CHECKOUT / "helm" / "files" / "rules.yml"
RUNBOOKS = CHECKOUT / "worker" / "runbooks"
CASES = sorted((CHECKOUT / "tests" / "integration" / "rules").glob("*.yml"))

OF_TARGETS = {"namespace", "job"}
"""Labels that Prometheus gives to everything it scrapes of a target, and on which rules join."""

LABELS_SAID = {"reconciler:page:url": {"url"}}
"""Labels of recorded series that are no labels of findings."""

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
    (group,) = answer.json()["data"]["groups"]
    return list(group["rules"])


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
        path = "/checks/{{ $labels.check }}" if kinds_of(rule) else "/"
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
            allowed = OF_TARGETS.union(*labels)
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
