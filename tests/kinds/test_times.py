"""Columns that tell a time, in every notation: each kind means the same moments by them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.contract import EVERYTHING, CheckError, Result, Window
from checks.sql import catalog
from checks.sql.timestamps import Notation, TimeColumn, Unit
from tests.support.ledgers import Ledger, check, keys, messages, on_any, on_servers
from tests.support.runs import NOON, Clock, Counting, set_clock, window_after

OWNERS = "CREATE TABLE p (id bigint PRIMARY KEY)"
ROWS = "CREATE TABLE t (id bigint PRIMARY KEY, p bigint, state varchar(9), at {type} {null})"
NAMED = {"primary_key": "id", "columns": ["p"], "parent": "p", "parent_primary_key": "id"}
CHICAGO = ZoneInfo("America/Chicago")
EPOCH = datetime.fromtimestamp(0, UTC)
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""How many make a second."""


@pytest.fixture
def clock() -> Iterator[Clock]:
    with set_clock() as clock:
        yield clock


def fill(ledger: Ledger, type_name: str, *times: object, null: str = "NULL") -> None:
    """Rows 1, 2, …, each open, without the owner that it names, and with one of these times."""
    ledger.sql(OWNERS, ROWS.format(type=type_name, null=null))
    ledger.insert("t", "id, p, state, at", [(n, 404, "open", at) for n, at in enumerate(times, 1)])


def ago(seconds: float, unit: str) -> int:
    """The moment so many seconds before the clock's, as a number."""
    return counted(NOON - timedelta(seconds=seconds), unit)


def counted(moment: datetime, unit: str) -> int:
    """A moment as a number."""
    return (moment - EPOCH) // timedelta.resolution * UNITS[unit] // 10**6


def of(name: str, unit: str | None = None) -> object:
    """A time column, as the configuration writes it."""
    return {"column": name, "unit": unit} if unit else name


def owners(ledger: Ledger, window: Window = EVERYTHING, **fields: object) -> Result:
    """Rows whose owner is missing."""
    return check("reference", "t", **(NAMED | fields)).run(ledger.sources, window)


def stuck(ledger: Ledger, window: Window = EVERYTHING, **fields: object) -> Result:
    """Rows that are open for over an hour."""
    stated = {"primary_key": "id", "when": "state = 'open'", "longer_than": "1h"}
    return check("stuck", "t", **(stated | fields)).run(ledger.sources, window)


@pytest.mark.parametrize(
    ("type_name", "unit"),
    [
        *[("bigint", unit) for unit in ("s", "ms", "us", "ns")],
        *(("double", "s"), ("decimal(20, 6)", "s")),
    ],
)
def test_a_number_tells_a_moment_by_its_unit(
    ledger: Ledger, clock: Clock, type_name: str, unit: str
) -> None:
    """Seconds, milliseconds and microseconds since 1970 are judged like any other time."""
    _ = clock
    fill(ledger, type_name, *(ago(s, unit) for s in (5, 60, 7200, 86400)))
    since = NOON - timedelta(hours=3)
    found = owners(ledger, written_at=of("at", unit), since=since, settle="10s")
    assert keys(found) == [{"id": 2}, {"id": 3}]
    late = stuck(ledger, entered_at=of("at", unit))
    assert keys(late) == [{"id": 3}, {"id": 4}]
    assert late.measures == {"passing": 4, "oldest_seconds": 86400}
    assert "(over 3600 s)" in messages(late)[0]


@pytest.mark.parametrize("null", ["NULL", "NOT NULL"])
def test_a_number_of_0_tells_no_time(ledger: Ledger, clock: Clock, null: str) -> None:
    """Where 0 stands for unknown, a row is judged, whatever the cut-over, and never too young."""
    _ = clock
    fill(ledger, "bigint", 0, ago(5, "ms"), ago(7200, "ms"), null=null)
    at = of("at", "ms")
    found = owners(ledger, written_at=at, since=NOON - timedelta(hours=1), settle="10s")
    assert keys(found) == [{"id": 1}]
    late = stuck(ledger, entered_at=at)
    assert keys(late) == [{"id": 1}, {"id": 3}]
    assert messages(late)[0].endswith("since an unknown time")


