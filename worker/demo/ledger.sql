-- The demonstration ledger: the audited tables and `users`, spelled for SQLite.
-- Declared types repeat MySQL's (an enum is varchar(20)). SQLite gives `json` and `datetime` NUMERIC affinity, which
-- leaves JSON arrays, objects, `null` and timestamps as the text they were. CURRENT_TIMESTAMP is UTC here while the
-- rows hold Beijing time, so every row states its own times.

CREATE TABLE users (
  user_id int NOT NULL,
  mobile varchar(20) NOT NULL,
  nickname varchar(50),
  status varchar(20) DEFAULT 'active',
  created_at datetime NOT NULL,
  updated_at datetime NOT NULL,
  PRIMARY KEY (user_id)
);
CREATE UNIQUE INDEX mobile ON users (mobile);

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
CREATE UNIQUE INDEX uk_accounts_user_id ON accounts (user_id);
CREATE UNIQUE INDEX uk_accounts_system_code ON accounts (system_code);

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
CREATE UNIQUE INDEX uk_account_asset_campaign ON account_asset_balances (account_id, asset_code, campaign_id);
CREATE INDEX idx_account_asset_balances_asset_code ON account_asset_balances (asset_code);

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
CREATE UNIQUE INDEX uk_idempotency_key ON asset_transactions (idempotency_key);
CREATE INDEX idx_business_type_time ON asset_transactions (business_type, created_at);
CREATE INDEX idx_asset_code_time ON asset_transactions (asset_code, created_at);
CREATE INDEX idx_account_asset_time ON asset_transactions (account_id, asset_code, created_at);
CREATE INDEX idx_lottery_session_id ON asset_transactions (lottery_session_id);

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
CREATE UNIQUE INDEX idempotency_key ON api_idempotency_requests (idempotency_key);
CREATE INDEX idx_user_created ON api_idempotency_requests (user_id, created_at);
CREATE INDEX idx_status_expires ON api_idempotency_requests (status, expires_at);

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
CREATE UNIQUE INDEX uk_item_instance_events_instance_idempotency ON item_instance_events (item_instance_id, idempotency_key);
CREATE UNIQUE INDEX uk_item_instance_events_business_idempotency ON item_instance_events (business_type, idempotency_key);

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
CREATE UNIQUE INDEX code_hash ON redemption_orders (code_hash);

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
CREATE UNIQUE INDEX uk_lottery_draws_idempotency_key ON lottery_draws (idempotency_key);
CREATE INDEX idx_lottery_draws_asset_tx_id ON lottery_draws (asset_transaction_id);
CREATE INDEX idx_lottery_draws_session_id ON lottery_draws (lottery_session_id);
CREATE INDEX idx_created_at ON lottery_draws (created_at);

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
CREATE UNIQUE INDEX uk_consumption_records_idempotency_key ON consumption_records (idempotency_key);
CREATE INDEX idx_consumption_records_reward_tx_id ON consumption_records (reward_transaction_id);
CREATE INDEX idx_status_created ON consumption_records (status, created_at);

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
CREATE UNIQUE INDEX order_no ON exchange_records (order_no);
CREATE UNIQUE INDEX uk_order_no ON exchange_records (order_no);
CREATE UNIQUE INDEX uk_exchange_records_idempotency_key ON exchange_records (idempotency_key);
CREATE INDEX idx_exchange_records_debit_tx_id ON exchange_records (debit_transaction_id);

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
CREATE UNIQUE INDEX uk_market_listings_idempotency_key ON market_listings (idempotency_key);
CREATE UNIQUE INDEX uk_market_listings_seller_idempotency ON market_listings (seller_user_id, idempotency_key);

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
CREATE UNIQUE INDEX uk_trade_orders_idempotency_key ON trade_orders (idempotency_key);
CREATE INDEX idx_trade_orders_listing_id ON trade_orders (listing_id);
