"""Backslashes in texts of the configuration's SQL."""

import re
from collections.abc import Iterator

from sqlglot.dialects.mysql import MySQL
from sqlglot.tokenizer_core import TokenType

_PAIR = re.compile(r"\\(.)", re.DOTALL)

_UNDERSTOOD = frozenset("\\'\"%_")


def texts(source: str) -> Iterator[str]:
    """The texts of a piece of SQL as they are written, quotes included, where it has a backslash.

    Raises SqlglotError.
    """
    if "\\" in source:
        for token in MySQL().tokenize(source):
            if token.token_type is TokenType.STRING:
                yield source[token.start : token.end + 1]


def stray(written: str) -> str | None:
    r"""What is wrong with the backslashes of a text, as it is written; None when nothing is.

    A server drops that of 'App\User', so that no row ever equals the text, and reads
    'app\new' with a line feed.
    """
    for pair in _PAIR.finditer(written):
        if pair[1] not in _UNDERSTOOD:
            return f"a backslash in a text is written as two: {written[:80]} has {pair[0]}"
    return None
