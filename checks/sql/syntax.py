"""The syntax of conditions: texts parsed, and what is allowed of them built as expressions."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, Literal

import sqlglot
from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    true,
    type_coerce,
)
from sqlalchemy.sql.elements import Grouping
from sqlglot import exp

from checks.contract import CheckError
from checks.sql import escapes, exact, functions
from checks.sql.catalog import Column
from checks.sql.exact import MOST_DIGITS, MOST_PLACES, Size
from checks.sql.functions import non_empty_array

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
"""It would write of syntax that it does not know, and an error says the same."""

Built = ColumnElement[Any]
Lookup = Callable[[str], Built]
Types = Callable[[str], Column]
"""What the catalog says of a column, by its name."""

LONGEST = 200_000
"""Characters of a condition."""

DEEPEST = 25
"""Levels of a condition, of which a chain of one operator is one. The parser goes down by calls."""

_SHOWN = 200
"""Characters of a condition that an error quotes."""


def name(column: exp.Column) -> str:
    """A column as it is written: `column`, `table.column` or `schema.table.column`."""
    return ".".join(filter(None, (table_of(column), column.name)))


def table_of(column: exp.Column) -> str:
    """The table that a column names, `schema.table` where it says so; "" where it names none."""
    return ".".join(filter(None, (column.db, column.table)))


def parse(source: str) -> exp.Expr:
    """A text as what it is made of. Raises ValueError that says what is wrong and where."""
    if len(source) > LONGEST:
        raise ValueError(f"not a condition: longer than {LONGEST} characters")
    try:
        for written in escapes.texts(source):
            if complaint := escapes.stray(written):
                raise ValueError(f"not a condition: {complaint}")
        tree = sqlglot.parse_one(source, read="mysql")
    except sqlglot.errors.ParseError as error:
        details = error.errors[0] if error.errors else {}
        raise ValueError(
            f"not a condition: {details.get('description', 'cannot be read')}"
            f" (column {details.get('col', 1)} of {_start(source)!r})"
        ) from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except sqlglot.errors.SqlglotError as error:
        reason = _start(str(error))
        raise ValueError(f"not a condition: {_start(source)!r} ({reason})") from None
    except (AttributeError, IndexError, KeyError, TypeError):  # the parser stumbled
        raise ValueError(f"not a condition: {_start(source)!r} cannot be read") from None
    _refuse_depth(tree)
    return tree


_TOO_DEEP = f"not a condition: nested too deeply, {DEEPEST} levels are the most"


def _start(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _refuse_depth(tree: exp.Expr) -> None:
    """Raise ValueError for a tree that is too deep. Without calls of itself."""
    left = [(tree, 1, 1)]
    while left:
        node, depth, parentheses = left.pop()
        if isinstance(node, exp.Column | exp.Literal):
            continue
        if max(depth, parentheses) > DEEPEST:
            raise ValueError(_TOO_DEEP)
        if isinstance(node, exp.Paren):
            left.append((node.this, depth, parentheses + 1))
        elif type(node) in _CHAINS:  # whose links are no levels: they are built in a loop
            left += ((each, depth + 1, parentheses) for _, each in _links(node))
        else:
            left += ((each, depth + 1, parentheses) for each in node.iter_expressions())


# What is chained: `a + b - c`.

_SUM: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-"}
_PRODUCT: dict[type[exp.Expr], str] = {exp.Mul: "*"}
_CHAINS: dict[type[exp.Expr], dict[type[exp.Expr], str]] = {
    exp.And: {exp.And: "AND"},
    exp.Or: {exp.Or: "OR"},
    **dict.fromkeys(_SUM, _SUM),
    **dict.fromkeys(_PRODUCT, _PRODUCT),
}
"""The operators that chain with each."""


def _links(node: exp.Expr) -> list[tuple[str, exp.Expr]]:
    """What a chain consists of, each with the operator before it."""
    operators = _CHAINS[type(node)]
    found = []
    while type(node) in operators:
        found.append((operators[type(node)], node.expression))
        node = node.this
    found.append(("", node))
    return found[::-1]


# What is built.


@dataclass(frozen=True, slots=True)
class _Value:
    """A part of a condition, built."""

    built: Built
    size: Size | None = None
    """Of a number, where the columns' types are known; else None."""
    computed: bool = False
    """Whether it is a number that was calculated, or that not every database can write."""
    numeric: bool = True
    """Whether it may be calculated with as it is: it is a number, or its type is not known."""
    worded: bool = False
    """Whether it is a text or a time for certain, which are ordered as such."""
    text: bool = False
    """Whether it is a text for certain, bytes and JSON among them."""
    number: bool = False
    """Whether it is a number for certain."""


