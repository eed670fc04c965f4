"""A made-up ledger that keeps every rule, for trying the worker without a MySQL server.

The rows are the same on every call, load unchanged into MySQL, and tell of nobody real.
"""

import contextlib
import hashlib
import itertools
import json
import pathlib
import random
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib import resources
from typing import Any

Row = dict[str, Any]  # times stay datetimes until rows() hands them out
Subject = tuple[int, str]  # an account and an asset
Movement = tuple[datetime, Subject, int, str, str]  # time, subject, amount, kind, rest of the key

APPLICATION_ID = int.from_bytes(b"rcdl")
"""Stands in the header of every file built here: no other file is ever written to."""

BEIJING = timezone(timedelta(hours=8))
OPENED = datetime(2025, 12, 1, 9, tzinfo=BEIJING)
AUDITED = datetime(2026, 1, 5, 12, tzinfo=BEIJING)
DRAWN = datetime(2026, 1, 4, 20, 15, 30, tzinfo=BEIJING)
REQUEST_LIFE, VOUCHER_LIFE = timedelta(days=7), timedelta(days=14)

USERS, POINTS_USERS, STAFF = range(1, 12), range(1, 8), 11
SYSTEMS = ("SYSTEM_PLATFORM_FEE", "SYSTEM_MINT", "SYSTEM_BURN")
# Account ids differ from user ids, so that a join on the wrong one finds nothing.
ACCOUNTS = {owner: 101 + place for place, owner in enumerate((*USERS, *SYSTEMS))}
# The campaigns that each subject's balance is shared by; None is the row of no campaign.
CAMPAIGNS: dict[Subject, tuple[str | None, ...]] = {
    **{(ACCOUNTS[user], "POINTS"): (None,) for user in POINTS_USERS},
    (ACCOUNTS[1], "DIAMOND"): (None,),
    (ACCOUNTS[2], "BUDGET_POINTS"): ("winter-2025", "new-year-2026"),
    (ACCOUNTS["SYSTEM_PLATFORM_FEE"], "DIAMOND"): (None,),
}
SIGN_INS, ADJUSTMENTS, REQUESTS = 27, 51, 81
DONE = ("completed", "SUCCESS", '{"success": true}')
REFUSED = ("failed", "INVALID_ADDRESS", '{"success": false}')

DRAW_USER, DRAW_CAMPAIGN, DRAW_COST, PRIZE_ID, PRIZE_POINTS = 3, 1, 100, 7, 50
DRAW_KEY = f"lottery_draw_{DRAW_USER}_{DRAW_CAMPAIGN}_{int(DRAWN.timestamp() * 1000)}"
DRAW_SESSION = "lottery_session_20260104_0001"

ITEMS = range(1, 164)
RECENT_ITEMS = ITEMS[-4:]  # minted when minting already left an event
# The first items became a voucher each; these are the statuses of their redemption orders.
ORDERS = ("fulfilled",) * 20 + ("cancelled",) * 5 + ("expired",) * 5 + ("pending",) * 42
# What an order of that status did to its item last: event, who caused it, the item's status.
EFFECTS = {
    "pending": ("lock", "user", "locked"),
    "fulfilled": ("use", "admin", "used"),
    "cancelled": ("unlock", "user", "available"),
    "expired": ("expire", "system", "expired"),
}


def rows() -> dict[str, list[dict[str, object]]]:
    """Return each table's rows, tables and rows in an order that foreign keys accept."""
    rng = random.Random(20260105)  # noqa: S311 - nothing here is secret
    ledger = _ledger(sorted(_movements(rng), key=lambda movement: movement[0]))
    orders = [_order(rng, item, status) for item, status in enumerate(ORDERS, start=1)]
    tables = {
        "users": _users(),
        "accounts": _accounts(),
        "account_asset_balances": _numbered("balance_id", _balances(ledger)),
        "asset_transactions": ledger,
        "api_idempotency_requests": _numbered("request_id", _requests(rng)),
        "item_instances": list(_items(orders)),
        "item_instance_events": _numbered("event_id", _events(orders)),
        "redemption_orders": orders,
        "lottery_draws": _draws(ledger),
        "consumption_records": [],
        "exchange_records": [],
        "market_listings": [],
        "trade_orders": [],
    }
    return {table: [_plain(row) for row in found] for table, found in tables.items()}


