"""The faults of `reconciler demo --faults`: one for each kind of check, and how they are mended.

Mending writes the sound ledger over the whole file, so that nothing of a fault can stay behind,
whatever became of the process that made it.
"""

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from worker.demo.ledger import fill, header, is_built_here

LOCK_WAIT = 3.0
"""Seconds a write waits for readers; a stop has the time for two writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a ledger goes wrong."""

    name: str
    kind: str
    """The kind of check that it is about."""
    table: str
    breaks: str
    """The SQL that puts it into the demo ledger, run in one transaction."""
    trips: tuple[str, ...]
    """Exactly the checks of the shipped configuration that then fail."""


FAULTS = (
    Fault(
        name="a retired table is back",
        kind="tables",
        table="points_transactions",
        breaks="CREATE TABLE points_transactions (id bigint NOT NULL PRIMARY KEY)",
        trips=("points_transactions.tables",),
    ),
    Fault(
        name="a retired column is back",
        kind="columns",
        table="asset_transactions",
        breaks="ALTER TABLE asset_transactions ADD COLUMN business_id varchar(100)",
        trips=("asset_transactions.columns",),
    ),
    Fault(
        name="a unique index is gone",
        kind="unique_index",
        table="redemption_orders",
        breaks="DROP INDEX code_hash",
        trips=("redemption_orders.unique_index.code_hash",),
    ),
    Fault(
        name="a balance is there twice",
        kind="duplicates",
        table="account_asset_balances",
        # The unique index lets it in, because a campaign_id of NULL differs from every other.
        breaks="""INSERT INTO account_asset_balances (balance_id, account_id, asset_code)
            SELECT 900001, account_id, asset_code FROM account_asset_balances
            WHERE balance_id = 1""",
        trips=("account_asset_balances.duplicates.account_id.asset_code.campaign_id",),
    ),
    Fault(
        name="a ledger row has a blank idempotency key",
        kind="blank",
        table="asset_transactions",
        breaks="UPDATE asset_transactions SET idempotency_key = ' ' WHERE transaction_id = 7",
        trips=("asset_transactions.blank.idempotency_key",),
    ),
    Fault(
        name="an account is overdrawn",
        kind="non_negative",
        table="account_asset_balances",
        # With its ledger row: the books agree, and show that more was spent than was there.
        breaks="""INSERT INTO asset_transactions (transaction_id, account_id, asset_code,
                delta_amount, balance_before, balance_after, business_type, idempotency_key,
                created_at)
            SELECT 900001, account_id, asset_code, -available_amount - 5, available_amount, -5,
                'admin_adjustment', 'admin_adjustment:overdrawn', updated_at
            FROM account_asset_balances WHERE balance_id = 1;
            UPDATE account_asset_balances SET available_amount = -5 WHERE balance_id = 1""",
        trips=("account_asset_balances.non_negative",),
    ),
    Fault(
        name="a locked item has lost its lock",
        kind="condition",
        table="item_instances",
        breaks="""UPDATE item_instances SET locks = '[]' WHERE item_instance_id =
            (SELECT min(item_instance_id) FROM item_instances WHERE status = 'locked')""",
        trips=("item_instances.locked_with_locks",),
    ),
    Fault(
        name="a draw names a ledger row that does not exist",
        kind="reference",
        table="lottery_draws",
        breaks="UPDATE lottery_draws SET asset_transaction_id = 900001",
        trips=("lottery_draws.asset_transaction_id",),
    ),
    Fault(
        name="a prize was posted with another amount than was won",
        kind="posting",
        table="lottery_draws",
        breaks="UPDATE lottery_draws SET prize_value_points = prize_value_points * 10",
        trips=("lottery_draws.reward_posting",),
    ),
    Fault(
        name="a balance was raised without a ledger row",
        kind="balance",
        table="account_asset_balances",
        breaks="""UPDATE account_asset_balances SET available_amount = available_amount + 1000
            WHERE balance_id = 2""",
        trips=("account_asset_balances.ledger_balance",),
    ),
    Fault(
        name="a seller was paid and no buyer paid",
        kind="conservation",
        table="asset_transactions",
        # With its balance: the books agree, and show an asset that came from nowhere.
        breaks="""INSERT INTO asset_transactions (transaction_id, account_id, asset_code,
                delta_amount, balance_before, balance_after, business_type, idempotency_key,
                created_at)
            SELECT 900002, account_id, asset_code, 30, available_amount, available_amount + 30,
                'market_purchase_seller_credit', 'market_purchase_seller_credit_900001', updated_at
            FROM account_asset_balances WHERE balance_id = 1;
            UPDATE account_asset_balances SET available_amount = available_amount + 30
            WHERE balance_id = 1""",
        trips=("asset_transactions.market_conserved", "trade_orders.seller_credit_posting"),
    ),
    Fault(
        name="a listing is sold and nobody bought it",
        kind="aggregate",
        table="market_listings",
        breaks="""INSERT INTO market_listings (listing_id, idempotency_key, listing_kind,
                seller_user_id, offer_asset_code, offer_amount, price_amount, status)
            VALUES (900002, 'listing:900002', 'fungible_asset', 1, 'DIAMOND', 30, 100, 'sold')""",
        trips=("market_listings.sold_once",),
    ),
    Fault(
        name="an item is free while its voucher waits",
        kind="query",
        table="redemption_orders",
        breaks="""UPDATE item_instances SET status = 'available', locks = '[]'
            WHERE item_instance_id =
                (SELECT min(item_instance_id) FROM redemption_orders WHERE status = 'pending')""",
        trips=("redemption_orders.item_is_held",),
    ),
    Fault(
        name="a listing offers diamonds that are not frozen",
        kind="backing",
        table="account_asset_balances",
        breaks="""INSERT INTO market_listings (listing_id, idempotency_key, listing_kind,
                seller_user_id, offer_asset_code, offer_amount, price_amount, seller_offer_frozen)
            VALUES (900001, 'listing:900001', 'fungible_asset', 1, 'DIAMOND', 30, 100, 1)""",
        trips=("account_asset_balances.frozen_backing",),
    ),
    Fault(
        name="a request never ends",
        kind="stuck",
        table="api_idempotency_requests",
        breaks="UPDATE api_idempotency_requests SET status = 'processing' WHERE request_id = 40",
        trips=("api_idempotency_requests.stuck",),
    ),
    Fault(
        name="a client makes keys of its own",
        kind="key_format",
        table="lottery_draws",
        breaks="UPDATE lottery_draws SET idempotency_key = 'draw 1'",
        trips=("lottery_draws.key_format.idempotency_key",),
    ),
    Fault(
        name="a handler fails for everybody",
        kind="idempotency_requests",
        table="api_idempotency_requests",
        # They came in just now: DATETIME is Beijing time.
        breaks="""WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)
            INSERT INTO api_idempotency_requests (request_id, idempotency_key, api_path,
                http_method, request_hash, user_id, status, created_at, expires_at)
            SELECT 900000 + i, 'exchange_' || (900000 + i), '/api/v4/exchange', 'POST', 'x', 1,
                'failed', datetime('now', '+8 hours'), datetime('now', '+8 days')
            FROM n""",
        trips=("api_idempotency_requests.failures",),
    ),
    Fault(
        name="all balances are gone",
        kind="row_count",
        table="account_asset_balances",
        breaks="DELETE FROM account_asset_balances",
        trips=("account_asset_balances.row_count", "account_asset_balances.ledger_balance"),
    ),
)
"""In the order in which they come."""


