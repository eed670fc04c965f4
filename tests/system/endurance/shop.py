"""Lottery, consumption and exchange, as the application books them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.system.endurance.books import DIAMOND, POINTS, account
from tests.system.endurance.desk import TIMES, WAITING, Desk


@dataclass(frozen=True)
class Session:
    """A lottery session that was written."""

    name: str
    draws: tuple[str, ...]
    """Ids of its draws."""
    winners: tuple[str, ...]
    """Ids of the draws that won points."""
    cost: int
    """The ledger row of the cost, or a number that no ledger row has."""
    rewards: tuple[int, ...]
    """The ledger rows of the rewards."""


@dataclass(frozen=True)
class Consumption:
    """One that waits for approval."""

    number: int
    user: int
    points: int


@dataclass(frozen=True)
class Exchange:
    """An item that was bought; of twins, the second."""

    number: int
    debit: int
    """The ledger row that it names."""
    pay: Callable[[], None]
    """Writes the ledger row, should it be missing."""


class Shop(Desk):
    """Each method is one business event, or one step of one.

    Their arguments leave out or change parts; without any, what they write is right.
    """

    def __init__(self, *where: Any, **how: Any) -> None:
        super().__init__(*where, **how)
        self.pending: deque[Consumption] = deque()
        self.debts: deque[Exchange] = deque()
        """What should have been paid for, and was not."""

    def draw(
        self,
        *,
        by_another: bool = False,
        off: int = 0,
        cost_kind: str = "lottery_consume",
        costs: bool = True,
        draws: bool = True,
        rewards: bool = True,
    ) -> Session:
        """A session of one to ten draws: one ledger row pays, one for each prize of points.

        A session that is spoilt by `rewards` has a prize of points.
        """
        user, session = self.user(), self.key("session")
        payer = self.user(user) if by_another else user
        subject, source = (account(user), POINTS), (account(payer), POINTS)
        prizes = [self.rng.choice((0, 0, 20, 50, 500)) for _ in range(self.rng.randint(1, 10))]
        if not rewards:
            prizes[0] = 50
        price = self.rng.choice((50, 100))
        cost, won = 10**12 + self._keys, list[int]()
        names = [f"draw-{session}-{place}" for place in range(len(prizes))]

        def pay() -> None:
            nonlocal cost
            won.clear()
            self.books.lock(subject, source)
            if costs:
                paid = -price * len(prizes) - off
                key = f"lottery_consume:{session}"
                cost = self.books.post(source, paid, cost_kind, key, session=session)
            for place, points in enumerate(prizes):
                if points and draws and rewards:
                    key = f"lottery_reward:{session}:{place}"
                    won.append(
                        self.books.post(subject, points, "lottery_reward", key, session=session)
                    )

        def write() -> None:
            for place, points in enumerate(prizes):
                self.books.insert(
                    "lottery_draws",
                    {
                        "draw_id": names[place],
                        "idempotency_key": f"key-{names[place]}",
                        "lottery_session_id": session,
                        "asset_transaction_id": cost,
                        "user_id": user,
                        "campaign_id": 1,
                        "prize_id": place,
                        "prize_type": "points" if points else "coupon",
                        "prize_value_points": points,
                        "cost_points": price,
                    },
                    now=TIMES,
                )

        parts = (pay, write) if draws else (pay,)
        self.in_parts(*parts, hold=self.hold(), apart=self.rng.random() < 0.5)
        winners = (name for name, points in zip(names, prizes, strict=True) if points)
        return Session(session, tuple(names), tuple(winners), cost, tuple(won))

    def consume(self) -> None:
        """A consumption, to be decided on later."""
        if len(self.pending) >= WAITING:
            self.decide()
            return
        user, points, key = self.user(), self.rng.randint(1, 300), self.key("consumption")

        row = {
            "idempotency_key": key,
            "user_id": user,
            "consumption_amount": points,
            "points_to_award": points,
            "qr_code": key,
        }
        number = self.books.transact(
            lambda: self.books.insert("consumption_records", row, now=TIMES), self.hold()
        )
        self.pending.append(Consumption(number, user, points))

    def decide(self) -> None:
        """Approve some pending consumption, or reject it; one may wait for long."""
        self.pending.rotate(self.rng.randrange(WAITING))
        if not self.pending:
            self.consume()
        elif self.rng.random() < 0.8:
            self.approve(self.pending.popleft())
        else:
            self.reject(self.pending.popleft())

    def approve(
        self, record: Consumption, *, payee: int | None = None, off: int = 0, rewards: bool = True
    ) -> None:
        """Approve a consumption and reward it, in one transaction."""
        subject = (account(payee or record.user), POINTS)

        def work() -> None:
            reward = None
            if rewards:
                self.books.lock(subject)
                key = f"consumption_reward:approve:{record.number}"
                points = record.points + off
                reward = self.books.post(subject, points, "consumption_reward", key)
            self._decided(record, "approved", reward)

        self.books.transact(work, self.hold())

    def reject(self, record: Consumption, *, rewards: bool = False) -> int | None:
        """Reject a consumption; the ledger row, should it be rewarded all the same."""
        subject = (account(record.user), POINTS)

        def work() -> int | None:
            self._decided(record, "rejected", None)
            if not rewards:
                return None
            self.books.lock(subject)
            key = f"consumption_reward:approve:{record.number}"
            return self.books.post(subject, record.points, "consumption_reward", key)

        return self.books.transact(work, self.hold())

    def _decided(self, record: Consumption, status: str, reward: int | None) -> None:
        self.books.run(
            "UPDATE consumption_records SET status = %s, reward_transaction_id = %s,"
            " updated_at = NOW() WHERE record_id = %s",
            *(status, reward, record.number),
        )

    def exchange(
        self,
        *,
        off: int = 0,
        kind: str = "exchange_debit",
        debits: bool = True,
        twin: bool = False,
    ) -> Exchange:
        """Buy an item; a twin is a second record, which names the first one's ledger row."""
        user, amount = self.user(), self.rng.randint(1, 500)
        asset = self.rng.choice((POINTS, DIAMOND))
        keys = [self.key("exchange") for _ in range(1 + twin)]
        subject, number, debit = (account(user), asset), 0, 0

        def write() -> None:
            nonlocal number
            for key in keys:
                number = self.books.insert(
                    "exchange_records",
                    {
                        "idempotency_key": key,
                        "order_no": key,
                        "user_id": user,
                        "item_id": 1,
                        "pay_asset_code": asset,
                        "pay_amount": amount,
                        # A pending one is looked at in every run, however old it is.
                        "status": "pending" if debits else "completed",
                    },
                )

        def pay() -> None:
            nonlocal debit
            self.books.lock(subject)
            paid = -amount - off
            posted = [self.books.post(subject, paid, kind, f"exchange_debit_{key}") for key in keys]
            debit = posted[0]
            for key in keys:
                self.books.run(
                    "UPDATE exchange_records SET debit_transaction_id = %s, status = 'completed'"
                    " WHERE idempotency_key = %s",
                    *(debit, key),
                )

        parts = (write, pay) if debits else (write,)
        self.in_parts(*parts, hold=self.hold(), apart=self.rng.random() < 0.5)
        return Exchange(number, debit, lambda: self.books.transact(pay))
