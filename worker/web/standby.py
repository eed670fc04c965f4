"""What a standby answers: that it is one, and who acts."""

from collections.abc import Callable, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from worker.status import Standby
from worker.text.encode import dump
from worker.web.pages import of_a_standby
from worker.web.server import Page

RETRY = {"Retry-After": "1"}
"""Behind one address the next request may reach the worker that acts."""


def led(pages: Mapping[str, Page], standby: Callable[[], Standby | None]) -> Mapping[str, Page]:
    """The pages, of which a standby shows only those that tell nothing of the ledger."""
    return {
        path: partial(_show, path, page, standby) if _tells(path) else page
        for path, page in pages.items()
    }


def _tells(path: str) -> bool:
    return path == "/" or path.startswith(("/checks/", "/api/"))


def _show(
    path: str, page: Page, standby: Callable[[], Standby | None], request: Request
) -> Response:
    waits = standby()
    if waits is None:
        return page(request)
    if path.startswith("/api/"):
        body = {"error": f"this worker is a standby: {waits}"}
        return Response(dump(body) + "\n", 503, RETRY, media_type="application/json")
    if path == "/":
        return of_a_standby(waits, "", 200)
    answer = of_a_standby(waits, "../", 503)
    answer.headers.update(RETRY)
    return answer
