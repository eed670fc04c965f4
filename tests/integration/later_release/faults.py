"""Faults to plant in the ledger in order, each with all that the audit must find of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.integration.later_release.application import (
    BURN,
    ESCROW,
    MINT,
    POINTS,
    QUOTA,
    STONE,
    Application,
    Row,
    account_of,
)

LEDGER, BALANCES = "asset_transactions", "account_asset_balances"
COUNTERPARTS, SUMS = f"{LEDGER}.counterparts", f"{LEDGER}.sum_by_asset"
BALANCE, BACKING = f"{BALANCES}.ledger_balance", f"{BALANCES}.frozen_backing"

Key = object
"""What a finding is identified by: a value, or a tuple of those of several columns."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A way to spoil the ledger."""

    what: str
    plant: tuple[str, ...]
    found: Mapping[str, tuple[Key, ...]]
    """Exactly the findings of each check that fails."""


def rounds(app: Application) -> tuple[tuple[Fault, ...], ...]:
    """Faults that can be planted side by side: none is seen in the findings of another."""
    return (
        (*_of_the_ledger(app), *_of_draws(app), *_of_receipts(app), *_of_exchanges(app)),
        (*_of_bids(app), *_of_works(app), *_of_items(app), *_of_products(app), *_of_requests(app)),
        (*_of_vocabulary(app), *_of_time(app), *_of_keys(app), _of_every_draw(app)),
    )


# Double entry, balances ---------------------------------------------------------------------------


def _of_the_ledger(app: Application) -> Iterator[Fault]:
    lost, *_ = _entries(app, "lottery_reward")
    yield Fault(
        what="a deleted counterpart",
        plant=(f"DELETE FROM {LEDGER} WHERE idempotency_key = '{_key(lost)}:counterpart'",),
        found={COUNTERPARTS: (_id(lost),), SUMS: (POINTS,)},
    )
    lost, *_ = _entries(app, "diy_freeze", asset_code="red_shard")
    yield Fault(
        what="a deleted counterpart of an escrow",
        plant=(f"DELETE FROM {LEDGER} WHERE idempotency_key = '{_key(lost)}:escrow_counterpart'",),
        found={COUNTERPARTS: (_id(lost),), SUMS: ("red_shard",)},
    )
    alone, *_ = _entries(app, "consumption_reward_counterpart")
    original = app.the(LEDGER, idempotency_key=_key(alone).removesuffix(":counterpart"))
    yield Fault(
        what="a counterpart of nothing",
        plant=(_update(alone, idempotency_key="nothing:counterpart"),),
        found={COUNTERPARTS: (_id(original), _id(alone))},
    )
    wrong, *_ = _entries(app, "consumption_quota_counterpart")
    original = app.the(LEDGER, idempotency_key=_key(wrong).removesuffix(":counterpart"))
    yield Fault(
        what="a counterpart on another account than the row says",
        plant=(_update(wrong, account_id=BURN),),
        found={COUNTERPARTS: (_id(original),)},
    )
    wrong = _entries(app, "consumption_quota_counterpart")[1]
    yield Fault(
        what="a row of a system account with a balance",
        plant=(_update(wrong, balance_after=7),),
        found={f"{LEDGER}.system_without_balance": (_id(wrong),)},
    )
    yield Fault(
        what="a system account with a balance row",
        plant=(_balance_row(9001, BURN, STONE),),
        found={f"{BALANCES}.account_id": (9001,), BALANCE: ((BURN, STONE),)},
    )
    yield Fault(
        what="three balances that differ from the ledger",
        plant=tuple(
            f"UPDATE {BALANCES} SET available_amount = available_amount + {user}"
            f" WHERE account_id = {account_of(user)} AND asset_code = '{POINTS}'"
            for user in (1, 2, 3)
        ),
        found={BALANCE: tuple((account_of(user), POINTS) for user in (1, 2, 3))},
    )
    yield Fault(
        what="a negative balance",
        plant=(
            (
                f"UPDATE {BALANCES} SET available_amount = -1"
                f" WHERE account_id = {account_of(4)} AND asset_code = '{POINTS}'"
            ),
        ),
        found={
            BALANCE: ((account_of(4), POINTS),),
            f"{BALANCES}.non_negative": (_balance(app, 4, POINTS)["account_asset_balance_id"],),
        },
    )
    broken = _entries(app, "lottery_consume", account_id=account_of(5))[1]
    yield Fault(
        what="ledger rows that do not chain",
        plant=(
            _update(
                broken,
                balance_before=broken["balance_before"] + 1,
                balance_after=broken["balance_after"] + 1,
            ),
        ),
        found={BALANCE: ((account_of(5), POINTS),)},
    )
    spent, *_ = _entries(app, "ad_daily_deduct")
    yield Fault(
        what="an empty idempotency key",
        plant=(_update(spent, idempotency_key=""),),
        found={f"{LEDGER}.blank.idempotency_key": (_id(spent),)},
    )
    yield Fault(
        what="an orphan freeze of 3,480 points",
        plant=_posted(
            app, 6, POINTS, -3480, kind="market_freeze", key="market_freeze_1", frozen=3480
        ),
        found={BACKING: ((6, POINTS),)},
    )


