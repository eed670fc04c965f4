"""`reference`: a logical foreign key names a row that exists and is the right one."""

from typing import Any

import pytest
from pydantic import ValidationError

from checks.contract import SAMPLE, CheckError, Result, Window
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from tests.support.runs import NOON, Counting, seen, set_clock, window_after

ACCOUNTS = "CREATE TABLE accounts (account_id bigint PRIMARY KEY, user_id int)"
LEDGER = (
    "CREATE TABLE asset_transactions (transaction_id bigint PRIMARY KEY, account_id bigint,"
    " asset_code varchar(50), delta_amount bigint, business_type varchar(50), at datetime)"
)
RECORDS = (
    "CREATE TABLE exchange_records (record_id bigint PRIMARY KEY, user_id int,"
    " pay_asset_code varchar(50), pay_amount bigint, debit_transaction_id bigint,"
    " status varchar(20), at datetime)"
)
INDEX = "CREATE INDEX debit ON exchange_records (debit_transaction_id)"

SAME_ROW = {
    "-pay_amount": "delta_amount",
    "pay_asset_code": "asset_code",
    "user_id": "accounts.user_id",
}
DEBIT = {
    "columns": ["debit_transaction_id"],
    "parent": "asset_transactions",
    "parent_primary_key": "transaction_id",
    "parent_when": "business_type = 'exchange_debit'",
    "primary_key": "record_id",
    "settle": "0s",
    "equal": SAME_ROW,
    "through": {"accounts": {"account_id": "account_id"}},
}
CURSORS = {"cursor": "record_id", "parent_cursor": "transaction_id"}
PLAIN = {"columns": ["p"], "parent": "p", "parent_primary_key": "id", "primary_key": "id"}


def exchanges(ledger: Ledger) -> None:
    """Three users, each with an account, a ledger row and the record that names it."""
    ledger.sql(ACCOUNTS, LEDGER, RECORDS, INDEX)
    ledger.insert("accounts", "account_id, user_id", [(n, n + 10) for n in (1, 2, 3)])
    for n in (1, 2, 3):
        debit(ledger, n, n)
        record(ledger, n, n, n)


def debit(ledger: Ledger, number: int, account: int | None, **other: object) -> None:
    row = {
        "transaction_id": number,
        "account_id": account,
        "asset_code": "POINTS",
        "delta_amount": -100,
        "business_type": "exchange_debit",
        **other,
    }
    ledger.insert("asset_transactions", ", ".join(row), [tuple(row.values())])


def record(ledger: Ledger, number: int, of: int, named: int | None, **other: object) -> None:
    row = {
        "record_id": number,
        "user_id": of + 10,
        "pay_asset_code": "POINTS",
        "pay_amount": 100,
        "debit_transaction_id": named,
        **other,
    }
    ledger.insert("exchange_records", ", ".join(row), [tuple(row.values())])


def run(ledger: Ledger, window: Window | None = None, **fields: object) -> Result:
    declared = check("reference", "exchange_records", **{**DEBIT, **fields})
    return declared.run(ledger.sources, window or Window())


def plain(ledger: Ledger, window: Window | None = None, **fields: object) -> Result:
    """Rows of `t` name rows of `p`."""
    declared = check("reference", "t", **{**PLAIN, "settle": "0s", **fields})
    return declared.run(ledger.sources, window or Window())


def test_right_references_pass(ledger: Ledger) -> None:
    """Records that name the debit of their own user, asset and amount are no violation."""
    exchanges(ledger)
    record(ledger, 4, 1, None)
    for reverse in (False, True):
        result = run(ledger, reverse=reverse, one_to_one=True)
        assert (result.examined, result.violations, result.findings) == (3, 0, ())
        assert dict(result.excluded) == {"no_key": 1}
        assert (result.complete, result.notes) == (True, ())


def test_empty_tables_pass(ledger: Ledger) -> None:
    """Tables without rows have nothing that dangles."""
    ledger.sql(ACCOUNTS, LEDGER, RECORDS)
    result = run(ledger, reverse=True, one_to_one=True)
    assert (result.examined, result.violations) == (0, 0)


def test_dangling(ledger: Ledger) -> None:
    """A record that names no ledger row is found, with what it names and what it is about."""
    exchanges(ledger)
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 2")
    (finding,) = run(ledger).findings
    assert finding.key == {"record_id": 2}
    message = "exchange_records.debit_transaction_id names no row of asset_transactions"
    assert finding.message == message
    assert finding.evidence == {
        "problem": "dangling",
        "parent transaction_id": 2,
        "-pay_amount": -100,
        "pay_asset_code": "POINTS",
        "user_id": 12,
    }
    assert finding.magnitude == 100


def test_missing_where_required(ledger: Ledger) -> None:
    """NULL is wrong for the rows for which `required_when` holds, and for no others."""
    exchanges(ledger)
    for n, status in enumerate(("completed", "pending", None), start=4):
        record(ledger, n, 1, None, status=status)
    assert run(ledger).violations == 0
    (finding,) = run(ledger, required_when="status = 'completed'").findings
    assert finding.key == {"record_id": 4}
    assert finding.message == (
        "exchange_records.debit_transaction_id is NULL where a row of asset_transactions is"
        " required"
    )
    assert finding.evidence == {
        "problem": "missing",
        "parent transaction_id": None,
        "-pay_amount": -100,
        "pay_asset_code": "POINTS",
        "user_id": 11,
    }


def owners(ledger: Ledger) -> None:
    """Purses of persons, of branches, and of nobody; the numbers of both are alike."""
    ledger.sql(
        "CREATE TABLE p (id bigint PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, sort varchar(9), p bigint)",
    )
    ledger.insert("p", "id", [(1,), (2,), (3,)])
    rows = [("person", 1), ("branch", 2), ("person", 8), ("branch", 9), (None, 3), ("person", 0)]
    ledger.insert("t", "id, sort, p", [(n, *row) for n, row in enumerate([*rows, ("branch", 1)])])


