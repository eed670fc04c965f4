"""An application with a double-entry ledger, in memory: what it writes when all goes well.

Its rows are the same for the same seed and time. Beside what counts it leaves rows of its own tests
behind, which break every rule and are to be left out of each.
"""

import json
import random
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.servers import Database

SCHEMA = Path(__file__).with_name("schema.sql")

Row = dict[str, Any]

USERS = range(1, 13)
SYSTEM = {"SYSTEM_MINT": 901, "SYSTEM_BURN": 902, "SYSTEM_ESCROW": 903}
MINT, BURN, ESCROW = SYSTEM.values()
POINTS, BUDGET, STONE, QUOTA = "POINTS", "BUDGET_POINTS", "star_stone", "star_stone_quota"
CAMPAIGNS = ("7", "8")
ASSETS = {
    POINTS: "currency",
    BUDGET: "currency",
    STONE: "gem",
    QUOTA: "quota",
    "red_shard": "shard",
}
MATERIAL_PRIZES = {1: (STONE, 30), 2: ("red_shard", 5)}
"""What the prizes 1 and 2 pay: the amount is no column of the draw."""

OLD_RELEASE = datetime(2026, 5, 20, 10)  # noqa: DTZ001 - as a DATETIME column holds it
"""When exchanges did not note yet which ledger row paid them."""


def account_of(user: int) -> int:
    """The number of a user's account; a join on the wrong number finds nobody."""
    return 100 + user


