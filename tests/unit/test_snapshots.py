"""Expected texts in files are compared everywhere, and written by people only."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.snapshots import refuse_in_ci


@pytest.mark.parametrize("option", ["update_snapshots", "update_new_snapshots_only"])
def test_ci_writes_no_expected_text(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `CI` is set, a run that would write them ends at once; elsewhere it may."""
    asked: Any = SimpleNamespace(getoption=lambda name, default: name == option or default)
    monkeypatch.delenv("CI", raising=False)
    refuse_in_ci(asked)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.UsageError, match="--snapshot-update in CI"):
        refuse_in_ci(asked)
