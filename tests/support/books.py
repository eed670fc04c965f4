"""Small random ledgers, right at first, and what a person with pencil and paper says of them.

Nothing here looks at the SQL of the checks: each rule is written down again, in plain Python, from
the facts of the ledger.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from hypothesis import strategies as st

from tests.support.ledgers import Ledger

Row = dict[str, Any]
Key = frozenset[tuple[str, Any]]
Wrong = tuple[Key, str]
"""What is wrong: the key of its finding, and the problem."""

LONGEST_KEY = 100
_BEGAN = datetime(2026, 1, 3)  # noqa: DTZ001 - as the column holds it
_LONG = "x" * 90

COLUMNS: Mapping[str, str] = {
    "accounts": "account_id bigint PRIMARY KEY, user_id int",
    "asset_transactions": (
        "transaction_id bigint PRIMARY KEY, account_id bigint, asset_code varchar(50),"
        " delta_amount bigint, business_type varchar(50), lottery_session_id varchar(100),"
        " idempotency_key varchar(100)"
    ),
    "lottery_draws": (
        "draw_id varchar(50) PRIMARY KEY, lottery_session_id varchar(100),"
        " asset_transaction_id bigint, user_id int, prize_id int, prize_type varchar(20),"
        " prize_value_points int, cost_points int, created_at datetime NOT NULL"
    ),
    "exchange_records": (
        "record_id bigint PRIMARY KEY, idempotency_key varchar(100), user_id int,"
        " pay_asset_code varchar(50), pay_amount bigint, debit_transaction_id bigint,"
        " status varchar(20)"
    ),
    "consumption_records": (
        "record_id bigint PRIMARY KEY, user_id int, points_to_award int,"
        " reward_transaction_id bigint, status varchar(20)"
    ),
    "trade_orders": (
        "order_id bigint PRIMARY KEY, idempotency_key varchar(100), buyer_user_id int,"
        " seller_user_id int, asset_code varchar(50), gross_amount bigint, fee_amount bigint,"
        " net_amount bigint, status varchar(20)"
    ),
}
INDEXES = (
    "CREATE INDEX transaction_key ON asset_transactions (idempotency_key)",
    "CREATE INDEX draw_session ON lottery_draws (lottery_session_id)",
    "CREATE INDEX draw_at ON lottery_draws (created_at)",
)
NAMES = {
    table: [each.split()[0] for each in columns.split(", ")] for table, columns in COLUMNS.items()
}
_FIXED = {"created_at"}
_EXTRA: dict[str, list[Any]] = {
    "idempotency_key": ["exchange_debit_", "lottery_reward:s1", "lottery_consume:S1", _LONG, ""],
    "lottery_session_id": ["S1", "s1 ", "s:1", ""],
    "business_type": ["other", "exchange_debit", "lottery_reward"],
    "asset_code": ["GEM", "points"],
    "pay_asset_code": ["GEM"],
    "status": ["approved", "completed", "pending", "created", "cancelled"],
    "delta_amount": [0, -1, 2**40],
    "prize_id": [1, -2],
    "prize_type": ["points", "coupon"],
    "account_id": [1, 404],
    "user_id": [11, 404],
    "debit_transaction_id": [0, 1],
    "fee_amount": [0, 1],
}


@dataclass
class Books:
    """All rows of a ledger, and the next id of each table."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in COLUMNS})
    used: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))

    def add(self, table: str, **values: object) -> Row:
        """Append a row with the next id."""
        self.used[table] += 1
        number = self.used[table]
        row = dict.fromkeys(NAMES[table]) | values
        row[NAMES[table][0]] = f"d-{number}" if table == "lottery_draws" else number
        if table == "lottery_draws":
            # Two rows of each second, so that a second may be read in part only.
            row["created_at"] = str(_BEGAN + timedelta(seconds=number // 2))
        self.rows[table].append(row)
        return row

    def post(self, user: int | None, kind: str, key: str, amount: int, **other: object) -> Row:
        """Append a ledger row of the account of a user."""
        row = {"account_id": (user or 10) - 10, "asset_code": "POINTS", "delta_amount": amount}
        row |= {"business_type": kind, "idempotency_key": key, **other}
        return self.add("asset_transactions", **row)

    def copy(self) -> "Books":
        """The same again."""
        return deepcopy(self)

    def write(self, ledger: Ledger) -> None:
        """Make a database hold just these rows."""
        ledger.sql("BEGIN")
        for table, rows in self.rows.items():
            ledger.sql(f"DELETE FROM {table}")
            if rows:
                ledger.insert(table, ", ".join(NAMES[table]), [tuple(r.values()) for r in rows])
        ledger.sql("COMMIT")


Event = tuple[str, int, int, int]
"""What happened: a business, a user, and two small numbers that it makes of what it likes."""

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["lottery", "exchange", "consumption", "trade"]),
        st.integers(11, 13),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=5,
)


