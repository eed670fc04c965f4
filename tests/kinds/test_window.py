"""Reading along a cursor: where a run begins, and that nothing is lost between two runs."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pymysql
import pytest

from checks.contract import Check, Window
from checks.ports import Cursor
from checks.snapshot import Snapshot
from checks.sql.expression import Expression
from checks.sql.timestamps import TimeColumn
from checks.watermark import MARKS, Followed, Place, Reading
from tests.support.ledgers import Ledger, check, keys, ledger_on, on_any, on_servers
from tests.support.runs import NOON, Clock, set_clock, window_after
from tests.support.servers import Database, Server

TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, state varchar(9), at datetime)"
BY_TIME = "CREATE TABLE t (id bigint PRIMARY KEY, at datetime NOT NULL)"
PARENTS = "CREATE TABLE p (id bigint PRIMARY KEY)"
CHILDREN = "CREATE TABLE t (id bigint PRIMARY KEY, p bigint, state varchar(9), at datetime)"
MINUTE = timedelta(minutes=1)
TEN = 10 * MINUTE
BEIJING = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def clock() -> Iterator[Clock]:
    with set_clock() as clock:
        yield clock


@dataclass
class Reader:
    """Reads table `t` again and again, each time from what the time before left."""

    ledger: Ledger
    followed: Followed = field(default_factory=lambda: Followed("t", TimeColumn("id")))
    overlap: timedelta = TEN
    overlap_rows: int = 0
    left: Cursor | None = None

    def read(self, **window: Any) -> Reading:
        """Read once more."""
        cursor = None if self.left is None else {"near": self.left}
        given = {"overlap": self.overlap, "overlap_rows": self.overlap_rows, **window}
        with self.ledger.sources.snapshot("ledger") as connection:
            snapshot = Snapshot.of(connection, {"t": ()}, Window(cursor, **given))
            reading = self.followed.read(snapshot, "near")
        self.left = reading.left
        return reading

    def begin(self, **window: Any) -> Place | None:
        """Where the next run begins; None when it reads everything."""
        return self.read(**window).begin

    def add(self, *ids: int) -> None:
        """Insert rows with these ids."""
        self.ledger.insert("t", "id", [(n,) for n in ids])


@pytest.fixture
def reader(ledger: Ledger) -> Reader:
    ledger.sql(TABLE)
    return Reader(ledger)


@on_any
def test_run_begins_where_the_table_ended_an_overlap_before_the_previous_run(
    reader: Reader, clock: Clock
) -> None:
    """Runs read everything until one lies an overlap back, then from where the table ended then."""
    begins = []
    for number, minutes in enumerate((5, 7, 8, 10, 10, 1), start=1):
        reader.add(number * 10)
        begins.append(reader.begin())
        clock.move(minutes * 60)
    # Runs at minute 0, 5, 12, 20, 30 and 40: ten minutes before the fourth's predecessor, at
    # minute 2, the table ended with what the first run had seen.
    assert begins == [None, None, None, 10, 20, 40]


@on_any
def test_first_run_ever_reads_everything(reader: Reader) -> None:
    """Without a cursor everything is read, however long the table."""
    reader.add(*range(100))
    reading = reader.read(overlap=timedelta())
    assert (reading.begin, reading.note) == (None, None)
    assert reading.left is not None


def test_last_rows_are_read_in_any_case(reader: Reader) -> None:
    """Without any overlap in time a run still begins with so many of the last rows, gaps or not."""
    reader.add(*range(0, 1000, 10))
    reader.begin(overlap=timedelta())
    ((count, ended),) = reader.ledger.sql("SELECT COUNT(*), MAX(id) FROM t")
    begin = reader.begin(overlap=timedelta(), overlap_rows=7)
    assert (count, ended) == (100, 990)
    assert isinstance(begin, int)
    assert begin <= 930  # seven rows from there on
    assert begin > 900  # and not many more


@pytest.mark.parametrize("overlap_rows", [100, 101, 10_000])
def test_table_of_no_more_than_the_last_rows_is_read_as_a_whole(
    reader: Reader, overlap_rows: int
) -> None:
    """When there are no more rows than are read in any case, all are."""
    reader.add(*range(100))
    reader.begin(overlap=timedelta())
    assert reader.begin(overlap=timedelta(), overlap_rows=overlap_rows) is None


@on_any
def test_run_never_begins_behind_a_row_that_may_still_change(reader: Reader) -> None:
    """While a row is pending every run begins at it; once it is not, the next run still does."""
    reader.followed = Followed("t", TimeColumn("id"), pending=Expression("state = 'open'"))
    reader.add(*range(50))
    reader.ledger.sql("UPDATE t SET state = 'open' WHERE id IN (20, 30)")
    reader.overlap = timedelta()
    begins = [reader.begin()]
    for done in (0, 20, 30, 30):
        begins.append(reader.begin())
        reader.add(100 + len(begins))
        reader.ledger.sql(f"UPDATE t SET state = 'done' WHERE id = {done}")
    assert begins == [None, 20, 20, 20, 30]
    begin = reader.begin()
    assert isinstance(begin, int)
    assert begin > 100


@pytest.mark.parametrize(
    ("table", "cursor", "reason"),
    [
        ("id bigint, seq bigint NOT NULL", "seq", "cursor seq leads no index: to find what is new"),
        ("id bigint, seq bigint", "seq", "cursor seq may be NULL: such rows would never be read"),
        ("id bigint, seq varchar(9) NOT NULL", "seq", "cursor seq is varchar(9): only a whole"),
    ],
)
def test_table_that_cannot_be_followed_is_read_as_a_whole(
    ledger: Ledger, table: str, cursor: str, reason: str
) -> None:
    """Each run reads everything, leaves no cursor and notes why; a complaint says the same."""
    ledger.sql(PARENTS, f"CREATE TABLE t ({table}, p bigint, PRIMARY KEY (id))")
    if "NOT NULL" not in table or "(9)" in table or "date" in table:
        ledger.sql("CREATE INDEX i ON t (seq)")
    ledger.insert("t", "id, seq, p", [(1, "2026-01-01" if "date" in table else 1, None)])
    declared = _children(cursor=cursor)
    for window in (Window(), Window({"near": {"marks": [[1, 1]], "pending": None}, "far": None})):
        result = declared.run(ledger.sources, window)
        (note,) = result.notes
        assert note.startswith(f"t is read as a whole: {reason}")
        assert (result.complete, result.cursor, result.excluded["no_key"]) == (True, None, 1)
    with ledger.sources.snapshot("ledger") as connection:
        complaints = list(declared.complaints(connection))
    assert [each for each in complaints if each.startswith(reason)] == complaints != []


@pytest.mark.parametrize("index", ["UNIQUE (seq)", "PRIMARY KEY (seq, id)", "UNIQUE (seq, id)"])
@pytest.mark.parametrize("kind", ["int", "bigint", "smallint", "datetime"])
def test_index_that_begins_with_the_cursor_will_do(ledger: Ledger, index: str, kind: str) -> None:
    """A number or a time that is never NULL and leads an index can be followed."""
    ledger.sql(f"CREATE TABLE t (id bigint, seq {kind} NOT NULL, {index})")
    reader = Reader(ledger, Followed("t", TimeColumn("seq")))
    values = ["2026-01-01 00:00:00", "2026-01-02 00:00:00"] if kind == "datetime" else [1, 2]
    ledger.insert("t", "id, seq", enumerate(values))
    reader.overlap = timedelta()
    assert [reader.begin(), reader.begin()] == [None, values[-1]]


@on_any
def test_table_that_went_back_is_read_as_a_whole(reader: Reader) -> None:
    """An end before the previous one is another copy of the table: everything is read, once."""
    reader.overlap = timedelta()
    reader.add(*range(100))
    assert [reader.begin(), reader.begin()] == [None, 99]
    reader.ledger.sql("DELETE FROM t WHERE id > 80")
    assert [reader.begin(), reader.begin()] == [None, 80]


@on_any
def test_emptied_table_is_read_as_a_whole_when_it_fills_again(reader: Reader) -> None:
    """A table that lost all its rows is followed anew, also from ids that were there before."""
    reader.overlap = timedelta()
    assert [reader.begin(), reader.begin()] == [None, None]
    reader.add(*range(100))
    assert [reader.begin(), reader.begin()] == [None, 99]
    reader.ledger.sql("DELETE FROM t")
    assert [reader.begin(), reader.begin()] == [None, None]
    reader.add(*range(200))
    assert [reader.begin(), reader.begin()] == [None, 199]


def test_rows_of_one_second_are_all_read(ledger: Ledger, clock: Clock) -> None:
    """Along a time, a run reads the whole second with which the table ended."""
    clock.move(3600)
    ledger.sql(PARENTS, BY_TIME.replace("(id", "(p bigint, id"), "CREATE INDEX i ON t (at)")
    declared = _children(cursor="at")
    noon = "2026-01-05 12:00:00"
    ledger.insert("t", "id, at", [(1, "2026-01-05 11:59:59"), (2, noon), (3, noon)])
    result = declared.run(ledger.sources)
    ledger.insert("t", "id, p, at", [(4, 404, noon)])
    result = declared.run(ledger.sources, window_after(result))
    assert (keys(result), result.examined, result.complete) == ([{"id": 4}], 1, False)
    assert dict(result.excluded) == {"no_key": 2}


@on_servers
def test_fractions_of_a_second_are_kept(ledger: Ledger, clock: Clock) -> None:
    """Along a time with microseconds a run begins at the very one with which the table ended."""
    clock.move(3600)
    ledger.sql("CREATE TABLE t (id bigint PRIMARY KEY, at datetime(6) NOT NULL, KEY (at))")
    reader = Reader(ledger, Followed("t", TimeColumn("at")), overlap=timedelta())
    times = ["2026-01-05 12:00:00", "2026-01-05 12:00:00.000001", "2026-01-05 12:00:00.5"]
    begins = []
    for number, at in enumerate(times):
        ledger.insert("t", "id, at", [(number, at)])
        reader.begin()
        begins.append(reader.begin())
    assert begins == [times[0], times[1], f"{times[2]}00000"]


def test_row_from_the_future_does_not_hide_those_that_come(ledger: Ledger, clock: Clock) -> None:
    """Along a time, one row that is dated years ahead keeps no new row from being read."""
    ledger.sql(PARENTS, BY_TIME.replace("(id", "(p bigint, id"), "CREATE INDEX i ON t (at)")
    declared = _children(cursor="at")
    ledger.insert("t", "id, at", [(1, "2026-01-05 11:59:00"), (2, "2038-01-01 00:00:00")])
    result = declared.run(ledger.sources)
    clock.move(60)
    result = declared.run(ledger.sources, window_after(result))
    ledger.insert("t", "id, p, at", [(3, 404, "2026-01-05 12:01:00")])
    clock.move(60)
    assert keys(declared.run(ledger.sources, window_after(result))) == [{"id": 3}]


@on_servers
@pytest.mark.parametrize(
    ("column", "zone", "young", "old"),
    [
        ("datetime", BEIJING, "2026-01-05 19:59:51", "2026-01-05 19:59:49"),
        ("datetime", UTC, "2026-01-05 11:59:51", "2026-01-05 11:59:49"),
        ("timestamp NULL", BEIJING, "2026-01-05 11:59:51", "2026-01-05 11:59:49"),
        ("timestamp(3) NULL", BEIJING, "2026-01-05 11:59:50.001", "2026-01-05 11:59:50.000"),
    ],
)
@pytest.mark.usefixtures("clock")
def test_rows_settle_by_the_zone_of_their_column(
    ledger: Ledger, column: str, zone: ZoneInfo, young: str, old: str
) -> None:
    """DATETIME is of the configured zone, TIMESTAMP of the session's: ten seconds are ten."""
    ledger.sql(PARENTS, CHILDREN.replace("at datetime", f"at {column}"), "SET time_zone = '+00:00'")
    ledger.insert("t", "id, p, at", [(1, 404, young), (2, 404, old), (3, 404, None)])
    declared = _children(settle="10s", written_at="at")
    assert keys(declared.run(ledger.sources, Window(zone=zone))) == [{"id": 2}, {"id": 3}]


