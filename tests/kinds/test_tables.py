"""`tables`: a required table exists, a retired one does not."""

import pytest

from checks.contract import Finding
from checks.relations import Selected
from checks.snapshot import WITHOUT_SNAPSHOT as UNSTEADY
from checks.sql.named_select import NamedSelect
from tests.support.ledgers import Ledger, check, on_any, on_servers


def test_table_that_exists_passes(ledger: Ledger) -> None:
    """A required table that exists is no violation."""
    ledger.sql("CREATE TABLE orders (id int)")
    result = ledger.run("tables", "orders")
    assert (result.examined, result.violations, result.findings) == (1, 0, ())


def test_missing_table_is_found(ledger: Ledger) -> None:
    """A required table that does not exist is a violation that names the nearest one."""
    ledger.sql("CREATE TABLE order_items (id int)")
    result = ledger.run("tables", "orders_items")
    message = "table orders_items does not exist; the nearest existing name is order_items"
    assert result.findings == (Finding({"table": "orders_items"}, message),)
    assert result.violations == 1


def test_view_will_do_unless_a_table_is_asked_for(ledger: Ledger) -> None:
    """A view exists as a table does; which of both it is to be can be said."""
    ledger.sql("CREATE TABLE old_orders (id int)", "CREATE VIEW orders AS SELECT * FROM old_orders")
    for name, view, message in [
        ("orders", None, None),
        ("orders", True, None),
        ("orders", False, "orders is no table but a view"),
        ("old_orders", None, None),
        ("old_orders", False, None),
        ("old_orders", True, "old_orders is no view but a table"),
    ]:
        found = ledger.run("tables", name, view=view).findings
        assert [each.message for each in found] == [message] * bool(message)


def test_retired_table_is_gone(ledger: Ledger) -> None:
    """A retired table that does not exist is no violation, however near another name is."""
    ledger.sql("CREATE TABLE points_transaction (id int)")
    assert ledger.run("tables", "points_transactions", retired=True).violations == 0


@pytest.mark.parametrize(
    "revival", ["TABLE points_transactions (id int)", "VIEW points_transactions AS SELECT 1 AS id"]
)
def test_retired_table_that_lives_is_found(ledger: Ledger, revival: str) -> None:
    """A retired table is a violation when it exists, even if only as a view of that name."""
    ledger.sql(f"CREATE {revival}")
    (finding,) = ledger.run("tables", "points_transactions", retired=True).findings
    assert finding.message == "retired table points_transactions exists"


def test_table_of_another_database_does_not_count(ledger: Ledger) -> None:
    """The server's own tables, which are in other databases, do not make a table exist."""
    assert ledger.run("tables", "user").violations == 1
    assert ledger.run("tables", "TABLES", retired=True).violations == 0


@pytest.mark.parametrize("backend", ["mariadb"], indirect=True)
def test_system_versioned_table_is_a_table(ledger: Ledger) -> None:
    """MariaDB's tables with history are base tables, though the catalog calls them otherwise."""
    ledger.sql("CREATE TABLE orders (id int) WITH SYSTEM VERSIONING")
    assert ledger.run("tables", "orders").violations == 0


@on_servers
def test_temporary_table_is_no_table(ledger: Ledger) -> None:
    """Another session's temporary table does not stand in for a required table."""
    ledger.sql("CREATE TEMPORARY TABLE orders (id int)")
    violations = ledger.run("tables", "orders").violations
    ledger.sql("DROP TEMPORARY TABLE orders")
    assert violations == 1


@on_servers
def test_engine_is_as_stated(ledger: Ledger) -> None:
    """A table of another engine is a violation, in whatever letters it is stated."""
    ledger.sql("CREATE TABLE orders (id int) ENGINE = MyISAM")
    assert ledger.run("tables", "orders", engine="myisam").violations == 0
    (finding,) = ledger.run("tables", "orders", engine="InnoDB").findings
    assert finding.message == "orders is of engine MyISAM, not InnoDB"
    assert dict(finding.evidence) == {"engine": "MyISAM"}


@on_any
def test_engine_of_a_file_is_not_asked(ledger: Ledger) -> None:
    """SQLite has no engines: the demo's tables are what they are."""
    ledger.sql("CREATE TABLE orders (id int)")
    assert ledger.run("tables", "orders", engine="InnoDB").violations == 0


@on_servers
@pytest.mark.parametrize("engine", ["MyISAM", "MEMORY"])
def test_engine_without_snapshots_is_a_note(ledger: Ledger, engine: str) -> None:
    """Where no engine is stated, one without transactions is noted, and InnoDB is not."""
    ledger.sql("CREATE TABLE orders (id int)", f"CREATE TABLE carts (id int) ENGINE = {engine}")
    assert ledger.run("tables", "orders").notes == ()
    result = ledger.run("tables", "carts")
    assert (result.violations, result.notes) == (0, (f"carts is of engine {engine}, {UNSTEADY}",))


@on_servers
def test_comparisons_of_such_tables_say_so(ledger: Ledger) -> None:
    """What compares several reads of a table without snapshots notes it, relations included."""
    ledger.sql(
        "CREATE TABLE pots (id bigint PRIMARY KEY, total bigint NOT NULL)",
        "CREATE TABLE moves (id bigint PRIMARY KEY, pot bigint NOT NULL, amount bigint NOT NULL)"
        " ENGINE = MyISAM",
        "INSERT INTO pots VALUES (1, 5)",
        "INSERT INTO moves VALUES (1, 1, 5)",
    )
    note = f"moves is of engine MyISAM, {UNSTEADY}"
    far = {"ledger": "moves", "ledger_primary_key": "id", "ledger_cursor": "id"}
    balance = {"by": ["id"], "ledger_by": ["pot"], "sums": {"total": "amount"}}
    total = ledger.run("balance", "pots", primary_key="id", **far, **balance)
    assert (total.violations, total.notes) == (0, (note,))
    moved = {"primary_key": "id", "by": ["pot"], "sum": "amount - 5", "settle": "0s"}
    assert ledger.run("conservation", "moves", **moved).notes == (note,)
    named = {"columns": ["pot"], "parent": "pots", "parent_primary_key": "id", "settle": "0s"}
    assert ledger.run("reference", "moves", primary_key="id", **named).notes == (note,)
    few = Selected("few", NamedSelect("SELECT id, pot FROM moves WHERE id < 9"))
    refers = check("reference", "few", primary_key="id", **named).reading({"few": few})
    assert refers.run(ledger.sources).notes == (note,)
