"""The SQL that people usually write for these questions, by the name of the check that asks them.

Each statement counts what is wrong, under the same conditions as the check of `config.toml`.
"""

from collections.abc import Mapping

SINCE = "2026-01-02 20:24:20"

GROUPED = (
    """
SELECT idempotency_key, COUNT(*) FROM asset_transactions GROUP BY idempotency_key
HAVING COUNT(*) > 1 ORDER BY COUNT(*) DESC
""",
)

BLANK = (
    """
SELECT SUM(CASE WHEN idempotency_key IS NULL THEN 1 ELSE 0 END),
  SUM(CASE WHEN idempotency_key = '' THEN 1 ELSE 0 END),
  SUM(CASE WHEN TRIM(idempotency_key) = '' THEN 1 ELSE 0 END)
FROM asset_transactions
""",
)

SUMS = (
    """
SELECT COUNT(*) FROM (
  SELECT account_id, asset_code, SUM(delta_amount) AS amount, SUM(frozen_amount_change) AS frozen
  FROM asset_transactions GROUP BY account_id, asset_code
) AS l LEFT JOIN (
  SELECT account_id, asset_code, SUM(available_amount) AS amount, SUM(frozen_amount) AS frozen
  FROM account_asset_balances GROUP BY account_id, asset_code
) AS b ON b.account_id = l.account_id AND b.asset_code = l.asset_code
WHERE b.account_id IS NULL OR b.amount <> l.amount OR b.frozen <> l.frozen
""",
    """
SELECT COUNT(*) FROM account_asset_balances AS b LEFT JOIN asset_transactions AS l
  ON l.account_id = b.account_id AND l.asset_code = b.asset_code
WHERE l.transaction_id IS NULL
""",
)

CHAIN = (
    """
SELECT COUNT(*) FROM (
  SELECT balance_before, LAG(balance_after) OVER (
    PARTITION BY account_id, asset_code ORDER BY transaction_id) AS previous
  FROM asset_transactions
) AS links WHERE balance_before <> COALESCE(previous, 0)
""",
)


def _forward(table: str, condition: str, key: str, required: str = "TRUE") -> str:
    """Rows of a table without the ledger row that they should have."""
    return f"""
SELECT COUNT(*) FROM {table} AS n
LEFT JOIN (asset_transactions AS l JOIN accounts AS a ON a.account_id = l.account_id)
  ON {key} AND {condition}
WHERE ({required}) AND n.created_at >= '{SINCE}' AND n.created_at <= NOW() - INTERVAL 10 SECOND
  AND l.transaction_id IS NULL
"""


def _backward(table: str, primary_key: str, wanted: str, key: str, required: str = "TRUE") -> str:
    """Ledger rows of a sort that no row of the table has."""
    return f"""
SELECT COUNT(*) FROM asset_transactions AS l LEFT JOIN {table} AS n ON {key} AND ({required})
WHERE {wanted} AND l.created_at >= '{SINCE}' AND l.created_at <= NOW() - INTERVAL 10 SECOND
  AND n.{primary_key} IS NULL
"""


def _both(
    table: str,
    business_type: str,
    same: str,
    primary_key: str = "order_id",
    required: str = "TRUE",
) -> tuple[str, str]:
    """Both directions where the ledger's key is its business type and the table's own key."""
    prefix = f"{business_type}_"
    wanted = f"l.business_type = '{business_type}'"
    return (
        _forward(
            table,
            f"{wanted} AND {same}",
            f"l.idempotency_key = CONCAT('{prefix}', n.idempotency_key)",
            required,
        ),
        _backward(
            table,
            primary_key,
            wanted,
            f"n.idempotency_key = SUBSTRING(l.idempotency_key, {len(prefix) + 1})",
            required,
        ),
    )


def _shared(table: str, column: str) -> str:
    """Values that several rows have."""
    return f"""
SELECT COUNT(*) FROM (
  SELECT {column} FROM {table} WHERE {column} IS NOT NULL GROUP BY {column} HAVING COUNT(*) > 1
) AS shared
"""


_COMPLETED = "n.status = 'completed'"
_REWARDED = "n.prize_type = 'points' AND n.prize_value_points > 0"

