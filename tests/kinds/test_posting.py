"""`posting`: business rows have their ledger rows, under derived keys, and vice versa."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from checks.contract import SAMPLE, Check, CheckError, Result, Window
from tests.support.ledgers import Ledger, check, keys, on_any, on_servers
from tests.support.runs import NOON, Counting, seen, set_clock, window_after

ACCOUNTS = "CREATE TABLE accounts (account_id bigint PRIMARY KEY, user_id int)"
LEDGER = (
    "CREATE TABLE asset_transactions (transaction_id bigint PRIMARY KEY, account_id bigint,"
    " asset_code varchar(50), delta_amount bigint, business_type varchar(50),"
    " idempotency_key varchar(100), at datetime)"
)
LEDGER_INDEX = "CREATE INDEX k ON asset_transactions (idempotency_key)"
RECORDS = (
    "CREATE TABLE exchange_records (record_id bigint PRIMARY KEY, idempotency_key varchar(100),"
    " user_id int, pay_asset_code varchar(50), pay_amount bigint, status varchar(20), at datetime)"
)
RECORDS_INDEX = "CREATE INDEX rk ON exchange_records (idempotency_key)"
DRAWS = (
    "CREATE TABLE lottery_draws (draw_id bigint PRIMARY KEY, lottery_session_id varchar(90),"
    " user_id int, prize_id bigint, prize_value_points bigint, cost_points bigint, at datetime)"
)
DRAWS_INDEX = "CREATE INDEX dk ON lottery_draws (lottery_session_id)"

FAR = "asset_transactions.transaction_id"
OF_THE_LEDGER = {
    "ledger": "asset_transactions",
    "ledger_primary_key": "transaction_id",
    "settle": "0s",
    "through": {"accounts": {"account_id": "account_id"}},
}
DEBIT = OF_THE_LEDGER | {
    "primary_key": "record_id",
    "ledger_key": "exchange_debit_{idempotency_key}",
    "ledger_when": "business_type = 'exchange_debit'",
    "equal": {
        "-pay_amount": "delta_amount",
        "pay_asset_code": "asset_code",
        "user_id": "accounts.user_id",
    },
}
CONSUME = OF_THE_LEDGER | {
    "primary_key": "draw_id",
    "ledger_key": "lottery_consume:{lottery_session_id}",
    "ledger_when": "business_type = 'lottery_consume'",
    "equal": {"user_id": "accounts.user_id"},
    "sum": {"-cost_points": "delta_amount"},
}
REWARD = OF_THE_LEDGER | {
    "primary_key": "draw_id",
    "ledger_key": "lottery_reward:{lottery_session_id}:{prize_id}",
    "ledger_when": "business_type = 'lottery_reward'",
    "equal": {"prize_value_points": "delta_amount", "user_id": "accounts.user_id"},
}
RECORD_CURSORS: dict[str, Any] = {"cursor": "record_id", "ledger_cursor": "transaction_id"}
DRAW_CURSORS: dict[str, Any] = {"cursor": "draw_id", "ledger_cursor": "transaction_id"}


def tables(ledger: Ledger) -> None:
    ledger.sql(ACCOUNTS, LEDGER, LEDGER_INDEX, RECORDS, RECORDS_INDEX, DRAWS, DRAWS_INDEX)
    ledger.insert("accounts", "account_id, user_id", [(n, n + 10) for n in (1, 2, 3)])


def post(ledger: Ledger, number: int, key: str, amount: int | None, **other: object) -> None:
    row = {
        "transaction_id": number,
        "account_id": 1,
        "asset_code": "POINTS",
        "delta_amount": amount,
        "business_type": "exchange_debit",
        "idempotency_key": key,
        **other,
    }
    ledger.insert("asset_transactions", ", ".join(row), [tuple(row.values())])


def record(ledger: Ledger, number: int, **other: object) -> None:
    row = {
        "record_id": number,
        "idempotency_key": f"k{number}",
        "user_id": 11,
        "pay_asset_code": "POINTS",
        "pay_amount": 100,
        **other,
    }
    ledger.insert("exchange_records", ", ".join(row), [tuple(row.values())])


def draw(ledger: Ledger, number: int, session: str | None, **other: object) -> None:
    row = {
        "draw_id": number,
        "lottery_session_id": session,
        "user_id": 11,
        "prize_id": 1,
        "prize_value_points": 5,
        "cost_points": 10,
        **other,
    }
    ledger.insert("lottery_draws", ", ".join(row), [tuple(row.values())])


def exchanges(ledger: Ledger) -> None:
    """Three records and the ledger row of each."""
    tables(ledger)
    for n in (1, 2, 3):
        record(ledger, n)
        post(ledger, n, f"exchange_debit_k{n}", -100)


def run(ledger: Ledger, window: Window | None = None, /, **fields: object) -> Result:
    declared = check("posting", "exchange_records", **{**DEBIT, **fields})
    return declared.run(ledger.sources, window or Window())


def draws(
    ledger: Ledger, declared: dict[str, Any], window: Window | None = None, **fields: object
) -> Result:
    return check("posting", "lottery_draws", **{**declared, **fields}).run(
        ledger.sources, window or Window()
    )


def test_posted_rows_pass(ledger: Ledger) -> None:
    """Records with their ledger rows, and ledger rows of other business, are no violation."""
    exchanges(ledger)
    post(ledger, 9, "exchange_debit_else", -1, business_type="other")
    post(ledger, 8, "exchange_debit_none", -1, business_type=None)
    result = run(ledger)
    assert (result.examined, result.violations, result.findings) == (3, 0, ())
    assert (result.complete, result.measures) == (True, {})


def test_empty_tables_pass(ledger: Ledger) -> None:
    """Tables without rows owe each other nothing."""
    tables(ledger)
    for result in (run(ledger), draws(ledger, CONSUME), draws(ledger, REWARD)):
        assert (result.examined, result.violations) == (0, 0)


def test_missing(ledger: Ledger) -> None:
    """A record without its ledger row is found, with the key that row would have had."""
    exchanges(ledger)
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 2")
    (finding,) = run(ledger).findings
    assert finding.key == {"record_id": 2}
    assert finding.message == (
        "exchange_records: no row of asset_transactions has the key"
        " exchange_debit_{idempotency_key}"
    )
    assert finding.evidence == {
        "problem": "missing",
        "ledger idempotency_key": "exchange_debit_k2",
        "-pay_amount": -100,
        "pay_asset_code": "POINTS",
        "user_id": 11,
    }
    assert finding.magnitude == 100


@pytest.mark.parametrize(
    ("change", "evidence", "magnitude"),
    [
        ("delta_amount = -101", {"-pay_amount": -100, "ledger delta_amount": -101}, 1),
        ("delta_amount = 100", {"-pay_amount": -100, "ledger delta_amount": 100}, 200),
        ("delta_amount = NULL", {"-pay_amount": -100, "ledger delta_amount": None}, 100),
        ("asset_code = 'GEM'", {"pay_asset_code": "POINTS", "ledger asset_code": "GEM"}, 1),
        ("account_id = 2", {"user_id": 11, "ledger accounts.user_id": 12}, 1),
        ("account_id = 404", {"user_id": 11, "ledger accounts.user_id": None}, 1),
        ("business_type = 'x'", {"ledger not true": "business_type = 'exchange_debit'"}, 1),
        ("business_type = NULL", {"ledger not true": "business_type = 'exchange_debit'"}, 1),
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
    assert finding.message == (
        "exchange_records: the row of asset_transactions with the key"
        " exchange_debit_{idempotency_key} differs"
    )
    shown = {"problem": "mismatched", "ledger idempotency_key": "exchange_debit_k2", FAR: 2}
    assert finding.evidence == shown | evidence
    assert finding.magnitude == magnitude


def test_record_without_amount_is_no_match(ledger: Ledger) -> None:
    """NULL is an amount of its own: it differs from every number, and not from NULL."""
    exchanges(ledger)
    ledger.sql("UPDATE exchange_records SET pay_amount = NULL WHERE record_id < 3")
    ledger.sql("UPDATE asset_transactions SET delta_amount = NULL WHERE transaction_id = 2")
    (finding,) = run(ledger).findings
    assert (finding.key, finding.evidence["-pay_amount"]) == ({"record_id": 1}, None)


def test_orphaned(ledger: Ledger) -> None:
    """A ledger row of this business whose key no record gives is found."""
    exchanges(ledger)
    ledger.sql("DELETE FROM exchange_records WHERE record_id = 2")
    names = ["exchange_debit_", "exchange_debit_k", "other_k1", "", "k1", "exchange_debit_k1x"]
    for number, key in enumerate(names, start=11):
        post(ledger, number, key, -1)
    result = run(ledger)
    assert seen(result) == [({FAR: n}, "orphaned") for n in (2, 11, 12, 13, 14, 15, 16)]
    finding = result.findings[0]
    assert finding.message == (
        "asset_transactions: no row of exchange_records gives the key"
        " exchange_debit_{idempotency_key}"
    )
    assert finding.evidence == {
        "problem": "orphaned",
        "ledger idempotency_key": "exchange_debit_k2",
        "ledger delta_amount": -100,
        "ledger asset_code": "POINTS",
        "ledger accounts.user_id": 11,
    }


def test_unwarranted(ledger: Ledger) -> None:
    """A ledger row whose record does not call for one is found; `allowed_when` may allow it."""
    exchanges(ledger)
    for n, status in enumerate(("done", "pending", "shipped"), start=1):
        ledger.sql(f"UPDATE exchange_records SET status = '{status}' WHERE record_id = {n}")
    record(ledger, 4, status=None)
    post(ledger, 4, "exchange_debit_k4", -100)
    record(ledger, 5, status="shipped")  # need not have any
    fields: dict[str, Any] = {"when": "status = 'done'"}
    assert keys(run(ledger, **fields)) == [{FAR: 2}, {FAR: 3}, {FAR: 4}]
    assert run(ledger, required_when="status = 'done'").findings == run(ledger, **fields).findings
    result = run(ledger, **fields, allowed_when="status = 'shipped'")
    assert seen(result) == [({FAR: 2}, "unwarranted"), ({FAR: 4}, "unwarranted")]
    finding = result.findings[0]
    message = "asset_transactions: the row of exchange_records does not call for this"
    assert finding.message == message
    assert finding.evidence == {
        "problem": "unwarranted",
        "ledger idempotency_key": "exchange_debit_k2",
        "record_id": 2,
        "ledger delta_amount": -100,
        "ledger asset_code": "POINTS",
        "ledger accounts.user_id": 11,
    }
    assert run(ledger, **fields, reverse=False).violations == 0


TWO_KEYS = ["refund_{idempotency_key}", "admin_refund_{idempotency_key}"]
REFUND = OF_THE_LEDGER | {
    "primary_key": "record_id",
    "ledger_key": TWO_KEYS,
    "ledger_when": "business_type IN ('refund', 'admin_refund')",
    "equal": {"pay_asset_code": "asset_code", "user_id": "accounts.user_id"},
}


def refunds(ledger: Ledger, *rows: tuple[str, str, int], **other: object) -> None:
    """Ledger rows of the first account: the sort, the record's key, and the amount."""
    ((last,),) = ledger.sql("SELECT COALESCE(MAX(transaction_id), 0) FROM asset_transactions")
    for number, (kind, name, amount) in enumerate(rows, start=last + 1):
        post(ledger, number, f"{kind}_{name}", amount, **{"business_type": kind} | other)


