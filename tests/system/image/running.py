"""The image, built and run: it starts locked down, works, stops, and holds nothing else.

`make image-test` builds it and names this file; plain `pytest` does not collect it.
"""

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import CHECKOUT
from tests.support.patience import slowness
from tests.system.image.containers import (
    IMAGE,
    LOCKED_DOWN,
    MEMORY,
    STATE,
    USER,
    Container,
    engine,
    health_command,
    inspect,
    once,
)

OPT = Path("opt/reconciler")
MOST = 150_000_000
"""Bytes that the image may add to its base."""

ENGINES = {"C /etc", "A /etc/mtab"}
"""What the engine itself changes in a container."""

LIST = """
from importlib.metadata import distributions
for each in distributions():
    print(f"{each.name}=={each.version}")
"""


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """The image's file system, mounted."""
    yield Path(engine("image", "mount", IMAGE).stdout.strip())
    engine("image", "unmount", IMAGE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for the state that only the image's user may use, with the demo ledger in it."""
    os.chown(tmp_path, USER, USER)
    tmp_path.chmod(0o700)
    built = once("demo", "--build-only", options=(f"--volume={tmp_path}:{STATE}",))
    assert built.returncode == 0, built.stderr
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Container]]:
    """`start(*options)` runs the worker on the demo ledger."""
    started: list[Container] = []

    def run(*options: str, locked: tuple[str, ...] = LOCKED_DOWN) -> Container:
        started.append(Container(folder, *options, locked=locked))
        return started[-1]

    yield run
    for one in started:
        one.remove()


def changes(container: Container) -> set[str]:
    """What differs between the container's files and the image's, beyond the engine's own."""
    return set(engine("diff", container.id).stdout.splitlines()) - ENGINES


def test_it_works_locked_down(start: Callable[..., Container], folder: Path) -> None:
    """Read-only, without capabilities, in 256 MB, it runs every check and serves its pages."""
    worker = start()
    worker.wait_until_ready()
    assert worker.get("/livez").status_code == 200
    assert "<h1" in worker.get("/").text
    assert 'reconciler_check_outcome{check="accounts.tables",outcome="pass"} 1' in worker.get(
        "/metrics"
    ).text.replace(".0", "")
    assert {path.stat().st_uid for path in folder.iterdir()} == {USER}
    assert (folder / "reconciler-state.db").exists()
    assert worker.healthy().returncode == 0, worker.healthy().stderr
    assert changes(worker) == set()
    known = inspect(worker.id)
    assert known["HostConfig"]["Memory"] == MEMORY
    assert not known["State"]["OOMKilled"]


def test_process_1_is_the_worker_without_any_privilege(start: Callable[..., Container]) -> None:
    """The worker itself is process 1, as user and group 10001, with no capability to be had."""
    worker = start()
    worker.wait_until_alive()
    command = worker.python("print(open('/proc/1/cmdline').read().split(chr(0))[1:3])")
    assert command.strip() == "['/opt/reconciler/bin/reconciler', 'run']"
    status = dict(
        line.split(":\t", 1)
        for line in worker.python("print(open('/proc/1/status').read())").splitlines()
        if ":\t" in line
    )
    assert status["Uid"] == status["Gid"] == "\t".join([str(USER)] * 4)
    for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    with pytest.raises(AssertionError, match="Read-only file system"):
        worker.python("open('/tmp/x', 'w')")


def test_sigterm_ends_process_1(start: Callable[..., Container]) -> None:
    """SIGTERM ends it with code 0 in 10 s of an idle machine; its last word is that it stopped."""
    worker = start()
    worker.wait_until_alive()
    code, seconds = worker.end()
    assert code == 0
    assert seconds < 10 * slowness()
    log = engine("logs", worker.id).stderr.splitlines()
    assert json.loads(log[-1])["event"] == "worker_stopped"


def test_it_starts_again_on_its_state(start: Callable[..., Container]) -> None:
    """A new container on the same folder knows the runs of the one before."""
    first = start()
    first.wait_until_ready()
    known = runs(first)
    assert first.end()[0] == 0
    second = start()
    second.wait_until_alive()
    # Of passing runs shortly after each other the later ones make place.
    assert min(known) in runs(second)


def runs(worker: Container) -> list[str]:
    """When each known run of a check began."""
    check = worker.get("/api/v1/checks/accounts.tables").json()
    return [each["started_at"] for each in check["runs"]]


def test_health_tells_when_it_does_not_work(start: Callable[..., Container]) -> None:
    """A worker that hangs, and one that is not there, fail the health check with a reason."""
    worker = start()
    worker.wait_until_alive()
    engine("kill", "--signal=STOP", worker.id)
    hung = worker.healthy()
    engine("kill", "--signal=CONT", worker.id)
    said = hung.stderr.strip().splitlines()[-1]  # the engine may warn of the machine before that
    assert (hung.returncode, said) == (1, "livez: no answer: timed out")
    program, *arguments = health_command()
    alone = (f"--entrypoint={program}", "--env=RECONCILER_HTTP__PORT=1")
    absent = once(*arguments, options=alone)
    assert absent.returncode == 1
    assert "refused" in absent.stderr


def test_it_needs_no_shell(start: Callable[..., Container], files: Path) -> None:
    """With every shell of the base covered up, it starts, is healthy, and stops."""
    shells = [
        f"/usr/bin/{name}" for name in ("dash", "bash") if (files / "usr/bin" / name).exists()
    ]
    worker = start(*(f"--volume=/dev/null:{shell}:ro" for shell in shells))
    assert shells
    assert engine("exec", worker.id, "sh", "-c", "exit 0", check=False).returncode != 0
    worker.wait_until_alive()
    assert worker.healthy().returncode == 0
    assert worker.end()[0] == 0


