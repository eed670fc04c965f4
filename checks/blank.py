"""`blank`: no key is NULL, empty or nothing but white space."""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from checks import catalog
from checks.base import EVERYTHING, Check, Result, Scalar, Sources, Window
from checks.looking import Keys, look_at_rows, quoted
from checks.sql import (
    WHITE_SPACE,
    as_unicode,
    counted,
    only_white_space,
    row_estimate,
    rows_of,
    sample_rows,
)
from checks.types import Identifier

Built = ColumnElement[Any]

ABOVE_WHITE_SPACE = "\ud7a3"
"""A character that every collation sorts after all white space."""


class Blank(Check):
    """Whether every row has a value in a column that is more than white space."""

    kind: Literal["blank"] = "blank"
    column: Identifier
    primary_key: Identifier

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The column, and the primary key by which findings name rows."""
        return {self.table: tuple(dict.fromkeys((self.primary_key, self.column)))}

    def look(self, keys: Keys = ()) -> str | None:
        """The blank rows."""
        text = f"CONVERT({quoted(self.column)} USING utf8mb4)"
        blank = f"({quoted(self.column)} IS NULL OR {text} REGEXP '^[[:space:]]*$')"
        return look_at_rows(self.table, self.primary_key, keys, blank)

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Count NULL, empty and white-space values apart, over all rows."""
        with sources.snapshot(self.database) as connection:
            found = catalog.require(connection, self.table, self.needs[self.table])
            rows = rows_of(self.table, self.needs[self.table])
            value = _comparable(rows.c[self.column], found[self.column])
            is_text = found[self.column].is_text
            is_null, is_empty, is_space = _classes(value, is_text=is_text)
            candidates = _candidates(value, is_text=is_text)
            if connection.dialect.name == "sqlite":
                candidates = _begun_blank(value)
            classes = {"null": is_null, "empty": is_empty, "white_space": is_space}
            counts = (
                connection.execute(
                    select(*(counted(each, name) for name, each in classes.items())).where(
                        candidates
                    )
                )
                .mappings()
                .one()
            )
            measures = {name: int(counts[name]) for name in classes}
            blank = and_(candidates, or_(is_null, is_empty, is_space))
            violations = sum(measures.values())
            findings = sample_rows(
                connection, rows, blank, self._describe, violations=violations, found=found
            )
            examined = row_estimate(connection, self.table)
        return Result(examined, violations, findings, measures)

    def _describe(self, seen: dict[str, Scalar]) -> str:
        value = seen[self.column]
        what = "NULL" if value is None else "only white space" if value else "empty"
        return f"{self.table}.{self.column} is {what}"


def _comparable(value: Built, column: catalog.Column) -> Built:
    """The column itself where it can hold every white space; no index serves another."""
    return value if column.charset in ("utf8mb4", "utf8mb3", "utf8") else as_unicode(value)


def _classes(value: Built, *, is_text: bool) -> tuple[ColumnElement[bool], ...]:
    """Whether it is NULL, empty, or white space and not empty."""
    if not is_text:
        return value.is_(None), false(), false()
    # `value = ''` would be true for spaces too: most collations pad them.
    is_empty = func.length(value) == 0
    return value.is_(None), is_empty, and_(func.length(value) > 0, only_white_space(value))


def _begun_blank(value: Built) -> ColumnElement[bool]:
    """The same for SQLite, which would copy a long value for each of those ranges."""
    return or_(value.is_(None), value == "", func.substr(value, 1, 1).in_(list(WHITE_SPACE)))


def _candidates(value: Built, *, is_text: bool) -> ColumnElement[bool]:
    """A condition that is true for all blank rows, and that an index on the column serves.

    A few ranges of the index instead of a look at every row.
    """
    if not is_text:
        return value.is_(None)
    starts = (value.like(f"{c}%") for c in WHITE_SPACE)
    # Under a binary collation that pads with spaces, a tab and a newline sort before a tab alone.
    # MySQL and MariaDB do not go that far back in the index for LIKE '\t%'.
    ranges = (value.between(f"{c}\0", f"{c}{ABOVE_WHITE_SPACE}") for c in WHITE_SPACE)
    return or_(value.is_(None), value == "", *starts, *ranges)
