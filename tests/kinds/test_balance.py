"""`balance`: the ledger and the balances tell the same story."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from sqlalchemy import Connection, literal

from checks.contract import EVERYTHING, SAMPLE, CheckError, Finding, Result, Scalar, Window
from checks.kinds.balance import check as balance
from checks.kinds.balance import comparison, running_totals, sides
from checks.kinds.balance.comparison import Seen
from checks.ports import Sources
from checks.sql import catalog
from tests.support.ledgers import (
    Backend,
    Ledger,
    check,
    keys,
    messages,
    on_any,
    on_servers,
    sources_of,
)
from tests.support.runs import Clock, DatabaseOnly, seen, set_clock, window_after

LOWEST, HIGHEST = -(2**63), 2**63 - 1
CASELESS = "varchar(50) COLLATE utf8mb4_unicode_ci"
ON_SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
ON_MARIADB = pytest.mark.parametrize("backend", ["mariadb"], indirect=True)

POSTINGS = (
    "CREATE TABLE l (id bigint PRIMARY KEY, account {account}, asset {asset}, delta {amount},"
    " was {amount}, now_is {amount}, hold {amount})"
)
BALANCES = (
    "CREATE TABLE t (id bigint PRIMARY KEY, account {account}, asset {own_asset}, campaign int,"
    " available {amount}, frozen {amount}, changed datetime)"
)
COLUMNS = {
    "account": "bigint",
    "asset": "varchar(50)",
    "own_asset": "varchar(50)",
    "amount": "bigint",
}
DECLARED: dict[str, Any] = {
    "primary_key": "id",
    "ledger": "l",
    "ledger_primary_key": "id",
    "ledger_cursor": "id",
    "by": ["account", "asset"],
    "sums": {"available": "delta", "frozen": "hold"},
    "chain": {"before": "was", "change": "delta", "after": "now_is"},
}
CHAIN_ID = "l.id"
OFF = "rows that do not add up"

Group = tuple[Any, Any]


@dataclass
class Bank:
    """A ledger and balances, with a memory for what the last balance was."""

    ledger: Ledger
    last: dict[Group, int] = field(default_factory=dict)
    ids: int = 0
    balances: int = 0

    def open(self, **types: str) -> None:
        """Make the tables, some columns of other types."""
        columns = COLUMNS | {"own_asset": types.get("asset", COLUMNS["asset"])} | types
        self.ledger.sql(POSTINGS.format(**columns), BALANCES.format(**columns))

    def row(self, *values: object) -> None:
        """A ledger row as given: id, account, asset, delta, was, now_is, hold."""
        self.ledger.insert("l", "id, account, asset, delta, was, now_is, hold", [values])

    def post(self, account: object, asset: object, *deltas: int, hold: int = 0) -> None:
        """Ledger rows that chain; the first of them freezes."""
        rows = []
        for delta in deltas:
            self.ids += 1
            was = self.last.get((account, asset), 0)
            self.last[account, asset] = was + delta
            rows.append((self.ids, account, asset, delta, was, was + delta, hold))
            hold = 0
        self.ledger.insert("l", "id, account, asset, delta, was, now_is, hold", rows)

    def hold(
        self, account: object, asset: object, available: object, frozen: object = 0, row: int = 0
    ) -> None:
        """A balance row."""
        self.balances += 1
        values = (row or self.balances, account, asset, available, frozen)
        self.ledger.insert("t", "id, account, asset, available, frozen", [values])

    def set(self, account: int, asset: str, available: int) -> None:
        """Alter a balance."""
        self.ledger.sql(
            f"UPDATE t SET available = {available} WHERE account = {account} AND asset = '{asset}'"
        )

    def run(self, window: Window = EVERYTHING, /, **fields: object) -> Result:
        """Run the check."""
        return declared(**fields).run(self.ledger.sources, window)

    def after(self, result: Result, /, **fields: object) -> Result:
        """Run the check again, along the cursor, with the smallest overlap that there is."""
        return self.run(window_after(result), **fields)


def declared(**fields: object) -> balance.Balance:
    made = check("balance", "t", **(DECLARED | fields))
    assert isinstance(made, balance.Balance)
    return made


@pytest.fixture
def bank(ledger: Ledger) -> Bank:
    """A bank with tables of the usual types, empty."""
    made = Bank(ledger)
    made.open()
    return made


@pytest.fixture
def founded(ledger: Ledger) -> Bank:
    """A bank that has no tables yet."""
    return Bank(ledger)


def told(result: Result) -> set[tuple[object, ...]]:
    """Key, problem and magnitude of each finding, as texts: the keys may hold NULL."""
    return {
        (str(tuple(f.key.values())), f.evidence["problem"], f.magnitude) for f in result.findings
    }


def only(result: Result) -> Finding:
    """The one finding of a result."""
    (finding,) = result.findings
    assert result.violations == 1
    return finding


# What is right, and what is wrong


def test_books_that_agree_pass(bank: Bank) -> None:
    """Sums that are the balance and rows that chain from 0 are right, whatever they come to."""
    bank.post(1, "P", 10, -3, 0, hold=4)
    bank.post(1, "D", 5, -5)
    bank.post(2, "P", -7)
    bank.hold(1, "P", 7, 4)
    bank.hold(1, "D", 0)
    bank.hold(2, "P", -7)
    result = bank.run()
    assert (result.examined, result.violations, result.findings) == (6, 0, ())
    assert result.complete
    assert result.cursor is not None
    assert result.notes == ()


def test_empty_tables_pass(bank: Bank) -> None:
    """Where there is nothing, nothing is wrong, run after run."""
    first = bank.run()
    assert (first.examined, first.violations, first.complete) == (0, 0, True)
    assert bank.after(first).violations == 0


def test_ledger_rows_without_a_balance(bank: Bank) -> None:
    """A group of ledger rows has a balance, also when its sums are zero."""
    bank.post(1, "P", 10, 5, hold=-2)
    bank.post(2, "P", 6, -6)
    result = bank.run()
    assert keys(result) == [{"account": 1, "asset": "P"}, {"account": 2, "asset": "P"}]
    assert [finding.evidence for finding in result.findings] == [
        {
            "problem": "no_balance",
            "available": None,
            "SUM(delta)": 15,
            "frozen": None,
            "SUM(hold)": -2,
        },
        {
            "problem": "no_balance",
            "available": None,
            "SUM(delta)": 0,
            "frozen": None,
            "SUM(hold)": 0,
        },
    ]
    assert [finding.magnitude for finding in result.findings] == [17, 1]
    assert messages(result)[0] == "t: account 1, asset P: ledger rows in l and no balance"


@pytest.mark.parametrize("empty_allowed", [False, True])
def test_balance_without_ledger_rows(bank: Bank, *, empty_allowed: bool) -> None:
    """A balance has ledger rows; one of 0 in all amounts may be let go without."""
    bank.hold(1, "P", 10, -4)
    bank.hold(2, "P", 0, 0)
    bank.hold(3, "P", 0, 1)
    bank.hold(4, "P", None, None)
    bank.hold(1, "P", 1, 0)
    result = bank.run(empty_allowed=empty_allowed)
    problems = [({"account": n, "asset": "P"}, "no_ledger") for n in (1, 2, 3, 4)]
    assert seen(result) == [problems[n] for n in ((0, 2) if empty_allowed else (0, 1, 2, 3))]
    first = result.findings[0]
    assert first.evidence == {"problem": "no_ledger", "available": 11, "frozen": -4}
    assert first.magnitude == 15
    assert messages(result)[0] == "t: account 1, asset P: a balance and no rows in l"
    assert {finding.magnitude for finding in result.findings[1:]} == {1}
    assert result.examined == 0


def test_sums_that_differ(bank: Bank) -> None:
    """Of a balance that is not the sum, the amounts that differ are told, and no others."""
    bank.post(1, "P", 10)
    bank.post(2, "P", 10, hold=3)
    bank.post(3, "P", 10, hold=5)
    bank.hold(1, "P", 12)
    bank.hold(2, "P", 10, 1)
    bank.hold(3, "P", 0, 6)
    result = bank.run()
    assert [finding.evidence for finding in result.findings] == [
        {"problem": "apart", "available": 12, "SUM(delta)": 10},
        {"problem": "apart", "frozen": 1, "SUM(hold)": 3},
        {
            "problem": "apart",
            "available": 0,
            "SUM(delta)": 10,
            "frozen": 6,
            "SUM(hold)": 5,
        },
    ]
    assert [finding.magnitude for finding in result.findings] == [2, 2, 11]
    assert messages(result)[0] == "t: account 1, asset P: l and the balance differ by 2"


@on_any
def test_differences_do_not_cancel_out(bank: Bank) -> None:
    """What is too much in one amount does not make up for what is too little in another."""
    bank.post(1, "P", 10, hold=10)
    bank.hold(1, "P", 7, 13)
    assert only(bank.run()).magnitude == 6


def test_balance_is_summed_over_its_rows(bank: Bank) -> None:
    """An asset kept in several rows, one for each campaign, is compared as their sum."""
    bank.post(1, "P", 10, 5, hold=2)
    bank.hold(1, "P", 9, 2)
    bank.hold(1, "P", 6)
    bank.hold(1, "P", None)
    assert bank.run().violations == 0
    bank.ledger.sql("UPDATE t SET available = 7 WHERE id = 2")
    assert only(bank.run()).evidence["available"] == 16


def test_null_amounts_count_as_nothing(bank: Bank) -> None:
    """An amount that is NULL adds nothing, on either side, also where all of them are."""
    bank.row(1, 1, "P", 4, 0, 4, None)
    bank.row(2, 2, "P", 0, 0, 0, None)
    bank.hold(1, "P", 4, None)
    bank.hold(2, "P", None, None)
    assert bank.run().violations == 0


# The chain


def test_rows_chain_from_zero(bank: Bank) -> None:
    """The first row of a group begins at 0."""
    bank.row(1, 1, "P", 5, 3, 8, 0)
    bank.hold(1, "P", 5)
    finding = only(bank.run())
    assert finding.evidence == {"problem": "broken_chain", CHAIN_ID: 1}
    assert finding.message == "t: account 1, asset P: rows of l do not lead to the balance"
    assert finding.magnitude == 1


def test_first_row_that_breaks_the_chain_is_told(bank: Bank) -> None:
    """Each row begins where the one before it ended; the first of a group that does not is told."""
    bank.row(1, 1, "P", 5, 0, 5, 0)
    bank.row(2, 2, "P", 9, 0, 9, 0)
    bank.row(3, 1, "P", 5, 5, 10, 0)
    bank.row(4, 1, "P", 5, 11, 16, 0)
    bank.row(5, 2, "P", 1, 9, 10, 0)
    bank.row(6, 1, "P", 5, 17, 22, 0)
    bank.hold(1, "P", 20)
    bank.hold(2, "P", 10)
    finding = only(bank.run())
    assert finding.key == {"account": 1, "asset": "P"}
    assert finding.evidence == {"problem": "broken_chain", CHAIN_ID: 4}


def test_rows_chain_in_the_order_of_their_ids(bank: Bank) -> None:
    """The order is that of the ids, not that in which rows were written or lie on the disk."""
    for number, delta, was in ((30, 1, 3), (10, 1, 0), (20, 2, 1), (40, 2, 4)):
        bank.row(number, 1, "P", delta, was, was + delta, 0)
    bank.hold(1, "P", 6)
    assert bank.run().violations == 0
    bank.ledger.sql("UPDATE l SET id = 5 WHERE id = 30")
    assert only(bank.run()).evidence[CHAIN_ID] == 5


def test_order_of_ids_is_that_of_numbers(bank: Bank) -> None:
    """Ids of different lengths follow each other as numbers do."""
    bank.ids = 7
    bank.post(1, "P", 1, 1, 1, 1)
    bank.hold(1, "P", 4)
    assert bank.run().violations == 0


def test_rows_that_do_not_add_up_are_counted(bank: Bank) -> None:
    """A row that does not lead from its own before to its own after is wrong though rows chain."""
    bank.row(1, 1, "P", 5, 0, 6, 0)
    bank.row(2, 1, "P", 5, 6, 10, 0)
    bank.row(3, 1, "P", 5, 10, 15, 0)
    bank.hold(1, "P", 15)
    finding = only(bank.run())
    assert finding.evidence == {"problem": "broken_chain", OFF: 2}
    assert finding.magnitude == 1


def test_groups_of_several_balance_rows_need_not_chain(bank: Bank) -> None:
    """The ledger does not say to which of two balance rows a row belongs, but each row adds up."""
    bank.row(1, 1, "P", 5, 0, 5, 0)
    bank.row(2, 1, "P", 7, 0, 7, 0)
    bank.hold(1, "P", 5)
    bank.hold(1, "P", 7)
    assert bank.run().violations == 0
    bank.ledger.sql("UPDATE l SET now_is = 8 WHERE id = 2")
    assert only(bank.run()).evidence == {"problem": "broken_chain", OFF: 1}
    bank.ledger.sql("UPDATE l SET now_is = 7", "DELETE FROM t WHERE id = 2")
    bank.ledger.sql("UPDATE l SET now_is = 5 WHERE id = 1", "UPDATE t SET available = 12")
    assert only(bank.run()).evidence == {"problem": "broken_chain", CHAIN_ID: 2}


@on_any
def test_worse_problems_go_first(bank: Bank) -> None:
    """A group is one violation: a missing side goes before a difference, that before the chain."""
    for account in (1, 2, 3):
        bank.row(account * 2, account, "P", 5, 1, 5, 0)
        bank.row(account * 2 + 1, account, "P", 5, 5, 10, 0)
    bank.hold(2, "P", 11)
    bank.hold(3, "P", 10)
    result = bank.run()
    assert [finding.evidence for finding in result.findings] == [
        {
            "problem": "no_balance",
            "available": None,
            "SUM(delta)": 10,
            "frozen": None,
            "SUM(hold)": 0,
            OFF: 1,
        },
        {"problem": "apart", "available": 11, "SUM(delta)": 10, CHAIN_ID: 4, OFF: 1},
        {"problem": "broken_chain", CHAIN_ID: 6, OFF: 1},
    ]


def test_without_a_chain_only_sums_are_compared(ledger: Ledger) -> None:
    """Where no chain is declared, its columns need not exist and the order says nothing."""
    ledger.sql("CREATE TABLE l (id bigint PRIMARY KEY, account int, delta int)")
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, account int, available int)")
    ledger.sql("INSERT INTO l VALUES (1, 1, 5), (2, 1, 6), (3, 2, 1), (4, 3, 0)")
    ledger.sql("INSERT INTO t VALUES (1, 1, 11), (2, 2, 2), (3, 4, 0)")
    fields = {"by": ["account"], "sums": {"available": "delta"}, "chain": None}
    result = Bank(ledger).run(**fields)
    assert set(told(result)) == {
        ("(2,)", "apart", 1),
        ("(3,)", "no_balance", 1),
        ("(4,)", "no_ledger", 1),
    }
    assert (result.violations, result.examined) == (3, 4)


# Groups


@on_any
def test_ledger_may_name_its_columns_otherwise(ledger: Ledger) -> None:
    """`ledger_by` names the ledger's columns for `by`; findings are named after `by`."""
    ledger.sql("CREATE TABLE l (id bigint PRIMARY KEY, what varchar(9), whose int, delta int)")
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, owner int, asset varchar(9), held int)")
    ledger.sql("INSERT INTO l VALUES (1, 'P', 7, 5), (2, 'D', 7, 5), (3, 'P', 8, 1)")
    ledger.sql("INSERT INTO t VALUES (1, 7, 'P', 5), (2, 7, 'D', 4)")
    fields = {
        "by": ["owner", "asset"],
        "ledger_by": ["whose", "what"],
        "sums": {"held": "delta"},
        "chain": None,
    }
    bank = Bank(ledger)
    first = bank.run(**fields)
    assert seen(first) == [
        ({"owner": 7, "asset": "D"}, "apart"),
        ({"owner": 8, "asset": "P"}, "no_balance"),
    ]
    ledger.sql("INSERT INTO l VALUES (4, 'E', 8, 1)", "UPDATE t SET held = 5")
    assert seen(bank.after(first, **fields)) == [
        ({"owner": 8, "asset": "P"}, "no_balance"),
        ({"owner": 8, "asset": "E"}, "no_balance"),
    ]