@on_servers
@pytest.mark.parametrize("type_name", ["datetime", "date", "timestamp"])
@pytest.mark.parametrize("null", ["NULL", "NOT NULL"])
def test_a_date_with_zeros_tells_no_time(
    ledger: Ledger, clock: Clock, type_name: str, null: str
) -> None:
    """A row of 0000-00-00, or of a month or day 0, is judged although the cut-over is later."""
    _ = clock
    ledger.sql("SET sql_mode = ''")
    partial = ("2025-00-00", "2025-07-00") if type_name != "timestamp" else ("0000-00-00",) * 2
    fill(ledger, type_name, "0000-00-00", *partial, "2025-07-01", "2026-01-02", null=null)
    ledger.sql("SET sql_mode = DEFAULT")
    since = datetime(2026, 1, 1)  # noqa: DTZ001 - in the configured zone
    found = owners(ledger, written_at="at", since=since, settle="10s")
    assert keys(found) == [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 5}]
    declared = check("reference", "t", **(NAMED | {"written_at": "at", "since": since}))
    shown = str(declared.look()).rstrip().rstrip(";")
    assert [row[0] for row in ledger.sql(shown)] == [1, 2, 3, 5]


def test_a_day_counts_as_a_whole(ledger: Ledger, clock: Clock) -> None:
    """A row may be of its day's end: it settles, and is stuck, by that."""
    clock.at = datetime(2026, 1, 5, 12, tzinfo=CHICAGO)
    fill(ledger, "date", "2026-01-03", "2026-01-04", "2026-01-05", "2026-01-08")
    window = Window(zone=CHICAGO)
    assert keys(owners(ledger, window, written_at="at", settle="10s")) == [
        {"id": 1},
        {"id": 2},
        {"id": 4},
    ]
    late = stuck(ledger, window, entered_at="at", longer_than="13h")
    assert keys(late) == [{"id": 1}, {"id": 4}]
    assert late.measures["oldest_seconds"] == 36 * 3600
    clock.at = datetime(2026, 1, 5, 0, 0, 5, tzinfo=CHICAGO)
    assert {"id": 2} not in keys(owners(ledger, window, written_at="at", settle="10s"))
    clock.at = datetime(2026, 1, 6, 0, 0, 10, tzinfo=CHICAGO)
    assert {"id": 3} in keys(owners(ledger, window, written_at="at", settle="10s"))


@pytest.mark.parametrize(("hour", "judged"), [(0, [2, 3]), (15, [3])])
def test_the_day_of_the_cut_over_is_older_in_part(
    ledger: Ledger, clock: Clock, hour: int, judged: list[int]
) -> None:
    """Of a cut-over within a day that day is left out; of one at its beginning it is judged."""
    _ = clock
    fill(ledger, "date", "2026-01-01", "2026-01-02", "2026-01-03")
    since = datetime(2026, 1, 2, hour)  # noqa: DTZ001 - in the configured zone
    found = owners(ledger, written_at="at", since=since, settle="0s")
    assert keys(found) == [{"id": n} for n in judged]


def test_an_hour_that_comes_twice_is_read_both_ways(ledger: Ledger, clock: Clock) -> None:
    """Only a row that is old by both readings is: clocks went from 1:59:59 back to 1:00:00."""
    window = Window(zone=CHICAGO)
    times = ("00:59:59", "01:29:00", "01:31:00", "01:59:30", "01:00:10")
    fill(ledger, "datetime", *(f"2026-11-01 {time}" for time in times))
    clock.at = datetime(2026, 11, 1, 7, 30, tzinfo=UTC)  # half past one, for the second time
    late = stuck(ledger, window, entered_at="at", longer_than="20m")
    assert keys(late) == [{"id": 1}, {"id": 4}, {"id": 5}]
    late = stuck(ledger, window, entered_at="at", longer_than="45m")
    assert keys(late) == [{"id": 1}]
    clock.at = datetime(2026, 11, 1, 7, 0, 5, tzinfo=UTC)
    found = owners(ledger, window, written_at="at", settle="40s")
    assert keys(found) == [{"id": 1}, {"id": 2}, {"id": 3}]


@on_any
def test_age_is_told_by_the_latest_reading(ledger: Ledger, clock: Clock) -> None:
    """What is said to be the age of a row is what it surely is."""
    fill(ledger, "datetime", "2026-11-01 01:20:00")
    clock.at = datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
    window = Window(zone=CHICAGO)
    assert stuck(ledger, window, entered_at="at").measures["oldest_seconds"] == 600
    clock.at = datetime(2026, 11, 1, 7, 10, tzinfo=UTC)
    assert stuck(ledger, window, entered_at="at").measures["oldest_seconds"] == 3000