def test_rows_settle_in_the_zone_of_a_file(ledger: Ledger, clock: Clock) -> None:
    """The times of a table are of the configured zone on every kind of database."""
    clock.move(5)
    ledger.sql(PARENTS, CHILDREN)
    times = ["2026-01-05 19:59:55", "2026-01-05 19:59:56", "2026-01-05 20:00:15"]
    ledger.insert("t", "id, p, at", [(n, 404, at) for n, at in enumerate(times)])
    declared = _children(settle="10s", written_at="at")
    assert keys(declared.run(ledger.sources, Window(zone=BEIJING))) == [{"id": 0}]
    clock.move(1)
    found = keys(declared.run(ledger.sources, Window(zone=BEIJING)))
    assert found == [{"id": 0}, {"id": 1}]


def test_end_of_the_table_before_the_first_run_is_told_by_its_rows(
    reader: Reader, clock: Clock
) -> None:
    """Rows that say when they were written let the second run begin an overlap before the first."""
    reader.followed = Followed("t", TimeColumn("id"), TimeColumn("at"))
    for minutes in range(60):
        at = NOON.astimezone(BEIJING).replace(tzinfo=None) - minutes * MINUTE
        reader.ledger.insert("t", "id, at", [(60 - minutes, at.isoformat(" "))])
    reader.ledger.insert("t", "id", [(61,)])
    assert reader.begin(zone=BEIJING) is None
    clock.move(60)
    assert reader.begin(zone=BEIJING) == 49  # written over ten minutes before noon


