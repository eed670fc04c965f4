"""Primary keys of several columns: rows are named by all of them, in every kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from checks.contract import Check, Result, Scalar
from tests.support.ledgers import Ledger, check, configured, keys, on_any, on_servers
from tests.support.runs import seen, window_after
from worker.config import ConfigError

SEATS = """CREATE TABLE seats (hall int NOT NULL, seat int NOT NULL, price bigint,
    code varchar(20), state varchar(9), taken_at datetime, PRIMARY KEY (hall, seat))"""
COLUMNS = "hall, seat, price, code, state, taken_at"
SEAT = ["hall", "seat"]
LONG_AGO = "2026-01-05 00:00:00"


def fill(ledger: Ledger, rows: Sequence[Sequence[object]]) -> None:
    """Seats of a hall, each with a price and a code, all taken long ago."""
    ledger.sql(SEATS)
    ledger.insert("seats", COLUMNS, [(*row, "taken", LONG_AGO) for row in rows])


def shown(ledger: Ledger, check: Check, result: Result) -> list[tuple[Any, ...]]:
    """What the inspection query of a result's findings returns."""
    query = check.look([finding.key for finding in result.findings])
    assert query
    return ledger.sql(query)


def seat(hall: int, number: int) -> dict[str, Scalar]:
    """A key of the table."""
    return {"hall": hall, "seat": number}


def test_rows_that_share_a_part_are_different_findings(ledger: Ledger) -> None:
    """(1, 12), (11, 2), (12, 1) and (12, 2) are four rows, in the order of the key."""
    fill(ledger, [(12, 2, -9, "a"), (1, 12, -1, "b"), (11, 2, -3, "c"), (12, 1, -8, "d")])
    ledger.insert("seats", COLUMNS, [(2, 1, 5, "e", "free", LONG_AGO)])
    result = ledger.run("non_negative", "seats", columns=["price"], primary_key=SEAT)
    assert (result.violations, result.examined) == (4, 5)
    assert keys(result) == [seat(1, 12), seat(11, 2), seat(12, 1), seat(12, 2)]
    assert [dict(each.evidence) for each in result.findings[:1]] == [{"price": -1}]


