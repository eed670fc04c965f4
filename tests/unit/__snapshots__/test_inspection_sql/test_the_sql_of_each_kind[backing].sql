-- account_asset_balances.frozen_backing (backing)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `e`.`by_0` AS `accounts.user_id`, `e`.`by_1` AS `asset_code`, CASE WHEN (`e`.`apart` = 0) THEN '' WHEN (`e`.`apart` = 1) THEN 'market_listings' WHEN (`e`.`apart` = 2) THEN 'trade_orders' END AS `held_in`,
  `e`.`joined_0`, SUM(CASE WHEN (`e`.`side` = 0) THEN `e`.`amount` ELSE 0 END) AS `frozen_amount`,
  SUM(CASE WHEN (`e`.`side` = 1) THEN `e`.`amount` ELSE 0 END) AS `in_market_listings`,
  SUM(CASE WHEN (`e`.`side` = 2) THEN `e`.`amount` ELSE 0 END) AS `in_trade_orders`
FROM (
    SELECT `far_accounts`.`user_id` AS `by_0`, `own`.`asset_code` AS `by_1`, 0 AS `side`,
      `own`.`frozen_amount` AS `amount`, CASE WHEN (`far_accounts`.`user_id` IS NULL OR `own`.`asset_code` IS NULL) THEN 0 END AS `apart`,
      CASE WHEN (`far_accounts`.`user_id` IS NULL OR `own`.`asset_code` IS NULL) THEN `own`.`account_id` END AS `joined_0`
    FROM `account_asset_balances` AS `own`
    LEFT OUTER JOIN `accounts` AS `far_accounts` ON `far_accounts`.`account_id` = `own`.`account_id`
    WHERE `own`.`frozen_amount` != 0
    UNION ALL
    SELECT `market_listings`.`seller_user_id` AS `by_0`, `market_listings`.`offer_asset_code` AS `by_1`,
      1 AS `side`, `market_listings`.`offer_amount` AS `amount`, CASE WHEN (`market_listings`.`seller_user_id` IS NULL OR `market_listings`.`offer_asset_code` IS NULL) THEN 1 END AS `apart`,
      CASE WHEN (`market_listings`.`seller_user_id` IS NULL OR `market_listings`.`offer_asset_code` IS NULL) THEN NULL END AS `joined_0`
    FROM `market_listings`
    WHERE ((`market_listings`.`status` IN ('on_sale', 'locked')) AND (`market_listings`.`seller_offer_frozen` = 1))
    UNION ALL
    SELECT `trade_orders`.`buyer_user_id` AS `by_0`, `trade_orders`.`asset_code` AS `by_1`,
      2 AS `side`, `trade_orders`.`gross_amount` AS `amount`, CASE WHEN (`trade_orders`.`buyer_user_id` IS NULL OR `trade_orders`.`asset_code` IS NULL) THEN 2 END AS `apart`,
      CASE WHEN (`trade_orders`.`buyer_user_id` IS NULL OR `trade_orders`.`asset_code` IS NULL) THEN NULL END AS `joined_0`
    FROM `trade_orders`
    WHERE (`trade_orders`.`status` = 'frozen')
) AS `e`
GROUP BY `e`.`by_0`, `e`.`by_1`, `e`.`apart`, `e`.`joined_0`
HAVING SUM(CASE WHEN (`e`.`side` = 0) THEN `e`.`amount` ELSE 0 END) != SUM(CASE WHEN (`e`.`side` = 1) THEN `e`.`amount` ELSE 0 END) + SUM(CASE WHEN (`e`.`side` = 2) THEN `e`.`amount` ELSE 0 END)
LIMIT 100;