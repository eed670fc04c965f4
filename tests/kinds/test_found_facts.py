"""Primary keys that nobody states are taken from the catalog, and cursors and times with them."""

from typing import Any

import pytest

from checks.contract import Check, CheckError, Result, Window
from tests.support.ledgers import Ledger, check, keys, on_servers
from tests.support.runs import seen, window_after

LONG_AGO = "2026-01-05 00:00:00"


def taken(ledger: Ledger, one: Check) -> dict[str, Any]:
    """What a check takes from the catalog."""
    with ledger.sources.snapshot("ledger") as connection:
        return dict(one.taken(connection))


def answer(ledger: Ledger, one: Check, after: Result | None = None) -> Result:
    """A run as the worker makes it."""
    return one.evaluate(ledger.sources, window_after(after) if after else Window())


NON_NEGATIVE = check("non_negative", "coins", columns=["worth"])


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ("id int, worth int, PRIMARY KEY (id)", ("id",)),
        ("worth int, owner int NOT NULL, PRIMARY KEY (owner, id), id int NOT NULL", None),
        ("id int NOT NULL, worth int, UNIQUE (id)", ("id",)),
    ],
)
def test_the_primary_key_comes_first(
    ledger: Ledger, columns: str, key: tuple[str, ...] | None
) -> None:
    """The primary key, else a unique index without NULL, names the rows."""
    if key is None:
        columns, key = "owner int, id int, worth int, PRIMARY KEY (owner, id)", ("owner", "id")
    ledger.sql(f"CREATE TABLE coins ({columns})")
    value = {"primary_key": key if len(key) > 1 else key[0]}
    assert taken(ledger, NON_NEGATIVE) == value
    ledger.insert("coins", f"{', '.join(key)}, worth", [(*range(1, len(key) + 1), -1)])
    result = answer(ledger, NON_NEGATIVE)
    assert keys(result) == [dict(zip(key, range(1, len(key) + 1), strict=True))]


@on_servers
def test_the_shortest_proof_names_rows(ledger: Ledger) -> None:
    """Of unique indexes those that take NULL, or cover a part of a text, prove nothing."""
    ledger.sql(
        """CREATE TABLE coins (a int, b int NOT NULL, c int NOT NULL, d varchar(20) NOT NULL,
            worth int, UNIQUE (a), UNIQUE (d(3)), UNIQUE (b, c, d), UNIQUE (c, b))"""
    )
    assert taken(ledger, NON_NEGATIVE) == {"primary_key": ("c", "b")}


def test_a_table_without_any_key_says_what_is_needed(ledger: Ledger) -> None:
    """Where rows have to be told apart and nothing does, an error says what to state."""
    ledger.sql("CREATE TABLE coins (id int, worth int)")
    stated = "coins has no primary key and no unique index without NULL, and the configuration"
    with pytest.raises(CheckError, match=stated) as error:
        answer(ledger, check("duplicates", "coins", columns=["worth"]))
    assert error.value.permanent


COINS = """CREATE TABLE coins (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, worth bigint,
    code varchar(20), bag_id int, made_at datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    changed_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    seen_at datetime NULL DEFAULT CURRENT_TIMESTAMP, due_at datetime NOT NULL)"""
FORMAT = {"column": "code", "patterns": ["coin_{int}"]}
FOUND = {"primary_key": "id", "cursor": "id", "written_at": "made_at"}


@on_servers
def test_cursor_and_time_come_with_the_key(ledger: Ledger) -> None:
    """A numbered key is followed; the time is the one that is set once, for every row."""
    ledger.sql(COINS)
    one = check("key_format", "coins", **FORMAT)
    assert taken(ledger, one) == FOUND
    ledger.insert("coins", "code, made_at, due_at", [("x", LONG_AGO, LONG_AGO)] * 3)
    first = answer(ledger, one)
    assert (first.complete, keys(first)) == (True, [{"id": n} for n in (1, 2, 3)])
    ledger.sql("UPDATE coins SET code = 'coin_1' WHERE id = 2")
    second = answer(ledger, one, first)
    assert (second.complete, keys(second)) == (False, [{"id": 1}, {"id": 3}])
    assert second.cursor
    assert second.cursor["taken"] == {name: [value] for name, value in FOUND.items()}


@on_servers
def test_another_catalog_is_read_from_its_beginning(ledger: Ledger) -> None:
    """Once something else is taken, the place that was reached is of no use."""
    ledger.sql(COINS)
    one = check("key_format", "coins", **FORMAT)
    ledger.insert("coins", "code, made_at, due_at", [("x", LONG_AGO, LONG_AGO)])
    first = answer(ledger, one)
    ledger.sql(
        "ALTER TABLE coins RENAME COLUMN id TO number",
    )
    second = answer(ledger, one, first)
    assert (second.complete, keys(second)) == (True, [{"number": 1}])


