"""The private servers that all other tests stand on."""

from collections.abc import Callable
from contextlib import closing

import pymysql
import pytest

from tests.support.servers import Database, Flavour, Server, ServerError, load_schema
from tests.support.statements import said

StartServer = Callable[..., Server]


def ask(server: Server, statement: str, database: str | None = None) -> list[tuple[object, ...]]:
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


def test_flavour_is_what_the_server_says(server: Server) -> None:
    """A server called `mariadb` is MariaDB 10.11 and one called `mysql` is Oracle's."""
    version = str(ask(server, "SELECT VERSION()")[0][0])
    assert ("MariaDB" in version) == (server.flavour == "mariadb")


def test_server_speaks_utf8mb4_unicode_ci(ledger_database: Database) -> None:
    """A new database has the character set and the collation of the audited one."""
    statement = "SELECT @@character_set_database, @@collation_database"
    row = ask(ledger_database.server, statement, ledger_database.name)[0]
    assert row == ("utf8mb4", "utf8mb4_unicode_ci")


@pytest.mark.parametrize("turn", [1, 2])
def test_database_is_fresh(ledger_database: Database, turn: int) -> None:
    """Each test finds its database empty, whatever an earlier test put into its own."""
    server, name = ledger_database.server, ledger_database.name
    assert ask(server, "SHOW TABLES", name) == []
    ask(server, f"CREATE TABLE left_behind_{turn} (id int)", name)


def test_schema_loads(ledger_database: Database) -> None:
    """The application's schema gives its thirteen tables on both flavours."""
    load_schema(ledger_database.server, ledger_database.name)
    tables = ask(ledger_database.server, "SHOW TABLES", ledger_database.name)
    assert len(tables) == 13


def test_schema_that_does_not_load_is_an_error(ledger_database: Database) -> None:
    """Loading the schema twice fails instead of passing over what went wrong."""
    load_schema(ledger_database.server, ledger_database.name)
    with pytest.raises(pymysql.OperationalError, match="already exists"):
        load_schema(ledger_database.server, ledger_database.name)


def test_database_is_dropped_under_an_open_snapshot(server: Server) -> None:
    """A forgotten transaction cannot keep a database from being dropped."""
    name = server.create_database()
    with closing(server.admin(name)) as forgotten, forgotten.cursor() as cursor:
        cursor.execute("CREATE TABLE t (id int)")
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT * FROM t")
        server.drop_database(name)
    assert (name,) not in ask(server, "SHOW DATABASES")


def test_url_escapes_the_password(mariadb: Server) -> None:
    """The URL reaches the server and carries any password in a form that can be read back."""
    url = mariadb.url("ledger", user="auditor", password="p@ss/w:rd")
    assert (url.port, url.database, url.password) == (mariadb.port, "ledger", "p@ss/w:rd")
    assert "p%40ss%2Fw%3Ard" in url.render_as_string(hide_password=False)


def test_throwaway_server_pauses_restarts_and_dies(
    flavour: Flavour, throwaway_server: StartServer
) -> None:
    """A frozen server does not answer, goes on where it was, and keeps its data over a crash."""
    server = throwaway_server(flavour)
    name = server.create_database()
    server.pause()
    with pytest.raises(pymysql.OperationalError):
        server._connect(None, read_timeout=1)
    server.resume()
    assert ask(server, "SELECT 1") == [(1,)]

    port = server.port
    server.kill()
    with pytest.raises(pymysql.OperationalError):
        server.admin()
    server.restart()
    assert server.port == port
    assert (name,) in ask(server, "SHOW DATABASES")


def test_throwaway_server_takes_options(throwaway_server: StartServer) -> None:
    """Options of the test come last and win."""
    server = throwaway_server("mariadb", "--default-time-zone=+08:00")
    assert ask(server, "SELECT @@time_zone") == [("+08:00",)]


def test_server_that_cannot_start_says_why(throwaway_server: StartServer) -> None:
    """The error of a failed start ends with the server's own words."""
    with pytest.raises(ServerError, match="no-such-option"):
        throwaway_server("mariadb", "--no-such-option")


def test_log_of_statements_is_read_over_a_restart(
    flavour: Flavour, throwaway_server: Callable[..., Server]
) -> None:
    """What a server writes as it starts is no part of the last statement before."""
    server = throwaway_server(flavour)
    with closing(server.admin()) as connection:
        connection.query("SELECT\n'the last'")
        server.kill()
    server.restart()
    told = [statement for _, statements in said(server.statements) for statement in statements]
    assert "SELECT\n'the last'" in told
    assert [each for each in told if "started with" in each] == []