def test_only_rows_for_which_when_is_true_refer(ledger: Ledger) -> None:
    """Others are neither wrong nor do they name anything, nor share it, and that is said."""
    owners(ledger)
    fields: dict[str, Any] = {"when": "sort = 'person'", "reverse": True, "one_to_one": True}
    result = plain(ledger, **fields)
    assert seen(result) == [
        ({"id": 2}, "dangling"),
        ({"id": 5}, "dangling"),
        ({"p.id": 2}, "unreferenced"),
        ({"p.id": 3}, "unreferenced"),
    ]
    left_out = check("reference", "t", **PLAIN, **fields, settle="0s").leaves_out
    assert "rows of t for which this is not true: sort = 'person'" in left_out
    two, _ = result.findings[2:]
    assert two.message == "only a row that is left out of t names this row of p"
    assert two.evidence == {"problem": "unreferenced", "parent id": 2, "id": 1}


@pytest.mark.parametrize(
    ("kind", "parents", "dangling"),
    [("bigint", [0, 7], [3]), ("varchar(20)", ["", "0", "7", "x"], [3, 5])],
)
def test_values_that_stand_for_none_name_nothing(
    ledger: Ledger, kind: str, parents: list[int | str], dangling: list[int]
) -> None:
    """As NULL does, even where there is a row of that name; where one is required, they miss it."""
    ledger.sql(
        f"CREATE TABLE p (id {kind} PRIMARY KEY)",
        f"CREATE TABLE t (id int PRIMARY KEY, p {kind}, due int)",
    )
    ledger.insert("p", "id", [(name,) for name in parents])
    named = {0: parents[0], 1: "0", 2: "7", 3: "8", 6: None, 7: "0"}
    named |= {} if kind == "bigint" else {4: "x", 5: "y"}
    ledger.insert("t", "id, p, due", [(n, each, int(n == 1)) for n, each in named.items()])
    fields: dict[str, Any] = {"none": [0, ""], "reverse": True, "one_to_one": True}
    expected: list[tuple[dict[str, Any], object]] = [({"id": n}, "dangling") for n in dangling]
    none = [each for each in parents if each in {0, "0", ""}]
    expected += [({"p.id": each}, "unreferenced") for each in none]
    assert seen(plain(ledger, **fields)) == expected
    required = plain(ledger, **fields, not_null_when="due = 1")
    assert seen(required) == [({"id": 1}, "missing"), *expected]
    message = "t.p is NULL or 0 or '' where a row of p is required"
    assert messages(required)[0] == message


def linked(ledger: Ledger) -> None:
    """Orders of one person and amount, with their payments; both name them by id, and by a key."""
    ledger.sql(
        "CREATE TABLE p (id bigint PRIMARY KEY, k varchar(40), amount int)",
        "CREATE UNIQUE INDEX pk ON p (k)",
        "CREATE TABLE t (id bigint PRIMARY KEY, code varchar(20), p bigint, amount int)",
        "CREATE INDEX tc ON t (code)",
        "CREATE INDEX tp ON t (p)",
    )
    ledger.insert("p", "id, k, amount", [(n, f"pay_{n}", 5) for n in range(1, 6)])
    rows = [(1, "1", 1), (2, "2", 2), (3, "3", None), (4, "4", 0), (5, "5", 5)]
    ledger.insert("t", "id, code, p, amount", [(*row, 5) for row in rows])


KEY: dict[str, Any] = {"key": "pay_{code}", "key_column": "k", "equal": {"amount": "amount"}}
OR_KEY: dict[str, Any] = KEY | {"key_suffices": True, "none": 0, "reverse": True}


def test_the_row_that_is_named_has_the_key(ledger: Ledger) -> None:
    """Two rows alike that name each other's parent are both wrong, which no amount shows."""
    linked(ledger)
    ledger.sql("UPDATE t SET p = 3 - id WHERE id < 3")
    assert plain(ledger, equal={"amount": "amount"}, none=0, one_to_one=True).violations == 0
    result = plain(ledger, none=0, **KEY)
    assert seen(result) == [({"id": 1}, "mismatched"), ({"id": 2}, "mismatched")]
    shown = {"problem": "mismatched", "parent id": 2, "p.id": 2}
    assert result.findings[0].evidence == shown | {"pay_{code}": "pay_1", "parent k": "pay_2"}
    assert result.findings[0].magnitude == 1


def test_a_row_that_names_none_has_its_parent_by_the_key(ledger: Ledger) -> None:
    """By the column or, where that names nothing, by the key; in both directions."""
    linked(ledger)
    assert plain(ledger, **OR_KEY).violations == 0
    rows = [(6, "6", None), (7, "7", 0), (8, None, None), (9, "3", 404), (10, "5", None)]
    ledger.insert("t", "id, code, p, amount", [(*row, 5) for row in rows])
    ledger.sql("UPDATE p SET amount = 6 WHERE id = 4")
    ledger.insert("p", "id, k, amount", [(11, "pay_11", 5), (12, "pay_", 5), (13, None, 5)])
    expected = [
        ({"id": 4}, "mismatched"),
        ({"id": 6}, "missing"),
        ({"id": 7}, "missing"),
        ({"id": 9}, "dangling"),
        ({"p.id": 11}, "unreferenced"),
        ({"p.id": 12}, "unreferenced"),
        ({"p.id": 13}, "unreferenced"),
    ]
    result = plain(ledger, **OR_KEY)
    assert seen(result) == expected
    assert messages(result)[1] == "t.p is NULL or 0, and no row of p has the key pay_{code}"
    assert result.findings[1].evidence["pay_{code}"] == "pay_6"
    assert result.findings[0].evidence["p.id"] == 4
    required = plain(ledger, **OR_KEY, not_null_when="TRUE")
    assert ({"id": 8}, "missing") in seen(required)
    assert plain(ledger, **OR_KEY, when="id < 6 AND id <> 3").violations == 1 + 4


