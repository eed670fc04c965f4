-- item_instances.locked_with_locks (condition)
-- A complete run executes:
SELECT COALESCE(SUM(CASE WHEN COALESCE(((`status` = 'locked') = CASE WHEN `locks` IS NULL THEN 0 WHEN JSON_VALID(`locks`) = 0 THEN NULL WHEN JSON_TYPE(`locks`) = 'ARRAY' AND JSON_LENGTH(`locks`) > 0 THEN 1 ELSE 0 END), FALSE) = 0 THEN 1 ELSE 0 END), 0) AS `violations`
FROM `item_instances`;
SELECT `item_instance_id`, `locks`, `status`
FROM `item_instances`
WHERE COALESCE(((`status` = 'locked') = CASE WHEN `locks` IS NULL THEN 0 WHEN JSON_VALID(`locks`) = 0 THEN NULL WHEN JSON_TYPE(`locks`) = 'ARRAY' AND JSON_LENGTH(`locks`) > 0 THEN 1 ELSE 0 END), FALSE) = 0
ORDER BY `item_instance_id`
LIMIT 1000;
-- Inspection query:
SELECT *
FROM `item_instances`
WHERE COALESCE(((`status` = 'locked') = CASE WHEN `locks` IS NULL THEN 0 WHEN JSON_VALID(`locks`) = 0 THEN NULL WHEN JSON_TYPE(`locks`) = 'ARRAY' AND JSON_LENGTH(`locks`) > 0 THEN 1 ELSE 0 END), FALSE) = 0
LIMIT 100;