def build(node: exp.Expr, column: Lookup, types: Types | None = None) -> Built:
    """What was parsed, on columns looked up by name.

    With the columns' `types` numbers are exact whatever these are; without, of columns of whole
    numbers and decimals. Raises ValueError at what is not allowed, and CheckError where a server
    could not keep every digit.
    """
    return _whole(_Builder(column, types).value(node))


def size(node: exp.Expr, types: Types) -> Size | None:
    """The most digits of a value; None where it is no exact number. Raises CheckError."""
    value = _Builder(lambda _: null(), types).value(node)
    return value.size if value.numeric else None


def text_as_amount(node: exp.Expr, types: Types) -> str | None:
    """That a value is worked out of texts that may spell no number; None where it is not."""
    builder = _Builder(lambda _: null(), types, [])
    try:
        builder.number(node)
    except CheckError as error:
        return str(error)
    if not builder.texts:
        return None
    text = builder.texts[0]
    described = types(name(text)).type if isinstance(text, exp.Column) else "a text"
    if text is node:
        return f"is {described}: {_AN_AMOUNT}"
    return f"reads {_start(_sql(text))} as a number, which is {described}: {_AN_AMOUNT}"


_AN_AMOUNT = "an amount is a whole number or a decimal"


def unfit_amount(node: exp.Expr, types: Types) -> str | None:
    """Why a value is no exact number; None where it is one."""
    if why := text_as_amount(node, types):
        return why
    try:
        if size(node, types):
            return None
    except CheckError as error:
        return str(error)
    described = types(name(node)).type if isinstance(node, exp.Column) else "no exact number"
    return f"is {described}: {_AN_AMOUNT}"


def _whole(value: _Value) -> Built:
    """A value in a form that a temporary table keeps."""
    if value.size is None or value.size.fits_column or not value.computed:
        return value.built
    return _guarded(value.built, MOST_DIGITS - value.size.places)


def _guarded(value: Built, digits: int) -> Built:
    return Grouping(exact.guarded(value, literal_column("1" + "0" * digits)))


@dataclass(frozen=True, slots=True)
class _Builder:
    """Builds the parts of one condition."""

    column: Lookup
    types: Types | None
    texts: list[exp.Expr] | None = None
    """Where these are wanted, the texts that are read as numbers."""

    def value(self, node: exp.Expr) -> _Value:
        """A part of any sort."""
        while isinstance(node, exp.Paren):
            node = node.this
        value = self._value(node)
        read = _ARGUMENTS | _MORE_ARGUMENTS.get(type(node), frozenset())
        if any(each and argument not in read for argument, each in node.args.items()):
            raise _refusal(node)
        return value

    def _value(self, node: exp.Expr) -> _Value:
        if isinstance(node, exp.Column):
            return self._column(node)
        if type(node) in _CHAINS:
            return self._chain(node)
        if builder := _BUILDERS.get(type(node)):
            built = builder(self, node)
            return built if isinstance(built, _Value) else _Value(built, _BIT)
        raise _refusal(node)

    def __call__(self, node: exp.Expr) -> Built:
        """A part that is no number, or whose digits do not matter."""
        return self.value(node).built

    def _column(self, node: exp.Column) -> _Value:
        built = self.column(name(node))
        if self.types is None:
            return _Value(built)
        described = self.types(name(node))
        size = exact.size_of(described)
        return _Value(
            built,
            size,
            numeric=size is not None,
            worded=size is None and not described.is_number,
            text=described.is_text or described.is_binary or described.is_json,
            number=described.is_number,
        )

    def _chain(self, node: exp.Expr) -> _Value:
        links = _links(node)
        if isinstance(node, exp.And | exp.Or):
            join = and_ if isinstance(node, exp.And) else or_
            return _Value(_joined(join, [self(each) for _, each in links]), _BIT)
        if isinstance(node, exp.Mul):
            places = MOST_PLACES // 2
            return self._product([(sign, self.number(each, places)) for sign, each in links])
        return self._sum([(sign, self.number(each)) for sign, each in links])

    def number(self, node: exp.Expr, places: int = MOST_PLACES) -> _Value:
        """A part to calculate with; of a text or a double so many places are read."""
        return self.as_number(self.value(node), node, places)

    def as_number(self, value: _Value, node: exp.Expr, places: int = MOST_PLACES) -> _Value:
        """A part as a number; NULL where it is a text that spells none."""
        if value.numeric:
            return value
        if value.text and self.texts is not None:
            self.texts.append(node)
        read = exact.read_out if value.text else exact.parsed
        built = Grouping(read(value.built, literal_column(str(places))))
        return _Value(built, exact.other_size(places), computed=True, number=True)

    def _sum(self, terms: Sequence[tuple[str, _Value]]) -> _Value:
        sizes = [value.size for _, value in terms if value.size]
        size = None
        if self.types and sizes:
            carried = len(str(len(terms) - 1))
            size = Size(max(each.whole for each in sizes) + carried, max(s.places for s in sizes))
            if not size.fits_words:
                size, terms = self._bounded(size, carried, terms)
        parts = [(operator, value.built) for operator, value in terms]
        return _Value(Grouping(exact.chained(parts, _COMBINE)), size, computed=True, number=True)

    def _bounded(
        self, size: Size, carried: int, terms: Sequence[tuple[str, _Value]]
    ) -> tuple[Size, list[tuple[str, _Value]]]:
        """Terms that are guarded so that no digit of their sum is lost."""
        most = size.most_whole
        bounded = [
            (operator, _Value(_guarded(value.built, most - carried))) for operator, value in terms
        ]
        return Size(most, size.places), bounded

    def _product(self, terms: Sequence[tuple[str, _Value]]) -> _Value:
        size = _product_of([value for _, value in terms]) if self.types else None
        if size and (size.places > MOST_PLACES or not size.fits_words):
            return _guarded_product([value for _, value in terms])
        parts = [(operator, value.built) for operator, value in terms]
        return _Value(Grouping(exact.chained(parts, _COMBINE)), size, computed=True, number=True)


