"""`columns`: declared columns have their type and nullability, retired ones are gone."""

import pytest
from pydantic import ValidationError

from checks.contract import CheckError
from tests.support.ledgers import Ledger, check, keys, on_any, on_mysql, on_servers

ORDERS = """
    CREATE TABLE orders (
        id bigint NOT NULL PRIMARY KEY,
        idempotency_key varchar(100) NOT NULL,
        amount bigint,
        done tinyint(1) NOT NULL,
        price decimal(10,2) NOT NULL,
        meta json)"""


def test_columns_as_declared_pass(ledger: Ledger) -> None:
    """Columns with the declared type and nullability are no violation, whatever their spelling."""
    ledger.sql(ORDERS)
    declared = {
        "id": "BIGINT NOT NULL",
        "idempotency_key": "varchar( 100 )   not  null",
        "amount": "bigint(20) null",
        "done": "tinyint not null",
        "price": "decimal(10, 2)",
        "meta": "json",
    }
    result = ledger.run("columns", "orders", columns=declared, retired_columns=["business_id"])
    assert result.findings == ()
    assert (result.examined, result.violations) == (7, 0)


@pytest.mark.parametrize(
    ("column", "declared", "complaint"),
    [
        ("idempotency_key", "varchar(64) not null", "has another type than varchar(64)"),
        ("idempotency_key", "char(100) not null", "has another type than char(100)"),
        ("idempotency_key", "varchar(100) null", "does not take NULL"),
        ("amount", "bigint not null", "takes NULL"),
        ("amount", "int", "has another type than int"),
        ("amount", "bigint unsigned", "has another type than bigint unsigned"),
        ("price", "decimal(10,3)", "has another type than decimal(10,3)"),
    ],
)
def test_column_that_differs_is_found(
    ledger: Ledger, column: str, declared: str, complaint: str
) -> None:
    """A column of another type or nullability than declared is a violation that says which."""
    ledger.sql(ORDERS)
    (finding,) = ledger.run("columns", "orders", columns={column: declared}).findings
    assert finding.key == {"table": "orders", "column": column}
    assert finding.message == f"orders.{column} {complaint}"
    assert finding.evidence["declared"] == declared


def test_missing_column_is_found(ledger: Ledger) -> None:
    """A declared column that does not exist is a violation that names the nearest one."""
    ledger.sql(ORDERS)
    (finding,) = ledger.run("columns", "orders", columns={"idempotency_keys": "json"}).findings
    nearest = "the nearest existing name is idempotency_key"
    assert finding.message == f"orders.idempotency_keys does not exist; {nearest}"
    assert finding.evidence["found"] is None


def test_retired_column_that_lives_is_found(ledger: Ledger) -> None:
    """A retired column that still exists is a violation, each one its own."""
    ledger.sql("CREATE TABLE orders (id int, business_id int, key_old int)")
    result = ledger.run("columns", "orders", retired_columns=["business_id", "key_old", "other"])
    assert keys(result) == [
        {"table": "orders", "column": "business_id"},
        {"table": "orders", "column": "key_old"},
    ]


@on_any
@pytest.mark.parametrize("table", ["order", "nothing_like_it"])
def test_missing_table_cannot_be_answered(ledger: Ledger, table: str) -> None:
    """Without its table the check has no answer: a permanent error, not a violation."""
    ledger.sql(ORDERS)
    with pytest.raises(CheckError, match=f"table {table} does not exist") as caught:
        ledger.run("columns", table, columns={"id": "int"})
    assert caught.value.permanent
    assert ("nearest existing name is orders" in str(caught.value)) == (table == "order")


@on_servers
def test_enumeration_is_compared_value_by_value(ledger: Ledger) -> None:
    """The values of an enum are data: their case and their spaces make another type."""
    ledger.sql("CREATE TABLE orders (status enum('a','B, c') NOT NULL)")
    same, case, spaces = (
        ledger.run("columns", "orders", columns={"status": f"{declared} not null"}).violations
        for declared in ("ENUM( 'a', 'B, c' )", "enum('a','b, c')", "enum('a','B,c')")
    )
    assert (same, case, spaces) == (0, 1, 1)


@on_mysql
def test_generated_column_is_a_column(ledger: Ledger) -> None:
    """A generated column is compared like any other."""
    ledger.sql("CREATE TABLE t (a int, b varchar(9) AS (COALESCE(a, 'GLOBAL')) STORED NOT NULL)")
    assert ledger.run("columns", "t", columns={"b": "varchar(9) not null"}).violations == 0


@pytest.mark.parametrize("declaration", ["", "  ", "not null"])
def test_declaration_without_a_type_is_refused(declaration: str) -> None:
    """A declaration that names no type is a mistake of the configuration, not a type."""
    with pytest.raises(ValidationError, match="declared by its type"):
        check("columns", "orders", columns={"id": declaration})