@on_servers
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("non_negative", {"columns": ["price"]}),
        ("condition", {"expression": "price >= 0"}),
        ("blank", {"column": "code"}),
        ("key_format", {"column": "code", "patterns": ["row_{int}"]}),
        ("stuck", {"when": "state = 'held'", "entered_at": "taken_at", "longer_than": "1m"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inspection_queries_show_exactly_the_rows(
    ledger: Ledger, kind: str, fields: dict[str, Any]
) -> None:
    """Of rows that share parts of their keys the query shows those of the findings, no others."""
    ledger.sql(SEATS)
    bad = {"non_negative": (-1, "row_1"), "condition": (-1, "row_1")}.get(kind, (1, ""))
    bad = (1, "row-1") if kind == "key_format" else bad
    for hall in (1, 2):
        for number in (1, 2):
            is_bad = hall == number
            values = (*(bad if is_bad else (1, "row_1")), "held" if is_bad else "sold", LONG_AGO)
            ledger.insert("seats", COLUMNS, [(hall, number, *values)])
    one = check(kind, "seats", primary_key=SEAT, **fields)
    result = one.run(ledger.sources)
    assert keys(result) == [seat(1, 1), seat(2, 2)]
    assert [row[:2] for row in shown(ledger, one, result)] == [(1, 1), (2, 2)]


@on_any
def test_known_rows_are_looked_at_again(ledger: Ledger) -> None:
    """A run along one column of the key looks again at the rows known to be wrong, by all of it."""
    fill(ledger, [(1, number, 1, "row_1") for number in range(1, 9)])
    ledger.sql("UPDATE seats SET code = 'row-1' WHERE seat IN (2, 3)")
    ledger.insert("seats", COLUMNS, [(9, 2, 1, "row_1", "taken", LONG_AGO)])
    fields = {"column": "code", "patterns": ["row_{int}"], "cursor": "hall"}
    one = check("key_format", "seats", primary_key=SEAT, written_at="taken_at", **fields)
    first = one.run(ledger.sources)
    assert keys(first) == [seat(1, 2), seat(1, 3)]
    ledger.sql("UPDATE seats SET code = 'row_2' WHERE hall = 1 AND seat = 2")
    ledger.sql("UPDATE seats SET code = 'row-2' WHERE hall = 1 AND seat = 5")  # unseen until then
    second = one.run(ledger.sources, window_after(first))
    assert (second.complete, keys(second)) == (False, [seat(1, 3)])
    assert keys(one.run(ledger.sources)) == [seat(1, 3), seat(1, 5)]


TICKETS = """CREATE TABLE tickets (id bigint PRIMARY KEY, hall int, seat int, price bigint,
    sold_at datetime)"""


def tickets(ledger: Ledger, rows: Sequence[Sequence[object]]) -> None:
    """Tickets for seats, sold long ago."""
    ledger.sql(TICKETS)
    ledger.insert("tickets", "id, hall, seat, price, sold_at", [(*r, LONG_AGO) for r in rows])


TO_SEATS: dict[str, Any] = {
    "primary_key": "id",
    "columns": ["hall", "seat"],
    "parent": "seats",
    "parent_primary_key": SEAT,
    "written_at": "sold_at",
    "parent_written_at": "taken_at",
    "equal": {"price": "price"},
    "reverse": True,
    "one_to_one": True,
}


def test_a_parent_is_named_by_its_whole_key(ledger: Ledger) -> None:
    """A reference names the parent's key; far rows are told as `table.column`, part by part."""
    fill(ledger, [(1, 1, 5, "a"), (1, 2, 5, "b"), (2, 1, 5, "c"), (2, 2, 7, "d")])
    tickets(ledger, [(1, 1, 1, 5), (2, 1, 2, 6), (3, 3, 1, 5), (4, 2, 2, 7), (5, 2, 2, 7)])
    one = check("reference", "tickets", **TO_SEATS)
    result = one.run(ledger.sources)
    assert seen(result) == [
        ({"id": 2}, "mismatched"),
        ({"id": 3}, "dangling"),
        ({"seats.hall": 2, "seats.seat": 1}, "unreferenced"),
        ({"seats.hall": 2, "seats.seat": 2}, "shared"),
    ]
    mismatched = result.findings[0]
    assert mismatched.evidence["seats.hall"] == 1
    assert mismatched.evidence["seats.seat"] == 2
    assert mismatched.aspects == ("seats.hall 1, seats.seat 2", "price > price")
    again = one.run(ledger.sources, window_after(result))
    assert seen(again) == seen(result)


@on_servers
def test_far_rows_are_shown_by_their_whole_key(ledger: Ledger) -> None:
    """The inspection query of an unreferenced parent and of a shared one shows these alone."""
    fill(ledger, [(1, 1, 5, "a"), (1, 2, 5, "b"), (2, 1, 5, "c"), (2, 2, 7, "d")])
    tickets(ledger, [(1, 1, 1, 5), (2, 1, 2, 5), (4, 2, 2, 7), (5, 2, 2, 7)])
    one = check("reference", "tickets", **TO_SEATS)
    alone, shared = one.run(ledger.sources).findings
    rows = ledger.sql(one.look([shared.key]) or "")
    assert sorted(row[0] for row in rows) == [4, 5]
    rows = ledger.sql(one.look([alone.key]) or "")
    assert [tuple(v for v in row if v is not None)[:2] for row in rows] == [(2, 1)]
    every = {str(row[1]) for row in ledger.sql(one.look() or "")}
    assert "2, 1" in every


def test_rows_of_several_columns_refer(ledger: Ledger) -> None:
    """The near side, too, is named by all of its key, one to one."""
    ledger.sql("CREATE TABLE halls (hall int PRIMARY KEY, built_at datetime)")
    ledger.insert("halls", "hall, built_at", [(1, LONG_AGO), (3, LONG_AGO)])
    fill(ledger, [(1, 1, 5, "a"), (1, 2, 5, "b"), (2, 1, 5, "c"), (2, 2, 7, "d"), (1, 10, 1, "e")])
    one = check(
        "reference",
        "seats",
        primary_key=SEAT,
        columns=["hall"],
        parent="halls",
        parent_primary_key="hall",
        written_at="taken_at",
        parent_written_at="built_at",
        reverse=True,
        one_to_one=True,
    )
    result = one.run(ledger.sources)
    assert seen(result) == [
        (seat(2, 1), "dangling"),
        (seat(2, 2), "dangling"),
        ({"halls.hall": 3}, "unreferenced"),
        ({"halls.hall": 1}, "shared"),
        ({"halls.hall": 2}, "shared"),
    ]
    ends = result.findings[3].evidence["row_ids"]
    assert ends == ('{"hall": 1, "seat": 1}', '{"hall": 1, "seat": 10}')
    assert one.row_keys(result.findings[3].evidence) == [seat(1, 1), seat(1, 10)]


def test_postings_are_named_by_all_columns_on_either_side(ledger: Ledger) -> None:
    """A business row and a ledger row with composite keys, with and without each other."""
    fill(ledger, [(1, 1, 5, "a"), (1, 2, 5, "b"), (2, 1, 5, "c")])
    ledger.sql(
        """CREATE TABLE journal (id bigint NOT NULL, day int NOT NULL, event varchar(40),
            amount bigint, made_at datetime, PRIMARY KEY (id, day))"""
    )
    rows = [(1, 1, "seat:1:1", 5), (1, 2, "seat:1:2", 4), (2, 1, "seat:9:9", 5)]
    ledger.insert("journal", "id, day, event, amount, made_at", [(*r, LONG_AGO) for r in rows])
    one = check(
        "posting",
        "seats",
        primary_key=SEAT,
        written_at="taken_at",
        ledger="journal",
        ledger_primary_key=["id", "day"],
        ledger_written_at="made_at",
        ledger_key="seat:{hall}:{seat}",
        ledger_key_column="event",
        ledger_when="event LIKE 'seat:%'",
        equal={"price": "amount"},
    )
    result = one.run(ledger.sources)
    assert seen(result) == [
        (seat(1, 2), "mismatched"),
        (seat(2, 1), "missing"),
        ({"journal.id": 2, "journal.day": 1}, "orphaned"),
    ]
    assert seen(one.run(ledger.sources, window_after(result))) == seen(result)


def test_duplicates_list_rows_by_all_columns(ledger: Ledger) -> None:
    """Groups keep their first row's spelling, and list rows so that each is found again."""
    fill(ledger, [(10, 1, 5, "x"), (2, 1, 5, "x"), (2, 10, 5, "x"), (3, 1, 5, "y")])
    one = check("duplicates", "seats", primary_key=SEAT, columns=["code"])
    result = one.run(ledger.sources)
    assert keys(result) == [{"code": "x"}]
    listed = result.findings[0].evidence["row_ids"]
    assert listed == (
        '{"hall": 2, "seat": 1}',
        '{"hall": 10, "seat": 1}',
        '{"hall": 2, "seat": 10}',
    )
    assert one.row_keys(result.findings[0].evidence) == [seat(2, 1), seat(10, 1), seat(2, 10)]
    if ledger.backend != "sqlite":
        rows = ledger.sql(one.look(one.row_keys(result.findings[0].evidence)) or "")
        assert [row[:2] for row in rows] == [(2, 1), (2, 10), (10, 1)]
        assert ledger.sql(one.look() or "") == [("x", 3)]


@on_servers
def test_spellings_of_a_group_are_those_of_its_rows(ledger: Ledger) -> None:
    """A group that a collation makes is called as its first row spells it."""
    fill(ledger, [(2, 1, 5, "Ab"), (2, 2, 5, "aB"), (1, 9, 5, "AB")])
    result = ledger.run("duplicates", "seats", primary_key=SEAT, columns=["code"])
    assert keys(result) == [{"code": "AB"}]
    assert result.measures["groups_spelled_differently"] == 1
    ends = result.findings[0].evidence["row_ids"]
    assert isinstance(ends, tuple)
    assert ends[:2] == ('{"hall": 1, "seat": 9}', '{"hall": 2, "seat": 2}')


POTS = "CREATE TABLE pots (owner int, asset int, amount bigint, PRIMARY KEY (owner, asset))"
MOVES = """CREATE TABLE moves (id bigint NOT NULL, day int NOT NULL, owner int, asset int,
    delta bigint, had bigint, has bigint, PRIMARY KEY (id, day))"""
BALANCE: dict[str, Any] = {
    "primary_key": ["owner", "asset"],
    "ledger": "moves",
    "by": ["owner", "asset"],
    "sums": {"amount": "delta"},
}


@on_servers
def test_balances_and_ledger_rows_of_composite_keys(ledger: Ledger) -> None:
    """Sums need no order; along one column of the ledger's key runs are incremental."""
    ledger.sql(POTS, MOVES)
    ledger.insert("pots", "owner, asset, amount", [(1, 1, 5), (1, 2, 7)])
    ledger.insert("moves", "id, day, owner, asset, delta", [(1, 1, 1, 1, 5), (2, 1, 1, 2, 6)])
    along = {"ledger_primary_key": ["id", "day"], "ledger_cursor": "id"}
    one = check("balance", "pots", **BALANCE, **along)
    first = one.run(ledger.sources)
    assert keys(first) == [{"owner": 1, "asset": 2}]
    ledger.insert("moves", "id, day, owner, asset, delta", [(3, 1, 1, 2, 1)])
    assert one.run(ledger.sources, window_after(first)).violations == 0


@on_any
def test_a_chain_needs_one_column(ledger: Ledger) -> None:
    """Rows chain in the order of one column, and the error says which field states it."""
    _ = ledger
    chain = {"before": "had", "change": "delta", "after": "has"}
    stated = "state ledger_primary_key, the one that grows with each row"
    with pytest.raises(ValueError, match=stated):
        check("balance", "pots", **BALANCE, ledger_primary_key=["id", "day"], chain=chain)
    assert check("balance", "pots", **BALANCE, ledger_primary_key="id", chain=chain).kind


CONFIGURED = """
[tables.seats]
primary_key = {key}
cursor = "hall"
written_at = "taken_at"
keys = [{{ columns = ["code"] }}]
non_negative = ["price"]
"""


@on_any
def test_facts_state_a_list_of_columns(ledger: Ledger, tmp_path: Path) -> None:
    """A list is taken wherever a column is; a list of one is that column, and no other check."""
    _ = ledger
    found = configured(CONFIGURED.format(key='["hall", "seat"]'), tmp_path)
    assert found["seats.non_negative"].primary_key == ("hall", "seat")  # type: ignore[attr-defined]
    one, same = (configured(CONFIGURED.format(key=k), tmp_path) for k in ('"id"', '["id"]'))
    assert one == same
    assert {n: c.cursor_owner for n, c in one.items()} == {
        n: c.cursor_owner for n, c in same.items()
    }


@on_any
@pytest.mark.parametrize("key", ["[]", '["hall", "hall"]', '["hall", 3]', "3", '["hall", ["a"]]'])
def test_what_is_no_key_is_refused(ledger: Ledger, tmp_path: Path, key: str) -> None:
    """An empty list, a column twice and what is no name are refused where they stand."""
    _ = ledger
    with pytest.raises(ConfigError, match=r"tables\.seats\.primary_key: "):
        configured(CONFIGURED.format(key=key), tmp_path)


def test_kept_totals_are_named_by_all_columns(ledger: Ledger) -> None:
    """A row that keeps a total is named by its whole key."""
    fill(ledger, [(1, 1, 5, "a"), (1, 2, 7, "b"), (2, 1, 0, "c")])
    tickets(ledger, [(1, 1, 1, 5), (2, 1, 2, 6), (3, 2, 1, 1)])
    one = check(
        "aggregate",
        "seats",
        primary_key=SEAT,
        by=["hall", "seat"],
        details="tickets",
        sums={"price": "price"},
    )
    result = one.run(ledger.sources)
    assert keys(result) == [seat(1, 2), seat(2, 1)]
    if ledger.backend != "sqlite":
        assert [row[:2] for row in shown(ledger, one, result)] == [(1, 2), (2, 1)]


def test_unequal_sums_list_their_rows_by_all_columns(ledger: Ledger) -> None:
    """Rows of a group that does not add up are listed so that each is found again."""
    fill(ledger, [(1, 1, 5, "a"), (1, 2, -5, "a"), (2, 1, 3, "b"), (2, 2, 1, "b")])
    one = check("conservation", "seats", primary_key=SEAT, by=["code"], sum="price", settle="0s")
    result = one.run(ledger.sources)
    assert keys(result) == [{"code": "b"}]
    assert one.row_keys(result.findings[0].evidence) == [seat(2, 1), seat(2, 2)]
