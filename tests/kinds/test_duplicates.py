"""`duplicates`: no two rows share a key."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from checks.contract import SAMPLE, CheckError, Result
from checks.kinds.duplicates import prefilter
from checks.kinds.duplicates.check import GROUPS_IN_FULL
from checks.sql import catalog
from tests.support.ledgers import (
    Ledger,
    check,
    keys,
    ledger_on,
    messages,
    on_any,
    on_mysql,
    on_servers,
)
from tests.support.servers import Database, Flavour, Server

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100), s int)"
PAIR = "CREATE TABLE t (id bigint PRIMARY KEY, a varchar(50), b varchar(50))"

AWKWARD = (
    "it's",
    'say "x"',
    "`tick`",
    "two\nlines\r\n",
    "tab\tand\\back\\slash",
    "100%",
    "%s %(name)s %%",
    ":name",
    "\N{GRINNING FACE}",
    "\N{CJK UNIFIED IDEOGRAPH-5238}" * 100,
    "x" * 100,
    "\\",
    "NULL",
    "-- ; DROP TABLE t",
)


def run(ledger: Ledger, *columns: str, **fields: object) -> Result:
    return ledger.run("duplicates", "t", columns=columns or ("k",), primary_key="id", **fields)


def row_ids(result: Result) -> list[object]:
    return [finding.evidence["row_ids"] for finding in result.findings]


def test_different_keys_pass(ledger: Ledger) -> None:
    """Rows with keys of their own are no violation; every row was examined."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, f"key {n}") for n in range(50)])
    result = run(ledger)
    assert (result.examined, result.violations, result.findings) == (50, 0, ())
    assert result.measures == {"groups": 0, "surplus_rows": 0, "groups_spelled_differently": 0}


def test_empty_table_passes(ledger: Ledger) -> None:
    """A table without rows has no duplicates."""
    ledger.sql(TABLE)
    assert (run(ledger).examined, run(ledger).violations) == (0, 0)


def test_groups_and_surplus_rows_are_counted(ledger: Ledger) -> None:
    """Violations are groups; the rows that would have to go are a measure; the largest is first."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", enumerate(("a", "b", "b", "c", "c", "c", "d", "")))
    result = run(ledger)
    assert result.measures == {"groups": 2, "surplus_rows": 3, "groups_spelled_differently": 0}
    assert keys(result) == [{"k": "c"}, {"k": "b"}]
    assert row_ids(result) == [(3, 5, 4), (1, 2)]
    assert messages(result) == ["3 rows of t share (k)", "2 rows of t share (k)"]


def test_awkward_keys_are_reported_as_they_stand(ledger: Ledger) -> None:
    """Whatever characters a key is made of, it is reported unchanged with the ids of its rows."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, key) for n, key in enumerate(AWKWARD * 2)])
    result = run(ledger)
    assert keys(result) == [{"k": key} for key in AWKWARD]
    assert row_ids(result) == [(n, n + len(AWKWARD)) for n in range(len(AWKWARD))]


def test_long_keys_are_cut_and_stay_apart(ledger: Ledger) -> None:
    """Two long keys with the same start are two findings, each cut and told by a fingerprint."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, k text)")
    same = "x" * 5000
    ledger.insert("t", "id, k", enumerate((f"{same}1", f"{same}2") * 2))
    one, other = (str(key["k"]) for key in keys(run(ledger)))
    assert one != other
    assert one.startswith("x" * 100 + "… [5001 characters, sha256 ")
    assert len(one) < 300


@on_servers
@pytest.mark.parametrize(
    "spellings",
    [
        ("ABC", "abc"),
        ("abc", "abc "),
        ("cafe", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("ab", "a\N{ZERO WIDTH SPACE}b"),
        ("\N{GRINNING FACE}", "\N{MONEY BAG}"),
        ("stra\N{LATIN SMALL LETTER SHARP S}e", "strasse"),
    ],
)
def test_keys_equal_under_the_collation_are_one_group(
    ledger: Ledger, spellings: tuple[str, str]
) -> None:
    """What the collation calls equal is one group, and both spellings are shown."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci")
    ledger.insert("t", "id, k", [(1, spellings[0]), (2, spellings[1]), (3, "zzz")])
    result = run(ledger)
    assert result.measures == {"groups": 1, "surplus_rows": 1, "groups_spelled_differently": 1}
    (finding,) = result.findings
    assert finding.message.endswith("; spelled differently, equal under the collation")
    assert set(_spellings(result)) == {repr(each) for each in spellings}
    assert finding.key["k"] in spellings