def test_rows_that_are_linked_by_key_are_looked_at_again(ledger: Ledger) -> None:
    """Along the cursor what has been mended on either side vanishes, and the rest stays."""
    linked(ledger)
    fields = OR_KEY | {"cursor": "id", "parent_cursor": "id"}
    ledger.sql("UPDATE p SET k = id WHERE id IN (3, 4)")
    first = plain(ledger, **fields)
    names = [({"id": 3}, "missing"), ({"id": 4}, "missing")]
    far = [({"p.id": 3}, "unreferenced"), ({"p.id": 4}, "unreferenced")]
    assert seen(first) == names + far
    ledger.sql("UPDATE p SET k = 'pay_3' WHERE id = 3")
    ledger.insert("t", "id, code, p, amount", [(6, "6", None, 5)])
    second = plain(ledger, window_after(first), **fields)
    assert (seen(second), second.complete) == ([names[1], ({"id": 6}, "missing"), far[1]], False)


@on_servers
def test_links_by_id_or_key_are_found_by_indexes(ledger: Ledger) -> None:
    """A complete run reads both sides a few times, however many rows have their parent by key."""
    linked(ledger)
    size = 2_000
    numbers = range(10, size)
    ledger.insert("p", "id, k, amount", [(n, f"pay_{n}", 5) for n in numbers])
    rows = [(n, str(n), n if n % 2 else None, 5) for n in numbers]
    ledger.insert("t", "id, code, p, amount", rows)
    ledger.sql("DELETE FROM t WHERE id = 100", "DELETE FROM p WHERE id = 200", "ANALYZE TABLE p, t")
    counting = Counting(ledger.sources)
    declared = check("reference", "t", **PLAIN, settle="0s", **OR_KEY)
    result = declared.run(counting)
    assert seen(result) == [({"id": 200}, "missing"), ({"p.id": 100}, "unreferenced")]
    (reads,) = counting.reads
    assert reads < 20 * size, reads


@pytest.mark.parametrize(
    ("change", "evidence", "magnitude"),
    [
        ("delta_amount = -99", {"-pay_amount": -100, "parent delta_amount": -99}, 1),
        ("delta_amount = 100", {"-pay_amount": -100, "parent delta_amount": 100}, 200),
        ("delta_amount = NULL", {"-pay_amount": -100, "parent delta_amount": None}, 100),
        ("asset_code = 'GEM'", {"pay_asset_code": "POINTS", "parent asset_code": "GEM"}, 1),
        ("account_id = 3", {"user_id": 12, "parent accounts.user_id": 13}, 1),
        (
            "business_type = 'x'",
            {"parent not true": "business_type = 'exchange_debit'"},
            1,
        ),
        (
            "business_type = NULL",
            {"parent not true": "business_type = 'exchange_debit'"},
            1,
        ),
        (
            "account_id = 404",
            {"user_id": 12, "parent accounts.user_id": None},
            1,
        ),
        (
            "account_id = 3, delta_amount = -1",
            {
                "-pay_amount": -100,
                "parent delta_amount": -1,
                "user_id": 12,
                "parent accounts.user_id": 13,
            },
            99,
        ),
    ],
)
def test_mismatched(
    ledger: Ledger, change: str, evidence: dict[str, object], magnitude: int
) -> None:
    """A ledger row of another amount, asset, owner or business is wrong; both values are shown."""
    exchanges(ledger)
    ledger.sql(f"UPDATE asset_transactions SET {change} WHERE transaction_id = 2")
    (finding,) = run(ledger).findings
    assert finding.key == {"record_id": 2}
    message = "exchange_records.debit_transaction_id names a wrong row of asset_transactions"
    assert finding.message == message
    shown = {
        "problem": "mismatched",
        "parent transaction_id": 2,
        "asset_transactions.transaction_id": 2,
    }
    assert finding.evidence == shown | evidence
    assert finding.magnitude == magnitude


def test_null_on_both_sides_is_the_same(ledger: Ledger) -> None:
    """Where neither side has a value they agree; where one side has none they do not."""
    exchanges(ledger)
    ledger.sql("UPDATE asset_transactions SET asset_code = NULL WHERE transaction_id < 3")
    ledger.sql("UPDATE exchange_records SET pay_asset_code = NULL WHERE record_id <> 2")
    assert keys(run(ledger)) == [{"record_id": 2}, {"record_id": 3}]


def test_unreferenced(ledger: Ledger) -> None:
    """With `reverse` a ledger row of this business that no record names is found."""
    exchanges(ledger)
    ledger.sql("DELETE FROM exchange_records WHERE record_id = 2")
    debit(ledger, 4, 404)  # without an account
    debit(ledger, 5, 1, business_type="other")
    debit(ledger, 6, 1, business_type=None)
    assert run(ledger).violations == 0
    one, other = run(ledger, reverse=True).findings
    assert one.key == {"asset_transactions.transaction_id": 2}
    assert other.key == {"asset_transactions.transaction_id": 4}
    message = "no row of exchange_records names this row of asset_transactions"
    assert one.message == other.message == message
    assert one.evidence == {
        "problem": "unreferenced",
        "parent transaction_id": 2,
        "parent delta_amount": -100,
        "parent asset_code": "POINTS",
        "parent accounts.user_id": 12,
    }


def test_row_that_is_named_wrongly_is_told_once(ledger: Ledger) -> None:
    """A ledger row that a record names, if wrongly, is told on the record's side only."""
    exchanges(ledger)
    ledger.sql("UPDATE asset_transactions SET delta_amount = 1 WHERE transaction_id = 2")
    assert seen(run(ledger, reverse=True)) == [({"record_id": 2}, "mismatched")]


def test_children_of_one_parent_are_judged_one_by_one(ledger: Ledger) -> None:
    """Of several children of a parent the one that differs is told, and no other."""
    exchanges(ledger)
    record(ledger, 4, 2, 2, pay_amount=1)
    record(ledger, 5, 2, 2)
    assert seen(run(ledger, reverse=True)) == [({"record_id": 4}, "mismatched")]


