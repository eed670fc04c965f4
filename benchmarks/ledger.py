"""A consistent ledger of any size, written by the server itself.

Every account begins with an opening row for each asset. Then come rounds of ten ledger rows: a
lottery session (its cost and a prize), a consumption, an exchange, a trade (three legs, the fee for
the hot account) and three rows without a business table, one of them now and then a frozen listing.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pymysql

from tests.support.servers import Database, load_schema

ROUND = 10
"""Ledger rows of a round."""

ROWS_PER_ACCOUNT = 25
LEAST_ACCOUNTS = 10
ASSETS = ("POINTS", "DIAMOND", "red_core_shard")
ZONE = ZoneInfo("Asia/Shanghai")
HOT = 1
"""The account that gets one row in ten."""

OPEN_LISTINGS = 1_000_000_000
"""From here on listings that are not sold have their ids."""

LONGEST = 15_000_000.0
"""Seconds from the first row to the last."""

FREEZE, FEE, BONUS, OPENING = 8, 6, 9, 10
TURNS = (
    ("lottery_consume", "'lottery_consume:sess_', code", "1", "-2 * amount"),
    ("lottery_reward", "'lottery_reward:sess_', code, ':', 1 + round % 50", "1", "amount"),
    ("consumption_reward", "'consumption_reward:approve:', round + 1", "1", "amount"),
    ("exchange_debit", "'exchange_debit_ex_', code", "3", "-amount"),
    ("market_purchase_buyer_debit", "'market_purchase_buyer_debit_tr_', code", "2", "-amount"),
    (
        "market_purchase_seller_credit",
        "'market_purchase_seller_credit_tr_', code",
        "2",
        "amount - amount DIV 20",
    ),
    (
        "market_purchase_platform_fee_credit",
        "'market_purchase_platform_fee_credit_tr_', code",
        "2",
        "amount DIV 20",
    ),
    ("task_reward", "'task_reward:', code, ':', id", "1 + round % 3", "amount"),
    ("market_listing_freeze", "'market_listing_freeze_ml_', code", "1 + round % 3", "-amount"),
    ("daily_bonus", "'daily_bonus:', code, ':', id", "1 + round % 3", "amount"),
    ("opening", "'opening:', id", f"1 + (id - 1) % {len(ASSETS)}", "10000000"),
)
"""By turn within a round: business type, parts of the key, number of the asset, change."""

_STAGE = f"""
CREATE TABLE stage (
  id bigint PRIMARY KEY, turn tinyint NOT NULL, round bigint NOT NULL, code char(24) NOT NULL,
  account_id bigint NOT NULL, asset_code enum({", ".join(map(repr, ASSETS))}) NOT NULL,
  delta bigint NOT NULL, frozen bigint NOT NULL, at datetime NOT NULL, KEY (turn)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
"""

_BUSINESS = (
    """
INSERT INTO lottery_draws (draw_id, idempotency_key, lottery_session_id, asset_transaction_id,
  user_id, campaign_id, prize_id, prize_type, prize_value_points, draw_type, cost_points,
  created_at, updated_at)
SELECT CONCAT('draw_', LEFT(SHA2(CONCAT(round, '-', nth), 256), 24)),
  CONCAT('draw:', code, ':', nth), CONCAT('sess_', code), id, account_id, 1,
  nth * 100 + 1 + round % 50, IF(nth = 0, 'points', 'coupon'), IF(nth = 0, -delta DIV 2, 0),
  'multi', -delta DIV 2, at, at
FROM stage JOIN (SELECT 0 AS nth UNION ALL SELECT 1) AS draws WHERE turn = 0
""",
    """
INSERT INTO consumption_records (record_id, idempotency_key, user_id, consumption_amount,
  points_to_award, reward_transaction_id, status, qr_code, created_at, updated_at)
SELECT round + 1, CONCAT('consumption:', code), account_id, delta, delta, id, 'approved',
  CONCAT('QR', code), at, at
FROM stage WHERE turn = 2 ORDER BY id
""",
    """
INSERT INTO exchange_records (record_id, idempotency_key, order_no, user_id, item_id,
  pay_asset_code, pay_amount, debit_transaction_id, status, created_at, updated_at)
SELECT round + 1, CONCAT('ex_', code), CONCAT('EX', round), account_id, 1, asset_code, -delta, id,
  'completed', at, at
FROM stage WHERE turn = 3 ORDER BY id
""",
    """
INSERT INTO trade_orders (order_id, idempotency_key, listing_id, buyer_user_id, seller_user_id,
  asset_code, gross_amount, fee_amount, net_amount, status, created_at, updated_at, completed_at)
SELECT s.round + 1, CONCAT('tr_', s.code), s.round + 1, s.account_id, seller.account_id,
  s.asset_code, -s.delta, -s.delta - seller.delta, seller.delta, 'completed', s.at, s.at, s.at
FROM stage AS s JOIN stage AS seller ON seller.id = s.id + 1 WHERE s.turn = 4 ORDER BY s.id
""",
    """
INSERT INTO market_listings (listing_id, idempotency_key, listing_kind, seller_user_id,
  price_amount, status, created_at, updated_at)
SELECT s.round + 1, CONCAT('sold_', s.code), 'item_instance', seller.account_id, -s.delta, 'sold',
  s.at, s.at
FROM stage AS s JOIN stage AS seller ON seller.id = s.id + 1 WHERE s.turn = 4 ORDER BY s.id
""",
    f"""
INSERT INTO market_listings (listing_id, idempotency_key, listing_kind, seller_user_id,
  offer_asset_code, offer_amount, price_amount, seller_offer_frozen, status, created_at, updated_at)
SELECT {OPEN_LISTINGS} + id, CONCAT('ml_', code), 'fungible_asset', account_id, asset_code, frozen,
  1, 1, 'on_sale', at, at
FROM stage WHERE turn = {FREEZE} ORDER BY id
""",
)

_CHAIN = """
INSERT INTO chained
SELECT s.id, COALESCE(b.amount, 0)
  + CAST(SUM(s.delta) OVER (PARTITION BY s.account_id, s.asset_code ORDER BY s.id) AS SIGNED)
FROM stage AS s LEFT JOIN (
  SELECT account_id, asset_code, SUM(available_amount) AS amount FROM account_asset_balances
  WHERE account_id IN (SELECT account_id FROM stage) GROUP BY account_id, asset_code
) AS b ON b.account_id = s.account_id AND b.asset_code = s.asset_code
"""

_BALANCES = """
UPDATE account_asset_balances AS b
JOIN (
  SELECT account_id, asset_code, SUM(delta) AS delta, SUM(frozen) AS frozen
  FROM stage GROUP BY account_id, asset_code
) AS new ON new.account_id = b.account_id AND new.asset_code = b.asset_code
SET b.available_amount = b.available_amount + new.delta,
  b.frozen_amount = b.frozen_amount + new.frozen
WHERE b.campaign_id IS NULL
"""

_TABLES = (
    "asset_transactions",
    "lottery_draws",
    "consumption_records",
    "exchange_records",
    "trade_orders",
)
"""Those that grow with the ledger."""


@dataclass(slots=True)
class Ledger:
    """One ledger in one database."""

    database: Database
    accounts: int
    begin: datetime
    step: float
    """Seconds between two rows."""
    rows: int = 0

    @property
    def openings(self) -> int:
        """The rows with which the accounts begin."""
        return self.accounts * len(ASSETS)

    def grow(self, rows: int) -> None:
        """Add about so many ledger rows at the end (whole rounds), with all that belongs to them.

        The first call adds the openings, too, and counts them.
        """
        first = self.rows + 1
        start = max(self.rows, self.openings)
        self.rows = start + max(0, self.rows + rows - start) // ROUND * ROUND
        run(
            self.database,
            _STAGE,
            "CREATE TABLE chained (id bigint PRIMARY KEY, balance bigint NOT NULL)",
            self._staged(first, self.rows),
            "ANALYZE TABLE stage",
            _CHAIN,
            _postings(),
            _BALANCES,
            *_BUSINESS,
            "DROP TABLE stage, chained",
        )

    def _staged(self, first: int, last: int) -> str:
        """The rows to come, without the balances before and after them."""
        changes = [change for _, _, _, change in TURNS]
        assets = [asset for _, _, asset, _ in TURNS]
        begin = self.begin.strftime("%Y-%m-%d %H:%M:%S")
        return f"""
INSERT INTO stage
SELECT id, turn, round, code,
  CASE WHEN turn = {OPENING} THEN 1 + (id - 1) DIV {len(ASSETS)}
    WHEN turn = {FEE} OR turn = {BONUS} AND round % 8 = 0 THEN {HOT}
    ELSE 2 + picked % {self.accounts - 1} END,
  {_by_turn(assets)}, {_by_turn(changes)}, IF(turn = {FREEZE}, amount, 0),
  '{begin}' + INTERVAL FLOOR(id * {self.step}) SECOND
FROM (
  SELECT id, IF(turn = {FREEZE} AND round % 10 > 0, {BONUS}, turn) AS turn, round,
    LEFT(SHA2(round, 256), 24) AS code,
    CAST(100 + CRC32(SHA2(CONCAT('a', round), 256)) % 900 AS SIGNED) AS amount,
    CRC32(SHA2(IF(turn = 1, id - 1, id), 256)) AS picked
  FROM (
    SELECT id, IF(id > {self.openings}, (id - {self.openings} - 1) % {ROUND}, {OPENING}) AS turn,
      GREATEST(0, id - {self.openings} - 1) DIV {ROUND} AS round
    FROM ({_numbers(first, last)}) AS n
  ) AS turns
) AS drawn
"""


def make(database: Database, rows: int) -> Ledger:
    """Fill an empty database with a ledger of about so many rows."""
    load_schema(database.server, database.name)
    step = min(3.0, LONGEST / rows)
    two_days_ago = datetime.now(ZONE).replace(tzinfo=None) - timedelta(days=2)
    begin = two_days_ago - timedelta(seconds=step * rows)
    ledger = Ledger(database, max(LEAST_ACCOUNTS, rows // ROWS_PER_ACCOUNT), begin, step)
    run(
        database,
        "CREATE TABLE digits (d int PRIMARY KEY)",
        f"INSERT INTO digits VALUES {', '.join(f'({number})' for number in range(1000))}",
        *_accounts(ledger.accounts),
    )
    with _without_indexes(database):
        ledger.grow(rows)
    run(database, *(f"ANALYZE TABLE {each}" for each in (*_TABLES, "account_asset_balances")))
    return ledger


def run(database: Database, *statements: str) -> tuple[tuple[Any, ...], ...]:
    """Run statements as root, with room to sort, however long it takes; the rows of the last."""
    with (
        closing(
            pymysql.connect(
                host=database.server.host,
                port=database.server.port,
                user="root",
                database=database.name,
                charset="utf8mb4",
                autocommit=True,
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SET SESSION unique_checks=0, foreign_key_checks=0, sort_buffer_size=268435456,"
            " tmp_table_size=1073741824, max_heap_table_size=1073741824"
        )
        for statement in statements:
            cursor.execute(statement)
        return tuple(cursor.fetchall())


@contextmanager
def _without_indexes(database: Database) -> Iterator[None]:
    """Take the secondary indexes of the large tables away, and build them at the end."""
    adds = []
    for table in _TABLES:
        lines = run(database, f"SHOW CREATE TABLE {table}")[0][1].splitlines()
        constraints = [line for line in lines if "FOREIGN KEY" in line]
        keys = [line for line in lines if re.match(r"\s*(UNIQUE )?KEY ", line)]
        names = [f"DROP FOREIGN KEY {_name(line)}" for line in constraints]
        names += [f"DROP KEY {_name(line)}" for line in keys]
        run(database, f"ALTER TABLE {table} {', '.join(names)}")
        parts = ", ".join(f"ADD {line.strip().rstrip(',')}" for line in (*keys, *constraints))
        adds.append(f"ALTER TABLE {table} {parts}")
    yield
    run(database, *adds)


def _name(line: str) -> str:
    """The first name that is quoted in a line of SHOW CREATE TABLE."""
    return line.split("`")[1]


def _accounts(accounts: int) -> tuple[str, ...]:
    """Users, accounts, and balances of 0; one in twenty of them held in two rows."""
    numbers = _numbers(1, accounts)
    assets = " UNION ALL ".join(f"SELECT '{asset}' AS asset" for asset in ASSETS)
    return (
        f"""
INSERT INTO users (user_id, mobile, created_at, updated_at)
SELECT id, 10000000000 + id, NOW(), NOW() FROM ({numbers}) AS n WHERE id <> {HOT}
""",
        f"""
INSERT INTO accounts (account_id, account_type, user_id, system_code)
SELECT id, IF(id = {HOT}, 'system', 'user'), NULLIF(id, {HOT}),
  IF(id = {HOT}, 'SYSTEM_PLATFORM_FEE', NULL)
FROM ({numbers}) AS n
""",
        f"""
INSERT INTO account_asset_balances (account_id, asset_code, available_amount)
SELECT id, asset, IF(id % 20 = 0, -7, 0) FROM ({numbers}) AS n JOIN ({assets}) AS a
""",
        f"""
INSERT INTO account_asset_balances (account_id, asset_code, available_amount, campaign_id)
SELECT id, asset, 7, 'c1' FROM ({numbers}) AS n JOIN ({assets}) AS a WHERE id % 20 = 0
""",
    )


def _numbers(first: int, last: int) -> str:
    """The whole numbers from `first` to `last`."""
    size = 1 + last - first
    return f"""
SELECT {first} + a.d + 1000 * b.d + 1000000 * c.d AS id
FROM digits AS c STRAIGHT_JOIN digits AS b STRAIGHT_JOIN digits AS a
WHERE c.d <= {size // 10**6} AND b.d <= {size // 1000}
  AND a.d + 1000 * b.d + 1000000 * c.d < {size}
"""


def _by_turn(values: list[str]) -> str:
    return f"CASE turn {' '.join(f'WHEN {n} THEN {value}' for n, value in enumerate(values))} END"


def _postings() -> str:
    types = ", ".join(f"'{business_type}'" for business_type, _, _, _ in TURNS)
    keys = _by_turn([f"CONCAT({parts})" for _, parts, _, _ in TURNS])
    return f"""
INSERT INTO asset_transactions (transaction_id, account_id, asset_code, delta_amount,
  balance_before, balance_after, frozen_amount_change, business_type, lottery_session_id,
  idempotency_key, meta, created_at)
SELECT id, account_id, asset_code, delta, balance - delta, balance, frozen,
  ELT(turn + 1, {types}), IF(turn < 2, CONCAT('sess_', code), NULL), {keys},
  CONCAT('{{"order": ', id, '}}'), at
FROM stage JOIN chained USING (id)
ORDER BY id
"""