def test_ledger_row_under_one_of_several_keys(ledger: Ledger) -> None:
    """A record has its ledger row under either key; and each such row has its record."""
    tables(ledger)
    for n in range(1, 6):
        record(ledger, n)
    refunds(ledger, ("refund", "k1", 100), ("admin_refund", "k2", 100), ("refund", "k3", 99))
    refunds(ledger, ("admin_refund", "k4", 100), ("admin_refund", "k9", 1), ("refund", "", 1))
    fields: dict[str, Any] = REFUND | {"equal": {"pay_amount": "delta_amount"}}
    expected = [
        ({"record_id": 3}, "mismatched"),
        ({"record_id": 5}, "missing"),
        ({FAR: 5}, "orphaned"),
        ({FAR: 6}, "orphaned"),
    ]
    result = run(ledger, **fields)
    assert seen(result) == expected
    assert result.violations == 4
    assert result.findings[0].evidence[FAR] == 3
    assert result.findings[1].message == (
        "exchange_records: no row of asset_transactions has the key"
        " refund_{idempotency_key} or admin_refund_{idempotency_key}"
    )
    first = run(ledger, **fields, **RECORD_CURSORS)
    ledger.sql("UPDATE asset_transactions SET delta_amount = 100 WHERE transaction_id = 3")
    record(ledger, 6)
    record(ledger, 9, pay_amount=1)
    second = run(ledger, window_after(first), **fields, **RECORD_CURSORS)
    assert seen(second) == [
        ({"record_id": 5}, "missing"),
        ({"record_id": 6}, "missing"),
        ({FAR: 6}, "orphaned"),
    ]
    assert not second.complete


def test_ledger_rows_of_a_record_together_are_at_most_what_it_says(ledger: Ledger) -> None:
    """Refunds by two paths must not exceed what was paid; less, or none, is right."""
    tables(ledger)
    for n in range(1, 7):
        record(ledger, n)
    refunds(ledger, ("refund", "k1", 60), ("admin_refund", "k1", 40))
    refunds(ledger, ("refund", "k2", 100), ("admin_refund", "k2", 1))
    refunds(ledger, ("refund", "k3", 1), ("refund", "k4", 1))
    refunds(ledger, ("refund", "k5", 1), account_id=2)
    ledger.sql("UPDATE exchange_records SET pay_amount = NULL WHERE record_id = 4")
    fields: dict[str, Any] = REFUND | {"ledger_sum_at_most": {"pay_amount": "delta_amount"}}
    result = run(ledger, **fields)
    assert seen(result) == [({"record_id": n}, "mismatched") for n in (2, 4, 5)]
    finding = result.findings[0]
    assert finding.evidence == {
        "problem": "mismatched",
        "ledger idempotency_key": "refund_k2",
        FAR: 3,
        "ledger rows": 2,
        "pay_amount": 100,
        "ledger SUM(delta_amount)": 101,
    }
    assert finding.magnitude == 1
    assert finding.message == (
        "exchange_records: the rows of asset_transactions with the key"
        " refund_{idempotency_key} or admin_refund_{idempotency_key} do not add up"
    )
    exact: dict[str, Any] = REFUND | {"ledger_sum": {"pay_amount": "delta_amount"}}
    assert seen(run(ledger, **exact)) == [
        *(({"record_id": n}, "mismatched") for n in (2, 3, 4, 5)),
        ({"record_id": 6}, "missing"),
    ]