@on_servers
def test_children_of_one_parent_look_it_up_once(ledger: Ledger) -> None:
    """Ten children of each parent cost little more than what it takes to read them."""
    ledger.sql(
        "CREATE TABLE p (id bigint PRIMARY KEY, code bigint, kind int, KEY (code))",
        "CREATE TABLE t (id bigint PRIMARY KEY, p bigint, KEY (p))",
    )
    size = 3_000
    parents = size // 10
    ledger.insert("p", "id, code, kind", [(n, n, 1) for n in range(parents)])
    ledger.insert("t", "id, p", [(n, n % parents) for n in range(size)])
    ledger.sql("ANALYZE TABLE p, t")
    counting = Counting(ledger.sources)
    fields = {"settle": "0s", "reverse": True, "parent_when": "kind = 1"}
    declared = check("reference", "t", **PLAIN, **fields, parent_columns=["code"])
    assert declared.run(counting).violations == 0
    (reads,) = counting.reads
    assert reads < 3 * size, reads  # once to count them, once to group them, and the parents


def test_long_names_that_begin_alike_are_told_apart(ledger: Ledger) -> None:
    """Children are grouped by all of what they name, not by as much of it as a server sorts by."""
    ledger.sql(
        "CREATE TABLE p (id bigint PRIMARY KEY, code varchar(3100), kind int)",
        "CREATE TABLE t (id bigint PRIMARY KEY, p varchar(3100))",
    )
    alike = "x" * 3_000
    ledger.insert("p", "id, code, kind", [(n, f"{alike}{n}", 1) for n in range(20)])
    ledger.insert("t", "id, p", [(n, f"{alike}{n % 20}") for n in range(60)])
    ledger.insert("t", "id, p", [(100, f"{alike}none")])
    fields = {"settle": "0s", "reverse": True, "parent_when": "kind = 1"}
    declared = check("reference", "t", **PLAIN, **fields, parent_columns=["code"])
    assert seen(declared.run(ledger.sources)) == [({"id": 100}, "dangling")]


def test_old_child_of_no_parent_is_told_beside_a_young_one(ledger: Ledger) -> None:
    """Children that name the same are judged each at its own time."""
    exchanges(ledger)
    for n, at in ((4, "2026-01-05 12:00:00"), (5, "2026-01-05 11:00:00")):
        record(ledger, n, 1, 404, at=at)
    fields: dict[str, Any] = {"settle": "10s", "written_at": "at", "parent_written_at": "at"}
    with set_clock() as clock:
        assert seen(run(ledger, reverse=True, **fields)) == [({"record_id": 5}, "dangling")]
        clock.move(11)
        assert len(run(ledger, reverse=True, **fields).findings) == 2


def test_parent_that_is_named_twice_makes_up_for_no_other(ledger: Ledger) -> None:
    """Two children of one parent leave another parent without any."""
    exchanges(ledger)
    ledger.sql("UPDATE exchange_records SET user_id = 11, debit_transaction_id = 1")
    ledger.sql("UPDATE asset_transactions SET delta_amount = -7 WHERE transaction_id = 3")
    ledger.sql(
        "UPDATE exchange_records SET debit_transaction_id = 3, user_id = 13 WHERE record_id = 3"
    )
    expected = [
        ({"record_id": 3}, "mismatched"),
        ({"asset_transactions.transaction_id": 2}, "unreferenced"),
    ]
    assert seen(run(ledger, reverse=True)) == expected


@on_any
def test_swapped_references(ledger: Ledger) -> None:
    """Two records that name each other's ledger row are both wrong, and both rows are named."""
    exchanges(ledger)
    swapped = "CASE debit_transaction_id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 3 END"
    ledger.sql(f"UPDATE exchange_records SET debit_transaction_id = {swapped}")
    assert keys(run(ledger, reverse=True, one_to_one=True)) == [{"record_id": 1}, {"record_id": 2}]


def test_shared(ledger: Ledger) -> None:
    """With `one_to_one` two records of one ledger row are found, the row and its records told."""
    exchanges(ledger)
    for n in (7, 8):
        record(ledger, n, 2, 2)
    assert run(ledger).violations == 0
    (finding,) = run(ledger, one_to_one=True).findings
    assert finding.key == {"asset_transactions.transaction_id": 2}
    assert finding.message == "3 rows of exchange_records name the same row of asset_transactions"
    assert finding.evidence == {"problem": "shared", "rows": 3, "row_ids": (2, 8)}
    assert finding.magnitude == 2


def test_shared_and_dangling_is_both(ledger: Ledger) -> None:
    """Two rows that name the same row, which is not there, are three violations."""
    ledger.sql("CREATE TABLE p (id bigint PRIMARY KEY)", "CREATE TABLE t (id int, p bigint)")
    ledger.insert("t", "id, p", [(1, 404), (2, 404), (3, None), (4, None)])
    result = plain(ledger, one_to_one=True)
    dangling = [({"id": 1}, "dangling"), ({"id": 2}, "dangling")]
    assert (seen(result), result.violations) == ([*dangling, ({"p.id": 404}, "shared")], 3)


