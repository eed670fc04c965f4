"""Templates of derived keys, such as `lottery_reward:{lottery_session_id}:{prize_id}`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    String,
    and_,
    case,
    cast,
    func,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks.keys.pattern import MOST_CHARACTERS, Placeholder, is_made_of, placeholder
from checks.types import identifier

Built = ColumnElement[Any]

_BRACES = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDER = re.compile(r"(int|hex|word|token|uuid)(:.*)?", re.DOTALL)
_PART_OF = re.compile(r"(.+)\[(?:(\d*):(\d*)|(-\d+):)\]", re.ASCII | re.DOTALL)
_ONE_NAME = "a brace encloses one column name: {lottery_session_id}"


@dataclass(frozen=True, slots=True)
class Part:
    """A column, or a part of its text, by the places of its characters, as in Python."""

    name: str
    first: int = 0
    """Before 0: so many characters from the end."""
    end: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole value of the column."""
        return self.first == 0 and self.end is None

    def of(self, value: Built) -> Built:
        """It, of a value of the column; NULL when that is."""
        if self.is_whole:
            return value
        if self.first < 0:
            length = func.char_length(value)
            last = func.substr(value, length + self.first + 1)
            return case((length > -self.first, last), else_=joined(literal("", String()), value))
        if self.end is None:
            return func.substr(value, self.first + 1)
        return func.substr(value, self.first + 1, self.end - self.first)