# Draws --------------------------------------------------------------------------------------------


def _of_draws(app: Application) -> Iterator[Fault]:
    draws = app.where("lottery_draws", lottery_campaign_id=7)
    points = [draw for draw in draws if draw["prize_type"] == "points"]
    material = [draw for draw in draws if draw["prize_type"] == "material"]
    cost, gone, value = points[0], points[2], points[3]
    yield Fault(
        what="a draw that cost more than was paid",
        plant=(_draw(cost, "cost_points = cost_points + 1"),),
        found={"lottery_draws.cost_posting": (_request(cost),)},
    )
    yield Fault(
        what="a draw that names another draw's ledger row",
        plant=(_draw(gone, f"asset_transaction_id = {cost['asset_transaction_id']}"),),
        found={"lottery_draws.asset_transaction_id": (gone["lottery_draw_id"],)},
    )
    yield Fault(
        what="a prize of points that was paid with another amount",
        plant=(_draw(value, "prize_value_points = prize_value_points + 1"),),
        found={"lottery_draws.points_posting": (value["lottery_draw_id"],)},
    )
    other = 71 if material[0]["lottery_campaign_prize_id"] == 72 else 72
    yield Fault(
        what="a material prize that was paid with another amount",
        plant=(_draw(material[0], f"lottery_campaign_prize_id = {other}"),),
        found={"lottery_draws.material_posting": (material[0]["lottery_draw_id"],)},
    )
    yield Fault(
        what="a quota that was deducted with another amount",
        plant=(_draw(material[1], "points_deducted = points_deducted + 1"),),
        found={"lottery_draws.quota_posting": (material[1]["lottery_draw_id"],)},
    )
    unpaid = material[2]
    leg = app.the(LEDGER, idempotency_key=f"{unpaid['idempotency_key']}:reward_0:material")
    yield Fault(
        what="a material prize that was not paid, and a leg without a draw",
        plant=_renamed(leg, "nobody:reward_0:reward_0:material"),
        found={"lottery_draws.material_posting": (unpaid["lottery_draw_id"], _id(leg))},
    )
    session = next(each for each in reversed(points) if len(_same_session(app, each)) > 1)
    yield Fault(
        what="a draw of a session that the ledger does not know",
        plant=(_draw(session, "lottery_session_id = 'nowhere'"),),
        found={
            "lottery_draws.lottery_session_id": (session["lottery_draw_id"],),
            "lottery_draws.asset_transaction_id": (session["lottery_draw_id"],),
        },
    )
    undecided = points[5]["lottery_draw_id"]
    yield Fault(
        what="a draw without a decision",
        plant=(f"DELETE FROM lottery_draw_decisions WHERE lottery_draw_id = '{undecided}'",),
        found={"lottery_draws.decision": (undecided,)},
    )
    yield Fault(
        what="a debt that is called cleared, and is not",
        plant=("UPDATE preset_budget_debt SET status = 'cleared' WHERE preset_budget_debt_id = 2",),
        found={"preset_budget_debt.cleared": (2,)},
    )
    odd = points[6]["lottery_draw_id"]
    yield Fault(
        what="a draw whose key is not made of its request's",
        plant=(_draw(points[6], f"idempotency_key = '{_request(points[6])}'"),),
        found={
            "lottery_draws.key_format.idempotency_key": (odd,),
            "lottery_draws.points_posting": (odd, *_legs(app, points[6])),
        },
    )


