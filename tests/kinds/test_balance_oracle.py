"""`balance`, `backing` and `stuck` against a reading with pencil and paper, on random ledgers."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Check, Result, Window
from checks.kinds.balance import check as balance
from checks.kinds.balance import running_totals
from checks.sql import catalog
from tests.support.ledgers import Ledger, check
from tests.support.runs import NOON, Clock, set_clock, window_after

EXAMPLES = {"sqlite": 60, "mariadb": 15, "mysql": 5}

Row = dict[str, Any]
Group = tuple[Any, ...]
Wrong = dict[Group, tuple[str, int]]
"""By group, the problem and the magnitude."""
Fold = Callable[[Any], Any]


def fold_of(ledger: Ledger) -> Fold:
    """What a text is compared as: itself in a file, without case and final spaces on a server."""
    if ledger.backend == "sqlite":
        return lambda value: value
    return lambda value: value.rstrip(" ").casefold() if isinstance(value, str) else value


def found(result: Result, fold: Fold) -> Wrong:
    """What a result says is wrong; each group once."""
    wrong = {
        tuple(map(fold, each.key.values())): (str(each.evidence["problem"]), each.magnitude)
        for each in result.findings
    }
    assert len(wrong) == len(result.findings) == result.violations
    return wrong


def write(ledger: Ledger, **tables: list[Row]) -> None:
    """Make a database hold just these rows."""
    ledger.sql("BEGIN")
    for table, rows in tables.items():
        ledger.sql(f"DELETE FROM {table}")
        if rows:
            ledger.insert(table, ", ".join(rows[0]), [tuple(row.values()) for row in rows])
    ledger.sql("COMMIT")


# balance

POSTINGS = (
    "CREATE TABLE l (id bigint PRIMARY KEY, account bigint, asset varchar(9), delta bigint,"
    " was bigint, now_is bigint, hold bigint)"
)
BALANCES = (
    "CREATE TABLE t (id bigint PRIMARY KEY, account bigint, asset varchar(9), available bigint,"
    " frozen bigint)"
)
GROUPS: tuple[Group, ...] = ((1, "P"), (1, "p "), (2, "P"), (1, "D"), (-3, None), (None, "P"))
OVERLAP = timedelta(seconds=60)
BETWEEN_RUNS = 100.0

Act = tuple[str, int, int]
"""What happens: how, and two numbers that choose a group or a row, and an amount."""

RIGHT = ("post", "post", "post", "late", "split", "merge")
MISHAPS = (
    *("unposted", "skew", "off", "available", "frozen", "lose balance", "add balance"),
    *("alter", "alter chain", "delete", "move"),
)
ACTS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(RIGHT), st.sampled_from((*RIGHT, *MISHAPS))),
        st.integers(0, 30),
        st.integers(-3, 4),
    ),
    max_size=6,
)
BYS = (("account", "asset"), ("asset", "account"), ("account",), ("asset",))
RULES = st.fixed_dictionaries(
    {
        "by": st.sampled_from((BYS[0], *BYS)),
        "chained": st.sampled_from([True, True, False]),
        "empty_allowed": st.booleans(),
    }
)
LIMITS = st.fixed_dictionaries(
    {"page_rows": st.integers(1, 20), "many": st.integers(0, 2), "most": st.integers(1, 3)}
)


@dataclass
class Books:
    """Ledger rows and balance rows, and who they belong to."""

    fold: Fold
    by: tuple[str, ...]
    chained: bool = True
    empty_allowed: bool = False
    posted: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    """Rows that have an id, and will appear before the next run but one."""
    balances: list[Row] = field(default_factory=list)
    ids: int = 0
    tampered: set[Group] = field(default_factory=set)
    """Groups of which a ledger row was altered or taken away since the last complete run."""

    def group(self, row: Row) -> Group:
        """Whose a row is."""
        return tuple(self.fold(row[name]) for name in self.by)

    def go_on(self, acts: list[Act]) -> set[Group]:
        """Let things happen; return the groups that have got ledger rows."""
        before = {row["id"] for row in self.posted}
        for row in self.waiting:
            self.posted.append(row)
            self.settle(row, row["delta"], row["hold"])
        self.waiting = []
        for kind, number, amount in acts:
            self.act(kind, number, amount)
        self.posted.sort(key=lambda row: row["id"])
        return {self.group(row) for row in self.posted if row["id"] not in before}

    def act(self, kind: str, number: int, amount: int) -> None:
        """Let one thing happen."""
        if kind in ("post", "late", "unposted", "skew", "off"):
            self.post(kind, number, amount)
        elif kind == "add balance":
            account, asset = GROUPS[number % len(GROUPS)]
            self.add_balance(account, asset, amount, 0)
        elif kind in ("alter", "alter chain", "delete", "move"):
            self.tamper(kind, number, amount)
        elif self.balances:
            self.rebalance(kind, self.balances[number % len(self.balances)], amount)

    def post(self, kind: str, number: int, amount: int) -> None:
        """Append a ledger row, right or not, and have it in the balance."""
        account, asset = GROUPS[number % len(GROUPS)]
        self.ids += 1
        row: Row = {"id": self.ids, "account": account, "asset": asset, "delta": amount}
        peers = [r for r in (*self.posted, *self.waiting) if self.group(r) == self.group(row)]
        row["was"] = max(peers, key=lambda r: r["id"])["now_is"] if peers else 0
        row["was"] += kind == "skew"
        row["now_is"] = row["was"] + amount + (kind == "off")
        row["hold"] = amount % 2
        if kind == "late":
            self.waiting.append(row)
            return
        self.posted.append(row)
        if kind != "unposted":
            self.settle(row, amount, row["hold"])

    def settle(self, row: Row, amount: int, hold: int) -> None:
        """Add to a balance, which is made if need be."""
        own = [each for each in self.balances if self.group(each) == self.group(row)]
        if own:
            own[0]["available"] += amount
            own[0]["frozen"] += hold
        else:
            self.add_balance(row["account"], row["asset"], amount, hold)

    def add_balance(self, account: Any, asset: Any, available: int, frozen: int) -> None:
        """Append a balance row."""
        number = max((each["id"] for each in self.balances), default=0) + 1
        values = {"available": available, "frozen": frozen}
        self.balances.append({"id": number, "account": account, "asset": asset, **values})

    def rebalance(self, kind: str, row: Row, amount: int) -> None:
        """Do something to a balance row."""
        if kind == "split":
            row["available"] -= amount
            self.add_balance(row["account"], row["asset"], amount, 0)
        elif kind == "merge":
            others = [r for r in self.balances if r is not row and self.group(r) == self.group(row)]
            for other in others:
                self.balances.remove(other)
                row["available"] += other["available"]
                row["frozen"] += other["frozen"]
        elif kind == "lose balance":
            self.balances.remove(row)
        else:
            row[kind] += amount

    def tamper(self, kind: str, number: int, amount: int) -> None:
        """Do to a ledger row what nobody may."""
        if not self.posted:
            return
        row = self.posted[number % len(self.posted)]
        self.tampered.add(self.group(row))
        if kind == "delete":
            self.posted.remove(row)
        elif kind == "move":
            row["account"], row["asset"] = GROUPS[amount % len(GROUPS)]
            self.tampered.add(self.group(row))
        else:
            names = ("was", "now_is") if kind == "alter chain" else ("delta", "hold")
            row[names[number % 2]] += amount

    def wrong(self) -> Wrong:
        """Everything that is wrong."""
        groups = {self.group(row) for row in (*self.posted, *self.balances)}
        told = {group: self.problem(group) for group in groups}
        return {group: problem for group, problem in told.items() if problem}

    def problem(self, group: Group) -> tuple[str, int] | None:
        """What is wrong with a group, the worst first."""
        rows = [row for row in self.posted if self.group(row) == group]
        own = [row for row in self.balances if self.group(row) == group]
        pairs = (("available", "delta"), ("frozen", "hold"))
        sums = [(sum(r[held] for r in own), sum(r[posted] for r in rows)) for held, posted in pairs]
        magnitude = max(1, sum(abs(one - other) for one, other in sums))
        if not rows:
            is_empty = all(held == 0 for held, _ in sums)
            return None if is_empty and self.empty_allowed else ("no_ledger", magnitude)
        if not own:
            return "no_balance", magnitude
        if any(one != other for one, other in sums):
            return "apart", magnitude
        if self.chained and (not adds_up(rows) or (len(own) == 1 and not chains(rows))):
            return "broken_chain", 1
        return None

    @property
    def check(self) -> Check:
        """The check whose oracle this is."""
        chain = {"before": "was", "change": "delta", "after": "now_is"}
        return check(
            "balance",
            "t",
            primary_key="id",
            ledger="l",
            ledger_primary_key="id",
            ledger_cursor="id",
            by=self.by,
            sums={"available": "delta", "frozen": "hold"},
            chain=chain if self.chained else None,
            empty_allowed=self.empty_allowed,
        )


def adds_up(rows: list[Row]) -> bool:
    """Whether each row leads from its before to its after."""
    return all(row["now_is"] == row["was"] + row["delta"] for row in rows)


def chains(rows: list[Row]) -> bool:
    """Whether rows, in the order of their ids, follow on one another, and the first on 0."""
    last = 0
    for row in sorted(rows, key=lambda row: row["id"]):
        if row["was"] != last:
            return False
        last = row["now_is"]
    return True


@contextmanager
def small(
    books: Books, *, page_rows: int = 10**9, many: int = 10**9, most: int = 9
) -> Iterator[None]:
    """Let pages be short, and groups be large, long before they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balance, "PAGE_ROWS", page_rows)
        patch.setattr(running_totals, "MANY_POSTINGS", many)
        patch.setattr(running_totals, "MOST_KEPT", most)
        estimated = catalog.estimated_rows

        def exact(connection: Any, table: str) -> int | None:
            # The server's own figure follows only after a while. A file has none: one page.
            return None if estimated(connection, table) is None else len(books.posted)

        patch.setattr(catalog, "estimated_rows", exact)
        yield