def test_null_is_a_group_of_its_own(bank: Bank) -> None:
    """Rows without an account or an asset are one group, compared as any other."""
    for account, asset in ((None, "P"), (1, None), (None, None)):
        bank.post(account, asset, 5, 6)
        bank.hold(account, asset, 11)
    assert bank.run().violations == 0
    bank.ledger.sql("UPDATE t SET available = 12 WHERE id < 3", "DELETE FROM t WHERE id = 3")
    bank.hold(2, None, 1)
    wrong = {
        ("(None, 'P')", "apart", 1),
        ("(1, None)", "apart", 1),
        ("(None, None)", "no_balance", 11),
        ("(2, None)", "no_ledger", 1),
    }
    first = bank.run()
    assert told(first) == wrong
    assert told(bank.after(first)) == wrong
    bank.ledger.sql("UPDATE t SET available = 11 WHERE id < 3", "DELETE FROM t WHERE account = 2")
    bank.hold(None, None, 11)
    assert bank.after(first).violations == 0


def test_new_rows_without_a_group_are_seen_beside_known_findings(bank: Bank) -> None:
    """A row whose only group column is NULL is new like any other, whatever else is known."""
    fields = {"by": ["account"]}
    bank.post(1, "P", 5)
    first = bank.run(**fields)
    bank.post(None, "P", 5)
    assert told(bank.after(first, **fields)) == {
        ("(1,)", "no_balance", 5),
        ("(None,)", "no_balance", 5),
    }


