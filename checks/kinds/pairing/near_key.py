"""The key of a near row: what its far row has in its own key columns."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    String,
    and_,
    case,
    func,
    literal,
    literal_column,
    not_,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks.keys.pattern import Placeholder
from checks.keys.template import Part, Template, as_number, joined
from checks.sql import exact
from checks.sql.catalog import Column, unlike
from checks.sql.statements import ALL_ROWS

Built = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class ByKey:
    """The far row that has a derived key, for near rows whose columns name none."""

    template: Template
    column: str
    """The column of the far side that holds such keys."""
    named: str
    """The column of the far side that the near column names."""
    far: FromClause
    """The far side."""

    def found(self, rows: FromClause) -> Built:
        """What the column of a near row should name: the least, should several have its key."""
        far = self.far.alias("by_key")
        if self.template.placeholders:
            key = self.template.generalized(far.c[self.column])
            far = with_key(far, key).subquery("by_key")
        found: Built = (
            select(func.min(far.c[self.named]))
            .where(self.refers(rows, far))
            .correlate(rows)
            .scalar_subquery()
        )
        return found

    def given(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether a near row has such a key."""
        return and_(*(rows.c[name].is_not(None) for name in self.template.columns))

    def refers(self, near: FromClause, far: FromClause) -> ColumnElement[bool]:
        """Whether a far row has the key of a near row."""
        key = self.template.on(near)
        if KEY in far.c:
            return has_key(far, key)
        return self.template.generalized(far.c[self.column]) == key


KEY = "key_by_template"
"""What `with_key` calls the column that it adds."""

_START = "start_of_key"
"""And its beginning, of which MariaDB makes an index; it does not of a text of any length."""

_MOST_INDEXED = 200
"""Characters, less than 1,000 bytes."""


def with_key(rows: FromClause, key: Built) -> Select[Any]:
    """Rows that have a key with it, of which a server makes a table, and of that an index."""
    start = func.substr(key, 1, _MOST_INDEXED).label(_START)
    found = select(*rows.c, key.label(KEY), start)
    return found.where(key.is_not(None)).limit(ALL_ROWS)


def has_key(rows: FromClause, key: Built) -> ColumnElement[bool]:
    """Whether a row of those has this key."""
    return and_(rows.c[_START] == func.substr(key, 1, _MOST_INDEXED), rows.c[KEY] == key)