@pytest.fixture
def bank(ledger: Ledger) -> Ledger:
    """A ledger and its balances, empty."""
    ledger.sql(POSTINGS, BALANCES, "CREATE INDEX of_group ON l (account, asset, hold)")
    return ledger


def test_what_is_right_is_right() -> None:
    """The oracle finds nothing where business went on as it should."""
    books = Books(lambda value: value, ("account", "asset"))
    for number in range(40):
        books.go_on([(RIGHT[number % 4], number, number % 7 - 3)])
    books.go_on([])
    assert len(books.posted) == 40
    assert books.wrong() == {}


def test_complete_runs_of_balance_find_what_is_wrong(bank: Ledger) -> None:
    """A complete run finds what is wrong and nothing else, in however many pages it goes."""

    @settings(max_examples=EXAMPLES[bank.backend], deadline=None)
    @given(steps=st.tuples(ACTS, ACTS), rules=RULES, page_rows=st.integers(1, 20))
    def holds(steps: tuple[list[Act], list[Act]], rules: Row, page_rows: int) -> None:
        books = Books(fold_of(bank), **rules)
        for acts in steps:
            books.go_on(acts)
        write(bank, l=books.posted, t=books.balances)
        with small(books, page_rows=page_rows):
            result = books.check.run(bank.sources)
        assert found(result, books.fold) == books.wrong()
        assert (result.complete, result.examined) == (True, len(books.posted))

    holds()