@pytest.mark.parametrize(("type_name", "unit"), [("bigint", "ms"), ("date", None)])
def test_a_cursor_may_be_any_such_column(
    ledger: Ledger, clock: Clock, type_name: str, unit: str | None
) -> None:
    """A run goes on along numbers and days; a row dated far ahead hides none that come."""
    ledger.sql(OWNERS, ROWS.format(type=type_name, null="NOT NULL"), "CREATE INDEX i ON t (at)")

    def insert(n: int) -> None:
        moment = clock.at + timedelta(days=3650 if n == 30 else 0)
        at = counted(moment, unit) if unit else moment.date().isoformat()
        ledger.insert("t", "id, p, state, at", [(n, 404, "done", at)])

    fields = {"cursor": of("at", unit), "written_at": of("at", unit), "settle": "0s"}
    window, examined = Window(overlap=timedelta(), overlap_rows=0), []
    for n in range(60):
        insert(n)
        result = owners(ledger, window, **fields)
        assert len(keys(result)) == n + 1
        examined.append((result.complete, result.examined))
        window = window_after(result)
        clock.move(3600)
    assert examined[0] == (True, 1)
    assert not any(complete for complete, _ in examined[2:])
    assert max(number for _, number in examined[2:]) <= (4 if unit else 50)


@on_any
@pytest.mark.parametrize(
    ("type_name", "unit", "why"),
    [
        ("bigint", None, r't.at is bigint, and tells no time .* { column = "at", unit = "s" }, or'),
        ("varchar(9)", None, r"t.at is varchar\(9\), and tells no time"),
        ("varchar(9)", "s", r"t.at is varchar\(9\), and no number that tells a time exactly"),
        ("float", "s", r"t.at is float, and no number that tells a time exactly"),
        ("datetime", "s", r't.at is datetime, which needs no unit: write "at" alone'),
    ],
)
def test_a_column_that_tells_no_time_is_an_error(
    ledger: Ledger, type_name: str, unit: str | None, why: str
) -> None:
    """The error says what to write."""
    fill(ledger, type_name)
    with pytest.raises(CheckError, match=why) as caught:
        owners(ledger, written_at=of("at", unit))
    assert caught.value.permanent


@on_any
@pytest.mark.parametrize("held", UNITS)
@pytest.mark.parametrize("stated", UNITS)
def test_a_unit_that_does_not_fit_is_an_error(ledger: Ledger, stated: str, held: str) -> None:
    """Times in another unit lie far ahead, or in 1970: nothing would ever be stuck, or all is."""
    fill(ledger, "bigint", None, 0, 12, *(ago(day * 86400.0, held) for day in range(5)))
    if stated == held:
        assert stuck(ledger, entered_at=of("at", held)).violations
        return
    for run in (stuck, owners):
        field = "entered_at" if run is stuck else "written_at"
        with pytest.raises(CheckError, match=f"holds numbers as of {held}, and not of {stated}"):
            run(ledger, EVERYTHING, **{field: of("at", stated)})


@given(years=st.integers(1974, 5000), unit=st.sampled_from(list(Unit)))
def test_the_size_of_a_number_says_its_unit(years: int, unit: Unit) -> None:
    """Each moment of three thousand years is one in one unit only; its own is never wrong."""
    count = (years - 1970) * 31_556_952 * unit.per_second
    assert [each for each in Unit if each.fits_by_size(Decimal(count))] == [unit]
    assert unit.misread([count]) is None
    assert all(other.misread([count]) in (None, unit) for other in Unit)


def test_some_rows_prove_no_unit_wrong() -> None:
    """The last of all days, small numbers, and a few broken rows are not held against it."""
    last, now = 253_402_300_799, 1_767_614_400
    assert Unit.SECONDS.misread([last, last, now, 0, 1, None, -5]) is None
    assert Unit.SECONDS.misread([now * 1000, now, now]) is None
    assert Unit.MILLISECONDS.misread([last * 1000, 0, 999]) is None
    assert Unit.SECONDS.misread([]) is None


@pytest.mark.parametrize(
    "stated",
    [{"column": "at"}, {"column": "at", "unit": "h"}, {"unit": "s"}, {"column": "at", "unit": []}],
)
def test_a_unit_is_one_of_three(stated: object) -> None:
    """What is no time column is told as such, where it stands."""
    with pytest.raises(ValidationError, match="a time column is a name, or") as caught:
        check("reference", "t", primary_key="id", columns=["p"], parent="p", written_at=stated)
    assert ("reference", "written_at") in [each["loc"] for each in caught.value.errors()]


