"""Runbooks: the Markdown files of `worker/runbooks/` as parts of pages."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from checks.lazy_import import Later

if TYPE_CHECKING:
    import markdown_it
    from markdown_it.token import Token
else:
    markdown_it = Later("markdown_it")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


@cache
def titles() -> Mapping[str, str]:
    """The first heading of each runbook, by its name, which is that of its alert."""
    folder = files("worker").joinpath("runbooks")
    if not folder.is_dir():
        return {}
    found = {}
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name, dot, ending = each.name.rpartition(".")
        if dot and ending == "md" and _NAME.fullmatch(name):
            heading = _TITLE.search(each.read_text(encoding="utf-8"))
            found[name] = heading[1].strip() if heading else name
    return found


@cache
def _html(name: str) -> Markup:
    source = files("worker").joinpath("runbooks", f"{name}.md").read_text(encoding="utf-8")
    return Markup(_parser().render(source))  # noqa: S704 - ours, and HTML in it is text


def html(name: str) -> Markup | None:
    """A runbook; None of one that there is not."""
    return _html(name) if name in titles() else None


def _parser() -> "markdown_it.MarkdownIt":
    parser = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.core.ruler.push("links", lambda state: _lead(state.tokens))
    # What is wider than the screen scrolls by itself, by keyboard, too.
    scrolls = '<div class="scroll" role="region" aria-label="{}" tabindex="0">'
    opening, closing = scrolls.format("Table"), "</table></div>\n"
    parser.add_render_rule("table_open", lambda *_: f"{opening}<table>\n")
    parser.add_render_rule("table_close", lambda *_: closing)
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("code_block", _fence)
    return parser


def _fence(_renderer: object, tokens: Sequence["Token"], index: int, *_: object) -> str:
    shown = Markup.escape(tokens[index].content)
    return f'<pre tabindex="0" role="region" aria-label="Code"><code>{shown}</code></pre>\n'


def _lead(tokens: Sequence["Token"]) -> None:
    """Let links between runbooks lead to their pages; what is not served is only text."""
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or ():
            if child.type == "link_open":
                target = str(child.attrGet("href") or "")
                if (name := target.removesuffix(".md")) in titles():
                    child.attrSet("href", name)
                elif not target.startswith(("https://", "http://", "#", "../")) or ".md" in target:
                    child.attrs.pop("href", None)
