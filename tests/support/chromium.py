"""Chromium without a window, for tests and screenshots."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Playwright

OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """The machine's own Chromium, which scripts/install-servers installs."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is not installed: run scripts/install-servers")
    browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
    try:
        yield browser
    finally:
        browser.close()
