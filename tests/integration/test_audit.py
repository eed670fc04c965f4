"""The audit as a whole: a ledger that is in order passes, and every seeded corruption is found."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.ledgers import on_any_server
from tests.support.patience import patience
from tests.support.servers import Database, Server, load_schema
from worker import config
from worker.cli.asking import exit_code
from worker.cli.main import app
from worker.demo import ledger as demo
from worker.scheduling.execute import execute
from worker.sources import Sources
from worker.status.as_json import runs_as_json
from worker.text.encode import dump

COMMAND = Path(sys.executable).with_name("reconciler")
LOCK = '[{"lock_id": "x"}]'
TXN, EVENTS, BALANCES = "asset_transactions", "item_instance_events", "account_asset_balances"


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """A way to spoil the ledger, and all that the audit must say of it."""

    spoil: tuple[str, ...]
    failing: frozenset[str] = frozenset()
    """Exactly the checks that fail."""
    unanswered: frozenset[str] = frozenset()
    """Exactly the checks that cannot tell."""
    key: dict[str, object] | None = None
    """What one of the findings is identified by."""
    evidence: dict[str, object] | None = None
    """What that finding shows."""
    shows: str = ""
    """What a finding or an error says."""


def failing(*names: str) -> frozenset[str]:
    return frozenset(names)


DROP_KEY = f"ALTER TABLE {TXN} DROP INDEX uk_idempotency_key"
NULLABLE = f"ALTER TABLE {TXN} MODIFY idempotency_key varchar(100) NULL"
NO_INDEX = f"{TXN}.unique_index.idempotency_key"
(KEY_OF_7,) = (row["idempotency_key"] for row in demo.rows()[TXN] if row["transaction_id"] == 7)


APART = f"{BALANCES}.ledger_balance"
COST = "lottery_draws.cost_posting"
REWARD = "lottery_draws.reward_posting"
SESSION = "lottery_session_20260104_0001"
BEFORE = "'2026-01-05 10:00:00', '2026-01-05 10:00:00'"
ORDER = (
    "INSERT INTO trade_orders (idempotency_key, listing_id, buyer_user_id, seller_user_id,"
    " gross_amount, fee_amount, net_amount, status, created_at, updated_at)"
    " VALUES ('order_001', 1, 1, 2, {gross}, 5, 95, '{status}', " + BEFORE + ")"
)
LISTING = (
    "INSERT INTO market_listings (listing_id, idempotency_key, listing_kind, seller_user_id,"
    " price_amount, status, created_at) VALUES (1, 'listing_001', 'item_instance', {seller},"
    " {price}, '{status}', '2026-01-05 10:00:00')"
)
LISTED = LISTING.format(seller=2, price=100, status="on_sale")
SOLD = LISTING.format(seller=2, price=100, status="sold")
LEG = (
    f"INSERT INTO {TXN} (account_id, asset_code, delta_amount, balance_before, balance_after,"
    " business_type, idempotency_key, created_at) VALUES ({account}, 'DIAMOND', {amount}, 0, 0,"
    " 'market_purchase_{leg}', 'market_purchase_{leg}_order_001', '2026-01-05 10:00:00')"
)


def posted(account: int, leg: str, amount: int) -> str:
    return LEG.format(account=account, leg=leg, amount=amount)


def another_index(definition: str) -> tuple[str, ...]:
    return DROP_KEY, f"ALTER TABLE {TXN} ADD {definition}"


OF_TABLES_AND_TEXTS = {
    "duplicate under a dropped index": Corruption(
        spoil=(
            DROP_KEY,
            (
                f"UPDATE {TXN} AS a JOIN {TXN} AS b ON b.transaction_id = 7"
                " SET a.idempotency_key = b.idempotency_key WHERE a.transaction_id = 9"
            ),
        ),
        failing=failing(f"{TXN}.duplicates.idempotency_key", NO_INDEX),
        key={"idempotency_key": KEY_OF_7},
        evidence={"rows": 2, "row_ids": [7, 9]},
        shows="2 rows of asset_transactions share (idempotency_key)",
    ),
    "duplicate that differs in case": Corruption(
        spoil=(
            DROP_KEY,
            f"UPDATE {TXN} SET idempotency_key = 'Twice:1' WHERE transaction_id = 7",
            f"UPDATE {TXN} SET idempotency_key = 'twice:1' WHERE transaction_id = 9",
        ),
        failing=failing(f"{TXN}.duplicates.idempotency_key", NO_INDEX),
        key={"idempotency_key": "Twice:1"},
        shows="spelled differently, equal under the collation",
    ),
    "balance twice under a unique index that takes NULL": Corruption(
        spoil=(
            (
                f"INSERT INTO {BALANCES} (account_id, asset_code, available_amount)"
                " VALUES (101, 'POINTS', 5)"
            ),
        ),
        failing=failing(f"{BALANCES}.duplicates.account_id.asset_code.campaign_id", APART),
        key={"account_id": 101, "asset_code": "POINTS", "campaign_id": None},
    ),
    "NULL key": Corruption(
        spoil=(
            NULLABLE,
            f"UPDATE {TXN} SET idempotency_key = NULL WHERE transaction_id = 7",
        ),
        failing=failing(f"{TXN}.columns", f"{TXN}.blank.idempotency_key"),
        key={"transaction_id": 7},
        shows="asset_transactions.idempotency_key is NULL",
    ),
    "key of white space": Corruption(
        spoil=(f"UPDATE {TXN} SET idempotency_key = '\u3000\t' WHERE transaction_id = 7",),
        failing=failing(f"{TXN}.blank.idempotency_key"),
        key={"transaction_id": 7},
        shows="asset_transactions.idempotency_key is only white space",
    ),
    "locked without locks": Corruption(
        spoil=("UPDATE item_instances SET locks = '[]' WHERE item_instance_id = 40",),
        failing=failing("item_instances.locked_with_locks"),
        key={"item_instance_id": 40},
    ),
    "locks without locked": Corruption(
        spoil=(f"UPDATE item_instances SET locks = '{LOCK}' WHERE item_instance_id = 100",),
        failing=failing("item_instances.locked_with_locks"),
        key={"item_instance_id": 100},
    ),
    "dropped table": Corruption(
        spoil=("DROP TABLE lottery_draws",),
        failing=failing("lottery_draws.tables"),
        unanswered=failing(
            "lottery_draws.columns",
            "lottery_draws.unique_index.draw_id",
            "lottery_draws.unique_index.idempotency_key",
            "lottery_draws.non_negative",
            "lottery_draws.duplicates.idempotency_key",
            "lottery_draws.blank.idempotency_key",
            "lottery_draws.key_format.idempotency_key",
            "lottery_draws.row_count",
            "lottery_draws.cost_posting",
            "lottery_draws.reward_posting",
            "lottery_draws.asset_transaction_id",
            "lottery_draws.lottery_session_id",
        ),
        key={"table": "lottery_draws"},
        shows="table lottery_draws does not exist",
    ),
    "revived retired table": Corruption(
        spoil=("CREATE TABLE points_transactions (id bigint PRIMARY KEY)",),
        failing=failing("points_transactions.tables"),
        key={"table": "points_transactions"},
    ),
    "retired table as a view": Corruption(
        spoil=(f"CREATE VIEW points_transactions AS SELECT * FROM {TXN}",),
        failing=failing("points_transactions.tables"),
        key={"table": "points_transactions"},
    ),
    "changed type": Corruption(
        spoil=(f"ALTER TABLE {TXN} MODIFY delta_amount int NOT NULL",),
        failing=failing(f"{TXN}.columns"),
        key={"table": TXN, "column": "delta_amount"},
        shows="asset_transactions.delta_amount has another type than bigint",
    ),
    "nullable key": Corruption(
        spoil=(NULLABLE,),
        failing=failing(f"{TXN}.columns"),
        key={"table": TXN, "column": "idempotency_key"},
        shows="asset_transactions.idempotency_key takes NULL",
    ),
    "revived retired column": Corruption(
        spoil=(f"ALTER TABLE {TXN} ADD business_id varchar(100)",),
        failing=failing(f"{TXN}.columns"),
        key={"table": TXN, "column": "business_id"},
    ),
    "dropped index": Corruption(
        spoil=(DROP_KEY,),
        failing=failing(NO_INDEX),
        key={"table": TXN, "columns": "idempotency_key"},
    ),
    "index with a column more": Corruption(
        spoil=another_index("UNIQUE KEY uk_idempotency_key (idempotency_key, account_id)"),
        failing=failing(NO_INDEX),
        key={"table": TXN, "columns": "idempotency_key"},
        shows="no unique index over exactly (idempotency_key)",
    ),
    "prefix index": Corruption(
        spoil=another_index("UNIQUE KEY uk_idempotency_key (idempotency_key(90))"),
        failing=failing(NO_INDEX),
        key={"table": TXN, "columns": "idempotency_key"},
    ),
    "primary key that is gone": Corruption(
        spoil=(
            "ALTER TABLE item_instance_events MODIFY event_id bigint NOT NULL, DROP PRIMARY KEY",
        ),
        failing=failing(f"{EVENTS}.unique_index.event_id"),
        key={"table": EVENTS, "columns": "event_id"},
    ),
    "engine without snapshots": Corruption(
        spoil=("ALTER TABLE market_listings ENGINE = MyISAM",),
        failing=failing("market_listings.tables"),
        key={"table": "market_listings"},
        evidence={"engine": "MyISAM"},
        shows="market_listings is of engine MyISAM, not InnoDB",
    ),
    "index that is not unique": Corruption(
        spoil=another_index("KEY uk_idempotency_key (idempotency_key)"),
        failing=failing(NO_INDEX),
        key={"table": TXN, "columns": "idempotency_key"},
    ),
}
"""What each server has its own words or rules for: on both."""

OF_ROWS = {
    "empty key": Corruption(
        spoil=("UPDATE lottery_draws SET idempotency_key = ''",),
        failing=failing("lottery_draws.blank.idempotency_key"),
        key={"draw_id": "draw_20260104_0001"},
        shows="lottery_draws.idempotency_key is empty",
    ),
    "negative available amount": Corruption(
        spoil=(f"UPDATE {BALANCES} SET available_amount = -1 WHERE balance_id = 3",),
        failing=failing(f"{BALANCES}.non_negative", APART),
        key={"balance_id": 3},
        shows="negative available_amount",
    ),
    "negative frozen amount": Corruption(
        spoil=(f"UPDATE {BALANCES} SET frozen_amount = -5 WHERE balance_id = 4",),
        failing=failing(f"{BALANCES}.non_negative", APART, f"{BALANCES}.frozen_backing"),
        key={"balance_id": 4},
        shows="negative frozen_amount",
    ),
    "ledger row of a draw is gone": Corruption(
        spoil=(f"DELETE FROM {TXN} WHERE business_type = 'lottery_consume'",),
        failing=failing(COST, "lottery_draws.asset_transaction_id", APART),
        key={"lottery_session_id": SESSION},
        shows="no row of asset_transactions has the key lottery_consume:{lottery_session_id}",
    ),
    "ledger row of a draw is off by one, and so is the balance": Corruption(
        spoil=(
            (
                f"UPDATE {TXN} SET delta_amount = delta_amount - 1,"
                " balance_after = balance_after - 1"
                " WHERE business_type = 'lottery_consume'"
            ),
        ),
        failing=failing(COST, APART),
        key={"lottery_session_id": SESSION},
        shows="differs",
    ),
    "draw of another user": Corruption(
        spoil=("UPDATE lottery_draws SET user_id = 4",),
        failing=failing(COST, REWARD, "lottery_draws.asset_transaction_id"),
        key={"draw_id": "draw_20260104_0001"},
    ),
    "draw is gone": Corruption(
        spoil=("DELETE FROM lottery_draws",),
        failing=failing(COST, REWARD, "lottery_draws.lottery_session_id"),
        shows="no row of lottery_draws gives the key",
    ),
    "approved without a reward": Corruption(
        spoil=(
            (
                "INSERT INTO consumption_records (record_id, idempotency_key, user_id,"
                " consumption_amount, points_to_award, status, qr_code, created_at, updated_at)"
                f" VALUES (9, 'consumption_9', 3, 12.50, 12, 'approved', 'q', {BEFORE})"
            ),
        ),
        failing=failing(
            "consumption_records.reward_posting", "consumption_records.reward_transaction_id"
        ),
        key={"record_id": 9},
        shows="is NULL where a row of asset_transactions is required",
    ),
    "exchange debit without an exchange": Corruption(
        spoil=(
            (
                f"INSERT INTO {TXN} (account_id, asset_code, delta_amount, balance_before,"
                " balance_after, business_type, idempotency_key, created_at)"
                " SELECT account_id, asset_code, 0, available_amount, available_amount,"
                " 'exchange_debit', 'exchange_debit_x', '2026-01-05 10:00:00'"
                f" FROM {BALANCES} WHERE account_id = 102 AND asset_code = 'POINTS'"
            ),
        ),
        failing=failing("exchange_records.debit_posting"),
        shows="no row of exchange_records gives the key exchange_debit_{idempotency_key}",
    ),
    "order completed without its legs": Corruption(
        spoil=(
            SOLD,
            ORDER.format(gross=100, status="completed"),
        ),
        failing=failing(
            "trade_orders.buyer_debit_posting",
            "trade_orders.seller_credit_posting",
            "trade_orders.platform_fee_posting",
        ),
        key={"order_id": 1},
    ),
    "order whose amounts do not add up": Corruption(
        spoil=(
            LISTED,
            ORDER.format(gross=101, status="cancelled"),
        ),
        failing=failing("trade_orders.amounts_add_up"),
        key={"order_id": 1},
    ),
    "order frozen for long, and nothing frozen for it": Corruption(
        spoil=(
            LISTED,
            ORDER.format(gross=100, status="frozen"),
        ),
        failing=failing("trade_orders.stuck", f"{BALANCES}.frozen_backing"),
        key={"accounts.user_id": 1, "asset_code": "DIAMOND"},
    ),
    "balance that the ledger does not explain": Corruption(
        spoil=(f"UPDATE {BALANCES} SET available_amount = available_amount + 1 LIMIT 1",),
        failing=failing(APART),
        shows="asset_transactions and the balance differ by 1",
    ),
    "ledger rows that do not chain": Corruption(
        spoil=(
            (
                f"UPDATE {TXN} SET balance_before = balance_before + 1,"
                " balance_after = balance_after + 1 WHERE transaction_id = 100"
            ),
        ),
        failing=failing(APART),
        shows="do not lead to the balance",
    ),
    "cost of a draw in another asset": Corruption(
        spoil=(f"UPDATE {TXN} SET asset_code = 'DIAMOND' WHERE business_type = 'lottery_consume'",),
        failing=failing(COST, APART),
        key={"lottery_session_id": SESSION},
    ),
    "prize in another asset": Corruption(
        spoil=(f"UPDATE {TXN} SET asset_code = 'DIAMOND' WHERE business_type = 'lottery_reward'",),
        failing=failing(REWARD, APART),
        key={"draw_id": "draw_20260104_0001"},
    ),
    "cost of a draw that was given": Corruption(
        spoil=(f"UPDATE {TXN} SET delta_amount = 100 WHERE business_type = 'lottery_consume'",),
        failing=failing(COST, APART),
    ),
    "prize that was taken": Corruption(
        spoil=(f"UPDATE {TXN} SET delta_amount = -50 WHERE business_type = 'lottery_reward'",),
        failing=failing(REWARD, APART),
    ),
    "draw that costs less than nothing": Corruption(
        spoil=("UPDATE lottery_draws SET cost_points = -cost_points",),
        failing=failing(COST, "lottery_draws.non_negative"),
        key={"draw_id": "draw_20260104_0001"},
    ),
    "fee that was posted to a user": Corruption(
        spoil=(
            *(SOLD, ORDER.format(gross=100, status="completed")),
            *(posted(101, "buyer_debit", -100), posted(102, "seller_credit", 95)),
            posted(101, "platform_fee_credit", 5),
        ),
        failing=failing("trade_orders.platform_fee_posting", APART),
        key={"order_id": 1},
    ),
    "order of a listing that is not there": Corruption(
        spoil=(ORDER.format(gross=100, status="cancelled"),),
        failing=failing("trade_orders.listing_id"),
        key={"order_id": 1},
    ),
    "order of another seller's listing": Corruption(
        spoil=(
            LISTING.format(seller=3, price=100, status="on_sale"),
            ORDER.format(gross=100, status="cancelled"),
        ),
        failing=failing("trade_orders.listing_id"),
        key={"order_id": 1},
    ),
    "order with a negative fee": Corruption(
        spoil=(
            *(LISTED, ORDER.format(gross=100, status="cancelled")),
            "UPDATE trade_orders SET fee_amount = -5, net_amount = 105",
        ),
        failing=failing("trade_orders.amounts_are_positive"),
        key={"order_id": 1},
    ),
    "listing for nothing": Corruption(
        spoil=(LISTING.format(seller=2, price=0, status="on_sale"),),
        failing=failing("market_listings.amounts_are_positive"),
        key={"listing_id": 1},
    ),
    "receipt that awards nothing": Corruption(
        spoil=(
            (
                "INSERT INTO consumption_records (record_id, idempotency_key, user_id,"
                " consumption_amount, points_to_award, status, qr_code, created_at, updated_at)"
                f" VALUES (9, 'consumption_9', 3, 12.50, 0, 'rejected', 'q', {BEFORE})"
            ),
        ),
        failing=failing("consumption_records.amounts_are_positive"),
        key={"record_id": 9},
    ),
    "exchange for nothing": Corruption(
        spoil=(
            (
                "INSERT INTO exchange_records (record_id, idempotency_key, order_no, user_id,"
                " item_id, pay_asset_code, pay_amount, created_at)"
                " VALUES (9, 'exchange_9', 'no_9', 3, 1, 'POINTS', 0, '2026-01-05 10:00:00')"
            ),
        ),
        failing=failing("exchange_records.amounts_are_positive", "exchange_records.debit_posting"),
        key={"record_id": 9},
    ),
    "balance of no account": Corruption(
        spoil=(
            "SET foreign_key_checks = 0",
            f"UPDATE {BALANCES} SET account_id = 999 LIMIT 1",
        ),
        failing=failing(f"{BALANCES}.account_id", APART),
    ),
    "all balances are gone": Corruption(
        spoil=(f"DELETE FROM {BALANCES}",),
        failing=failing(f"{BALANCES}.row_count", APART),
        key={"table": BALANCES},
    ),
    "request that never ends": Corruption(
        spoil=("UPDATE api_idempotency_requests SET status = 'processing' WHERE request_id = 5",),
        failing=failing("api_idempotency_requests.stuck"),
        key={"request_id": 5},
    ),
}
"""What is right or wrong by plain numbers and names; `test_look` has both servers find it."""

CORRUPTIONS = OF_TABLES_AND_TEXTS | OF_ROWS


class Books:
    """The ledger in order, on one server: a database that tests spoil, and one to restore it by."""

    def __init__(self, server: Server) -> None:
        self.template = Database(server=server, name=server.create_database())
        self.database = Database(server=server, name=server.create_database())
        load_schema(server, self.template.name)
        self.rows = {table: found for table, found in demo.rows().items() if found}
        with closing(self.template.connect()) as connection, connection.cursor() as cursor:
            for table, found in self.rows.items():
                marks = ", ".join(["%s"] * len(found[0]))
                names = ", ".join(found[0])
                values = [tuple(row.values()) for row in found]
                cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)
        self.tables = looks(self.template)
        self.restore()

    def unchanged(self) -> set[str]:
        """The tables that are as they were."""
        there = looks(self.database)
        return {name for name, how in self.tables.items() if how == there.get(name)}

    def restore(self) -> None:
        """Make what a test has changed again as it is in the template; tables, views and rows."""
        there = looks(self.database)
        gone = [name for name, how in there.items() if how != self.tables.get(name)]
        new = [name for name, how in self.tables.items() if how != there.get(name)]
        if not gone + new:
            return
        with closing(self.database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            for table in gone:
                kind = "VIEW" if there[table][0].startswith("CREATE ALGORITHM") else "TABLE"
                cursor.execute(f"DROP {kind} {table}")
            for table in new:
                cursor.execute(self.tables[table][0])
                cursor.execute(f"INSERT INTO {table} SELECT * FROM {self.template.name}.{table}")
        again = looks(self.database, {*gone, *new})
        assert again == {name: self.tables[name] for name in new}


NOT_DECLARED = re.compile(r" AUTO_INCREMENT=\d+| CHARACTER SET utf8mb4(?= COLLATE)")
"""What a server adds to the definition of a table as rows come, or when it is made by its text."""


def looks(
    database: Database, only: AbstractSet[str] | None = None
) -> dict[str, tuple[str, object]]:
    """What tables and views of a database look like: the definition, and a sum of the rows."""
    found: dict[str, tuple[str, object]] = {}
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        for table in [name for (name,) in cursor.fetchall() if only is None or name in only]:
            cursor.execute(f"SHOW CREATE TABLE {table}")
            ((_, definition, *_),) = cursor.fetchall()
            cursor.execute(f"CHECKSUM TABLE {table}")
            ((_, rows),) = cursor.fetchall()
            found[table] = NOT_DECLARED.sub("", definition), rows
    return found


def spoil(database: Database, *statements: str) -> None:
    """Run statements as root."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            while cursor.nextset():
                pass


