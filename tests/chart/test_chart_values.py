"""The chart's values: what cannot work is refused, and what is written about them is true."""

import json
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.rendering import CHART, REFUSED, case_of, every_helm, helm, template
from tests.support import CHECKOUT, SHIPPED

BY_SCHEMA = REFUSED / "by-schema.yaml"
BY_TEMPLATE = sorted(set(REFUSED.glob("*.yaml")) - {BY_SCHEMA})


def expected(case: Path) -> list[str]:
    """The mistakes that a file of refused values says it holds, in its lines `#!`."""
    lines = case.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("#! ") for line in lines if line.startswith("#! ")]


def places(said: str) -> Iterator[tuple[str, str]]:
    """Place and words of each mistake, as helm 3 (`a.b: …`) or helm 4 (`at '/a/b': …`) says."""
    for line in said.splitlines():
        if found := re.match(r" *- (?:at '/?([^']*)'|([\w.()]+)): (.*)", line):
            place = (found[1] or found[2] or "").replace("/", ".").removeprefix("(root)")
            yield place, found[3]


@every_helm
def test_bad_values_are_refused_by_the_schema(major: str) -> None:
    """Each unknown key and each value of the wrong sort is told at its place, all at once."""
    done = template(major, BY_SCHEMA)
    assert done.returncode != 0
    assert done.stdout == ""
    told = list(places(done.stderr))
    for line in expected(BY_SCHEMA):
        place, _, word = line.partition(" ")
        assert [1 for where, words in told if where == place.strip("-") and word in words], line
    assert {line.split(" ")[0].strip("-") for line in expected(BY_SCHEMA)} >= {
        place for place, words in told if "validation failed" not in words and "anyOf" not in words
    }


@every_helm
@pytest.mark.parametrize("case", BY_TEMPLATE, ids=lambda path: str(path.stem))
def test_values_that_cannot_work_are_refused(major: str, case: Path) -> None:
    """What contradicts or lacks something is told in exactly these words, and without secrets."""
    done = template(major, case)
    assert done.returncode != 0
    told = re.findall(r"^  (\w[\w.]*: .*)$", done.stderr, re.MULTILINE)
    assert told == expected(case)
    assert "canary" not in done.stderr
    assert "/ary" not in done.stderr


def _schema() -> Any:
    return json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def _values() -> Any:
    return yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def _known(schema: Any, prefix: str = "") -> Iterator[str]:
    for name, below in schema.get("properties", {}).items():
        yield prefix + name
        yield from _known(below, f"{prefix}{name}.")


def _there(values: Any, prefix: str = "") -> Iterator[str]:
    for name, below in values.items() if isinstance(values, dict) else ():
        yield prefix + name
        yield from _there(below, f"{prefix}{name}.")


OPEN = (
    "settings",
    "resources",
    "podSecurityContext",
    "securityContext",
    "probes",
    "dashboard.labels",
    "dnsConfig",
    "enabled",
    "global",
)
"""Values below which the schema allows more, or less, than is there by default."""


def test_schema_and_values_know_the_same() -> None:
    """Every value of values.yaml is in the schema and the other way round, and strictly so."""
    schema = _schema()
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(_values(), schema)
    known, there = set(_known(schema)), set(_there(_values()))
    assert {each for each in known ^ there if not each.startswith(OPEN)} == set()
    own = [below for name, below in schema["properties"].items() if name != "global"]
    for each in (schema, *own):
        if "properties" in each:
            assert each["additionalProperties"] is False


def test_the_defaults_say_what_is_missing() -> None:
    """Without any values there is no render, but a list of what has to be said."""
    done = helm("v4", "template", "audit", CHART)
    assert done.returncode != 0
    assert "image.repository: is missing" in done.stderr
    assert "database.url: is missing" in done.stderr
    assert helm("v4", "lint", "--strict", CHART).returncode == 0


def test_a_name_that_no_service_can_have_is_refused() -> None:
    """A release whose name begins with a digit needs another name for its objects."""
    done = helm("v4", "template", "7th", CHART, "-f", case_of("minimal"))
    assert "fullnameOverride: is missing" in done.stderr
    done = helm("v4", "template", "7th", CHART, "-f", case_of("existing-objects"))
    assert done.returncode == 0, done.stderr