def test_lost_primary_key(ledger: Ledger) -> None:
    """A table that lost its primary key is audited by the column that was it."""
    ledger.sql("CREATE TABLE t (id bigint NOT NULL, k varchar(100))")
    ledger.insert("t", "id, k", [(5, "a"), (5, "b"), (6, "c")])
    (finding,) = run(ledger, "id").findings
    assert finding.key == {"id": 5}
    assert finding.evidence == {"rows": 2, "row_ids": (5,)}


@on_servers
def test_a_group_that_grows_is_the_same_finding(ledger: Ledger) -> None:
    """Another spelling that joins a group does not make it another finding."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci")
    ledger.insert("t", "id, k", [(1, "bcd"), (2, "bcd")])
    before = keys(run(ledger))
    ledger.insert("t", "id, k", [(3, "BCD")])
    assert keys(run(ledger)) == before == [{"k": "bcd"}]


@on_servers
def test_long_keys_are_not_sent_back(ledger: Ledger) -> None:
    """Keys of megabytes are named with both row ids, and no statement carries them back."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, k longtext)")
    ledger.sql("INSERT INTO t SELECT n, REPEAT('k', 3000000) FROM (SELECT 1 n UNION SELECT 2) s")
    sent: list[int] = []

    def note(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        sent.append(len(statement) + len(repr(values)))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        (finding,) = run(ledger).findings
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert finding.evidence["row_ids"] == (1, 2)
    assert max(sent) < 10_000


@on_servers
def test_same_spelling_is_not_spelled_differently(ledger: Ledger) -> None:
    """A group whose keys are the same bytes is not counted as spelled differently."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci")
    ledger.insert("t", "id, k", enumerate(("a", "a", "b", "B")))
    result = run(ledger)
    assert result.measures["groups_spelled_differently"] == 1
    assert [finding.evidence.get("spellings") for finding in result.findings] == [
        None,
        ("'b'", "'B'"),
    ]


@on_servers
@pytest.mark.parametrize(
    ("collation", "groups"),
    [
        ("CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", [{"k": "pad"}]),
        ("CHARACTER SET latin1 COLLATE latin1_swedish_ci", [{"k": "caf\xe9"}, {"k": "pad"}]),
        ("CHARACTER SET ascii COLLATE ascii_bin", [{"k": "pad"}]),
    ],
)
def test_collation_of_the_column_decides(
    ledger: Ledger, collation: str, groups: list[dict[str, str]]
) -> None:
    """Keys are compared as the column compares them: utf8mb4_bin pads spaces, latin1 folds case."""
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100) {collation})")
    accent = "e" if "ascii" in collation else "\xe9"
    written = (f"caf{accent}", f"caf{accent}".upper(), "pad", "pad ", "x")
    ledger.insert("t", "id, k", enumerate(written))
    assert keys(run(ledger)) == groups


@on_mysql
def test_collation_without_padding_keeps_spaces_apart(ledger: Ledger) -> None:
    """Under MySQL 8's default collation a trailing space makes another key, case does not."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_0900_ai_ci")
    ledger.insert("t", "id, k", enumerate(("a", "a ", "A")))
    assert row_ids(run(ledger)) == [(0, 2)]


def test_binary_keys_are_compared_byte_by_byte(ledger: Ledger) -> None:
    """A binary column compares bytes: neither case nor spaces are forgiven."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, k varbinary(100))")
    ledger.insert("t", "id, k", enumerate((b"a", b"A", b"a ", b"\xff\x00", b"\xff\x00")))
    assert row_ids(run(ledger)) == [(3, 4)]


@pytest.mark.parametrize("nulls", ["equal", "distinct"])
def test_null_in_part_of_a_key(ledger: Ledger, nulls: str) -> None:
    """NULL beside a value is a value like another, unless declared distinct as SQL has it."""
    ledger.sql(PAIR)
    ledger.insert("t", "id, a, b", [(1, "x", None), (2, "x", None), (3, "x", "y"), (4, "x", "")])
    result = run(ledger, "a", "b", nulls=nulls)
    assert keys(result) == ([{"a": "x", "b": None}] if nulls == "equal" else [])
    assert row_ids(result) == ([(1, 2)] if nulls == "equal" else [])


@pytest.mark.parametrize("nulls", ["equal", "distinct"])
def test_rows_without_any_key_are_left_out(ledger: Ledger, nulls: str) -> None:
    """Rows whose key columns are all NULL are no duplicates of one another."""
    ledger.sql(PAIR)
    ledger.insert("t", "id, a, b", [(n, None, None) for n in range(5)])
    assert run(ledger, "a", "b", nulls=nulls).violations == 0
    assert run(ledger, "a", nulls=nulls).violations == 0


@on_servers
def test_unique_index_that_takes_null_is_no_excuse(ledger: Ledger) -> None:
    """A composite unique index lets rows with a NULL repeat; the check does not."""
    ledger.sql(PAIR, "CREATE UNIQUE INDEX uk ON t (a, b)")
    ledger.insert("t", "id, a, b", [(1, "x", None), (2, "X", None), (3, None, "y")])
    assert row_ids(run(ledger, "a", "b")) == [(1, 2)]


def test_composite_key_is_compared_column_by_column(ledger: Ledger) -> None:
    """A composite key is equal when every column is, not when the columns run together are."""
    ledger.sql(PAIR)
    rows = [(1, "a", "bc"), (2, "ab", "c"), (3, "a,b", "c"), (4, "a", "b,c"), (5, "a", "bc")]
    ledger.insert("t", "id, a, b", rows)
    assert row_ids(run(ledger, "a", "b")) == [(1, 5)]


def test_ids_above_two_to_the_53_are_exact(ledger: Ledger) -> None:
    """Keys and row ids near the limits of BIGINT are told to the last digit, and kept apart."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, k bigint)")
    big = 2**63 - 1
    ledger.insert("t", "id, k", [(big, 2**53 + 1), (big - 1, 2**53), (big - 2, 2**53 + 1)])
    ledger.insert("t", "id, k", [(1, -(2**63)), (2, -(2**63))])
    result = run(ledger)
    assert keys(result) == [{"k": -(2**63)}, {"k": 2**53 + 1}]
    assert row_ids(result) == [(1, 2), (big - 2, big)]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("datetime", "2026-01-02 20:24:20", "2026-01-02 20:24:20"),
        ("date", "2026-01-02", "2026-01-02"),
        ("decimal(20,2)", "12345678901234567.25", "12345678901234567.25"),
        ("enum('yes','no')", "no", "no"),
        ("char(36)", "0c1d", "0c1d"),
        ("time", "12:34:56", "12:34:56"),
        ("double", 0.1, "0.1"),
    ],
)
@on_servers
def test_key_of_any_type_is_reported(
    ledger: Ledger, column: str, value: object, shown: str
) -> None:
    """A key may be a time, an amount or an enum: it is grouped and shown exactly."""
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k {column})")
    ledger.insert("t", "id, k", [(1, value), (2, value), (3, None)])
    result = run(ledger)
    assert (keys(result), row_ids(result)) == ([{"k": shown}], [(1, 2)])


