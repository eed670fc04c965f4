"""The documentation tells the truth: what exists is documented, and what is documented exists."""

import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from pydantic import BaseModel
from typer.main import get_command

from checks.contract import Check
from checks.declared.table import TableFacts
from checks.kinds.pairing import Pairing
from checks.registry import KINDS
from tests.support import CHECKOUT
from worker import config
from worker.cli.main import app
from worker.config import Settings
from worker.model import log_event
from worker.model.finding import Change
from worker.telemetry.metrics import Metrics, outbox

DOCS = CHECKOUT / "docs"
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def text(page: str) -> str:
    """A page of the documentation."""
    return (DOCS / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """The part of a page under a heading of the second level."""
    found = re.search(
        rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text(page), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no section {heading}"
    return found[1]


def kind_of(check: type[Check]) -> str:
    """The `kind` of a class of checks."""
    kind: str = check.model_fields["kind"].default
    return kind


def _concrete(check: Any) -> Iterator[type]:
    """Every class below it that can be made."""
    for each in check.__subclasses__():
        if not isabstract(each):
            yield each
        yield from _concrete(each)


def test_every_file_with_a_check_is_registered() -> None:
    """Each subclass of Check in `checks/` is in AnyCheck, and its file bears its kind's name."""
    for path in (CHECKOUT / "checks" / "kinds").rglob("*.py"):
        import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    ours = {each for each in _concrete(Check) if each.__module__.startswith("checks.")}
    assert ours == set(KINDS)
    for check in KINDS:
        assert kind_of(check) in check.__module__.removeprefix("checks.kinds.").split(".")
        assert check.__name__ == kind_of(check).title().replace("_", "")


@pytest.mark.parametrize("check", KINDS, ids=kind_of)
def test_every_kind_has_its_tests_and_its_page(check: type[Check]) -> None:
    """A kind has a test file, a page that names all its fields, and a line in the table."""
    kind = kind_of(check)
    assert (CHECKOUT / "tests" / "kinds" / f"test_{kind}.py").exists()
    page = DOCS / "checks" / f"{kind}.md"
    assert page.exists(), f"{kind} has no page: docs/checks/{kind}.md"
    described = page.read_text(encoding="utf-8")
    assert described.startswith(f"# {kind}\n"), f"docs/checks/{kind}.md lacks its heading"
    if issubclass(check, Pairing):
        described += section("checks.md", "What reference and posting share")
    inherited = set(Check.model_fields) - {"table"}
    for field in set(check.model_fields) - inherited:
        assert f"`{field}`" in described, f"field {field} of {kind}"
    severity = check.model_fields["severity"].default
    assert f"| [{kind}](checks/{kind}.md) | {severity} |" in text("checks.md")


def _lines_of(page: str) -> Iterator[list[str]]:
    for line in text(page).splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_metric_is_documented_with_its_labels() -> None:
    """The table of metrics holds exactly the metrics that exist, with their labels in order."""
    documented = {
        cells[0].strip("`"): cells[2]
        for cells in _lines_of("howto/operating.md")
        if "reconciler_" in cells[0]
    }
    metrics = Metrics()
    existing = {}
    for collector, names in metrics.registry._collector_to_names.items():
        if not names:  # described below
            continue
        labels = ", ".join(getattr(collector, "_labelnames", ()))
        base = min(names, key=len)
        counter = "# TYPE " + base + "_total counter" in generate_latest(metrics.registry).decode()
        existing[f"{base}_total" if counter else base] = labels
    for family in outbox.families():
        existing[family.name] = ", ".join(family._labelnames)
    for kind in KINDS:
        existing |= {each.name: ", ".join(each.labels) for each in kind.card.families}
    assert documented == existing


def test_every_event_is_documented() -> None:
    """The table of events holds exactly the names that the worker logs."""
    documented = {
        cells[0].strip("`")
        for cells in _lines_of("howto/logs.md")
        if re.fullmatch(r"`[a-z_]+`", cells[0])
    }
    logged = {"library_message", *(change.value for change in Change)}
    logged |= {log_event.NOT_LOGGED, log_event.FORGOTTEN}
    for path in (CHECKOUT / "worker").rglob("*.py"):
        calls = r"_log\.(?:log\(.*?|\w+\()\s*\"([a-z_]+)\""
        logged |= set(re.findall(calls, path.read_text(encoding="utf-8")))
    assert documented == logged


def _models() -> Iterator[type[BaseModel]]:
    for model in vars(config).values():
        if isinstance(model, type) and issubclass(model, config.Table) and model is not Settings:
            yield model
    yield Settings
    yield TableFacts


@pytest.mark.parametrize("model", list(_models()), ids=lambda model: str(model.__name__))
def test_every_setting_is_documented(model: type[BaseModel]) -> None:
    """Each key of the configuration file is on its page, in code type or as a section."""
    page = text("reference/configuration.md")
    for field in model.model_fields:
        assert re.search(rf"`[^`]*\b{field}\b[^`]*`", page), field


def test_every_default_is_told_right() -> None:
    """The defaults in the table of settings are those of the models."""
    defaults: dict[str, str] = {}
    for cells in _lines_of("reference/configuration.md"):
        if len(cells) == 3:  # the databases' time_limit comes before those of other sources
            defaults.setdefault(cells[0].strip("`"), cells[1].strip('`"'))
    assert defaults["port"] == str(config.HttpSettings().port)
    assert defaults["complete"] == str(config.ScheduleSettings().complete)
    assert defaults["overlap"] == "10m"
    assert config.ScheduleSettings().overlap.seconds == 600
    assert int(defaults["overlap_rows"]) == config.ScheduleSettings().overlap_rows
    assert defaults["time_limit"] == "30s"
    assert config.DatabaseSettings(url="sqlite:///x").time_limit.seconds == 30
    assert defaults["connect_timeout"] == "5s"
    assert config.DatabaseSettings(url="sqlite:///x").connect_timeout.seconds == 5
    assert defaults["level"] == config.LogSettings().level


def test_every_command_is_in_the_readme() -> None:
    """Each command of the command line is shown to users."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        if name == "config":
            assert set(command.commands) == {"check"}
            assert "reconciler config check --connect" in readme
        elif name == "demo":
            assert "make run" in readme
        else:
            assert f"reconciler {name}" in readme, name


def test_every_dependency_has_its_reason() -> None:
    """Each package that the project asks for has a line in the decisions."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = list(project["project"]["dependencies"])
    for group in project["dependency-groups"].values():
        wanted += [each for each in group if isinstance(each, str)]
    table = "\n".join(
        line for line in text("explanation/decisions.md").splitlines() if line.startswith("| ")
    )
    for requirement in wanted:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert re.search(rf"^\|[^|]*\b{re.escape(name)}\b", table, re.MULTILINE), name


def test_every_package_is_locked_with_hashes() -> None:
    """Both locks pin each package by version and hash, and name no index."""
    for lock in ("requirements.lock", "requirements-dev.lock"):
        content = (CHECKOUT / lock).read_text(encoding="utf-8")
        pins = re.findall(r"^[a-z0-9][^ ]*==", content, re.MULTILINE)
        assert len(pins) > 20
        assert len(re.findall(r"^[a-z0-9].*\\\n    --hash=sha256:", content, re.MULTILINE)) == len(
            pins
        )
        assert "://" not in content


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Links between pages name files and headings that exist."""
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {each.lower().replace(" ", "-") for each in headings}, target


def test_the_paths_in_the_architecture_exist() -> None:
    """Each file or folder that the architecture page names is there."""
    for path in re.findall(
        r"`((?:checks|worker|tests)/[\w/.]*)`", text("explanation/architecture.md")
    ):
        assert (CHECKOUT / path).exists(), path


def test_make_knows_the_two_commands() -> None:
    """The two commands of the README are targets of the Makefile, and CI runs one of them."""
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    for target in ("run", "test"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")
