-- asset_transactions.unique_index.transaction_id (unique_index)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `index_name`, `non_unique`, `seq_in_index`, `column_name`, `sub_part`
FROM `information_schema`.`statistics`
WHERE `table_schema` = DATABASE()
  AND LOWER(`table_name`) = 'asset_transactions'
ORDER BY `index_name`, `seq_in_index`
LIMIT 100;