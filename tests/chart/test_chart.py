"""The chart renders what a cluster takes, and pods in which the worker starts."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.chart.rendering import (
    CHART,
    Manifest,
    Rendered,
    case_of,
    every_case,
    every_helm,
    helm,
    one,
    rendered,
    template,
    values,
)

KUBERNETES = ("1.27", "1.37")
"""The oldest that Chart.yaml allows, and the newest whose schemas are to be had."""

CUSTOM = ("ServiceMonitor", "PrometheusRule")
"""Kinds of the Prometheus Operator."""


def fields_known_of(manifest: Manifest) -> Any:
    """A custom resource without the keys that the Operator does not know.

    Its models take two seconds to import, so only who asks pays for it.
    """
    models = import_module("cloudcoil.models.prometheus_operator.v1")
    read = getattr(models, manifest["kind"]).model_validate(manifest)
    return read.model_dump(mode="json", by_alias=True, exclude_unset=True)


@cache
def validate(manifest: str, version: str) -> None:
    """Hold JSON against the strict schema of its kind; what several cases share, once."""
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)


@every_helm
@every_case
def test_it_lints(major: str, case: Path) -> None:
    """Real helm has nothing to say against the chart, warnings included."""
    done = helm(major, "lint", "--strict", CHART, "-f", case)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout + done.stderr


@every_case
def test_both_helms_render_the_same(case: Path) -> None:
    """What helm 3.17 and helm 4.1 would send to a cluster is equal."""
    assert rendered("v3", case).manifests == rendered("v4", case).manifests


@every_helm
def test_rendering_is_repeatable(major: str) -> None:
    """The same values give the same bytes, so that an upgrade without a change changes nothing."""
    case = case_of("everything")
    assert template(major, case).stdout == rendered(major, case).text


@every_case
def test_every_manifest_is_valid(case: Path) -> None:
    """Every manifest has only fields that its API knows, of the right types."""
    for manifest in rendered("v4", case).manifests:
        if manifest["kind"] in CUSTOM:
            assert fields_known_of(manifest) == manifest
        else:
            validate(json.dumps(manifest), KUBERNETES[-1])
    for manifest in rendered("v4", case, "--kube-version", f"{KUBERNETES[0]}.0").manifests:
        if manifest["kind"] not in CUSTOM:
            validate(json.dumps(manifest), KUBERNETES[0])


@every_case
def test_labels_and_selectors_agree(case: Path) -> None:
    """What selects pods selects the worker's, and only the policy selects that of a test, too."""
    release = rendered("v4", case)
    worker, test = (pod["metadata"]["labels"].items() for pod in release.pods)
    service = release.only("Service")
    chosen = release.only("Deployment")["spec"]["selector"]["matchLabels"]
    for selector in (
        chosen,
        service["spec"]["selector"],
        *(
            each["spec"]["selector"]["matchLabels"]
            for each in release.of_kind("PodDisruptionBudget")
        ),
    ):
        assert selector.items() <= worker
        assert not selector.items() <= test
    for monitor in release.of_kind("ServiceMonitor"):
        assert (
            monitor["spec"]["selector"]["matchLabels"].items()
            <= service["metadata"]["labels"].items()
        )
        assert monitor["spec"]["namespaceSelector"] == {
            "matchNames": [service["metadata"]["namespace"]]
        }
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    for policy in release.of_kind("NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= worker
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= test
    assert "team" not in chosen
    for manifest in release.manifests:
        if manifest["metadata"]["name"] == "by-hand":
            continue
        usual = {"name", "instance", "version", "managed-by", "component"}
        assert {f"app.kubernetes.io/{each}" for each in usual} <= set(
            manifest["metadata"]["labels"]
        )


@every_case
def test_everything_is_in_one_namespace(case: Path) -> None:
    """The release's namespace, or the one that was named for all, or for that object."""
    given = values(case)
    named = {
        "ServiceMonitor": given.get("serviceMonitor", {}).get("namespace"),
        "PrometheusRule": given.get("prometheusRule", {}).get("namespace"),
    }
    for manifest in rendered("v4", case).manifests:
        place = manifest["metadata"].get("namespace")
        if manifest["metadata"]["name"] == "by-hand":
            assert place is None
        elif "reconciler.json" in manifest.get("data", {}):
            assert place == given["dashboard"].get("namespace", "books")
        else:
            own = given.get("namespaceOverride", "books")
            assert place == (named.get(manifest["kind"]) or own)


def test_long_names_fit() -> None:
    """The longest name that a release can have makes names and labels that Kubernetes takes."""
    done = helm("v4", "template", "r" * 52 + "s", CHART, "-f", case_of("everything"))
    for manifest in Rendered(done.stdout).manifests:
        name, labels = manifest["metadata"]["name"], manifest["metadata"]["labels"]
        assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name), name
        assert all(len(label) <= 63 for label in labels.values())


