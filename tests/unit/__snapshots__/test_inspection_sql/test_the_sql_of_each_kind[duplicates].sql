-- asset_transactions.duplicates.idempotency_key (duplicates)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
SELECT `idempotency_key`, COUNT(*) AS `rows`, MIN(`transaction_id`) AS `first`, MAX(`transaction_id`) AS `last`
FROM `asset_transactions`
WHERE `idempotency_key` IS NOT NULL
GROUP BY `idempotency_key`
HAVING COUNT(*) > 1
LIMIT 100;