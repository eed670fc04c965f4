"""`blank`: no key is NULL, empty or nothing but white space."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from sqlalchemy import ColumnElement, FromClause, and_, false, func, literal_column, or_, true

from checks.card import Card, Phrase, Section, Words
from checks.contract import Result, Scalar
from checks.coverage import Coverage
from checks.kinds.row_check import EQUAL_ROWS, RowCheckOfSome
from checks.snapshot import Context, Snapshot
from checks.sql.catalog import Column
from checks.sql.functions import WHITE_SPACE, as_unicode, only_white_space
from checks.sql.values import Hexadecimal
from checks.types import Identifier

Built = ColumnElement[Any]

ABOVE_WHITE_SPACE = "\ud7a3"
"""A character that every collation sorts after all white space."""

_NO_BYTES: Built = literal_column("x''")
"""What an empty BLOB of SQLite is; there, an empty text is something else."""

WAYS = {
    "null": Words(en="{column} is NULL", zh="{column} 为 NULL"),
    "empty": Words(en="{column} is empty", zh="{column} 为空字符串"),
    "white_space": Words(
        en="{column} is only white space: {value}", zh="{column} 仅含空白字符：{value}"
    ),
}
"""The ways in which a value is missing, by the name of the measure."""


def phrases(evidence: Mapping[str, object]) -> Iterator[Phrase]:
    """What a report says of a row."""
    for column, value in evidence.items():
        if column == EQUAL_ROWS:
            continue
        yield Phrase(WAYS[_way(value)], {"column": column, "value": value})


def _way(shown: object) -> str:
    if shown is None:
        return "null"
    return "empty" if shown in ("", Hexadecimal.of(b"")) else "white_space"


class Blank(RowCheckOfSome):
    """Whether every row has a value in a column that is more than white space."""

    card: ClassVar[Card] = Card(
        violation="a row without a value",
        title=Words(en="blank values", zh="空值"),
        clean=Words(en="no blank value", zh="无空值"),
        section=Section.BLANKS,
        phrases=phrases,
    )

    kind: Literal["blank"] = "blank"
    column: Identifier
    adds_up: ClassVar[bool] = True

    def report_fields(self, result: Result | None) -> Mapping[str, Any]:
        """The column, and how many of its values are missing in which way."""
        measures = {name: result and result.measures.get(name) for name in WAYS}
        return {"column": self.column, **measures}

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """What cannot be seen and is a value all the same."""
        return ("invisible characters that Unicode does not call white space: zero-width space",)

    @property
    def reads_columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def violates(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """NULL, empty or white space."""
        # Bytes that are no text are NULL once MySQL has converted them.
        is_null = rows.c[self.column].is_(None)
        is_space = and_(
            self._is_text(rows, context), only_white_space(self._comparable(rows, context))
        )
        if context.columns and self._described(context).is_text:  # no character is white space, too
            return or_(is_null, is_space)
        return or_(is_null, self._is_empty(rows, context), is_space)

    def counted_apart(
        self, rows: FromClause, context: Context
    ) -> Mapping[str, ColumnElement[bool]]:
        """NULL, empty and white-space values."""
        value, is_text = self._comparable(rows, context), self._is_text(rows, context)
        is_space = and_(is_text, func.length(value) > 0, only_white_space(value))
        is_null = rows.c[self.column].is_(None)
        is_empty = self._is_empty(rows, context)
        return {"null": is_null, "empty": is_empty, "white_space": is_space}

    def candidates(self, rows: FromClause, context: Context) -> tuple[ColumnElement[bool], ...]:
        """A few ranges of an index on the column instead of a look at every row."""
        value = self._comparable(rows, context)
        if context.columns and not self._described(context).is_text:
            empty = [value == "", value == _NO_BYTES] if self._described(context).is_binary else ()
            return (or_(value.is_(None), *empty),)
        if context.is_sqlite:  # which would copy a long value for each of those ranges
            first = func.substr(value, 1, 1)
            return (or_(value.is_(None), value == "", first.in_(list(WHITE_SPACE))),)
        starts = (value.like(f"{c}%") for c in WHITE_SPACE)
        # Under a binary collation that pads with spaces, a tab and a newline sort before a tab
        # alone. MySQL and MariaDB do not go that far back in the index for LIKE '\t%'.
        ranges = (value.between(f"{c}\0", f"{c}{ABOVE_WHITE_SPACE}") for c in WHITE_SPACE)
        return (or_(value.is_(None), value == "", *starts, *ranges),)

    def covered(self, snapshot: Snapshot) -> Coverage:
        """The rows, roughly where they are many: an index answers, and shows few of them."""
        return self._coverage(snapshot, exact=False)

    def describe(self, seen: dict[str, Scalar], snapshot: Snapshot) -> str:
        """Which of the three it is."""
        _ = snapshot
        value = seen[self.column]
        what = {"null": "NULL", "empty": "empty", "white_space": "only white space"}
        return f"{self.table}.{self.column} is {what[_way(value)]}"

    def _comparable(self, rows: FromClause, context: Context) -> Built:
        """The column itself where it can hold every white space; no index serves another."""
        value: Built = rows.c[self.column]
        is_unicode = self._described(context).charset in ("utf8mb4", "utf8mb3", "utf8")
        return value if context.columns and is_unicode else as_unicode(value)

    def _is_empty(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        """Whether it is a text without characters, or no bytes; nothing else has no length."""
        described = self._described(context)
        if context.columns and not (described.is_text or described.is_binary):
            return false()
        # `value = ''` would be true for spaces too: most collations pad them.
        return func.length(rows.c[self.column]) == 0

    def _is_text(self, rows: FromClause, context: Context) -> ColumnElement[bool]:
        if context.columns:
            return true() if self._described(context).is_text else false()
        return func.charset(rows.c[self.column]) != "binary"

    def _described(self, context: Context) -> Column:
        return context.described(self.table, self.column)
