-- asset_transactions.market_conserved (conservation)
-- A complete run executes:
SELECT COALESCE(SUM(CASE WHEN (`sums`.`off` = 1 AND `sums`.`settled` = 0) THEN 0 ELSE `sums`.`number` END), 0) AS `examined`,
  COALESCE(SUM(CASE WHEN (NOT (`sums`.`off` = 1 AND `sums`.`settled` = 0)) THEN 1 ELSE 0 END), 0) AS `groups`,
  COALESCE(SUM(CASE WHEN (`sums`.`off` = 1 AND `sums`.`settled` = 0) THEN 1 ELSE 0 END), 0) AS `waiting`,
  COALESCE(SUM(CASE WHEN (`sums`.`off` = 1 AND `sums`.`settled` = 0) THEN `sums`.`number` ELSE 0 END), 0) AS `rows_waiting`,
  COALESCE(SUM(CASE WHEN (`sums`.`off` = 1 AND `sums`.`settled` = 1) THEN 1 ELSE 0 END), 0) AS `violations`
FROM (
    SELECT COUNT(*) AS `number`, CASE WHEN (COALESCE(SUM(`lines`.`delta_amount`), 0) != 0) THEN 1 ELSE 0 END AS `off`,
      CASE WHEN (COUNT(CASE WHEN (`lines`.`created_at` IS NULL OR NOT (`lines`.`created_at` > '2026-11-30 11:59:50' AND `lines`.`created_at` <= '2026-11-30 12:00:10')) THEN 1 END) = COUNT(*) OR COUNT(CASE WHEN (`lines`.`created_at` IS NULL OR NOT (`lines`.`created_at` > '2026-11-30 11:50:00' AND `lines`.`created_at` <= '2026-11-30 12:10:00')) THEN 1 END) > 0 AND COALESCE(SUM(CASE WHEN (`lines`.`created_at` IS NULL OR NOT (`lines`.`created_at` > '2026-11-30 11:50:00' AND `lines`.`created_at` <= '2026-11-30 12:10:00')) THEN `lines`.`delta_amount` END), 0) != 0) THEN 1 ELSE 0 END AS `settled`
    FROM `asset_transactions` AS `lines`
    WHERE (`lines`.`business_type` IN ('market_purchase_buyer_debit', 'market_purchase_seller_credit', 'market_purchase_platform_fee_credit'))
    GROUP BY `lines`.`asset_code`
) AS `sums`;
SELECT CONVERT(MIN(CAST(CONVERT(`lines`.`asset_code` USING utf8mb4) AS BINARY)) USING utf8mb4) AS `key_0`,
  COALESCE(SUM(`lines`.`delta_amount`), 0) AS `total`, 0 AS `expected_0`, 0 AS `unsaid`,
  0 AS `unknown`, COUNT(*) AS `number`, MIN(`lines`.`transaction_id`) AS `first_id`,
  MAX(`lines`.`transaction_id`) AS `last_id`
FROM `asset_transactions` AS `lines`
WHERE (`lines`.`business_type` IN ('market_purchase_buyer_debit', 'market_purchase_seller_credit', 'market_purchase_platform_fee_credit'))
GROUP BY `lines`.`asset_code`
HAVING COALESCE(SUM(`lines`.`delta_amount`), 0) != 0
  AND (COUNT(CASE WHEN (`lines`.`created_at` IS NULL OR NOT (`lines`.`created_at` > '2026-11-30 11:59:50' AND `lines`.`created_at` <= '2026-11-30 12:00:10')) THEN 1 END) = COUNT(*) OR COUNT(CASE WHEN (`lines`.`created_at` IS NULL OR NOT (`lines`.`created_at` > '2026-11-30 11:50:00' AND `lines`.`created_at` <= '2026-11-30 12:10:00')) THEN 1 END) > 0 AND COALESCE(SUM(CASE WHEN (`lines`.`created_at` IS NULL OR NOT (`lines`.`created_at` > '2026-11-30 11:50:00' AND `lines`.`created_at` <= '2026-11-30 12:10:00')) THEN `lines`.`delta_amount` END), 0) != 0)
ORDER BY `lines`.`asset_code`
LIMIT 1000;
-- Inspection query:
SELECT `lines`.`asset_code`, COALESCE(SUM(`lines`.`delta_amount`), 0) AS `sum`, COUNT(*) AS `rows`,
  MIN(`lines`.`transaction_id`) AS `first_row`
FROM `asset_transactions` AS `lines`
WHERE (`lines`.`business_type` IN ('market_purchase_buyer_debit', 'market_purchase_seller_credit', 'market_purchase_platform_fee_credit'))
GROUP BY `lines`.`asset_code`
HAVING COALESCE(SUM(`lines`.`delta_amount`), 0) != 0
LIMIT 100;