class Template:
    """Fixed text, and in braces columns, parts of columns, and placeholders, with text between.

    At least one is a column. A placeholder stands for what no column holds; see `KeyPattern`.

    A key is read from both ends up to one part, which may hold any character: the first column or,
    where a placeholder can hold what keeps it apart, that one. Raises ValueError when the text is
    no such template, or has a second one of those.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        pieces = _BRACES.split(source)
        self.texts = tuple(pieces[::2])
        if any("{" in each or "}" in each for each in self.texts):
            raise ValueError(_ONE_NAME)
        self.parts = tuple(map(_part, pieces[1::2]))
        columns = [each for each in self.parts if isinstance(each, Part)]
        self.columns = tuple(dict.fromkeys(each.name for each in columns))
        if not columns:
            advice = "".join(f"; {{`{e.kind}`}} is one" for e in self.placeholders[:1])
            raise ValueError(f"the template names no column: {{lottery_session_id}}{advice}")
        if len(set(columns)) < len(columns):
            raise ValueError("a column stands twice in the template")
        if not all(self.texts[1:-1]):
            raise ValueError("between two columns there must be text that keeps them apart")
        self.free = self._free()
        """The number of the part that may hold any character."""

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """Those that it has, in their order."""
        return tuple(each for each in self.parts if isinstance(each, Placeholder))

    @property
    def could_be_columns(self) -> tuple[str, ...]:
        """Placeholders that are written as a column of that name would be."""
        kinds = (each.shown[1:-1] for each in self.placeholders)
        return tuple(dict.fromkeys(each for each in kinds if ":" not in each))

    @property
    def is_of_whole_columns(self) -> bool:
        """Whether there is nothing in braces but whole columns."""
        return all(isinstance(each, Part) and each.is_whole for each in self.parts)

    @property
    def fixed_length(self) -> int:
        """Characters of the fixed text, and those that placeholders have at least."""
        return sum(map(len, self.texts)) + sum(each.least for each in self.placeholders)

    @property
    def is_column(self) -> bool:
        """Whether it is a column and nothing else: as a value of a row it is a text of its own."""
        return False

    def may_be_long(self, column: object) -> bool:
        """Whatever its columns are, the text may be longer than each."""
        _ = column
        return True

    def on(self, rows: FromClause) -> Built:
        """The key of a row, with placeholders as they are; NULL when one of the columns is."""
        return self.over(rows.c.__getitem__)

    def over(self, column: Callable[[str], Built]) -> Built:
        """The same, with each column looked up by its name."""
        return self._filled(
            [
                each.of(column(each.name)) if isinstance(each, Part) else _mark(each)
                for each in self.parts
            ]
        )

    def length(self, key: Built) -> Built:
        """Of a key with placeholders as they are, the characters that it has at least."""
        surplus = sum(each.least - len(each.kind) - 2 for each in self.placeholders)
        return func.char_length(key) + surplus if surplus else func.char_length(key)

    def beginning(self, rows: FromClause) -> Built | None:
        """The key of a row up to the first placeholder; None where no column stands before one."""
        first = next((n for n, e in enumerate(self.parts) if isinstance(e, Placeholder)), 0)
        before = [e.of(rows.c[e.name]) for e in self.parts[:first] if isinstance(e, Part)]
        return self._filled(before) if before else None

    def generalized(self, key: Built) -> Built:
        """A key that was found, with its placeholders as they are; NULL for one of another form.

        It is the key of a row (`on`) that it can be the key of. Without placeholders, the key.
        """
        if not self.placeholders:
            return key
        found = self.read(key)
        pairs = tuple(zip(self.parts, found, strict=True))
        shown = [_mark(one) if isinstance(one, Placeholder) else text for one, text in pairs]
        obeyed = [is_made_of(text, one) for one, text in pairs if isinstance(one, Placeholder)]
        return case((and_(key == self._filled(found), *obeyed), self._filled(shown)))

    def read(self, key: Built) -> tuple[Built, ...]:
        """What each part is, as a text, if the key has this form.

        Told apart at the first character of the text after a part, or the last one of the text
        before it: right for every key that a row can have, if no part but one holds that character.
        """
        rest = func.substr(key, len(self.texts[0]) + 1)
        if self.texts[-1]:
            rest = func.substr(rest, 1, func.char_length(rest) - len(self.texts[-1]))
        before: list[Built] = []
        for number in range(self.free):
            part, following = self.parts[number], self.texts[number + 1]
            found = _of_one_length(rest, part, 1)
            if found is None:
                found = before_first(rest, literal(following[0], String()))
            rest = func.substr(rest, func.char_length(found) + len(following) + 1)
            before.append(found)
        after: list[Built] = []
        for number in range(len(self.parts) - 1, self.free, -1):
            part, separator = self.parts[number], self.texts[number]
            last = _of_one_length(rest, part, -1)
            if last is None:
                last = after_last(rest, literal(separator[-1], String()))
            length = func.char_length(rest) - func.char_length(last) - len(separator)
            rest = func.substr(rest, 1, length)
            after.insert(0, last)
        return *before, rest, *after

    def end_of(self, number: int) -> str:
        """The character at which a part is told apart from what it is next to."""
        return self.texts[number][-1] if number > self.free else self.texts[number + 1][0]

    def _filled(self, values: Sequence[Built]) -> Built:
        """The fixed text with these values between, as far as they go."""
        built: Built = literal(self.texts[0], String())
        for value, following in zip(values, self.texts[1:], strict=False):
            built = joined(built, value)
            if following:
                built = joined(built, literal(following, String()))
        return built

    def _free(self) -> int:
        numbers = range(len(self.parts))
        by_kind = sorted(numbers, key=lambda n: isinstance(self.parts[n], Placeholder))
        found = next((n for n in by_kind if all(self._ends(each, n) for each in numbers)), None)
        if found is None:
            raise ValueError(
                f"{' and '.join(each.shown for each in self.placeholders)} may each hold what keeps"
                " them apart: give all but one a length, as {token:8}, or other text between"
            )
        return found

    def _ends(self, number: int, free: int) -> bool:
        """Whether a placeholder cannot hold the character that ends it, if another part is free."""
        part = self.parts[number]
        if number == free or isinstance(part, Part) or not part.varies:
            return True
        end = self.texts[number][-1] if number > free else self.texts[number + 1][0]
        return not part.may_hold(end)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def _mark(each: Placeholder) -> Built:
    """What stands for any text of a placeholder."""
    return literal(f"{{{each.kind}}}", String())


def _part(inside: str) -> Part | Placeholder:
    if _PLACEHOLDER.fullmatch(inside):
        return placeholder(inside)
    found = _PART_OF.fullmatch(inside)
    name = _name(found[1] if found else inside)
    if not found:
        return Part(name)
    first, end, last = (int(each) if each else None for each in found.groups()[1:])
    part = Part(name, last or first or 0, end)
    lengths = (abs(part.first), MOST_CHARACTERS if end is None else end)
    if part.is_whole or max(lengths) > MOST_CHARACTERS or (end is not None and end <= part.first):
        raise ValueError(
            f"{{{inside}}}: a part of a column is its first characters, [:8], its last ones, [-4:],"
            " or those between two places, [2:8]"
        )
    return part


def _name(text: str) -> str:
    if len(text) > len("``") and text[0] == text[-1] == "`":
        text = text[1:-1]
    if not text or "." in text:
        raise ValueError(_ONE_NAME)
    return identifier(text)


def _of_one_length(text: Built, part: Part | Placeholder, end: Literal[1, -1]) -> Built | None:
    """One end of a text as long as a part always is; None where it may be of several lengths."""
    if isinstance(part, Part) or part.varies:
        return None
    first = 1 if end == 1 else func.char_length(text) - part.least + 1
    return func.substr(text, first, part.least)


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


class before_first(FunctionElement[str]):  # noqa: N801 - reads as SQL
    """What precedes the first occurrence of a character in a text, all of it if there is none."""

    inherit_cache = True
    type = String()


@compiles(before_first, "mysql")
def _before_first_mysql(element: before_first, compiler: SQLCompiler, **kw: Any) -> str:
    text, separator = (compiler.process(each, **kw) for each in element.clauses)
    return f"SUBSTRING_INDEX({text}, {separator}, 1)"


@compiles(before_first, "sqlite")
def _before_first_sqlite(element: before_first, compiler: SQLCompiler, **kw: Any) -> str:
    text, separator = (compiler.process(each, **kw) for each in element.clauses)
    return f"SUBSTR({text}, 1, INSTR({text} || {separator}, {separator}) - 1)"


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
