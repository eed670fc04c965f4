-- The application's tables exactly as the audit found them; the tests load this into an empty database.
-- It is kept as found, flaws included (two identical unique indexes on order_no, say): do not tidy it.

CREATE TABLE users (
  user_id int NOT NULL AUTO_INCREMENT,
  mobile varchar(20) NOT NULL,
  nickname varchar(50),
  status enum('active','inactive','banned') DEFAULT 'active',
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (user_id),
  UNIQUE KEY mobile (mobile)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE accounts (
  account_id bigint NOT NULL AUTO_INCREMENT,
  account_type enum('user','system') NOT NULL,
  user_id int DEFAULT NULL,
  system_code varchar(50) DEFAULT NULL,
  status enum('active','disabled') NOT NULL DEFAULT 'active',
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (account_id),
  UNIQUE KEY uk_accounts_user_id (user_id),
  UNIQUE KEY uk_accounts_system_code (system_code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE account_asset_balances (
  balance_id bigint NOT NULL AUTO_INCREMENT,
  account_id bigint NOT NULL,
  asset_code varchar(50) NOT NULL,
  available_amount bigint NOT NULL DEFAULT 0,
  frozen_amount bigint NOT NULL DEFAULT 0,
  campaign_id varchar(50) DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (balance_id),
  UNIQUE KEY uk_account_asset_campaign (account_id, asset_code, campaign_id),
  KEY idx_account_asset_balances_asset_code (asset_code),
  CONSTRAINT account_asset_balances_ibfk_1 FOREIGN KEY (account_id) REFERENCES accounts (account_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE asset_transactions (
  transaction_id bigint NOT NULL AUTO_INCREMENT,
  account_id bigint NOT NULL,
  asset_code varchar(50) NOT NULL,
  delta_amount bigint NOT NULL,
  balance_before bigint NOT NULL,
  balance_after bigint NOT NULL,
  frozen_amount_change bigint NOT NULL DEFAULT 0,
  business_type varchar(50) NOT NULL,
  lottery_session_id varchar(100) DEFAULT NULL,
  idempotency_key varchar(100) NOT NULL,
  meta json DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (transaction_id),
  UNIQUE KEY uk_idempotency_key (idempotency_key),
  KEY idx_business_type_time (business_type, created_at),
  KEY idx_asset_code_time (asset_code, created_at),
  KEY idx_account_asset_time (account_id, asset_code, created_at),
  KEY idx_lottery_session_id (lottery_session_id),
  CONSTRAINT asset_transactions_account_fk FOREIGN KEY (account_id) REFERENCES accounts (account_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE api_idempotency_requests (
  request_id bigint NOT NULL AUTO_INCREMENT,
  idempotency_key varchar(100) NOT NULL,
  api_path varchar(200) NOT NULL,
  http_method varchar(10) NOT NULL DEFAULT 'POST',
  request_hash varchar(64) NOT NULL,
  request_params json DEFAULT NULL,
  user_id bigint NOT NULL,
  status enum('processing','completed','failed') NOT NULL DEFAULT 'processing',
  business_event_id varchar(100) DEFAULT NULL,
  response_snapshot json DEFAULT NULL,
  response_code varchar(50) DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  completed_at datetime DEFAULT NULL,
  expires_at datetime NOT NULL,
  PRIMARY KEY (request_id),
  UNIQUE KEY idempotency_key (idempotency_key),
  KEY idx_user_created (user_id, created_at),
  KEY idx_status_expires (status, expires_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE item_instances (
  item_instance_id bigint NOT NULL AUTO_INCREMENT,
  owner_user_id int NOT NULL,
  item_type varchar(50) DEFAULT NULL,
  item_template_id bigint DEFAULT NULL,
  status enum('available','locked','transferred','used','expired') NOT NULL DEFAULT 'available',
  locks json DEFAULT NULL,
  meta json DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (item_instance_id),
  KEY idx_item_instances_status (status)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE item_instance_events (
  event_id bigint NOT NULL AUTO_INCREMENT,
  item_instance_id bigint NOT NULL,
  event_type varchar(50) NOT NULL,
  operator_user_id int DEFAULT NULL,
  operator_type enum('user','admin','system') NOT NULL DEFAULT 'user',
  status_before enum('available','locked','transferred','used','expired') DEFAULT NULL,
  status_after enum('available','locked','transferred','used','expired') DEFAULT NULL,
  owner_before int DEFAULT NULL,
  owner_after int DEFAULT NULL,
  business_type varchar(50) DEFAULT NULL,
  idempotency_key varchar(100) NOT NULL,
  meta json DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (event_id),
  UNIQUE KEY uk_item_instance_events_instance_idempotency (item_instance_id, idempotency_key),
  UNIQUE KEY uk_item_instance_events_business_idempotency (business_type, idempotency_key),
  CONSTRAINT item_instance_events_ibfk_1 FOREIGN KEY (item_instance_id) REFERENCES item_instances (item_instance_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE redemption_orders (
  order_id char(36) NOT NULL,
  code_hash varchar(64) NOT NULL,
  item_instance_id bigint NOT NULL,
  redeemer_user_id int DEFAULT NULL,
  status enum('pending','fulfilled','cancelled','expired') NOT NULL DEFAULT 'pending',
  expires_at datetime NOT NULL,
  fulfilled_at datetime DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (order_id),
  UNIQUE KEY code_hash (code_hash),
  CONSTRAINT redemption_orders_ibfk_1 FOREIGN KEY (item_instance_id) REFERENCES item_instances (item_instance_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE lottery_draws (
  draw_id varchar(50) NOT NULL,
  idempotency_key varchar(100) NOT NULL,
  lottery_session_id varchar(100) NOT NULL,
  asset_transaction_id bigint NOT NULL,
  batch_draw_id varchar(50) DEFAULT NULL,
  user_id int NOT NULL,
  campaign_id int NOT NULL,
  prize_id int DEFAULT NULL,
  prize_type enum('points','coupon','physical','virtual','service','product','special') DEFAULT NULL,
  prize_value_points int DEFAULT 0,
  reward_tier varchar(32) NOT NULL DEFAULT 'mid',
  draw_type enum('single','triple','five','ten','multi') DEFAULT NULL,
  cost_points int DEFAULT NULL,
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (draw_id),
  UNIQUE KEY uk_lottery_draws_idempotency_key (idempotency_key),
  KEY idx_lottery_draws_asset_tx_id (asset_transaction_id),
  KEY idx_lottery_draws_session_id (lottery_session_id),
  KEY idx_created_at (created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE consumption_records (
  record_id bigint NOT NULL AUTO_INCREMENT,
  idempotency_key varchar(100) NOT NULL,
  user_id int NOT NULL,
  merchant_id int DEFAULT NULL,
  consumption_amount decimal(10,2) NOT NULL,
  points_to_award int NOT NULL,
  reward_transaction_id bigint DEFAULT NULL,
  status enum('pending','approved','rejected','expired') NOT NULL DEFAULT 'pending',
  qr_code varchar(150) NOT NULL,
  is_deleted tinyint(1) NOT NULL DEFAULT 0,
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (record_id),
  UNIQUE KEY uk_consumption_records_idempotency_key (idempotency_key),
  KEY idx_consumption_records_reward_tx_id (reward_transaction_id),
  KEY idx_status_created (status, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE exchange_records (
  record_id bigint NOT NULL AUTO_INCREMENT,
  idempotency_key varchar(100) NOT NULL,
  order_no varchar(50) NOT NULL,
  user_id int NOT NULL,
  item_id bigint NOT NULL,
  quantity int NOT NULL DEFAULT 1,
  pay_asset_code varchar(50) NOT NULL,
  pay_amount bigint NOT NULL,
  debit_transaction_id bigint DEFAULT NULL,
  status enum('pending','completed','shipped','cancelled') DEFAULT 'pending',
  created_at datetime DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (record_id),
  UNIQUE KEY order_no (order_no),
  UNIQUE KEY uk_order_no (order_no),
  UNIQUE KEY uk_exchange_records_idempotency_key (idempotency_key),
  KEY idx_exchange_records_debit_tx_id (debit_transaction_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE market_listings (
  listing_id bigint NOT NULL AUTO_INCREMENT,
  idempotency_key varchar(100) NOT NULL,
  listing_kind enum('item_instance','fungible_asset') NOT NULL,
  seller_user_id int NOT NULL,
  offer_item_instance_id bigint DEFAULT NULL,
  offer_asset_code varchar(50) DEFAULT NULL,
  offer_amount bigint DEFAULT NULL,
  price_asset_code varchar(50) NOT NULL DEFAULT 'DIAMOND',
  price_amount bigint NOT NULL,
  seller_offer_frozen tinyint(1) NOT NULL DEFAULT 0,
  locked_by_order_id bigint DEFAULT NULL,
  locked_at datetime DEFAULT NULL,
  status enum('on_sale','locked','sold','withdrawn') NOT NULL DEFAULT 'on_sale',
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (listing_id),
  UNIQUE KEY uk_market_listings_idempotency_key (idempotency_key),
  UNIQUE KEY uk_market_listings_seller_idempotency (seller_user_id, idempotency_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE trade_orders (
  order_id bigint NOT NULL AUTO_INCREMENT,
  idempotency_key varchar(100) NOT NULL,
  listing_id bigint NOT NULL,
  buyer_user_id int NOT NULL,
  seller_user_id int NOT NULL,
  asset_code varchar(50) NOT NULL DEFAULT 'DIAMOND',
  gross_amount bigint NOT NULL,
  fee_amount bigint NOT NULL DEFAULT 0,
  net_amount bigint NOT NULL,
  status enum('created','frozen','completed','cancelled','failed') NOT NULL DEFAULT 'created',
  meta json DEFAULT NULL,
  created_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  completed_at datetime DEFAULT NULL,
  cancelled_at datetime DEFAULT NULL,
  PRIMARY KEY (order_id),
  UNIQUE KEY uk_trade_orders_idempotency_key (idempotency_key),
  KEY idx_trade_orders_listing_id (listing_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