def build(path: pathlib.Path) -> None:
    """Write the ledger as a SQLite file, replacing what is there once the new file is complete."""
    # A folder, not just a file, so that SQLite's own journal is cleared away with it.
    with tempfile.TemporaryDirectory(prefix=".demo-", dir=path.parent) as folder:
        draft = pathlib.Path(folder, path.name)
        with contextlib.closing(sqlite3.connect(draft)) as database:
            fill(database)
        # SQLite would replay what an old file left behind into the new one.
        for suffix in ("-journal", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        draft.replace(path)


def is_built_here(path: pathlib.Path) -> bool:
    """Whether a file is a demo ledger, and not somebody's own; only its header is looked at."""
    return header(path)[0] == APPLICATION_ID


def header(path: pathlib.Path) -> tuple[int, int]:
    """SQLite's application_id and user_version of a file, zeros when it is none of SQLite's.

    Read past SQLite, which cannot open a file that a killed process left in the middle of a write.
    """
    try:
        with path.open("rb") as file:
            first = file.read(72)
    except OSError:
        return 0, 0
    if not first.startswith(b"SQLite format 3\0"):
        return 0, 0
    return int.from_bytes(first[68:72]), int.from_bytes(first[60:64])


def fill(database: sqlite3.Connection) -> None:
    """Write the ledger into an empty database."""
    schema = resources.files("worker.demo").joinpath("ledger.sql").read_text(encoding="utf-8")
    database.executescript(f"BEGIN;\nPRAGMA application_id = {APPLICATION_ID};\n{schema}")
    for table, row in ((table, row) for table, found in rows().items() for row in found):
        marks = ", ".join(f":{column}" for column in row)
        database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)
    database.commit()


def _row(columns: str, *values: object) -> Row:
    return dict(zip(columns.split(), values, strict=True))


def _plain(row: Row) -> dict[str, object]:
    """Return the row with its times as text, without their offset: DATETIME knows none."""
    return {name: str(v)[:19] if isinstance(v, datetime) else v for name, v in row.items()}


def _numbered(column: str, found: Iterator[Row]) -> list[Row]:
    ordered = sorted(found, key=lambda row: row["created_at"])
    return [{column: number, **row} for number, row in enumerate(ordered, start=1)]


def _span(rng: random.Random, **most: int) -> timedelta:
    return timedelta(seconds=rng.randint(1, int(timedelta(**most).total_seconds())))


def _users() -> list[Row]:
    names = {user: f"demo-user-{user:02}" for user in USERS}
    columns = "user_id mobile nickname created_at updated_at"
    return [_row(columns, user, f"{user:011}", names[user], OPENED, OPENED) for user in USERS]


def _accounts() -> list[Row]:
    columns = "account_id account_type user_id system_code created_at updated_at"
    users = [_row(columns, ACCOUNTS[user], "user", user, None, OPENED, OPENED) for user in USERS]
    systems = [_row(columns, ACCOUNTS[s], "system", None, s, OPENED, OPENED) for s in SYSTEMS]
    return users + systems


def _movements(rng: random.Random) -> Iterator[Movement]:
    """Yield what moved; of all this, only the draw has a business table."""
    for account, asset in CAMPAIGNS:
        amount = rng.randrange(1000, 5000, 100)
        yield OPENED, (account, asset), amount, "opening_balance", f"{account}:{asset}"
    for user in POINTS_USERS:
        for day in rng.sample(range(1, 35), SIGN_INS):
            at, amount = OPENED + timedelta(days=day) + _span(rng, hours=12), rng.choice((5, 10))
            yield at, (ACCOUNTS[user], "POINTS"), amount, "daily_sign_in", f"{user}:{at:%Y%m%d}"
    for subject in itertools.islice(itertools.cycle(CAMPAIGNS), ADJUSTMENTS):
        # Few and small enough to leave every balance above zero; even, to be shared by campaigns.
        at, amount = OPENED + _span(rng, days=35), rng.choice((-40, -20, 30, 50, 80))
        yield at, subject, amount, "admin_adjustment", f"{STAFF}:{subject[0]}:{at:%Y%m%d%H%M%S}"
    player = (ACCOUNTS[DRAW_USER], "POINTS")
    yield DRAWN, player, -DRAW_COST, "lottery_consume", DRAW_SESSION
    yield DRAWN, player, PRIZE_POINTS, "lottery_reward", f"{DRAW_SESSION}:{PRIZE_ID}"


def _ledger(movements: list[Movement]) -> list[Row]:
    columns = """transaction_id account_id asset_code delta_amount balance_before balance_after
        frozen_amount_change business_type lottery_session_id idempotency_key created_at"""
    ledger: list[Row] = []
    balances = dict.fromkeys(CAMPAIGNS, 0)
    for number, (at, subject, amount, kind, rest) in enumerate(movements, start=1):
        before, balances[subject] = balances[subject], balances[subject] + amount
        session = DRAW_SESSION if kind.startswith("lottery_") else None
        moved = (*subject, amount, before, balances[subject], 0)
        ledger.append(_row(columns, number, *moved, kind, session, f"{kind}:{rest}", at))
    return ledger


