"""Arithmetic of conditions: exact whatever the size and scale, an error where it cannot be."""

import operator
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from checks.contract import CheckError
from checks.sql.exact import FUNCTIONS
from checks.sql.expression import Expression
from checks.sql.statements import rows_of
from tests.support.ledgers import Ledger, keys, on_servers

DIGITS = 50
EXAMPLES = {"sqlite": 60, "mariadb": 40, "mysql": 25}
SUMS: dict[str, Callable[..., Decimal]] = {
    "a + b": lambda a, b, _: a + b,
    "a - b - c": lambda a, b, c: a - b - c,
    "a - (b - c) + 0.001": lambda a, b, c: a - (b - c) + Decimal("0.001"),
    "-a + -(-b) * 2": lambda a, b, _: -a + b * 2,
    "COALESCE(a, b) + c": lambda a, _, c: a + c,
    "0.5 * a - 0.25 * b": lambda a, b, _: Decimal("0.5") * a - Decimal("0.25") * b,
}
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
    "<=>": operator.eq,
}


def amounts(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    """Numbers of so many digits at most, small ones often."""
    most = 10**digits - 1
    few = min(most, 20)
    whole = st.one_of(st.integers(-most, most), st.integers(-few, few), st.sampled_from([most, 0]))
    return whole.map(lambda number: Decimal(f"{number}e-{places}"))


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[Decimal]]:
    """Three columns of a size and scale of their own, and a value in each."""
    sizes = [
        (digits, draw(st.integers(0, min(10, digits))))
        for digits in draw(st.tuples(*[st.integers(1, DIGITS)] * 3))
    ]
    return sizes, [draw(amounts(*size)) for size in sizes]


def test_arithmetic_is_that_of_paper(ledger: Ledger) -> None:
    """Sums and differences of decimals of any size and scale compare as the exact numbers do."""

    @settings(
        max_examples=EXAMPLES[ledger.backend],
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        rows(),
        st.sampled_from(list(SUMS)),
        st.sampled_from(list(COMPARED)),
        st.sampled_from(["0", "1", "-1", "0.001", "-0.0000000001"]),
    )
    @example(([(50, 0), (50, 10), (3, 2)], [Decimal(10**49), Decimal("0.1"), Decimal("0.01")]),
        "a + b", "=", "0.0000000001")  # fmt: skip
    def holds(
        drawn: tuple[list[tuple[int, int]], list[Decimal]], left: str, sign: str, off: str
    ) -> None:
        sizes, values = drawn
        write(ledger, sizes, values)
        with localcontext(prec=200):
            value = SUMS[left](*values)
            right = value + Decimal(off)
            expected = COMPARED[sign](value, right)
        places = f"{right:f}"
        assert ask(ledger, f"({left}) {sign} {places}") == expected
        assert ask(ledger, f"({left}) IN ({places}, 7e-9)") == (off == "0")
        assert ask(ledger, f"{places} BETWEEN ({left}) AND ({left})") == (off == "0")

    holds()


def write(ledger: Ledger, sizes: list[tuple[int, int]], values: list[Decimal]) -> None:
    """One row with a value in each of the columns a, b and c."""
    ledger.clear()
    # A file would make doubles of decimals.
    types = [
        "text" if ledger.backend == "sqlite" else f"decimal({digits},{places})"
        for digits, places in sizes
    ]
    columns = ", ".join(f"{name} {each}" for name, each in zip("abc", types, strict=True))
    ledger.sql(f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
    ledger.insert("t", "id, a, b, c", [(1, *(f"{value:f}" for value in values))])


def ask(ledger: Ledger, source: str) -> bool:
    """Whether a condition is true for the one row, both ways in which it is built."""
    told = ledger.run("condition", "t", primary_key="id", expression=source).violations == 0
    table = rows_of("t", ("id", "a", "b", "c"))
    with ledger.sources.snapshot("ledger") as connection:
        shown = connection.scalar(select(Expression(source).on(table)).select_from(table))
    if ledger.backend != "sqlite" or all(name in source for name in "abc"):
        assert bool(shown) == told
    return told


def run(ledger: Ledger, expression: str) -> list[dict[str, Any]]:
    return keys(ledger.run("condition", "t", primary_key="id", expression=expression))


def test_numbers_with_a_fraction_are_exact(ledger: Ledger) -> None:
    """A number with a fraction is that decimal, and no double near it."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a decimal(12,3))")
    amounts = ["0.010", "0.009", "0.011", "7.100", "-0.5"]
    ledger.insert("t", "id, a", list(enumerate(amounts)))
    assert run(ledger, "a >= 0.01 AND a <> 7.1") == [{"id": 1}, {"id": 3}, {"id": 4}]
    assert run(ledger, "a <> 0.1e-1 AND a NOT IN (.009, 0.0110)") == [{"id": n} for n in range(3)]
    assert run(ledger, "a + 0.1 + 0.2 = a + 0.3") == []
    assert run(ledger, "3 * a = a + a + a AND a - 0.1 < a - .0999999999999999999999999") == []
    assert run(ledger, "a > -0.5000000000000000000000000001") == []


@pytest.mark.parametrize(
    "number", ["1e66", "9" * 66, "0." + "1" * 31, "1" * 40 + "." + "1" * 26, "1e-31", "1e999999999"]
)
def test_numbers_that_no_server_holds_are_refused(number: str) -> None:
    """A number with more digits than a DECIMAL has is no number of a condition."""
    with pytest.raises(ValueError, match="digits"):
        Expression(f"a = {number}")


@on_servers
def test_doubles_and_texts_are_calculated_with_as_written(ledger: Ledger) -> None:
    """0.1 and 0.2 are 0.3, if they are doubles or texts, too."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a double, b varchar(50), c decimal(20,2))")
    ledger.insert("t", "id, a, b, c", [(1, 0.1, "0.2", "0.3"), (2, 1e22, "1", "2")])
    assert run(ledger, "a + b = c") == [{"id": 2}]
    assert run(ledger, "c - b = 1 * a AND -a = b - c") == [{"id": 2}]


