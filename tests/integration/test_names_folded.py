"""Names in another letter case than the catalog's: of columns, and of tables where it may be."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import _require
from tests.support import representative
from tests.support.servers import Database, Farm, Flavour, Server
from worker.cli.schema_check import compare, remarks
from worker.config import Config, Problem, load
from worker.sources import Sources

COLUMNS = (
    *("id", "owner", "total", "spent", "rows_of", "joined", "purse", "amount", "before_it"),
    *("after_it", "ref", "why", "meta", "made_ms", "note", "state", "movement_id", "opened"),
    *("voucher", "side", "cents", "third"),
)
TABLES = ("Purse", "movement", "payment", "entry", "in_views", "gone")
WAYS: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "swapped": str.swapcase,
}


@pytest.fixture(scope="module")
def folding(flavour: Flavour, server_farm: Farm) -> Iterator[Database]:
    """A database of a server that takes names of tables in any letter case."""
    _require(flavour)
    server = server_farm.start(flavour, "--lower-case-table-names=1")
    database = Database(server=server, name=server.create_database())
    representative.fill(database)
    yield database
    server_farm.discard(server)


@pytest.fixture(scope="module")
def exact(server: Server) -> Iterator[Database]:
    """One of a server that tells them apart."""
    database = Database(server=server, name=server.create_database())
    representative.fill(database)
    yield database
    server.drop_database(database.name)


def configuration(database: Database, folder: Path, text: str) -> Config:
    url = database.url.render_as_string(hide_password=False)
    path = folder / "config.toml"
    path.write_text(f'[databases.ledger]\nurl = "{url}"\n{text}')
    return load(path, {})


def respelled(names: tuple[str, ...], way: Callable[[str], str]) -> str:
    """The checks, with other letter case in these names; a SELECT names its own columns."""
    tables = tuple(name for name in names if name in TABLES)
    parts = representative.CHECKS.split("\n\n")
    return "\n\n".join(
        _respelled(part, tables if "select =" in part else names, way) for part in parts
    )


def _respelled(text: str, names: tuple[str, ...], way: Callable[[str], str]) -> str:
    every = re.compile(rf"\b(?<!')(?:{'|'.join(names)})\b(?!')")
    return every.sub(lambda found: way(found[0]), text) if names else text


def all_of(config: Config) -> tuple[dict[str, Any], list[Problem], list[Problem]]:
    """What all checks say, and what `config check --connect` does, letter case aside."""
    with closing(Sources.of(config.settings)) as sources:
        found = representative.outcomes(config.checks, sources)
        problems = compare(config, sources)
        noted = remarks(config, sources)
    lowered = json.loads(json.dumps(found, default=str).lower())
    return lowered, problems, noted


@pytest.mark.parametrize("way", WAYS)
def test_columns_are_found_by_any_spelling(exact: Database, tmp_path: Path, way: str) -> None:
    """No server tells the letter case of columns apart, so no check and no command does."""
    expected, problems, noted = all_of(configuration(exact, tmp_path, representative.CHECKS))
    text = respelled(COLUMNS, WAYS[way])
    found, same_problems, also_noted = all_of(configuration(exact, tmp_path, text))
    assert found == expected
    assert len(problems) == len(same_problems)
    assert len(noted) == len(also_noted)


@pytest.mark.parametrize("way", WAYS)
def test_tables_are_found_by_any_spelling_where_the_server_does(
    folding: Database, tmp_path: Path, way: str
) -> None:
    """With `lower_case_table_names = 1` a table is there whatever the case, and a retired one."""
    expected, problems, _ = all_of(configuration(folding, tmp_path, representative.CHECKS))
    assert not any("no table" in str(each) or "does not exist" in str(each) for each in problems)
    assert "does not exist" not in json.dumps(expected["purse.tables"])
    text = respelled(COLUMNS + TABLES, WAYS[way])
    found, same_problems, _ = all_of(configuration(folding, tmp_path, text))
    assert found == expected
    assert len(problems) == len(same_problems)


def test_tables_are_told_apart_where_the_server_does(exact: Database, tmp_path: Path) -> None:
    """With `lower_case_table_names = 0` another case is another name; a retired table is back."""
    text = respelled(("Purse", "gone"), str.upper)
    found, problems, _ = all_of(configuration(exact, tmp_path, text))
    assert "does not exist; the nearest existing name is purse" in str(found["purse.tables"])
    assert found["gone.tables"][0] == 1
    assert any("no table PURSE" in str(each) for each in problems)


def test_facts_under_another_spelling_are_a_mistake(folding: Database, tmp_path: Path) -> None:
    """What is stated of a table does not hold for the name of a check that is spelled otherwise."""
    text = representative.CHECKS.replace('table = "entry"', 'table = "PAYMENT"\nprimary_key = "id"')
    text = text.replace('by = ["voucher"]', 'by = ["purse"]').replace(
        "IF(side = 'd', cents, -cents)", "amount"
    )
    _, problems, _ = all_of(configuration(folding, tmp_path, text))
    assert any("takes PAYMENT for payment" in str(each) for each in problems)
