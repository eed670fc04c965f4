"""Templates of derived keys, such as `lottery_reward:{lottery_session_id}:{prize_id}`."""

import re
from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import BigInteger, ColumnElement, FromClause, String, cast, func, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks.types import identifier

Built = ColumnElement[Any]

_COLUMN = re.compile(r"\{([^{}.]+)\}")


class Template:
    """Fixed text and columns in braces, at least one; between two columns there is always text.

    Raises ValueError when the text is no such template.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        pieces = _COLUMN.split(source)
        self.texts, self.columns = tuple(pieces[::2]), tuple(pieces[1::2])
        if any("{" in each or "}" in each for each in self.texts):
            raise ValueError("a brace encloses one column name: {lottery_session_id}")
        if not self.columns:
            raise ValueError("the template names no column: {lottery_session_id}")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("a column stands twice in the template")
        for name in self.columns:
            identifier(name)
        if not all(self.texts[1:-1]):
            raise ValueError("between two columns there must be text that keeps them apart")

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    @property
    def fixed_length(self) -> int:
        """Characters of the fixed text."""
        return sum(map(len, self.texts))

    @property
    def is_column(self) -> bool:
        """Whether it is a column and nothing else: as a value of a row it is a text of its own."""
        return False

    def may_be_long(self, column: object) -> bool:
        """Whatever its columns are, the text may be longer than each."""
        _ = column
        return True

    def on(self, rows: FromClause) -> Built:
        """The key of a row; NULL when one of the columns is."""
        return self.over(rows.c.__getitem__)

    def over(self, column: Callable[[str], Built]) -> Built:
        """The same, with each column looked up by its name."""
        built: Built = literal(self.texts[0], String())
        for name, following in zip(self.columns, self.texts[1:], strict=True):
            built = joined(built, column(name))
            if following:
                built = joined(built, literal(following, String()))
        return built

    def parts(self, key: Built) -> tuple[Built, ...]:
        """What the columns of a row hold if the key is that row's, as texts.

        Told apart from the right, at the last occurrence of the character that ends each separator:
        right for every key that a row can have, if no column but the first holds that character.
        """
        rest = func.substr(key, len(self.texts[0]) + 1)
        if self.texts[-1]:
            rest = func.substr(rest, 1, func.char_length(rest) - len(self.texts[-1]))
        found: list[Built] = []
        for separator in reversed(self.texts[1:-1]):
            last = after_last(rest, literal(separator[-1], String()))
            length = func.char_length(rest) - func.char_length(last) - len(separator)
            rest = func.substr(rest, 1, length)
            found.insert(0, last)
        return rest, *found

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class joined(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """Two texts, one after the other."""

    inherit_cache = True
    type = String()


@compiles(joined, "mysql")
def _joined_mysql(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CONCAT({compiler.process(element.clauses, **kw)})"


@compiles(joined, "sqlite")
def _joined_sqlite(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    one, other = (compiler.process(each, **kw) for each in element.clauses)
    return f"({one} || {other})"


def as_number(value: Built) -> Built:
    """A text's leading digits as an integer."""
    return cast(value, BigInteger())


class after_last(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """What follows the last occurrence of a character in a text."""

    inherit_cache = True
    type = String()


@compiles(after_last, "mysql")
def _after_last_mysql(element: after_last, compiler: SQLCompiler, **kw: Any) -> str:
    text, separator = (compiler.process(each, **kw) for each in element.clauses)
    return f"SUBSTRING_INDEX({text}, {separator}, -1)"


@compiles(after_last, "sqlite")
def _after_last_sqlite(element: after_last, compiler: SQLCompiler, **kw: Any) -> str:
    text, separator = (compiler.process(each, **kw) for each in element.clauses)
    # Every character but the separator is taken off the end, as far as that goes.
    return f"SUBSTR({text}, LENGTH(RTRIM({text}, REPLACE({text}, {separator}, ''))) + 1)"
