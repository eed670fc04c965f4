"""Database text inside Markdown: shown as it is, never obeyed.

Everything a template prints is escaped unless it is `Markdown` already; see `worker.report.render`.
"""

import re

from worker.text.printable import visible

_SPECIAL = re.compile(
    r"""
      [\\`*\[\]<>{}|&!~@$✓✗⚠]           # what may start something anywhere
    | (?<![A-Za-z0-9_])_+ | _+(?![A-Za-z0-9_])   # inside a word an underscore is just that
    | :(?![\s\d]) | (?<=\b[wW]{3})\.    # addresses, of which some sites make links
    | ^[#+=-]                          # what starts a block
    """,
    re.VERBOSE,
)
# A list, too, which `_SPECIAL` cannot tell: it looks behind by a fixed width only.
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?!\S)")
# A backslash, too: sites disagree about `\|` in a code span that stands in a table.
_BREAKS_CODE = re.compile(r"[`|\\]")


class Markdown(str):
    """Text that is Markdown: printed as it is."""

    __slots__ = ()


NOTHING = Markdown("—")
"""What stands in a cell that has no value."""


def text(value: object) -> Markdown:
    """A value as running text; what Markdown would obey becomes a numeric entity.

    Entities, unlike backslashes, mean the same to every reader of Markdown, in tables and out.
    """
    if isinstance(value, Markdown):
        return value
    return _escaped(visible(str(value)))


def code(value: object) -> Markdown:
    """A value as a code span, where it can be one; else as running text."""
    shown = visible(str(value))
    if not shown:
        return Markdown("`''`")
    if _BREAKS_CODE.search(shown):
        return _escaped(shown)
    return Markdown(f"`{shown}`")


def _escaped(shown: str) -> Markdown:
    return Markdown(_NUMBERED.sub(_numbered, _SPECIAL.sub(_entities, shown)))


def _entities(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(each)};" for each in match[0])


def _numbered(match: re.Match[str]) -> str:
    return f"{match[1]}&#{ord(match[2])};"