def _same_session(app: Application, draw: Row) -> list[Row]:
    return app.where("lottery_draws", lottery_session_id=draw["lottery_session_id"])


def _request(draw: Row) -> str:
    return str(draw["idempotency_key"]).rsplit(":reward_", 1)[0]


def _legs(app: Application, draw: Row) -> tuple[Key, ...]:
    key = f"{draw['idempotency_key']}:reward_0:points"
    return (_id(app.the(LEDGER, idempotency_key=key)),)


def _draw(draw: Row, change: str) -> str:
    return f"UPDATE lottery_draws SET {change} WHERE lottery_draw_id = '{draw['lottery_draw_id']}'"


# Receipts -----------------------------------------------------------------------------------------


def _of_receipts(app: Application) -> Iterator[Fault]:
    table = "consumption_records"
    first, second, third, fourth, fifth, *_ = app.where(table, status="approved")
    yield Fault(
        what="a receipt that was approved with other points than were paid",
        plant=(_receipt(first, "points_to_award = points_to_award + 1"),),
        found={
            f"{table}.reward_posting": (_number(first),),
            f"{table}.reward_transaction_id": (_number(first),),
        },
    )
    for leg, record in (("budget", second), ("quota", third)):
        kind = f"consumption_{leg}"
        entry = app.the(LEDGER, idempotency_key=f"{kind}:approve:{_number(record)}")
        yield Fault(
            what=f"a receipt without its leg of the {leg}",
            plant=_renamed(entry, f"{kind}:approve:9{leg[0]}"),
            found={f"{table}.{leg}_posting": (_number(record), _id(entry))},
        )
    other, *_ = _entries(app, "lottery_consume", account_id=account_of(fourth["user_id"]))
    yield Fault(
        what="a receipt that names a ledger row of something else",
        plant=(_receipt(fourth, f"reward_transaction_id = {_id(other)}"),),
        found={f"{table}.reward_transaction_id": (_number(fourth),)},
    )
    yield Fault(
        what="a receipt of another user",
        plant=(_receipt(fifth, "user_id = 404"),),
        found={
            f"{table}.{each}": (_number(fifth),)
            for each in (
                "reward_posting",
                "budget_posting",
                "quota_posting",
                "reward_transaction_id",
            )
        },
    )


def _number(record: Row) -> int:
    return int(record["consumption_record_id"])


def _receipt(record: Row, change: str) -> str:
    number = _number(record)
    return f"UPDATE consumption_records SET {change} WHERE consumption_record_id = {number}"


# Exchanges ----------------------------------------------------------------------------------------


