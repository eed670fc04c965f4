-- market_listings.sold_once (aggregate)
-- A complete run executes:
SELECT COALESCE(SUM(CASE WHEN (COALESCE((`kept`.`status` = 'sold'), 0) != COALESCE(`totals`.`other_0`, 0)) THEN 1 ELSE 0 END), 0) AS `violations`,
  COUNT(*) AS `examined`, 0 AS `waiting`
FROM `market_listings` AS `kept`
LEFT OUTER JOIN (
    SELECT `lines`.`listing_id` AS `by_0`, COUNT(CASE WHEN (`lines`.`status` = 'completed') THEN 1 END) AS `other_0`,
      0 AS `unknown`, COUNT(*) AS `number`
    FROM `trade_orders` AS `lines`
    GROUP BY `lines`.`listing_id`
) AS `totals` ON `kept`.`listing_id` = `totals`.`by_0`;
SELECT `kept`.`listing_id` AS `id_0`, `kept`.`listing_id` AS `by_0`, (`kept`.`status` = 'sold') AS `own_0`,
  `totals`.`other_0`, COALESCE((`kept`.`status` = 'sold'), 0) != COALESCE(`totals`.`other_0`, 0) AS `differs_0`,
  `totals`.`unknown`, `totals`.`number`
FROM `market_listings` AS `kept`
LEFT OUTER JOIN (
    SELECT `lines`.`listing_id` AS `by_0`, COUNT(CASE WHEN (`lines`.`status` = 'completed') THEN 1 END) AS `other_0`,
      0 AS `unknown`, COUNT(*) AS `number`
    FROM `trade_orders` AS `lines`
    GROUP BY `lines`.`listing_id`
) AS `totals` ON `kept`.`listing_id` = `totals`.`by_0`
WHERE COALESCE((`kept`.`status` = 'sold'), 0) != COALESCE(`totals`.`other_0`, 0)
ORDER BY `kept`.`listing_id`
LIMIT 1000;
-- Inspection query:
SELECT `kept`.`listing_id`, (`kept`.`status` = 'sold') AS `status = 'sold'`, `totals`.`other_0` AS `COUNT(status = 'completed')`,
  `totals`.`number` AS `details`
FROM `market_listings` AS `kept`
LEFT OUTER JOIN (
    SELECT `lines`.`listing_id` AS `by_0`, COUNT(CASE WHEN (`lines`.`status` = 'completed') THEN 1 END) AS `other_0`,
      0 AS `unknown`, COUNT(*) AS `number`
    FROM `trade_orders` AS `lines`
    GROUP BY `lines`.`listing_id`
) AS `totals` ON `kept`.`listing_id` = `totals`.`by_0`
WHERE COALESCE((`kept`.`status` = 'sold'), 0) != COALESCE(`totals`.`other_0`, 0)
ORDER BY `kept`.`listing_id`
LIMIT 100;