@pytest.mark.parametrize("reverse", [True, False])
def test_new_ledger_rows_let_their_old_records_be_judged(ledger: Ledger, *, reverse: bool) -> None:
    """Along the cursor, a second refund of an old record is seen, whichever key it has."""
    tables(ledger)
    for n in range(1, 7):
        record(ledger, n)
    refunds(ledger, *(("refund", f"k{n}", 100) for n in range(1, 5)))
    most = {"ledger_sum_at_most": {"pay_amount": "delta_amount"}, "reverse": reverse}
    fields: dict[str, Any] = REFUND | most | RECORD_CURSORS
    first = run(ledger, **fields)
    assert first.violations == 0
    refunds(ledger, ("admin_refund", "k2", 1), ("refund", "k6", 101), ("refund", "k9", 1))
    second = run(ledger, window_after(first), **fields)
    orphaned = [({FAR: 7}, "orphaned")] if reverse else []
    assert sorted(map(str, seen(second))) == sorted(
        map(str, [({"record_id": 2}, "mismatched"), ({"record_id": 6}, "mismatched"), *orphaned])
    )
    assert not second.complete
    ledger.sql("UPDATE exchange_records SET pay_amount = 101 WHERE record_id IN (2, 6)")
    record(ledger, 9)
    third = run(ledger, window_after(second), **fields)
    assert (third.violations, third.complete) == (0, False)


@on_servers
def test_ledger_rows_are_added_up_along_the_index_of_their_keys(ledger: Ledger) -> None:
    """Neither a complete run nor one along the cursor reads the ledger again for each record."""
    tables(ledger)
    size = 3_000
    columns = "record_id, idempotency_key, user_id, pay_asset_code, pay_amount"
    numbers = range(1, size + 1)
    ledger.insert("exchange_records", columns, [(n, f"k{n}", 11, "POINTS", 100) for n in numbers])
    columns = "transaction_id, idempotency_key, account_id, asset_code, delta_amount, business_type"
    rows = [(n, f"refund_k{n}", 1, "POINTS", 100, "refund") for n in numbers]
    ledger.insert("asset_transactions", columns, rows)
    ledger.sql("ANALYZE TABLE asset_transactions, exchange_records, accounts")
    most = {"ledger_sum_at_most": {"pay_amount": "delta_amount"}}
    fields: dict[str, Any] = REFUND | most | RECORD_CURSORS
    declared = check("posting", "exchange_records", **fields)
    counting = Counting(ledger.sources)
    first = declared.run(counting)
    refunds(ledger, ("admin_refund", "k2", 1))
    second = declared.run(counting, window_after(first, overlap_rows=50))
    assert seen(second) == [({"record_id": 2}, "mismatched")]
    assert not second.complete
    whole, part = counting.reads
    assert whole < 30 * size, counting.reads
    assert part < size, counting.reads


@on_servers
@pytest.mark.parametrize("how", ["utf8mb4_unicode_ci", "utf8mb4_general_ci", "bytes"])
@pytest.mark.parametrize("sort", ["utf8mb4 COLLATE utf8mb4_general_ci", "ascii COLLATE ascii_bin"])
def test_keys_of_unlike_collations_are_compared_as_stated(
    ledger: Ledger, how: str, sort: str
) -> None:
    """Of both sides, one by one, in sums, and of several ledger rows."""
    exchanges(ledger)
    ledger.sql(
        "ALTER TABLE asset_transactions MODIFY idempotency_key varchar(100) CHARACTER SET utf8mb4"
        " COLLATE utf8mb4_unicode_ci",
        f"ALTER TABLE exchange_records MODIFY idempotency_key varchar(100) CHARACTER SET {sort}",
        "DELETE FROM asset_transactions WHERE transaction_id = 2",
        "DELETE FROM exchange_records WHERE record_id = 3",
    )
    expected = [({"record_id": 2}, "missing"), ({FAR: 3}, "orphaned")]
    for more in ({}, RECORD_CURSORS, {"ledger_sum": {"-pay_amount": "delta_amount"}}):
        fields: dict[str, Any] = {"collation": how, **more}
        fields |= {"equal": {}} if "ledger_sum" in more else {}
        result = run(ledger, **fields)
        assert seen(result) == expected
        again = run(ledger, window_after(result), **fields)
        assert seen(again) == expected
        declared = check("posting", "exchange_records", **{**DEBIT, **fields})
        assert len(ledger.sql(declared.look() or "")) == 2
    grouped = {"equal": {}, "sum": {"-pay_amount": "delta_amount"}}
    name = "idempotency_key"
    assert seen(run(ledger, collation=how, **grouped)) == [({name: "k2"}, "missing"), expected[1]]


@on_any
def test_fee_that_need_not_be_there(ledger: Ledger) -> None:
    """No ledger row is owed for a fee of 0; one that is there all the same is unwarranted."""
    ledger.sql(
        ACCOUNTS,
        LEDGER,
        "CREATE TABLE trade_orders (id int PRIMARY KEY, k varchar(40), fee"
        " bigint, status varchar(20))",
    )
    rows: list[Any] = [(1, "a", 3, "completed"), (2, "b", 0, "completed"), (3, "c", 3, "frozen")]
    rows += [(4, "d", 3, "completed"), (5, "e", 0, "completed"), (6, "f", None, "completed")]
    ledger.insert("trade_orders", "id, k, fee, status", rows)
    for number, key in enumerate("ace", start=1):
        post(ledger, number, f"fee_{key}", 3, business_type="fee", account_id=None)
    fields: dict[str, Any] = {
        "ledger": "asset_transactions",
        "ledger_primary_key": "transaction_id",
        "primary_key": "id",
        "settle": "0s",
        "ledger_key": "fee_{k}",
        "ledger_when": "business_type = 'fee'",
        "required_when": "status = 'completed' AND fee > 0",
        "equal": {"fee": "delta_amount"},
    }
    result = check("posting", "trade_orders", **fields).run(ledger.sources)
    assert seen(result) == [
        ({"id": 4}, "missing"),
        ({FAR: 2}, "unwarranted"),
        ({FAR: 3}, "unwarranted"),
    ]


def test_key_too_long(ledger: Ledger) -> None:
    """A derived key that its column cannot hold is told as that, and as a remark beforehand."""
    exchanges(ledger)
    record(ledger, 4, idempotency_key="x" * 85)
    record(ledger, 5, idempotency_key="y" * 86)
    post(ledger, 4, f"exchange_debit_{'x' * 85}", -100)
    post(ledger, 5, f"exchange_debit_{'y' * 85}", -100)  # as a non-strict server cuts it
    result = run(ledger)
    assert seen(result) == [({"record_id": 5}, "key_too_long"), ({FAR: 5}, "orphaned")]
    assert result.findings[0].message == (
        "exchange_records: exchange_debit_{idempotency_key} is longer than its column"
    )
    assert result.findings[0].evidence["ledger idempotency_key"] == f"exchange_debit_{'y' * 86}"
    (note,) = result.notes
    assert note == (
        "exchange_debit_{idempotency_key} may have 115 characters,"
        " asset_transactions.idempotency_key holds 100"
    )
    assert run(ledger, ledger_key="{idempotency_key}", reverse=False).notes == ()


