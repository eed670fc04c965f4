"""Adding a kind takes its own file and test, a line, a page and a fault; all else is drawn.

A kind is added to a copy of the checkout, and the copy's own tests are asked.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import CHECKOUT

KIND = '''
"""`at_most_one`: no two rows of a table are in a state."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from sqlalchemy import Select, func, literal_column, select

from checks.card import Card, Words
from checks.contract import EVERYTHING, Finding, Result, Sources, Window
from checks.snapshot import DatabaseCheck
from checks.sql.expression import Expression
from checks.sql.inspection import Keys
from checks.sql.render import render
from checks.sql.statements import rows_of


class AtMostOne(DatabaseCheck):
    """Whether no more than one row is in a state."""

    model_config = DatabaseCheck.model_config | {"arbitrary_types_allowed": True}

    card: ClassVar[Card] = Card(
        violation="a table with several rows in the state",
        title=Words(en="at most one row", zh="至多一行"),
    )

    kind: Literal["at_most_one"] = "at_most_one"
    when: Expression
    """The state."""

    @property
    def rule(self) -> str:
        """The state."""
        return f"at most one: {self.when.source}"

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """The columns of the state."""
        return {self.table: self.when.columns}

    def look(self, keys: Keys = ()) -> str | None:
        """The rows."""
        _ = keys
        rows = rows_of(self.table, self.when.columns)
        shown: Select[Any] = select(literal_column("*")).select_from(rows)
        return render(shown.where(self.when.on(rows)).limit(100))

    def run(self, sources: Sources, _window: Window = EVERYTHING) -> Result:
        """Count the rows."""
        rows = rows_of(self.table, self.when.columns)
        counted = select(func.count()).select_from(rows).where(self.when.on(rows))
        with self.snapshot(sources) as snapshot:
            number = int(snapshot.connection.scalar(counted) or 0)
        if number <= 1:
            return Result(number, 0)
        message = f"{self.table} has {number} rows where {self.when.source}"
        return Result(number, 1, (Finding({"table": self.table}, message, {"rows": number}),))
'''
PAGE = """
# at_most_one

Fields: `table`, `when`.

No two rows of the table are in the state that the [expression](condition.md) says.
"""
FAULT = '''
    Fault(
        name="a table is retired twice",
        kind="at_most_one",
        table="market_listings",
        breaks="""INSERT INTO market_listings (listing_id, idempotency_key, listing_kind,
                seller_user_id, offer_asset_code, offer_amount, price_amount, seller_offer_frozen)
            VALUES (900001, 'listing:900001', 'item', 1, 'DIAMOND', 30, 100, 0),
                (900002, 'listing:900002', 'item', 1, 'DIAMOND', 30, 100, 0)""",
        trips=("market_listings.one",),
    ),
