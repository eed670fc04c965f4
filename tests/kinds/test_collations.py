"""Texts of unlike collations and character sets: what is compared, by which rules."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from checks.contract import CheckError, Result
from checks.sql import catalog, collations
from checks.sql.catalog import Column
from checks.sql.render import render
from checks.sql.statements import rows_of
from tests.support.ledgers import Ledger, check, keys, on_servers
from tests.support.runs import Counting, window_after

UNICODE, GENERAL = "utf8mb4_unicode_ci", "utf8mb4_general_ci"


def text(collation: str, charset: str = "utf8mb4") -> Column:
    return Column("varchar(20)", nullable=False, charset=charset, collation=collation)


@pytest.mark.parametrize(
    ("one", "other", "stated", "rules"),
    [
        (text(UNICODE), text(UNICODE), None, None),
        (text(UNICODE), text(GENERAL), GENERAL, GENERAL),
        (text(UNICODE), text(UNICODE), "bytes", "bytes"),
        (text(UNICODE), text("ascii_bin", "ascii"), None, UNICODE),
        (text("utf8mb3_bin", "utf8mb3"), text("utf8mb4_bin"), None, "utf8mb4_bin"),
        (text("utf8_bin", "utf8"), text("utf8mb4_bin"), None, "utf8mb4_bin"),
        (text("utf8mb3_bin", "utf8mb3"), text("ascii_bin", "ascii"), None, "utf8mb4_bin"),
        (Column("int", nullable=False), Column("bigint", nullable=False), UNICODE, None),
    ],
)
def test_rules_are_stated_or_those_of_the_wider_one(
    one: Column, other: Column, stated: str | None, rules: str | None
) -> None:
    """ASCII is compared as the other side compares, utf8mb3 as utf8mb4; else it has to be said."""
    for pair in ((one, other), (other, one)):
        assert catalog.unlike(*pair, stated) is None
        assert catalog.agreed(*pair, stated) == rules


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (text(UNICODE), text(GENERAL)),
        (text("utf8mb3_bin", "utf8mb3"), text(UNICODE)),
        (text("latin1_swedish_ci", "latin1"), text(UNICODE)),
        (text("ascii_bin", "ascii"), text("ascii_general_ci", "ascii")),
        (text("ascii_bin", "ascii"), text("latin1_bin", "latin1")),
    ],
)
def test_other_rules_have_to_be_stated(one: Column, other: Column) -> None:
    """Where both sides have rules of their own, none is silently preferred."""
    assert catalog.unlike(one, other) == f"{one.collation} against {other.collation}"
    assert catalog.unlike(one, other, UNICODE) is None


def test_texts_and_numbers_stay_unlike() -> None:
    """No rule makes a text comparable with a number."""
    assert catalog.unlike(text(UNICODE), Column("int", nullable=False), "bytes") is not None


PLAIN = f"varchar(20) COLLATE {UNICODE}"


@on_servers
@pytest.mark.parametrize(
    ("other", "stated", "same"),
    [
        (f"varchar(20) COLLATE {GENERAL}", UNICODE, ["a A", "a a", "ss ß", "x x"]),
        (f"varchar(20) COLLATE {GENERAL}", GENERAL, ["a A", "a a", "x x"]),
        (f"varchar(20) COLLATE {GENERAL}", "bytes", ["a a", "x x"]),
        (f"varchar(20) COLLATE {UNICODE}", "bytes", ["a a", "x x"]),
        ("varchar(20) CHARACTER SET latin1", UNICODE, ["a A", "a a", "ss ß", "x x"]),
        ("varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci", None, None),
        ("varchar(20) CHARACTER SET ascii COLLATE ascii_bin", None, ["a a", "x x"]),
    ],
)
def test_columns_are_compared_by_the_rules(
    ledger: Ledger, other: str, stated: str | None, same: list[str] | None
) -> None:
    """What is the same under the rules is, whatever the columns' own are."""
    ledger.sql(f"CREATE TABLE t (a {PLAIN}, b {other})")
    pairs = [("a", "A"), ("a", "a"), ("ss", "ß"), ("x", "x"), ("x", "y"), ("a", None)]
    if "ascii" in other:
        pairs = [pair for pair in pairs if pair[1] != "ß" and pair[1] != "A"]
    ledger.insert("t", "a, b", pairs)
    with ledger.sources.snapshot("ledger") as connection:
        found = catalog.columns(connection, "t")
        rows = rows_of("t", ("a", "b"))
        how = collations.compared(rows.c.a, rows.c.b, stated, (found["a"], found["b"]))
        seen = connection.execute(select(rows.c.a, rows.c.b).where(how)).all()
        blind = collations.compared(rows.c.a, rows.c.b, stated)
        assert connection.execute(select(rows.c.a, rows.c.b).where(blind)).all() == seen
    expected = same if same is not None else ["a A", "a a", "ss ß", "x x"]
    assert sorted(" ".join(row) for row in seen) == expected