@on_servers
@pytest.mark.parametrize(
    "expression",
    [
        "a * a > 0",
        "b * c > 0",
        "a + d > 0",
        "0 < d - a",
        "e + 1 > 0",
        "a * 10000000000000000 * 1000 > 0",
        "d * d > 0",
    ],
)
def test_what_a_server_cannot_hold_is_an_error(ledger: Ledger, expression: str) -> None:
    """More digits than a server calculates with make the check an error, and never a value."""
    ledger.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a decimal(65,0), b decimal(65,2), c decimal(65,3),"
        " d decimal(65,30), e double)"
    )
    one = ("9" * 65, "9" * 63 + ".99", "9" * 62 + ".999", "9" * 35 + "." + "9" * 30, 1e36)
    ledger.insert("t", "id, a, b, c, d, e", [(1, *one)])
    with pytest.raises(CheckError, match=r"out of range|more than a server keeps"):
        run(ledger, expression)


@on_servers
def test_the_same_columns_serve_as_long_as_their_values_fit(ledger: Ledger) -> None:
    """Wide columns with values of which no digit is lost are calculated with exactly."""
    ledger.sql(
        "CREATE TABLE t (id int PRIMARY KEY, a decimal(65,0), b decimal(65,2), d decimal(65,30))"
    )
    ledger.insert("t", "id, a, b, d", [(1, "9" * 40, "9" * 20 + ".01", "0." + "0" * 29 + "1")])
    assert run(ledger, f"a + d = {'9' * 35}") == [{"id": 1}]
    assert run(ledger, "a + d - a = d AND a + d > a AND d - a < 0.1 - a") == []
    assert run(ledger, f"b * 10 = {'9' * 20}0.1 AND b * b > b") == []


def test_long_conditions_are_read(ledger: Ledger) -> None:
    """A chain of thousands of alternatives, conditions, terms or factors is read and executed."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a int)")
    number = 5000
    ledger.insert("t", "id, a", [(1, number - 1), (2, number)])
    assert run(ledger, " OR ".join(f"a = {n}" for n in range(number))) == [{"id": 2}]
    number = 700
    ledger.sql(
        f"UPDATE t SET a = {number} WHERE id = 2", f"UPDATE t SET a = {number - 1} WHERE id = 1"
    )
    assert run(ledger, " AND ".join(f"a <> {n}" for n in range(number))) == [{"id": 1}]
    assert run(ledger, " + ".join(["a"] * number) + f" = {number * number}") == [{"id": 1}]
    assert run(ledger, " - ".join(["a"] * number) + f" = a - {number - 1} * a") == []
    assert run(ledger, " - 1 + ".join(["a"] * number) + f" = {number} * a - {number - 1}") == []
    if ledger.backend == "sqlite":  # which has no bound
        return
    with pytest.raises(CheckError, match="more than a server keeps"):
        run(ledger, " * ".join(["a"] * number) + " = 1")


@pytest.mark.parametrize(
    "source",
    [
        "- " * 400 + "a = 1",
        "NOT " * 5000 + "a",
        "(" * 5000 + "a" + ")" * 5000,
        "COALESCE(" * 300 + "a" + ", 1)" * 300,
        "a + (" * 200 + "a" + ")" * 200,
        "a OR b AND (" * 60 + "a" + ")" * 60,
        "(" * 26 + "a" + ")" * 26,
        "(" * 100_000,
    ],
)
def test_what_is_nested_too_deeply_is_refused(source: str) -> None:
    """A condition that is nested beyond reason is refused by one sentence."""
    with pytest.raises(ValueError, match=r"nested too deeply|not a condition") as caught:
        Expression(source)
    assert len(str(caught.value)) < 400


def test_what_is_nested_within_reason_is_read(ledger: Ledger) -> None:
    """Up to the bound a condition is read, and executed from however deep a call."""
    ledger.sql("CREATE TABLE t (id int PRIMARY KEY, a int)")
    ledger.insert("t", "id, a", [(1, 1), (2, 3)])
    assert run(ledger, "(" * 25 + "a" + ")" * 25 + " = 1") == [{"id": 2}]
    most = 12 if ledger.backend == "sqlite" else 20  # whose own parser goes no deeper
    assert run(ledger, "a + (" * most + "a" + ")" * most + f" = {most + 1}") == [{"id": 2}]
    assert run(ledger, "NOT " * most + "a = 1") == [{"id": 2}]
    assert run(ledger, "COALESCE(" * most + "a" + ", 1)" * most + " = 1") == [{"id": 2}]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=12), min_size=2))
def test_numbers_of_a_file_are_ordered_as_numbers(values: list[Decimal]) -> None:
    """What SQLite is given to compare by puts numbers in their order."""
    _, order = FUNCTIONS["exact_order"]

    def written(value: Decimal) -> str:
        return str(order(f"{value:f}"))

    assert sorted(values, key=written) == sorted(values)
    assert len(set(map(written, values))) == len(set(values))