def test_template_over_a_whole_number(ledger: Ledger) -> None:
    """A key made of a number is read back as that number, however large, and as no other."""
    tables(ledger)
    numbers = [1, 12, 2**53 + 1, 2**63 - 1, -(2**63), -7, 0]
    for n in numbers:
        record(ledger, n)
        post(ledger, n, f"approve:{n}", -100)
    for number, key in enumerate(("01", "1.0", " 1", "1 x", "1e0", "+1", "", "2"), start=100):
        post(ledger, number, f"approve:{key}", -100)
    post(ledger, 200, f"approve:{2**63}", -100)
    result = run(ledger, ledger_key="approve:{record_id}")
    assert seen(result) == [({FAR: n}, "orphaned") for n in (*range(100, 108), 200)]


def test_prize_of_a_session(ledger: Ledger) -> None:
    """A key of a text and a number is read back from its end: a session may hold the separator."""
    tables(ledger)
    for number, session in enumerate(("s1", "s:1", "s1:", ":", "", "券", "S:1:22"), start=1):
        draw(ledger, number, session, prize_id=number * 11)
        key = f"lottery_reward:{session}:{number * 11}"
        post(ledger, number, key, 5, business_type="lottery_reward")
    draw(ledger, 20, "s1", prize_id=9)
    draw(ledger, 21, "s1", prize_id=None)
    post(ledger, 20, "lottery_reward:s1:99", 5, business_type="lottery_reward")
    post(ledger, 21, "lottery_reward:s1:", 5, business_type="lottery_reward")
    post(ledger, 22, "lottery_reward:s1", 5, business_type="lottery_reward")
    result = draws(ledger, REWARD)
    assert seen(result) == [
        ({"draw_id": 20}, "missing"),
        ({"draw_id": 21}, "missing"),
        ({FAR: 20}, "orphaned"),
        ({FAR: 21}, "orphaned"),
        ({FAR: 22}, "orphaned"),
    ]
    assert result.findings[1].evidence["ledger idempotency_key"] is None


def sessions(ledger: Ledger) -> None:
    """Sessions of one, two and three draws, each paid for by one ledger row."""
    tables(ledger)
    number = 0
    for session, count in (("s1", 1), ("s2", 2), ("s3", 3)):
        for _ in range(count):
            number += 1
            draw(ledger, number, session)
        pay(ledger, number, session, count * -10)


def pay(ledger: Ledger, number: int, session: str, amount: int | None, **other: object) -> None:
    key = f"lottery_consume:{session}"
    post(ledger, number, key, amount, business_type="lottery_consume", **other)


def test_sums_are_compared(ledger: Ledger) -> None:
    """Draws of one session answer to one ledger row with their sum; others are found by session."""
    sessions(ledger)
    assert draws(ledger, CONSUME).findings == ()
    ledger.sql("UPDATE lottery_draws SET cost_points = 11 WHERE draw_id = 2")
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 6")
    pay(ledger, 9, "s9", -10)
    one, other, orphan = (result := draws(ledger, CONSUME)).findings
    assert (result.violations, result.examined) == (3, 6)
    assert one.key == {"lottery_session_id": "s2"}
    assert one.evidence == {
        "problem": "mismatched",
        "ledger idempotency_key": "lottery_consume:s2",
        FAR: 3,
        "SUM(-cost_points)": -21,
        "ledger delta_amount": -20,
    }
    assert one.magnitude == 1
    assert other.key == {"lottery_session_id": "s3"}
    assert other.evidence == {
        "problem": "missing",
        "ledger idempotency_key": "lottery_consume:s3",
        "user_id": 11,
        "SUM(-cost_points)": -30,
    }
    assert other.magnitude == 30
    assert (orphan.key, orphan.evidence["problem"]) == ({FAR: 9}, "orphaned")


def test_rows_of_one_sum_agree_with_each_other(ledger: Ledger) -> None:
    """A session with a draw of another user, or of none, is not that of one account."""
    sessions(ledger)
    ledger.sql("UPDATE lottery_draws SET user_id = 12 WHERE draw_id = 5")
    (finding,) = draws(ledger, CONSUME).findings
    assert finding.key == {"lottery_session_id": "s3"}
    assert finding.evidence["problem"] == "mismatched"
    ledger.sql("UPDATE lottery_draws SET user_id = 10 WHERE draw_id = 5")
    assert keys(draws(ledger, CONSUME)) == [{"lottery_session_id": "s3"}]


def test_row_of_a_sum_without_an_owner_is_not_that_of_one(ledger: Ledger) -> None:
    """A session with a draw of no user is not that of one account either: NULL is a value."""
    sessions(ledger)
    ledger.sql("UPDATE lottery_draws SET user_id = NULL WHERE draw_id = 5")
    assert keys(draws(ledger, CONSUME)) == [{"lottery_session_id": "s3"}]


def test_sum_leaves_out_what_is_null(ledger: Ledger) -> None:
    """Draws without a cost add nothing; a session of only such draws has no sum at all."""
    sessions(ledger)
    ledger.sql("UPDATE lottery_draws SET cost_points = NULL WHERE draw_id IN (1, 4)")
    ledger.sql("UPDATE asset_transactions SET delta_amount = -20 WHERE transaction_id = 6")
    (finding,) = draws(ledger, CONSUME).findings
    assert finding.key == {"lottery_session_id": "s1"}
    assert finding.evidence["SUM(-cost_points)"] is None
    assert (finding.evidence["ledger delta_amount"], finding.magnitude) == (-10, 10)


@on_servers
def test_sums_beyond_bigint_are_exact(ledger: Ledger) -> None:
    """The sum of the largest amounts overflows nothing and is told to the last digit."""
    tables(ledger)
    largest = 2**63 - 1
    for n in (1, 2, 3):
        draw(ledger, n, "s", cost_points=largest)
    draw(ledger, 4, "small", cost_points=-largest)
    pay(ledger, 1, "s", -largest)
    pay(ledger, 4, "small", largest)
    (finding,) = draws(ledger, CONSUME).findings
    assert finding.evidence["SUM(-cost_points)"] == -3 * largest
    assert finding.magnitude == 2 * largest


@on_servers
def test_sums_of_fractions_are_exact(ledger: Ledger) -> None:
    """A DECIMAL column is summed and compared with its fraction, and told exactly."""
    tables(ledger)
    ledger.sql("ALTER TABLE lottery_draws MODIFY cost_points decimal(20,2)")
    for n, cost in enumerate(("0.10", "0.20", "0.70", "9.00")):
        draw(ledger, n, "s", cost_points=cost)
    draw(ledger, 9, "t", cost_points="0.30")
    pay(ledger, 1, "s", -10)
    pay(ledger, 2, "t", 0)
    (finding,) = draws(ledger, CONSUME).findings
    assert finding.key == {"lottery_session_id": "t"}
    assert finding.evidence["SUM(-cost_points)"] == "-0.30"


@on_servers
def test_sessions_equal_under_the_collation_are_one(ledger: Ledger) -> None:
    """Rows whose keys the collation takes for equal answer together, to a key of any spelling."""
    tables(ledger)
    draw(ledger, 1, "Abc")
    draw(ledger, 2, "ABC ")
    draw(ledger, 3, "other")
    pay(ledger, 1, "abc", -20)
    pay(ledger, 3, "OTHER", -10)
    assert draws(ledger, CONSUME).findings == ()
    ledger.sql("UPDATE asset_transactions SET delta_amount = -19 WHERE transaction_id = 1")
    first = draws(ledger, CONSUME, **DRAW_CURSORS)
    second = draws(ledger, CONSUME, window_after(first), **DRAW_CURSORS)
    assert (first.violations, second.violations) == (1, 1)