@on_any
def test_sample_is_bounded_and_the_count_is_exact(ledger: Ledger) -> None:
    """Of too many groups some are shown; all are counted, and the sample says it is not whole."""
    groups = SAMPLE + 10
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, f"k{n % groups:05}") for n in range(2 * groups)])
    result = run(ledger)
    assert (result.violations, len(result.findings)) == (groups, SAMPLE)
    assert result.measures["surplus_rows"] == groups
    assert not result.sample_is_whole
    assert row_ids(result) == [(n, n + groups) for n in range(SAMPLE)]


@on_any
def test_group_is_called_the_same_wherever_it_stands_in_the_sample(ledger: Ledger) -> None:
    """Its key is spelled as in its first row, whether or not its rows are looked up one by one."""
    groups = GROUPS_IN_FULL + 5
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, f"k{n % groups:05}") for n in range(2 * groups)])
    before = keys(run(ledger))
    ledger.insert("t", "id, k", [(n, f"k{groups - 1:05}") for n in range(2 * groups, 3 * groups)])
    after = keys(run(ledger))
    assert after[0] == before[-1]
    assert sorted(map(repr, before)) == sorted(map(repr, after))


def test_large_group_hides_no_other(ledger: Ledger) -> None:
    """A group of a thousand rows shows ten of them, and the rows of the next group all the same."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, "many") for n in range(1000)])
    ledger.insert("t", "id, k", [(n, "few") for n in range(1000, 1003)])
    many, few = run(ledger).findings
    assert many.evidence == {"rows": 1000, "row_ids": (0, 999, *range(1, 9))}
    assert few.evidence == {"rows": 3, "row_ids": (1000, 1002, 1001)}


@on_servers
def test_large_group_hides_no_other_spelling(ledger: Ledger) -> None:
    """A group of a thousand rows does not keep the next one from showing its spellings."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci")
    ledger.insert("t", "id, k", [(n, "many") for n in range(1000)])
    ledger.insert("t", "id, k", [(1000, "few"), (1001, "FEW")])
    assert _spellings(run(ledger)) == ("'few'", "'FEW'")


