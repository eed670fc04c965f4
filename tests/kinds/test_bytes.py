"""Bytes, BIT and TIME as findings name and show them, and the rows found again by these names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from checks.contract import Result, Scalar, Window
from checks.snapshot import Snapshot
from checks.sql.functions import shown
from checks.sql.statements import among, rows_of
from checks.sql.values import Hexadecimal, is_abridged, scalar
from tests.support.ledgers import Ledger, check, keys, on_servers
from tests.support.runs import window_after

SIMILAR = (
    bytes.fromhex("27005c0a225a00000000000000000001"),
    bytes.fromhex("ff5c7866664100000000000000000002"),
    bytes.fromhex("5c786666ff4100000000000000000002"),
    bytes.fromhex("00000000000000000000000000000000"),
)
"""Ids that a text would show alike, or not at all."""

NAMED = [{"id": f"0x{each.hex()}"} for each in sorted(SIMILAR)]


def rows_shown(ledger: Ledger, result: Result, kind: str, table: str, **fields: Any) -> list[Any]:
    """The first column of the rows that the inspection query of all findings returns."""
    statement = check(kind, table, **fields).look([finding.key for finding in result.findings])
    assert statement is not None
    return [row[0] for row in ledger.sql(statement)]


@pytest.mark.parametrize("kind", ["binary(16)", "varbinary(16)"])
def test_keys_of_bytes_are_named_one_to_one(ledger: Ledger, kind: str) -> None:
    """Each row has a name of its own, in hexadecimal, and the inspection query returns it."""
    ledger.sql(f"CREATE TABLE t (id {kind} NOT NULL PRIMARY KEY, n int)")
    ledger.insert("t", "id, n", [(each, -1) for each in SIMILAR])
    ledger.insert("t", "id, n", [(b"0x" + b"a" * 14, 1)])
    fields: dict[str, Any] = {"primary_key": "id", "columns": ["n"]}
    result = ledger.run("non_negative", "t", **fields)
    assert keys(result) == NAMED
    assert sorted(rows_shown(ledger, result, "non_negative", "t", **fields)) == sorted(SIMILAR)


def test_text_that_reads_like_bytes_is_a_text(ledger: Ledger) -> None:
    """A text key `0x…` is named as it is, and only its own row is returned."""
    ledger.sql("CREATE TABLE t (id varchar(20) NOT NULL PRIMARY KEY, n int)")
    ledger.insert("t", "id, n", [("0x4142", -1), ("AB", 1)])
    fields: dict[str, Any] = {"primary_key": "id", "columns": ["n"]}
    result = ledger.run("non_negative", "t", **fields)
    assert keys(result) == [{"id": "0x4142"}]
    assert rows_shown(ledger, result, "non_negative", "t", **fields) == ["0x4142"]


def _followed(ledger: Ledger, kind: str) -> tuple[str, str, dict[str, Any]]:
    """Orders that name people by bytes, read along a number."""
    ledger.sql(
        f"CREATE TABLE person (id {kind} NOT NULL PRIMARY KEY)",
        f"CREATE TABLE t (n int NOT NULL UNIQUE, id {kind} NOT NULL PRIMARY KEY, p {kind})",
    )
    ledger.insert("person", "id", [(SIMILAR[0],)])
    rows = [(n, each, SIMILAR[n % 2]) for n, each in enumerate(SIMILAR)]
    ledger.insert("t", "n, id, p", rows)
    fields = {"columns": ["p"], "parent": "person", "parent_primary_key": "id"}
    return "reference", "t", {**fields, "primary_key": "id", "settle": "0s", "cursor": "n"}


def test_known_findings_are_looked_at_again_by_bytes(ledger: Ledger) -> None:
    """An incremental run sees which of the known findings still are, by the keys of the state."""
    kind, table, fields = _followed(ledger, "binary(16)")
    first = ledger.run(kind, table, **fields)
    wrong = [{"id": f"0x{SIMILAR[n].hex()}"} for n in (1, 3)]
    assert sorted(keys(first), key=str) == sorted(wrong, key=str)
    window = window_after(first)
    mark = "?" if ledger.backend == "sqlite" else "%s"
    cursor = ledger.connection.cursor()
    cursor.execute(f"UPDATE t SET p = {mark} WHERE n = 1", (SIMILAR[0],))
    again = check(kind, table, **fields).run(ledger.sources, window)
    assert (again.complete, keys(again)) == (False, wrong[1:])


def test_findings_named_in_the_old_way_are_not_looked_for(ledger: Ledger) -> None:
    """While bytes are known as a text, everything is read: what is wrong gets its new name."""
    kind, table, fields = _followed(ledger, "binary(16)")
    first = window_after(ledger.run(kind, table, **fields))
    old: tuple[Mapping[str, Scalar], ...] = ({"id": "\\xff\\xffA"},)
    result = check(kind, table, **fields).run(ledger.sources, replace(first, known=old))
    assert (result.complete, len(result.findings)) == (True, 2)


@pytest.mark.parametrize("columns", [["k"], ["k", "n"]])
def test_duplicates_of_bytes_are_named(ledger: Ledger, columns: Sequence[str]) -> None:
    """A group is named by its bytes, and its rows by theirs."""
    ledger.sql("CREATE TABLE t (id binary(16) NOT NULL PRIMARY KEY, k varbinary(90), n int)")
    key = b"\xc3\x28\x00A"
    ledger.insert("t", "id, k, n", [(each, key, 1) for each in SIMILAR[:2]])
    ledger.insert("t", "id, k, n", [(SIMILAR[2], b"\xc3", 1), (SIMILAR[3], b"", 1)])
    fields: dict[str, Any] = {"primary_key": "id", "columns": columns}
    result = ledger.run("duplicates", "t", **fields)
    (finding,) = result.findings
    assert finding.key["k"] == "0xc3280041"
    ids = {f"0x{each.hex()}" for each in SIMILAR[:2]}
    assert set(finding.evidence["row_ids"]) == ids  # type: ignore[arg-type]
    if ledger.backend == "sqlite":  # the inspection query is for servers
        return
    found = rows_shown(ledger, result, "duplicates", "t", **fields)
    assert sorted(found) == sorted(SIMILAR[:2])
    by_row = check("duplicates", "t", **fields)
    statement = by_row.look(by_row.row_keys(finding.evidence))
    assert statement
    assert len(ledger.sql(statement)) == 2


@on_servers
def test_balances_of_owners_that_are_bytes(ledger: Ledger) -> None:
    """Sums are compared by bytes, in complete runs and in incremental ones."""
    ledger.sql(
        "CREATE TABLE b (id int PRIMARY KEY, owner binary(16) NOT NULL UNIQUE, total int NOT NULL)",
        "CREATE TABLE l (id int PRIMARY KEY, owner binary(16) NOT NULL, n int NOT NULL)",
    )
    ledger.insert("b", "id, owner, total", [(1, SIMILAR[1], 5), (2, SIMILAR[2], 6)])
    ledger.insert("l", "id, owner, n", [(n, SIMILAR[1 + n % 2], 5) for n in range(2)])
    fields: dict[str, Any] = {
        "by": ["owner"],
        "ledger": "l",
        "sums": {"total": "n"},
        "primary_key": "id",
        "ledger_primary_key": "id",
        "ledger_cursor": "id",
    }
    wrong = [{"owner": f"0x{SIMILAR[2].hex()}"}]
    result = ledger.run("balance", "b", **fields)
    assert keys(result) == wrong
    again = check("balance", "b", **fields).run(ledger.sources, window_after(result))
    assert (again.complete, keys(again)) == (False, wrong)
    statement = check("balance", "b", **fields).look(keys_as_kept(result))
    assert statement
    assert len(ledger.sql(statement)) == 1


def keys_as_kept(result: Result) -> tuple[Mapping[str, Scalar], ...]:
    return window_after(result).known


@on_servers
def test_bits_and_times_are_shown_as_sql_writes_them(ledger: Ledger) -> None:
    """BIT is a number; TIME has its sign and as many hours as it has; bytes are hexadecimal."""
    ledger.sql(
        "CREATE TABLE t (id int PRIMARY KEY, f bit(12), s time, l time(3), p varbinary(8), b blob)"
    )
    ledger.sql("INSERT INTO t VALUES (1, b'101', '-10:00:00', '800:00:01.5', x'00ff5c', 'ab')")
    columns = ("f", "s", "l", "p", "b")
    expression = " AND ".join(f"{name} IS NULL" for name in columns)
    result = ledger.run("condition", "t", primary_key="id", expression=expression, tally="f")
    assert [result.findings[0].evidence[name] for name in columns] == [
        *(5, "-10:00:00", "800:00:01.500000", "0x00ff5c", "0x6162")
    ]
    assert result.measures == {"5": 1}


@on_servers
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bit(12)", ["b'101'", "b'0'"]),
        ("time(3)", ["'-10:00:00.5'", "'838:59:59'"]),
        ("binary(4)", ["'a'", "x'00ff5c27'"]),
        ("varbinary(2000)", ["''", f"x'{'00ff' * 49}'"]),
        ("date", ["'2026-01-01'"]),
        ("year", ["2026"]),
    ],
)
def test_rows_are_found_by_the_values_that_were_seen(
    ledger: Ledger, kind: str, values: Sequence[str]
) -> None:
    """What a finding names a row by finds that row, whatever the column's type."""
    ledger.sql(f"CREATE TABLE t (id {kind} NOT NULL)")
    ledger.sql(*(f"INSERT INTO t VALUES ({value})" for value in values))
    column = rows_of("t", ["id"]).c.id
    with ledger.sources.snapshot("ledger") as connection:
        described = Snapshot.of(connection, {"t": ("id",)}).described("t", "id")
        seen = [scalar(each) for each in connection.scalars(select(shown(column, described)))]
        for value in seen:
            found = connection.scalars(select(column).where(among([column], [(value,)]))).all()
            assert len(found) == 1, value
        every = among([column], [(value,) for value in seen])
        assert len(connection.scalars(select(column).where(every)).all()) == len(values)


