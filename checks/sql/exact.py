"""Exact arithmetic: the same on MySQL, MariaDB and SQLite, and never a clamped or rounded value.

A server adds BIGINT as BIGINT, which overflows (error 1690), but DECIMAL as a number of nine words
of nine digits, each side of the point in words of its own. What is longer before the point is an
error; what is longer behind it is cut in silence. So operands become DECIMAL (`x + 0.`), never by a
CAST, which would clamp, and what may be cut is refused or guarded. SQLite has doubles only; there
functions of the connection calculate, see `FUNCTIONS`.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import Grouping
from sqlalchemy.sql.functions import FunctionElement

from checks.sql.catalog import Column

Built = ColumnElement[Any]

MOST_DIGITS = 65
"""Digits of a DECIMAL."""

MOST_PLACES = 30
"""Digits behind the point that MySQL keeps. (MariaDB keeps 38.)"""

_WORDS = 9
"""Words of nine digits in which a server calculates."""

_GUARD = "1" + "0" * MOST_DIGITS
"""A product with it overflows, if the other factor is long enough to need a guard."""


_SPELLED = "^[ \t\n\r]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]{1,3})?[ \t\n\r]*$"
"""A number in a text, for a server: with nothing beside it but white space."""


class Size(NamedTuple):
    """The most digits before and behind the point."""

    whole: int
    places: int

    @property
    def most_whole(self) -> int:
        """The most digits before the point with which a server keeps those behind it."""
        return 9 * (_WORDS - -(-self.places // 9))

    @property
    def fits_words(self) -> bool:
        """Whether a server keeps every digit while it calculates."""
        return self.whole <= self.most_whole

    @property
    def fits_column(self) -> bool:
        """Whether a server keeps every digit in a temporary table."""
        return self.whole + self.places <= MOST_DIGITS


_INTEGERS = {"tinyint": 3, "smallint": 5, "mediumint": 8, "int": 10, "integer": 10, "bigint": 20}
_DECIMAL = re.compile(r"(?:decimal|numeric)(?:\((\d+)(?:,\s*(\d+))?\))?", re.ASCII)


def other_size(places: int) -> Size:
    """That of a number which is read from a text or a double, with so many places."""
    return Size(MOST_DIGITS - places, places)


def size_of(column: Column) -> Size | None:
    """That of a column of whole numbers or decimals; None for other types."""
    name = re.split(r"\W", column.type.lower(), maxsplit=1)[0]
    if name in _INTEGERS:
        return Size(_INTEGERS[name], 0)
    if found := _DECIMAL.match(column.type.lower()):
        digits, places = int(found[1] or 10), int(found[2] or 0)
        return Size(digits - places, places)
    return None


class added(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """The sum of two numbers, one of them a DECIMAL."""

    inherit_cache = True


class subtracted(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """The difference of two numbers, one of them a DECIMAL."""

    inherit_cache = True


class multiplied(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """The product of two numbers, one of them a DECIMAL."""

    inherit_cache = True


class negated(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A DECIMAL with the other sign."""

    inherit_cache = True


