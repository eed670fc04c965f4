"""What a driver was given, as text for reading: each value stands where the driver puts it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from checks.sql.layout import laid_out, literal

HIDDEN = "…"
"""What stands for a value that is not shown."""

_BY_NAME = re.compile(r"%%|%\(([^)]*)\)s")
_BY_MARK = re.compile(r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | \?""", re.VERBOSE)
_SEVERAL_HIDDEN = re.compile(rf"{HIDDEN}(?:, {HIDDEN})+")


def executed(
    statement: str,
    values: Mapping[str, object] | Sequence[object],
    is_hidden: Callable[[object], bool] = lambda _: False,
) -> str:
    """The text of a statement with its values, laid out for reading.

    PyMySQL has values by name (`%(name)s`), SQLite in order (`?`). Of values that are hidden
    several in a row are one `…`.
    """
    write = literal if isinstance(values, Mapping) else _of_sqlite

    def shown(value: object) -> str:
        return HIDDEN if is_hidden(value) else write(value)

    if isinstance(values, Mapping):
        whole = _by_name(statement, {name: shown(each) for name, each in values.items()})
    else:
        whole = _in_order(statement, map(shown, values))
    return laid_out(_SEVERAL_HIDDEN.sub(HIDDEN, whole), write)


def _by_name(statement: str, written: Mapping[str, str]) -> str:
    return _BY_NAME.sub(lambda found: written[found[1]] if found[1] else "%", statement)


def _in_order(statement: str, written: Iterator[str]) -> str:
    return _BY_MARK.sub(lambda found: next(written) if found[0] == "?" else found[0], statement)


def _of_sqlite(value: object) -> str:
    text = literal(value)
    hexadecimal = text.removeprefix("_utf8mb4 ")
    return text if hexadecimal == text else f"CAST({hexadecimal} AS TEXT)"
