"""SQL to look with: it shows what a finding tells of, whatever its key holds, and only reads."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymysql.cursors import DictCursor
from sqlglot import exp

from checks.contract import Check, Finding, Result
from checks.sql.functions import WHITE_SPACE
from checks.sql.inspection import LONGEST, MOST_KEYS, MOST_ROWS
from checks.sql.values import scalar
from tests.integration.test_audit import CORRUPTIONS, Books, spoil
from tests.support import SHIPPED
from tests.support.access_logs import quiet
from tests.support.ledgers import Ledger, check, on_servers, sources_of
from tests.support.servers import Database, Server
from worker import config

Row = Mapping[str, Any]

REQUESTS = "api_idempotency_requests"


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """A way to spoil the ledger, and checks that fail then."""

    checks: tuple[str, ...]
    spoil: tuple[str, ...]


def requests(status: str, paths: Sequence[str]) -> str:
    """A statement that writes new requests."""
    now = "UTC_TIMESTAMP()"
    rows = (
        f"('k{number}', '{path}', 'h{number}', 1, '{status}', {now}, {now} + INTERVAL 7 DAY)"
        for number, path in enumerate(paths)
    )
    columns = "idempotency_key, api_path, request_hash, user_id, status, created_at, expires_at"
    return f"INSERT INTO {REQUESTS} ({columns}) VALUES {', '.join(rows)}"


def corruptions() -> dict[str, Spoilt]:
    """Corruptions of the audit's own tests, each with the checks that fail at none before it."""
    found: dict[str, Spoilt] = {}
    said: set[str] = set()
    for what, corruption in CORRUPTIONS.items():
        if corruption.failing - said:
            found[what] = Spoilt(checks=tuple(corruption.failing), spoil=corruption.spoil)
        said |= corruption.failing
    return found


SPOILT = corruptions() | {
    "key that breaks the rule": Spoilt(
        checks=("lottery_draws.key_format.idempotency_key",),
        spoil=("UPDATE lottery_draws SET idempotency_key = 'no key at all\\n'",),
    ),
    "requests that fail": Spoilt(
        checks=(f"{REQUESTS}.failures",),
        spoil=(requests("failed", ["/api/v4/orders/7/100%_off!?a=1"] * 30),),
    ),
    "key of two requests": Spoilt(
        checks=(f"{REQUESTS}.failures",),
        spoil=(
            f"ALTER TABLE {REQUESTS} DROP INDEX idempotency_key",
            requests("completed", ["/api/one"]),
            requests("completed", ["/api/two"]).replace("'k0'", "'K0 '"),
        ),
    ),
    "ledger row named by two approvals": Spoilt(
        checks=("consumption_records.reward_transaction_id",),
        spoil=tuple(
            "INSERT INTO consumption_records (record_id, idempotency_key, user_id,"
            " consumption_amount, points_to_award, status, qr_code, reward_transaction_id,"
            f" created_at, updated_at) VALUES ({number}, 'consumption_{number}', 3, 1, 1,"
            " 'approved', 'q', 100, '2026-01-05 10:00:00', '2026-01-05 10:00:00')"
            for number in (8, 9)
        ),
    ),
    "nobody's frozen amount": Spoilt(
        checks=("account_asset_balances.frozen_backing",),
        spoil=(
            "SET foreign_key_checks = 0",
            (
                "INSERT INTO account_asset_balances (account_id, asset_code, frozen_amount)"
                " VALUES (777, 'POINTS', 5)"
            ),
        ),
    ),
}


@pytest.fixture(scope="module")
def in_order(server: Server) -> Books:
    """The ledger in order, loaded once on each server."""
    return Books(server)


@pytest.fixture
def books(in_order: Books) -> Iterator[Database]:
    """The ledger in order, for a test to spoil."""
    yield in_order.database
    in_order.restore()


@cache
def shipped() -> dict[str, Check]:
    """The checks of the project's configuration."""
    return {each.name: each for each in config.load(SHIPPED, quiet()).checks}


def run(database: Database, one: Check) -> Result:
    with closing(sources_of(database.url)) as sources:
        return one.run(sources)


@contextmanager
def reading(database: Database) -> Iterator[Callable[[str | None], list[Row]]]:
    """What statements show to a person, who may only read."""
    with closing(database.connect()) as connection, connection.cursor(DictCursor) as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")

        def show(statement: str | None) -> list[Row]:
            assert statement is not None
            cursor.execute(statement)
            return list(cursor.fetchall())

        yield show


def shown(database: Database, statement: str | None) -> list[Row]:
    """What one statement shows."""
    with reading(database) as show:
        return show(statement)


def tells(row: Row, finding: Finding) -> bool:
    """Whether a row is one of those that a finding is about."""
    key = {name: value for name, value in finding.key.items() if name != "held_in"}
    if "problem" in row and "id" in row:
        return str(row["id"]) == ", ".join(map(str, key.values()))
    if "key_sha256" in key or "path" in key:
        return "what" in row or "api_path" in row
    if "table" in key:  # one of the catalog's own, or the number of rows
        return True
    return all(_holds(row, name, value) for name, value in key.items())


