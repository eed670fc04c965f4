-- lottery_draws.key_format.idempotency_key (key_format)
-- A complete run executes:
SELECT COUNT(*) AS `count_1`
FROM `lottery_draws`
WHERE `idempotency_key` IS NOT NULL
  AND COALESCE((CONVERT(`idempotency_key` USING utf8mb4) COLLATE utf8mb4_bin REGEXP '(?s-m:^(?:lottery_draw_[0-9]{1,20}_[0-9]{1,20}_[0-9]{1,20}|[A-Za-z0-9_:.-]{8,64})(?!.))'), FALSE) = 0
  AND NOT (`idempotency_key` IS NOT NULL AND HEX(SUBSTR(`idempotency_key`, 1, 1)) = '' OR COALESCE((CONVERT(`idempotency_key` USING utf8mb4) COLLATE utf8mb4_bin REGEXP _utf8mb4 x'283f732d6d3a5e283f3a5b090a0b0c0d20c285c2a0e19a80e28080e28081e28082e28083e28084e28085e28086e28087e28088e28089e2808ae280a8e280a9e280afe2819fe380805d2b29283f212e2929'), FALSE) = 1)
  AND (`created_at` IS NULL OR MONTH(`created_at`) * DAYOFMONTH(`created_at`) = 0 OR `created_at` >= '2026-01-02 12:24:20');
SELECT `draw_id`, `idempotency_key`, `created_at`
FROM `lottery_draws`
WHERE `idempotency_key` IS NOT NULL
  AND COALESCE((CONVERT(`idempotency_key` USING utf8mb4) COLLATE utf8mb4_bin REGEXP '(?s-m:^(?:lottery_draw_[0-9]{1,20}_[0-9]{1,20}_[0-9]{1,20}|[A-Za-z0-9_:.-]{8,64})(?!.))'), FALSE) = 0
  AND NOT (`idempotency_key` IS NOT NULL AND HEX(SUBSTR(`idempotency_key`, 1, 1)) = '' OR COALESCE((CONVERT(`idempotency_key` USING utf8mb4) COLLATE utf8mb4_bin REGEXP _utf8mb4 x'283f732d6d3a5e283f3a5b090a0b0c0d20c285c2a0e19a80e28080e28081e28082e28083e28084e28085e28086e28087e28088e28089e2808ae280a8e280a9e280afe2819fe380805d2b29283f212e2929'), FALSE) = 1)
  AND (`created_at` IS NULL OR MONTH(`created_at`) * DAYOFMONTH(`created_at`) = 0 OR `created_at` >= '2026-01-02 12:24:20')
ORDER BY `draw_id`
LIMIT 1000;
-- Inspection query:
SELECT *
FROM `lottery_draws`
WHERE `idempotency_key` IS NOT NULL
  AND COALESCE((CONVERT(`idempotency_key` USING utf8mb4) COLLATE utf8mb4_bin REGEXP '(?s-m:^(?:lottery_draw_[0-9]{1,20}_[0-9]{1,20}_[0-9]{1,20}|[A-Za-z0-9_:.-]{8,64})(?!.))'), FALSE) = 0
  AND NOT (`idempotency_key` IS NOT NULL AND HEX(SUBSTR(`idempotency_key`, 1, 1)) = '' OR COALESCE((CONVERT(`idempotency_key` USING utf8mb4) COLLATE utf8mb4_bin REGEXP _utf8mb4 x'283f732d6d3a5e283f3a5b090a0b0c0d20c285c2a0e19a80e28080e28081e28082e28083e28084e28085e28086e28087e28088e28089e2808ae280a8e280a9e280afe2819fe380805d2b29283f212e2929'), FALSE) = 1)
  AND (`created_at` IS NULL OR MONTH(`created_at`) * DAYOFMONTH(`created_at`) = 0 OR `created_at` >= '2026-01-02 20:24:20')
LIMIT 100;