class NoDemoError(Exception):
    """The file is not a ledger that `demo` has built; it is left as it is."""


def told_by(checks: Iterable[str]) -> tuple[Fault, ...]:
    """The faults that some of these checks tell of, each with just those of them that do."""
    known = set(checks)
    narrowed = (replace(f, trips=tuple(c for c in f.trips if c in known)) for f in FAULTS)
    return tuple(fault for fault in narrowed if fault.trips)


def inject(path: Path, fault: Fault) -> None:
    """Put a fault into the demo ledger, whole or not at all. Raises sqlite3.Error, NoDemoError."""
    with closing(_opened(path)) as ledger:
        ledger.executescript(f"BEGIN IMMEDIATE; {fault.breaks}; PRAGMA user_version = 1; COMMIT")


def mend(path: Path) -> None:
    """Make the demo ledger sound again, in place. Raises sqlite3.Error, NoDemoError."""
    deadline = time.monotonic() + LOCK_WAIT

    def give_up(status: int, _left: int, _all: int) -> None:  # else it tries for ever
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    with closing(sqlite3.connect(":memory:")) as sound, closing(_opened(path)) as ledger:
        fill(sound)
        sound.backup(ledger, progress=give_up)


def is_left_in(path: Path) -> bool:
    """Whether a process that was killed left a fault, or half a write, in a demo ledger."""
    if not is_built_here(path):
        return False
    return header(path)[1] != 0 or path.with_name(f"{path.name}-journal").exists()


def _opened(path: Path) -> sqlite3.Connection:
    if not is_built_here(path):
        raise NoDemoError(f"{path} was not built by `reconciler demo`")
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=LOCK_WAIT)
