-- account_asset_balances.non_negative (non_negative)
-- A complete run executes:
SELECT COALESCE(SUM(CASE WHEN (`available_amount` < 0 OR `frozen_amount` < 0) THEN 1 ELSE 0 END), 0) AS `violations`,
  COALESCE(SUM(CASE WHEN (`available_amount` < 0) THEN 1 ELSE 0 END), 0) AS `in_available_amount`,
  COALESCE(SUM(CASE WHEN (`frozen_amount` < 0) THEN 1 ELSE 0 END), 0) AS `in_frozen_amount`
FROM `account_asset_balances`;
SELECT `balance_id`, `available_amount`, `frozen_amount`
FROM `account_asset_balances`
WHERE `available_amount` < 0
  OR `frozen_amount` < 0
ORDER BY `balance_id`
LIMIT 1000;
-- Inspection query:
SELECT *
FROM `account_asset_balances`
WHERE `available_amount` < 0
  OR `frozen_amount` < 0
LIMIT 100;

-- lottery_draws.duplicates.idempotency_key (duplicates)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `idempotency_key`, COUNT(*) AS `rows`, MIN(`draw_id`) AS `first`, MAX(`draw_id`) AS `last`
FROM `lottery_draws`
WHERE `idempotency_key` IS NOT NULL
GROUP BY `idempotency_key`
HAVING COUNT(*) > 1
LIMIT 100;
