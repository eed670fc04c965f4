"""The key of a near row: what its far row has in its own key columns."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, and_, case, func, literal, not_, select

from checks.keys.template import Template, as_number, joined
from checks.sql.catalog import Column, unlike

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
        return far.c[self.column] == self.template.on(near)


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
        # As texts: to a server `'abc' = 0` is true, and so is `0 = ''`.
        text = joined(literal("", String()), column)
        return text.not_in([str(value) for value in self.none])

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

    def of(self, rows: FromClause) -> list[Built]:
        """The text."""
        return [self.template.on(rows)]

    def may_be_long(self, types: Mapping[str, Column]) -> list[bool]:
        """Whatever the columns are, the text may be longer."""
        _ = types
        return [True]

    def read_out_of(
        self, far_key: Sequence[Built], rows: FromClause, types: Mapping[str, Column]
    ) -> list[ColumnElement[bool]]:
        """Each column equals its part of the far key."""
        (text,) = far_key
        return parts_equal(self.template, text, rows, types)


def parts_equal(
    template: Template, key: Built, rows: FromClause, types: Mapping[str, Column]
) -> list[ColumnElement[bool]]:
    """What follows for the columns of a row with this key: each equals its part of the key."""
    return [
        rows.c[name] == (part if types[name].is_text else as_number(part))
        for name, part in zip(template.columns, template.parts(key), strict=True)
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
    for number, name in enumerate(template.columns):
        if why := _unreadable(template, number, types[name]):
            yield name, why


def _unreadable(template: Template, number: int, column: Column) -> str | None:
    if column.is_text:
        return "is text and may hold what keeps it apart: only the first may be" if number else None
    if not column.is_integer:
        return f"is {column.type}: only texts and whole numbers are written in one way"
    if number and template.texts[number][-1] in "-0123456789":
        return f"may begin like the end of {template.texts[number]!r} before it"
    return None
