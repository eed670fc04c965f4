"""`aggregate`: a total that is kept in a row agrees with the rows that it is kept of."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.contract import CheckError, Result
from tests.support.books import fold_of
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from tests.support.runs import NOON, set_clock, window_after

TABLES = (
    (
        "CREATE TABLE t (id bigint PRIMARY KEY, code varchar(9), stock {type}, least int, most int,"
        " live int, state varchar(9))"
    ),
    (
        "CREATE TABLE d (id bigint PRIMARY KEY, of_code varchar(9), added {type}, taken {type},"
        " price int, status varchar(9), at datetime)"
    ),
)
DECLARED: dict[str, Any] = {
    "primary_key": "id",
    "by": ["code"],
    "details": "d",
    "details_by": ["of_code"],
    "sums": {"stock": "added - taken"},
    "minimums": {"least": "price"},
    "maximums": {"most": "price"},
    "counts": {"live": "status = 'live'"},
    "when": "state = 'on'",
    "details_when": "status <> 'gone'",
}
EXAMPLES = {"sqlite": 60, "mariadb": 15, "mysql": 8}
Row = dict[str, Any]

KEPT = st.fixed_dictionaries(
    {
        "code": st.sampled_from(["a", "A ", "b", None]),
        "stock": st.sampled_from([None, 0, 0, 1, 2]),
        "least": st.sampled_from([None, None, 1, 2]),
        "most": st.sampled_from([None, None, 1, 2]),
        "live": st.sampled_from([None, 0, 0, 1]),
        "state": st.sampled_from(["on", "on", "on", "off", None]),
    }
)
DETAIL = st.fixed_dictionaries(
    {
        "of_code": st.sampled_from(["a", "a", "A", "b", None]),
        "added": st.sampled_from([None, 0, 1, 2, 2]),
        "taken": st.sampled_from([0, 0, 1]),
        "price": st.sampled_from([None, 1, 2]),
        "status": st.sampled_from(["live", "live", "LIVE", "old", "gone", None]),
        "age": st.sampled_from([0, 5, 30, None]),
    }
)


def fill(ledger: Ledger, kept: list[Row], details: list[Row], type_name: str = "bigint") -> None:
    """Make the tables hold just these rows."""
    ledger.sql("DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS d")
    ledger.sql(*(each.format(type=type_name) for each in TABLES))
    for table, rows in (("t", kept), ("d", details)):
        for number, row in enumerate(rows, 1):
            ledger.insert(table, f"id, {', '.join(row)}", [(number, *row.values())])


def run(ledger: Ledger, **fields: object) -> Result:
    return ledger.run("aggregate", "t", **(DECLARED | fields))


def off(row: Row, details: list[Row]) -> int:
    """By how much a row is off, each of its totals rounded up; 0 where it is right."""
    amounts = [None if each["added"] is None else each["added"] - each["taken"] for each in details]
    prices = [each["price"] for each in details if each["price"] is not None]
    right = {
        "stock": sum(each or 0 for each in amounts),
        "least": min(prices, default=None),
        "most": max(prices, default=None),
        "live": sum(each["status"] == "live" for each in details),
    }
    kept = {**row, "stock": row["stock"] or 0, "live": row["live"] or 0}
    pairs = [(kept[name], value) for name, value in right.items() if kept[name] != value]
    size = sum(abs(one - two) for one, two in pairs if None not in (one, two))
    return max(1, size) if pairs or None in amounts else 0


def test_rows_that_are_off_are_found_and_no_others(ledger: Ledger) -> None:
    """Totals of random rows against a reading with pencil and paper; what is young waits."""
    fold = fold_of(ledger.backend)
    fill(ledger, [], [])

    @settings(max_examples=EXAMPLES[ledger.backend], deadline=None)
    @given(
        kept=st.lists(KEPT, max_size=4),
        details=st.lists(DETAIL, max_size=5),
        empty=st.sampled_from(["compared", "ignored"]),
        settle=st.sampled_from([0, 10]),
    )
    def holds(kept: list[Row], details: list[Row], empty: str, settle: int) -> None:
        ages = [each.pop("age") for each in details]
        times = [age if age is None else NOON - timedelta(seconds=age) for age in ages]
        shown = [
            {**row, "at": at and at.strftime("%F %T")}
            for row, at in zip(details, times, strict=True)
        ]
        fill(ledger, kept, shown)
        wrong, waiting, judged = {}, 0, 0
        for number, row in enumerate(kept, 1):
            own = [
                (each, age)
                for each, age in zip(details, ages, strict=True)
                if fold(each["of_code"]) == fold(row["code"]) and each["of_code"] is not None
                if each["status"] not in ("gone", None)
            ]
            folded = [{**each, "status": fold(each["status"])} for each, _ in own]
            if row["state"] != "on" or (not own and empty == "ignored"):
                continue
            by = off(row, folded)
            waits = by and any(age is not None and age < settle for _, age in own)
            waiting, judged = waiting + bool(waits), judged + (not waits)
            if by and not waits:
                wrong[number] = by
        with set_clock():
            fields = {"settle": f"{settle}s", "details_written_at": "at", "empty": empty}
            result = run(ledger, **fields)
        seen = {each.key["id"]: each.magnitude for each in result.findings}
        assert (seen, result.examined, result.violations) == (wrong, judged, len(wrong))
        assert result.measures.get("waiting", 0) == waiting

    holds()


def test_a_finding_shows_both_sides(ledger: Ledger) -> None:
    """What is kept, what the details make, and how many there are; the SQL shows the same."""
    fill(
        ledger,
        [{"code": "a", "stock": 5, "live": 1, "state": "on"}],
        [{"of_code": "a", "added": n, "taken": 1, "status": "live"} for n in (3, 4)],
    )
    (finding,) = run(ledger).findings
    assert finding.evidence == {
        "problem": "apart",
        "off": ("live",),
        "live": 1,
        "COUNT(status = 'live')": 2,
        "details": 2,
        "code": "a",
    }
    assert finding.message == "t: code a: live 1, COUNT(status = 'live') 2"
    assert finding.aspects == ("live < COUNT(status = 'live')",)
    declared = check("aggregate", "t", **DECLARED)
    if ledger.backend != "sqlite":
        for sql in (declared.look(), declared.look([{"id": 1}]), *declared.statements(NOON, None)):  # type: ignore[arg-type]
            assert len(ledger.sql(sql or "")) == 1
    ledger.sql("UPDATE t SET live = 2", "UPDATE d SET taken = NULL WHERE id = 2")
    (finding,) = run(ledger).findings
    assert (finding.evidence["problem"], finding.evidence["details_without_amount"]) == (
        "unclear",
        1,
    )
    assert finding.evidence["SUM(added - taken)"] == 2
    assert "1 details have no amount (NULL)" in finding.message


@on_any
def test_a_condition_is_shown_as_the_number_that_it_is(ledger: Ledger) -> None:
    """A flag that is off by one row is off by one, whichever server says so."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, used int)", "CREATE TABLE d (id int, t int)")
    ledger.insert("t", "id, used", [(1, 0), (2, 7), (3, None)])
    ledger.insert("d", "id, t", [(1, 1), (2, 2), (3, 2), (4, 2)])
    result = check(
        *("aggregate", "t"),
        primary_key="id",
        by=["id"],
        details="d",
        details_by=["t"],
        counts={"used > 0": "TRUE"},
    ).run(ledger.sources)
    one, other = result.findings
    assert one.message == "t: id 1: used > 0 0, COUNT(TRUE) 1"
    assert other.message == "t: id 2: used > 0 1, COUNT(TRUE) 3"
    assert [(one.magnitude, one.aspects), (other.magnitude, other.aspects)] == [
        (1, ("used > 0 < COUNT(TRUE)",)),
        (2, ("used > 0 < COUNT(TRUE)",)),
    ]


