"""The page on permissions tells the truth: its grants suffice, and each of them is needed."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import URL

from checks.contract import Check, CheckError
from tests.support import CHECKOUT, SHIPPED
from tests.support.access_logs import quiet
from tests.support.servers import Database, Server, load_schema
from tests.support.states import run_of
from worker import config
from worker.cli import schema_check
from worker.config import Config, StateSettings
from worker.demo import ledger as demo
from worker.model.run import Outcome
from worker.scheduling.execute import execute
from worker.sources import Sources
from worker.state import Lease, State

PAGE = (CHECKOUT / "docs" / "howto" / "permissions.md").read_text(encoding="utf-8")
PASSWORD = "choose a long one"


def statements(heading: str) -> list[list[str]]:
    """The statements of each block of SQL under a heading."""
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    blocks = re.findall(r"^```sql\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)
    return [block.strip().splitlines() for block in blocks]


((CREATE,),) = statements("The account")
((WHOLE,),) = statements("Needed")
(BY_TABLE,) = statements("Needed, table by table")
((STATE,),) = statements("The account of the state")
OPTIONAL = dict(zip(("mysql", "mariadb"), statements("Optional"), strict=True))
TABLE = re.compile(r"ON ledger\.(\w+)")


class Account:
    """An account made by the page's own words, on a database with the ledger in order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = database.name[:30]
        self.say(CREATE)

    @property
    def url(self) -> URL:
        """The database as this account."""
        name = self._database.name
        return self._database.server.url(name, user=self._name, password=PASSWORD)

    def say(self, *spoken: str) -> None:
        """Run statements of the page, as root, for this account and database."""
        with closing(self._database.connect()) as connection, connection.cursor() as cursor:
            for each in spoken:
                name = each.replace("'reconciler'@", f"'{self._name}'@")
                cursor.execute(name.replace(" ledger.", f" {self._database.name}."))

    @contextmanager
    def without(self, grant: str) -> Iterator[None]:
        """Take a grant away for a while."""
        self.say(grant.replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM "))
        try:
            yield
        finally:
            self.say(grant)

    def drop(self) -> None:
        """Remove it."""
        self.say("DROP USER 'reconciler'@'%'")

    @contextmanager
    def audit(self) -> Iterator[tuple[Config, Sources]]:
        """The shipped configuration, on this database as this account."""
        url = self.url.render_as_string(hide_password=False)
        where = {"RECONCILER_DATABASES__LEDGER__URL": url, **quiet()}
        current = config.load(SHIPPED, where)
        with closing(Sources.of(current.settings)) as sources:
            yield current, sources


@pytest.fixture(scope="module")
def sound(server: Server) -> Iterator[Database]:
    """A database with the ledger in order; these tests only read it."""
    database = Database(server=server, name=server.create_database())
    load_schema(server, database.name)
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for table, rows in demo.rows().items():
            if rows:
                marks, names = ", ".join(["%s"] * len(rows[0])), ", ".join(rows[0])
                values = [tuple(row.values()) for row in rows]
                cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)
    yield database
    server.drop_database(database.name)


@pytest.fixture
def account(sound: Database) -> Iterator[Account]:
    """An account without any grant."""
    made = Account(sound)
    yield made
    made.drop()


def complaints(sources: Sources, checks: list[Check]) -> dict[str, str]:
    """What checks that do not pass say, by their names."""
    said = {}
    for check in checks:
        run = execute(check, sources)
        if run.outcome is not Outcome.PASS:
            findings = run.result.findings if run.result else ()
            said[check.name] = run.error or " ".join(each.message for each in findings)
    return said


@pytest.mark.parametrize("grants", [[WHOLE], BY_TABLE], ids=["whole database", "table by table"])
def test_the_grants_suffice(account: Account, grants: list[str]) -> None:
    """With the grants of the page every check passes, the schema fits, and nothing may write."""
    account.say(*grants)
    with account.audit() as (current, sources):
        assert complaints(sources, list(current.checks)) == {}
        assert schema_check.compare(current, sources) == []
        assert sources.identify("ledger").writable == ()


def test_the_optional_grants_show_all_signals(account: Account, server: Server) -> None:
    """With the optional grants nothing of the load is unseen, and still nothing may write."""
    account.say(WHOLE, *OPTIONAL[server.flavour])
    with account.audit() as (_, sources):
        assert sources.load("ledger").unseen == {}
        assert set(sources.load("ledger").values) == {"threads_running", "history_list"}
        assert sources.identify("ledger").writable == ()