def _product_of(factors: Sequence[_Value]) -> Size:
    sizes = [each.size or _BIT for each in factors]
    return Size(sum(each.whole for each in sizes), sum(each.places for each in sizes))


_MOST_GUARDED = 4
"""Factors of a product that is guarded: each guard repeats what is within."""


def _guarded_product(factors: Sequence[_Value]) -> _Value:
    """A product that is an error where a server would lose a digit."""
    whole = _product_of(factors)
    if whole.places > MOST_PLACES or len(factors) > _MOST_GUARDED:
        raise CheckError(
            f"a product of {len(factors)} factors has up to {whole.whole} digits before and"
            f" {whole.places} behind the point: more than a server keeps",
            permanent=True,
        )
    product, *rest = factors
    for factor in rest:
        size = _product_of((product, factor))
        parts = [("", product.built), ("*", factor.built)]
        built: Built = Grouping(exact.chained(parts, _COMBINE))
        if not size.fits_words:
            built, size = _guarded(built, size.most_whole), Size(size.most_whole, size.places)
        product = _Value(built, size, computed=True, number=True)
    return product


def _refusal(node: exp.Expr) -> ValueError:
    return ValueError(f"not allowed in a condition: {_start(_sql(node))}")


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect="mysql")


_BIT = Size(1, 0)
"""The size of what is 0 or 1."""

_COMBINE: exact.Combine = {
    "+": exact.added,
    "-": exact.subtracted,
    "*": exact.multiplied,
}

_BLOCK = 100


def _joined(join: Callable[..., ColumnElement[bool]], parts: Sequence[Built]) -> Built:
    """Parts joined by AND or OR, in blocks: SQLite takes a tree of depth 1000 at most."""
    while len(parts) > _BLOCK:
        blocks = (parts[n : n + _BLOCK] for n in range(0, len(parts), _BLOCK))
        # SQLAlchemy would see through a Grouping alone, and make one long chain of them all.
        parts = [type_coerce(Grouping(join(*block)), Boolean) for block in blocks]
    return Grouping(join(*parts))


def _compared(operate: Callable[[Built, Built], Built], build: _Builder, node: exp.Expr) -> Built:
    """Two values compared."""
    one, other = _comparable(build, [node.this, node.expression])
    return Grouping(operate(one, other))


