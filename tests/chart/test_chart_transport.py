"""The chart's TLS: to the databases, and of the port with what probes and Prometheus need then."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import (
    CHART,
    case_of,
    every_helm,
    helm,
    lay_out,
    one,
    rendered,
    values,
)
from worker import config
from worker.config.web_config import WebFile

WEB = "http.webConfig.existingSecret=audit-web"


def test_tls_to_the_databases_reaches_the_worker(tmp_path: Path) -> None:
    """Mode and authorities of both databases arrive, each those that were given for it."""
    settings = config.load(None, lay_out(one("replicas-tls"), tmp_path)).settings
    ledger, state = settings.databases["ledger"], settings.state
    assert (ledger.tls_mode, state.tls_mode) == ("verify-identity", "verify-ca")
    secrets = tmp_path / "run" / "secrets" / "reconciler"
    assert ledger.ca_file == secrets / "database" / "ca.crt"
    assert state.ca_file == secrets / "state" / "ca.crt"
    assert "BEGIN CERTIFICATE" in ledger.ca_file.read_text(encoding="ascii")


def _volume(name: str) -> Any:
    pod = one("replicas-tls").pods[0]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == name)
    return volume


def test_authorities_come_from_the_secret_and_key_that_were_named() -> None:
    """Each database's authorities are a file of the projected volume, under one name inside."""
    sources = [each["secret"] for each in _volume("secrets")["projected"]["sources"]]
    trusted = {
        item["path"]: (source["name"], item["key"])
        for source in sources
        for item in source["items"]
    }
    assert trusted["database/ca.crt"] == ("ledger-authorities", "bundle.pem")
    assert trusted["state/ca.crt"] == ("state-account", "ca.crt")


def test_the_web_configuration_is_mounted_with_its_certificates(tmp_path: Path) -> None:
    """The whole Secret is one folder, readable by the worker's group, and the worker takes it."""
    assert _volume("web-config")["secret"] == {"secretName": "audit-web", "defaultMode": 0o440}
    path = config.load(None, lay_out(one("replicas-tls"), tmp_path)).settings.http.web_config_file
    assert path == tmp_path / "run" / "secrets" / "reconciler-web" / "web-config.yml"
    read = WebFile.read(path)
    assert read.context
    assert list(read.basic_auth_users) == ["prometheus"]
    for container in one("replicas-tls").containers:
        mounts = {each["name"]: each for each in container["volumeMounts"]}
        assert mounts["web-config"]["readOnly"] is True


@every_helm
@pytest.mark.parametrize(
    ("given", "probe", "scheme"),
    [
        ((), "HTTP", "http"),
        ((WEB,), "HTTPS", "https"),
        ((WEB, "probes.scheme=HTTP"), "HTTP", "http"),
        ((WEB, "probes.scheme=TCP"), None, "https"),
        (("probes.scheme=HTTPS",), "HTTPS", "https"),
        (("probes.scheme=HTTPS", "serviceMonitor.scheme=http"), "HTTPS", "http"),
    ],
)
def test_probes_and_prometheus_follow(
    major: str, given: tuple[str, ...], probe: str | None, scheme: str
) -> None:
    """With a web configuration file both speak HTTPS, unless another way is named."""
    options = [part for each in (*given, "serviceMonitor.enabled=true") for part in ("--set", each)]
    release = rendered(major, case_of("minimal"), *options)
    (container,) = release.pods[0]["spec"]["containers"]
    for path, each in (("/livez", "startup"), ("/livez", "liveness"), ("/readyz", "readiness")):
        asked = container[f"{each}Probe"]
        if probe is None:
            assert asked["tcpSocket"] == {"port": "http"}
            assert "httpGet" not in asked
        else:
            assert asked["httpGet"] == {"path": path, "port": "http", "scheme": probe}
    (endpoint,) = release.only("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["scheme"] == scheme


def test_prometheus_logs_in_as_was_said() -> None:
    """Whom Prometheus trusts and what it shows are in the ServiceMonitor as they were given."""
    (endpoint,) = one("replicas-tls").only("ServiceMonitor")["spec"]["endpoints"]
    given = values(case_of("replicas-tls"))["serviceMonitor"]
    assert endpoint["tlsConfig"] == given["tlsConfig"]
    assert endpoint["basicAuth"] == given["basicAuth"]
    assert endpoint["scheme"] == "https"


PAGE = (CHART.parent / "docs" / "howto" / "kubernetes.md").read_text(encoding="utf-8")


def _examples() -> list[str]:
    """The values that the page shows on TLS, containers beside the worker, and replicas."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    shown = "".join(each for each in sections if each.startswith(("TLS", "A proxy", "Replicas")))
    blocks = re.findall(r"(?:^ {4}.*\n)+", shown, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks if "kubectl" not in block]


@every_helm
@pytest.mark.parametrize("number", range(5))
def test_the_examples_on_the_page_work(major: str, number: int, tmp_path: Path) -> None:
    """What docs/howto/kubernetes.md shows of TLS, proxies and replicas can be installed."""
    examples = _examples()
    assert len(examples) == 5
    example = tmp_path / "values.yaml"
    example.write_text(examples[number], encoding="utf-8")
    whole = "noPassword" in examples[number]  # states a database of its own
    beside = case_of("external-state")
    rest = ("--set", "image.repository=audit") if whole else ("-f", beside)
    done = helm(major, "template", "audit", CHART, *rest, "-f", example)
    assert done.returncode == 0, done.stderr


def notes(name: str, *options: str) -> str:
    """What helm 4 says after an install."""
    case = case_of(name)
    done = helm("v4", "install", "audit", CHART, "--dry-run=client", "-f", case, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("\nNOTES:\n")[2]


def test_notes_tell_of_replicas_and_tls() -> None:
    """After an install helm says how to reach the page and who of several acts."""
    said = notes("replicas-tls")
    assert "https://127.0.0.1:9720/" in said
    assert "one of 2 pods acts" in said
    assert "web-config.yml in Secret audit-web" in said
    assert "a probe by TCP sees" in said
    assert "no serviceMonitor.tlsConfig" not in said
    plain = notes("minimal")
    assert "http://127.0.0.1:9720/" in plain
    assert not [word for word in ("pods acts", "Secret audit-web", "TCP") if word in plain]


def test_notes_warn_of_a_prometheus_that_trusts_nobody() -> None:
    """A scrape of a pod's address by HTTPS needs to be told whom to trust."""
    options = ("--set", WEB, "--set", "serviceMonitor.enabled=true")
    assert "WARNING: no serviceMonitor.tlsConfig" in notes("minimal", *options)
    assert "no serviceMonitor.tlsConfig" not in notes(
        "minimal", *options, "--set", "serviceMonitor.scheme=http"
    )
