"""Some weeks of business in which every rule is kept, and what the application's tests leave."""

from datetime import datetime, timedelta

from tests.integration.later_release.application import (
    ASSETS,
    BUDGET,
    CAMPAIGNS,
    MATERIAL_PRIZES,
    POINTS,
    QUOTA,
    STONE,
    SYSTEM,
    USERS,
    Application,
    account_of,
)


def sound(now: datetime) -> Application:
    """An application after some weeks of business in which every rule was kept."""
    app = Application(now)
    _open(app)
    for user in USERS:
        app.exchange(user, is_old=True)
    app.clock = now - timedelta(days=3)
    _play(app)
    _sell(app)
    _freeze(app)
    _keep_items(app)
    assert app.clock < now - timedelta(hours=1), "business goes on for longer than there was time"
    _test(app)
    return app


def _open(app: Application) -> None:
    for code, form in ASSETS.items():
        app.add("material_asset_types", "material_asset_type_id", asset_code=code, form=form)
    for prize in range(1, 6):
        asset, amount = MATERIAL_PRIZES.get(prize, (None, None))
        kind = "material" if asset else {3: "points", 4: "item", 5: "coupon"}[prize]
        app.add(
            "prize_definitions",
            "prize_definition_id",
            prize_type=kind,
            material_asset_code=asset,
            material_amount=amount,
        )
        row = app.add("lottery_campaign_prizes", "lottery_campaign_prize_id", lottery_campaign_id=7)
        row |= {"lottery_campaign_prize_id": 70 + prize, "prize_definition_id": prize}
    for user in USERS:
        _account(app, account_of(user), "user", user_id=user)
    for code, number in SYSTEM.items():
        _account(app, number, "system", system_code=code)
    for user in USERS:
        app.pass_time()
        app.grant(user, POINTS, 50_000)
        app.grant(user, STONE, 5_000)
        app.grant(user, QUOTA, 500)
        app.grant(user, "red_shard", 200)
        for campaign in CAMPAIGNS[: user % 3]:
            app.grant(user, BUDGET, 300, campaign)
    app.product([100])
    app.product([120, 80])
    app.product([60, 90, 300])


def _account(app: Application, number: int, kind: str, **owner: object) -> None:
    row = {"user_id": None, "system_code": None, **owner}
    account = app.add("accounts", "account_id", account_type=kind, **row, created_at=app.clock)
    account["account_id"] = number


def _play(app: Application) -> None:
    """Draws of every prize, one and several at once; receipts of every status."""
    for turn in range(24):
        user = USERS[turn % len(USERS)]
        prizes = [
            ("material", "points", "item", "coupon")[(turn + n) % 4] for n in range(1 + turn % 3)
        ]
        app.draw(user, prizes)
        app.receipt(user, ("approved", "approved", "approved", "rejected", "expired")[turn % 5])
    draws = app.where("lottery_draws", prize_type="material")
    for draw, (cleared, status) in zip(
        draws, ((0, "pending"), (5, "pending"), (30, "cleared")), strict=False
    ):
        app.add(
            "preset_budget_debt",
            "preset_budget_debt_id",
            lottery_draw_id=draw["lottery_draw_id"],
            debt_amount=30,
            cleared_amount=cleared,
            status=status,
        )
    app.receipt(USERS[0], "pending")
    for turn in range(6):
        app.request(
            app.token(), "/api/v4/exchange", USERS[turn], "failed" if turn == 0 else "completed"
        )


def _sell(app: Application) -> None:
    """Exchanges that were delivered, and that were given back by every path."""
    for turn in range(20):
        asset = STONE if turn % 4 == 3 else POINTS
        path = ("", "", "user", "admin", "", "both")[turn % 6]
        app.exchange(USERS[turn % len(USERS)], path=path, asset=asset)


def _freeze(app: Application) -> None:
    """Whatever freezes amounts, at each stage."""
    app.auction([1, 2, 3, 1], is_settled=True)
    app.auction([4, 5], is_settled=True)
    app.auction([6, 7, 6])
    app.auction([8], "red_shard")
    app.auction([9, 10])
    app.auction([])
    app.work(4, {"red_shard": 12, STONE: 7}, "frozen")
    app.work(5, {"red_shard": 3}, "frozen")
    app.work(6, {"red_shard": 4, STONE: 2}, "completed")
    app.work(7, {STONE: 9}, "draft")
    app.work(8, {}, "draft")
    app.advertise(9, 100, 3)
    app.advertise(10, 80, 0)
    app.advertise(11, 60, 5)


