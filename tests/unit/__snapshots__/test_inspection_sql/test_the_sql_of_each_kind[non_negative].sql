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