class NearKey(ABC):
    """How the key of a near row is made."""

    @property
    def by_key(self) -> ByKey | None:
        """The far row of one whose columns name none; none, unless stated."""
        return None

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns of the near row that it is made of."""

    @abstractmethod
    def of(self, rows: FromClause) -> list[Built]:
        """The key of each row, a value for every column of the far key."""

    def named(self, rows: FromClause) -> list[Built]:
        """The same with NULL for a value that names nothing, as `names` tells."""
        return self.of(rows)

    def names(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """What is true of the columns of a row whose key names something, NULL left aside."""
        _ = rows
        return []

    def given(self, rows: FromClause) -> ColumnElement[bool]:
        """Whether the key of a row names something."""
        return and_(*(rows.c[name].is_not(None) for name in self.columns), *self.names(rows))

    @property
    def is_looked_up(self) -> bool:
        """Whether an index of the near side may find a row by a far key."""
        return True

    @property
    def is_open(self) -> bool:
        """Whether parts of it are in no column, so that several far keys are of one row."""
        return False

    def of_far(self, far_key: Sequence[Built]) -> list[Built]:
        """What a far key is compared as: the key of a near row that it can be that of."""
        return [*far_key]

    def lengths(self, named: Sequence[Built]) -> list[Built]:
        """The characters that a far key has at least, by the values of a key."""
        return [func.char_length(each) for each in named]

    def beginning(self, rows: FromClause) -> Built | None:
        """How the far keys of a row begin that is open; None where it knows nothing of that."""
        _ = rows
        return None

    @abstractmethod
    def may_be_long(self, types: Mapping[str, Column]) -> list[bool]:
        """Of each value, whether it may be a text of any length."""

    def read_out_of(
        self, far_key: Sequence[Built], rows: FromClause, types: Mapping[str, Column]
    ) -> list[ColumnElement[bool]]:
        """What follows for the columns of a near row with this far key, so that an index serves.

        Nothing, where an index on the key itself does.
        """
        _ = far_key, rows, types
        return []


class is_numeric(FunctionElement[bool]):  # noqa: N801 - reads as SQL
    """Whether a column holds numbers, whatever is known of it."""

    inherit_cache = True
    type = Boolean()


@compiles(is_numeric, "mysql")
def _is_numeric_mysql(element: is_numeric, compiler: SQLCompiler, **kw: Any) -> str:
    # HEX() of a text is that of its bytes; of a number, that of its value. BIT is both.
    value = compiler.process(element.clauses, **kw)
    return f"(HEX({value}) <> HEX(CONCAT({value})) OR HEX({value}) = HEX({value} + 0))"


@compiles(is_numeric, "sqlite")
def _is_numeric_sqlite(element: is_numeric, compiler: SQLCompiler, **kw: Any) -> str:
    return f"typeof({compiler.process(element.clauses, **kw)}) IN ('integer', 'real')"


class is_bytes(FunctionElement[bool]):  # noqa: N801 - reads as SQL
    """Whether a column holds bytes, or what else has no character set."""

    inherit_cache = True
    type = Boolean()


@compiles(is_bytes, "mysql")
def _is_bytes_mysql(element: is_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(CHARSET({compiler.process(element.clauses, **kw)}) = 'binary')"


@compiles(is_bytes, "sqlite")
def _is_bytes_sqlite(element: is_bytes, compiler: SQLCompiler, **kw: Any) -> str:
    return f"typeof({compiler.process(element.clauses, **kw)}) = 'blob'"


_NUMBER = re.compile(r"-?\d{1,35}(\.\d{1,30})?", re.ASCII)
_BYTES = re.compile(r"0x([0-9a-fA-F]{2})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReferringColumns(NearKey):
    """Columns as they are: a logical foreign key."""

    columns: tuple[str, ...]
    none: tuple[int | str, ...] = ()
    """Values that name nothing, as NULL does."""
    otherwise: ByKey | None = None

    @property
    def by_key(self) -> ByKey | None:
        """The far row of one whose column names none."""
        return self.otherwise

    def of(self, rows: FromClause) -> list[Built]:
        """The columns."""
        return [rows.c[name] for name in self.columns]

    def named(self, rows: FromClause) -> list[Built]:
        """The columns, NULL, or what the derived key leads to, in place of what names nothing."""
        if self.otherwise:
            (column,) = self.of(rows)
            return [case((self.given(rows), column), else_=self.otherwise.found(rows))]
        if not self.none:
            return self.of(rows)
        return [case((not_(self._names(each)), None), else_=each) for each in self.of(rows)]

    def names(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """None of the columns has such a value."""
        return [self._names(each) for each in self.of(rows)] if self.none else []

    def _names(self, column: Built) -> ColumnElement[bool]:
        # Texts as texts: to a server `'abc' = 0` is true, and so is `0 = ''`.
        text = joined(literal("", String()), column)
        as_text: ColumnElement[bool] = text.not_in([str(value) for value in self.none])
        if digits := [each[2:].upper() for each in map(str, self.none) if _BYTES.fullmatch(each)]:
            as_text = and_(as_text, not_(and_(is_bytes(column), func.hex(column).in_(digits))))
        numbers: list[Built] = [literal_column(f"{each:f}") for each in self._numbers]
        is_other = exact.decimal(column).not_in(numbers) if numbers else true()
        return case((is_numeric(column), is_other), else_=as_text)

    @property
    def _numbers(self) -> list[Decimal]:
        """What a column of numbers may hold of `none`."""
        return [Decimal(each) for each in map(str, self.none) if _NUMBER.fullmatch(each)]

    def may_be_long(self, types: Mapping[str, Column]) -> list[bool]:
        """As each column is declared."""
        return [types[name].is_long for name in self.columns]


@dataclass(frozen=True, slots=True)
class DerivedKey(NearKey):
    """A text that a template makes of several columns."""

    template: Template

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in the template's braces."""
        return self.template.columns

    @property
    def is_looked_up(self) -> bool:
        """Whether the columns that an index has can be read out of a far key."""
        return any(isinstance(each, Part) and each.is_whole for each in self.template.parts)

    @property
    def is_open(self) -> bool:
        """Whether the template has placeholders."""
        return bool(self.template.placeholders)

    def of(self, rows: FromClause) -> list[Built]:
        """The text, with placeholders as they are."""
        return [self.template.on(rows)]

    def of_far(self, far_key: Sequence[Built]) -> list[Built]:
        """The text with what placeholders stand for put back into braces."""
        return [self.template.generalized(each) for each in far_key]

    def lengths(self, named: Sequence[Built]) -> list[Built]:
        """Each placeholder is as short as it may be."""
        return [self.template.length(each) for each in named]

    def beginning(self, rows: FromClause) -> Built | None:
        """As far as the first placeholder."""
        return self.template.beginning(rows)

    def may_be_long(self, types: Mapping[str, Column]) -> list[bool]:
        """Whatever the columns are, the text may be longer."""
        _ = types
        return [True]

    def read_out_of(
        self, far_key: Sequence[Built], rows: FromClause, types: Mapping[str, Column]
    ) -> list[ColumnElement[bool]]:
        """Each whole column equals its part of the far key."""
        (text,) = far_key
        return parts_equal(self.template, text, rows, types)


