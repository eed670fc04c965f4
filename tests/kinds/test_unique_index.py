"""`unique_index`: the database itself forbids two rows with the same key."""

import pytest

from checks.contract import CheckError
from tests.support.ledgers import Ledger, messages, on_any, on_mysql, on_servers

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100) NOT NULL, s int NOT NULL)"


def test_unique_index_passes(ledger: Ledger) -> None:
    """A unique index over exactly the key is no violation and gives no note."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX uk_t_k ON t (k)", "CREATE INDEX other ON t (s)")
    result = ledger.run("unique_index", "t", columns=["k"], index="uk_t_k")
    assert (result.examined, result.violations, result.notes) == (3, 0, ())


def test_missing_index_is_found(ledger: Ledger) -> None:
    """A key without any index is a violation, with nothing near it."""
    ledger.sql(TABLE)
    result = ledger.run("unique_index", "t", columns=["k"])
    assert messages(result) == ["no unique index over exactly (k) of t"]
    assert result.findings[0].key == {"table": "t", "columns": "k"}
    assert result.findings[0].evidence == {"near": ()}


@pytest.mark.parametrize(
    ("index", "near"),
    [
        ("INDEX i ON t (k)", "i (k): not unique"),
        ("UNIQUE INDEX i ON t (s, k)", "i (s, k): unique"),
        ("UNIQUE INDEX i ON t (k, s)", "i (k, s): unique"),
    ],
)
def test_index_that_proves_less_is_found(ledger: Ledger, index: str, near: str) -> None:
    """A plain index, and a unique one over more columns than the key, leave the key unproven."""
    ledger.sql(TABLE, f"CREATE {index}")
    result = ledger.run("unique_index", "t", columns=["k"])
    assert result.violations == 1
    assert result.findings[0].evidence == {"near": (near,)}


@on_servers
def test_prefix_index_is_found(ledger: Ledger) -> None:
    """A unique index on the first characters of the key is reported, for it is not the key's."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX i ON t (k(20))")
    result = ledger.run("unique_index", "t", columns=["k"])
    assert result.findings[0].evidence == {"near": ("i (k): unique, partial",)}


@on_servers
def test_composite_with_one_prefix_is_found(ledger: Ledger) -> None:
    """A prefix of only one column of several spoils the index all the same."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX i ON t (s, k(20))")
    result = ledger.run("unique_index", "t", columns=["s", "k"])
    assert result.findings[0].evidence == {"near": ("i (s, k): unique, partial",)}


@on_mysql
@pytest.mark.parametrize("parts", ["(lower(k))", "k, (s % 2)"])
def test_functional_index_is_found(ledger: Ledger, parts: str) -> None:
    """A unique index on an expression does not prove the columns in it."""
    ledger.sql(TABLE, f"CREATE UNIQUE INDEX i ON t ({parts})")
    assert ledger.run("unique_index", "t", columns=["k"]).violations == 1


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("index", ["(k) WHERE s > 0", "(lower(k))"])
def test_partial_index_is_found(ledger: Ledger, index: str) -> None:
    """A unique index over some rows only, or on an expression, proves nothing on SQLite either."""
    ledger.sql(TABLE, f"CREATE UNIQUE INDEX i ON t {index}")
    assert ledger.run("unique_index", "t", columns=["k"]).violations == 1


def test_order_of_columns_does_not_matter(ledger: Ledger) -> None:
    """A unique index over the key's columns in another order proves the key."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX i ON t (s, k)")
    assert ledger.run("unique_index", "t", columns=["k", "s"], index="i").violations == 0


def test_other_name_is_a_note(ledger: Ledger) -> None:
    """A unique index under another name than expected proves the key; its name is only a note."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX idempotency_key ON t (k)")
    result = ledger.run("unique_index", "t", columns=["k"], index="uk_t_k")
    assert result.violations == 0
    assert result.notes == ("the unique index is named idempotency_key, not uk_t_k",)


def test_second_index_is_a_note(ledger: Ledger) -> None:
    """Two unique indexes over the same key are no violation; that one is redundant is a note."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX a ON t (k)", "CREATE UNIQUE INDEX b ON t (k)")
    result = ledger.run("unique_index", "t", columns=["k"], index="b")
    assert (result.violations, result.notes) == (0, ("redundant unique indexes: a, b",))