@on_servers
def test_groups_are_the_same_by_their_collation(founded: Bank) -> None:
    """Spellings that the collation takes for equal are one group, in runs of either sort."""
    bank = founded
    bank.open(asset=CASELESS)
    bank.post(1, "P", 5)
    for number, asset in ((2, "points"), (3, "POINTS"), (4, "Points ")):
        bank.row(number, 1, asset, 10, number * 10 - 20, number * 10 - 10, 0)
    bank.hold(1, "pOINTS", 30)
    bank.hold(1, "p", 5)
    first = bank.run()
    assert first.violations == 0
    bank.row(5, 1, "poInts", 10, 30, 40, 0)
    finding = only(bank.after(first))
    assert str(finding.key["asset"]).strip().lower() == "points"
    assert finding.evidence == {"problem": "apart", "available": 30, "SUM(delta)": 40}
    bank.ledger.sql("UPDATE t SET available = 40 WHERE asset = 'POINTS'")
    assert bank.after(bank.run()).violations == 0


@on_servers
def test_group_is_named_the_same_in_every_run(founded: Bank) -> None:
    """However a group's rows are spelled, its finding keeps its key: else it would come anew."""
    bank = founded
    bank.open(asset=CASELESS)
    for number, asset in enumerate(("points", "POINTS", "Points"), start=1):
        bank.row(number, 1, asset, 1, number - 1, number, -number)
    first = bank.run()
    bank.row(4, 1, "pOINTS", 1, 3, 4, 0)
    second = bank.after(first)
    bank.ledger.sql("CREATE INDEX i ON l (account, asset, hold)")
    assert keys(first) == keys(second) == keys(bank.run())


@on_servers
@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("varchar(50)", "char(50)"),
        ("varchar(9) COLLATE utf8mb4_bin", "varchar(50) COLLATE utf8mb4_bin"),
        ("text", "varchar(50)"),
        ("enum('D', 'POINTS', 'a', 'é')", "varchar(50)"),
        ("varbinary(50)", "varchar(50) COLLATE utf8mb4_bin"),
    ],
)
def test_texts_of_other_types_are_compared_by_what_they_say(
    founded: Bank, own: str, other: str
) -> None:
    """Whether a group's text is CHAR, VARCHAR, TEXT or ENUM makes no difference."""
    bank = founded
    bank.open(asset=other, own_asset=own)
    for account, asset in enumerate(("POINTS", "D", "a", "é"), start=1):
        bank.post(account, asset, 5)
        bank.hold(account, asset, 5)
    assert bank.run().violations == 0
    bank.set(2, "D", 6)
    assert only(bank.run()).key == {"account": 2, "asset": "D"}


@ON_MARIADB
def test_a_uuid_is_compared_with_its_text(founded: Bank) -> None:
    """MariaDB's UUID is no text, though it compares with one."""
    bank = founded
    bank.open(asset="char(36)", own_asset="uuid")
    name = "123e4567-e89b-12d3-a456-426655440000"
    bank.post(1, name, 5)
    bank.hold(1, name, 5)
    assert bank.run().violations == 0


# Exactness


@on_servers
def test_sums_beyond_64_bits_are_exact(bank: Bank) -> None:
    """Sums of the largest amounts raise no overflow and are compared to the last unit."""
    for account, edge, off in ((1, HIGHEST, 0), (2, HIGHEST, 1), (3, LOWEST, -1), (4, LOWEST, 0)):
        for number in range(3):
            bank.row(account * 10 + number, account, "P", edge, 0, edge, 0)
            bank.hold(account, "P", edge - (off if number == 2 else 0))
    result = bank.run()
    assert told(result) == {("(2, 'P')", "apart", 1), ("(3, 'P')", "apart", 1)}
    evidence = next(f.evidence for f in result.findings if f.key["account"] == 2)
    assert (evidence["SUM(delta)"], evidence["available"]) == (3 * HIGHEST, 3 * HIGHEST - 1)
    assert all(type(value) is int for value in list(evidence.values())[1:])


@on_servers
@pytest.mark.parametrize("amount", ["bigint unsigned", "decimal(38,0)", "int unsigned"])
def test_amounts_of_other_types_are_exact(founded: Bank, amount: str) -> None:
    """Amounts that no BIGINT holds are summed and chained exactly, too."""
    bank = founded
    bank.open(amount=amount)
    most = 2**32 - 1 if amount.startswith("int") else 2**64 - 1
    for account in (1, 2):
        bank.row(account, account, "P", most, 0, most, most)
        bank.row(account + 10, account, "D", most - 1, 1, most, 0)
    for account in (1, 2):
        bank.hold(account, "P", most, most - account + 1)
    assert told(bank.run()) == {
        ("(2, 'P')", "apart", 1),
        ("(1, 'D')", "no_balance", most - 1),
        ("(2, 'D')", "no_balance", most - 1),
    }


def test_a_row_of_the_largest_amounts_adds_up_without_overflow(bank: Bank) -> None:
    """A before and a change whose sum no BIGINT holds make a row that does not add up."""
    bank.row(1, 1, "P", HIGHEST, HIGHEST, HIGHEST, 0)
    bank.row(2, 2, "P", LOWEST, -1, HIGHEST, 0)
    bank.row(3, 3, "P", HIGHEST, 0, HIGHEST, 0)
    for account, amount in ((1, HIGHEST), (2, LOWEST), (3, HIGHEST)):
        bank.hold(account, "P", amount)
    result = bank.run()
    assert keys(result) == [{"account": 1, "asset": "P"}, {"account": 2, "asset": "P"}]
    assert all(finding.evidence[OFF] == 1 for finding in result.findings)


@ON_SQLITE
def test_sqlite_does_not_sum_wrongly(bank: Bank) -> None:
    """SQLite's SUM ends at 64 bits: beyond, the check cannot tell."""
    bank.post(1, "P", HIGHEST)
    bank.row(2, 1, "P", HIGHEST, HIGHEST, 0, 0)
    with pytest.raises(CheckError, match="overflow"):
        bank.run()


# What cannot be asked


@on_servers
def test_unlike_collations_cannot_be_answered(founded: Bank) -> None:
    """Texts of unlike collations are a permanent error, and told by `config check --connect`."""
    founded.open(asset=CASELESS, own_asset="varchar(50) COLLATE utf8mb4_bin")
    with pytest.raises(CheckError) as caught:
        founded.run()
    assert str(caught.value) == (
        "t.asset cannot be compared with l.asset: utf8mb4_bin against utf8mb4_unicode_ci"
    )
    assert caught.value.permanent
    with founded.ledger.sources.snapshot("ledger") as connection:
        assert list(declared().complaints(connection)) == [str(caught.value)]


def test_a_text_against_a_number_cannot_be_answered(founded: Bank) -> None:
    """A number against a text is a permanent error: '7a' is 7 to MySQL."""
    founded.open(asset="varchar(50)", own_asset="bigint")
    with pytest.raises(CheckError) as caught:
        founded.run()
    assert str(caught.value).startswith("t.asset cannot be compared with l.asset: bigint")
    assert str(caught.value).endswith(" against varchar(50)")
    assert caught.value.permanent


@on_any
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sums": {"availabl": "delta"}}, "table t has no column availabl; the nearest existing"),
        ({"sums": {"available": "delt"}}, "table l has no column delt; the nearest existing"),
        ({"by": ["acount"]}, "table t has no column acount; the nearest existing name is account"),
        ({"ledger_by": ["account", "aset"]}, "table l has no column aset; the nearest existing"),
        (
            {"chain": {"before": "before_it", "change": "delta", "after": "now_is"}},
            "table l has no column before_it",
        ),
        ({"primary_key": "pk"}, "table t has no column pk"),
        ({"ledger": "ll"}, "table ll does not exist, or this account may not see it"),
    ],
)
def test_missing_name_cannot_be_answered(
    bank: Bank, fields: Mapping[str, object], message: str
) -> None:
    """A table or column that is missing is a permanent error that names the nearest one."""
    with pytest.raises(CheckError) as caught:
        bank.run(**fields)
    assert str(caught.value).startswith(message)
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"ledger_cursor": "created_at"},
            (
                "Value error, ledger_cursor is created_at, and a balance reads its ledger along the"
                " primary key: state ledger_cursor as one of id"
            ),
        ),
        ({"ledger_by": ["account"]}, "Value error, ledger_by names 1 columns, by 2"),
        ({"sums": {}}, "Dictionary should have at least 1 item after validation, not 0"),
        ({"by": []}, "Tuple should have at least 1 item after validation, not 0"),
    ],
)
def test_what_does_not_fit_is_refused(fields: Mapping[str, object], message: str) -> None:
    """A check whose parts do not fit each other is a mistake of the configuration."""
    with pytest.raises(ValidationError) as caught:
        declared(**fields)
    assert [error["msg"] for error in caught.value.errors()] == [message]


def test_findings_wait_for_a_second_look() -> None:
    """A ledger row and its balance are not always written together."""
    made = declared()
    assert (made.confirmations, made.severity) == (2, "critical")
    assert made.rule == "available = SUM(delta), frozen = SUM(hold)"


