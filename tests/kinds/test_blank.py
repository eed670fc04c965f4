"""`blank`: no key is NULL, empty or nothing but white space."""

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.contract import SAMPLE, CheckError, Result
from checks.kinds.blank import Blank
from checks.sql.functions import WHITE_SPACE
from checks.sql.render import render
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_mysql, on_servers

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100))"
NOT_BLANK = ("a", " a", "a ", "\tx\t", "0", "NULL", "\u200b", "\u200b ", " \u200b", "\0", ".")


def run(ledger: Ledger, **fields: object) -> Result:
    return ledger.run("blank", "t", **{"column": "k", "primary_key": "id"} | fields)


def test_filled_keys_pass(ledger: Ledger) -> None:
    """A key with anything visible in it, or an invisible character that is no space, passes."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", enumerate(NOT_BLANK))
    result = run(ledger)
    assert (result.examined, result.violations) == (len(NOT_BLANK), 0)
    assert result.measures == {"null": 0, "empty": 0, "white_space": 0}


@pytest.mark.parametrize("index", [False, True])
def test_null_empty_and_white_space_are_told_apart(ledger: Ledger, *, index: bool) -> None:
    """NULL, the empty text and white space are three counts, although padding makes two equal."""
    ledger.sql(TABLE, *(["CREATE INDEX i ON t (k)"] if index else []))
    ledger.insert("t", "id, k", enumerate((None, "", "", " ", "    ", "\t\n", "x")))
    result = run(ledger)
    assert result.measures == {"null": 1, "empty": 2, "white_space": 3}
    assert keys(result) == [{"id": n} for n in range(6)]
    assert messages(result) == [
        "t.k is NULL",
        *["t.k is empty"] * 2,
        *["t.k is only white space"] * 3,
    ]
    assert [finding.evidence["k"] for finding in result.findings] == [
        *(None, "", "", " ", "    ", "\t\n")
    ]


COLUMNS = [
    "varchar(100) COLLATE utf8mb4_unicode_ci",
    "varchar(100) COLLATE utf8mb4_bin",
    "varchar(100) COLLATE utf8mb4_general_ci",
    "varchar(100) COLLATE utf8mb4_unicode_520_ci",
    "varchar(100) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin",
    "text COLLATE utf8mb4_unicode_ci",
]


def assert_every_white_space_is_found(ledger: Ledger, column: str, characters: str) -> None:
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k {column})")
    if "text" not in column:
        ledger.sql("CREATE INDEX i ON t (k)")
    texts = [*characters, *(a + b for a in characters for b in characters), characters]
    ledger.insert("t", "id, k", enumerate([*texts, *(f"{each}x" for each in characters)]))
    result = run(ledger)
    assert result.measures == {"null": 0, "empty": 0, "white_space": len(texts)}


@on_servers
@pytest.mark.parametrize("column", COLUMNS)
def test_every_white_space_is_found(ledger: Ledger, column: str) -> None:
    """Each of Unicode's white spaces is one, under every collation, alone and among others."""
    assert_every_white_space_is_found(ledger, column, WHITE_SPACE)


@on_mysql
@pytest.mark.parametrize("collation", ["utf8mb4_0900_ai_ci", "utf8mb4_0900_bin"])
def test_every_white_space_is_found_without_padding(ledger: Ledger, collation: str) -> None:
    """Each of Unicode's white spaces is one under MySQL 8's collations that do not pad."""
    column = f"varchar(100) COLLATE {collation}"
    assert_every_white_space_is_found(ledger, column, WHITE_SPACE)


@on_servers
@pytest.mark.parametrize("collation", ["utf8mb4_unicode_ci", "utf8mb4_bin"])
def test_index_serves_the_search(ledger: Ledger, collation: str) -> None:
    """With an index on the key, ranges of it are read and not the table."""
    ledger.sql(f"{TABLE} COLLATE {collation}", "CREATE INDEX i ON t (k)")
    ledger.insert("t", "id, k", [(n, f"key {n}") for n in range(3000)])
    ledger.sql("ANALYZE TABLE t")
    one = check("blank", "t", primary_key="id", column="k")
    assert isinstance(one, Blank)
    with one.snapshot(ledger.sources) as snapshot:
        counts = render(one.counts(one.rows(), snapshot))
    (plan,) = ledger.sql(f"EXPLAIN FORMAT=TRADITIONAL {counts}")
    assert {"range", "i"} <= set(plan)


@on_servers
@pytest.mark.parametrize("charset", ["latin1", "ascii", "utf8mb3", "gbk"])
def test_column_of_another_character_set(ledger: Ledger, charset: str) -> None:
    """A column that cannot hold most white spaces is searched for those that it can hold."""
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100) CHARACTER SET {charset})")
    ledger.insert("t", "id, k", enumerate((" ", "\t\r", "", None, "x", "x ", "  x")))
    assert run(ledger).measures == {"null": 1, "empty": 1, "white_space": 2}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_every_white_space_is_found_on_sqlite(ledger: Ledger) -> None:
    """Each of Unicode's white spaces is one on SQLite, too."""
    assert_every_white_space_is_found(ledger, "varchar(100)", WHITE_SPACE)