def _of_exchanges(app: Application) -> Iterator[Fault]:
    table = "exchange_records"
    orders = [each for each in app.where(table, source="exchange") if each["user_id"] != 404]
    old = [each for each in orders if each["debit_transaction_id"] is None]
    new = [each for each in orders if each["debit_transaction_id"] is not None]
    refunds = {_key(each) for each in _entries(app, "exchange_admin_refund")}
    given_back = [
        each
        for each in new
        if each["status"] == "refunded"
        and f"exchange_admin_refund_{each['order_no']}" not in refunds
    ]
    kept = [each for each in new if each["status"] == "completed"]
    yield Fault(
        what="paid exchanges that do not note which ledger row paid them",
        plant=tuple(_order(each, "debit_transaction_id = NULL") for each in kept[:3]),
        found={f"{table}.debit_noted": tuple(_order_id(each) for each in kept[:3])},
    )
    yield Fault(
        what="a ledger debit without an exchange",
        plant=_posted(app, 7, POINTS, -50, kind="exchange_debit", key="exchange_debit_nobody"),
        found={f"{table}.debit_posting": (_last(app),)},
    )
    cost = kept[3]
    yield Fault(
        what="an exchange that cost something else than was paid",
        plant=(_order(cost, "pay_amount = pay_amount + 1"),),
        found={
            f"{table}.debit_posting": (_order_id(cost),),
            f"{table}.debit": (_order_id(cost),),
        },
    )
    one, other = _alike(kept[4:])
    yield Fault(
        what="two exchanges of one amount that name each other's debit",
        plant=(
            _order(one, f"debit_transaction_id = {other['debit_transaction_id']}"),
            _order(other, f"debit_transaction_id = {one['debit_transaction_id']}"),
        ),
        found={f"{table}.debit": (_order_id(one), _order_id(other))},
    )
    unpaid = app.the(LEDGER, idempotency_key=f"exchange_debit_{old[0]['idempotency_key']}")
    yield Fault(
        what="an exchange of the older release that nobody paid",
        plant=_renamed(unpaid, "exchange_debit_nowhere"),
        found={
            f"{table}.debit_posting": (_order_id(old[0]), _id(unpaid)),
            f"{table}.debit": (_order_id(old[0]),),
        },
    )
    twice = given_back[0]
    yield Fault(
        what="a refund by both paths",
        plant=_posted(
            app,
            twice["user_id"],
            twice["pay_asset_code"],
            twice["pay_amount"],
            kind="exchange_admin_refund",
            key=f"exchange_admin_refund_{twice['order_no']}",
        ),
        found={f"{table}.refunded": (_order_id(twice),)},
    )
    refund = app.the(LEDGER, idempotency_key=f"exchange_refund_{given_back[1]['order_no']}")
    yield Fault(
        what="an exchange that is called refunded, and a refund of nothing",
        plant=_renamed(refund, "exchange_refund_EX9"),
        found={
            f"{table}.refund_posting": (_order_id(given_back[1]), _id(refund)),
        },
    )
    moved = old[1]
    yield Fault(
        what="an exchange in a state that no event led to",
        plant=(_order(moved, "status = 'shipped'"),),
        found={f"{table}.last_event": (_order_id(moved),)},
    )


def _order_id(order: Row) -> int:
    return int(order["exchange_record_id"])


def _order(order: Row, change: str) -> str:
    return f"UPDATE exchange_records SET {change} WHERE exchange_record_id = {_order_id(order)}"


def _alike(orders: list[Row]) -> tuple[Row, Row]:
    """Two orders of one user, amount and asset."""
    return next(
        (one, other)
        for one in orders
        for other in orders
        if one is not other
        and all(one[name] == other[name] for name in ("user_id", "pay_amount", "pay_asset_code"))
    )


# Bids ---------------------------------------------------------------------------------------------


def _of_bids(app: Application) -> Iterator[Fault]:
    table = "bid_records"
    settled, _, running, shards, other, _ = app.rows["bid_products"]
    loser, *_ = _bids(app, settled, 0)
    yield Fault(
        what="two winners of one product",
        plant=(_bid(loser, "is_winning = 1"),),
        found={
            f"{table}.duplicates.bid_product_id": (settled["bid_product_id"],),
            f"{table}.unfreeze_posting": _of_key(app, f"bid_unfreeze_{_bid_id(loser)}_"),
        },
    )
    (winner,) = _bids(app, running, 1)
    yield Fault(
        what="an altered amount in a bid",
        plant=(_bid(winner, "bid_amount = bid_amount + 5"),),
        found={
            f"{table}.freeze_posting": (_bid_id(winner),),
            f"{table}.freeze_transaction_id": (_bid_id(winner),),
            BACKING: ((winner["user_id"], STONE),),
            "bid_products.bids": (running["bid_product_id"],),
        },
    )
    (winner,) = _bids(app, shards, 1)
    yield Fault(
        what="a product that is paid in another asset than was frozen",
        plant=(
            (
                f"UPDATE bid_products SET price_asset_code = '{STONE}'"
                f" WHERE bid_product_id = {shards['bid_product_id']}"
            ),
        ),
        found={
            f"{table}.freeze_posting": (_bid_id(winner),),
            f"{table}.freeze_transaction_id": (_bid_id(winner),),
            BACKING: ((winner["user_id"], STONE), (winner["user_id"], "red_shard")),
        },
    )
    outbid, *_ = _bids(app, other, 0)
    (unfreeze,) = _of_key(app, f"bid_unfreeze_{_bid_id(outbid)}_")
    yield Fault(
        what="a bid that was outbid and stayed frozen, and an unfreeze of no bid",
        plant=_renamed(app.the(LEDGER, asset_transaction_id=unfreeze), "bid_unfreeze_99_1"),
        found={f"{table}.unfreeze_posting": (_bid_id(outbid), unfreeze)},
    )
    counted = app.rows["bid_products"][1]
    yield Fault(
        what="a count of bids that is not theirs",
        plant=(
            (
                "UPDATE bid_products SET bid_count = 9"
                f" WHERE bid_product_id = {counted['bid_product_id']}"
            ),
        ),
        found={"bid_products.bids": (counted["bid_product_id"],)},
    )
    (winner,) = _bids(app, counted, 1)
    yield Fault(
        what="a winner who did not pay",
        plant=_renamed(
            app.the(LEDGER, idempotency_key=f"bid_settle_{_bid_id(winner)}"), "bid_settle_98"
        ),
        found={
            f"{table}.settle_posting": (
                _bid_id(winner),
                *_of_key(app, f"bid_settle_{_bid_id(winner)}"),
            ),
        },
    )