def test_composite_key(ledger: Ledger) -> None:
    """Several columns name a row together; with a NULL among them they name none."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY, a varchar(9), b int)",
        "CREATE TABLE t (id int PRIMARY KEY, x varchar(9), y int, due int)",
    )
    ledger.insert("p", "id, a, b", [(1, "s", 1), (2, "s", 2), (3, "u", 1), (4, "u", None)])
    rows = [("s", 1), ("s", 3), ("u", 1), ("u", 2), ("s", None), (None, 1), (None, None), ("s", 1)]
    ledger.insert("t", "id, x, y, due", [(n, *row, n % 2) for n, row in enumerate(rows)])
    fields: dict[str, Any] = {"columns": ["x", "y"], "parent_columns": ["a", "b"]}
    result = plain(ledger, **fields, required_when="due = 1", reverse=True, one_to_one=True)
    assert seen(result) == [
        ({"id": 1}, "dangling"),
        ({"id": 3}, "dangling"),
        ({"id": 5}, "missing"),
        ({"p.id": 2}, "unreferenced"),
        ({"p.id": 4}, "unreferenced"),
        ({"p.a": "s", "p.b": 1}, "shared"),
    ]
    assert messages(result)[0] == "t.x, y names no row of p"
    assert result.findings[0].evidence == {"problem": "dangling", "parent a": "s", "parent b": 3}
    assert result.findings[2].evidence == {"problem": "missing", "parent a": None, "parent b": 1}
    assert result.violations == 6


def test_table_that_refers_to_itself(ledger: Ledger) -> None:
    """Rows may name rows of their own table, compared with themselves in both directions."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, p int, owner int)")
    ledger.insert("t", "id, p, owner", [(1, None, 7), (2, 1, 7), (3, 1, 8), (4, 404, 7), (5, 5, 7)])
    fields: dict[str, Any] = {"parent": "t", "equal": {"owner": "owner"}, "reverse": True}
    assert seen(plain(ledger, **fields, one_to_one=True)) == [
        ({"id": 3}, "mismatched"),
        ({"id": 4}, "dangling"),
        ({"t.id": 2}, "unreferenced"),
        ({"t.id": 3}, "unreferenced"),
        ({"t.id": 4}, "unreferenced"),
        ({"t.id": 1}, "shared"),
    ]


