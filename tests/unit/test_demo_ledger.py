"""The demonstration ledger keeps every rule and is written whole or not at all."""

import json
import pathlib
import sqlite3
from collections.abc import Iterator

import pytest

from worker.demo import ledger as demo

COUNTS = {
    "users": 11,
    "accounts": 14,
    "account_asset_balances": 11,
    "asset_transactions": 252,
    "api_idempotency_requests": 81,
    "item_instances": 163,
    "item_instance_events": 106,
    "redemption_orders": 72,
    "lottery_draws": 1,
    "consumption_records": 0,
    "exchange_records": 0,
    "market_listings": 0,
    "trade_orders": 0,
}
UNIQUE = {
    "uk_idempotency_key": ("asset_transactions", "idempotency_key"),
    "uk_account_asset_campaign": ("account_asset_balances", "account_id, asset_code, campaign_id"),
    "uk_accounts_user_id": ("accounts", "user_id"),
    "uk_accounts_system_code": ("accounts", "system_code"),
    "idempotency_key": ("api_idempotency_requests", "idempotency_key"),
    "uk_item_instance_events_business_idempotency": (
        "item_instance_events",
        "business_type, idempotency_key",
    ),
    "uk_item_instance_events_instance_idempotency": (
        "item_instance_events",
        "item_instance_id, idempotency_key",
    ),
    "code_hash": ("redemption_orders", "code_hash"),
    "uk_lottery_draws_idempotency_key": ("lottery_draws", "idempotency_key"),
    "uk_consumption_records_idempotency_key": ("consumption_records", "idempotency_key"),
    "order_no": ("exchange_records", "order_no"),
    "uk_order_no": ("exchange_records", "order_no"),
    "uk_exchange_records_idempotency_key": ("exchange_records", "idempotency_key"),
    "uk_market_listings_idempotency_key": ("market_listings", "idempotency_key"),
    "uk_market_listings_seller_idempotency": (
        "market_listings",
        "seller_user_id, idempotency_key",
    ),
    "uk_trade_orders_idempotency_key": ("trade_orders", "idempotency_key"),
    "mobile": ("users", "mobile"),
}


@pytest.fixture(name="path")
def _path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "ledger.sqlite"
    demo.build(path)
    return path


@pytest.fixture(name="ledger")
def _ledger(path: pathlib.Path) -> Iterator[sqlite3.Connection]:
    # The way the worker opens it: a file left in WAL mode could not be read like this.
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


def nothing(ledger: sqlite3.Connection, query: str) -> bool:
    return ledger.execute(query).fetchall() == []


def test_every_table_has_as_many_rows_as_the_audit_found() -> None:
    """Each audited table holds the audit's number of rows, four of them none."""
    assert {table: len(found) for table, found in demo.rows().items()} == COUNTS


def test_the_file_holds_exactly_the_rows(ledger: sqlite3.Connection) -> None:
    """What SQLite gives back equals what was put in, type by type."""
    for table, found in demo.rows().items():
        columns = ", ".join(found[0]) if found else "*"
        stored = [dict(row) for row in ledger.execute(f"SELECT {columns} FROM {table}")]
        assert sorted(stored, key=repr) == sorted(found, key=repr), table


def test_rows_refer_to_rows_that_exist(ledger: sqlite3.Connection) -> None:
    """No foreign key, declared or merely meant, points to nothing."""
    assert nothing(ledger, "PRAGMA foreign_key_check")
    for table, column in (
        ("accounts", "user_id"),
        ("api_idempotency_requests", "user_id"),
        ("item_instances", "owner_user_id"),
        ("item_instance_events", "owner_after"),
        ("redemption_orders", "redeemer_user_id"),
        ("lottery_draws", "user_id"),
    ):
        query = f"SELECT {column} FROM {table} WHERE {column} NOT IN (SELECT user_id FROM users)"
        assert nothing(ledger, query), (table, column)


def test_unique_indexes_bear_their_mysql_names(ledger: sqlite3.Connection) -> None:
    """The file's named indexes are MySQL's unique ones, each over the same columns in order."""
    found = {}
    for name, table in ledger.execute(
        "SELECT name, tbl_name FROM sqlite_master WHERE sql LIKE 'CREATE UNIQUE INDEX%'"
    ).fetchall():
        columns = ", ".join(row["name"] for row in ledger.execute(f"PRAGMA index_info({name})"))
        found[name] = (table, columns)
    assert found == UNIQUE


