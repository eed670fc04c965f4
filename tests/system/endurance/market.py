"""The marketplace, as the application books it: listings, and orders of them."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from tests.system.endurance.books import DIAMOND, PLATFORM, POINTS, account
from tests.system.endurance.desk import WAITING, Desk


@dataclass(frozen=True)
class Listing:
    """What is on sale."""

    number: int
    key: str
    seller: int
    offer: int
    """Points, which are frozen."""
    price: int
    """Diamonds."""


@dataclass(frozen=True)
class Order:
    """A purchase whose price is frozen."""

    number: int
    listing: Listing
    key: str
    buyer: int
    fee: int


class Market(Desk):
    """Each method is one business event, or one step of one.

    Their arguments leave out or change parts; without any, what they write is right.
    """

    def __init__(self, *where: Any, **how: Any) -> None:
        super().__init__(*where, **how)
        self.orders: deque[Order] = deque()

    def buy(self) -> None:
        """Put something on sale; then, mostly, somebody orders it."""
        if len(self.orders) >= WAITING:
            self.settle()
            return
        listing = self.put_on_sale()
        if self.rng.random() < 0.1:
            self.withdraw(listing)
        else:
            self.orders.append(self.order(listing))

    def put_on_sale(self) -> Listing:
        """Put points on sale; they are frozen."""
        seller, offer, price = self.user(), self.rng.randint(1, 500), self.rng.randint(1, 500)
        subject, key = (account(seller), POINTS), self.key("listing")
        row = {
            "idempotency_key": key,
            "listing_kind": "fungible_asset",
            "seller_user_id": seller,
            "offer_asset_code": POINTS,
            "offer_amount": offer,
            "price_amount": price,
            "seller_offer_frozen": 1,
        }

        def work() -> int:
            self.books.lock(subject)
            self.books.post(subject, -offer, "market_listing_freeze", f"freeze_{key}", frozen=offer)
            return self.books.insert("market_listings", row)

        return Listing(self.books.transact(work, self.hold()), key, seller, offer, price)

    def withdraw(self, listing: Listing) -> None:
        """Take what is on sale back; it is released."""
        subject, offer, key = (account(listing.seller), POINTS), listing.offer, listing.key

        def work() -> None:
            self.books.lock(subject)
            kind = "market_listing_unfreeze"
            self.books.post(subject, offer, kind, f"unfreeze_{key}", frozen=-offer)
            self._listing_is(listing, "withdrawn", frozen=False)

        self.books.transact(work, self.hold())

    def order(self, listing: Listing, *, off: int = 0) -> Order:
        """Order what is on sale; its price is frozen."""
        buyer, key, gross = self.user(listing.seller), self.key("order"), listing.price
        fee = self.rng.choice((0, gross // 20))
        subject = (account(buyer), DIAMOND)
        row = {
            "idempotency_key": key,
            "listing_id": listing.number,
            "buyer_user_id": buyer,
            "seller_user_id": listing.seller,
            "gross_amount": gross,
            "fee_amount": fee,
            "net_amount": gross - fee + off,
            "status": "frozen",
        }

        def work() -> int:
            self.books.lock(subject)
            self.books.post(subject, -gross, "order_freeze_buyer", f"freeze_{key}", frozen=gross)
            self._listing_is(listing, "locked", frozen=True)
            return self.books.insert("trade_orders", row)

        return Order(self.books.transact(work, self.hold()), listing, key, buyer, fee)

    def settle(self) -> None:
        """Complete the oldest order, or cancel it."""
        if not self.orders:
            self.buy()
        elif self.rng.random() < 0.8:
            self.complete(self.orders.popleft())
        else:
            self.cancel(self.orders.popleft())

    def complete(
        self, order: Order, *, credits_seller: bool = True, off: int = 0, fee_off: int = 0
    ) -> int | None:
        """Complete an order, in one transaction; the ledger row of the fee, if there is one."""
        listing, key, purchase = order.listing, order.key, "market_purchase"
        gross, net, fee = listing.price, listing.price - order.fee + off, order.fee + fee_off
        buyer, seller = (account(order.buyer), DIAMOND), (account(listing.seller), DIAMOND)
        giver, taker = (account(listing.seller), POINTS), (account(order.buyer), POINTS)
        platform, post = (PLATFORM, DIAMOND), self.books.post

        def work() -> int | None:
            self.books.lock(buyer, seller, giver, taker, *([platform] if fee else []))
            post(buyer, gross, "order_unfreeze_buyer", f"unfreeze_{key}", frozen=-gross)
            post(buyer, -gross, f"{purchase}_buyer_debit", f"{purchase}_buyer_debit_{key}")
            post(giver, 0, "market_offer_debit", f"offer_debit_{key}", frozen=-listing.offer)
            post(taker, listing.offer, "market_offer_credit", f"offer_credit_{key}")
            if credits_seller:
                post(seller, net, f"{purchase}_seller_credit", f"{purchase}_seller_credit_{key}")
            self._listing_is(listing, "sold", frozen=False)
            self._order_is(order, "completed")
            kind = f"{purchase}_platform_fee_credit"
            return post(platform, fee, kind, f"{kind}_{key}") if fee else None

        return self.books.transact(work, self.hold())

    def cancel(self, order: Order, *, unfreezes: bool = True) -> None:
        """Cancel an order, in one transaction: its price is released, the listing on sale again."""
        subject, gross = (account(order.buyer), DIAMOND), order.listing.price

        def work() -> None:
            if unfreezes:
                self.books.lock(subject)
                key = f"unfreeze_{order.key}"
                self.books.post(subject, gross, "order_unfreeze_buyer", key, frozen=-gross)
            self._listing_is(order.listing, "on_sale", frozen=True)
            self._order_is(order, "cancelled")

        self.books.transact(work, self.hold())

    def _listing_is(self, listing: Listing, status: str, *, frozen: bool) -> None:
        self.books.run(
            "UPDATE market_listings SET status = %s, seller_offer_frozen = %s"
            " WHERE listing_id = %s",
            *(status, frozen, listing.number),
        )

    def _order_is(self, order: Order, status: str) -> None:
        self.books.run(
            "UPDATE trade_orders SET status = %s WHERE order_id = %s", status, order.number
        )
