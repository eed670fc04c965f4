"""`conservation`: the rows of each group add up to nought, or to what the group says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.contract import SAMPLE, Check, CheckError, Result, Window
from tests.support.books import Fold, fold_of
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from tests.support.runs import NOON, set_clock, window_after

LINES = (
    "CREATE TABLE t (id bigint PRIMARY KEY, entry varchar(9), unit varchar(9), credit {type},"
    " debit {type}, due bigint, state varchar(9), at datetime)"
)
DECLARED: dict[str, Any] = {
    "primary_key": "id",
    "by": ["entry", "unit"],
    "sum": "credit - debit",
    "when": "state = 'live'",
    "settle": "0s",
}
FOLLOWED = {"cursor": "id", "written_at": "at"}
Line = tuple[str | None, str | None, object, object]


def fill(ledger: Ledger, lines: Sequence[Line], type_name: str = "bigint") -> None:
    """Write live lines, each of an entry, a unit, a credit and a debit."""
    ledger.sql(LINES.format(type=type_name))
    add(ledger, lines)


def add(ledger: Ledger, lines: Iterable[Line], first: int = 1) -> None:
    """Write more of them."""
    rows = [(number, *line, "live") for number, line in enumerate(lines, first)]
    ledger.insert("t", "id, entry, unit, credit, debit, state", rows)


def run(ledger: Ledger, **fields: object) -> Result:
    return ledger.run("conservation", "t", **(DECLARED | fields))


def test_groups_that_do_not_add_up_are_found(ledger: Ledger) -> None:
    """By entry and unit the live lines make nought; what is off is told with its rows."""
    fill(
        ledger,
        [
            *(("a", "X", 50, 0), ("a", "X", 0, 30), ("a", "X", 0, 0), ("a", "X", 0, 20)),
            *(("b", "X", 5, 0), ("b", "Y", 0, 5)),
            *((None, "X", 7, 0), (None, "X", 0, 7), (None, None, 1, 0)),
        ],
    )
    ledger.insert("t", "id, entry, unit, credit, debit, state", [(90, "a", "X", 9, 0, "void")])
    ledger.insert("t", "id, entry, unit, credit, debit, state", [(91, "a", "X", 9, 0, None)])
    result = run(ledger)
    assert keys(result) == [
        {"entry": None, "unit": None},
        {"entry": "b", "unit": "X"},
        {"entry": "b", "unit": "Y"},
    ]
    assert (result.examined, result.violations) == (9, 3)
    assert result.measures == {"groups": 5, "groups_waiting": 0}
    assert dict(result.findings[1].evidence) == {
        "problem": "off",
        "SUM(credit - debit)": 5,
        "expected": 0,
        "rows": 1,
        "row_ids": (5,),
    }
    assert messages(result)[2] == "t: SUM(credit - debit) -5, expected 0 for entry b, unit Y"
    assert [each.magnitude for each in result.findings] == [1, 5, 5]


@on_servers
@pytest.mark.parametrize("type_name", ["bigint unsigned", "decimal(38,9)"])
def test_sums_are_exact(ledger: Ledger, type_name: str) -> None:
    """Neither unsigned differences nor sums beyond 64 bits nor fractions are off by anything."""
    places = 0 if "unsigned" in type_name else 9
    most, less = (Decimal(f"{number}e-{places}") for number in (2**64 - 1, 2**64 - 2))
    lines = [("a", "X", 0, most), ("a", "X", 0, most), ("a", "X", most, 0), ("a", "X", most, 0)]
    fill(ledger, [*lines, ("b", "X", most, 0), ("b", "X", 0, less)], type_name)
    (finding,) = run(ledger).findings
    assert (finding.key, finding.magnitude) == ({"entry": "b", "unit": "X"}, 1)
    assert Decimal(str(finding.evidence["SUM(credit - debit)"])) == Decimal(f"1e-{places}")
    (finding, _) = run(ledger, sum="credit").findings
    assert Decimal(str(finding.evidence["SUM(credit)"])) == 2 * most


def test_the_sum_may_be_what_the_rows_say(ledger: Ledger) -> None:
    """Rows of one group that say different sums, or none, are told, too; a constant may be any."""
    fill(ledger, [("a", "X", 3, 0), ("a", "X", 4, 0), ("b", "X", 7, 0), ("c", "X", 7, 0)])
    ledger.sql("UPDATE t SET due = 7", "UPDATE t SET due = 8 WHERE id = 3")
    (finding,) = run(ledger, equals="due").findings
    assert finding.message == "t: SUM(credit - debit) 7, expected due 8 for entry b, unit X"
    assert (finding.evidence["due"], finding.aspects) == (8, ("SUM(credit - debit) < due",))
    ledger.sql("UPDATE t SET due = 7 WHERE id = 3", "UPDATE t SET due = 6 WHERE id = 2")
    (finding,) = run(ledger, equals="due").findings
    assert (finding.evidence["problem"], finding.evidence["due"]) == ("unclear", (6, 7))
    ledger.sql("UPDATE t SET due = NULL WHERE id = 2")
    (finding,) = run(ledger, equals="due").findings
    assert finding.evidence["due"] == (7, None)
    assert keys(run(ledger, equals="7")) == []


def test_an_amount_that_is_not_known_is_told(ledger: Ledger) -> None:
    """NULL in a column counts as 0; in a difference it would hide the other side."""
    fill(ledger, [("a", "X", 5, 0), ("a", "X", None, 5), ("b", "X", 0, 0)])
    (finding,) = run(ledger).findings
    assert (finding.evidence["problem"], finding.evidence["rows_without_amount"]) == ("unclear", 1)
    assert "SUM(credit - debit) 5 (without 1 rows whose amount is NULL)" in finding.message
    assert run(ledger, sum="COALESCE(credit, 0) - debit").violations == 0
    assert run(ledger, sum="credit", equals="5", when="entry = 'a'").violations == 0


def test_the_whole_table_may_be_one_group(ledger: Ledger) -> None:
    """Without `by` all rows make one sum, and no rows make 0."""
    fill(ledger, [("a", "X", 3, 0), ("b", "Y", 0, 2)])
    (finding,) = run(ledger, by=[], cursor="id").findings
    assert (finding.key, finding.message) == (
        {"table": "t"},
        "t: SUM(credit - debit) 1, expected 0",
    )
    assert finding.evidence["row_ids"] == (1, 2)
    ledger.sql("DELETE FROM t")
    assert run(ledger, by=[]).violations == 0
    assert run(ledger, by=[], equals="5").findings[0].evidence["SUM(credit - debit)"] == 0


@on_any
def test_the_sample_is_bounded_and_the_count_exact(ledger: Ledger) -> None:
    """Of many groups the first are told, a few with their rows; all are counted."""
    fill(ledger, [(f"e{n:04}", "X", 1, 0) for n in range(SAMPLE + 5) for _ in range(12)])
    result = run(ledger, cursor="id")
    assert (result.violations, len(result.findings), result.cursor) == (SAMPLE + 5, SAMPLE, None)
    assert result.examined == 12 * (SAMPLE + 5)
    assert result.findings[19].evidence["row_ids"] == tuple(range(19 * 12 + 1, 19 * 12 + 11))
    assert result.findings[20].evidence["row_ids"] == (241, 252)


@on_servers
def test_spellings_are_one_group_and_long_ones_are_found_again(ledger: Ledger) -> None:
    """What the collation takes for equal is one group, always called the same."""
    fill(ledger, [("ab", "X", 1, 0), ("Ab ", "x", 0, 1), ("B", "X", 1, 0), ("b", "X", 1, 0)])
    assert keys(run(ledger)) == [{"entry": "B", "unit": "X"}]
    ledger.sql(
        "ALTER TABLE t MODIFY entry text", f"UPDATE t SET entry = '{'b' * 300}' WHERE id > 2"
    )
    (finding,) = run(ledger).findings
    assert "sha256" in str(finding.key["entry"])
    assert finding.evidence["row_ids"] == (3, 4)


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_changed_row_is_seen_by_an_incremental_run(ledger: Ledger, *, is_indexed: bool) -> None:
    """Its group is added up again, others are not; without an index the run says so instead."""
    ledger.sql(
        "CREATE TABLE moves (id bigint PRIMARY KEY, entry bigint NOT NULL, amount bigint NOT NULL,"
        " live int NOT NULL, written datetime NOT NULL, changed datetime)",
        "CREATE INDEX by_entry ON moves (entry)",
    )
    if is_indexed:
        ledger.sql("CREATE INDEX by_change ON moves (changed)")
    lines = [(n, n // 2, 5 - 10 * (n % 2), 1, "2026-01-05 11:00:00") for n in range(40)]
    ledger.insert("moves", "id, entry, amount, live, written", lines)
    times = {"cursor": "id", "written_at": "written", "changed_at": "changed"}
    rules = {"by": ["entry"], "sum": "amount", "when": "live = 1", "settle": "10s"}
    declared = check("conservation", "moves", **rules, **times, primary_key="id")
    with set_clock() as clock:
        first = declared.run(ledger.sources)
        clock.move(60)
        at = f"{clock.at:%Y-%m-%d %H:%M:%S}"
        ledger.sql(
            f"UPDATE moves SET amount = 6, changed = '{at}' WHERE id = 6",
            f"UPDATE moves SET live = 0, changed = '{at}' WHERE id = 9",
            "UPDATE moves SET amount = 7 WHERE id = 20",  # no column says so
        )
        clock.move(5)
        second = declared.run(ledger.sources, window_after(first))
        assert not second.complete
        if not is_indexed:
            assert (second.violations, second.examined) == (0, 2)  # the last row is read again
            assert second.notes == (
                "changed_at changed starts no index: only complete runs see changed rows",
            )
            return
        assert (keys(second), second.notes) == ([{"entry": 3}, {"entry": 4}], ())
        assert second.examined == 2 + 1 + 2
        every = declared.run(ledger.sources)
        assert keys(every) == [{"entry": 3}, {"entry": 4}, {"entry": 10}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"settle": "5s"}, "written_at is missing: settle and since need the time"),
        ({"by": ["entry", "unit", "entry"]}, "by names entry twice"),
        ({"sum": "SUM(credit)"}, "not allowed in a condition: SUM(credit)"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, object], message: str) -> None:
    """A mistake of the configuration is told in one sentence."""
    with pytest.raises(ValidationError) as caught:
        check("conservation", "t", **(DECLARED | fields))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sum": "entry"}, "t.entry is varchar(9), and no amount"),
        ({"equals": "rough"}, "t.rough is double: such sums are not exact"),
        ({"written_at": "id"}, "t.id is bigint, and tells no time"),
        ({"sum": "credits"}, "table t has no column credits; the nearest existing name is credit"),
    ],
)
def test_what_cannot_be_added_up_is_an_error(
    ledger: Ledger, fields: dict[str, object], message: str
) -> None:
    """A column that is no exact amount, or no time, is a permanent error that names it."""
    fill(ledger, [])
    ledger.sql("ALTER TABLE t ADD COLUMN rough double")
    with pytest.raises(CheckError) as caught:
        run(ledger, **fields)
    assert caught.value.permanent
    assert str(caught.value).replace("bigint(20)", "bigint").startswith(message)


# Random lines, and a reading with pencil and paper

EXAMPLES = {"sqlite": 60, "mariadb": 12, "mysql": 6}
OVERLAP = timedelta(seconds=120)
Row = dict[str, Any]
Group = tuple[Any, ...]

LINE = st.fixed_dictionaries(
    {
        "entry": st.sampled_from(["a", "a", "A ", "b", None]),
        "unit": st.sampled_from(["X", "X", "Y"]),
        "credit": st.sampled_from([None, 0, 1, 2, 3]),
        "debit": st.sampled_from([0, 0, 1, 2]),
        "due": st.sampled_from([0, 0, 1, None]),
        "state": st.sampled_from(["live", "live", "live", "LIVE", "void", None]),
        "age": st.sampled_from([0, 0, 5, 15, 200, -5, -900, None]),
    }
)
ACT = st.one_of(
    st.tuples(st.sampled_from(["add", "add", "add", "balance", "late"]), LINE),
    st.tuples(st.sampled_from(["change", "delete"]), st.integers(0, 20)),
)
STEP = st.tuples(
    st.lists(ACT, max_size=4), st.sampled_from([1, 4, 9, 30]), st.sampled_from([False] * 5 + [True])
)
RULES = st.fixed_dictionaries(
    {
        "by": st.sampled_from(
            [["entry", "unit"], ["entry"], ["unit"], ["COALESCE(entry, 'b')"], []]
        ),
        "sum": st.sampled_from(["credit - debit", "credit - debit", "credit"]),
        "equals": st.sampled_from(["0", "0", "due", "1"]),
        "settle": st.sampled_from([0, 10]),
        "since": st.sampled_from([None, NOON - timedelta(seconds=100)]),
    }
)


@dataclass
class Journal:
    """Lines, and which groups of them are off."""

    fold: Fold
    by: list[str]
    sum: str
    equals: str
    settle: int
    since: datetime | None
    rows: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    """Lines that have an id, and will appear before the next run."""
    ids: int = 0

    def group(self, row: Row) -> Group:
        """Whose a line is."""
        parts = {**row, "COALESCE(entry, 'b')": "b" if row["entry"] is None else row["entry"]}
        return tuple(self.fold(parts[name]) for name in self.by)

    def go_on(self, acts: list[tuple[str, Any]], now: datetime) -> set[Group]:
        """Let things happen; return the groups that have got lines that count."""
        before = {row["id"] for row in self.rows}
        self.rows += self.waiting
        self.waiting = []
        for act, what in acts:
            if act in ("change", "delete"):
                self.tamper(act, what)
            else:
                self.add(act, what, now)
        self.rows.sort(key=lambda row: row["id"])
        # What comes behind a row of before the overlap took longer than a transaction may.
        old = [r["id"] for r in self.rows if r["at"] and r["at"] <= now - OVERLAP]
        new = [r for r in self.rows if r["id"] not in before and self.counts(r)]
        late = {row["id"] for row in new if row["id"] < max(old, default=0)}
        return {self.group(row) for row in new if row["id"] not in late}

    def add(self, act: str, what: Row, now: datetime) -> None:
        """Append a line, and with `balance` the one that makes up for it."""
        age = what["age"]
        row = {**what, "at": None if age is None else now - timedelta(seconds=age)}
        del row["age"]
        self.ids += 1
        row["id"] = self.ids
        (self.waiting if act == "late" else self.rows).append(row)
        if act == "balance":
            self.ids += 1
            swapped = {"id": self.ids, "credit": row["debit"], "debit": row["credit"]}
            self.rows.append(row | swapped)

    def tamper(self, act: str, number: int) -> None:
        """Change a line that is there, or take it away."""
        if self.rows:
            row = self.rows[number % len(self.rows)]
            if act == "delete":
                self.rows.remove(row)
            else:
                row["debit"] = number % 3

    def counts(self, row: Row) -> bool:
        """Whether a line is summed."""
        is_old = self.since and row["at"] and row["at"] < self.since
        return row["state"] is not None and self.fold(row["state"]) == "live" and not is_old

    def off(self, rows: list[Row]) -> int:
        """By how much a group is off; 0 where it is right."""
        amounts = [self.amount(row) for row in rows]
        total = sum(each or 0 for each in amounts)
        said = [row["due"] for row in rows] if self.equals == "due" else [int(self.equals)]
        by = max((abs(total - each) for each in said if each is not None), default=abs(total))
        is_off = any(each != total for each in said)
        is_unknown = self.sum != "credit" and None in amounts
        return max(1, by) if is_off or is_unknown else 0

    def amount(self, row: Row) -> int | None:
        """What a line adds; None where that is not known."""
        credit, debit = row["credit"], 0 if self.sum == "credit" else row["debit"]
        return None if None in (credit, debit) else int(credit - debit)

    def judge(self, now: datetime, known: set[Group]) -> tuple[dict[Group, int], set[Group]]:
        """The groups that are wrong, and those that are off and have to come to rest first."""
        groups: dict[Group, list[Row]] = {} if self.by else {(): []}
        for row in filter(self.counts, self.rows):
            groups.setdefault(self.group(row), []).append(row)
        off = {group: self.off(rows) for group, rows in groups.items() if self.off(rows)}
        waits = {g for g in off if g not in known and self.must_wait(groups[g], now)}
        return {group: by for group, by in off.items() if group not in waits}, waits

    def must_wait(self, rows: list[Row], now: datetime) -> bool:
        """Whether a group has a young line, and was not off before."""
        past = [row for row in rows if not is_young(row, now, OVERLAP.total_seconds())]
        rests = not any(is_young(row, now, self.settle) for row in rows)
        return not rests and not (past and self.off(past))

    @property
    def check(self) -> Check:
        """The check whose oracle this is."""
        own: dict[str, Any] = {
            "by": self.by,
            "sum": self.sum,
            "equals": self.equals,
            "settle": f"{self.settle}s",
        }
        own |= {"since": self.since} if self.since else {}
        return check("conservation", "t", **(DECLARED | FOLLOWED | own))


def is_young(row: Row, now: datetime, seconds: float) -> bool:
    """Whether a line was written within some seconds of a moment."""
    span = timedelta(seconds=seconds)
    return row["at"] is not None and now - span < row["at"] <= now + span


def write(ledger: Ledger, rows: list[Row]) -> None:
    """Make the table hold just these lines."""
    ledger.sql("BEGIN", "DELETE FROM t")
    names = ("id", "entry", "unit", "credit", "debit", "due", "state", "at")
    shown = [{**row, "at": row["at"] and row["at"].strftime("%F %T")} for row in rows]
    if rows:
        ledger.insert("t", ", ".join(names), [[row[name] for name in names] for row in shown])
    ledger.sql("COMMIT")


def test_runs_find_what_is_off_and_nothing_else(ledger: Ledger) -> None:
    """A complete run tells every group that is off, and no run any other.

    One along the cursor tells those with new lines, those that are known and those that waited.
    """
    ledger.sql(LINES.format(type="bigint"))

    @settings(max_examples=EXAMPLES[ledger.backend], deadline=None)
    @given(steps=st.lists(STEP, min_size=2, max_size=6), rules=RULES)
    def holds(steps: list[tuple[list[tuple[str, Any]], int, bool]], rules: Row) -> None:
        journal = Journal(fold_of(ledger.backend), **rules)
        last: Result | None = None
        waited: set[Group] = set()
        with set_clock() as clock:
            for acts, seconds, complete in steps:
                clock.move(seconds)
                new = journal.go_on(acts, clock.at)
                write(ledger, journal.rows)
                window = window_after(last, overlap=OVERLAP) if last else Window(overlap=OVERLAP)
                window = replace(window, cursor=None) if complete else window
                last = journal.check.run(ledger.sources, window)
                known = {groups_of(journal, each) for each in window.known}
                wrong, waits = journal.judge(clock.at, known)
                seen = {groups_of(journal, each.key): each.magnitude for each in last.findings}
                assert len(seen) == last.violations == len(last.findings)
                assert seen.items() <= wrong.items()
                if last.complete:
                    assert (seen, last.measures["groups_waiting"]) == (wrong, len(waits))
                promised = known | new | waited
                assert {group for group in wrong if group in promised} <= set(seen)
                waited = waits if last.complete else waits & promised

    holds()


def groups_of(journal: Journal, key: Mapping[str, Any]) -> Group:
    """The group that the key of a finding names."""
    return tuple(journal.fold(value) for value in key.values()) if journal.by else ()
