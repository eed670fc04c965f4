-- asset_transactions.columns (columns)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `column_name`, `column_type`, `is_nullable`, `column_default`, `collation_name`
FROM `information_schema`.`columns`
WHERE `table_schema` = DATABASE()
  AND LOWER(`table_name`) = 'asset_transactions'
ORDER BY `ordinal_position`
LIMIT 100;