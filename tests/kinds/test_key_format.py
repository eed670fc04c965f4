"""`key_format`: every key is written as the standard says."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from checks.contract import CheckError, Result, Window
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from tests.support.runs import NOON, set_clock, window_after

ORDERS = "CREATE TABLE t (id bigint PRIMARY KEY, k varchar(100), source varchar(9), at datetime)"
RULE = "order_{int}"
ZONE = ZoneInfo("Asia/Shanghai")


def fill(ledger: Ledger, *values: str | None, first: int = 1) -> None:
    if first == 1:
        ledger.sql(ORDERS)
    rows = [(n, k, "app", "2026-01-05 10:00:00") for n, k in enumerate(values, first)]
    ledger.insert("t", "id, k, source, at", rows)


def run(ledger: Ledger, window: Window | None = None, **fields: object) -> Result:
    declared = {"primary_key": "id", "column": "k", "patterns": RULE} | fields
    return check("key_format", "t", **declared).run(ledger.sources, window or Window(zone=ZONE))


def test_each_key_that_breaks_the_rule_is_found(ledger: Ledger) -> None:
    """Exactly the rows whose key is not the rule's, as a whole and letter by letter."""
    fill(ledger, "order_1", "ORDER_1", "order_1 ", "order_1\n", "order_", "order_٣", "order_22")
    result = run(ledger)
    assert keys(result) == [{"id": n} for n in (2, 3, 4, 5, 6)]
    assert (result.examined, result.violations, result.complete) == (7, 5, True)
    assert messages(result)[0] == "t.k is not written as the rule says"
    assert [each.evidence for each in result.findings][:2] == [{"k": "ORDER_1"}, {"k": "order_1 "}]


def test_a_key_that_is_not_there_has_no_format(ledger: Ledger) -> None:
    """NULL, empty and white space are for `blank` to tell."""
    fill(ledger, None, "", "  ", "\t", "x")
    assert keys(run(ledger)) == [{"id": 5}]


@on_any
def test_one_of_several_rules_is_enough(ledger: Ledger) -> None:
    """A key that obeys another rule is right."""
    fill(ledger, "order_1", "50f654f6-152f-4411-8bbd-59d68331fcd6", "x")
    assert keys(run(ledger, patterns=[RULE, "{uuid}"])) == [{"id": 3}]


def test_other_rows_are_not_judged(ledger: Ledger) -> None:
    """`when` says which rows the rule is for; where it is unknown, it is not."""
    fill(ledger, "x", "x", "x")
    ledger.sql(
        "UPDATE t SET source = 'pos' WHERE id = 2", "UPDATE t SET source = NULL WHERE id = 3"
    )
    assert keys(run(ledger, when="source = 'app'")) == [{"id": 1}]


def test_rows_from_before_are_not_judged(ledger: Ledger) -> None:
    """A cut-over is a moment: the column tells local time; a row without a time is a new one."""
    fill(ledger, "x", "x", "x")
    ledger.sql(
        "UPDATE t SET at = '2026-01-02 20:24:19' WHERE id = 1",
        "UPDATE t SET at = '2026-01-02 20:24:20' WHERE id = 2",
        "UPDATE t SET at = NULL WHERE id = 3",
    )
    since = datetime.fromisoformat("2026-01-02T12:24:20+00:00")
    assert keys(run(ledger, since=since, written_at="at")) == [{"id": 2}, {"id": 3}]
    with pytest.raises(ValidationError, match="written_at is missing: since needs"):
        run(ledger, since=since)


def test_a_cut_over_needs_a_time(ledger: Ledger) -> None:
    """A column that tells no time makes the check an error."""
    fill(ledger, "x")
    with pytest.raises(CheckError, match=r"t\.source is varchar\(9\), and tells no time"):
        run(ledger, since=NOON, written_at="source")


@on_any
def test_the_sample_is_bounded_and_the_count_exact(ledger: Ledger) -> None:
    """Of many violations the first thousand are shown, and the next run reads everything."""
    fill(ledger, *["x"] * 1003, "order_1")
    result = run(ledger, cursor="id")
    assert (result.violations, len(result.findings)) == (1003, 1000)
    assert (result.examined, result.cursor) == (1004, None)