@ON_SQLITE
def test_ledger_whose_ids_do_not_grow_is_read_as_a_whole(ledger: Ledger) -> None:
    """Ids that are texts order the chain but are no cursor: a note says so."""
    bank = Bank(ledger)
    bank.open()
    ledger.sql("DROP TABLE l", POSTINGS.replace("id bigint", "id text NOT NULL").format(**COLUMNS))
    bank.row("a", 1, "P", 5, 0, 5, 0)
    bank.row("c", 1, "P", 5, 5, 10, 0)
    bank.hold(1, "P", 10)
    result = bank.run()
    assert (result.violations, result.cursor, len(result.notes)) == (0, None, 1)
    assert result.notes[0].startswith("l is read as a whole: cursor id is TEXT: only")
    bank.row("b", 1, "P", 0, 0, 0, 0)
    assert only(bank.after(result)).evidence == {"problem": "broken_chain", CHAIN_ID: "b"}


# Many findings


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> int:
    """A small sample."""
    monkeypatch.setattr(balance, "SAMPLE", 20)
    monkeypatch.setattr(comparison, "SAMPLE", 20)
    return 20


@on_any
def test_sample_is_bounded_and_the_count_is_exact(bank: Bank, sample: int) -> None:
    """Of too many wrong groups a sample is shown and all are counted, each once."""
    most = sample + 9
    ledger_rows = [(n, n, "P", 1, n % 2, 1, 0) for n in range(1, most + 1)]
    bank.ledger.insert("l", "id, account, asset, delta, was, now_is, hold", ledger_rows)
    # Rows of even ids are apart only, those of odd ids also break the chain.
    amounts = [(n, n, "P", 7, 0) for n in range(1, most + 4)]
    bank.ledger.insert("t", "id, account, asset, available, frozen", amounts)
    result = bank.run()
    assert (result.violations, len(result.findings), result.cursor) == (most + 3, sample, None)
    assert len({finding.key["account"] for finding in result.findings}) == sample


@on_any
@pytest.mark.parametrize("problem", ["broken_chain", "no_ledger"])
def test_one_problem_beyond_the_sample_is_counted(bank: Bank, sample: int, problem: str) -> None:
    """Each problem alone may exceed the sample; as many findings as it holds leave a cursor."""
    chained = [(n, n, "P", 1, 1, 2, 0) for n in range(1, sample + 2)]
    if problem == "broken_chain":
        bank.ledger.insert("l", "id, account, asset, delta, was, now_is, hold", chained)
    amounts = [(n, n, "P", 1, 0) for n in range(1, sample + 2)]
    bank.ledger.insert("t", "id, account, asset, available, frozen", amounts)
    result = bank.run()
    assert (result.violations, len(result.findings)) == (sample + 1, sample)
    assert {finding.evidence["problem"] for finding in result.findings} == {problem}
    assert result.cursor is None
    bank.ledger.sql("DELETE FROM t WHERE id = 7", "DELETE FROM l WHERE id = 7")
    result = bank.run()
    assert (result.violations, len(result.findings)) == (sample, sample)
    if problem == "broken_chain":
        assert result.cursor is not None
        again = bank.after(result)
        assert (again.complete, again.violations, len(again.findings)) == (False, sample, sample)


# Large ledgers


@contextmanager
def in_pages(pages: int) -> Iterator[list[int]]:
    """Let complete runs go in so many pages; what is yielded tells which they asked for."""
    asked: list[int] = []
    look = balance.Balance._page

    def noted(self: balance.Balance, comparison: Any, page: int, number: int) -> Seen:
        asked.append(page)
        assert number == pages
        return look(self, comparison, page, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balance, "PAGE_ROWS", 10)
        patch.setattr(catalog, "estimated_rows", lambda _connection, _table: pages * 10 - 9)
        patch.setattr(balance.Balance, "_page", noted)
        yield asked


def wrong_books(bank: Bank) -> None:
    """Groups of every problem, of every sort of first column."""
    bank.ledger.sql("BEGIN")
    for account in (-7, -2, 0, 1, 2, 3, 4, 5, 6, 8, 99, None):
        for asset in ("P", "D", "points", "é", None):
            bank.post(account, asset, 5, 6)
            bank.hold(account, asset, 11)
    bank.ledger.sql(
        "UPDATE t SET available = 12 WHERE account IN (-7, 3, 99) OR asset = 'é'",
        "UPDATE t SET frozen = 2 WHERE account IS NULL OR (asset IS NULL AND account = 0)",
        "DELETE FROM t WHERE account = 4 AND asset <> 'D' OR asset IS NULL AND account = 5",
        "DELETE FROM l WHERE account = 6 AND asset <> 'D' OR account IS NULL AND asset = 'P'",
        "UPDATE l SET was = 4 WHERE account = 8 AND was = 5",
        "UPDATE l SET now_is = 4 WHERE account = 2 AND asset = 'points'",
        "COMMIT",
    )


@on_servers
@pytest.mark.parametrize("by", [["account", "asset"], ["asset", "account"], ["asset"]])
def test_answer_is_the_same_in_any_number_of_pages(bank: Bank, by: list[str]) -> None:
    """Every group is on one page, whether its first column is a number, a text, or NULL."""
    wrong_books(bank)
    chain = None if by == ["asset"] else DECLARED["chain"]
    whole = bank.run(by=by, chain=chain)
    assert whole.violations > 3
    assert told(whole) != set()
    for pages in (1, 2, 3, 7):
        with in_pages(pages) as asked:
            result = bank.run(by=by, chain=chain)
        assert asked == list(range(pages))
        assert told(result) == told(whole)
        assert (result.violations, result.examined) == (whole.violations, whole.examined)
        assert (result.complete, result.cursor is None) == (True, False)


@on_servers
@pytest.mark.parametrize(
    ("account", "values"),
    [
        ("bigint", (LOWEST, HIGHEST, 0)),
        ("bigint unsigned", (2**64 - 1, 2**63, 0)),
        ("decimal(20,2)", ("0.25", "1.50", "-3.99")),
        ("double", ("0.25", "1.5", "1e300")),
        ("varbinary(9)", (b"1.5", b"\xff\x00", b"9x")),
        ("datetime", ("2026-01-05 12:00:00", "2026-01-06 12:00:01", "2000-01-01")),
        ("datetime(3)", ("2026-01-05 12:00:00.123", "2026-01-06 12:00:01.9", "2000-01-01")),
        ("date", ("2026-01-05", "2026-01-06", "2000-01-01")),
        ("binary(16)", (b"1.5" * 5 + b"1", b"7" * 16, b"\0" * 16)),
    ],
)
def test_first_column_of_any_type_has_a_page(
    founded: Bank, account: str, values: tuple[object, ...]
) -> None:
    """Whatever the type of the first column, no group falls between the pages."""
    bank = founded
    bank.open(account=account)
    for number, value in enumerate(values):
        bank.row(number, value, "P", 1, 0, 1, 0)
    whole = bank.run()
    assert whole.violations == len(values)
    for pages in (2, 3):
        with in_pages(pages):
            assert told(bank.run()) == told(whole)


@on_servers
def test_pages_of_texts_follow_the_collation(founded: Bank) -> None:
    """Spellings of one group are on one page."""
    bank = founded
    bank.open(asset=CASELESS)
    spellings = ("points", "POINTS", "Points  ", "póints")
    for number, asset in enumerate(spellings, start=1):
        bank.row(number, 1, asset, 1, number - 1, number, 0)
    bank.hold(1, "POINTS ", 4)
    for pages in (1, 2, 3, 7):
        with in_pages(pages):
            assert bank.run(by=["asset"]).violations == 0


