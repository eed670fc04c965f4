"""SQL that means the same everywhere, and how values are shown."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from checks.sql.functions import as_bytes
from checks.sql.statements import number_of, rows_of
from checks.sql.values import LONGEST_TEXT, START_OF_LONG, Hexadecimal, scalar
from tests.support.ledgers import Ledger, on_servers


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (Decimal(12345678901234567890), 12345678901234567890),
        (Decimal("1.00"), 1),
        (Decimal("0.10"), "0.10"),
        (Decimal("0.00000001"), "0.00000001"),
        (Decimal("-0.00000000000000000000000001230"), "-0.00000000000000000000000001230"),
        (Decimal("0E-30"), 0),
        (datetime(2026, 1, 2, 20, 24, 20), "2026-01-02 20:24:20"),  # noqa: DTZ001 - as read
        (date(2026, 1, 2), "2026-01-02"),
        (b"abc", Hexadecimal("0x616263")),
        (b"\xff", Hexadecimal("0xff")),
        ("\udcff", "\udcff"),
        (0.1, "0.1"),
    ],
)
def test_values_are_shown_exactly(value: object, shown: object) -> None:
    """Numbers are exact, times are ISO 8601, bytes are hexadecimal."""
    assert scalar(value) == shown
    assert type(scalar(value)) is type(shown)


@given(one=st.text(min_size=190, max_size=210), other=st.text(min_size=190, max_size=210))
def test_shown_texts_are_bounded_and_stay_apart(one: str, other: str) -> None:
    """However long a text is, what is shown is short, and differs where the texts differ."""
    assert len(str(scalar(one))) <= LONGEST_TEXT + 60
    assert (scalar(one) == scalar(other)) == (one == other)


def test_text_of_the_limit_is_shown_whole() -> None:
    """A text is cut only when it is longer than the limit."""
    assert scalar("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT
    assert str(scalar("x" * (LONGEST_TEXT + 1))).startswith("x" * START_OF_LONG + "… [201 ")


@on_servers
@pytest.mark.parametrize("charset", ["utf8mb4", "latin1", "utf16"])
def test_bytes_are_utf8_whatever_the_column_is(ledger: Ledger, charset: str) -> None:
    """The bytes of a text are those of UTF-8, in whatever character set the column keeps it."""
    ledger.sql(f"CREATE TABLE t (k varchar(9) CHARACTER SET {charset})")
    ledger.insert("t", "k", [("caf\xe9",)])
    rows = rows_of("t", ["k"])
    with ledger.sources.snapshot("ledger") as connection:
        assert connection.scalar(select(as_bytes(rows.c.k))) == "caf\xe9".encode()


def test_total_is_exact(ledger: Ledger) -> None:
    """The row total counts rows, those of NULL too, and follows every write."""
    ledger.sql("CREATE TABLE t (k int)")
    for expected in range(3):
        with ledger.sources.snapshot("ledger") as connection:
            assert connection.scalar(number_of(rows_of("t", ()))) == expected
        ledger.sql("INSERT INTO t VALUES (NULL)")
