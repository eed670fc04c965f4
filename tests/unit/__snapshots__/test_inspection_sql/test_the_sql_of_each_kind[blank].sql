-- asset_transactions.blank.idempotency_key (blank)
-- A complete run executes:
SELECT COALESCE(SUM(CASE WHEN (`idempotency_key` IS NULL) THEN 1 ELSE 0 END), 0) AS `in_null`,
  COALESCE(SUM(CASE WHEN (LENGTH(`idempotency_key`) = 0) THEN 1 ELSE 0 END), 0) AS `in_empty`,
  COALESCE(SUM(CASE WHEN (LENGTH(`idempotency_key`) > 0 AND `idempotency_key` REGEXP _utf8mb4 x'5e5b090a0b0c0d20c285c2a0e19a80e28080e28081e28082e28083e28084e28085e28086e28087e28088e28089e2808ae280a8e280a9e280afe2819fe380805d2a24') THEN 1 ELSE 0 END), 0) AS `in_white_space`
FROM `asset_transactions`
WHERE `idempotency_key` IS NULL
  OR `idempotency_key` = ''
  OR `idempotency_key` LIKE _utf8mb4 x'0925'
  OR `idempotency_key` LIKE _utf8mb4 x'0a25'
  OR `idempotency_key` LIKE _utf8mb4 x'0b25'
  OR `idempotency_key` LIKE _utf8mb4 x'0c25'
  OR `idempotency_key` LIKE _utf8mb4 x'0d25'
  OR `idempotency_key` LIKE ' %'
  OR `idempotency_key` LIKE _utf8mb4 x'c28525'
  OR `idempotency_key` LIKE _utf8mb4 x'c2a025'
  OR `idempotency_key` LIKE _utf8mb4 x'e19a8025'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808025'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808125'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808225'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808325'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808425'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808525'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808625'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808725'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808825'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808925'
  OR `idempotency_key` LIKE _utf8mb4 x'e2808a25'
  OR `idempotency_key` LIKE _utf8mb4 x'e280a825'
  OR `idempotency_key` LIKE _utf8mb4 x'e280a925'
  OR `idempotency_key` LIKE _utf8mb4 x'e280af25'
  OR `idempotency_key` LIKE _utf8mb4 x'e2819f25'
  OR `idempotency_key` LIKE _utf8mb4 x'e3808025'
  OR `idempotency_key` BETWEEN _utf8mb4 x'0900' AND _utf8mb4 x'09ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'0a00' AND _utf8mb4 x'0aed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'0b00' AND _utf8mb4 x'0bed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'0c00' AND _utf8mb4 x'0ced9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'0d00' AND _utf8mb4 x'0ded9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'2000' AND _utf8mb4 x'20ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'c28500' AND _utf8mb4 x'c285ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'c2a000' AND _utf8mb4 x'c2a0ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e19a8000' AND _utf8mb4 x'e19a80ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808000' AND _utf8mb4 x'e28080ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808100' AND _utf8mb4 x'e28081ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808200' AND _utf8mb4 x'e28082ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808300' AND _utf8mb4 x'e28083ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808400' AND _utf8mb4 x'e28084ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808500' AND _utf8mb4 x'e28085ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808600' AND _utf8mb4 x'e28086ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808700' AND _utf8mb4 x'e28087ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808800' AND _utf8mb4 x'e28088ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808900' AND _utf8mb4 x'e28089ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2808a00' AND _utf8mb4 x'e2808aed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e280a800' AND _utf8mb4 x'e280a8ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e280a900' AND _utf8mb4 x'e280a9ed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e280af00' AND _utf8mb4 x'e280afed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e2819f00' AND _utf8mb4 x'e2819fed9ea3'
  OR `idempotency_key` BETWEEN _utf8mb4 x'e3808000' AND _utf8mb4 x'e38080ed9ea3';
