"""The HTTP side: metrics and health, pages for people, JSON for programs."""

from collections.abc import Callable, Mapping

from worker.state import State
from worker.status import Known
from worker.web.api import Api
from worker.web.pages import Pages
from worker.web.server import Page, Web

__all__ = ["Web", "pages"]


def pages(known: Callable[[], Known], state: State) -> Mapping[str, Page]:
    """Every address below which people and programs see what is known."""
    return {**Pages(known, state).pages, **Api(known, state).pages}