@on_any
def test_key_that_was_cut_asks_for_everything(ledger: Ledger) -> None:
    """A known finding whose key is too long to be kept whole cannot be looked up: all is read."""
    ledger.sql(PARENTS, "CREATE TABLE t (id varchar(999), seq int PRIMARY KEY, p bigint)")
    ledger.insert("t", "id, seq, p", [("x" * 998 + "1", 1, 404), ("x" * 998 + "2", 2, 404)])
    ledger.insert("t", "id, seq", [("y", 3)])
    declared = _children(cursor="seq")
    first = declared.run(ledger.sources)
    second = declared.run(ledger.sources, window_after(first))
    assert (second.complete, second.violations, len(second.findings)) == (True, 2, 2)
    ledger.sql("UPDATE t SET p = NULL")
    third = declared.run(ledger.sources, window_after(second))
    assert (third.complete, third.violations) == (True, 0)
    assert not declared.run(ledger.sources, window_after(third)).complete


@on_any
@pytest.mark.parametrize("gap", [13, 59, 61, 200, 599, 601])
def test_marks_are_few_and_neither_too_young_nor_too_old(
    reader: Reader, clock: Clock, gap: int
) -> None:
    """However often runs are, few marks are kept; none is too young, nor much older than needed."""
    ends: list[tuple[datetime, int]] = []
    for number in range(max(20, 900 // gap)):
        reader.add(number)
        begin = reader.begin()
        assert reader.left is not None
        assert len(reader.left["marks"]) <= MARKS + 3
        ends.append((clock.at, number))
        if len(ends) > 1:
            settled = ends[-2][0] - TEN
            youngest = max((end for at, end in ends if at <= settled), default=None)
            slack = settled - TEN / MARKS - timedelta(seconds=gap)
            oldest = max((end for at, end in ends if at <= slack), default=None)
            place = -1 if begin is None else int(begin)
            assert (-1 if oldest is None else oldest) <= place
            assert place <= (-1 if youngest is None else youngest)
        clock.move(gap)


@on_any
def test_row_that_settles_after_the_overlap_is_judged(ledger: Ledger, clock: Clock) -> None:
    """A row too young to be judged is read again until it is not, also past a shorter overlap."""
    ledger.sql(PARENTS, CHILDREN)
    declared = _children(settle="1h", written_at="at")
    result = declared.run(ledger.sources)
    for minute in range(1, 130):
        clock.move(60)
        at = clock.at.replace(tzinfo=None).isoformat(" ")
        ledger.insert("t", "id, p, at", [(minute, 404 if minute == 3 else None, at)])
        result = declared.run(ledger.sources, window_after(result, overlap=TEN))
    assert (keys(result), result.complete) == ([{"id": 3}], False)


LIFE = 40
"""The longest that a transaction lasts, in seconds of the clock."""

SETTLE = 5
"""How old a row has to be to be judged, in seconds of the clock."""

CROWD = 96
"""Connections, each with a transaction of its own."""

Wrong = tuple[str, int]


@dataclass
class Transaction:
    """One that is open: when it began and has to end, its parent row, the wrong rows it wrote."""

    began: datetime
    until: datetime
    parent: int = 0
    wrong: list[Wrong] = field(default_factory=list)


@dataclass
class Traffic:
    """Transactions that take their ids at once and commit in another order, some rows wrong."""

    clock: Clock
    connections: "list[pymysql.Connection[pymysql.cursors.Cursor]]"
    draw: random.Random
    open: dict[int, Transaction] = field(default_factory=dict)
    """By the number of the connection."""
    wrong: dict[Wrong, datetime] = field(default_factory=dict)
    """What is committed and wrong, and when it was written."""
    newest: int = 0
    """The highest id that is committed."""
    late: int = 0
    """Commits of a lower id than one that was committed before."""

    def go(self) -> None:
        """Let a second pass in which some begin or end, and those end that have to."""
        self.clock.move(1)
        for number, each in list(self.open.items()):
            if each.until <= self.clock.at:
                self._end(number)
        for _ in range(len(self.connections) // 12):
            number = self.draw.randrange(len(self.connections))
            if number not in self.open:
                self._begin(number)
            elif self.draw.randrange(4) == 0:
                self._end(number)

    def settled(self) -> set[Wrong]:
        """What a run has to find now."""
        old = self.clock.at - timedelta(seconds=SETTLE)
        return {wrong for wrong, written in self.wrong.items() if written <= old}

    def _begin(self, number: int) -> None:
        until = self.clock.at + timedelta(seconds=LIFE)
        begun = self.open[number] = Transaction(self.clock.at, until)
        at = begun.began.replace(tzinfo=None).isoformat(" ")
        with self.connections[number].cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO p (at) VALUES (%s)", [at])
            parent, case = cursor.lastrowid, self.draw.randrange(20)
            begun.parent = parent
            if case == 0:
                begun.wrong.append(("p.id", parent))  # nobody will name it
            else:
                named = -1 if case == 1 else parent
                cursor.execute("INSERT INTO t (p, at) VALUES (%s, %s)", [named, at])
            if case == 1:
                begun.wrong += [("id", cursor.lastrowid), ("p.id", parent)]

    def _end(self, number: int) -> None:
        ended = self.open.pop(number)
        if self.draw.randrange(10) == 0:
            self.connections[number].rollback()
            return
        self.connections[number].commit()
        self.late += ended.parent < self.newest
        self.newest = max(self.newest, ended.parent)
        self.wrong |= dict.fromkeys(ended.wrong, ended.began)


def _missed(server: Server, clock: Clock, seconds: int, overlap: float) -> set[Wrong]:
    """What runs with such an overlap did not find, although it was there and had settled."""
    database = Database(server=server, name=server.create_database())
    ledger = ledger_on(database)
    columns = "id bigint PRIMARY KEY AUTO_INCREMENT, at datetime"
    ledger.sql(f"CREATE TABLE p ({columns})", f"CREATE TABLE t ({columns}, p bigint, KEY (p))")
    both = {"reverse": True, "parent_cursor": "id", "parent_written_at": "at"}
    declared = _children(settle=f"{SETTLE}s", written_at="at", **both)
    missed: set[Wrong] = set()
    with ExitStack() as stack:
        stack.callback(server.drop_database, database.name)
        stack.enter_context(closing(ledger.sources))
        connections = [stack.enter_context(closing(database.connect())) for _ in range(CROWD)]
        traffic = Traffic(clock, connections, random.Random(0))  # noqa: S311 - to be repeated
        window, wholes = Window(), 0
        for _ in range(seconds):
            traffic.go()
            if traffic.draw.randrange(8):
                continue
            result = declared.run(ledger.sources, window)
            wholes += result.complete
            missed |= traffic.settled() - {wrong for key in keys(result) for wrong in key.items()}
            window = window_after(result, overlap=timedelta(seconds=overlap))
        assert traffic.late > 1.5 * seconds
        assert wholes < seconds / 50  # the others did not find it by reading everything
    ledger.connection.close()
    return missed


def test_late_commits_are_not_missed(server: Server, clock: Clock) -> None:
    """Rows that appear behind the cursor are found if no transaction outlasts the overlap."""
    assert _missed(server, clock, 480, LIFE) == set()


@pytest.mark.parametrize("overlap", [0, LIFE / 4])
def test_late_commits_would_be_missed(server: Server, clock: Clock, overlap: float) -> None:
    """The same with too short an overlap misses some: that is what the overlap is for."""
    assert _missed(server, clock, 200, overlap)


def _children(**fields: Any) -> Check:
    """Whether rows of `t` name rows of `p`; judged at once and followed along `id`."""
    declared = {"columns": ["p"], "parent": "p", "parent_primary_key": "id", "primary_key": "id"}
    return check("reference", "t", **{**declared, "settle": "0s", "cursor": "id", **fields})


@on_servers
@pytest.mark.parametrize("kind", ["float"])
def test_elusive_key_is_not_looked_at_again(ledger: Ledger, kind: str) -> None:
    """Rows that findings cannot name by what they show are read as a whole, with a note."""
    ledger.sql(f"CREATE TABLE t (id {kind} PRIMARY KEY, n int NOT NULL, KEY (n))")
    followed = Followed("t", TimeColumn("n"), key=("id",))
    with ledger.sources.snapshot("ledger") as connection:
        reading = followed.read(Snapshot.of(connection, {"t": ()}), "t")
    assert (reading.begin, reading.left) == (None, None)
    assert reading.note == (
        f"t is read as a whole: id is {kind}, and no row is found again by how it is shown"
    )