@on_any
def test_only_new_rows_and_known_findings_are_read(ledger: Ledger) -> None:
    """A run along the cursor sees what is new and whether what was wrong was mended; no more."""
    with set_clock() as clock:
        fill(ledger, "order_1", "x", "y", "order_4")
        first = run(ledger, cursor="id")
        assert (keys(first), first.complete) == ([{"id": 2}, {"id": 3}], True)
        clock.move(60)
        ledger.sql("UPDATE t SET k = 'order_2' WHERE id = 2", "UPDATE t SET k = 'z' WHERE id = 1")
        fill(ledger, "w", "order_6", first=5)
        second = run(ledger, window_after(first), cursor="id")
        assert (keys(second), second.complete) == ([{"id": 3}, {"id": 5}], False)
        assert second.violations == 2
        assert second.examined == 3  # the last row is always read again
        clock.move(60)
        third = run(ledger, cursor="id")
        assert keys(third) == [{"id": 1}, {"id": 3}, {"id": 5}]


@on_any
def test_rows_that_appear_behind_the_cursor_are_read(ledger: Ledger) -> None:
    """What is committed late, within the overlap, is seen by the next run."""
    with set_clock() as clock:
        fill(ledger, "order_1")
        fill(ledger, "order_9", first=9)
        first = run(ledger, cursor="id")
        clock.move(30)
        fill(ledger, "late", first=5)
        window = window_after(first, overlap=timedelta(minutes=10))
        assert keys(run(ledger, window, cursor="id")) == [{"id": 5}]


def test_a_cursor_that_cannot_be_followed_is_told(ledger: Ledger) -> None:
    """Without an index on the cursor the table is read as a whole, and a note says so."""
    fill(ledger, "x")
    result = run(ledger, cursor="at")
    assert (keys(result), result.complete, result.cursor) == ([{"id": 1}], True, None)
    assert result.notes == (
        "t is read as a whole: cursor at may be NULL: such rows would never be read",
    )


@pytest.mark.parametrize(
    ("patterns", "may"),
    [("{word:1..101}", "of 101 characters"), ("{hex}", "of any length"), ("{word:1..100}", None)],
)
def test_a_rule_that_does_not_fit_is_told(ledger: Ledger, patterns: str, may: str | None) -> None:
    """A rule whose longest key is longer than its column is a complaint and a note."""
    fill(ledger)
    told = [f"the rule allows keys {may}, t.k holds 100"] if may else []
    declared = check("key_format", "t", primary_key="id", column="k", patterns=patterns)
    with ledger.sources.snapshot("ledger") as connection:
        assert list(declared.complaints(connection)) == told
    assert list(run(ledger, patterns=patterns).notes) == told


def test_the_primary_key_may_be_the_key(ledger: Ledger) -> None:
    """A table whose primary key is the key itself is read, too."""
    ledger.sql("CREATE TABLE t (k varchar(50) PRIMARY KEY)")
    ledger.insert("t", "k", [("order_1",), ("x",)])
    result = run(ledger, primary_key="k")
    assert (keys(result), result.findings[0].evidence) == ([{"k": "x"}], {})


@on_servers
def test_long_values_are_cut(ledger: Ledger) -> None:
    """Of a long value a finding shows the start."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, k text)")
    ledger.insert("t", "id, k", [(1, "x" * 60_000)])
    shown = str(run(ledger).findings[0].evidence["k"])
    assert shown.startswith("x" * 100 + "… [60000 characters")


@on_any
def test_a_missing_column_cannot_be_answered(ledger: Ledger) -> None:
    """A column that is missing is a permanent error."""
    fill(ledger)
    with pytest.raises(CheckError, match="table t has no column kk") as caught:
        run(ledger, column="kk")
    assert caught.value.permanent


def test_a_rule_is_needed() -> None:
    """A check without a rule asks nothing, and a bad one is told at its place."""
    with pytest.raises(ValidationError, match="patterns"):
        check("key_format", "t", primary_key="id", column="k", patterns=[])
    with pytest.raises(ValidationError, match=r"patterns\.1[\s\S]*is no placeholder"):
        check("key_format", "t", primary_key="id", column="k", patterns=["a", "{b}"])


def test_the_rule_is_told_in_one_line() -> None:
    """The rule of the check names the column and the patterns."""
    declared = check("key_format", "t", primary_key="id", column="k", patterns=["a{int}", "{uuid}"])
    assert declared.rule == "k: a{int} or {uuid}"
