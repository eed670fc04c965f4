-- asset_transactions.row_count (row_count)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT COUNT(*) AS `number`
FROM `asset_transactions`;