"""`condition`: every row satisfies an expression."""

import pytest

from checks.contract import SAMPLE, CheckError, Result
from checks.kinds.condition import MOST_TALLIED
from tests.support.ledgers import Ledger, keys, messages, on_any, on_servers

LOCKED = "(status = 'locked') = non_empty_array(locks)"
ITEMS = "CREATE TABLE t (id bigint PRIMARY KEY, status varchar(20), locks text)"
TRADES = "CREATE TABLE t (id bigint PRIMARY KEY, gross bigint, fee bigint, net bigint)"
LOWEST, HIGHEST = -(2**63), 2**63 - 1

LOCK = '[{"lock_id": "7"}]'
NO_LOCKS = (None, "null", "[]", "{}", '{"a": [1]}', "7", '"text"', "true", " [ ] ")
LOCKS = (LOCK, "[null]", "[[]]", "[{}]", ' [1, {"a": [2, 3]}]\n', '["\\u0000", "券"]')
MALFORMED = ("", "[", "[1", "{'a': 1}", "[1],", "undefined", "[1] [2]", "\\")


def run(ledger: Ledger, expression: str, **fields: object) -> Result:
    return ledger.run("condition", "t", expression=expression, primary_key="id", **fields)


def test_rows_that_keep_the_condition_pass(ledger: Ledger) -> None:
    """Locked items with locks and other items without any, however written, are no violation."""
    ledger.sql(ITEMS)
    rows = [("locked", each) for each in LOCKS] + [("available", each) for each in NO_LOCKS]
    ledger.insert("t", "id, status, locks", [(n, *row) for n, row in enumerate(rows)])
    result = run(ledger, LOCKED)
    assert (result.examined, result.findings) == (len(rows), ())


def test_both_directions_are_found(ledger: Ledger) -> None:
    """Locked items without locks, however that is written, and other items with locks are found."""
    ledger.sql(ITEMS)
    rows = [("available", each) for each in LOCKS] + [("locked", each) for each in NO_LOCKS]
    ledger.insert("t", "id, status, locks", [(n, *row) for n, row in enumerate(rows)])
    result = run(ledger, LOCKED)
    assert result.violations == len(rows)
    assert keys(result) == [{"id": n} for n in range(len(rows))]
    assert set(messages(result)) == {f"t: not true: {LOCKED}"}
    assert result.findings[0].evidence == {"status": "available", "locks": LOCK}


@pytest.mark.parametrize("status", ["locked", "available", None])
def test_malformed_json_is_a_violation(ledger: Ledger, status: str | None) -> None:
    """A text that is no JSON is unknown, so a violation either way, and stops no run."""
    ledger.sql(ITEMS)
    ledger.insert("t", "id, status, locks", [(n, status, bad) for n, bad in enumerate(MALFORMED)])
    assert run(ledger, LOCKED).violations == len(MALFORMED)


@on_servers
def test_column_of_type_json(ledger: Ledger) -> None:
    """The servers' own JSON type, and its literal null, are judged like text."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, status enum('locked','free'), locks json)")
    rows = [("locked", LOCK), ("free", None), ("free", "null"), ("free", "[]"), ("free", "{}")]
    rows += [("locked", "null"), ("locked", None), ("free", "[0]")]
    ledger.insert("t", "id, status, locks", [(n, *row) for n, row in enumerate(rows)])
    assert keys(run(ledger, LOCKED)) == [{"id": 5}, {"id": 6}, {"id": 7}]


def test_unknown_is_a_violation(ledger: Ledger) -> None:
    """A condition that NULL makes unknown is not kept."""
    ledger.sql(TRADES)
    rows = [(1, 3, 1, 2), (2, None, 1, 2), (3, 3, None, 3), (4, 3, 1, 1)]
    ledger.insert("t", "id, gross, fee, net", rows)
    assert keys(run(ledger, "gross = net + fee")) == [{"id": 2}, {"id": 3}, {"id": 4}]
    assert keys(run(ledger, "gross = COALESCE(net, 0) + COALESCE(fee, 0)")) == [
        {"id": 2},
        {"id": 4},
    ]


def test_sums_of_the_largest_amounts_are_exact(ledger: Ledger) -> None:
    """Sums beyond BIGINT are compared exactly and raise no overflow."""
    ledger.sql(TRADES)
    rows = [
        (1, HIGHEST, 1, HIGHEST - 1),
        (2, HIGHEST, 0, HIGHEST - 1),
        (3, LOWEST, HIGHEST, HIGHEST),
        (4, LOWEST, LOWEST, 0),
        (5, -1, HIGHEST, LOWEST),
        (6, -2, LOWEST, LOWEST),
    ]
    ledger.insert("t", "id, gross, fee, net", rows)
    assert keys(run(ledger, "gross = net + fee")) == [{"id": 2}, {"id": 3}, {"id": 6}]
    assert keys(run(ledger, "gross - fee = net")) == [{"id": 2}, {"id": 3}, {"id": 6}]


@on_servers
def test_products_and_negations_of_the_largest_amounts_are_exact(ledger: Ledger) -> None:
    """The product of two BIGINT, a sum of it, and the negation of the lowest raise no overflow."""
    ledger.sql(TRADES)
    ledger.insert("t", "id, gross, fee, net", [(1, LOWEST, HIGHEST, HIGHEST), (2, 1, 2, 3)])
    assert keys(run(ledger, "fee * net - net * fee = 0")) == []
    assert keys(run(ledger, "fee * net + 1 > fee * net")) == []
    assert keys(run(ledger, "-gross > fee")) == [{"id": 2}]


@on_servers
def test_fractions_are_not_rounded(ledger: Ledger) -> None:
    """Sums of DECIMAL columns keep their fractions."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a decimal(10,2), b decimal(20,6), c double)")
    ledger.insert("t", "id, a, b, c", [(1, "1.00", "0.5", 0.5), (2, "1.5", "0.750000", 0.75)])
    assert keys(run(ledger, "a = b + b")) == []
    assert keys(run(ledger, "a - b = b")) == []
    assert keys(run(ledger, "a = 2 * b")) == []
    assert keys(run(ledger, "a = b + b + 0 AND -a = 0 - a")) == []
    assert keys(run(ledger, "a = b")) == [{"id": 1}, {"id": 2}]