'''
CHECK = """
[[checks]]
name = "market_listings.one"
kind = "at_most_one"
table = "market_listings"
when = "listing_id >= 900001"
"""
TEST = '"""`at_most_one`: no two rows of a table are in a state."""\n'
pytestmark = pytest.mark.slow

NOT_COPIED = (".git", ".venv", ".cache", ".mypy_cache", ".ruff_cache", ".pytest_cache")
GATES = (
    *("tests/unit/test_docs.py", "tests/unit/test_cards.py", "tests/unit/test_kind_metrics.py"),
    *("tests/unit/test_explain.py", "tests/unit/test_inspection_sql.py"),
    "tests/chart/test_chart_values.py::test_the_table_of_values_is_in_step",
    "tests/system/test_dashboard.py::test_the_file_is_what_is_drawn",
    "tests/system/test_demo_faults.py::test_every_kind_has_its_fault",
    "tests/system/test_demo_faults.py::test_every_fault_names_shipped_checks_of_its_kind_and_table",
    (
        "tests/system/test_demo_faults.py::"
        "test_a_fault_trips_what_it_names_and_is_mended_without_trace[at_most_one]"
    ),
)
"""The tests that ask something of every kind."""


class Copy:
    """A copy of the checkout in which somebody adds a kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CHECKOUT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))

    def write(self, path: str, text: str) -> None:
        """A new file."""
        (self.folder / path).write_text(text.lstrip("\n"), encoding="utf-8")

    def put(self, path: str, before: str, text: str) -> None:
        """Write something into a file, before something that is there."""
        old = (self.folder / path).read_text(encoding="utf-8")
        assert before in old
        self.write(path, old.replace(before, text + before, 1))

    def run(self, *command: str) -> str:
        """What a Python program of the copy says, with `exit 0` where it says no more."""
        ours = ("PYTEST_", "CI", "PYTHONDONTWRITEBYTECODE")
        without = {name: os.environ[name] for name in os.environ if not name.startswith(ours)}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=without | {"PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        return f"{done.stdout}{done.stderr}exit {done.returncode}"

    def test(self, *arguments: str) -> str:
        """What the copy's own tests say."""
        quiet = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly")
        return self.run("-m", "pytest", *quiet, *arguments)

    def draw(self) -> None:
        """Draw again what is drawn."""
        for script in ("draw-kinds", "draw-dashboard", "draw-values"):
            assert self.run(f"scripts/{script}") == "exit 0", script
        new = ("tests/unit/test_inspection_sql.py", "-k", "at_most_one", "--snapshot-update")
        assert "1 snapshot generated" in self.test(*new)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A checkout with a kind more: all that somebody writes, and nothing drawn yet."""
    made = Copy(tmp_path_factory.mktemp("added") / "checkout")
    made.write("checks/kinds/at_most_one.py", KIND)
    made.write("tests/kinds/test_at_most_one.py", TEST)
    registry = "checks/registry.py"
    made.put(
        registry, "from checks.kinds.backing", "from checks.kinds.at_most_one import AtMostOne\n"
    )
    made.put(registry, "    | RowCount,\n", "    | AtMostOne\n")
    made.write("docs/checks/at_most_one.md", PAGE)
    made.put("worker/demo/faults.py", ')\n"""In the order', FAULT.lstrip("\n"))
    made.put("config.toml", "# --- The key standard", CHECK.lstrip("\n") + "\n")
    return made


def test_a_kind_is_added_by_what_is_written_of_it(copy: Copy) -> None:
    """What is drawn is red until it is drawn again; then all that asks something of kinds passes.

    Rules, alerts and the table of kinds name the new one without that somebody wrote so.
    """
    said = copy.run("scripts/draw-kinds", "--check")
    assert "docs/checks.md is out of step; run scripts/draw-kinds" in said
    copy.draw()
    said = copy.test(*GATES)
    assert said.endswith("exit 0"), said
    row = "| [at_most_one](checks/at_most_one.md) | warning | a table with several rows"
    assert row in (copy.folder / "docs" / "checks.md").read_text(encoding="utf-8")
    assert "`at_most_one`" in (copy.folder / "docs" / "howto" / "alerting.md").read_text(
        encoding="utf-8"
    )
    report = "from worker.report.phrases import CARDS; print(CARDS['at_most_one'].title.zh)"
    assert copy.run("-c", report) == "至多一行\nexit 0"


@pytest.mark.parametrize(
    ("path", "text", "gate", "message"),
    [
        (
            "docs/checks/at_most_one.md",
            PAGE.lstrip("\n"),
            ("-m", "pytest", "tests/unit/test_docs.py", "-k", "at_most_one"),
            "docs/checks/at_most_one.md lacks its heading",
        ),
        (
            "worker/demo/faults.py",
            FAULT.lstrip("\n"),
            ("-m", "pytest", "tests/system/test_demo_faults.py", "-k", "every_kind_has_its_fault"),
            "at_most_one",
        ),
        (
            "checks/kinds/at_most_one.py",
            '        title=Words(en="at most one row", zh="至多一行"),\n',
            ("-c", "import checks.registry"),
            "missing 1 required keyword-only argument: 'title'",
        ),
        (
            "checks/kinds/at_most_one.py",
            re.search(r"    card: ClassVar.*?\n    \)\n\n", KIND, re.DOTALL)[0],  # type: ignore[index]
            ("-c", "import checks.registry"),
            "at_most_one: class AtMostOne has no card, as checks/card.py describes it",
        ),
    ],
    ids=["page", "fault", "title", "card"],
)
def test_what_is_missing_is_named(
    copy: Copy, path: str, text: str, gate: tuple[str, ...], message: str
) -> None:
    """Without its page, its fault, its card or a part of that, a gate says what is missing."""
    file = copy.folder / path
    whole = file.read_text(encoding="utf-8")
    assert text in whole
    file.write_text(whole.replace(text, ""), encoding="utf-8")
    try:
        said = copy.run(*gate)
    finally:
        file.write_text(whole, encoding="utf-8")
    assert not said.endswith("exit 0")
    assert message in said