def test_the_table_of_values_is_in_step() -> None:
    """The README's table and the chart's config.toml are as scripts/draw-values draws them."""
    command = [sys.executable, str(CHECKOUT / "scripts" / "draw-values"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_chart_has_the_project_s_configuration() -> None:
    """The chart's config.toml says what the project's says, but for where things are."""
    own = tomllib.loads((SHIPPED).read_text(encoding="utf-8"))
    chart = tomllib.loads((CHART / "files" / "config.toml").read_text(encoding="utf-8"))
    for place in ("databases", "state", "http"):
        assert place not in chart
        del own[place]
    own["checks"] = [each for each in own["checks"] if each["kind"] != "conflict_rate"]
    assert chart == own


def test_the_chart_is_of_the_project_s_version() -> None:
    """Without a tag the chart runs the version that it came with."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]


DOCS = (CHECKOUT / "docs" / "howto" / "kubernetes.md").read_text(encoding="utf-8")


def test_every_value_on_the_page_exists() -> None:
    """A value that docs/howto/kubernetes.md names in code type is one of the chart's."""
    known = set(_known(_schema()))
    sections = {each.partition(".")[0] for each in known}
    named = set(re.findall(r"`(\w+\.[\w.]+)[:`]", DOCS))
    named = {each for each in named if each.partition(".")[0] in sections}
    named -= {"config.toml"}  # the file
    assert len(named) > 10
    assert named <= known


@every_helm
def test_the_example_on_the_page_works(major: str, tmp_path: Path) -> None:
    """What docs/howto/kubernetes.md shows can be installed, and its commands name what is."""
    example = re.search(r"my-values.yaml`\.\*\*\n\n(.*?)\n\n4\.", DOCS, re.DOTALL)
    assert example
    values = tmp_path / "my-values.yaml"
    values.write_text(textwrap.dedent(example[1]), encoding="utf-8")
    done = helm(major, "template", "reconciler", CHART, "--namespace", "audit", "-f", values)
    assert done.returncode == 0, done.stderr
    made = {
        f"{each['kind'].lower()}{separator}{each['metadata']['name']}"
        for each in yaml.safe_load_all(done.stdout)
        for separator in "/ "
    }
    assert {"servicemonitor/reconciler", "prometheusrule/reconciler"} <= made
    named = set(re.findall(r"(?:deployment|service)/[\w-]+|persistentvolumeclaim [\w-]+", DOCS))
    assert len(named) == 3
    assert named <= made
    assert example[1].count("ledger-account") == 1
    assert "generic ledger-account --from-file=password=" in DOCS


WARNINGS = {
    "emptyDir": "emptyDir",
    "password": "database.password is kept",
    "state password": "state.database.password is kept",
    "own database": "no database.url",
    "unseen": "no ServiceMonitor",
    "untold": "no PrometheusRule",
    "links": "no externalUrl",
}


@pytest.mark.parametrize(
    ("name", "warnings"),
    [
        ("minimal", {"unseen", "untold", "links"}),
        ("everything", set()),
        ("replicas-tls", {"untold"}),
        ("trial", {"password", "state password", "unseen", "untold", "links"}),
        ("own-config", {"emptyDir", "own database", "unseen", "untold", "links"}),
    ],
)
def test_notes_warn(name: str, warnings: set[str]) -> None:
    """After an install helm says what to do next, what is dangerous, and no password.

    Of helm 4: helm 3 wants to ask a cluster first, also for a dry run.
    """
    case = case_of(name)
    options = ("--dry-run=client", "--namespace", "books", "-f", case)
    done = helm("v4", "install", "audit", CHART, *options)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("\nNOTES:\n")[2]
    assert "helm --namespace books test audit" in notes
    assert "canary" not in notes
    assert {each for each, words in WARNINGS.items() if words in notes} == {
        *warnings,
        *({"password"} & warnings),
    }
    assert notes.count("WARNING: ") == len(warnings)