def _comparable(build: _Builder, parts: Sequence[exp.Expr]) -> list[Built]:
    """Values in a form in which they can be compared with the first of them.

    A text is compared with numbers as the number that it spells: to a server `'abc' = 0` is true.
    """
    values = [build.value(each) for each in parts]
    first, *others = values
    others = [v for v, each in zip(others, parts[1:], strict=True) if not _is_null(each)]
    if (first.text and _are(others, "number")) or (first.number and _are(others, "text")):
        values = [
            build.as_number(v, each) if v.text else v for v, each in zip(values, parts, strict=True)
        ]
    if any(each.computed for each in values):
        return [exact.comparable(each.built) for each in values]
    return [each.built for each in values]


def _are(values: Sequence[_Value], what: Literal["text", "number"]) -> bool:
    return bool(values) and all(getattr(each, what) for each in values)


def _is_null(node: exp.Expr) -> bool:
    return isinstance(node.unnest(), exp.Null)


def _operator(sign: str) -> Callable[[Built, Built], Built]:
    # SQLAlchemy's own operators refuse NULL, TRUE and FALSE, or read them in another way.
    return lambda a, b: a.op(sign, is_comparison=True)(b)


def _literal(_build: _Builder, node: exp.Expr) -> _Value:
    if node.is_string:
        return _text(literal(node.this))
    return _number(str(node.this))


def _number(text: str) -> _Value:
    """A number of the text, exact."""
    digits = _digits(text)
    if digits == int(digits) and abs(digits) < 2**63:
        return _Value(literal(int(digits)), Size(len(str(abs(int(digits)))), 0), number=True)
    return _exact_literal(digits)


def _digits(text: str) -> Decimal:
    digits = Decimal(text) if len(text) <= _SHOWN else None
    if digits is None or abs(digits.adjusted()) > MOST_DIGITS:
        raise ValueError(f"not a number of at most {MOST_DIGITS} digits: {_start(text)}")
    return digits


def _exact_literal(digits: Decimal) -> _Value:
    """A number that is a DECIMAL for every server."""
    plain = f"{digits:f}"
    whole, _, places = plain.lstrip("-").partition(".")
    size = Size(len(whole), len(places))
    if not size.fits_column or size.places > MOST_PLACES:
        raise ValueError(
            f"{plain} has too many digits: {MOST_DIGITS} are the most, {MOST_PLACES} of them behind"
            " the point"
        )
    return _Value(exact.number(literal_column(plain)), size, computed=True, number=True)


def _negated(build: _Builder, node: exp.Expr) -> _Value:
    if isinstance(node.this, exp.Literal) and not node.this.is_string:
        return _number(f"-{node.this.this}")
    value = build.number(node.this)
    number = value.built if exact.is_decimal(value.built) else exact.decimal(value.built)
    return _Value(Grouping(exact.negated(number)), value.size, computed=True, number=True)


def _is(build: _Builder, node: exp.Expr) -> Built:
    if not isinstance(node.expression, exp.Null | exp.Boolean):
        raise ValueError("IS takes NULL, TRUE or FALSE")  # noqa: TRY004 - what pydantic catches
    return Grouping(build(node.this).is_(_IS[node.expression.args.get("this")]))


# Not SQLAlchemy's true(): for SQLite it writes 1, and there 5 IS 1 is false.
_IS = {None: null(), True: literal_column("true"), False: literal_column("false")}
"""What can stand behind IS, by the value."""


def _in(build: _Builder, node: exp.Expr) -> Built:
    if not node.expressions:
        raise ValueError("IN takes a list of values")
    one, *others = _comparable(build, [node.this, *node.expressions])
    return Grouping(one.in_(others))


def _between(build: _Builder, node: exp.Expr) -> Built:
    parts = (node.this, node.args["low"], node.args["high"])
    one, low, high = _comparable(build, parts)
    return Grouping(one.between(low, high))


def _like(build: _Builder, node: exp.Expr) -> Built:
    like = Grouping(build(node.this).like(build(node.expression)))
    return Grouping(not_(like)) if node.args.get("negate") else like


def _coalesced(build: _Builder, node: exp.Expr) -> _Value:
    values = [build.value(each) for each in (node.this, *node.expressions)]
    return _one_of(values, func.coalesce(*(each.built for each in values)))


def _one_of(values: Sequence[_Value], built: Built) -> _Value:
    """What is one of several values."""
    sizes = [each.size for each in values]
    known = [each for each in sizes if each]
    size = None
    if len(known) == len(sizes):
        size = Size(max(each.whole for each in known), max(each.places for each in known))
    return _Value(
        built,
        size,
        computed=any(each.computed for each in values),
        numeric=all(each.numeric for each in values),
        worded=any(each.worded for each in values),
        text=any(each.text for each in values),
        number=all(each.number for each in values),
    )


