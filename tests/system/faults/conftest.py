"""What belongs to the long form of the fault suite only: `make faults`."""

import pytest

from tests.system.faults.ledgers import LONG


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes too long for every day, and say so by pytest's own count."""
    left_out = [each for each in items if each.get_closest_marker("long_form") and not LONG]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [each for each in items if each not in left_out]
