"""Ledger rows under several keys, open ones too, against a reading with pencil and paper."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.contract import Result
from tests.support.ledgers import Ledger, check
from tests.support.runs import window_after

EXAMPLES = {"sqlite": 20, "mariadb": 8, "mysql": 5}
CLASSES = {"int": "[0-9]{1,20}", "token:2": "[A-Za-z0-9_:.-]{2}", "hex": "[0-9A-Fa-f]+"}

TABLES = (
    (
        "CREATE TABLE orders (shop bigint, number bigint, order_no varchar(20),"
        " paid decimal(12,2), PRIMARY KEY (shop, number))"
    ),
    (
        "CREATE TABLE entries (book bigint, entry bigint, idempotency_key varchar(100),"
        " amount decimal(14,4), kind varchar(9), PRIMARY KEY (book, entry))"
    ),
)
INDEXES = (
    "CREATE INDEX on_ ON orders (number)",
    "CREATE INDEX ee ON entries (entry)",
    "CREATE INDEX ek ON entries (idempotency_key)",
)
KEYS = (
    ["a_{number}_{int}"],
    ["a_{order_no}_{int}"],
    ["{order_no}:{hex}", "a_{number}"],
    ["a_{order_no}_{token:2}", "a_{order_no}_{int}"],
    ["a_{order_no}", "b_{order_no}"],
    ["a_{number}", "{int}_{number}"],
    ["{order_no[:2]}_{int}"],
)
RULES: tuple[dict[str, Any], ...] = (
    {},
    {"ledger_rows": 1},
    {"ledger_rows": "0..2"},
    {"ledger_sum": {"paid": "amount"}},
    {"ledger_sum_at_most": {"paid": "amount"}},
    {"ledger_sum_at_most": {"paid": "amount"}, "ledger_rows": "1.."},
)
ORDER = st.tuples(
    st.integers(1, 4),
    st.sampled_from(["A", "a", "A ", "A_1", "", "4", "a%", "a\\", None]),
    st.sampled_from(["0.10", "0.20", "0.30"]),
)
ENTRY = st.tuples(
    st.sampled_from(["a_{n}_{x}", "a_{t}_{x}", "{t}:{x}", "a_{t}", "b_{t}", "{x}_{n}", "{t}_{x}"]),
    st.sampled_from(["1", "2", "4", "9"]),
    st.sampled_from(["A", "a", "A ", "A_1", "", "a%", "a\\", "b"]),
    st.sampled_from(["1", "12", "f", "x", "_", "", "B7", "-1"]),
    st.sampled_from(["0.1", "0.1", "0.2", "0.3000", "0.1001"]),
    st.sampled_from(["in", "in", "in", "out"]),
)
STEPS = st.lists(st.tuples(st.lists(ORDER, max_size=4), st.lists(ENTRY, max_size=6)), max_size=3)
Row = dict[str, Any]


@dataclass
class Books:
    """Orders and entries, and the rule that they have to obey."""

    keys: Sequence[str]
    rule: dict[str, Any]
    pairs: bool
    is_folded: bool
    orders: list[Row]
    entries: list[Row]

    @property
    def fields(self) -> dict[str, Any]:
        """Those of the check."""
        return {
            "primary_key": ["shop", "number"],
            "cursor": "number",
            "ledger": "entries",
            "ledger_primary_key": ["book", "entry"],
            "ledger_cursor": "entry",
            "ledger_key": self.keys,
            "ledger_when": "kind = 'in'",
            "equal": {"paid": "amount"} if self.pairs else {},
            "settle": "0s",
            **self.rule,
        }

    def _pattern(self, key: str, order: Row) -> str | None:
        pieces = re.split(r"\{([^}]*)\}", key)
        found = re.escape(self._fold(pieces[0]))
        for inside, text in zip(pieces[1::2], pieces[2::2], strict=True):
            name = inside.removesuffix("[:2]")
            if inside in CLASSES:
                found += CLASSES[inside]
            elif order[name] is None:
                return None
            else:
                value = str(order[name])
                found += re.escape(self._fold(value[:2] if name != inside else value))
            found += re.escape(self._fold(text))
        return found

    def _fold(self, text: str) -> str:
        return text.casefold() if self.is_folded else text

    def has(self, order: Row, entry: Row) -> str | None:
        """The first of the keys by which an entry is one of an order."""
        for key in self.keys:
            pattern = self._pattern(key, order)
            text = self._fold(entry["idempotency_key"])
            if pattern is not None and self.is_folded:
                pattern = re.sub(r"(\\ )+$", "", pattern)  # as the collation has it
            if pattern is not None and re.fullmatch(pattern, text):
                return key
        return None

    def wrong(self) -> set[tuple[str, str]]:
        """Everything that is wrong."""
        found = {
            (str(_id(each, "shop", "number")), p) for each in self.orders if (p := self._of(each))
        }
        for entry in self.entries:
            if entry["kind"] == "in" and not any(self.has(each, entry) for each in self.orders):
                found.add((str(_id(entry, "book", "entry", "entries.")), "orphaned"))
        return found

    def _of(self, order: Row) -> str | None:
        theirs = [(e, key) for e in self.entries if (key := self.has(order, e))]
        judged = [e for e, key in theirs if e["kind"] == "in" or not _is_open(key)]
        wanted = [e for e in judged if e["kind"] == "in"]
        differing = [
            e for e in judged if e["kind"] != "in" or (self.pairs and e["amount"] != order["paid"])
        ]
        sums = "ledger_sum" in self.rule, "ledger_sum_at_most" in self.rule
        is_one = any(map(_is_open, self.keys)) and not any(sums)
        rows = str(self.rule.get("ledger_rows", 1 if is_one else ""))
        if not any((*sums, rows)):
            right = [e for e in wanted if not self.pairs or e["amount"] == order["paid"]]
            return None if right else "mismatched" if theirs else "missing"
        total = sum(e["amount"] for e in wanted)
        miscounted = bool(rows) and not _fits(len(judged), rows)
        apart = (sums[0] and total != order["paid"]) or (sums[1] and total > order["paid"])
        if not (miscounted or apart or differing):
            return None
        if not theirs:
            return "missing"
        return "miscounted" if miscounted and judged else "mismatched"


def _is_open(key: str) -> bool:
    return any(f"{{{each}}}" in key for each in CLASSES)


def _fits(number: int, rows: str) -> bool:
    least, dots, most = rows.partition("..")
    most = most if dots else least
    return int(least) <= number and (not most or number <= int(most))


def _id(row: Row, one: str, other: str, prefix: str = "") -> list[tuple[str, Any]]:
    return sorted({f"{prefix}{one}": row[one], f"{prefix}{other}": row[other]}.items())


def found(result: Result) -> set[tuple[str, str]]:
    """What a result says is wrong; each once."""
    wrong = {(str(sorted(e.key.items())), str(e.evidence["problem"])) for e in result.findings}
    assert len(wrong) == len(result.findings) == result.violations
    return wrong


def test_ledger_rows_under_several_keys(ledger: Ledger) -> None:
    """What is wrong is found, complete and along the cursor as rows come, and nothing else."""

    @settings(max_examples=EXAMPLES[ledger.backend], deadline=None)
    @given(
        keys=st.sampled_from(KEYS), rule=st.sampled_from(RULES), pairs=st.booleans(), steps=STEPS
    )
    # A further entry of an order that was right.
    @example(
        keys=["a_{number}_{int}"],
        rule={},
        pairs=True,
        steps=[
            ([(1, "A", "0.10")] * 3, [("a_{n}_{x}", "1", "A", "1", "0.1", "in")]),
            ([], [("a_{n}_{x}", "1", "A", "12", "0.1", "in")]),
        ],
    )
    # A space at the end of a column is one within the key.
    @example(
        keys=["a_{order_no}_{int}"],
        rule={"ledger_sum": {"paid": "amount"}},
        pairs=False,
        steps=[
            ([(1, "A", "0.10"), (1, "A ", "0.10")], [("a_{t}_{x}", "1", "A", "1", "0.1", "in")])
        ],
    )
    def holds(
        keys: list[str],
        rule: dict[str, Any],
        pairs: bool,  # noqa: FBT001 - hypothesis gives it by name
        steps: list[Any],
    ) -> None:
        ledger.clear()
        ledger.sql(*TABLES, *INDEXES)
        ledger.sql("INSERT INTO orders VALUES (0, 0, NULL, 0)")
        ledger.sql("INSERT INTO entries VALUES (0, 0, 'none', 0, 'none')")
        zero = {"shop": 0, "number": 0, "order_no": None, "paid": Decimal(0)}
        books = Books(keys, rule, pairs, ledger.backend != "sqlite", [zero], [])
        declared = check("posting", "orders", **books.fields)
        last = declared.run(ledger.sources)
        for orders, entries in steps:
            _go_on(ledger, books, orders, entries)
            part = declared.run(ledger.sources, window_after(last))
            assert not part.complete
            assert found(part) == books.wrong()
            last = declared.run(ledger.sources)
            assert found(last) == books.wrong()

    holds()


def _go_on(ledger: Ledger, books: Books, orders: list[Any], entries: list[Any]) -> None:
    """Let orders and entries come."""
    for shop, order_no, paid in orders:
        row = {"shop": shop, "number": len(books.orders), "order_no": order_no}
        books.orders.append(row | {"paid": Decimal(paid)})
        ledger.insert("orders", ", ".join([*row, "paid"]), [(*row.values(), paid)])
    for form, number, text, other, amount, kind in entries:
        key = form.format(n=number, t=text, x=other).rstrip(" ")
        row = {"book": len(books.entries) % 2, "entry": len(books.entries) + 1}
        row |= {"idempotency_key": key, "kind": kind}
        books.entries.append(row | {"amount": Decimal(amount)})
        ledger.insert("entries", ", ".join([*row, "amount"]), [(*row.values(), amount)])
