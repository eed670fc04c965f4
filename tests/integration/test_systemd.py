"""The unit for systemd: systemd accepts it, it is locked down, and the worker runs by it."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import CHECKOUT, SHIPPED
from tests.support.access_logs import quiet
from tests.support.workers import RECONCILER
from worker import config
from worker.cli.common import Exit
from worker.process import LONGEST_GOODBYE

UNIT = CHECKOUT / "deploy" / "systemd" / "reconciler.service"
ANALYZE = shutil.which("systemd-analyze")
MOST_EXPOSED = 2.0
"""On systemd's scale from 0 to 10, which changes with its versions; it was 1.4 in version 252.

What is left is the network, which the worker needs.
"""

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def settings(name: str) -> list[str]:
    """The values of one setting, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def analyze(*arguments: str | Path, folder: Path) -> Sequence[str]:
    """The lines that `systemd-analyze` prints of the unit, whose program is made to exist."""
    text = UNIT.read_text(encoding="utf-8")
    unit = folder / UNIT.name
    unit.write_text(text.replace("/opt/reconciler/bin/reconciler", str(RECONCILER)))
    done = subprocess.run(
        [str(ANALYZE), "--no-pager", *arguments, unit],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about it."""
    said = analyze("verify", "--man=no", folder=tmp_path)
    assert [line for line in said if UNIT.name in line] == []


@needs_systemd
def test_the_unit_exposes_little(tmp_path: Path) -> None:
    """`systemd-analyze security` gives it a low number."""
    said = analyze("security", "--offline=true", folder=tmp_path)
    (exposure,) = (m[1] for m in map(re.compile(r"exposure level .*: ([\d.]+)").search, said) if m)
    assert float(exposure) <= MOST_EXPOSED


def test_wrong_usage_is_not_tried_again_and_the_end_has_time() -> None:
    """The exit code that no restart would change prevents one; the time to end is enough."""
    assert settings("Restart") == ["always"]
    assert settings("RestartPreventExitStatus") == [str(int(Exit.USAGE))]
    (seconds,) = settings("TimeoutStopSec")
    assert float(seconds) > LONGEST_GOODBYE


def test_the_worker_accepts_the_environment_of_the_unit(tmp_path: Path) -> None:
    """The password comes from the credential that is loaded; what is written lies in its folder."""
    (credential,) = settings("LoadCredential")
    name, _, _ = credential.partition(":")
    (tmp_path / name).write_text("secret\n")
    given = dict(
        each.replace("%d", str(tmp_path)).split("=", 1) for each in settings("Environment")
    )
    named = Path(given.pop(config.PATH_VARIABLE))
    assert named.parent == Path("/etc/reconciler")
    url = {"RECONCILER_DATABASES__LEDGER__URL": "mysql://auditor@127.0.0.1/ledger"}
    current = config.load(SHIPPED, given | url | quiet())
    assert current.settings.databases["ledger"].parsed.password == "secret"
    assert not Path(current.settings.state.parsed.database or "").is_absolute()
    assert settings("WorkingDirectory") == [f"%S/{settings('StateDirectory')[0]}"]
