-- api_idempotency_requests.stuck (stuck)
-- A complete run executes:
SELECT COUNT(*) AS `count_1`, COALESCE(SUM(CASE WHEN (`created_at` IS NULL OR NOT (`created_at` > '2026-11-30 11:58:59.999999' AND `created_at` <= '2026-11-30 12:01:00.000001')) THEN 1 ELSE 0 END), 0) AS `late`,
  MIN(`created_at`) AS `min_1`
FROM `api_idempotency_requests`
WHERE (`status` = 'processing');
SELECT `request_id`, `created_at`, `status`
FROM `api_idempotency_requests`
WHERE (`status` = 'processing')
  AND (`created_at` IS NULL OR NOT (`created_at` > '2026-11-30 11:58:59.999999' AND `created_at` <= '2026-11-30 12:01:00.000001'))
ORDER BY `request_id`
LIMIT 1000;
-- Inspection query:
SELECT *
FROM `api_idempotency_requests`
WHERE (`status` = 'processing')
ORDER BY `created_at`
LIMIT 100;