@on_servers
def test_number_of_pages_follows_the_rows(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger is read in as many snapshots as it has multiples of `PAGE_ROWS`, about."""
    bank.ledger.insert(
        "l",
        "id, account, asset, delta, was, now_is, hold",
        [(n, n % 9, "P", 0, 0, 0, 0) for n in range(200)],
    )
    for account in range(9):
        bank.hold(account, "P", 0)
    bank.ledger.sql("ANALYZE TABLE l")
    for page_rows, pages in ((200, 1), (100, 2), (70, 3)):
        monkeypatch.setattr(balance, "PAGE_ROWS", page_rows)
        sources = Snapshots(bank)
        assert declared().run(sources).violations == 0
        assert sources.taken == pages


@dataclass
class Snapshots(DatabaseOnly):
    """Reads the bank, and lets business go on before each snapshot."""

    bank: Bank
    groups: tuple[Group, ...] = ()
    taken: int = 0

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """A snapshot of the bank."""
        self.taken += 1
        for account, asset in self.groups:
            self.bank.post(account, asset, 3)
            last = self.bank.last[account, asset]
            self.bank.set(account, asset, last)
        with self.bank.ledger.sources.snapshot(database) as connection:
            yield connection


@on_servers
def test_each_page_sees_one_moment(bank: Bank) -> None:
    """Business between the snapshots makes no finding: a group is read in one of them."""
    groups = tuple((account, "P") for account in range(6))
    for account, asset in groups:
        bank.post(account, asset, 1)
        bank.hold(account, asset, 1)
    sources = Snapshots(bank, groups)
    with in_pages(4):
        result = declared().run(sources)
    assert (sources.taken, result.violations) == (4, 0)
    # What was written after the first snapshot is new to the run that follows.
    assert result.cursor is not None
    bank.set(3, "P", 0)
    assert keys(bank.after(result)) == [{"account": 3, "asset": "P"}]


# Codes in place of texts

COLLIDING = ("tgmjns", "qmifge")
"""Texts whose weights under utf8mb4_unicode_ci have the same CRC-32."""


@on_servers
def test_assets_whose_codes_collide_are_kept_apart(founded: Bank) -> None:
    """Two texts of one code are two groups."""
    bank = founded
    bank.open(asset=CASELESS)
    one, other = COLLIDING
    code = "CRC32(WEIGHT_STRING(CONVERT('{}' USING utf8mb4) COLLATE utf8mb4_unicode_ci))"
    codes = bank.ledger.sql(f"SELECT {code.format(one)} = {code.format(other)}")
    assert codes == [(1,)]
    bank.post(1, one, 5)
    bank.post(1, other, 6)
    bank.hold(1, one, 6)
    bank.hold(1, other, 5)
    wrong = {(f"(1, '{one}')", "apart", 1), (f"(1, '{other}')", "apart", 1)}
    assert told(bank.run()) == wrong
    for pages in (2, 3):
        with in_pages(pages):
            assert told(bank.run(by=["asset", "account"])) == {
                (f"('{name}', 1)", "apart", 1) for name in COLLIDING
            }
    # Each on one side only.
    bank.ledger.sql(
        f"DELETE FROM l WHERE asset = '{one}'", f"DELETE FROM t WHERE asset = '{other}'"
    )
    assert told(bank.run()) == {
        (f"(1, '{one}')", "no_ledger", 6),
        (f"(1, '{other}')", "no_balance", 6),
    }


def are_unique(bank: Bank) -> bool:
    """What `codes_are_unique` says of the bank."""
    one = declared()
    with one.snapshot(bank.ledger.sources) as snapshot:
        comparison = one._comparison(snapshot)
        both = (comparison.ledger.postings, comparison.ledger.balances)
        return sides.codes_are_unique(snapshot.connection, both)


@on_servers
def test_codes_are_used_only_when_they_are_unique(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one code stands for several texts, texts are compared, and the answer is the same."""
    wrong_books(bank)
    whole = bank.run()
    assert are_unique(bank)
    monkeypatch.setattr(balance, "codes_are_unique", lambda *_: False)
    plain = bank.run()
    assert told(plain) == told(whole)
    assert (plain.violations, plain.examined) == (whole.violations, whole.examined)
    monkeypatch.undo()
    monkeypatch.setattr(sides, "code", lambda _text: literal(7))
    assert not are_unique(bank)
    assert told(bank.run()) == told(whole)


@on_servers
@pytest.mark.parametrize(
    ("texts", "unique"),
    [
        (("points", "POINTS", "points "), True),
        ((None, "points"), True),
        ((None, ""), True),
        (COLLIDING, False),
        (("points", COLLIDING[0]), True),
    ],
)
def test_codes_stand_for_what_the_collation_tells_apart(
    founded: Bank, texts: tuple[str | None, ...], *, unique: bool
) -> None:
    """Codes are unique when there are as many as there are texts, on both sides together."""
    founded.open(asset=CASELESS)
    founded.post(1, texts[0], 1)
    for text in texts[1:]:
        founded.hold(1, text, 1)
    assert are_unique(founded) is unique


@on_servers
@pytest.mark.parametrize("collation", ["bin", "nopad"])
def test_texts_with_final_spaces_under_a_strict_collation(founded: Bank, collation: str) -> None:
    """Where a final space tells two texts apart, they are two groups, though of one code."""
    names: dict[Backend, str] = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_ai_ci"}
    name = "utf8mb4_bin" if collation == "bin" else names[founded.ledger.backend]
    founded.open(asset=f"varchar(50) COLLATE {name}")
    founded.post(1, "P", 5)
    founded.row(2, 1, "P ", 5, 5 if collation == "bin" else 0, 10 if collation == "bin" else 5, 0)
    founded.hold(1, "P", 5)
    founded.hold(1, "P ", 5)
    assert founded.run().violations == 0
    founded.ledger.sql("DELETE FROM t WHERE id = 2")
    problem = "apart" if collation == "bin" else "no_balance"
    assert only(founded.run()).evidence["problem"] == problem


# Along the cursor


def test_groups_with_new_rows_are_judged_by_all_of_their_rows(bank: Bank) -> None:
    """A new row has the whole of its group added up and chained; other groups are not read."""
    for account in range(1, 6):
        bank.post(account, "P", 5, 6)
        bank.hold(account, "P", 11)
    first = bank.run()
    assert (first.violations, first.examined, first.complete) == (0, 10, True)
    bank.post(1, "P", 1)
    bank.post(2, "P", 1)
    bank.set(2, "P", 12)
    bank.post(9, "P", 4)
    bank.row(90, 3, "P", 1, 5, 6, 0)
    bank.set(3, "P", 12)
    second = bank.after(first)
    assert told(second) == {
        ("(1, 'P')", "apart", 1),
        ("(3, 'P')", "broken_chain", 1),
        ("(9, 'P')", "no_balance", 4),
    }
    assert not second.complete
    # Three rows of groups 1, 2, 3 and 5 each, and the new one: the row at which a run begins,
    # the last of the run before it, is read again.
    assert second.examined == 3 + 3 + 3 + 2 + 1
    assert told(bank.run()) == told(second)


@on_any
def test_untouched_balance_is_seen_by_the_complete_run_only(bank: Bank) -> None:
    """What is altered in a group without new rows waits for the complete run, as documented."""
    for account in (1, 2, 3, 4):
        bank.post(account, "P", 5)
        bank.hold(account, "P", 5)
    first = bank.run()
    bank.set(1, "P", 6)
    bank.ledger.sql("DELETE FROM t WHERE account = 2", "UPDATE l SET was = 9 WHERE id = 3")
    bank.hold(7, "P", 1)
    second = bank.after(first)
    third = bank.after(second)
    assert [(r.violations, r.complete) for r in (second, third)] == [(0, False), (0, False)]
    assert told(bank.run()) == {
        ("(1, 'P')", "apart", 1),
        ("(2, 'P')", "no_balance", 5),
        ("(3, 'P')", "broken_chain", 1),
        ("(7, 'P')", "no_ledger", 1),
    }


def test_known_findings_are_looked_at_again(bank: Bank) -> None:
    """What was wrong is told anew with its present amounts, or is gone when it has been mended."""
    bank.post(1, "P", 5)
    bank.post(2, "P", 5)
    bank.post(3, "P", 5)
    bank.row(90, 4, "P", 5, 1, 6, 0)
    bank.post(8, "P", 1)
    bank.hold(1, "P", 6)
    bank.hold(3, "P", 5)
    bank.hold(4, "P", 5)
    bank.hold(5, "P", 5)
    bank.hold(6, "P", 0)
    bank.hold(8, "P", 1)
    bank.row(99, 8, "P", 0, 1, 1, 0)
    first = bank.run()
    known = {
        ("(1, 'P')", "apart", 1),
        ("(2, 'P')", "no_balance", 5),
        ("(4, 'P')", "broken_chain", 1),
        ("(5, 'P')", "no_ledger", 5),
        ("(6, 'P')", "no_ledger", 1),
    }
    assert told(first) == known
    second = bank.after(first)
    assert (told(second), second.complete, second.violations) == (known, False, 5)
    bank.set(1, "P", 9)
    bank.hold(2, "P", 4)
    bank.ledger.sql("UPDATE l SET was = 0, now_is = 5 WHERE id = 90")
    bank.ledger.sql("DELETE FROM t WHERE account = 6")
    bank.ids = 100
    bank.post(5, "P", 5)
    third = bank.after(second)
    assert told(third) == {("(1, 'P')", "apart", 4), ("(2, 'P')", "apart", 1)}
    bank.set(1, "P", 5)
    bank.set(2, "P", 5)
    fourth = bank.after(third)
    assert (fourth.violations, fourth.findings, fourth.complete) == (0, (), False)


@on_any
def test_known_groups_that_are_gone_are_right(bank: Bank) -> None:
    """A group of which neither side has a row left is no longer wrong."""
    bank.post(1, "P", 5)
    bank.post(2, "P", 5)
    bank.hold(2, "P", 5)
    first = bank.run()
    assert only(first).key == {"account": 1, "asset": "P"}
    bank.ledger.sql("DELETE FROM l WHERE account = 1")
    assert bank.after(first).violations == 0


@on_any
def test_known_keys_of_another_shape_are_left_alone(bank: Bank) -> None:
    """A finding that another definition of the check left is no group of this one."""
    bank.post(1, "P", 5)
    bank.hold(1, "P", 5)
    window = replace(window_after(bank.run()), known=({"account": 1}, {"owner": 1, "asset": "P"}))
    result = bank.run(window)
    assert (result.violations, result.complete) == (0, False)


def test_as_many_known_findings_as_a_sample_holds(bank: Bank) -> None:
    """A thousand known findings are asked about at once, also in SQLite."""
    rows = [(n, n, "P", 1, 0, 1, 0) for n in range(1, SAMPLE + 1)]
    bank.ledger.insert("l", "id, account, asset, delta, was, now_is, hold", rows)
    amounts = [(n, n, "P", 1 + (n == SAMPLE), 0) for n in range(1, SAMPLE + 1)]
    bank.ledger.insert("t", "id, account, asset, available, frozen", amounts)
    known: tuple[Mapping[str, Scalar], ...] = tuple(
        {"account": n, "asset": "P"} for n in range(1, SAMPLE + 1)
    )
    result = bank.run(replace(window_after(bank.run()), known=known))
    assert (only(result).key, result.complete) == ({"account": SAMPLE, "asset": "P"}, False)


# Balances that changed without a ledger row


@dataclass
class Watched:
    """A bank of four accounts whose balances say when they changed, and a clock."""

    bank: Bank
    clock: Clock
    last: Result | None = None

    def go_on(self) -> Result:
        """Run once more, a minute later, with an overlap of ten minutes."""
        window = Window(overlap_rows=0)
        if self.last:
            window = window_after(self.last, overlap=window.overlap)
        self.clock.move(60)
        zone = ZoneInfo("Asia/Shanghai")
        self.last = self.bank.run(replace(window, zone=zone), changed_at="changed")
        return self.last

    def change(self, statement: str, ago: int = 0) -> None:
        """Change balances, so many seconds ago by their own word."""
        beijing = self.clock.at.replace(tzinfo=None) + timedelta(hours=8, seconds=-ago)
        self.bank.ledger.sql(statement.replace("NOW", f"changed = '{beijing}'"))


@pytest.fixture
def watched(bank: Bank) -> Iterator[Watched]:
    """All is right, and the run that follows is one along the cursor."""
    with set_clock() as clock:
        made = Watched(bank, clock)
        for account in (1, 2, 3, 4):
            bank.post(account, "P", 5)
            bank.hold(account, "P", 5)
        made.change("UPDATE t SET NOW")
        made.go_on()
        clock.move(1200)
        made.go_on()
        clock.move(1200)
        result = made.go_on()
        assert (result.complete, result.violations) == (False, 0)
        yield made


def test_balance_that_changed_is_seen(watched: Watched) -> None:
    """With `changed_at` a balance that was altered, or made, without a ledger row is found."""
    watched.bank.hold(7, "P", 1)
    watched.change("UPDATE t SET available = 6, NOW WHERE account = 2")
    watched.change("UPDATE t SET NOW WHERE account IN (1, 7)")
    assert told(watched.go_on()) == {("(2, 'P')", "apart", 1), ("(7, 'P')", "no_ledger", 1)}


@pytest.mark.parametrize(("ago", "seen"), [(600, True), (659, True), (661, False)])
def test_balance_that_changed_within_the_overlap_is_seen(
    watched: Watched, ago: int, *, seen: bool
) -> None:
    """A change may be committed as late as the overlap allows; older ones are not looked at."""
    watched.change("UPDATE t SET available = 6, NOW WHERE account = 2", ago - 60)
    result = watched.go_on()
    assert (result.violations, result.complete) == (seen, False)


@on_any
def test_balance_that_does_not_say_so_is_not_seen(watched: Watched) -> None:
    """What was altered behind `changed_at`, and what was deleted, waits for the complete run."""
    watched.change("UPDATE t SET available = 6 WHERE account = 2")
    watched.change("UPDATE t SET available = 6, changed = NULL WHERE account = 3")
    watched.change("DELETE FROM t WHERE account = 1")
    assert watched.go_on().violations == 0
    assert watched.bank.run(changed_at="changed").violations == 3


@on_any
def test_column_of_the_change_has_to_exist(bank: Bank) -> None:
    """A `changed_at` that is missing is a permanent error."""
    with pytest.raises(CheckError, match="table t has no column chnged; the nearest") as caught:
        bank.run(changed_at="chnged")
    assert caught.value.permanent


# Groups whose sums are kept


def kept(result: Result) -> dict[Group, tuple[tuple[int, ...], int | None]]:
    """Each kept group with its sums and its last balance."""
    assert result.cursor is not None
    left = json.loads(json.dumps(result.cursor))["kept"]
    return {tuple(key): (tuple(sums), last) for key, sums, last in left["groups"]}


@dataclass
class Hot:
    """A bank in which more than two ledger rows are many, and account 1 has them."""

    bank: Bank
    last: Result

    def go_on(self, **window: Any) -> Result:
        """Run once more along the cursor."""
        self.last = self.bank.run(replace(window_after(self.last), **window))
        return self.last


@pytest.fixture
def busy(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Hot:
    """Account 1 is kept, account 2 has as many rows as are not many."""
    monkeypatch.setattr(running_totals, "MANY_POSTINGS", 2)
    bank.post(1, "P", 5, 6, hold=3)
    bank.hold(1, "P", 11, 3)
    bank.post(2, "P", 1)
    bank.hold(2, "P", 1)
    bank.post(9, "P", 1)  # so that the run begins at none of the above
    bank.hold(9, "P", 1)
    first = bank.run()
    bank.post(1, "P", 7)
    bank.post(2, "P", 1)
    bank.set(1, "P", 18)
    bank.set(2, "P", 2)
    made = Hot(bank, first)
    assert made.go_on().violations == 0
    return made


@on_any
def test_groups_with_many_rows_are_kept(busy: Hot) -> None:
    """What is kept are the sums and the last balance before the place at which the run began."""
    assert kept(busy.last) == {(1, "P"): ((11, 3), 11)}


def test_kept_sums_go_on(busy: Hot) -> None:
    """Run by run, kept sums take in what lies before the place at which the run began."""
    assert busy.go_on().violations == 0
    sums = [kept(busy.last)]
    for delta, total in ((1, 19), (2, 21), (-21, 0), (4, 4)):
        busy.bank.post(1, "P", delta)
        busy.bank.set(1, "P", total)
        assert busy.go_on().violations == 0
        sums.append(kept(busy.last))
    # A run begins at the last row of the run before it, which is therefore not in the sums.
    group = (1, "P")
    totals = (18, 18, 18, 19, 21)
    assert sums == [{group: ((total, 3), total)} for total in totals]


@on_any
def test_kept_groups_are_not_read_anew(busy: Hot) -> None:
    """Of a kept group only what came after the settled place is read, and nothing else examined."""
    busy.bank.post(1, "P", 1)
    busy.bank.set(1, "P", 19)
    assert (busy.go_on().examined, busy.last.violations) == (2, 0)  # the rows of account 2
    assert (busy.go_on().examined, busy.last.violations) == (0, 0)


@on_any
def test_wrong_groups_are_not_kept(busy: Hot) -> None:
    """However many rows a group has, it is not kept while it is wrong."""
    busy.bank.post(2, "P", 1)
    assert told(busy.go_on()) == {("(2, 'P')", "apart", 1)}
    assert set(kept(busy.last)) == {(1, "P")}


@on_any
def test_balance_of_a_kept_group_is_seen_without_new_rows(busy: Hot) -> None:
    """An altered, lost or doubled balance of a kept group is found at the next run."""
    busy.bank.set(1, "P", 17)
    assert told(busy.go_on()) == {("(1, 'P')", "apart", 1)}
    assert kept(busy.last) == {}
    busy.bank.set(1, "P", 18)
    assert busy.go_on().violations == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DELETE FROM t WHERE account = 1", "no_balance"),
        ("UPDATE t SET frozen = 0 WHERE account = 1", "apart"),
        (
            "INSERT INTO t (id, account, asset, available, frozen) VALUES (99, 1, 'P', 1, 0)",
            "apart",
        ),
    ],
)
def test_change_of_a_kept_group_is_seen(busy: Hot, change: str, problem: str) -> None:
    """Whatever is done to the balance rows of a kept group is found at the next run."""
    busy.bank.ledger.sql(change)
    assert seen(busy.go_on()) == [({"account": 1, "asset": "P"}, problem)]