class decimal(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A number as a DECIMAL, or what it is if that is a DECIMAL or DOUBLE."""

    inherit_cache = True


class parsed(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A text or a double as a DECIMAL, as it is written, and the places that are kept.

    It is an error if too many digits are before the point.
    """

    inherit_cache = True


class read_out(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A text as the DECIMAL that it spells, with the places that are kept.

    NULL if it spells no number, or one of too many digits before the point.
    """

    inherit_cache = True


class guarded(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A DECIMAL, and its bound: an error if it reaches this."""

    inherit_cache = True


class absolute(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A DECIMAL without its sign."""

    inherit_cache = True


class least(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """The least of some numbers, or of some texts; NULL if one of them is."""

    inherit_cache = True
    name = "least"


class greatest(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """The greatest of some numbers, or of some texts; NULL if one of them is."""

    inherit_cache = True
    name = "greatest"


class total(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """The sum of a number over rows; NULL, without a number."""

    inherit_cache = True


class number(FunctionElement[Decimal]):  # noqa: N801 - reads as SQL
    """A number of the configuration, given as `literal_column`."""

    inherit_cache = True


class comparable(FunctionElement[Any]):  # noqa: N801 - reads as SQL
    """A number that was calculated, in a form that every comparison takes."""

    inherit_cache = True


NOUGHT = comparable(literal_column("0"))
"""0, to compare with."""


def _operands(element: FunctionElement[Any], compiler: SQLCompiler, kw: Any) -> list[str]:
    return [compiler.process(each, **kw) for each in element.clauses]


def _binary(kind: type[FunctionElement[Any]], operator: str) -> None:
    @compiles(kind, "mysql")
    def _on_server(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
        return f" {operator} ".join(_operands(element, compiler, kw))

    @compiles(kind, "sqlite")
    def _on_sqlite(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
        # One call for a chain: SQLite's parser goes down a hundred steps only.
        parts: list[str] = []
        left: Any = element
        while sign := _SIGNS.get(type(left)):
            left, right = (_inner(each) for each in left.clauses)
            parts += [compiler.process(right, **kw), f"'{sign}'"]
        parts.append(compiler.process(left, **kw))
        return f"exact({', '.join(reversed(parts))})"


def _inner(value: Any) -> Any:
    """A value without the parentheses, and what else SQLite does not need."""
    while isinstance(value, Grouping | decimal):
        value = value.element if isinstance(value, Grouping) else next(iter(value.clauses))
    return value


_SIGNS: dict[type, str] = {added: "+", subtracted: "-", multiplied: "*"}
for _kind, _sign in _SIGNS.items():
    _binary(_kind, _sign)


@compiles(negated, "mysql")
def _negated_mysql(element: negated, compiler: SQLCompiler, **kw: Any) -> str:
    return f"-({compiler.process(element.clauses, **kw)})"


@compiles(negated, "sqlite")
def _negated_sqlite(element: negated, compiler: SQLCompiler, **kw: Any) -> str:
    return f"exact(0, '-', {_first(element, compiler, **kw)})"


def _called(kind: type[FunctionElement[Any]], mysql: str, sqlite: str) -> None:
    for dialect, name in {"mysql": mysql, "sqlite": sqlite}.items():

        @compiles(kind, dialect)
        def _call(
            element: FunctionElement[Any], compiler: SQLCompiler, name: str = name, **kw: Any
        ) -> str:
            return f"{name}({', '.join(_operands(element, compiler, kw))})"


_called(absolute, "ABS", "exact_abs")
_called(least, "LEAST", "exact_least")
_called(greatest, "GREATEST", "exact_greatest")
_called(total, "SUM", "exact_sum")


@compiles(decimal, "mysql")
def _decimal_mysql(element: decimal, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.clauses, **kw)} + 0."


@compiles(parsed, "mysql")
def _parsed_mysql(element: parsed, compiler: SQLCompiler, **kw: Any) -> str:
    text, places = _operands(element, compiler, kw)
    cast = f"CAST({text} AS DECIMAL({MOST_DIGITS}, {places}))"
    bound = f"1e{MOST_DIGITS - int(places)}"
    return f"CASE WHEN ABS({text}) >= {bound} THEN {cast} * {_GUARD} ELSE {cast} END"


@compiles(read_out, "mysql")
def _read_out_mysql(element: read_out, compiler: SQLCompiler, **kw: Any) -> str:
    # An ENUM is a number to a server, that of its place, unless it is converted.
    value, places = _operands(element, compiler, kw)
    text = f"CONVERT({value} USING utf8mb4)"
    cast = f"CAST({text} AS DECIMAL({MOST_DIGITS}, {places}))"
    bound = f"1e{MOST_DIGITS - int(places)}"
    return (
        f"CASE WHEN {text} REGEXP '{_SPELLED}' THEN"
        f" CASE WHEN ABS({text}) < {bound} THEN {cast} END END"
    )


@compiles(read_out, "sqlite")
def _read_out_sqlite(element: read_out, compiler: SQLCompiler, **kw: Any) -> str:
    return f"exact_read({_first(element, compiler, **kw)})"


@compiles(guarded, "mysql")
def _guarded_mysql(element: guarded, compiler: SQLCompiler, **kw: Any) -> str:
    value, bound = _operands(element, compiler, kw)
    return f"CASE WHEN ABS({value}) >= {bound} THEN ({value}) * {_GUARD} ELSE {value} END"


def _first(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
    first = next(iter(element.clauses))
    if compiler.dialect.name == "sqlite":
        first = _inner(first)
    return str(compiler.process(first, **kw))


compiles(decimal, "sqlite")(_first)
compiles(parsed, "sqlite")(_first)
compiles(guarded, "sqlite")(_first)
compiles(number, "mysql")(_first)
compiles(comparable, "mysql")(_first)


@compiles(number, "sqlite")
def _number_sqlite(element: number, compiler: SQLCompiler, **kw: Any) -> str:
    text = _first(element, compiler, **kw)
    return f"'{text}'" if isinstance(_kept(Decimal(text)), str) else text


@compiles(comparable, "sqlite")
def _comparable_sqlite(element: comparable, compiler: SQLCompiler, **kw: Any) -> str:
    return f"exact_order({compiler.process(element.clauses, **kw)})"


# What calculates on SQLite.

Number = int | float | str | None
"""A value of SQLite; a text is a number that it has no other form for."""

_CONTEXT = Context(prec=2000)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?)", re.ASCII)


def read(value: Any) -> Decimal:
    """A number of a database, exact, without zeros at its end; 0 for NULL."""
    if value is None:
        return Decimal(0)
    number = value if isinstance(value, Decimal) else _read(value)
    return _CONTEXT.normalize(number)


def plus(*values: Decimal) -> Decimal:
    """The exact sum of some numbers."""
    with localcontext(_CONTEXT):
        return sum(values, Decimal(0)).normalize()


def apart(one: Decimal, other: Decimal) -> Decimal:
    """How far two numbers are apart, exactly."""
    return _CONTEXT.normalize(_CONTEXT.subtract(one, other).copy_abs())


def _read(value: Number | bytes) -> Decimal:
    """A value as the number that it is, a text by its beginning, as servers read it."""
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))  # as it was written: 0.1
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    found = _NUMBER.match(text)
    return Decimal(found[1]) if found else Decimal(0)


def _kept(value: Decimal) -> int | float | str:
    """A number in the first form that holds it exactly."""
    if value == value.to_integral_value() and abs(value) < 2**63:
        return int(value)
    if Decimal(repr(float(value))) == value:
        return float(value)
    return format(value.normalize(_CONTEXT), "f")


_OPERATIONS: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def _calculate(first: Number, *rest: Any) -> Number:
    """A number, and each operator with the next one, from left to right."""
    if None in (first, *rest):
        return None
    with localcontext(_CONTEXT):
        result = _read(first)
        for sign, value in zip(rest[::2], rest[1::2], strict=True):
            result = _OPERATIONS[sign](result, _read(value))
        return _kept(result)


def _order(value: Number) -> str | None:
    """A text for each number, which compare as the numbers do."""
    if value is None:
        return None
    number = _read(value)
    if number == 0:
        return "1"
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if number > 0:
        return f"2{number.adjusted() + 5000:04}{digits}"
    below = digits.translate(str.maketrans("0123456789", "9876543210"))
    return f"0{5000 - number.adjusted():04}{below}~"


def _read_out(value: Number) -> Number:
    """A number as it is, a text as the one that it spells; NULL if it spells none."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value.rstrip(" \t\n\r")):
        return None
    return None if value is None else _kept(_read(value))


def _absolute(value: Number) -> Number:
    return None if value is None else _kept(_read(value).copy_abs())


def _extreme(choose: Callable[..., Any]) -> Callable[..., Number]:
    def chosen(*values: Number) -> Number:
        if None in values:
            return None
        if all(isinstance(each, str) and not _NUMBER.fullmatch(each) for each in values):
            return str(choose(values))
        return _kept(choose(map(_read, values)))

    return chosen


class _Sum:
    """The sum of what is in a window."""

    def __init__(self) -> None:
        self.sum, self.number = Decimal(0), 0

    def step(self, value: Number) -> None:
        """A row comes in."""
        if value is not None:
            self.sum, self.number = _CONTEXT.add(self.sum, _read(value)), self.number + 1

    def inverse(self, value: Number) -> None:
        """A row goes out."""
        if value is not None:
            self.sum, self.number = _CONTEXT.subtract(self.sum, _read(value)), self.number - 1

    def value(self) -> Number:
        """The sum now."""
        return _kept(self.sum) if self.number else None

    finalize = value


AGGREGATES: Mapping[str, type[_Sum]] = {"exact_sum": _Sum}
"""Aggregates of one argument that a connection to SQLite has."""

FUNCTIONS: Mapping[str, tuple[int, Callable[..., Number]]] = {
    "exact": (-1, _calculate),
    "exact_order": (1, _order),
    "exact_read": (1, _read_out),
    "exact_abs": (1, _absolute),
    "exact_least": (-1, _extreme(min)),
    "exact_greatest": (-1, _extreme(max)),
}
"""Functions that a connection to SQLite has, each with the number of its arguments."""


_FLAT = 16
_OPPOSITE = {"+": "-", "-": "+"}

Combine = Mapping[str, Callable[[Built, Built], Built]]


def chained(terms: Sequence[tuple[str, Built]], combine: Combine) -> Built:
    """Terms, each with the operator before it, in a tree that is not deep.

    Servers go down such a tree as deep as their stack, SQLite 1000 steps. The first term of each
    part becomes a DECIMAL.
    """
    if len(terms) <= _FLAT:
        (_, first), *rest = terms
        built = _begun(first, rest[0][0]) if rest else first
        for sign, term in rest:
            built = combine[sign](built, term)
        return built
    half = len(terms) // 2
    sign = terms[half][0]
    rest = list(terms[half:])
    if sign == "-":  # a - b + c is a - (b - c)
        rest = [(_OPPOSITE[each], term) for each, term in rest]
    return combine[sign](chained(terms[:half], combine), Grouping(chained(rest, combine)))


def _begun(first: Built, sign: str) -> Built:
    if is_decimal(first):
        return first
    return Grouping(decimal(first)) if sign == "*" else decimal(first)


def is_decimal(value: Built) -> bool:
    """Whether a value is a DECIMAL for certain."""
    inner = value.element if isinstance(value, Grouping) else value
    return isinstance(
        inner,
        added | subtracted | multiplied | negated | parsed | read_out | guarded | number | absolute,
    )