def test_common_labels_are_everywhere() -> None:
    """Labels for everything are on everything, pods included; the Deployment's choice stays."""
    release = one("everything")
    for each in (*release.manifests, *release.pods):
        assert each["metadata"]["labels"]["cost-centre"] == "4711"
    assert "cost-centre" not in release.only("Deployment")["spec"]["selector"]["matchLabels"]


def test_rules_and_dashboard_are_those_of_the_project() -> None:
    """The rendered rules are those that are tested, and promtool takes them; so the dashboard."""
    release = one("everything")
    spec = release.only("PrometheusRule")["spec"]
    own = yaml.safe_load((CHART / "files" / "rules.yml").read_text(encoding="utf-8"))
    assert spec == own
    done = subprocess.run(
        [shutil.which("promtool") or "promtool is not installed", "check", "rules", "/dev/stdin"],
        input=yaml.safe_dump(spec),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    dashboard = next(m for m in release.of_kind("ConfigMap") if "reconciler.json" in m["data"])
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["data"]["reconciler.json"] == (
        CHART / "files" / "dashboard.json"
    ).read_text().rstrip("\n")


def _ports(rules: list[Manifest]) -> set[int]:
    return {port["port"] for rule in rules for port in rule["ports"]}


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("minimal", {53, 5353, 3306}),
        ("everything", {53, 5353, 3307, 9093, 443}),
        ("external-state", {53, 5353, 3306, 3310, 9093}),
        ("replicas-tls", {53, 5353, 3306}),
        ("own-config", {53, 5353, 3306}),
        ("agent", {53, 5353, 3306, 9093}),
        ("beside", {53, 3306, 443, 3307}),
    ],
)
def test_the_network_policy_lets_out_what_is_needed(name: str, ports: set[int]) -> None:
    """Out go DNS, the databases' ports and the Alertmanager's, in comes the port of metrics."""
    spec = one(name).only("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert _ports(spec["egress"]) == ports
    assert _ports(spec["ingress"]) == {9720}
    names = spec["egress"][0]["ports"]
    assert {each["protocol"] for each in names} == {"UDP", "TCP"}
    assert len(names) == 2 * len({each["port"] for each in names})


def test_the_network_policy_narrows_to_peers() -> None:
    """Each list of peers is on its own rule."""
    spec = one("everything").only("NetworkPolicy")["spec"]
    dns, databases, alertmanager, _ = spec["egress"]
    assert "namespaceSelector" in dns["to"][0]
    assert databases["to"] == [{"ipBlock": {"cidr": "10.0.0.0/24"}}]
    assert alertmanager["to"] == [{"podSelector": {"matchLabels": {"app": "alertmanager"}}}]
    assert spec["ingress"][0]["from"]


def test_what_needs_a_crd_is_off_by_default() -> None:
    """A bare cluster takes the chart: only kinds that every Kubernetes has are made."""
    kinds: Mapping[str, str] = {m["kind"]: m["apiVersion"] for m in one("minimal").manifests}
    assert not [kind for kind, version in kinds.items() if "coreos" in version]
    assert {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "PersistentVolumeClaim"} <= set(
        kinds
    )


def test_helm_is_the_real_one() -> None:
    """The two programs are the pinned versions."""
    assert helm("v3", "version", "--short").stdout.startswith("v3.17.")
    assert helm("v4", "version", "--short").stdout.startswith("v4.1.")
    assert os.access(CHART.parent / "scripts" / "install-helm", os.X_OK)