@pytest.mark.parametrize(("table", "columns"), UNIQUE.values(), ids=UNIQUE)
def test_keys_are_unique_even_for_mysql(
    ledger: sqlite3.Connection, table: str, columns: str
) -> None:
    """Keys stay distinct when case, outer blanks and the difference between NULLs are ignored."""
    folded = ", ".join(f"lower(trim({column}))" for column in columns.split(", "))
    # An account belongs to a user or to the system, so one of its two keys is NULL by design.
    given = f"{columns} IS NOT NULL" if table == "accounts" else "1"
    query = f"SELECT 1 FROM {table} WHERE {given} GROUP BY {folded} HAVING count(*) > 1"
    assert nothing(ledger, query)


def test_no_key_is_missing_or_too_long(ledger: sqlite3.Connection) -> None:
    """Every idempotency key has between 1 and 100 characters."""
    for table in {table for table, columns in UNIQUE.values() if "idempotency_key" in columns}:
        query = f"SELECT 1 FROM {table} WHERE length(idempotency_key) NOT BETWEEN 1 AND 100"
        assert nothing(ledger, query), table


def test_balances_are_the_sums_of_the_ledger(ledger: sqlite3.Connection) -> None:
    """Per account and asset, both amounts equal the ledger's sums, and none is negative."""
    balances = """SELECT account_id, asset_code, sum(available_amount), sum(frozen_amount)
        FROM account_asset_balances GROUP BY 1, 2 ORDER BY 1, 2"""
    sums = """SELECT account_id, asset_code, sum(delta_amount), sum(frozen_amount_change)
        FROM asset_transactions GROUP BY 1, 2 ORDER BY 1, 2"""
    held, moved = (list(map(tuple, ledger.execute(query))) for query in (balances, sums))
    assert held == moved
    negative = "SELECT 1 FROM account_asset_balances WHERE min(available_amount, frozen_amount) < 0"
    assert nothing(ledger, negative)


def test_ledger_rows_chain_up_to_the_balance(ledger: sqlite3.Connection) -> None:
    """In id order a row starts where the one before ended, and the last ends at the balance."""
    reached: dict[tuple[int, str], int] = {}
    for row in ledger.execute("SELECT * FROM asset_transactions ORDER BY transaction_id"):
        subject = (row["account_id"], row["asset_code"])
        assert row["balance_before"] == reached.get(subject, 0)
        assert row["balance_after"] == row["balance_before"] + row["delta_amount"] >= 0
        reached[subject] = row["balance_after"]
    balances = """SELECT account_id, asset_code, sum(available_amount) FROM account_asset_balances
        GROUP BY account_id, asset_code"""
    assert {(row[0], row[1]): row[2] for row in ledger.execute(balances)} == reached


def test_balances_come_with_and_without_a_campaign(ledger: sqlite3.Connection) -> None:
    """Some balances belong to a campaign and some to none, as the nullable column allows."""
    query = "SELECT count(campaign_id), count(*) FROM account_asset_balances"
    with_campaign, every = ledger.execute(query).fetchone()
    assert 0 < with_campaign < every


def test_items_are_locked_exactly_when_they_have_locks(ledger: sqlite3.Connection) -> None:
    """The 42 locked items have a non-empty array, the others every spelling of no lock."""
    spellings = set()
    for status, locks in ledger.execute("SELECT status, locks FROM item_instances"):
        assert (status == "locked") == bool(locks and json.loads(locks))
        spellings |= {locks} if status != "locked" else set()
    assert spellings == {None, "null", "[]"}
    locked = "SELECT count(*) FROM item_instances WHERE status = 'locked'"
    assert ledger.execute(locked).fetchone()[0] == 42


def test_the_draw_and_its_ledger_rows_agree(ledger: sqlite3.Connection) -> None:
    """The draw points to its cost, and cost and reward have its key, owner, asset and amounts."""
    (draw,) = ledger.execute("SELECT * FROM lottery_draws").fetchall()
    moved = """SELECT t.*, a.user_id FROM asset_transactions t JOIN accounts a USING (account_id)
        WHERE business_type LIKE 'lottery%' ORDER BY transaction_id"""
    cost, reward = ledger.execute(moved).fetchall()
    session = draw["lottery_session_id"]
    assert cost["transaction_id"] == draw["asset_transaction_id"]
    assert cost["business_type"] == "lottery_consume"
    assert cost["idempotency_key"] == f"lottery_consume:{session}"
    assert cost["delta_amount"] == -draw["cost_points"]
    assert reward["business_type"] == "lottery_reward"
    assert reward["idempotency_key"] == f"lottery_reward:{session}:{draw['prize_id']}"
    assert reward["delta_amount"] == draw["prize_value_points"]
    for row in (cost, reward):
        assert (row["lottery_session_id"], row["user_id"]) == (session, draw["user_id"])
        assert (row["asset_code"], row["created_at"]) == ("POINTS", draw["created_at"])
    assert draw["created_at"] > "2026-01-02 20:24:20", "older draws are out of scope"


