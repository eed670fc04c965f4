"""How many rows a run judged, and how many it excluded and why: what plain SQL counts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks import coverage
from checks.contract import Result
from tests.support.ledgers import Ledger, configured, on_servers

NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
RIDES = """
[tables.rides]
primary_key = "id"
written_at = "at"
since = 2026-02-01T00:00:00Z
"""


@pytest.fixture
def rides(ledger: Ledger) -> Ledger:
    """Nine rides and their entries: old, young, open, for tests, without a code."""
    ledger.sql(
        "CREATE TABLE rides (id bigint PRIMARY KEY, state varchar(10), code varchar(20),"
        " fare bigint NOT NULL, trial int, at datetime NOT NULL)",
        "CREATE TABLE entries (id bigint PRIMARY KEY, ride bigint, amount bigint NOT NULL)",
        "CREATE INDEX by_ride ON entries (ride)",
    )
    old, calm, young = "2026-01-05 00:00:00", str(NOW - timedelta(days=1)), str(NOW)
    rows = [
        *((1, "done", "a", 5, 0, old), (2, "done", "b", 5, 0, old), (3, "open", "c", 5, 0, old)),
        *(
            (4, "done", "d", 5, 0, calm),
            (5, "done", None, 5, 0, calm),
            (6, "open", "f", 5, 0, calm),
        ),
        *((7, "done", "g", 5, 1, calm), (8, None, "h", 5, 0, calm), (9, "done", "i", 5, 0, young)),
    ]
    ledger.insert("rides", "id, state, code, fare, trial, at", rows)
    ledger.insert("entries", "id, ride, amount", [(n, n, 5) for n in range(1, 10)])
    return ledger


def run(ledger: Ledger, tmp_path: Path, facts: str, check: str) -> Result:
    """Run one check of a configuration."""
    checks = configured(f'{facts}\n[[checks]]\nname = "t"\ntable = "rides"\n{check}', tmp_path)
    return checks["t"].evaluate(ledger.sources)


REFERENCE = """
kind = "reference"
columns = ["id"]
parent = "entries"
parent_columns = ["ride"]
parent_primary_key = "id"
when = "state = 'done'"
settle = "6h"
"""
DUPLICATES = """
kind = "duplicates"
columns = ["code"]
when = "state = 'done'"
"""
BLANK = """
kind = "blank"
column = "code"
when = "state = 'done'"
"""
CONDITION = """
kind = "condition"
expression = "fare > 0"
when = "state = 'done'"
"""
KEY_FORMAT = """
kind = "key_format"
column = "code"
patterns = ["{word}"]
when = "state = 'done'"
"""
CONSERVATION = """
kind = "conservation"
by = ["id"]
sum = "fare"
equals = "fare"
when = "state = 'done'"
settle = "0s"
"""
AGGREGATE = """
kind = "aggregate"
by = ["id"]
details = "entries"
details_by = ["ride"]
sums = { fare = "amount" }
when = "state = 'done'"
"""

AFTER_SINCE = {"when": 3, "since": 2}
EXPECTED = {
    REFERENCE: (3, {"when": 3, "no_key": 0, "since": 2, "settle": 1}),
    DUPLICATES: (5, {"when": 3, "no_key": 1}),
    BLANK: (6, {"when": 3}),
    CONDITION: (6, {"when": 3}),
    KEY_FORMAT: (3, {**AFTER_SINCE, "no_key": 1}),
    CONSERVATION: (4, AFTER_SINCE),
    AGGREGATE: (6, {"when": 3}),
}


def kind(check: str) -> str:
    """What a test is called."""
    return check.split('"')[1]


KINDS = [kind(each) for each in EXPECTED]


@pytest.mark.parametrize("check", EXPECTED, ids=KINDS)
def test_every_row_is_judged_or_excluded_for_one_reason(
    rides: Ledger, tmp_path: Path, check: str
) -> None:
    """What is judged and what is excluded are all rows of the table, each counted once."""
    result = run(rides, tmp_path, RIDES, check)
    assert (result.examined, dict(result.excluded)) == EXPECTED[check]
    assert result.examined + sum(n or 0 for n in result.excluded.values()) == 9
    assert not result.estimated


@pytest.mark.parametrize("check", EXPECTED, ids=KINDS)
def test_rows_that_the_table_leaves_out_are_counted_apart(
    rides: Ledger, tmp_path: Path, check: str
) -> None:
    """`[tables.X] when` comes first, before what the check itself excludes."""
    result = run(rides, tmp_path, f'{RIDES}when = "trial = 0"\n', check)
    judged, excluded = EXPECTED[check]
    assert (result.examined, dict(result.excluded)) == (
        judged - 1,
        {"table_when": 1, **excluded},
    )


@on_servers
@pytest.mark.parametrize("check", [REFERENCE, DUPLICATES, BLANK, KEY_FORMAT], ids=kind)
def test_the_number_of_a_large_table_is_marked_as_an_estimate(
    rides: Ledger, tmp_path: Path, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not counted is no number, and the rows judged are not claimed to be exact."""
    monkeypatch.setattr(coverage, "COUNTED_ROWS", 3)
    rides.sql("ANALYZE TABLE rides")
    result = run(rides, tmp_path, RIDES, check)
    assert result.estimated
    assert result.examined >= 9 - 1
    assert dict(result.excluded) == dict.fromkeys(EXPECTED[check][1])


def test_a_group_waits_as_a_whole(rides: Ledger, tmp_path: Path) -> None:
    """Where a group is judged as a whole, rows that settled are no exact number of the judged."""
    rides.sql(
        "UPDATE rides SET code = 'i' WHERE id IN (4, 5)",
        "UPDATE rides SET code = 'a' WHERE id = 6",
        "UPDATE rides SET state = 'done' WHERE id = 6",
        "ALTER TABLE entries ADD code varchar(20)",
    )
    check = """
kind = "posting"
ledger = "entries"
ledger_primary_key = "id"
ledger_key = "ride:{code}"
ledger_key_column = "code"
sum = { fare = "amount" }
when = "state = 'done'"
settle = "6h"
reverse = false
"""
    result = run(rides, tmp_path, RIDES, check)
    assert (result.examined, dict(result.excluded)) == (4, {"when": 2, "since": 2, "settle": 1})
    assert result.estimated
