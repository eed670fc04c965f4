"""The chart among others: below a parent, beside containers of somebody else, under usual names."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.rendering import (
    CHART,
    Rendered,
    case_of,
    environment,
    every_case,
    every_helm,
    helm,
    one,
    rendered,
    values,
)

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that has this one as a dependency which can be switched off."""
    folder = tmp_path_factory.mktemp("charts") / "books"
    shutil.copytree(CHART, folder / "charts" / "reconciler")
    on_switch = {"name": "reconciler", "version": "*", "condition": "reconciler.enabled"}
    chart = {"apiVersion": "v2", "name": "books", "version": "1.0.0", "dependencies": [on_switch]}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart), encoding="utf-8")
    below = {"enabled": True, **values(case_of("minimal"))}
    shared = {"imageRegistry": "mirror.example", "imagePullSecrets": ["mirror"], "zone": "eu"}
    given = {"reconciler": below, "global": shared}
    (folder / "values.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    return folder


@every_helm
def test_a_parent_switches_it_on_and_off(major: str, parent: Path) -> None:
    """As a dependency it takes `enabled` and what the parent shares, and the parent decides."""
    done = helm(major, "template", "audit", parent)
    assert done.returncode == 0, done.stderr
    release = Rendered(done.stdout)
    assert {each["image"] for each in release.containers} == {"mirror.example/reconciler:0.1.0"}
    assert all(pod["spec"]["imagePullSecrets"] == [{"name": "mirror"}] for pod in release.pods)
    off = helm(major, "template", "audit", parent, "--set", "reconciler.enabled=false")
    assert (off.returncode, off.stdout.strip()) == (0, "")


@every_helm
def test_switched_on_it_is_what_it_is_alone(major: str) -> None:
    """`enabled` changes nothing of what is rendered."""
    case = case_of("minimal")
    assert (
        rendered(major, case, "--set", "enabled=true").manifests == rendered(major, case).manifests
    )


@pytest.mark.parametrize(
    ("options", "image"),
    [
        (("image.repository=audit/reconciler",), "audit/reconciler:0.1.0"),
        (("image.registry=r.example:5000",), "r.example:5000/reconciler:0.1.0"),
        (
            ("image.registry=r.example", "global.imageRegistry=mirror.example/eu"),
            "mirror.example/eu/reconciler:0.1.0",
        ),
        (
            ("image.repository=localhost/a/reconciler", "global.imageRegistry=mirror.example"),
            "mirror.example/a/reconciler:0.1.0",
        ),
        (
            ("image.repository=audit/reconciler", "global.imageRegistry=mirror.example"),
            "mirror.example/audit/reconciler:0.1.0",
        ),
        (("global.imageRegistry=",), "registry.example/reconciler:0.1.0"),
    ],
)
def test_the_registry_that_counts(options: tuple[str, ...], image: str) -> None:
    """A parent's registry wins over the chart's, and either over that of the repository."""
    given = [part for each in options for part in ("--set", each)]
    release = rendered("v4", case_of("minimal"), *given)
    assert {each["image"] for each in release.containers} == {image}


def test_secrets_for_the_registry_add_up() -> None:
    """Those of the chart and of its parent, in both spellings, each once."""
    wanted = [{"name": each} for each in ("registry-login", "second-login", "parent-login")]
    assert all(pod["spec"]["imagePullSecrets"] == wanted for pod in one("agent").pods)


def _objects(schema: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place of the values that has names of its own, below which none else is allowed."""
    places = [path] if schema.get("additionalProperties") is False and path else []
    for name, below in schema.get("properties", {}).items():
        named = below.get("$ref", "").rpartition("/")[2]
        places += _objects(SCHEMA["definitions"].get(named, below), (*path, name))
    return [each for each in places if each[-1] != "settings"]


@every_helm
def test_a_value_that_does_not_exist_is_named(major: str, tmp_path: Path) -> None:
    """A misspelt name is refused wherever it stands, and the message has it."""
    given: dict[str, Any] = {"misspelt0": 1}
    for number, place in enumerate(_objects(SCHEMA), start=1):
        below = given
        for step in place:
            below = below.setdefault(step, {})
        below[f"misspelt{number}"] = 1
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(given), encoding="utf-8")
    done = helm(major, "template", "audit", CHART, "-f", path)
    assert done.returncode != 0
    assert len(_objects(SCHEMA)) > 20
    for number in range(len(_objects(SCHEMA)) + 1):
        assert f"misspelt{number}" in done.stderr, ("-", *_objects(SCHEMA))[number]


def test_both_pods_are_marked() -> None:
    """Labels and annotations are on the pod of a test, too, where others may be given to it."""
    release = one("agent")
    worker, test = (pod["metadata"] for pod in release.pods)
    assert (worker["labels"]["mesh"], test["labels"]["mesh"]) == ("inside", "outside")
    for metadata, inside in ((worker, "true"), (test, "false")):
        assert metadata["annotations"]["mesh.example/inject"] == inside
        assert metadata["annotations"]["agent.example/inject"] == "true"
    assert test["annotations"]["helm.sh/hook"] == "test"
    for manifest in release.manifests:
        if manifest["metadata"]["name"] != "by-hand":
            marked = manifest["metadata"]["annotations"]["note.example/owner"]
            assert marked == "ledger team"


def test_a_container_beside_ends_with_the_test() -> None:
    """The test's pod has it as a native sidecar, which does not keep the pod from ending."""
    (proxy,) = values(case_of("beside"))["extraContainers"]
    (first,) = values(case_of("beside"))["extraInitContainers"]
    worker, test = (pod["spec"] for pod in one("beside").pods)
    assert worker["containers"][1:] == [proxy]
    assert worker["initContainers"] == [first]
    assert test["initContainers"] == [first, {**proxy, "restartPolicy": "Always"}]
    assert len(test["containers"]) == 1
    old = rendered("v4", case_of("beside"), "--kube-version", "1.28.9")
    worker, test = (pod["spec"] for pod in old.pods)
    assert test["containers"][1:] == worker["containers"][1:] == [proxy]
    assert test["initContainers"] == worker["initContainers"] == [first]


def test_native_sidecars_are_taken_as_they_are() -> None:
    """An init container that goes on is in both pods."""
    option = "extraInitContainers[0].restartPolicy=Always"
    release = rendered("v4", case_of("beside"), "--set", option)
    for pod in release.pods:
        assert pod["spec"]["initContainers"][0]["restartPolicy"] == "Always"


def test_no_secret_is_wanted_where_none_is_named() -> None:
    """A password from an agent, or none at all, leaves no volume and no object of a Secret."""
    for name in ("agent", "beside"):
        release = one(name)
        assert release.of_kind("Secret") == []
        for pod in release.pods:
            assert "secretName" not in json.dumps(pod["spec"]["volumes"])
            assert '"secret"' not in json.dumps(pod["spec"]["volumes"])


def test_a_password_file_may_be_a_setting() -> None:
    """Where `settings` name the file, no Secret is missing, and the setting is what counts."""
    path = "settings.databases.ledger.password_file=/agent/secrets/ledger"
    release = rendered("v4", case_of("minimal"), "--set", "database.existingSecret=", "--set", path)
    told = environment(release.containers[0])
    assert told["RECONCILER_DATABASES__LEDGER__PASSWORD_FILE"] == "/agent/secrets/ledger"


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("mysql://auditor@db.example/ledger", "verify-identity"),
        ("mysql://auditor@10.0.0.5:3306/ledger", "verify-identity"),
        ("mysql://auditor@localhost.example/ledger", "verify-identity"),
        ("mysql://auditor@[fd00::1]/ledger", "verify-identity"),
        ("mysql://auditor@127.0.0.1:3307/ledger", "disabled"),
        ("mariadb://auditor@127.1.2.3/ledger", "disabled"),
        ("mysql://auditor@localhost/ledger", "disabled"),
        ("mysql://auditor@[::1]:3306/ledger", "disabled"),
    ],
)
def test_a_database_elsewhere_is_verified_by_default(url: str, mode: str) -> None:
    """Without a word the server has to prove who it is, unless it is in the pod itself."""
    release = rendered("v4", case_of("minimal"), "--set", f"database.url={url}")
    assert environment(release.containers[0])["RECONCILER_DATABASES__LEDGER__TLS"] == mode
    chosen = ("--set", f"database.url={url}", "--set", "database.tls=required")
    told = environment(rendered("v4", case_of("minimal"), *chosen).containers[0])
    assert told["RECONCILER_DATABASES__LEDGER__TLS"] == "required"