SELECT `transaction_id`, `idempotency_key`
FROM `asset_transactions`
WHERE (`idempotency_key` IS NULL OR `idempotency_key` = '' OR `idempotency_key` LIKE _utf8mb4 x'0925' OR `idempotency_key` LIKE _utf8mb4 x'0a25' OR `idempotency_key` LIKE _utf8mb4 x'0b25' OR `idempotency_key` LIKE _utf8mb4 x'0c25' OR `idempotency_key` LIKE _utf8mb4 x'0d25' OR `idempotency_key` LIKE ' %' OR `idempotency_key` LIKE _utf8mb4 x'c28525' OR `idempotency_key` LIKE _utf8mb4 x'c2a025' OR `idempotency_key` LIKE _utf8mb4 x'e19a8025' OR `idempotency_key` LIKE _utf8mb4 x'e2808025' OR `idempotency_key` LIKE _utf8mb4 x'e2808125' OR `idempotency_key` LIKE _utf8mb4 x'e2808225' OR `idempotency_key` LIKE _utf8mb4 x'e2808325' OR `idempotency_key` LIKE _utf8mb4 x'e2808425' OR `idempotency_key` LIKE _utf8mb4 x'e2808525' OR `idempotency_key` LIKE _utf8mb4 x'e2808625' OR `idempotency_key` LIKE _utf8mb4 x'e2808725' OR `idempotency_key` LIKE _utf8mb4 x'e2808825' OR `idempotency_key` LIKE _utf8mb4 x'e2808925' OR `idempotency_key` LIKE _utf8mb4 x'e2808a25' OR `idempotency_key` LIKE _utf8mb4 x'e280a825' OR `idempotency_key` LIKE _utf8mb4 x'e280a925' OR `idempotency_key` LIKE _utf8mb4 x'e280af25' OR `idempotency_key` LIKE _utf8mb4 x'e2819f25' OR `idempotency_key` LIKE _utf8mb4 x'e3808025' OR `idempotency_key` BETWEEN _utf8mb4 x'0900' AND _utf8mb4 x'09ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'0a00' AND _utf8mb4 x'0aed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'0b00' AND _utf8mb4 x'0bed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'0c00' AND _utf8mb4 x'0ced9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'0d00' AND _utf8mb4 x'0ded9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'2000' AND _utf8mb4 x'20ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'c28500' AND _utf8mb4 x'c285ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'c2a000' AND _utf8mb4 x'c2a0ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e19a8000' AND _utf8mb4 x'e19a80ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808000' AND _utf8mb4 x'e28080ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808100' AND _utf8mb4 x'e28081ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808200' AND _utf8mb4 x'e28082ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808300' AND _utf8mb4 x'e28083ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808400' AND _utf8mb4 x'e28084ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808500' AND _utf8mb4 x'e28085ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808600' AND _utf8mb4 x'e28086ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808700' AND _utf8mb4 x'e28087ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808800' AND _utf8mb4 x'e28088ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808900' AND _utf8mb4 x'e28089ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2808a00' AND _utf8mb4 x'e2808aed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e280a800' AND _utf8mb4 x'e280a8ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e280a900' AND _utf8mb4 x'e280a9ed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e280af00' AND _utf8mb4 x'e280afed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e2819f00' AND _utf8mb4 x'e2819fed9ea3' OR `idempotency_key` BETWEEN _utf8mb4 x'e3808000' AND _utf8mb4 x'e38080ed9ea3')
  AND (`idempotency_key` IS NULL OR `idempotency_key` REGEXP _utf8mb4 x'5e5b090a0b0c0d20c285c2a0e19a80e28080e28081e28082e28083e28084e28085e28086e28087e28088e28089e2808ae280a8e280a9e280afe2819fe380805d2a24')
ORDER BY `transaction_id`
LIMIT 1000;
-- Inspection query:
SELECT *
FROM `asset_transactions`
WHERE `idempotency_key` IS NULL
  OR LENGTH(`idempotency_key`) = 0
  OR CHARSET(`idempotency_key`) != 'binary' AND CONVERT(`idempotency_key` USING utf8mb4) REGEXP _utf8mb4 x'5e5b090a0b0c0d20c285c2a0e19a80e28080e28081e28082e28083e28084e28085e28086e28087e28088e28089e2808ae280a8e280a9e280afe2819fe380805d2a24'
LIMIT 100;