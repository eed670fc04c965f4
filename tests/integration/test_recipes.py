"""Each recipe of docs/howto/recipes.md is run as it stands there, and finds what it says."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from checks.contract import Finding
from tests.support import CHECKOUT
from tests.support.servers import Database
from worker import config
from worker.cli.schema_check import compare
from worker.config import Config
from worker.model.run import Outcome
from worker.scheduling.execute import execute
from worker.sources import Sources

PAGE = CHECKOUT / "docs" / "howto" / "recipes.md"
BEFORE = """
[databases.ledger]
url = "{url}"
time_limit = "60s"
"""
"""What a recipe leaves out; a busy machine is slow."""


@dataclass(frozen=True)
class Recipe:
    """A section of the page."""

    title: str
    tables: str
    configuration: str
    found: tuple[str, ...]

    def written(self, database: Database, folder: Path) -> Config:
        """Its tables in a database, and its configuration."""
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            for statement in re.split(r";$", self.tables, flags=re.MULTILINE):
                if statement.strip():
                    cursor.execute(statement)
        path = folder / "config.toml"
        url = database.url.render_as_string(hide_password=False)
        path.write_text(BEFORE.format(url=url) + self.configuration, encoding="utf-8")
        return config.load(path, {})


def recipes() -> Iterator[Recipe]:
    """Every section that the page has."""
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, rest = section.partition("\n")
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", rest, re.MULTILINE | re.DOTALL)
        assert [language for language, _ in blocks] == ["sql", "toml", "text"], title
        tables, configuration, found = (text for _, text in blocks)
        yield Recipe(title, tables, configuration, tuple(sorted(found.splitlines())))


def told(check: str, finding: Finding) -> str:
    """A finding as the page writes it."""
    key = ", ".join(f"{name} {value}" for name, value in finding.key.items())
    problem = finding.evidence.get("problem")
    return f"{check}: {key}" + (f" ({problem})" if problem else "")


@pytest.mark.parametrize("recipe", [*recipes()], ids=lambda recipe: recipe.title)
def test_a_recipe_finds_what_it_says(
    recipe: Recipe, ledger_database: Database, tmp_path: Path
) -> None:
    """Its configuration fits its tables, and every check of it finds those rows and no others."""
    current = recipe.written(ledger_database, tmp_path)
    with closing(Sources.of(current.settings)) as sources:
        assert compare(current, sources) == []
        runs = [execute(check, sources) for check in current.checks]
    assert [run.error for run in runs if run.outcome is Outcome.ERROR] == []
    findings = [
        told(run.check.name, finding)
        for run in runs
        for finding in (run.result.findings if run.result else ())
    ]
    assert tuple(sorted(findings)) == recipe.found
