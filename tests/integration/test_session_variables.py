"""Whatever is set for all sessions of a server, checks say the same, or name what keeps them.

Every session variable that the running server lists is set to unlike values, many at a time, in
`init_connect`; where something differs, halves of them are tried until one is left.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql
import pytest

from checks.contract import Check, CheckError
from tests.support import representative
from tests.support.servers import HOST, Database, Server
from tests.support.statements import ATTEMPT
from worker.client import session_variables
from worker.config import DatabaseSettings, StateSettings
from worker.sources import Database as Audited
from worker.sources import Sources
from worker.state import State

PASSWORD = "of-the-auditor"

TEXTS: Mapping[str, Sequence[str]] = {
    "sql_mode": ["ANSI,PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE", "TRADITIONAL"],
    "time_zone": ["+13:00", "-11:59", "SYSTEM"],
    "lc_time_names": ["de_DE", "zh_CN"],
    "lc_messages": ["de_DE", "fr_FR"],
    "collation_connection": ["utf8mb4_bin", "latin1_german1_ci"],
    "character_set_client": ["latin1"],
    "character_set_results": ["latin1", "binary", "latin2"],
    "default_collation_for_utf8mb4": ["utf8mb4_general_ci"],
    "system_versioning_asof": ["2010-01-01 00:00:00"],
    "default_regex_flags": ["MULTILINE,UNGREEDY", "EXTENDED", "DOTALL"],
    "old_mode": ["ZERO_DATE_TIME_CAST", "IGNORE_INDEX_ONLY_FOR_JOIN"],
    "timestamp": ["1000000000", "2000000000"],
}
"""Values of what is no number, and of what has more values than the server lists."""

NAMED = {"max_session_mem_used"}
"""What a server refuses to work under, in an error that names it."""


@dataclass(frozen=True)
class Audit:
    """The checks on one server, by an account for which `init_connect` counts."""

    database: Database
    checks: Sequence[Check]
    expected: Mapping[str, Any]

    @property
    def url(self) -> str:
        """As the auditor."""
        url = self.database.server.url(self.database.name, user="auditor", password=PASSWORD)
        return url.render_as_string(hide_password=False)

    def outcomes(self) -> dict[str, Any]:
        """What the checks say in new sessions."""
        return outcomes(self.url, self.checks)

    def difference(self, assignments: Sequence[str]) -> str:
        """What the first of them says otherwise with these in `init_connect`; "" for nothing."""
        with init_connect(self.database.server, f"SET SESSION {', '.join(assignments)}"):
            found = self.outcomes()
        other = (n for n, each in found.items() if each != self.expected[n])
        return next((f"{name}: {found[name]}" for name in other), "")

    def culprits(self, assignments: Sequence[str]) -> list[str]:
        """Those that make a difference, each by itself or with others."""
        if not assignments or not (said := self.difference(assignments)):
            return []
        if len(assignments) == 1:
            return [f"{assignments[0]}: {said}"]
        middle = len(assignments) // 2
        halves = (assignments[:middle], assignments[middle:])
        found = [each for half in halves for each in self.culprits(half)]
        return found or [f"{' with '.join(assignments)}: {said}"]


def outcomes(url: str, checks: Sequence[Check]) -> dict[str, Any]:
    with closing(Sources({"ledger": DatabaseSettings(url=url)})) as sources:
        return representative.outcomes(checks, sources)


@contextmanager
def init_connect(server: Server, statement: str) -> Iterator[None]:
    """Let the server run it in each session that begins meanwhile, but for those of root."""
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL init_connect = %s", (f"{ATTEMPT} {statement}",))
        try:
            yield
        finally:
            cursor.execute("SET GLOBAL init_connect = ''")


@pytest.fixture(scope="module")
def audit(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    database = Database(server=server, name=server.create_database())
    representative.fill(database)
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS auditor@'%'")
        cursor.execute(f"CREATE USER auditor@'%' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT SELECT, SHOW VIEW ON {database.name}.* TO auditor@'%'")
    checks = [*representative.checks_in(tmp_path_factory.mktemp("checks")).values()]
    made = Audit(database, checks, {})
    yield Audit(database, checks, made.outcomes())
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("DROP USER auditor@'%'")
    server.drop_database(database.name)


def variables(server: Server) -> Iterator[tuple[str, list[object]]]:
    """Every variable that a session has, with values unlike its own."""
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        if server.flavour == "mariadb":
            cursor.execute(
                "SELECT LOWER(variable_name), variable_type, numeric_min_value, numeric_max_value,"
                " enum_value_list, session_value FROM information_schema.system_variables"
                " WHERE variable_scope LIKE 'SESSION%'"
            )
            listed: Sequence[Any] = cursor.fetchall()
        else:
            cursor.execute("SHOW SESSION VARIABLES")
            now = dict(cursor.fetchall())
            cursor.execute(
                "SELECT variable_name, data_type, min_value, max_value FROM"
                " performance_schema.variables_metadata WHERE variable_scope LIKE '%SESSION%'"
            )
            listed = [(*row, None, now.get(row[0], "")) for row in cursor.fetchall()]
    for name, kind, least, most, members, value in listed:
        yield name, [*TEXTS.get(name, ()), *_unlike(kind.upper(), least, most, members, value)]


def _unlike(kind: str, least: str, most: str, members: str | None, value: str) -> list[object]:
    flags = [each.partition("=")[::2] for each in value.split(",") if "=" in each]
    if flags:
        return [",".join(f"{n}={'off' if v == 'on' else 'on'}" for n, v in flags)]
    if kind == "BOOLEAN":
        return [int(value != "ON")]
    if kind in ("ENUM", "SET"):
        return [each for each in (members or "").split(",") if each not in ("", value)]
    if kind == "ENUMERATION":
        return [0, 1, 2, 3]
    if least in (None, "") or not most:
        return []
    return [int(float(least)), min(int(float(most)), 1 << 40), 1]


def accepted(audit: Audit) -> list[list[str]]:
    """Assignments that the server lets the account make, in rounds with one of each variable."""
    rounds: list[list[str]] = []
    with closing(
        pymysql.connect(
            host=HOST, port=audit.database.server.port, user="auditor", password=PASSWORD
        )
    ) as connection:
        for name, values in variables(audit.database.server):
            turn = 0
            for value in values:
                written = f"'{value}'" if isinstance(value, str) and name != "timestamp" else value
                try:
                    connection.query(f"SET SESSION {name} = {written}")
                except pymysql.MySQLError:
                    continue
                rounds += [[]] if turn == len(rounds) else []
                rounds[turn].append(f"{name} = {written}")
                turn += 1
    return rounds


def test_no_session_variable_changes_what_checks_say(audit: Audit) -> None:
    """Hundreds of variables, each with several values, all of a server at once."""
    assert not any(isinstance(each, str) for each in audit.expected.values()), audit.expected
    assert sum(each[0] > 0 for each in audit.expected.values()) >= 20
    rounds = accepted(audit)
    assert len(rounds[0]) > 100
    every = [[each for each in some if each.partition(" ")[0] not in NAMED] for some in rounds]
    found = [culprit for some in every for culprit in audit.culprits(some)]
    assert not found


def test_a_variable_that_stops_everything_is_named(audit: Audit) -> None:
    """Where the server refuses to work under a limit, the error says which."""
    names = [name for name, _ in variables(audit.database.server)]
    for name in NAMED & {*names}:
        with init_connect(audit.database.server, f"SET SESSION {name} = 8192"):
            said = audit.outcomes().values()
        assert all(name.replace("_", "-") in each for each in said if isinstance(each, str))
        assert any(isinstance(each, str) for each in said)


@pytest.mark.parametrize(
    "statement",
    [
        "SET SESSION sql_select_limit = 0",
        "SET SESSION sql_select_limit = 2, max_join_size = 1, sql_safe_updates = 1",
        "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "SET SESSION sql_big_selects = 0, max_join_size = 1",
        "SET NAMES latin1",
    ],
)
def test_what_else_may_stand_in_init_connect(audit: Audit, statement: str) -> None:
    """What the first question is answered under counts, too."""
    with init_connect(audit.database.server, statement):
        assert audit.outcomes() == audit.expected


def test_another_database_is_told(audit: Audit) -> None:
    """A session that begins in another database than the URL's reads nothing there."""
    with init_connect(audit.database.server, "USE information_schema"):
        said = audit.outcomes().values()
    assert all("the session's database is information_schema" in str(each) for each in said)


