"""What a server's words on an error may repeat: the names in them, and no value of a row.

Servers quote names and values alike: `Duplicate entry 'V' for key 'N'`, `Unknown system variable
'N'`. A value may hold quotes, and words that sound like a message. So a quoted text is a name only
where nothing that may be a value stands before it, or at the very end of a message that ends so.
"""

import re

_NAMED = (
    *("variable", "table", "column", "field", "view", "database", "schema", "key", "index"),
    *("collation", "character set", "engine", "function", "plugin", "time zone", "privilege"),
    *("partition", "server option", "support"),
)
"""Words after which a server quotes a name of its own or of the schema."""

_PLAIN = r"""(?:[^'"]|(?<=n)'(?=t\b))"""  # don't, can't, isn't
_QUOTED = r"""'[^'"]{1,200}'"""
_NAME_FIRST = re.compile(rf"""({_PLAIN}*\b(?:{"|".join(_NAMED)}):? )({_QUOTED})""", re.IGNORECASE)
_NAME_LAST = re.compile(rf" for (?:key|column) (?:{_QUOTED}|[`\w.$-]{{1,200}})(?: at row \d+)?\Z")
_END_IN_A_NAME = {1062, 1366, 1586}
"""A duplicate entry, and a value that does not fit a column."""

_NUMBERS_ONLY = re.compile(r"value is out of range in '([^'\"]*)'\Z")
"""An expression in which no text stands, and so no name that a text could feign."""


def without_values(code: int, words: str) -> str:
    """The words with `'…'` for the first thing quoted that may be a value, and all that follows.

    Of what follows, the key or the column at the very end is left, in errors that end so.
    """
    names = ""
    while found := _NAME_FIRST.match(words):
        names, words = names + found[0], words[found.end() :]
    plain = re.match(f"{_PLAIN}*", words)
    before = plain[0] if plain else ""
    if before == words:
        return names + words
    if expression := _NUMBERS_ONLY.search(words):
        columns = ", ".join(dict.fromkeys(re.findall(r"(?:`[^`]+`\.?)+", expression[1])))
        return f"{names}{before}'…'{columns and f' of {columns}'}"
    last = _NAME_LAST.search(words) if code in _END_IN_A_NAME else None
    return f"{names}{before}'…'{last[0] if last else ''}"
