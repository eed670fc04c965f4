"""The Grafana dashboard: valid by Grafana's own schema, and no panel of it is empty."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest
from jsonschema import Draft7Validator

from checks.registry import alerts
from tests.support import CHECKOUT
from tests.support.patience import wait_until
from tests.support.prometheus import PrometheusServer, prometheus
from tests.support.workers import Worker
from worker.telemetry.metrics import Metrics

FILE = CHECKOUT / "helm" / "files" / "dashboard.json"
DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))
GRAFANA = json.loads(
    (CHECKOUT / "tests" / "system" / "grafana" / "schema.json").read_text(encoding="utf-8")
)

ROWS = [each for each in DASHBOARD["panels"] if each["type"] == "row"]
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
QUERIED = [each for each in PANELS if each["type"] != "text"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

OF_TARGETS = {"job", "namespace", "instance"}
"""Labels that Prometheus adds to what it scrapes."""

UNKNOWN = "no data: cannot tell"
ALL = dict.fromkeys(("namespace", "job", "table", "severity", "route"), ".*")
"""What Grafana puts in for each variable while everything is chosen."""

TARGET_KEYS = {"refId", "datasource", "expr", "legendFormat", "instant", "range", "format"}
"""What a query of Grafana's Prometheus data source may have; of what we use."""


def title(panel: Mapping[str, Any]) -> str:
    """The name of a test about a panel."""
    return str(panel["title"])


def expressions(panel: Mapping[str, Any]) -> list[str]:
    """The queries of a panel."""
    return [target["expr"] for target in panel.get("targets", ())]


# --- The file -------------------------------------------------------------------------------------


def test_the_file_is_what_is_drawn() -> None:
    """`scripts/draw-dashboard` draws exactly the file that is kept."""
    command: list[str | Path] = [sys.executable, CHECKOUT / "scripts" / "draw-dashboard", "--print"]
    drawn = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert FILE.read_text(encoding="utf-8") == drawn


def problems(schema: Mapping[str, Any], value: object) -> list[str]:
    """What a schema has against a value, with the place of each fault."""
    validator = Draft7Validator(schema)
    return [f"{each.json_path}: {each.message[:300]}" for each in validator.iter_errors(value)]


def definition(name: str) -> Mapping[str, Any]:
    """The schema of a part of a dashboard."""
    return {**GRAFANA["dashboard"], "$ref": f"#/definitions/{name}"}


def test_grafana_takes_the_dashboard() -> None:
    """The file is valid by the schema of Grafana's own package, which knows every key of it."""
    assert problems(GRAFANA["dashboard"], DASHBOARD) == []
    assert DASHBOARD["schemaVersion"] == GRAFANA["schema_version"]


def test_the_schema_is_strict() -> None:
    """A key that Grafana does not know, or an option of another panel, would be noticed."""
    assert problems(GRAFANA["dashboard"], DASHBOARD | {"refesh": "30s"})
    assert problems(definition("Panel"), PANELS[0] | {"datasorce": {}})
    assert problems(GRAFANA["panels"]["stat"]["options"], {**PANELS[0]["options"], "legend": {}})


@pytest.mark.parametrize("panel", PANELS, ids=title)
def test_grafana_takes_each_panel(panel: dict[str, Any]) -> None:
    """A panel, its options and its field settings are valid for the type of panel that it is."""
    schemas = GRAFANA["panels"][panel["type"]]
    assert problems(definition("Panel"), panel) == []
    assert problems(schemas["options"], panel["options"]) == []
    settings = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
    custom = settings["defaults"].get("custom", {})
    changes = [
        {each["id"]: each["value"] for each in override["properties"]}
        for override in settings["overrides"]
    ]
    for change in changes:
        ours = {key: value for key, value in change.items() if not key.startswith("custom.")}
        assert problems(definition("FieldConfig"), ours) == []
        custom = custom | {
            key.removeprefix("custom."): change[key] for key in set(change) - set(ours)
        }
    if custom:
        assert problems(schemas["custom"], custom) == []
    for target in panel.get("targets", ()):
        assert set(target) <= TARGET_KEYS


def test_it_can_be_imported_anywhere() -> None:
    """It names no Grafana's own ids: data sources come from the variable, the uid is stable."""
    assert "id" not in DASHBOARD
    assert DASHBOARD["uid"] == "reconciler-ledger"
    assert (DASHBOARD["refresh"], DASHBOARD["timezone"]) == ("30s", "browser")
    uids = set(re.findall(r'"uid": "([^"]*)"', FILE.read_text(encoding="utf-8")))
    assert uids == {"reconciler-ledger", "${datasource}"}
    assert VARIABLES["datasource"]["query"] == "prometheus"