def test_long_bytes_are_cut_alike_by_server_and_worker(ledger: Ledger) -> None:
    """A long value has its start, its length and its fingerprint, wherever it is cut."""
    value = bytes(range(256)) * 4
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, k blob)")
    ledger.insert("t", "id, k", [(1, value), (2, value[:99])])
    column = rows_of("t", ["k"]).c.k
    with ledger.sources.snapshot("ledger") as connection:
        described = Snapshot.of(connection, {"t": ("k",)}).described("t", "k")
        found = [scalar(each) for each in connection.scalars(select(shown(column, described)))]
    assert found == [scalar(value), scalar(value[:99])]
    assert all(isinstance(each, Hexadecimal) for each in found)
    assert [is_abridged(each) for each in found] == [True, False]


def test_times_up_to_the_limit() -> None:
    """A TIME is up to 838 hours either way."""
    longest = timedelta(hours=838, minutes=59, seconds=59)
    assert (scalar(longest), scalar(-longest)) == ("838:59:59", "-838:59:59")
    assert scalar(timedelta()) == "00:00:00"
    assert scalar(timedelta(microseconds=-1)) == "-00:00:00.000001"


def test_a_window_knows_bytes_from_texts(ledger: Ledger) -> None:
    """Only findings that name bytes as a text are not found again."""
    ledger.sql("CREATE TABLE t (id binary(2) NOT NULL, k varchar(9))")
    seen: list[tuple[Mapping[str, Scalar], bool]] = [
        ({"id": Hexadecimal("0x4142")}, True),
        ({"id": "0x4142"}, False),
        ({"k": "0x4142"}, True),
        ({"other": "0x4142"}, True),
    ]
    for known, found in seen:
        with ledger.sources.snapshot("ledger") as connection:
            window = Window(known=(known,))
            assert Snapshot.of(connection, {"t": ()}, window).finds_known is found
