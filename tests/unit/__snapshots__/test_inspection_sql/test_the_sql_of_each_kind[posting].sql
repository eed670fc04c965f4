-- lottery_draws.cost_posting (posting)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
(
    SELECT 'business without its ledger' AS `problem`, CAST(`business`.`lottery_session_id` AS CHAR) AS `id`
    FROM (
        SELECT `business`.`lottery_session_id`, COUNT(*) AS `rows`, MIN(`business`.`user_id`) AS `least_0`,
          MIN('POINTS') AS `least_1`, CASE WHEN (COUNT(`business`.`user_id`) = COUNT(*)) THEN MAX(`business`.`user_id`) END AS `most_0`,
          CASE WHEN (COUNT('POINTS') = COUNT(*)) THEN MAX('POINTS') END AS `most_1`,
          SUM(`business`.`cost_points`) AS `sum_0`
        FROM `lottery_draws` AS `business`
        WHERE TRUE = 1
        GROUP BY `business`.`lottery_session_id`
        HAVING MIN(CASE WHEN (`business`.`created_at` IS NULL OR MONTH(`business`.`created_at`) * DAYOFMONTH(`business`.`created_at`) = 0 OR `business`.`created_at` >= '2026-01-02 20:24:20') THEN 1 ELSE 0 END) = 1
    ) AS `business`
    WHERE NOT (EXISTS (
        SELECT 1
        FROM `asset_transactions` AS `ledger`
        INNER JOIN `accounts` AS `far_accounts` ON `far_accounts`.`account_id` = `ledger`.`account_id`
        WHERE `ledger`.`idempotency_key` = CONCAT('lottery_consume:', `business`.`lottery_session_id`)
          AND (`ledger`.`business_type` = 'lottery_consume')
          AND `business`.`least_0` <=> `far_accounts`.`user_id`
          AND `business`.`most_0` <=> `far_accounts`.`user_id`
          AND 'POINTS' <=> `ledger`.`asset_code`
          AND `business`.`sum_0` <=> (-(`ledger`.`delta_amount` + 0.))
    ))
    LIMIT 100
)
UNION ALL (
    SELECT 'ledger without its business' AS `problem`, CAST(`ledger`.`transaction_id` AS CHAR) AS `id`
    FROM `asset_transactions` AS `ledger`
    WHERE (`ledger`.`business_type` = 'lottery_consume')
      AND (`ledger`.`created_at` IS NULL OR MONTH(`ledger`.`created_at`) * DAYOFMONTH(`ledger`.`created_at`) = 0 OR `ledger`.`created_at` >= '2026-01-02 20:24:20')
      AND NOT (EXISTS (
        SELECT 1
        FROM `lottery_draws` AS `business`
        WHERE `ledger`.`idempotency_key` = CONCAT('lottery_consume:', `business`.`lottery_session_id`)
    ))
    LIMIT 100
)
LIMIT 100;