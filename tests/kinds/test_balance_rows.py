"""`balance` over rows that count, amounts that are worked out, and decimals of any scale."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.contract import Check, CheckError, Result, Window
from checks.kinds.balance import running_totals
from tests.support.ledgers import Ledger, check, keys, messages, on_servers
from tests.support.runs import set_clock, window_after

EXAMPLES = {"sqlite": 50, "mariadb": 20, "mysql": 12}
Row = dict[str, Any]

DECLARED: dict[str, Any] = {
    "primary_key": "id",
    "ledger": "l",
    "ledger_primary_key": "id",
    "ledger_cursor": "id",
    "by": ["account"],
    "sums": {"points": "CASE WHEN way = 'in' THEN amount ELSE -amount END"},
}
RULES: dict[str, Any] = {
    "when": "live = 1",
    "ledger_when": "state = 'booked' AND struck IS NULL",
    "chain": {"before": "was", "change": DECLARED["sums"]["points"], "after": "now_is"},
    "chain_when": "own = 1",
    "never_negative": True,
}


def create(ledger: Ledger, amount: str, points: str) -> None:
    """Make the tables, with amounts of these types."""
    ledger.sql(
        f"CREATE TABLE l (id bigint PRIMARY KEY, account bigint, way varchar(3), amount {amount},"
        f" state varchar(9), struck datetime, was {points}, now_is {points}, own int)",
        f"CREATE TABLE t (id bigint PRIMARY KEY, account bigint, points {points}, live int)",
        "CREATE INDEX of_account ON l (account)",
    )


@dataclass
class Books:
    """Ledger rows and balance rows."""

    rules: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    balances: list[Row] = field(default_factory=list)

    @property
    def check(self) -> Check:
        """The check whose oracle this is."""
        return check("balance", "t", **DECLARED, **self.rules)

    def counts(self, row: Row) -> bool:
        """Whether a ledger row counts."""
        return "ledger_when" not in self.rules or (row["state"] == "booked" and not row["struck"])

    def of(self, account: int) -> list[Row]:
        """The ledger rows of an account that count."""
        return [row for row in self.rows if row["account"] == account and self.counts(row)]

    def wrong(self) -> dict[int, str]:
        """What is wrong, by account."""
        accounts = {row["account"] for row in self.rows} | {r["account"] for r in self.balances}
        told = {account: self.problem(account) for account in accounts}
        return {account: problem for account, problem in told.items() if problem}

    def problem(self, account: int) -> str | None:
        """What is wrong with an account, the worst first."""
        rows = self.of(account)
        held = [
            each["points"]
            for each in self.balances
            if each["account"] == account and ("when" not in self.rules or each["live"] == 1)
        ]
        if not rows:
            return "no_ledger" if held else None
        if not held:
            return "no_balance"
        if sum(held) != sum(map(signed, rows)):
            return "apart"
        if not self.is_chained(rows, alone=len(held) == 1):
            return "broken_chain"
        return "below_zero" if self.was_below(rows) else None

    def is_chained(self, rows: list[Row], *, alone: bool) -> bool:
        """Whether the rows that chain do."""
        if "chain" not in self.rules:
            return True
        last = Decimal(0)
        for row in (row for row in rows if "chain_when" not in self.rules or row["own"] == 1):
            if row["now_is"] != row["was"] + signed(row) or (alone and row["was"] != last):
                return False
            last = row["now_is"]
        return True

    def was_below(self, rows: list[Row]) -> bool:
        """Whether the sum was below zero after one of the rows."""
        if not self.rules.get("never_negative"):
            return False
        running = [sum(map(signed, rows[: number + 1])) for number in range(len(rows))]
        return any(each < 0 for each in running)


def signed(row: Row) -> Decimal:
    """What a row adds."""
    amount: Decimal = row["amount"]
    return amount if row["way"] == "in" else -amount


@st.composite
def acts(draw: st.DrawFn) -> list[Row]:
    """Some movements: mostly right ones."""
    rarely = st.sampled_from([False] * 7 + [True])
    return [
        {
            "account": draw(st.integers(1, 3)),
            "way": draw(st.sampled_from(["in", "in", "in", "out"])),
            "units": draw(st.sampled_from([0, 1, 2, 3, 10, 30, 777])),
            "state": draw(st.sampled_from(["booked"] * 5 + ["draft", None])),
            "struck": draw(st.sampled_from([None] * 6 + ["2026-05-01 00:00:00"])),
            "own": draw(st.sampled_from([1, 1, 1, 0, None])),
            "skewed": draw(rarely),
            "off": draw(rarely),
            "unposted": draw(rarely),
        }
        for _ in range(draw(st.integers(0, 6)))
    ]


def go_on(books: Books, happened: list[Row], unit: Decimal) -> set[int]:
    """Append movements, and have them in the balances; return whose balance they concern."""
    touched = set()
    for act in happened:
        row = {name: act[name] for name in ("account", "way", "state", "struck", "own")}
        row |= {"id": len(books.rows) + 1, "amount": act["units"] * unit}
        peers = [
            each
            for each in books.of(row["account"])
            if "chain_when" not in books.rules or each["own"] == 1
        ]
        row["was"] = (peers[-1]["now_is"] if peers else 0) + act["skewed"] * unit
        row["now_is"] = row["was"] + signed(row) + act["off"] * unit
        books.rows.append(row)
        if not books.counts(row):
            continue
        touched.add(row["account"])
        own = [each for each in books.balances if each["account"] == row["account"]]
        if not own:
            balance = {"account": row["account"], "points": Decimal(0), "live": 1}
            books.balances.append({"id": len(books.balances) + 1, **balance})
            own = books.balances[-1:]
        if not act["unposted"]:
            own[0]["points"] += signed(row)
    return touched


def write(ledger: Ledger, books: Books) -> None:
    """Make a database hold just these rows."""
    ledger.sql("BEGIN")
    for table, rows in {"l": books.rows, "t": books.balances}.items():
        ledger.sql(f"DELETE FROM {table}")
        if rows:
            values = [tuple(map(_written, row.values())) for row in rows]
            ledger.insert(table, ", ".join(rows[0]), values)
    ledger.sql("COMMIT")


def _written(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value


def found(result: Result) -> dict[Any, str]:
    """What a result says is wrong."""
    assert len(result.findings) == result.violations
    return {each.key["account"]: str(each.evidence["problem"]) for each in result.findings}


CHOSEN = st.sets(st.sampled_from(sorted(RULES))).map(
    lambda names: {
        name: RULES[name] for name in sorted(names) if name != "chain_when" or "chain" in names
    }
)
SIZES = [("decimal(12,4)", "decimal(14,2)", "0.01"), ("decimal(9,0)", "decimal(15,6)", "1")]
SIZES += [("decimal(10,3)", "decimal(13,3)", "0.001"), ("bigint", "decimal(12,1)", "1")]
WIDE = [("decimal(65,30)", "decimal(60,30)", "0." + "0" * 29 + "1"), ("bigint", "bigint", "1")]
WIDE += [("decimal(65,0)", "decimal(65,0)", "1" + "0" * 60), ("bigint unsigned", "bigint", "1")]


@contextmanager
def kept(many: int) -> Iterator[None]:
    """Let groups be large long before they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running_totals, "MANY_POSTINGS", many)
        yield


