"""Views of the database in the place of tables."""

from typing import Any

import pytest

from checks.contract import Check
from checks.sql import derived
from checks.sql.statements import rows_of
from tests.support.ledgers import Ledger, check, keys, on_servers
from tests.support.runs import window_after

TABLES = (
    "CREATE TABLE pot (id bigint PRIMARY KEY, total bigint NOT NULL)",
    "CREATE TABLE raw (id bigint PRIMARY KEY, pot bigint NOT NULL, n bigint NOT NULL, void int)",
    "CREATE VIEW moved AS SELECT id, pot, n FROM raw WHERE void = 0",
)


def _balance() -> Check:
    fields: dict[str, Any] = {
        "primary_key": "id",
        "by": ["id"],
        "ledger": "moved",
        "ledger_by": ["pot"],
        "sums": {"total": "n"},
        "ledger_primary_key": "id",
        "ledger_cursor": "id",
    }
    return check("balance", "pot", **fields)


def _fill(ledger: Ledger, number: int) -> None:
    ledger.insert("pot", "id, total", [(1, 0), (2, 7)])
    rows = [(each, 1 + each % 2, each % 2, each % 3) for each in range(number)]
    ledger.insert("raw", "id, pot, n, void", rows)
    ledger.sql("UPDATE pot SET total = (SELECT SUM(n) FROM moved WHERE pot = 2) + 1 WHERE id = 2")


def test_kinds_read_views(ledger: Ledger) -> None:
    """Sums, amounts, keys and references of a view are those of its rows."""
    ledger.sql(*TABLES)
    _fill(ledger, 30)
    assert keys(_balance().run(ledger.sources)) == [{"id": 2}]
    amounts = ledger.run("non_negative", "moved", primary_key="id", columns=["n"])
    assert (amounts.violations, amounts.examined) == (0, 10)
    assert ledger.run("duplicates", "moved", primary_key="id", columns=["id"]).violations == 0
    assert ledger.run("duplicates", "moved", primary_key="id", columns=["pot"]).violations == 2
    reference = {"parent": "pot", "parent_primary_key": "id", "columns": ["pot"], "settle": "0s"}
    assert ledger.run("reference", "moved", primary_key="id", **reference).violations == 0


@on_servers
def test_new_rows_of_a_view_are_read_along_its_cursor(ledger: Ledger) -> None:
    """An incremental run reads the new rows, by the index of the table under the view."""
    ledger.sql(*TABLES)
    _fill(ledger, 3000)
    ledger.sql("ANALYZE TABLE raw")
    first = _balance().run(ledger.sources)
    assert (first.complete, first.notes) == (True, ())
    ledger.insert("raw", "id, pot, n, void", [(5000, 1, 4, 0), (5001, 2, 9, 1)])
    second = _balance().run(ledger.sources, window_after(first))
    assert (second.complete, keys(second)) == (False, [{"id": 2}, {"id": 1}])
    assert second.examined < first.examined


@on_servers
@pytest.mark.parametrize(
    ("select", "is_read_whole"),
    [
        ("SELECT id, n FROM raw WHERE void = 0", False),
        ("SELECT raw.id, total FROM raw JOIN pot ON pot.id = raw.pot", False),
        ("SELECT MAX(id) AS id, pot FROM raw GROUP BY n, pot", True),
        ("SELECT id + 1 AS id FROM raw", True),
        ("SELECT DISTINCT n AS id FROM raw", True),
    ],
)
def test_the_server_says_how_it_reads_a_view(
    ledger: Ledger, select: str, *, is_read_whole: bool
) -> None:
    """A cursor that no index serves is reported, with the table that is read whole."""
    ledger.sql(*TABLES, f"CREATE VIEW v AS {select}")
    _fill(ledger, 4000)
    ledger.sql("ANALYZE TABLE raw")
    with ledger.sources.snapshot("ledger") as connection:
        found = list(derived.complaints(connection, rows_of("v", ["id"]).c.id))
    assert len(found) == is_read_whole
    whole = "cursor id: to find what is new the server reads all of raw (about "
    assert all(each.startswith(whole) for each in found)


def test_small_and_empty_views_are_no_matter(ledger: Ledger) -> None:
    """A few rows may be read one by one."""
    ledger.sql(*TABLES, "CREATE VIEW v AS SELECT id + 1 AS id FROM raw")
    for rows in ([], [(1, 1, 1, 0)]):
        ledger.insert("raw", "id, pot, n, void", rows)
        with ledger.sources.snapshot("ledger") as connection:
            assert list(derived.complaints(connection, rows_of("v", ["id"]).c.id)) == []


@on_servers
@pytest.mark.parametrize(
    ("definition", "is_followed"),
    [
        ("SELECT id, pot, n FROM raw WHERE void = 0", True),
        ("SELECT raw.id, pot.total AS n, pot FROM raw JOIN pot ON pot.id = raw.pot", True),
        ("SELECT MAX(id) AS id, pot, SUM(n) AS n FROM raw GROUP BY pot", False),
        ("SELECT DISTINCT pot AS id, pot, 0 AS n FROM raw", False),
        ("SELECT id, pot, SUM(n) OVER (PARTITION BY pot) AS n FROM raw", False),
        (
            "SELECT id, pot, n FROM (SELECT MAX(id) AS id, pot, 1 AS n FROM raw GROUP BY pot) g",
            False,
        ),
    ],
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_rows_of_a_view_that_are_made_of_several_are_not_followed(
    ledger: Ledger, definition: str, *, is_followed: bool, is_nested: bool
) -> None:
    """A later row changes one that was read: every run reads everything and says why."""
    ledger.sql(*TABLES, f"CREATE VIEW inner_one AS {definition}")
    ledger.sql("CREATE VIEW v AS SELECT id, pot, n FROM inner_one WHERE id >= 0")
    _fill(ledger, 6)
    name = "v" if is_nested else "inner_one"
    fields: dict[str, Any] = {"primary_key": "id", "cursor": "id", "columns": ["pot"]}
    fields |= {"parent": "pot", "parent_primary_key": "id", "settle": "0s"}
    declared = check("reference", name, **fields)
    first = declared.run(ledger.sources)
    assert (first.cursor is not None) == is_followed
    assert any("made of several rows" in each for each in first.notes) != is_followed
    with ledger.sources.snapshot("ledger") as connection:
        complaints = list(declared.complaints(connection))
    assert any("made of several rows" in each for each in complaints) != is_followed
