BEGIN TRANSACTION;
CREATE TABLE account_asset_balances (
  balance_id bigint NOT NULL,
  account_id bigint NOT NULL,
  asset_code varchar(50) NOT NULL,
  available_amount bigint NOT NULL DEFAULT 0,
  frozen_amount bigint NOT NULL DEFAULT 0,
  campaign_id varchar(50),
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (balance_id),
  CONSTRAINT account_asset_balances_ibfk_1 FOREIGN KEY (account_id) REFERENCES accounts (account_id)
);
INSERT INTO "account_asset_balances" VALUES(1,101,'POINTS',3635,0,NULL,'2025-12-01 09:00:00','2026-01-04 17:42:52');
INSERT INTO "account_asset_balances" VALUES(3,103,'POINTS',4135,0,NULL,'2025-12-01 09:00:00','2026-01-04 20:15:30');
INSERT INTO "account_asset_balances" VALUES(8,101,'DIAMOND',4430,0,NULL,'2025-12-01 09:00:00','2025-12-31 20:45:15');
INSERT INTO "account_asset_balances" VALUES(900001,103,'POINTS',0,0,NULL,'2026-11-30 18:40:01','2026-11-30 18:40:01');
CREATE TABLE accounts (
  account_id bigint NOT NULL,
  account_type varchar(20) NOT NULL,
  user_id int,
  system_code varchar(50),
  status varchar(20) NOT NULL DEFAULT 'active',
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (account_id)
);
INSERT INTO "accounts" VALUES(101,'user',1,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(102,'user',2,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(103,'user',3,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(104,'user',4,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(105,'user',5,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(106,'user',6,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(107,'user',7,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(108,'user',8,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(109,'user',9,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(110,'user',10,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(111,'user',11,NULL,'active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(112,'system',NULL,'SYSTEM_PLATFORM_FEE','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(113,'system',NULL,'SYSTEM_MINT','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "accounts" VALUES(114,'system',NULL,'SYSTEM_BURN','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
CREATE TABLE api_idempotency_requests (
  request_id bigint NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  api_path varchar(200) NOT NULL,
  http_method varchar(10) NOT NULL DEFAULT 'POST',
  request_hash varchar(64) NOT NULL,
  request_params json,
  user_id bigint NOT NULL,
  status varchar(20) NOT NULL DEFAULT 'processing',
  business_event_id varchar(100),
  response_snapshot json,
  response_code varchar(50),
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  completed_at datetime,
  expires_at datetime NOT NULL,
  PRIMARY KEY (request_id)
);
INSERT INTO "api_idempotency_requests" VALUES(23,'address_3_20260101001511','/api/v4/profile/address','POST','fde0e87d6df1e453262e3489d72ee6a97d05d12a2936f667e094d6144f434ee8',NULL,3,'processing',NULL,'{"success": true}','SUCCESS','2026-01-01 00:15:11','2026-01-01 00:15:12','2026-01-08 00:15:11');
INSERT INTO "api_idempotency_requests" VALUES(60,'address_3_20260103141835','/api/v4/profile/address','POST','0f9b20bdd31037ab23a590e26c5f27650e4906d26d6dc0463f6ae480cd8c9a6c',NULL,3,'completed',NULL,'{"success": true}','SUCCESS','2026-01-03 14:18:35','2026-01-03 14:18:36','2026-01-10 14:18:35');
INSERT INTO "api_idempotency_requests" VALUES(63,'address_3_20260103161633','/api/v4/profile/address','POST','ebc6406f3eee00dbc33d631d956cd047dc81b96e8c9da61d5e96891c1162d681',NULL,3,'completed',NULL,'{"success": true}','SUCCESS','2026-01-03 16:16:33','2026-01-03 16:16:34','2026-01-10 16:16:33');
INSERT INTO "api_idempotency_requests" VALUES(76,'lottery_draw_3_1_1767528930000','/api/v4/lottery/draw','POST','cb3f60fc9a9866b3caed44cb24159ceb781f7a464eaaf0bbeab5567f5bb944ad',NULL,3,'completed','lottery_session_20260104_0001','{"success": true}','SUCCESS','2026-01-04 20:15:30','2026-01-04 20:15:31','2026-01-11 20:15:30');
INSERT INTO "api_idempotency_requests" VALUES(77,'address_3_20260105010338','/api/v4/profile/address','POST','03804e002fcd655e4780d191a7e1586cfa20920f2a5c30b55d113d94f1dc8a65',NULL,3,'completed',NULL,'{"success": true}','SUCCESS','2026-01-05 01:03:38','2026-01-05 01:03:39','2026-01-12 01:03:38');
CREATE TABLE asset_transactions (
  transaction_id bigint NOT NULL,
  account_id bigint NOT NULL,
  asset_code varchar(50) NOT NULL,
  delta_amount bigint NOT NULL,
  balance_before bigint NOT NULL,
  balance_after bigint NOT NULL,
  frozen_amount_change bigint NOT NULL DEFAULT 0,
  business_type varchar(50) NOT NULL,
  lottery_session_id varchar(100),
  idempotency_key varchar(100) NOT NULL,
  meta json,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (transaction_id),
  CONSTRAINT asset_transactions_account_fk FOREIGN KEY (account_id) REFERENCES accounts (account_id)
);
INSERT INTO "asset_transactions" VALUES(1,101,'POINTS',3400,0,3400,0,'opening_balance',NULL,' ',NULL,'2025-12-01 09:00:00');
INSERT INTO "asset_transactions" VALUES(3,103,'POINTS',3900,0,3900,0,'opening_balance',NULL,'opening_balance:103:POINTS',NULL,'2025-12-01 09:00:00');
INSERT INTO "asset_transactions" VALUES(8,101,'DIAMOND',4400,0,4400,0,'opening_balance',NULL,'opening_balance:101:DIAMOND',NULL,'2025-12-01 09:00:00');
INSERT INTO "asset_transactions" VALUES(12,101,'POINTS',10,3400,3410,0,'daily_sign_in',NULL,'daily_sign_in:1:20251202',NULL,'2025-12-02 09:59:13');
INSERT INTO "asset_transactions" VALUES(15,103,'POINTS',5,3900,3905,0,'daily_sign_in',NULL,'daily_sign_in:3:20251202',NULL,'2025-12-02 14:53:05');
INSERT INTO "asset_transactions" VALUES(21,101,'POINTS',5,3410,3415,0,'daily_sign_in',NULL,'daily_sign_in:1:20251203',NULL,'2025-12-03 11:21:34');
INSERT INTO "asset_transactions" VALUES(23,103,'POINTS',5,3905,3910,0,'daily_sign_in',NULL,'daily_sign_in:3:20251203',NULL,'2025-12-03 18:52:27');
INSERT INTO "asset_transactions" VALUES(24,103,'POINTS',10,3910,3920,0,'daily_sign_in',NULL,'daily_sign_in:3:20251204',NULL,'2025-12-04 12:06:08');
INSERT INTO "asset_transactions" VALUES(25,101,'POINTS',5,3415,3420,0,'daily_sign_in',NULL,'daily_sign_in:1:20251204',NULL,'2025-12-04 12:06:15');
INSERT INTO "asset_transactions" VALUES(31,103,'POINTS',50,3920,3970,0,'admin_adjustment',NULL,'admin_adjustment:11:103:20251205081943',NULL,'2025-12-05 08:19:43');
INSERT INTO "asset_transactions" VALUES(32,101,'POINTS',5,3420,3425,0,'daily_sign_in',NULL,'daily_sign_in:1:20251205',NULL,'2025-12-05 12:53:43');
INSERT INTO "asset_transactions" VALUES(38,101,'POINTS',-20,3425,3405,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251205233240',NULL,'2025-12-05 23:32:40');
INSERT INTO "asset_transactions" VALUES(43,103,'POINTS',-20,3970,3950,0,'admin_adjustment',NULL,'admin_adjustment:11:103:20251206174558',NULL,'2025-12-06 17:45:58');
INSERT INTO "asset_transactions" VALUES(46,103,'POINTS',10,3950,3960,0,'daily_sign_in',NULL,'daily_sign_in:3:20251207',NULL,'2025-12-07 12:58:33');
INSERT INTO "asset_transactions" VALUES(51,101,'POINTS',5,3405,3410,0,'daily_sign_in',NULL,'daily_sign_in:1:20251207',NULL,'2025-12-07 20:21:45');
INSERT INTO "asset_transactions" VALUES(52,101,'POINTS',10,3410,3420,0,'daily_sign_in',NULL,'daily_sign_in:1:20251208',NULL,'2025-12-08 09:41:03');
INSERT INTO "asset_transactions" VALUES(56,103,'POINTS',10,3960,3970,0,'daily_sign_in',NULL,'daily_sign_in:3:20251208',NULL,'2025-12-08 12:42:38');
INSERT INTO "asset_transactions" VALUES(59,103,'POINTS',10,3970,3980,0,'daily_sign_in',NULL,'daily_sign_in:3:20251209',NULL,'2025-12-09 12:07:22');
INSERT INTO "asset_transactions" VALUES(64,103,'POINTS',5,3980,3985,0,'daily_sign_in',NULL,'daily_sign_in:3:20251210',NULL,'2025-12-10 09:18:16');
INSERT INTO "asset_transactions" VALUES(71,101,'POINTS',10,3420,3430,0,'daily_sign_in',NULL,'daily_sign_in:1:20251211',NULL,'2025-12-11 13:20:19');
INSERT INTO "asset_transactions" VALUES(72,103,'POINTS',10,3985,3995,0,'daily_sign_in',NULL,'daily_sign_in:3:20251211',NULL,'2025-12-11 14:30:47');
INSERT INTO "asset_transactions" VALUES(76,101,'POINTS',80,3430,3510,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251212000353',NULL,'2025-12-12 00:03:53');
INSERT INTO "asset_transactions" VALUES(79,101,'POINTS',5,3510,3515,0,'daily_sign_in',NULL,'daily_sign_in:1:20251212',NULL,'2025-12-12 13:57:22');
INSERT INTO "asset_transactions" VALUES(80,103,'POINTS',-40,3995,3955,0,'admin_adjustment',NULL,'admin_adjustment:11:103:20251212145852',NULL,'2025-12-12 14:58:52');
INSERT INTO "asset_transactions" VALUES(84,101,'DIAMOND',-20,4400,4380,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251213110111',NULL,'2025-12-13 11:01:11');
INSERT INTO "asset_transactions" VALUES(86,101,'POINTS',5,3515,3520,0,'daily_sign_in',NULL,'daily_sign_in:1:20251213',NULL,'2025-12-13 13:44:05');
INSERT INTO "asset_transactions" VALUES(87,103,'POINTS',5,3955,3960,0,'daily_sign_in',NULL,'daily_sign_in:3:20251213',NULL,'2025-12-13 14:49:55');
INSERT INTO "asset_transactions" VALUES(88,101,'POINTS',-40,3520,3480,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251213150952',NULL,'2025-12-13 15:09:52');
INSERT INTO "asset_transactions" VALUES(92,101,'POINTS',5,3480,3485,0,'daily_sign_in',NULL,'daily_sign_in:1:20251214',NULL,'2025-12-14 12:28:03');
INSERT INTO "asset_transactions" VALUES(94,101,'POINTS',80,3485,3565,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251214132210',NULL,'2025-12-14 13:22:10');
INSERT INTO "asset_transactions" VALUES(99,103,'POINTS',10,3960,3970,0,'daily_sign_in',NULL,'daily_sign_in:3:20251215',NULL,'2025-12-15 11:13:58');
INSERT INTO "asset_transactions" VALUES(101,101,'POINTS',10,3565,3575,0,'daily_sign_in',NULL,'daily_sign_in:1:20251215',NULL,'2025-12-15 12:36:52');
INSERT INTO "asset_transactions" VALUES(106,101,'POINTS',10,3575,3585,0,'daily_sign_in',NULL,'daily_sign_in:1:20251216',NULL,'2025-12-16 12:18:29');
INSERT INTO "asset_transactions" VALUES(110,103,'POINTS',10,3970,3980,0,'daily_sign_in',NULL,'daily_sign_in:3:20251216',NULL,'2025-12-16 18:58:32');
INSERT INTO "asset_transactions" VALUES(113,103,'POINTS',5,3980,3985,0,'daily_sign_in',NULL,'daily_sign_in:3:20251217',NULL,'2025-12-17 11:04:23');
INSERT INTO "asset_transactions" VALUES(120,103,'POINTS',5,3985,3990,0,'daily_sign_in',NULL,'daily_sign_in:3:20251218',NULL,'2025-12-18 14:55:29');
INSERT INTO "asset_transactions" VALUES(122,101,'POINTS',5,3585,3590,0,'daily_sign_in',NULL,'daily_sign_in:1:20251218',NULL,'2025-12-18 16:20:32');
INSERT INTO "asset_transactions" VALUES(127,101,'POINTS',5,3590,3595,0,'daily_sign_in',NULL,'daily_sign_in:1:20251219',NULL,'2025-12-19 15:54:37');
INSERT INTO "asset_transactions" VALUES(134,101,'DIAMOND',80,4380,4460,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251220124643',NULL,'2025-12-20 12:46:43');
INSERT INTO "asset_transactions" VALUES(135,103,'POINTS',10,3990,4000,0,'daily_sign_in',NULL,'daily_sign_in:3:20251220',NULL,'2025-12-20 15:49:52');
INSERT INTO "asset_transactions" VALUES(136,101,'POINTS',10,3595,3605,0,'daily_sign_in',NULL,'daily_sign_in:1:20251220',NULL,'2025-12-20 18:10:20');
INSERT INTO "asset_transactions" VALUES(139,101,'POINTS',-40,3605,3565,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251220234507',NULL,'2025-12-20 23:45:07');
INSERT INTO "asset_transactions" VALUES(141,101,'DIAMOND',30,4460,4490,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251221085923',NULL,'2025-12-21 08:59:23');
INSERT INTO "asset_transactions" VALUES(142,103,'POINTS',10,4000,4010,0,'daily_sign_in',NULL,'daily_sign_in:3:20251221',NULL,'2025-12-21 09:32:02');
INSERT INTO "asset_transactions" VALUES(144,101,'POINTS',10,3565,3575,0,'daily_sign_in',NULL,'daily_sign_in:1:20251221',NULL,'2025-12-21 15:56:36');
INSERT INTO "asset_transactions" VALUES(149,103,'POINTS',50,4010,4060,0,'admin_adjustment',NULL,'admin_adjustment:11:103:20251222032033',NULL,'2025-12-22 03:20:33');
INSERT INTO "asset_transactions" VALUES(150,103,'POINTS',10,4060,4070,0,'daily_sign_in',NULL,'daily_sign_in:3:20251222',NULL,'2025-12-22 10:08:18');
INSERT INTO "asset_transactions" VALUES(156,101,'DIAMOND',-40,4490,4450,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251223050700',NULL,'2025-12-23 05:07:00');
INSERT INTO "asset_transactions" VALUES(158,101,'POINTS',10,3575,3585,0,'daily_sign_in',NULL,'daily_sign_in:1:20251223',NULL,'2025-12-23 14:26:31');
INSERT INTO "asset_transactions" VALUES(168,103,'POINTS',10,4070,4080,0,'daily_sign_in',NULL,'daily_sign_in:3:20251224',NULL,'2025-12-24 15:19:05');
INSERT INTO "asset_transactions" VALUES(171,101,'POINTS',10,3585,3595,0,'daily_sign_in',NULL,'daily_sign_in:1:20251224',NULL,'2025-12-24 18:31:40');
INSERT INTO "asset_transactions" VALUES(173,103,'POINTS',5,4080,4085,0,'daily_sign_in',NULL,'daily_sign_in:3:20251225',NULL,'2025-12-25 09:24:36');
INSERT INTO "asset_transactions" VALUES(177,101,'POINTS',10,3595,3605,0,'daily_sign_in',NULL,'daily_sign_in:1:20251225',NULL,'2025-12-25 20:34:58');
INSERT INTO "asset_transactions" VALUES(180,101,'POINTS',10,3605,3615,0,'daily_sign_in',NULL,'daily_sign_in:1:20251226',NULL,'2025-12-26 10:41:03');
INSERT INTO "asset_transactions" VALUES(181,103,'POINTS',10,4085,4095,0,'daily_sign_in',NULL,'daily_sign_in:3:20251226',NULL,'2025-12-26 11:56:05');
INSERT INTO "asset_transactions" VALUES(189,101,'POINTS',5,3615,3620,0,'daily_sign_in',NULL,'daily_sign_in:1:20251227',NULL,'2025-12-27 12:15:09');
INSERT INTO "asset_transactions" VALUES(194,101,'POINTS',5,3620,3625,0,'daily_sign_in',NULL,'daily_sign_in:1:20251228',NULL,'2025-12-28 14:52:07');
INSERT INTO "asset_transactions" VALUES(195,103,'POINTS',5,4095,4100,0,'daily_sign_in',NULL,'daily_sign_in:3:20251228',NULL,'2025-12-28 15:17:47');
INSERT INTO "asset_transactions" VALUES(203,103,'POINTS',10,4100,4110,0,'daily_sign_in',NULL,'daily_sign_in:3:20251229',NULL,'2025-12-29 16:50:21');
INSERT INTO "asset_transactions" VALUES(206,101,'POINTS',5,3625,3630,0,'daily_sign_in',NULL,'daily_sign_in:1:20251229',NULL,'2025-12-29 18:48:30');
INSERT INTO "asset_transactions" VALUES(208,101,'POINTS',10,3630,3640,0,'daily_sign_in',NULL,'daily_sign_in:1:20251230',NULL,'2025-12-30 09:12:14');
INSERT INTO "asset_transactions" VALUES(211,103,'POINTS',10,4110,4120,0,'daily_sign_in',NULL,'daily_sign_in:3:20251230',NULL,'2025-12-30 18:59:06');
INSERT INTO "asset_transactions" VALUES(214,103,'POINTS',5,4120,4125,0,'daily_sign_in',NULL,'daily_sign_in:3:20251231',NULL,'2025-12-31 17:03:58');
INSERT INTO "asset_transactions" VALUES(215,101,'POINTS',5,3640,3645,0,'daily_sign_in',NULL,'daily_sign_in:1:20251231',NULL,'2025-12-31 17:17:38');
INSERT INTO "asset_transactions" VALUES(219,101,'DIAMOND',-20,4450,4430,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20251231204515',NULL,'2025-12-31 20:45:15');
INSERT INTO "asset_transactions" VALUES(220,101,'POINTS',-20,3645,3625,0,'admin_adjustment',NULL,'admin_adjustment:11:101:20260101045919',NULL,'2026-01-01 04:59:19');
INSERT INTO "asset_transactions" VALUES(221,103,'POINTS',5,4125,4130,0,'daily_sign_in',NULL,'daily_sign_in:3:20260101',NULL,'2026-01-01 11:11:32');
INSERT INTO "asset_transactions" VALUES(224,101,'POINTS',5,3625,3630,0,'daily_sign_in',NULL,'daily_sign_in:1:20260101',NULL,'2026-01-01 17:19:45');
INSERT INTO "asset_transactions" VALUES(228,103,'POINTS',5,4130,4135,0,'daily_sign_in',NULL,'daily_sign_in:3:20260102',NULL,'2026-01-02 14:04:11');
INSERT INTO "asset_transactions" VALUES(231,103,'POINTS',30,4135,4165,0,'admin_adjustment',NULL,'admin_adjustment:11:103:20260102180013',NULL,'2026-01-02 18:00:13');
INSERT INTO "asset_transactions" VALUES(238,103,'POINTS',10,4165,4175,0,'daily_sign_in',NULL,'daily_sign_in:3:20260103',NULL,'2026-01-03 17:20:43');
INSERT INTO "asset_transactions" VALUES(243,103,'POINTS',10,4175,4185,0,'daily_sign_in',NULL,'daily_sign_in:3:20260104',NULL,'2026-01-04 10:45:44');
INSERT INTO "asset_transactions" VALUES(249,101,'POINTS',5,3630,3635,0,'daily_sign_in',NULL,'daily_sign_in:1:20260104',NULL,'2026-01-04 17:42:52');
INSERT INTO "asset_transactions" VALUES(250,103,'POINTS',-100,4185,4085,0,'lottery_consume','lottery_session_20260104_0001','lottery_consume:lottery_session_20260104_0001',NULL,'2026-01-04 20:15:30');
INSERT INTO "asset_transactions" VALUES(251,103,'POINTS',50,4085,4135,0,'lottery_reward','lottery_session_20260104_0001','lottery_reward:lottery_session_20260104_0001:7',NULL,'2026-01-04 20:15:30');
INSERT INTO "asset_transactions" VALUES(900001,101,'DIAMOND',1000,4430,5430,0,'admin_adjustment',NULL,'admin_adjustment:1',NULL,'2025-12-31 20:45:15');
CREATE TABLE consumption_records (
  record_id bigint NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  user_id int NOT NULL,
  merchant_id int,
  consumption_amount decimal(10,2) NOT NULL,
  points_to_award int NOT NULL,
  reward_transaction_id bigint,
  status varchar(20) NOT NULL DEFAULT 'pending',
  qr_code varchar(150) NOT NULL,
  is_deleted tinyint(1) NOT NULL DEFAULT 0,
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (record_id)
);
CREATE TABLE exchange_records (
  record_id bigint NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  order_no varchar(50) NOT NULL,
  user_id int NOT NULL,
  item_id bigint NOT NULL,
  quantity int NOT NULL DEFAULT 1,
  pay_asset_code varchar(50) NOT NULL,
  pay_amount bigint NOT NULL,
  debit_transaction_id bigint,
  status varchar(20) DEFAULT 'pending',
  created_at datetime DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (record_id)
);
CREATE TABLE item_instance_events (
  event_id bigint NOT NULL,
  item_instance_id bigint NOT NULL,
  event_type varchar(50) NOT NULL,
  operator_user_id int,
  operator_type varchar(20) NOT NULL DEFAULT 'user',
  status_before varchar(20),
  status_after varchar(20),
  owner_before int,
  owner_after int,
  business_type varchar(50),
  idempotency_key varchar(100) NOT NULL,
  meta json,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (event_id),
  CONSTRAINT item_instance_events_ibfk_1 FOREIGN KEY (item_instance_id) REFERENCES item_instances (item_instance_id)
);
INSERT INTO "item_instance_events" VALUES(13,2,'lock',NULL,'user','available','locked',3,3,'redemption_order','lock:aba95de1-5a74-4223-9f2f-2cc2d82f3fb1',NULL,'2025-12-04 13:06:10');
INSERT INTO "item_instance_events" VALUES(14,1,'lock',NULL,'user','available','locked',2,2,'redemption_order','lock:50f654f6-152f-4411-8bbd-59d68331fcd6',NULL,'2025-12-04 14:09:42');
INSERT INTO "item_instance_events" VALUES(28,3,'lock',NULL,'user','available','locked',4,4,'redemption_order','lock:71b9e98c-7f1b-416a-bf91-2af6e64fe2c2',NULL,'2025-12-06 01:03:29');
INSERT INTO "item_instance_events" VALUES(34,3,'use',NULL,'admin','locked','used',4,4,'redemption_order','use:71b9e98c-7f1b-416a-bf91-2af6e64fe2c2',NULL,'2025-12-07 02:46:58');
INSERT INTO "item_instance_events" VALUES(51,2,'use',NULL,'admin','locked','used',3,3,'redemption_order','use:aba95de1-5a74-4223-9f2f-2cc2d82f3fb1',NULL,'2025-12-12 14:40:13');
INSERT INTO "item_instance_events" VALUES(52,1,'use',NULL,'admin','locked','used',2,2,'redemption_order','use:50f654f6-152f-4411-8bbd-59d68331fcd6',NULL,'2025-12-13 04:47:50');
INSERT INTO "item_instance_events" VALUES(54,160,'mint',NULL,'system',NULL,'available',NULL,7,'item_mint','mint:160',NULL,'2025-12-14 17:00:00');
INSERT INTO "item_instance_events" VALUES(55,161,'mint',NULL,'system',NULL,'available',NULL,8,'item_mint','mint:161',NULL,'2025-12-14 19:00:00');
INSERT INTO "item_instance_events" VALUES(56,162,'mint',NULL,'system',NULL,'available',NULL,9,'item_mint','mint:162',NULL,'2025-12-14 21:00:00');
INSERT INTO "item_instance_events" VALUES(57,163,'mint',NULL,'system',NULL,'available',NULL,10,'item_mint','mint:163',NULL,'2025-12-14 23:00:00');
INSERT INTO "item_instance_events" VALUES(99,72,'lock',NULL,'user','available','locked',7,7,'redemption_order','lock:c688aba4-0fd6-43c1-9fac-18eaec7f5797',NULL,'2026-01-04 03:29:22');
INSERT INTO "item_instance_events" VALUES(100,71,'lock',NULL,'user','available','locked',6,6,'redemption_order','lock:195609d3-43ee-4624-8c7c-980ffd99c1b3',NULL,'2026-01-04 03:40:10');
CREATE TABLE item_instances (
  item_instance_id bigint NOT NULL,
  owner_user_id int NOT NULL,
  item_type varchar(50),
  item_template_id bigint,
  status varchar(20) NOT NULL DEFAULT 'available',
  locks json,
  meta json,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (item_instance_id)
);
INSERT INTO "item_instances" VALUES(1,2,'voucher',NULL,'used','null',NULL,'2025-12-01 11:00:00','2025-12-13 04:47:50');
INSERT INTO "item_instances" VALUES(2,3,'voucher',NULL,'used','[]',NULL,'2025-12-01 13:00:00','2025-12-12 14:40:13');
INSERT INTO "item_instances" VALUES(3,4,'voucher',NULL,'used',NULL,NULL,'2025-12-01 15:00:00','2025-12-07 02:46:58');
INSERT INTO "item_instances" VALUES(71,6,'voucher',NULL,'locked','[]',NULL,'2025-12-07 07:00:00','2026-01-04 03:40:10');
INSERT INTO "item_instances" VALUES(72,7,'voucher',NULL,'locked','[{"lock_id": "c688aba4-0fd6-43c1-9fac-18eaec7f5797", "lock_type": "redemption"}]',NULL,'2025-12-07 09:00:00','2026-01-04 03:29:22');
INSERT INTO "item_instances" VALUES(160,7,'voucher',NULL,'available','null',NULL,'2025-12-14 17:00:00','2025-12-14 17:00:00');
INSERT INTO "item_instances" VALUES(161,8,'voucher',NULL,'available','[]',NULL,'2025-12-14 19:00:00','2025-12-14 19:00:00');
INSERT INTO "item_instances" VALUES(162,9,'voucher',NULL,'available',NULL,NULL,'2025-12-14 21:00:00','2025-12-14 21:00:00');
INSERT INTO "item_instances" VALUES(163,10,'voucher',NULL,'available','null',NULL,'2025-12-14 23:00:00','2025-12-14 23:00:00');
CREATE TABLE lottery_draws (
  draw_id varchar(50) NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  lottery_session_id varchar(100) NOT NULL,
  asset_transaction_id bigint NOT NULL,
  batch_draw_id varchar(50),
  user_id int NOT NULL,
  campaign_id int NOT NULL,
  prize_id int,
  prize_type varchar(20),
  prize_value_points int DEFAULT 0,
  reward_tier varchar(32) NOT NULL DEFAULT 'mid',
  draw_type varchar(20),
  cost_points int,
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (draw_id)
);
INSERT INTO "lottery_draws" VALUES('draw_20260104_0001','draw 1','lottery_session_20260104_0001',900001,NULL,3,1,7,'points',500,'mid','single',100,'2026-01-04 20:15:30','2026-01-04 20:15:30');
CREATE TABLE market_listings (
  listing_id bigint NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  listing_kind varchar(20) NOT NULL,
  seller_user_id int NOT NULL,
  offer_item_instance_id bigint,
  offer_asset_code varchar(50),
  offer_amount bigint,
  price_asset_code varchar(50) NOT NULL DEFAULT 'DIAMOND',
  price_amount bigint NOT NULL,
  seller_offer_frozen tinyint(1) NOT NULL DEFAULT 0,
  locked_by_order_id bigint,
  locked_at datetime,
  status varchar(20) NOT NULL DEFAULT 'on_sale',
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (listing_id)
);
CREATE TABLE redemption_orders (
  order_id char(36) NOT NULL,
  code_hash varchar(64) NOT NULL,
  item_instance_id bigint NOT NULL,
  redeemer_user_id int,
  status varchar(20) NOT NULL DEFAULT 'pending',
  expires_at datetime NOT NULL,
  fulfilled_at datetime,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (order_id),
  CONSTRAINT redemption_orders_ibfk_1 FOREIGN KEY (item_instance_id) REFERENCES item_instances (item_instance_id)
);
INSERT INTO "redemption_orders" VALUES('50f654f6-152f-4411-8bbd-59d68331fcd6','c6a6a2a1dded1456bb99109b56587bf6399e26919753359a61d62dab1082a140',1,2,'fulfilled','2025-12-18 14:09:42','2025-12-13 04:47:50','2025-12-04 14:09:42','2025-12-13 04:47:50');
INSERT INTO "redemption_orders" VALUES('aba95de1-5a74-4223-9f2f-2cc2d82f3fb1','a3ddeb2c2412d2fde1180035ab9b84fe7e45c2bfb9b343d1e125121e456dd410',2,3,'fulfilled','2025-12-18 13:06:10','2025-12-12 14:40:13','2025-12-04 13:06:10','2025-12-12 14:40:13');
INSERT INTO "redemption_orders" VALUES('71b9e98c-7f1b-416a-bf91-2af6e64fe2c2','8e6ce6709baf4ee5a2836d69b18db9be8a9cf3799fcb7e71bdb6228525f408ff',3,4,'fulfilled','2025-12-20 01:03:29','2025-12-07 02:46:58','2025-12-06 01:03:29','2025-12-07 02:46:58');
INSERT INTO "redemption_orders" VALUES('195609d3-43ee-4624-8c7c-980ffd99c1b3','579aea486e36a7cb3f979ed560b2a5ff3ffed780451653141a03935c5daeab95',71,NULL,'pending','2026-01-18 03:40:10',NULL,'2026-01-04 03:40:10','2026-01-04 03:40:10');
INSERT INTO "redemption_orders" VALUES('c688aba4-0fd6-43c1-9fac-18eaec7f5797','afb07e371e1ffde7fe6722b68b7f56d2bf0ba1a05eb0b8b3992b44b41212f485',72,NULL,'pending','2026-01-18 03:29:22',NULL,'2026-01-04 03:29:22','2026-01-04 03:29:22');
CREATE TABLE trade_orders (
  order_id bigint NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  listing_id bigint NOT NULL,
  buyer_user_id int NOT NULL,
  seller_user_id int NOT NULL,
  asset_code varchar(50) NOT NULL DEFAULT 'DIAMOND',
  gross_amount bigint NOT NULL,
  fee_amount bigint NOT NULL DEFAULT 0,
  net_amount bigint NOT NULL,
  status varchar(20) NOT NULL DEFAULT 'created',
  meta json,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  completed_at datetime,
  cancelled_at datetime,
  PRIMARY KEY (order_id)
);
CREATE TABLE users (
  user_id int NOT NULL,
  mobile varchar(20) NOT NULL,
  nickname varchar(50),
  status varchar(20) DEFAULT 'active',
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (user_id)
);
INSERT INTO "users" VALUES(1,'00000000001','demo-user-01','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(2,'00000000002','demo-user-02','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(3,'00000000003','demo-user-03','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(4,'00000000004','demo-user-04','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(5,'00000000005','demo-user-05','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(6,'00000000006','demo-user-06','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(7,'00000000007','demo-user-07','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(8,'00000000008','demo-user-08','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(9,'00000000009','demo-user-09','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(10,'00000000010','demo-user-10','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
INSERT INTO "users" VALUES(11,'00000000011','demo-user-11','active','2025-12-01 09:00:00','2025-12-01 09:00:00');
CREATE UNIQUE INDEX mobile ON users (mobile);
CREATE UNIQUE INDEX uk_accounts_user_id ON accounts (user_id);
CREATE UNIQUE INDEX uk_accounts_system_code ON accounts (system_code);
CREATE UNIQUE INDEX uk_account_asset_campaign ON account_asset_balances (account_id, asset_code, campaign_id);
CREATE INDEX idx_account_asset_balances_asset_code ON account_asset_balances (asset_code);
CREATE UNIQUE INDEX uk_idempotency_key ON asset_transactions (idempotency_key);
CREATE INDEX idx_business_type_time ON asset_transactions (business_type, created_at);
CREATE INDEX idx_asset_code_time ON asset_transactions (asset_code, created_at);
CREATE INDEX idx_account_asset_time ON asset_transactions (account_id, asset_code, created_at);
CREATE INDEX idx_lottery_session_id ON asset_transactions (lottery_session_id);
CREATE UNIQUE INDEX idempotency_key ON api_idempotency_requests (idempotency_key);
CREATE INDEX idx_user_created ON api_idempotency_requests (user_id, created_at);
CREATE INDEX idx_status_expires ON api_idempotency_requests (status, expires_at);
CREATE UNIQUE INDEX uk_item_instance_events_instance_idempotency ON item_instance_events (item_instance_id, idempotency_key);
CREATE UNIQUE INDEX uk_item_instance_events_business_idempotency ON item_instance_events (business_type, idempotency_key);
CREATE UNIQUE INDEX uk_lottery_draws_idempotency_key ON lottery_draws (idempotency_key);
CREATE INDEX idx_lottery_draws_asset_tx_id ON lottery_draws (asset_transaction_id);
CREATE INDEX idx_lottery_draws_session_id ON lottery_draws (lottery_session_id);
CREATE INDEX idx_created_at ON lottery_draws (created_at);
CREATE UNIQUE INDEX uk_consumption_records_idempotency_key ON consumption_records (idempotency_key);
CREATE INDEX idx_consumption_records_reward_tx_id ON consumption_records (reward_transaction_id);
CREATE INDEX idx_status_created ON consumption_records (status, created_at);
CREATE UNIQUE INDEX order_no ON exchange_records (order_no);
CREATE UNIQUE INDEX uk_order_no ON exchange_records (order_no);
CREATE UNIQUE INDEX uk_exchange_records_idempotency_key ON exchange_records (idempotency_key);
CREATE INDEX idx_exchange_records_debit_tx_id ON exchange_records (debit_transaction_id);
CREATE UNIQUE INDEX uk_market_listings_idempotency_key ON market_listings (idempotency_key);
CREATE UNIQUE INDEX uk_market_listings_seller_idempotency ON market_listings (seller_user_id, idempotency_key);
CREATE UNIQUE INDEX uk_trade_orders_idempotency_key ON trade_orders (idempotency_key);
CREATE INDEX idx_trade_orders_listing_id ON trade_orders (listing_id);
COMMIT;