def test_group_with_a_null_in_its_key_owes_a_row(ledger: Ledger) -> None:
    """Draws of no session have no key and so no ledger row, in a run along the cursor too."""
    sessions(ledger)
    draw(ledger, 7, None)
    draw(ledger, 8, "s8")
    pay(ledger, 8, "s8", -10)
    first = draws(ledger, CONSUME, **DRAW_CURSORS)
    assert seen(first) == [({"lottery_session_id": None}, "missing")]
    draw(ledger, 9, "s9")
    second = draws(ledger, CONSUME, window_after(first), **DRAW_CURSORS)
    assert seen(second) == [
        ({"lottery_session_id": None}, "missing"),
        ({"lottery_session_id": "s9"}, "missing"),
    ]


def test_new_group_with_a_null_in_its_key_owes_a_row(ledger: Ledger) -> None:
    """A new draw of no session is found by the run along the cursor that sees it first."""
    sessions(ledger)
    first = draws(ledger, CONSUME, **DRAW_CURSORS)
    draw(ledger, 9, None)
    second = draws(ledger, CONSUME, window_after(first), **DRAW_CURSORS)
    assert seen(second) == [({"lottery_session_id": None}, "missing")]


def test_sum_over_several_columns(ledger: Ledger) -> None:
    """Rows may answer together by several columns, and with several sums."""
    tables(ledger)
    for n, (session, prize) in enumerate((("a", 1), ("a", 1), ("a", 2), ("b", 1)), start=1):
        draw(ledger, n, session, prize_id=prize)
    declared = REWARD | {
        "equal": {},
        "sum": {"prize_value_points": "delta_amount", "cost_points": "account_id * 20"},
    }
    post(ledger, 1, "lottery_reward:a:1", 10, business_type="lottery_reward")
    post(ledger, 2, "lottery_reward:a:2", 5, business_type="lottery_reward")
    result = draws(ledger, declared, **DRAW_CURSORS)
    assert seen(result) == [
        ({"lottery_session_id": "a", "prize_id": 2}, "mismatched"),
        ({"lottery_session_id": "b", "prize_id": 1}, "missing"),
    ]
    assert result.findings[0].evidence["SUM(cost_points)"] == 10
    draw(ledger, 5, "a", prize_id=2)
    post(ledger, 5, "lottery_reward:b:1", 5, business_type="lottery_reward")
    ledger.sql("UPDATE asset_transactions SET delta_amount = 10 WHERE transaction_id = 2")
    second = draws(ledger, declared, window_after(result), **DRAW_CURSORS)
    assert seen(second) == [({"lottery_session_id": "b", "prize_id": 1}, "mismatched")]
    assert (second.complete, second.examined) == (False, 2)


def test_group_is_judged_when_all_of_it_has_settled(ledger: Ledger) -> None:
    """A session is young as long as one of its draws is, and old when one is older than `since`."""
    tables(ledger)
    for n, (session, at) in enumerate(
        (
            ("young", "2026-01-05 11:00:00"),
            ("young", "2026-01-05 11:59:55"),
            ("settled", "2026-01-05 11:59:49"),
            ("settled", "2026-01-05 11:59:50"),
            ("older", "2025-12-31 23:59:59"),
            ("older", "2026-01-05 11:00:00"),
        )
    ):
        draw(ledger, n, session, at=at)
    fields: dict[str, Any] = {"settle": "10s", "written_at": "at", "ledger_written_at": "at"}
    fields["since"] = datetime.fromisoformat("2026-01-01")
    with set_clock() as clock:
        assert keys(draws(ledger, CONSUME, **fields)) == [{"lottery_session_id": "settled"}]
        clock.move(6)
        found = keys(draws(ledger, CONSUME, **fields))
    assert found == [{"lottery_session_id": "settled"}, {"lottery_session_id": "young"}]


def test_ledger_rows_settle_too(ledger: Ledger) -> None:
    """Ledger rows younger than `settle` or older than `since` owe no business row; others do."""
    tables(ledger)
    times: Sequence[str | None] = (
        "2026-01-05 11:59:50",
        "2026-01-05 11:59:51",
        "2026-01-05 12:00:11",
        None,
        "2026-01-02 12:24:20",
        "2026-01-02 12:24:19",
    )
    for number, at in enumerate(times, start=1):
        post(ledger, number, f"exchange_debit_x{number}", -1, at=at)
    fields: dict[str, Any] = {"settle": "10s", "written_at": "at", "ledger_written_at": "at"}
    fields["since"] = datetime.fromisoformat("2026-01-02T20:24:20+08:00")
    with set_clock() as clock:
        assert [key[FAR] for key in keys(run(ledger, **fields))] == [1, 3, 4, 5]
        clock.move(1)
        assert [key[FAR] for key in keys(run(ledger, **fields))] == [1, 2, 4, 5]


def test_ledger_row_answers_for_a_record_of_any_age(ledger: Ledger) -> None:
    """A record before the cut-over, or too young, keeps its ledger row from being orphaned."""
    exchanges(ledger)
    ledger.sql(
        "UPDATE exchange_records SET at = '2025-01-01 00:00:00' WHERE record_id = 1",
        "UPDATE exchange_records SET at = '2026-01-05 12:00:00' WHERE record_id = 2",
        "UPDATE asset_transactions SET at = '2026-01-03 00:00:00'",
    )
    fields: dict[str, Any] = {"settle": "10s", "written_at": "at", "ledger_written_at": "at"}
    with set_clock():
        result = run(ledger, **fields, since=datetime.fromisoformat("2026-01-02"))
    assert result.violations == 0


def test_ledger_row_that_is_reached_twice_makes_up_for_no_orphan(ledger: Ledger) -> None:
    """Two records of one key find the same ledger row: that leaves another one without a record."""
    exchanges(ledger)
    ledger.sql("UPDATE exchange_records SET idempotency_key = 'k1' WHERE record_id = 2")
    assert seen(run(ledger)) == [({FAR: 2}, "orphaned")]


def test_young_ledger_row_makes_up_for_no_orphan(ledger: Ledger) -> None:
    """A ledger row that is reached, and not yet judged, does not count for one that is not."""
    exchanges(ledger)
    ledger.sql(
        "UPDATE exchange_records SET at = '2026-01-03 00:00:00'",
        "UPDATE asset_transactions SET at = '2026-01-03 00:00:00'",
        "UPDATE asset_transactions SET at = '2026-01-05 12:00:00' WHERE transaction_id = 1",
        "DELETE FROM exchange_records WHERE record_id = 2",
    )
    fields: dict[str, Any] = {"settle": "10s", "written_at": "at", "ledger_written_at": "at"}
    with set_clock():
        assert seen(run(ledger, **fields)) == [({FAR: 2}, "orphaned")]


def test_young_record_owes_nothing_yet(ledger: Ledger) -> None:
    """A record that has not settled is not missed a ledger row, whatever others are."""
    exchanges(ledger)
    record(ledger, 4, at="2026-01-05 12:00:00")
    record(ledger, 5, at="2026-01-05 11:00:00")
    fields: dict[str, Any] = {"settle": "10s", "written_at": "at", "ledger_written_at": "at"}
    with set_clock():
        assert seen(run(ledger, **fields)) == [({"record_id": 5}, "missing")]