def test_panels_do_not_overlap() -> None:
    """Every panel has an id of its own and a place of its own within 24 columns."""
    ids = [each["id"] for each in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = [each["gridPos"] for each in DASHBOARD["panels"]]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


@pytest.mark.parametrize("panel", PANELS, ids=title)
def test_each_panel_explains_itself(panel: dict[str, Any]) -> None:
    """A panel has a title, a description, a unit, and words for when there are no data."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    if panel in QUERIED:
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        assert defaults["noValue"]
        assert defaults["thresholds"]["steps"]


def test_titles_are_told_apart() -> None:
    """No two panels have one title."""
    assert len({title(each) for each in PANELS}) == len(PANELS)


# --- Metrics and links ----------------------------------------------------------------------------


def existing() -> dict[str, set[str]]:
    """Every series that the worker can export, with its labels."""
    found: dict[str, set[str]] = {}
    for collector in Metrics().registry._collector_to_names:
        for family in collector.collect():
            labels = {*getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))}
            if family.type == "histogram":
                found[f"{family.name}_bucket"] = labels | {"le"}
                found |= {f"{family.name}_{part}": labels for part in ("sum", "count")}
            else:
                found[family.name + ("_total" if family.type == "counter" else "")] = labels
    return found


SERIES = existing()
ASKED = [
    *((title(panel), each) for panel in QUERIED for each in expressions(panel)),
    *((name, each["query"]["query"]) for name, each in VARIABLES.items() if name != "datasource"),
]


@pytest.mark.parametrize(("where", "expression"), ASKED, ids=[each[0] for each in ASKED])
def test_each_query_asks_for_what_exists(where: str, expression: str) -> None:
    """A query names metrics of the worker only, of the chosen job, by labels that they have."""
    used = set(re.findall(r"\breconciler_\w+", expression))
    assert used
    assert used <= set(SERIES)
    for name, matchers in re.findall(r"(reconciler_\w+)\{([^}]*)\}", expression):
        labels = re.findall(r"(\w+)=~?\"", matchers)
        assert set(labels) <= SERIES[name] | OF_TARGETS, name
    if where not in ("namespace", "job"):
        assert expression.count('namespace=~"$namespace",job=~"$job"') == len(
            re.findall(r"\breconciler_\w+", expression)
        )
    made = re.findall(
        r"label_replace\([^\"]*(?:\"[^\"]*\"[^\"]*)*?, \"(\w+)\", \"[^\"]*\", ", expression
    )
    known = set().union(*(SERIES[name] for name in used)) | OF_TARGETS | set(made)
    for group in re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", expression):
        assert {each.strip() for each in group.split(",") if each.strip()} <= known


def test_every_metric_is_shown_or_said_not_to_be() -> None:
    """Whatever the worker exports has a panel, or the page says why it has none."""
    shown = set(re.findall(r"\breconciler_\w+", FILE.read_text(encoding="utf-8")))
    page = (CHECKOUT / "docs" / "reference" / "dashboard.md").read_text(encoding="utf-8")
    told = set(re.findall(r"reconciler_\w+", page.partition("## What it does not show")[2]))
    assert set(SERIES) - shown == told


def runbooks() -> set[str]:
    """The runbooks to which the dashboard leads."""
    return set(re.findall(r"/runbooks/(\w+)", FILE.read_text(encoding="utf-8")))


def test_every_link_goes_through_the_page() -> None:
    """Links lead to the worker's own pages, wherever it says that they are."""
    urls = re.findall(r'"url": "([^"]*)"', FILE.read_text(encoding="utf-8"))
    content = " ".join(each["options"]["content"] for each in PANELS if each["type"] == "text")
    for url in (*urls, *re.findall(r"\]\(([^)]*)\)", content)):
        assert re.match(r"^\$\{page:raw\}/(checks/\S+|runbooks/\w+|)$", url), url
    assert VARIABLES["page"]["hide"] == 2
    assert VARIABLES["page"]["query"]["query"].startswith("label_values(reconciler_page_info")


def test_every_alert_of_the_data_has_its_runbook_on_the_dashboard() -> None:
    """The list of runbooks holds the alert of every kind of check."""
    assert {alert.name for alert in alerts()} <= runbooks()


def test_every_runbook_on_the_dashboard_exists() -> None:
    """No link to a runbook leads nowhere, and none that could be of use is left out."""
    pages = {each.stem for each in (CHECKOUT / "worker" / "runbooks").glob("*.md")}
    assert runbooks() <= pages
    assert pages - runbooks() <= {"ReconcilerWatchdog"}


@pytest.mark.parametrize("panel", [p for p in PANELS if p["type"] == "stat"], ids=title)
def test_what_is_unknown_is_never_green(panel: dict[str, Any]) -> None:
    """A number that nobody knows is said to be so, in another colour than a good one."""
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["thresholds"]["steps"][0] == {"value": None, "color": "purple"}
    words, nothing = defaults["mappings"]
    assert words["options"]["-1"] == {"text": UNKNOWN, "color": "purple"}
    assert nothing["options"]["result"] == {"text": UNKNOWN, "color": "purple"}
    assert all(expression.endswith("or vector(-1)") for expression in expressions(panel))


# --- Against a real Prometheus that scrapes a real worker -----------------------------------------


CONFIG = """
http.port = 0
http.external_url = "https://audit.example/reconciler"
log.format = "json"
schedule.every = "1s"
alerts.push = ["critical"]
[alertmanagers.main]
url = "http://127.0.0.1:1"
[databases.ledger]
url = "sqlite:///ledger.db"
environment = "test"
[access_logs.app]
path = "access.log"
[tables.orders]
primary_key = "id"
keys = [{ columns = ["k"] }]
non_negative = ["amount"]
rows = { at_least = 1 }
[tables.gone]
primary_key = "id"
rows = { at_least = 1 }
[[checks]]
name = "orders.small"
kind = "condition"
table = "orders"
primary_key = "id"
severity = "info"
expression = "amount < 100"
[[checks]]
name = "requests.failures"
kind = "idempotency_requests"
table = "requests"
primary_key = "id"
[[checks]]
name = "app.conflict_rate"
kind = "conflict_rate"
source = "app"
short = "1m"
minimum = 5
"""

LEDGER = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, k TEXT NOT NULL, amount BIGINT NOT NULL);
INSERT INTO orders VALUES (1, 'a', 5), (2, 'a', -5), (3, 'b', 500);
CREATE TABLE requests (id INTEGER PRIMARY KEY, idempotency_key TEXT, api_path TEXT,
    request_hash TEXT, status TEXT, created_at DATETIME);