def _holds(row: Row, name: str, value: object) -> bool:
    short = name.rpartition(".")[2]
    names = [each for each in row if each == name or each.rpartition(".")[2] == short]
    if not names:
        return name == "account_id"  # of no known owner; the statement calls it otherwise
    seen = (scalar(row[each]) for each in names)
    return any(str(each).casefold() == str(value).casefold() for each in seen)


@pytest.mark.parametrize("what", SPOILT)
def test_finding_is_shown(books: Database, what: str) -> None:
    """The statement for a finding returns what the finding is about; so does the one for all."""
    spoilt = SPOILT[what]
    spoil(books, *spoilt.spoil)
    for one in (shipped()[name] for name in spoilt.checks):
        findings = run(books, one).findings
        assert findings
        everything = shown(books, one.look())
        is_absent = one.kind == "tables" and "does not exist" in findings[0].message
        for finding in findings[:MOST_KEYS]:
            rows = shown(books, one.look([finding.key]))
            if is_absent:
                assert rows == everything == []
                continue
            assert any(tells(row, finding) for row in rows)
            assert any(tells(row, finding) for row in everything)


def test_shipped_checks_show_nothing_in_order(books: Database) -> None:
    """Every shipped check says one SELECT that the server takes; nothing wrong, no row."""
    always = ("tables", "columns", "unique_index", "row_count", "stuck", "idempotency_requests")
    with reading(books) as show:
        for name, one in shipped().items():
            statement = one.look()
            if one.kind == "conflict_rate":
                assert statement is None
                continue
            assert statement is not None
            assert len(statement) <= LONGEST
            (tree,) = sqlglot.parse(statement, read="mysql")
            assert isinstance(tree, exp.Select | exp.Union)
            rows = show(statement)
            if one.kind not in always:
                assert (name, rows) == (name, [])


def test_both_sides_are_shown(books: Database) -> None:
    """For a business row, the ledger row beside it is shown, and the owner that is compared."""
    spoil(books, "UPDATE lottery_draws SET user_id = 4")
    one = shipped()["lottery_draws.asset_transaction_id"]
    (finding,) = run(books, one).findings
    (row,) = shown(books, one.look([finding.key]))
    assert row["draw_id"] == "draw_20260104_0001"
    assert row["business_type"] == "lottery_consume"
    assert (row["user_id"], row["accounts.user_id"]) == (4, row["accounts.user_id"])
    assert row["accounts.user_id"] != 4


def test_first_break_of_a_chain_is_shown(books: Database) -> None:
    """Of a group whose ledger rows do not chain, the first that does not is told."""
    spoil(books, *CORRUPTIONS["ledger rows that do not chain"].spoil)
    one = shipped()["account_asset_balances.ledger_balance"]
    for keys in ([each.key for each in run(books, one).findings], []):
        (row,) = shown(books, one.look(keys))
        assert row["first_break"] == 100
        assert row["balance_available_amount"] == row["ledger_delta_amount"]


MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES"]
HOSTILE = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.text("'\"\\`;-/*!#\0\n\r\t\u2028 %_?:{}<>@\U0001f600' OR 1=1", max_size=30),
    st.sampled_from(
        ["' OR '1'='1", "\\' OR 1=1 -- ", "*/ DROP TABLE t /*", "x'; DROP TABLE t; --"]
    ),
)


@on_servers
@pytest.mark.parametrize("mode", MODES)
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(values=st.lists(HOSTILE, min_size=1, max_size=3, unique=True))
def test_hostile_values_stay_values(ledger: Ledger, mode: str, values: list[str]) -> None:
    """Whatever a key holds, the statement is one SELECT that finds just the rows of that key."""
    ledger.sql(
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (k varbinary(200), s varchar(50) COLLATE utf8mb4_bin NULL, n int)",
    )
    rows = [(text.encode(), None if number else text, number) for number, text in enumerate(values)]
    ledger.insert("t", "k, s, n", [*rows, (b"another", "another", 99)])
    one = check("duplicates", "t", primary_key="n", columns=["k", "s"])
    statement = one.look(
        [{"k": text, "s": s} for text, (_, s, _) in zip(values, rows, strict=True)]
    )
    assert statement is not None
    (tree,) = sqlglot.parse(statement, read="mysql")
    assert isinstance(tree, exp.Select)
    assert statement.isascii()
    assert not re.search(r"[^ -~\n]", statement)
    ledger.sql(f"SET SESSION sql_mode = '{mode}'")
    try:
        found = ledger.sql(statement)
    finally:
        ledger.sql("SET SESSION sql_mode = DEFAULT")
    assert {row[2] for row in found} == {number for *_, number in rows}


