"""The reconciling kinds against a reading with pencil and paper, on random ledgers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.contract import Check, Result, Window
from tests.support.books import (
    COLUMNS,
    EVENTS,
    INDEXES,
    MISHAPS,
    NAMES,
    Books,
    Event,
    Fold,
    Key,
    Mishap,
    Posted,
    Referred,
    Row,
    View,
    Wrong,
    corrupt,
    enact,
    fold_of,
    minus,
    total,
)
from tests.support.ledgers import Ledger, check
from tests.support.runs import window_after

EXAMPLES = {"sqlite": 50, "mariadb": 15, "mysql": 5}

LEDGER: dict[str, Any] = {
    "ledger": "asset_transactions",
    "ledger_primary_key": "transaction_id",
    "ledger_cursor": "transaction_id",
    "settle": "0s",
}
PARENT: dict[str, Any] = {
    "parent": "asset_transactions",
    "parent_primary_key": "transaction_id",
    "parent_cursor": "transaction_id",
    "settle": "0s",
    "reverse": True,
}
OWNED: dict[str, Any] = {"through": {"accounts": {"account_id": "account_id"}}}
DRAW = {"primary_key": "draw_id", "cursor": "created_at"}
RECORD = {"primary_key": "record_id", "cursor": "record_id"}
ORDER = {"primary_key": "order_id", "cursor": "order_id"}
COMPLETED = {"required_when": "status = 'completed'", "pending": "status = 'created'"}
APPROVED = {"required_when": "status = 'approved'", "pending": "status = 'pending'"}


class Oracle(Protocol):
    """A rule as a person knows it."""

    def wrong(self, view: View) -> set[Wrong]:
        """Everything that is wrong."""


@dataclass(frozen=True)
class Rule:
    """A check as it is configured, and what it should find."""

    table: str
    kind: str
    fields: dict[str, Any]
    oracle: Oracle
    pending: Callable[[Row], bool] = lambda _: False

    @property
    def check(self) -> Check:
        """The check."""
        return check(self.kind, self.table, **self.fields)


def is_in(*states: str) -> Callable[[Row], bool]:
    return lambda row: row["status"] in states


def _trade_leg(leg: str, owner: str | None, amount: str, *, debit: bool = False) -> Rule:
    event = f"market_purchase_{leg}"
    due = "status = 'completed' AND fee_amount > 0" if leg.startswith("platform") else ""
    equal = {f"-{amount}" if debit else amount: "delta_amount", "asset_code": "asset_code"}
    fields = LEDGER | ORDER | COMPLETED | (OWNED if owner else {})
    fields |= {"required_when": due} if due else {}
    fields |= {
        "ledger_key": f"{event}_{{idempotency_key}}",
        "ledger_when": f"business_type = '{event}'",
        "equal": equal | ({owner: "accounts.user_id"} if owner else {}),
    }

    def agrees(rows: list[Row], entry: Row) -> bool:
        ours = minus(rows[0][amount]) if debit else rows[0][amount]
        same = ours == entry["delta_amount"] and rows[0]["asset_code"] == entry["asset_code"]
        return same and (owner is None or rows[0][owner] == entry["owner"])

    def required(row: Row) -> bool:
        return row["status"] == "completed" and (not due or (row["fee_amount"] or 0) > 0)

    def key_of(row: Row) -> str | None:
        return _filled(event + "_{}", row["idempotency_key"])

    oracle = Posted(
        "trade_orders", key_of, event, agrees, required=required, owned=owner is not None
    )
    return Rule("trade_orders", "posting", fields, oracle, is_in("created"))


def _filled(template: str, *values: object) -> str | None:
    return None if None in values else template.format(*values)


def _exchange_agrees(rows: list[Row], entry: Row) -> bool:
    (row,) = rows
    ours = (minus(row["pay_amount"]), row["pay_asset_code"], row["user_id"])
    return ours == (entry["delta_amount"], entry["asset_code"], entry["owner"])


def _award_agrees(rows: list[Row], entry: Row) -> bool:
    (row,) = rows
    return (row["points_to_award"], row["user_id"]) == (entry["delta_amount"], entry["owner"])


def _linked(*, or_key: bool = False) -> Rule:
    """A record names its debit by number, and by key."""
    fields = {
        "columns": ["debit_transaction_id"],
        "none": [0],
        "key": "exchange_debit_{idempotency_key}",
        "parent_when": "business_type = 'exchange_debit'",
        "equal": EXCHANGE_EQUAL,
        "one_to_one": True,
    }
    if or_key:
        fields |= {"key_suffices": True, "when": "status = 'completed'"}
        fields |= {"pending": "status = 'pending'"}
    oracle = Referred(
        "exchange_records",
        "debit_transaction_id",
        "exchange_debit",
        _exchange_agrees,
        none=(0,),
        key_of=lambda row: _filled("exchange_debit_{}", row["idempotency_key"]),
        key_suffices=or_key,
        when=is_in("completed") if or_key else lambda _: True,
    )
    fields = PARENT | RECORD | OWNED | fields
    return Rule("exchange_records", "reference", fields, oracle, is_in("pending"))


EXCHANGE_EQUAL = {
    "-pay_amount": "delta_amount",
    "pay_asset_code": "asset_code",
    "user_id": "accounts.user_id",
}
AWARD_EQUAL = {"points_to_award": "delta_amount", "user_id": "accounts.user_id"}

RULES = {
    "lottery consume": Rule(
        "lottery_draws",
        "posting",
        LEDGER
        | DRAW
        | OWNED
        | {
            "ledger_key": "lottery_consume:{lottery_session_id}",
            "ledger_when": "business_type = 'lottery_consume'",
            "equal": {"user_id": "accounts.user_id"},
            "sum": {"-cost_points": "delta_amount"},
        },
        Posted(
            "lottery_draws",
            lambda row: _filled("lottery_consume:{}", row["lottery_session_id"]),
            "lottery_consume",
            lambda rows, entry: (
                minus(total(row["cost_points"] for row in rows)) == entry["delta_amount"]
                and {row["user_id"] for row in rows} == {entry["owner"]}
            ),
            together="lottery_session_id",
        ),
    ),
    "lottery reward": Rule(
        "lottery_draws",
        "posting",
        LEDGER
        | DRAW
        | OWNED
        | {
            "ledger_key": "lottery_reward:{lottery_session_id}:{prize_id}",
            "ledger_when": "business_type = 'lottery_reward'",
            "required_when": "prize_type = 'points'",
            "equal": {"prize_value_points": "delta_amount", "user_id": "accounts.user_id"},
        },
        Posted(
            "lottery_draws",
            lambda r: _filled("lottery_reward:{}:{}", r["lottery_session_id"], r["prize_id"]),
            "lottery_reward",
            lambda rows, entry: (
                rows[0]["prize_value_points"] == entry["delta_amount"]
                and rows[0]["user_id"] == entry["owner"]
            ),
            required=lambda row: row["prize_type"] == "points",
        ),
    ),
    "lottery reference": Rule(
        "lottery_draws",
        "reference",
        PARENT
        | DRAW
        | {
            "columns": ["asset_transaction_id"],
            "parent_when": "business_type = 'lottery_consume'",
            "equal": {"lottery_session_id": "lottery_session_id"},
        },
        Referred(
            "lottery_draws",
            "asset_transaction_id",
            "lottery_consume",
            lambda rows, entry: rows[0]["lottery_session_id"] == entry["lottery_session_id"],
            one_to_one=False,
            owned=False,
        ),
    ),
    "exchange debit": Rule(
        "exchange_records",
        "posting",
        LEDGER
        | RECORD
        | OWNED
        | {
            "ledger_key": "exchange_debit_{idempotency_key}",
            "ledger_when": "business_type = 'exchange_debit'",
            "equal": EXCHANGE_EQUAL,
            "required_when": "status IN ('completed', 'shipped')",
            "pending": "status = 'pending'",
        },
        Posted(
            "exchange_records",
            lambda row: _filled("exchange_debit_{}", row["idempotency_key"]),
            "exchange_debit",
            _exchange_agrees,
            required=is_in("completed", "shipped"),
        ),
        is_in("pending"),
    ),
    "exchange reference": Rule(
        "exchange_records",
        "reference",
        PARENT
        | RECORD
        | OWNED
        | {
            "columns": ["debit_transaction_id"],
            "parent_when": "business_type = 'exchange_debit'",
            "equal": EXCHANGE_EQUAL,
            "one_to_one": True,
        },
        Referred("exchange_records", "debit_transaction_id", "exchange_debit", _exchange_agrees),
    ),
    "exchange reference of the paid": Rule(
        "exchange_records",
        "reference",
        PARENT
        | RECORD
        | OWNED
        | {
            "columns": ["debit_transaction_id"],
            "when": "status IN ('completed', 'shipped')",
            "none": [0],
            "not_null_when": "pay_amount > 101",
            "pending": "status = 'pending'",
            "parent_when": "business_type = 'exchange_debit'",
            "equal": EXCHANGE_EQUAL,
            "one_to_one": True,
        },
        Referred(
            "exchange_records",
            "debit_transaction_id",
            "exchange_debit",
            _exchange_agrees,
            required=lambda row: (row["pay_amount"] or 0) > 101,
            when=is_in("completed", "shipped"),
            none=(0,),
        ),
        is_in("pending"),
    ),
    "exchange reference and key": _linked(),
    "exchange reference or key": _linked(or_key=True),
    "consumption reference": Rule(
        "consumption_records",
        "reference",
        PARENT
        | RECORD
        | OWNED
        | APPROVED
        | {
            "columns": ["reward_transaction_id"],
            "parent_when": "business_type = 'consumption_reward'",
            "equal": AWARD_EQUAL,
            "one_to_one": True,
        },
        Referred(
            "consumption_records",
            "reward_transaction_id",
            "consumption_reward",
            _award_agrees,
            required=is_in("approved"),
        ),
        is_in("pending"),
    ),
    "consumption posting": Rule(
        "consumption_records",
        "posting",
        LEDGER
        | RECORD
        | OWNED
        | APPROVED
        | {
            "ledger_key": "consumption_reward:approve:{record_id}",
            "ledger_when": "business_type = 'consumption_reward'",
            "equal": AWARD_EQUAL,
        },
        Posted(
            "consumption_records",
            lambda row: _filled("consumption_reward:approve:{}", row["record_id"]),
            "consumption_reward",
            _award_agrees,
            required=is_in("approved"),
        ),
        is_in("pending"),
    ),
    "market buyer": _trade_leg("buyer_debit", "buyer_user_id", "gross_amount", debit=True),
    "market seller": _trade_leg("seller_credit", "seller_user_id", "net_amount"),
    "market fee": _trade_leg("platform_fee_credit", None, "fee_amount"),
}
"""Every check of the reconciliation. A further kind brings an oracle of its own, and a line."""


@pytest.fixture
def books_ledger(ledger: Ledger) -> Ledger:
    """A ledger with its tables, empty."""
    ledger.sql(*(f"CREATE TABLE {name} ({columns})" for name, columns in COLUMNS.items()), *INDEXES)
    return ledger


def test_what_is_right_is_right() -> None:
    """The oracle finds nothing in books in which business went on as it should."""
    books = Books()
    businesses = ("lottery", "exchange", "consumption", "trade")
    enact(
        books,
        [(kind, 11, one, two) for kind in businesses for one in range(4) for two in range(4)],
    )
    for fold in map(fold_of, EXAMPLES):
        assert [rule.oracle.wrong(View(books, fold)) for rule in RULES.values()] == [set()] * len(
            RULES
        )


def test_complete_runs_find_what_is_wrong(books_ledger: Ledger) -> None:
    """A complete run finds what is wrong and nothing else, and counts it exactly."""
    fold = fold_of(books_ledger.backend)

    @settings(max_examples=EXAMPLES[books_ledger.backend], deadline=None)
    @given(events=EVENTS, mishaps=MISHAPS)
    # A space within a key counts, and at its end it does not.
    @example(
        events=[("lottery", 11, 1, 0), ("lottery", 11, 0, 1)],
        mishaps=[("alter", "lottery_draws", 0, 0, 18)],
    )
    def holds(events: list[Event], mishaps: list[Mishap]) -> None:
        books = Books()
        enact(books, events)
        corrupt(books, mishaps)
        books.write(books_ledger)
        for name, rule in RULES.items():
            result = rule.check.run(books_ledger.sources)
            assert found(result, fold) == rule.oracle.wrong(View(books, fold)), name
            assert len(result.findings) == result.violations, name
            judged = result.examined + sum(each or 0 for each in result.excluded.values())
            assert (result.complete, judged) == (True, len(books.rows[rule.table])), name

    holds()


STEPS = st.lists(st.tuples(EVENTS, MISHAPS), min_size=2, max_size=4)


def test_runs_along_the_cursor_find_what_they_promise(books_ledger: Ledger) -> None:
    """Of what is new, was pending or was known, such runs find all that is wrong; never more."""
    fold = fold_of(books_ledger.backend)

    @settings(max_examples=EXAMPLES[books_ledger.backend], deadline=None)
    @given(names=st.sets(st.sampled_from(sorted(RULES)), min_size=1, max_size=3), steps=STEPS)
    def holds(names: set[str], steps: list[tuple[list[Event], list[Mishap]]]) -> None:
        followed = {name: Following(RULES[name], fold) for name in sorted(names)}
        books = Books()
        for events, mishaps in steps:
            enact(books, events)
            corrupt(books, mishaps)
            books.write(books_ledger)
            for each in followed.values():
                each.go_on(books_ledger, books)

    holds()


@dataclass
class Following:
    """One rule, run again and again with the smallest overlap that there is."""

    rule: Rule
    fold: Fold
    last: Result | None = None
    before: Books | None = None
    waiting: frozenset[Any] = frozenset()
    """The business rows that were pending when the run before looked at them."""

    def go_on(self, ledger: Ledger, books: Books) -> None:
        """Run once more, and see that what had to be found was found."""
        window = window_after(self.last) if self.last else Window()
        result = self.rule.check.run(ledger.sources, window)
        wrong = self.rule.oracle.wrong(View(books, self.fold))
        seen = found(result, self.fold)
        assert seen <= wrong
        assert len(result.findings) == result.violations
        if result.complete:
            assert seen == wrong
        known = {folded(key, self.fold) for key in window.known}
        new = self._new(books, self.rule.table) | self.waiting
        promised = self._keys(books, new) | known
        assert {(key, problem) for key, problem in wrong if key in promised} <= seen
        own = NAMES[self.rule.table][0]
        self.waiting = frozenset(
            row[own]
            for row in books.rows[self.rule.table]
            if self.rule.pending(row) and (result.complete or row[own] in new)
        )
        self.last, self.before = result, books.copy()

    def _new(self, books: Books, table: str) -> frozenset[Any]:
        own = NAMES[table][0]
        old = {row[own] for row in self.before.rows[table]} if self.before else set()
        return frozenset(row[own] for row in books.rows[table]) - old

    def _keys(self, books: Books, new: frozenset[Any]) -> set[Key]:
        """The keys of all findings of which a run promises to see that they arise."""
        names = NAMES[self.rule.table]
        rows = [row for row in books.rows[self.rule.table] if row[names[0]] in new]
        found = {folded({name: row[name]}, self.fold) for row in rows for name in names}
        far = "asset_transactions.transaction_id"
        found |= {folded({far: n}, self.fold) for n in self._new(books, "asset_transactions")}
        column = getattr(self.rule.oracle, "column", None)
        shared = {folded({far: row[column]}, self.fold) for row in rows} if column else set()
        # That a row is named by several is told by those that name it, which may be new.
        return found | shared


def folded(key: Any, fold: Fold) -> Key:
    """A finding's key, texts as they are compared."""
    return frozenset((name, fold(value)) for name, value in key.items())


def found(result: Result, fold: Fold) -> set[Wrong]:
    """What a result says is wrong."""
    return {(folded(each.key, fold), str(each.evidence["problem"])) for each in result.findings}