@on_servers
@pytest.mark.parametrize("sums", [False, True])
def test_complete_run_looks_again_only_for_what_is_wrong(ledger: Ledger, *, sums: bool) -> None:
    """One reading of the records answers for both sides, whatever is young, allowed or of old."""
    tables(ledger)
    size = 2_000
    fields: dict[str, Any] = DEBIT | {
        "settle": "10s",
        "written_at": "at",
        "ledger_written_at": "at",
        "since": datetime.fromisoformat("2026-01-02"),
        "required_when": "status = 'done'",
        "allowed_when": None if sums else "status = 'shipped'",
    }
    if sums:
        fields |= {"equal": {"user_id": "accounts.user_id"}}
        fields |= {"sum": {"-pay_amount": "delta_amount"}}
    declared = check("posting", "exchange_records", **fields)
    counting = Counting(ledger.sources)

    def reads(violations: int = 0) -> int:
        ledger.sql("ANALYZE TABLE asset_transactions, exchange_records, accounts")
        assert declared.run(counting).violations == violations
        return counting.reads[-1]

    def write(first: int, at: str) -> None:
        numbers = range(first, first + size)
        columns = "record_id, idempotency_key, user_id, pay_asset_code, pay_amount, status, at"
        records = [(n, f"k{n}", 11, "POINTS", 1, "done", at) for n in numbers]
        ledger.insert("exchange_records", columns, records)

    def debit(at: str, *numbers: int) -> None:
        kind = "exchange_debit"
        columns = (
            "transaction_id, account_id, asset_code, delta_amount, business_type, idempotency_key,"
            " at"
        )
        rows = [(n, 1, "POINTS", -1, kind, f"{kind}_k{n}", at) for n in numbers]
        ledger.insert("asset_transactions", columns, rows)

    old, settled, young = "2026-01-01 00:00:00", "2026-01-05 11:00:00", "2026-01-05 12:00:00"
    with set_clock():
        write(1, settled)
        debit(settled, *range(1, size + 1))
        alone = reads()
        record(ledger, 20_001, pay_amount=1, status="done", at=young)
        debit(young, 20_002)
        record(ledger, 20_003, pay_amount=1, status="done", at=young)
        debit(settled, 20_003)
        if not sums:
            record(ledger, 20_004, pay_amount=1, status="shipped", at=settled)
            debit(settled, 20_004)
            record(ledger, 20_005, pay_amount=1, status="shipped", at=settled)
        beside = reads()
        write(10_001, old)
        with_history = reads()
        debit(settled, 30_000)
        with_orphan = reads(violations=1)
    assert beside - alone < 0.1 * size, counting.reads
    assert with_history - beside < 2.1 * size, counting.reads  # once to count them, once to pass
    assert with_orphan - with_history > 1.9 * size, counting.reads  # a ledger row, and its record


@on_any
def test_mended_rows_vanish_and_wrong_ones_stay(ledger: Ledger) -> None:
    """A run along the cursor looks at what is new and at what was wrong, and counts exactly."""
    exchanges(ledger)
    for n in range(4, 40):
        record(ledger, n)
        post(ledger, n, f"exchange_debit_k{n}", -100)
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id IN (4, 5)")
    ledger.sql("UPDATE asset_transactions SET delta_amount = 0 WHERE transaction_id IN (6, 7)")
    ledger.sql("DELETE FROM exchange_records WHERE record_id IN (8, 9)")
    first = run(ledger, **RECORD_CURSORS)
    assert [next(iter(key.values())) for key in keys(first)] == [4, 5, 6, 7, 8, 9]
    post(ledger, 4, "exchange_debit_k4", -100)
    ledger.sql("UPDATE asset_transactions SET delta_amount = -100 WHERE transaction_id = 6")
    record(ledger, 8)
    ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 20")  # for a complete run
    record(ledger, 40)
    post(ledger, 41, "exchange_debit_k41", -100)
    second = run(ledger, window_after(first), **RECORD_CURSORS)
    assert seen(second) == [
        ({"record_id": 5}, "missing"),
        ({"record_id": 7}, "mismatched"),
        ({"record_id": 40}, "missing"),
        ({FAR: 9}, "orphaned"),
        ({FAR: 41}, "orphaned"),
    ]
    assert (second.violations, second.complete, second.examined) == (5, False, 2)
    assert seen(run(ledger, window_after(second), **RECORD_CURSORS)) == seen(second)
    whole = run(ledger, **RECORD_CURSORS)
    assert (whole.violations, whole.complete) == (6, True)


@on_any
def test_new_row_of_an_old_group_brings_the_group(ledger: Ledger) -> None:
    """One new draw of an old session has the whole session summed again; a mended one vanishes."""
    sessions(ledger)
    first = draws(ledger, CONSUME, **DRAW_CURSORS)
    draw(ledger, 7, "s1")
    second = draws(ledger, CONSUME, window_after(first), **DRAW_CURSORS)
    assert (keys(second), second.complete) == ([{"lottery_session_id": "s1"}], False)
    assert second.findings[0].evidence["SUM(-cost_points)"] == -20
    for n in (8, 9):
        draw(ledger, n, f"s{n}")
        pay(ledger, n, f"s{n}", -10)
    third = draws(ledger, CONSUME, window_after(second), **DRAW_CURSORS)
    assert keys(third) == [{"lottery_session_id": "s1"}]
    ledger.sql("UPDATE asset_transactions SET delta_amount = -20 WHERE transaction_id = 1")
    fourth = draws(ledger, CONSUME, window_after(third), **DRAW_CURSORS)
    assert (fourth.violations, fourth.complete) == (0, False)


@on_any
def test_pending_row_is_judged_when_it_is_done(ledger: Ledger) -> None:
    """A row behind the cursor that was pending is judged in the run after it is done."""
    exchanges(ledger)
    record(ledger, 4, status="pending")
    for n in (5, 6):
        record(ledger, n, status="done")
        post(ledger, n, f"exchange_debit_k{n}", -100)
    fields: dict[str, Any] = {**RECORD_CURSORS, "pending": "status = 'pending'"}
    fields["required_when"] = "status = 'done' OR status IS NULL"
    first = run(ledger, **fields)
    second = run(ledger, window_after(first), **fields)
    assert (second.violations, second.examined, second.excluded["when"]) == (0, 2, 1)
    ledger.sql("UPDATE exchange_records SET status = 'done' WHERE record_id = 4")
    third = run(ledger, window_after(second), **fields)
    assert (seen(third), third.complete) == ([({"record_id": 4}, "missing")], False)


@on_any
def test_more_than_the_sample_is_counted_and_asks_for_everything(ledger: Ledger) -> None:
    """Of more violations than a sample holds all are counted, and the next run reads everything."""
    tables(ledger)
    rows = [(n, f"k{n}", 1) for n in range(SAMPLE + 5)]
    ledger.insert("exchange_records", "record_id, idempotency_key, pay_amount", rows)
    ledger.insert("lottery_draws", "draw_id, lottery_session_id, cost_points", rows)
    by_row, by_sum = run(ledger, **RECORD_CURSORS), draws(ledger, CONSUME, **DRAW_CURSORS)
    for result in (by_row, by_sum):
        assert (result.violations, len(result.findings)) == (SAMPLE + 5, SAMPLE)
        assert (result.sample_is_whole, result.cursor) == (False, None)
    ledger.sql("DELETE FROM lottery_draws WHERE draw_id < 5")
    first = draws(ledger, CONSUME, **DRAW_CURSORS)
    second = draws(ledger, CONSUME, window_after(first), **DRAW_CURSORS)
    assert (second.violations, second.complete, second.sample_is_whole) == (SAMPLE, False, True)


