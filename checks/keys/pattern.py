"""Rules for keys, such as `lottery_draw_{int}_{int}_{int}`, and whether a column's values obey.

One regular expression says the same to MySQL (ICU), MariaDB (PCRE2), SQLite and Python (`re`):
ASCII classes with a count, no nested repetition, and never two ways to read a key.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Boolean, ColumnElement, String, and_, func, literal, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from checks.sql.functions import WHITE_SPACE

Built = ColumnElement[Any]

MOST_CHARACTERS = 1000
"""The highest length that a placeholder can ask for."""

LONGEST_INTEGER = 20
"""Digits of the largest BIGINT UNSIGNED, which `{int}` takes at most."""

LONGEST_SOURCE = 500

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LENGTHS = re.compile(r"([1-9][0-9]{0,3})(?:\.\.([1-9][0-9]{0,3}))?", re.ASCII)
_SPECIAL = re.compile(r"([.^$*+?()\[\]|\\#])")
_ESCAPED = re.compile(r"\\([.$*+?()|#])")
"""What a class of its own says as well."""
_UUID = (8, 4, 4, 4, 12)
_KINDS = {
    "int": ("0-9", "7", "digits"),
    "hex": ("0-9A-Fa-f", "3f2a9c", "hexadecimal digits"),
    "word": ("A-Za-z0-9_-", "x", "letters, digits, _ and -"),
    "token": ("A-Za-z0-9_:.-", "x", "letters, digits and _ - : ."),
}
"""Characters, an example, and a name for people."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Characters of one class, from so many to so many; text has itself as class."""

    shown: str
    example: str
    least: int
    most: int | None
    regex: str
    characters: str = ""
    """The inside of a class; empty for fixed text and for `{uuid}`."""
    says: str = ""

    @property
    def varies(self) -> bool:
        """Whether it takes keys of several lengths."""
        return self.least != self.most

    @property
    def kind(self) -> str:
        """Its name, without a length."""
        return self.shown.strip("{}").partition(":")[0]

    def may_hold(self, character: str) -> bool:
        """Whether a character is one of its class."""
        return re.fullmatch(f"[{self.characters}]", character) is not None


class KeyPattern:
    """Fixed text and placeholders that a whole key is made of, letter case and spaces included.

    `{int}`, `{hex}`, `{word}` (letters, digits, `_`, `-`) and `{token}` (also `:` and `.`) take at
    least one character, or as many as `{int:13}` or `{word:8..64}` say; `{uuid}` takes 36. Raises
    ValueError, saying what is wrong, when the text is no such pattern.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        if not source or len(source) > LONGEST_SOURCE:
            raise ValueError(f"a key rule has 1 to {LONGEST_SOURCE} characters")
        pieces = _PLACEHOLDER.split(source)
        parts = [placeholder(p) if number % 2 else _text(p) for number, p in enumerate(pieces)]
        self._parts = tuple(part for part in parts if part.most != 0)
        _refuse_two_readings(self._parts)
        self.regex = "".join(part.regex for part in self._parts)
        """Of a whole key, without anchors."""

    def __repr__(self) -> str:
        return f"KeyPattern({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyPattern) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    @property
    def shortest(self) -> int:
        """Characters of the shortest key."""
        return sum(part.least for part in self._parts)

    @property
    def longest(self) -> int | None:
        """Characters of the longest key; None where a placeholder has no upper limit."""
        lengths = [part.most for part in self._parts]
        return None if None in lengths else sum(length or 0 for length in lengths)

    @property
    def example(self) -> str:
        """A key that obeys."""
        return "".join(part.example for part in self._parts)

    @property
    def in_words(self) -> tuple[str, ...]:
        """What each placeholder stands for, each once: `{int:13}`, 13 digits."""
        said = {part.shown: part.says for part in self._parts if part.says}
        return tuple(f"{shown}: {says}" for shown, says in said.items())

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model field of this type be written as a string."""
        return core_schema.no_info_plain_validator_function(cls._made)

    @classmethod
    def _made(cls, value: object) -> "KeyPattern":
        if isinstance(value, KeyPattern):
            return value
        if not isinstance(value, str):
            raise ValueError("a key rule is a text")  # noqa: TRY004 - what pydantic catches
        return cls(value)


def _text(text: str) -> Placeholder:
    if "{" in text or "}" in text:
        kinds = ", ".join(f"{{{kind}}}" for kind in (*_KINDS, "uuid"))
        raise ValueError(f"a brace encloses a placeholder: {kinds}")
    if wrong := next((each for each in text if not "!" <= each <= "~"), None):
        raise ValueError(f"{wrong!r} in a key: fixed text is printable ASCII without spaces")
    return Placeholder(text, text, len(text), len(text), _SPECIAL.sub(r"\\\1", text))