@on_servers
@pytest.mark.parametrize(
    ("other", "stated", "wrong"),
    [
        (f"varchar(20) COLLATE {GENERAL}", UNICODE, ["c"]),
        (f"varchar(20) COLLATE {GENERAL}", GENERAL, ["c"]),
        (f"varchar(20) COLLATE {GENERAL}", "bytes", ["B", "b", "c"]),
        ("varchar(20) CHARACTER SET ascii COLLATE ascii_bin", None, ["c"]),
        ("varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci", None, ["c"]),
    ],
)
def test_balances_of_owners_of_unlike_rules(
    ledger: Ledger, other: str, stated: str | None, wrong: list[str]
) -> None:
    """Sums are of those that are one owner under the rules, in complete runs and in others."""
    ledger.sql(
        f"CREATE TABLE b (id int PRIMARY KEY, owner {PLAIN} NOT NULL, total int NOT NULL)",
        f"CREATE TABLE l (id int PRIMARY KEY, owner {other} NOT NULL, n int NOT NULL)",
    )
    ledger.insert("b", "id, owner, total", [(1, "a", 3), (2, "B", 5), (3, "c", 1)])
    ledger.insert("l", "id, owner, n", [(1, "a", 3), (2, "b", 5), (3, "c", 2)])
    fields: dict[str, Any] = {
        "primary_key": "id",
        "ledger": "l",
        "by": ["owner"],
        "sums": {"total": "n"},
        "ledger_primary_key": "id",
        "ledger_cursor": "id",
        "collation": stated,
    }
    result = ledger.run("balance", "b", **fields)
    assert _named(result, "owner") == wrong
    again = check("balance", "b", **fields).run(ledger.sources, window_after(result))
    assert (again.complete, _named(again, "owner")) == (False, wrong)
    for asked in ((), keys(result)):
        statement = check("balance", "b", **fields).look(asked)
        assert statement is not None
        assert len(ledger.sql(statement)) == len(wrong)


def _named(result: Result, name: str) -> list[str]:
    return sorted(str(key[name]) for key in keys(result))


@on_servers
@pytest.mark.parametrize(
    ("other", "stated", "wrong"),
    [
        (f"varchar(20) COLLATE {GENERAL}", UNICODE, ["c"]),
        (f"varchar(20) COLLATE {GENERAL}", "bytes", ["B", "b", "c"]),
        ("varchar(20) CHARACTER SET ascii COLLATE ascii_bin", None, ["c"]),
        ("varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci", None, ["c"]),
    ],
)
def test_holders_of_unlike_rules(
    ledger: Ledger, other: str, stated: str | None, wrong: list[str]
) -> None:
    """What is held for an owner is held for all spellings that the rules take for one."""
    ledger.sql(
        f"CREATE TABLE b (id int PRIMARY KEY, owner {PLAIN} NOT NULL, frozen int NOT NULL)",
        f"CREATE TABLE h (id int PRIMARY KEY, owner {other} NOT NULL, n int NOT NULL)",
    )
    ledger.insert("b", "id, owner, frozen", [(1, "a", 3), (2, "B", 5), (3, "c", 1)])
    ledger.insert("h", "id, owner, n", [(1, "a", 3), (2, "b", 5), (3, "c", 2)])
    holder: Mapping[str, Any] = {"table": "h", "by": ["owner"], "amount": "n", "when": "n > 0"}
    fields: dict[str, Any] = {"amount": "frozen", "by": ["owner"], "holders": [holder]}
    fields |= {"collation": stated}
    result = ledger.run("backing", "b", **fields)
    assert _named(result, "owner") == wrong
    for asked in ((), keys(result)):
        statement = check("backing", "b", **fields).look(asked)
        assert statement is not None
        assert len(ledger.sql(statement)) == len(wrong)