def enact(books: Books, events: Iterable[Event]) -> None:
    """Let business go on as it should."""
    if not books.rows["accounts"] and not books.used["accounts"]:
        for user in (None, 11, 12, 13):
            books.add("accounts", user_id=user)["account_id"] = (user or 10) - 10
    for kind, user, one, other in events:
        _BUSINESS[kind](books, user, one, other)


def _lottery(books: Books, user: int, one: int, other: int) -> None:
    session = ("s{}", "S{}", "s:{}", "{}")[other].format(books.used["lottery_draws"] + 1)
    costs = [10 + n for n in range(one % 3 + 1)]
    paid = books.post(
        user,
        "lottery_consume",
        f"lottery_consume:{session}",
        -sum(costs),
        lottery_session_id=session,
    )
    for prize, cost in enumerate(costs, start=other):
        won = "points" if prize % 2 else "coupon"
        books.add(
            "lottery_draws",
            lottery_session_id=session,
            asset_transaction_id=paid["transaction_id"],
            user_id=user,
            prize_id=prize,
            prize_type=won,
            prize_value_points=prize * 5,
            cost_points=cost,
        )
        if won == "points":
            key = f"lottery_reward:{session}:{prize}"
            books.post(user, "lottery_reward", key, prize * 5, lottery_session_id=session)


def _exchange(books: Books, user: int, one: int, other: int) -> None:
    key = f"{'Ee'[one % 2]}-{books.used['exchange_records'] + 1}"
    status = ("completed", "completed", "pending", "cancelled")[other]
    row = books.add(
        "exchange_records",
        idempotency_key=key,
        user_id=user,
        pay_asset_code="POINTS",
        pay_amount=100 + one,
        status=status,
    )
    if status in ("completed", "shipped"):
        paid = books.post(user, "exchange_debit", f"exchange_debit_{key}", -100 - one)
        row["debit_transaction_id"] = paid["transaction_id"]


def _consumption(books: Books, user: int, one: int, other: int) -> None:
    status = ("approved", "approved", "pending", "rejected")[other]
    row = books.add("consumption_records", user_id=user, points_to_award=one, status=status)
    if status == "approved":
        key = f"consumption_reward:approve:{row['record_id']}"
        paid = books.post(user, "consumption_reward", key, one)
        row["reward_transaction_id"] = paid["transaction_id"]


def _trade(books: Books, user: int, one: int, other: int) -> None:
    key, fee = f"t{books.used['trade_orders'] + 1}", one % 3
    buyer, seller = user, 11 + (user - 10) % 3
    status = ("completed", "completed", "created", "cancelled")[other]
    books.add(
        "trade_orders",
        idempotency_key=key,
        buyer_user_id=buyer,
        seller_user_id=seller,
        asset_code="POINTS",
        gross_amount=50,
        fee_amount=fee,
        net_amount=50 - fee,
        status=status,
    )
    if status == "completed":
        event = "market_purchase"
        books.post(buyer, f"{event}_buyer_debit", f"{event}_buyer_debit_{key}", -50)
        books.post(seller, f"{event}_seller_credit", f"{event}_seller_credit_{key}", 50 - fee)
        if fee:
            fee_event = f"{event}_platform_fee_credit"
            books.post(None, fee_event, f"{fee_event}_{key}", fee)