def _bids(app: Application, product: Row, is_winning: int) -> list[Row]:
    number = product["bid_product_id"]
    found = app.where("bid_records", bid_product_id=number, is_winning=is_winning)
    return [each for each in found if each["idempotency_key"] != "test_bid"]


def _bid_id(bid: Row) -> int:
    return int(bid["bid_record_id"])


def _bid(bid: Row, change: str) -> str:
    return f"UPDATE bid_records SET {change} WHERE bid_record_id = {_bid_id(bid)}"


# Works and advertising ----------------------------------------------------------------------------


def _of_works(app: Application) -> Iterator[Fault]:
    work = app.rows["diy_works"][0]
    yield Fault(
        what="a work that needs more than was frozen for it",
        plant=(
            (
                """UPDATE diy_works SET total_cost = '[{"asset_code": "star_stone", "amount": 8},"""
                """ {"asset_code": "red_shard", "amount": 12}]' WHERE diy_work_id = 1"""
            ),
        ),
        found={BACKING: ((work["account_id"] - 100, STONE),)},
    )
    yield Fault(
        what="a campaign that spent more than it was billed",
        plant=("UPDATE ad_campaigns SET budget_spent_star_stone = 60 WHERE ad_campaign_id = 3",),
        found={"ad_campaigns.budget_spent": (3,)},
    )
    campaign = app.rows["ad_campaigns"][1]
    yield Fault(
        what="a campaign whose budget is not what was frozen",
        plant=("UPDATE ad_campaigns SET budget_total_star_stone = 81 WHERE ad_campaign_id = 2",),
        found={BACKING: ((campaign["advertiser_user_id"], STONE),)},
    )
    bill = app.the("ad_billing_records", billing_type="refund")
    yield Fault(
        what="a bill that names no ledger row",
        plant=(
            (
                "UPDATE ad_billing_records SET asset_transaction_id = 0"
                f" WHERE ad_billing_record_id = {bill['ad_billing_record_id']}"
            ),
        ),
        found={
            "ad_billing_records.asset_transaction_id": (
                bill["ad_billing_record_id"],
                bill["asset_transaction_id"],
            ),
        },
    )


# Items --------------------------------------------------------------------------------------------


