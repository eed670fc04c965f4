"""The pods of the chart: the worker starts in them, and they may no more than they must."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import (
    CHART,
    case_of,
    environment,
    every_case,
    lay_out,
    one,
    rendered,
    texts,
    values,
)
from tests.support import asking
from worker import config
from worker.config import HttpSettings
from worker.web import Web


@every_case
def test_the_worker_takes_its_configuration(case: Path, tmp_path: Path) -> None:
    """In the pod's files and environment the worker finds a configuration without a mistake."""
    release = rendered("v4", case)
    settings = config.load(None, lay_out(release, tmp_path)).settings
    main = settings.databases[settings.main_database].parsed
    said = values(case).get("database", {})
    host = "127.0.0.1" if "127.0.0.1" in said.get("url", "") else "db.example"
    assert (main.host, main.database) == (host, "ledger")
    if said.get("noPassword"):
        assert main.password is None
    else:
        assert str(main.password or "").startswith("canary")
    assert (settings.http.host, settings.http.port) == ("0.0.0.0", 9720)  # noqa: S104
    state = settings.state.parsed
    if values(case).get("state", {}).get("kind") == "database":
        assert (state.get_backend_name(), state.database) == ("mysql", "reconciler")
        assert str(state.password).startswith("canary")
    else:
        assert state.database == f"{tmp_path}/var/lib/reconciler/reconciler-state.db"


def test_values_reach_the_worker(tmp_path: Path) -> None:
    """Settings, Alertmanager, further TOML and the external address arrive as they were given."""
    settings = config.load(None, lay_out(one("everything"), tmp_path)).settings
    assert settings.databases["ledger"].environment == 'staging "7"'
    assert settings.log.level == "debug"
    assert settings.schedule.overlap_rows == 20000
    assert settings.http.external_url == "https://audit.example/ledger"
    assert settings.prometheus["main"].url == "https://prometheus.example"
    assert settings.alerts.push == ("critical",)
    alertmanager = settings.alertmanagers["main"]
    assert alertmanager.bearer_file
    assert alertmanager.bearer_file.read_text() == "canary-alertmanager-account-token"


def test_hostile_text_arrives_unchanged() -> None:
    """Text that looks like a template, a variable or YAML is neither evaluated nor bent."""
    case = case_of("own-config")
    given = values(case)
    release = rendered("v4", case)
    text = release.only("ConfigMap")["data"]["config.toml"]
    assert text.startswith(given["config"]["text"])
    assert text.endswith(given["config"]["extra"])
    told = environment(release.containers[0])["RECONCILER_DATABASES__MAIN__ENVIRONMENT"]
    assert told == given["settings"]["databases"]["main"]["environment"]


def test_service_links_are_off() -> None:
    """Variables that Kubernetes adds for a Service named reconciler would stop the worker."""
    links = {"RECONCILER_PORT": "tcp://10.0.0.7:9720", "RECONCILER_SERVICE_HOST": "10.0.0.7"}
    with pytest.raises(config.ConfigError, match="RECONCILER_PORT"):
        config.load(CHART / "files" / "config.toml", links)
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in one("minimal").pods)


@every_case
def test_pods_obey_the_restricted_profile(case: Path) -> None:
    """Each pod and container has what the restricted Pod Security profile asks for, and more."""
    release = rendered("v4", case)
    for pod in release.pods:
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        own = spec["securityContext"]
        assert own["runAsNonRoot"] is True
        assert own.get("runAsUser", 10001) == own.get("fsGroup", 10001) == 10001
        assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in release.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {each["mountPath"] for each in container["volumeMounts"]}
        assert {"/tmp", "/var/lib/reconciler", "/etc/reconciler"} <= mounts  # noqa: S108
        assert not any("subPath" in each for each in container["volumeMounts"])
        assert container["resources"]["limits"]["memory"]


