"""What the database says of its tables, columns and indexes."""

import pytest
from sqlalchemy import event

from checks.contract import CheckError
from checks.sql import catalog
from checks.sql.catalog import Column, Index
from tests.support.ledgers import Ledger, on_servers


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("bigint", "BIGINT(20)", True),
        ("int(11) unsigned", "int unsigned", True),
        ("integer", "int", True),
        ("tinyint(1)", "tinyint", True),
        ("decimal(10, 2)", "decimal( 10,2 )", True),
        ("json", "longtext", False),
        ("enum('a','b')", "ENUM('a', 'b')", True),
        ("enum('it''s','int(1)')", "enum('it''s','int(1)')", True),
        ("enum('int(1)')", "enum('int')", False),
        ("enum('a')", "enum('A')", False),
        ("enum('a, b')", "enum('a,b')", False),
        ("int", "bigint", False),
        ("int", "int unsigned", False),
        ("varchar(100)", "varchar(64)", False),
        ("point", "poi", False),
    ],
)
def test_types_are_compared_by_meaning(one: str, other: str, *, same: bool) -> None:
    """Case, spaces and display width make no other type; values, sizes and signs do."""
    assert catalog.same_type(one, other) is same
    assert catalog.same_type(other, one) is same


def test_objects_are_tables_and_views(ledger: Ledger) -> None:
    """Tables and views are told apart, and nothing of another database is among them."""
    ledger.sql("CREATE TABLE a (id int)", "CREATE VIEW b AS SELECT * FROM a")
    with ledger.sources.snapshot("ledger") as connection:
        assert catalog.objects(connection) == {"a": "BASE TABLE", "b": "VIEW"}


def test_columns_are_in_order(ledger: Ledger) -> None:
    """Columns come in the table's order, each with its type and whether it takes NULL."""
    ledger.sql("CREATE TABLE t (z varchar(9) NOT NULL, a char(3), id int NOT NULL PRIMARY KEY)")
    with ledger.sources.snapshot("ledger") as connection:
        found = catalog.columns(connection, "t")
        assert catalog.columns(connection, "tt") == {}
    assert list(found) == ["z", "a", "id"]
    assert (found["z"], found["a"]) == (
        Column("varchar(9)", nullable=False, collation=found["z"].collation),
        Column("char(3)", nullable=True, collation=found["a"].collation),
    )
    assert [column.is_text for column in found.values()] == [True, True, False]


@on_servers
def test_character_set_is_known(ledger: Ledger) -> None:
    """The character set of a text column is the column's own, not the table's."""
    ledger.sql("CREATE TABLE t (a varchar(9), b varchar(9) CHARACTER SET latin1, c int)")
    with ledger.sources.snapshot("ledger") as connection:
        found = catalog.columns(connection, "t")
    assert [column.charset for column in found.values()] == ["utf8mb4", "latin1", "utf8mb4"]


@on_servers
def test_collation_is_known(ledger: Ledger) -> None:
    """The collation of a text column is the column's own; what is no text has none."""
    ledger.sql("CREATE TABLE t (a varchar(9) COLLATE utf8mb4_bin, b int, c datetime)")
    with ledger.sources.snapshot("ledger") as connection:
        found = catalog.columns(connection, "t")
    assert [column.collation for column in found.values()] == ["utf8mb4_bin", None, None]


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("bigint(20)", "int unsigned", None),
        ("bigint", "DECIMAL(38, 0)", None),
        ("INTEGER", "varchar(50)", "INTEGER against varchar(50)"),
        ("enum('a')", "tinyint(1)", "enum('a') against tinyint(1)"),
        ("varchar(50)", "text", None),
        ("datetime", "varchar(50)", None),
    ],
)
def test_texts_and_numbers_are_unlike(one: str, other: str, reason: str | None) -> None:
    """Numbers of any width and sign are alike; a text is unlike a number."""
    first, second = Column(one, nullable=False), Column(other, nullable=True)
    assert catalog.unlike(first, second) == reason
    assert (catalog.unlike(second, first) is None) is (reason is None)


def test_texts_of_other_collations_are_unlike() -> None:
    """Texts are alike under one collation, whatever their lengths."""
    one = Column("varchar(50)", nullable=False, collation="utf8mb4_unicode_ci")
    other = Column("varchar(99)", nullable=False, collation="utf8mb4_bin")
    assert catalog.unlike(one, one) is None
    assert catalog.unlike(one, other) == "utf8mb4_unicode_ci against utf8mb4_bin"


def test_a_snapshot_asks_once_for_a_table(ledger: Ledger) -> None:
    """Within a snapshot a table is looked up once; the next one sees what has changed."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (id int)")
    asked: list[str] = []

    def look() -> tuple[list[str], list[str]]:
        with ledger.sources.snapshot("ledger") as connection:
            event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
            for _ in range(3):
                columns, indexes = (
                    catalog.columns(connection, "t"),
                    catalog.indexes(connection, "t"),
                )
                assert catalog.columns(connection, "other").keys() == {"id"}
                columns.popitem()  # it is the caller's own
                indexes.clear()
            columns, indexes = catalog.columns(connection, "t"), catalog.indexes(connection, "t")
        return list(columns), sorted(each.name for each in indexes)

    assert look() == (["id"], ["PRIMARY"])
    once = len(asked)
    assert once <= 4  # SQLite asks for the primary key apart
    ledger.sql("ALTER TABLE t ADD COLUMN a int", "CREATE INDEX i ON t (a)")
    assert look() == (["id", "a"], ["PRIMARY", "i"])
    assert len(asked) == 2 * once


def test_indexes_are_read_whole(ledger: Ledger) -> None:
    """An index has all its columns in its own order, and the primary key is called PRIMARY."""
    ledger.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, a varchar(9), b int)",
        "CREATE UNIQUE INDEX u ON t (b, a)",
        "CREATE INDEX plain ON t (a)",
    )
    with ledger.sources.snapshot("ledger") as connection:
        found = {index.name: index for index in catalog.indexes(connection, "t")}
    assert found == {
        "PRIMARY": Index("PRIMARY", ("id",), unique=True, partial=False),
        "u": Index("u", ("b", "a"), unique=True, partial=False),
        "plain": Index("plain", ("a",), unique=False, partial=False),
    }


def test_only_names_that_resemble_are_suggested() -> None:
    """A suggestion is the nearest name, or one that contains the other, or nothing at all."""
    assert catalog.nearest("orderz", ["users", "orders"]).endswith("name is orders")
    assert catalog.nearest("key", ["idempotency_key"]).endswith("name is idempotency_key")
    assert catalog.nearest("xyz", ["users", "orders"]) == ""
    assert catalog.nearest("users", []) == ""


def test_view_has_columns(ledger: Ledger) -> None:
    """A check that needs columns can read a view as well as a table."""
    ledger.sql("CREATE TABLE a (id int)", "CREATE VIEW b AS SELECT id FROM a")
    with ledger.sources.snapshot("ledger") as connection:
        assert list(catalog.require(connection, "b", ["id"])) == ["id"]


@on_servers
def test_table_that_may_not_be_seen_is_an_error(ledger: Ledger) -> None:
    """The catalog of another database is not taken for this one's."""
    with ledger.sources.snapshot("ledger") as connection, pytest.raises(CheckError) as caught:
        catalog.require(connection, "global_priv", [])
    assert caught.value.permanent