def test_a_plain_name_is_written_as_before() -> None:
    """Cursors belong to what a check is written as: one without units keeps its own."""
    assert repr(TimeColumn("at")) == "'at'"
    assert repr(TimeColumn("at", Unit.MILLISECONDS)) == "'at' in ms"
    assert f"{TimeColumn('at', Unit.MILLISECONDS)}" == "at"


def test_a_limit_is_written_as_the_column_holds_it() -> None:
    """The bare column is compared with a value of its own type, so that its index serves."""
    bigint, date = catalog.Column("bigint", nullable=False), catalog.Column("date", nullable=False)
    assert Notation(bigint, Unit.SECONDS, UTC).written(NOON) == 1767614400
    assert Notation(bigint, Unit.MICROSECONDS, UTC).written(NOON) == 1767614400000000
    assert Notation(date, None, ZoneInfo("Asia/Tokyo")).written(NOON + timedelta(hours=3)) == (
        "2026-01-06"
    )


@on_servers
def test_an_index_on_a_number_serves(ledger: Ledger, clock: Clock) -> None:
    """What is too old for a cut-over is not read where an index leads with the column."""
    _ = clock
    fill(ledger, "bigint", *(ago(s, "ms") for s in range(100, 3100)), null="NOT NULL")
    ledger.sql("CREATE INDEX i ON t (at)", "ANALYZE TABLE t")
    time = TimeColumn("at", Unit.MILLISECONDS)
    since = NOON - timedelta(seconds=110)
    limit = Notation(catalog.Column("bigint", nullable=False), time.unit, UTC).written(since)
    plan = ledger.sql(f"EXPLAIN FORMAT=TRADITIONAL SELECT id FROM t WHERE at <= 0 OR at >= {limit}")
    assert "i" in plan[0]


ORDERS = """CREATE TABLE orders (id bigint PRIMARY KEY, state varchar(9), paid bigint,
    at datetime NOT NULL, changed datetime(6) {null})"""
LEDGER = """CREATE TABLE ledger (id bigint PRIMARY KEY, k varchar(40), amount bigint,
    at datetime NOT NULL)"""
POSTED: dict[str, object] = {
    "primary_key": "id",
    "cursor": "id",
    "written_at": "at",
    "changed_at": "changed",
    "ledger": "ledger",
    "ledger_primary_key": "id",
    "ledger_cursor": "id",
    "ledger_written_at": "at",
    "ledger_key": "paid:{id}",
    "ledger_key_column": "k",
    "ledger_when": "amount > 0",
    "when": "state = 'paid'",
    "equal": {"paid": "amount"},
    "settle": "20s",
}


def written(moment: datetime) -> str:
    """As a DATETIME column in UTC holds it."""
    return moment.replace(tzinfo=None).isoformat(" ")


def orders(ledger: Ledger, clock: Clock, number: int, null: str = "NULL") -> None:
    """Orders that were written a day ago, are open, and have not changed since."""
    if ledger.backend == "sqlite":
        null = null.replace("(6)", "")
    ledger.sql(ORDERS.format(null=null), LEDGER)
    at = written(clock.at - timedelta(days=1))
    rows = [(n, "open", 5, at, at) for n in range(1, number + 1)]
    ledger.insert("orders", "id, state, paid, at, changed", rows)


def change(ledger: Ledger, clock: Clock, number: int, **values: object) -> None:
    """Change an order now."""
    stated = {**values, "changed": written(clock.at)}
    pairs = ", ".join(f"{name} = '{value}'" for name, value in stated.items())
    ledger.sql(f"UPDATE orders SET {pairs} WHERE id = {number}")


def post(ledger: Ledger, clock: Clock, number: int, amount: int = 5) -> None:
    """Write the ledger row of an order now."""
    row = (number, f"paid:{number}", amount, written(clock.at))
    ledger.insert("ledger", "id, k, amount, at", [row])


@pytest.mark.parametrize("null", ["NULL", "NOT NULL"])
def test_an_old_row_settles_after_it_last_changed(ledger: Ledger, clock: Clock, null: str) -> None:
    """What is approved now and posted some seconds later is never wrong; what is not, is."""
    orders(ledger, clock, 2, null)
    posted = check("posting", "orders", **POSTED)
    for number in (1, 2):
        change(ledger, clock, number, state="paid")
    for _ in range(4):
        assert posted.run(ledger.sources).violations == 0
        clock.move(4)
    post(ledger, clock, 1)
    clock.move(5)
    assert keys(posted.run(ledger.sources)) == [{"id": 2}]
    without = check("posting", "orders", **(POSTED | {"changed_at": None}))
    assert keys(without.run(ledger.sources)) == [{"id": 2}]


