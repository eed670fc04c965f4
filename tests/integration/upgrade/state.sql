BEGIN TRANSACTION;
CREATE TABLE alerts (
	id VARCHAR(64) NOT NULL, 
	check_name VARCHAR(200) NOT NULL, 
	alertmanager VARCHAR(200) NOT NULL, 
	labels TEXT NOT NULL, 
	annotations TEXT NOT NULL, 
	starts_at DOUBLE NOT NULL, 
	ends_at DOUBLE, 
	changed_at DOUBLE NOT NULL, 
	taken_at DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO "alerts" VALUES('dd8ec730c4e3be3d27c0578b986862e9388edd5edcd8eea745f2ee877be10b14','points_transactions.tables','main','{"alertname": "ReconcilerSchemaDrift", "check": "points_transactions.tables", "kind": "tables", "severity": "warning", "table": "points_transactions"}','{"summary": "points_transactions.tables: retired table points_transactions exists", "description": "retired table points_transactions exists {\"table\": \"points_transactions\"}", "count": "1", "keys": "[{\"table\": \"points_transactions\"}]", "sql": "SELECT `table_name`, `table_type`, `create_time`\nFROM `information_schema`.`tables`\nWHERE `table_schema` = DATABASE()\n  AND LOWER(`table_name`) = ''points_transactions''\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerSchemaDrift", "page": "http://127.0.0.1:37487/checks/points_transactions.tables"}',1.79606396055078530314e+09,1.79606398965353417397e+09,1.79606398965353417397e+09,NULL);
INSERT INTO "alerts" VALUES('56e6d676e7b4e5e4d61a04332ddaac93ca8c03d698c34eee31fb81732a810132','item_instances.locked_with_locks','main','{"alertname": "ReconcilerViolation", "check": "item_instances.locked_with_locks", "kind": "condition", "severity": "warning", "table": "item_instances"}','{"summary": "item_instances.locked_with_locks: item_instances: not true: (status = ''locked'') = non_empty_array(locks)", "description": "item_instances: not true: (status = ''locked'') = non_empty_array(locks) {\"item_instance_id\": 71}", "count": "1", "keys": "[{\"item_instance_id\": 71}]", "sql": "SELECT *\nFROM `item_instances`\nWHERE `item_instance_id` = 71\nORDER BY `item_instance_id`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerViolation", "page": "http://127.0.0.1:37487/checks/item_instances.locked_with_locks"}',1.79606401029823851585e+09,NULL,1.79606401029823851585e+09,NULL);
INSERT INTO "alerts" VALUES('bb3c5ab25ac8ecac5d6b54294d0c9469006c4c48205c4107516cf55d9746971a','lottery_draws.key_format.idempotency_key','main','{"alertname": "ReconcilerViolation", "check": "lottery_draws.key_format.idempotency_key", "kind": "key_format", "severity": "warning", "table": "lottery_draws"}','{"summary": "lottery_draws.key_format.idempotency_key: lottery_draws.idempotency_key is not written as the rule says", "description": "lottery_draws.idempotency_key is not written as the rule says {\"draw_id\": \"draw_20260104_0001\"}", "count": "1", "keys": "[{\"draw_id\": \"draw_20260104_0001\"}]", "sql": "SELECT *\nFROM `lottery_draws`\nWHERE `draw_id` = ''draw_20260104_0001''\nORDER BY `draw_id`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerViolation", "page": "http://127.0.0.1:37487/checks/lottery_draws.key_format.idempotency_key"}',1.79606401476681447034e+09,NULL,1.79606401476681447034e+09,NULL);
INSERT INTO "alerts" VALUES('804b886a274488c045958a7f8f4c3107484c7e904fc0db4d7181a5a94706cec9','redemption_orders.unique_index.code_hash','main','{"alertname": "ReconcilerSchemaDrift", "check": "redemption_orders.unique_index.code_hash", "kind": "unique_index", "severity": "warning", "table": "redemption_orders"}','{"summary": "redemption_orders.unique_index.code_hash: no unique index over exactly (code_hash) of redemption_orders", "description": "no unique index over exactly (code_hash) of redemption_orders {\"table\": \"redemption_orders\", \"columns\": \"code_hash\"}", "count": "1", "keys": "[{\"table\": \"redemption_orders\", \"columns\": \"code_hash\"}]", "sql": "SELECT `index_name`, `non_unique`, `seq_in_index`, `column_name`, `sub_part`\nFROM `information_schema`.`statistics`\nWHERE `table_schema` = DATABASE()\n  AND LOWER(`table_name`) = ''redemption_orders''\nORDER BY `index_name`, `seq_in_index`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerSchemaDrift", "page": "http://127.0.0.1:37487/checks/redemption_orders.unique_index.code_hash"}',1796064018.15203,NULL,1796064018.15203,NULL);
INSERT INTO "alerts" VALUES('117859a62e871a4e993fc345a7fb4cf85fc1cc1d3dc87ce27ce453fcf9a20767','api_idempotency_requests.stuck','main','{"alertname": "ReconcilerStuck", "check": "api_idempotency_requests.stuck", "kind": "stuck", "severity": "warning", "table": "api_idempotency_requests"}','{"summary": "api_idempotency_requests.stuck: api_idempotency_requests: status = ''processing'' since 2026-01-01 00:15:11 (over 60 s)", "description": "api_idempotency_requests: status = ''processing'' since 2026-01-01 00:15:11 (over 60 s) {\"request_id\": 23}", "count": "1", "keys": "[{\"request_id\": 23}]", "sql": "SELECT *\nFROM `api_idempotency_requests`\nWHERE `request_id` = 23\nORDER BY `created_at`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerStuck", "page": "http://127.0.0.1:37487/checks/api_idempotency_requests.stuck"}',1.79606402485629963877e+09,NULL,1.79606402485629963877e+09,NULL);
INSERT INTO "alerts" VALUES('b18c4e810f65f747e47b44d1aa24708eb7fb1836f3e06af208b20426a5f8384c','asset_transactions.blank.idempotency_key','main','{"alertname": "ReconcilerViolation", "check": "asset_transactions.blank.idempotency_key", "kind": "blank", "severity": "warning", "table": "asset_transactions"}','{"summary": "asset_transactions.blank.idempotency_key: asset_transactions.idempotency_key is only white space", "description": "asset_transactions.idempotency_key is only white space {\"transaction_id\": 1}", "count": "1", "keys": "[{\"transaction_id\": 1}]", "sql": "SELECT *\nFROM `asset_transactions`\nWHERE `transaction_id` = 1\nORDER BY `transaction_id`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerViolation", "page": "http://127.0.0.1:37487/checks/asset_transactions.blank.idempotency_key"}',1.79606402650319337847e+09,NULL,1.79606402650319337847e+09,NULL);
INSERT INTO "alerts" VALUES('841304e720627058cd13bfc06808fc2c338ab6073dc0751920638fd48452a05c','lottery_draws.reward_posting','main','{"alertname": "ReconcilerPostingMismatch", "check": "lottery_draws.reward_posting", "kind": "posting", "severity": "critical", "table": "lottery_draws"}','{"summary": "lottery_draws.reward_posting: lottery_draws: the row of asset_transactions with the key lottery_reward:{lottery_session_id}:{prize_id} differs", "description": "lottery_draws: the row of asset_transactions with the key lottery_reward:{lottery_session_id}:{prize_id} differs {\"draw_id\": \"draw_20260104_0001\"}", "count": "1", "keys": "[{\"draw_id\": \"draw_20260104_0001\"}]", "sql": "SELECT business.*, ledger.*, `far_accounts`.`user_id` AS `accounts.user_id`\nFROM `lottery_draws` AS `business`\nLEFT OUTER JOIN `asset_transactions` AS `ledger` ON `ledger`.`idempotency_key` = CONCAT(CONCAT(CONCAT(''lottery_reward:'', `business`.`lottery_session_id`), '':''), `business`.`prize_id`)\nLEFT OUTER JOIN `accounts` AS `far_accounts` ON `far_accounts`.`account_id` = `ledger`.`account_id`\nWHERE `business`.`draw_id` = ''draw_20260104_0001''\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerPostingMismatch", "page": "http://127.0.0.1:37487/checks/lottery_draws.reward_posting"}',1.79606403762420177463e+09,NULL,1.79606403762420177463e+09,NULL);
INSERT INTO "alerts" VALUES('fc5d662a039d2ca14fb8a2c96e2e4aa7d4af5500614f9184bd09f4263d130c1f','lottery_draws.asset_transaction_id','main','{"alertname": "ReconcilerReferenceBroken", "check": "lottery_draws.asset_transaction_id", "kind": "reference", "severity": "critical", "table": "lottery_draws"}','{"summary": "lottery_draws.asset_transaction_id: lottery_draws.asset_transaction_id names a wrong row of asset_transactions", "description": "lottery_draws.asset_transaction_id names a wrong row of asset_transactions {\"draw_id\": \"draw_20260104_0001\"}", "count": "1", "keys": "[{\"draw_id\": \"draw_20260104_0001\"}]", "sql": "SELECT child.*, parent.*, `far_accounts`.`user_id` AS `accounts.user_id`\nFROM `lottery_draws` AS `child`\nLEFT OUTER JOIN `asset_transactions` AS `parent` ON `parent`.`transaction_id` = `child`.`asset_transaction_id`\nLEFT OUTER JOIN `accounts` AS `far_accounts` ON `far_accounts`.`account_id` = `parent`.`account_id`\nWHERE `child`.`draw_id` = ''draw_20260104_0001''\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerReferenceBroken", "page": "http://127.0.0.1:37487/checks/lottery_draws.asset_transaction_id"}',1.79606403854458498959e+09,NULL,1.79606403854458498959e+09,NULL);
INSERT INTO "alerts" VALUES('f2466582504e81a2b3093d3e0dc13127c416d8e37e64cd92bf14211b105a1ff8','account_asset_balances.ledger_balance','main','{"alertname": "ReconcilerBalanceMismatch", "check": "account_asset_balances.ledger_balance", "kind": "balance", "severity": "critical", "table": "account_asset_balances"}','{"summary": "account_asset_balances.ledger_balance: account_asset_balances: account_id 101, asset_code DIAMOND: asset_transactions and the balance differ by 1000", "description": "account_asset_balances: account_id 101, asset_code DIAMOND: asset_transactions and the balance differ by 1000 {\"account_id\": 101, \"asset_code\": \"DIAMOND\"}", "count": "1", "keys": "[{\"account_id\": 101, \"asset_code\": \"DIAMOND\"}]", "sql": "SELECT `entries`.`account_id`, `entries`.`asset_code`, SUM(`entries`.`balance_available_amount`) AS `balance_available_amount`,\n  SUM(`entries`.`ledger_delta_amount`) AS `ledger_delta_amount`, SUM(`entries`.`balance_frozen_amount`) AS `balance_frozen_amount`,\n  SUM(`entries`.`ledger_frozen_amount_change`) AS `ledger_frozen_amount_change`, SUM(`entries`.`balance_rows`) AS `balance_rows`,\n  SUM(`entries`.`ledger_rows`) AS `ledger_rows`, SUM(`entries`.`rows_off`) AS `rows_off`,\n  MIN(`entries`.`first_break`) AS `first_break`\nFROM (\n    SELECT `held`.`account_id`, `held`.`asset_code`, SUM(`held`.`available_amount`) AS `balance_available_amount`,\n      SUM(`held`.`frozen_amount`) AS `balance_frozen_amount`, 0 AS `ledger_delta_amount`,\n      0 AS `ledger_frozen_amount_change`, COUNT(*) AS `balance_rows`, 0 AS `ledger_rows`,\n      0 AS `rows_off`, NULL AS `first_break`\n    FROM `account_asset_balances` AS `held`\n    WHERE `held`.`account_id` = 101\n      AND `held`.`asset_code` = ''DIAMOND''\n    GROUP BY `held`.`account_id`, `held`.`asset_code`\n    UNION ALL\n    SELECT `linked`.`account_id`, `linked`.`asset_code`, 0 AS `balance_available_amount`,\n      0 AS `balance_frozen_amount`, SUM(`linked`.`delta_amount`) AS `ledger_delta_amount`,\n      SUM(`linked`.`frozen_amount_change`) AS `ledger_frozen_amount_change`, 0 AS `balance_rows`,\n      COUNT(*) AS `ledger_rows`, SUM(`linked`.`rows_off`) AS `rows_off`, MIN(CASE WHEN (`linked`.`rows_off` = 1 OR `linked`.`balance_before` != COALESCE(`linked`.`previous`, 0)) THEN `linked`.`transaction_id` END) AS `first_break`\n    FROM (\n        SELECT `posted`.`transaction_id`, `posted`.`account_id`, `posted`.`asset_code`,\n          `posted`.`delta_amount`, `posted`.`frozen_amount_change`, `posted`.`balance_before`,\n          CASE WHEN COALESCE(`posted`.`balance_after` != CAST(`posted`.`balance_before` AS DECIMAL(65, 0)) + CAST(`posted`.`delta_amount` AS DECIMAL(65, 0)), TRUE) THEN 1 ELSE 0 END AS `rows_off`,\n          LAG(`posted`.`balance_after`) OVER (PARTITION BY `posted`.`account_id`, `posted`.`asset_code` ORDER BY `posted`.`transaction_id`) AS `previous`\n        FROM `asset_transactions` AS `posted`\n        WHERE `posted`.`account_id` = 101\n          AND `posted`.`asset_code` = ''DIAMOND''\n    ) AS `linked`\n    GROUP BY `linked`.`account_id`, `linked`.`asset_code`\n) AS `entries`\nGROUP BY `entries`.`account_id`, `entries`.`asset_code`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerBalanceMismatch", "page": "http://127.0.0.1:37487/checks/account_asset_balances.ledger_balance"}',1.79606405394926857952e+09,NULL,1.79606405394926857952e+09,NULL);
INSERT INTO "alerts" VALUES('dc02fa6665d2633f1cd51e3d8fce297f7e0e47ea0251fb134655579aa0c1c0b8','account_asset_balances.duplicates.account_id.asset_code.campaign_id','main','{"alertname": "ReconcilerDuplicates", "check": "account_asset_balances.duplicates.account_id.asset_code.campaign_id", "kind": "duplicates", "severity": "critical", "table": "account_asset_balances"}','{"summary": "account_asset_balances.duplicates.account_id.asset_code.campaign_id: 2 rows of account_asset_balances share (account_id, asset_code, campaign_id)", "description": "2 rows of account_asset_balances share (account_id, asset_code, campaign_id) {\"account_id\": 103, \"asset_code\": \"POINTS\", \"campaign_id\": null}", "count": "1", "keys": "[{\"account_id\": 103, \"asset_code\": \"POINTS\", \"campaign_id\": null}]", "sql": "SELECT *\nFROM `account_asset_balances`\nWHERE COALESCE(`account_id`) = 103\n  AND COALESCE(`asset_code`) = ''POINTS''\n  AND COALESCE(`campaign_id`) IS NULL\nORDER BY `account_id`, `asset_code`, `campaign_id`, `balance_id`\nLIMIT 100", "runbook_url": "http://127.0.0.1:37487/runbooks/ReconcilerDuplicates", "page": "http://127.0.0.1:37487/checks/account_asset_balances.duplicates.account_id.asset_code.campaign_id"}',1.79606402162681245806e+09,1.79606408218665552136e+09,1.79606408218665552136e+09,NULL);
CREATE TABLE cursors (
	check_name VARCHAR(200) NOT NULL, 
	fingerprint VARCHAR(64), 
	cursor TEXT, 
	complete_at DOUBLE, 
	incremental_at DOUBLE, 
	unlisted TEXT, 
	PRIMARY KEY (check_name)
);
INSERT INTO "cursors" VALUES('account_asset_balances.columns','92be289e78fda996515bf5a1b9dc99e9ea0d8955beade7756455d806781fee94',NULL,1.79606405064996790888e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.unique_index.account_id.asset_code.campaign_id','acc7883106b8c7b3376ab593895bbc849121eae8ff5a52257ef11fcf3a1cb16a',NULL,1.79606405111101198202e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.row_count','c9746ea096538544bd2fb5be7b2be69d64d678136a4d06e793db83af3d1abbdb',NULL,1.79606405188739800451e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.non_negative','a345f26320532db0dbaa7faadb781e19f20e596e0780796ad834c599a7571015',NULL,1.79606405192554593086e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.blank.idempotency_key','87aa5466d18247384c21d4a328243b2cdf728a985c5febbeebe31ac67e988f99',NULL,1.79606405249607706071e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('accounts.tables','72385ade15052b1d60a4e8fbd77169b0ac464e19e846504a989eb19f0ad43c94',NULL,1.79606405318642592429e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.ledger_balance','6b9ff01d66d7a171c553c649ab175d4608176bee50178b39e84444b5774097ff','{"ledger": {"marks": [[1796064023.423286, 900001], [1796064052.878842, 900001]], "pending": null}, "kept": {"through": 251, "groups": []}}',1.79606393795826411248e+09,1.79606405348484706886e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('accounts.duplicates.system_code','a4a19bcbb51920b5726a9c609fe9bc9a786a9ae87610a64ada13d0462cc5be4e',NULL,1.79606405394100594524e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('accounts.row_count','dad59d78eea0f461dc368fa9a631aa1dc6412ecdb315cf5b31a859a84d1b2259',NULL,1.79606405497862792013e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.duplicates.idempotency_key','873cf9cd2c159108a9746074dce9073e8c62237798ba608b13aa2dad8a95dce4',NULL,1.79606405497890901567e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.failures','8a00d089624bc1e9b57ed5b50f372987fac3783028c0dbe6a8ab1bd63e16a521',NULL,1796064055.90022,NULL,'[0]');
INSERT INTO "cursors" VALUES('accounts.duplicates.user_id','afecf1e4334d25e1f3be9d4a2998c41347a776a91ca3a223340d47d2f119a336',NULL,1.79606405623842597008e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('accounts.unique_index.system_code','e6ce2c1ff6d4914801eec9b49dabccbeed2b676136de4a2fb4ba3ca21ced1eb2',NULL,1.79606405693468308441e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('accounts.unique_index.user_id','e2e68eea86830bc949330075b33cf41baa0c6884e24ee65dfbe385c0edf17f3a',NULL,1.79606405759299898143e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.stuck','da01d6c7f6b996cdd9c440529ab7c496d174ace1a7d776b9ec8ea87e6df4e821',NULL,1.79606405767930293079e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('asset_transactions.columns','23d465144ca298ddf07d6bdc11126c7ab098370267361bfc16733cf1a5ecd67c',NULL,1.79606405850207209587e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.columns','cf822db893001b87f2a56ece5b017ebb6f74decd8f5ad01ca5bd4c074f54c909',NULL,1.79606405812885689733e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.tables','dfbb8a1a0e65bda0ea39c0a9ff64915c9793c22b907c3a4849e172f615a5090b',NULL,1.79606405937978196151e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('asset_transactions.row_count','4ae6334de6d13391416c6613e489b0bd98493c0cb19009bda7427e64dd72927f',NULL,1.79606405963515901565e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('asset_transactions.blank.idempotency_key','b1cd62c5fff014688af1e2b04c355f2c58053825208f72a7514f448330a778d3',NULL,1.79606406023961496349e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.row_count','8cc1e757833fd378f7d480c192c9efde70f79ed65cbd816eaa16683d35cacd87',NULL,1.796064060471544981e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('asset_transactions.tables','857e95274930709b6e2dca842a1f467254ab7fbe2ddccf5e8980348d8c9119be',NULL,1.79606406106471109393e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('asset_transactions.unique_index.idempotency_key','8b7fa7fae50a752bf7a452b79cb16e06686d245f11c8a447f4d13c9f91f05c74',NULL,1.79606406107553291323e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('api_idempotency_requests.unique_index.idempotency_key','ce9d54fab143b0de27ec22e88b2709c81892abdb670139150a24decdf60b9303',NULL,1.79606406226128792764e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.blank.idempotency_key','1f6021b56a8f891a6721d1f9011b39ae786c368c7fbaf5f0b0c51721ed5abdbb',NULL,1796064062.26148,NULL,'[0]');
INSERT INTO "cursors" VALUES('asset_transactions.duplicates.idempotency_key','c8fb17f46735d17530713a46ed6db2146af391fcbace9461b5f0f8d67d4c4cfe',NULL,1.7960640624570009708e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.row_count','ef546705b21fc8fbd090fe605288d7cc8a6ca740c396c18588acee37239118c0',NULL,1.79606406250038599971e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.columns','57ebe0438bd4ef1542a14f3d3e94fd8d4c7e80c13a8532ae69ca277354b046b7',NULL,1.79606406294602894777e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.duplicates.idempotency_key','16937862c30d1d4ace33c18707b35ba4d0a5679c3029270e3852548aecba6f87',NULL,1.7960640630136840343e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.unique_index.idempotency_key','1a30c0692ba4c93cf97c54315aeefa9ce346eec8313d7ff3ad6124c3dcb40d8f',NULL,1.79606406359647202491e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.reward_posting','ad0bcd9d3ecb2ddad18c3ca45086828d8c7796fa019c6fddc25648fcf536cf64','{"near": {"marks": [], "pending": null}, "far": {"marks": [[1796064028.583027, 900001], [1796064063.721806, 900001]], "pending": null}}',1.79606394682404398922e+09,1796064063.89043,'[0, 0]');
INSERT INTO "cursors" VALUES('consumption_records.key_format.idempotency_key','ded1291b4ef4b7bfd9add039bd674ec1deb359c2d1e5eb3e751beb4994767c23','{"near": {"marks": [], "pending": null}}',1.79606406423046898847e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('consumption_records.reward_transaction_id','3e92a8e289a96ac0faefa4aebd4371f433f80c4fd3a517f6d9f7f3c4e0846069','{"near": {"marks": [], "pending": null}, "far": null}',1.79606406436640095715e+09,NULL,'[0, 0]');
INSERT INTO "cursors" VALUES('consumption_records.tables','092b55c2c874fe1cd6237e1fd116c237158f6469ce4c07227d168e9d7f55afdc',NULL,1.79606406454731202127e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.blank.order_no','102ce2d60ed2f8b132e6c28334bce1b7820c6f7a9d026d1e43391a6f7f440eaa',NULL,1.7960640646444311142e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.duplicates.order_no','b74ba16e0c3002b7802b449ae6cbc8a2a9b0bb6356ccb4fb1ccdcab3eceb7895',NULL,1.79606406498829293243e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.blank.idempotency_key','f7cf46845ff0a6c7cab2820d3995917285cb0e55ffb3d38f402772cdc6eeeab3',NULL,1.796064064999735117e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.unique_index.idempotency_key','4e20071ad66c6808fb1859cca2c860627bd6c7237b6538c510f2573acd4702b8',NULL,1.79606406536160802841e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.debit_transaction_id','59ab22bab86a73a40cedca224258ecd3210ef9e97131eee2783790fbb3dee250','{"near": {"marks": [], "pending": null}, "far": null}',1.79606406548923110957e+09,NULL,'[0, 0]');
INSERT INTO "cursors" VALUES('exchange_records.duplicates.idempotency_key','7a18c61320a37332d0cf7c67230a5d23a7f989b6eb7a9f75021bb91adf21a0b9',NULL,1.79606406590861105918e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.unique_index.order_no','41ea9ff62bad1d7a11899abea6b0e3f3b8ad059ef23489598e6576f9e54c889a',NULL,1.79606406605270910266e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.columns','a4da96a1d3de8d1e13dd3e3c06f486346e68c4cc9de8df60a1cdc234dc3ec287',NULL,1.79606406692438292501e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.row_count','a6e6ea6545509288bbe39aac29f3c755a2899856500ae2400074b813c9b4fd86',NULL,1.79606406721909403804e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instance_events.tables','bb3ea610e97d9b64ec206a62cd0ea51ae929bbc84654d77e62bedf6395758693',NULL,1.79606406765367293361e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.debit_posting','b5a3dd76d1f8a20fbe1b75e6f152e285c98392c834e9159f2ad722bc75e4be8c','{"near": {"marks": [], "pending": null}, "far": {"marks": [[1796064032.770306, 900001], [1796064067.323975, 900001]], "pending": null}}',1796063949.47684,1.79606406766442799568e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('item_instance_events.row_count','29629021b12ca21ff17020f10c1e5218b49f8759472254e12025c2ff1b7d4cd3',NULL,1.7960640684868791104e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.key_format.idempotency_key','3e1214d2e6809dcba0d78c4993a9ac83d275aa2a3457b2a9f34ca15efffcb91c','{"near": {"marks": [], "pending": null}}',1.79606406858011603353e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('exchange_records.tables','edc742cf4d1178ce14d90ddd1cce74f46b0962b26044eb3c25b4ba94328022fd',NULL,1.79606406964632797241e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instance_events.blank.idempotency_key','f40e357b17b6cf0f2e70d3f44ad9f592cd36bee238fbff5fb16790512e05a026',NULL,1.79606406980576109883e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instance_events.unique_index.business_type.idempotency_key','a639743ef5fb98f701ffd1d93f7be9f29d37288f43236a221a11232a0df7e263',NULL,1.79606407027539896961e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instance_events.duplicates.business_type.idempotency_key','6e88b79904c61dc444e799ad0b5cdf74459b492ca532f491e1384e42e396e3b4',NULL,1.79606407062802100179e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instance_events.columns','b981823862eddaa2e8fbe72a76383257b649c7c7ea29c020708f7828e94d559b',NULL,1.79606407066177105897e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.never_confirmed','b44160f5c1879c1af8ed86a83e162e010231c7dab78ed884552ce3e3a042ea52',NULL,1.79606407141654396061e+09,NULL,'[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]');
INSERT INTO "cursors" VALUES('item_instance_events.duplicates.item_instance_id.idempotency_key','4d4653b9137be378a848b91b5610c6dcce62791cafe49ec44d8f9b2fb723ab58',NULL,1.79606407141759300233e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.row_count','16d5b6caa417881ced5d9b2e8982237582babfee0e4d000e19411df0daea75aa',NULL,1.79606407208961892131e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.locked_with_locks','6f4647efc3c15282bdf2d70d68cec627d22b70eede2861de5e484aedbf0d3706',NULL,1.79606407223050904267e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instance_events.unique_index.item_instance_id.idempotency_key','c359a35cb1f5b369af28c4c8340a2871af97c9dda3dff3164b5a1a3f201079c3',NULL,1.79606407247534203535e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.unique_index.item_instance_id','434c5f51eeb6ee6d31ab3d4ec53663c5860af6e7012f21ed3c25243a30a76bf6',NULL,1.79606407267315888406e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.columns','b3b7578839b2a4844f7e6416d1e6fbed9c0c5445777c24d18ca94d06cf68ffac',NULL,1.79606407274568891522e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.duplicates.item_instance_id','8b9ba0f98c67a3fb81e5584342cd34a82e9e1f33c0d23676a893601ae0621d27',NULL,1.79606407297485208508e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.duplicates.idempotency_key','e38b3019118c3a0b0042411073509ce0d3592c1d6d44bce9d765f629332fe00e',NULL,1.79606407319220304488e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.blank.idempotency_key','daea59c6723af993dceaabb373fa880c474019f3272a854ec2b58a92ef9bf14f',NULL,1.79606407336050295829e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('item_instances.tables','3a54528cbf37b72a40997cefadb9ded22abec72028d943bee88a0ee7f146ebd3',NULL,1.79606407392447710042e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.key_format.idempotency_key','fe4e0036ccd33e542e7ac7b82f10d16790710d02d7d6adc7b36aa803e445a83b','{"near": {"marks": [], "pending": null}}',1.79606407435845708843e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.reward_posting','8089c456d9b0e1488511d05388d77bec11365236a26042b3e0f1c1d44e27430c','{"near": {"marks": [[1796064037.105855, "2026-01-04 20:15:30"], [1796064074.123036, "2026-01-04 20:15:30"]], "pending": null}, "far": {"marks": [[1796064037.105855, 900001], [1796064074.123036, 900001]], "pending": null}}',1.79606395730926203732e+09,1.79606407438218593601e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('lottery_draws.asset_transaction_id','fad81c4214f279737bd534dd3574001eff7f3cf6a3ef90c0cdf417de756a2b38','{"near": {"marks": [[1796064038.390638, "2026-01-04 20:15:30"], [1796064074.543385, "2026-01-04 20:15:30"]], "pending": null}, "far": null}',1.79606395592651391025e+09,1.79606407459986591344e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('lottery_draws.columns','f35cb846f39374a1595d1a7f58646948d8774ab9cfc56cebf6fd6675f7c434c1',NULL,1796064074.77138,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.cost_posting','5ecb89f087a87fee550e3aadc5aaf2c36c47208ae414daff1c19acc50f7676bf','{"near": {"marks": [[1796064038.535458, "2026-01-04 20:15:30"], [1796064074.757658, "2026-01-04 20:15:30"]], "pending": null}, "far": {"marks": [[1796064038.535458, 900001], [1796064074.757658, 900001]], "pending": null}}',1.79606395670374298098e+09,1.79606407486689400674e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('lottery_draws.lottery_session_id','6662a4be1556b12a5a4be1f3721cea3b23dfbd03870c3f212cf3ef9d035b5b7e','{"near": {"marks": [[1796064039.226579, "2026-01-04 20:15:30"], [1796064075.058368, "2026-01-04 20:15:30"]], "pending": null}, "far": {"marks": [[1796064039.226579, 900001], [1796064075.058368, 900001]], "pending": null}}',1796063957.334,1.79606407509892511365e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('market_listings.columns','d13139ad984e6d61d3c07b5186dccadbf1b09ecc89afed32bee3a2ad63954327',NULL,1.79606407510677504538e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.row_count','9bb7d3375b38a432992c904b0a327eda3c70e257a594f1bbb2037e58d9b54624',NULL,1.79606407531656908985e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.blank.idempotency_key','2d94d80b962b290abf9b8bc36abd891f35e67b3e63956e0fe433f6d5d17dcf7c',NULL,1.79606407536643099785e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.row_count','bd22a5287a2b0d35761cd5dd4118819116b6457d524c8431e89005e507fb908f',NULL,1.7960640755128419399e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.tables','4f5f159e2213df409d9ef5546a6233c98076d767bc3354f785702e9cd13d1ad2',NULL,1.79606407561327195169e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.unique_index.idempotency_key','e691e28cd2b3ca5393cbe3bec2cc45a7130a1edd9e9b12b2e84aece9207e5c04',NULL,1.79606407615034103391e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.key_format.idempotency_key','d1544e9a98b2b422be1cd349e2ec5656bb75cadf9ce1c81af3182a196ed52e35','{"near": {"marks": [[1796064039.650167, "2026-01-04 20:15:30"], [1796064076.148246, "2026-01-04 20:15:30"]], "pending": null}}',1.79606395692952299121e+09,1.7960640762152659893e+09,'[0]');
INSERT INTO "cursors" VALUES('lottery_draws.tables','fc823a42e68ee6e7ebe78094817b922c29cb2a9e026f530e45834d90544a7c33',NULL,1796064076.34383,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.duplicates.seller_user_id.idempotency_key','e254e5d1fe29ff9e04cf065f9207233f212dd34cce87011e2c3154adebc35d5b',NULL,1.79606407679597091667e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.duplicates.idempotency_key','9fa2b2476cfc7173bd30f5be54949539a0a1e5dcd2e073a9e55cbff7a66e9a0c',NULL,1.79606407680556392665e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('redemption_orders.tables','eed2caf806cf2300ad9633ea91ea269b1ff3cb9df849b2e80b9c2ee91bb32200',NULL,1.79606407702992510802e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.unique_index.idempotency_key','d5fa7aeeade9888a95aad11f5b98ce72d84c1cf3cdade159228afa8c950280e9',NULL,1.79606407704915189745e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('redemption_orders.duplicates.code_hash','1715d51b679a69f1159ceb93cf5cab802202e6d9028bb53180ed7b8aeade886d',NULL,1.79606407733665704722e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('market_listings.unique_index.seller_user_id.idempotency_key','0eb3f6e8ac55d7c5bc91ba787fd76605ddaf9178716ac5c058522a5e8e8ef6f6',NULL,1796064077.57376,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.key_format.idempotency_key','fd2448fcb2e98391c92779b3d3e9a542525a3628b4311939a3554ffe4213844a','{"near": {"marks": [], "pending": null}}',1.79606407755288600925e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('points_transactions.tables','ff311c75b9c9a8bebe8a7fac9f96da13c6f849bd1f27d49c9b62b6071787182f',NULL,1.79606407777621388433e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.blank.idempotency_key','de0411efb41508d950da81f936f3d895dac49e00cbb48dc92140f1fdc95ece3a',NULL,1.79606407815092492105e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('redemption_orders.blank.code_hash','0b4581a3ff025b3df22d05d8eb7643c98c0d119e8a0eadb0fc881d1c17d9fb4d',NULL,1.79606407816333293915e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.columns','449a652d7d16362cd869e93d9dfa26b6dd817aa38dfc6862bae19ee136cdcb5f',NULL,1.7960640783815019131e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('redemption_orders.columns','ba3e471a6cd498b8a34702ff8a01028343bdc50aaee08bda6d1fa767bd2e916c',NULL,1796064078.64193,NULL,'[0]');
INSERT INTO "cursors" VALUES('redemption_orders.unique_index.code_hash','318496c58ebbaf497245d148cb90999f0f42d4bc941cfdcb00cc61754bf120d7',NULL,1.79606407867201304431e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.buyer_debit_posting','7e2742ffe8bb3c50e133cfe5c36a0f7c81051ad60dfaef0cfece0872932e3864','{"near": {"marks": [], "pending": null}, "far": {"marks": [[1796064045.972993, 900001], [1796064079.018802, 900001]], "pending": null}}',1.79606396351361703874e+09,1.79606407909379291532e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('trade_orders.platform_fee_posting','d709ffbdf8fe837e1dc9a1ad2ac8d6ffec1455c54666870ea77c714a98724570','{"near": {"marks": [], "pending": null}, "far": {"marks": [[1796064045.995033, 900001], [1796064079.024425, 900001]], "pending": null}}',1.79606396507450294494e+09,1.79606407915903902054e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('trade_orders.amounts_add_up','665f1a24fc1fc0344b7816ddc6fb2f6f3cdaa3799692aee71c0e16d810bfac2f',NULL,1.79606407934624290462e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.duplicates.idempotency_key','2bc276006a231f487ce3289b4ab6af50dfcce00780b2ccd1f229875f587ef929',NULL,1796064079.36131,NULL,'[0]');
INSERT INTO "cursors" VALUES('redemption_orders.row_count','3f962910caa94f418974c97e689966c32dac542f031aab20a37ddfc1995aca9b',NULL,1796064079.59386,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.stuck','75432d19e449cae832a723e09d7c7f202a34e3627d607b12c4e86b3c8d44487a',NULL,1.79606408050338602067e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('trade_orders.row_count','26c0881db92631ee1276c649c227d30a55066eae440743a62a7b2358afd97ead',NULL,1.79606408053567790988e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.frozen_backing','296a7842836730836195339a05d05cdcd89a8f0b07fcf3c7a16598c34ebaf199',NULL,1796064081.07675,NULL,'[0, 0]');
INSERT INTO "cursors" VALUES('trade_orders.seller_credit_posting','41c1f20e0d02f0104e16f5dfe976688b63b694ab9e81fd03fb0d99caad70dd15','{"near": {"marks": [], "pending": null}, "far": {"marks": [[1796064048.353088, 900001], [1796064081.125988, 900001]], "pending": null}}',1.79606396616575098032e+09,1.79606408133999395368e+09,'[0, 0]');
INSERT INTO "cursors" VALUES('trade_orders.tables','848df7be7225c458dc9891fd1f771480be1195890cc846ff68d722ca73f93f69',NULL,1796064081.57482,NULL,'[0]');
INSERT INTO "cursors" VALUES('app.conflict_rate','a18d5d7203e8dc5b4f291711b9d9ab146187530eb404489bb8b4379769ed8807','{"place": {"identity": [65024, 2327443], "offset": 2164, "head": "b485818ef845a11710f6f0f659867ecc", "tail": "6003c36ee037891ad4343400601751c5", "time": 1796063914755137045, "skipping": false, "finished": false, "done": []}, "tally": {"salt": "d8339debfd8ce9faa60ee9da6bc7d714", "totals": [["/api/v4/exchange", "POST", 12, {"REQUEST_PROCESSING": 1}, {}, 0, 12]], "lines": {"read": 12}, "short": {"width": 60, "counts": {"29934397": [["/api/v4/exchange", "POST", 12, {"REQUEST_PROCESSING": 1}, {}, 0, 12]]}}, "long": {"width": 300, "counts": {"5986879": [["/api/v4/exchange", "POST", 12, {"REQUEST_PROCESSING": 1}, {}, 0, 12]]}}, "usual": {"width": 86400, "counts": {"20787": [["/api/v4/exchange", "POST", 12, {"REQUEST_PROCESSING": 1}, {}, 0, 12]]}}, "repeats": {"width": 60, "counts": {"29934397": [["key", "/api/v4/exchange", "POST", "42b2548b48c0", {"REQUEST_PROCESSING": 1}, "473f08c7e946"], ["client", "/api/v4/exchange", "POST", "473f08c7e946", {"REQUEST_PROCESSING": 1}, "473f08c7e946"]]}}, "past": {"width": 300, "counts": {"5986879": [["key", "/api/v4/exchange", "POST", "42b2548b48c0", {"REQUEST_PROCESSING": 1}, "473f08c7e946"], ["client", "/api/v4/exchange", "POST", "473f08c7e946", {"REQUEST_PROCESSING": 1}, "473f08c7e946"]]}}, "newest": 1796063865, "naming": "8eedfe2d3e53"}, "routes": []}',1.79606408169626688962e+09,NULL,'[0, 0]');
INSERT INTO "cursors" VALUES('trade_orders.unique_index.idempotency_key','cf69680b362c1984c1e2e04b1ac195ecf6dbe0ad13cae29dcbe5edd055324fcf',NULL,1.79606408170813298223e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.tables','418f47f71c2bee5b8137affd2e8c4ad502639e6cbb4a4e1f9703dd5aa4314f8c',NULL,1.79606408178187298778e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.duplicates.account_id.asset_code.campaign_id','dda839ca5004e15a88e2d207381c669888033b3a87e0cbae8c278ca37d1d3701',NULL,1.79606408212997293478e+09,NULL,'[0]');
INSERT INTO "cursors" VALUES('account_asset_balances.blank.asset_code','416a15ec0acbb927f74601e1f5323d9a2821f74bee6e1cc0e4a4dfb4754c82c2',NULL,1796064082.17572,NULL,'[0]');
CREATE TABLE finding_events (
	id INTEGER NOT NULL, 
	check_name VARCHAR(200) NOT NULL, 
	finding_id VARCHAR(32) NOT NULL, 
	at DOUBLE NOT NULL, 
	change VARCHAR(32) NOT NULL, 
	author VARCHAR(100), 
	detail TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "finding_events" VALUES(1,'points_transactions.tables','48681b09bcc59ca0aad9d36bfd865272',1.79606396048820710184e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(2,'asset_transactions.blank.idempotency_key','ada4255993a35ae8ecfb04f3e63131d1',1.7960639728347229957e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(3,'points_transactions.tables','48681b09bcc59ca0aad9d36bfd865272',1796063989.63676,'finding_resolved',NULL,NULL);
INSERT INTO "finding_events" VALUES(4,'asset_transactions.blank.idempotency_key','ada4255993a35ae8ecfb04f3e63131d1',1.79606400130934309956e+09,'finding_resolved',NULL,NULL);
INSERT INTO "finding_events" VALUES(5,'item_instances.never_confirmed','75d6140317c6e8aa430820a823831e62',1.79606400934081602096e+09,'finding_opened',NULL,NULL);
INSERT INTO "finding_events" VALUES(6,'item_instances.locked_with_locks','a5081ea7cc5562dd7e34484eb14dd4b6',1.7960640099750490189e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(7,'lottery_draws.reward_posting','5ebc760e1d397ca5c07fbdde7526f0ed',1.79606401234010291099e+09,'finding_opened',NULL,NULL);
INSERT INTO "finding_events" VALUES(8,'lottery_draws.asset_transaction_id','38c1c61834926c4d2dd448bd8826b047',1.79606401246807503707e+09,'finding_opened',NULL,NULL);
INSERT INTO "finding_events" VALUES(9,'lottery_draws.key_format.idempotency_key','0fc4b7606468f4d46794cf0aa1f64438',1.79606401443632793428e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(10,'redemption_orders.unique_index.code_hash','c87334b47f75394431c651a02902b9fb',1.79606401813610792156e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(11,'account_asset_balances.duplicates.account_id.asset_code.campaign_id','9df2073b4990adf57d9db7785d5ae72a',1.79606402149504804609e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(12,'account_asset_balances.ledger_balance','c8622145e029c493091e68c8333e7860',1.79606402386985301977e+09,'finding_opened',NULL,NULL);
INSERT INTO "finding_events" VALUES(13,'api_idempotency_requests.stuck','6cc1993eb9e7afa7765035b27b773e87',1.7960640247657289505e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(14,'asset_transactions.blank.idempotency_key','e74cdc5f58ba60deb71ce365efea968a',1.79606402645761895186e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(15,'lottery_draws.reward_posting','5ebc760e1d397ca5c07fbdde7526f0ed',1.79606403749576497078e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(16,'lottery_draws.asset_transaction_id','38c1c61834926c4d2dd448bd8826b047',1.79606403852430105208e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(17,'account_asset_balances.ledger_balance','c8622145e029c493091e68c8333e7860',1.79606405348484706886e+09,'finding_confirmed',NULL,NULL);
INSERT INTO "finding_events" VALUES(18,'account_asset_balances.duplicates.account_id.asset_code.campaign_id','9df2073b4990adf57d9db7785d5ae72a',1.79606406953146100044e+09,'finding_acknowledged','ann','until 2026-12-07 18:41:09+00:00: ticket 7');
CREATE TABLE findings (
	id VARCHAR(32) NOT NULL, 
	check_name VARCHAR(200) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	"key" TEXT NOT NULL, 
	message TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	first_seen DOUBLE NOT NULL, 
	last_seen DOUBLE NOT NULL, 
	times_seen INTEGER NOT NULL, 
	magnitude TEXT, 
	confirmed_at DOUBLE, 
	resolved_at DOUBLE, 
	ack_author VARCHAR(100), 
	ack_reason TEXT, 
	acked_at DOUBLE, 
	ack_until DOUBLE, 
	acked_magnitude TEXT, 
	aspects TEXT, 
	acked_aspects TEXT, 
	decided_at DOUBLE, 
	untold VARCHAR(32), 
	PRIMARY KEY (id)
);
INSERT INTO "findings" VALUES('48681b09bcc59ca0aad9d36bfd865272','points_transactions.tables','resolved','{"table": "points_transactions"}','retired table points_transactions exists','{}',1.79606396048820710184e+09,1.79606396048820710184e+09,1,'1',1.79606396048820710184e+09,1796063989.63676,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('ada4255993a35ae8ecfb04f3e63131d1','asset_transactions.blank.idempotency_key','resolved','{"transaction_id": 249}','asset_transactions.idempotency_key is only white space','{"idempotency_key": " "}',1.7960639728347229957e+09,1.7960639728347229957e+09,1,'1',1.7960639728347229957e+09,1.79606400130934309956e+09,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('c8622145e029c493091e68c8333e7860','account_asset_balances.ledger_balance','confirmed','{"account_id": 101, "asset_code": "DIAMOND"}','account_asset_balances: account_id 101, asset_code DIAMOND: asset_transactions and the balance differ by 1000','{"problem": "apart", "available_amount": 4430, "SUM(delta_amount)": 5430}',1.79606402386985301977e+09,1.79606405348484706886e+09,2,'1000',1.79606405348484706886e+09,NULL,NULL,NULL,NULL,NULL,NULL,'["apart", "available_amount < SUM(delta_amount)"]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('6cc1993eb9e7afa7765035b27b773e87','api_idempotency_requests.stuck','confirmed','{"request_id": 23}','api_idempotency_requests: status = ''processing'' since 2026-01-01 00:15:11 (over 60 s)','{"created_at": "2026-01-01 00:15:11", "status": "processing", "longer_than_seconds": 60}',1.7960640247657289505e+09,1.79606405767930293079e+09,2,'1',1.7960640247657289505e+09,NULL,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('e74cdc5f58ba60deb71ce365efea968a','asset_transactions.blank.idempotency_key','confirmed','{"transaction_id": 1}','asset_transactions.idempotency_key is only white space','{"idempotency_key": " "}',1.79606402645761895186e+09,1.79606406023961496349e+09,2,'1',1.79606402645761895186e+09,NULL,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('75d6140317c6e8aa430820a823831e62','item_instances.never_confirmed','open','{"item_instance_id": 71}','item_instances: not true: (status = ''locked'') = non_empty_array(locks)','{"locks": "[]", "status": "locked"}',1.79606400934081602096e+09,1.79606407141654396061e+09,3,'1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('a5081ea7cc5562dd7e34484eb14dd4b6','item_instances.locked_with_locks','confirmed','{"item_instance_id": 71}','item_instances: not true: (status = ''locked'') = non_empty_array(locks)','{"locks": "[]", "status": "locked"}',1.7960640099750490189e+09,1.79606407223050904267e+09,3,'1',1.7960640099750490189e+09,NULL,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('5ebc760e1d397ca5c07fbdde7526f0ed','lottery_draws.reward_posting','confirmed','{"draw_id": "draw_20260104_0001"}','lottery_draws: the row of asset_transactions with the key lottery_reward:{lottery_session_id}:{prize_id} differs','{"problem": "mismatched", "ledger idempotency_key": "lottery_reward:lottery_session_20260104_0001:7", "asset_transactions.transaction_id": 251, "prize_value_points": 500, "ledger delta_amount": 50}',1.79606401234010291099e+09,1.79606407438218593601e+09,3,'450',1.79606403749576497078e+09,NULL,NULL,NULL,NULL,NULL,NULL,'["asset_transactions.transaction_id 251", "mismatched", "prize_value_points > delta_amount"]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('38c1c61834926c4d2dd448bd8826b047','lottery_draws.asset_transaction_id','confirmed','{"draw_id": "draw_20260104_0001"}','lottery_draws.asset_transaction_id names a wrong row of asset_transactions','{"problem": "mismatched", "parent transaction_id": 900001, "asset_transactions.transaction_id": 900001, "parent not true": "business_type = ''lottery_consume''", "user_id": 3, "parent accounts.user_id": 1, "lottery_session_id": "lottery_session_20260104_0001", "parent lottery_session_id": null}',1.79606401246807503707e+09,1.79606407459986591344e+09,3,'1',1.79606403852430105208e+09,NULL,NULL,NULL,NULL,NULL,NULL,'["asset_transactions.transaction_id 900001", "lottery_session_id <> lottery_session_id", "mismatched", "user_id > accounts.user_id"]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('0fc4b7606468f4d46794cf0aa1f64438','lottery_draws.key_format.idempotency_key','confirmed','{"draw_id": "draw_20260104_0001"}','lottery_draws.idempotency_key is not written as the rule says','{"idempotency_key": "draw 1"}',1.79606401443632793428e+09,1.7960640762152659893e+09,3,'1',1.79606401443632793428e+09,NULL,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('c87334b47f75394431c651a02902b9fb','redemption_orders.unique_index.code_hash','confirmed','{"table": "redemption_orders", "columns": "code_hash"}','no unique index over exactly (code_hash) of redemption_orders','{"near": []}',1.79606401813610792156e+09,1.79606407867201304431e+09,3,'1',1.79606401813610792156e+09,NULL,NULL,NULL,NULL,NULL,NULL,'[""]',NULL,NULL,NULL);
INSERT INTO "findings" VALUES('9df2073b4990adf57d9db7785d5ae72a','account_asset_balances.duplicates.account_id.asset_code.campaign_id','acknowledged','{"account_id": 103, "asset_code": "POINTS", "campaign_id": null}','2 rows of account_asset_balances share (account_id, asset_code, campaign_id)','{"rows": 2, "row_ids": [3, 900001]}',1.79606402149504804609e+09,1.79606408212997293478e+09,3,'1',1.79606402149504804609e+09,NULL,'ann','ticket 7',1.79606406953146100044e+09,1.7966688695314610004e+09,'1','[""]','[""]',1.79606406953146100044e+09,NULL);
CREATE TABLE leases (
	name VARCHAR(50) NOT NULL, 
	holder VARCHAR(200) NOT NULL, 
	token BIGINT NOT NULL, 
	since DOUBLE NOT NULL, 
	until DOUBLE NOT NULL, 
	seconds DOUBLE NOT NULL, 
	place VARCHAR(200) NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('worker','another',1,1.7960639346779823303e+09,0.0,15.0,'elsewhere');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	check_name VARCHAR(200) NOT NULL, 
	outcome VARCHAR(10) NOT NULL, 
	scope VARCHAR(12) NOT NULL, 
	started_at DOUBLE NOT NULL, 
	seconds DOUBLE NOT NULL, 
	examined INTEGER, 
	violations INTEGER, 
	error TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "runs" VALUES(478,'account_asset_balances.columns','pass','complete',1.7960640506479148865e+09,2.05278399880626238882e-03,4,0,NULL);
INSERT INTO "runs" VALUES(480,'account_asset_balances.unique_index.account_id.asset_code.campaign_id','pass','complete',1796064051.06687,4.41419790004147216677e-02,3,0,NULL);
INSERT INTO "runs" VALUES(481,'account_asset_balances.row_count','pass','complete',1.7960640518386108875e+09,4.878729899792233482e-02,4,0,NULL);
INSERT INTO "runs" VALUES(482,'account_asset_balances.non_negative','pass','complete',1.79606405186163091665e+09,6.39150250026432331651e-02,4,0,NULL);
INSERT INTO "runs" VALUES(484,'api_idempotency_requests.blank.idempotency_key','pass','complete',1.79606405242198204994e+09,7.409461299903341569e-02,5,0,NULL);
INSERT INTO "runs" VALUES(485,'accounts.tables','pass','complete',1.79606405304377198224e+09,1.42654417002631817013e-01,1,0,NULL);
INSERT INTO "runs" VALUES(486,'account_asset_balances.ledger_balance','fail','incremental',1.79606405283714604375e+09,6.47701219000737182796e-01,35,1,NULL);
INSERT INTO "runs" VALUES(487,'accounts.duplicates.system_code','pass','complete',1.79606405385472893713e+09,0.0862768059996597,14,0,NULL);
INSERT INTO "runs" VALUES(489,'accounts.row_count','pass','complete',1.79606405486114192003e+09,1.17486188999464502558e-01,14,0,NULL);
INSERT INTO "runs" VALUES(490,'api_idempotency_requests.duplicates.idempotency_key','pass','complete',1796064054.88796,9.09487200005969498306e-02,5,0,NULL);
INSERT INTO "runs" VALUES(492,'api_idempotency_requests.failures','pass','complete',1.79606405567901802064e+09,2.21202365002682199701e-01,5,0,NULL);
INSERT INTO "runs" VALUES(493,'accounts.duplicates.user_id','pass','complete',1.79606405581844592094e+09,4.19980341001064516603e-01,14,0,NULL);
INSERT INTO "runs" VALUES(494,'accounts.unique_index.system_code','pass','complete',1.7960640567752530575e+09,1.59429783001542091369e-01,3,0,NULL);
INSERT INTO "runs" VALUES(495,'accounts.unique_index.user_id','pass','complete',1.79606405756126904487e+09,3.17297740002686623483e-02,3,0,NULL);
INSERT INTO "runs" VALUES(496,'api_idempotency_requests.stuck','fail','complete',1.79606405753514409067e+09,1.44159344003128353506e-01,1,1,NULL);
INSERT INTO "runs" VALUES(497,'asset_transactions.columns','pass','complete',1.79606405849750709537e+09,4.56547100111492909491e-03,5,0,NULL);
INSERT INTO "runs" VALUES(499,'api_idempotency_requests.columns','pass','complete',1.79606405802706098557e+09,1.01795538001169916242e-01,3,0,NULL);
INSERT INTO "runs" VALUES(500,'api_idempotency_requests.tables','pass','complete',1.79606405934618902206e+09,3.35926219995599240064e-02,1,0,NULL);
INSERT INTO "runs" VALUES(501,'asset_transactions.row_count','pass','complete',1.79606405934785199164e+09,2.87307469003280857577e-01,76,0,NULL);
INSERT INTO "runs" VALUES(503,'asset_transactions.blank.idempotency_key','fail','complete',1.79606406016862392427e+09,7.09911810008634347468e-02,76,1,NULL);
INSERT INTO "runs" VALUES(504,'api_idempotency_requests.row_count','pass','complete',1.796064060450412035e+09,2.11334439991333056241e-02,5,0,NULL);
INSERT INTO "runs" VALUES(505,'asset_transactions.tables','pass','complete',1.79606406097863698003e+09,8.60739900017506442964e-02,1,0,NULL);
INSERT INTO "runs" VALUES(506,'asset_transactions.unique_index.idempotency_key','pass','complete',1.79606406091133689881e+09,1.64195549998112255707e-01,6,0,NULL);
INSERT INTO "runs" VALUES(508,'api_idempotency_requests.unique_index.idempotency_key','pass','complete',1.7960640622590360641e+09,2.25178999971831217408e-03,4,0,NULL);
INSERT INTO "runs" VALUES(509,'consumption_records.blank.idempotency_key','pass','complete',1.79606406199668192863e+09,2.64798158001212868839e-01,0,0,NULL);
INSERT INTO "runs" VALUES(510,'asset_transactions.duplicates.idempotency_key','pass','complete',1.79606406239315390584e+09,6.38466339987644460052e-02,76,0,NULL);
INSERT INTO "runs" VALUES(511,'consumption_records.row_count','pass','complete',1.79606406240702509875e+09,9.33609780004189815372e-02,0,0,NULL);
INSERT INTO "runs" VALUES(512,'consumption_records.columns','pass','complete',1.79606406292565608023e+09,2.03729159984504804015e-02,3,0,NULL);
INSERT INTO "runs" VALUES(513,'consumption_records.duplicates.idempotency_key','pass','complete',1.79606406293532490725e+09,7.83589780003239866346e-02,0,0,NULL);
INSERT INTO "runs" VALUES(514,'consumption_records.unique_index.idempotency_key','pass','complete',1.79606406353548908238e+09,6.09834269998827949166e-02,4,0,NULL);
INSERT INTO "runs" VALUES(515,'consumption_records.reward_posting','pass','incremental',1.79606406362609601025e+09,2.64333715000248048454e-01,0,0,NULL);
INSERT INTO "runs" VALUES(517,'consumption_records.key_format.idempotency_key','pass','complete',1.79606406419309496879e+09,3.73742219999257940798e-02,0,0,NULL);
INSERT INTO "runs" VALUES(518,'consumption_records.reward_transaction_id','pass','complete',1.79606406429672408103e+09,6.96773310010030400007e-02,0,0,NULL);
INSERT INTO "runs" VALUES(519,'consumption_records.tables','pass','complete',1.79606406451293897628e+09,3.43727200015564449131e-02,1,0,NULL);
INSERT INTO "runs" VALUES(520,'exchange_records.blank.order_no','pass','complete',1.79606406454654502868e+09,9.78858089983987156301e-02,0,0,NULL);
INSERT INTO "runs" VALUES(521,'exchange_records.duplicates.order_no','pass','complete',1796064064.92495,6.3343317000544629991e-02,0,0,NULL);
INSERT INTO "runs" VALUES(522,'exchange_records.blank.idempotency_key','pass','complete',1796064064.93221,0.067525160000514,0,0,NULL);
INSERT INTO "runs" VALUES(523,'exchange_records.unique_index.idempotency_key','pass','complete',1.79606406531535291669e+09,4.62554029982129577547e-02,5,0,NULL);
INSERT INTO "runs" VALUES(524,'exchange_records.debit_transaction_id','pass','complete',1.79606406533674407008e+09,1.52486760001920629292e-01,0,0,NULL);
INSERT INTO "runs" VALUES(525,'exchange_records.duplicates.idempotency_key','pass','complete',1.79606406590507602688e+09,3.53504300073836930096e-03,0,0,NULL);
INSERT INTO "runs" VALUES(527,'exchange_records.unique_index.order_no','pass','complete',1.79606406590673303605e+09,1.45975543000531615689e-01,5,0,NULL);
INSERT INTO "runs" VALUES(528,'exchange_records.columns','pass','complete',1.79606406692259192468e+09,1.7914970012498088181e-03,4,0,NULL);
INSERT INTO "runs" VALUES(529,'exchange_records.row_count','pass','complete',1.79606406716693806644e+09,5.21558049986197147518e-02,0,0,NULL);
INSERT INTO "runs" VALUES(530,'item_instance_events.tables','pass','complete',1.79606406758041810996e+09,7.32554679998429492115e-02,1,0,NULL);
INSERT INTO "runs" VALUES(531,'exchange_records.debit_posting','pass','incremental',1.79606406719880604743e+09,4.65621549999923445284e-01,0,0,NULL);
INSERT INTO "runs" VALUES(532,'item_instance_events.row_count','pass','complete',1.79606406848484206201e+09,2.03691099886782467365e-03,12,0,NULL);
INSERT INTO "runs" VALUES(534,'exchange_records.key_format.idempotency_key','pass','complete',1.79606406850805497168e+09,7.20610869975644163787e-02,0,0,NULL);
INSERT INTO "runs" VALUES(535,'exchange_records.tables','pass','complete',1.7960640695464529991e+09,9.98748790007084608078e-02,1,0,NULL);
INSERT INTO "runs" VALUES(537,'item_instance_events.blank.idempotency_key','pass','complete',1.7960640695651679039e+09,2.40593405000254279002e-01,12,0,NULL);
INSERT INTO "runs" VALUES(538,'item_instance_events.unique_index.business_type.idempotency_key','pass','complete',1.79606407024304699903e+09,3.23519520025001838803e-02,3,0,NULL);
INSERT INTO "runs" VALUES(539,'item_instance_events.duplicates.business_type.idempotency_key','pass','complete',1796064070.59978,2.82407060003606602549e-02,12,0,NULL);
INSERT INTO "runs" VALUES(540,'item_instance_events.columns','pass','complete',1.79606407060125589374e+09,6.05154540025978349149e-02,3,0,NULL);
INSERT INTO "runs" VALUES(541,'item_instances.never_confirmed','fail','complete',1796064071.38139,0.0351537879978423,9,1,NULL);
INSERT INTO "runs" VALUES(542,'item_instance_events.duplicates.item_instance_id.idempotency_key','pass','complete',1.79606407138233804699e+09,3.52548580012808088213e-02,12,0,NULL);
INSERT INTO "runs" VALUES(544,'item_instances.row_count','pass','complete',1796064072.01316,7.64593310013879090547e-02,9,0,NULL);
INSERT INTO "runs" VALUES(545,'item_instances.locked_with_locks','fail','complete',1.79606407201433801654e+09,2.16171143001702148467e-01,9,1,NULL);
INSERT INTO "runs" VALUES(546,'item_instance_events.unique_index.item_instance_id.idempotency_key','pass','complete',1.79606407247437191007e+09,9.70369001151993870735e-04,3,0,NULL);
INSERT INTO "runs" VALUES(547,'item_instances.unique_index.item_instance_id','pass','complete',1.79606407257493090635e+09,9.82282170007238164544e-02,1,0,NULL);
INSERT INTO "runs" VALUES(548,'item_instances.columns','pass','complete',1.79606407264640688891e+09,9.92815589997917413711e-02,2,0,NULL);
INSERT INTO "runs" VALUES(549,'item_instances.duplicates.item_instance_id','pass','complete',1.79606407290808391574e+09,6.67680370024754665791e-02,9,0,NULL);
INSERT INTO "runs" VALUES(550,'lottery_draws.duplicates.idempotency_key','pass','complete',1.7960640731660649776e+09,2.61379860021406784653e-02,1,0,NULL);
INSERT INTO "runs" VALUES(551,'lottery_draws.blank.idempotency_key','pass','complete',1.79606407319187593458e+09,1.68627278999338159337e-01,1,0,NULL);
INSERT INTO "runs" VALUES(553,'item_instances.tables','pass','complete',1796064073.92193,2.54720700104371644556e-03,1,0,NULL);
INSERT INTO "runs" VALUES(554,'market_listings.key_format.idempotency_key','pass','complete',1796064074.28002,7.84373040005448274314e-02,0,0,NULL);
INSERT INTO "runs" VALUES(555,'lottery_draws.reward_posting','fail','incremental',1796064074.07276,3.09425782998005161061e-01,1,1,NULL);
INSERT INTO "runs" VALUES(556,'lottery_draws.asset_transaction_id','fail','incremental',1.79606407452017211912e+09,7.96941080006945412606e-02,1,1,NULL);
INSERT INTO "runs" VALUES(557,'lottery_draws.columns','pass','complete',1796064074.75073,2.06497959989064838737e-02,4,0,NULL);
INSERT INTO "runs" VALUES(558,'lottery_draws.cost_posting','pass','incremental',1.79606407473717498779e+09,1.29718645999673753976e-01,1,0,NULL);
INSERT INTO "runs" VALUES(559,'lottery_draws.lottery_session_id','pass','incremental',1.79606407504307389252e+09,5.58506240013230126351e-02,1,0,NULL);
INSERT INTO "runs" VALUES(560,'market_listings.columns','pass','complete',1.79606407505706691741e+09,4.97080839995760470628e-02,3,0,NULL);
INSERT INTO "runs" VALUES(561,'lottery_draws.row_count','pass','complete',1.79606407529872393611e+09,1.78453680018719751387e-02,1,0,NULL);
INSERT INTO "runs" VALUES(562,'market_listings.blank.idempotency_key','pass','complete',1.7960640753065481186e+09,5.98833760013803839683e-02,0,0,NULL);
INSERT INTO "runs" VALUES(563,'market_listings.row_count','pass','complete',1.79606407548149490352e+09,3.13469070024439133703e-02,0,0,NULL);
INSERT INTO "runs" VALUES(565,'market_listings.tables','pass','complete',1.79606407559711408615e+09,1.61583250010153278708e-02,1,0,NULL);
INSERT INTO "runs" VALUES(566,'lottery_draws.unique_index.idempotency_key','pass','complete',1.79606407613842201237e+09,1.19194979997701011598e-02,5,0,NULL);
INSERT INTO "runs" VALUES(567,'lottery_draws.key_format.idempotency_key','fail','incremental',1.79606407613722491266e+09,7.8041427001153351739e-02,1,1,NULL);
INSERT INTO "runs" VALUES(568,'lottery_draws.tables','pass','complete',1796064076.31055,3.32795979993534274399e-02,1,0,NULL);
INSERT INTO "runs" VALUES(569,'market_listings.duplicates.seller_user_id.idempotency_key','pass','complete',1.79606407676674509048e+09,2.92257660003087949007e-02,0,0,NULL);
INSERT INTO "runs" VALUES(570,'market_listings.duplicates.idempotency_key','pass','complete',1.79606407678396606452e+09,2.15982129993790294975e-02,0,0,NULL);
INSERT INTO "runs" VALUES(571,'redemption_orders.tables','pass','complete',1.79606407702028298377e+09,9.64233099875855259597e-03,1,0,NULL);
INSERT INTO "runs" VALUES(572,'market_listings.unique_index.idempotency_key','pass','complete',1.7960640770228049755e+09,2.63466659998812247067e-02,3,0,NULL);
INSERT INTO "runs" VALUES(573,'redemption_orders.duplicates.code_hash','pass','complete',1.79606407731404900548e+09,2.26082010012760292738e-02,5,0,NULL);
INSERT INTO "runs" VALUES(574,'market_listings.unique_index.seller_user_id.idempotency_key','pass','complete',1.79606407756326103214e+09,1.04985010002565104514e-02,3,0,NULL);
INSERT INTO "runs" VALUES(576,'trade_orders.key_format.idempotency_key','pass','complete',1.79606407752200508114e+09,3.08809909984120167791e-02,0,0,NULL);
INSERT INTO "runs" VALUES(577,'points_transactions.tables','pass','complete',1.7960640776964879036e+09,7.97263860004022717475e-02,1,0,NULL);
INSERT INTO "runs" VALUES(578,'trade_orders.blank.idempotency_key','pass','complete',1.79606407806452202796e+09,8.64033290017687249928e-02,0,0,NULL);
INSERT INTO "runs" VALUES(579,'redemption_orders.blank.code_hash','pass','complete',1.79606407807337808612e+09,8.99545749998651444911e-02,5,0,NULL);
INSERT INTO "runs" VALUES(580,'trade_orders.columns','pass','complete',1.79606407836130094529e+09,0.0202005300016026,5,0,NULL);
INSERT INTO "runs" VALUES(581,'redemption_orders.columns','pass','complete',1.7960640785904579162e+09,5.14721510007802862673e-02,1,0,NULL);
INSERT INTO "runs" VALUES(582,'redemption_orders.unique_index.code_hash','fail','complete',1.79606407859887695307e+09,7.31364919993211515247e-02,1,1,NULL);
INSERT INTO "runs" VALUES(583,'trade_orders.buyer_debit_posting','pass','incremental',1.79606407898989796638e+09,1.03895030999410664662e-01,0,0,NULL);
INSERT INTO "runs" VALUES(584,'trade_orders.platform_fee_posting','pass','incremental',1.79606407899969697e+09,1.59342386999924201518e-01,0,0,NULL);
INSERT INTO "runs" VALUES(585,'trade_orders.amounts_add_up','pass','complete',1.79606407930063509945e+09,4.5608042997628217563e-02,0,0,NULL);
INSERT INTO "runs" VALUES(586,'trade_orders.duplicates.idempotency_key','pass','complete',1.79606407931067204482e+09,5.06379990001732949167e-02,0,0,NULL);
INSERT INTO "runs" VALUES(587,'redemption_orders.row_count','pass','complete',1.79606407956239199643e+09,3.14678510003432165831e-02,5,0,NULL);
INSERT INTO "runs" VALUES(589,'trade_orders.stuck','pass','complete',1.79606408049745106697e+09,5.9352220014261547476e-03,0,0,NULL);
INSERT INTO "runs" VALUES(590,'trade_orders.row_count','pass','complete',1.79606408049808192258e+09,3.75959599987254478037e-02,0,0,NULL);
INSERT INTO "runs" VALUES(591,'account_asset_balances.frozen_backing','pass','complete',1.79606408106362390518e+09,1.31262180002522654831e-02,0,0,NULL);
INSERT INTO "runs" VALUES(592,'trade_orders.seller_credit_posting','pass','incremental',1.7960640810771648884e+09,2.62828762999561149626e-01,0,0,NULL);
INSERT INTO "runs" VALUES(593,'trade_orders.tables','pass','complete',1796064081.56887,5.94967399956658482551e-03,1,0,NULL);
INSERT INTO "runs" VALUES(594,'app.conflict_rate','pass','complete',1796064081.69569,0.000577246999455383,0,0,NULL);
INSERT INTO "runs" VALUES(595,'trade_orders.unique_index.idempotency_key','pass','complete',1.79606408169226908688e+09,1.58643489994574338197e-02,3,0,NULL);
INSERT INTO "runs" VALUES(596,'account_asset_balances.tables','pass','complete',1.79606408177179408076e+09,1.00787679984932765364e-02,1,0,NULL);
INSERT INTO "runs" VALUES(597,'account_asset_balances.duplicates.account_id.asset_code.campaign_id','fail','complete',1.79606408201840591428e+09,1.11567049996665446087e-01,4,1,NULL);
INSERT INTO "runs" VALUES(598,'account_asset_balances.blank.asset_code','pass','complete',1.79606408201966595648e+09,1.56054191000293940305e-01,4,0,NULL);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(5);
CREATE TABLE secrets (
	name VARCHAR(50) NOT NULL, 
	value VARCHAR(200) NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('masking','2b49a274d9fa93d4d0a94524460c1a557b102b0822607a2cf75fb26f75e49b89');
CREATE INDEX runs_of_check ON runs (check_name, id);
CREATE INDEX findings_of_check ON findings (check_name, state);
CREATE INDEX events_of_finding ON finding_events (finding_id, id);
CREATE INDEX events_of_check ON finding_events (check_name, id);
CREATE INDEX alerts_of_check ON alerts (check_name);
COMMIT;