@on_servers
def test_last_of_many_spellings_is_shown(ledger: Ledger) -> None:
    """When a thousand rows write a key in one way and the last in another, both are shown."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci")
    ledger.insert("t", "id, k", [(n, "many" if n < 1000 else "MANY") for n in range(1001)])
    assert _spellings(run(ledger)) == ("'many'", "'MANY'")


def test_key_may_be_the_primary_key(ledger: Ledger) -> None:
    """A table's own primary key can be asked for, alone and as a part of the key."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(1, "a"), (2, "a")])
    assert run(ledger, "id").violations == run(ledger, "id", "k").violations == 0


def test_rows_may_be_named_by_text(ledger: Ledger) -> None:
    """Rows whose primary key is a text are named by it."""
    ledger.sql("CREATE TABLE t (id char(36) PRIMARY KEY, k varchar(100))")
    ledger.insert("t", "id, k", [("b-2", "x"), ("a-1", "x"), ("c-3", "y")])
    assert row_ids(run(ledger)) == [("a-1", "b-2")]


@on_any
def test_two_runs_find_the_same(ledger: Ledger) -> None:
    """Run twice on the same rows, the check gives the same findings in the same order."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, f"k{n % 7}") for n in range(100)])
    assert run(ledger) == run(ledger)


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"columns": ["key"]}, "table t has no column key"),
        ({"columns": ["kk"]}, "table t has no column kk; the nearest existing name is k"),
        ({"primary_key": "idd"}, "table t has no column idd; the nearest existing name is id"),
        ({"table": "tt"}, "table tt does not exist, or this account may not see it; the nearest"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, fields: dict[str, object], message: str
) -> None:
    """A table or column that is missing is a permanent error that names the nearest one."""
    ledger.sql(TABLE)
    declared = {"table": "t", "columns": ["k"], "primary_key": "id"} | fields
    with pytest.raises(CheckError) as caught:
        ledger.run("duplicates", str(declared.pop("table")), **declared)
    assert str(caught.value).startswith(message)
    assert caught.value.permanent


@on_servers
def test_index_serves_the_grouping(ledger: Ledger) -> None:
    """With an index on the key, the grouping reads along it: no sorting of the whole table."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci", "CREATE INDEX i ON t (k)")
    ledger.insert("t", "id, k", [(n, f"key {n}") for n in range(3000)])
    ledger.sql("ANALYZE TABLE t")
    status = _session_status(ledger, lambda: run(ledger))
    assert sum(status.values()) < 1500  # those of the catalog