def test_a_known_finding_does_not_wait_again(ledger: Ledger) -> None:
    """A new detail makes a row wait only until it is told; it is not resolved by another one."""
    old, young = ((NOON - timedelta(seconds=s)).strftime("%F %T") for s in (60, 1))
    detail = {"of_code": "a", "added": 3, "taken": 0, "status": "live"}
    kept = [{"code": "a", "stock": 9, "live": 2, "state": "on"}]
    fields = {"settle": "10s", "details_written_at": "at"}
    with set_clock():
        fill(ledger, kept, [detail | {"at": old}])
        result = run(ledger, **fields)
        fill(ledger, kept, [detail | {"at": old}, detail | {"at": young}])
        assert keys(run(ledger, **fields)) == []
        declared = check("aggregate", "t", **(DECLARED | fields))
        assert keys(declared.run(ledger.sources, window_after(result))) == [{"id": 1}]


@on_servers
@pytest.mark.parametrize("type_name", ["bigint unsigned", "decimal(38,9)"])
def test_sums_are_exact(ledger: Ledger, type_name: str) -> None:
    """Unsigned differences, sums beyond 64 bits and fractions are compared to the last digit."""
    most = 2**64 - 1
    kept = {"code": "a", "stock": most, "live": 3, "state": "on"}
    amounts = [(most, 0), (most, most), (0, 0)]
    details = [{"of_code": "a", "added": a, "taken": t, "status": "live"} for a, t in amounts]
    fill(ledger, [kept], details, type_name)
    assert messages(run(ledger)) == []
    ledger.sql("UPDATE d SET taken = 1 WHERE id = 1")
    (finding,) = run(ledger).findings
    assert (finding.magnitude, finding.evidence["SUM(added - taken)"]) == (1, most - 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sums": {}, "minimums": {}, "maximums": {}, "counts": {}}, "states no total"),
        ({"details_by": ["of_code", "id"]}, "details_by names 2 columns, by 1"),
        ({"by": ["COALESCE(code, 'x')"], "details_by": None}, "details_by is missing"),
        ({"settle": "9s"}, "details_written_at is missing"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], message: str) -> None:
    """A mistake of the configuration is told in one sentence."""
    with pytest.raises(ValidationError) as caught:
        check("aggregate", "t", **(DECLARED | fields))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sums": {"stock": "status"}}, "d.status is varchar(9), and no amount"),
        ({"by": ["stock"]}, "t.stock cannot be compared with d.of_code"),
        ({"settle": "9s", "details_written_at": "price"}, "d.price is int"),
        ({"counts": {"live": "statu = 'x'"}}, "table d has no column statu; the nearest"),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    ledger: Ledger, fields: dict[str, object], message: str
) -> None:
    """Columns that are no amounts, no times or not comparable are permanent errors."""
    fill(ledger, [], [])
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert message in str(caught.value).replace("int(11)", "int").replace("INT", "int")
    assert caught.value.permanent