@on_servers
@pytest.mark.parametrize(
    "columns",
    [
        "id bigint PRIMARY KEY, made_at datetime",
        """id bigint PRIMARY KEY, one_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
            two_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP""",
        "id varchar(20) PRIMARY KEY, made_at datetime NOT NULL DEFAULT '2026-01-01'",
        "id bigint PRIMARY KEY, made_at date NOT NULL DEFAULT (CURRENT_DATE)",
    ],
    ids=["may be NULL", "two times", "a constant", "a day"],
)
def test_what_is_not_clear_is_not_taken(ledger: Ledger, columns: str) -> None:
    """No cursor without numbering, no time of which it is not clear that it says when."""
    ledger.sql(f"CREATE TABLE coins ({columns}, code varchar(20))")
    assert taken(ledger, check("key_format", "coins", **FORMAT)) == {"primary_key": "id"}


@on_servers
def test_who_states_a_key_is_given_nothing(ledger: Ledger) -> None:
    """A configuration that states a primary key means what it always did."""
    ledger.sql(COINS)
    one = check("key_format", "coins", primary_key="id", **FORMAT)
    assert taken(ledger, one) == {}
    assert answer(ledger, one).cursor is None


BAGS = """CREATE TABLE bags (bag int NOT NULL, part int NOT NULL, PRIMARY KEY (bag, part),
    made_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP)"""


@on_servers
def test_both_sides_of_a_reference_are_looked_up(ledger: Ledger) -> None:
    """Keys and times of either side come from the catalog; queries find rows without it."""
    ledger.sql(COINS, BAGS)
    ledger.insert("bags", "bag, part, made_at", [(1, 1, LONG_AGO), (2, 7, LONG_AGO)])
    rows = [(1, LONG_AGO, LONG_AGO), (5, LONG_AGO, LONG_AGO)]
    ledger.insert("coins", "bag_id, made_at, due_at", rows)
    fields: dict[str, Any] = {"columns": ["bag_id"], "parent": "bags", "parent_columns": ["bag"]}
    one = check("reference", "coins", **fields, reverse=True)
    result = answer(ledger, one)
    assert seen(result) == [
        ({"id": 2}, "dangling"),
        ({"bags.bag": 2, "bags.part": 7}, "unreferenced"),
    ]
    dangling, alone = result.findings
    assert [row[0] for row in ledger.sql(one.look([dangling.key]) or "")] == [2]
    assert [row[:2] for row in ledger.sql(one.look([alone.key]) or "")] == [(2, 7)]
    assert len(ledger.sql(one.look() or "")) == 2


@on_servers
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("non_negative", {"columns": ["worth"]}),
        ("condition", {"expression": "worth >= 0"}),
        ("blank", {"column": "code"}),
        ("key_format", FORMAT),
        ("stuck", {"when": "worth < 0", "entered_at": "made_at", "longer_than": "1m"}),
        ("duplicates", {"columns": ["code"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_finds_its_rows_again(ledger: Ledger, kind: str, fields: dict[str, Any]) -> None:
    """The inspection query is made of the findings' own keys, where no key is stated."""
    ledger.sql(COINS)
    bad = "" if kind == "blank" else "x"
    rows = [(-1, bad, LONG_AGO, LONG_AGO), (2, "coin_2", LONG_AGO, LONG_AGO)]
    rows += [(-1, bad, LONG_AGO, LONG_AGO)]
    ledger.insert("coins", "worth, code, made_at, due_at", rows)
    one = check(kind, "coins", **fields)
    result = answer(ledger, one)
    query = one.look([each.key for each in result.findings])
    assert [row[0] for row in ledger.sql(query or "")] == [1, 3]
    assert ledger.sql(one.look() or "")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("non_negative", {"columns": ["worth"]}),
        ("condition", {"expression": "worth >= 0"}),
        ("blank", {"column": "code"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_all_columns_name_rows_without_key(
    ledger: Ledger, kind: str, fields: dict[str, Any]
) -> None:
    """Of a table without key equal rows are one finding, with their number; NULL is a value."""
    ledger.sql("CREATE TABLE coins (code varchar(20), worth int, note varchar(20))")
    code = "" if kind == "blank" else "x"
    rows = [(code, -1, "a"), ("y", 5, "a"), (code, -1, "a"), (code, -1, None), (code, -1, "A")]
    ledger.insert("coins", "code, worth, note", rows)
    one = check(kind, "coins", **fields)
    result = answer(ledger, one)
    expected = {"code": code, "worth": -1}
    found = {each.key["note"]: each for each in result.findings}
    assert [dict(each.key) for each in found.values()] == [expected | {"note": n} for n in found]
    assert (result.violations, set(found)) == (3, {None, "a", "A"})
    sizes = {
        note: (each.magnitude, each.evidence.get("equal rows")) for note, each in found.items()
    }
    assert sizes == {None: (1, None), "a": (2, 2), "A": (1, None)}
    assert found["a"].message.endswith("; 2 equal rows")
    if ledger.backend != "sqlite":
        shown = ledger.sql(one.look([found["a"].key]) or "")
        assert (code, -1, "a") in shown
        assert (code, -1, None) not in shown
        assert len(ledger.sql(one.look() or "")) == 4
