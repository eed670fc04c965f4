"""Set-up does not rot: the locks install on the day when every package has a newer release."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import CHECKOUT, package_index

WHEELS = CHECKOUT / ".cache" / "wheels"
OURS = next((CHECKOUT / "scripts").glob("pip-*.whl"))
OLD = sorted(WHEELS.glob("pip-*.whl")) if sys.version_info < (3, 12) else []
"""The pips of Debian 12 and Ubuntu 22.04; they do not run on Python 3.12 and later."""

OLDEST = [*OLD, OURS][0]

COPIED = ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "scripts")


LOCKED = [each for each in WHEELS.glob("*.whl") if not each.name.startswith("pip-")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an index in which every locked package has a newer release, too."""
    with package_index.serving(LOCKED, tmp_path_factory.mktemp("index")) as address:
        yield address


@dataclass(frozen=True)
class Hollow:
    """An index like `index`, whose packages hold their metadata only: a resolver reads no more."""

    address: str
    sums: dict[str, str]

    def lock(self, name: str, folder: Path) -> Path:
        """A copy of a lock in a folder, with the hashes of these packages for those of the real."""

        def renewed(found: re.Match[str]) -> str:
            known = self.sums.get(package_index.normal(found["name"]))
            return f"{found['head']}    --hash=sha256:{known}\n" if known else found[0]

        text = (CHECKOUT / name).read_text(encoding="utf-8")
        copy = folder / name
        copy.write_text(re.sub(PINNED, renewed, text, flags=re.MULTILINE), encoding="utf-8")
        return copy


PINNED = r"^(?P<head>(?P<name>[\w.-]+).*==.*\n)(?: +--hash=.*\n)+"


@pytest.fixture(scope="module")
def hollow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hollow]:
    """Every locked package without its content: hundreds of megabytes less to hand over."""
    folder = tmp_path_factory.mktemp("hollow")
    wheels = [package_index.without_content(each, folder) for each in LOCKED]
    sums = {
        package_index.name_of(each): hashlib.sha256(each.read_bytes()).hexdigest()
        for each in wheels
    }
    with package_index.serving(wheels, tmp_path_factory.mktemp("index")) as address:
        yield Hollow(address, sums)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter in an environment with nothing in it, not even pip.

    Beside it lies each pip, unpacked: out of its wheel it would be compiled at every start.
    """
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False, symlinks=True)
    for each in (OURS, *OLD):
        with zipfile.ZipFile(each) as wheel:
            wheel.extractall(folder / each.name)
    return folder / "bin" / "python"


def starts(pip: Path, python: Path) -> bool:
    """Whether a pip runs at all: Debian's Python lacks a part of distutils unless it is asked for.

    Raises AssertionError for any other reason.
    """
    done = subprocess.run(
        [python, python.parents[1] / pip.name / "pip", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or "No module named 'distutils" in done.stderr, done.stderr
    return done.returncode == 0


def only_from(index: str) -> dict[str, str]:
    """The environment of a machine whose pip is configured for this index, and for nothing else."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    return {**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}


def resolve(pip: Path, python: Path, lock: Path, index: str) -> "subprocess.CompletedProcess[str]":
    """Let a pip find and download everything that a lock names, as `pip install` would."""
    options = ("--disable-pip-version-check", "--no-cache-dir", "--quiet", "--require-hashes")
    where = ("--requirement", lock, "--dest", lock.parent / "got")
    return subprocess.run(
        [python, python.parents[1] / pip.name / "pip", "download", *options, *where],
        env=only_from(index),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("pip", "lock"),
    [*((pip, "requirements-dev.lock") for pip in (OURS, *OLD)), (OLDEST, "requirements.lock")],
    ids=lambda each: each if isinstance(each, str) else "-".join(each.name.split("-")[:2]),
)
def test_a_lock_is_complete_for_any_pip(
    pip: Path, lock: str, python: Path, hollow: Hollow, tmp_path: Path
) -> None:
    """Each pip takes the pinned releases, finds nothing to resolve, and misses nothing.

    That the real files have the hashes of the locks, the set-up of this environment has seen.
    """
    if not starts(pip, python):
        pytest.skip("this Python has no distutils, which this pip needs")
    copy = hollow.lock(lock, tmp_path)
    done = resolve(pip, python, copy, hollow.address)
    assert done.returncode == 0, done.stderr
    got = {each.name for each in (tmp_path / "got").iterdir()}
    assert not [name for name in got if f"-{package_index.NEWER}-" in name]
    assert len(got) > 20


def test_a_lock_without_its_extras_is_refused(python: Path, hollow: Hollow, tmp_path: Path) -> None:
    """What went wrong once: the index has the newer release by which an old pip shows it."""
    if not OLD:
        pytest.skip("pip resolves extras anew on Python 3.11 only: the newer pips take the pin")
    copy = hollow.lock("requirements-dev.lock", tmp_path)
    text = copy.read_text(encoding="utf-8")
    stripped = re.sub(r"^(\w[\w.-]*)\[[\w,-]+\]==", r"\1==", text, flags=re.MULTILINE)
    assert stripped != text
    copy.write_text(stripped, encoding="utf-8")
    done = resolve(OLD[-1], python, copy, hollow.address)
    assert done.returncode != 0
    assert package_index.NEWER in done.stderr


def set_up(folder: Path, index: str, *arguments: str) -> tuple[int, str]:
    """The exit code of `make-venv`, and what it writes for people."""
    done = subprocess.run(
        [folder / "scripts" / "make-venv", *arguments],
        env=only_from(index),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def checkout(folder: Path) -> Path:
    """A folder with what set-up reads; an empty package stands in for the sources."""
    for name in COPIED:
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    (folder / "README.md").touch()
    return folder


def test_an_environment_is_made_once_and_of_what_the_lock_names(index: str, tmp_path: Path) -> None:
    """The installer is the one in the tree, whatever Python brings; a second call does nothing."""
    python = os.path.realpath(sys.executable)
    folder = checkout(tmp_path)
    code, said = set_up(folder, index, python, "run")
    assert code == 0, said
    listed = subprocess.run(
        [folder / ".venv" / "bin" / "pip", "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert package_index.NEWER not in listed
    assert f"pip=={OURS.name.split('-')[1]}\n" in listed
    assert "sqlalchemy==" in listed.lower()

    stamp = folder / ".venv" / ".made"
    made = stamp.stat().st_mtime_ns
    assert set_up(folder, index, python, "run") == (0, "")
    assert stamp.stat().st_mtime_ns == made

    lock = folder / "requirements.lock"
    unknown = f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n"
    lock.write_text(unknown + lock.read_text(encoding="utf-8"), encoding="utf-8")
    code, said = set_up(folder, index, python, "run")
    assert code == 1
    assert "making .venv" in said
    assert "no-such-package==1.0" in said
    assert "requirements.lock could not be installed" in said


def test_what_will_not_do_is_named(index: str, tmp_path: Path) -> None:
    """A Python that is not there, or an installer that is not whole: one plain sentence."""
    folder = checkout(tmp_path)
    code, said = set_up(folder, index, "no-such-python", "run")
    assert (code, said.count("\n")) == (1, 1)
    assert "cannot run 'no-such-python'" in said
    next((folder / "scripts").glob("pip-*.whl")).write_bytes(b"damaged")
    code, said = set_up(folder, index, sys.executable, "run")
    assert code == 1
    assert "is damaged; restore it" in said
