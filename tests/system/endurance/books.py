"""The ledger as the application keeps it: ledger and balances change in one transaction."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pymysql
from pymysql.constants import ER

from tests.support.servers import Database, load_schema

T = TypeVar("T")
Subject = tuple[int, str]
"""An account and an asset."""

USERS = range(1, 25)
PLATFORM = 901
POINTS, DIAMOND = "POINTS", "DIAMOND"
OPENING = 1_000_000_000
"""What everybody has at first: enough never to be refused."""
BUSY = ((101, POINTS), (102, POINTS), (101, DIAMOND))
"""Balances with a long history: an audit may keep their sums instead of adding them up anew."""
DEPOSITS = 1100
GIVE_WAY = (ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT)


def account(user: int) -> int:
    """A user's account: another number, so that a join on the wrong one finds nothing."""
    return 100 + user


def open_books(database: Database) -> None:
    """Load the real schema, and give every user an account and an opening balance."""
    load_schema(database.server, database.name)
    subjects = [(account(user), asset) for user in USERS for asset in (POINTS, DIAMOND)]
    postings = [row for subject in subjects for row in _opening(subject)]
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        _insert_many(
            cursor,
            "accounts",
            "account_id account_type user_id system_code",
            [
                *((account(user), "user", user, None) for user in USERS),
                (PLATFORM, "system", None, "SYSTEM_PLATFORM_FEE"),
            ],
        )
        _insert_many(
            cursor,
            "account_asset_balances",
            "account_id asset_code available_amount",
            [*((*subject, OPENING) for subject in subjects), (PLATFORM, DIAMOND, 0)],
        )
        _insert_many(
            cursor,
            "asset_transactions",
            "account_id asset_code delta_amount balance_before balance_after business_type"
            " idempotency_key",
            postings,
        )
        connection.commit()


def _opening(subject: Subject) -> Iterator[tuple[object, ...]]:
    """The ledger rows that lead to the opening balance: one, or many."""
    number = DEPOSITS if subject in BUSY else 1
    for place in range(number):
        before, after = (OPENING * n // number for n in (place, place + 1))
        key = f"opening:{subject[0]}:{subject[1]}:{place}"
        yield (*subject, after - before, before, after, "opening_balance", key)


def connect(database: Database) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    """A connection as the application has it: Beijing time, transactions."""
    connection = database.connect()
    connection.query("SET time_zone = '+08:00'")
    connection.autocommit(value=False)
    return connection


def _insert_many(
    cursor: pymysql.cursors.Cursor, table: str, columns: str, rows: Sequence[Sequence[object]]
) -> None:
    """Insert rows; the columns are separated by spaces."""
    names = columns.split()
    marks = ", ".join(["%s"] * len(names))
    cursor.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)


@dataclass
class Count:
    """What the writers did, together."""

    transactions: int = 0
    gave_way: int = 0
    """Transactions that were repeated after a deadlock."""
    longest_gap: float = 0.0
    """Seconds between a first transaction's start and the end of the one that belongs to it."""
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


class Books:
    """One connection of the application, for one thread."""

    def __init__(self, database: Database, stop: threading.Event, count: Count) -> None:
        self._connection = connect(database)
        self._cursor = self._connection.cursor()
        self._stop = stop
        self._count = count
        self._cursor.execute(
            "SELECT account_id, asset_code, balance_id FROM account_asset_balances"
        )
        self._balance_ids = {(row[0], row[1]): row[2] for row in self._cursor.fetchall()}
        self._connection.commit()

    def close(self) -> None:
        """Roll back what is open, and hang up."""
        self._connection.close()

    def transact(self, work: Callable[[], T], hold: float = 0.0) -> T:
        """Do some work in a transaction that stays open for `hold` seconds after it.

        Repeats it after a deadlock.
        """
        while True:
            try:
                self._connection.begin()
                answer = work()
                self._stop.wait(hold)
                self._connection.commit()
            except pymysql.OperationalError as error:
                self._connection.rollback()
                if error.args[0] not in GIVE_WAY:
                    raise
                with self._count.lock:
                    self._count.gave_way += 1
            else:
                with self._count.lock:
                    self._count.transactions += 1
                return answer

    def rest(self, seconds: float) -> None:
        """Do something else for a while."""
        self._stop.wait(seconds)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Measure how far apart the transactions of one business event end."""
        start = time.monotonic()
        yield
        gap = time.monotonic() - start
        with self._count.lock:
            self._count.longest_gap = max(self._count.longest_gap, gap)

    def lock(self, *subjects: Subject) -> None:
        """Lock balances, always in the same order; each has to be locked before it is posted to."""
        for subject in sorted(set(subjects)):
            self._cursor.execute(
                "SELECT 1 FROM account_asset_balances WHERE balance_id = %s FOR UPDATE",
                (self._balance_ids[subject],),
            )

    def post(
        self,
        subject: Subject,
        delta: int,
        kind: str,
        key: str,
        *,
        frozen: int = 0,
        session: str | None = None,
        to_balance: bool = True,
    ) -> int:
        """Write a ledger row and change the balance, which is locked; the row's id."""
        self._cursor.execute(
            "SELECT available_amount FROM account_asset_balances WHERE balance_id = %s",
            (self._balance_ids[subject],),
        )
        (before,) = self._cursor.fetchone() or (None,)
        assert before is not None
        identity = self.insert(
            "asset_transactions",
            {
                "account_id": subject[0],
                "asset_code": subject[1],
                "delta_amount": delta,
                "balance_before": before,
                "balance_after": before + delta,
                "frozen_amount_change": frozen,
                "business_type": kind,
                "lottery_session_id": session,
                "idempotency_key": key,
            },
        )
        if to_balance:
            self.change_balance(subject, delta, frozen)
        return identity

    def change_balance(self, subject: Subject, delta: int, frozen: int = 0) -> None:
        """Change a balance, and nothing else."""
        self._cursor.execute(
            "UPDATE account_asset_balances SET available_amount = available_amount + %s,"
            " frozen_amount = frozen_amount + %s WHERE balance_id = %s",
            (delta, frozen, self._balance_ids[subject]),
        )

    def insert(self, table: str, row: Mapping[str, Any], *, now: Sequence[str] = ()) -> int:
        """Insert one row, with the time in the columns `now`; its id if the table hands one out."""
        names = ", ".join((*row, *now))
        values = ", ".join(["%s"] * len(row) + ["NOW()"] * len(now))
        self._cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", [*row.values()])
        return int(self._cursor.lastrowid or 0)

    def run(self, statement: str, *values: object) -> None:
        """Run any other statement."""
        self._cursor.execute(statement, values)
