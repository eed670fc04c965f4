"""What a command imports: starting it is most of what a short one costs, in the tests as well."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CONFIG = """
[databases.ledger]
url = "sqlite:///ledger.db"

[state]
url = "sqlite:///state.db"

[[checks]]
name = "accounts.tables"
kind = "tables"
table = "accounts"
"""

OF_SOME_CONFIGURATIONS = {"httpx", "sqlglot", "yaml", "markdown_it"}
"""For Prometheus and Alertmanagers; conditions; TLS and users; runbooks."""

OF_THE_SERVER = {"uvicorn", "starlette", "prometheus_client", "apscheduler.schedulers"}

OF_REPORTS = {"worker.report", "worker.demo", "rich.progress"}


TELL = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "


def imported(folder: Path, program: str, *arguments: str) -> set[str]:
    """The modules that a program has imported when it ends, which it does well."""
    done = subprocess.run(
        [sys.executable, "-c", TELL + program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_the_version_is_told_without_the_worker(tmp_path: Path) -> None:
    """`--version` imports neither what databases are read with, nor a command."""
    found = imported(tmp_path, "from worker.__main__ import main; main()", "--version")
    ours = {name for name in found if name.split(".")[0] in ("worker", "checks")}
    assert ours == {
        "worker",
        "worker.__main__",
        "worker.importing",
        "worker.cli",
        "worker.cli.main",
    }
    assert not found & {"sqlalchemy", "pydantic", "structlog", "rich", *OF_SOME_CONFIGURATIONS}


def test_a_worker_imports_what_its_configuration_needs(tmp_path: Path) -> None:
    """`run` imports nothing of other commands, nor of what is not configured."""
    (tmp_path / "config.toml").write_text(CONFIG)
    start = "from worker.cli.run import load; load(None)"
    found = imported(tmp_path, start)
    assert found >= {"worker.app", *OF_THE_SERVER}
    assert not found & {*OF_SOME_CONFIGURATIONS, *OF_REPORTS}


@pytest.mark.parametrize("command", ["config", "findings", "check"])
def test_a_command_without_pages_imports_no_server(tmp_path: Path, command: str) -> None:
    """`check`, `config` and `findings` import neither the web server nor the scheduler."""
    (tmp_path / "config.toml").write_text(CONFIG)
    found = imported(tmp_path, f"import worker.cli.{command} as it; it.load(None)")
    assert "sqlalchemy" in found
    unneeded = OF_SOME_CONFIGURATIONS | OF_THE_SERVER | {"worker.report", "worker.demo"}
    assert not found & unneeded


@pytest.mark.parametrize("name", sorted(OF_SOME_CONFIGURATIONS | OF_THE_SERVER | OF_REPORTS))
def test_what_is_looked_for_is_there(name: str) -> None:
    """A module that is renamed is no module that is not imported."""
    assert find_spec(name)


ALERTMANAGER = """
[alerts]
push = ["critical"]

[alertmanagers.first]
url = "http://127.0.0.1:9093"
"""

CONDITION = """
[[checks]]
name = "accounts.open"
kind = "condition"
table = "accounts"
primary_key = "account_id"
expression = "balance >= 0"
"""


@pytest.mark.parametrize(("addition", "needed"), [(ALERTMANAGER, "httpx"), (CONDITION, "sqlglot")])
def test_what_is_configured_is_imported_at_the_start(
    tmp_path: Path, addition: str, needed: str
) -> None:
    """It is there when the configuration is read: later, no file may be left to open."""
    (tmp_path / "config.toml").write_text(CONFIG + addition)
    assert needed in imported(tmp_path, "from worker.cli.run import load; load(None)")