@pytest.mark.parametrize("index", ["k, s", "s, k"])
@on_servers
def test_index_in_another_order_serves_the_grouping(ledger: Ledger, index: str) -> None:
    """A composite index serves the grouping whichever column the configuration puts first."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_unicode_ci", f"CREATE INDEX i ON t ({index}, id)")
    ledger.insert("t", "id, k, s", [(n, f"key {n}", n % 3) for n in range(3000)])
    ledger.sql("ANALYZE TABLE t")
    status = _session_status(ledger, lambda: run(ledger, "k", "s"))
    assert sum(status.values()) < 1500  # those of the catalog


@on_servers
def test_small_table_is_not_hashed(ledger: Ledger) -> None:
    """Of a table with few rows every row is looked at, index or not."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, f"key {n}") for n in range(3000)])
    ledger.sql("ANALYZE TABLE t")
    with ledger.sources.snapshot("ledger") as connection:
        found = catalog.columns(connection, "t")
        assert not prefilter.goes_by_hash(connection, "t", ("k",), found)


@pytest.mark.parametrize("alike", [1, 2, 3, 4])
@pytest.mark.parametrize("pair", [(), (0, 1), (1, 2), (0, 2)], ids=str)
@on_servers
def test_keys_that_share_a_hash_by_chance_are_told_apart(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, alike: int, pair: tuple[int, ...]
) -> None:
    """However many keys share a hash, two rows are duplicates only if their keys are equal."""

    def code(rows: Any, *_: object) -> Any:
        return rows.c.id.op("DIV")(alike)

    monkeypatch.setattr(prefilter, "_code", code)
    ledger.sql(TABLE)
    doubled = {12 + n: "same" for n in pair if n < alike}
    ledger.insert("t", "id, k", [(n, doubled.get(n, f"key {n}")) for n in range(24)])
    result = _hashed(ledger, "k")
    assert row_ids(result) == ([tuple(doubled)] if len(doubled) > 1 else [])


ALPHABET = "aAbB \t\xa0\xe9\xdf\u0301\u200b\u3000\u5238\U0001f600\U0001f4b0%'\\\0"
TEXTS = st.one_of(
    st.none(),
    st.text(ALPHABET, max_size=4),
    st.builds("{}{}".format, st.text("aA ", max_size=2), st.text(" \xa0\u200b", max_size=3)),
)


@on_servers
@pytest.mark.parametrize(
    "collation",
    ["utf8mb4_unicode_ci", "utf8mb4_general_ci", "utf8mb4_bin", "utf8mb4_unicode_520_ci"],
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from([None, 0, 7])), max_size=40))
def test_hashing_changes_no_answer(
    ledger: Ledger, collation: str, rows: list[tuple[str | None, str | None, int | None]]
) -> None:
    """Whatever the keys and their collation, grouping by hash finds what plain grouping finds."""
    ledger.sql(
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (id bigint PRIMARY KEY, a varchar(50), b text, n bigint)"
        f" COLLATE {collation}",
    )
    ledger.insert("t", "id, a, b, n", [(i, *row) for i, row in enumerate(rows)])
    for columns in (["a"], ["b", "n"], ["a", "b", "n"]):
        assert _hashed(ledger, *columns) == run(ledger, *columns)


@on_mysql
def test_hashing_changes_no_answer_without_padding(ledger: Ledger) -> None:
    """Under a collation that does not ignore trailing spaces, hashing finds no more and no less."""
    ledger.sql(f"{TABLE} COLLATE utf8mb4_0900_ai_ci")
    ledger.insert("t", "id, k", enumerate(("a", "a ", "A", "\xe9", "e\u0301", "", " ", None, None)))
    assert _hashed(ledger, "k") == run(ledger)
    assert row_ids(run(ledger)) == [(0, 2), (3, 4)]


@on_servers
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("enum('yes','no','maybe')", ("yes", "no", "no", None)),
        ("datetime", ("2026-01-02 20:24:20", "2026-01-02 20:24:20", "2026-01-02 20:24:21")),
        ("decimal(20,2)", ("1.5", "1.50", "-1.5")),
        ("bigint unsigned", (2**64 - 1, 2**64 - 1, 2**64 - 2)),
        ("double", ("0", "-0", "1")),
        ("varbinary(20)", (b"\xff", b"\xff", b"\xff ")),
        ("varchar(20) character set latin1", ("caf\xe9", "CAF\xc9 ", "x")),
    ],
)
def test_hashing_changes_no_answer_for_other_types(
    ledger: Ledger, column: str, values: tuple[object, ...]
) -> None:
    """Keys that are no utf8mb4 texts are found by hash as they are without."""
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k {column})")
    ledger.insert("t", "id, k", enumerate(values))
    assert _hashed(ledger, "k") == run(ledger)
    assert run(ledger).violations == 1


