-- lottery_draws.asset_transaction_id (reference)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT child.*
FROM `lottery_draws` AS `child`
WHERE `child`.`asset_transaction_id` IS NOT NULL
  AND (`child`.`created_at` IS NULL OR MONTH(`child`.`created_at`) * DAYOFMONTH(`child`.`created_at`) = 0 OR `child`.`created_at` >= '2026-01-02 20:24:20')
  AND NOT (EXISTS (
    SELECT 1
    FROM `asset_transactions` AS `parent`
    INNER JOIN `accounts` AS `far_accounts` ON `far_accounts`.`account_id` = `parent`.`account_id`
    WHERE `parent`.`transaction_id` = `child`.`asset_transaction_id`
      AND (`parent`.`business_type` = 'lottery_consume')
      AND `child`.`user_id` <=> `far_accounts`.`user_id`
      AND `child`.`lottery_session_id` <=> `parent`.`lottery_session_id`
))
LIMIT 100;