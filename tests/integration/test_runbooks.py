"""Runbooks can be followed at night: what they say to type is accepted as it stands."""

import re
import shlex
from contextlib import closing
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from tests.support import CHECKOUT, SHIPPED
from tests.support.servers import Database, load_schema
from worker import config
from worker.cli.main import app

RUNBOOKS = sorted((CHECKOUT / "worker" / "runbooks").glob("*.md"))
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mending", "Silence or acknowledge"]


def blocks(page: Path, language: str) -> list[str]:
    """The contents of a page's fenced blocks in a language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


STATEMENTS = [(page.stem, sql) for page in RUNBOOKS for sql in blocks(page, "sql")]


def commands(page: Path) -> list[list[str]]:
    """The arguments of each `reconciler` command that a page says to type."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in split if words and words[0] == "reconciler"]


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: str(page.stem))
def test_a_runbook_has_its_five_parts(page: Path) -> None:
    """A runbook is named like its alert, and has the five headings in order, none of them empty."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n\nSeverity: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    parts = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]
    assert all(len(part.strip()) > 40 for part in parts)
    assert len(text.splitlines()) < 120
    assert set(re.findall(r"^```(\w+)$", text, re.MULTILINE)) <= {"sql", "sh"}


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: str(page.stem))
def test_the_commands_of_a_runbook_exist(page: Path) -> None:
    """Each command line parses: the command exists, and so do its options and their values."""
    for words in commands(page):
        command, rest = get_command(app), words
        while (found := getattr(command, "commands", None)) is not None:
            assert rest, words
            assert rest[0] in found, words
            command, rest = found[rest[0]], rest[1:]
        command.make_context("reconciler", list(rest))  # raises on what it does not know


def test_the_checks_of_the_runbooks_exist() -> None:
    """Each check, and each pattern, that a command names is one of the shipped configuration."""
    known = [check.name for check in config.load(SHIPPED).checks]
    named = [
        each
        for page in RUNBOOKS
        for words in commands(page)
        for each in (*after(words, "--check"), *(words[1:2] if words[0] == "check" else ()))
        if not each.startswith("--")
    ]
    assert len(named) > 10
    for each in named:
        assert any(fnmatchcase(name, each) for name in known), each


def after(words: list[str], option: str) -> list[str]:
    """The values that an option has."""
    return [value for name, value in pairwise(words) if name == option]


def test_runbooks_name_runbooks_that_exist() -> None:
    """An alert that a runbook speaks of has one itself."""
    known = {page.stem for page in RUNBOOKS}
    for page in RUNBOOKS:
        named = set(re.findall(r"`(Reconciler\w+)`", page.read_text(encoding="utf-8")))
        assert named <= known, page.stem


BROKEN = """
ALTER TABLE asset_transactions DROP INDEX uk_idempotency_key;
ALTER TABLE trade_orders DROP INDEX uk_trade_orders_idempotency_key;
INSERT INTO accounts (account_id, account_type, user_id) VALUES (101, 'user', 1), (102, 'user', 2);
INSERT INTO account_asset_balances (account_id, asset_code, available_amount, frozen_amount)
    VALUES (101, 'POINTS', -5, 0), (101, 'POINTS', 7, 0), (101, 'DIAMOND', 0, 30);
INSERT INTO asset_transactions (account_id, asset_code, delta_amount, balance_before, balance_after,
        frozen_amount_change, business_type, lottery_session_id, idempotency_key)
    VALUES (101, 'POINTS', 10, 0, 10, 0, 'opening', NULL, ' '),
        (101, 'POINTS', -3, 9, 6, 0, 'lottery_consume', 'SESSION', 'lottery_consume:SESSION'),
        (101, 'POINTS', -3, 6, 3, 0, 'lottery_consume', 'SESSION', 'lottery_consume:SESSION'),
        (101, 'DIAMOND', -30, 30, 0, 30, 'market_purchase_buyer_debit', NULL,
            'market_purchase_buyer_debit_ORDER_KEY');
INSERT INTO lottery_draws (draw_id, idempotency_key, lottery_session_id, asset_transaction_id,
        user_id, campaign_id, cost_points, created_at, updated_at)
    VALUES ('d1', 'd1', 'SESSION', 999, 1, 1, 5, NOW(), NOW());
INSERT INTO exchange_records (idempotency_key, order_no, user_id, item_id, pay_asset_code,
        pay_amount) VALUES ('e1', 'e1', 1, 1, 'POINTS', 5);
INSERT INTO consumption_records (idempotency_key, user_id, consumption_amount, points_to_award,
        status, qr_code, created_at, updated_at)
    VALUES ('c1', 1, 1, 5, 'approved', 'q', NOW(), NOW());
INSERT INTO market_listings (idempotency_key, listing_kind, seller_user_id, offer_asset_code,
        offer_amount, price_amount, seller_offer_frozen)
    VALUES ('l1', 'fungible_asset', 1, 'DIAMOND', 10, 1, 1);