@on_servers
def test_unlike_rules_that_are_not_stated_are_an_error(ledger: Ledger) -> None:
    """The message names both collations."""
    ledger.sql(
        f"CREATE TABLE b (id int PRIMARY KEY, owner {PLAIN}, total int)",
        f"CREATE TABLE l (id int PRIMARY KEY, owner varchar(9) COLLATE {GENERAL}, n int)",
    )
    fields: dict[str, Any] = {"primary_key": "id", "ledger": "l", "by": ["owner"]}
    fields |= {"sums": {"total": "n"}, "ledger_primary_key": "id"}
    with pytest.raises(CheckError, match=f"{UNICODE} against {GENERAL}"):
        ledger.run("balance", "b", **fields)
    with ledger.sources.snapshot("ledger") as connection:
        unknown = check("balance", "b", **fields, collation="utf8mb4_unicod_ci")
        assert list(unknown.complaints(connection)) == [
            f"the server has no collation utf8mb4_unicod_ci; the nearest existing name is {UNICODE}"
        ]


@pytest.mark.parametrize("name", ["latin1_bin", "utf8mb4_", "binary", "utf8mb4_bin; DROP", 5])
def test_only_rules_that_lose_nothing_are_taken(name: object) -> None:
    """A collation of another character set would lose characters, a misspelt one means nothing."""
    with pytest.raises(ValueError, match="is no way to compare texts"):
        check("balance", "b", collation=name)


def test_without_rules_a_check_is_as_it_was() -> None:
    """Cursors of a configuration that states none stay valid."""
    fields: dict[str, Any] = {"primary_key": "id", "ledger": "l", "by": ["owner"]}
    fields |= {"sums": {"total": "n"}, "ledger_primary_key": "id"}
    assert "collation" not in check("balance", "b", **fields).cursor_owner
    assert "collation" in check("balance", "b", **fields, collation="bytes").cursor_owner


PAIRS = [
    (f"varchar(20) COLLATE {GENERAL}", UNICODE, [2], [9]),
    (f"varchar(20) COLLATE {GENERAL}", GENERAL, [2], [9]),
    (f"varchar(20) COLLATE {GENERAL}", "bytes", [1, 2, 4], [1, 4, 9]),
    (f"varchar(20) COLLATE {UNICODE}", "bytes", [1, 2, 4], [1, 4, 9]),
    (f"varchar(20) COLLATE {UNICODE}", None, [2], [9]),
    ("varchar(20) CHARACTER SET latin1", UNICODE, [2], [9]),
    ("varchar(20) CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci", None, [2], [9]),
    ("varchar(20) CHARACTER SET ascii COLLATE ascii_bin", None, [2], [9]),
]


def _fill(ledger: Ledger, other: str) -> None:
    columns = "n bigint NOT NULL, at datetime NOT NULL, UNIQUE KEY (code)"
    ledger.sql(
        f"CREATE TABLE t (id int PRIMARY KEY, code {other} NOT NULL, {columns})",
        f"CREATE TABLE p (id int PRIMARY KEY, code {PLAIN} NOT NULL, {columns})",
    )
    at = "2026-01-05 00:00:00"
    near = [(1, "A", 1, at), (2, "b", 2, at), (3, "c", 3, at), (4, "d ", 4, at)]
    ledger.insert("t", "id, code, n, at", near)
    far = [(1, "a", 1, at), (3, "c", 3, at), (4, "d", 4, at), (9, "x", 9, at)]
    ledger.insert("p", "id, code, n, at", far)


@on_servers
@pytest.mark.parametrize(("other", "stated", "near", "far"), PAIRS)
def test_references_between_unlike_rules(
    ledger: Ledger, other: str, stated: str | None, near: list[int], far: list[int]
) -> None:
    """A text names a row under the rules, in both directions, in every run and for people."""
    _fill(ledger, other)
    fields: dict[str, Any] = {
        "columns": ["code"],
        "parent": "p",
        "parent_columns": ["code"],
        "reverse": True,
        "primary_key": "id",
        "parent_primary_key": "id",
        "settle": "0s",
        "collation": stated,
        "cursor": "id",
        "parent_cursor": "id",
        "equal": {"n": "n"},
        "written_at": "at",
        "parent_written_at": "at",
    }
    expected = [*({"id": each} for each in near), *({"p.id": each} for each in far)]
    result = ledger.run("reference", "t", **fields)
    assert keys(result) == expected
    again = check("reference", "t", **fields).run(ledger.sources, window_after(result))
    assert (again.complete, keys(again)) == (False, expected)
    one = check("reference", "t", **fields)
    for asked in (keys(result)[: len(near)], keys(result)[len(near) :]):
        statement = one.look(asked)
        assert statement is not None
        assert len(ledger.sql(statement)) == len(asked)