def test_white_space_is_what_unicode_says() -> None:
    """The list is Unicode's White_Space: the separators and the six controls that are spaces."""
    controls = "\t\n\v\f\r\x85"
    separators = (chr(n) for n in range(0x110000) if unicodedata.category(chr(n))[0] == "Z")
    assert sorted(WHITE_SPACE) == sorted((*controls, *separators))


KEYS = st.lists(
    st.one_of(
        st.none(),
        st.text(f"{WHITE_SPACE}", max_size=4),
        st.text(f"{WHITE_SPACE}aB0%_\\'\u200b\u00ad\u0301\u0e40\U0001f600\0", max_size=4),
    ),
    max_size=60,
)


@pytest.mark.parametrize("collation", ["utf8mb4_unicode_ci", "utf8mb4_bin"])
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(written=KEYS)
def test_index_probes_equal_a_full_scan(
    ledger: Ledger, collation: str, written: Sequence[str | None]
) -> None:
    """What the probes along the index count is what Python finds by looking at every key."""
    collate = "" if ledger.backend == "sqlite" else f" COLLATE {collation}"
    ledger.sql(
        "DROP TABLE IF EXISTS t",
        f"CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100){collate})",
        "CREATE INDEX i ON t (k)",
    )
    ledger.insert("t", "id, k", enumerate(written))
    nulls = [n for n, key in enumerate(written) if key is None]
    empty = [n for n, key in enumerate(written) if key == ""]
    spaces = [n for n, key in enumerate(written) if key and not key.strip(WHITE_SPACE)]
    result = run(ledger)
    counts = {"null": len(nulls), "empty": len(empty), "white_space": len(spaces)}
    assert result.measures == counts
    assert keys(result) == [{"id": n} for n in sorted(nulls + empty + spaces)[:SAMPLE]]


@pytest.mark.parametrize("column", ["varbinary(10)", "blob"])
def test_no_bytes_are_blank(ledger: Ledger, column: str) -> None:
    """Bytes are blank when there are none; spaces and NUL are bytes."""
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k {column})")
    values = [None, b"", b" ", b"\0", b"\xc3\x28"]
    ledger.insert("t", "id, k", enumerate(values))
    result = run(ledger)
    assert result.measures == {"null": 1, "empty": 1, "white_space": 0}
    assert messages(result) == ["t.k is NULL", "t.k is empty"]
    look = check("blank", "t", primary_key="id", column="k").look()
    assert look is not None
    if ledger.backend != "sqlite":
        assert sorted(row[0] for row in ledger.sql(look)) == [0, 1]


@on_servers
def test_inspection_query_agrees_on_white_space(ledger: Ledger) -> None:
    """What other definitions call white space is shown neither by the check nor by its SQL."""
    ledger.sql(TABLE)
    others = "\u180e\u200b\u2060\ufeff\u00ad\u034f"
    ledger.insert("t", "id, k", enumerate((*WHITE_SPACE, *others)))
    found = [key["id"] for key in keys(run(ledger))]
    look = check("blank", "t", primary_key="id", column="k").look()
    assert look is not None
    assert sorted(row[0] for row in ledger.sql(look)) == found == list(range(len(WHITE_SPACE)))


@pytest.mark.parametrize("column", ["bigint", "datetime", "decimal(10,2)", "bit(3)"])
def test_other_types_can_only_be_null(ledger: Ledger, column: str) -> None:
    """In a column that holds neither text nor bytes only NULL is blank: 0 is a value."""
    ledger.sql(f"CREATE TABLE t (id bigint PRIMARY KEY, k {column})")
    value: object = {"datetime": "2026-01-05 00:00:00"}.get(column, 0)
    ledger.insert("t", "id, k", [(1, value), (2, None)])
    result = run(ledger)
    assert (keys(result), result.measures) == (
        [{"id": 2}],
        {"null": 1, "empty": 0, "white_space": 0},
    )


def test_primary_key_itself_may_be_blank(ledger: Ledger) -> None:
    """A key that is the table's primary key is reported when it is blank."""
    ledger.sql("CREATE TABLE t (id varchar(50) NOT NULL PRIMARY KEY)")
    ledger.insert("t", "id", [("",), ("x",)])
    result = run(ledger, column="id")
    assert (keys(result), messages(result)) == ([{"id": ""}], ["t.id is empty"])


@on_any
def test_sample_is_bounded_and_the_count_is_exact(ledger: Ledger) -> None:
    """Of too many blank keys some are shown and all are counted."""
    ledger.sql(TABLE)
    ledger.insert("t", "id, k", [(n, " " * (n % 3)) for n in range(SAMPLE + 8)] + [(-1, None)])
    result = run(ledger)
    assert (result.violations, len(result.findings)) == (SAMPLE + 9, SAMPLE)
    assert result.measures == {"null": 1, "empty": 336, "white_space": 672}


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"column": "kk"}, "table t has no column kk; the nearest existing name is k"),
        ({"primary_key": "i"}, "table t has no column i; the nearest existing name is id"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, fields: dict[str, str], message: str
) -> None:
    """A column that is missing is a permanent error that names the nearest one."""
    ledger.sql(TABLE)
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert str(caught.value) == message
    assert caught.value.permanent