@pytest.mark.parametrize(
    ("row", "available", "problem"),
    [
        ((90, 1, "P", 2, 18, 20, 0), 18, "apart"),
        ((90, 1, "P", 2, 18, 20, 1), 20, "apart"),
        ((90, 1, "P", 2, 17, 19, 0), 20, "broken_chain"),
        ((90, 1, "P", 2, 18, 21, 0), 20, "broken_chain"),
    ],
)
def test_new_rows_of_a_kept_group_are_judged(
    busy: Hot, row: tuple[object, ...], available: int, problem: str
) -> None:
    """A new row that is not in the balance, or does not chain on what is kept, is found."""
    busy.bank.row(*row)
    busy.bank.set(1, "P", available)
    assert seen(busy.go_on()) == [({"account": 1, "asset": "P"}, problem)]
    assert kept(busy.last) == {}


@on_any
def test_first_new_row_chains_on_what_is_kept(busy: Hot) -> None:
    """A row that chains on nothing is found though it is the first after what is kept."""
    busy.bank.post(2, "P", 1)
    busy.bank.set(2, "P", 3)
    busy.go_on()
    busy.go_on()  # begins behind all rows of account 1
    assert kept(busy.last)[1, "P"] == ((18, 3), 18)
    busy.bank.row(90, 1, "P", 2, 0, 2, 0)
    busy.bank.set(1, "P", 20)
    assert only(busy.go_on()).evidence == {"problem": "broken_chain", CHAIN_ID: 90}