_BUSINESS: dict[str, Callable[[Books, int, int, int], None]] = {
    "lottery": _lottery,
    "exchange": _exchange,
    "consumption": _consumption,
    "trade": _trade,
}

Mishap = tuple[str, str, int, int, int]
"""What went wrong: how, in which table, and three numbers that choose rows, columns and values."""

_CHOICE = st.integers(0, 30)
MISHAPS = st.lists(
    st.tuples(
        st.sampled_from(["alter", "alter", "alter", "delete", "double", "swap"]),
        st.sampled_from(["asset_transactions", *COLUMNS]),
        _CHOICE,
        _CHOICE,
        _CHOICE,
    ),
    max_size=5,
)


def corrupt(books: Books, mishaps: Iterable[Mishap]) -> None:
    """Let rows be lost, doubled, altered, or exchange their values."""
    for kind, table, number, place, choice in mishaps:
        rows = books.rows[table]
        if not rows:
            continue
        row = rows[-1 - number % len(rows)]
        names = [name for name in NAMES[table][1:] if name not in _FIXED]
        name = names[place % len(names)]
        if kind == "delete":
            rows.remove(row)
        elif kind == "double":
            own = {NAMES[table][0], *_FIXED}
            new = books.add(table, **{n: row[n] for n in NAMES[table] if n not in own})
            if table == "accounts":
                new["account_id"] += 100  # the first ones are taken
        elif kind == "swap":
            other = rows[choice % len(rows)]
            row[name], other[name] = other[name], row[name]
        else:
            pool = [each[name] for each in rows if each[name] != row[name]]
            pool += [None, *_EXTRA.get(name, [])]
            row[name] = pool[choice % len(pool)]


Fold = Callable[[Any], Any]


def fold_of(backend: str) -> Fold:
    """What a text is compared as: itself in a file, without case and final spaces on a server."""
    if backend == "sqlite":
        return lambda value: value
    return lambda value: value.rstrip(" ").casefold() if isinstance(value, str) else value


WRITTEN = "as it is written"
"""Names, in a row as it is compared, the row as it is written: of that its key is composed."""


@dataclass(frozen=True)
class View:
    """Books as one database sees them."""

    books: Books
    fold: Fold

    def of(self, table: str) -> list[Row]:
        """The rows of a table, texts as they are compared; what is written stands under WRITTEN."""
        return [
            {n: self.fold(v) for n, v in row.items()} | {WRITTEN: row}
            for row in self.books.rows[table]
        ]

    def owners(self, entry: Row) -> list[Any]:
        """The users of the accounts of a ledger row: one, or none where the account is missing."""
        accounts = self.of("accounts")
        return [a["user_id"] for a in accounts if a["account_id"] == entry["account_id"]]


def minus(value: int | None) -> int | None:
    """The amount with the other sign."""
    return None if value is None else -value


def total(values: Iterable[int | None]) -> int | None:
    """The sum as SQL has it: without those that are unknown, and unknown if all are."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def key(**values: object) -> Key:
    """The key of a finding."""
    return frozenset(values.items())


def far_key(row: Row) -> Key:
    """The key of a finding of the ledger's side."""
    return frozenset({("asset_transactions.transaction_id", row["transaction_id"])})


Condition = Callable[[Row], bool]
Agrees = Callable[[list[Row], Row], bool]
"""Whether business rows and a ledger row, with its account's user as `owner`, say the same."""