def test_a_row_that_has_just_changed_is_read_until_it_is_judged(
    ledger: Ledger, clock: Clock
) -> None:
    """A run along the cursor does not move past it, though it is no longer pending."""
    orders(ledger, clock, 50)
    posted = check("posting", "orders", **(POSTED | {"pending": "state = 'open'"}))
    ledger.sql("UPDATE orders SET state = 'other' WHERE id <> 7")
    window = Window(overlap=timedelta(), overlap_rows=0)
    seen = []
    for moment in range(12):
        if moment == 3:
            change(ledger, clock, 7, state="paid")
        result = posted.run(ledger.sources, window)
        seen.append((result.complete, [each["id"] for each in keys(result)]))
        window = window_after(result)
        clock.move(4)
    assert [found for _, found in seen] == [[]] * 8 + [[7]] * 4
    assert not any(complete for complete, _ in seen[3:])


def test_a_known_finding_stays_whatever_else_changes(ledger: Ledger, clock: Clock) -> None:
    """A row that is wrong, and is changed again and again, is neither resolved nor found anew."""
    orders(ledger, clock, 1)
    ledger.sql("UPDATE orders SET state = 'paid'")
    posted = check("posting", "orders", **POSTED)
    result = posted.run(ledger.sources)
    for _ in range(3):
        assert keys(result) == [{"id": 1}]
        change(ledger, clock, 1, paid=6)
        result = posted.run(ledger.sources, window_after(result))
        clock.move(4)
    post(ledger, clock, 1, 6)
    assert posted.run(ledger.sources, window_after(result)).violations == 0


def test_the_other_side_settles_after_it_last_changed(ledger: Ledger, clock: Clock) -> None:
    """A ledger row that has just become one of this sort may wait for its business row."""
    orders(ledger, clock, 0)
    ledger.sql("ALTER TABLE ledger ADD changed datetime")
    post(ledger, clock, 9, 0)
    clock.move(3600)
    changed = written(clock.at)
    ledger.sql(f"UPDATE ledger SET amount = 5, changed = '{changed}'")
    posted = check("posting", "orders", **(POSTED | {"ledger_changed_at": "changed"}))
    assert posted.run(ledger.sources).violations == 0
    clock.move(21)
    assert keys(posted.run(ledger.sources)) == [{"ledger.id": 9}]


def test_groups_settle_after_their_rows_last_changed(ledger: Ledger, clock: Clock) -> None:
    """Of rows that are posted together all have to be calm."""
    orders(ledger, clock, 2)
    ledger.sql("ALTER TABLE orders ADD batch bigint", "UPDATE orders SET batch = 3, state = 'paid'")
    summed = {"ledger_key": "paid:{batch}", "equal": {}, "sum": {"paid": "amount"}}
    posted = check("posting", "orders", **(POSTED | summed))
    post(ledger, clock, 3, 11)
    clock.move(60)
    change(ledger, clock, 2, paid=5)
    assert posted.run(ledger.sources).violations == 0
    clock.move(21)
    assert keys(posted.run(ledger.sources)) == [{"batch": 3}]


@on_servers
def test_without_an_index_on_it_a_run_reads_along_the_cursor(ledger: Ledger, clock: Clock) -> None:
    """When a row changed is asked of those only that are read anyway."""
    orders(ledger, clock, 5000)
    ledger.sql("UPDATE orders SET state = 'other'", "ANALYZE TABLE orders")
    posted = check("posting", "orders", **POSTED)
    counting = Counting(ledger.sources)
    window = Window(overlap=timedelta(), overlap_rows=10)
    for _ in range(3):
        result = posted.run(counting, window)
        window = replace(window_after(result), overlap_rows=10)
        clock.move(60)
    assert not result.complete
    assert counting.reads[0] > 5000
    assert counting.reads[-1] < 200


def test_the_other_side_needs_no_writing_time_where_it_tells_its_changes() -> None:
    """Either time lets a row settle; a cut-over needs the first."""
    given = {name: value for name, value in POSTED.items() if name != "written_at"}
    assert (
        "rows written or, of orders, changed less than 20s ago, until they are older"
        in check("posting", "orders", **given).leaves_out
    )
    with pytest.raises(ValidationError, match="written_at is missing: settle and since need"):
        check("posting", "orders", **given, since=NOON)
