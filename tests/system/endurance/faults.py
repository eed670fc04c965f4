"""What goes wrong in a ledger, done on purpose, and what an audit must say of each."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping

from tests.system.endurance.books import DIAMOND, POINTS, Subject, account
from tests.system.endurance.market import Order
from tests.system.endurance.shop import Consumption, Session
from tests.system.endurance.writer import Writer

Told = tuple[str, str]
"""A finding: the check's name, and the key as JSON."""

LEDGER_ROW = "asset_transactions.transaction_id"
BALANCE = "account_asset_balances.ledger_balance"
BACKING = "account_asset_balances.frozen_backing"
COST, REWARD = "lottery_draws.cost_posting", "lottery_draws.reward_posting"
PAID_BY, IN_SESSION = "lottery_draws.asset_transaction_id", "lottery_draws.lottery_session_id"
APPROVAL = "consumption_records.reward_posting"
APPROVED_BY = "consumption_records.reward_transaction_id"
DEBIT, DEBITED_BY = "exchange_records.debit_posting", "exchange_records.debit_transaction_id"
CREDIT, FEE = "trade_orders.seller_credit_posting", "trade_orders.platform_fee_posting"
SUMS = "trade_orders.amounts_add_up"
CONSERVED = "asset_transactions.market_conserved"
STUCK = "api_idempotency_requests.stuck"


def told(check: str, key: Mapping[str, object]) -> Told:
    """A finding in the form in which findings are compared."""
    return check, json.dumps(key, sort_keys=True)


class Record:
    """What the faulty events of all writers have to lead to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: set[Told] = set()
        self._mended: set[Told] = set()

    def add(self, findings: Iterable[Told]) -> None:
        """Remember what must be found."""
        with self._lock:
            self._wrong |= {*findings}

    def mend(self, findings: Iterable[Told]) -> None:
        """Remember what must have been found, or need not be, and is mended now."""
        with self._lock:
            self._wrong -= {*findings}
            self._mended |= {*findings}

    def wrong(self, checks: Iterable[str]) -> set[Told]:
        """What these checks must say."""
        names = set(checks)
        with self._lock:
            return {each for each in self._wrong if each[0] in names}

    @property
    def mended(self) -> set[Told]:
        """What was wrong for a while."""
        with self._lock:
            return set(self._mended)


def draw_without_cost(writer: Writer) -> Iterable[Told]:
    """The draws name a ledger row that is not there."""
    session = writer.draw(costs=False)
    yield told(COST, {"lottery_session_id": session.name})
    yield from _draws(PAID_BY, session)
    if not session.rewards:
        yield from _draws(IN_SESSION, session)


def draw_without_rewards(writer: Writer) -> Iterable[Told]:
    """The prizes are not paid out."""
    session = writer.draw(rewards=False)
    yield from (told(REWARD, {"draw_id": draw}) for draw in session.winners)


def draw_with_wrong_amount(writer: Writer) -> Iterable[Told]:
    """The session costs one point too many."""
    yield told(COST, {"lottery_session_id": writer.draw(off=1).name})


def draw_paid_by_another(writer: Writer) -> Iterable[Told]:
    """Another user's account pays."""
    session = writer.draw(by_another=True)
    yield told(COST, {"lottery_session_id": session.name})
    yield from _draws(PAID_BY, session)


def draw_of_wrong_kind(writer: Writer) -> Iterable[Told]:
    """The ledger row has another business type."""
    session = writer.draw(cost_kind="admin_adjustment")
    yield told(COST, {"lottery_session_id": session.name})
    yield from _draws(PAID_BY, session)
    if not session.rewards:
        yield from _draws(IN_SESSION, session)


def cost_without_draws(writer: Writer) -> Iterable[Told]:
    """A session is paid, and nobody drew."""
    session = writer.draw(draws=False)
    yield told(COST, {LEDGER_ROW: session.cost})
    yield told(IN_SESSION, {LEDGER_ROW: session.cost})


def approved_without_reward(writer: Writer) -> Iterable[Told]:
    """Approved, and the points never came."""
    record = _record(writer)
    writer.approve(record, rewards=False)
    yield told(APPROVAL, {"record_id": record.number})
    yield told(APPROVED_BY, {"record_id": record.number})


def reward_of_wrong_amount(writer: Writer) -> Iterable[Told]:
    """One point too many."""
    record = _record(writer)
    writer.approve(record, off=1)
    yield told(APPROVAL, {"record_id": record.number})
    yield told(APPROVED_BY, {"record_id": record.number})


def reward_to_another(writer: Writer) -> Iterable[Told]:
    """Another user gets the points."""
    record = _record(writer)
    writer.approve(record, payee=writer.user(record.user))
    yield told(APPROVAL, {"record_id": record.number})
    yield told(APPROVED_BY, {"record_id": record.number})


def rejected_with_reward(writer: Writer) -> Iterable[Told]:
    """Rejected, and the points came all the same."""
    yield told(APPROVAL, {LEDGER_ROW: writer.reject(_record(writer), rewards=True)})


def exchange_without_debit(writer: Writer) -> Iterable[Told]:
    """The item was free."""
    exchange = writer.exchange(debits=False)
    writer.debts.append(exchange)
    yield told(DEBIT, {"record_id": exchange.number})


def exchange_of_wrong_amount(writer: Writer) -> Iterable[Told]:
    """The item cost one more."""
    number = writer.exchange(off=1).number
    yield told(DEBIT, {"record_id": number})
    yield told(DEBITED_BY, {"record_id": number})


