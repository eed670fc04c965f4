"""`none` of `reference`: a value that names nothing, in columns of every type."""

import pytest

from checks.contract import Scalar
from tests.support.ledgers import Ledger, check, keys, on_servers

_NUMBERS = (
    "decimal(6,2)",
    "float",
    "double",
    "int(8) zerofill",
    "bigint unsigned",
    "bit(8)",
    "decimal(30,10) unsigned",
    "tinyint",
)


def _found(ledger: Ledger, none: list[int | str]) -> list[Scalar]:
    """The rows that name no parent, although what they hold is something."""
    fields = {"columns": ["ref"], "parent": "p", "parent_columns": ["ref"], "none": none}
    own = {"primary_key": "id", "parent_primary_key": "id", "settle": "0s"}
    result = ledger.run("reference", "c", **fields, **own)
    assert result.violations == len(result.findings)
    found = [each["id"] for each in keys(result)]
    if ledger.backend != "sqlite":
        query = check("reference", "c", **fields, **own).look()
        assert query is not None
        assert sorted(row[0] for row in ledger.sql(query)) == found
    return found


@on_servers
@pytest.mark.parametrize("type_", _NUMBERS)
@pytest.mark.parametrize("none", ["0", "0.00", 0, "00"])
def test_a_number_is_none_however_the_server_spells_it(
    ledger: Ledger, type_: str, none: int | str
) -> None:
    """Every type of numbers, by every spelling of the value; other numbers name something."""
    ledger.sql(
        f"CREATE TABLE p (id int PRIMARY KEY, ref {type_})",
        f"CREATE TABLE c (id int PRIMARY KEY, ref {type_})",
        "INSERT INTO p VALUES (1, 7)",
        "INSERT INTO c VALUES (1, 0), (2, 7), (3, 48), (4, 1), (5, NULL)",
    )
    assert _found(ledger, [none]) == [3, 4]
    assert _found(ledger, ["", "none"]) == [1, 3, 4]
    assert _found(ledger, [none, 48]) == [4]


@on_servers
@pytest.mark.parametrize("type_", ["decimal(6,2)", "double"])
def test_fractions_are_none_too(ledger: Ledger, type_: str) -> None:
    """As numbers, and below zero."""
    ledger.sql(
        f"CREATE TABLE p (id int PRIMARY KEY, ref {type_})",
        f"CREATE TABLE c (id int PRIMARY KEY, ref {type_})",
        "INSERT INTO c VALUES (1, -1), (2, 0.5), (3, 0.25), (4, 0)",
    )
    assert _found(ledger, [-1, "0.50"]) == [3, 4]


@on_servers
@pytest.mark.parametrize(
    "type_",
    [
        "varchar(9) COLLATE utf8mb4_unicode_ci",
        "varchar(9) CHARACTER SET latin1",
        "char(9)",
        "text",
        "enum('', '0', '0.00', 'abc', 'NONE')",
    ],
)
def test_a_text_is_none_as_a_text(ledger: Ledger, type_: str) -> None:
    """`0.00` is not `0` there, nor is `abc` or the empty text, which servers take for 0."""
    ledger.sql(
        f"CREATE TABLE p (id int PRIMARY KEY, ref {type_})",
        f"CREATE TABLE c (id int PRIMARY KEY, ref {type_})",
        "INSERT INTO c VALUES (1, '0'), (2, '0.00'), (3, 'abc'), (4, ''), (5, 'NONE')",
    )
    assert _found(ledger, [0]) == [2, 3, 4, 5]
    assert _found(ledger, ["none", ""]) == [1, 2, 3]


@on_servers
def test_bytes_are_none_as_they_are_or_in_hexadecimal(ledger: Ledger) -> None:
    """`0x0000` is two bytes; the digits are no text of their own, nor is a number meant."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY, ref varbinary(4))",
        "CREATE TABLE c (id int PRIMARY KEY, ref varbinary(4))",
        "INSERT INTO c VALUES (1, x'0000'), (2, x'00'), (3, '0'), (4, ''), (5, x'00FF')",
    )
    assert _found(ledger, ["0x0000"]) == [2, 3, 4, 5]
    assert _found(ledger, ["0x00ff", "0"]) == [1, 2, 4]
    assert _found(ledger, ["0x"]) == [1, 2, 3, 5]


def test_a_number_of_any_database_is_none(ledger: Ledger) -> None:
    """SQLite spells 0 as `0.0` in a column of floating-point numbers."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY, ref double)",
        "CREATE TABLE c (id int PRIMARY KEY, ref double)",
        "INSERT INTO c VALUES (1, 0), (2, 3)",
    )
    assert _found(ledger, [0]) == [2]
