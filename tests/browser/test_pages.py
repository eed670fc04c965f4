"""The pages in a real browser: they fit, nothing in them runs, and everybody can read them."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import states
from tests.support.chromium import launched
from tests.support.site import (
    HOSTILE,
    KEYS,
    ROWS,
    TRAFFIC,
    USERS,
    Site,
    found,
    hostile,
    serving,
    traffic,
    whole,
)
from worker.status import AlertmanagerStatus
from worker.text.printable import visible
from worker.web import runbooks

CHECKS = (KEYS, ROWS, USERS, TRAFFIC)
PATHS = ["/", "/checks/orders.key", "/checks/orders.rows", "/checks/app.conflicts", "/runbooks/"]
PATHS += [f"/runbooks/{name}" for name in list(runbooks.titles())[:2]]
WIDTHS = (1280, 360)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with sync_playwright() as playwright, launched(playwright) as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Pages on which there is everything, hostile rows too."""
    with serving(tmp_path_factory.mktemp("site"), CHECKS) as served:
        findings = [found(number, "ABC") for number in range(3)]
        findings += [hostile(100 + number, text) for number, text in enumerate(HOSTILE)]
        served.see(KEYS, *findings, found(9))
        states.acknowledge(served.url, 1)
        for _ in range(20):
            served.see(KEYS, *findings, violations=2000)
        for text in HOSTILE:
            served.fail(ROWS, whole(text))
        served.take(TRAFFIC, traffic())
        served.change(alertmanagers=(AlertmanagerStatus("am", 2, 90.0),))
        yield served


class Shown:
    """A page that is open, and what the browser complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        page.on("requestfailed", lambda failed: self.complaints.append(f"failed {failed.url}"))

    def open(self, address: str) -> None:
        """Go there, and open all that is folded up."""
        self.page.goto(address)
        self.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")


@pytest.fixture(params=WIDTHS)
def shown(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Shown]:
    """A page of a desktop, and of a small phone."""
    with browser.new_page(viewport={"width": request.param, "height": 800}) as page:
        yield Shown(page)


@pytest.mark.parametrize("path", PATHS)
def test_fits_the_screen(site: Site, shown: Shown, path: str) -> None:
    """No page scrolls sideways; the browser misses nothing, and forbids nothing."""
    shown.open(site.address + path)
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width <= shown.page.viewport_size["width"]  # type: ignore[index]
    assert shown.page.locator("h1").count() == 1
    assert shown.page.locator("main").count() == 1
    assert shown.complaints == []


@pytest.mark.parametrize("path", ["/", "/checks/orders.key", "/checks/orders.rows"])
def test_hostile_rows_are_inert(site: Site, shown: Shown, path: str) -> None:
    """What stands in rows makes no element and runs nothing; it is there to be read."""
    shown.open(site.address + path)
    for forbidden in ("script", "img", "svg", "iframe", "form", "style", "h1:has-text('owned')"):
        assert shown.page.locator(f"body {forbidden}").count() == 0
    assert shown.page.locator("a[href^='javascript']").count() == 0
    assert shown.complaints == []


def test_hostile_rows_can_be_read(site: Site, browser: Browser) -> None:
    """A script, a template and a text that runs backwards are shown as what they are."""
    with browser.new_page() as page:
        page.goto(f"{site.address}/checks/orders.key")
        text = page.locator("main").inner_text()
    for each in HOSTILE[:8]:
        assert visible(each) in text
    assert "\u202e" not in text


Scheme = Literal["light", "dark"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_accessible(site: Site, browser: Browser, scheme: Scheme, width: int) -> None:
    """Of all pages axe finds nothing serious or critical: on a desktop, and on a phone at night."""
    # The rules of axe are a script, which a page itself would forbid.
    with browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    ) as context:
        page = context.new_page()
        for path in PATHS:
            Shown(page).open(site.address + path)
            assert (path, _serious(page)) == (path, [])


def _serious(page: Page) -> list[str]:
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html']}"
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]


def test_axe_sees(browser: Browser) -> None:
    """The accessibility check itself works: a picture without words is a violation."""
    with browser.new_page() as page:
        page.set_content("<html lang=en><title>t</title><img src='data:,'>")
        assert [each.partition(":")[0] for each in _serious(page)] == ["image-alt"]


def test_keyboard(site: Site, browser: Browser) -> None:
    """The first thing that the keyboard reaches leads past the navigation, and is seen then."""
    with browser.new_page() as page:
        page.goto(site.address)
        page.keyboard.press("Tab")
        skip = page.locator("a.skip:focus")
        assert skip.inner_text() == "Skip to content"
        assert skip.bounding_box()["x"] >= 0  # type: ignore[index]
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_links_lead_on(site: Site, browser: Browser) -> None:
    """From the overview to a check, to its runbook's place, and back."""
    with browser.new_page() as page:
        page.goto(site.address)
        page.locator("main a:has-text('orders.key')").first.click()
        assert page.locator("h1").inner_text() == "orders.key"
        page.locator("nav a:has-text('Status')").click()
        assert page.url == f"{site.address}/"
