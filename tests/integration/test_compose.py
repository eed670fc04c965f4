"""`compose.yaml` and what it mounts: as far as that can be proved without a container engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import CHECKOUT
from tests.support.servers import HOST, Server
from tests.support.workers import RECONCILER
from worker import config
from worker.demo import ledger as demo

DEPLOY = CHECKOUT / "deploy" / "compose"
COMPOSE = yaml.safe_load((CHECKOUT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
SECRETS = Path("/run/secrets")
PASSWORD = "it's a \\ password"


def settled(value: str) -> str:
    """A value as it is where no variable is set."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One entry of `volumes` of a service."""

    source: str
    target: Path
    read_only: bool


def mounts(service: str) -> Iterator[Mount]:
    """What is mounted into a service's container."""
    for each in SERVICES[service]["volumes"]:
        source, target, *options = each.split(":")
        yield Mount(source=source, target=Path(target), read_only=options == ["ro"])


def mounted(service: str, target: str) -> Path:
    """The file of the checkout that a container has at a path."""
    (found,) = (each for each in mounts(service) if each.target == Path(target))
    return CHECKOUT / found.source


def port_of(service: str) -> int:
    """The port inside the container, which is the one outside as well unless a variable is set."""
    (entry,) = SERVICES[service]["ports"]
    address, outside, inside = settled(entry).split(":")
    assert address == HOST
    assert outside == inside
    return int(inside)


def run(*command: str | Path, folder: Path = CHECKOUT, **environment: str) -> str:
    """What a command prints; it has to end with 0."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def program(name: str) -> str:
    """A program that has to be installed."""
    return shutil.which(name) or pytest.fail(
        f"{name} is not installed: run scripts/install-servers"
    )


def test_it_follows_the_compose_specification() -> None:
    """The schema of the specification accepts the file."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    run(checker, "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_every_mounted_file_exists_and_every_volume_is_declared() -> None:
    """Files of the checkout are there and mounted read-only; all else is a named volume."""
    named = set()
    for service in SERVICES:
        for each in mounts(service):
            if each.source.startswith("./"):
                assert (CHECKOUT / each.source).is_file(), each.source
                assert each.read_only
            else:
                named.add(each.source)
    assert named == set(COMPOSE["volumes"])
    assert len(named) == len(SERVICES)


def test_every_image_has_a_tag_and_can_be_replaced() -> None:
    """A variable names another image, or the same by digest; no default is `latest`."""
    for service in SERVICES.values():
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w./-]+:(?!latest)[\w.]+\}", service["image"])


def test_whatever_waits_waits_for_health() -> None:
    """Every service has a health check, the worker by its image, and others wait for it."""
    waited = set()
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            waited.add(name)
    assert waited == {"ledger", "alertmanager", "prometheus"}
    assert {name for name, each in SERVICES.items() if "healthcheck" not in each} == {"worker"}
    assert "\nHEALTHCHECK " in DOCKERFILE


def test_the_containers_may_do_little() -> None:
    """The worker cannot write but to its volume; nobody can gain a privilege."""
    worker = SERVICES["worker"]
    assert worker["read_only"]
    (state,) = (each.target for each in mounts("worker") if not each.read_only)
    assert f"\nVOLUME {state}\n" in DOCKERFILE
    for name, each in SERVICES.items():
        assert each["security_opt"] == ["no-new-privileges:true"]
        assert each.get("cap_drop") == (None if name == "ledger" else ["ALL"])


def test_ports_agree() -> None:
    """Ports are bound to 127.0.0.1, and are those that the image and the other services name."""
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    (scrape,) = prometheus["scrape_configs"]
    assert f"\nEXPOSE {port_of('worker')}\n" in DOCKERFILE
    assert scrape["static_configs"] == [{"targets": [f"worker:{port_of('worker')}"]}]
    assert prometheus["alerting"]["alertmanagers"] == [
        {"static_configs": [{"targets": [f"alertmanager:{port_of('alertmanager')}"]}]}
    ]
    for name in ("alertmanager", "prometheus", "grafana"):
        assert f"//{HOST}:{port_of(name)}/" in SERVICES[name]["healthcheck"]["test"][-1]
    for name in ("alertmanager", "prometheus"):
        given = [settled(each) for each in SERVICES[name]["command"]]
        assert f"--web.external-url=http://{HOST}:{port_of(name)}" in given
    assert "ports" not in SERVICES["ledger"]


def test_secrets_are_files_that_make_secrets_writes_once(tmp_path: Path) -> None:
    """Every password is in a file of its own that git ignores; a second call changes none."""
    script = shutil.copy(DEPLOY / "make-secrets", tmp_path)
    run(script)
    written = {each.name: each.read_text() for each in (tmp_path / "secrets").iterdir()}
    assert {name: each["file"] for name, each in COMPOSE["secrets"].items()} == {
        name: f"./deploy/compose/secrets/{name}" for name in written
    }
    assert all(re.fullmatch(r"[0-9a-f]{48}", each) for each in written.values())
    assert len(set(written.values())) == len(written)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    (tmp_path / "secrets" / "ledger-password").write_text("my own")
    run(script)
    assert (tmp_path / "secrets" / "ledger-password").read_text() == "my own"
    assert (tmp_path / "secrets" / "root-password").read_text() == written["root-password"]
    run("git", "check-ignore", "deploy/compose/secrets/root-password")
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable:
                assert Path(value).parent == SECRETS
                assert Path(value).name in service["secrets"]


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    """The configuration and the rules, laid out as mounted, pass promtool."""
    for each in mounts("prometheus"):
        if each.read_only:
            shutil.copy(CHECKOUT / each.source, tmp_path / each.target.name)
            assert each.target.parent == Path("/etc/prometheus")
    checked = run(program("promtool"), "check", "config", tmp_path / "prometheus.yml")
    assert "1 rule files found" in checked


