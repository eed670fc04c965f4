"""How the code is built, as `scripts/measure-structure` sees it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from checks.registry import KINDS, kind_name
from tests.support import CHECKOUT

NEW_KIND = {
    "checks/registry.py",
    "config.toml",
    "worker/demo/faults.py",
    # Generated:
    "helm/files/config.toml",
    "helm/files/rules.yml",
}
"""What a new kind touches outside of its own file or folder, documentation and tests aside."""

OF_A_KIND = {
    "conflict_rate": {
        "checks/http_log/__init__.py",
        "checks/kinds/idempotency_requests/check.py",
        "pyproject.toml",
        "scripts/draw-dashboard",
        "scripts/draw-values",
        "worker/cli/traffic.py",  # which asks such a check of older logs
    },
    "key_format": {"checks/declared/key_standard.py"},  # interfaces become such checks
    "non_negative": {"checks/declared/table.py"},  # facts of a table become such checks
    "row_count": {"checks/declared/table.py"},
    "stuck": {"checks/contract.py"},
    "unique_index": {"checks/declared/table.py"},
}
"""What else names a kind. A file that is added here needs a reason."""

ALSO_WORDS = {"blank", "columns", "condition", "duplicates", "query", "reference", "tables"}
"""Kinds whose names stand for much else, so that it is not known what names them."""


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """What the script prints of this checkout."""
    command: list[str | Path] = [
        sys.executable,
        CHECKOUT / "scripts" / "measure-structure",
        "--json",
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    here: dict[str, Any] = json.loads(printed)["here"]
    return here


@pytest.mark.parametrize("kind", sorted({kind_name(each) for each in KINDS} - ALSO_WORDS))
def test_a_kind_is_named_in_few_places(figures: dict[str, Any], kind: str) -> None:
    """A kind is its own file or folder, its line in the registry, its demo fault and check.

    All else is generated from its card, or asks it: nothing knows which kind a check is.
    """
    elsewhere = {*figures["files that name a kind"][kind]["elsewhere"]}
    assert elsewhere - NEW_KIND <= OF_A_KIND.get(kind, set())


@pytest.mark.parametrize("package", ["checks", "worker"])
def test_rooms_form_no_circle(figures: dict[str, Any], package: str) -> None:
    """What the script counts agrees with the contracts: no circle between rooms."""
    assert figures[package]["circles of rooms"] == []