INSERT INTO trade_orders (idempotency_key, listing_id, buyer_user_id, seller_user_id, gross_amount,
        fee_amount, net_amount, status)
    VALUES ('o1', 1, 1, 2, 100, 5, 90, 'completed'), ('o1', 1, 1, 2, 100, 5, 90, 'frozen');
INSERT INTO api_idempotency_requests (idempotency_key, api_path, request_hash, user_id, expires_at)
    VALUES ('r1', '/api/v4/exchange', 'h', 1, NOW());
INSERT INTO item_instances (item_instance_id, owner_user_id, status, locks)
    VALUES (42, 1, 'locked', NULL);
INSERT INTO item_instance_events (item_instance_id, event_type, idempotency_key)
    VALUES (42, 'locked', 'i1')
"""
"""A ledger in which everything is wrong of which a runbook speaks, under the names it uses."""

SOUND = """
INSERT INTO accounts (account_id, account_type, user_id) VALUES (101, 'user', 1), (102, 'user', 2);
INSERT INTO account_asset_balances (account_id, asset_code, available_amount, frozen_amount)
    VALUES (101, 'POINTS', 5, 0), (101, 'DIAMOND', 0, 0), (102, 'DIAMOND', 95, 0);
INSERT INTO asset_transactions (transaction_id, account_id, asset_code, delta_amount,
        balance_before, balance_after, business_type, lottery_session_id, idempotency_key)
    VALUES (1, 101, 'POINTS', 10, 0, 10, 'consumption_reward', NULL,
            'consumption_reward:approve:1'),
        (2, 101, 'POINTS', -3, 10, 7, 'lottery_consume', 'SESSION', 'lottery_consume:SESSION'),
        (3, 101, 'POINTS', -2, 7, 5, 'exchange_debit', NULL, 'exchange_debit_e1'),
        (4, 101, 'DIAMOND', 100, 0, 100, 'opening', NULL, 'opening'),
        (5, 101, 'DIAMOND', -100, 100, 0, 'market_purchase_buyer_debit', NULL,
            'market_purchase_buyer_debit_o1');
INSERT INTO lottery_draws (draw_id, idempotency_key, lottery_session_id, asset_transaction_id,
        user_id, campaign_id, cost_points, created_at, updated_at)
    VALUES ('d1', 'd1', 'SESSION', 2, 1, 1, 1, NOW(), NOW()),
        ('d2', 'd2', 'SESSION', 2, 1, 1, 2, NOW(), NOW());
INSERT INTO exchange_records (idempotency_key, order_no, user_id, item_id, pay_asset_code,
        pay_amount, debit_transaction_id) VALUES ('e1', 'e1', 1, 1, 'POINTS', 2, 3);
INSERT INTO consumption_records (record_id, idempotency_key, user_id, consumption_amount,
        points_to_award, status, qr_code, created_at, updated_at)
    VALUES (1, 'c1', 1, 1, 10, 'approved', 'q', NOW(), NOW());
INSERT INTO trade_orders (idempotency_key, listing_id, buyer_user_id, seller_user_id, gross_amount,
        fee_amount, net_amount, status) VALUES ('o1', 1, 1, 2, 100, 5, 95, 'completed');
INSERT INTO item_instances (item_instance_id, owner_user_id, status, locks)
    VALUES (41, 1, 'locked', '[{"lock_id": "x"}]'), (42, 1, 'available', NULL),
        (43, 1, 'available', '[]'), (44, 1, 'available', 'null')
"""


def run(database: Database, script: str) -> None:
    """Run several statements; raises the error of any."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(script)
        while cursor.nextset():
            pass


def test_the_sql_of_the_runbooks_finds_what_it_is_for(ledger_database: Database) -> None:
    """Each block is one bounded statement that only reads, fits the real schema, and shows rows."""
    load_schema(ledger_database.server, ledger_database.name)
    run(ledger_database, BROKEN)
    assert len(STATEMENTS) > 25
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION READ ONLY")
        for page, sql in STATEMENTS:
            assert sql.count(";") == 1, page
            assert re.match(r"SELECT\b.*\bLIMIT \d+;\n\Z|SHOW GRANTS;\n\Z", sql, re.DOTALL), page
            cursor.execute(sql)
            assert cursor.fetchall(), f"{page}: {sql}"


def test_the_sql_of_the_runbooks_does_not_accuse_what_is_sound(ledger_database: Database) -> None:
    """A statement that looks for rows that are wrong shows none in a sound ledger."""
    load_schema(ledger_database.server, ledger_database.name)
    run(ledger_database, SOUND)
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        for page, sql in STATEMENTS:
            if re.search(r"<>|HAVING|< 0|TRIM", sql) and "PROCESSLIST" not in sql:
                cursor.execute(sql)
                assert not cursor.fetchall(), f"{page}: {sql}"
