-- redemption_orders.item_is_held (query)
-- A complete run executes:
SELECT `violations`.`order_id`, `violations`.`item_instance_id`, `violations`.`status`
FROM (
    SELECT o.order_id, o.item_instance_id, i.status
    FROM redemption_orders AS o
    LEFT JOIN item_instances AS i ON i.item_instance_id = o.item_instance_id
    WHERE o.status = 'pending'
      AND COALESCE(i.status, '') <> 'locked'
) AS `violations`
ORDER BY `violations`.`order_id`
LIMIT 1001;
-- Inspection query:
SELECT *
FROM (
    SELECT o.order_id, o.item_instance_id, i.status
    FROM redemption_orders AS o
    LEFT JOIN item_instances AS i ON i.item_instance_id = o.item_instance_id
    WHERE o.status = 'pending'
      AND COALESCE(i.status, '') <> 'locked'
) AS `violations`
ORDER BY `violations`.`order_id`
LIMIT 100;