"""Fixtures of the tests of pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site, serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Pages of three checks that have not run yet."""
    with serving(tmp_path) as served:
        yield served