def test_ids_can_be_left_to_the_platform() -> None:
    """Where the platform gives ids, as OpenShift does, the pods name none."""
    for pod in one("existing-objects").pods:
        given = {key for key, value in pod["spec"]["securityContext"].items() if value is not None}
        assert given == {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"}


def test_no_password_outside_of_secrets() -> None:
    """A password that was given as a value is in the Secret, and nowhere else in any form."""
    release = one("trial")
    given = values(case_of("trial"))
    passwords = {given["database"]["password"], given["state"]["database"]["password"]}
    assert set(release.only("Secret")["stringData"].values()) == passwords
    others = [each for each in release.manifests if each["kind"] != "Secret"]
    assert "canary" not in json.dumps(others)
    other = rendered("v4", case_of("trial"), "--set", "database.password=x")
    assert [each for each in other.manifests if each["kind"] != "Secret"] == others


def test_the_worker_answers_what_is_asked() -> None:
    """The worker has the paths that probes and Prometheus ask for, on the port that is named."""
    release = one("everything")
    (container,) = release.pods[0]["spec"]["containers"]
    probes = [container[f"{each}Probe"]["httpGet"] for each in ("startup", "liveness", "readiness")]
    assert {(each["port"], each["scheme"]) for each in probes} == {("http", "HTTPS")}
    assert container["ports"] == [{"name": "http", "containerPort": 9720, "protocol": "TCP"}]
    paths = {each["path"] for each in probes}
    paths |= {each["path"] for each in release.only("ServiceMonitor")["spec"]["endpoints"]}
    assert paths == {"/livez", "/readyz", "/metrics"}
    well = (True, "well")
    web = Web(HttpSettings(port=0), lambda *_: (b"", "text/plain"), lambda: well, lambda: well)
    web.start()
    try:
        for path in paths:
            assert asking.get(web.address + path).status_code == 200, path
    finally:
        web.stop()


def _state(name: str) -> Any:
    (volume,) = (each for each in one(name).pods[0]["spec"]["volumes"] if each["name"] == "state")
    return volume


def test_the_state_lives_where_it_was_said() -> None:
    """A claim that the chart makes or finds, an external database, or nothing that lasts."""
    claim = one("minimal").only("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert _state("minimal")["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert _state("existing-objects")["persistentVolumeClaim"] == {"claimName": "audit-state"}
    for name in ("existing-objects", "external-state", "own-config"):
        assert one(name).of_kind("PersistentVolumeClaim") == []
    for name in ("external-state", "own-config"):
        assert "emptyDir" in _state(name)
    owned = one("everything").only("PersistentVolumeClaim")
    assert "helm.sh/resource-policy" not in owned["metadata"]["annotations"]
    assert owned["spec"]["storageClassName"] == ""


def test_one_worker_at_a_time() -> None:
    """There is one pod; the old one ends before the new one begins, and has time to do so."""
    spec = one("minimal").only("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > 10
    budget = one("minimal").only("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1  # 0 would hold up every drain


def test_several_workers_on_one_state() -> None:
    """Two pods share a state on a server, are moved one after the other, and end together."""
    release = one("replicas-tls")
    spec = release.only("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (2, {"type": "Recreate"})
    assert release.only("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert "emptyDir" in _state("replicas-tls")
    three = rendered("v4", case_of("external-state"), "--set", "replicas=3")
    assert three.only("Deployment")["spec"]["replicas"] == 3


def test_several_workers_are_kept_apart_where_that_can_be_done() -> None:
    """Pods spread over nodes and zones, but none waits for a place; own constraints win."""
    pod = one("replicas-tls").pods[0]
    spread = pod["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    for each in spread:
        assert (each["maxSkew"], each["whenUnsatisfiable"]) == (1, "ScheduleAnyway")
        assert each["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert "topologySpreadConstraints" not in one("minimal").pods[0]["spec"]
    own = "topologySpreadConstraints[0].topologyKey=rack"
    given = rendered("v4", case_of("replicas-tls"), "--set", own).pods[0]["spec"]
    assert given["topologySpreadConstraints"] == [{"topologyKey": "rack"}]


def test_a_change_of_the_configuration_restarts_the_worker() -> None:
    """The pod bears the sum of its configuration, so that another text makes another pod."""
    case = case_of("minimal")
    before, after = (
        rendered("v4", case, *options).pods[0]["metadata"]["annotations"]["checksum/config"]
        for options in ((), ("--set-string", "config.extra=# other"))
    )
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert before != after


def test_existing_objects_are_used() -> None:
    """What is there already is named and not made: claim, configuration, ServiceAccount."""
    release = one("existing-objects")
    assert {each["kind"] for each in release.manifests} == {
        "Deployment",
        "PodDisruptionBudget",
        "Service",
        "Pod",
    }
    spec = release.pods[0]["spec"]
    assert spec["serviceAccountName"] == "default"
    assert {"ledger-account", "audit-config", "audit-state"} <= set(texts(spec["volumes"]))
    assert release.only("Service")["metadata"]["name"] == "ledger-audit"
