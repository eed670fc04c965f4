"""`config check --connect`: the configuration held against the real schema."""

from contextlib import closing
from pathlib import Path

import pytest

from checks.snapshot import WITHOUT_SNAPSHOT
from tests.support.servers import Database
from worker import config
from worker.cli import identity
from worker.cli.schema_check import compare, remarks
from worker.config import Config
from worker.sources import Sources

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
    with closing(Sources.of(loaded.settings)) as sources:
        return [str(each) for each in compare(loaded, sources)]


def test_what_fits_no_check_is_told_at_its_place(database: Database, tmp_path: Path) -> None:
    """Unlike columns and a time that is none are told at their checks, and nothing else is."""
    assert problems(loaded(tmp_path, database, CHECKS)) == [
        (
            "checks[0] backing: orders.asset cannot be compared with listings.asset:"
            " utf8mb4_bin against utf8mb4_unicode_ci"
        ),
        "checks[1] stuck: entered_at: orders.asset is varchar(9), and tells no time",
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


MISSPELLED = """
[tables.listings]
primary_key = "id"
cursor = "id"
pending = "state IN ('on_sale', 'on sale')"

[[checks]]
name = "stuck"
kind = "stuck"
table = "listings"
when = "state = 'OnSale' AND offer > 0 AND NOT 'sold' = state AND state <> ''"
entered_at = "placed_at"
longer_than = "1m"

[[checks]]
name = "condition"
kind = "condition"
table = "listings"
expression = "COALESCE(state, 'none') <> 'none' OR state <=> 'ON_SALE'"

[[checks]]
name = "reference"
kind = "reference"
table = "orders"
settle = "0s"
columns = ["account_id"]
parent = "listings"
parent_columns = ["id"]
parent_when = "state = 'it''s'"
required_when = "state = 'anything'"
"""


def test_text_that_an_enumeration_never_is_is_told(database: Database, tmp_path: Path) -> None:
    """A misspelled member would make a condition silent; as the collation compares, and no more."""
    members = "enum('on_sale','sold','it''s gone')"
    alter(
        database,
        f"ALTER TABLE listings ADD state {members}, ADD placed_at datetime, ADD PRIMARY KEY (id)",
    )
    nearest = "; the nearest existing name is "
    assert problems(loaded(tmp_path, database, MISSPELLED)) == [
        (
            "tables.listings.pending: \"state IN ('on_sale', 'on sale')\":"
            f" state is {members}, never 'on sale'{nearest}on_sale"
        ),
        (
            "checks[0] stuck: \"state = 'OnSale' AND offer > 0 AND NOT 'sold' = state AND"
            f" state <> ''\": state is {members}, never 'OnSale'{nearest}on_sale"
        ),
        (
            "checks[2] reference: \"state = 'it''s'\":"
            f" state is {members}, never \"it's\"{nearest}it's gone"
        ),
    ]


@pytest.mark.parametrize(
    ("index", "is_told"),
    [
        ("ADD PRIMARY KEY (id)", False),
        ("ADD UNIQUE (id)", False),
        ("ADD INDEX (id)", True),
        ("ADD UNIQUE (id, seller)", True),
        ("ADD UNIQUE (note(3))", True),
    ],
)
def test_primary_key_that_may_repeat_is_told(
    database: Database, tmp_path: Path, index: str, *, is_told: bool
) -> None:
    """Findings name rows by it: without a unique index on it alone they may name several."""
    alter(database, f"ALTER TABLE listings ADD note varchar(9), {index}")
    key = "note" if "note" in index else "id"
    told = f"tables.listings.primary_key: {key} has no unique index: one value may name several"
    found = problems(loaded(tmp_path, database, f'[tables.listings]\nprimary_key = "{key}"\n'))
    assert found == ([f"{told} rows"] if is_told else [])


RELATIONS = """
[relations.merged]
select = "SELECT o.id, a.user_id FROM orders o JOIN accounts a ON a.account_id = o.account_id"
primary_key = "id"
cursor = "id"
[relations.asked_for]
select = "SELECT id, placed_at FROM orders UNION ALL SELECT account_id, placed_at FROM orders"
primary_key = "id"
cursor = "placed_at"
[relations.grouped]
select = "SELECT account_id, SUM(frozen) AS frozen FROM orders GROUP BY account_id"
primary_key = "account_id"
[relations.mistaken]
select = "SELECT id, sate FROM orders"
primary_key = "id"
"""


def test_how_relations_are_read_is_explained(database: Database, tmp_path: Path) -> None:
    """Whether the server merges them; and a column that no table has is a mistake at its place."""
    many = ", ".join(f"({n}, {n % 9}, 1, '2026-01-01' + INTERVAL {n} SECOND)" for n in range(5000))
    alter(
        database,
        "ALTER TABLE orders ADD KEY (placed_at)",
        f"INSERT INTO orders (id, account_id, frozen, placed_at) VALUES {many}",
        "INSERT INTO accounts VALUES (0, 1), (1, 2), (8, 3)",
        "ANALYZE TABLE orders, accounts",
    )
    sound = RELATIONS.partition("[relations.mistaken]")[0]
    config = loaded(tmp_path, database, sound)
    with closing(Sources.of(config.settings)) as sources:
        assert compare(config, sources) == []
        said = {
            each.place.removeprefix("relations."): each.message for each in remarks(config, sources)
        }
    assert said["merged"].startswith("merged into each statement")
    assert said["asked_for"].startswith("worked out from the rows that a statement asks for")
    assert "as a whole" in said["grouped"]
    assert "all of orders (about" in said["grouped"]
    (mistake,) = problems(loaded(tmp_path, database, RELATIONS))
    assert mistake == (
        "relations.mistaken.select: no table of it has a column sate;"
        " the nearest existing name is state"
    )


REFUSED = [
    "SELECT o.id FROM orders o JOIN orders o ON TRUE",
    "SELECT id FROM orders WHERE nobody.id = 1",
    "SELECT id FROM orders WHERE account_id IN (SELECT nothing FROM accounts)",
    "SELECT id FROM orders WHERE SUM(frozen) > 1",
    "SELECT id FROM orders WHERE state COLLATE nowhere_ci = 'x'",
    "SELECT id FROM orders WHERE CONVERT(state USING nothing) = 'x'",
    "SELECT id FROM orders WHERE account_id = (SELECT account_id, user_id FROM accounts)",
    "SELECT s.id FROM (SELECT id FROM orders)",
    "SELECT id\u00a0FROM orders",
    "SELECT id FROM orders\u2028",
    "SELECT id, state AS x, x AS y FROM orders",
]
"""What can be read, and what no server takes for a SELECT of this schema."""


@pytest.mark.parametrize("kind", ["relation", "query"])
def test_what_the_server_refuses_is_told_at_its_place(
    database: Database, tmp_path: Path, kind: str
) -> None:
    """Each SELECT by itself, and all else that is wrong with it: none ends the comparison."""
    document: list[str] = []
    for number, select in enumerate(REFUSED):
        if kind == "relation":
            document.append(
                f'[relations.r{number}]\nselect = "{select}"\nprimary_key = "id"\n'
                "rows = { at_least = 1 }"
            )
        else:
            document.append(
                f'[[checks]]\nname = "r{number}"\nkind = "query"\ntable = "orders"\n'
                f'select = "{select}"\nkey = ["id"]\nmessage = "{{id}}"'
            )
    config = loaded(tmp_path, database, "\n".join(document))
    with closing(Sources.of(config.settings)) as sources:
        found = [str(each) for each in compare(config, sources)]
        assert not [each for each in remarks(config, sources) if "refuses" in each.message]
    places = [f"relations.r{n}.select: " for n in range(len(REFUSED))]
    if kind == "query":
        places = [f"checks[{n}] r{n}: select: " for n in range(len(REFUSED))]
    assert [each for each, place in zip(found, places, strict=True) if each.startswith(place)] == (
        found
    )
    assert all("the server refuses it" in each or "no table of it" in each for each in found)


KEYS = """
[databases.ledger]
url = "{url}"
[tables.steps]
primary_key = {key}
"""
UNPROVED = "several rows share one id"


def of_key(folder: Path, database: Database, key: str) -> tuple[list[str], list[str]]:
    """What is wrong with a primary key of `steps`, and what is worth saying of it."""
    url = database.url.set(query={}).render_as_string(hide_password=False)
    path = folder / "config.toml"
    path.write_text(KEYS.format(url=url, key=key), encoding="utf-8")
    configuration = config.load(path, {})
    with closing(Sources.of(configuration.settings)) as sources:
        said = (compare(configuration, sources), remarks(configuration, sources))
    wrong, worth = ([str(each) for each in some] for some in said)
    return wrong, worth


@pytest.mark.parametrize(
    ("columns", "key", "complaint"),
    [
        ("PRIMARY KEY (doc, no)", '["doc", "no"]', None),
        ("PRIMARY KEY (doc, no)", '["no", "doc"]', None),
        ("PRIMARY KEY (id), UNIQUE (doc, no)", '["doc", "no"]', None),
        (
            "PRIMARY KEY (doc, no)",
            '"doc"',
            "doc has no unique index: one value may name several rows",
        ),
        (
            "PRIMARY KEY (id, doc, no)",
            '["doc", "no"]',
            "no unique index has exactly doc, no: the values of one row may be those of another",
        ),
        (
            "PRIMARY KEY (doc, no)",
            '["doc", "nos"]',
            "table steps has no column nos; the nearest existing name is no",
        ),
    ],
)
def test_a_key_of_several_columns_is_compared_as_a_whole(
    ledger_database: Database, tmp_path: Path, columns: str, key: str, complaint: str | None
) -> None:
    """A unique index of exactly these columns proves them, in whatever order; a wider one not."""
    alter(
        ledger_database,
        f"CREATE TABLE steps (id bigint NOT NULL, doc int NOT NULL, no int NOT NULL, {columns})",
    )
    wrong, worth = of_key(tmp_path, ledger_database, key)
    place = "tables.steps" if complaint and "no column" in complaint else "tables.steps.primary_key"
    assert (wrong, worth) == ([f"{place}: {complaint}"] if complaint else [], [])


DAILY = """CREATE TABLE steps (id bigint NOT NULL, day date NOT NULL, PRIMARY KEY (id, day))
    PARTITION BY RANGE (TO_DAYS(day))
    (PARTITION early VALUES LESS THAN (TO_DAYS('2026-02-01')),
    PARTITION late VALUES LESS THAN MAXVALUE)"""
FORCED = (
    "tables.steps.primary_key: PRIMARY (id, day) is unique, and has day in it because the table is"
    " partitioned by it: "
)


def test_partitions_widen_an_index_and_no_key(ledger_database: Database, tmp_path: Path) -> None:
    """A key that is unique in truth is noted where only the partition column widens its index."""
    alter(ledger_database, DAILY, "INSERT INTO steps VALUES (1, '2026-01-05'), (2, '2026-02-05')")
    wrong, worth = of_key(tmp_path, ledger_database, '"id"')
    assert (wrong, worth) == ([], [f"{FORCED}no two rows share one id now"])
    assert of_key(tmp_path, ledger_database, '["id", "day"]') == ([], [])
    alter(ledger_database, "INSERT INTO steps VALUES (1, '2026-02-05')")
    assert of_key(tmp_path, ledger_database, '"id"') == ([f"{FORCED}{UNPROVED}"], [])


def test_a_large_table_is_not_counted_for_its_key(
    ledger_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table with many rows the note says which fact has them looked at."""
    monkeypatch.setattr(identity, "COUNTED_ROWS", 0)
    alter(
        ledger_database,
        DAILY,
        "INSERT INTO steps VALUES (1, '2026-01-05'), (2, '2026-02-05'), (1, '2026-02-05')",
        "ANALYZE TABLE steps",
    )
    looks = 'whether id is unique, keys = [{ columns = ["id"] }] looks'
    assert of_key(tmp_path, ledger_database, '"id"') == ([], [f"{FORCED}{looks}"])


TAKEN = """
[databases.ledger]
url = "{url}"
[tables.steps]
non_negative = ["amount"]
[[checks]]
name = "steps.format"
kind = "key_format"
table = "steps"
column = "code"
patterns = ["step_{{int}}"]
"""


def of_facts(folder: Path, database: Database) -> tuple[list[str], list[str]]:
    """What is wrong with a configuration that states no primary key, and what is worth saying."""
    url = database.url.set(query={}).render_as_string(hide_password=False)
    path = folder / "config.toml"
    path.write_text(TAKEN.format(url=url), encoding="utf-8")
    configuration = config.load(path, {})
    with closing(Sources.of(configuration.settings)) as sources:
        said = (compare(configuration, sources), remarks(configuration, sources))
    wrong, worth = ([str(each) for each in some] for some in said)
    return wrong, worth


def test_what_is_taken_from_the_catalog_is_said(ledger_database: Database, tmp_path: Path) -> None:
    """Keys, cursors and times that nobody states are named, each once."""
    alter(
        ledger_database,
        """CREATE TABLE steps (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, amount bigint,
            code varchar(30), made_at datetime NOT NULL DEFAULT CURRENT_TIMESTAMP)""",
    )
    said = "steps: taken from the catalog: primary_key id, cursor id, written_at made_at"
    assert of_facts(tmp_path, ledger_database) == ([], [said])


def test_a_table_without_key_is_told_where_it_is_stated(
    ledger_database: Database, tmp_path: Path
) -> None:
    """Where rows have to be told apart and nothing does, that is a mistake; else it is noted."""
    alter(ledger_database, "CREATE TABLE steps (id bigint, amount bigint, code varchar(30))")
    wrong, worth = of_facts(tmp_path, ledger_database)
    why = "steps has no primary key and no unique index without NULL, and the configuration states"
    assert [each.split(why)[0] for each in wrong] == [
        "checks[0] steps.format: ",
    ]
    every = "primary_key id, amount, code (all columns: equal rows are one)"
    assert worth == [f"steps: taken from the catalog: {every}"]


def test_an_engine_without_snapshots_is_said(database: Database, tmp_path: Path) -> None:
    """What a check reads of such a table twice may differ: that is no mistake, and worth a note."""
    alter(database, "ALTER TABLE accounts ENGINE = MyISAM")
    with closing(Sources.of((current := loaded(tmp_path, database)).settings)) as sources:
        said = [str(each) for each in remarks(current, sources)]
    assert said == [f"tables.accounts.engine: is MyISAM, {WITHOUT_SNAPSHOT}"]


@pytest.mark.parametrize("engine", ["MyISAM", "CSV", "MEMORY"])
def test_tables_of_relations_without_snapshots_are_remarked_on(
    ledger_database: Database, tmp_path: Path, engine: str
) -> None:
    """A table that nothing but a SELECT names is remarked on where its engine has no snapshot."""
    with closing(ledger_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE moves (id int NOT NULL) ENGINE = {engine}")
    path = tmp_path / "config.toml"
    path.write_text(
        f'[databases.ledger]\nurl = "{ledger_database.url.render_as_string()}"\n'
        '[relations.few]\nselect = "SELECT id FROM moves"\nprimary_key = ["id"]\n'
        "rows = { at_least = 0 }\n"
    )
    loaded = config.load(path, {})
    with closing(Sources.of(loaded.settings)) as sources:
        said = [str(each) for each in remarks(loaded, sources)]
    assert any(f"moves is {engine}, {WITHOUT_SNAPSHOT}" in each for each in said)
