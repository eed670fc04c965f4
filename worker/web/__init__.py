"""The HTTP side: metrics and health, pages for people, JSON for programs."""

from collections.abc import Callable, Mapping

from worker.state import State
from worker.status import Known, Standby
from worker.web.api import Api
from worker.web.pages import Pages
from worker.web.server import Page, Web
from worker.web.standby import led

__all__ = ["Web", "pages"]


def pages(
    known: Callable[[], Known], state: State, standby: Callable[[], Standby | None] = lambda: None
) -> Mapping[str, Page]:
    """Every address below which people and programs see what is known; a standby knows little."""
    return led({**Pages(known, state).pages, **Api(known, state).pages}, standby)