@on_servers
@pytest.mark.parametrize(("other", "stated", "near", "far"), PAIRS)
def test_derived_keys_under_unlike_rules(
    ledger: Ledger, other: str, stated: str | None, near: list[int], far: list[int]
) -> None:
    """So does a key that a template makes of a text, and what is equal besides."""
    _fill(ledger, other)
    ledger.sql("UPDATE p SET code = CONCAT('k:', code)")
    fields: dict[str, Any] = {
        "ledger": "p",
        "ledger_key": "k:{code}",
        "ledger_key_column": "code",
        "ledger_when": "n > 0",
        "primary_key": "id",
        "ledger_primary_key": "id",
        "settle": "0s",
        "collation": stated,
        "equal": {"n": "n"},
    }
    result = ledger.run("posting", "t", **fields)
    expected = [*({"id": each} for each in near), *({"p.id": each} for each in far)]
    assert keys(result) == expected
    statement = check("posting", "t", **fields).look()
    assert statement is not None
    assert len(ledger.sql(statement)) == len(expected)


@on_servers
def test_an_index_of_the_stated_rules_serves(ledger: Ledger) -> None:
    """The side that has the stated collation is found by its index."""
    _fill(ledger, f"varchar(20) COLLATE {GENERAL}")
    rows = [(n, f"key {n}", n, "2026-01-05 00:00:00") for n in range(100, 1100)]
    ledger.insert("t", "id, code, n, at", rows)
    ledger.insert("p", "id, code, n, at", rows)
    ledger.sql("ANALYZE TABLE t, p")
    with ledger.sources.snapshot("ledger") as connection:
        own, other = catalog.columns(connection, "t"), catalog.columns(connection, "p")
    one, two = rows_of("t", ("code", "n")), rows_of("p", ("code", "id"))
    pair = (own["code"], other["code"])
    match = collations.compared(one.c.code, two.c.code, UNICODE, pair)
    statement = render(select(two.c.id).select_from(one.join(two, match)).where(one.c.n == 500))
    plan = ledger.sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}")
    assert {"code"} <= set(plan[-1])


@on_servers
def test_unlike_columns_that_are_to_be_equal_follow_the_rules(ledger: Ledger) -> None:
    """`collation` is about `equal`, too, also of a joined table."""
    _fill(ledger, f"varchar(20) COLLATE {GENERAL}")
    ledger.sql(f"CREATE TABLE j (id int PRIMARY KEY, name varchar(9) COLLATE {GENERAL} NOT NULL)")
    ledger.insert("j", "id, name", [(1, "A"), (3, "C"), (4, "other"), (9, "x")])
    fields: dict[str, Any] = {
        "columns": ["id"],
        "parent": "p",
        "primary_key": "id",
        "parent_primary_key": "id",
        "settle": "0s",
        "equal": {"code": "j.name"},
        "through": {"j": {"id": "id"}},
    }
    assert keys(ledger.run("reference", "t", **fields)) == [{"id": 2}, {"id": 4}]
    stated = {"collation": "bytes"}
    assert keys(ledger.run("reference", "t", **fields, **stated)) == [
        *({"id": each} for each in (2, 3, 4))
    ]


@on_servers
@pytest.mark.parametrize(
    ("stated", "is_served"), [(UNICODE, True), (GENERAL, False), ("bytes", False)]
)
def test_a_collation_that_no_index_serves_is_told(
    ledger: Ledger, stated: str, *, is_served: bool
) -> None:
    """What `config check --connect` says of the index is what the server does."""
    ledger.sql(
        f"CREATE TABLE p (id int PRIMARY KEY, k varchar(20) COLLATE {UNICODE}, KEY by_k (k))",
        f"CREATE TABLE t (id int PRIMARY KEY, k varchar(20) COLLATE {GENERAL})",
    )
    ledger.insert("p", "id, k", [(n, f"k{n}") for n in range(4000)])
    ledger.insert("t", "id, k", [(n, f"k{n}") for n in range(10)])
    ledger.sql("ANALYZE TABLE p, t")
    fields: dict[str, Any] = {"primary_key": "id", "columns": ["k"], "parent": "p"}
    fields |= {"parent_columns": ["k"], "parent_primary_key": "id", "settle": "0s"}
    declared = check("reference", "t", **fields, collation=stated)
    with ledger.sources.snapshot("ledger") as connection:
        told = [each for each in declared.suspicions(connection) if "index" in each]
    assert (not told) == is_served
    assert all(f"p.k has {UNICODE}, so index by_k is not used" in each for each in told)
    counting = Counting(ledger.sources)
    declared.run(counting)
    assert (counting.reads[-1] < 4000) == is_served, counting.reads