PAIRS: Mapping[str, tuple[str, ...]] = {
    "lottery_draws.cost_posting": (
        f"""
SELECT COUNT(*) FROM (
  SELECT lottery_session_id, SUM(cost_points) AS cost, MIN(user_id) AS first, MAX(user_id) AS last
  FROM lottery_draws WHERE created_at >= '{SINCE}' GROUP BY lottery_session_id
) AS n LEFT JOIN (asset_transactions AS l JOIN accounts AS a ON a.account_id = l.account_id)
  ON l.idempotency_key = CONCAT('lottery_consume:', n.lottery_session_id)
  AND l.business_type = 'lottery_consume' AND -l.delta_amount = n.cost AND l.asset_code = 'POINTS'
  AND a.user_id = n.first AND a.user_id = n.last
WHERE l.transaction_id IS NULL
""",
        _backward(
            "lottery_draws",
            "draw_id",
            "l.business_type = 'lottery_consume'",
            "n.lottery_session_id = SUBSTRING(l.idempotency_key, 17)",
        ),
    ),
    "lottery_draws.reward_posting": (
        _forward(
            "lottery_draws",
            "l.business_type = 'lottery_reward' AND l.delta_amount = n.prize_value_points"
            " AND a.user_id = n.user_id AND l.asset_code = 'POINTS'",
            "l.idempotency_key = CONCAT('lottery_reward:', n.lottery_session_id, ':', n.prize_id)",
            _REWARDED,
        ),
        _backward(
            "lottery_draws",
            "draw_id",
            "l.business_type = 'lottery_reward'",
            "n.lottery_session_id = SUBSTRING_INDEX(SUBSTRING(l.idempotency_key, 16), ':', 1)"
            " AND n.prize_id = SUBSTRING_INDEX(l.idempotency_key, ':', -1)",
            _REWARDED,
        ),
    ),
    "consumption_records.reward_posting": (
        _forward(
            "consumption_records",
            "l.business_type = 'consumption_reward' AND l.delta_amount = n.points_to_award"
            " AND a.user_id = n.user_id AND l.asset_code = 'POINTS'",
            "l.idempotency_key = CONCAT('consumption_reward:approve:', n.record_id)",
            "n.status = 'approved'",
        ),
        _backward(
            "consumption_records",
            "record_id",
            "l.business_type = 'consumption_reward'",
            "n.record_id = CAST(SUBSTRING(l.idempotency_key, 28) AS UNSIGNED)",
            "n.status = 'approved'",
        ),
    ),
    "exchange_records.debit_posting": _both(
        "exchange_records",
        "exchange_debit",
        "-l.delta_amount = n.pay_amount AND l.asset_code = n.pay_asset_code"
        " AND a.user_id = n.user_id",
        "record_id",
    ),
    "trade_orders.buyer_debit_posting": _both(
        "trade_orders",
        "market_purchase_buyer_debit",
        "-l.delta_amount = n.gross_amount AND l.asset_code = n.asset_code"
        " AND a.user_id = n.buyer_user_id",
        required=_COMPLETED,
    ),
    "trade_orders.seller_credit_posting": _both(
        "trade_orders",
        "market_purchase_seller_credit",
        "l.delta_amount = n.net_amount AND l.asset_code = n.asset_code"
        " AND a.user_id = n.seller_user_id",
        required=_COMPLETED,
    ),
    "trade_orders.platform_fee_posting": _both(
        "trade_orders",
        "market_purchase_platform_fee_credit",
        "l.delta_amount = n.fee_amount AND l.asset_code = n.asset_code"
        " AND a.system_code = 'SYSTEM_PLATFORM_FEE'",
        required=f"{_COMPLETED} AND n.fee_amount > 0",
    ),
    "lottery_draws.asset_transaction_id": (
        _forward(
            "lottery_draws",
            "l.business_type = 'lottery_consume' AND a.user_id = n.user_id"
            " AND l.lottery_session_id = n.lottery_session_id",
            "l.transaction_id = n.asset_transaction_id",
        ),
    ),
    "lottery_draws.lottery_session_id": (
        _forward(
            "lottery_draws",
            "l.business_type IN ('lottery_consume', 'lottery_reward')",
            "l.lottery_session_id = n.lottery_session_id",
        ),
        _backward(
            "lottery_draws",
            "draw_id",
            "l.business_type IN ('lottery_consume', 'lottery_reward')",
            "n.lottery_session_id = l.lottery_session_id",
        ),
    ),
    "consumption_records.reward_transaction_id": (
        _forward(
            "consumption_records",
            "l.business_type = 'consumption_reward' AND l.delta_amount = n.points_to_award"
            " AND a.user_id = n.user_id"
            " AND l.idempotency_key = CONCAT('consumption_reward:approve:', n.record_id)",
            "l.transaction_id = n.reward_transaction_id",
            "n.reward_transaction_id IS NOT NULL OR n.status = 'approved'",
        ),
        _shared("consumption_records", "reward_transaction_id"),
    ),
    "exchange_records.debit_transaction_id": (
        _forward(
            "exchange_records",
            "l.business_type = 'exchange_debit' AND -l.delta_amount = n.pay_amount"
            " AND l.asset_code = n.pay_asset_code AND a.user_id = n.user_id"
            " AND l.idempotency_key = CONCAT('exchange_debit_', n.idempotency_key)",
            "l.transaction_id = n.debit_transaction_id",
            "n.debit_transaction_id IS NOT NULL",
        ),
        _shared("exchange_records", "debit_transaction_id"),
    ),
    "trade_orders.listing_id": (
        f"""
SELECT COUNT(*) FROM trade_orders AS n LEFT JOIN market_listings AS p
  ON p.listing_id = n.listing_id AND p.seller_user_id = n.seller_user_id
WHERE n.created_at >= '{SINCE}' AND n.created_at <= NOW() - INTERVAL 10 SECOND
  AND p.listing_id IS NULL
""",
    ),
    "account_asset_balances.account_id": (
        """
SELECT COUNT(*) FROM account_asset_balances AS n LEFT JOIN accounts AS p
  ON p.account_id = n.account_id
WHERE n.created_at <= NOW() - INTERVAL 10 SECOND AND p.account_id IS NULL
""",
    ),
}