def test_alertmanager_accepts_its_configuration() -> None:
    """The configuration passes amtool, and has the routes that docs/howto/alerting.md explains."""
    path = DEPLOY / "alertmanager.yml"
    run(program("amtool"), "check-config", path)
    page = (CHECKOUT / "docs" / "howto" / "alerting.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^    route:\n(?:    .*\n)+", page, re.MULTILINE)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {**yaml.safe_load(example), "receivers": given["receivers"]} == given


def test_grafana_finds_its_dashboard_and_data_source() -> None:
    """The provisioned folder holds the dashboard, whose data source is the Prometheus."""
    provisioning = Path("/etc/grafana/provisioning")
    (provider,) = yaml.safe_load(
        mounted("grafana", f"{provisioning}/dashboards/reconciler.yml").read_text()
    )["providers"]
    dashboard = mounted("grafana", f"{provider['options']['path']}/reconciler.json")
    (source,) = yaml.safe_load(
        mounted("grafana", f"{provisioning}/datasources/prometheus.yml").read_text()
    )["datasources"]
    variable = json.loads(dashboard.read_text(encoding="utf-8"))["templating"]["list"][0]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])
    assert source["isDefault"]
    assert source["url"] == f"http://prometheus:{port_of('prometheus')}"
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped


def environment(secrets: Path) -> dict[str, str]:
    """The worker's environment, with the secrets in another folder."""
    given = {name: settled(each) for name, each in SERVICES["worker"]["environment"].items()}
    given["RECONCILER_DATABASES__LEDGER__PASSWORD_FILE"] = str(secrets / "ledger-password")
    return {**given, "RECONCILER_CONFIG": str(mounted("worker", "/etc/reconciler/config.toml"))}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with a password that has to be quoted in SQL."""
    (tmp_path / "ledger-password").write_text(PASSWORD)
    return tmp_path


def test_the_worker_accepts_its_environment(secrets: Path) -> None:
    """Configuration and environment have no mistake, and name the service as the ledger."""
    current = config.load(None, environment(secrets))
    url = current.settings.databases["ledger"].parsed
    assert (url.host, url.port, url.database, url.password) == ("ledger", 3306, "ledger", PASSWORD)
    assert SERVICES["ledger"]["environment"]["MARIADB_DATABASE"] == url.database
    state = current.settings.state.parsed
    assert Path(state.database or "").parent == Path("/var/lib/reconciler")


def test_mariadb_loads_the_ledger_and_the_audit_passes(
    throwaway_server: Callable[..., Server], secrets: Path
) -> None:
    """The init files give the demo's rows and an account that may only read; all checks pass.

    What docs/howto/production.md breaks is found.
    """
    server = throwaway_server("mariadb", *SERVICES["ledger"]["command"])
    server._execute("CREATE DATABASE ledger")
    server._execute("SET PASSWORD FOR root@localhost = PASSWORD('root''s')")
    # Read last of all option files. The socket's path is relative, as a whole one may be too long.
    (secrets / ".my.cnf").write_text("[client]\nsocket = s.sock\n")
    client = {"HOME": str(secrets), "MARIADB_ROOT_PASSWORD": "root's", "SECRETS": str(secrets)}
    data = server.folder / "data"
    for each in sorted(mounts("ledger"), key=lambda each: each.target.name):
        script = CHECKOUT / each.source
        if each.target.suffix == ".sql":
            with script.open() as sql:
                subprocess.run(
                    [program("mariadb"), "--user=root", "--database=ledger"],
                    cwd=data,
                    env={**os.environ, **client, "MYSQL_PWD": "root's"},
                    stdin=sql,
                    check=True,
                )
        elif each.target.suffix == ".sh":
            assert os.access(script, os.X_OK)  # or the image would source it
            run(script, folder=data, **client)

    with closing(server.admin("ledger")) as connection, connection.cursor() as cursor:
        for table, rows in demo.rows().items():
            columns = ", ".join(rows[0]) if rows else "1"
            cursor.execute(f"SELECT {columns} FROM {table}")
            loaded = sorted(tuple(map(str, row)) for row in cursor.fetchall())
            assert loaded == sorted(tuple(map(str, row.values())) for row in rows), table
        cursor.execute("SHOW GRANTS FOR auditor@'%'")
        grants = [re.sub(" IDENTIFIED BY .*", "", str(row[0])) for row in cursor.fetchall()]
    assert grants == [
        "GRANT USAGE ON *.* TO `auditor`@`%`",
        "GRANT SELECT ON `ledger`.* TO `auditor`@`%`",
    ]

    where = environment(secrets)
    url = where["RECONCILER_DATABASES__LEDGER__URL"]
    address = f"{server.host}:{server.port}"
    where["RECONCILER_DATABASES__LEDGER__URL"] = url.replace("ledger:3306", address)
    where["RECONCILER_STATE__URL"] = f"sqlite:///{secrets / 'state.db'}"
    run(RECONCILER, "config", "check", "--connect", folder=secrets, **where)
    checked = json.loads(run(RECONCILER, "check", "--format", "json", folder=secrets, **where))
    assert checked["outcome"] == "pass"
    assert len(checked["checks"]) > 100

    page = (CHECKOUT / "docs" / "howto" / "production.md").read_text(encoding="utf-8")
    (fault,) = re.findall(r'"(UPDATE .*)"', page)
    with closing(server.admin("ledger")) as connection:
        connection.query(fault)
    failed = subprocess.run(
        [RECONCILER, "check", "account_asset_balances.*"],
        cwd=secrets,
        env=os.environ | where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "negative available_amount" in failed.stdout