def test_no_other_ledger_row_asks_for_a_business_row(ledger: sqlite3.Connection) -> None:
    """Apart from the draw, the ledger moves only what no business table records."""
    kinds = {
        row[0] for row in ledger.execute("SELECT DISTINCT business_type FROM asset_transactions")
    }
    assert kinds == {
        "opening_balance",
        "daily_sign_in",
        "admin_adjustment",
        "lottery_consume",
        "lottery_reward",
    }


def test_events_tell_how_items_got_where_they_are(ledger: sqlite3.Connection) -> None:
    """An item's events follow from each other and end at its status and owner."""
    reached: dict[int, tuple[str, int]] = {}
    for event in ledger.execute("SELECT * FROM item_instance_events ORDER BY event_id"):
        item, before = event["item_instance_id"], (event["status_before"], event["owner_before"])
        minted = (
            (None, None) if event["event_type"] == "mint" else ("available", event["owner_after"])
        )
        assert before == reached.get(item, minted)
        reached[item] = (event["status_after"], event["owner_after"])
    for item, status, owner in ledger.execute(
        "SELECT item_instance_id, status, owner_user_id FROM item_instances"
    ):
        assert reached.get(item, ("available", owner)) == (status, owner)


def test_orders_agree_with_their_items(ledger: sqlite3.Connection) -> None:
    """An item is locked while its order is pending, and used when it was fulfilled in time."""
    pairs = """SELECT DISTINCT o.status, i.status FROM redemption_orders o
        JOIN item_instances i USING (item_instance_id) ORDER BY 1"""
    assert [tuple(row) for row in ledger.execute(pairs)] == [
        ("cancelled", "available"),
        ("expired", "expired"),
        ("fulfilled", "used"),
        ("pending", "locked"),
    ]
    late = """SELECT 1 FROM redemption_orders
        WHERE (status = 'fulfilled') != (fulfilled_at IS NOT NULL)
        OR fulfilled_at NOT BETWEEN created_at AND expires_at
        OR (status = 'pending' AND expires_at < '2026-01-05 12:00:00')"""
    assert nothing(ledger, late)


def test_requests_are_finished_and_live_seven_days(ledger: sqlite3.Connection) -> None:
    """Requests are completed or failed, none in processing, and none is past its expiry."""
    statuses = "SELECT DISTINCT status FROM api_idempotency_requests ORDER BY 1"
    assert [row[0] for row in ledger.execute(statuses)] == ["completed", "failed"]
    odd = """SELECT 1 FROM api_idempotency_requests WHERE completed_at < created_at
        OR expires_at != datetime(created_at, '+7 days') OR expires_at < '2026-01-05 12:00:00'"""
    assert nothing(ledger, odd)


def test_all_happened_before_the_audit_and_ids_follow_time() -> None:
    """Times other than expiries lie between December 2025 and the audit, never before creation."""
    for table, found in demo.rows().items():
        times = [(str(row["created_at"]), str(row.get("updated_at", "9"))) for row in found]
        for created, updated in times:
            assert "2025-12-01 00:00:00" <= created <= min(updated, "2026-01-05 23:59:59")
            assert updated == "9" or updated <= "2026-01-05 23:59:59"
        if table in {"asset_transactions", "item_instance_events", "api_idempotency_requests"}:
            assert times == sorted(times), table


def test_rows_are_the_same_every_time() -> None:
    """Two calls give equal rows that share nothing a caller could change."""
    first, second = demo.rows(), demo.rows()
    assert first == second
    first["users"][0]["nickname"] = "changed"
    assert demo.rows() == second


class Interrupted(list[dict[str, object]]):
    """Rows that end like a process stopped by Ctrl-C."""

    def __iter__(self) -> Iterator[dict[str, object]]:
        """Give the first rows only."""
        yield from self[:3]
        raise KeyboardInterrupt


def test_an_interrupted_build_leaves_the_old_file(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped halfway, a build changes no byte of the file and leaves nothing beside it."""
    before = path.read_bytes()
    half = demo.rows()
    half["redemption_orders"] = Interrupted(half["redemption_orders"])
    monkeypatch.setattr(demo, "rows", lambda: half)
    with pytest.raises(KeyboardInterrupt):
        demo.build(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_build_replaces_a_changed_file_and_its_leftovers(path: pathlib.Path) -> None:
    """A rebuild undoes every change, even one that sits in a write-ahead log."""
    fresh = path.read_bytes()
    changing = sqlite3.connect(path)
    changing.execute("PRAGMA journal_mode = WAL")
    changing.execute("DELETE FROM redemption_orders")
    changing.commit()
    assert path.with_name("ledger.sqlite-wal").exists()
    demo.build(path)
    assert path.read_bytes() == fresh
    assert list(path.parent.iterdir()) == [path]
    changing.close()
