-- account_asset_balances.ledger_balance (balance)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `entries`.`account_id`, `entries`.`asset_code`, SUM(`entries`.`balance_available_amount`) AS `balance_available_amount`,
  SUM(`entries`.`ledger_delta_amount`) AS `ledger_delta_amount`, SUM(`entries`.`balance_frozen_amount`) AS `balance_frozen_amount`,
  SUM(`entries`.`ledger_frozen_amount_change`) AS `ledger_frozen_amount_change`, SUM(`entries`.`balance_rows`) AS `balance_rows`,
  SUM(`entries`.`ledger_rows`) AS `ledger_rows`, SUM(`entries`.`rows_off`) AS `rows_off`,
  MIN(`entries`.`first_break`) AS `first_break`
FROM (
    SELECT `held`.`account_id`, `held`.`asset_code`, SUM(`held`.`available_amount`) AS `balance_available_amount`,
      SUM(`held`.`frozen_amount`) AS `balance_frozen_amount`, 0 AS `ledger_delta_amount`,
      0 AS `ledger_frozen_amount_change`, COUNT(*) AS `balance_rows`, 0 AS `ledger_rows`,
      0 AS `rows_off`, NULL AS `first_break`
    FROM `account_asset_balances` AS `held`
    GROUP BY `held`.`account_id`, `held`.`asset_code`
    UNION ALL
    SELECT `linked`.`account_id`, `linked`.`asset_code`, 0 AS `balance_available_amount`,
      0 AS `balance_frozen_amount`, SUM(`linked`.`delta_amount`) AS `ledger_delta_amount`,
      SUM(`linked`.`frozen_amount_change`) AS `ledger_frozen_amount_change`, 0 AS `balance_rows`,
      COUNT(*) AS `ledger_rows`, SUM(`linked`.`rows_off`) AS `rows_off`, MIN(CASE WHEN (`linked`.`rows_off` = 1 OR `linked`.`balance_before` != COALESCE(`linked`.`previous`, 0)) THEN `linked`.`transaction_id` END) AS `first_break`
    FROM (
        SELECT `posted`.`transaction_id`, `posted`.`account_id`, `posted`.`asset_code`,
          `posted`.`delta_amount`, `posted`.`frozen_amount_change`, `posted`.`balance_before`,
          CASE WHEN COALESCE(`posted`.`balance_after` != `posted`.`balance_before` + 0. + `posted`.`delta_amount`, TRUE) = 1 THEN 1 ELSE 0 END AS `rows_off`,
          LAG(`posted`.`balance_after`) OVER (PARTITION BY `posted`.`account_id`, `posted`.`asset_code` ORDER BY `posted`.`transaction_id`) AS `previous`
        FROM `asset_transactions` AS `posted`
    ) AS `linked`
    GROUP BY `linked`.`account_id`, `linked`.`asset_code`
) AS `entries`
GROUP BY `entries`.`account_id`, `entries`.`asset_code`
HAVING COALESCE(SUM(`entries`.`balance_available_amount`), 0) != COALESCE(SUM(`entries`.`ledger_delta_amount`), 0)
  OR COALESCE(SUM(`entries`.`balance_frozen_amount`), 0) != COALESCE(SUM(`entries`.`ledger_frozen_amount_change`), 0)
  OR COALESCE(SUM(`entries`.`balance_rows`), 0) = 0
  OR COALESCE(SUM(`entries`.`ledger_rows`), 0) = 0
  OR COALESCE(SUM(`entries`.`rows_off`), 0) > 0
  OR COALESCE(SUM(`entries`.`balance_rows`), 0) = 1 AND MIN(`entries`.`first_break`) IS NOT NULL
LIMIT 100;