def test_one_right_parent_of_several_will_do(ledger: Ledger) -> None:
    """Where several rows have the named value, it is enough if one is right; else one is shown."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY, session varchar(9), kind varchar(9), amount int)",
        "CREATE TABLE t (id int PRIMARY KEY, session varchar(9), amount int)",
    )
    parents = [("a", "cost", 1), ("a", "gain", 2), ("a", "cost", 3), ("b", "gain", 5)]
    ledger.insert("p", "id, session, kind, amount", [(n, *row) for n, row in enumerate(parents)])
    ledger.insert("t", "id, session, amount", [(1, "a", 3), (2, "a", 2), (3, "b", 5), (4, "c", 1)])
    fields: dict[str, Any] = {"columns": ["session"], "parent_columns": ["session"]}
    result = plain(ledger, **fields, parent_when="kind = 'cost'", equal={"amount": "amount"})
    assert seen(result) == [
        ({"id": 2}, "mismatched"),
        ({"id": 3}, "mismatched"),
        ({"id": 4}, "dangling"),
    ]
    # The first row that is of the right kind is the one that comes nearest.
    shown = {"problem": "mismatched", "parent session": "a", "p.id": 0}
    assert result.findings[0].evidence == shown | {"amount": 2, "parent amount": 1}
    assert result.violations == 3


@on_any
def test_parent_that_may_be_joined_to_several_rows_is_refused(ledger: Ledger) -> None:
    """Where no unique index says whose a ledger row is, nothing is said of it."""
    ledger.sql(ACCOUNTS.replace(" PRIMARY KEY", ""), LEDGER, RECORDS)
    with pytest.raises(CheckError) as caught:
        run(ledger, reverse=True)
    assert str(caught.value) == (
        "through accounts: no unique index proves that account_id names one row"
    )
    assert caught.value.permanent


@on_servers
@pytest.mark.parametrize(
    ("child", "parent", "why"),
    [
        (
            "varchar(20) COLLATE utf8mb4_unicode_ci",
            "varchar(20) COLLATE utf8mb4_bin",
            "utf8mb4_unicode_ci against utf8mb4_bin",
        ),
        ("varchar(20)", "bigint", "varchar(20) against bigint"),
        ("bigint", "varchar(20)", "bigint against varchar(20)"),
    ],
)
def test_unlike_columns_are_not_compared(ledger: Ledger, child: str, parent: str, why: str) -> None:
    """Columns of unlike types or collations are a permanent error, and a complaint, naming both."""
    ledger.sql(
        f"CREATE TABLE p (id int PRIMARY KEY, k {parent})",
        f"CREATE TABLE t (id int PRIMARY KEY, p {child})",
    )
    declared = check("reference", "t", **PLAIN, parent_columns=["k"], settle="0s")
    expected = f"t.p cannot be compared with p.k: {why}"
    with pytest.raises(CheckError) as caught:
        declared.run(ledger.sources)
    with ledger.sources.snapshot("ledger") as connection:
        (complaint,) = declared.complaints(connection)
    # MariaDB prints the display width of integers.
    assert str(caught.value).replace("(20)", "").replace("int(11)", "int") == complaint.replace(
        "(20)", ""
    )
    assert complaint.replace("bigint(20)", "bigint") == expected
    assert caught.value.permanent


@on_servers
def test_keys_equal_under_the_collation_are_the_same(ledger: Ledger) -> None:
    """A text names a row as the database compares the two: other case is the same name."""
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY, k varchar(20)) COLLATE utf8mb4_unicode_ci",
        "CREATE TABLE t (id int PRIMARY KEY, p varchar(20)) COLLATE utf8mb4_unicode_ci",
    )
    ledger.insert("p", "id, k", [(1, "Key"), (2, "b")])
    ledger.insert("t", "id, p", [(1, "KEY"), (2, "kéy "), (3, "B"), (4, "c")])
    result = plain(ledger, parent_columns=["k"], reverse=True, one_to_one=True)
    assert [problem for _, problem in seen(result)] == ["dangling", "shared"]


def vocabulary(ledger: Ledger, child: str, parent: str) -> None:
    """Words, and rows that name them in several spellings."""
    ledger.sql(
        f"CREATE TABLE p (id int PRIMARY KEY, k varchar(20) {parent} NOT NULL, UNIQUE (k))",
        f"CREATE TABLE t (id int PRIMARY KEY, p varchar(20) {child})",
        "CREATE INDEX tp ON t (p)",
    )
    ledger.insert("p", "id, k", [(1, "gold"), (2, "Silver"), (3, "x")])
    names = ["gold", "GOLD", "silver", "Silver", "gold ", None, "tin"]
    ledger.insert("t", "id, p", [(n, name) for n, name in enumerate(names, start=1)])


GENERAL = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
UNICODE = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
ASCII = "CHARACTER SET ascii COLLATE ascii_bin"


@on_servers
@pytest.mark.parametrize("child", [GENERAL, UNICODE, ASCII])
@pytest.mark.parametrize("parent", [GENERAL, UNICODE, "CHARACTER SET latin1"])
def test_names_are_spelled_exactly_where_bytes_are_compared(
    ledger: Ledger, child: str, parent: str
) -> None:
    """Other letter case and a space at the end are another name, whatever the collations are."""
    vocabulary(ledger, child, parent)
    fields: dict[str, Any] = {"parent_columns": ["k"], "collation": "bytes", "reverse": True}
    expected = [({"id": n}, "dangling") for n in (2, 3, 5, 7)] + [({"p.id": 3}, "unreferenced")]
    result = plain(ledger, **fields)
    assert seen(result) == expected
    known = {**fields, "cursor": "id", "parent_cursor": "id"}
    again = plain(ledger, window_after(plain(ledger, **known)), **known)
    assert (seen(again), again.complete) == (expected, False)
    declared = check("reference", "t", **PLAIN, settle="0s", **fields)
    assert len(ledger.sql(declared.look() or "")) == len(expected)
    for key, _ in expected:
        assert ledger.sql(declared.look([key]) or "")


@on_servers
def test_unlike_collations_are_compared_by_a_stated_one(ledger: Ledger) -> None:
    """As by one that both would have; ASCII is compared without that, as nothing is lost."""
    vocabulary(ledger, GENERAL, UNICODE)
    fields: dict[str, Any] = {"parent_columns": ["k"], "reverse": True}
    with pytest.raises(CheckError, match="utf8mb4_general_ci against utf8mb4_unicode_ci"):
        plain(ledger, **fields)
    expected = [({"id": 7}, "dangling"), ({"p.id": 3}, "unreferenced")]
    for how in ("utf8mb4_unicode_ci", "utf8mb4_general_ci"):
        assert seen(plain(ledger, **fields, collation=how)) == expected
    declared = check("reference", "t", **PLAIN, settle="0s", collation="utf8mb4_odd_ci", **fields)
    with ledger.sources.snapshot("ledger") as connection:
        (complaint, *_) = declared.complaints(connection)
    assert complaint.startswith("the server has no collation utf8mb4_odd_ci")
    ledger.sql("DROP TABLE p, t")
    vocabulary(ledger, ASCII, UNICODE)
    assert seen(plain(ledger, **fields)) == expected


@on_servers
@pytest.mark.parametrize("parent", [GENERAL, UNICODE])
def test_exact_names_are_found_by_the_index_of_either_side(ledger: Ledger, parent: str) -> None:
    """Neither side is read again for each row of the other."""
    vocabulary(ledger, GENERAL, parent)
    size = 2_000
    ledger.insert("p", "id, k", [(n, f"w{n}") for n in range(10, size)])
    ledger.insert("t", "id, p", [(n, f"w{n}") for n in range(10, size)])
    ledger.sql("ANALYZE TABLE p, t")
    fields: dict[str, Any] = {"parent_columns": ["k"], "collation": "bytes", "reverse": True}
    counting = Counting(ledger.sources)
    check("reference", "t", **PLAIN, settle="0s", **fields).run(counting)
    (reads,) = counting.reads
    assert reads < 20 * size, reads


@pytest.mark.parametrize("reverse", [False, True])
def test_young_rows_wait_and_old_ones_are_out_of_scope(ledger: Ledger, *, reverse: bool) -> None:
    """Rows younger than `settle` or older than `since` are not judged; undated and future ones."""
    times = {
        1: "2026-01-05 11:59:00",  # the last that has settled
        2: "2026-01-05 11:59:01",
        3: "2026-01-05 12:00:30",  # a clock that is a little ahead
        4: "2026-01-05 12:01:00",
        5: "2026-01-05 12:01:01",  # from the future: nobody waits for it
        6: None,
        7: "2026-01-02 12:24:20",  # the first after the cut-over
        8: "2026-01-02 12:24:19",
        9: "2099-01-01 00:00:00",
    }
    ledger.sql(
        "CREATE TABLE p (id int PRIMARY KEY, at datetime)",
        "CREATE TABLE t (id int PRIMARY KEY, p int, at datetime)",
    )
    if reverse:
        ledger.insert("p", "id, at", times.items())
    else:
        ledger.insert("t", "p, id, at", [(404, *row) for row in times.items()])
    since = NOON.fromisoformat("2026-01-02T20:24:20+08:00")
    fields: dict[str, Any] = {"written_at": "at", "parent_written_at": "at", "reverse": reverse}
    with set_clock() as clock:
        judged = [
            [next(iter(key.values())) for key in keys(plain(ledger, **fields, **more))]
            for more in ({"settle": "1m", "since": since}, {"settle": "1m"}, {"since": since})
        ]
        clock.move(61)
        later = plain(ledger, **fields, settle="1m", since=since)
    assert judged == [[1, 5, 6, 7, 9], [1, 5, 6, 7, 8, 9], [1, 2, 3, 4, 5, 6, 7, 9]]
    assert [next(iter(key.values())) for key in keys(later)] == [1, 2, 6, 7, 9]


@on_any
def test_mended_rows_vanish_and_wrong_ones_stay(ledger: Ledger) -> None:
    """A run along the cursor looks at what is new and at what was wrong, and counts exactly."""
    exchanges(ledger)
    for n in range(4, 40):
        debit(ledger, n, 1)
        record(ledger, n, 1, n)
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id IN (4, 5)")
    ledger.sql("DELETE FROM exchange_records WHERE record_id IN (8, 9)")
    ledger.sql("UPDATE exchange_records SET debit_transaction_id = 12 WHERE record_id IN (13, 15)")
    fields: dict[str, Any] = {**CURSORS, "reverse": True, "one_to_one": True}
    first = run(ledger, **fields)
    far = "asset_transactions.transaction_id"
    assert [next(iter(key.values())) for key in keys(first)] == [4, 5, 8, 9, 13, 15, 12]
    debit(ledger, 4, 1)
    record(ledger, 8, 1, 8)
    ledger.sql("UPDATE exchange_records SET debit_transaction_id = 13 WHERE record_id = 13")
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 20")  # for a complete run
    debit(ledger, 40, 2)
    record(ledger, 40, 1, 40)
    record(ledger, 41, 1, 404)
    debit(ledger, 42, 1)
    second = run(ledger, window_after(first), **fields)
    assert seen(second) == [
        ({"record_id": 5}, "dangling"),
        ({"record_id": 40}, "mismatched"),
        ({"record_id": 41}, "dangling"),
        ({far: 9}, "unreferenced"),
        ({far: 15}, "unreferenced"),
        ({far: 42}, "unreferenced"),
        ({far: 12}, "shared"),
    ]
    assert (second.violations, second.complete, second.examined) == (7, False, 3)
    third = run(ledger, window_after(second), **fields)
    assert seen(third) == seen(second)
    whole = run(ledger, **fields)
    assert {"record_id": 20} in keys(whole)
    assert whole.violations == 8


@on_any
def test_row_that_joins_an_old_one_is_seen(ledger: Ledger) -> None:
    """A new record that names the ledger row of an old record is found without reading the old."""
    exchanges(ledger)
    fields: dict[str, Any] = {**CURSORS, "one_to_one": True}
    first = run(ledger, **fields)
    record(ledger, 9, 1, 1)
    second = run(ledger, window_after(first), **fields)
    assert seen(second) == [({"asset_transactions.transaction_id": 1}, "shared")]
    assert second.findings[0].evidence["row_ids"] == (1, 9)
    ledger.sql("DELETE FROM exchange_records WHERE record_id = 9")
    third = run(ledger, window_after(second), **fields)
    assert (third.violations, third.complete) == (0, True)  # the table went back
    record(ledger, 10, 3, 3)
    record(ledger, 11, 3, None)
    fourth = run(ledger, window_after(third), **fields)
    ledger.sql("UPDATE exchange_records SET debit_transaction_id = NULL WHERE record_id = 10")
    record(ledger, 12, 3, None)
    fifth = run(ledger, window_after(fourth), **fields)
    assert (fourth.violations, fifth.violations, fifth.complete) == (1, 0, False)


@on_any
def test_pending_row_is_judged_when_it_is_done(ledger: Ledger) -> None:
    """A row behind the cursor that was pending is judged in the run after it is done."""
    exchanges(ledger)
    record(ledger, 4, 1, None, status="pending")
    for n in (5, 6):
        record(ledger, n, 1, 1, status="done")
    fields: dict[str, Any] = {**CURSORS, "pending": "status = 'pending'"}
    fields["required_when"] = "status = 'done'"
    first = run(ledger, **fields)
    second = run(ledger, window_after(first), **fields)
    assert (second.violations, second.examined, second.excluded["no_key"]) == (0, 2, 1)
    ledger.sql("UPDATE exchange_records SET status = 'done' WHERE record_id = 4")
    third = run(ledger, window_after(second), **fields)
    assert (seen(third), third.complete) == ([({"record_id": 4}, "missing")], False)


@on_any
def test_more_than_the_sample_is_counted_and_asks_for_everything(ledger: Ledger) -> None:
    """Of more violations than a sample holds all are counted, and the next run reads everything."""
    ledger.sql("CREATE TABLE p (id int PRIMARY KEY)", "CREATE TABLE t (id int PRIMARY KEY, p int)")
    ledger.insert("t", "id, p", [(n, -n) for n in range(1, SAMPLE + 6)])
    ledger.insert("p", "id", [(n,) for n in range(1, SAMPLE + 3)])
    result = plain(ledger, cursor="id", parent_cursor="id", reverse=True)
    assert result.violations == SAMPLE + 5 + SAMPLE + 2
    assert keys(result) == [{"id": n} for n in range(1, SAMPLE + 1)]
    assert (result.sample_is_whole, result.cursor) == (False, None)
    ledger.sql("DELETE FROM t WHERE id > 600", "DELETE FROM p WHERE id > 600")
    result = plain(ledger, cursor="id", parent_cursor="id", reverse=True)
    assert (result.violations, len(result.findings)) == (1200, SAMPLE)
    assert (result.sample_is_whole, result.cursor) == (False, None)
    ledger.sql("DELETE FROM t WHERE id > 500", "DELETE FROM p WHERE id > 500")
    result = plain(ledger, cursor="id", parent_cursor="id", reverse=True)
    assert (result.violations, len(result.findings), result.sample_is_whole) == (1000, 1000, True)
    again = plain(ledger, window_after(result), cursor="id", parent_cursor="id", reverse=True)
    assert (again.violations, again.complete, again.sample_is_whole) == (1000, False, True)


@on_servers
def test_ids_beyond_64_bits_of_sign_are_exact(ledger: Ledger) -> None:
    """Ids at both ends of BIGINT and of BIGINT UNSIGNED name their rows exactly."""
    ledger.sql(
        "CREATE TABLE p (id bigint unsigned PRIMARY KEY)",
        "CREATE TABLE t (id bigint PRIMARY KEY, p bigint unsigned)",
    )
    ledger.insert("p", "id", [(2**64 - 1,), (2**63,), (2**53,)])
    ledger.insert("t", "id, p", [(-(2**63), 2**64 - 1), (2**63 - 1, 2**64 - 2), (1, 2**53 + 1)])
    result = plain(ledger, reverse=True)
    expected = [{"id": 1}, {"id": 2**63 - 1}, {"p.id": 2**53}, {"p.id": 2**63}]
    assert keys(result) == expected
    assert result.findings[1].evidence["parent id"] == 2**64 - 2


def test_rows_may_be_named_by_text(ledger: Ledger) -> None:
    """Text primary keys, strange ones too, identify findings, also in the run that follows."""
    ledger.sql(
        "CREATE TABLE p (id varchar(50) PRIMARY KEY)",
        "CREATE TABLE t (id varchar(50) PRIMARY KEY, seq int NOT NULL, p varchar(50))",
        "CREATE INDEX i ON t (seq)",
    )
    names = ["it's", "100%s", ":name", "\\", "券\U0001f600", '"x"']
    ledger.insert("t", "id, seq, p", [(name, n, name) for n, name in enumerate(names)])
    ledger.insert("t", "id, seq", [("end", 99)])
    first = plain(ledger, cursor="seq")
    second = plain(ledger, window_after(first), cursor="seq")
    for result in (first, second):
        assert {key["id"] for key in keys(result)} == set(names)
    assert (second.complete, second.violations) == (False, 6)


UNJOINED = "accounts.user_id: accounts is not joined; `through` says how"
UNDATED = (
    " is missing: settle and since need the time at which a row of {} was written;"
    ' settle = "0s" judges every row at once'
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"through": {}}, UNJOINED),
        ({"parent_when": "users.status = 'a'"}, "users.status: users is not joined; `through`"),
        ({"columns": ["a", "b"]}, "2 columns cannot name 1 of asset_transactions"),
        ({"parent_columns": ["a", "b"]}, "1 columns cannot name 2 of asset_transactions"),
        ({"columns": []}, "Tuple should have at least 1 item"),
        ({"settle": "10s"}, "written_at" + UNDATED.format("exchange_records")),
        ({"since": NOON}, "written_at" + UNDATED.format("exchange_records")),
        (
            {"settle": "10s", "written_at": "at", "reverse": True},
            "parent_written_at" + UNDATED.format("asset_transactions"),
        ),
        ({"since": "2026-01-02T20:24:20+08:00"}, "a date and time without quotes: 2026-01-02T20"),
        ({"settle": "0"}, "a duration is a whole number above 0 and a unit: 30s, 5m, 1h, 7d"),
        ({"equal": {"accounts.user_id": "account_id"}}, "not allowed in a condition: accounts."),
        ({"required_when": "accounts.user_id = 1"}, "not allowed in a condition: accounts.user_id"),
        ({"when": "accounts.user_id = 1"}, "not allowed in a condition: accounts.user_id"),
        (
            {"key_suffices": True},
            "key_suffices needs a key, and one column that names the row",
        ),
        (
            {
                "key_suffices": True,
                "key": "k_{record_id}",
                "columns": ["a", "b"],
                "parent_columns": ["a", "b"],
            },
            "key_suffices needs a key, and one column that names the row",
        ),
        ({"key": "exchange"}, "the template names no column: {lottery_session_id}"),
        ({"none": True}, "what names nothing is a whole number or a text: True is neither"),
        ({"none": [0, 1.5]}, "what names nothing is a whole number or a text: 1.5 is neither"),
        (
            {"required_when": "a = 1", "not_null_when": "a = 1"},
            "required_when is the former name of not_null_when: state one of them",
        ),
        ({"pending": "SLEEP(9)"}, "not allowed in a condition: SLEEP(9)"),
        ({"parent_primary_key": None}, "parent_columns is missing: no primary_key of asset_trans"),
        ({"colums": ["a"]}, "Extra inputs are not permitted"),
    ],
)
def test_fields_that_make_no_sense_are_refused(fields: dict[str, object], message: str) -> None:
    """A mistake in the configuration is told in words before any database is asked."""
    with pytest.raises(ValidationError) as caught:
        check("reference", "exchange_records", **{**DEBIT, **fields})
    (error,) = caught.value.errors()
    assert error["msg"].removeprefix("Value error, ").startswith(message)


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"parent": "asset_transaction"},
            "table asset_transaction does not exist, or this account",
        ),
        (
            {"columns": ["debit_transaction"]},
            "table exchange_records has no column debit_transaction; the nearest existing name is",
        ),
        ({"through": {"accounts": {"id": "account_id"}}}, "table accounts has no column id; the"),
        (
            {"through": {"accounts": {"account_id": "acc"}}},
            "table asset_transactions has no column acc; the nearest existing name is",
        ),
        ({"cursor": "seq"}, "table exchange_records has no column seq"),
        ({"equal": {"amount": "delta_amount"}}, "table exchange_records has no column amount; the"),
        ({"equal": {"pay_amount": "delta"}}, "table asset_transactions has no column delta; the"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, fields: dict[str, Any], message: str
) -> None:
    """A table or column that is missing is a permanent error that names the nearest one."""
    exchanges(ledger)
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert str(caught.value).startswith(message)
    assert caught.value.permanent


@on_servers
def test_run_along_the_cursor_does_not_read_the_table(ledger: Ledger) -> None:
    """A run along the cursor reads about as much of 30,000 rows as of 3,000."""
    exchanges(ledger)
    fields: dict[str, Any] = {**DEBIT, **CURSORS, "reverse": True, "one_to_one": True}
    fields |= {"pending": "status = 'pending'", "required_when": "status = 'completed'"}
    declared = check("reference", "exchange_records", **fields)
    reads = {}
    for last, size in ((3, 3_000), (3_000, 30_000)):
        _fill(ledger, last, size)
        ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 1000")
        first = declared.run(ledger.sources)
        counting = Counting(ledger.sources)
        result = declared.run(counting, window_after(first, overlap_rows=100))
        assert (result.violations, result.complete) == (1, False)
        (reads[size],) = counting.reads
    assert reads[30_000] < min(3_000, 1.2 * reads[3_000] + 100), reads


def _fill(ledger: Ledger, last: int, size: int) -> None:
    """Right rows with the numbers from one to another."""
    numbers = range(last + 1, size + 1)
    debits = [(n, 1, "POINTS", -100, "exchange_debit") for n in numbers]
    columns = "transaction_id, account_id, asset_code, delta_amount, business_type"
    ledger.insert("asset_transactions", columns, debits)
    records = [(n, 11, "POINTS", 100, n, "completed") for n in numbers]
    columns = "record_id, user_id, pay_asset_code, pay_amount, debit_transaction_id, status"
    ledger.insert("exchange_records", columns, records)
    if ledger.backend != "sqlite":
        ledger.sql("ANALYZE TABLE asset_transactions, exchange_records, accounts")