def _hashed(ledger: Ledger, *columns: str) -> Result:
    """Run it as on a large table without an index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefilter, "MANY_ROWS", -1)
        return run(ledger, *columns)


def _session_status(ledger: Ledger, act: Callable[[], object]) -> dict[str, int]:
    """How much each status counter of the server grew meanwhile, over all of its sessions."""
    wanted = (
        "SHOW GLOBAL STATUS WHERE Variable_name IN"
        " ('Sort_rows', 'Handler_write', 'Handler_tmp_write')"
    )
    before = {name: int(value) for name, value in ledger.sql(wanted)}
    act()
    return {name: int(value) - before[name] for name, value in ledger.sql(wanted)}


def _spellings(result: Result) -> tuple[object, ...]:
    shown = [finding.evidence.get("spellings") for finding in result.findings]
    return next(each for each in shown if isinstance(each, tuple))


@pytest.mark.parametrize(
    ("columns", "most"), [(["k"], 1), (["s", "k"], 40)], ids=["one", "many of a composite key"]
)
def test_duplicates_under_an_index_that_lies(
    flavour: Flavour, throwaway_server: Callable[..., Server], columns: list[str], most: int
) -> None:
    """Duplicates that `unique_checks=0` let in under a unique index are counted and listed."""
    server = throwaway_server(flavour, "--innodb-buffer-pool-load-at-startup=0")
    database = Database(server=server, name=server.create_database())
    doubled = _let_duplicates_in(server, database, columns, most)
    ledger = ledger_on(database)
    with closing(ledger.connection), closing(ledger.sources):
        index = ledger.run("unique_index", "t", columns=columns)
        result = run(ledger, *columns)
        one = check("duplicates", "t", primary_key="id", columns=columns)
        looked_at = ledger.sql(one.look([result.findings[0].key]) or "")
    assert [row[0] for row in sorted(looked_at)] == list(doubled[looked_at[0][1].lower()])
    assert index.violations == 0  # the database says that all is well
    assert result.violations == len(doubled) > 0
    assert len(result.findings) == len(doubled)
    for finding in result.findings:
        key = str(finding.key["k"]).lower()
        assert finding.evidence["row_ids"] == doubled[key]
    for finding in result.findings[:GROUPS_IN_FULL]:
        # The index would lead to only one of the two.
        assert len(_spellings(Result(0, 0, (finding,)))) == 2


def _let_duplicates_in(
    server: Server, database: Database, columns: Sequence[str], most: int
) -> dict[str, tuple[int, ...]]:
    """Rows under a unique index that is believed, not looked at; the keys that are there twice.

    InnoDB buffers an insert into an index page that is not in memory, and does not look there for
    a duplicate when `unique_checks` is off, as every restore of a dump has it.
    """
    key = "CONCAT(SHA1(n), ':', n)"
    if server.flavour == "mysql":
        key = "CONCAT(LEFT(SHA2(n, 256), 40), ':', n)"
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        if not cursor.execute("SHOW VARIABLES LIKE 'innodb_change_buffering'"):
            pytest.skip("this MariaDB has no change buffer (since 11.0): no index lies this way")
        cursor.execute("SET GLOBAL innodb_change_buffering = 'all'")
        cursor.execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100) NOT NULL, s int NOT NULL,"
            f" UNIQUE KEY uk ({', '.join(columns)}))"
        )
        cursor.execute("CREATE TABLE digits (d int)")
        cursor.execute("INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
        cursor.execute(
            f"INSERT INTO t SELECT n, {key}, 7 FROM ("
            " SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d AS n"
            " FROM digits a, digits b, digits c, digits e, digits f WHERE f.d < 6) AS numbers"
        )
    server.restart()
    taken: dict[str, tuple[int, ...]] = {}
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        if not cursor.execute("SHOW VARIABLES LIKE 'innodb_change_buffering'"):
            pytest.skip("this MariaDB has no change buffer (since 11.0): no index lies this way")
        cursor.execute("SET GLOBAL innodb_change_buffering = 'all'")
        cursor.execute("SET unique_checks = 0")
        for number in range(100, 60000, 1500):
            copied = f"SELECT id + 1000000, UPPER(k), s FROM t WHERE id = {number}"
            if len(taken) < most and cursor.execute(f"INSERT IGNORE INTO t {copied}"):
                cursor.execute(f"SELECT k FROM t WHERE id = {number}")
                (row,) = cursor.fetchall()
                taken[row[0]] = (number, number + 1000000)
    return taken


LIVE = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100), s int, gone datetime)"
LIVE_ROWS = [
    *((1, "a", 0, "2026-01-01"), (2, "a", 0, "2026-01-02"), (3, "a", 0, None)),
    *((4, "b", 0, None), (5, "B", 0, None), (6, "c", 0, None), (7, "c", None, None)),
    *((8, None, 0, None), (9, None, 0, None), (10, "b", 1, None)),
]


@pytest.mark.parametrize("index", ["", "KEY (k)", "KEY (k, s, gone)", "UNIQUE KEY (id, k)"])
@pytest.mark.parametrize("many", [False, True])
@on_servers
def test_only_some_rows_share_no_key(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, index: str, *, many: bool
) -> None:
    """Rows for which the condition is false or unknown may share keys, whatever index there is."""
    if many:
        monkeypatch.setattr(prefilter, "MANY_ROWS", -1)
    ledger.sql(f"{LIVE[:-1]}{', ' if index else ''}{index}) COLLATE utf8mb4_unicode_ci")
    ledger.insert("t", "id, k, s, gone", LIVE_ROWS)
    ledger.sql("ANALYZE TABLE t")
    when = "s = 0 AND gone IS NULL"
    result = run(ledger, when=when)
    assert (keys(result), row_ids(result)) == ([{"k": "b"}], [(4, 5)])
    assert result.measures["groups_spelled_differently"] == 1
    fields: dict[str, Any] = {"columns": ["k"], "primary_key": "id", "when": when}
    one = check("duplicates", "t", **fields)
    for asked in (keys(result), [{"id": 4}, {"id": 5}]):
        statement = one.look(asked)
        assert statement is not None
        assert [row[0] for row in ledger.sql(statement)] == [4, 5]
    statement = one.look()
    assert statement is not None
    assert len(ledger.sql(statement)) == 1
    assert "rows for which this is not true: s = 0 AND gone IS NULL" in one.excluded


def test_some_rows_share_no_key_of_several_columns(ledger: Ledger) -> None:
    """A condition may name the key and any other column."""
    ledger.sql(LIVE)
    ledger.insert("t", "id, k, s, gone", LIVE_ROWS)
    assert keys(run(ledger, "s", when="k = 'a'")) == [{"s": 0}]
    assert row_ids(run(ledger, "s", "gone", when="k = 'a'")) == []
    assert keys(run(ledger, "k", "s", when="gone IS NOT NULL")) == [{"k": "a", "s": 0}]


def test_condition_keeps_cursors_and_plans_of_others() -> None:
    """Without a condition nothing of a check is other than before."""
    plain = check("duplicates", "t", columns=["k"], primary_key="id")
    assert "when" not in plain.cursor_owner
    assert (
        plain.look() == check("duplicates", "t", columns=["k"], primary_key="id", when=None).look()
    )


def test_declared_primary_key_is_looked_at(ledger: Ledger) -> None:
    """A column that is called primary key and is none may repeat."""
    ledger.sql("CREATE TABLE t (id bigint, k varchar(9))")
    ledger.insert("t", "id, k", [(1, "a"), (1, "b"), (2, "c")])
    result = run(ledger, "id")
    assert (keys(result), row_ids(result)) == ([{"id": 1}], [(1,)])
    assert result.findings[0].evidence["rows"] == 2
    if ledger.backend != "sqlite":
        statement = check("duplicates", "t", columns=["id"], primary_key="id").look(keys(result))
        assert statement is not None
        assert len(ledger.sql(statement)) == 2
