"""How a statement is laid out for reading, and how its values are written.

Values come from the configuration and from the database and may be anything: what is not plain
stands in hexadecimal, which means the same in every SQL mode, shell and chat. Laying a statement
out changes white space, the letter case of function names and the AS of columns that keep their
name, nothing else.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

_PRINTABLE = re.compile(r"[ -&(-\[\]-~]*")
"""Printable ASCII without quote and backslash: what may stand between quotes in every SQL mode."""

_PIECE = re.compile(
    r"""(?P<space>\s+)
      | (?P<name>`(?:[^`]|``)*`)
      | (?P<hex>(?:_utf8mb4\ )?x'[0-9a-f]*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<word>\w+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)

_STEP = "    "
_WIDE = 80
"""Characters of a line after which a list goes on in the next."""
_TRUTHS = ("true", "false")


def literal(value: object) -> str:
    """A value: a number, a text, bytes, a time, a truth value or None."""
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    text = str(value)
    if _PRINTABLE.fullmatch(text):
        return f"'{text}'"
    return f"_utf8mb4 x'{text.encode(errors='replace').hex()}'"


@dataclass
class _Level:
    """A statement, or what is between two parentheses or CASE and END."""

    indent: str | None
    """Of the lines of a statement; none where it is not one."""
    breaks: str = ""
    """The operator before which lines of the present clause end."""
    betweens: int = 0


def laid_out(text: str, write: Callable[[object], str] = literal) -> str:
    """A clause a line; conditions, and the statements within, further in.

    Texts between quotes are written anew by `write`.
    """
    pieces = _without_same_names(_pieces(text, write))
    levels = [_Level("")]
    lines = [""]
    is_listed = False
    for number, (piece, spaced) in enumerate(pieces):
        following = pieces[number + 1][0] if number + 1 < len(pieces) else ""
        level = levels[-1]
        line = _line_of(piece, pieces[number - 1][0] if number else "", following, level)
        if line is not None and piece in _CONDITIONS:
            level.breaks = _operator([each for each, _ in pieces[number + 1 :]])
        if piece == ")" and level.indent is not None:
            line = level.indent.removesuffix(_STEP)
        if is_listed and len(lines[-1]) > _WIDE:
            line = f"{level.indent}  "
        is_listed = piece == "," and level.indent is not None
        if line is not None and lines[-1].strip():
            lines.append(line)
        elif spaced and lines[-1].strip():
            lines[-1] += " "
        lines[-1] += piece
        if piece == "(" and following == "SELECT":
            inner = next(each.indent for each in reversed(levels) if each.indent is not None)
            levels.append(_Level(inner + _STEP))
            lines.append(inner + _STEP)
        elif piece in _OPENING:
            levels.append(_Level(None))
        elif piece in _CLOSING:
            levels.pop()
    return "\n".join(lines)


_CONDITIONS = ("WHERE", "HAVING")
_OPENING, _CLOSING = ("(", "CASE"), (")", "END")
_CLAUSES = {"FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "INNER", "LEFT", "UNION"}


def _line_of(piece: str, before: str, following: str, level: _Level) -> str | None:
    """The indent of the line that a piece begins, if it does."""
    if level.indent is None or before in {"", "."}:
        return None
    if piece == "LEFT" and following == "(":
        return None
    if piece in _CLAUSES or (piece == "SELECT" and before in {"UNION", "ALL"}):
        level.breaks = ""
        return level.indent
    if piece == "BETWEEN":
        level.betweens += 1
    elif piece == "AND" and level.betweens:
        level.betweens -= 1
        return None
    return f"{level.indent}  " if piece == level.breaks else None


def _operator(pieces: Sequence[str]) -> str:
    """What binds the parts of a condition: AND, unless there is an OR between some of them."""
    depth = 0
    for piece in pieces:
        depth += (piece in _OPENING) - (piece in _CLOSING)
        if depth < 0 or (depth == 0 and piece in _CLAUSES):
            break
        if depth == 0 and piece == "OR":
            return "OR"
    return "AND"


def _without_same_names(pieces: Iterable[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """The pieces without any AS that calls a column what it is called already."""
    kept: list[tuple[str, bool]] = []
    for piece, spaced in pieces:
        if piece.startswith("`") and [each for each, _ in kept[-2:]] == [piece, "AS"]:
            kept.pop()
        else:
            kept.append((piece, spaced))
    return kept


def _pieces(text: str, write: Callable[[object], str]) -> Iterator[tuple[str, bool]]:
    """The pieces without the space between them, each with whether there was some before it."""
    spaced = False
    for match in _PIECE.finditer(text):
        piece, kind = match[0], match.lastgroup
        if kind == "text":  # what a construct wrote itself
            piece = write(piece[1:-1].replace("''", "'"))
        elif (kind == "word" and text[match.end() : match.end() + 1] == "(") or (
            kind == "word" and piece in {"true", "false"}
        ):
            piece = piece.upper()
        if kind != "space":
            yield piece, spaced
        spaced = kind == "space"