@pytest.fixture(scope="module")
def books(server: Server) -> Books:
    """The ledger in order, loaded once on each server."""
    return Books(server)


@pytest.fixture
def ledger(books: Books) -> Iterator[Database]:
    """The ledger in order, for a test to spoil."""
    yield books.database
    books.restore()


Audited = Callable[[], tuple[int, dict[str, Any]]]

OF_ONE_TABLE = {
    *("tables", "columns", "unique_index", "duplicates", "blank", "row_count", "key_format"),
    *("condition", "non_negative", "stuck"),
}
"""Kinds of checks that read no table but their own."""


@pytest.fixture(scope="module")
def audited(books: Books) -> Iterator[Audited]:
    """`audited()` is the command's exit code and what it would print, without starting it.

    On MariaDB of every check. On MySQL those are left out that read nothing but a table which is
    as it was: there they pass, as they do on the ledger in order.
    """
    url = books.database.url.render_as_string(hide_password=False)
    current = config.load(SHIPPED, {"RECONCILER_DATABASES__LEDGER__URL": url, **quiet()})
    with closing(Sources.of(current.settings)) as sources:

        def run() -> tuple[int, dict[str, Any]]:
            checks = current.checks
            if books.database.server.flavour == "mysql":
                same = books.unchanged()
                checks = tuple(
                    c for c in checks if not (c.kind in OF_ONE_TABLE and c.table in same)
                )
            runs = [execute(check, sources) for check in checks]
            report: dict[str, Any] = json.loads(dump(runs_as_json(runs)))
            return exit_code(runs), report

        yield run


