"""Pages for people: HTML without any script, of which nothing changes anything."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from checks.types import duration_text
from worker import status
from worker.model.run import excluded_rows
from worker.state import State
from worker.status import Known, Standby, Status
from worker.text.fields import fields
from worker.text.printable import visible, visible_characters
from worker.web import formatting, runbooks
from worker.web.server import Page

NOTHING = "\N{EN DASH}"
"""What stands in a cell that has no value."""

FINDINGS_SHOWN = 100
"""Findings on the page of a check."""

RUNS_SHOWN = 12
"""Runs on the page of a check that are shown unasked."""

DETAILS_SHOWN = 50
"""Routes of which the page of a check tells the conflicts."""

_ICONS = {
    "pass": '<path d="M9 17l5 5 10-11"/>',
    "fail": '<path d="M10 10l12 12M22 10L10 22"/>',
    "unknown": '<path d="M12 12a4 4 0 1 1 5 4q-1 1-1 3M16 23v.5"/>',
}
_COLOURS = {"pass": "#18794e", "fail": "#b4232c", "unknown": "#8a5a00"}


class Pages:
    """What is known, for people."""

    def __init__(self, known: Callable[[], Known], state: State) -> None:
        self._known, self._state = known, state

    @property
    def pages(self) -> Mapping[str, Page]:
        """Every address, with what is answered there."""
        return {
            "/": self._home,
            "/checks/{name}": self._check,
            "/runbooks": self._runbooks,
            "/runbooks/": self._runbooks,
            "/runbooks/{name}": self._runbook,
            "/page.css": _style,
            "/icon-{tone}.svg": _icon,
        }

    def _home(self, _request: Request) -> Response:
        overview = status.overview(self._known(), self._state)
        return _page(
            "home.html.j2",
            root="",
            at=overview.at,
            overview=overview,
            known=overview.known,
        )

    def _check(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = status.detail(self._known(), self._state, name, FINDINGS_SHOWN)
        if found is None:
            return _missing(f"No check is named {name}", "It may have been renamed or removed.")
        check = found.summary.check
        return _page(
            "check.html.j2",
            root="../",
            at=found.at,
            known=found.known,
            found=found,
            check=check,
            each=found.summary,
            alert=check.card.alert.name,
            details_shown=DETAILS_SHOWN,
            runs_shown=RUNS_SHOWN,
        )

    def _runbooks(self, request: Request) -> Response:
        root = "../" if request.scope["path"].endswith("/") else ""
        return _page("runbooks.html.j2", root=root, names=runbooks.titles())

    def _runbook(self, request: Request) -> Response:
        name = request.path_params["name"]
        body = runbooks.html(name)
        if body is None:
            return _missing(f"No runbook is named {name}", "Runbooks are named as their alerts.")
        return _page("runbook.html.j2", root="../", name=name, body=body)


def _page(template: str, code: int = 200, known: Known | None = None, **fields: object) -> Response:
    everywhere = {
        "known": known,
        "environments": dict.fromkeys(each.environment for each in known.databases)
        if known
        else (),
        "zone": known.zone if known else None,
    }
    return HTMLResponse(_environment().get_template(template).render(everywhere, **fields), code)


def of_a_standby(waits: Standby, root: str, code: int) -> Response:
    """The one page of a worker that knows nothing. `root` leads to where that page is."""
    return _page("standby.html.j2", code, root=root, standby=str(waits))


def _missing(what: str, why: str) -> Response:
    return _page("missing.html.j2", 404, root="../", what=formatting.cut(what), why=why)


def _style(_request: Request) -> Response:
    css = files("worker.web").joinpath("page.css").read_text(encoding="utf-8")
    return Response(css, media_type="text/css")


def _icon(request: Request) -> Response:
    tone = request.path_params["tone"]
    if tone not in _ICONS:
        raise HTTPException(404)
    return Response(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<circle cx="16" cy="16" r="16" fill="{_COLOURS[tone]}"/>'
        f'<g fill="none" stroke="#fff" stroke-width="3.5" stroke-linecap="round">{_ICONS[tone]}</g>'
        "</svg>\n",
        media_type="image/svg+xml",
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("worker.web", "."),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "cut": lambda value: Markup.escape(formatting.cut(value)),
        "name": _name,
        "number": lambda value: NOTHING if value is None else f"{value:,}",
        "quoted": lambda value: quote(value, safe=""),
        "lines": _lines,
        "time": _time,
        "plural": lambda number, noun: f"{number:,} {noun}{'' if number == 1 else 's'}",
    }
    made.globals |= {
        "words": formatting,
        "excluded_rows": excluded_rows,
        "duration_text": duration_text,
        "fields": fields,
        "Status": Status,
        "version": version("reconciler"),
    }
    return made


def _shown(value: object) -> object:
    """Everything that a template prints: nothing in it is hidden, and what is no markup escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _lines(text: str) -> Markup:
    """A text of several lines."""
    return Markup("\n").join(visible_characters(each) for each in text.split("\n"))


def _name(value: str, prefix: str = "") -> Markup:
    """A name that a narrow screen may break after its dots and underscores; a prefix is faint."""
    start = f"{prefix}." if prefix and value.startswith(f"{prefix}.") else ""
    rest = _breakable(value.removeprefix(start))
    if not start:
        return rest
    return Markup('<span class="faint">{}</span>{}').format(_breakable(start), rest)


def _breakable(value: str) -> Markup:
    shown = str(Markup.escape(visible(value)))
    return Markup(shown.replace(".", ".<wbr>").replace("_", "_<wbr>"))  # noqa: S704 - just escaped


@pass_context
def _time(context: Context, moment: datetime | float | None, form: str = "plain") -> str:
    """A moment in the configured time zone."""
    if moment is None:
        return NOTHING
    zone = context["zone"]
    at = datetime.fromtimestamp(moment, zone) if isinstance(moment, float) else moment
    local = at.astimezone(zone).isoformat(" ", "seconds")
    shown = local[:19] if form == "plain" else f"{local[:19]} {local[19:]}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), local, shown)