def test_what_cannot_be_set_is_named(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses one of our settings says which, and why."""
    pinned = {**session_variables.PINNED, "max_sort_length": "much"}
    monkeypatch.setattr(session_variables, "PINNED", pinned)
    with (
        closing(Audited("ledger", DatabaseSettings(url=audit.url))) as database,
        pytest.raises(CheckError, match="variable max_sort_length cannot be set to much: Inc"),
    ):
        database.identify()


def test_a_state_is_read_whole(audit: Audit) -> None:
    """The worker's own state is neither cut nor refused by what is set for people."""
    server = audit.database.server
    name = server.create_database()
    with closing(server.admin()) as connection, connection.cursor() as cursor:
        cursor.execute(f"GRANT ALL ON {name}.* TO auditor@'%'")
    url = server.url(name, user="auditor", password=PASSWORD).render_as_string(hide_password=False)
    limits = "sql_select_limit = 0, sql_safe_updates = 1, max_join_size = 1, sql_auto_is_null = 1"
    secrets = set()
    with init_connect(server, f"SET SESSION {limits}, sql_mode = 'ANSI_QUOTES'"):
        for _ in range(2):
            with closing(State(StateSettings(url=url))) as state:
                assert state.failure is None
                secrets.add(state.masking_secret)
    assert len(secrets) == 1
    server.drop_database(name)


def test_a_sub_query_is_answered_for_each_text(audit: Audit) -> None:
    """MariaDB keeps the answer for one text, and gives it for all that compare as equal."""
    with closing(audit.database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE written (n int PRIMARY KEY, text varchar(9)) COLLATE utf8mb4_general_ci"
        )
        cursor.execute("CREATE TABLE posted (made varchar(9)) COLLATE utf8mb4_general_ci")
        cursor.execute("INSERT INTO written VALUES (1, 'A'), (2, 'A ')")
        cursor.execute("INSERT INTO posted VALUES ('A_')")
    question = "SELECT n, (SELECT COUNT(*) FROM posted WHERE made = CONCAT(text, '_')) FROM written"
    with (
        closing(Audited("ledger", DatabaseSettings(url=audit.url))) as database,
        database.snapshot() as snapshot,
    ):
        assert snapshot.exec_driver_sql(f"{question} ORDER BY n").fetchall() == [(1, 1), (2, 0)]