def _case(build: _Builder, node: exp.Expr) -> _Value:
    whens, default = node.args["ifs"], node.args.get("default")
    results = [build.value(each.args["true"]) for each in whens]
    if node.this:
        tests = [
            _compared(_operator("="), build, exp.EQ(this=node.this, expression=each.this))
            for each in whens
        ]
    else:
        tests = [build(each.this) for each in whens]
    other = build.value(default) if default else _Value(null(), _BIT)
    return _chosen(tests, results, other)


def _if(build: _Builder, node: exp.Expr) -> _Value:
    if not node.args.get("false"):
        raise _refusal(node)
    result, other = build.value(node.args["true"]), build.value(node.args["false"])
    return _chosen([build(node.this)], [result], other)


def _chosen(tests: Sequence[Built], results: Sequence[_Value], other: _Value) -> _Value:
    whens = [(test, each.built) for test, each in zip(tests, results, strict=True)]
    return _one_of([*results, other], Grouping(case(*whens, else_=other.built)))


def _nullif(build: _Builder, node: exp.Expr) -> _Value:
    value = build.value(node.this)
    same = _compared(_operator("="), build, node)
    return replace(value, built=Grouping(case((same, null()), else_=value.built)))


def _extreme(kind: Callable[..., Built], build: _Builder, node: exp.Expr) -> _Value:
    """The first or the last: of numbers as numbers, of texts and times as the server has them."""
    parts = [node.this, *node.expressions]
    values = [build.value(each) for each in parts]
    if not any(each.worded for each in values):
        values = [build.number(each) for each in parts]
        return replace(_one_of(values, kind(*(each.built for each in values))), computed=True)
    sizes = (
        v.size for v, each in zip(values, parts, strict=True) if not isinstance(each, exp.Null)
    )
    if build.types and any(sizes):
        # One server would read the texts as numbers, the other one the numbers as texts.
        what = f"of texts or times and of numbers together: {_start(_sql(node))}"
        raise CheckError(f"no {node.key} {what}", permanent=True)
    built = kind(*(each.built for each in values))
    return replace(_text(built), text=any(each.text for each in values))


def _absolute(build: _Builder, node: exp.Expr) -> _Value:
    value = build.number(node.this)
    number = value.built if exact.is_decimal(value.built) else exact.decimal(value.built)
    return _Value(exact.absolute(number), value.size, computed=True, number=True)


def _divided(build: _Builder, node: exp.Expr) -> _Value:
    """A number divided by a constant whose reciprocal is a decimal."""
    divisor = node.expression
    if isinstance(divisor, exp.Literal) and not divisor.is_string:
        number = _digits(str(divisor.this))
        if number and (reciprocal := _reciprocal(number)) is not None:
            factor = exp.Literal.number(f"{reciprocal:f}")
            return build.value(exp.Mul(this=node.this, expression=factor))
    raise ValueError(
        f"division is exact by a constant such as 2, 10 or 100 only: {_start(_sql(node))};"
        " multiply the other side instead"
    )


def _reciprocal(number: Decimal) -> Decimal | None:
    """1 by a number, where that ends behind the point in time."""
    with localcontext(prec=MOST_PLACES + 10):
        found = 1 / number
    with localcontext(prec=2 * MOST_DIGITS):
        return found if found * number == 1 else None


def _text(value: Built) -> _Value:
    return _Value(value, numeric=False, worded=True, text=True)


def _lower(build: _Builder, node: exp.Expr) -> _Value:
    return _text(functions.lower(build(node.this)))


def _upper(build: _Builder, node: exp.Expr) -> _Value:
    return _text(functions.upper(build(node.this)))


def _trim(build: _Builder, node: exp.Expr) -> _Value:
    return _text(func.trim(build(node.this)))


def _concatenated(build: _Builder, node: exp.Expr) -> _Value:
    return _text(functions.concatenated(*(build(each) for each in node.expressions)))


def _left(build: _Builder, node: exp.Expr) -> _Value:
    length = _length(node, node.expression)
    return _text(func.substr(build(node.this), 1, length))


def _right(build: _Builder, node: exp.Expr) -> _Value:
    return _text(functions.right(build(node.this), _length(node, node.expression)))


def _substring(build: _Builder, node: exp.Expr) -> _Value:
    length = node.args.get("length")
    bounds = [_length(node, node.args["start"])]
    bounds += [_length(node, length)] if length else []
    return _text(func.substr(build(node.this), *bounds))