def parts_equal(
    template: Template, key: Built, rows: FromClause, types: Mapping[str, Column]
) -> list[ColumnElement[bool]]:
    """What follows for the columns of a row with this key: each equals its part of the key."""
    return [
        rows.c[part.name] == (text if types[part.name].is_text else as_number(text))
        for part, text in zip(template.parts, template.read(key), strict=True)
        if isinstance(part, Part) and part.is_whole
    ]


def template_doubts(
    template: Template, types: Mapping[str, Column], key: Column, stated: str | None = None
) -> Iterator[tuple[str, str]]:
    """Columns that cannot be part of a key, each with the reason: texts of another collation."""
    for name in template.columns:
        if types[name].is_text and (why := unlike(types[name], key, stated)):
            yield name, why


def unreadable(template: Template, types: Mapping[str, Column]) -> Iterator[tuple[str, str]]:
    """Columns of a template that cannot be read out of a key, each with the reason."""
    for number, part in enumerate(template.parts):
        if isinstance(part, Part) and (why := _unreadable(template, number, types[part.name])):
            yield part.name, why


def _unreadable(template: Template, number: int, column: Column) -> str | None:
    if not (column.is_text or column.is_integer):
        return f"is {column.type}: only texts and whole numbers are written in one way"
    if number == template.free:
        return None
    if column.is_text:
        return _text_beside(template.parts[template.free])
    if template.end_of(number) not in "-0123456789":
        return None
    if number > template.free:
        return f"may begin like the end of {template.texts[number]!r} before it"
    return f"may end like the beginning of {template.texts[number + 1]!r} after it"


def _text_beside(free: Part | Placeholder) -> str:
    """Why there can be no text beside a part that may hold any character."""
    if isinstance(free, Part):
        return f"is text and may hold what keeps it apart: only {free.name} may be"
    return (
        f"is text and may hold what keeps it apart from {free.shown}, as that may: give"
        f" {free.shown} one length, as in {{{free.kind}:8}}, or use {{int}} or {{hex}}"
    )