@dataclass(frozen=True)
class Posted:
    """Business rows whose ledger row has a derived key."""

    table: str
    key_of: Callable[[Row], str | None]
    event: str
    agrees: Agrees
    required: Condition = lambda _: True
    together: str | None = None
    """The column by which rows answer together."""
    owned: bool = True
    """Whether the account matters."""

    def wrong(self, view: View) -> set[Wrong]:
        """Everything that is wrong."""
        return {*self._unposted(view), *self._unwarranted(view)}

    def _unposted(self, view: View) -> Iterable[Wrong]:
        own = self.together or NAMES[self.table][0]
        due = [row for row in view.of(self.table) if self.required(row)]
        due.sort(key=lambda row: repr(row[own]))
        for name, group in groupby(due, key=lambda row: row[own]):
            rows = list(group)
            if problem := self._problem(view, rows):
                yield key(**{own: name}), problem

    def _problem(self, view: View, rows: list[Row]) -> str | None:
        derived = self.key_of(rows[0][WRITTEN])
        if derived is not None and len(derived) > LONGEST_KEY:
            return "key_too_long"
        entries = [] if derived is None else self._entries(view, derived)
        for entry in entries:
            owners = view.owners(entry) if self.owned else [None]
            if entry["business_type"] == self.event and any(
                self.agrees(rows, entry | {"owner": owner}) for owner in owners
            ):
                return None
        return "mismatched" if entries else "missing"

    def _entries(self, view: View, derived: str) -> list[Row]:
        entries = view.of("asset_transactions")
        return [e for e in entries if e["idempotency_key"] == view.fold(derived)]

    def _unwarranted(self, view: View) -> Iterable[Wrong]:
        rows = [(view.fold(self.key_of(row[WRITTEN])), row) for row in view.of(self.table)]
        for entry in view.of("asset_transactions"):
            name = entry["idempotency_key"]
            giving = [row for derived, row in rows if name is not None and derived == name]
            if entry["business_type"] == self.event and not any(map(self.required, giving)):
                yield far_key(entry), "unwarranted" if giving else "orphaned"


@dataclass(frozen=True)
class Referred:
    """Business rows that name their ledger row, each its own."""

    table: str
    column: str
    event: str
    agrees: Agrees
    required: Condition = lambda _: False
    one_to_one: bool = True
    owned: bool = True
    when: Condition = lambda _: True
    """Which rows refer at all."""
    none: tuple[object, ...] = ()
    """Values that name nothing."""
    key_of: Callable[[Row], str | None] | None = None
    """The key that the row that is named must have."""
    key_suffices: bool = False
    """Whether the key leads to it where nothing is named."""

    def wrong(self, view: View) -> set[Wrong]:
        """Everything that is wrong."""
        rows, own = [row for row in view.of(self.table) if self.when(row)], NAMES[self.table][0]
        for row in rows:
            row[self.column] = None if row[self.column] in self.none else row[self.column]
        by_columns = [row[self.column] for row in rows if row[self.column] is not None]
        for row in rows if self.key_suffices else ():
            row[self.column] = row[self.column] or self._with_key(view, row)
        entries = {entry["transaction_id"]: entry for entry in view.of("asset_transactions")}
        found: set[Wrong] = set()
        for row in rows:
            if problem := self._problem(view, row, entries):
                found.add((key(**{own: row[own]}), problem))
        named = [row[self.column] for row in rows if row[self.column] is not None]
        for entry in entries.values():
            if entry["business_type"] == self.event and entry["transaction_id"] not in named:
                found.add((far_key(entry), "unreferenced"))
        if self.one_to_one:
            twice = {number for number in by_columns if by_columns.count(number) > 1}
            found |= {(far_key({"transaction_id": number}), "shared") for number in twice}
        return found

    def _problem(self, view: View, row: Row, entries: Mapping[int, Row]) -> str | None:
        number = row[self.column]
        if number is None:
            has_key = self.key_suffices and self.key_of and self.key_of(row[WRITTEN]) is not None
            return "missing" if has_key or self.required(row) else None
        if number not in entries:
            return "dangling"
        entry = entries[number]
        if self.key_of and view.fold(self.key_of(row[WRITTEN])) != entry["idempotency_key"]:
            return "mismatched"
        owners = view.owners(entry) if self.owned else [None]
        right = entry["business_type"] == self.event and any(
            self.agrees([row], entry | {"owner": owner}) for owner in owners
        )
        return None if right else "mismatched"

    def _with_key(self, view: View, row: Row) -> int | None:
        """The first ledger row that has the key of a row."""
        derived = view.fold(self.key_of(row[WRITTEN])) if self.key_of else None
        entries = view.of("asset_transactions") if derived is not None else []
        found = [e["transaction_id"] for e in entries if e["idempotency_key"] == derived]
        return min(found, default=None)