@pytest.mark.parametrize("number", range(4))
def test_what_counts_is_judged_exactly(ledger: Ledger, number: int) -> None:
    """Complete runs find what is wrong and nothing else, incremental ones what they promise."""
    amount, points, unit = (SIZES if ledger.backend == "sqlite" else SIZES[:2] + WIDE)[number]
    create(ledger, amount, points)

    @settings(max_examples=EXAMPLES[ledger.backend], deadline=None)
    @given(CHOSEN, st.lists(acts(), min_size=2, max_size=4), st.integers(0, 2))
    def holds(rules: dict[str, Any], steps: list[list[Row]], many: int) -> None:
        books = Books(rules)
        last: Result | None = None
        with set_clock() as clock, kept(many):
            for happened in steps:
                touched = go_on(books, happened, Decimal(unit))
                write(ledger, books)
                clock.move(1000)
                window = window_after(last, overlap_rows=0) if last else Window()
                last = books.check.run(ledger.sources, window)
                wrong, told = books.wrong(), found(last)
                assert told.items() <= wrong.items()
                known = {key["account"] for key in window.known}
                assert {each for each in wrong if each in touched | known} <= set(told)
        complete = books.check.run(ledger.sources)
        assert found(complete) == books.wrong()
        assert complete.examined == sum(map(books.counts, books.rows))
        if ledger.backend != "sqlite":
            shown = ledger.sql(str(books.check.look()))
            assert {row[0] for row in shown} == set(books.wrong())

    holds()


def test_differences_of_a_fraction_are_told(ledger: Ledger) -> None:
    """A difference behind the point is told exactly, and counts as one unit at least."""
    create(ledger, "decimal(12,4)", "decimal(12,2)")
    ledger.insert("l", "id, account, way, amount", [(1, 1, "in", "0.1001"), (2, 2, "in", "0.1")])
    ledger.insert("l", "id, account, way, amount", [(3, 2, "in", "0.2"), (4, 3, "in", "17.4")])
    ledger.insert("t", "id, account, points", [(1, 1, "0.10"), (2, 2, "0.30"), (3, 3, "15.1")])
    result = ledger.run("balance", "t", **DECLARED | {"sums": {"points": "amount"}})
    assert keys(result) == [{"account": 1}, {"account": 3}]
    assert messages(result)[0] == "t: account 1: l and the balance differ by 0.0001"
    first, second = result.findings
    assert [Decimal(str(first.evidence[name])) for name in ("points", "SUM(amount)")] == [
        Decimal("0.1"),
        Decimal("0.1001"),
    ]
    assert (first.magnitude, second.magnitude) == (1, 3)