def _balances(ledger: list[Row]) -> Iterator[Row]:
    columns = """account_id asset_code campaign_id available_amount frozen_amount
        created_at updated_at"""
    last = {(row["account_id"], row["asset_code"]): row for row in ledger}
    for subject, campaigns in CAMPAIGNS.items():
        amount, at = last[subject]["balance_after"] // len(campaigns), last[subject]["created_at"]
        for campaign in campaigns:
            yield _row(columns, *subject, campaign, amount, 0, OPENED, at)


def _draws(ledger: list[Row]) -> list[Row]:
    columns = """draw_id idempotency_key lottery_session_id asset_transaction_id user_id campaign_id
        prize_id prize_type prize_value_points draw_type cost_points created_at updated_at"""
    (cost,) = (row for row in ledger if row["business_type"] == "lottery_consume")
    keys = ("draw_20260104_0001", DRAW_KEY, DRAW_SESSION, cost["transaction_id"])
    prize = (PRIZE_ID, "points", PRIZE_POINTS, "single", DRAW_COST)
    return [_row(columns, *keys, DRAW_USER, DRAW_CAMPAIGN, *prize, DRAWN, DRAWN)]


def _requests(rng: random.Random) -> Iterator[Row]:
    """Yield the requests not yet forgotten: the draw, and calls that leave no business row."""
    yield _request(DRAWN, DRAW_USER, "lottery/draw", DRAW_KEY, DRAW_SESSION)
    for _ in range(REQUESTS - 1):
        at, user = AUDITED - _span(rng, days=6), rng.choice(USERS)
        yield _request(at, user, "profile/address", f"address_{user}_{at:%Y%m%d%H%M%S}", None)


def _request(at: datetime, user: int, path: str, key: str, event: str | None) -> Row:
    columns = """created_at user_id api_path idempotency_key business_event_id request_hash
        status response_code response_snapshot completed_at expires_at"""
    call = (at, user, f"/api/v4/{path}", key, event, hashlib.sha256(key.encode()).hexdigest())
    answer = DONE if event or at.second % 6 else REFUSED
    return _row(columns, *call, *answer, at + timedelta(seconds=1), at + REQUEST_LIFE)


def _owner(item: int) -> int:
    return USERS[item % len(USERS)]


def _minted(item: int) -> datetime:
    return OPENED + timedelta(hours=2 * item)


def _order(rng: random.Random, item: int, status: str) -> Row:
    columns = """order_id code_hash item_instance_id status redeemer_user_id fulfilled_at
        created_at updated_at expires_at"""
    order_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    created = _minted(item) + _span(rng, days=5)
    updated = created + (VOUCHER_LIFE if status == "expired" else _span(rng, days=10))
    if status == "pending":
        created = updated = AUDITED - _span(rng, days=6)
    redeemed = (_owner(item), updated) if status == "fulfilled" else (None, None)
    times = (created, updated, created + VOUCHER_LIFE)
    code_hash = hashlib.sha256(f"code {order_id}".encode()).hexdigest()
    return _row(columns, order_id, code_hash, item, status, *redeemed, *times)


def _items(orders: list[Row]) -> Iterator[Row]:
    columns = "item_instance_id owner_user_id item_type status locks created_at updated_at"
    for item, order in itertools.zip_longest(ITEMS, orders):
        status = EFFECTS[order["status"]][2] if order else "available"
        locks = (None, "null", "[]")[item % 3]  # each way to say that there is none
        if status == "locked":
            locks = json.dumps([{"lock_id": order["order_id"], "lock_type": "redemption"}])
        times = (_minted(item), order["updated_at"] if order else _minted(item))
        yield _row(columns, item, _owner(item), "voucher", status, locks, *times)


def _events(orders: list[Row]) -> Iterator[Row]:
    columns = """item_instance_id status_before owner_before owner_after event_type operator_type
        status_after business_type idempotency_key created_at"""
    for item in RECENT_ITEMS:
        minting = ("mint", "system", "available", "item_mint", f"mint:{item}", _minted(item))
        yield _row(columns, item, None, None, _owner(item), *minting)
    for item, order in enumerate(orders, start=1):
        lock, effect = EFFECTS["pending"], EFFECTS[order["status"]]
        story = [("available", lock, order["created_at"])]
        if effect != lock:
            story.append(("locked", effect, order["updated_at"]))
        for before, after, at in story:
            ids = ("redemption_order", f"{after[0]}:{order['order_id']}", at)
            yield _row(columns, item, before, _owner(item), _owner(item), *after, *ids)