INSERT INTO requests VALUES (1, 'x', '/pay', 'h', 'completed', '2026-01-05 10:00:00');
CREATE TABLE gone (id INTEGER PRIMARY KEY);
INSERT INTO gone VALUES (1);
"""


def write_log(folder: Path, *answers: tuple[str, int, str | None, str]) -> None:
    """Be the application: requests on a route, their status, code and key."""
    with (folder / "access.log").open("a", encoding="utf-8") as log:
        for path, status, code, key in answers:
            line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(), "method": "POST"}
            line |= {
                "path": path,
                "status": status,
                "code": code,
                "idempotency_key": key,
                "client": "c",
            }
            log.write(json.dumps(line) + "\n")


def requests(folder: Path) -> None:
    """Let clients ask, conflict, be refused, and write without a key."""
    for route in ("/pay", "/orders/7/cancel"):
        write_log(folder, *[(route, 200, None, f"{route}{number}") for number in range(20)])
        write_log(folder, *[(route, 409, "DUPLICATE_ENTRY", "same")] * 10)
        write_log(folder, (route, 400, None, ""), (route, 422, "INVALID", "y"))
        write_log(folder, (route, 200, None, ""))


def execute(folder: Path, statements: str) -> None:
    """Change the ledger."""
    with closing(connect(folder / "ledger.db")) as ledger:
        ledger.executescript(statements)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A Prometheus with some seconds of a worker that has something to say of everything."""
    folder = tmp_path_factory.mktemp("dashboard")
    execute(folder, LEDGER)
    requests(folder)
    worker = Worker(folder, CONFIG)
    port = int(worker.address.rpartition(":")[2])
    try:
        with prometheus(scraped=port, every="1s") as server:
            conflicts = "sum(reconciler_http_conflicts_total)"
            wait_until(lambda: server.value(conflicts) == 20, 20, "the log is read")
            worker.wait_for(0, "check_violations", check="gone.row_count")
            requests(folder)
            execute(folder, "DROP TABLE gone")
            wait_until(lambda: server.value(conflicts) == 40, 20, "more of it is read")
            broken = 'sum(reconciler_check_outcome{outcome="error"})'
            wait_until(lambda: server.value(broken) == 1, 20, "a check cannot tell")
            runs = "min(sum by (check) (reconciler_check_runs_total)) > 3"
            wait_until(lambda: server.value(runs) is not None, 30, "every check has run some times")
            found = 'count(reconciler_findings{state="confirmed"} > 0)'
            wait_until(lambda: server.value(found) == 6, 20, "all is found")
            yield server
    finally:
        worker.end()


