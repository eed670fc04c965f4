-- api_idempotency_requests.failures (idempotency_requests)
-- What a run executes depends on types and indexes: explain --connect shows it.
-- Inspection query:
(
    SELECT 'key_reuse' AS `problem`, MIN(LEFT(SHA2(CONVERT(`api_idempotency_requests`.`idempotency_key` USING utf8mb4), 256), 16)) AS `what`,
      COUNT(*) AS `requests`, MIN(`api_idempotency_requests`.`created_at`) AS `oldest`,
      MAX(`api_idempotency_requests`.`created_at`) AS `latest`
    FROM `api_idempotency_requests`
    WHERE `api_idempotency_requests`.`idempotency_key` IS NOT NULL
    GROUP BY `api_idempotency_requests`.`idempotency_key`
    HAVING COUNT(*) > 1
      AND (MIN(`api_idempotency_requests`.`api_path`) != MAX(`api_idempotency_requests`.`api_path`) OR MIN(`api_idempotency_requests`.`request_hash`) != MAX(`api_idempotency_requests`.`request_hash`))
    LIMIT 100
)
UNION ALL (
    SELECT CAST(`api_idempotency_requests`.`status` AS CHAR) AS `status`, CAST(`api_idempotency_requests`.`api_path` AS CHAR) AS `api_path`,
      COUNT(*) AS `requests`, MIN(`api_idempotency_requests`.`created_at`) AS `oldest`,
      MAX(`api_idempotency_requests`.`created_at`) AS `latest`
    FROM `api_idempotency_requests`
    WHERE `api_idempotency_requests`.`status` IN ('failed', 'processing')
    GROUP BY `api_idempotency_requests`.`status`, `api_idempotency_requests`.`api_path`
    ORDER BY COUNT(*) DESC
    LIMIT 100
)
LIMIT 100;