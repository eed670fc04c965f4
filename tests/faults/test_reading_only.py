"""The server's own log of statements: all that the worker and its checks send only reads."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.endurance.audit import Audit
from tests.endurance.books import open_books
from tests.endurance.traffic import write_history
from tests.servers import Database, Server, wait_until

AUDITOR = "watched"

ALLOWED = re.compile(
    r"SELECT\b"
    r"|WITH\b"
    r"|SHOW\b"
    r"|SET (?:SESSION\b|NAMES\b|AUTOCOMMIT\b|@@SESSION\b)"
    r"|START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY$"
    r"|ROLLBACK$"
    r"|KILL QUERY \d+$",
    re.IGNORECASE,
)
"""The only ways in which a statement may begin, or what it has to be as a whole."""

FORBIDDEN = re.compile(
    r"\b(?:FOR\s+UPDATE|FOR\s+SHARE|LOCK\s+IN\s+SHARE\s+MODE|GET_LOCK|RELEASE_LOCK|INTO\s+OUTFILE"
    r"|INTO\s+DUMPFILE|SLEEP|BENCHMARK|LOAD_FILE|NEXTVAL|LAST_INSERT_ID|SETVAL|INSERT|UPDATE|DELETE"
    r"|REPLACE\s+INTO|CREATE|ALTER|DROP|TRUNCATE|CALL|SET\s+GLOBAL|INTO\s+@)\b",
    re.IGNORECASE,
)
"""What no statement may hold outside its quotes."""

QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|`[^`]*`|\"[^\"]*\"", re.DOTALL)


def bare(statement: str) -> str:
    """A statement without what it quotes: values, and names that sound like words of SQL."""
    return QUOTED.sub("?", statement).strip()


@contextmanager
def recorded(server: Server) -> Iterator[Callable[[], list[str]]]:
    """The statements of the auditor meanwhile, as the server has logged them."""

    def statements() -> list[str]:
        with closing(server.admin("mysql")) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT argument FROM general_log WHERE command_type IN ('Query', 'Execute')"
                f" AND user_host LIKE '{AUDITOR}[%'"
            )
            return [_text(argument) for (argument,) in cursor.fetchall()]

    def do(*commands: str) -> None:
        with closing(server.admin()) as connection, connection.cursor() as cursor:
            for each in commands:
                cursor.execute(each)

    do("TRUNCATE mysql.general_log", "SET GLOBAL log_output = 'TABLE'", "SET GLOBAL general_log=1")
    try:
        yield statements
    finally:
        do("SET GLOBAL general_log = 0", "SET GLOBAL log_output = 'FILE'")


def _text(argument: str | bytes) -> str:
    return argument.decode(errors="replace") if isinstance(argument, bytes) else argument


@pytest.fixture
def books(ledger_database: Database) -> tuple[Database, Server]:
    """A ledger with history on each flavour in turn, and an account that may do everything."""
    database, server = ledger_database, ledger_database.server
    open_books(database)
    write_history(database, "history")
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS {AUDITOR}@'%' IDENTIFIED BY ''")
        # More than it needs, so that nothing but the worker keeps it from writing.
        cursor.execute(f"GRANT ALL ON *.* TO {AUDITOR}@'%'")
    return database, server


def test_only_reading_statements(books: tuple[Database, Server], tmp_path: Path) -> None:
    """Of every shipped check's complete and incremental runs, no statement writes or locks."""
    database, server = books
    audit = Audit(database, tmp_path)
    url = server.url(database.name, user=AUDITOR).render_as_string()
    audit.environment["RECONCILER_DATABASES__LEDGER__URL"] = url
    with recorded(server) as statements, audit.running() as life:
        wait_until(lambda: bool(life.events("worker_ready")), 60, "every check has run")
        wait_until(
            lambda: _scopes(life.events("check_run"), audit.following), 60, "each scope has been"
        )
    seen = statements()
    outcomes = {run["outcome"] for run in life.events("check_run")}
    assert "error" not in outcomes
    assert len(seen) > 10 * len(audit.names)
    shapes = Counter(bare(each) for each in seen)
    assert [each for each in shapes if not ALLOWED.match(each) or FORBIDDEN.search(each)] == []


def _scopes(runs: list[dict[str, object]], following: set[str]) -> bool:
    done = {(run["check"], run["scope"]) for run in runs}
    wanted = {(name, scope) for name in following for scope in ("incremental", "complete")}
    return wanted <= done


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM t FOR UPDATE",
        "SELECT 1 FROM t LOCK IN SHARE MODE",
        "SELECT GET_LOCK('a', 1)",
        "SELECT * FROM t INTO OUTFILE '/tmp/x'",
        "CREATE TEMPORARY TABLE x (n int)",
        "START TRANSACTION",
        "SET GLOBAL general_log = 0",
        "COMMIT",
        "KILL 5",
    ],
)
def test_the_list_refuses(statement: str) -> None:
    """What writes, locks or opens a transaction that could write is not on the list."""
    found = bare(statement)
    assert not ALLOWED.match(found) or FORBIDDEN.search(found)