@on_any
def test_group_that_was_wrong_is_kept_again(busy: Hot) -> None:
    """What was dropped comes back with new rows, once it is right."""
    busy.bank.set(1, "P", 17)
    busy.go_on()
    busy.bank.post(1, "P", 1)
    busy.bank.set(1, "P", 18)
    assert busy.go_on().violations == 1
    assert kept(busy.last) == {}
    busy.bank.set(1, "P", 19)
    assert busy.go_on().violations == 0
    busy.bank.post(1, "P", 1)
    busy.bank.set(1, "P", 20)
    assert busy.go_on().violations == 0
    assert kept(busy.last) == {(1, "P"): ((18, 3), 18)}


def test_one_balance_row_left_of_two_makes_the_chain_count(busy: Hot) -> None:
    """A kept group whose rows did not have to chain has to when one balance row is left."""
    bank = busy.bank
    for number, (delta, was) in enumerate([(5, 0), (6, 0), (7, 0)], start=50):
        bank.row(number, 3, "P", delta, was, was + delta, 0)
    bank.hold(3, "P", 5, row=51)
    bank.hold(3, "P", 13, row=52)
    busy.go_on()
    bank.row(60, 9, "P", 0, 1, 1, 0)
    bank.row(61, 3, "P", 0, 7, 7, 0)
    assert busy.go_on().violations == 0
    bank.row(62, 9, "P", 0, 1, 1, 0)
    assert busy.go_on().violations == 0
    assert busy.go_on().violations == 0
    assert kept(busy.last)[3, "P"][0] == (18, 0)
    bank.ledger.sql("DELETE FROM t WHERE id = 51", "UPDATE t SET available = 18 WHERE id = 52")
    assert seen(busy.go_on()) == [({"account": 3, "asset": "P"}, "broken_chain")]


def poisoned(result: Result, sums: list[int]) -> Result:
    """A result that keeps other sums of account 1."""
    assert result.cursor is not None
    left = json.loads(json.dumps(result.cursor))
    left["kept"]["groups"] = [[[1, "P"], sums, 11]]
    return replace(result, cursor=left)


@on_any
def test_nothing_kept_is_used_when_the_beginning_moves_back(busy: Hot) -> None:
    """Sums up to a place are of no use to a run that begins before it."""
    busy.bank.set(1, "P", 1018)
    busy.last = poisoned(busy.last, [1011, 3])
    window = window_after(busy.last)
    # While the run begins behind that place, what is kept is believed.
    assert busy.bank.run(window).violations == 0
    result = busy.bank.run(replace(window, overlap_rows=4))
    assert (result.complete, told(result)) == (False, {("(1, 'P')", "apart", 1000)})


@on_any
def test_nothing_is_kept_by_a_complete_run(busy: Hot) -> None:
    """A complete run adds everything up, whatever was kept, and keeps nothing."""
    busy.bank.set(1, "P", 1018)
    busy.last = poisoned(busy.last, [1011, 3])
    result = busy.bank.run(replace(window_after(busy.last), cursor=None))
    assert told(result) == {("(1, 'P')", "apart", 1000)}
    assert result.cursor is not None
    assert result.cursor["kept"] is None


@on_any
def test_what_is_kept_wrongly_makes_no_false_finding(busy: Hot) -> None:
    """Kept sums only tell that a group is right: what they call wrong is added up anew."""
    busy.last = poisoned(busy.last, [1011, 3])
    assert busy.go_on().violations == 0
    assert kept(busy.last) == {}


