"""The key of a near row: what its far row has in its own key columns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, case, literal, not_

from checks.keys.template import Template, as_number, joined
from checks.sql.catalog import Column

Built = ColumnElement[Any]


class NearKey(ABC):
    """How the key of a near row is made."""

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

    def of(self, rows: FromClause) -> list[Built]:
        """The columns."""
        return [rows.c[name] for name in self.columns]

    def named(self, rows: FromClause) -> list[Built]:
        """The columns, NULL in place of the values that name nothing."""
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
        parts = zip(self.columns, self.template.parts(text), strict=True)
        return [
            rows.c[name] == (part if types[name].is_text else as_number(part))
            for name, part in parts
        ]