def placeholder(inside: str) -> Placeholder:
    """The placeholder that is so written in braces; raises ValueError where none is."""
    kind, colon, lengths = inside.partition(":")
    if kind == "uuid" and not colon:
        groups = "-".join(f"[0-9A-Fa-f]{{{length}}}" for length in _UUID)
        example = "50f654f6-152f-4411-8bbd-59d68331fcd6"
        return Placeholder("{uuid}", example, 36, 36, groups, says="a UUID with its hyphens")
    if kind not in _KINDS:
        known = ", ".join((*_KINDS, "uuid"))
        raise ValueError(f"{{{inside}}} is no placeholder: {known} are, some with a length")
    least, most = _lengths(inside, lengths) if colon else (1, None)
    if kind == "int" and not colon:
        most = LONGEST_INTEGER
    return _counted(inside, kind, least, most)


def _counted(inside: str, kind: str, least: int, most: int | None) -> Placeholder:
    characters, example, name = _KINDS[kind]
    count = f"{{{least}}}" if least == most else f"{{{least},{most}}}"
    if most is None:
        count = "+"
    shown = (example * (least // len(example) + 1))[: max(least, len(example))]
    number = "1 or more" if most is None else str(most) if least == most else f"{least} to {most}"
    return Placeholder(
        f"{{{inside}}}",
        shown[: most or None],
        least,
        most,
        f"[{characters}]{count}",
        characters,
        f"{number} {name}",
    )


def _lengths(inside: str, text: str) -> tuple[int, int]:
    match = _LENGTHS.fullmatch(text)
    if match is None:
        raise ValueError(f"{{{inside}}}: a length is a number or a range, such as 13 or 8..64")
    least, most = int(match[1]), int(match[2] or match[1])
    if least > most or most > MOST_CHARACTERS:
        raise ValueError(f"{{{inside}}}: a range goes up, to {MOST_CHARACTERS} at most")
    return least, most


def _refuse_two_readings(parts: Sequence[Placeholder]) -> None:
    """Refuse what could be read in two ways: servers would try them all on each wrong key."""
    for number, part in enumerate(parts):
        after = parts[number + 1 :]
        if not part.varies or not any(each.varies for each in after):
            continue
        following = after[0].shown if not (after[0].says) else ""
        if not following or part.may_hold(following[0]):
            raise ValueError(
                f"{part.shown} may end anywhere in what follows: put text after it that begins"
                " with a character it cannot hold, or give it one length"
            )


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | KeyPattern) else value


Patterns = Annotated[tuple[KeyPattern, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One key rule, or several of which a key obeys one."""


def regex_of(patterns: Sequence[KeyPattern]) -> str:
    """The regular expression of a key that obeys one of these rules.

    Where it can be without a backslash: SQL modes differ in what one means in a text.
    """
    return _whole("|".join(_ESCAPED.sub(r"[\1]", each.regex) for each in patterns))


def _whole(regex: str) -> str:
    # Not $: it is also true before a last line feed. Each dialect has its own word for the end.
    # The flags whatever a server's own are: . is any character, ^ the beginning and no other line.
    return f"(?s-m:^(?:{regex})(?!.))"


def longest(patterns: Sequence[KeyPattern]) -> int | None:
    """Characters of the longest key that obeys one of these rules; None if there is no limit."""
    lengths = [each.longest for each in patterns]
    return None if None in lengths else max(length or 0 for length in lengths)


def obeys(column: Built, patterns: Sequence[KeyPattern]) -> ColumnElement[bool]:
    """Whether a value obeys one of these rules; false for NULL, whatever the column's collation."""
    return _matched(column, regex_of(patterns))


def is_made_of(text: Built, each: Placeholder) -> ColumnElement[bool]:
    """Whether a text is one that a placeholder stands for; false for NULL."""
    return _matched(text, _whole(each.regex))


def is_blank(column: Built) -> ColumnElement[bool]:
    """Whether a text is empty or nothing but white space, in any character set."""
    # Bytes that are no text become the empty text on MySQL when they are converted. One character
    # of them: a server gives NULL for the whole of a long text in hexadecimal.
    return or_(
        and_(column.is_not(None), func.hex(func.substr(column, 1, 1)) == ""),
        _matched(column, _whole(f"[{WHITE_SPACE}]+")),
    )


def _matched(column: Built, regex: str) -> ColumnElement[bool]:
    found: Built = matches(column, literal(regex, String()))
    return func.coalesce(found, False)


class matches(FunctionElement[bool]):  # noqa: N801 - reads as SQL
    """Whether a regular expression is found in a text as it was written, case and all."""

    inherit_cache = True
    type = Boolean()


@compiles(matches, "mysql")
def _matches_mysql(element: matches, compiler: SQLCompiler, **kw: Any) -> str:
    text, pattern = (compiler.process(each, **kw) for each in element.clauses)
    # A server refuses a binary string beside another one (MySQL error 3995), but no _bin collation.
    return f"(CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin REGEXP {pattern})"


@compiles(matches, "sqlite")
def _matches_sqlite(element: matches, compiler: SQLCompiler, **kw: Any) -> str:
    text, pattern = (compiler.process(each, **kw) for each in element.clauses)
    return f"(CAST({text} AS TEXT) REGEXP {pattern})"  # SQLAlchemy makes it Python's `re.search`