def test_two_columns_without_a_sign(ledger: Ledger) -> None:
    """A sum may be that of a difference, of columns that know no sign."""
    unsigned = "bigint" if ledger.backend == "sqlite" else "bigint unsigned"
    ledger.sql(
        f"CREATE TABLE l (id int PRIMARY KEY, account int, came {unsigned}, went {unsigned})",
        "CREATE TABLE t (id int PRIMARY KEY, account int, stock bigint, reserved bigint)",
    )
    rows = [(1, 1, 8, 0), (2, 1, 0, 9), (3, 2, 5, 1), (4, 3, 0, 0)]
    ledger.insert("l", "id, account, came, went", rows)
    ledger.insert("t", "id, account, stock, reserved", [(1, 1, -1, 0), (2, 2, 2, 3), (3, 3, 0, 0)])
    declared = DECLARED | {"sums": {"stock + reserved": "came - went"}}
    result = ledger.run("balance", "t", **declared)
    assert result.findings[0].evidence == {
        "problem": "apart",
        "stock + reserved": 5,
        "SUM(came - went)": 4,
    }
    assert keys(result) == [{"account": 2}]
    if ledger.backend != "sqlite":
        shown = ledger.sql(str(check("balance", "t", **declared).look()))
        assert [[int(each) for each in row] for row in shown] == [[2, 5, 4, 1, 1]]
    below = ledger.run("balance", "t", **declared, never_negative=True)
    first, _ = sorted(below.findings, key=lambda each: str(each.key["account"]))
    assert first.evidence == {
        "problem": "below_zero",
        "first row below zero": 2,
        "lowest SUM(came - went)": -1,
    }
    assert first.magnitude == 1


@on_servers
def test_sums_that_no_column_holds_are_an_error(ledger: Ledger) -> None:
    """A sum of more than 65 digits cannot be told, and is no value that was cut."""
    create(ledger, "decimal(65,0)", "decimal(65,0)")
    most = "9" * 65
    ledger.insert("l", "id, account, way, amount", [(1, 1, "in", most), (2, 1, "in", 1)])
    ledger.insert("t", "id, account, points", [(1, 1, most)])
    for amount in ("amount", DECLARED["sums"]["points"]):
        with pytest.raises(CheckError, match="out of range"):
            ledger.run("balance", "t", **DECLARED | {"sums": {"points": amount}})


@on_servers
@pytest.mark.parametrize("kind", ["double", "float", "varchar(20)"])
def test_what_is_no_exact_number_is_no_amount(ledger: Ledger, kind: str) -> None:
    """Doubles and texts are not summed."""
    create(ledger, kind, "bigint")
    with pytest.raises(CheckError, match=r"l\.amount is .*: an amount is a whole number or a dec"):
        ledger.run("balance", "t", **DECLARED | {"sums": {"points": "amount"}})


def test_a_row_that_counts_later_is_seen_by_the_complete_run(ledger: Ledger) -> None:
    """What changes behind the cursor is seen when everything is read again."""
    create(ledger, "bigint", "bigint")
    rows = [(1, 1, "in", 5, "booked"), (2, 1, "in", 7, "draft"), (3, 2, "in", 1, "booked")]
    ledger.insert("l", "id, account, way, amount, state", rows)
    ledger.insert("t", "id, account, points", [(1, 1, 5), (2, 2, 1)])
    fields = DECLARED | {"ledger_when": "state = 'booked'"}
    with set_clock() as clock, kept(0):
        asked = check("balance", "t", **fields)
        result = asked.run(ledger.sources)
        assert (result.violations, result.examined) == (0, 2)
        ledger.sql("UPDATE l SET state = 'booked' WHERE id = 2")
        clock.move(1000)
        assert asked.run(ledger.sources, window_after(result)).violations == 0
        assert asked.run(ledger.sources).violations == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sums": {"points": "amount / 3"}}, "division is exact by a constant"),
        ({"sums": {"points": "SUM(amount)"}}, "not allowed in a condition: SUM"),
        ({"chain_when": "own = 1"}, "chain_when says which rows chain"),
        ({"ledger_when": "other.own = 1"}, "not allowed in a condition: other.own"),
    ],
)
def test_what_cannot_be_read_is_refused(fields: dict[str, Any], message: str) -> None:
    """Amounts and conditions outside the allowed SQL are refused in one sentence."""
    with pytest.raises(ValidationError, match=message):
        check("balance", "t", **DECLARED | fields)