@on_any
def test_number_of_kept_groups_is_bounded(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than so many groups are kept; the others are added up, and as right."""
    monkeypatch.setattr(running_totals, "MANY_POSTINGS", 1)
    monkeypatch.setattr(running_totals, "MOST_KEPT", 3)
    totals = dict.fromkeys(range(6), 0)
    for account in totals:
        bank.hold(account, "P", 0)
    bank.post(9, "P", 1)
    bank.hold(9, "P", 1)
    result = bank.run(empty_allowed=True)
    for number in range(4):
        for account in totals:
            bank.post(account, "P", 1)
            totals[account] += 1
            bank.set(account, "P", totals[account])
        result = bank.after(result)
        assert result.violations == 0
        assert len(kept(result)) == (0 if number == 0 else 3)
    for account in totals:
        bank.set(account, "P", 100)
        assert keys(bank.after(result)) == (
            [{"account": account, "asset": "P"}]
            if (account, "P") in kept(result) or account == 5  # whose row the run begins at
            else []
        )
        bank.set(account, "P", totals[account])


@on_any
def test_without_a_chain_sums_are_kept(busy: Hot) -> None:
    """A check without a chain keeps sums, too, and sees what becomes of the balance."""
    bank = busy.bank
    result = bank.run(chain=None)
    bank.post(1, "P", 1)
    bank.set(1, "P", 19)
    result = bank.after(result, chain=None)
    assert (result.violations, kept(result)) == (0, {(1, "P"): ((18, 3), None)})
    bank.set(1, "P", 20)
    assert told(bank.after(result, chain=None)) == {("(1, 'P')", "apart", 1)}


@on_any
def test_late_rows_come_into_kept_sums(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that appears behind those already seen, within the overlap, is in the sums."""
    monkeypatch.setattr(running_totals, "MANY_POSTINGS", 1)
    with set_clock() as clock:
        result = _late(bank, clock)
    assert result.violations == 0
    (((available, _), last),) = kept(result).values()
    rows = bank.ledger.sql("SELECT SUM(delta), MAX(now_is) FROM l")
    assert rows == [(40, 40)]
    assert result.cursor is not None
    before = bank.ledger.sql(
        f"SELECT SUM(delta), MAX(now_is) FROM l WHERE id < {result.cursor['kept']['through']}"
    )
    assert before == [(available, last)]
    assert available > 20


def _late(bank: Bank, clock: Clock) -> Result:
    """Forty rows, of which each second one commits after its successor, some minutes late."""
    overlap = timedelta(minutes=10)
    bank.hold(1, "P", 0)
    waiting: list[tuple[object, ...]] = []
    result = None
    for number in range(1, 41):
        row = (number, 1, "P", 1, number - 1, number, 0)
        if number % 2:
            waiting.append(row)
        else:
            bank.row(*row)
            bank.row(*waiting.pop())
        bank.set(1, "P", number if number % 2 == 0 else number - 1)
        clock.move(180)
        window = Window(overlap=overlap, overlap_rows=0)
        if result is not None:
            window = window_after(result, overlap=overlap)
        result = bank.run(window, empty_allowed=True)
        assert result.violations == 0, number
    assert result is not None
    assert not result.complete
    return result


@on_servers
def test_new_rows_of_a_kept_group_may_be_spelled_otherwise(
    founded: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kept group sees its new rows however its asset is spelled in them."""
    monkeypatch.setattr(running_totals, "MANY_POSTINGS", 1)
    bank = founded
    bank.open(asset=CASELESS)
    bank.post(1, "points", 5, 6)
    bank.hold(1, "points", 11)
    bank.post(2, "points", 1)
    bank.hold(2, "points", 1)
    result = bank.run()
    bank.post(1, "points", 1)
    bank.post(2, "points", 1)
    bank.set(1, "points", 12)
    bank.set(2, "points", 2)
    result = bank.after(result)
    assert (1, "points") in kept(result)
    result = bank.after(result)
    bank.row(90, 1, "POINTS", 7, 12, 20, 0)
    bank.row(91, 1, "Points", -7, 19, 12, 0)
    assert [finding.evidence["problem"] for finding in bank.after(result).findings] == [
        "broken_chain"
    ]


@on_any
def test_aspects_tell_the_direction(ledger: Ledger) -> None:
    """A balance that is too low where it was too high is wrong in another way, as far as it is."""
    ledger.sql(
        "CREATE TABLE b (id bigint PRIMARY KEY, a bigint NOT NULL, held bigint NOT NULL)",
        "CREATE TABLE p (id bigint PRIMARY KEY, a bigint NOT NULL, delta bigint NOT NULL)",
    )
    ledger.insert("b", "id, a, held", [(1, 7, 12)])
    ledger.insert("p", "id, a, delta", [(1, 7, 10)])
    fields = {"ledger": "p", "ledger_primary_key": "id", "by": ["a"], "sums": {"held": "delta"}}

    def told() -> tuple[int, tuple[str, ...]]:
        (finding,) = ledger.run("balance", "b", primary_key="id", **fields).findings
        return finding.magnitude, finding.aspects

    assert told() == (2, ("held > SUM(delta)",))
    ledger.sql("UPDATE b SET held = 8")
    assert told() == (2, ("held < SUM(delta)",))


def test_unknown_does_not_add_up(ledger: Ledger) -> None:
    """A ledger row with a NULL in its chain is not shown to add up."""
    ledger.sql(
        "CREATE TABLE b (id bigint PRIMARY KEY, a bigint NOT NULL, held bigint NOT NULL)",
        "CREATE TABLE p (id bigint PRIMARY KEY, a bigint NOT NULL, was bigint, delta bigint,"
        " now_is bigint)",
    )
    ledger.insert("b", "id, a, held", [(1, 7, 10)])
    ledger.insert("p", "id, a, was, delta, now_is", [(1, 7, 0, 10, None)])
    chain = {"before": "was", "change": "delta", "after": "now_is"}
    fields = {"ledger": "p", "ledger_primary_key": "id", "by": ["a"], "sums": {"held": "delta"}}
    result = ledger.run("balance", "b", primary_key="id", chain=chain, **fields)
    assert [finding.evidence["problem"] for finding in result.findings] == ["broken_chain"]


class CutShort(DatabaseOnly):
    """Sources whose server cuts long lists, as GROUP_CONCAT does without an error."""

    def __init__(self, sources: Sources, longest: int) -> None:
        self._sources, self._longest = sources, longest

    @contextmanager
    def snapshot(self, database: str) -> Iterator[Connection]:
        """A snapshot in which they are cut."""
        with self._sources.snapshot(database) as connection:
            before = connection.exec_driver_sql("SELECT @@group_concat_max_len").scalar_one()
            connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {self._longest}")
            yield connection
            connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {before}")


@on_servers
@pytest.mark.parametrize("longest", [4, 20, 21, 22, 23, 24, 60, 1000])
@pytest.mark.parametrize("broken", [None, 2, 29, 30])
def test_list_that_is_cut_short_acquits_nobody(
    ledger: Ledger, longest: int, broken: int | None
) -> None:
    """A break behind the place where the server cuts the chain's list is found all the same."""
    ledger.sql(
        "CREATE TABLE b (id bigint PRIMARY KEY, a bigint NOT NULL, held bigint NOT NULL)",
        "CREATE TABLE p (id bigint PRIMARY KEY, a bigint NOT NULL, was bigint NOT NULL,"
        " delta bigint NOT NULL, now_is bigint NOT NULL)",
    )
    ledger.insert("b", "id, a, held", [(1, 7, 30)])
    rows = [(n, 7, n - 1 + (n == broken), 1, n + (n == broken)) for n in range(1, 31)]
    ledger.insert("p", "id, a, was, delta, now_is", rows)
    chain = {"before": "was", "change": "delta", "after": "now_is"}
    fields = {"ledger": "p", "ledger_primary_key": "id", "by": ["a"], "sums": {"held": "delta"}}
    declared = check("balance", "b", primary_key="id", chain=chain, **fields)
    result = declared.run(CutShort(ledger.sources, longest), Window())
    assert result.violations == (broken is not None)


@on_servers
@pytest.mark.parametrize("longest", [5, 21, 22, 23, 51, 1000])
def test_cut_that_looks_whole_acquits_nobody(ledger: Ledger, longest: int) -> None:
    """Amounts of one digit: what is left of a list may read as if the chain ended there."""
    ledger.sql(
        "CREATE TABLE b (id bigint PRIMARY KEY, a bigint NOT NULL, held bigint NOT NULL)",
        "CREATE TABLE p (id bigint PRIMARY KEY, a bigint NOT NULL, was bigint NOT NULL,"
        " delta bigint NOT NULL, now_is bigint NOT NULL)",
    )
    ledger.insert("b", "id, a, held", [(1, 7, 1)])
    rows = [(n, 7, (n - 1) % 2, 2 * (n % 2) - 1, n % 2) for n in range(1, 32)]
    rows[28] = (29, 7, 2, 1, 3)
    ledger.insert("p", "id, a, was, delta, now_is", rows)
    result = check("balance", "b", **CHAINED).run(CutShort(ledger.sources, longest), Window())
    (finding,) = result.findings
    assert (result.violations, finding.evidence["problem"]) == (1, "broken_chain")


CHAINED: dict[str, Any] = {
    "primary_key": "id",
    "ledger": "p",
    "ledger_primary_key": "id",
    "by": ["a"],
    "sums": {"held": "delta"},
    "chain": {"before": "was", "change": "delta", "after": "now_is"},
}


def books(ledger: Ledger, by: str = "bigint", amount: str = "bigint", key: str = "id") -> None:
    """Two tables, without rows; `key` is the ledger's primary key."""
    ledger.sql(
        f"CREATE TABLE b (id bigint PRIMARY KEY, a {by}, held {amount} NOT NULL)",
        f"CREATE TABLE p (id bigint NOT NULL, a {by}, was {amount} NOT NULL,"
        f" delta {amount} NOT NULL, now_is {amount} NOT NULL, PRIMARY KEY ({key}))",
    )


@on_servers
@pytest.mark.parametrize("kind", ["float"])
def test_group_that_is_not_found_again_is_refused(ledger: Ledger, kind: str) -> None:
    """Values that the server does not find again by what it said of them could hide a group."""
    books(ledger, kind)
    with pytest.raises(CheckError) as caught:
        ledger.run("balance", "b", **CHAINED)
    assert str(caught.value) == f"b.a is {kind}: no value of it is found again"
    assert caught.value.permanent


@on_servers
def test_ids_may_begin_anew_in_each_group(ledger: Ledger, sample: int) -> None:
    """Where each account counts its own rows, the wrong one is found among many that share ids."""
    books(ledger, key="a, id")
    accounts = [*range(2 * sample), 5000]
    ledger.insert("b", "id, a, held", [(n, a, 2) for n, a in enumerate(accounts)])
    rows = [(n, a, n - 1, 1, n) for a in accounts[:-1] for n in (1, 2)]
    ledger.insert("p", "id, a, was, delta, now_is", [*rows, (1, 5000, 0, 1, 1), (2, 5000, 5, 1, 6)])
    result = ledger.run("balance", "b", **CHAINED)
    assert (keys(result), result.violations) == ([{"a": 5000}], 1)


@on_servers
def test_long_and_short_groups_with_the_same_ids(ledger: Ledger) -> None:
    """A group that is too long for a list and one that is not are two, also when ids are shared."""
    books(ledger, key="a, id")
    ledger.insert("b", "id, a, held", [(1, 1, 2), (2, 2, 30), (3, 3, 30)])
    short = [(1, 1, 0, 1, 1), (2, 1, 5, 1, 6)]
    long = [(n, a, n - 1 + (n == a), 1, n + (n == a)) for a in (2, 33) for n in range(1, 31)]
    rows = [*short, *((n, min(a, 3), *amounts) for n, a, *amounts in long)]
    ledger.insert("p", "id, a, was, delta, now_is", rows)
    result = check("balance", "b", **CHAINED).run(CutShort(ledger.sources, 100), Window())
    assert (keys(result), result.violations) == ([{"a": 1}, {"a": 2}], 2)


@on_servers
@pytest.mark.parametrize(("last", "violations"), [(10**64 + 7, 0), (10**64 + 8, 1)])
def test_amounts_of_65_digits_chain(ledger: Ledger, last: int, violations: int) -> None:
    """The longest amounts that there are add up to the last digit."""
    books(ledger, amount="decimal(65,0)")
    ledger.insert("b", "id, a, held", [(1, 1, 10**64 + 7)])
    rows = [(1, 1, 0, 10**64, 10**64), (2, 1, 10**64, 7, last)]
    ledger.insert("p", "id, a, was, delta, now_is", rows)
    assert ledger.run("balance", "b", **CHAINED).violations == violations


@on_servers
def test_the_servers_mode_changes_no_meaning(ledger: Ledger) -> None:
    """A server that is set to read SQL otherwise is asked in a mode of our own."""
    books(ledger, "varchar(9)")
    ledger.insert("b", "id, a, held", [(1, "x", 1)])
    ledger.insert("p", "id, a, was, delta, now_is", [(1, "x", 0, 1, 1)])
    ((before,),) = ledger.sql("SELECT @@GLOBAL.sql_mode")
    try:
        ledger.sql("SET GLOBAL sql_mode = 'ANSI,ONLY_FULL_GROUP_BY,NO_BACKSLASH_ESCAPES'")
        with closing(sources_of(ledger.url)) as sources:
            result = check("balance", "b", **CHAINED).run(sources, Window())
    finally:
        ledger.sql(f"SET GLOBAL sql_mode = '{before}'")
    assert result.violations == 0