CHECK = ("check", "--complete", "--format", "json")

Audit = Callable[..., Result]


def environment(database: Database) -> dict[str, str]:
    """For the command line, so that it audits a database as the shipped configuration says."""
    return quiet() | {
        "RECONCILER_CONFIG": str(SHIPPED),
        "RECONCILER_DATABASES__LEDGER__URL": database.url.render_as_string(hide_password=False),
    }


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
    """`audit(database, *arguments)` is the command line, without a process of its own."""
    monkeypatch.chdir(tmp_path)

    def run(database: Database, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*CHECK, *arguments], env=environment(database))

    return run


@on_any_server
def test_only_the_url_has_to_be_told(
    ledger: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing set but where the ledger is, every check can be evaluated, and passes."""
    told = {"RECONCILER_DATABASES__LEDGER__URL": ledger.url.render_as_string(hide_password=False)}
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*CHECK, "--config", str(SHIPPED)], env=told)
    report = json.loads(result.stdout)
    assert {each["outcome"] for each in report["checks"]} == {"pass"}


def test_ledger_in_order_passes(ledger: Database, tmp_path: Path) -> None:
    """On the ledger in order every check passes, every row is examined, and the exit code is 0.

    An account that may only read is enough for that.
    """
    spoil(
        ledger,
        f"CREATE USER '{ledger.name}'@'%' IDENTIFIED BY 'Vers3hen%40'",
        f"GRANT SELECT, SHOW VIEW ON {ledger.name}.* TO '{ledger.name}'@'%'",
    )
    try:
        done = subprocess.run(
            [COMMAND, *CHECK],
            cwd=tmp_path,  # nothing may depend on where it is run
            env=os.environ | environment(ReadOnly(server=ledger.server, name=ledger.name)),
            capture_output=True,
            text=True,
            timeout=patience(60),
            check=False,
        )
    finally:
        spoil(ledger, f"DROP USER '{ledger.name}'@'%'")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["outcome"] == "pass"
    assert {each["outcome"] for each in report["checks"]} == {"pass"}
    counts = {
        each["table"]: each["examined"] for each in report["checks"] if "row_count" in each["name"]
    }
    assert counts == counts | {TXN: 252, BALANCES: 11, "accounts": 14, "item_instances": 163}
    (items,) = (each for each in report["checks"] if each["name"].endswith("locked_with_locks"))
    assert items["measures"]["locked"] == 42


class ReadOnly(Database):
    """A database through an account of its name, which may only read."""

    @property
    def url(self) -> Any:
        """The SQLAlchemy URL as that account."""
        return self.server.url(self.name, user=self.name, password="Vers3hen%40")


@pytest.mark.parametrize("what", OF_TABLES_AND_TEXTS)
def test_corruption_is_found(ledger: Database, audited: Audited, what: str) -> None:
    """A spoilt ledger makes exactly the checks fail that it concerns, and the exit code is 1."""
    spoil(ledger, *OF_TABLES_AND_TEXTS[what].spoil)
    assert_told(OF_TABLES_AND_TEXTS[what], *audited())


@on_any_server
@pytest.mark.parametrize("what", OF_ROWS)
def test_corruption_of_rows_is_found(ledger: Database, audited: Audited, what: str) -> None:
    """So do rows that are wrong or missing."""
    spoil(ledger, *OF_ROWS[what].spoil)
    assert_told(OF_ROWS[what], *audited())


def assert_told(corruption: Corruption, code: int, report: dict[str, Any]) -> None:
    """Hold what the audit says against what it has to say of a corruption."""
    assert (code, report["outcome"]) == (1, "fail")
    checks = report["checks"]
    assert names_with("fail", checks) == corruption.failing
    assert names_with("error", checks) == corruption.unanswered
    assert names_with("skipped", checks) == set()
    for each in checks:
        if each["name"] in corruption.unanswered:
            assert f"table {each['table']} does not exist" in each["error"]
    findings = [finding for each in checks for finding in each["findings"]]
    if corruption.key is not None:
        told = [finding for finding in findings if finding["key"] == corruption.key]
        assert told != []
        assert corruption.evidence in (None, *(finding["evidence"] for finding in told))
    assert corruption.shows in " ".join(finding["message"] for finding in findings)


def names_with(outcome: str, checks: list[dict[str, Any]]) -> set[str]:
    return {each["name"] for each in checks if each["outcome"] == outcome}


@on_any_server
def test_unanswered_question_is_exit_code_3(ledger: Database, audit: Audit) -> None:
    """When no violation is known and a check could not tell, the exit code is 3 and not 0."""
    spoil(ledger, "DROP TABLE lottery_draws")
    done = audit(ledger, "lottery_draws.row_count", f"{TXN}.*")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["outcome"] == "error"


@on_any_server
def test_absent_database_is_exit_code_3(server: Server, audit: Audit) -> None:
    """When the database is not there, every check of it says so and the exit code is 3."""
    done = audit(Database(server=server, name="test_absent"))
    assert done.exit_code == 3
    checks = json.loads(done.stdout)["checks"]
    assert {each["outcome"] for each in checks if each["source"] == "ledger"} == {"error"}


@on_any_server
def test_unknown_check_is_exit_code_2(server: Server, audit: Audit) -> None:
    """A check that nobody declared is a mistake of usage: exit code 2, and the nearest name."""
    done = audit(Database(server=server, name="test_absent"), "accounts.row_counts")
    assert done.exit_code == 2
    message = "no check is named accounts.row_counts; the nearest existing name is"
    assert f"{message} accounts.row_count" in done.stderr


@on_any_server
def test_mended_ledger_passes_again(ledger: Database, audit: Audit) -> None:
    """Once a corruption is mended, the audit passes again."""
    spoil(ledger, f"UPDATE {BALANCES} SET frozen_amount = -5 WHERE balance_id = 4")
    assert audit(ledger, f"{BALANCES}.*").exit_code == 1
    spoil(ledger, f"UPDATE {BALANCES} SET frozen_amount = 0 WHERE balance_id = 4")
    assert audit(ledger, f"{BALANCES}.*").exit_code == 0