def _of_items(app: Application) -> Iterator[Fault]:
    items = [each for each in app.rows["items"] if each["source"] == "exchange"]
    free = [each for each in items if each["status"] == "available"]
    handed_on = items[0]["item_id"]
    lost = app.the("item_ledger", item_id=handed_on, event_type="transfer", delta=-1)
    yield Fault(
        what="half of a movement of an item is gone",
        plant=(f"DELETE FROM item_ledger WHERE ledger_entry_id = {lost['ledger_entry_id']}",),
        found={
            "item_ledger.sum_by_item": (handed_on,),
            "item_ledger.movements": (
                (handed_on, str(lost["idempotency_key"]).removesuffix(":out")),
            ),
            "items.owner_account_id": ((handed_on, lost["account_id"]),),
        },
    )
    yield Fault(
        what="an item of another owner than its ledger knows",
        plant=(_item(free[3], f"owner_account_id = {account_of(11)}"),),
        found={
            "items.owner_account_id": (
                free[3]["item_id"],
                (free[3]["item_id"], free[3]["owner_account_id"]),
            ),
        },
    )
    twice = free[4]
    yield Fault(
        what="an item that was minted twice",
        plant=tuple(
            "INSERT INTO item_ledger (ledger_entry_id, item_id, account_id, delta, counterpart_id,"
            " event_type, idempotency_key, created_at)"
            f" VALUES ({number}, {twice['item_id']}, {account}, {delta}, {other}, 'mint',"
            f" 'mint_again:{side}', '2026-07-01')"
            for number, account, delta, other, side in (
                (9001, MINT, -1, twice["owner_account_id"], "out"),
                (9002, twice["owner_account_id"], 1, MINT, "in"),
            )
        ),
        found={
            "item_movements.duplicates.item_id": (twice["item_id"],),
            "items.owner_account_id": (twice["item_id"],),
        },
    )
    held = [each for each in items if each["status"] == "held"]
    hold = app.the("item_holds", item_id=held[0]["item_id"])
    yield Fault(
        what="two active holds of one item",
        plant=(
            (
                "INSERT INTO item_holds"
                " (hold_id, item_id, hold_type, holder_ref, status, created_at)"
                f" VALUES (9001, {hold['item_id']}, 'security', 'again', 'active', '2026-07-01')"
            ),
        ),
        found={"holds.duplicates.item_id": (hold["item_id"],)},
    )
    hold = app.the("item_holds", item_id=held[-1]["item_id"])
    yield Fault(
        what="an item that is held, and no hold of it is active",
        plant=(f"UPDATE item_holds SET status = 'released' WHERE hold_id = {hold['hold_id']}",),
        found={"items.held": (held[-1]["item_id"],)},
    )
    yield Fault(
        what="a voucher of an item that is not held, and an active hold of it",
        plant=(_item(held[1], "status = 'available'"),),
        found={
            "items.held": (app.the("item_holds", item_id=held[1]["item_id"])["hold_id"],),
            "redemption_orders.item_id": (
                app.the("redemption_orders", item_id=held[1]["item_id"])["redemption_order_id"],
            ),
        },
    )


def _item(item: Row, change: str) -> str:
    return f"UPDATE items SET {change} WHERE item_id = {item['item_id']}"


# Products -----------------------------------------------------------------------------------------


def _of_products(app: Application) -> Iterator[Fault]:
    table = "exchange_items"
    for number, name in (
        (1, "stock"),
        (2, "sold_count"),
        (3, "min_cost_amount"),
        (3, "max_cost_amount"),
    ):
        yield Fault(
            what=f"a product whose {name} is not that of its SKUs",
            plant=(f"UPDATE {table} SET {name} = {name} + 1 WHERE exchange_item_id = {number}",),
            found={f"{table}.skus": (number,)},
        )
    sold_out = app.the(table, exchange_item_id=2)
    yield Fault(
        what="a product of which little is left",
        plant=(
            f"UPDATE {table} SET stock = 2 WHERE exchange_item_id = 2",
            "UPDATE exchange_item_skus SET stock = 1 WHERE exchange_item_id = 2",
        ),
        found={f"{table}.low_stock": (sold_out["exchange_item_id"],)},
    )


# Requests -----------------------------------------------------------------------------------------


def _of_requests(app: Application) -> Iterator[Fault]:
    table = "api_idempotency_requests"
    (first, second, *_) = app.rows[table]
    key = f"{table[:-1]}_id"
    yield Fault(
        what="a request that never ends",
        plant=(f"UPDATE {table} SET status = 'processing' WHERE {key} = {first[key]}",),
        found={f"{table}.stuck": (first[key],)},
    )
    yield Fault(
        what="an expired request that no job cleared",
        plant=(f"UPDATE {table} SET expires_at = '{_long_ago(app)}' WHERE {key} = {second[key]}",),
        found={f"{table}.expired": (second[key],)},
    )
    recent = app.now - timedelta(minutes=5)
    yield Fault(
        what="a path on which half of the requests fail",
        plant=tuple(
            f"INSERT INTO {table} ({key}, idempotency_key, api_path, request_hash, user_id,"
            f" status, created_at, expires_at)"
            f" VALUES ({9000 + number}, 'many_{number}', '/api/v4/bid', 'h',"
            f" 1, '{'failed' if number % 2 else 'completed'}', '{recent}',"
            f" '{recent + timedelta(days=7)}')"
            for number in range(20)
        ),
        found={f"{table}.failures": (("failures", "/api/v4/bid"),)},
    )


