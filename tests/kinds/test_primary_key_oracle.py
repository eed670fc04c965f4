"""Rows named by random keys of one to three columns, against a reading of them in Python."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Check, Result, Scalar
from checks.sql.values import scalar
from tests.support.ledgers import Ledger, check, keys, on_servers
from tests.support.runs import window_after

Row = tuple[Any, ...]


def _in_milliseconds(value: timedelta) -> timedelta:
    return value // timedelta(milliseconds=1) * timedelta(milliseconds=1)


TYPES: dict[str, st.SearchStrategy[Any]] = {
    "bigint": st.integers(-3, 3) | st.sampled_from([-(2**63), 2**63 - 1]),
    "varchar(20) COLLATE utf8mb4_bin": st.text("ab'\"\\%_0.1é", max_size=3),
    "decimal(30,10)": st.sampled_from(
        [Decimal(text) for text in ("0", "1.5", "-0.0000000001", "12345678901234567890.0000000001")]
        + [Decimal("12345678901234567890.0000000002")]
    ),
    "decimal(40,30)": st.sampled_from([Decimal(text) for text in ("1E-30", "-1E-8", "0", "2.5")]),
    "time(3)": st.timedeltas(timedelta(hours=-838), timedelta(hours=838)).map(_in_milliseconds),
    "datetime(6)": st.datetimes(datetime.fromisoformat("1000-01-01")),
    "enum('a','B c','')": st.sampled_from(["a", "B c", ""]),
    "year": st.sampled_from([1901, 2026]),
    "date": st.sampled_from([date(2026, 1, 5), date(2026, 12, 1), date(1999, 12, 31)]),
    "binary(2)": st.sampled_from([b"\x00\x00", b"0x", b"\xff'", b"\\\n"]),
}
LONG_AGO = "2026-01-05 00:00:00"
FORMAT = re.compile(r"step_\d+")
PARENTS = (1, 2)
MOST_SHOWN = 20
EXAMPLES = 25


@dataclass(frozen=True)
class Ledgers:
    """The types of the key's columns, and rows before and after a first run."""

    types: tuple[str, ...]
    before: tuple[Row, ...]
    after: tuple[Row, ...]
    """Rows that come later; those that were there before are mended where `mended` says so."""
    mended: int

    @property
    def names(self) -> list[str]:
        """The columns of the key."""
        return [f"k{number}" for number in range(len(self.types))]


@st.composite
def _ledgers(draw: Callable[..., Any]) -> Ledgers:
    types = tuple(draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=3)))
    key = st.tuples(*(TYPES[each] for each in types))
    found = draw(st.lists(key, min_size=1, max_size=12, unique=True))
    rest = st.tuples(st.sampled_from(["step_1", "step-1", "x"]), st.sampled_from([None, 1, 2, 3]))
    rows = tuple((*each, *draw(rest)) for each in found)
    cut = draw(st.integers(0, len(rows)))
    return Ledgers(types, rows[:cut], rows[cut:], draw(st.integers(2, 4)))


Oracle = Callable[[Ledger, Ledgers], list[dict[str, Scalar]]]
"""The keys of the rows that are wrong."""


def _write(ledger: Ledger, made: Ledgers) -> None:
    ledger.sql("DROP TABLE IF EXISTS steps", "DROP TABLE IF EXISTS parents")
    columns = ", ".join(f"{n} {t} NOT NULL" for n, t in zip(made.names, made.types, strict=True))
    ledger.sql(
        f"""CREATE TABLE steps ({columns}, seq bigint NOT NULL AUTO_INCREMENT, code varchar(9),
            ref int, made_at datetime NOT NULL, PRIMARY KEY ({", ".join(made.names)}),
            KEY (seq))""",
        "CREATE TABLE parents (id int PRIMARY KEY, made_at datetime)",
    )
    ledger.insert("parents", "id, made_at", [(each, LONG_AGO) for each in PARENTS])
    _add(ledger, made, made.before)


def _add(ledger: Ledger, made: Ledgers, rows: Sequence[Row]) -> None:
    names = ", ".join((*made.names, "code", "ref", "made_at"))
    ledger.insert("steps", names, [(*row, LONG_AGO) for row in rows])


def _read(ledger: Ledger, made: Ledgers) -> list[tuple[dict[str, Scalar], str, Any]]:
    rows = ledger.sql(f"SELECT {', '.join(made.names)}, code, ref FROM steps")
    return [
        (dict(zip(made.names, map(scalar, row[:-2]), strict=True)), row[-2], row[-1])
        for row in rows
    ]


def _badly_written(ledger: Ledger, made: Ledgers) -> list[dict[str, Scalar]]:
    return [key for key, code, _ in _read(ledger, made) if not FORMAT.fullmatch(code)]


def _dangling(ledger: Ledger, made: Ledgers) -> list[dict[str, Scalar]]:
    return [key for key, _, ref in _read(ledger, made) if ref is not None and ref not in PARENTS]


def _sorted(found: Sequence[dict[str, Scalar]]) -> list[str]:
    return sorted(repr(sorted(each.items())) for each in found)


def _shown(ledger: Ledger, made: Ledgers, one: Check, result: Result) -> list[str]:
    """The keys of the rows that the inspection query returns."""
    query = one.look([each.key for each in result.findings[:MOST_SHOWN]])
    rows = ledger.sql(query or "")
    number = len(made.names)
    return _sorted([dict(zip(made.names, map(scalar, row[:number]), strict=True)) for row in rows])


def _checks(made: Ledgers) -> list[tuple[Check, Oracle]]:
    common = {"primary_key": made.names, "cursor": "seq", "written_at": "made_at"}
    written = check("key_format", "steps", **common, column="code", patterns=["step_{int}"])
    referring = check(
        "reference",
        "steps",
        **common,
        columns=["ref"],
        parent="parents",
        parent_primary_key="id",
    )
    return [(written, _badly_written), (referring, _dangling)]


@on_servers
def test_random_keys_name_their_rows(ledger: Ledger) -> None:
    """Complete and incremental runs find what is wrong, row by row, and queries show just that."""

    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(made=_ledgers())
    def holds(made: Ledgers) -> None:
        _write(ledger, made)
        checks = _checks(made)
        first = [one.run(ledger.sources) for one, _ in checks]
        for (_, oracle), result in zip(checks, first, strict=True):
            assert _sorted(keys(result)) == _sorted(oracle(ledger, made))
        ledger.sql(f"UPDATE steps SET code = 'step_2', ref = 1 WHERE seq % {made.mended} = 0")
        _add(ledger, made, made.after)
        for (one, oracle), before in zip(checks, first, strict=True):
            _compare(ledger, made, one, _sorted(oracle(ledger, made)), before)

    holds()


def _compare(
    ledger: Ledger, made: Ledgers, one: Check, expected: list[str], before: Result
) -> None:
    for result in (one.run(ledger.sources, window_after(before)), one.run(ledger.sources)):
        assert _sorted(keys(result)) == expected
        assert result.violations == len(expected)
        if expected:
            assert _shown(ledger, made, one, result) == expected