def _keep_items(app: Application) -> None:
    """Items that were handed on, held for a sale or a voucher, used and destroyed."""
    for user in USERS:
        app.mint(user)
        app.mint(user)
    made = iter(app.where("items", source="exchange"))
    for user in (5, 6, 7):
        app.transfer(next(made), user)
    app.destroy(next(made))
    for status in ("pending", "pending", "pending", "fulfilled", "cancelled", "expired"):
        app.voucher(next(made), status)
    for status in ("listed", "listed", "withdrawn", "rejected"):
        app.consign(next(made), status)


def _test(app: Application) -> None:
    """Rows of the application's own tests: wrong in every way, in each way of marking them."""
    account = account_of(12)
    for number, mark in enumerate(({"is_invalid": 1}, {"is_test_data": 1}, {})):
        key = f"test_{number}" if not mark else f"{number}"
        for business_type, template in (
            ("exchange_debit", "{}exchange_debit_nobody"),
            ("lottery_consume", "{}:consume"),
            ("lottery_reward_material", "{}:reward_0:material"),
            ("consumption_reward", "{}consumption_reward:approve:0"),
            ("bid_freeze", "{}bid_freeze_nobody"),
            ("bid_unfreeze", "{}bid_unfreeze_0_1"),
            ("exchange_refund", "{}exchange_refund_EX0"),
            ("exchange_refund_counterpart", "{}exchange_refund_EX0:counterpart"),
        ):
            entry = app.entry(account, "Star_Stone", 77, business_type, template.format(key))
            entry |= {"lottery_session_id": "nil", "frozen_amount_change": 3, "balance_before": 5}
            entry |= mark
    _test_business(app)
    _test_item(app)


def _test_business(app: Application) -> None:
    sku = app.rows["exchange_item_skus"][0]
    for number, source, key in ((1, "test", "17"), (2, "exchange", "test_exchange")):
        app.add(
            "exchange_records",
            "exchange_record_id",
            user_id=404,
            exchange_item_id=404,
            sku_id=sku["sku_id"],
            quantity=1,
            order_no=f"TEST{number}",
            idempotency_key=key,
            debit_transaction_id=None,
            status="approved",
            pay_asset_code="Star_Stone",
            pay_amount=5,
            source=source,
            created_at=app.clock,
            updated_at=app.clock,
        )
    draw = app.add(
        "lottery_draws",
        "lottery_draw_id",
        idempotency_key="test_draw",
        lottery_session_id="nil",
        asset_transaction_id=0,
        user_id=404,
        lottery_campaign_id=7,
        lottery_campaign_prize_id=404,
        prize_type="material",
        cost_points=1,
        prize_value_points=0,
        points_deducted=4,
        created_at=app.clock,
    )
    draw["lottery_draw_id"] = "draw_of_a_test"
    app.add(
        "consumption_records",
        "consumption_record_id",
        user_id=404,
        consumption_amount="1.00",
        points_to_award=1,
        status="approved",
        idempotency_key="test_receipt",
        reward_transaction_id=404,
        reviewed_at=app.clock,
        created_at=app.clock,
        updated_at=app.clock,
    )
    app.add(
        "bid_records",
        "bid_record_id",
        bid_product_id=3,
        user_id=404,
        bid_amount=1_000_000,
        is_winning=1,
        is_final_winner=0,
        freeze_transaction_id=None,
        idempotency_key="test_bid",
        created_at=app.clock,
    )
    app.request("test_request", "/api/v4/exchange", 404)["status"] = "processing"


def _test_item(app: Application) -> None:
    item = app.mint(12, source="test")
    app.rows["item_ledger"].pop()
    item |= {"status": "held", "owner_account_id": 404}
    for _ in range(2):
        app.add(
            "item_holds",
            "hold_id",
            item_id=item["item_id"],
            hold_type="security",
            holder_ref="test",
            status="active",
            expires_at=app.clock,
            created_at=app.clock,
        )
    app.rows["items"][-1]["status"] = "available"
    app.voucher({"item_id": item["item_id"]})
