"""The package: what the wheel holds, and that it works without the checkout."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.support import CHECKOUT, SHIPPED
from tests.support.patience import wait_until
from tests.support.workers import Worker

PACKAGES = ("checks", "worker")
WHEELS = CHECKOUT / ".cache" / "wheels"  # by scripts/fetch-wheels
# Variables that would lead Python or pip back to the checkout, or to another place.
_FOREIGN = (
    *("PYTHON", "RECONCILER_", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"),
    *("PIP_REQUIRE", "PIP_CONSTRAINT", "PIP_NO_BINARY"),
)
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}


def run(*command: str | Path, folder: Path, code: int = 0) -> str:
    """What a command prints; it has to end with this exit code."""
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def tracked() -> list[str]:
    """The files of the checkout that git knows, and new ones that it does not ignore."""
    listed = run(
        *("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), folder=CHECKOUT
    )
    return sorted({each for each in listed.split("\0") if each and (CHECKOUT / each).exists()})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network from a copy of the checkout, links as links."""
    folder = tmp_path_factory.mktemp("package")
    for each in tracked():
        copy = folder / "checkout" / each
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / each, copy, follow_symlinks=False)
    run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"),
        *("--no-index", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, "."),
        folder=folder / "checkout",
    )
    (built,) = folder.glob("*.whl")
    return built


def metadata(built: zipfile.ZipFile) -> Message:
    """What the wheel says of itself."""
    (name,) = (each for each in built.namelist() if each.endswith(".dist-info/METADATA"))
    return Parser().parsestr(built.read(name).decode())


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    """Code, templates, SQL, texts, runbooks and the configuration: as in git, byte for byte."""
    ours = [each for each in tracked() if each.startswith(tuple(f"{p}/" for p in PACKAGES))]
    with zipfile.ZipFile(wheel) as built:
        held = [each for each in built.namelist() if ".dist-info/" not in each]
        assert sorted(held) == ours
        for each in held:
            assert built.read(each) == (CHECKOUT / each).read_bytes(), each
    assert {Path(each).suffix for each in held} >= {".py", ".j2", ".sql", ".toml", ".css", ".md"}


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Name, licence with its text, description and Python versions are in its metadata."""
    with zipfile.ZipFile(wheel) as built:
        known = metadata(built)
        (licence,) = (each for each in built.namelist() if each.endswith("/licenses/LICENSE"))
        assert built.read(licence) == (CHECKOUT / "LICENSE").read_bytes()
    assert wheel.name == f"reconciler-{known['Version']}-py3-none-any.whl"
    assert known["License-Expression"] == "Apache-2.0"
    assert known["Author"] == "The reconciler authors"
    assert known["Requires-Python"] == ">=3.11"
    assert known.get_payload() == (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_the_configuration_exists_once() -> None:
    """The file in the package is a link to the one at the root, never a copy kept by hand."""
    inside = CHECKOUT / "worker" / "demo" / "config.toml"
    assert inside.is_symlink()
    assert inside.resolve() == SHIPPED


@pytest.mark.slow
def test_the_installed_package_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """From the lock and the wheel alone, in an empty folder: version, demo, check and report."""
    installed, folder = tmp_path / "environment", tmp_path / "elsewhere"
    folder.mkdir()
    python, reconciler = installed / "bin" / "python", installed / "bin" / "reconciler"
    run(sys.executable, "-m", "venv", "--without-pip", installed, folder=folder)
    wanted = tmp_path / "requirements.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wanted.write_text(
        f"--requirement {CHECKOUT}/requirements.lock\n{wheel} --hash=sha256:{digest}\n"
    )
    run(
        *(sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"),
        *("install", "--quiet", "--no-compile", "--no-index", "--find-links", WHEELS),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", wanted),
        folder=folder,
    )
    where = "import checks, worker; print(*checks.__path__, *worker.__path__)"
    for found in run(python, "-c", where, folder=folder).split():
        assert Path(found).is_relative_to(installed)

    version = wheel.name.split("-")[1]
    assert run(reconciler, "--version", folder=folder) == f"reconciler {version}\n"
    # The demo's traffic, a minute old, begins to fail on purpose: so before it there is any.
    run(reconciler, "demo", "--build-only", folder=folder)
    assert (folder / "config.toml").read_bytes() == SHIPPED.read_bytes()
    checked = json.loads(run(reconciler, "check", "--format", "json", folder=folder))
    assert checked["outcome"] == "pass"
    run(reconciler, "report", "--format", "html", "--output", "audit.html", folder=folder)
    assert "<html" in (folder / "audit.html").read_text(encoding="utf-8")

    port = {"RECONCILER_HTTP__PORT": "0"}
    demo = Worker(folder, None, "demo", program=reconciler, environment=port)
    try:
        wait_until(lambda: demo.get("/readyz").status_code == 200, 120, "every check has run")
        assert "<h1" in demo.get("/").text
        assert demo.end() == 0
    finally:
        demo.process.kill()
        demo.process.wait()
