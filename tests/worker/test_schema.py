"""`config check --connect`: the configuration held against the real schema."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.servers import Database
from worker import config
from worker.config import Config
from worker.schema import compare
from worker.sources import Databases

FACTS = """
[databases.ledger]
url = "{url}"
[tables.orders]
primary_key = "id"
cursor = "{cursor}"
[tables.accounts]
primary_key = "account_id"
"""

CHECKS = """
[[checks]]
name = "backing"
kind = "backing"
table = "orders"
amount = "frozen"
by = ["accounts.user_id", "asset"]
through = { accounts = { account_id = "account_id" } }
holders = [{ table = "listings", by = ["seller", "asset"], amount = "offer", when = "held = 1" }]

[[checks]]
name = "stuck"
kind = "stuck"
table = "orders"
when = "state = 'new'"
entered_at = "asset"
longer_than = "1m"
"""

TABLES = """
CREATE TABLE orders (id bigint PRIMARY KEY, account_id bigint, frozen bigint, state varchar(9),
    asset varchar(9) COLLATE utf8mb4_bin, placed_at datetime NOT NULL);
CREATE TABLE accounts (account_id bigint PRIMARY KEY, user_id bigint);
CREATE TABLE listings (id bigint, seller bigint, asset varchar(9) COLLATE utf8mb4_unicode_ci,
    offer bigint, held int)
"""


def alter(database: Database, *statements: str) -> None:
    """Change the schema."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def database(ledger_database: Database) -> Database:
    """A database with the tables that the checks read."""
    alter(ledger_database, *TABLES.split(";"))
    return ledger_database


def loaded(folder: Path, database: Database, checks: str = "", cursor: str = "id") -> Config:
    """A configuration of this database."""
    url = database.url.set(query={}).render_as_string(hide_password=False)
    path = folder / "config.toml"
    path.write_text(FACTS.format(url=url, cursor=cursor) + checks, encoding="utf-8")
    return config.load(path, {})


def problems(loaded: Config) -> list[str]:
    """What is said of a configuration."""
    with closing(Databases(loaded.settings.databases)) as sources:
        return [str(each) for each in compare(loaded, sources)]


def test_what_fits_no_check_is_told_at_its_place(database: Database, tmp_path: Path) -> None:
    """Unlike columns and a time that is none are told at their checks, and nothing else is."""
    assert problems(loaded(tmp_path, database, CHECKS)) == [
        (
            "checks[0] backing: orders.asset cannot be compared with listings.asset:"
            " utf8mb4_bin against utf8mb4_unicode_ci"
        ),
        "checks[1] stuck: entered_at asset is varchar(9), and no time",
    ]


def test_missing_columns_are_told_for_every_table_of_a_check(
    database: Database, tmp_path: Path
) -> None:
    """A column that a joined table or a holder lacks is told; then nothing is said of types."""
    alter(
        database,
        "ALTER TABLE listings RENAME COLUMN held TO is_held",
        "ALTER TABLE accounts RENAME COLUMN user_id TO owner",
        "ALTER TABLE orders RENAME COLUMN state TO status",
    )
    assert problems(loaded(tmp_path, database, CHECKS)) == [
        "checks[0] backing: table accounts has no column user_id",
        (
            "checks[0] backing: table listings has no column held;"
            " the nearest existing name is is_held"
        ),
        "checks[1] stuck: table orders has no column state; the nearest existing name is status",
    ]


@pytest.mark.parametrize(
    ("cursor", "message"),
    [
        ("id", None),
        ("state", "cursor state is varchar(9): only a whole number or a time grows"),
        ("frozen", "cursor frozen may be NULL: such rows would never be read"),
        (
            "placed_at",
            "cursor placed_at leads no index: to find what is new would read every row",
        ),
    ],
)
def test_a_cursor_grows_along_an_index(
    database: Database, tmp_path: Path, cursor: str, message: str | None
) -> None:
    """A cursor along which new rows cannot be read is told where it is declared."""
    told = [f"tables.orders.cursor: {message}"] if message else []
    assert problems(loaded(tmp_path, database, cursor=cursor)) == told