@on_servers
def test_what_no_bigint_holds_is_shown(ledger: Ledger) -> None:
    """Differences of unsigned columns and sums beyond 64 bits are looked at as they are checked."""
    ledger.sql(
        "CREATE TABLE t (id bigint PRIMARY KEY, came bigint unsigned, went bigint unsigned)",
        "CREATE TABLE u (id bigint PRIMARY KEY, left_over bigint)",
    )
    ledger.insert("t", "id, came, went", [(1, 2, 5), (2, 5, 2), (3, 2**64 - 1, 2**64 - 1)])
    ledger.insert("u", "id, left_over", [(1, 3), (2, 3), (3, 0)])
    pair = {"columns": ["id"], "parent": "u", "parent_primary_key": "id", "settle": "0s"}
    for one, wrong in (
        (check("condition", "t", primary_key="id", expression="came - went >= 0"), [1]),
        (check("condition", "t", primary_key="id", expression="came + went < 99"), [3]),
        (
            check("reference", "t", primary_key="id", **pair, equal={"came - went": "left_over"}),
            [1],
        ),
    ):
        assert [finding.key["id"] for finding in one.run(ledger.sources).findings] == wrong
        for keys in ([], [{"id": number} for number in wrong]):
            assert [row[0] for row in ledger.sql(one.look(keys) or "")] == wrong


@on_servers
def test_rows_of_duplicates_are_shown(ledger: Ledger) -> None:
    """The rows that a finding of `duplicates` lists can be looked up by themselves."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, k varchar(50))")
    ledger.insert("t", "id, k", [(1, "a"), (2, "A"), (3, "b"), (4, "c"), (5, "c")])
    one = check("duplicates", "t", primary_key="id", columns=["k"])
    for finding in one.run(ledger.sources).findings:
        rows = ledger.sql(one.look(one.row_keys(finding.evidence)) or "")
        assert [row[0] for row in rows] == list(finding.evidence["row_ids"])  # type: ignore[arg-type]


@on_servers
def test_every_white_space_is_shown_as_blank(ledger: Ledger) -> None:
    """The statement for all blank keys finds every character that the check takes for space."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, k varchar(50))")
    visible = ("\u180e", "\u200b", "x ")
    ledger.insert("t", "id, k", enumerate((None, "", *WHITE_SPACE, WHITE_SPACE, *visible)))
    one = check("blank", "t", primary_key="id", column="k")
    assert ledger.sql(one.look() or "") == ledger.sql("SELECT * FROM t WHERE id < 28")
    assert ledger.run("blank", "t", primary_key="id", column="k").violations == 28


@on_servers
@pytest.mark.parametrize("rule", ["a.b{int}", "x[{int:2}]", "\\{int}^|{hex:4}", "{word:1..5}"])
def test_same_keys_break_the_rule(ledger: Ledger, rule: str) -> None:
    """The statement for keys that break a rule finds those that the check finds."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, k varchar(50))")
    texts = (
        "a.b7",
        "axb7",
        "a.b7\n",
        "A.b7",
        "x[12]",
        "x12",
        "\\1^|abcd",
        "ab-_9",
        "",
        " \t",
        "x'\\",
    )
    ledger.insert("t", "id, k", enumerate((*texts, "a.b7\u2028", "\u00e9", None)))
    one = check("key_format", "t", primary_key="id", column="k", patterns=[rule])
    wrong = [finding.key["id"] for finding in one.run(ledger.sources).findings]
    assert sorted(row[0] for row in ledger.sql(one.look() or "")) == wrong


@on_servers
def test_long_keys_are_found_by_their_start(ledger: Ledger) -> None:
    """A key that a finding holds abridged is looked for by what is left of it."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, k varchar(500))")
    ledger.insert("t", "id, k", [(1, "x" * 400), (2, "x" * 400), (3, "y" * 400)])
    one = check("duplicates", "t", primary_key="id", columns=["k"])
    (finding,) = one.run(ledger.sources).findings
    found = ledger.sql(one.look([finding.key]) or "")
    assert [row[0] for row in found] == [1, 2]


def test_many_keys_make_no_overlong_statement() -> None:
    """A statement asks for 20 findings at most, for fewer of long ones, and for 100 rows."""
    one = check("blank", "t", primary_key="id", column="k")
    statement = one.look([{"id": number} for number in range(1000)])
    assert statement is not None
    assert statement.count(",") == MOST_KEYS - 1
    assert statement.endswith(f"LIMIT {MOST_ROWS}")
    longer = one.look([{"id": f"{number}" + "\u00e9" * 150} for number in range(1000)])
    assert longer is not None
    assert 0 < longer.count("utf8mb4") < MOST_KEYS
    assert len(longer) <= LONGEST


def test_foreign_keys_are_left_out() -> None:
    """A key that is none of the check's own, as of an earlier configuration, asks for all."""
    one = check("blank", "t", primary_key="id", column="k")
    assert one.look([{"other": 1}, {"id` OR 1=1 --": 2}]) == one.look()