@on_servers
def test_texts_compare_as_the_column_does(ledger: Ledger) -> None:
    """A text is compared under the column's collation, whatever its character set."""
    ledger.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(9) COLLATE utf8mb4_unicode_ci,"
        " b varchar(9) COLLATE utf8mb4_bin, c varchar(9) CHARACTER SET latin1)",
        "INSERT INTO t VALUES (1, 'Locked', 'Locked', 'Locked')",
    )
    outcomes = [run(ledger, f"{column} = 'locked'").violations for column in "abc"]
    assert outcomes == [0, 1, 0]
    assert run(ledger, "c <> 'é' AND c LIKE 'lo%'").violations == 0


def test_tally_counts_every_state(ledger: Ledger) -> None:
    """The tally counts all rows value by value, those that keep the condition too."""
    ledger.sql(ITEMS)
    statuses = ["locked"] * 3 + ["available"] * 2 + ["used"]
    ledger.insert("t", "id, status", enumerate(statuses))
    result = run(ledger, "status <> 'used'", tally="status")
    assert result.measures == {"locked": 3, "available": 2, "used": 1}
    assert (result.violations, result.examined) == (1, 6)


@on_any
def test_tally_is_bounded(ledger: Ledger) -> None:
    """A column with many values does not make as many measures."""
    ledger.sql(ITEMS)
    ledger.insert("t", "id, status", [(n, f"s{n}") for n in range(MOST_TALLIED + 10)])
    assert len(run(ledger, "id >= 0", tally="status").measures) == MOST_TALLIED


@on_any
def test_sample_is_bounded_and_the_count_is_exact(ledger: Ledger) -> None:
    """Of too many violating rows the first are shown and all are counted."""
    most = SAMPLE + 9
    ledger.sql(ITEMS)
    ledger.insert("t", "id, status", [(n, "x" * n) for n in range(1, 21)])
    ledger.insert("t", "id", [(n,) for n in range(21, most + 1)])
    result = run(ledger, "status = 'y'")
    assert (result.violations, result.examined) == (most, most)
    assert keys(result) == [{"id": n} for n in range(1, SAMPLE + 1)]


def test_long_evidence_is_cut_and_fingerprinted(ledger: Ledger) -> None:
    """A long text is shown by its start, its length and a fingerprint."""
    ledger.sql(ITEMS)
    ledger.insert("t", "id, status, locks", [(1, "locked", '"' + "券" * 5000 + '"')])
    shown = str(run(ledger, LOCKED).findings[0].evidence["locks"])
    assert shown.startswith('"' + "券" * 99 + "… [5002 characters, sha256 ")
    assert len(shown) < 300


@pytest.mark.parametrize("name", ["select", "order", "a b", "percent%s", 'quo"te', "tick`", "état"])
@on_servers
def test_awkward_column_name(ledger: Ledger, name: str) -> None:
    """A column may be called whatever the database lets it be called."""
    quoted = f"`{name.replace('`', '``')}`"
    ledger.sql(f"CREATE TABLE t (id int PRIMARY KEY, {quoted} int)")
    ledger.sql("INSERT INTO t VALUES (1, 1), (2, 2)")
    result = run(ledger, f"{quoted} = 1")
    assert (keys(result), result.findings[0].evidence) == ([{"id": 2}], {name: 2})


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"expression": "stat = 1"},
            "table t has no column stat; the nearest existing name is stat",
        ),
        ({"tally": "lock"}, "table t has no column lock; the nearest existing name is locks"),
        ({"primary_key": "pk"}, "table t has no column pk"),
    ],
)
def test_missing_name_cannot_be_answered(
    ledger: Ledger, fields: dict[str, str], message: str
) -> None:
    """A column that is missing is a permanent error that names the nearest one."""
    ledger.sql(ITEMS)
    declared = {"expression": "id = 1", "primary_key": "id"} | fields
    with pytest.raises(CheckError) as caught:
        ledger.run("condition", "t", **declared)
    assert str(caught.value).startswith(message)
    assert caught.value.permanent