def test_urls_that_helm_cannot_read_are_verified() -> None:
    """So is a server whose URL is in a Secret or in a file of an agent, and that of the state."""
    told = environment(one("external-state").containers[0])
    assert told["RECONCILER_DATABASES__LEDGER__TLS"] == "verify-identity"
    assert told["RECONCILER_STATE__TLS"] == "verify-identity"


@every_case
def test_the_way_to_a_database_is_always_named(case: Path) -> None:
    """Each database that the values name has a mode of TLS in the worker's environment."""
    told = environment(rendered("v4", case).containers[0])
    places = {each.rpartition("__")[0] for each in told if "__URL" in each}
    for place in places - {"RECONCILER_HTTP"}:
        local = told.get(f"{place}__URL", "").startswith("sqlite:")
        assert local or told[f"{place}__TLS"]


def test_what_exporters_call_it() -> None:
    """Names that users know from exporters' charts do in this one what they do there."""
    release = one("agent")
    monitor, rule = release.only("ServiceMonitor"), release.only("PrometheusRule")
    given = values(case_of("agent"))
    for manifest in (monitor, rule):
        assert manifest["metadata"]["labels"]["release"] == "prometheus"
        assert manifest["metadata"]["annotations"]["note.example/of"] == "audit"
    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    (endpoint,) = monitor["spec"]["endpoints"]
    for key in ("relabelings", "metricRelabelings", "honorLabels"):
        assert endpoint[key] == given["serviceMonitor"][key]
    service = release.only("Service")
    for key in ("ipFamilies", "ipFamilyPolicy"):
        assert service["spec"][key] == given["service"][key]
    assert service["metadata"]["labels"]["scrape"] == "yes"
    for pod in release.pods:
        for key in ("dnsPolicy", "dnsConfig", "hostAliases", "runtimeClassName", "schedulerName"):
            assert pod["spec"][key] == given[key]
    assert all(each["envFrom"] == given["extraEnvFrom"] for each in release.containers)
    by_hand = next(m for m in release.manifests if m["metadata"]["name"] == "by-hand")
    assert by_hand == given["extraManifests"][0]


def test_an_ingress_leads_to_the_page() -> None:
    """Each host and path of the Ingress leads to the Service's port, under the given class."""
    release = one("agent")
    spec = release.only("Ingress")["spec"]
    service = release.only("Service")["metadata"]["name"]
    assert (spec["ingressClassName"], spec["tls"][0]["secretName"]) == ("nginx", "audit-tls")
    asked = {
        (rule["host"], path["path"], path["pathType"])
        for rule in spec["rules"]
        for path in rule["http"]["paths"]
        if path["backend"] == {"service": {"name": service, "port": {"name": "http"}}}
    }
    assert asked == {
        ("audit.example", "/", "Prefix"),
        ("*.audit.example", "/ledger", "ImplementationSpecific"),
        ("*.audit.example", "/metrics", "Prefix"),
    }
    assert one("everything").of_kind("Ingress") == []
