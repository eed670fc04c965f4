"""What a run knows of the database that it reads."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from checks import snapshot as module
from checks.contract import CheckError, Window
from checks.snapshot import Context, Snapshot
from checks.sql.render import render
from checks.sql.statements import rows_of
from checks.sql.timestamps import TimeColumn
from tests.support.ledgers import Ledger, on_any

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TABLE = "CREATE TABLE t (id int PRIMARY KEY, at datetime NULL)"


def test_the_time_is_that_of_the_first_question(ledger: Ledger) -> None:
    """A run judges everything by one moment; the next run has a later one."""
    moments = []
    for _ in range(2):
        with ledger.sources.snapshot("ledger") as connection:
            one, other = (Snapshot.of(connection, {}) for _ in range(2))
            moments.append(one.now)
            ledger.sql("SELECT 1")
            assert one.now == other.now
    assert moments[0] < moments[1]
    assert moments[0].tzinfo == UTC


def test_what_is_missing_is_named(ledger: Ledger) -> None:
    """Without a table or a column that a check needs there is no answer, whatever is done."""
    ledger.sql(TABLE)
    with ledger.sources.snapshot("ledger") as connection:
        for needs, what in (({"tt": ()}, "table tt"), ({"t": ("id", "ad")}, "no column ad")):
            with pytest.raises(CheckError, match=what) as caught:
                Snapshot.of(connection, needs)
            assert caught.value.permanent


@on_any
@pytest.mark.parametrize("rows", [0, 3, 4, 7])
def test_sample_is_bounded_and_its_count_is_exact(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Of more rows than a finding may be made of the first are given, and all are counted."""
    monkeypatch.setattr(module, "SAMPLE", 3)
    ledger.sql(TABLE)
    ledger.insert("t", "id, at", [(n, None) for n in range(rows)])
    table = rows_of("t", ("id",))
    with ledger.sources.snapshot("ledger") as connection:
        statement = select(table.c.id).order_by(table.c.id.desc())
        found, number = Snapshot.of(connection, {}).sampled(statement)
    assert [tuple(row) for row in found] == [(n,) for n in reversed(range(rows))][:3]
    assert number == rows


@on_any
def test_known_findings_are_told_apart_by_the_names_of_their_keys(ledger: Ledger) -> None:
    """Of findings with keys of several sorts those of one are looked at again, in its order."""
    known = ({"b": 1, "a": 2}, {"a": 3}, {"a": None, "b": 4}, {"a": 5, "b": 6, "c": 7})
    with ledger.sources.snapshot("ledger") as connection:
        snapshot = Snapshot.of(connection, {}, Window(known=known))
    assert snapshot.known(("a", "b")) == [(2, 1), (None, 4)]


def test_without_a_database_only_the_cut_over_bounds_what_is_shown() -> None:
    """SQL for people shows rows that have not settled, too; without times every row is in scope."""
    at = TimeColumn("at")
    rows = rows_of("t", (at,))
    settle = timedelta(seconds=10)
    since = NOON.replace(tzinfo=None)
    shown = Context().in_scope(rows, "t", at, settle=settle, since=since)
    assert render(shown) == (
        "`at` IS NULL OR MONTH(`at`) * DAYOFMONTH(`at`) = 0 OR `at` >= '2026-01-05 12:00:00'"
    )
    for name, cut_over in ((at, None), (None, since)):
        everything = Context().in_scope(rows, "t", name, settle=settle, since=cut_over)
        assert render(everything) == "TRUE"
