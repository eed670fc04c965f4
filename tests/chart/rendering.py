"""The chart as a real helm renders it, each case once a session of tests."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import CHECKOUT
from tests.support.authority import Authority

CHART = CHECKOUT / "helm"
HOME = Path(os.environ.get("TEST_HELM_HOME") or CHECKOUT / ".cache" / "helm")
HELMS = ("v3", "v4")
CASES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
REFUSED = Path(__file__).parent / "refused"

WEB_CONFIG = """\
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients-ca.pem
basic_auth_users:
  prometheus: $2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e
"""
"""What the Secret of a web configuration holds beside certificates, in whatever key."""

AGENT = re.compile(r"/agent/secrets/[\w/.]+\w")
"""Files that the values of a case leave to an agent."""

Manifest = Mapping[str, Any]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda path: str(path.stem))
every_helm = pytest.mark.parametrize("major", HELMS)


def case_of(name: str) -> Path:
    """The values of a case."""
    return next(case for case in CASES if case.stem == name)


def helm(major: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a real helm, without any configuration of whoever runs the tests."""
    program = HOME / major / "helm"
    assert program.exists(), f"no helm {major} here: run scripts/install-helm"
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env={"HOME": "/nowhere"}
    )


def template(major: str, case: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Render the chart with the values of a file."""
    return helm(major, "template", "audit", CHART, "--namespace", "books", "-f", case, *options)


@dataclass(frozen=True)
class Rendered:
    """The manifests of one release."""

    text: str

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All of them, as they would be sent to a cluster."""
        return _parsed(self.text)

    def of_kind(self, kind: str) -> list[Manifest]:
        """Those of one kind."""
        return [each for each in self.manifests if each["kind"] == kind]

    def only(self, kind: str) -> Manifest:
        """The one of its kind."""
        (manifest,) = self.of_kind(kind)
        return manifest

    @property
    def pods(self) -> list[Manifest]:
        """Everything that becomes a pod: that of the worker first, then that of `helm test`."""
        return [self.only("Deployment")["spec"]["template"], *self.of_kind("Pod")]

    @property
    def containers(self) -> list[Manifest]:
        """The chart's own container of each pod, which is the first one."""
        return [pod["spec"]["containers"][0] for pod in self.pods]


@cache
def rendered(major: str, case: Path, *options: str) -> Rendered:
    """A case that can be rendered."""
    done = template(major, case, *options)
    assert done.returncode == 0, done.stderr
    return Rendered(done.stdout)


def one(name: str) -> Rendered:
    """A case as helm 4 renders it."""
    return rendered("v4", case_of(name))


@cache
def _parsed(text: str) -> tuple[Manifest, ...]:
    loaded = yaml.load_all(text, yaml.CSafeLoader)
    return tuple(sorted(filter(None, loaded), key=lambda each: (each["kind"], _name(each))))


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def values(case: Path) -> Any:
    """The values of a file."""
    return yaml.safe_load(case.read_text(encoding="utf-8"))


def texts(value: Any) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield str(key)
            yield from texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from texts(below)
    else:
        yield str(value)


def environment(container: Manifest) -> dict[str, str]:
    """The variables of a container as the kubelet hands them over.

    Raises AssertionError where it would put another variable into one of the chart's own.
    """
    given = {}
    for variable in container["env"]:
        if "value" in variable:
            value = variable["value"].replace("$$", "\0")
            assert not variable["name"].startswith("RECONCILER_") or "$(" not in value, variable
            given[variable["name"]] = value.replace("\0", "$")
    return given


def lay_out(rendered: Rendered, folder: Path) -> dict[str, str]:
    """Write configuration and secrets where the worker's pod has them, below a folder.

    Gives the environment of its container, with all paths moved below that folder. Secrets that
    somebody else makes hold `canary-NAME-KEY`, a URL under the key `url`, authorities where the
    chart wants some, and a web configuration file with what it names. Files that an agent would
    write hold the same.
    """
    pod = rendered.pods[0]["spec"]
    container = rendered.containers[0]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    for volume in pod["volumes"]:
        below = folder / mounts[volume["name"]].lstrip("/")
        below.mkdir(parents=True, exist_ok=True)
        for path, content in _files(rendered, volume):
            (below / path).parent.mkdir(parents=True, exist_ok=True)
            (below / path).write_text(_moved(content, folder, mounts), encoding="utf-8")
    for path in {each for text in texts(rendered.manifests) for each in AGENT.findall(text)}:
        (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.lstrip("/")).write_text(_foreign("agent", path), encoding="utf-8")
    given = environment(container)
    return {name: _moved(value, folder, mounts) for name, value in given.items()}


def _moved(text: str, folder: Path, mounts: Mapping[str, str]) -> str:
    for path in sorted(set(mounts.values()) - {"/tmp"}):  # noqa: S108 - nothing of the worker's is there
        text = text.replace(f"{path}/", f"{folder}{path}/")
    return text


def _files(rendered: Rendered, volume: Manifest) -> Iterator[tuple[str, str]]:
    if "configMap" in volume:
        yield from _configured(rendered, volume["configMap"])
    sources = volume.get("projected", {}).get("sources", ())
    for secret in [each.get("secret") or each["configMap"] for each in sources]:
        made = {_name(each): each["stringData"] for each in rendered.of_kind("Secret")}
        for item in secret["items"]:
            foreign = _foreign(f"{secret['name']}-{item['key']}", item["path"])
            ours = made.get(secret["name"])
            yield item["path"], foreign if ours is None else ours[item["key"]]
    if volume["name"] == "web-config":
        named = environment(rendered.containers[0])["RECONCILER_HTTP__WEB_CONFIG_FILE"]
        yield from {**_certificates(), Path(named).name: WEB_CONFIG}.items()
    elif "secret" in volume:
        yield "password", f"canary-{volume['secret']['secretName']}"


def _foreign(name: str, path: str) -> str:
    """What somebody else wrote into a file of the pod: by what the file is for."""
    if path.endswith("/url"):
        database = "reconciler" if "state/" in path else "ledger"
        return f"mysql://auditor:canary-{name}@db.example/{database}"
    return _certificates()["clients-ca.pem"] if path.endswith("/ca.crt") else f"canary-{name}"


@cache
def _certificates() -> Mapping[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        certificate, key = authority.issue("server")
        return {
            "server.pem": certificate.read_text(encoding="ascii"),
            "server.key": key.read_text(encoding="ascii"),
            "clients-ca.pem": authority.certificate.read_text(encoding="ascii"),
        }


def _configured(rendered: Rendered, source: Manifest) -> Iterator[tuple[str, str]]:
    maps = {_name(each): each["data"] for each in rendered.of_kind("ConfigMap")}
    for item in source["items"]:
        # A ConfigMap of somebody else holds what the project's own would.
        foreign = {"config.toml": (CHART / "files" / "config.toml").read_text(encoding="utf-8")}
        yield item["path"], maps.get(source["name"], foreign)[item["key"]]