def _length(node: exp.Expr, number: exp.Expr) -> Built:
    if not isinstance(number, exp.Literal) or not number.is_int or int(number.this) < 1:
        raise ValueError(
            f"a place in a text is a whole number from 1 on, as databases differ in others:"
            f" {_start(_sql(node))}"
        )
    return literal_column(str(int(number.this)))


def _json_text(build: _Builder, node: exp.Expr) -> _Value:
    path = "".join(_step(node, each) for each in node.expression.expressions)
    return _text(functions.json_text(build(node.this), literal_column(f"'{path}'")))


_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _step(node: exp.Expr, step: exp.Expr) -> str:
    """A step of a path within JSON: a name, or the number of an element."""
    if isinstance(step, exp.JSONPathRoot):
        return "$"
    if isinstance(step, exp.JSONPathKey) and _PLAIN_KEY.fullmatch(str(step.this)):
        return f".{step.this}"
    if isinstance(step, exp.JSONPathSubscript) and isinstance(step.this, int) and step.this >= 0:
        return f"[{step.this}]"
    raise ValueError(f"a path is made of names and numbers, as in '$.a.b[0]': {_start(_sql(node))}")


def _quoted_json(_build: _Builder, node: exp.Expr) -> _Value:
    raise ValueError(
        f"a text is in quotes on some databases: {_start(_sql(node))}; write"
        " column->>'$.a', or JSON_UNQUOTE(JSON_EXTRACT(column, '$.a'))"
    )


def _function(build: _Builder, node: exp.Expr) -> Built | _Value:
    called = node.name.lower()
    if called == "json_unquote" and len(node.expressions) == 1:
        (inner,) = node.expressions
        if isinstance(inner, exp.JSONExtract):
            return _json_text(build, inner)
    if called != "non_empty_array":
        raise _refusal(node)
    if len(node.expressions) != 1 or not isinstance(node.expressions[0], exp.Column):
        raise ValueError("non_empty_array takes one column")
    return non_empty_array(build(node.expressions[0]))


_ARGUMENTS = frozenset(
    {"this", "expression", "expressions", "low", "high", "negate", "table", "db", "is_string"}
)
"""What the builders read of a parsed node. A parser that learns more must not go unnoticed."""

_MORE_ARGUMENTS: dict[type[exp.Expr], frozenset[str]] = {
    exp.Case: frozenset({"ifs", "default"}),
    exp.If: frozenset({"true", "false"}),
    exp.Concat: frozenset({"safe"}),
    exp.Substring: frozenset({"start", "length"}),
    exp.Div: frozenset({"safe"}),
}
"""What they read of single ones."""

_COMPARISONS: dict[type[exp.Expr], Callable[[Built, Built], Built]] = {
    exp.EQ: _operator("="),
    exp.NEQ: _operator("<>"),
    exp.NullSafeEQ: lambda a, b: a.is_not_distinct_from(b),
    exp.LT: _operator("<"),
    exp.LTE: _operator("<="),
    exp.GT: _operator(">"),
    exp.GTE: _operator(">="),
}

# The text's own precedence: SQLAlchemy would leave out parentheses that it needs.
_BUILDERS: dict[type[exp.Expr], Callable[[_Builder, exp.Expr], Built | _Value]] = {
    **{kind: partial(_compared, operate) for kind, operate in _COMPARISONS.items()},
    exp.Literal: _literal,
    exp.Boolean: lambda _, node: true() if node.this else false(),
    exp.Null: lambda _build, _node: _Value(null(), _BIT),
    exp.Not: lambda build, node: Grouping(not_(build(node.this))),
    exp.Neg: _negated,
    exp.Is: _is,
    exp.In: _in,
    exp.Between: _between,
    exp.Like: _like,
    exp.Coalesce: _coalesced,
    exp.Case: _case,
    exp.If: _if,
    exp.Nullif: _nullif,
    exp.Least: partial(_extreme, exact.least),
    exp.Greatest: partial(_extreme, exact.greatest),
    exp.Abs: _absolute,
    exp.Div: _divided,
    exp.Lower: _lower,
    exp.Upper: _upper,
    exp.Trim: _trim,
    exp.Concat: _concatenated,
    exp.Left: _left,
    exp.Right: _right,
    exp.Substring: _substring,
    exp.JSONExtractScalar: _json_text,
    exp.JSONExtract: _quoted_json,
    exp.Anonymous: _function,
}
