"""A `Report` as Markdown, HTML or JSON."""

import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from worker.report.escape import text
from worker.report.model import Report
from worker.report.phrases import Phrases
from worker.report.texts import Language, Texts

VERDICTS = {"✓": "pass", "✗": "fail", "⚠": "unknown"}
"""The signs that verdicts begin with, and the CSS class of a cell or paragraph that they open."""


class Format(StrEnum):
    """How a report is written."""

    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


_LOADER = PackageLoader("worker.report", ".")
_markdown = Environment(  # noqa: S701 - HTML escapes mean nothing in Markdown; `text` escapes
    loader=_LOADER,
    undefined=StrictUndefined,
    finalize=text,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_html = Environment(loader=_LOADER, undefined=StrictUndefined, autoescape=True)


def render(report: Report, output: Format, language: Language) -> str:
    """Write a report. JSON is the same in every language."""
    match output:
        case Format.MARKDOWN:
            return markdown(report, language)
        case Format.HTML:
            return html(report, language)
        case Format.JSON:
            return report.model_dump_json(indent=2) + "\n"


def markdown(report: Report, language: Language) -> str:
    """A report as CommonMark with tables."""
    phrases = Phrases(report, Texts(language))
    template = _markdown.get_template("report.md.j2")
    # Parts that say nothing leave their blank lines.
    return re.sub(r"\n{3,}", "\n\n", template.render(phrases.names(), report=report))


def html(report: Report, language: Language) -> str:
    """A report as one page that needs nothing else: no script, no link, no other file."""
    texts = Texts(language)
    body = Markup(_parser().render(markdown(report, language)))  # noqa: S704 - made by us, just now
    return _html.get_template("page.html.j2").render(
        language=texts("language"), title=texts("title"), body=body
    )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # The report has none of these: what looks like one is data that slipped through.
    parser.disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    parser.core.ruler.push("verdicts", lambda state: _mark(state.tokens))
    parser.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _mark(tokens: Sequence[Token]) -> None:
    """Give each cell and paragraph that opens with a verdict its class."""
    for opening, inline in pairwise(tokens):
        if opening.type in ("td_open", "paragraph_open") and inline.content[:1] in VERDICTS:
            opening.attrSet("class", VERDICTS[inline.content[0]])
