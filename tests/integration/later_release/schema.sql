-- The tables of the audited application's later release that its rules read. Where no other table
-- says so, a number that names a row of another table has no FOREIGN KEY.

CREATE TABLE material_asset_types (
    material_asset_type_id bigint PRIMARY KEY,
    asset_code varchar(50) NOT NULL,
    form enum('shard', 'gem', 'currency', 'quota') NOT NULL,
    is_enabled tinyint NOT NULL DEFAULT 1,
    UNIQUE KEY uk_material_asset_types_asset_code (asset_code)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Accounts, and what is on them ------------------------------------------------------------------

CREATE TABLE accounts (
    account_id bigint PRIMARY KEY,
    account_type enum('user', 'system') NOT NULL,
    user_id int,
    system_code varchar(50),
    created_at datetime NOT NULL,
    UNIQUE KEY uk_accounts_user_id (user_id),
    UNIQUE KEY uk_accounts_system_code (system_code)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE account_asset_balances (
    account_asset_balance_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    asset_code varchar(50) NOT NULL,
    lottery_campaign_id varchar(50),
    available_amount bigint NOT NULL DEFAULT 0,
    frozen_amount bigint NOT NULL DEFAULT 0,
    updated_at datetime NOT NULL,
    lottery_campaign_key varchar(50) GENERATED ALWAYS AS (COALESCE(lottery_campaign_id, 'GLOBAL')) STORED,
    UNIQUE KEY uk_account_asset_lottery_campaign_key (account_id, asset_code, lottery_campaign_key),
    KEY idx_account_asset_balances_asset_code (asset_code)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE asset_transactions (
    asset_transaction_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    counterpart_account_id bigint,
    asset_code varchar(50) NOT NULL,
    delta_amount bigint NOT NULL,
    frozen_amount_change bigint NOT NULL DEFAULT 0,
    balance_before bigint NOT NULL,
    balance_after bigint NOT NULL,
    business_type varchar(50) NOT NULL,
    lottery_session_id varchar(100),
    idempotency_key varchar(100) NOT NULL,
    is_invalid tinyint NOT NULL DEFAULT 0,
    is_test_data tinyint NOT NULL DEFAULT 0,
    created_at datetime NOT NULL,
    UNIQUE KEY uk_idempotency_key (idempotency_key),
    KEY idx_business_type_time (business_type, created_at),
    KEY idx_account_asset_time (account_id, asset_code, created_at),
    KEY idx_lottery_session_id (lottery_session_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE api_idempotency_requests (
    api_idempotency_request_id bigint PRIMARY KEY,
    idempotency_key varchar(100) NOT NULL,
    api_path varchar(200) NOT NULL,
    request_hash varchar(64) NOT NULL,
    user_id bigint NOT NULL,
    status enum('processing', 'completed', 'failed') NOT NULL,
    response_code varchar(50),
    created_at datetime NOT NULL,
    completed_at datetime,
    expires_at datetime NOT NULL,
    UNIQUE KEY idempotency_key (idempotency_key),
    KEY idx_status_expires (status, expires_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Draws ------------------------------------------------------------------------------------------

CREATE TABLE prize_definitions (
    prize_definition_id int PRIMARY KEY,
    prize_type enum('material', 'item', 'coupon', 'points') NOT NULL,
    material_asset_code varchar(50),
    material_amount bigint
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE lottery_campaign_prizes (
    lottery_campaign_prize_id bigint PRIMARY KEY,
    lottery_campaign_id int NOT NULL,
    prize_definition_id int NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE lottery_draws (
    lottery_draw_id varchar(50) PRIMARY KEY,
    idempotency_key varchar(100) NOT NULL,
    lottery_session_id varchar(100) NOT NULL,
    asset_transaction_id bigint NOT NULL,
    user_id int NOT NULL,
    lottery_campaign_id int NOT NULL,
    lottery_campaign_prize_id bigint,
    prize_type enum('material', 'item', 'coupon', 'points'),
    cost_points int,
    prize_value_points int DEFAULT 0,
    points_deducted int NOT NULL DEFAULT 0,
    created_at datetime NOT NULL,
    UNIQUE KEY uk_lottery_draws_idempotency_key (idempotency_key),
    KEY idx_created_at (created_at),
    KEY idx_lottery_draws_asset_tx_id (asset_transaction_id),
    KEY idx_lottery_draws_session_id (lottery_session_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE lottery_draw_decisions (
    lottery_draw_decision_id bigint PRIMARY KEY,
    lottery_draw_id varchar(50) NOT NULL,
    decision_at datetime NOT NULL,
    UNIQUE KEY uk_decisions_draw_id (lottery_draw_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE preset_budget_debt (
    preset_budget_debt_id bigint PRIMARY KEY,
    lottery_draw_id varchar(50) NOT NULL,
    debt_amount int unsigned NOT NULL,
    cleared_amount int unsigned NOT NULL DEFAULT 0,
    status enum('pending', 'cleared', 'written_off') NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Receipts ---------------------------------------------------------------------------------------

CREATE TABLE consumption_records (
    consumption_record_id bigint PRIMARY KEY,
    user_id int NOT NULL,
    consumption_amount decimal(10, 2) NOT NULL,
    points_to_award int NOT NULL,
    status enum('pending', 'approved', 'rejected', 'expired') NOT NULL,
    idempotency_key varchar(100) NOT NULL,
    reward_transaction_id bigint,
    is_deleted tinyint NOT NULL DEFAULT 0,
    reviewed_at datetime,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    UNIQUE KEY uk_consumption_records_idempotency_key (idempotency_key),
    KEY idx_consumption_records_reward_tx_id (reward_transaction_id),
    CONSTRAINT chk_approved_has_reward CHECK (status <> 'approved' OR reward_transaction_id IS NOT NULL)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Exchanges, and the products that are exchanged ---------------------------------------------------

CREATE TABLE exchange_items (
    exchange_item_id bigint PRIMARY KEY,
    status enum('active', 'inactive') NOT NULL,
    stock int NOT NULL,
    sold_count int NOT NULL,
    min_cost_amount bigint,
    max_cost_amount bigint,
    stock_alert_threshold int NOT NULL DEFAULT 0,
    updated_at datetime NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE exchange_item_skus (
    sku_id bigint PRIMARY KEY,
    exchange_item_id bigint NOT NULL,
    stock int NOT NULL,
    sold_count int NOT NULL,
    cost_price decimal(10, 2),
    status enum('active', 'inactive') NOT NULL,
    KEY idx_product_skus_product_status (exchange_item_id, status)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE exchange_records (
    exchange_record_id bigint PRIMARY KEY,
    user_id int NOT NULL,
    exchange_item_id bigint,
    sku_id bigint,
    quantity int NOT NULL DEFAULT 1,
    order_no varchar(32) NOT NULL,
    idempotency_key varchar(100) NOT NULL,
    debit_transaction_id bigint,
    status enum('pending', 'approved', 'shipped', 'received', 'rated', 'rejected', 'refunded', 'cancelled', 'completed') NOT NULL,
    pay_asset_code varchar(50) NOT NULL,
    pay_amount bigint NOT NULL,
    source varchar(20) NOT NULL DEFAULT 'exchange',
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    UNIQUE KEY uk_order_no (order_no),
    UNIQUE KEY uk_exchange_records_idempotency_key (idempotency_key),
    KEY idx_exchange_records_debit_tx_id (debit_transaction_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE exchange_order_events (
    event_id bigint PRIMARY KEY,
    order_no varchar(32) NOT NULL,
    old_status varchar(20),
    new_status varchar(20) NOT NULL,
    idempotency_key varchar(100) NOT NULL,
    created_at datetime NOT NULL,
    UNIQUE KEY idempotency_key (idempotency_key),
    KEY idx_exchange_order_events_order_no (order_no)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- What freezes: bids, works, advertising -----------------------------------------------------------

CREATE TABLE bid_products (
    bid_product_id bigint PRIMARY KEY,
    exchange_item_id bigint NOT NULL,
    price_asset_code varchar(50) NOT NULL DEFAULT 'star_stone',
    start_price bigint NOT NULL,
    current_price bigint NOT NULL DEFAULT 0,
    bid_count int NOT NULL DEFAULT 0,
    winner_bid_id bigint,
    status enum('pending', 'active', 'ended', 'cancelled', 'settled', 'settlement_failed', 'no_bid') NOT NULL,
    end_time datetime NOT NULL,
    updated_at datetime NOT NULL
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE bid_records (
    bid_record_id bigint PRIMARY KEY,
    bid_product_id bigint NOT NULL,
    user_id int NOT NULL,
    bid_amount bigint NOT NULL,
    is_winning tinyint NOT NULL DEFAULT 0,
    is_final_winner tinyint NOT NULL DEFAULT 0,
    freeze_transaction_id bigint,
    idempotency_key varchar(100) NOT NULL,
    created_at datetime NOT NULL,
    UNIQUE KEY idempotency_key (idempotency_key),
    KEY idx_bid_records_product_amount (bid_product_id, bid_amount)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE diy_works (
    diy_work_id bigint PRIMARY KEY,
    account_id bigint,
    status enum('draft', 'frozen', 'completed', 'cancelled') NOT NULL,
    total_cost json,
    item_id bigint,
    idempotency_key varchar(64),
    frozen_at datetime,
    updated_at datetime NOT NULL,
    UNIQUE KEY uk_diy_works_idempotency_key (idempotency_key)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE ad_campaigns (
    ad_campaign_id int PRIMARY KEY,
    business_id varchar(100) NOT NULL,
    advertiser_user_id int,
    status varchar(20) NOT NULL,
    budget_total_star_stone int,
    budget_spent_star_stone int NOT NULL DEFAULT 0,
    updated_at datetime NOT NULL,
    UNIQUE KEY business_id (business_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE ad_billing_records (
    ad_billing_record_id bigint PRIMARY KEY,
    business_id varchar(100) NOT NULL,
    ad_campaign_id int NOT NULL,
    advertiser_user_id int NOT NULL,
    amount_star_stone int NOT NULL,
    billing_type varchar(20) NOT NULL,
    asset_transaction_id bigint,
    created_at datetime NOT NULL,
    UNIQUE KEY business_id (business_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Items ------------------------------------------------------------------------------------------

CREATE TABLE items (
    item_id bigint PRIMARY KEY,
    owner_account_id bigint NOT NULL,
    status enum('available', 'held', 'used', 'expired', 'destroyed') NOT NULL,
    source varchar(20) NOT NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    KEY idx_items_owner (owner_account_id),
    KEY idx_items_status (status)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE item_ledger (
    ledger_entry_id bigint PRIMARY KEY,
    item_id bigint NOT NULL,
    account_id bigint NOT NULL,
    delta tinyint NOT NULL,
    counterpart_id bigint NOT NULL,
    event_type varchar(50) NOT NULL,
    idempotency_key varchar(100) NOT NULL,
    created_at datetime NOT NULL,
    UNIQUE KEY uk_item_idempotency (item_id, idempotency_key),
    KEY idx_ledger_event_type (event_type, created_at)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE item_holds (
    hold_id bigint PRIMARY KEY,
    item_id bigint NOT NULL,
    hold_type enum('trade', 'redemption', 'security', 'trade_cooldown') NOT NULL,
    holder_ref varchar(100) NOT NULL,
    status enum('active', 'released', 'expired', 'overridden') NOT NULL,
    expires_at datetime,
    created_at datetime NOT NULL,
    KEY idx_holds_item (item_id, status)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE redemption_orders (
    redemption_order_id char(36) PRIMARY KEY,
    code_hash varchar(64) NOT NULL,
    item_id bigint NOT NULL,
    status enum('pending', 'fulfilled', 'cancelled', 'expired') NOT NULL,
    expires_at datetime NOT NULL,
    created_at datetime NOT NULL,
    UNIQUE KEY code_hash (code_hash),
    KEY idx_redemption_orders_item_id (item_id)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE consignment_orders (
    consignment_id bigint PRIMARY KEY,
    order_no varchar(32) NOT NULL,
    item_id bigint NOT NULL,
    consignor_account_id bigint NOT NULL,
    list_price bigint,
    list_asset_code varchar(50),
    status enum('pending', 'listed', 'sold', 'withdrawn', 'rejected') NOT NULL,
    created_at datetime NOT NULL,
    updated_at datetime NOT NULL,
    UNIQUE KEY uk_consign_order_no (order_no)
) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