POSTS = st.lists(st.tuples(st.just("post"), st.integers(0, 1), st.integers(-3, 4)), max_size=4)
STEPS = st.lists(
    st.tuples(st.one_of(POSTS, ACTS), st.sampled_from([False] * 14 + [True])),
    min_size=5,
    max_size=8,
)
"""Mostly right and of few groups, so that some come to be kept; and seldom a complete run."""


def test_runs_of_balance_along_the_cursor_find_what_they_promise(bank: Ledger) -> None:
    """What is new, known or kept is judged rightly, late rows too; never is anything else told."""

    # Half as many, since each of them is five to eight runs.
    @settings(max_examples=EXAMPLES[bank.backend] // 2, deadline=None)
    @given(steps=STEPS, rules=RULES, limits=LIMITS)
    def holds(steps: list[tuple[list[Act], bool]], rules: Row, limits: dict[str, int]) -> None:
        books = Books(fold_of(bank), **rules)
        with small(books, **limits), set_clock() as clock:
            following = Following(bank, books, clock, limits["most"])
            for acts, complete in steps:
                following.go_on(acts, complete=complete)

    holds()


@dataclass
class Following:
    """A check that is run again and again along the cursor."""

    ledger: Ledger
    books: Books
    clock: Clock
    most: int
    last: Result | None = None

    def go_on(self, acts: list[Act], *, complete: bool) -> None:
        """Let things happen, run once more, and see that what had to be found was found."""
        books, fold = self.books, self.books.fold
        new = books.go_on(acts)
        write(self.ledger, l=books.posted, t=books.balances)
        self.clock.move(BETWEEN_RUNS)
        window = Window(overlap=OVERLAP, overlap_rows=0)
        if self.last:
            window = window_after(self.last, overlap=OVERLAP)
        if complete:
            window = replace(window, cursor=None)
        before = {tuple(map(fold, key)) for key, _, _ in self.kept}
        result = books.check.run(self.ledger.sources, window)
        wrong, seen = books.wrong(), found(result, fold)
        if result.complete:
            assert seen == wrong
            books.tampered.clear()
        known = {tuple(fold(key[name]) for name in books.by) for key in window.known}
        # Of what is kept only the balance, and what is new, is looked at.
        promised = known | (new - (before & books.tampered)) | (before - books.tampered)
        assert seen.items() <= wrong.items()
        assert {group for group in wrong if group in promised} <= set(seen)
        self.last = result
        self.look_at_what_is_kept()

    @property
    def kept(self) -> list[list[Any]]:
        """The groups whose sums the last run has kept."""
        left = self.last.cursor if self.last else None
        return left["kept"]["groups"] if left and left["kept"] else []

    def look_at_what_is_kept(self) -> None:
        """See that what is kept is what the ledger said before the settled place."""
        assert len(self.kept) <= self.most
        assert self.last is not None
        for key, sums, last in self.kept:
            group = tuple(map(self.books.fold, key))
            if group in self.books.tampered:
                continue
            assert self.last.cursor is not None
            through = self.last.cursor["kept"]["through"]
            rows = [
                row
                for row in self.books.posted
                if self.books.group(row) == group and row["id"] < through
            ]
            assert sums == [sum(r["delta"] for r in rows), sum(r["hold"] for r in rows)]
            assert last in (None, rows[-1]["now_is"])


# backing

BACKING_TABLES = (
    "CREATE TABLE accounts (account_id bigint PRIMARY KEY, user_id bigint)",
    "CREATE TABLE t (id bigint PRIMARY KEY, account bigint, asset varchar(9), frozen bigint)",
    (
        "CREATE TABLE listings (id bigint PRIMARY KEY, seller bigint, asset varchar(9),"
        " offer bigint, status varchar(9), held int)"
    ),
    (
        "CREATE TABLE orders (id bigint PRIMARY KEY, buyer bigint, asset varchar(9),"
        " gross bigint, status varchar(9))"
    ),
)
USERS: dict[Any, Any] = {10: 1, 11: 1, 20: 2, 91: None, 92: None}
"""The user of each account; account 404 does not exist."""
BACKING = check(
    "backing",
    "t",
    amount="frozen",
    by=["accounts.user_id", "asset"],
    through={"accounts": {"account_id": "account"}},
    holders=[
        {
            "table": "listings",
            "by": ["seller", "asset"],
            "amount": "offer",
            "when": "status IN ('on_sale', 'locked') AND held = 1",
        },
        {"table": "orders", "by": ["buyer", "asset"], "amount": "gross", "when": "status = 'open'"},
    ],
)

AMOUNT = st.sampled_from([None, -1, 0, 1, 1, 2, 2, 3])
ASSET = st.sampled_from(["P", "P", "p ", "D", None])
OWNER = st.sampled_from([1, 1, 2, 3, None])
OWN = st.tuples(st.sampled_from([*USERS, 10, 20, 404, None]), ASSET, AMOUNT)
LISTING = st.tuples(
    OWNER,
    ASSET,
    AMOUNT,
    st.sampled_from(["on_sale", "ON_SALE", "locked", "sold", None]),
    st.sampled_from([1, 1, 1, 0, None]),
)
ORDER = st.tuples(OWNER, ASSET, AMOUNT, st.sampled_from(["open", "open", "Open", "done", None]))
Values = list[tuple[Any, ...]]


def rows_of(columns: str, values: Values) -> list[Row]:
    """Rows with ids."""
    names = ["id", *columns.split()]
    return [
        dict(zip(names, (number, *each), strict=True))
        for number, each in enumerate(values, start=1)
    ]


def unbacked(own: Values, listings: Values, orders: Values, fold: Fold) -> tuple[Wrong, int]:
    """By owner, what is wrong, and how many amounts there are."""
    entries: list[tuple[Group, int]] = []
    for account, asset, amount in own:
        if amount:
            owner = (USERS.get(account), fold(asset))
            entries.append(((*owner, account) if None in owner else owner, amount))
    holders = [
        ("listings", seller, asset, amount)
        for seller, asset, amount, status, held in listings
        if fold(status) in ("on_sale", "locked") and held == 1
    ]
    holders += [("orders", *each[:3]) for each in orders if fold(each[3]) == "open"]
    for table, holder, asset, amount in holders:
        owner = (holder, fold(asset))
        entries.append(((*owner, table) if None in owner else owner, -(amount or 0)))
    sums: dict[Group, int] = defaultdict(int)
    for group, amount in entries:
        sums[group] += amount
    problems = {True: "unexplained", False: "overheld"}
    return {g: (problems[off > 0], abs(off)) for g, off in sums.items() if off}, len(entries)


def test_backing_finds_what_is_wrong(ledger: Ledger) -> None:
    """What holds an amount and what does not is told for each owner, and nothing else."""
    ledger.sql(*BACKING_TABLES)
    fold = fold_of(ledger)
    users = [{"account_id": account, "user_id": user} for account, user in USERS.items()]

    @settings(max_examples=EXAMPLES[ledger.backend], deadline=None)
    @given(
        st.lists(OWN, max_size=6),
        st.lists(LISTING, max_size=5),
        st.lists(ORDER, max_size=5),
        st.booleans(),
    )
    def holds(
        own: Values,
        listings: Values,
        orders: Values,
        matched: bool,  # noqa: FBT001 - hypothesis gives it by position
    ) -> None:
        if matched:  # what is held so far is frozen, too
            accounts = {1: 11, 2: 20}
            own = own[:2] + [
                (accounts[each[0]], each[1], each[2])
                for each in (*listings, *orders)
                if each[0] in accounts
            ]
        write(
            ledger,
            accounts=users,
            t=rows_of("account asset frozen", own),
            listings=rows_of("seller asset offer status held", listings),
            orders=rows_of("buyer asset gross status", orders),
        )
        result = BACKING.run(ledger.sources)
        wrong, examined = unbacked(own, listings, orders, fold)
        assert found(result, fold) == wrong
        assert (result.examined, result.complete) == (examined, True)

    holds()


# stuck

LIMIT = 60
AGE = st.one_of(
    st.none(),
    st.sampled_from([-LIMIT - 1, -LIMIT, -LIMIT + 1, LIMIT - 1, LIMIT, LIMIT + 1]),
    st.sampled_from([-LIMIT, LIMIT, 0]),
    st.integers(-200, 10**6),
)
REQUEST = st.tuples(st.sampled_from(["open"] * 3 + ["Open", "open ", "done", None]), AGE)


def test_stuck_finds_what_is_wrong(ledger: Ledger) -> None:
    """Rows in the state for too long, or nobody knows since when, are told, and no others."""
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, status varchar(9), at datetime)")
    fold = fold_of(ledger)
    stuck = check(
        "stuck",
        "t",
        primary_key="id",
        when="status = 'open'",
        entered_at="at",
        longer_than=f"{LIMIT}s",
    )

    @settings(max_examples=EXAMPLES[ledger.backend], deadline=None)
    @given(
        st.lists(REQUEST, max_size=8),
        st.sampled_from([UTC, ZoneInfo("Asia/Shanghai"), ZoneInfo("America/St_Johns")]),
        st.sampled_from([0, 0.25]),
    )
    def holds(requests: Values, zone: Any, fraction: float) -> None:
        written = [(status, None if age is None else shown(age, zone)) for status, age in requests]
        write(ledger, t=rows_of("status at", written))
        with set_clock() as clock:
            clock.move(fraction)
            result = stuck.run(ledger.sources, Window(zone=zone))
        passing = {
            number: None if age is None else age + fraction
            for number, (status, age) in enumerate(requests, start=1)
            if fold(status) == "open"
        }
        late = [n for n, age in passing.items() if age is None or abs(age) > LIMIT]
        assert [finding.key for finding in result.findings] == [{"id": n} for n in late]
        assert (result.violations, result.examined) == (len(late), len(passing))
        measures = {"passing": len(passing)}
        ages = [age for age in passing.values() if age is not None]
        if ages:
            measures["oldest_seconds"] = max(0, int(max(ages)))
        assert result.measures == measures

    holds()


def shown(age: int, zone: Any) -> str:
    """The moment so many seconds before noon, as a column in a zone holds it."""
    moment = NOON - timedelta(seconds=age)
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(" ")
