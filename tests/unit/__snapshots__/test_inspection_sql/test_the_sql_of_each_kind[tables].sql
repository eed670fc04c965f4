-- asset_transactions.tables (tables)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `table_name`, `table_type`, `create_time`
FROM `information_schema`.`tables`
WHERE `table_schema` = DATABASE()
  AND LOWER(`table_name`) = 'asset_transactions'
LIMIT 100;