def test_it_writes_nowhere_else(start: Callable[..., Container]) -> None:
    """Where the file system may be written, too, it leaves nothing but its state."""
    worker = start(locked=())
    worker.wait_until_ready()
    worker.end()
    assert changes(worker) == set()


def test_check_works_inside(folder: Path) -> None:
    """`check` passes on the demo ledger, and says so as JSON and by its exit code."""
    done = once("check", "--format", "json", options=(f"--volume={folder}:{STATE}",))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "pass"


def test_a_volume_that_nobody_named_can_be_written() -> None:
    """Without any mount the engine makes a volume of the image's folder, which its user owns."""
    done = once("demo", "--build-only")
    assert done.returncode == 0, done.stderr


def test_installed_is_what_the_lock_says() -> None:
    """The environment holds the lock's versions, and neither pip nor setuptools."""
    done = once("-I", "-c", LIST, options=("--entrypoint=python",))
    lines = (line.split("==") for line in done.stdout.splitlines())
    installed: dict[str, str] = {canonicalize_name(name): version for name, version in lines}
    assert installed.pop("reconciler") == version_of_project()
    listed = re.findall(
        r"^(\S+==\S+(?: ; .*)?) \\$", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE
    )
    required = [Requirement(line) for line in listed]
    locked: dict[str, str] = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in required
        if each.marker is None or each.marker.evaluate()
    }
    assert locked.pop("setuptools")
    assert installed == locked


def version_of_project() -> str:
    """The version that pyproject.toml names."""
    found = re.search(
        r'^version = "(.*)"$', (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert found
    return found[1]


def test_every_file_of_the_project_is_installed(files: Path) -> None:
    """Templates, SQL, runbooks, all of both packages is there, and bytecode of all code."""
    (site,) = (files / OPT / "lib").glob("python3.*/site-packages")
    for package in ("checks", "worker"):
        there = names(site / package)
        wanted = {each for each in names(CHECKOUT / package) if "__pycache__" not in each}
        assert {name for name in there if not name.endswith(".pyc")} == wanted
        compiled = {Path(name) for name in there if name.endswith(".pyc")}
        assert {f"{path.parent.parent / path.stem.split('.')[0]}.py" for path in compiled} == {
            name for name in wanted if name.endswith(".py")
        }


def names(folder: Path) -> set[str]:
    """The files below."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_nothing_of_the_workshop_is_inside(files: Path) -> None:
    """Beside the environment and config.toml there is nothing: no tests, caches, locks or keys."""
    assert names(files / "etc/reconciler") == {"config.toml"}
    assert names(files / STATE.strip("/")) == set()
    assert [path.name for path in (files / "opt").iterdir()] == ["reconciler"]
    assert names(files / "tmp") | names(files / "home") == set()
    for gone in ("src", "root/.cache", "root/.config"):
        assert not (files / gone).exists()
    (site,) = (files / OPT / "lib").glob("python3.*/site-packages")
    assert not (site / "tests").exists()
    ours = list((files / OPT).rglob("*"))
    assert [path for path in ours if path.name in {".git", ".hypothesis", ".env"}] == []
    keys = [path.name for path in ours if path.suffix in {".pem", ".key", ".lock", ".db"}]
    assert keys == ["cacert.pem"]  # certifi's public authorities


def test_no_file_lends_its_owners_rights(files: Path) -> None:
    """No program runs as its owner or group, and nothing of ours may be written by its user."""
    lent = [
        path
        for path in files.rglob("*")
        if path.is_file() and not path.is_symlink() and path.lstat().st_mode & 0o6000
    ]
    assert lent == []
    for path in [files / OPT, *(files / OPT).rglob("*"), *(files / "etc/reconciler").rglob("*")]:
        if not path.is_symlink():
            known = path.lstat()
            assert known.st_uid == 0
            assert not known.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_the_image_says_what_it_is() -> None:
    """User, folder, port, signal, volume and labels are those that the chart and the docs name."""
    known = inspect(IMAGE)
    settings = known["Config"]
    assert settings["User"] == f"{USER}:{USER}"
    assert settings["WorkingDir"] == STATE
    assert list(settings["Volumes"]) == [STATE]
    assert list(settings["ExposedPorts"]) == ["9720/tcp"]
    assert settings["StopSignal"] == "SIGTERM"
    assert (settings["Entrypoint"], settings["Cmd"]) == (["reconciler"], ["run"])
    labels = {k.rpartition("image.")[2]: v for k, v in settings["Labels"].items()}
    assert labels["title"] == "reconciler"
    assert labels["version"] == version_of_project()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert labels["base.digest"].startswith("sha256:")


def test_it_is_small() -> None:
    """It adds less than 150 MB to its base."""
    known = inspect(IMAGE)
    base = inspect(known["Config"]["Labels"]["org.opencontainers.image.base.name"])
    added = known["Size"] - base["Size"]
    print(f"the image adds {added / 1e6:.0f} MB to a base of {base['Size'] / 1e6:.0f} MB")  # noqa: T201
    assert added < MOST


def test_building_it_again_gives_the_same_layers() -> None:
    """A second build from nothing has the same digests, layer by layer."""
    again = f"{IMAGE}-again"
    created = inspect(IMAGE)["Config"]["Labels"]["org.opencontainers.image.created"]
    epoch = int(datetime.fromisoformat(created).timestamp())
    subprocess.run(
        [CHECKOUT / "scripts" / "build-image", "--quiet"],
        env={**os.environ, "IMAGE_TAG": again, "SOURCE_DATE_EPOCH": str(epoch)},
        stdin=subprocess.DEVNULL,
        check=True,
    )
    layers = [inspect(each)["RootFS"]["Layers"] for each in (IMAGE, again)]
    engine("image", "rm", again)
    assert layers[0] == layers[1]
