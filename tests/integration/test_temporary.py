"""What the tests leave behind on the machine: nothing, however they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import CHECKOUT, ENDS_WITH_US
from tests.support.patience import exit_code, wait_until
from tests.support.temporary import NEW, PREFIX

LITTERING = """
import pathlib, tempfile, threading
folder = tempfile.TemporaryDirectory(prefix="of-the-module-")

def test_that_litters():
    tempfile.mkdtemp(prefix="of-the-test-")
    threading.Event().wait()
"""


HEEDS_INTERRUPTS = ("env", "--default-signal=INT")
"""Whoever starts the tests in the background has them ignore Ctrl-C, and all that they start."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A run of the tests that has made temporary files, in two processes, and hangs."""
    (tmp_path / "usual").mkdir()
    (tmp_path / "test_littering.py").write_text(LITTERING)
    options: tuple[str | Path, ...] = ("-p", "no:cloudcoil", "-p", "tests.conftest", "-n", "1")
    options += ("--rootdir", tmp_path, "-c", "/dev/null")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "RECONCILER"))}
    made = subprocess.Popen(
        [*ENDS_WITH_US, *HEEDS_INTERRUPTS, sys.executable, "-m", "pytest", *options, tmp_path],
        cwd=CHECKOUT,
        env={**clean, "TMPDIR": str(tmp_path / "usual"), "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
    )

    def litters() -> bool:
        assert made.poll() is None, "it ended"
        return [*tmp_path.glob("usual/*/of-the-test-*")] != []

    try:
        wait_until(litters, 20, "it litters")
        yield made
    finally:
        made.kill()
        made.wait()


def left_over(tmp_path: Path) -> list[Path]:
    """What is there but the folders of tests, of which pytest keeps the latest."""
    there = (tmp_path / "usual").iterdir()
    return [each for each in there if not each.name.startswith("pytest-of-")]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(
    run: "subprocess.Popen[bytes]", sent: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C and SIGTERM end a run with all the temporary files of all of its processes."""
    assert [*tmp_path.glob(f"usual/{PREFIX}*/of-the-module-*")] != []
    run.send_signal(sent)
    assert exit_code(run, 30) != 0
    assert left_over(tmp_path) == []


def test_what_a_killed_run_left_is_removed_by_the_next(
    run: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    """A run removes what an earlier one could not, and nothing of one that goes on."""
    (left,) = (tmp_path / "usual").glob(f"{PREFIX}*")
    long_ago = time.time() - 2 * NEW

    def another() -> None:
        os.utime(left, (long_ago, long_ago))
        program = "from tests.support.temporary import Folder; Folder().close()"
        environment = {**os.environ, "TMPDIR": str(tmp_path / "usual")}
        command = [sys.executable, "-c", program]
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True)

    another()
    assert left.exists()
    run.kill()
    run.wait()
    another()
    assert left_over(tmp_path) == []