def exchange_of_wrong_kind(writer: Writer) -> Iterable[Told]:
    """The ledger row has another business type."""
    number = writer.exchange(kind="admin_adjustment").number
    yield told(DEBIT, {"record_id": number})
    yield told(DEBITED_BY, {"record_id": number})


def twin_exchange(writer: Writer) -> Iterable[Told]:
    """Two records name one ledger row, which has the key of the first."""
    exchange = writer.exchange(twin=True)
    yield told(DEBITED_BY, {LEDGER_ROW: exchange.debit})
    yield told(DEBITED_BY, {"record_id": exchange.number})


def debit_without_exchange(writer: Writer) -> Iterable[Told]:
    """A ledger row that no record gives the key of."""
    subject, key = _subject(writer), f"exchange_debit_{writer.key('orphan')}"
    row = _post(writer, subject, -7, "exchange_debit", key)
    yield told(DEBIT, {LEDGER_ROW: row})


def order_without_credit(writer: Writer) -> Iterable[Told]:
    """The seller is not paid."""
    order = _order(writer)
    writer.complete(order, credits_seller=False)
    yield told(CREDIT, {"order_id": order.number})
    yield told(CONSERVED, {"asset_code": DIAMOND})


def credit_of_wrong_amount(writer: Writer) -> Iterable[Told]:
    """The seller is paid one too many."""
    order = _order(writer)
    writer.complete(order, off=1)
    yield told(CREDIT, {"order_id": order.number})
    yield told(CONSERVED, {"asset_code": DIAMOND})


def order_that_does_not_add_up(writer: Writer) -> Iterable[Told]:
    """The parts are one more than the whole; the seller gets what he should."""
    order = _order(writer, off=1)
    writer.complete(order, off=1)
    yield told(SUMS, {"order_id": order.number})
    yield told(CONSERVED, {"asset_code": DIAMOND})


def fee_of_wrong_amount(writer: Writer) -> Iterable[Told]:
    """One more than the fee; without a fee, one all the same."""
    order = _order(writer)
    row = writer.complete(order, fee_off=1)
    yield told(FEE, {"order_id": order.number} if order.fee else {LEDGER_ROW: row})
    yield told(CONSERVED, {"asset_code": DIAMOND})


def cancelled_without_release(writer: Writer) -> Iterable[Told]:
    """The order is cancelled, and its price stays frozen."""
    order = _order(writer)
    writer.cancel(order, unfreezes=False)
    yield told(BACKING, {"accounts.user_id": order.buyer, "asset_code": DIAMOND})


def ledger_row_without_balance(writer: Writer) -> Iterable[Told]:
    """The ledger says 9 more, the balance does not."""
    subject = _subject(writer)
    _post(writer, subject, 9, "admin_adjustment", writer.key("adjust"), to_balance=False)
    yield told(BALANCE, {"account_id": subject[0], "asset_code": subject[1]})


def balance_without_ledger_row(writer: Writer) -> Iterable[Told]:
    """The balance says 3 less, the ledger does not.

    Then something is posted: of a balance that nobody uses, only a complete run can tell.
    """
    subject = _subject(writer)

    def work() -> None:
        writer.books.lock(subject)
        writer.books.change_balance(subject, -3)

    writer.books.transact(work, writer.hold())
    _post(writer, subject, 5, "admin_adjustment", writer.key("adjust"))
    yield told(BALANCE, {"account_id": subject[0], "asset_code": subject[1]})


def stuck_request(writer: Writer) -> Iterable[Told]:
    """A request has been processing for five minutes."""
    with writer.request(completes=False) as number:
        writer.books.transact(
            lambda: writer.books.run(
                "UPDATE api_idempotency_requests SET created_at = NOW() - INTERVAL 5 MINUTE"
                " WHERE request_id = %s",
                number,
            )
        )
    yield told(STUCK, {"request_id": number})


def debt_that_is_paid(writer: Writer) -> Iterable[Told]:
    """Pay for an item that was free; gives what is no longer wrong."""
    exchange = writer.debts.popleft()
    exchange.pay()
    yield told(DEBIT, {"record_id": exchange.number})


def _draws(check: str, session: Session) -> Iterable[Told]:
    return (told(check, {"draw_id": draw}) for draw in session.draws)


def _record(writer: Writer) -> Consumption:
    while not writer.pending:
        writer.consume()
    return writer.pending.popleft()


def _order(writer: Writer, off: int = 0) -> Order:
    return writer.order(writer.put_on_sale(), off=off)


def _subject(writer: Writer) -> Subject:
    return account(writer.user()), POINTS


def _post(
    writer: Writer, subject: Subject, delta: int, kind: str, key: str, *, to_balance: bool = True
) -> int:
    def work() -> int:
        writer.books.lock(subject)
        return writer.books.post(subject, delta, kind, key, to_balance=to_balance)

    return writer.books.transact(work, writer.hold())


Fault = Callable[[Writer], Iterable[Told]]

FAULTS: tuple[Fault, ...] = (
    *(draw_without_cost, draw_without_rewards, draw_with_wrong_amount, draw_paid_by_another),
    *(draw_of_wrong_kind, cost_without_draws, approved_without_reward, reward_of_wrong_amount),
    *(reward_to_another, rejected_with_reward, exchange_without_debit, exchange_of_wrong_amount),
    *(exchange_of_wrong_kind, twin_exchange, debit_without_exchange, order_without_credit),
    *(credit_of_wrong_amount, order_that_does_not_add_up, fee_of_wrong_amount),
    *(cancelled_without_release, ledger_row_without_balance, balance_without_ledger_row),
    *(stuck_request, exchange_without_debit, exchange_without_debit),  # it is often mended
)