@dataclass
class Application:
    """The rows of all tables, and the business that writes them."""

    now: datetime
    seed: int = 20260716
    rows: dict[str, list[Row]] = field(default_factory=dict)
    clock: datetime = field(init=False)
    balances: dict[tuple[int, str, str | None], Row] = field(default_factory=dict)
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - nothing here is secret
        self.clock = OLD_RELEASE

    # Rows ---------------------------------------------------------------------------------------

    def add(self, table: str, key: str, **values: object) -> Row:
        """Append a row with the next number as its primary key, unless it brings one."""
        found = self.rows.setdefault(table, [])
        row = {key: len(found) + 1, **values}
        found.append(row)
        return row

    def number(self, table: str) -> int:
        """The number that the next row of a table gets."""
        return len(self.rows.get(table, ())) + 1

    def pass_time(self, longest: int = 600) -> datetime:
        """Some seconds later; at least one."""
        self.clock += timedelta(seconds=self.chance.randint(1, longest))
        return self.clock

    def token(self) -> str:
        """A key as a client makes it."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def where(self, table: str, **values: object) -> list[Row]:
        """The rows of a table that hold these values."""
        return [
            row
            for row in self.rows.get(table, ())
            if all(row[k] == value for k, value in values.items())
        ]

    def the(self, table: str, **values: object) -> Row:
        """The one row that holds these values."""
        (row,) = self.where(table, **values)
        return row

    # The ledger -----------------------------------------------------------------------------------

    def post(
        self,
        account: int,
        asset: str,
        delta: int,
        business_type: str,
        key: str,
        *,
        against: int = BURN,
        frozen: int = 0,
        campaign: str | None = None,
        session: str | None = None,
    ) -> Row:
        """Write a ledger row of a user and, if it moves anything, the counterpart."""
        balance = self._balance(account, asset, campaign)
        before = balance["available_amount"]
        balance["available_amount"] += delta
        balance["frozen_amount"] += frozen
        balance["updated_at"] = self.clock
        assert min(balance["available_amount"], balance["frozen_amount"]) >= 0, (account, asset)
        entry = self.entry(account, asset, delta, business_type, key, lottery_session_id=session)
        entry |= {"frozen_amount_change": frozen, "counterpart_account_id": against}
        entry |= {"balance_before": before, "balance_after": before + delta}
        if delta:
            word = "escrow_counterpart" if against == ESCROW else "counterpart"
            type_ = word if against == ESCROW else f"{business_type}_counterpart"
            other = self.entry(
                against, asset, -delta, type_, f"{key}:{word}", lottery_session_id=session
            )
            other["counterpart_account_id"] = account
        return entry

    def _balance(self, account: int, asset: str, campaign: str | None) -> Row:
        place = (account, asset, campaign)
        if place not in self.balances:
            self.balances[place] = self.add(
                "account_asset_balances",
                "account_asset_balance_id",
                account_id=account,
                asset_code=asset,
                lottery_campaign_id=campaign,
                available_amount=0,
                frozen_amount=0,
                updated_at=self.clock,
            )
        return self.balances[place]

    def entry(
        self, account: int, asset: str, delta: int, business_type: str, key: str, **more: object
    ) -> Row:
        """Write one ledger row, which is not looked at any further."""
        row: Row = {
            "account_id": account,
            "counterpart_account_id": None,
            "asset_code": asset,
            "delta_amount": delta,
            "frozen_amount_change": 0,
            "balance_before": 0,
            "balance_after": 0,
            "business_type": business_type,
            "lottery_session_id": None,
            "idempotency_key": key,
            "is_invalid": 0,
            "is_test_data": 0,
            "created_at": self.clock,
        }
        return self.add("asset_transactions", "asset_transaction_id", **{**row, **more})

    def grant(self, user: int, asset: str, amount: int, campaign: str | None = None) -> None:
        """Give a user something for nothing."""
        key = f"admin_adjust_{self.number('asset_transactions')}"
        account = account_of(user)
        self.post(account, asset, amount, "admin_adjustment", key, against=MINT, campaign=campaign)

    # Draws ----------------------------------------------------------------------------------------

    def draw(self, user: int, prizes: Sequence[str]) -> str:
        """Draw so many times with one request; returns the session."""
        request, session = self.token(), f"session_{self.number('lottery_draws'):05}"
        account, cost = account_of(user), 100 * len(prizes)
        self.pass_time()
        self.request(request, "/api/v4/lottery/draw", user)
        paid = self.post(
            account, POINTS, -cost, "lottery_consume", f"{request}:consume", session=session
        )
        for number, prize in enumerate(prizes):
            self._draw(user, f"{request}:reward_{number}", session, paid, prize)
        return session

    def _draw(self, user: int, key: str, session: str, paid: Row, prize: str) -> None:
        number = self.number("lottery_draws")
        prize_id = {"material": number % 2 + 1, "points": 3, "item": 4, "coupon": 5}[prize]
        points = 10 * self.chance.randint(1, 9) if prize == "points" else 0
        quota = 3 if prize == "material" else 0
        draw = self.add(
            "lottery_draws",
            "lottery_draw_id",
            idempotency_key=key,
            lottery_session_id=session,
            asset_transaction_id=paid["asset_transaction_id"],
            user_id=user,
            lottery_campaign_id=7,
            lottery_campaign_prize_id=70 + prize_id,
            prize_type=prize,
            cost_points=100,
            prize_value_points=points,
            points_deducted=quota,
            created_at=self.clock,
        )
        draw["lottery_draw_id"] = f"draw_{self.chance.getrandbits(40):010x}_{number}"
        self.add(
            "lottery_draw_decisions",
            "lottery_draw_decision_id",
            lottery_draw_id=draw["lottery_draw_id"],
            decision_at=self.clock,
        )
        account, leg = account_of(user), f"{key}:reward_0"
        if prize == "material":
            asset, amount = MATERIAL_PRIZES[prize_id]
            kind = "lottery_reward_material"
            self.post(
                account, asset, amount, kind, f"{leg}:material", against=MINT, session=session
            )
            kind = "lottery_quota_deduct"
            self.post(account, QUOTA, -quota, kind, f"{leg}:quota_deduct", session=session)
        elif prize == "points":
            kind = "lottery_reward"
            self.post(account, POINTS, points, kind, f"{leg}:points", against=MINT, session=session)
        elif prize == "item":
            self.mint(user, source="lottery")

    # Receipts -------------------------------------------------------------------------------------

    def receipt(self, user: int, status: str) -> Row:
        """Submit a receipt; an approved one is paid out in another transaction, nine seconds on."""
        self.pass_time()
        cents = self.chance.randint(2_000, 90_000)
        token = self.token()
        self.request(token, "/api/v4/consumption/submit", user)
        record = self.add(
            "consumption_records",
            "consumption_record_id",
            user_id=user,
            consumption_amount=f"{cents / 100:.2f}",
            points_to_award=cents // 100,
            status=status,
            idempotency_key=token,
            reward_transaction_id=None,
            reviewed_at=None,
            created_at=self.clock,
            updated_at=self.clock,
        )
        if status == "approved":
            record["reviewed_at"] = self.clock
            self.clock += timedelta(seconds=9)
            self._pay_out(record)
            record["updated_at"] = self.clock
        return record

    def _pay_out(self, record: Row) -> None:
        account, points = account_of(record["user_id"]), record["points_to_award"]
        key = f"approve:{record['consumption_record_id']}"
        legs = (
            ("reward", POINTS, points),
            ("budget", BUDGET, points // 4),
            ("quota", QUOTA, points),
        )
        for leg, asset, amount in legs:
            kind, campaign = f"consumption_{leg}", "7" if asset == BUDGET else None
            entry = self.post(
                account, asset, amount, kind, f"{kind}:{key}", against=MINT, campaign=campaign
            )
            if leg == "reward":
                record["reward_transaction_id"] = entry["asset_transaction_id"]

    # Exchanges ------------------------------------------------------------------------------------

    def product(self, costs: Sequence[int], stock: int = 20) -> Row:
        """Put a product on offer, with an SKU for each of the costs."""
        product = self.add(
            "exchange_items",
            "exchange_item_id",
            status="active",
            stock=stock * len(costs),
            sold_count=0,
            min_cost_amount=min(costs),
            max_cost_amount=max(costs),
            stock_alert_threshold=2,
            updated_at=self.clock,
        )
        for cost in costs:
            self.add(
                "exchange_item_skus",
                "sku_id",
                exchange_item_id=product["exchange_item_id"],
                stock=stock,
                sold_count=0,
                cost_price=f"{cost}.00",
                status="active",
            )
        return product

    def exchange(
        self, user: int, *, path: str = "", asset: str = POINTS, is_old: bool = False
    ) -> Row:
        """Exchange something; `path` is how it is given back: `user`, `admin`, `both` or not."""
        self.pass_time()
        sku = self.chance.choice(self.rows["exchange_item_skus"])
        product = self.the("exchange_items", exchange_item_id=sku["exchange_item_id"])
        for each in (sku, product):
            each["stock"] -= 1
            each["sold_count"] += 1
        number, token, cost = (
            self.number("exchange_records"),
            self.token(),
            2 * int(sku["cost_price"][:-3]),
        )
        if not is_old:
            self.request(token, "/api/v4/exchange", user)
        debit = self.post(
            account_of(user), asset, -cost, "exchange_debit", f"exchange_debit_{token}"
        )
        order = self.add(
            "exchange_records",
            "exchange_record_id",
            user_id=user,
            exchange_item_id=product["exchange_item_id"],
            sku_id=sku["sku_id"],
            quantity=1,
            order_no=f"EX{number:08}",
            idempotency_key=token,
            debit_transaction_id=None if is_old else debit["asset_transaction_id"],
            status="pending",
            pay_asset_code=asset,
            pay_amount=cost,
            source="exchange",
            created_at=self.clock,
            updated_at=self.clock,
        )
        self._move(order, {"": "completed", "admin": "rejected"}.get(path, "refunded"))
        self._refund(order, path)
        return order

    def _move(self, order: Row, status: str) -> None:
        """Through `approved` where goods are sent."""
        for new in (*(("approved",) if status == "completed" else ()), status):
            self.pass_time(60)
            number = self.number("exchange_order_events")
            self.add(
                "exchange_order_events",
                "event_id",
                order_no=order["order_no"],
                old_status=order["status"],
                new_status=new,
                idempotency_key=f"event_{order['order_no']}_{number}",
                created_at=self.clock,
            )
            order |= {"status": new, "updated_at": self.clock}

    def _refund(self, order: Row, path: str) -> None:
        """All by one path, or a half by each."""
        words = {"user": ("",), "admin": ("admin_",), "both": ("", "admin_")}.get(path, ())
        for word in words:
            self.post(
                account_of(order["user_id"]),
                order["pay_asset_code"],
                order["pay_amount"] // len(words),
                f"exchange_{word}refund",
                f"exchange_{word}refund_{order['order_no']}",
            )

    # Bids -----------------------------------------------------------------------------------------

    def auction(
        self, bidders: Sequence[int], asset: str = STONE, *, is_settled: bool = False
    ) -> Row:
        """Let users outbid one another; the last one wins."""
        self.pass_time()
        auction = self.add(
            "bid_products",
            "bid_product_id",
            exchange_item_id=1,
            price_asset_code=asset,
            start_price=10,
            current_price=0,
            bid_count=0,
            winner_bid_id=None,
            status="active" if bidders else "no_bid",
            end_time=self.now + timedelta(days=2),
            updated_at=self.clock,
        )
        for bidder in bidders:
            self._bid(auction, bidder)
        if is_settled:
            self._settle(auction)
        return auction

    def _bid(self, auction: Row, user: int) -> None:
        self.pass_time()
        amount = auction["current_price"] + 10 * self.chance.randint(1, 5)
        for loser in self.where(
            "bid_records", bid_product_id=auction["bid_product_id"], is_winning=1
        ):
            self._unfreeze(auction, loser)
        token = self.token()
        entry = self.post(
            account_of(user),
            auction["price_asset_code"],
            -amount,
            "bid_freeze",
            f"bid_freeze_{token}",
            against=ESCROW,
            frozen=amount,
        )
        self.add(
            "bid_records",
            "bid_record_id",
            bid_product_id=auction["bid_product_id"],
            user_id=user,
            bid_amount=amount,
            is_winning=1,
            is_final_winner=0,
            freeze_transaction_id=entry["asset_transaction_id"],
            idempotency_key=token,
            created_at=self.clock,
        )
        auction |= {"current_price": amount, "bid_count": auction["bid_count"] + 1}
        auction["updated_at"] = self.clock

    def _unfreeze(self, auction: Row, loser: Row) -> None:
        loser["is_winning"] = 0
        milliseconds = int(self.clock.timestamp() * 1000)
        self.post(
            account_of(loser["user_id"]),
            auction["price_asset_code"],
            loser["bid_amount"],
            "bid_unfreeze",
            f"bid_unfreeze_{loser['bid_record_id']}_{milliseconds}",
            against=ESCROW,
            frozen=-loser["bid_amount"],
        )

    def _settle(self, auction: Row) -> None:
        """What was frozen is spent: nothing of it was available any more."""
        self.pass_time()
        (winner,) = self.where(
            "bid_records", bid_product_id=auction["bid_product_id"], is_winning=1
        )
        self.post(
            account_of(winner["user_id"]),
            auction["price_asset_code"],
            0,
            "bid_settle",
            f"bid_settle_{winner['bid_record_id']}",
            frozen=-winner["bid_amount"],
        )
        winner["is_final_winner"] = 1
        auction |= {"status": "settled", "winner_bid_id": winner["bid_record_id"]}
        auction |= {"end_time": self.clock, "updated_at": self.clock}

    # Works and advertising ------------------------------------------------------------------------

    def work(self, user: int, costs: Mapping[str, int], status: str) -> Row:
        """Design something; its materials are frozen until it is completed."""
        self.pass_time()
        account, number = account_of(user), self.number("diy_works")
        if status != "draft":
            for asset, amount in costs.items():
                key = f"diy_freeze_{number}_{asset}"
                self.post(account, asset, -amount, "diy_freeze", key, against=ESCROW, frozen=amount)
        if status == "completed":
            for asset, amount in costs.items():
                key = f"diy_settle_{number}_{asset}"
                self.post(account, asset, 0, "diy_settle", key, frozen=-amount)
        listed = [{"asset_code": asset, "amount": amount} for asset, amount in costs.items()]
        return self.add(
            "diy_works",
            "diy_work_id",
            account_id=account,
            status=status,
            total_cost=json.dumps(listed) if listed else None,
            item_id=None,
            idempotency_key=self.token(),
            frozen_at=None if status == "draft" else self.clock,
            updated_at=self.clock,
        )

    def advertise(self, user: int, budget: int, days: int) -> Row:
        """Freeze the budget of a campaign, spend ten of it a day; afterwards the rest is free."""
        self.pass_time()
        name = f"ad_{self.number('ad_campaigns')}"
        campaign = self.add(
            "ad_campaigns",
            "ad_campaign_id",
            business_id=name,
            advertiser_user_id=user,
            status="active",
            budget_total_star_stone=budget,
            budget_spent_star_stone=0,
            updated_at=self.clock,
        )
        self._bill(campaign, "freeze", -budget, budget)
        for _ in range(days):
            self.pass_time()
            self._bill(campaign, "daily_deduct", 0, -10)
            campaign["budget_spent_star_stone"] += 10
        if campaign["budget_spent_star_stone"] * 2 > budget:
            rest = budget - campaign["budget_spent_star_stone"]
            self._bill(campaign, "refund", rest, -rest)
            campaign["status"] = "completed"
        campaign["updated_at"] = self.clock
        return campaign

    def _bill(self, campaign: Row, kind: str, delta: int, frozen: int) -> None:
        user, number = campaign["advertiser_user_id"], self.number("ad_billing_records")
        key = f"{kind}_{campaign['business_id']}_{number}"
        entry = self.post(
            account_of(user), STONE, delta, f"ad_{kind}", f"ad_{key}", against=ESCROW, frozen=frozen
        )
        self.add(
            "ad_billing_records",
            "ad_billing_record_id",
            business_id=key,
            ad_campaign_id=campaign["ad_campaign_id"],
            advertiser_user_id=user,
            amount_star_stone=abs(frozen),
            billing_type=kind,
            asset_transaction_id=entry["asset_transaction_id"],
            created_at=self.clock,
        )

    # Items ----------------------------------------------------------------------------------------

    def mint(self, user: int, source: str = "exchange") -> Row:
        """Make an item and give it to a user."""
        self.pass_time()
        item = self.add(
            "items",
            "item_id",
            owner_account_id=account_of(user),
            status="available",
            source=source,
            created_at=self.clock,
            updated_at=self.clock,
        )
        self._hand_over(item["item_id"], "mint", MINT, account_of(user))
        return item

    def transfer(self, item: Row, user: int) -> None:
        """Give an item to another user."""
        self.pass_time()
        self._hand_over(item["item_id"], "transfer", item["owner_account_id"], account_of(user))
        item |= {"owner_account_id": account_of(user), "updated_at": self.clock}

    def destroy(self, item: Row) -> None:
        """Take an item out of circulation."""
        self.pass_time()
        self._hand_over(item["item_id"], "destroy", item["owner_account_id"], BURN)
        item |= {"owner_account_id": BURN, "status": "destroyed", "updated_at": self.clock}

    def _hand_over(self, item: int, event: str, giver: int, taker: int) -> None:
        key = f"{event}_{item}_{self.number('item_ledger')}"
        for account, other, delta, side in ((giver, taker, -1, "out"), (taker, giver, 1, "in")):
            self.add(
                "item_ledger",
                "ledger_entry_id",
                item_id=item,
                account_id=account,
                delta=delta,
                counterpart_id=other,
                event_type=event,
                idempotency_key=f"{key}:{side}",
                created_at=self.clock,
            )

    def hold(self, item: Row, hold_type: str, reference: str, status: str = "active") -> Row:
        """Hold an item, or note that it was held once."""
        if status == "active":
            item |= {"status": "held", "updated_at": self.clock}
        return self.add(
            "item_holds",
            "hold_id",
            item_id=item["item_id"],
            hold_type=hold_type,
            holder_ref=reference,
            status=status,
            expires_at=self.now + timedelta(days=14),
            created_at=self.clock,
        )

    def voucher(self, item: Row, status: str = "pending") -> Row:
        """Make a voucher of an item; once it is redeemed the item is used."""
        self.pass_time()
        order = self.token()
        self.hold(item, "redemption", order, "active" if status == "pending" else "released")
        if status == "fulfilled":
            item |= {"status": "used", "updated_at": self.clock}
        voucher = self.add(
            "redemption_orders",
            "redemption_order_id",
            code_hash=f"{self.chance.getrandbits(256):064x}",
            item_id=item["item_id"],
            status=status,
            expires_at=self.now + timedelta(days=14),
            created_at=self.clock,
        )
        voucher["redemption_order_id"] = order
        return voucher

    def consign(self, item: Row, status: str) -> Row:
        """Offer an item for sale."""
        self.pass_time()
        number = f"CO{self.number('consignment_orders'):08}"
        self.hold(item, "trade", number, "active" if status == "listed" else "released")
        return self.add(
            "consignment_orders",
            "consignment_id",
            order_no=number,
            item_id=item["item_id"],
            consignor_account_id=item["owner_account_id"],
            list_price=120,
            list_asset_code=STONE,
            status=status,
            created_at=self.clock,
            updated_at=self.clock,
        )

    # Requests -------------------------------------------------------------------------------------

    def request(self, key: str, path: str, user: int, status: str = "completed") -> Row:
        """Note a request of a client, as it ended."""
        return self.add(
            "api_idempotency_requests",
            "api_idempotency_request_id",
            idempotency_key=key,
            api_path=path,
            request_hash=f"{self.chance.getrandbits(256):064x}",
            user_id=user,
            status=status,
            response_code="SUCCESS" if status == "completed" else "INTERNAL_ERROR",
            created_at=self.clock,
            completed_at=self.clock,
            expires_at=self.clock + timedelta(days=7),
        )

    # The database ---------------------------------------------------------------------------------

    def write(self, database: Database) -> None:
        """Make the tables in an empty database, and load every row."""
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA.read_text())
            while cursor.nextset():  # raises the error of a later statement
                pass
            cursor.execute("BEGIN")
            for table, rows in self.rows.items():
                for names in {tuple(row) for row in rows}:
                    some = [tuple(row.values()) for row in rows if tuple(row) == names]
                    marks = ", ".join(["%s"] * len(names))
                    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
                    cursor.executemany(statement, some)
            cursor.execute("COMMIT")