@on_servers
def test_unlike_collations_are_not_compared(ledger: Ledger) -> None:
    """A template column of another collation than the key is a permanent error naming both."""
    tables(ledger)
    ledger.sql(
        "ALTER TABLE exchange_records MODIFY idempotency_key varchar(100) COLLATE utf8mb4_bin"
    )
    with pytest.raises(CheckError) as caught:
        run(ledger)
    message = (
        "exchange_records.idempotency_key cannot be part of asset_transactions.idempotency_key:"
        " utf8mb4_bin against utf8mb4_unicode_ci"
    )
    assert (str(caught.value), caught.value.permanent) == (message, True)
    declared = check("posting", "exchange_records", **DEBIT)
    with ledger.sources.snapshot("ledger") as connection:
        assert list(declared.complaints(connection)) == [message]


def test_second_column_that_is_text_cannot_be_read_back(ledger: Ledger) -> None:
    """A text behind the first column is refused where keys are read backwards, and only there."""
    tables(ledger)
    fields: dict[str, Any] = {"ledger_key": "x_{record_id}_{pay_asset_code}"}
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert str(caught.value) == (
        "ledger_key: pay_asset_code is text and may hold what keeps it apart: only record_id may"
        " be; reverse = false reads no key backwards"
    )
    assert caught.value.permanent
    record(ledger, 1)
    record(ledger, 2)
    post(ledger, 1, "x_1_POINTS", -100)
    assert keys(run(ledger, **fields, reverse=False)) == [{"record_id": 2}]


@pytest.mark.parametrize("column", ["datetime", "decimal(10,2)", "double", "date", "varbinary(20)"])
@on_servers
def test_column_that_is_no_text_and_no_whole_number(ledger: Ledger, column: str) -> None:
    """A template over a time, a fraction or bytes is refused, or its keys are read back rightly."""
    tables(ledger)
    ledger.sql(f"CREATE TABLE t (id int PRIMARY KEY, k {column})")
    value = {"datetime": "2026-01-05 12:00:00", "date": "2026-01-05", "varbinary(20)": b"x"}
    ledger.insert("t", "id, k", [(1, value.get(column, "10.5"))])
    ledger.sql(
        "INSERT INTO asset_transactions (transaction_id, idempotency_key, business_type)"
        " SELECT 1, CONCAT('x_', k), 'x' FROM t"
    )
    fields: dict[str, Any] = OF_THE_LEDGER | {"through": {}, "ledger_key": "x_{k}"}
    fields["ledger_when"] = "business_type = 'x'"
    declared = check("posting", "t", **fields, primary_key="id")
    _refused_or_right(declared, ledger)


@pytest.mark.parametrize(
    "template", ["x_{lottery_session_id}-{prize_id}", "{lottery_session_id}_1{prize_id}"]
)
def test_number_that_may_hold_its_separator(ledger: Ledger, template: str) -> None:
    """A separator that a number may hold is refused, or such keys are read back rightly."""
    tables(ledger)
    for n, prize in enumerate((-5, 515, 1, 11), start=1):
        draw(ledger, n, "s", prize_id=prize)
        key = template.format(lottery_session_id="s", prize_id=prize)
        post(ledger, n, key, 5, business_type="lottery_reward")
    declared = check("posting", "lottery_draws", **REWARD | {"ledger_key": template})
    _refused_or_right(declared, ledger)


def _refused_or_right(declared: Check, ledger: Ledger) -> None:
    with ledger.sources.snapshot("ledger") as connection:
        refused = any(declared.complaints(connection))
    if refused:
        with pytest.raises(CheckError):
            declared.run(ledger.sources)
    else:
        assert declared.run(ledger.sources).findings == ()


UNITLESS = (
    "tells no time without the unit that it counts since 1970:"
    ' { column = "pay_amount", unit = "s" }, or "ms", "us", "ns"'
)
UNDATED = (
    " is missing: settle and since need the time at which a row of {} was written;"
    ' settle = "0s" judges every row at once'
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"ledger_when": None},
            "ledger_when is missing: it tells which ledger rows need a business row; reverse =",
        ),
        ({"through": {}}, "accounts.user_id: accounts is not joined; `through` says how"),
        ({"sum": {"pay_amount": "users.x"}}, "users.x: users is not joined; `through` says how"),
        ({"ledger_key": []}, "a template, or a list of them: lottery_consume:{lottery_session_id}"),
        ({"ledger_key": ["{a}", 1]}, "a template, or a list of them: lottery_consume:{lottery"),
        ({"ledger_key": ["{a}", "{a}"]}, "a template stands twice in the list"),
        ({"ledger_key": ["{a}", "b"]}, "the template names no column: {lottery_session_id}"),
        (
            {"ledger_key": ["{a}", "x_{b}"], "sum": {"pay_amount": "delta_amount"}},
            "ledger_key: with sum all keys are made of the same columns",
        ),
        (
            {"ledger_sum": {"a": "b"}, "sum": {"pay_amount": "delta_amount"}},
            "sum adds up business rows and ledger_sum ledger rows: a check does one of them",
        ),
        (
            {"required_when": "a = 1", "when": "a = 1"},
            "required_when is the former name of when: state one of them",
        ),
        ({"ledger_when": "users.x = 1"}, "users.x: users is not joined; `through` says how"),
        ({"settle": "10s"}, "written_at" + UNDATED.format("exchange_records")),
        (
            {"since": NOON, "written_at": "at"},
            "ledger_written_at" + UNDATED.format("asset_transactions"),
        ),
        ({"ledger_key": "exchange_debit_"}, "the template names no column: {lottery_session_id}"),
        ({"ledger_key": "{a}{b}"}, "between two columns there must be text that keeps them apart"),
        ({"sum": {"SUM(cost)": "delta_amount"}}, "not allowed in a condition: SUM(cost)"),
        ({"equal": {"SLEEP(1)": "delta_amount"}}, "not allowed in a condition: SLEEP(1)"),
        ({"allowed_when": "accounts.x = 1"}, "not allowed in a condition: accounts.x"),
        ({"ledger": ""}, "'' is no name"),
        ({"ledger_keys": "{a}"}, "Extra inputs are not permitted"),
    ],
)
def test_fields_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    """A mistake in the configuration is told in words before any database is asked."""
    with pytest.raises(ValidationError) as caught:
        check("posting", "exchange_records", **{**DEBIT, **fields})
    (error,) = caught.value.errors()
    assert error["msg"].removeprefix("Value error, ").startswith(message)


def test_without_reverse_no_condition_is_needed() -> None:
    """`ledger_when` and the ledger's time may be left out where no ledger row is judged."""
    fields = {"ledger_when": None, "reverse": False, "settle": "10s", "written_at": "at"}
    assert check("posting", "exchange_records", **{**DEBIT, **fields}).severity == "critical"


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"ledger": "asset_transaction"},
            "table asset_transaction does not exist, or this account",
        ),
        ({"ledger_key": "x_{order_no}"}, "table exchange_records has no column order_no"),
        (
            {"ledger_key_column": "idempotency"},
            "table asset_transactions has no column idempotency",
        ),
        ({"ledger_cursor": "seq"}, "table asset_transactions has no column seq"),
        ({"sum": {"amount": "delta_amount"}}, "table exchange_records has no column amount; the"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, fields: dict[str, Any], message: str
) -> None:
    """A table or column that is missing is a permanent error that names it."""
    tables(ledger)
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert str(caught.value).startswith(message)
    assert caught.value.permanent