def test_without_its_only_grant_every_check_is_an_error(account: Account) -> None:
    """Without the needed grant checks cannot tell, and the error names account and database."""
    account.say(WHOLE)
    with account.without(WHOLE), account.audit() as (current, sources):
        said = complaints(sources, [c for c in current.checks if c.table][:1])
        (error,) = said.values()
        assert str(account.url.username) in error
        assert str(account.url.database) in error
        with pytest.raises(CheckError, match="Access denied"):
            schema_check.compare(current, sources)


def test_each_grant_on_a_table_is_needed(account: Account) -> None:
    """Without the grant on one table, checks fail or cannot tell, and name that table."""
    account.say(*BY_TABLE)
    for grant in BY_TABLE:
        table = TABLE.search(grant)
        assert table
        with account.without(grant), account.audit() as (current, sources):
            of_table = [c for c in current.checks if c.table == table[1]]
            said = complaints(sources, of_table)
            assert f"{table[1]}.tables" in said
            assert f"{table[1]}.row_count" in said
            assert all(table[1] in each for each in said.values()), said
    with account.without(BY_TABLE[0]), account.audit() as (current, sources):
        missing = [str(each) for each in schema_check.compare(current, sources)]
        assert any("no table asset_transactions" in each for each in missing)


def test_the_tables_of_the_page_are_those_of_the_configuration() -> None:
    """The page grants exactly the tables that the shipped configuration reads."""
    current = config.load(SHIPPED, quiet())
    declared = {t for t, facts in current.settings.tables.items() if not facts.retired}
    needed = {table for check in current.checks for table in check.tables}
    granted = {found[1] for each in BY_TABLE if (found := TABLE.search(each))}
    assert granted == declared | needed


def test_each_optional_grant_is_needed(account: Account, server: Server) -> None:
    """Without one of the optional grants exactly one signal is unseen, for want of a privilege."""
    account.say(WHOLE, *OPTIONAL[server.flavour])
    unseen = []
    for grant in OPTIONAL[server.flavour]:
        with account.without(grant), account.audit() as (_, sources):
            ((signal, why),) = sources.load("ledger").unseen.items()
            assert "privilege" in why
            unseen.append(signal)
    wanted = {"mysql": ["history_list", "replication_lag"], "mariadb": ["replication_lag"]}
    assert unseen == wanted[server.flavour]


def test_a_retired_table_that_comes_back_needs_the_whole_grant(
    account: Account, sound: Database
) -> None:
    """With grants by table it stays unseen, as the page says; with the whole one it is found."""
    account.say(*BY_TABLE)
    retired = "points_transactions.tables"
    with closing(sound.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE points_transactions (id bigint PRIMARY KEY)")
        try:
            with account.audit() as (current, sources):
                checks = [each for each in current.checks if each.name == retired]
                assert complaints(sources, checks) == {}
                account.say(WHOLE)
            with account.audit() as (current, sources):
                assert set(complaints(sources, checks)) == {retired}
        finally:
            cursor.execute("DROP TABLE points_transactions")


def test_the_account_of_the_state(ledger_database: Database) -> None:
    """Its grant suffices to make the state, to use it, and to upgrade one of the first version."""
    account = Account(ledger_database)
    account.say(STATE)
    url = account.url.render_as_string(hide_password=False)
    with closing(State(StateSettings(url=url), Lease(60, shared=True))) as made:
        assert (made.failure, made.is_ours) == (None, True)
        made.give_lease_back()
    account.say(
        "UPDATE ledger.schema_version SET version = 1",
        "ALTER TABLE ledger.findings DROP COLUMN untold",
    )
    with closing(State(StateSettings(url=url), Lease(60, shared=True))) as upgraded:
        upgraded.record(run_of(1))
        upgraded.record(run_of())
        assert (upgraded.failure, upgraded.is_ours) == (None, True)
    account.drop()


@pytest.mark.parametrize("privilege", ["INSERT", "UPDATE", "DELETE", "CREATE", "INDEX"])
def test_each_privilege_of_the_state_is_needed(ledger_database: Database, privilege: str) -> None:
    """Without one of them the state is said not to work."""
    account = Account(ledger_database)
    account.say(STATE.replace(f"{privilege}, ", "").replace(f", {privilege}", ""))
    url = account.url.render_as_string(hide_password=False)
    with closing(State(StateSettings(url=url), Lease(60, shared=True))) as state:
        state.keep_lease()
        assert "denied" in (state.failure or "")
    account.drop()