def escaped(value: str) -> str:
    """A value as Grafana's Prometheus data source puts it into a regular expression."""
    return re.sub(r"[\\$^*{}\[\]+?.()|]", lambda found: "\\\\" + found[0], value)


def asked(expression: str, **chosen: str) -> str:
    """A query as Grafana asks it, with these choices."""
    for name, value in (ALL | chosen).items():
        expression = expression.replace(f"${name}", value)
    windows = {"__rate_interval": "10s", "__range": "1m", "__interval": "1s"}
    for name, value in windows.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression.replace('"$1"', ""), expression
    return expression


def values(server: PrometheusServer, variable: str) -> list[str]:
    """What a variable offers, as `label_values` asks it."""
    query = VARIABLES[variable]["query"]["query"]
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    assert found, query
    series = server.raw(asked(f"group by ({found[2]}) ({found[1]})"))
    return sorted(each["metric"].get(found[2], "") for each in series)


def test_each_variable_has_values(scraped: PrometheusServer) -> None:
    """Each variable offers what there is; where there is no namespace, All still fits."""
    assert values(scraped, "job") == ["shop"]
    assert values(scraped, "namespace") == [""]
    assert values(scraped, "table") == ["", "gone", "orders", "requests"]
    assert values(scraped, "severity") == ["critical", "info", "warning"]
    assert values(scraped, "route") == ["/orders/{id}/cancel", "/pay"]
    assert values(scraped, "page") == ["https://audit.example/reconciler"]


@pytest.mark.parametrize("panel", QUERIED, ids=title)
def test_no_panel_is_empty(scraped: PrometheusServer, panel: dict[str, Any]) -> None:
    """Each query of a panel gives numbers, with all labels that its legend or columns show."""
    for target in panel["targets"]:
        series = scraped.raw(asked(target["expr"]))
        assert series, target["expr"]
        assert "NaN" not in [each["value"][1] for each in series]
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        if panel["type"] == "table":
            (organize,) = [each for each in panel["transformations"] if each["id"] == "organize"]
            names = organize["options"]["renameByName"]
            shown |= {name for name in names if not name.startswith("Value #")}
        for each in series:
            assert shown <= set(each["metric"]) | {"table", "reason"}, each["metric"]


def numbers(server: PrometheusServer, name: str, **chosen: str) -> list[list[float]]:
    """What the queries of a panel give, in order."""
    (panel,) = [each for each in PANELS if each["title"] == name]
    return [
        sorted(float(each["value"][1]) for each in server.raw(asked(expression, **chosen)))
        for expression in expressions(panel)
    ]


def test_the_numbers_are_right(scraped: PrometheusServer) -> None:
    """What the first row tells is what is wrong with this worker's ledger."""
    assert numbers(scraped, "Verdict") == [[4]]
    assert numbers(scraped, "Critical findings") == [[2]]
    assert numbers(scraped, "For reading") == [[1]]
    assert numbers(scraped, "Checks that cannot tell") == [[1]]
    assert numbers(scraped, "Checks late") == [[0]]
    assert numbers(scraped, "Worker") == [[1]]
    assert numbers(scraped, "Databases out of reach") == [[0]]
    assert numbers(scraped, "Alerts not delivered") == [[2]]
    assert numbers(scraped, "Checks that cannot tell now")[0] == [1]
    assert all(ratio > 0.2 for ratio in numbers(scraped, "Conflict ratio by route")[0])


def test_choices_narrow_the_numbers(scraped: PrometheusServer) -> None:
    """Several tables, severities and routes can be chosen, whatever is in their names."""
    both = f"({escaped('/orders/{id}/cancel')}|{escaped('/pay')})"
    assert len(numbers(scraped, "Conflict ratio by route", route=both)[0]) == 4
    one = escaped("/orders/{id}/cancel")
    assert len(numbers(scraped, "Conflict ratio by route", route=one)[0]) == 2
    assert numbers(scraped, "Findings by table", table="(orders|gone)", severity="critical")[0] == [
        2
    ]
    assert numbers(scraped, "Critical findings", severity="info", table="gone") == [[2]]


@pytest.mark.parametrize("panel", [p for p in PANELS if p["type"] == "stat"], ids=title)
def test_without_a_worker_nothing_is_known(
    scraped: PrometheusServer, panel: dict[str, Any]
) -> None:
    """Of a worker that is not there, every number of the first row is unknown, and none is 0."""
    assert numbers(scraped, title(panel), job="nobody") == [[-1]]