def test_primary_key_counts(ledger: Ledger) -> None:
    """The primary key proves its column, under the name PRIMARY."""
    ledger.sql(TABLE)
    result = ledger.run("unique_index", "t", columns=["id"], index="PRIMARY")
    assert (result.violations, result.notes) == (0, ())


def test_composite_primary_key_proves_the_pair_only(ledger: Ledger) -> None:
    """A primary key over two columns proves the pair and neither of the two alone."""
    ledger.sql("CREATE TABLE t (a int NOT NULL, b int NOT NULL, PRIMARY KEY (a, b))")
    pair, single = (ledger.run("unique_index", "t", columns=c) for c in (["b", "a"], ["a"]))
    assert (pair.violations, single.violations) == (0, 1)


@on_any
def test_missing_table_cannot_be_answered(ledger: Ledger) -> None:
    """Without its table the check has no answer: a permanent error that names the table."""
    with pytest.raises(CheckError, match="table t does not exist") as caught:
        ledger.run("unique_index", "t", columns=["k"])
    assert caught.value.permanent


LIVE = {"columns": ["k"], "when": "s = 0 AND gone IS NULL"}
ROWS = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100) NOT NULL, s int, gone datetime"


@on_servers
@pytest.mark.parametrize(
    "more",
    [
        "live int AS (IF(s = 0 AND gone IS NULL, 1, NULL)), UNIQUE KEY u (k, live)",
        "live varchar(100) AS (IF(s = 0 AND gone IS NULL, k, NULL)), UNIQUE KEY u (live)",
        "UNIQUE KEY u (k)",
    ],
)
def test_key_of_some_rows_is_proven_by_a_generated_column(ledger: Ledger, more: str) -> None:
    """A unique index over the key and a generated column of the condition's columns proves it."""
    ledger.sql(f"{ROWS}, {more})")
    result = ledger.run("unique_index", "t", **LIVE, index="u")
    assert (result.violations, result.notes) == (0, ())


@on_servers
@pytest.mark.parametrize(
    ("more", "near"),
    [
        ("KEY u (k)", "u (k): not unique"),
        ("UNIQUE KEY u (k, s)", "u (k, s): unique"),
        ("UNIQUE KEY u (k, s, gone)", "u (k, s, gone): unique"),
        (
            "live int AS (IF(s = 0, 1, NULL)), UNIQUE KEY u (k, live)",
            "u (k, live): unique; live is ",
        ),
        ("live int AS (s + id), UNIQUE KEY u (k, live, id)", "u (k, live, id): unique; live is "),
    ],
)
def test_key_of_some_rows_is_not_proven(ledger: Ledger, more: str, near: str) -> None:
    """Neither an index of all rows that allows more, nor one without the condition's columns."""
    ledger.sql(f"{ROWS}, {more})")
    (finding,) = ledger.run("unique_index", "t", **LIVE).findings
    assert finding.message == "no unique index over (k) of t among s = 0 AND gone IS NULL"
    found = finding.evidence["near"]
    assert isinstance(found, tuple)
    assert [str(each)[: len(near)] for each in found] == [near]


@on_mysql
def test_key_of_some_rows_is_proven_by_a_functional_index(ledger: Ledger) -> None:
    """So it is by an index on expressions."""
    case = "(CASE WHEN s = 0 AND gone IS NULL THEN k END)"
    ledger.sql(f"{ROWS}, UNIQUE KEY u ({case}))")
    assert ledger.run("unique_index", "t", **LIVE).violations == 0


@on_mysql
def test_functional_index_is_near(ledger: Ledger) -> None:
    """An index on an expression is named as such, with the expression."""
    ledger.sql(TABLE, "CREATE UNIQUE INDEX i ON t ((lower(k)), s)", "CREATE INDEX j ON t ((s + 1))")
    (finding,) = ledger.run("unique_index", "t", columns=["k"]).findings
    assert finding.evidence == {"near": ("i ((lower(`k`)), s): unique, of an expression",)}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_key_of_some_rows_is_proven_by_a_partial_index(ledger: Ledger) -> None:
    """On SQLite an index of some rows proves it."""
    ledger.sql(f"{ROWS})", "CREATE UNIQUE INDEX u ON t (k) WHERE s = 0 AND gone IS NULL")
    assert ledger.run("unique_index", "t", **LIVE).violations == 0
    assert ledger.run("unique_index", "t", columns=["k"]).violations == 1
