"""Text of a database made visible: what hides, reorders or breaks lines shows by its name."""

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})
_NAMES = {0: "NUL", 9: "TAB", 10: "LF", 13: "CR", 32: "SP"}


def visible(value: str) -> str:
    """A text on one line, with everything in it to be seen.

    Control characters, invisible and reordering ones, and white space other than the space show by
    name (`«LF»`) or by number (`«U+202E»`), and so does `«`, which would else be ambiguous. Spaces
    show as `«SP»` where a page would drop them: at the ends, and every second one in a row.
    """
    shown = visible_characters(value)
    inner = shown.strip(" ")
    if not inner:
        return _named(" ") * len(shown)
    start = len(shown) - len(shown.lstrip(" "))
    end = len(shown) - len(shown.rstrip(" "))
    return _named(" ") * start + inner.replace("  ", f" {_named(' ')}") + _named(" ") * end


def visible_characters(value: str) -> str:
    """The same where a page keeps all spaces."""
    return "".join(_visible(each) for each in value)


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in _HIDDEN and character != " "
    return _named(character) if hidden or character == "«" else character


def _named(character: str) -> str:
    number = ord(character)
    return f"«{_NAMES.get(number, f'U+{number:04X}')}»"