# Vocabulary ---------------------------------------------------------------------------------------


def _of_vocabulary(app: Application) -> Iterator[Fault]:
    leg, *_ = _entries(app, "consumption_quota")
    yield Fault(
        what="an asset misspelled in the ledger, equal by the collation",
        plant=(_update(leg, asset_code=QUOTA.upper()),),
        found={f"{LEDGER}.asset_code": (_id(leg),)},
    )
    balance = _balance(app, 3, QUOTA)["account_asset_balance_id"]
    yield Fault(
        what="an asset misspelled in a balance",
        plant=(
            (
                f"UPDATE {BALANCES} SET asset_code = 'Star_Stone_Quota'"
                f" WHERE account_asset_balance_id = {balance}"
            ),
        ),
        found={f"{BALANCES}.asset_code": (balance,)},
    )
    order = app.where("exchange_records", pay_asset_code=STONE)[0]
    yield Fault(
        what="an asset misspelled in an exchange",
        plant=(_order(order, "pay_asset_code = 'star_stone '"),),
        found={"exchange_records.pay_asset_code": (_order_id(order),)},
    )
    yield Fault(
        what="an asset misspelled where users bid",
        plant=("UPDATE bid_products SET price_asset_code = 'STAR_STONE' WHERE bid_product_id = 3",),
        found={"bid_products.price_asset_code": (3,)},
    )


# Time ---------------------------------------------------------------------------------------------


def _of_time(app: Application) -> Iterator[Fault]:
    past = _long_ago(app)
    listing = app.where("consignment_orders", status="listed")[0]["consignment_id"]
    yield Fault(
        what="an item that is on sale for long",
        plant=(
            f"UPDATE consignment_orders SET updated_at = '{past}' WHERE consignment_id = {listing}",
        ),
        found={"consignment_orders.stuck": (listing,)},
    )
    order = app.rows["exchange_records"][2]
    yield Fault(
        what="an exchange that nobody approves",
        plant=(
            _order(order, f"status = 'pending', updated_at = '{past}'"),
            f"DELETE FROM exchange_order_events WHERE order_no = '{order['order_no']}'",
        ),
        found={"exchange_records.stuck": (_order_id(order),)},
    )
    voucher = app.where("redemption_orders", status="pending")[1]["redemption_order_id"]
    yield Fault(
        what="an expired voucher that no job cleared",
        plant=(
            (
                f"UPDATE redemption_orders SET expires_at = '{past}'"
                f" WHERE redemption_order_id = '{voucher}'"
            ),
        ),
        found={"redemption_orders.expired": (voucher,)},
    )
    hold = app.where("item_holds", status="active", hold_type="trade")[1]["hold_id"]
    yield Fault(
        what="an expired hold that no job cleared",
        plant=(f"UPDATE item_holds SET expires_at = '{past}' WHERE hold_id = {hold}",),
        found={"item_holds.expired": (hold,)},
    )
    yield Fault(
        what="bidding that has ended, and nobody settles it",
        plant=(f"UPDATE bid_products SET end_time = '{past}' WHERE bid_product_id = 5",),
        found={"bid_products.unsettled": (5,)},
    )


def _long_ago(app: Application) -> datetime:
    return app.now - timedelta(days=60)


# Keys, and the fault that stood in every row ------------------------------------------------------


