"""Tables of other schemas of the server: `schema.table` wherever a table is."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checks.contract import CheckError
from checks.types import table_name
from tests.support.ledgers import Ledger, check, configured, keys, on_servers
from tests.support.runs import window_after
from worker.config import load
from worker.sources import Sources

OTHER = "other-schema"


@pytest.fixture
def two(ledger: Ledger) -> Iterator[Ledger]:
    """A ledger, and another schema with tables of the same names."""
    ledger.sql(f"CREATE DATABASE `{OTHER}` COLLATE utf8mb4_unicode_ci")
    ledger.sql(f"CREATE DATABASE `{OTHER}-2`", f"CREATE TABLE `{OTHER}-2`.t (id bigint)")
    ledger.insert(f"`{OTHER}-2`.t", "id", [(1,), (2,)])
    for schema in ("", f"`{OTHER}`."):
        ledger.sql(
            f"CREATE TABLE {schema}t (id bigint PRIMARY KEY, k varchar(20) NOT NULL,"
            " n bigint NOT NULL, p bigint, at datetime NOT NULL, UNIQUE KEY u (k))"
            " COLLATE utf8mb4_unicode_ci"
        )
    at = "2026-01-05 00:00:00"
    ledger.insert("t", "id, k, n, p, at", [(1, "a", 5, 1, at), (2, "b", 6, 9, at)])
    rows = [(1, "a", -5, 1, at), (2, " ", 6, 2, at), (9, "c", 7, 4, at)]
    ledger.insert(f"`{OTHER}`.t", "id, k, n, p, at", rows)
    yield ledger
    ledger.sql(f"DROP DATABASE `{OTHER}`", f"DROP DATABASE `{OTHER}-2`")


OWN: dict[str, Any] = {"primary_key": "id"}
PARENT: dict[str, Any] = {"columns": ["p"], "parent_primary_key": "id", "settle": "0s"}
SUMS: dict[str, Any] = {"by": ["id"], "sums": {"n": "n"}, "ledger_primary_key": "id"}
POSTED: dict[str, Any] = {
    "ledger_primary_key": "id",
    "ledger_key": "{k}!",
    "ledger_key_column": "k",
    "reverse": False,
    "settle": "0s",
    "equal": {"n": "n"},
}


@on_servers
@pytest.mark.parametrize(
    ("kind", "table", "fields", "found"),
    [
        ("non_negative", f"{OTHER}.t", {**OWN, "columns": ["n"]}, [{"id": 1}]),
        ("non_negative", "t", {**OWN, "columns": ["n"]}, []),
        ("blank", f"{OTHER}.t", {**OWN, "column": "k"}, [{"id": 2}]),
        ("duplicates", f"{OTHER}.t", {**OWN, "columns": ["k"]}, []),
        ("condition", f"{OTHER}.t", {**OWN, "expression": "p <= 2"}, [{"id": 9}]),
        ("reference", f"{OTHER}.t", {**OWN, **PARENT, "parent": "t"}, [{"id": 9}]),
        ("reference", "t", {**OWN, **PARENT, "parent": f"{OTHER}.t"}, []),
        ("reference", f"{OTHER}.t", {**OWN, **PARENT, "parent": f"{OTHER}.t"}, [{"id": 9}]),
        ("posting", "t", {**OWN, **POSTED, "ledger": f"{OTHER}.t"}, [{"id": 1}, {"id": 2}]),
        ("balance", "t", {**OWN, **SUMS, "ledger": f"{OTHER}.t"}, [{"id": 1}, {"id": 9}]),
        ("unique_index", f"{OTHER}.t", {"columns": ["k"], "index": "u"}, []),
        ("tables", f"{OTHER}.t", {}, []),
        ("row_count", f"{OTHER}.t", {}, []),
    ],
)
def test_each_kind_reads_the_schema_that_is_named(
    two: Ledger, kind: str, table: str, fields: dict[str, Any], found: list[dict[str, int]]
) -> None:
    """The same name in both schemas is two tables, for the run and for the inspection query."""
    result = two.run(kind, table, **fields)
    assert sorted(keys(result), key=str) == found
    one = check(kind, table, **fields)
    for asked in ((), keys(result)):
        statement = one.look(asked)
        assert statement is not None
        rows = two.sql(statement)
        assert not found or len(rows) == len(found)


@on_servers
def test_tables_of_both_schemas_are_followed_joined_and_held_by(two: Ledger) -> None:
    """A cursor, joins and holders lead into the other schema, too."""
    fields = {**OWN, **PARENT, "parent": "t", "cursor": "id", "written_at": "at"}
    first = two.run("reference", f"{OTHER}.t", **fields)
    again = check("reference", f"{OTHER}.t", **fields).run(two.sources, window_after(first))
    assert (again.complete, keys(again)) == (False, [{"id": 9}])
    holder = {"table": f"{OTHER}.t", "by": ["k"], "amount": "n", "when": "n <> 0"}
    joined: dict[str, Any] = {"through": {f"{OTHER}.t": {"id": "p"}}, "amount": "n"}
    joined |= {"by": [f"`{OTHER}`.t.k"], "holders": [holder]}
    result = two.run("backing", "t", **joined)
    assert result.violations == 3
    statement = check("backing", "t", **joined).look()
    assert statement is not None
    assert len(two.sql(statement)) == 3


@on_servers
def test_missing_tables_of_another_schema_are_named_with_it(two: Ledger) -> None:
    """The nearest name is one of that schema; a schema that is not there has no tables."""
    (finding,) = two.run("tables", f"{OTHER}.tt").findings
    near = f"; the nearest existing name is {OTHER}.t"
    assert finding.message == f"table {OTHER}.tt does not exist{near}"
    with pytest.raises(CheckError, match=f"{OTHER}.tt does not exist.*{near}"):
        two.run("non_negative", f"{OTHER}.tt", columns=["n"], **OWN)
    with pytest.raises(CheckError, match=r"table nowhere.t does not exist"):
        two.run("non_negative", "nowhere.t", columns=["n"], **OWN)


@on_servers
@pytest.mark.parametrize(
    "select",
    [
        "SELECT `{0}`.t.id, `{0}`.`t`.n FROM `{0}`.t",
        "SELECT t.id, n FROM `{0}`.`t` WHERE `t`.id > 0",
        "SELECT `{0}`.t.id, `{0}`.t.n FROM `{0}`.t JOIN `{0}-2`.t ON `{0}-2`.t.id = `{0}`.t.id",
        "SELECT x.id, x.n FROM `{0}`.t AS x WHERE EXISTS (SELECT 1 FROM t WHERE t.id < 9)",
    ],
)
def test_a_select_names_columns_of_another_schema_as_sql_does(
    two: Ledger, tmp_path: Path, select: str
) -> None:
    """Whether or not all rows of that table count."""
    document = f"""
        [tables."{OTHER}.t"]
        primary_key = "id"
        {{}}
        [relations.r]
        select = "{select.format(OTHER)}"
        primary_key = "id"
        non_negative = ["n"]
        """
    for when, found in {"": [{"id": 1}], 'when = "id > 1"': []}.items():
        checks = configured(document.format(when), tmp_path)
        assert keys(checks["r.non_negative"].run(two.sources))[: len(found) or None] == found


@pytest.mark.parametrize("name", ["a.b.c", ".t", "s.", "s.t ", ".", 5])
def test_a_table_has_at_most_a_schema_before_its_name(name: object) -> None:
    """Each of both is a name of its own."""
    with pytest.raises(ValueError, match="is no name"):
        table_name(name)


@on_servers
@pytest.mark.parametrize("parent", ["other.t", f"{OTHER}.t"])
def test_a_filter_of_the_other_table_holds(two: Ledger, tmp_path: Path, parent: str) -> None:
    """What `when` leaves out of a table of another database is no parent either."""
    url = two.url.set(username="root").render_as_string(hide_password=False)
    other = two.url.set(database=OTHER).render_as_string(hide_password=False)
    path = tmp_path / "config.toml"
    path.write_text(f"""
[databases.ledger]
url = "{url}"
[databases.other]
url = "{other}"
[tables."other.t"]
primary_key = "id"
when = "id <> 9"
[[checks]]
name = "parents"
database = "ledger"
kind = "reference"
table = "t"
primary_key = "id"
columns = ["p"]
parent = "{parent}"
parent_primary_key = "id"
settle = "0s"
""")
    config = load(path, {})
    with closing(Sources(config.settings.databases)) as sources:
        found = next(each for each in config.checks if each.name == "parents")
        assert keys(found.evaluate(sources)) == [{"id": 2}]
