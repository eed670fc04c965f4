"""Set-up on a machine that has nothing but git, make and Python; `make bare` tries more of it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import CHECKOUT

CANNOT = 77  # what scripts/run-bare exits with where such a machine cannot be made


@pytest.mark.slow
def test_make_run_needs_nothing_but_git_make_and_python() -> None:
    """In a minimal Debian `make run` becomes ready for a user; a second one prepares nothing."""
    wanted = {"SUITES": "bookworm", "USERS": "user", "TARGETS": "run"}
    command = [CHECKOUT / "scripts" / "run-bare"]
    done = subprocess.run(
        command, env=os.environ | wanted, capture_output=True, text=True, check=False
    )
    if done.returncode == CANNOT:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert re.search(r"^run-bare: bookworm user: make run: ok", done.stderr, re.MULTILINE)


def test_a_user_reads_in_one_line_what_root_has_to_install(tmp_path: Path) -> None:
    """Without root and sudo one command names all that is missing."""
    for name in ("bash", "readlink", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    script = CHECKOUT / "scripts" / "install-servers"
    command = (script, "--apt", "nginx", "nodejs")
    done = subprocess.run(
        command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [f"install-servers:     {script} --apt nginx nodejs"]


APT = """\
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "{0}/none";
Dir::State::Lists "{0}/lists";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
"""
"""An apt that has its own lists, and whose only source does not exist."""


def test_a_failing_apt_is_reported_with_its_reason_and_changes_nothing(tmp_path: Path) -> None:
    """The packages, what apt said and what to do; services are allowed again as they were."""
    for name in ("lists/partial", "cache/archives/partial", "none", "sbin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "status").touch()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path}/nowhere sid main\n")
    (tmp_path / "apt.conf").write_text(APT.format(tmp_path))
    policy = tmp_path / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 0\n")
    policy.chmod(0o755)
    # The machine's own folder is out of reach: nothing of it can be changed.
    private = ("unshare", "--mount", "--propagation", "private")
    if os.geteuid() or subprocess.run((*private, "true"), check=False).returncode:
        pytest.skip("root alone installs packages, and needs namespaces to be tested")
    script = CHECKOUT / "scripts" / "install-servers"
    within = f"mount --bind {policy.parent} /usr/sbin && exec {script} --apt nginx nodejs"
    done = subprocess.run(
        (*private, "sh", "-c", within),
        env=os.environ | {"APT_CONFIG": str(tmp_path / "apt.conf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "E: Unable to locate package nginx" in done.stderr
    last = done.stderr.splitlines()[-2:]
    assert last == [
        "install-servers: apt could not install nginx nodejs, for the reason above.",
        (
            "install-servers: Put that right and try again, or see by hand what is wrong:"
            " apt-get update; apt-get install nginx nodejs"
        ),
    ]
    assert [each.name for each in policy.parent.iterdir()] == [policy.name]
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_packages_of_npm_are_pinned_without_an_address() -> None:
    """Every package has its hash, and the lock names no registry."""
    text = (CHECKOUT / "scripts" / "grafana-schema" / "package-lock.json").read_text()
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert len(packages) > 10
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "resolved" not in text
