"""Names as the servers take them: each is quoted, and means what it says in every kind."""

from typing import Any

import pytest

from checks.contract import CheckError
from checks.types import check_name, identifier
from tests.support.ledgers import Ledger, check, keys

NAMES = (
    *("amount left", "2nd", "积分", "Größe", "a-b", "select", "5% (net)", "o'clock", 'in "x"'),
    *("c:d", "x?y", "e\\f", "tick`s", "$", "{n}", "a,b;", "percent%s", "100%", "[0]"),
)


def quoted(ledger: Ledger, name: str) -> str:
    mark = '"' if ledger.backend == "sqlite" else "`"
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def looked(on: Ledger, kind: str, table: str, **fields: Any) -> list[tuple[Any, ...]] | None:
    """The rows of the inspection query without keys."""
    statement = check(kind, table, **fields).look()
    return on.sql(statement) if statement and on.backend != "sqlite" else None


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_taken_by_the_kinds_of_one_table(ledger: Ledger, name: str) -> None:
    """A table, its key and its columns may be called so, and findings call them so."""
    called = quoted(ledger, name)
    ledger.sql(f"CREATE TABLE {called} ({called} bigint PRIMARY KEY, k varchar(20) NOT NULL)")
    ledger.sql(f"INSERT INTO {called} VALUES (-1, ' '), (2, 'x'), (3, 'x')")
    own: dict[str, Any] = {"primary_key": name}
    assert keys(ledger.run("non_negative", name, columns=[name], **own)) == [{name: -1}]
    assert keys(ledger.run("blank", name, column="k", **own)) == [{name: -1}]
    assert keys(ledger.run("duplicates", name, columns=["k"], **own)) == [{"k": "x"}]
    assert ledger.run("duplicates", name, columns=[name], **own).violations == 0
    assert ledger.run("unique_index", name, columns=[name]).violations == 0
    assert ledger.run("tables", name).violations == 0
    assert keys(ledger.run("columns", name, retired_columns=[name])) == [
        {"table": name, "column": name}
    ]
    assert ledger.run("row_count", name).examined == 3
    tick = name.replace("`", "``")
    result = ledger.run("condition", name, expression=f"`{tick}` > 2", tally=name, **own)
    assert keys(result) == [{name: -1}, {name: 2}]
    assert result.measures == {"-1": 1, "2": 1, "3": 1}
    asked: list[tuple[str, dict[str, Any], int]] = [
        ("non_negative", {"columns": [name]}, 1),
        ("blank", {"column": "k"}, 1),
        ("duplicates", {"columns": ["k"]}, 1),
        ("condition", {"expression": f"`{tick}` > 2"}, 2),
        ("columns", {"retired_columns": [name]}, 2),
    ]
    for kind, fields, rows in asked:
        given = fields if kind == "columns" else {**fields, **own}
        found = looked(ledger, kind, name, **given)
        assert found is None or len(found) == rows


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_taken_by_the_kinds_of_two_tables(ledger: Ledger, name: str) -> None:
    """Both sides of a reference, a posting, a balance and a backing may be called so."""
    called, other = quoted(ledger, name), quoted(ledger, f"l {name}")
    text = "k" if "{" in name else name  # a template takes no brace
    ledger.sql(
        f"CREATE TABLE {called} ({called} bigint PRIMARY KEY, k varchar(20), n bigint NOT NULL)",
        f"CREATE TABLE {other} ({called} bigint PRIMARY KEY, k varchar(20), n bigint NOT NULL)",
        f"INSERT INTO {called} VALUES (1, '1', 5), (2, '2', 6)",
        f"INSERT INTO {other} VALUES (1, 'p:1', 5), (3, 'p:3', 6)",
    )
    second = f"l {name}"
    own: dict[str, Any] = {"primary_key": name, "settle": "0s"}
    reference: dict[str, Any] = {"columns": [name], "parent": second, "parent_primary_key": name}
    assert keys(ledger.run("reference", name, **reference, **own)) == [{name: 2}]
    posting: dict[str, Any] = {
        "ledger": second,
        "ledger_primary_key": name,
        "ledger_key": f"p:{{{text}}}",
        "ledger_key_column": "k",
        "equal": {"n": "n"},
        "reverse": False,
    }
    assert keys(ledger.run("posting", name, **posting, **own)) == [{name: 2}]
    balance: dict[str, Any] = {
        "ledger": second,
        "ledger_primary_key": name,
        "by": [name],
        "sums": {"n": "n"},
        "primary_key": name,
    }
    assert len(keys(ledger.run("balance", name, **balance))) == 2
    for kind, fields in [
        ("reference", {**reference, **own}),
        ("posting", {**posting, **own}),
        ("balance", balance),
    ]:
        rows = looked(ledger, kind, name, **fields)
        assert rows is None or rows


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("a" * 65, "it has 65 characters, 64 is the most"),
        ("a\0b", "it holds the character NUL"),
        ("a ", "it ends with a space"),
        ("a\U0001f600", "it holds \U0001f600, which is beyond U+FFFF"),
    ],
)
def test_what_no_server_takes_is_refused_by_name(name: str, reason: str) -> None:
    """The message holds the name, and why it cannot be one."""
    with pytest.raises(ValueError, match=r".") as caught:
        identifier(name)
    assert str(caught.value) == f"{name!r} is no name that a server takes: {reason}"


def test_names_of_checks_stay_apart() -> None:
    """Whatever tables and columns are called, two checks have two names, and these are short."""
    odd = [
        "a.b",
        "a b",
        "a~20~b",
        "a\n",
        "a/b",
        "a%",
        "A",
        "ä",
        "a" * 64,
        "积" * 64,
        " " * 63 + "b",
    ]
    parts: list[tuple[str, ...]] = [
        (table, "duplicates", column) for table in odd for column in odd
    ]
    parts += [("a", "duplicates", "b", "c"), ("a", "duplicates", "b.c"), ("a.duplicates", "b", "c")]
    names = [check_name(*each) for each in parts]
    assert len(set(names)) == len(names)
    assert all(len(each) <= 200 for each in names)
    for each in names:
        check("tables", "t", name=each)
    assert check_name("gift-card", "blank", "积分") == "gift-card.blank.积分"
    assert check_name("a", "blank", "amount left") == "a.blank.amount~20~left"


@pytest.mark.parametrize("name", ["", "a..b", ".a", "a b", "a/b", "a\u200b", "x" * 201, 5])
def test_a_check_is_named_by_words(name: object) -> None:
    """What cannot stand in a label, a URL or on a command line as it is, is no check's name."""
    with pytest.raises(ValueError, match="a check is named by letters, digits"):
        check("tables", "t", name=name)


def test_missing_odd_column_is_told_by_its_name(ledger: Ledger) -> None:
    """The message holds the name as it is, and the nearest."""
    ledger.sql(f"CREATE TABLE t (id int, {quoted(ledger, 'amount left')} int)")
    with pytest.raises(
        CheckError, match="has no column amount  left; the nearest existing name is amount left"
    ):
        ledger.run("non_negative", "t", primary_key="id", columns=["amount  left"])