def _of_keys(app: Application) -> Iterator[Fault]:
    """A restore may let a key repeat, whatever the index says; rows of tests still do not count."""
    first, second, third, *_ = _entries(app, "ad_daily_deduct")
    yield Fault(
        what="a key that two rows share, and a row of a test",
        plant=(
            f"ALTER TABLE {LEDGER} DROP INDEX uk_idempotency_key, ADD INDEX (idempotency_key)",
            _update(second, idempotency_key=_key(first)),
            _update(third, idempotency_key=_key(first), is_test_data=1),
        ),
        found={
            f"{LEDGER}.unique_index.idempotency_key": ((LEDGER, "idempotency_key"),),
            f"{LEDGER}.duplicates.idempotency_key": (_key(first),),
            "ad_billing_records.asset_transaction_id": tuple(
                each["ad_billing_record_id"]
                for each in app.where("ad_billing_records", asset_transaction_id=_id(third))
            ),
            BALANCE: ((third["account_id"], STONE),),
        },
    )


def _of_every_draw(app: Application) -> Fault:
    draws = app.where("lottery_draws", lottery_campaign_id=7)
    return Fault(
        what="every draw names ledger row 0",
        plant=("UPDATE lottery_draws SET asset_transaction_id = 0",),
        found={
            "lottery_draws.asset_transaction_id": tuple(
                each["lottery_draw_id"] for each in draws if each["user_id"] != 404
            )
        },
    )


# Statements ---------------------------------------------------------------------------------------


def _entries(app: Application, business_type: str, **values: object) -> list[Row]:
    """Ledger rows that count."""
    found = app.where(LEDGER, business_type=business_type, is_invalid=0, is_test_data=0, **values)
    return [each for each in found if not _key(each).startswith("test_")]


def _of_key(app: Application, beginning: str) -> tuple[int, ...]:
    """The numbers of the users' ledger rows whose keys begin so."""
    return tuple(
        _id(each)
        for each in app.rows[LEDGER]
        if _key(each).startswith(beginning) and "counterpart" not in _key(each)
    )


def _id(entry: Row) -> int:
    return int(entry["asset_transaction_id"])


def _last(app: Application) -> int:
    """The number of the user's row that was posted last."""
    return _id(app.rows[LEDGER][-2])


def _key(entry: Row) -> str:
    return str(entry["idempotency_key"])


def _balance(app: Application, user: int, asset: str) -> Row:
    return app.the(BALANCES, account_id=account_of(user), asset_code=asset)


def _update(entry: Row, **values: object) -> str:
    changes = ", ".join(f"{name} = {value!r}" for name, value in values.items())
    return f"UPDATE {LEDGER} SET {changes} WHERE asset_transaction_id = {_id(entry)}"


def _renamed(entry: Row, key: str) -> tuple[str, ...]:
    """Give a ledger row another key, and its counterpart accordingly."""
    return (
        (
            f"UPDATE {LEDGER} SET idempotency_key = CONCAT('{key}', SUBSTRING(idempotency_key,"
            f" {len(_key(entry)) + 1})) WHERE idempotency_key = '{_key(entry)}'"
            f" OR idempotency_key LIKE '{_key(entry)}:%counterpart'"
        ),
    )


def _posted(
    app: Application,
    user: int,
    asset: str,
    delta: int,
    *,
    kind: str,
    key: str,
    frozen: int = 0,
) -> tuple[str, ...]:
    """Write to the ledger as the application does: the row, its counterpart, the balance."""
    before = len(app.rows[LEDGER])
    against = ESCROW if frozen else BURN
    app.post(account_of(user), asset, delta, kind, key, against=against, frozen=frozen)
    balance = app.balances[account_of(user), asset, None]
    inserts = (
        f"INSERT INTO {LEDGER} ({', '.join(row)}) VALUES ({', '.join(map(_literal, row.values()))})"
        for row in app.rows[LEDGER][before:]
    )
    return (
        *inserts,
        (
            f"UPDATE {BALANCES} SET available_amount = available_amount + {delta},"
            f" frozen_amount = frozen_amount + {frozen}"
            f" WHERE account_asset_balance_id = {balance['account_asset_balance_id']}"
        ),
    )


def _literal(value: object) -> str:
    return "NULL" if value is None else str(value) if isinstance(value, int) else f"'{value}'"


def _balance_row(number: int, account: int, asset: str) -> str:
    return (
        f"INSERT INTO {BALANCES} (account_asset_balance_id, account_id, asset_code, updated_at)"
        f" VALUES ({number}, {account}, '{asset}', '2026-07-01')"
    )