@on_servers
@pytest.mark.parametrize(
    ("declared", "template"),
    [
        (CONSUME, "lottery_consume:s{n}"),
        (REWARD, "lottery_reward:s{n}:1"),
        (REWARD | {"ledger_key": "lottery_reward:{draw_id}"}, "lottery_reward:{n}"),
    ],
    ids=["sum", "text and number", "number"],
)
def test_run_along_the_cursor_does_not_read_the_table(
    ledger: Ledger, declared: dict[str, Any], template: str
) -> None:
    """A run along the cursor reads about as much of 12,000 rows as of 3,000."""
    tables(ledger)
    sums = "sum" in declared
    kind = template.partition(":")[0]
    reads, last = {}, 0
    for size in (3_000, 12_000):
        numbers = range(last + 1, size + 1)
        columns = "draw_id, lottery_session_id, user_id, prize_id, prize_value_points, cost_points"
        rows = [(n, f"s{n}", 11, 1, 5, 5) for n in numbers]
        ledger.insert("lottery_draws", columns, rows)
        columns = "transaction_id, account_id, delta_amount, business_type, idempotency_key"
        amount = -5 if sums else 5
        posted = [(n, 1, amount, kind, template.format(n=n)) for n in numbers]
        ledger.insert("asset_transactions", columns, posted)
        ledger.sql("DELETE FROM asset_transactions WHERE transaction_id = 1000")
        ledger.sql("DELETE FROM lottery_draws WHERE draw_id = 1100")
        ledger.sql("ANALYZE TABLE asset_transactions, lottery_draws, accounts")
        first = draws(ledger, declared, **DRAW_CURSORS)
        counting = Counting(ledger.sources)
        window = window_after(first, overlap_rows=100)
        result = check("posting", "lottery_draws", **{**declared, **DRAW_CURSORS}).run(
            counting, window
        )
        assert (result.violations, result.complete) == (2, False)
        (reads[size],) = counting.reads
        last = size
    assert reads[12_000] < min(3_000, 1.2 * reads[3_000] + 100), reads


@on_any
def test_magnitude_of_an_orphan_is_its_amount(ledger: Ledger) -> None:
    """A ledger row without a business row is as wrong as its amount, not as its owner's number."""
    tables(ledger)
    post(ledger, 1, "exchange_debit_nobody", -500)
    equal = {"pay_amount": "-delta_amount", "user_id": "accounts.user_id"}
    (finding,) = run(ledger, equal=equal).findings
    assert finding.magnitude == 500


@on_any
def test_aspects_tell_what_differs_and_in_which_direction(ledger: Ledger) -> None:
    """Another pair, another direction or another ledger row is another way to be wrong."""
    tables(ledger)
    record(ledger, 1)
    post(ledger, 1, "exchange_debit_k1", -90)
    equal = {"pay_amount": "-delta_amount", "pay_asset_code": "asset_code"}

    def aspects() -> tuple[str, ...]:
        (finding,) = run(ledger, equal=equal).findings
        return finding.aspects

    assert aspects() == (f"{FAR} 1", "pay_amount > -delta_amount")
    ledger.sql("UPDATE asset_transactions SET delta_amount = -110, asset_code = 'GOLD'")
    assert aspects() == (
        *(f"{FAR} 1", "pay_amount < -delta_amount", "pay_asset_code <> asset_code"),
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"equal": {"pay_asset_code": "delta_amount"}},
            (
                "equal: pay_asset_code cannot be compared with delta_amount:"
                " varchar(50) against bigint"
            ),
        ),
        (
            {"settle": "5s", "written_at": "pay_amount", "ledger_written_at": "at"},
            f"exchange_records.pay_amount is bigint, and {UNITLESS}",
        ),
    ],
)
def test_columns_that_make_no_sense_together_are_refused(
    ledger: Ledger, fields: dict[str, object], message: str
) -> None:
    """A text against a number, and a time that is none, would pass or fail for no reason."""
    tables(ledger)
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert str(caught.value).replace("(20)", "") == message
    assert caught.value.permanent


@pytest.mark.parametrize("confirmations", [0, -1, 101])
def test_confirmations_are_bounded(confirmations: int) -> None:
    """A finding is confirmed by at least one run, and not by so many that it never is."""
    with pytest.raises(ValidationError, match="confirmations"):
        check("posting", "exchange_records", **{**DEBIT, "confirmations": confirmations})


@on_servers
@pytest.mark.parametrize("collation", ["utf8mb4_unicode_ci", "utf8mb4_bin"])
def test_a_constant_has_the_collation_of_what_it_is_compared_with(
    ledger: Ledger, collation: str
) -> None:
    """A text in `equal` agrees with a column of any collation, of grouped rows, too."""
    tables(ledger)
    ledger.sql(
        "ALTER TABLE asset_transactions MODIFY asset_code varchar(50)"
        f" CHARACTER SET utf8mb4 COLLATE {collation}"
    )
    draw(ledger, 1, "s1")
    draw(ledger, 2, "s1")
    post(ledger, 1, "lottery_consume:s1", -20, business_type="lottery_consume")
    draw(ledger, 3, "s2")
    other = {"business_type": "lottery_consume", "asset_code": "GEMS"}
    post(ledger, 2, "lottery_consume:s2", -10, **other)
    constant = {"'POINTS'": "asset_code", "user_id": "accounts.user_id"}
    result = draws(ledger, CONSUME, equal=constant)
    assert seen(result) == [({"lottery_session_id": "s2"}, "mismatched")]
    assert result.findings[0].evidence["ledger asset_code"] == "GEMS"
    query = check("posting", "lottery_draws", **{**CONSUME, "equal": constant}).look()
    assert query
    assert [row[:2] for row in ledger.sql(query)] == [("business without its ledger", "s2")]


@on_servers
def test_amounts_of_any_type_are_compared_as_written(ledger: Ledger) -> None:
    """What a binary fraction or a text shows is what counts: 0.1 and 0.2 are 0.3."""
    ledger.sql(
        "CREATE TABLE sales (id bigint PRIMARY KEY, one double, other double, told varchar(20))",
        "CREATE TABLE entries (id bigint PRIMARY KEY, code varchar(20), amount decimal(20,2))",
    )
    sale = [(1, 0.1, 0.2, "0.30"), (2, 0.1, 0.2, "0.30"), (3, 0.1, 0.3, "0.40")]
    ledger.insert("sales", "id, one, other, told", sale)
    entries = [(1, "s1", "0.30"), (2, "s2", "0.31"), (3, "s3", "0.40")]
    ledger.insert("entries", "id, code, amount", entries)
    check = {
        "primary_key": "id",
        "ledger": "entries",
        "ledger_primary_key": "id",
        "ledger_key": "s{id}",
        "ledger_key_column": "code",
        "reverse": False,
        "settle": "0s",
    }
    for equal in ({"one + other": "amount"}, {"told + 0": "amount + 0"}):
        result = ledger.run("posting", "sales", **check, equal=equal)
        assert keys(result) == [{"id": 2}], equal
